/*
 * One connection to one TPM 2.0. This folder is the only one that includes tss2 headers: callers see bytes, Names and
 * the types of src/base.
 *
 * Two entities belong to a connection once they are known: the SRK (every session is salted to it, every sealed object
 * is its child) and the approval index. Both are taken from a pinned public area (tpm_srk_use(), tpm_index_use()), so
 * that no command asks the TPM, or whoever sits on its bus, what they are.
 *
 * Errors: a TPM that cannot be reached or misbehaves is ERROR_TPM; error.tpm_code then has its response code, from
 * which enum tpm_code names those that callers act on. Words come from one table (response.c). TPM_RC_RETRY, TESTING
 * and YIELDED are waited for here (TPM_PATIENCE_MS at most, and not again for the next command if that was not enough);
 * 0x902 to 0x904 (no room for objects, sessions or either) flush what an earlier program left behind, once, and try
 * again.
 */
#pragma once

#include "base/authority.h"
#include "base/entity.h"
#include "base/error.h"
#include "base/pcr.h"
#include "base/sealed.h"
#include "base/secret.h"

#define TPM_PATIENCE_MS 10000
#define TPM_ANSWER_MS 30000 /* no command that is sent here takes a TPM so long; a connection ends with it */

/* Response codes that mean something to a caller (TPM 2.0 Part 2, 6.6), format bits and parameter numbers included. */
enum tpm_code {
    TPM_CODE_PCR_CHANGED = 0x128,     /* a PCR moved after PolicyPCR: make the session again */
    TPM_CODE_POLICY = 0x126,          /* PolicyCounterTimer: the time is not within the limits */
    TPM_CODE_OR_MISMATCH = 0x1c4,     /* PolicyOR: none of the branches */
    TPM_CODE_STALE_LIST = 0x084,      /* PolicyAuthorizeNV: the index holds another digest */
    TPM_CODE_WRONG_AUTH = 0x98e,      /* wrong PIN, counted */
    TPM_CODE_WRONG_AUTH_NODA = 0x9a2, /* wrong authorisation of something that does not count */
    TPM_CODE_LOCKOUT = 0x921,
    TPM_CODE_INTEGRITY = 0x1df, /* Load: the private part was not made under this SRK */
    TPM_CODE_NO_HANDLE = 0x18b, /* nothing is there (first handle) */
    TPM_CODE_NO_INDEX = 0x28b,  /* NV_UndefineSpace: nothing is there (second handle) */
    TPM_CODE_POLICY_FAIL = 0x99d,
};

struct tpm;

/*
 * Opens the TPM that a TCTI string of tpm2-tss names ("swtpm:host=127.0.0.1,port=2321", "device:/dev/tpm0"). No command
 * is sent. A device that is busy, and a name whose library is missing, are told apart in the text. Sessions and objects
 * that are left over are flushed by tpm_close(), which accepts NULL inside.
 */
int tpm_open(struct tpm **ret, const char *tcti, struct error *error);
void tpm_close(struct tpm **tpm);

/*
 * True after an answer that was no answer: none came, it was malformed or not authentic. Every further command on this
 * connection fails; a fresh one may go well. Until it is closed, what was sent last stays in memory.
 */
bool tpm_is_broken(const struct tpm *tpm);

/* TPM2_Shutdown(CLEAR): to be sent after each use of a PIN, right or wrong: a power cut then costs no lockout try. */
int tpm_shutdown(struct tpm *tpm, struct error *error);

/* What changes while a TPM runs (TPM2_GetCapability, TPM_PT_VAR; one command). */
struct tpm_state {
    bool owner_auth_set;
    bool lockout_auth_set;
    bool in_lockout;
    bool orderly;
    uint32_t lockout_counter; /* failed tries that count now */
    uint32_t max_tries;
    uint32_t recovery_s;         /* seconds until one try is forgiven; 0: at once */
    uint32_t lockout_recovery_s; /* seconds until a wrong lockout authorisation is forgiven; 0: at the next start */
};
int tpm_state_read(struct tpm *tpm, struct tpm_state *ret, struct error *error);

/* Time as the TPM counts it (TPM2_ReadClock; one command). It bounds a suspension. No session can prove the answer. */
struct tpm_clock {
    uint64_t clock_ms;      /* of powered time; falls back to the last orderly shutdown after a power cut */
    uint32_t reset_count;   /* TPM Resets: reboots and power cuts */
    uint32_t restart_count; /* TPM Restarts and Resumes since the last reset */
};
int tpm_clock_read(struct tpm *tpm, struct tpm_clock *ret, struct error *error);

/* What does not change (TPM_PT_FIXED and the list of commands). */
struct tpm_identity {
    char manufacturer[5]; /* "IBM " and so on, control characters as '?' */
    char vendor[17];
    uint64_t firmware;
    uint32_t revision; /* of the library specification, times 100: 138 */
    bool has_policy_authorize_nv;
};
int tpm_identity_read(struct tpm *tpm, struct tpm_identity *ret, struct error *error);

/* ---- PCRs ---- */

/* The bank's allocated PCRs as a mask; 0 when the bank is not active. */
int tpm_bank_read(struct tpm *tpm, enum hash_algorithm bank, uint32_t *ret_mask, struct error *error);

/* Reads the PCRs of the mask, eight a command; ret->mask has those that the TPM returned. */
int tpm_pcr_read(struct tpm *tpm, enum hash_algorithm bank, uint32_t mask, struct pcr_values *ret, struct error *error);

/* TPM2_PCR_Event: extends the PCR by the digest of the data, in every active bank. */
int tpm_pcr_event(struct tpm *tpm, unsigned pcr, const void *data, size_t size, struct error *error);

/*
 * The owner authorisation that this connection uses from now on where a command needs it: making the SRK, defining and
 * deleting the index. Borrowed until the connection is closed; NULL or an empty one: none is set. It is proven in
 * salted HMAC sessions and never sent; as long as there is no SRK they are salted to a key made for them.
 */
void tpm_owner_auth_use(struct tpm *tpm, const struct secret *auth);

/* ---- SRK ---- */

#define TPM_SRK_HANDLE 0x81000001 /* TCG TPM v2.0 Provisioning Guidance, 7.8 */

/*
 * Finds the SRK, or makes it from the TCG's ECC P-256 template and persists it when the handle is empty (needs
 * owner authorisation). What is there must be a storage key that never left this TPM (fixedTPM, fixedParent,
 * sensitiveDataOrigin, restricted, decrypt, noDA, SHA-256 Name), else ERROR_TPM. The connection uses it from then on.
 */
int tpm_srk_make(struct tpm *tpm, struct entity *ret, struct error *error);

/* Uses the SRK as pinned: sessions are salted to this public key. Sends nothing. */
int tpm_srk_use(struct tpm *tpm, const struct entity *srk, struct error *error);

/* Reads what really is at the SRK's handle. ERROR_TPM when nothing is. For comparing; does not use it. */
int tpm_srk_read(struct tpm *tpm, struct entity *ret, struct error *error);
