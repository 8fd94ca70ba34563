#include "luks/token.h"

#include "base/cleanup.h"
#include "luks/internal.h"

#include <string.h>

#define KDF_TYPE "argon2id"
#define KDF_MIN_KIB_PER_LANE 8 /* RFC 9106, 3.1 */

static const char *const kind_names[] = { [PROTECTOR_TPM2_PIN] = "tpm2-pin", [PROTECTOR_TPM2] = "tpm2" };
static const char *const payload_names[] = { [PAYLOAD_KEYSLOT] = "keyslot", [PAYLOAD_VOLUME_KEY] = "volume-key" };

const char *protector_kind_name(enum protector_kind kind)
{
    return (unsigned)kind < array_size(kind_names) ? kind_names[kind] : "unknown";
}

const char *protector_payload_name(enum protector_payload payload)
{
    return (unsigned)payload < array_size(payload_names) ? payload_names[payload] : "unknown";
}

bool kdf_parameters_equal(const struct kdf_parameters *a, const struct kdf_parameters *b)
{
    return a->memory_kib == b->memory_kib && a->iterations == b->iterations && a->lanes == b->lanes &&
           memcmp(a->salt, b->salt, sizeof(a->salt)) == 0;
}

bool protector_payload_from_name(const char *name, enum protector_payload *ret)
{
    for (size_t i = 0; i < array_size(payload_names); i++)
        if (strcmp(payload_names[i], name) == 0) {
            *ret = (enum protector_payload)i;
            return true;
        }
    return false;
}

/* ---- reading ---- */

static int read_one_of(const struct json_view *view, const char *key, const char *const *words, size_t count,
                       size_t *ret, struct error *error)
{
    const char *text;
    int r = json_get_string(view, key, 64, &text, error);

    if (r)
        return r;
    for (size_t i = 0; i < count; i++)
        if (strcmp(text, words[i]) == 0) {
            *ret = i;
            return 0;
        }
    return json_fault(view, key, error, "\"%s\" is not known to this bootseal", text);
}

static int read_id(const struct json_view *view, char ret[VOLUME_UUID_TEXT], struct error *error)
{
    const char *text;
    int r = json_get_string(view, "id", VOLUME_UUID_TEXT - 1, &text, error);

    if (r)
        return r;
    if (!uuid_is_valid(text) || strpbrk(text, "ABCDEF"))
        return json_fault(view, "id", error, "must be a UUID in lower case");
    memcpy(ret, text, VOLUME_UUID_TEXT);
    return 0;
}

/* Labels are shown on terminals: no control characters, those of ISO 6429 at U+0080 to U+009F included. */
static int read_label(const struct json_view *view, char ret[PROTECTOR_LABEL_MAX + 1], struct error *error)
{
    const char *text;
    int r = json_get_string(view, "label", PROTECTOR_LABEL_MAX, &text, error);

    if (r)
        return r;
    for (const unsigned char *p = (const unsigned char *)text; *p; p++)
        if (*p < 0x20 || *p == 0x7f || (p[0] == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0))
            return json_fault(view, "label", error, "has a control character");
    snprintf(ret, PROTECTOR_LABEL_MAX + 1, "%s", text);
    return 0;
}

static int read_name(const struct json_view *view, const char *key, struct object_name *ret, struct error *error)
{
    int r = json_get_hex(view, key, ret->bytes, sizeof(ret->bytes), error);

    if (!r && (ret->bytes[0] != HASH_SHA256 >> 8 || ret->bytes[1] != (HASH_SHA256 & 0xff)))
        return json_fault(view, key, error, "is not a SHA-256 Name");
    return r;
}

static int read_tpm(const struct json_view *view, struct protector *ret, struct error *error)
{
    struct sealed_blob *sealed = &ret->sealed;
    struct json_view tpm;
    int r = json_get_object(view, "tpm", &tpm, error);

    r = r ?: read_name(&tpm, "srk", &ret->srk, error);
    r = r ?: read_name(&tpm, "approval", &ret->approval, error);
    r = r ?: json_get_base64(&tpm, "private", sealed->private, sizeof(sealed->private), &sealed->private_size, error);
    return r ?: json_get_base64(&tpm, "public", sealed->public, sizeof(sealed->public), &sealed->public_size, error);
}

static int read_number(const struct json_view *view, const char *key, uint32_t min, uint32_t max, uint32_t *ret,
                       struct error *error)
{
    int64_t number;
    int r = json_get_integer(view, key, min, max, &number, error);

    if (!r)
        *ret = (uint32_t)number;
    return r;
}

static int read_kdf(const struct json_view *view, struct kdf_parameters *ret, struct error *error)
{
    static const char *const types[] = { KDF_TYPE };
    struct json_view kdf;
    size_t type, salt_size;
    int r = json_get_object(view, "kdf", &kdf, error);

    r = r ?: read_one_of(&kdf, "type", types, array_size(types), &type, error);
    r = r ?: read_number(&kdf, "lanes", 1, KDF_MAX_LANES, &ret->lanes, error);
    r = r
            ?: read_number(&kdf, "memory_kib", KDF_MIN_KIB_PER_LANE * ret->lanes, KDF_MAX_MEMORY_KIB, &ret->memory_kib,
                           error);
    r = r ?: read_number(&kdf, "iterations", 1, KDF_MAX_ITERATIONS, &ret->iterations, error);
    r = r ?: json_get_base64(&kdf, "salt", ret->salt, sizeof(ret->salt), &salt_size, error);
    if (!r && salt_size != sizeof(ret->salt))
        return json_fault(&kdf, "salt", error, "must be %zu bytes", sizeof(ret->salt));
    return r;
}

static int read_operator(const struct json_view *view, unsigned *ret, struct error *error)
{
    uint32_t number = 1;
    int r = json_has(view, "operator") ? read_number(view, "operator", 1, PROTECTOR_OPERATOR_MAX, &number, error) : 0;

    *ret = number;
    return r;
}

static int read_pin(const struct json_view *view, struct protector *ret, struct error *error)
{
    if (ret->kind == PROTECTOR_TPM2_PIN)
        return read_kdf(view, &ret->kdf, error) ?: read_operator(view, &ret->operator_number, error);
    if (json_has(view, "kdf"))
        return json_fault(view, "kdf", error, "there is no PIN to derive from");
    return json_has(view, "operator") ? json_fault(view, "operator", error, "there is no PIN to be somebody's") : 0;
}

int protector_from_json(const struct json_view *view, int number, struct protector *ret, struct error *error)
{
    static const char *const types[] = { TOKEN_TYPE_PROTECTOR, TOKEN_TYPE_PENDING };
    struct protector protector = { .token = number };
    size_t word, kind = 0, payload = 0;
    int r = token_get_version(view, error);

    r = r ?: read_one_of(view, "type", types, array_size(types), &word, error);
    r = r ?: read_one_of(view, "kind", kind_names, array_size(kind_names), &kind, error);
    r = r ?: read_one_of(view, "payload", payload_names, array_size(payload_names), &payload, error);
    r = r ?: token_get_keyslot(view, &protector.keyslot, error);
    r = r ?: read_id(view, protector.id, error);
    r = r ?: read_label(view, protector.label, error);
    r = r ?: token_get_time(view, "created", protector.created, error);
    r = r ?: read_tpm(view, &protector, error);
    protector.kind = (enum protector_kind)kind;
    protector.payload = (enum protector_payload)payload;
    if (!r && protector.payload == PAYLOAD_VOLUME_KEY && protector.keyslot >= 0)
        r = json_fault(view, "keyslots", error, "must be empty: the volume key needs none");
    r = r ?: read_pin(view, &protector, error);
    if (!r)
        *ret = protector;
    return r;
}

/* ---- writing ---- */

/* The object under the key, made when there is none: what it holds besides our keys is kept. */
static int sub_object(struct json_object *object, const char *key, struct json_object **ret, struct error *error)
{
    struct json_object *child;
    int r = 0;

    if (!json_object_object_get_ex(object, key, &child) || !json_object_is_type(child, json_type_object)) {
        child = json_object_new_object();
        r = json_add(object, key, child, error);
    }
    if (!r)
        *ret = child;
    return r;
}

static int write_tpm(struct json_object *token, const struct protector *protector, struct error *error)
{
    const struct sealed_blob *sealed = &protector->sealed;
    struct json_object *tpm = NULL;
    int r = sub_object(token, "tpm", &tpm, error);

    r = r ?: json_add(tpm, "srk", json_new_hex(protector->srk.bytes, NAME_BYTES), error);
    r = r ?: json_add(tpm, "approval", json_new_hex(protector->approval.bytes, NAME_BYTES), error);
    r = r ?: json_add(tpm, "private", json_new_base64(sealed->private, sealed->private_size), error);
    return r ?: json_add(tpm, "public", json_new_base64(sealed->public, sealed->public_size), error);
}

static int write_kdf(struct json_object *token, const struct protector *protector, struct error *error)
{
    const struct kdf_parameters *parameters = &protector->kdf;
    struct json_object *kdf = NULL;
    int r;

    if (protector->kind != PROTECTOR_TPM2_PIN) {
        json_object_object_del(token, "kdf");
        return 0;
    }
    r = sub_object(token, "kdf", &kdf, error);
    r = r ?: json_add(kdf, "type", json_object_new_string(KDF_TYPE), error);
    r = r ?: json_add(kdf, "memory_kib", json_object_new_int64(parameters->memory_kib), error);
    r = r ?: json_add(kdf, "iterations", json_object_new_int64(parameters->iterations), error);
    r = r ?: json_add(kdf, "lanes", json_object_new_int64(parameters->lanes), error);
    return r ?: json_add(kdf, "salt", json_new_base64(parameters->salt, sizeof(parameters->salt)), error);
}

/* Number 1 is not written: tokens with one PIN stay what they were before there were operators. */
static int write_operator(struct json_object *token, const struct protector *protector, struct error *error)
{
    if (protector->kind == PROTECTOR_TPM2_PIN && protector->operator_number > 1)
        return json_add(token, "operator", json_object_new_int((int)protector->operator_number), error);
    json_object_object_del(token, "operator");
    return 0;
}

static int write_text(struct json_object *token, const struct protector *protector, struct error *error)
{
    int r = json_add(token, "id", json_object_new_string(protector->id), error);

    r = r ?: json_add(token, "kind", json_object_new_string(protector_kind_name(protector->kind)), error);
    r = r ?: json_add(token, "label", json_object_new_string(protector->label), error);
    r = r ?: json_add(token, "payload", json_object_new_string(protector_payload_name(protector->payload)), error);
    return r ?: json_add(token, "created", json_object_new_string(protector->created), error);
}

int protector_to_json(const struct protector *protector, const char *type, struct json_object *base,
                      struct json_object **ret, struct error *error)
{
    cleanup(json_free) struct json_object *token = NULL;
    int r = token_begin(base, type, protector->keyslot, &token, error);

    r = r ?: write_text(token, protector, error);
    r = r ?: write_tpm(token, protector, error);
    r = r ?: write_kdf(token, protector, error);
    r = r ?: write_operator(token, protector, error);
    if (!r)
        *ret = take_ptr(token);
    return r;
}
