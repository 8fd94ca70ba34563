/*
 * The keys and hashes of Secure Boot's variables (UEFI 2.10, 32.4.1), one by one and in words.
 */
#pragma once

#include "base/hash.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define SIGNATURE_LISTS_NAMED 16 /* certificates whose names are written out */

enum signature_type {
    SIGNATURE_OTHER,
    SIGNATURE_X509,        /* a certificate */
    SIGNATURE_SHA256,      /* a program's Authenticode hash */
    SIGNATURE_X509_SHA256, /* the hash of a certificate's part that is signed, and from when on it is revoked */
};

/* A place in a chain of EFI_SIGNATURE_LISTs. Start: { .lists = the chain }. */
struct signature_walk {
    struct span lists;       /* what is left behind the list at hand */
    struct span signatures;  /* what is left of the list at hand, */
    uint32_t signature_size; /* in steps of this; 0: at the start */
    const uint8_t *type;     /* the list's SignatureType, 16 bytes */
    bool damaged;            /* what follows is no such chain */
};

/* The next EFI_SIGNATURE_DATA: its owner's GUID (16 bytes) and then its content. False at the end, and at damage. */
bool signature_next(struct signature_walk *walk, struct span *ret);

/* True for a chain of lists without damage, which may be empty. */
bool signature_lists_are_good(struct span lists);

/* What the signature at hand is. */
enum signature_type signature_walk_type(const struct signature_walk *walk);

/* A chain of EFI_SIGNATURE_LISTs: `2 certificates ("A", "B"), 371 hashes`; "empty"; "damaged" for what is no such
 * chain. */
void signature_lists_put(FILE *stream, struct span lists);

/* One EFI_SIGNATURE_DATA: a certificate's name in quotes, or what else it is. */
void signature_put(FILE *stream, struct span signature);
