#include "base/privilege.h"

#include "base/cleanup.h"
#include "base/streams.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

static bool is_kept(const char *variable, const char *const *kept)
{
    size_t name = strcspn(variable, "=");

    for (; *kept; kept++) {
        size_t length = strlen(*kept);

        if ((*kept)[length - 1] == '*' ? name >= length - 1 && strncmp(variable, *kept, length - 1) == 0
                                       : name == length && strncmp(variable, *kept, length) == 0)
            return true;
    }
    return false;
}

static void clean_environment(const char *const *kept)
{
    char **to = environ;

    for (char **from = environ; from && *from; from++)
        if (is_kept(*from, kept))
            *to++ = *from;
    if (to)
        *to = NULL;
}

void privilege_start(const char *const *kept)
{
    streams_open();
    (void)setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    (void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    (void)umask(077);
    clean_environment(kept);
}

/* ---- system calls ---- */

#if defined(__x86_64__)
#define ARCHITECTURE AUDIT_ARCH_X86_64
#define FOREIGN_CALLS 0x40000000u /* __X32_SYSCALL_BIT: from here on the same calls have other numbers */
#elif defined(__aarch64__)
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#define FOREIGN_CALLS UINT32_MAX
#elif defined(__arm__)
#define ARCHITECTURE AUDIT_ARCH_ARM
#define FOREIGN_CALLS UINT32_MAX
#elif defined(__riscv) && __riscv_xlen == 64
#define ARCHITECTURE AUDIT_ARCH_RISCV64
#define FOREIGN_CALLS UINT32_MAX
#endif

/* LeakSanitizer stops the program by ptrace(); gcc and clang tell it in their own ways. */
#if defined(__SANITIZE_ADDRESS__)
#define LOOKS_FOR_LEAKS
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define LOOKS_FOR_LEAKS
#endif
#endif

#ifdef ARCHITECTURE

static const uint32_t forbidden[] = {
    /* code for the kernel */
    SYS_init_module,
    SYS_finit_module,
    SYS_delete_module,
    SYS_kexec_load,
    SYS_kexec_file_load,
    SYS_bpf,
/* other processes */
#ifndef LOOKS_FOR_LEAKS
    SYS_ptrace,
#endif
    SYS_process_vm_readv,
    SYS_process_vm_writev,
    SYS_perf_event_open,
    /* never used here, and often a way into the kernel */
    SYS_userfaultfd,
    SYS_io_uring_setup,
    /* what lies where in the file tree; the machine's end */
    SYS_mount,
    SYS_umount2,
    SYS_move_mount,
    SYS_open_tree,
    SYS_fsopen,
    SYS_pivot_root,
    SYS_chroot,
    SYS_unshare,
    SYS_setns,
    SYS_swapon,
    SYS_reboot,
};

#define REFUSE BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM)
#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))

/* A call's number is compared with each in turn; what is made for another kind of machine is refused altogether. */
bool privilege_forbid_calls(void)
{
    struct sock_filter rows[2 * array_size(forbidden) + 7] = {
        LOAD(arch), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ARCHITECTURE, 1, 0),  REFUSE,
        LOAD(nr),   BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, FOREIGN_CALLS, 0, 1), REFUSE,
    };
    struct sock_fprog filter = { .len = 6, .filter = rows };

    for (size_t i = 0; i < array_size(forbidden); i++) {
        rows[filter.len++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, forbidden[i], 0, 1);
        rows[filter.len++] = (struct sock_filter)REFUSE;
    }
    rows[filter.len++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter, 0, 0) == 0;
}

#else

bool privilege_forbid_calls(void)
{
    return false;
}

#endif
