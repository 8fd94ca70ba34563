/*
 * Where a boot loader's names of disks and files lead on the running system. A boot loader numbers disks by itself, so
 * whoever asks for a prediction says which disk has which number; a machine where that may change (a USB stick left in
 * becomes hd0) is predicted once for each order.
 */
#pragma once

#include <stddef.h>

struct boot_place {
    char *folder;    /* where the file system's top folder is mounted, without a slash at the end: "" for "/" */
    char *uuid;      /* as GRUB's search has it: lower case, "12ab-34cd" for FAT */
    char *label;     /* "" without */
    char *partition; /* in GRUB's words: "gpt2", "msdos1"; "" for a whole disk */
    unsigned disk;   /* hd<disk> */
};

struct boot_places {
    struct boot_place *items; /* borrowed by who predicts */
    size_t count;
};
