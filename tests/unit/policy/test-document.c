#include "sample.h"

#include "policy/document.h"

static struct error error;

static void assert_refused(const char *text, const char *part)
{
    struct policy_document document;

    memset(&document, 0x5a, sizeof(document));
    assert_error(policy_document_parse(text, "my.json", &document, &error), &error, ERROR_USAGE, part);
    assert_true(strncmp(error.text, "my.json: ", 9) == 0);
    assert_int_equal(document.tries, 0x5a5a5a5a); /* untouched */
}

static struct policy_document parse(const char *text)
{
    struct policy_document document;

    assert_good(policy_document_parse(text, "my.json", &document, &error), &error);
    return document;
}

static void what_is_left_out_has_defaults(void **state)
{
    const struct policy_document document = parse("{\"pcrs\":[7,12]}");

    (void)state;
    assert_int_equal(document.bank, HASH_SHA256);
    assert_int_equal(document.pcrs, 1u << 7 | 1u << 12);
    assert_int_equal(document.cap, 12);
    assert_int_equal(document.tries, 3);
    assert_false(document.any_root);
    assert_int_equal(document.on_failure, UPDATE_WARNS);
    assert_false(document.reseal_after_recovery);
    assert_int_equal(document.pin.min_length, 6);
    assert_int_equal(document.pin.max_length, 20);
    assert_true(document.pin.digits_only);
    assert_false(document.pin.allow_simple);
    assert_int_equal(document.kdf.memory_kib, 65536);
    assert_int_equal(document.kdf.time_ms, 500);
    assert_int_equal(document.kdf.floor_memory_kib, 8192);
    assert_int_equal(document.kdf.floor_iterations, 1);
    assert_int_equal(document.lockout.max_tries, 32);
    assert_int_equal(document.lockout.recovery_s, 600);
    assert_int_equal(document.lockout.lockout_recovery_s, 86400);
}

static void without_a_document_its_defaults_hold(void **state)
{
    const struct policy_document document = parse("{\"pcrs\":[7,12]}");
    struct policy_document none;

    (void)state;
    none = policy_document_default();
    assert_int_equal(none.pcrs, 0);
    assert_memory_equal(&none.pin, &document.pin, sizeof(none.pin));
    assert_memory_equal(&none.kdf, &document.kdf, sizeof(none.kdf));
}

static void every_key_is_read(void **state)
{
    const struct policy_document document =
        parse("{ \"version\": 1, \"bank\": \"sha384\", \"pcrs\": [0, 22, 13], \"cap\": 13, \"tries\": 10, \"root\": "
              "\"any\", \"on_failure\": \"fail\", \"after_recovery\": \"reseal\",\n"
              "\"pin\": { \"min_length\": 8, \"max_length\": 64, \"characters\": \"any\", \"allow_simple\": true },\n"
              "\"kdf\": { \"memory_kib\": 131072, \"time_ms\": 700, \"floor_memory_kib\": 65536,"
              " \"floor_iterations\": 4 },\n"
              "\"lockout\": { \"max_tries\": 10, \"recovery_s\": 7200, \"lockout_recovery_s\": 0 } }\n");

    (void)state;
    assert_int_equal(document.bank, HASH_SHA384);
    assert_int_equal(document.cap, 13);
    assert_int_equal(document.tries, 10);
    assert_true(document.any_root);
    assert_int_equal(document.on_failure, UPDATE_FAILS);
    assert_true(document.reseal_after_recovery);
    assert_int_equal(document.pin.min_length, 8);
    assert_int_equal(document.pin.max_length, 64);
    assert_false(document.pin.digits_only);
    assert_true(document.pin.allow_simple);
    assert_int_equal(document.kdf.memory_kib, 131072);
    assert_int_equal(document.kdf.time_ms, 700);
    assert_int_equal(document.kdf.floor_memory_kib, 65536);
    assert_int_equal(document.kdf.floor_iterations, 4);
    assert_int_equal(document.lockout.max_tries, 10);
    assert_int_equal(document.lockout.recovery_s, 7200);
    assert_int_equal(document.lockout.lockout_recovery_s, 0);
}

static void text_that_is_no_document_is_refused(void **state)
{
    (void)state;
    assert_refused("", "not a JSON object");
    assert_refused("[]", "not a JSON object");
    assert_refused("{\"pcrs\":[7,12]", "not a JSON object");
    assert_refused("{\"pcrs\":[7,12]} {}", "not a JSON object");
    assert_refused("{\"pcrs\":[7,12],}", "not a JSON object");
}

static void another_version_is_refused(void **state)
{
    (void)state;
    assert_refused("{\"version\":2,\"pcrs\":[7,12],\"news\":1}", "\"version\": 2");
    assert_refused("{\"version\":0,\"pcrs\":[7,12]}", "\"version\": 0");
    assert_refused("{\"version\":\"1\",\"pcrs\":[7,12]}", "\"version\": must be");
}

static void unknown_keys_are_refused(void **state)
{
    (void)state;
    assert_refused("{\"pcrs\":[7,12],\"pcr\":[4]}", "\"pcr\": unknown key");
    assert_refused("{\"pcrs\":[7,12],\"pin\":{\"length\":4}}", "\"length\": unknown key");
    assert_refused("{\"pcrs\":[7,12],\"kdf\":{\"lanes\":4}}", "\"lanes\": unknown key");
    assert_refused("{\"pcrs\":[7,12],\"lockout\":{\"tries\":4}}", "\"tries\": unknown key");
}

static void pcrs_are_required_and_checked(void **state)
{
    (void)state;
    assert_refused("{}", "\"pcrs\": missing");
    assert_refused("{\"pcrs\":null}", "\"pcrs\": must be a list");
    assert_refused("{\"pcrs\":12}", "\"pcrs\": must be a list");
    assert_refused("{\"pcrs\":[]}", "\"pcrs\": must name one");
    assert_refused("{\"pcrs\":[12,24]}", "\"pcrs\": element 1");
    assert_refused("{\"pcrs\":[12,32]}", "\"pcrs\": element 1");
    assert_refused("{\"pcrs\":[-1,12]}", "\"pcrs\": element 0");
    assert_refused("{\"pcrs\":[4294967308]}", "\"pcrs\": element 0");
    assert_refused("{\"pcrs\":[12,7,12]}", "\"pcrs\": PCR 12 is there twice");
    assert_refused("{\"pcrs\":[12,7.5]}", "\"pcrs\": element 1");
    assert_refused("{\"pcrs\":[12,\"7\"]}", "\"pcrs\": element 1");
    assert_refused("{\"pcrs\":[7,10,12]}", "PCR 10 is refused: the running kernel");
}

static void bank_and_cap_are_checked(void **state)
{
    (void)state;
    assert_refused("{\"pcrs\":[7,12],\"bank\":\"sha1\"}", "\"bank\": sha1 is refused: ");
    assert_refused("{\"pcrs\":[7,12],\"bank\":\"sha3\"}", "\"bank\": \"sha3\"");
    assert_refused("{\"pcrs\":[7,12],\"bank\":256}", "\"bank\": must be a string");
    assert_refused("{\"pcrs\":[7]}", "\"cap\": PCR 12 is not in \"pcrs\"");
    assert_refused("{\"pcrs\":[7,12],\"cap\":13}", "\"cap\": PCR 13 is not in \"pcrs\"");
    assert_refused("{\"pcrs\":[7,12],\"cap\":7}", "\"cap\": must be a PCR from 8 to 15, not 10; it is 7");
    assert_refused("{\"pcrs\":[7,12],\"cap\":16}", "\"cap\": must be a PCR from 8 to 15, not 10; it is 16");
    assert_refused("{\"pcrs\":[7,12],\"cap\":24}", "\"cap\": 24 is not from 0 to 23");
    assert_refused("{\"pcrs\":[7,12],\"cap\":10}", "\"cap\": must be a PCR from 8 to 15, not 10");
}

static void pin_rules_are_checked(void **state)
{
    (void)state;
    assert_refused("{\"pcrs\":[7,12],\"pin\":{\"min_length\":3}}", "\"min_length\": 3");
    assert_refused("{\"pcrs\":[7,12],\"pin\":{\"max_length\":257}}", "\"max_length\": 257");
    assert_refused("{\"pcrs\":[7,12],\"pin\":{\"min_length\":8,\"max_length\":7}}", "\"max_length\": 7 is below");
    assert_refused("{\"pcrs\":[7,12],\"pin\":{\"min_length\":21}}", "\"max_length\": 20 is below");
    assert_refused("{\"pcrs\":[7,12],\"pin\":{\"characters\":\"letters\"}}", "\"characters\": \"letters\"");
    assert_refused("{\"pcrs\":[7,12],\"pin\":{\"allow_simple\":1}}", "\"allow_simple\": must be");
    assert_refused("{\"pcrs\":[7,12],\"pin\":[]}", "\"pin\": must be an object");
    assert_int_equal(parse("{\"pcrs\":[7,12],\"pin\":{\"min_length\":20}}").pin.min_length, 20);
}

static void kdf_rules_are_checked(void **state)
{
    (void)state;
    assert_refused("{\"pcrs\":[7,12],\"kdf\":{\"memory_kib\":8191}}", "\"memory_kib\": 8191");
    assert_refused("{\"pcrs\":[7,12],\"kdf\":{\"memory_kib\":4194305}}", "\"memory_kib\": 4194305");
    assert_refused("{\"pcrs\":[7,12],\"kdf\":{\"time_ms\":0}}", "\"time_ms\": 0");
    assert_refused("{\"pcrs\":[7,12],\"kdf\":{\"floor_memory_kib\":8191}}", "\"floor_memory_kib\": 8191");
    assert_refused("{\"pcrs\":[7,12],\"kdf\":{\"floor_memory_kib\":65537}}", "65537 is above memory_kib");
    assert_refused("{\"pcrs\":[7,12],\"kdf\":{\"floor_iterations\":0}}", "\"floor_iterations\": 0");
    assert_refused("{\"pcrs\":[7,12],\"kdf\":1}", "\"kdf\": must be an object");
    assert_int_equal(parse("{\"pcrs\":[7,12],\"kdf\":{\"floor_memory_kib\":65536}}").kdf.floor_memory_kib, 65536);
}

static void lockout_rules_and_tries_are_checked(void **state)
{
    (void)state;
    assert_refused("{\"pcrs\":[7,12],\"lockout\":{\"max_tries\":33}}", "\"max_tries\": 33");
    assert_refused("{\"pcrs\":[7,12],\"lockout\":{\"max_tries\":0}}", "\"max_tries\": 0");
    assert_refused("{\"pcrs\":[7,12],\"lockout\":{\"recovery_s\":599}}", "\"recovery_s\": 599");
    assert_refused("{\"pcrs\":[7,12],\"lockout\":{\"lockout_recovery_s\":-1}}", "\"lockout_recovery_s\": -1");
    assert_refused("{\"pcrs\":[7,12],\"lockout\":null}", "\"lockout\": must be an object");
    assert_refused("{\"pcrs\":[7,12],\"tries\":0}", "\"tries\": 0");
    assert_refused("{\"pcrs\":[7,12],\"tries\":11}", "\"tries\": 11");
    assert_refused("{\"pcrs\":[7,12],\"root\":\"none\"}", "neither \"pinned\" nor \"any\"");
    assert_refused("{\"pcrs\":[7,12],\"root\":false}", "\"root\"");
    assert_int_equal(parse("{\"pcrs\":[7,12],\"on_failure\":\"suspend\"}").on_failure, UPDATE_SUSPENDS);
    assert_refused("{\"pcrs\":[7,12],\"on_failure\":\"ask\"}", "neither \"warn\" nor \"fail\" nor \"suspend\"");
    assert_refused("{\"pcrs\":[7,12],\"after_recovery\":\"nothing\"}", "neither \"advise\" nor \"reseal\"");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_left_out_has_defaults),
        cmocka_unit_test(without_a_document_its_defaults_hold),
        cmocka_unit_test(every_key_is_read),
        cmocka_unit_test(text_that_is_no_document_is_refused),
        cmocka_unit_test(another_version_is_refused),
        cmocka_unit_test(unknown_keys_are_refused),
        cmocka_unit_test(pcrs_are_required_and_checked),
        cmocka_unit_test(bank_and_cap_are_checked),
        cmocka_unit_test(pin_rules_are_checked),
        cmocka_unit_test(kdf_rules_are_checked),
        cmocka_unit_test(lockout_rules_and_tries_are_checked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
