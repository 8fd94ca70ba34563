/*
 * What GRUB will measure: its configuration is interpreted as GRUB itself would, from the first file that it reads
 * outside of its own image up to the kernel's start. PCR 8 gets every command as it is executed, words expanded, and
 * the kernel's command line; PCR 9 every file that is read. No TPM, no root: boot places say where GRUB's disks are
 * found on the running system.
 *
 *     struct grub_request request = {
 *         .bank = HASH_SHA256, .places = &places, .secure_boot = true,
 *         .config = "(hd0,gpt1)/EFI/debian/grub.cfg", .prefix = "(hd0,gpt1)/EFI/debian",
 *         .cmdpath = "(hd0,gpt1)/EFI/debian", .root = "hd0,gpt1",
 *     };
 *     r = grub_predict(&request, &boot, &error);
 *
 * Nothing is guessed: a command, a device, an option whose effect is not known here makes the whole an error that says
 * where it stands. Configuration files come from the attacker's partition: every loop, depth and size has its limit.
 *
 * What GRUB measures before that (the configuration inside its image) is constant for a binary: the caller takes it
 * from the event log.
 *
 * The GRUB is Debian 12's signed one, 2.06: another has other modules in its image, and measures what it loads. Three
 * things are taken for granted that files do not tell: the terminal gfxterm works, save_env can write where it is told
 * to, and no disk that the caller does not know holds a file system that is searched for. A machine where one of them
 * is not so shows by its last boot, which then cannot be reproduced.
 */
#pragma once

#include "measure/predict/boot-place.h"
#include "measure/predict/extend-list.h"
#include "measure/predict/hashed-file.h"

/* A file of which the caller knows better than the disk: what it will be at the next boot, or its hashes where it was
 * approved before and is not to be read again. */
struct grub_known_file {
    const char *path;            /* on the running system, as FOLDER of the place, "/" and the name in it */
    const void *bytes;           /* its contents, `size` bytes; NULL: only the hashes are known */
    size_t size;                 /* where only the hashes are known: any number above 0 for a file that is not empty */
    const uint8_t *digest;       /* without bytes: in the bank of the request */
    const struct digest *sha256; /* without bytes */
};

/* The struct and all that it points to are borrowed during the call. */
struct grub_request {
    enum hash_algorithm bank;
    const struct boot_places *places;
    bool secure_boot;
    const char *config; /* "(hd0,gpt1)/EFI/debian/grub.cfg" */
    const char *prefix; /* GRUB's variables when it reads that file */
    const char *cmdpath;
    const char *root;
    const char *choice; /* NULL: what boots when nobody touches the menu. Else the entry that a person chooses in the
                           menu: path of a grub_menu_entry, ids (or titles) joined by ">", where ">>" is a ">" */
    const struct grub_known_file *known_files;
    size_t known_file_count;
    struct hashed_files *hashed; /* files that need not be read again for another request; may be NULL */
};

struct grub_menu_entry {
    char *path; /* ids from the top menu down, joined by ">" */
    char *title;
    unsigned depth; /* 0: in the top menu */
    bool submenu;
};

/* grubenv as GRUB leaves it: the next boot reads it. */
struct grub_written_file {
    char *path; /* on the running system */
    uint8_t *bytes;
    size_t size;
};

/* Owned; grub_boot_free(). All zero is an empty one. */
struct grub_boot {
    struct extend_list extends; /* PCRs 8 and 9, in GRUB's order, and the files that they rest on */
    size_t kernel_index;        /* in `extends`: the kernel image is started or verified, and measured into PCR 4, after
                                   the item of this index and before the next */
    struct grub_menu_entry *menu; /* every entry, in the menu's order; a submenu's entries follow it */
    size_t menu_count;
    size_t chosen;  /* in menu */
    bool waits;     /* no timeout: the chosen entry boots once somebody presses Enter */
    char *kernel;   /* on the running system */
    char **initrds; /* on the running system */
    size_t initrd_count;
    char *command_line;                /* as the kernel gets it, without the kernel's name; "" for none */
    struct grub_written_file *written; /* each file once, with its last contents */
    size_t written_count;
};

/*
 * Predicts one boot. ERROR_USAGE: no such choice, or a request that makes no sense. ERROR_FAILED: a file cannot be read
 * or the configuration cannot be followed; the text names file and line, the remedy is "suspend". On an error *ret is
 * empty.
 */
int grub_predict(const struct grub_request *request, struct grub_boot *ret, struct error *error);

void grub_boot_free(struct grub_boot *boot);
