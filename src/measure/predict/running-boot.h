/*
 * Within src/measure/predict: the running boot as its log tells it, taken apart: the firmware's own part, then the
 * programs that were started one by one since the firmware's last attempt to boot something.
 */
#pragma once

#include "measure/predict/boot-prediction.h"
#include "measure/predict/predict.h"

#define RUNNING_PROGRAMS_MAX 16
#define PROGRAM_CACHE_MAX 32
#define NO_PROGRAM SIZE_MAX

struct running_program {
    size_t event;     /* its place in the log */
    const char *name; /* as the log has it, "\EFI\BOOT\BOOTX64.EFI"; borrowed from the components */
    const uint8_t *digest;
};

/* Programs are hashed once for all boots that are predicted. */
struct program_cache {
    struct {
        char *path;
        uint8_t digest[HASH_MAX_BYTES];
        struct digest sha256;
    } items[PROGRAM_CACHE_MAX];
    size_t count;
};

struct running_boot {
    struct program_cache *cache; /* borrowed */
    const struct predict_machine *machine;
    size_t bank; /* the place of the machine's bank in the log */
    enum boot_chain chain;
    size_t attempts; /* that the firmware made to start something */
    size_t start;    /* the first event after the last "Calling EFI Application from Boot Option" */
    struct running_program programs[RUNNING_PROGRAMS_MAX]; /* in PCR 4 since then */
    size_t program_count;
    bool shim;      /* the first of them is shim */
    size_t manager; /* the event of shim's MokManager, which is none of them: it ran for a request; NO_PROGRAM: not */
    bool asks;      /* shim will start MokManager in the next boot: for keys to enrol (mok-request.h) */
    bool again;     /* this very boot is asked for, not the next one */
    bool secure_boot;
    size_t loader; /* in programs: the boot loader; NO_PROGRAM: none */
    size_t image;  /* in programs: the kernel or unified image; NO_PROGRAM: the log has none */
    size_t body;   /* GRUB: the event of the first file that it read; else the first event after the loader's own */
};

/* Takes the log apart. ERROR_USAGE when it has no digests of the machine's bank, ERROR_FAILED when it is not a boot as
 * one of those that are known. */
int running_boot_read(const struct predict_machine *machine, struct program_cache *cache, struct running_boot *ret,
                      struct error *error);

void program_cache_free(struct program_cache *cache);

/* Copies an event of the log as it is. */
int running_boot_keep(const struct running_boot *running, size_t event, struct boot_prediction *ret,
                      struct error *error);

/* The words for an event; the caller frees them. NULL when memory is short. */
char *running_boot_words(const struct predict_machine *machine, size_t event);
