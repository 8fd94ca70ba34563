/*
 * The one unlock sequence, command by command (keys-and-policy, "Unlock"):
 *
 *   unseal_prepare()   1 Load, 2 GetCapability, 3 StartAuthSession, 4 PolicyPCR, 5 PolicyOR, 6 PolicyCpHash,
 *                      6b PolicyOR when several objects are in force, 7 PolicyAuthorizeNV, 8 PolicyAuthValue
 *   unseal_finish()    9 Unseal, 10 FlushContext, 11 Shutdown
 *
 * Everything before 9 needs no PIN: a boot state that does not match, a lockout, a foreign TPM or a stale list is known
 * before anyone types. With an authority instead of a boot state, 4 is PolicySigned: root of the running system.
 *
 * Where the boot state is not approved and the list has a suspension, 3 to 8 are done once more, and 4 is PolicyPCR of
 * the cap PCR alone and a PolicyCounterTimer for each limit.
 */
#pragma once

#include "luks/token.h"
#include "policy/suspension.h"
#include "tpm/sealed.h"

struct unseal_request {
    struct tpm *tpm; /* with SRK and index in use */
    const struct protector *protector;
    const struct approval *approval;          /* the list in force */
    const struct approval *next;              /* tried when the list in force is not the TPM's; or NULL */
    const struct authority_signer *authority; /* NULL: by the boot state */
};

struct unseal {
    struct unseal_request request; /* borrowed parts must outlive it */
    struct object_name object_name;
    struct tpm_handle object;
    struct tpm_handle session;
    struct tpm_state state;       /* lockout, as GetCapability told it */
    bool capped;                  /* after ERROR_MISMATCH: the cap is on, so this boot's time to unseal is over */
    bool suspended;               /* prepared: by the suspension, the boot state is not approved */
    struct suspension suspension; /* the one that it was */
};

/*
 * ERROR_MISMATCH: this boot state is not approved; the text names the PCRs. ERROR_LOCKOUT: with a PIN, while the TPM
 * refuses PINs. ERROR_TPM: not the TPM that sealed it, or its index is gone. ERROR_METADATA: the header's lists are not
 * the TPM's, or do not hold this object (removed, or replaced by change-pin).
 */
int unseal_prepare(struct unseal *ret, const struct unseal_request *request, struct error *error);

/*
 * Unseals. `auth` is A, or NULL for a protector without a PIN. A wrong PIN (ERROR_WRONG_PIN) leaves it prepared for the
 * next try. Shutdown follows each use of a PIN, right or wrong. If a PCR moved meanwhile, the session is made anew for
 * ten seconds at most, without asking again.
 */
int unseal_finish(struct unseal *unseal, const struct secret *auth, struct secret *ret_sealed, struct error *error);

void unseal_free(struct unseal *unseal);

/*
 * Describes how this boot differs from the approval: reads the PCRs and sets ERROR_MISMATCH with their names and
 * meanings, or says that the boot is capped when that alone is the difference. *ret_capped, which may be NULL, tells
 * whether the cap is on, whatever else differs.
 */
int unseal_explain_mismatch(struct tpm *tpm, const struct approval *approval, bool *ret_capped, struct error *error);
