#include "protect/enroll.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "cli/protector-words.h"
#include "cli/secrets.h"
#include "protect/initramfs.h"

#include <string.h>

#define MACHINE_POLICY "/etc/bootseal/policy.json"

static const struct option_row options[] = {
    { "policy", "NAME|FILE",
      "preset (uki, grub, systemd-boot, firmware, secure-boot; joined by commas) or document; "
      "default " MACHINE_POLICY },
    { "pcrs", "LIST", "PCRs instead of the policy's, as 4,7,9; the cap PCR joins them" },
    { "bank", "NAME", "PCR bank instead of the policy's: sha256, sha384, sha512" },
    { "name", "NAME", "name under /dev/mapper at boot (default: the active one, crypttab's, or luks-UUID)" },
    { "label", "TEXT", "words for people, kept in the header" },
    { "pin-file", "FILE|-", "the new PIN" },
    { "unlock-key-file", "FILE|-", "an existing passphrase or key of the volume" },
    { "no-pin", NULL, "no PIN: whoever switches the machine on has the data" },
    { "payload", "keyslot|volume-key", "what the TPM keeps: the secret of a new keyslot (default), or the volume key" },
    { "current-values", NULL, "without a record of the initramfs, take the PCRs as they are now" },
    { "no-initramfs", NULL, "do not rebuild the initramfs: pins get into it later" },
    { "allow-unencrypted-state", NULL, "accept a state folder outside LUKS: tests and images only" },
    { 0 },
};

static int read_policy(const struct call *call, struct policy_document *ret, struct error *error)
{
    const char *name = call_option(call, "policy"), *pcrs = call_option(call, "pcrs");
    const char *bank = call_option(call, "bank");
    int r;

    if (!name && !file_exists(MACHINE_POLICY)) {
        error_set(error, ERROR_USAGE, "enroll: no --policy was given and there is no " MACHINE_POLICY);
        return error_remedy(error, "name the boot chain: --policy grub (shim and GRUB), systemd-boot, or uki");
    }
    r = policy_document_read(BOOTSEAL_POLICY_FOLDER, name ? name : MACHINE_POLICY, ret, error);
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

/* A key file is taken as it stands, as cryptsetup does, and then as a line of text that somebody's editor has ended. */
static int check_passphrase(const struct call *call, struct enroll *enroll, struct error *error)
{
    cleanup(secret_free) struct secret passphrase = { 0 };
    size_t size;
    int r = secret_from_call(call, "unlock-key-file", "Existing passphrase of the volume", VOLUME_MAX_PASSPHRASE_BYTES,
                             &passphrase, error);

    if (r)
        return r;
    r = enroll_check_passphrase(enroll, &passphrase, error);
    size = passphrase.size;
    secret_chomp(&passphrase);
    return r == ERROR_WRONG_PIN && passphrase.size < size ? enroll_check_passphrase(enroll, &passphrase, error) : r;
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

static int print_result(const struct call *call, const struct enroll *enroll, struct error *error)
{
    cleanup(json_free) struct json_object *result = NULL;
    const struct protector *protector = &enroll->protector;
    char place[PROTECTOR_PLACE_TEXT];
    int r;

    if (!call_flag(call, "json")) {
        protector_place(protector, place);
        printf("protector %s (%s, %s) of %s\n", protector->id, protector_kind_name(protector->kind), place,
               volume_path(enroll->volume));
        return 0;
    }
    result = json_object_new_object();
    r = result ? 0 : error_no_memory(error);
    if (!r)
        r = json_add(result, "protector", json_object_new_string(protector->id), error);
    if (!r)
        r = json_add(result, "kind", json_object_new_string(protector_kind_name(protector->kind)), error);
    if (!r)
        r = json_add(result, "payload", json_object_new_string(protector_payload_name(protector->payload)), error);
    if (!r)
        r = protector_add_keyslot(result, protector, error);
    if (!r)
        r = json_add(result, "volume", json_object_new_string(enroll->pin.uuid), error);
    if (!r)
        r = json_add(result, "name", json_object_new_string(enroll->pin.name), error);
    return r ? r : print_json(result, error);
}

static int tell_next_boot(const struct call *call, const struct enroll *enroll, struct error *error)
{
    if (!pins_concern_this_boot(call_state_folder(call), &enroll->pin))
        return 0;
    if (!call_flag(call, "no-initramfs") && initramfs_is_there()) {
        int r = initramfs_rebuild(error);

        if (r)
            return r;
    }
    log_warning("the initramfs now carries the pins, which changes the boot state: the next boot asks for the "
                "passphrase. Log in then and run: bootseal reseal --current");
    return 0;
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
    };
    int r = read_policy(call, &request.document, error);

    if (!r)
        r = read_payload(call, &request.payload, error);
    if (!r)
        r = check_stdin_once(call, error);
    if (!r)
        r = call_open_tpm(call, &tpm, error);
    request.tpm = tpm;
    if (!r)
        r = enroll_begin(&enroll, &request, error);
    if (!r)
        r = check_passphrase(call, &enroll, error);
    if (!r)
        r = finish(call, &enroll, error);
    if (r)
        return error_prefix(error, "enroll \"%s\"", request.device);
    r = print_result(call, &enroll, error);
    return r ? r : tell_next_boot(call, &enroll, error);
}

const struct verb verb_enroll = {
    .name = "enroll",
    .arguments = "DEVICE",
    .summary = "add a protector: TPM, boot state and PIN",
    .options = options,
    .min_arguments = 1,
    .max_arguments = 1,
    .needs_root = true,
    .run = run,
};
