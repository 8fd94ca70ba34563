/*
 * A machine on the bench: a software TPM with an SRK, an approval index and an authority, and the steps that tests of
 * sealing share. Functions assert (cmocka) what they need.
 */
#pragma once

#include "swtpm-fixture.h"
#include "tpm/approval-index.h"
#include "tpm/sealed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define BENCH_PCRS (1u << 7 | 1u << 12)
#define BENCH_CAP 12

struct bench {
    struct swtpm swtpm;
    struct tpm *tpm;
    struct entity srk;
    struct entity index;
    struct authority_signer authority;
};

/* cmocka setup and teardown of one test: *state is the bench. The index is defined and empty. */
int bench_setup(void **state);
int bench_teardown(void **state);

/* Opens the connection again, after bench_disconnect() and what happened to the TPM in between; uses the pins. */
void bench_disconnect(struct bench *bench);
void bench_connect(struct bench *bench);

/* Power cut or reset, and connected again. */
void bench_power_cut(struct bench *bench);

/* A new P-256 key; freed with bench_authority_free(). */
struct authority_signer bench_authority_new(void);
void bench_authority_free(struct authority_signer *authority);

/* authPolicy of the index and of a sealed object, computed by the TPM in a trial session. */
struct digest bench_index_policy(struct bench *bench, const struct authority_signer *authority);
struct digest bench_object_policy(struct bench *bench, bool has_auth);

/* PolicyPCR(BENCH_PCRS) with the values of now, and PolicyOR with that branch and a second one. */
void bench_branches(struct bench *bench, struct digest ret[2]);

/* Approves one object in the boot state of now. */
void bench_approve(struct bench *bench, const struct digest branches[2], const struct object_name *object);

/* cpHash of TPM2_Unseal. */
struct digest bench_unseal_cp_hash(const struct object_name *object);

/* A session as the unlocker makes it, all but the Unseal; returns what the first failing step did. */
int bench_session(struct bench *bench, const struct digest branches[2], const struct object_name *object, bool has_auth,
                  struct tpm_handle *ret, struct error *error);

/* A secret of `size` bytes of the same value. */
struct secret bench_secret(uint8_t byte, size_t size);

/* An object that holds `data`, under the bench's index. */
struct sealed_blob bench_seal(struct bench *bench, const struct secret *auth, const struct secret *data);

/* What most tests of the unlocking want: sealed (with the PIN-derived `auth`, or NULL), approved, loaded. */
struct bench_object {
    struct sealed_blob blob;
    struct object_name name;
    struct digest branches[2];
};
struct bench_object bench_protect(struct bench *bench, const struct secret *auth, const struct secret *data);

/* Load, session, Unseal, and both freed. */
int bench_unlock(struct bench *bench, const struct bench_object *object, const struct secret *auth, struct secret *ret,
                 struct error *error);

struct tpm_state bench_state(struct bench *bench);

/* 0, or the test fails with the error's text. */
#define bench_ok(call, error)                                                                                          \
    do {                                                                                                               \
        if (call)                                                                                                      \
            fail_msg("%s: %s (kind %d, 0x%x)", #call, (error)->text, (int)(error)->kind, (error)->tpm_code);           \
    } while (0)

#define bench_test(test) cmocka_unit_test_setup_teardown(test, bench_setup, bench_teardown)
