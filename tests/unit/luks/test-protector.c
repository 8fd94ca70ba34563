/* The codec: what it writes it reads, what it does not know it keeps, and each fault of each field is told by its name.
 */
#include "base/cleanup.h"
#include "luks-edit.h"
#include "luks/token.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define NAME "000b00000000000000000000000000000000000000000000000000000000000000ff"
#define OTHER_NAME "000b11111111111111111111111111111111111111111111111111111111111111ff"
#define SALT "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
#define ID "0f4a7c52-1d1e-4b86-9a77-51c5ea1b0071"

static const char good[] =
    "{\"type\":\"bootseal\",\"keyslots\":[\"1\"],\"version\":1,\"id\":\"" ID "\",\"kind\":\"tpm2-pin\","
    "\"label\":\"Bediener 1 \\u2026\",\"payload\":\"keyslot\",\"created\":\"2026-11-21T20:00:00Z\","
    "\"tpm\":{\"srk\":\"" NAME "\",\"approval\":\"" OTHER_NAME
    "\",\"private\":\"cHJpdmF0ZQ==\",\"public\":\"cHVibGlj\"},"
    "\"kdf\":{\"type\":\"argon2id\",\"memory_kib\":65536,\"iterations\":4,\"lanes\":2,\"salt\":\"" SALT "\"}}";

static int decode(struct json_object *token, struct protector *ret, struct error *error)
{
    const struct json_view view = { token, "token 3", ERROR_METADATA };

    return protector_from_json(&view, 3, ret, error);
}

static void reads_every_field(void **state)
{
    cleanup(json_free) struct json_object *token = json_tokener_parse(good);
    struct protector protector;
    struct error error;

    (void)state;
    assert_int_equal(decode(token, &protector, &error), 0);
    assert_int_equal(protector.token, 3);
    assert_int_equal(protector.keyslot, 1);
    assert_int_equal(protector.kind, PROTECTOR_TPM2_PIN);
    assert_string_equal(protector.id, ID);
    assert_string_equal(protector.label, "Bediener 1 …");
    assert_string_equal(protector.created, "2026-11-21T20:00:00Z");
    assert_int_equal(protector.srk.bytes[1], 0x0b);
    assert_int_equal(protector.srk.bytes[33], 0xff);
    assert_int_equal(protector.approval.bytes[2], 0x11);
    assert_int_equal(protector.sealed.private_size, 7);
    assert_memory_equal(protector.sealed.private, "private", 7);
    assert_int_equal(protector.sealed.public_size, 6);
    assert_memory_equal(protector.sealed.public, "public", 6);
    assert_int_equal(protector.kdf.memory_kib, 65536);
    assert_int_equal(protector.kdf.iterations, 4);
    assert_int_equal(protector.kdf.lanes, 2);
    assert_int_equal(protector.kdf.salt[31], 31);
    assert_int_equal(protector.operator_number, 1); /* the key came later than these tokens */
}

/* Number 1 is the one that is not written. */
static void operators_have_numbers(void **state)
{
    cleanup(json_free) struct json_object *token = json_tokener_parse(good), *first = NULL, *without = NULL;
    struct protector protector;
    struct error error;

    (void)state;
    for (int number = PROTECTOR_OPERATOR_MAX; number >= 2; number--) {
        cleanup(json_free) struct json_object *again = NULL;

        json_object_object_add(token, "operator", json_object_new_int(number));
        assert_int_equal(decode(token, &protector, &error), 0);
        assert_int_equal(protector.operator_number, number);
        assert_int_equal(protector_to_json(&protector, TOKEN_TYPE_PROTECTOR, NULL, &again, &error), 0);
        assert_true(json_object_equal(token, again));
    }
    protector.operator_number = 1;
    assert_int_equal(protector_to_json(&protector, TOKEN_TYPE_PROTECTOR, token, &first, &error), 0);
    assert_null(luks_member(first, "operator"));
    protector.kind = PROTECTOR_TPM2;
    protector.operator_number = 2;
    assert_int_equal(protector_to_json(&protector, TOKEN_TYPE_PROTECTOR, token, &without, &error), 0);
    assert_null(luks_member(without, "operator"));
    assert_int_equal(decode(without, &protector, &error), 0);
    assert_int_equal(protector.operator_number, 0);
    json_object_object_add(without, "operator", json_object_new_int(2));
    assert_int_equal(decode(without, &protector, &error), ERROR_METADATA);
    assert_non_null(strstr(error.text, "\"operator\""));
}

static void kdf_parameters_are_compared(void **state)
{
    const struct kdf_parameters a = { 8192, 2, 1, { 1 } };
    struct kdf_parameters b = a;

    (void)state;
    assert_true(kdf_parameters_equal(&a, &b));
    b.salt[KDF_SALT_BYTES - 1] = 1;
    assert_false(kdf_parameters_equal(&a, &b));
    b = a;
    b.lanes++;
    assert_false(kdf_parameters_equal(&a, &b));
}

/* The volume key itself is sealed: there is no keyslot, and must not be one. */
static void volume_key_has_no_keyslot(void **state)
{
    cleanup(json_free) struct json_object *token = json_tokener_parse(good);
    cleanup(json_free) struct json_object *again = NULL;
    struct protector protector;
    enum protector_payload payload;
    struct error error;

    (void)state;
    json_object_object_add(token, "payload", json_object_new_string("volume-key"));
    assert_int_equal(decode(token, &protector, &error), ERROR_METADATA);
    assert_non_null(strstr(error.text, "\"keyslots\""));
    json_object_object_add(token, "keyslots", json_object_new_array());
    assert_int_equal(decode(token, &protector, &error), 0);
    assert_int_equal(protector.payload, PAYLOAD_VOLUME_KEY);
    assert_int_equal(protector.keyslot, -1);
    assert_int_equal(protector_to_json(&protector, TOKEN_TYPE_PROTECTOR, NULL, &again, &error), 0);
    assert_true(json_object_equal(token, again));
    assert_true(protector_payload_from_name("volume-key", &payload) && payload == PAYLOAD_VOLUME_KEY);
    assert_true(protector_payload_from_name("keyslot", &payload) && payload == PAYLOAD_KEYSLOT);
    assert_false(protector_payload_from_name("", &payload));
    assert_string_equal(protector_payload_name(PAYLOAD_VOLUME_KEY), "volume-key");
}

static void writes_what_it_reads(void **state)
{
    cleanup(json_free) struct json_object *token = json_tokener_parse(good), *again = NULL;
    struct protector protector;
    struct error error;

    (void)state;
    assert_int_equal(decode(token, &protector, &error), 0);
    assert_int_equal(protector_to_json(&protector, TOKEN_TYPE_PROTECTOR, NULL, &again, &error), 0);
    assert_true(json_object_equal(token, again));
}

static void keeps_unknown_keys(void **state)
{
    cleanup(json_free) struct json_object *base = json_tokener_parse(good), *again = NULL;
    struct protector protector;
    struct error error;

    (void)state;
    json_object_object_add(base, "future", json_tokener_parse("[1,{\"a\":null}]"));
    json_object_object_add(luks_member(base, "tpm"), "more", json_object_new_int(7));
    json_object_object_add(luks_member(base, "kdf"), "pepper", json_object_new_string("x"));
    assert_int_equal(decode(base, &protector, &error), 0);
    protector.keyslot = 2;
    snprintf(protector.label, sizeof(protector.label), "other");
    assert_int_equal(protector_to_json(&protector, TOKEN_TYPE_PROTECTOR, base, &again, &error), 0);
    assert_string_equal(json_object_to_json_string_ext(luks_member(again, "future"), JSON_C_TO_STRING_PLAIN),
                        "[1,{\"a\":null}]");
    assert_int_equal(json_object_get_int(luks_member(again, "tpm/more")), 7);
    assert_string_equal(json_object_get_string(luks_member(again, "kdf/pepper")), "x");
    assert_string_equal(json_object_get_string(luks_member(again, "label")), "other");
    assert_string_equal(json_object_get_string(luks_member(base, "label")), "Bediener 1 …");
    assert_int_equal(decode(again, &protector, &error), 0);
    assert_int_equal(protector.keyslot, 2);
}

static void without_a_pin_there_is_no_kdf(void **state)
{
    cleanup(json_free) struct json_object *base = json_tokener_parse(good), *again = NULL;
    struct protector protector;
    struct error error;

    (void)state;
    assert_int_equal(decode(base, &protector, &error), 0);
    protector.kind = PROTECTOR_TPM2;
    protector.keyslot = -1;
    assert_int_equal(protector_to_json(&protector, TOKEN_TYPE_PENDING, base, &again, &error), 0);
    assert_null(luks_member(again, "kdf"));
    assert_string_equal(json_object_get_string(luks_member(again, "type")), "bootseal-pending");
    assert_int_equal(decode(again, &protector, &error), 0);
    assert_int_equal(protector.kind, PROTECTOR_TPM2);
    assert_int_equal(protector.keyslot, -1);

    json_object_object_add(again, "kdf", json_object_new_object());
    assert_int_equal(decode(again, &protector, &error), ERROR_METADATA);
    assert_non_null(strstr(error.text, "\"kdf\""));
}

static void the_largest_protector_fits(void **state)
{
    cleanup(json_free) struct json_object *token = NULL;
    struct protector protector = { .keyslot = 31, .srk.bytes = { 0, 0x0b }, .approval.bytes = { 0, 0x0b } }, again;
    struct error error;

    (void)state;
    snprintf(protector.id, sizeof(protector.id), ID);
    snprintf(protector.created, sizeof(protector.created), "9999-12-31T23:59:59Z");
    memset(protector.label, 'x', PROTECTOR_LABEL_MAX);
    protector.sealed.private_size = SEALED_PRIVATE_MAX;
    protector.sealed.public_size = SEALED_PUBLIC_MAX;
    protector.kdf = (struct kdf_parameters){ .memory_kib = KDF_MAX_MEMORY_KIB,
                                             .iterations = KDF_MAX_ITERATIONS,
                                             .lanes = KDF_MAX_LANES };
    assert_int_equal(protector_to_json(&protector, TOKEN_TYPE_PROTECTOR, NULL, &token, &error), 0);
    assert_int_equal(decode(token, &again, &error), 0);
    protector.token = 3;
    assert_string_equal(again.label, protector.label);
    assert_int_equal(again.sealed.private_size, SEALED_PRIVATE_MAX);
    assert_int_equal(again.kdf.memory_kib, KDF_MAX_MEMORY_KIB);
}

static const char *const members[] = {
    "version",        "type",           "keyslots",   "id",       "kind",
    "label",          "payload",        "created",    "tpm",      "tpm/srk",
    "tpm/approval",   "tpm/private",    "tpm/public", "kdf",      "kdf/type",
    "kdf/memory_kib", "kdf/iterations", "kdf/lanes",  "kdf/salt",
};

static void set_member(struct json_object *token, const char *path, struct json_object *value)
{
    const char *slash = strchr(path, '/');
    char parent[16];

    if (!slash) {
        json_object_object_add(token, path, value);
        return;
    }
    snprintf(parent, sizeof(parent), "%.*s", (int)(slash - path), path);
    json_object_object_add(json_object_object_get(token, parent), slash + 1, value);
}

static void assert_fault(struct json_object *token, const char *path)
{
    const char *slash = strchr(path, '/');
    struct protector protector = { .token = 77 };
    struct error error;
    char quoted[32];

    assert_int_equal(decode(token, &protector, &error), ERROR_METADATA);
    assert_int_equal(protector.token, 77);
    snprintf(quoted, sizeof(quoted), "token 3: \"%s\"", slash ? slash + 1 : path);
    if (!strstr(error.text, quoted))
        fail_msg("%s: %s", path, error.text);
}

static void every_member_is_needed(void **state)
{
    (void)state;
    for (size_t i = 0; i < array_size(members); i++) {
        cleanup(json_free) struct json_object *token = json_tokener_parse(good);
        const char *slash = strchr(members[i], '/');
        char parent[16] = "";

        if (slash)
            snprintf(parent, sizeof(parent), "%.*s", (int)(slash - members[i]), members[i]);
        json_object_object_del(slash ? json_object_object_get(token, parent) : token, slash ? slash + 1 : members[i]);
        assert_fault(token, members[i]);
    }
}

static void every_member_has_its_type(void **state)
{
    static const char *const values[] = {
        "null", "true", "1.5", "18446744073709551615", "-1", "\"\"", "[]", "[1]", "{}"
    };

    (void)state;
    for (size_t i = 0; i < array_size(members); i++)
        for (size_t j = 0; j < array_size(values); j++) {
            cleanup(json_free) struct json_object *token = json_tokener_parse(good);
            bool is_good = (strcmp(members[i], "keyslots") == 0 && strcmp(values[j], "[]") == 0) ||
                           (strcmp(members[i], "label") == 0 && strcmp(values[j], "\"\"") == 0);
            struct protector protector;
            struct error error;

            set_member(token, members[i], json_tokener_parse(values[j]));
            if (is_good) {
                assert_int_equal(decode(token, &protector, &error), 0);
                continue;
            }
            /* an empty object lacks its first member; the name of that one is told */
            if (strcmp(values[j], "{}") == 0 && (!strcmp(members[i], "tpm") || !strcmp(members[i], "kdf")))
                assert_int_equal(decode(token, &protector, &error), ERROR_METADATA);
            else
                assert_fault(token, members[i]);
        }
}

static struct json_object *repeated(char character, size_t count)
{
    cleanup(free_ptr) char *text = malloc(count + 1);

    memset(text, character, count);
    text[count] = '\0';
    return json_object_new_string(text);
}

static void oversized_members_are_refused(void **state)
{
    static const struct {
        const char *member;
        size_t too_many;
        bool base64;
    } rows[] = {
        { "label", PROTECTOR_LABEL_MAX + 1, false },
        { "id", 1000, false },
        { "created", 21, false },
        { "kind", 100000, false },
        { "payload", 65, false },
        { "tpm/srk", 70, false },
        { "tpm/approval", 66, false },
        { "tpm/private", (SEALED_PRIVATE_MAX + 3) / 3 * 4, true },
        { "tpm/public", (SEALED_PUBLIC_MAX + 3) / 3 * 4, true },
        { "kdf/type", 65, false },
        { "kdf/salt", 48, true },
    };

    (void)state;
    for (size_t i = 0; i < array_size(rows); i++) {
        cleanup(json_free) struct json_object *token = json_tokener_parse(good);

        set_member(token, rows[i].member, repeated(rows[i].base64 ? 'A' : '0', rows[i].too_many));
        assert_fault(token, rows[i].member);
    }
}

static void values_out_of_range_are_refused(void **state)
{
    static const char *const rows[][2] = {
        { "version", "0" },
        { "version", "2" },
        { "type", "\"bootseal-approval\"" },
        { "type", "\"Bootseal\"" },
        { "kind", "\"recovery\"" },
        { "payload", "\"volume_key\"" },
        { "keyslots", "[\"32\"]" },
        { "keyslots", "[\"01\"]" },
        { "keyslots", "[\"-1\"]" },
        { "keyslots", "[\" 1\"]" },
        { "keyslots", "[\"1\", \"2\"]" },
        { "keyslots", "[[]]" },
        { "id", "\"0F4A7C52-1d1e-4b86-9a77-51c5ea1b0071\"" },
        { "id", "\"0f4a7c52-1d1e-4b86-9a77_51c5ea1b0071\"" },
        { "id", "\"0f4a7c52-1d1e-4b86-9a77-51c5ea1b007\"" },
        { "label", "\"a\\u001b[31mb\"" },
        { "label", "\"a\\u007f\"" },
        { "label", "\"a\\u009b31m\"" },
        { "label", "\"a\\u0000b\"" },
        { "created", "\"2026-11-21 20:00:00Z\"" },
        { "created", "\"2026-02-30T20:00:00Z\"" },
        { "created", "\"2026-11-21T24:00:00Z\"" },
        { "created", "\"2026-1-21T20:00:00Z\"" },
        { "created", "\" 026-11-21T20:00:00Z\"" },
        { "created", "\"2026-11-21T20:00:0Z\"" },
        { "tpm/srk", "\"000c00000000000000000000000000000000000000000000000000000000000000ff\"" },
        { "tpm/approval", "\"100b00000000000000000000000000000000000000000000000000000000000000ff\"" },
        { "tpm/srk", "\"000b0000000000000000000000000000000000000000000000000000000000000\"" },
        { "tpm/private", "\"cHJpdmF0ZQ=\"" },
        { "tpm/public", "\"cHVi bGlj\"" },
        { "operator", "0" },
        { "operator", "100" },
        { "operator", "-1" },
        { "operator", "1.5" },
        { "operator", "\"1\"" },
        { "operator", "null" },
        { "operator", "[1]" },
        { "kdf/type", "\"argon2i\"" },
        { "kdf/memory_kib", "15" },
        { "kdf/memory_kib", "4194305" },
        { "kdf/iterations", "0" },
        { "kdf/iterations", "1001" },
        { "kdf/lanes", "0" },
        { "kdf/lanes", "5" },
        { "kdf/lanes", "4294967297" },
        { "kdf/salt", "\"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHg==\"" },
    };

    (void)state;
    for (size_t i = 0; i < array_size(rows); i++) {
        cleanup(json_free) struct json_object *token = json_tokener_parse(good),
                                              *value = json_tokener_parse(rows[i][1]);

        assert_true(value || strcmp(rows[i][1], "null") == 0);
        set_member(token, rows[i][0], json_object_get(value));
        assert_fault(token, rows[i][0]);
    }
}

static void an_unknown_version_says_what_to_do(void **state)
{
    cleanup(json_free) struct json_object *token = json_tokener_parse(good);
    struct protector protector;
    struct error error;

    (void)state;
    json_object_object_add(token, "version", json_object_new_int(2));
    json_object_object_del(token, "tpm"); /* what else is there is none of our business then */
    assert_int_equal(decode(token, &protector, &error), ERROR_METADATA);
    assert_non_null(strstr(error.text, "\"version\": 2"));
    assert_non_null(strstr(error.remedy, "newer"));
}

static void kinds_have_names(void **state)
{
    (void)state;
    assert_string_equal(protector_kind_name(PROTECTOR_TPM2_PIN), "tpm2-pin");
    assert_string_equal(protector_kind_name(PROTECTOR_TPM2), "tpm2");
    assert_string_equal(protector_kind_name((enum protector_kind)9), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_every_field),
        cmocka_unit_test(operators_have_numbers),
        cmocka_unit_test(kdf_parameters_are_compared),
        cmocka_unit_test(volume_key_has_no_keyslot),
        cmocka_unit_test(writes_what_it_reads),
        cmocka_unit_test(keeps_unknown_keys),
        cmocka_unit_test(without_a_pin_there_is_no_kdf),
        cmocka_unit_test(the_largest_protector_fits),
        cmocka_unit_test(every_member_is_needed),
        cmocka_unit_test(every_member_has_its_type),
        cmocka_unit_test(oversized_members_are_refused),
        cmocka_unit_test(values_out_of_range_are_refused),
        cmocka_unit_test(an_unknown_version_says_what_to_do),
        cmocka_unit_test(kinds_have_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
