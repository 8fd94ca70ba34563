/* First half of an enrolment: everything that can be refused. */
#include "luks/recovery.h"
#include "policy/suspension.h"
#include "protect/boot/boot-state.h"
#include "protect/enroll/enroll.h"
#include "protect/enroll/mapper-name.h"
#include "protect/provision/provision.h"
#include "protect/seal/approve.h"
#include "protect/seal/leftover.h"
#include "protect/unlock/check-root.h"
#include "protect/unlock/crypttab.h"
#include "protect/unlock/recover.h"

#include "base/cleanup.h"
#include "base/encode.h"

#include <string.h>
#include <sys/stat.h>

#define CRYPTTAB "/etc/crypttab"

static int check_tpm(struct tpm *tpm, const struct policy_document *document, struct error *error)
{
    uint32_t active;
    int r = provision_check_tpm(tpm, error);

    if (!r)
        r = tpm_bank_read(tpm, document->bank, &active, error);
    if (r || (active & document->pcrs) == document->pcrs)
        return r;
    error_set(error, ERROR_REFUSED, "the TPM's PCR bank %s is not active", hash_name(document->bank));
    return error_remedy(error, "choose an active bank with --bank, or switch it on in the firmware's setup");
}

static int check_label(const char *label, struct error *error)
{
    if (label && strlen(label) > PROTECTOR_LABEL_MAX)
        return error_set(error, ERROR_USAGE, "the label is longer than %d bytes", PROTECTOR_LABEL_MAX);
    for (; label && *label; label++)
        if ((unsigned char)*label < 0x20 || *label == 0x7f)
            return error_set(error, ERROR_USAGE, "the label has a control character");
    return 0;
}

static int check_operator(const struct enroll_request *request, struct error *error)
{
    if (request->operator_number > PROTECTOR_OPERATOR_MAX)
        return error_set(error, ERROR_USAGE, "an operator's number is 1 to %d", PROTECTOR_OPERATOR_MAX);
    if (request->operator_number && request->no_pin)
        return error_set(error, ERROR_USAGE, "without a PIN there is no operator");
    return 0;
}

/* One without a PIN, and one PIN of each operator. */
static bool takes_the_place(const struct enroll_request *request, const struct protector *other)
{
    if (request->no_pin || other->kind == PROTECTOR_TPM2)
        return request->no_pin && other->kind == PROTECTOR_TPM2;
    return request->operator_number == other->operator_number;
}

static int check_others(struct enroll *enroll, struct error *error)
{
    const char *path = volume_path(enroll->volume);
    int r = protector_list_read(enroll->volume, TOKEN_TYPE_PROTECTOR, &enroll->others, error);

    for (size_t i = 0; !r && i < enroll->others.count; i++) {
        const struct protector *other = &enroll->others.items[i];

        if (!takes_the_place(&enroll->request, other))
            continue;
        if (enroll->request.no_pin)
            error_set(error, ERROR_REFUSED, "\"%s\" already has a protector of kind %s (%s)", path,
                      protector_kind_name(other->kind), other->id);
        else
            error_set(error, ERROR_REFUSED, "\"%s\" already has a PIN of operator %u (%s)", path,
                      other->operator_number, other->id);
        return error_remedy(error, "remove it first: bootseal remove --protector %s %s", other->id, path);
    }
    return r;
}

/* A protector's token takes some 1000 bytes; while one is added the pending token stands beside it. */
#define PROTECTOR_TOKEN_BYTES 1200
#define FIRST_APPROVAL_BYTES 2048 /* of a machine without other boot states, both lists */
#define TOKENS_WANTED 3           /* pending, protector, approval */

/* What is approved afterwards, beside the list in force, as the header holds it during the switch. */
static int approval_bytes(const struct enroll *enroll, size_t *ret, struct error *error)
{
    cleanup(json_free) struct json_object *object = json_object_new_object();
    int r = object ? approval_to_token(&enroll->draft, &enroll->draft, object, error) : error_no_memory(error);

    if (!r && !json_object_to_json_string_length(object, JSON_C_TO_STRING_PLAIN, ret))
        return error_no_memory(error);
    *ret += r ? 0 : 2 * HEX_TEXT(NAME_BYTES); /* the new object's Name */
    return r;
}

/* Refused before anything is written: a header that is full. What an enrolment that was cut has left is cleared away
 * first, so with that there it is only asked afterwards. */
static int check_room(const struct enroll *enroll, size_t list_bytes, struct error *error)
{
    unsigned recovery = enroll->request.recovery_key;
    struct volume_facts facts;
    struct token_list pending;
    int r = volume_tokens(enroll->volume, TOKEN_TYPE_PENDING, &pending, error);

    if (r || pending.count > 0)
        return r;
    r = volume_facts_read(enroll->volume, &facts, error);
    return r ? r
             : volume_check_room(
                   enroll->volume,
                   &(struct volume_room){
                       .keyslots = 1 + recovery,
                       .tokens = TOKENS_WANTED + recovery,
                       .key_size_bytes = facts.key_size_bytes ? facts.key_size_bytes : VOLUME_MAX_KEY_BYTES,
                       .token_bytes = 2 * PROTECTOR_TOKEN_BYTES + list_bytes + recovery * RECOVERY_TOKEN_BYTES,
                   },
                   error);
}

static int describe_pin(struct enroll *enroll, struct error *error)
{
    struct volume_facts facts;
    struct stat status;
    cleanup(free_ptr) char *real = NULL;
    int r = volume_facts_read(enroll->volume, &facts, error);

    if (r)
        return r;
    real = realpath(volume_path(enroll->volume), NULL);
    if (!real || stat(real, &status) < 0)
        return error_set(error, ERROR_FAILED, "cannot look at \"%s\"", volume_path(enroll->volume));
    strcpy(enroll->pin.uuid, facts.uuid);
    enroll->pin.facts = facts.digest;
    if (S_ISBLK(status.st_mode))
        snprintf(enroll->pin.device, sizeof(enroll->pin.device), "/dev/disk/by-uuid/%s", facts.uuid);
    else if (strlen(real) <= PINS_DEVICE_MAX)
        strcpy(enroll->pin.device, real);
    else
        return error_set(error, ERROR_USAGE, "the path \"%s\" is too long", real);
    return mapper_name_find(volume_path(enroll->volume), facts.uuid, enroll->request.name, enroll->pin.name,
                            sizeof(enroll->pin.name), error);
}

/* What crypttab asks for and the initramfs cannot honour is said here, not at the next boot. */
static int check_crypttab(const struct pinned_volume *pin, struct error *error)
{
    struct crypttab_entry entry;
    struct stat status;
    int r = strncmp(pin->device, "/dev/", 5) == 0 ? crypttab_read(CRYPTTAB, pin, &entry, error) : 0;

    if (r || strncmp(pin->device, "/dev/", 5) != 0)
        return r;
    if (entry.foreign[0]) {
        error_set(error, ERROR_REFUSED, CRYPTTAB " says \"%s\" of \"%s\": that is no LUKS2 volume", entry.foreign,
                  pin->name);
        return error_remedy(error, "correct the entry, or leave the volume to its passphrase");
    }
    if (entry.header[0] && (stat(entry.header, &status) < 0 || !S_ISBLK(status.st_mode))) {
        error_set(error, ERROR_REFUSED,
                  CRYPTTAB " keeps the header of \"%s\" in the file \"%s\": the tokens in it would "
                           "change the measured initramfs each time",
                  pin->name, entry.header);
        return error_remedy(error, "put the header on a partition of its own and enroll that");
    }
    return 0;
}

/* With these pins the next boot would be stopped: unless the root's own volume is among them. */
static int check_root_is_pinned(const struct enroll *enroll, struct error *error)
{
    cleanup(free_ptr) struct pins *pins = NULL;

    if (!pins_concern_this_boot(enroll->request.state_folder, &enroll->pin))
        return 0;
    pins = malloc(sizeof(*pins));
    if (!pins)
        return error_no_memory(error);
    *pins = enroll->state.pins;
    pins->any_root = enroll->request.document.any_root;
    if (!pins_find(pins, enroll->pin.uuid) && pins->volume_count < PINS_MAX_VOLUMES)
        pins->volumes[pins->volume_count++] = enroll->pin;
    if (!check_root_of_running(pins, "/", error))
        return 0;
    error_prefix(error, "the boot would be stopped");
    return error_remedy(error, "enroll the root's volume first, or say \"root\": \"any\" in the policy, see "
                               "bootseal-policy(5)");
}

/* All volumes of a machine share one selection: there is one index, one list and one boot. */
static int check_same_policy(const struct enroll *enroll, struct error *error)
{
    const struct policy_document *document = &enroll->request.document;
    const struct approval *approval = &enroll->state.approval;
    char wanted[PCR_LIST_TEXT], in_force[PCR_LIST_TEXT];

    if (!approval->object_count ||
        (approval->bank == document->bank && approval->pcrs == document->pcrs && approval->cap == document->cap))
        return 0;
    pcr_mask_format(document->pcrs, wanted);
    pcr_mask_format(approval->pcrs, in_force);
    error_set(error, ERROR_REFUSED,
              "the policy wants %s PCRs %s, but this machine's volumes are enrolled with %s PCRs %s",
              hash_name(document->bank), wanted, hash_name(approval->bank), in_force);
    return error_remedy(error, "use the same policy, or remove the other protectors first");
}

/* On a machine with an approval in force the volume joins that; else the boot state that counts is the first branch. */
static int read_boot_values(struct enroll *enroll, struct error *error)
{
    const struct policy_document *document = &enroll->request.document;
    const struct boot_state_request wanted = {
        .report_path = enroll->request.report_path,
        .bank = document->bank,
        .pcrs = document->pcrs,
        .cap = document->cap,
        .current_values = enroll->request.current_values,
    };
    int r;

    if (approval_find_branch(&enroll->state.approval, BRANCH_BOOT) >= 0)
        return 0;
    r = boot_state_read(enroll->request.tpm, &wanted, &enroll->boot_values, error);
    return r ? r : policy_document_check_values(document, &enroll->boot_values, !enroll->request.no_pin, error);
}

/* resume would not know of it: the suspension says that nothing without a PIN is under it. */
static int refuse_without_pin_while_suspended(const struct enroll *enroll, struct error *error)
{
    struct suspension suspension;

    if (!enroll->request.no_pin || !suspension_find(&enroll->state.approval, &suspension))
        return 0;
    error_set(error, ERROR_REFUSED,
              "bootseal is suspended: a protector without a PIN would open the volume to any system that is started");
    return error_remedy(error, "run: bootseal resume");
}

static int draft_approval(struct enroll *enroll, struct error *error)
{
    const struct policy_document *document = &enroll->request.document;
    struct branch branch;
    int r = refuse_without_pin_while_suspended(enroll, error);

    r = r ? r : approve_draft(&enroll->state, document->bank, document->pcrs, document->cap, &enroll->draft, error);
    if (r || approval_find_branch(&enroll->draft, BRANCH_BOOT) >= 0)
        return r;
    r = approve_boot_branch(&enroll->draft, &enroll->boot_values, &branch, error);
    return r ? r : approval_add_branch(&enroll->draft, &branch, error);
}

static int prepare_tpm(struct enroll *enroll, struct error *error)
{
    const struct policy_document *document = &enroll->request.document;
    bool lost;
    int r = provision_tpm(enroll->request.tpm, &enroll->state, &lost, error);

    if (!r && !enroll->state.has_pins) {
        pins_set_policy(&enroll->state.pins, document);
        r = state_save_pins(&enroll->state, error);
    }
    if (!r && !enroll->request.no_pin)
        r = provision_lockout(enroll->request.tpm, &enroll->state, &document->lockout, error);
    return r ? r : approve_settle(enroll->request.tpm, &enroll->state, lost, error);
}

/* Settling may have written the header. */
static int read_anew(struct enroll *enroll, struct error *error)
{
    int r;

    volume_close(&enroll->volume);
    r = volume_open(&enroll->volume, enroll->request.device, error);
    return r ? r : describe_pin(enroll, error);
}

int enroll_begin(struct enroll *ret, const struct enroll_request *request, struct error *error)
{
    int r;

    *ret = (struct enroll){ .request = *request, .state.lock = -1 };
    r = check_label(request->label, error);
    if (!r)
        r = check_operator(request, error);
    if (!r)
        r = volume_open(&ret->volume, request->device, error);
    if (!r)
        r = describe_pin(ret, error);
    if (!r)
        r = check_crypttab(&ret->pin, error);
    if (!r)
        r = check_room(ret, FIRST_APPROVAL_BYTES, error);
    if (!r)
        r = check_tpm(request->tpm, &request->document, error);
    if (!r)
        r = provision_check_place(request->state_folder, request->allow_unencrypted_state, error);
    if (!r)
        r = state_open(request->state_folder, STATE_CREATE, &ret->state, error);
    if (!r)
        r = state_refuse_rotation(&ret->state, error);
    if (!r)
        ret->pins_before = ret->state.pins;
    if (!r)
        r = check_others(ret, error);
    if (!r)
        r = check_same_policy(ret, error);
    if (!r)
        r = check_root_is_pinned(ret, error);
    if (!r)
        r = read_boot_values(ret, error);
    if (!r)
        r = prepare_tpm(ret, error);
    if (!r)
        r = read_anew(ret, error);
    return r ? r : draft_approval(ret, error);
}

/* What an enrolment that was cut has left in header and list. The object is dropped from the draft: the switch that
 * follows takes it out of the TPM's hands. Until then its pending token stays. */
static int clear_leftovers(struct enroll *enroll, struct error *error)
{
    struct object_name names[VOLUME_MAX_TOKENS];
    size_t count;
    int r = leftover_objects(enroll->volume, names, &count, error);

    for (size_t i = 0; !r && i < count; i++) {
        int object = approval_find_object(&enroll->draft, &names[i]);

        if (object >= 0)
            approval_remove_object(&enroll->draft, (size_t)object);
    }
    return r ? r : leftover_clear_dead(enroll->volume, enroll->key_keyslot, &enroll->state.approval, error);
}

int enroll_check_passphrase(struct enroll *enroll, const struct secret *passphrase, struct error *error)
{
    size_t bytes = 0;
    int r = recover_any(enroll->volume, passphrase, &enroll->key, &enroll->key_keyslot, error);

    if (r)
        return error_prefix(error, "the existing passphrase");
    r = clear_leftovers(enroll, error);
    if (!r)
        r = approval_bytes(enroll, &bytes, error);
    return r ? r : check_room(enroll, bytes, error);
}

void enroll_end(struct enroll *enroll)
{
    secret_free(&enroll->key);
    protector_list_free(&enroll->others);
    approval_free(&enroll->draft);
    volume_close(&enroll->volume);
    state_close(&enroll->state);
}
