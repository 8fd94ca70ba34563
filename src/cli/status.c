#include "base/cleanup.h"
#include "base/json.h"
#include "cli/paint.h"
#include "cli/protector-words.h"
#include "cli/status-json.h"
#include "cli/suspend-words.h"

#include <stdio.h>
#include <time.h>

static const struct option_row options[] = {
    { "protection-as-error-level", NULL, "print nothing; exit 0 when all is protected, 1 when not" },
    { 0 },
};

static void print_painted(enum paint colour, const char *words)
{
    printf("%s%s%s", paint(colour), words, paint(PAINT_PLAIN));
}

static void print_keyslots(uint32_t mask)
{
    const char *comma = "";

    for (int i = 0; i < VOLUME_MAX_KEYSLOTS; i++)
        if (mask & (1u << i)) {
            printf("%s%d", comma, i);
            comma = ", ";
        }
}

static void print_state(const struct status *status, const struct status_volume *volume)
{
    static const enum paint colours[] = {
        [STATUS_PROTECTED] = PAINT_GOOD, [STATUS_RECOVERY_USED] = PAINT_WARNING, [STATUS_OTHER_KEYSLOTS] = PAINT_BAD,
        [STATUS_LOCKED_OUT] = PAINT_BAD, [STATUS_SUSPENDED] = PAINT_WARNING,     [STATUS_NOT_PROTECTED] = PAINT_BAD,
    };
    char left[SUSPENSION_TEXT];

    printf("  state          ");
    print_painted(colours[volume->state], status_state_name(volume->state));
    if (volume->state == STATUS_SUSPENDED) {
        suspension_left_words(&status->suspension, &status->now, left);
        printf(", %s", left);
    }
    putchar('\n');
}

static void print_protectors(const struct status_volume *volume)
{
    for (size_t i = 0; i < volume->protectors.count; i++) {
        const struct protector *protector = &volume->protectors.items[i];
        char place[PROTECTOR_PLACE_TEXT], whose[PROTECTOR_OPERATOR_TEXT];

        protector_place(protector, place);
        protector_operator(protector, whose);
        printf("  protector      %s  %-8s  %s%s%s  %s%s%s\n", protector->id, protector_kind_name(protector->kind),
               whose, whose[0] ? "  " : "", place, protector->created, protector->label[0] ? "  " : "",
               protector->label);
        if (protector->kind == PROTECTOR_TPM2) {
            printf("  %-14s ", "");
            print_painted(PAINT_WARNING, status_has_bypassed_pin(volume)
                                             ? "no PIN: whoever switches the machine on has the data, and the PINs "
                                               "protect nothing"
                                             : "no PIN: whoever switches the machine on has the data");
            putchar('\n');
        }
    }
}

static void print_recovery_keys(const struct status_volume *volume)
{
    for (size_t i = 0; i < volume->recovery_key_count; i++) {
        const struct recovery *key = &volume->recovery_keys[i];

        printf("  recovery key   %s  keyslot %d  %s", key->id, key->keyslot, key->created);
        if (key->used[0]) {
            printf("  ");
            print_painted(PAINT_WARNING, "used: make a new one with recovery-key rotate");
        }
        putchar('\n');
    }
}

static void print_this_boot(const struct status_volume *volume)
{
    char whose[32] = "";

    if (!volume->boot.known)
        return;
    if (volume->boot.operator_number)
        snprintf(whose, sizeof(whose), " of operator %u", volume->boot.operator_number);
    if (volume->boot.opened)
        printf("  this boot      opened by %s%s%s\n", volume->boot.by, whose,
               volume->boot.suspended ? ", since bootseal is suspended: its state is not approved" : "");
    else
        printf("  this boot      not opened by bootseal: %s\n", volume->boot.reason);
    if (volume->boot.wrong_pins)
        printf("  %-14s %u wrong %s\n", "", volume->boot.wrong_pins, volume->boot.wrong_pins == 1 ? "PIN" : "PINs");
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

static void print_next_unlock(const struct status_volume *volume)
{
    static const struct {
        const char *words;
        enum paint colour;
    } answers[] = {
        [STATUS_NO] = { "will fail: ", PAINT_BAD },
        [STATUS_YES] = { "will work, if nothing that is measured changes", PAINT_GOOD },
        [STATUS_UNKNOWN] = { "nobody knows: ", PAINT_WARNING },
    };

    printf("  next unlock    ");
    print_painted(answers[volume->next_unlock].colour, answers[volume->next_unlock].words);
    if (volume->next_unlock != STATUS_YES)
        printf("%s", volume->next_reason.text);
    putchar('\n');
}

static void print_volume(const struct status *status, const struct status_volume *volume)
{
    printf("%s (%s)\n", volume->name[0] ? volume->name : volume->device, volume->device);
    print_state(status, volume);
    print_protectors(volume);
    print_recovery_keys(volume);
    if (volume->other_keyslots) {
        printf("  other keyslots ");
        print_keyslots(volume->other_keyslots);
        printf(" (a passphrase there opens the volume without the TPM)\n");
    }
    print_this_boot(volume);
    print_unlock(volume);
    print_next_unlock(volume);
}

static void print_approval(const struct status *status)
{
    const struct approval *approval = &status->state.approval;
    char pcrs[PCR_LIST_TEXT];

    if (!approval->object_count)
        return;
    pcr_mask_format(approval->pcrs, pcrs);
    printf("approval\n  PCRs           %s (%s), cap %u\n", pcrs, hash_name(approval->bank), approval->cap);
    for (size_t i = 0; i < approval->branch_count; i++)
        if (approval->branches[i].kind == BRANCH_BOOT)
            printf("  boot state     %s (%s)%s\n", approval->branches[i].label,
                   approval->branches[i].source == BRANCH_MEASURED ? "measured" : "predicted",
                   (int)i == status->boot.branch ? ", this boot's" : "");
    if (status->has_suspension) {
        char left[SUSPENSION_TEXT];

        suspension_left_words(&status->suspension, &status->now, left);
        printf("  suspension     %s (%s)%s\n", left, suspend_purpose_name(status->suspension.purpose),
               status->suspension.then_reseal ? ", and what boots by it is approved" : "");
    }
    if (status->boot.error.kind != ERROR_NONE)
        printf("  this boot      not known: %s\n", status->boot.error.text);
    else if (status->boot.branch < 0)
        printf("  this boot      not approved\n");
}

static void print_rotation(enum rotation_stage rotation)
{
    if (rotation == ROTATION_NONE)
        return;
    printf("authority\n  rotation       ");
    print_painted(PAINT_WARNING, rotation == ROTATION_BEGUN ? "was cut: the old authority is in force; see "
                                                              "bootseal doctor"
                                                            : "the old authority goes after the first boot by the new "
                                                              "one");
    putchar('\n');
}

static void print_lockout(const struct status_tpm *tpm)
{
    time_t end = time(NULL) + (time_t)tpm->lockout_wait_s;
    struct tm local;
    char text[32];

    printf("  wrong PINs     %u of %u; one is forgiven each %u s\n", tpm->state.lockout_counter, tpm->state.max_tries,
           tpm->state.recovery_s);
    if (!tpm->state.in_lockout)
        return;
    printf("  lockout        ");
    print_painted(PAINT_BAD, "LOCKED OUT");
    if (tpm->lockout_wait_s && localtime_r(&end, &local) && strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &local))
        printf(" until %s at the latest, if the machine stays on", text);
    putchar('\n');
}

static void print_tpm(const struct status_tpm *tpm)
{
    const struct tpm_identity *identity = &tpm->identity;
    char firmware[STATUS_FIRMWARE_TEXT];

    if (tpm->error.kind != ERROR_NONE) {
        printf("TPM\n  not usable     %s\n", tpm->error.text);
        return;
    }
    status_firmware_format(identity->firmware, firmware);
    printf("TPM\n  maker          %s, %s, firmware %s, library revision %u.%02u\n", identity->manufacturer,
           identity->vendor, firmware, identity->revision / 100, identity->revision % 100);
    print_lockout(tpm);
    printf("  lockout clock  %u s after a wrong lockout authorisation\n", tpm->state.lockout_recovery_s);
    printf("  authorisation  lockout %s, owner %s\n", tpm->state.lockout_auth_set ? "set" : "EMPTY",
           tpm->state.owner_auth_set ? "set" : "empty");
}

static void print_text(const struct status *status)
{
    if (status->volume_count == 0)
        printf("no volume is enrolled\n");
    for (size_t i = 0; i < status->volume_count; i++)
        print_volume(status, &status->volumes[i]);
    print_approval(status);
    print_rotation(status->state.rotation);
    print_tpm(&status->tpm);
}

static bool all_protected(const struct status *status)
{
    for (size_t i = 0; i < status->volume_count; i++)
        if (!status_is_protected(status->volumes[i].state))
            return false;
    return status->volume_count > 0;
}

static int run(struct call *call, struct error *error)
{
    cleanup(tpm_close) struct tpm *tpm = NULL;
    cleanup(status_free) struct status status = { .state.lock = -1 };
    cleanup(json_free) struct json_object *document = NULL;
    struct error tpm_error = { 0 };
    struct status_request request = {
        .tpm_error = &tpm_error,
        .state_folder = call_state_folder(call),
        .report_path = call_report(call),
        .device = call_argument(call, 0),
    };
    int r;

    (void)call_open_tpm(call, &tpm, &tpm_error);
    request.tpm = tpm;
    r = status_read(&request, &status, error);
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
    .summary = "protectors, approval, TPM, and whether the next boot will unlock",
    .options = options,
    .max_arguments = 1,
    .needs_root = true,
    .run = run,
};
