/* usage: test-preset POLICY-FOLDER, with the presets that are installed */
#include "sample.h"

#include "base/file.h"
#include "policy/document.h"

#include <sys/stat.h>

#define BIT(pcr) (1u << (pcr))

static struct error error;
static const char *presets;
static char folder[] = "/tmp/test-preset-XXXXXX";

static void write_policy(const char *name, const char *text, size_t size)
{
    cleanup(free_ptr) char *path = file_path(folder, name);

    assert_good(file_write(path, text, size, 0600, &error), &error);
}

static int make_folder(void **state)
{
    static const char one[] = "{\"pcrs\":[4,12],\"tries\":1}", two[] = "{\"pcrs\":[7,12],\"tries\":2}";

    (void)state;
    if (!mkdtemp(folder))
        return -1;
    write_policy("one.json", one, strlen(one));
    write_policy("two.json", two, strlen(two));
    write_policy("bad.json", "{\"pcrs\":[10]}", strlen("{\"pcrs\":[10]}"));
    write_policy("nul.json", one, sizeof(one));
    write_policy("schema.json", one, strlen(one));
    write_policy("un_common.json", one, strlen(one));
    return 0;
}

static int remove_folder(void **state)
{
    static const char *const names[] = {
        "one.json", "two.json", "bad.json", "nul.json", "schema.json", "un_common.json"
    };

    (void)state;
    for (size_t i = 0; i < array_size(names); i++) {
        cleanup(free_ptr) char *path = file_path(folder, names[i]);

        unlink(path);
    }
    return rmdir(folder);
}

static void a_preset_is_read(void **state)
{
    struct policy_document document;

    (void)state;
    assert_good(policy_document_read(folder, "two", &document, &error), &error);
    assert_int_equal(document.pcrs, BIT(7) | BIT(12));
    assert_int_equal(document.tries, 2);
}

static void several_are_united(void **state)
{
    struct policy_document document;

    (void)state;
    assert_good(policy_document_read(folder, "two,one", &document, &error), &error);
    assert_int_equal(document.pcrs, BIT(4) | BIT(7) | BIT(12));
    assert_int_equal(document.tries, 2);
}

static void a_file_is_read(void **state)
{
    cleanup(free_ptr) char *path = file_path(folder, "one.json");
    struct policy_document document;

    (void)state;
    assert_good(policy_document_read("/nonexistent", path, &document, &error), &error);
    assert_int_equal(document.tries, 1);

    /* without a slash too: it ends in .json */
    assert_int_equal(chdir(folder), 0);
    assert_good(policy_document_read("/nonexistent", "one.json", &document, &error), &error);
    assert_int_equal(chdir("/"), 0);
}

static void assert_refused(const char *name, const char *part)
{
    struct policy_document document = { .tries = 77 };

    assert_error(policy_document_read(folder, name, &document, &error), &error, ERROR_USAGE, part);
    assert_int_equal(document.tries, 77);
}

static void unknown_presets_are_refused(void **state)
{
    static const char *const names[] = { "three",   "",   ",", "one,", ",one",      "one,,two", "one,three",
                                         "one two", "..", ".", "ONE",  "un_common", "schema",   "one\n" };

    (void)state;
    for (size_t i = 0; i < array_size(names); i++) {
        assert_refused(names[i], "there is no policy preset");
        assert_string_equal(error.remedy, "use one of bad, nul, one, two, or a file, as in ./NAME.json");
    }
}

static void long_names_are_refused(void **state)
{
    char name[300];

    (void)state;
    memset(name, 'a', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    assert_refused(name, "there is no policy preset \"aaaa");
}

static void a_folder_without_presets_is_said(void **state)
{
    struct policy_document document;

    (void)state;
    assert_error(policy_document_read("/nonexistent", "one", &document, &error), &error, ERROR_USAGE, "\"one\"");
    assert_non_null(strstr(error.remedy, "\"/nonexistent\" holds no presets"));
}

static void faults_name_the_file(void **state)
{
    (void)state;
    assert_refused("bad", "/bad.json: \"pcrs\": PCR 10");
    assert_refused("one,bad", "/bad.json: \"pcrs\": PCR 10");
    assert_refused("nul", "/nul.json: has a NUL byte");
    assert_refused("/nonexistent/policy.json", "\"/nonexistent/policy.json\"");
    assert_refused("../one", "\"../one\""); /* a slash makes it a file, and that one is not there */
}

static void installed_presets_are_the_documented_ones(void **state)
{
    static const struct {
        const char *name;
        uint32_t pcrs;
    } expected[] = {
        { "uki", BIT(4) | BIT(7) | BIT(11) | BIT(12) | BIT(13) },
        { "grub", BIT(4) | BIT(7) | BIT(8) | BIT(9) | BIT(12) | BIT(14) },
        { "systemd-boot", BIT(4) | BIT(7) | BIT(9) | BIT(12) },
        { "firmware", BIT(0) | BIT(2) | BIT(4) | BIT(7) | BIT(12) },
        { "secure-boot", BIT(7) | BIT(12) },
        { "grub,firmware", BIT(0) | BIT(2) | BIT(4) | BIT(7) | BIT(8) | BIT(9) | BIT(12) | BIT(14) },
    };

    (void)state;
    for (size_t i = 0; i < array_size(expected); i++) {
        struct policy_document document;

        assert_good(policy_document_read(presets, expected[i].name, &document, &error), &error);
        assert_int_equal(document.pcrs, expected[i].pcrs);
        assert_int_equal(document.cap, 12);
        assert_int_equal(document.bank, HASH_SHA256);
    }
}

static void installed_presets_are_listed(void **state)
{
    struct policy_document document;

    (void)state;
    assert_error(policy_document_read(presets, "plain", &document, &error), &error, ERROR_USAGE, "\"plain\"");
    assert_string_equal(error.remedy, "use one of firmware, grub, secure-boot, systemd-boot, uki, or a file, as in "
                                      "./NAME.json");
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_preset_is_read),
        cmocka_unit_test(several_are_united),
        cmocka_unit_test(a_file_is_read),
        cmocka_unit_test(unknown_presets_are_refused),
        cmocka_unit_test(long_names_are_refused),
        cmocka_unit_test(a_folder_without_presets_is_said),
        cmocka_unit_test(faults_name_the_file),
        cmocka_unit_test(installed_presets_are_the_documented_ones),
        cmocka_unit_test(installed_presets_are_listed),
    };

    if (argc != 2)
        return 2;
    presets = argv[1];
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
