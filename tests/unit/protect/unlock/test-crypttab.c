#include "base/cleanup.h"
#include "base/file.h"
#include "protect/unlock/crypttab.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define UUID "0f4a7c52-1d1e-4b86-9a77-51c5ea1b0071"
#define DEVICE "/dev/disk/by-uuid/" UUID

static const struct pinned_volume pin = { .name = "cryptroot", .uuid = UUID, .device = DEVICE };

static struct crypttab_entry parse(const char *text)
{
    struct crypttab_entry entry;
    struct error error;

    if (crypttab_parse(text, &pin, &entry, &error))
        fail_msg("\"%s\": %s", text, error.text);
    return entry;
}

static void expect_fault(const char *text)
{
    struct crypttab_entry entry;
    struct error error;

    if (crypttab_parse(text, &pin, &entry, &error) != ERROR_USAGE)
        fail_msg("taken: \"%s\"", text);
    assert_false(entry.found);
}

static bool is_found(const char *text)
{
    return parse(text).found;
}

static void an_entry_is_found_by_its_name(void **state)
{
    (void)state;
    assert_true(is_found("cryptroot /dev/sda3 none\n"));
    assert_true(is_found("# comment\n\nother UUID=1 none luks\ncryptroot\tUUID=2  none\tluks"));
    assert_true(is_found("crypt\\162oot /dev/sda3 none luks\n")); /* \162 is r */
    assert_false(is_found("cryptroo /dev/sda3 none luks\n"));
    assert_false(is_found("cryptroot2 /dev/sda3 none luks\n"));
    assert_false(is_found("#cryptroot /dev/sda3 none luks\n"));
    assert_false(is_found(""));
}

static void an_entry_is_found_by_its_source(void **state)
{
    (void)state;
    assert_true(is_found("renamed UUID=" UUID " none luks\n"));
    assert_true(is_found("renamed UUID=\"" UUID "\" none luks\n"));
    assert_true(is_found("renamed UUID=0F4A7C52-1D1E-4B86-9A77-51C5EA1B0071 none luks\n"));
    assert_true(is_found("renamed /dev/disk/by-uuid/" UUID " none luks\n"));
    assert_false(is_found("renamed UUID=1f4a7c52-1d1e-4b86-9a77-51c5ea1b0071 none luks\n"));
    assert_false(is_found("renamed PARTUUID=" UUID " none luks\n"));
}

static void the_name_counts_before_the_source(void **state)
{
    struct crypttab_entry entry = parse("renamed UUID=" UUID " none luks,discard\n"
                                        "cryptroot /dev/sdb1 none luks,readonly\n"
                                        "cryptroot /dev/sdc1 none luks,no-read-workqueue\n");

    (void)state;
    assert_true(entry.options.read_only);
    assert_false(entry.options.discard || entry.options.no_read_workqueue);
    assert_string_equal(entry.source, "/dev/sdb1");
}

/* As the distribution's script has it: a line with less than three fields is none. */
static void unfinished_lines_are_passed_over(void **state)
{
    struct crypttab_entry entry = parse("cryptroot\ncryptroot /dev/sda3\ncryptroot /dev/sdb3 none discard\n");

    (void)state;
    assert_true(entry.options.discard);
    assert_string_equal(entry.source, "/dev/sdb3");
    assert_false(is_found("cryptroot /dev/sda3"));
}

static void options_are_honoured(void **state)
{
    struct crypttab_entry entry = parse("cryptroot /dev/sda3 none "
                                        "luks,discard,same-cpu-crypt,,no-write-workqueue,initramfs\n");

    (void)state;
    assert_true(entry.options.discard && entry.options.same_cpu_crypt && entry.options.no_write_workqueue);
    assert_false(entry.options.read_only || entry.options.submit_from_crypt_cpus || entry.options.no_read_workqueue);
    assert_string_equal(entry.foreign, "");
    assert_string_equal(entry.ignored, "");
    entry = parse("cryptroot /dev/sda3 none read-only,submit-from-crypt-cpus,no-read-workqueue");
    assert_true(entry.options.read_only && entry.options.submit_from_crypt_cpus && entry.options.no_read_workqueue);
    entry = parse("cryptroot /dev/sda3 none readonly");
    assert_true(entry.options.read_only);
    entry = parse("cryptroot /dev/sda3 none");
    assert_true(entry.found);
    assert_memory_equal(&entry.options, &(struct volume_options){ 0 }, sizeof(entry.options));
}

static void another_kind_of_volume_is_told(void **state)
{
    static const char *const kinds[] = {
        "plain", "tcrypt", "tcrypt-hidden", "veracrypt", "bitlk", "fvault2", "offset=2048", "skip=1",
    };
    char text[128], name[32];

    (void)state;
    for (size_t i = 0; i < array_size(kinds); i++) {
        snprintf(text, sizeof(text), "cryptroot /dev/sda3 none discard,%s\n", kinds[i]);
        snprintf(name, sizeof(name), "%.*s", (int)strcspn(kinds[i], "="), kinds[i]);
        assert_string_equal(parse(text).foreign, name);
    }
}

static void what_is_not_for_us_is_passed_over(void **state)
{
    struct crypttab_entry entry =
        parse("cryptroot /dev/sda3 none luks,tries=5,keyslot=1,key-slot=2,cipher=aes,size=256,"
              "hash=sha256,keyscript=/lib/x,check=ext4,noauto,nofail\n");

    (void)state;
    assert_string_equal(entry.foreign, "");
    assert_string_equal(entry.ignored, "");
    entry = parse("cryptroot /dev/sda3 none luks,x-own.option=1,another\n");
    assert_string_equal(entry.ignored, "x-own.option");
}

static void a_header_elsewhere(void **state)
{
    (void)state;
    assert_string_equal(parse("cryptroot /dev/sda3 none luks,header=/dev/sdb1").header, "/dev/sdb1");
    assert_string_equal(parse("cryptroot /dev/sda3 none header=/boot/a\\040b\\054c,discard").header, "/boot/a b,c");
    assert_true(parse("cryptroot /dev/sda3 none header=/boot/a\\054b,discard").options.discard);
    expect_fault("cryptroot /dev/sda3 none header=");
    expect_fault("cryptroot /dev/sda3 none header");
    expect_fault("cryptroot /dev/sda3 none header=/a\\04");
    expect_fault("cryptroot /dev/sda3 none header=/a\\400");
    expect_fault("cryptroot /dev/sda3 none header=/a\\000b");
    expect_fault("cryptroot /dev/sda3 none header=/a\\");
}

static void fields_that_are_too_long(void **state)
{
    char text[2048], longest[512];

    (void)state;
    memset(longest, 'x', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    snprintf(text, sizeof(text), "%s UUID=" UUID " none discard\n", longest);
    assert_true(parse(text).options.discard); /* not our name, but our source */
    snprintf(text, sizeof(text), "other %s none\n", longest);
    assert_false(is_found(text));
    snprintf(text, sizeof(text), "cryptroot %s none discard\n", longest);
    expect_fault(text);
    snprintf(text, sizeof(text), "cryptroot /dev/sda3 none %s\n", longest);
    expect_fault(text);
    snprintf(text, sizeof(text), "cryptroot /dev/sda3 none header=/%s\n", longest);
    expect_fault(text);
    snprintf(text, sizeof(text), "cryptroot /dev/sda3 none discard,tries=%s\n", longest);
    assert_true(parse(text).options.discard);
}

/* Any bytes end in an entry, none, or an error: the lengths are checked by the sanitizers' build. */
static void any_bytes_come_to_an_end(void **state)
{
    char text[96];
    struct crypttab_entry entry;
    struct error error;
    unsigned seed = 1;

    (void)state;
    for (int round = 0; round < 20000; round++) {
        static const char letters[] = "cryptroot UUID=,\\0127\t\n#\"header\x01\xff";
        size_t length = (seed = seed * 1103515245u + 12345u) >> 16 & 63;

        for (size_t i = 0; i < length; i++) {
            seed = seed * 1103515245u + 12345u;
            text[i] = letters[(seed >> 16) % (sizeof(letters) - 1)];
        }
        text[length] = '\0';
        if (round & 1)
            memcpy(text, "cryptroot a b header=", length < 21 ? length : 21);
        (void)crypttab_parse(text, &pin, &entry, &error);
    }
}

static void files(void **state)
{
    char path[] = "/tmp/test-crypttab-XXXXXX";
    const char *text = "cryptroot UUID=" UUID " none luks,discard\n";
    struct crypttab_entry entry;
    struct error error;
    int fd = mkstemp(path);

    (void)state;
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(file_write(path, text, strlen(text), 0600, &error), 0);
    assert_int_equal(crypttab_read(path, &pin, &entry, &error), 0);
    assert_true(entry.found && entry.options.discard);
    unlink(path);
    assert_int_equal(crypttab_read(path, &pin, &entry, &error), 0);
    assert_false(entry.found);
}

static void expect_name(const char *text, const char *device, const char *expected)
{
    char path[] = "/tmp/test-crypttab-XXXXXX", name[16] = "";
    struct error error;
    int fd = mkstemp(path);

    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(file_write(path, text, strlen(text), 0600, &error), 0);
    assert_int_equal(crypttab_name(path, device, UUID, name, sizeof(name)), expected != NULL);
    if (expected)
        assert_string_equal(name, expected);
    unlink(path);
    assert_false(crypttab_name(path, device, UUID, name, sizeof(name)));
}

static void the_name_of_a_volume(void **state)
{
    (void)state;
    expect_name("# c\nother /dev/sdb none luks\nroot UUID=\"" UUID "\" none luks\nagain UUID=" UUID " none\n",
                "/dev/sda", "root");
    expect_name("my\\040root\t/dev/sda none luks\n", "/dev/sda", "my root");
    expect_name("root /dev/sda none luks\n", "/dev/sdb", NULL);
    expect_name("root /dev/sda\n", "/dev/sda", NULL); /* two fields are no entry */
    expect_name("a-name-longer-than-15 /dev/sda none\nshort /dev/sda none\n", "/dev/sda", "short");
    expect_name("bad\\9 /dev/sda none\n", "/dev/sda", NULL);
    expect_name("", "/dev/sda", NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_entry_is_found_by_its_name),
        cmocka_unit_test(an_entry_is_found_by_its_source),
        cmocka_unit_test(the_name_counts_before_the_source),
        cmocka_unit_test(unfinished_lines_are_passed_over),
        cmocka_unit_test(options_are_honoured),
        cmocka_unit_test(another_kind_of_volume_is_told),
        cmocka_unit_test(what_is_not_for_us_is_passed_over),
        cmocka_unit_test(a_header_elsewhere),
        cmocka_unit_test(fields_that_are_too_long),
        cmocka_unit_test(any_bytes_come_to_an_end),
        cmocka_unit_test(files),
        cmocka_unit_test(the_name_of_a_volume),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
