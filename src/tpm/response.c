/* Response codes into words: the only place where the TPM's and tpm2-tss's numbers get a meaning for people. */
#include "base/cleanup.h"
#include "tpm/internal.h"

#include <tss2/tss2_rc.h>

/* TPM 2.0 Part 2, 6.6.2: "+ RC_P + n", "+ RC_H + n" and "+ RC_S + n" of the format-one codes. */
#define PARAMETER(code, n) ((code) + TPM2_RC_P + ((n) << 8))
#define HANDLE(code, n) ((code) + TPM2_RC_H + ((n) << 8))
#define SESSION(code, n) ((code) + TPM2_RC_S + ((n) << 8))

/* Where the kernel's resource manager puts its codes (it answers unknown commands by itself). */
#define KERNEL_LAYER TSS2_RESMGR_RC_LAYER

#define OTHER_TPM_REMEDY                                                                                               \
    "open the volume with its recovery key or passphrase; if the TPM was cleared or replaced on purpose, remove the "  \
    "protector "                                                                                                       \
    "(bootseal remove) and enroll the volume again"
#define OWNER_REMEDY                                                                                                   \
    "give the right one: bootseal provision --owner-auth-file FILE; or empty it (tpm2_changeauth -c owner), or clear " \
    "the TPM in the firmware's setup"
#define INDEX_REMEDY                                                                                                   \
    "open the volume with its recovery key or passphrase and run: bootseal reseal --current, which puts the index "    \
    "back"

#define MALFORMED "the TPM's answer is malformed"
#define MALFORMED_REMEDY                                                                                               \
    "switch the machine off and on; if it comes again, the TPM or its bus is broken or tampered with"

struct meaning {
    TPM2_CC command; /* 0: any */
    TSS2_RC code;
    enum error_kind kind;
    const char *text;
    const char *remedy;
};

/* The first row that fits holds. */
static const struct meaning meanings[] = {
    { TPM2_CC_Unseal, SESSION(TPM2_RC_AUTH_FAIL, 1), ERROR_WRONG_PIN, "wrong PIN", NULL },
    { TPM2_CC_Unseal, SESSION(TPM2_RC_POLICY_FAIL, 1), ERROR_MISMATCH,
      "the approval does not release this sealed object", NULL },
    { TPM2_CC_Load, PARAMETER(TPM2_RC_INTEGRITY, 1), ERROR_TPM, "this TPM did not make the sealed object",
      OTHER_TPM_REMEDY },
    { TPM2_CC_Load, HANDLE(TPM2_RC_HANDLE, 1), ERROR_TPM, "the TPM has no storage root key", OTHER_TPM_REMEDY },
    { TPM2_CC_StartAuthSession, HANDLE(TPM2_RC_HANDLE, 1), ERROR_TPM, "the TPM has no storage root key",
      OTHER_TPM_REMEDY },
    { TPM2_CC_StartAuthSession, PARAMETER(TPM2_RC_ECC_POINT, 2), ERROR_TPM,
      "the TPM's storage root key is not the pinned one", OTHER_TPM_REMEDY },
    { TPM2_CC_ReadPublic, HANDLE(TPM2_RC_HANDLE, 1), ERROR_TPM, "the TPM has no storage root key",
      "run: bootseal enroll, which makes one" },

    { TPM2_CC_PolicyOR, PARAMETER(TPM2_RC_VALUE, 1), ERROR_MISMATCH, "this boot state is not approved", NULL },
    { TPM2_CC_PolicyCounterTimer, TPM2_RC_POLICY, ERROR_MISMATCH, "the suspension is over, or has not begun", NULL },
    { TPM2_CC_PolicyAuthorizeNV, TPM2_RC_VALUE, ERROR_MISMATCH,
      "the approval on disk is not the one that the TPM holds", NULL },
    { TPM2_CC_PolicyAuthorizeNV, HANDLE(TPM2_RC_HANDLE, 1), ERROR_TPM, "the TPM has no approval index", INDEX_REMEDY },
    { TPM2_CC_PolicyAuthorizeNV, TPM2_RC_NV_UNINITIALIZED, ERROR_TPM,
      "the TPM's approval index was deleted and defined again, and nothing is written in it", INDEX_REMEDY },
    { TPM2_CC_PolicyAuthorizeNV, SESSION(TPM2_RC_BAD_AUTH, 1), ERROR_TPM,
      "the TPM's approval index was deleted and defined again by someone else", INDEX_REMEDY },
    { TPM2_CC_PolicySigned, PARAMETER(TPM2_RC_SIGNATURE, 5), ERROR_FAILED, "the authority's signature does not verify",
      NULL },

    { TPM2_CC_NV_Read, HANDLE(TPM2_RC_HANDLE, 1), ERROR_TPM, "the TPM has no approval index", INDEX_REMEDY },
    { TPM2_CC_NV_Read, SESSION(TPM2_RC_BAD_AUTH, 1), ERROR_TPM,
      "the TPM's approval index is not the pinned one, or was never written", INDEX_REMEDY },
    { TPM2_CC_NV_ReadPublic, HANDLE(TPM2_RC_HANDLE, 1), ERROR_TPM, "the TPM has no approval index", INDEX_REMEDY },
    { TPM2_CC_NV_Write, SESSION(TPM2_RC_POLICY_FAIL, 1), ERROR_TPM,
      "the authority's signature does not allow this write of the approval index", NULL },
    { TPM2_CC_NV_DefineSpace, TPM2_RC_NV_DEFINED, ERROR_TPM, "there is something at the TPM index's handle already",
      NULL },
    { TPM2_CC_NV_DefineSpace, TPM2_RC_NV_SPACE, ERROR_TPM, "the TPM's storage is full",
      "delete indices or persistent keys that nobody needs (tpm2_getcap handles-nv-index)" },
    { TPM2_CC_EvictControl, TPM2_RC_NV_SPACE, ERROR_TPM, "the TPM's storage is full",
      "delete indices or persistent keys that nobody needs (tpm2_getcap handles-persistent)" },

    { TPM2_CC_CreatePrimary, SESSION(TPM2_RC_BAD_AUTH, 1), ERROR_TPM,
      "the TPM's owner authorisation is set: none was given, or a wrong one", OWNER_REMEDY },
    { TPM2_CC_EvictControl, SESSION(TPM2_RC_BAD_AUTH, 1), ERROR_TPM,
      "the TPM's owner authorisation is set: none was given, or a wrong one", OWNER_REMEDY },
    { TPM2_CC_NV_DefineSpace, SESSION(TPM2_RC_BAD_AUTH, 1), ERROR_TPM,
      "the TPM's owner authorisation is set: none was given, or a wrong one", OWNER_REMEDY },
    { TPM2_CC_NV_UndefineSpace, SESSION(TPM2_RC_BAD_AUTH, 1), ERROR_TPM,
      "the TPM's owner authorisation is set: none was given, or a wrong one", OWNER_REMEDY },

    { TPM2_CC_HierarchyChangeAuth, SESSION(TPM2_RC_AUTH_FAIL, 1), ERROR_TPM,
      "the TPM has another lockout authorisation", NULL },
    { TPM2_CC_DictionaryAttackParameters, SESSION(TPM2_RC_AUTH_FAIL, 1), ERROR_TPM,
      "the TPM has another lockout authorisation", NULL },
    { TPM2_CC_DictionaryAttackLockReset, SESSION(TPM2_RC_AUTH_FAIL, 1), ERROR_TPM,
      "the TPM has another lockout authorisation", NULL },
    { TPM2_CC_HierarchyChangeAuth, TPM2_RC_LOCKOUT, ERROR_TPM,
      "after a wrong lockout authorisation the TPM takes none for now", NULL },
    { TPM2_CC_DictionaryAttackParameters, TPM2_RC_LOCKOUT, ERROR_TPM,
      "after a wrong lockout authorisation the TPM takes none for now", NULL },
    { TPM2_CC_DictionaryAttackLockReset, TPM2_RC_LOCKOUT, ERROR_TPM,
      "after a wrong lockout authorisation the TPM takes none for now", NULL },

    { 0, TPM2_RC_PCR_CHANGED, ERROR_MISMATCH, "a PCR changed in the meantime", NULL },
    { 0, TPM2_RC_LOCKOUT, ERROR_LOCKOUT, "the TPM refuses PINs for now, after too many wrong ones",
      "wait until the TPM forgives a try, or open the volume with its passphrase" },
    { 0, TPM2_RC_INITIALIZE, ERROR_TPM, "the firmware did not start the TPM", "switch the machine off and on" },
    { 0, TPM2_RC_FAILURE, ERROR_TPM, "the TPM failed its self-test", "switch the machine off and on" },
    { 0, TPM2_RC_REBOOT, ERROR_TPM, "the TPM wants a reset", "switch the machine off and on" },
    { 0, TPM2_RC_UPGRADE, ERROR_TPM, "the TPM is in the middle of a firmware update", NULL },
    { 0, TPM2_RC_COMMAND_CODE, ERROR_TPM, "the TPM does not know this command", NULL },
    { 0, TPM2_RC_RETRY, ERROR_TPM, "the TPM stays busy", NULL },
    { 0, TPM2_RC_TESTING, ERROR_TPM, "the TPM does not finish its self-test", NULL },
    { 0, TPM2_RC_OBJECT_MEMORY, ERROR_TPM, "the TPM has no room for another object", NULL },
    { 0, TPM2_RC_SESSION_MEMORY, ERROR_TPM, "the TPM has no room for another session", NULL },
    { 0, TPM2_RC_MEMORY, ERROR_TPM, "the TPM is out of memory", "switch the machine off and on" },
    { 0, TPM2_RC_YIELDED, ERROR_TPM, "the TPM stays busy", NULL },

    { 0, TSS2_ESYS_RC_RSP_AUTH_FAILED, ERROR_TPM,
      "the TPM's answer is not authentic: it was changed on the way, or this is not the pinned TPM", OTHER_TPM_REMEDY },
    { 0, TPM_RC_SILENT, ERROR_TPM, "the TPM does not answer", "switch the machine off and on" },
    { 0, TPM_RC_MALFORMED, ERROR_TPM, MALFORMED, MALFORMED_REMEDY },
    { 0, TSS2_SYS_RC_INSUFFICIENT_RESPONSE, ERROR_TPM, MALFORMED, MALFORMED_REMEDY },
    { 0, TSS2_SYS_RC_MALFORMED_RESPONSE, ERROR_TPM, MALFORMED, MALFORMED_REMEDY },
    { 0, TSS2_ESYS_RC_INSUFFICIENT_RESPONSE, ERROR_TPM, MALFORMED, MALFORMED_REMEDY },
    { 0, TSS2_ESYS_RC_MALFORMED_RESPONSE, ERROR_TPM, MALFORMED, MALFORMED_REMEDY },
    { 0, TSS2_MU_RC_INSUFFICIENT_BUFFER, ERROR_TPM, MALFORMED, MALFORMED_REMEDY },
    { 0, TSS2_MU_RC_BAD_SIZE, ERROR_TPM, MALFORMED, MALFORMED_REMEDY },
    { 0, TSS2_MU_RC_BAD_VALUE, ERROR_TPM, MALFORMED, MALFORMED_REMEDY },
    { 0, TSS2_ESYS_RC_BAD_SEQUENCE, ERROR_TPM, "the connection to the TPM broke earlier", NULL },
    { 0, TSS2_ESYS_RC_MEMORY, ERROR_FAILED, "out of memory", NULL },
    { 0, TSS2_TCTI_RC_MEMORY, ERROR_FAILED, "out of memory", NULL },
    { 0, TSS2_TCTI_RC_IO_ERROR, ERROR_TPM, "no connection to the TPM", NULL },
    { 0, TSS2_TCTI_RC_NO_CONNECTION, ERROR_TPM, "no connection to the TPM", NULL },
};

unsigned tpm_response_code(TSS2_RC rc)
{
    switch (rc & TSS2_RC_LAYER_MASK) {
    case TSS2_TPM_RC_LAYER:
    case KERNEL_LAYER:
    case TSS2_RESMGR_TPM_RC_LAYER:
        return rc & ~TSS2_RC_LAYER_MASK;
    default:
        return 0;
    }
}

static const struct meaning *find_meaning(TPM2_CC command, TSS2_RC code)
{
    for (size_t i = 0; i < array_size(meanings); i++)
        if (meanings[i].code == code && (meanings[i].command == 0 || meanings[i].command == command))
            return &meanings[i];
    return NULL;
}

int tpm_outcome(TSS2_RC rc, TPM2_CC command, const char *name, struct error *error)
{
    unsigned tpm_code = tpm_response_code(rc);
    TSS2_RC code = tpm_code ?: rc;
    const struct meaning *meaning;

    if (rc == TSS2_RC_SUCCESS)
        return 0;
    meaning = find_meaning(command, code);
    if (meaning && meaning->command)
        error_set(error, meaning->kind, "%s", meaning->text);
    else if (meaning)
        error_set(error, meaning->kind, "%s (%s)", meaning->text, name);
    else
        error_set(error, ERROR_TPM, "%s failed: %s", name, Tss2_RC_Decode(code));
    if (meaning && meaning->remedy)
        error_remedy(error, "%s", meaning->remedy);
    error->tpm_code = tpm_code;
    return (int)error->kind;
}
