#include "ask/askpass.h"

#include "ask/terminal.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/process.h"

#include <sys/klog.h>

#define PRINTK_FILE "/proc/sys/kernel/printk" /* "LEVEL DEFAULT MINIMUM BOOT-DEFAULT" */
#define KLOG_CONSOLE_ON 7                     /* SYSLOG_ACTION_CONSOLE_ON, syslog(2) */
#define KLOG_CONSOLE_LEVEL 8                  /* SYSLOG_ACTION_CONSOLE_LEVEL */

struct console_state {
    const char *path;
    bool has_modes;
    struct termios modes;
    int log_level; /* -1: not known */
};

static int read_log_level(void)
{
    cleanup(free_ptr) char *text = NULL;
    struct error error;
    int level;

    if (file_read(PRINTK_FILE, 256, &text, NULL, &error) || sscanf(text, "%d", &level) != 1)
        return -1;
    return level;
}

static struct console_state save_console(const char *path)
{
    struct console_state state = { .path = path, .log_level = read_log_level() };

    state.has_modes = terminal_save(path, &state.modes);
    return state;
}

static void restore_console(const struct console_state *state)
{
    if (state->has_modes)
        terminal_restore(state->path, &state->modes);
    if (state->log_level < 0 || read_log_level() == state->log_level)
        return;
    /* the first also ends the kernel's own "switched off" state, which would swallow a later restore */
    (void)klogctl(KLOG_CONSOLE_ON, NULL, 0);
    (void)klogctl(KLOG_CONSOLE_LEVEL, NULL, state->log_level);
}

int askpass_ask(const char *program, const char *console, const char *prompt, struct secret *ret, struct error *error)
{
    const char *const argv[] = { program, prompt, NULL };
    const struct process process = { .argv = argv, .stdin_path = console };
    cleanup(secret_free) struct secret answer = { 0 };
    struct console_state state = save_console(console);
    int r = process_read(&process, ASK_MAX_BYTES + 1, &answer, error);

    restore_console(&state);
    if (r && r != ERROR_USAGE) /* that is the one for more than it was to read */
        return error_rekind(error, ERROR_USAGE);
    secret_chomp(&answer); /* what came through the FIFO has a newline, what was typed has none */
    if (r || answer.size > ASK_MAX_BYTES)
        return error_set(error, ERROR_WRONG_PIN, "more than %d bytes were typed", ASK_MAX_BYTES);
    *ret = secret_take(&answer);
    return 0;
}
