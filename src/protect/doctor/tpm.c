/* Checks of the TPM: storage root key, approval index, lockout. */
#include "protect/doctor/doctor.h"

#define FIX "run: bootseal doctor --fix"

static bool is_usable(const struct doctor_facts *facts)
{
    return facts->status.tpm.error.kind == ERROR_NONE;
}

static void unusable(const struct doctor_facts *facts, const struct doctor_check *check,
                     struct doctor_findings *findings)
{
    const struct error *error = &facts->status.tpm.error;

    if (!is_usable(facts))
        doctor_find(findings, check, "",
                    error->remedy[0] ? error->remedy
                                     : "switch the TPM on in the firmware's setup; until then the "
                                       "recovery key opens the volumes",
                    "%s", error->text);
}

static void srk_missing(const struct doctor_facts *facts, const struct doctor_check *check,
                        struct doctor_findings *findings)
{
    if (doctor_is_enrolled(facts) && is_usable(facts) && facts->srk_missing)
        doctor_find(findings, check, "",
                    FIX ", which makes it again; if the TPM was cleared that cannot help: bootseal remove the "
                        "protectors, and enroll anew",
                    "the TPM has no storage root key at 0x%08x any more, so it can load no protector", TPM_SRK_HANDLE);
}

static void srk_foreign(const struct doctor_facts *facts, const struct doctor_check *check,
                        struct doctor_findings *findings)
{
    if (doctor_is_enrolled(facts) && facts->srk == DOCTOR_NO)
        doctor_find(findings, check, "", "bootseal remove the protectors, move the state folder away, and enroll anew",
                    "the TPM's storage root key is not the one that the protectors were sealed under: this is another "
                    "TPM, or it was cleared");
}

static void index_missing(const struct doctor_facts *facts, const struct doctor_check *check,
                          struct doctor_findings *findings)
{
    if (doctor_is_enrolled(facts) && facts->index_known &&
        (facts->index == TPM_INDEX_ABSENT || facts->index == TPM_INDEX_UNWRITTEN))
        doctor_find(findings, check, "", FIX ", which puts it back; no PIN changes",
                    "the TPM's approval index is gone: no protector opens anything until it is back");
}

static void index_foreign(const struct doctor_facts *facts, const struct doctor_check *check,
                          struct doctor_findings *findings)
{
    if (doctor_is_enrolled(facts) && facts->index_known && facts->index == TPM_INDEX_FOREIGN)
        doctor_find(findings, check, "", FIX ", which takes it away and puts the right one back; find out who made it",
                    "something else is where the TPM's approval index was: somebody deleted it and made another one");
}

static void approval_stale(const struct doctor_facts *facts, const struct doctor_check *check,
                           struct doctor_findings *findings)
{
    if (doctor_is_enrolled(facts) && facts->index_known && facts->index == TPM_INDEX_WRITTEN &&
        !facts->index_holds_list)
        doctor_find(findings, check, "", FIX ", which writes the state folder's list",
                    "the list of approved states that the TPM holds is not the one of the state folder: an older state "
                    "folder was put back, or a change was cut");
}

static void lockout_auth_empty(const struct doctor_facts *facts, const struct doctor_check *check,
                               struct doctor_findings *findings)
{
    if (is_usable(facts) && !facts->status.tpm.state.lockout_auth_set)
        doctor_find(findings, check, "",
                    doctor_is_enrolled(facts) ? FIX ", which sets one" : "bootseal enroll sets one",
                    "the TPM's lockout authorisation is empty: whoever boots another system resets the counter of "
                    "wrong PINs and guesses on");
}

static void lockout_auth_unknown(const struct doctor_facts *facts, const struct doctor_check *check,
                                 struct doctor_findings *findings)
{
    if (doctor_is_enrolled(facts) && is_usable(facts) && facts->status.tpm.state.lockout_auth_set &&
        !facts->lockout_auth_kept)
        doctor_find(
            findings, check, "",
            "if you know the authorisation, give it to bootseal provision; else clear the TPM in the firmware's "
            "setup and enroll anew",
            "the TPM's lockout authorisation was set by someone else: bootseal can neither keep the limits "
            "strict nor forgive wrong PINs after a good boot, and whoever knows it can guess PINs");
}

static void limits_loose(const struct doctor_facts *facts, const struct doctor_check *check,
                         struct doctor_findings *findings)
{
    const struct tpm_state *state = &facts->status.tpm.state;
    const struct lockout_rules *rules = &facts->rules;

    if (!doctor_is_enrolled(facts) || !is_usable(facts) ||
        (state->max_tries <= rules->max_tries && state->recovery_s >= rules->recovery_s &&
         state->lockout_recovery_s >= rules->lockout_recovery_s))
        return;
    doctor_find(findings, check, "",
                facts->lockout_auth_kept ? FIX : "give bootseal provision the lockout authorisation",
                "the TPM's limits are looser than the policy's: %u tries, one more each %u s, %u s after a wrong "
                "lockout authorisation; the policy wants at most %u, and at least %u s and %u s",
                state->max_tries, state->recovery_s, state->lockout_recovery_s, rules->max_tries, rules->recovery_s,
                rules->lockout_recovery_s);
}

static void locked_out(const struct doctor_facts *facts, const struct doctor_check *check,
                       struct doctor_findings *findings)
{
    const struct status_tpm *tpm = &facts->status.tpm;

    if (is_usable(facts) && tpm->state.in_lockout)
        doctor_find(findings, check, "",
                    "leave the machine switched on until then, or use the recovery key; find out who typed the PINs",
                    "the TPM refuses PINs after %u wrong ones, for %llu s more at the most; that clock runs only while "
                    "the machine is switched on",
                    tpm->state.lockout_counter, (unsigned long long)tpm->lockout_wait_s);
}

static void wrong_pins(const struct doctor_facts *facts, const struct doctor_check *check,
                       struct doctor_findings *findings)
{
    const struct tpm_state *state = &facts->status.tpm.state;

    if (is_usable(facts) && !state->in_lockout && state->lockout_counter > 0)
        doctor_find(findings, check, "", "a boot by the right PIN sets the count to 0 (bootseal boot-ok)",
                    "the TPM has counted %u wrong PINs of %u; one is forgiven after each %u s that the machine is "
                    "switched on",
                    state->lockout_counter, state->max_tries, state->recovery_s);
}

static void authority_missing(const struct doctor_facts *facts, const struct doctor_check *check,
                              struct doctor_findings *findings)
{
    if (doctor_is_enrolled(facts) && !facts->status.state.authority)
        doctor_find(
            findings, check, facts->status.state.folder,
            "bring authority.pem back from a backup; else bootseal remove the protectors, move the state folder "
            "away, and enroll anew",
            "the state folder has no authority: no boot state can be approved any more, and no PIN changed");
}

static void state_damaged(const struct doctor_facts *facts, const struct doctor_check *check,
                          struct doctor_findings *findings)
{
    const struct status *status = &facts->status;

    if (status->damage.kind != ERROR_NONE)
        doctor_find(findings, check, status->state.folder,
                    "restore the folder from a backup; without one, move it away and run bootseal enroll with a "
                    "recovery key or a passphrase",
                    "%s", status->damage.text);
}

static void rotation_cut(const struct doctor_facts *facts, const struct doctor_check *check,
                         struct doctor_findings *findings)
{
    if (facts->status.state.rotation == ROTATION_BEGUN)
        doctor_find(findings, check, facts->status.state.folder,
                    "run: bootseal provision --rotate-authority; or with --undo, to keep the old one",
                    "a rotation of the authority was cut: the old one is in force, and protectors cannot be changed");
}

static void rotation_waits(const struct doctor_facts *facts, const struct doctor_check *check,
                           struct doctor_findings *findings)
{
    if (facts->status.state.rotation == ROTATION_WAITING)
        doctor_find(findings, check, facts->status.state.folder,
                    "reboot: after a boot that the TPM opens, bootseal boot-ok takes the old one away; without a boot: "
                    "bootseal provision --rotate-authority --finish",
                    "the old authority of a rotation is still in force beside the new one");
}

const struct doctor_check doctor_checks_tpm[] = {
    { "tpm-unusable", DOCTOR_FAULT, DOCTOR_REPAIR_NONE, unusable },
    { "srk-missing", DOCTOR_FAULT, DOCTOR_REPAIR_APPROVAL, srk_missing },
    { "srk-foreign", DOCTOR_FAULT, DOCTOR_REPAIR_NONE, srk_foreign },
    { "index-missing", DOCTOR_FAULT, DOCTOR_REPAIR_APPROVAL, index_missing },
    { "index-foreign", DOCTOR_FAULT, DOCTOR_REPAIR_APPROVAL, index_foreign },
    { "approval-stale", DOCTOR_FAULT, DOCTOR_REPAIR_APPROVAL, approval_stale },
    { "state-damaged", DOCTOR_FAULT, DOCTOR_REPAIR_NONE, state_damaged },
    { "authority-missing", DOCTOR_FAULT, DOCTOR_REPAIR_NONE, authority_missing },
    { "rotation-cut", DOCTOR_WARNING, DOCTOR_REPAIR_NONE, rotation_cut },
    { "rotation-waits", DOCTOR_WARNING, DOCTOR_REPAIR_NONE, rotation_waits },
    { "lockout-auth-empty", DOCTOR_FAULT, DOCTOR_REPAIR_LOCKOUT, lockout_auth_empty },
    { "lockout-auth-unknown", DOCTOR_WARNING, DOCTOR_REPAIR_NONE, lockout_auth_unknown },
    { "limits-loose", DOCTOR_FAULT, DOCTOR_REPAIR_LOCKOUT, limits_loose },
    { "locked-out", DOCTOR_FAULT, DOCTOR_REPAIR_NONE, locked_out },
    { "wrong-pins", DOCTOR_NOTE, DOCTOR_REPAIR_NONE, wrong_pins },
    { 0 },
};
