#include "protect/enroll/enroll.h"
#include "ask/ask.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "cli/machine-policy.h"
#include "cli/next-boot.h"
#include "cli/operator-choice.h"
#include "cli/protector-words.h"
#include "cli/recovery-output.h"
#include "cli/secrets.h"
#include "protect/enroll/initramfs.h"
#include "protect/recovery/other-keyslots.h"
#include "protect/update/machine-chain.h"

#include <string.h>

static const struct option_row options[] = {
    { "policy", "NAME|FILE",
      "preset (uki, grub, systemd-boot, firmware, secure-boot; joined by commas) or document; "
      "default " MACHINE_POLICY ", else the preset for the way the machine boots" },
    { "pcrs", "LIST", "PCRs instead of the policy's, as 4,7,9; the cap PCR joins them" },
    { "bank", "NAME", "PCR bank instead of the policy's: sha256, sha384, sha512" },
    { "name", "NAME", "name under /dev/mapper at boot (default: the active one, crypttab's, or luks-UUID)" },
    { "label", "TEXT", "words for people, kept in the header; with several PINs the prompt shows them" },
    { "operator", "N", "whose PIN it is, 1 to 99 (default: a free number, or that of the same PIN on another volume)" },
    { "pin-file", "FILE|-", "the new PIN" },
    { "unlock-key-file", "FILE|-", "an existing passphrase or key of the volume" },
    { "no-pin", NULL, "no PIN: whoever switches the machine on has the data" },
    { "payload", "keyslot|volume-key", "what the TPM keeps: the secret of a new keyslot (default), or the volume key" },
    { "current-values", NULL, "without a record of the initramfs, take the PCRs as they are now" },
    { "no-initramfs", NULL, "do not rebuild the initramfs: pins get into it later" },
    { "no-recovery-key", NULL, "make no recovery key" },
    { "output", "FILE", "write the recovery key to a new file (mode 0600) instead of showing it" },
    { "qr", NULL, "show the recovery key as a QR code too" },
    { "remove-other-keyslots", NULL, "afterwards remove every keyslot that is no protector's or recovery key's" },
    { "yes", NULL, "ask nothing: neither for groups of the recovery key nor whether other keyslots go" },
    { "allow-unencrypted-state", NULL, "accept a state folder outside LUKS: tests and images only" },
    { 0 },
};

static int name_the_chain(struct error *error)
{
    return error_remedy(error, "name the boot chain: --policy grub (shim and GRUB), systemd-boot, or uki");
}

/* The preset for the way this machine boots. */
static int choose_preset(const struct call *call, const char **ret, struct error *error)
{
    struct machine_chain found;

    if (machine_chain_read("", call_running_log(call), &found, error)) {
        error_prefix(error, "enroll: no --policy was given, and how this machine boots is not known");
        return name_the_chain(error);
    }
    *ret = machine_chain_preset(found.chain);
    if (!*ret) {
        error_set(error, ERROR_USAGE, "enroll: no --policy was given and there is no " MACHINE_POLICY);
        return name_the_chain(error);
    }
    log_info("this machine boots by %s, says %s: preset %s", boot_chain_words(found.chain),
             found.by_log ? "its event log" : "its firmware", *ret);
    return 0;
}

/* What is asked for, else the machine's own document, else what fits the boot chain. */
static int choose_policy(const struct call *call, const char **ret, struct error *error)
{
    *ret = call_option(call, "policy");
    if (!*ret && file_exists(MACHINE_POLICY))
        *ret = MACHINE_POLICY;
    return *ret ? 0 : choose_preset(call, ret, error);
}

static int read_policy(const struct call *call, struct policy_document *ret, struct error *error)
{
    const char *name, *pcrs = call_option(call, "pcrs"), *bank = call_option(call, "bank");
    int r = choose_policy(call, &name, error);

    r = r ?: policy_document_read(call_policy_folder(call), name, ret, error);
    if (!r && pcrs)
        r = policy_pcrs_parse(pcrs, &ret->pcrs, error);
    if (!r && pcrs)
        ret->pcrs |= 1u << ret->cap;
    if (!r && bank)
        ret->bank = hash_from_name(bank);
    if (!r && bank && !ret->bank)
        r = error_set(error, ERROR_USAGE, "--bank: \"%s\" is not sha256, sha384 or sha512", bank);
    return r ? r : policy_document_check(ret, "the policy with --pcrs and --bank", error);
}

static int read_payload(const struct call *call, enum protector_payload *ret, struct error *error)
{
    const char *name = call_option(call, "payload");

    *ret = PAYLOAD_KEYSLOT;
    if (name && !protector_payload_from_name(name, ret))
        return error_set(error, ERROR_USAGE, "--payload: \"%s\" is neither keyslot nor volume-key", name);
    return 0;
}

static int check_stdin_once(const struct call *call, struct error *error)
{
    const char *pin = call_option(call, "pin-file"), *key = call_option(call, "unlock-key-file");

    if (pin && key && strcmp(pin, "-") == 0 && strcmp(key, "-") == 0)
        return error_set(error, ERROR_USAGE, "enroll: PIN and passphrase cannot both come from standard input");
    if (pin && call_flag(call, "no-pin"))
        return error_set(error, ERROR_USAGE, "enroll: --pin-file and --no-pin exclude each other");
    return 0;
}

static int check_recovery_options(const struct call *call, struct error *error)
{
    if (!call_flag(call, "no-recovery-key"))
        return recovery_output_check(call, error);
    if (call_flag(call, "output") || call_flag(call, "qr"))
        return error_set(error, ERROR_USAGE, "enroll: --no-recovery-key leaves nothing for --output and --qr");
    if (!call_flag(call, "remove-other-keyslots"))
        return 0;
    error_set(error, ERROR_REFUSED,
              "enroll: without other keyslots and a recovery key, the TPM would be the only way "
              "in");
    return error_remedy(error, "leave out --no-recovery-key; or, with a recovery key that you have: bootseal "
                               "recovery-key check --remove-other-keyslots");
}

static int check_passphrase(const struct call *call, struct enroll *enroll, struct error *error)
{
    cleanup(secret_free) struct secret passphrase = { 0 };
    int r = secret_from_call(call, "unlock-key-file", "Existing passphrase of the volume", VOLUME_MAX_PASSPHRASE_BYTES,
                             &passphrase, error);

    return r ? r : enroll_check_passphrase(enroll, &passphrase, error);
}

static int finish(const struct call *call, struct enroll *enroll, struct error *error)
{
    cleanup(secret_free) struct secret pin = { 0 };
    int r;

    if (call_flag(call, "no-pin"))
        return enroll_finish(enroll, NULL, error);
    r = new_pin_from_call(call, "pin-file", &enroll->request.document.pin, &pin, error);
    return r ? r : enroll_finish(enroll, &pin, error);
}

static void print_text(const struct enroll *enroll)
{
    const struct protector *protector = &enroll->protector;
    char place[PROTECTOR_PLACE_TEXT], whose[PROTECTOR_OPERATOR_TEXT];

    protector_place(protector, place);
    protector_operator(protector, whose);
    printf("protector %s (%s, %s%s%s) of %s\n", protector->id, protector_kind_name(protector->kind), place,
           whose[0] ? ", " : "", whose, volume_path(enroll->volume));
}

static int new_result(const struct enroll *enroll, struct json_object **ret, struct error *error)
{
    struct json_object *result = *ret = json_object_new_object();
    const struct protector *protector = &enroll->protector;
    int r = result ? 0 : error_no_memory(error);

    r = r ?: json_add(result, "protector", json_object_new_string(protector->id), error);
    r = r ?: json_add(result, "kind", json_object_new_string(protector_kind_name(protector->kind)), error);
    r = r ?: protector_add_operator(result, protector, error);
    r = r ?: json_add(result, "payload", json_object_new_string(protector_payload_name(protector->payload)), error);
    r = r ?: protector_add_keyslot(result, protector, error);
    r = r ?: json_add(result, "volume", json_object_new_string(enroll->pin.uuid), error);
    r = r ?: json_add(result, "name", json_object_new_string(enroll->pin.name), error);
    if (!r && json_object_object_add(result, "recovery_key", NULL) < 0)
        r = error_no_memory(error);
    return r;
}

/* The key is handed over with the result, so this prints that too. */
static int make_recovery_key(const struct call *call, struct enroll *enroll, struct json_object *result,
                             struct recovery *ret, struct error *error)
{
    struct recovery_output output = { .call = call, .result = result };
    struct recovery_hand_over hand_over = recovery_output_hand_over(&output);
    int r = recovery_key_add(enroll->volume, &enroll->key, enroll->key_keyslot, &hand_over, ret, error);

    if (!r)
        return 0;
    recovery_output_take_back(&output);
    error_prefix(error, "the protector is there, but no recovery key was made");
    return error_remedy(error, "run: bootseal recovery-key add %s", volume_path(enroll->volume));
}

static int print_result(const struct call *call, struct enroll *enroll, struct recovery *ret, struct error *error)
{
    cleanup(json_free) struct json_object *result = NULL;
    bool json = call_flag(call, "json");
    int r = json ? new_result(enroll, &result, error) : 0;

    if (!r && !json)
        print_text(enroll);
    if (r || !call_flag(call, "no-recovery-key"))
        return r ?: make_recovery_key(call, enroll, result, ret, error);
    return json ? print_json(result, error) : 0;
}

static void list_keyslots(uint32_t mask, char *ret, size_t size)
{
    size_t used = 0;

    for (int i = 0; i < VOLUME_MAX_KEYSLOTS && used < size; i++)
        if (mask & (1u << i))
            used += (size_t)snprintf(ret + used, size - used, "%s%d", used ? ", " : "", i);
}

/* Asked unless one of the options has answered. */
static int wants_removal(const struct call *call, uint32_t others, bool *ret, struct error *error)
{
    const struct ask_way way = ask_way_terminal();
    char keyslots[128] = "", question[200];

    *ret = call_flag(call, "remove-other-keyslots");
    if (*ret || call_flag(call, "yes") || !ask_is_possible(&way))
        return 0;
    list_keyslots(others, keyslots, sizeof(keyslots));
    snprintf(question, sizeof(question), "Remove the other keyslots (%s)? What opens them now will open nothing",
             keyslots);
    return ask_yes_no(&way, question, ret, error);
}

/* Passphrases left from the installation make the TPM irrelevant. */
static int remove_others(const struct call *call, struct enroll *enroll, const struct recovery *recovery,
                         struct error *error)
{
    uint32_t others = 0;
    bool wanted = false;
    int r = other_keyslots(enroll->volume, &others, error);

    if (r || !others || call_flag(call, "no-recovery-key"))
        return r;
    r = wants_removal(call, others, &wanted, error);
    if (!r && wanted)
        r = other_keyslots_remove(enroll->volume, recovery, error);
    if (!r && !wanted)
        log_warning("other keyslots remain: whoever knows what opens them needs neither TPM nor PIN");
    return r;
}

static int prepare(const struct call *call, struct enroll *enroll, const struct enroll_request *request,
                   struct error *error)
{
    int r = enroll_begin(enroll, request, error);

    if (!r && !call_flag(call, "no-recovery-key"))
        r = recovery_output_check_place(call, enroll->pin.uuid, error);
    return r ?: check_passphrase(call, enroll, error);
}

static bool changes_initramfs(const struct call *call, const struct enroll *enroll)
{
    return enroll->pins_changed && pins_concern_this_boot(call_state_folder(call), &enroll->pin);
}

static int prepare_boot(const struct call *call, struct enroll *enroll, struct next_boot *ret, struct error *error)
{
    const struct enroll_request *request = &enroll->request;

    if (!changes_initramfs(call, enroll) || call_flag(call, "no-initramfs") || !initramfs_is_there())
        return 0;
    enroll_pause(enroll);
    next_boot_trust(call, request->tpm, request->current_values, ret);
    next_boot_rebuild(call, request->tpm, request->current_values, ret);
    return enroll_resume(enroll, error);
}

static void tell_next_boot(const struct call *call, const struct enroll *enroll, const struct next_boot *boot)
{
    if (changes_initramfs(call, enroll))
        next_boot_tell(boot, call_flag(call, "no-pin") ? "opens the volume by the TPM alone" : "asks for the PIN",
                       call_flag(call, "no-recovery-key") ? "passphrase" : "recovery key or a passphrase");
}

/* The protector is there. The initramfs must know it before a person is asked, who may walk away; and the person gets
 * the recovery key even if there is something wrong with the initramfs. */
static int conclude(const struct call *call, struct enroll *enroll, struct error *error)
{
    struct recovery recovery = { .keyslot = -1 };
    struct next_boot boot = { 0 };
    int r = prepare_boot(call, enroll, &boot, error);

    r = r ?: print_result(call, enroll, &recovery, error);
    r = r ?: remove_others(call, enroll, &recovery, error);
    if (!r)
        tell_next_boot(call, enroll, &boot);
    if (r || boot.rebuilt.kind == ERROR_NONE)
        return r;
    *error = boot.rebuilt;
    return (int)error->kind;
}

static int run(struct call *call, struct error *error)
{
    cleanup(tpm_close) struct tpm *tpm = NULL;
    cleanup(enroll_end) struct enroll enroll = { .state.lock = -1 };
    struct enroll_request request = {
        .state_folder = call_state_folder(call),
        .device = call_argument(call, 0),
        .name = call_option(call, "name"),
        .label = call_option(call, "label"),
        .report_path = call_report(call),
        .no_pin = call_flag(call, "no-pin"),
        .current_values = call_flag(call, "current-values"),
        .allow_unencrypted_state = call_flag(call, "allow-unencrypted-state"),
        .recovery_key = !call_flag(call, "no-recovery-key"),
    };
    int r = read_policy(call, &request.document, error);

    r = r ?: read_payload(call, &request.payload, error);
    r = r ?: operator_from_call(call, &request.operator_number, error);
    r = r ?: check_stdin_once(call, error);
    r = r ?: check_recovery_options(call, error);
    r = r ?: call_open_tpm(call, &tpm, error);
    request.tpm = tpm;
    r = r ?: prepare(call, &enroll, &request, error);
    r = r ?: finish(call, &enroll, error);
    r = r ?: conclude(call, &enroll, error);
    return r ? error_prefix(error, "enroll \"%s\"", request.device) : 0;
}

const struct verb verb_enroll = {
    .name = "enroll",
    .arguments = "DEVICE",
    .summary = "add a protector: TPM, boot state and PIN",
    .options = options,
    .min_arguments = 1,
    .max_arguments = 1,
    .needs_root = true,
    .runs_programs = true,
    .run = run,
};
