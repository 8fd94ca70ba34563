/*
 * The PCR values of the next boots, without booting them. A prediction is a replay: the running boot's event log, with
 * each event whose source is a file or a variable of this machine replaced by what that source holds now, and the rest
 * as it was. What follows the boot loader's start is asked of those who know the boot loader (grub/, systemd-boot,
 * uki).
 *
 * Where Linux has no event log (GRUB with Secure Boot off) the recorded values take its place: PCRs 8 and 9 are
 * predicted from GRUB's configuration, all others keep the value that they had in the running boot, among them PCRs 1,
 * 7 and 14, whatever became of the firmware's variables since. PCR 4 must be what shim and GRUB, as they are now, give.
 *
 * Nothing here guesses: a PCR that cannot be known is not in the values' mask, and its reason says why.
 *
 * Pure: files and bytes in, values out. No TPM, no root beyond the right to read what is named.
 */
#pragma once

#include "base/pcr.h"
#include "measure/boot-chain.h"
#include "measure/component.h"
#include "measure/predict/boot-place.h"
#include "measure/predict/extend-list.h"
#include "measure/predict/firmware-variable.h"
#include "measure/predict/hashed-file.h"
#include "measure/predict/variable-stages.h"

#include <stdbool.h>

struct grub_known_file;

#define PREDICT_LABEL_MAX 63 /* what a branch's label may have: policy/approval.h's BRANCH_LABEL_MAX */
#define PREDICT_MAX_BOOTS 64

/* A program of which the caller knows the hash: it was approved before and is not to be read again. */
struct predict_known_program {
    const char *path;            /* on the running system */
    const uint8_t *digest;       /* its Authenticode hash in the machine's bank */
    const struct digest *sha256; /* of the file */
};

/* What is known of the machine. All is borrowed. */
struct predict_machine {
    enum hash_algorithm bank;

    const struct event_log *log;             /* of the running boot; NULL when Linux has none */
    const struct component_list *components; /* that log's */
    int64_t started;                         /* when the running kernel started, in seconds since 1970 */
    /* The running boot's values as the initramfs had them when it unlocked; may be NULL. */
    const struct pcr_values *recorded;

    const char *efi_system_partition;      /* the folder where it is mounted, "/boot/efi"; NULL: not known */
    const char *efi_system_partition_uuid; /* of the partition, "541a4863-e2fe-…"; NULL: not known */
    const char *extended_boot_partition;   /* the folder of systemd-boot's other one (XBOOTLDR); NULL: there is none */
    const struct boot_places *orders;      /* one for each order of the disks that is to be predicted */
    size_t order_count;                    /* at least 1 where GRUB boots; each has the EFI system partition's folder */

    const char *variables;                        /* FIRMWARE_VARIABLES; NULL: none can be read */
    const struct firmware_variable_list *changed; /* what variables will hold by then; may be NULL */

    const struct predict_known_program *known_programs;
    size_t known_program_count;
    const struct grub_known_file *known_files; /* the same for what GRUB reads: grub/grub.h */
    size_t known_file_count;

    struct hashed_files *hashed; /* files that another prediction of this machine has read; NULL: each reads anew */

    /* What systemd in the initramfs extends into PCR 11 before unlocking, "enter-initrd"; none with initramfs-tools. */
    const char *const *phases;
    size_t phase_count;
};

struct predicted_boot {
    char *id;                          /* as the boot loader has it: "gnulinux-advanced-…>gnulinux-6.1.0-50-…" */
    char label[PREDICT_LABEL_MAX + 1]; /* for a branch: "linux 6.1.0-50-amd64" */
    char *title;                       /* as the menu shows it */
    char *kernel;                      /* on the running system; "" where it is not known */
    char **initrds;                    /* the same, as far as they are known */
    size_t initrd_count;
    char *command_line;
    bool shell;                                  /* the command line gives a shell: never approved unasked */
    bool chosen;                                 /* boots when nobody touches anything */
    size_t order;                                /* for which of the machine's orders */
    const char *after[VARIABLE_STAGE_STEPS_MAX]; /* what comes before it, of a stage's steps; strings that stay valid */
    size_t after_count;                          /* 0: the firmware's variables as they are */
    size_t step;                                 /* 0: the next boot; 1: the one after it, where GRUB changes grubenv */
    struct pcr_values values;                    /* at the moment of unlocking; the mask has what is known */
    char *unknown[PCR_COUNT];                    /* why a PCR is not in the mask; NULL for one that is */
    uint32_t distrusted;        /* of those: PCRs that in the running boot had another value than its log gives */
    struct extend_list extends; /* all events of the boot that are known, and the files that they rest on */
};

struct prediction {
    enum boot_chain chain;
    struct predicted_boot *boots; /* the next boot first */
    size_t count;
};

/*
 * Predicts each boot that the machine may choose next: GRUB's default (saved, next_entry) and the boot after it, and
 * each of its menu entries as a person would choose it; all of systemd-boot's entries; the boot entries of the firmware
 * that start unified kernel images. An entry that cannot be followed, or starts no kernel (the firmware's setup), has
 * no kernel and reasons. What cannot be predicted at all (a boot loader that is not known) is one boot with no value,
 * whose reasons say so. ERROR_USAGE: the bank, or a log without it. ERROR_FAILED: short memory, or a file that was
 * changed while it was read.
 */
int predict_boots(const struct predict_machine *machine, struct prediction *ret, struct error *error);

/*
 * The same for each stage of the firmware's variables, in their order. The boots of all but the first have what came
 * before them in `after` and at the end of their label: "linux 6.1.0-50-amd64, after dbx". A name that leaves no room
 * for that is cut, with "..." in the place of the rest.
 */
int predict_stages(const struct predict_machine *machine, const struct variable_stages *stages, struct prediction *ret,
                   struct error *error);

void prediction_free(struct prediction *prediction);

enum verify_result {
    VERIFY_GOOD,    /* what was predicted is what was measured */
    VERIFY_CHANGED, /* a file or variable was changed since this boot, so this boot cannot tell */
    VERIFY_DIFFERS, /* it could not be reproduced: not to be predicted on this machine */
    VERIFY_UNKNOWN, /* there is no value to compare with, or none was predicted */
};

struct verification {
    enum verify_result result[PCR_COUNT];
    char *reason[PCR_COUNT];    /* in words, for all but VERIFY_GOOD */
    bool has_event;             /* there is a first event that could not be reproduced, */
    size_t event;               /* its place in the log, from 0, */
    char *event_text;           /* and what it is, in words */
    struct predicted_boot boot; /* what the running boot should have given */
};

/* Predicts the running boot from its own sources and compares. Reasons in *ret, errors as predict_boots(). */
int predict_verify(const struct predict_machine *machine, struct verification *ret, struct error *error);

void verification_free(struct verification *verification);

/* "good", "changed", "differs", "unknown". */
const char *verify_result_name(enum verify_result result);
