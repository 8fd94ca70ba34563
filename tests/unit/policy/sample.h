/*
 * What the policy tests share: PCR values, an authority and an approval that were also set up in a software TPM, whose
 * policy digests the tests expect.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/encode.h"
#include "policy/approval.h"

#include <stdio.h>
#include <string.h>

#define SAMPLE_PCRS (1u << 4 | 1u << 7 | 1u << 12)
#define SAMPLE_CAP 12

static inline void assert_hex(const void *bytes, size_t size, const char *expected)
{
    char text[HEX_TEXT(HASH_MAX_BYTES)];

    assert_true(size <= HASH_MAX_BYTES);
    hex_encode(bytes, size, text);
    assert_string_equal(text, expected);
}

/* Asserts that it failed as it should, and that the text says so. */
static inline void assert_error(int r, const struct error *error, enum error_kind kind, const char *part)
{
    if (r != (int)kind || !strstr(error->text, part))
        fail_msg("expected error %d with \"%s\", got %d: %s", (int)kind, part, r, r ? error->text : "no error");
}

static inline void assert_good(int r, const struct error *error)
{
    if (r)
        fail_msg("error %d: %s", r, error->text);
}

/* PCR n as it is after tpm2_pcrevent of the text "pcrN" on a TPM that was just reset. */
static inline struct pcr_values sample_values(enum hash_algorithm bank, uint32_t mask)
{
    struct pcr_values values = { .bank = bank, .mask = mask };
    struct error error;

    for (unsigned i = 0; i < PCR_COUNT; i++) {
        char event[8];
        int size = snprintf(event, sizeof(event), "pcr%u", i);

        if (mask & (1u << i))
            assert_int_equal(pcr_extend(&values, i, event, (size_t)size, &error), 0);
    }
    return values;
}

/* The public key of the private key 1: P-256's base point. */
static inline struct authority_public sample_authority(void)
{
    struct authority_public public;

    assert_true(hex_decode("6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296", public.x, 32));
    assert_true(hex_decode("4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5", public.y, 32));
    return public;
}

/* The Name of an object whose public area is the text "object N". */
static inline struct object_name sample_object(unsigned number)
{
    struct object_name name;
    struct error error;
    char area[32];
    int size = snprintf(area, sizeof(area), "object %u", number);

    assert_int_equal(object_name_compute(&name, area, (size_t)size, &error), 0);
    return name;
}

static inline struct branch sample_boot(const char *label)
{
    struct branch branch = { .kind = BRANCH_BOOT, .source = BRANCH_PREDICTED };

    snprintf(branch.label, sizeof(branch.label), "%s", label);
    branch.values = sample_values(HASH_SHA256, SAMPLE_PCRS);
    return branch;
}

static inline struct branch sample_suspend(void)
{
    return (struct branch){
        .kind = BRANCH_SUSPEND,
        .values = sample_values(HASH_SHA256, 1u << SAMPLE_CAP),
        .after = 40,
        .until = 41,
        .has_clock = true,
        .clock_ms = 7200000,
    };
}

static inline void sample_add(struct approval *approval, struct branch branch)
{
    struct error error;

    assert_good(approval_add_branch(approval, &branch, &error), &error);
}

static inline void sample_add_object(struct approval *approval, unsigned number)
{
    struct object_name name = sample_object(number);
    struct error error;

    assert_good(approval_add_object(approval, &name, &error), &error);
}

static inline struct approval sample_empty(void)
{
    return (struct approval){ .bank = HASH_SHA256, .pcrs = SAMPLE_PCRS, .cap = SAMPLE_CAP };
}

/* A boot state, a suspension and the authority, for two objects. */
static inline struct approval sample_approval(void)
{
    struct approval approval = sample_empty();

    sample_add(&approval, sample_boot("linux 6.1.0-50"));
    sample_add(&approval, sample_suspend());
    sample_add(&approval, (struct branch){ .kind = BRANCH_AUTHORITY, .authority = sample_authority() });
    sample_add_object(&approval, 1);
    sample_add_object(&approval, 2);
    return approval;
}
