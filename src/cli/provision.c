#include "protect/provision/provision.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "cli/rotate-authority.h"
#include "cli/secrets.h"

#include <string.h>

#define MACHINE_POLICY "/etc/bootseal/policy.json"
#define AUTH_MAX_BYTES 64 /* of an authValue: the largest hash */

static const struct option_row options[] = {
    { "policy", "NAME|FILE",
      "preset or document with the lockout's limits; default " MACHINE_POLICY ", else the built-in limits" },
    { "lockout-auth-file", "FILE|-",
      "the lockout authorisation that someone else has set; stays as it is, and is kept" },
    { "owner-auth-file", "FILE|-", "the owner authorisation that someone else has set; not kept" },
    { "rotate-authority", NULL, "make a new authority and index, and move every protector over" },
    { "pin-file", "FILE|-", "with --rotate-authority: a PIN, one option for each in the order of the prompts" },
    { "drop-protector", "ID", "the same: leave this protector behind, whose PIN nobody has; may be repeated" },
    { "no-initramfs", NULL, "the same: do not rebuild the initramfs" },
    { "finish", NULL, "the same: take the old authority away without waiting for a boot with the new one" },
    { "undo", NULL, "the same: take back a rotation that was cut" },
    { "allow-unencrypted-state", NULL, "accept a state folder outside LUKS: tests and images only" },
    { 0 },
};

static int read_policy(const struct call *call, struct provision_request *request, struct error *error)
{
    const char *name = call_option(call, "policy");

    request->no_policy = !name && !file_exists(MACHINE_POLICY);
    if (!request->no_policy)
        return policy_document_read(call_policy_folder(call), name ? name : MACHINE_POLICY, &request->document, error);
    request->document = policy_document_default();
    return 0;
}

/* An authorisation as it stands in the file, without one newline and without zero bytes at its end, which a TPM drops
 * itself. */
static int read_auth(const struct call *call, const char *option, struct secret *ret, struct error *error)
{
    const char *path = call_option(call, option);
    int r = path ? file_read_secret(path, AUTH_MAX_BYTES + 1, ret, error) : 0;

    if (r || !path)
        return r;
    secret_chomp(ret);
    while (ret->size && ret->bytes[ret->size - 1] == 0)
        ret->size--;
    if (!ret->size)
        return error_set(error, ERROR_USAGE, "--%s: \"%s\" holds no authorisation", option, path);
    if (ret->size > AUTH_MAX_BYTES)
        return error_set(error, ERROR_USAGE, "--%s: \"%s\" holds more than the %d bytes of an authorisation", option,
                         path, AUTH_MAX_BYTES);
    return 0;
}

static int check_options(const struct call *call, struct error *error)
{
    const char *lockout = call_option(call, "lockout-auth-file"), *owner = call_option(call, "owner-auth-file");

    if (lockout && owner && strcmp(lockout, "-") == 0 && strcmp(owner, "-") == 0)
        return error_set(error, ERROR_USAGE, "both authorisations cannot come from standard input");
    return rotate_authority_check(call, error);
}

/* ---- result ---- */

static const char *holder_name(enum provision_holder holder)
{
    switch (holder) {
    case PROVISION_KEPT:
        return "kept";
    case PROVISION_FOREIGN:
        return "foreign";
    case PROVISION_NOBODY:
    default:
        return "empty";
    }
}

static const char *holder_words(enum provision_holder holder)
{
    switch (holder) {
    case PROVISION_KEPT:
        return "set, and kept in the state folder";
    case PROVISION_FOREIGN:
        return "set by someone else: bootseal cannot reset the counter of wrong PINs";
    case PROVISION_NOBODY:
    default:
        return "EMPTY: anyone can reset the counter of wrong PINs";
    }
}

static void print_text(const struct provision_result *result)
{
    const struct tpm_state *tpm = &result->tpm;

    printf("SRK                    0x%08x\n", result->state.pins.srk.handle);
    if (result->index.kind)
        printf("approval index         missing\n");
    else
        printf("approval index         0x%08x\n", result->state.pins.index.handle);
    printf("lockout authorisation  %s\n", holder_words(result->holder));
    printf("lockout limits         %u tries, one forgiven each %u s; %u s after a wrong lockout authorisation\n",
           tpm->max_tries, tpm->recovery_s, tpm->lockout_recovery_s);
    printf("owner authorisation    %s\n", tpm->owner_auth_set ? "set by someone else" : "empty");
}

static int add_entity(struct json_object *document, const char *key, const struct entity *entity, struct error *error)
{
    struct json_object *object = json_object_new_object();
    int r = json_add(document, key, object, error);

    if (!r)
        r = json_add(object, "handle", json_object_new_int64(entity->handle), error);
    return r ? r : json_add(object, "name", json_new_hex(entity->name.bytes, sizeof(entity->name.bytes)), error);
}

static int add_null(struct json_object *document, const char *key, struct error *error)
{
    return json_object_object_add(document, key, NULL) < 0 ? error_no_memory(error) : 0;
}

/* null when the part is there, else kind, text and what to do. */
static int add_fault(struct json_object *document, const char *key, const struct error *fault, struct error *error)
{
    struct json_object *object;
    int r;

    if (fault->kind == ERROR_NONE)
        return add_null(document, key, error);
    object = json_object_new_object();
    r = json_add(document, key, object, error);
    if (!r)
        r = json_add(object, "kind", json_object_new_string(error_kind_name(fault->kind)), error);
    if (!r)
        r = json_add(object, "text", json_object_new_string(fault->text), error);
    return r ? r : json_add(object, "remedy", json_object_new_string(fault->remedy), error);
}

static int add_lockout(struct json_object *document, const struct provision_result *result, struct error *error)
{
    struct json_object *object = json_object_new_object();
    int r = json_add(document, "lockout", object, error);

    if (!r)
        r = json_add(object, "authorisation", json_object_new_string(holder_name(result->holder)), error);
    if (!r)
        r = json_add(object, "max_tries", json_object_new_int64(result->tpm.max_tries), error);
    if (!r)
        r = json_add(object, "recovery_s", json_object_new_int64(result->tpm.recovery_s), error);
    if (!r)
        r = json_add(object, "lockout_recovery_s", json_object_new_int64(result->tpm.lockout_recovery_s), error);
    return r ? r : add_fault(object, "error", &result->lockout, error);
}

static int print_document(const struct provision_result *result, struct error *error)
{
    cleanup(json_free) struct json_object *document = json_object_new_object();
    int r = document ? 0 : error_no_memory(error);

    if (!r)
        r = add_entity(document, "srk", &result->state.pins.srk, error);
    if (!r && result->index.kind)
        r = add_null(document, "index", error);
    else if (!r)
        r = add_entity(document, "index", &result->state.pins.index, error);
    if (!r)
        r = add_fault(document, "index_error", &result->index, error);
    if (!r)
        r = add_lockout(document, result, error);
    if (!r)
        r = json_add(document, "owner_auth_set", json_object_new_boolean(result->tpm.owner_auth_set), error);
    return r ? r : print_json(document, error);
}

static void tell_unused(const struct call *call, const struct provision_result *result)
{
    if (call_option(call, "owner-auth-file") && !result->before.owner_auth_set)
        log_info("the TPM has no owner authorisation: the one that was given was not used");
    if (call_option(call, "lockout-auth-file") && !result->before.lockout_auth_set)
        log_info("the TPM had no lockout authorisation: a random one was set, not the one that was given");
}

/* What is there is told although a part is missing; the first missing part's error ends the program, the second is
 * told before it. */
static int print_result(const struct call *call, const struct provision_result *result, struct error *error)
{
    int r = 0;

    if (call_flag(call, "json"))
        r = print_document(result, error);
    else
        print_text(result);
    tell_unused(call, result);
    if (!r && result->lockout.kind && result->index.kind)
        log_error(&result->index);
    return r;
}

static int run(struct call *call, struct error *error)
{
    cleanup(tpm_close) struct tpm *tpm = NULL;
    cleanup(secret_free) struct secret lockout_auth = { 0 }, owner_auth = { 0 };
    cleanup(provision_end) struct provision_result result = { .state.lock = -1 };
    struct provision_request request = {
        .state_folder = call_state_folder(call),
        .lockout_auth = &lockout_auth,
        .owner_auth = &owner_auth,
        .allow_unencrypted_state = call_flag(call, "allow-unencrypted-state"),
    };
    struct error failed;
    int r = check_options(call, error);

    if (!r)
        r = read_policy(call, &request, error);
    if (!r)
        r = read_auth(call, "lockout-auth-file", &lockout_auth, error);
    if (!r)
        r = read_auth(call, "owner-auth-file", &owner_auth, error);
    if (!r)
        r = call_open_tpm(call, &tpm, error);
    request.tpm = tpm;
    if (call_flag(call, "rotate-authority")) {
        r = r ? r : rotate_authority(call, tpm, &owner_auth, error);
        return r ? error_prefix(error, "provision --rotate-authority") : 0;
    }
    if (!r)
        r = provision_run(&result, &request, error);
    if (result.told && print_result(call, &result, &failed))
        r = (int)failed.kind, *error = failed;
    return r ? error_prefix(error, "provision") : 0;
}

const struct verb verb_provision = {
    .name = "provision",
    .arguments = "",
    .summary = "prepare the TPM: SRK, lockout authorisation and limits, approval index",
    .options = options,
    .needs_root = true,
    .runs_programs = true,
    .run = run,
};
