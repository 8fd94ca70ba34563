#include "base/cleanup.h"
#include "base/json.h"
#include "cli/protector-words.h"
#include "cli/status-json.h"

#include <stdio.h>

static const struct option_row options[] = {
    { "protection-as-error-level", NULL, "print nothing; exit 0 when all is protected, 1 when not" },
    { 0 },
};

static void print_keyslots(uint32_t mask)
{
    const char *comma = "";

    for (int i = 0; i < VOLUME_MAX_KEYSLOTS; i++)
        if (mask & (1u << i)) {
            printf("%s%d", comma, i);
            comma = ", ";
        }
}

static void print_unlock(const struct status_volume *volume)
{
    if (volume->unlock.kind == ERROR_NONE) {
        printf("  unlock now     by the boot state\n");
        return;
    }
    printf("  unlock now     %s%s\n",
           volume->authority_opens ? "by the authority; the boot state: " : "no: ", volume->unlock.text);
    if (volume->unlock.remedy[0] && !volume->authority_opens)
        printf("  what to do     %s\n", volume->unlock.remedy);
}

static void print_volume(const struct status_volume *volume)
{
    printf("%s (%s)\n", volume->name[0] ? volume->name : volume->device, volume->device);
    printf("  state          %s\n", status_state_name(volume->state));
    for (size_t i = 0; i < volume->protectors.count; i++) {
        const struct protector *protector = &volume->protectors.items[i];
        char place[PROTECTOR_PLACE_TEXT];

        protector_place(protector, place);
        printf("  protector      %s  %-8s  %s  %s%s%s\n", protector->id, protector_kind_name(protector->kind), place,
               protector->created, protector->label[0] ? "  " : "", protector->label);
    }
    if (volume->other_keyslots) {
        printf("  other keyslots ");
        print_keyslots(volume->other_keyslots);
        printf(" (a passphrase there opens the volume without the TPM)\n");
    }
    print_unlock(volume);
}

static void print_approval(const struct state *state)
{
    char pcrs[PCR_LIST_TEXT];

    if (!state->has_approval || !state->approval.object_count)
        return;
    pcr_mask_format(state->approval.pcrs, pcrs);
    printf("approval\n  PCRs           %s (%s), cap %u\n", pcrs, hash_name(state->approval.bank), state->approval.cap);
    for (size_t i = 0; i < state->approval.branch_count; i++)
        if (state->approval.branches[i].kind == BRANCH_BOOT)
            printf("  boot state     %s (%s)\n", state->approval.branches[i].label,
                   state->approval.branches[i].source == BRANCH_MEASURED ? "measured" : "predicted");
}

static void print_tpm(const struct status_tpm *tpm)
{
    if (tpm->error.kind != ERROR_NONE) {
        printf("TPM\n  not usable     %s\n", tpm->error.text);
        return;
    }
    printf("TPM\n  maker          %s, library revision %u.%02u\n", tpm->identity.manufacturer,
           tpm->identity.revision / 100, tpm->identity.revision % 100);
    printf("  wrong PINs     %u of %u%s; one is forgiven each %u s\n", tpm->state.lockout_counter, tpm->state.max_tries,
           tpm->state.in_lockout ? " (LOCKED OUT)" : "", tpm->state.recovery_s);
    printf("  authorisation  lockout %s, owner %s\n", tpm->state.lockout_auth_set ? "set" : "EMPTY",
           tpm->state.owner_auth_set ? "set" : "empty");
}

static void print_text(const struct status *status)
{
    if (status->volume_count == 0)
        printf("no volume is enrolled\n");
    for (size_t i = 0; i < status->volume_count; i++)
        print_volume(&status->volumes[i]);
    print_approval(&status->state);
    print_tpm(&status->tpm);
}

static bool all_protected(const struct status *status)
{
    for (size_t i = 0; i < status->volume_count; i++)
        if (status->volumes[i].state != STATUS_PROTECTED)
            return false;
    return status->volume_count > 0;
}

static int run(struct call *call, struct error *error)
{
    cleanup(tpm_close) struct tpm *tpm = NULL;
    cleanup(status_free) struct status status = { .state.lock = -1 };
    cleanup(json_free) struct json_object *document = NULL;
    struct error tpm_error = { 0 };
    int r;

    (void)call_open_tpm(call, &tpm, &tpm_error);
    r = status_read(tpm, &tpm_error, call_state_folder(call), call_argument(call, 0), &status, error);
    if (r)
        return error_prefix(error, "status");
    if (call_flag(call, "protection-as-error-level")) {
        if (all_protected(&status))
            return 0;
        return error_set(error, ERROR_FAILED, "status: not everything is protected");
    }
    if (!call_flag(call, "json")) {
        print_text(&status);
        return 0;
    }
    r = status_to_json(&status, &document, error);
    return r ? r : print_json(document, error);
}

const struct verb verb_status = {
    .name = "status",
    .arguments = "[DEVICE]",
    .summary = "protectors, approval, TPM, and whether this boot would unlock",
    .options = options,
    .max_arguments = 1,
    .needs_root = true,
    .run = run,
};
