/* What is read of a system, in a folder that looks like one. */
#include "protect/doctor/doctor.h"

#include "base/cleanup.h"
#include "base/file.h"
#include "base/scratch.h"

#include <libgen.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PIN_UUID "0f4a7c52-1d1e-4b86-9a77-51c5ea1b0071"
#define PIN_DM_UUID "CRYPT-LUKS2-0f4a7c521d1e4b869a7751c5ea1b0071-cryptroot"
#define SECURE_BOOT "sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
#define SWAPS_HEADING "Filename\tType\tSize\tUsed\tPriority\n"

struct bench {
    struct scratch root;
    struct doctor_facts *facts;
    char state_folder[256];
};

static void put(struct bench *bench, const char *name, const void *bytes, size_t size)
{
    cleanup(free_ptr) char *folder = strdup(scratch_path(&bench->root, name));
    struct error error;

    assert_non_null(folder);
    assert_int_equal(file_make_folder(dirname(folder), 0755, &error), 0);
    assert_int_equal(file_write(scratch_path(&bench->root, name), bytes, size, 0644, &error), 0);
}

static void put_text(struct bench *bench, const char *name, const char *text)
{
    put(bench, name, text, strlen(text));
}

/* A block device 253:MINOR or 8:MINOR, with a dm UUID if it has one, on the device 8:SLAVE if that is not 0. */
static void put_device(struct bench *bench, const char *name, unsigned major, unsigned minor, const char *dm_uuid)
{
    char path[128], number[32];

    snprintf(number, sizeof(number), "%u:%u\n", major, minor);
    snprintf(path, sizeof(path), "sys/class/block/%s/dev", name);
    put_text(bench, path, number);
    snprintf(path, sizeof(path), "sys/dev/block/%u:%u/dev", major, minor);
    put_text(bench, path, number);
    snprintf(path, sizeof(path), "dev/%s", name);
    put_text(bench, path, "");
    if (!dm_uuid)
        return;
    snprintf(path, sizeof(path), "sys/dev/block/%u:%u/dm/uuid", major, minor);
    put_text(bench, path, dm_uuid);
}

static void link_to(struct bench *bench, const char *target, const char *name)
{
    cleanup(free_ptr) char *folder = strdup(scratch_path(&bench->root, name));
    struct error error;

    assert_non_null(folder);
    assert_int_equal(file_make_folder(dirname(folder), 0755, &error), 0);
    assert_return_code(symlink(target, scratch_path(&bench->root, name)), 0);
}

/* A partition, a pinned mapping, and one that is encrypted but not pinned. */
static int setup(void **state)
{
    struct bench *bench = calloc(1, sizeof(*bench));
    struct pins *pins;

    assert_non_null(bench);
    bench->facts = calloc(1, sizeof(*bench->facts));
    assert_non_null(bench->facts);
    scratch_make(&bench->root);
    snprintf(bench->state_folder, sizeof(bench->state_folder), "%s/state", bench->root.folder);
    bench->facts->status.state.folder = bench->state_folder;
    pins = &bench->facts->status.state.pins;
    strcpy(pins->volumes[0].name, "cryptroot");
    strcpy(pins->volumes[0].uuid, PIN_UUID);
    pins->volume_count = 1;
    put_device(bench, "sda3", 8, 3, NULL);
    put_device(bench, "dm-0", 253, 0, PIN_DM_UUID);
    put_device(bench, "dm-1", 253, 1, "CRYPT-LUKS2-0f4a7c521d1e4b869a7751c5ea1b0099-swap");
    *state = bench;
    return 0;
}

static int teardown(void **state)
{
    struct bench *bench = *state;

    scratch_remove(&bench->root);
    free(bench->facts);
    free(bench);
    return 0;
}

static struct doctor_facts *gather(struct bench *bench)
{
    const struct doctor_request request = { .root = bench->root.folder, .policy_path = "/policy.json" };
    struct state state = bench->facts->status.state;

    *bench->facts = (struct doctor_facts){ .status.state = state };
    doctor_gather_system(&request, bench->facts);
    return bench->facts;
}

static void test_empty_system(void **state)
{
    struct doctor_facts *facts = gather(*state);

    assert_int_equal(facts->secure_boot, DOCTOR_NOT_KNOWN);
    assert_int_equal(facts->panic, DOCTOR_NOT_KNOWN);
    assert_true(facts->boot_encrypted); /* there is none */
    assert_false(facts->state_encrypted);
    assert_int_equal(facts->swaps.count + facts->resume.count + facts->key_files.count + facts->image_count, 0);
}

static void test_secure_boot(void **state)
{
    static const struct {
        const char *bytes;
        size_t size;
        enum doctor_answer answer;
    } rows[] = {
        { "\x06\0\0\0\x01", 5, DOCTOR_YES },         { "\x06\0\0\0\0", 5, DOCTOR_NO },
        { "\x06\0\0\0\x02", 5, DOCTOR_NO },          { "\x06\0\0\0", 4, DOCTOR_NOT_KNOWN },
        { "\x06\0\0\0\x01\0", 6, DOCTOR_NOT_KNOWN }, { "", 0, DOCTOR_NOT_KNOWN },
    };

    for (size_t i = 0; i < array_size(rows); i++) {
        put(*state, SECURE_BOOT, rows[i].bytes, rows[i].size);
        assert_int_equal(gather(*state)->secure_boot, rows[i].answer);
    }
}

static void test_panic(void **state)
{
    static const struct {
        const char *line;
        enum doctor_answer answer;
    } rows[] = {
        { "root=/dev/x panic=30\n", DOCTOR_YES },
        { "panic=-1", DOCTOR_YES },
        { "panic=0 quiet", DOCTOR_YES },
        { "root=/dev/x quiet\n", DOCTOR_NO },
        { "panic\n", DOCTOR_NO },
        { "panic=\n", DOCTOR_NO },
        { "oops.panic=1 xpanic=1", DOCTOR_NO },
        { "panic_on_oops=1 quiet", DOCTOR_NO },
        { "", DOCTOR_NO },
    };

    for (size_t i = 0; i < array_size(rows); i++) {
        put_text(*state, "proc/cmdline", rows[i].line);
        if (gather(*state)->panic != rows[i].answer)
            fail_msg("\"%s\"", rows[i].line);
    }
}

static void test_swaps(void **state)
{
    struct doctor_facts *facts;

    put_text(*state, "swapfile", "");
    put_text(*state, "proc/swaps",
             SWAPS_HEADING
             "/dev/dm-1 partition\t1000\t0\t-2\n/dev/sda3  partition\t2000\t0\t-3\n"
             "/dev/zram0 partition\t9000\t0\t100\n/swapfile file\t100\t0\t-4\n/dev/gone partition\t1\t0\t-5\n");
    facts = gather(*state);
    assert_int_equal(facts->swaps.count, 4);
    assert_string_equal(facts->swaps.items[0].path, "/dev/dm-1");
    assert_true(facts->swaps.items[0].safe);
    for (size_t i = 1; i < 4; i++)
        assert_false(facts->swaps.items[i].safe);
    assert_string_equal(facts->swaps.items[2].path, "/swapfile");
}

static void expect_resume(struct bench *bench, const char *path, bool safe)
{
    struct doctor_facts *facts = gather(bench);

    assert_int_equal(facts->resume.count, path ? 1 : 0);
    if (!path)
        return;
    assert_string_equal(facts->resume.items[0].path, path);
    assert_int_equal(facts->resume.items[0].safe, safe);
}

/* The command line goes before the configuration, and that before the largest swap. */
static void test_resume(void **state)
{
    struct bench *bench = *state;

    link_to(bench, "../../dm-0", "dev/disk/by-uuid/1234");
    link_to(bench, "../dm-0", "dev/mapper/swap");
    put_text(bench, "proc/swaps",
             SWAPS_HEADING "/dev/dm-1 partition\t1000\t0\t-2\n/dev/dm-0 partition\t2000\t0\t-3\n"
                           "/swapfile file\t9000\t0\t-4\n");
    put_text(bench, "proc/cmdline", "quiet");
    expect_resume(bench, "/dev/dm-0", true);
    put_text(bench, "etc/initramfs-tools/conf.d/resume", "# by the installer\nRESUME=/dev/dm-1\n");
    expect_resume(bench, "/dev/dm-1", false); /* encrypted, but not pinned */
    put_text(bench, "etc/initramfs-tools/conf.d/resume", "RESUME=\"UUID=1234\"\n");
    expect_resume(bench, "UUID=1234", true);
    put_text(bench, "etc/initramfs-tools/conf.d/resume", "RESUME=none\n");
    expect_resume(bench, NULL, false);
    put_text(bench, "etc/initramfs-tools/conf.d/resume", "RESUME=auto\n");
    expect_resume(bench, "/dev/dm-0", true);
    put_text(bench, "proc/cmdline", "resume=/dev/mapper/swap quiet");
    expect_resume(bench, "/dev/mapper/swap", true);
    put_text(bench, "proc/cmdline", "resume=/dev/sda3 resume_offset=5");
    expect_resume(bench, "/dev/sda3", false);
    put_text(bench, "proc/cmdline", "resume=UUID=gone");
    expect_resume(bench, "UUID=gone", false);
    put_text(bench, "proc/cmdline", "resume=/dev/sda3 noresume");
    expect_resume(bench, NULL, false);
}

/* Keys that are there, and are no key of a boot's own. */
static void test_key_files(void **state)
{
    struct bench *bench = *state;
    struct doctor_facts *facts;

    put_text(bench, "etc/keys/data", "a key");
    put_text(bench, "dev/urandom", "");
    put_text(bench, "etc/crypttab",
             "# name source key options\nroot UUID=1 none luks\nswap /dev/sda2 /dev/urandom swap\n"
             "data /dev/sda4 /etc/keys/data luks\nold /dev/sda5 /etc/keys/gone luks\nlast /dev/sda6 - luks\nshort x\n");
    facts = gather(bench);
    assert_int_equal(facts->key_files.count, 1);
    assert_string_equal(facts->key_files.items[0].path, "/etc/keys/data");
    assert_false(facts->key_files.items[0].safe);
}

static void put_lsinitramfs(struct bench *bench, const char *script)
{
    put_text(bench, "usr/bin/lsinitramfs", script);
    assert_return_code(chmod(scratch_path(&bench->root, "usr/bin/lsinitramfs"), 0755), 0);
}

/* What cryptsetup's hook copies into the initramfs. */
static void test_copied_key_files(void **state)
{
    static const struct {
        const char *hook;
        size_t copied;
    } rows[] = {
        { "#KEYFILE_PATTERN=\"/etc/keys/*\"\n", 0 },        { "KEYFILE_PATTERN=\n", 0 },
        { "KEYFILE_PATTERN=\"/etc/other/*.key\"\n", 0 },    { "ASKPASS=y\nKEYFILE_PATTERN=\"/etc/keys/*\"\n", 1 },
        { "KEYFILE_PATTERN='/etc/keys/d?ta'", 1 },          { "KEYFILE_PATTERN=\"/etc/other/* /etc/keys/data\"", 1 },
        { "KEYFILE_PATTERN=*\nKEYFILE_PATTERN=\"\"\n", 0 },
    };
    struct bench *bench = *state;

    put_text(bench, "etc/keys/data", "a key");
    put_text(bench, "etc/crypttab", "data /dev/sda4 /etc/keys/data luks\nroot UUID=1 none luks\n");
    assert_int_equal(gather(bench)->copied.count, 0);
    for (size_t i = 0; i < array_size(rows); i++) {
        put_text(bench, "etc/cryptsetup-initramfs/conf-hook", rows[i].hook);
        if (gather(bench)->copied.count != rows[i].copied)
            fail_msg("%s", rows[i].hook);
    }
}

/* The stamps of what is installed, as the hook makes them. */
static void list_stamps(struct bench *bench, const char *program, const char *pins)
{
    char script[1024];

    snprintf(script, sizeof(script),
             "#!/bin/sh\n[ -s \"$1\" ] || exit 1\nprintf '%%s\\n' conf/conf.d usr/lib/bootseal/bootseal-unlock\n"
             "echo conf/bootseal-stamps/program-$(printf %%s '%s' | sha256sum | cut -c 1-64)\n"
             "echo conf/bootseal-stamps/pins-$(printf %%s '%s' | sha256sum | cut -c 1-64)\n",
             program, pins);
    put_lsinitramfs(bench, script);
}

static const struct doctor_image *the_image(struct bench *bench)
{
    struct doctor_facts *facts = gather(bench);

    assert_int_equal(facts->image_count, 1);
    assert_string_equal(facts->images[0].path, "/boot/initrd.img-6.1.0-50");
    return &facts->images[0];
}

static void test_images(void **state)
{
    struct bench *bench = *state;
    const struct doctor_image *image;

    put_text(bench, "usr/lib/bootseal/bootseal-unlock", "program");
    put_text(bench, "state/pins.json", "pins");
    put_text(bench, "boot/vmlinuz-6.1.0-50", "kernel");
    put_text(bench, "boot/initrd.img-6.1.0-50", "initrd");
    put_text(bench, "boot/initrd.img-6.1.0-49", "its kernel is gone");
    list_stamps(bench, "program", "pins");
    image = the_image(bench);
    assert_true(image->error.kind == ERROR_NONE && image->has_program && image->program_is_installed &&
                image->pins_are_current);
    list_stamps(bench, "older", "pins");
    image = the_image(bench);
    assert_true(image->has_program && !image->program_is_installed && image->pins_are_current);
    list_stamps(bench, "program", "older");
    image = the_image(bench);
    assert_true(image->has_program && image->program_is_installed && !image->pins_are_current);
}

/* An image without bootseal, or of a bootseal without stamps; names that only look like the ones that are wanted. */
static void test_images_without(void **state)
{
    struct bench *bench = *state;
    const struct doctor_image *image;

    put_text(bench, "boot/vmlinuz-6.1.0-50", "kernel");
    put_text(bench, "boot/initrd.img-6.1.0-50", "initrd");
    put_lsinitramfs(bench,
                    "#!/bin/sh\necho usr/lib/bootseal/bootseal-unlock.old; echo xusr/lib/bootseal/bootseal-unlock\n");
    image = the_image(bench);
    assert_true(image->error.kind == ERROR_NONE && !image->has_program && !image->program_is_installed);
    put_lsinitramfs(bench, "#!/bin/sh\necho ./usr/lib/bootseal/bootseal-unlock\n");
    image = the_image(bench);
    assert_true(image->has_program && !image->program_is_installed && !image->pins_are_current);
    put_lsinitramfs(bench, "#!/bin/sh\n:\n");
    assert_false(the_image(bench)->has_program);
}

static void test_images_that_cannot_be_read(void **state)
{
    struct bench *bench = *state;

    put_text(bench, "boot/vmlinuz-6.1.0-50", "kernel");
    put_text(bench, "boot/initrd.img-6.1.0-50", "initrd");
    assert_int_equal(the_image(bench)->error.kind, ERROR_FAILED); /* no lsinitramfs */
    put_lsinitramfs(bench, "#!/bin/sh\nexit 1\n");
    assert_int_equal(the_image(bench)->error.kind, ERROR_FAILED);
    put_lsinitramfs(bench, "#!/bin/sh\nexec cat /dev/zero\n"); /* more than a listing can be */
    assert_int_not_equal(the_image(bench)->error.kind, ERROR_NONE);
}

/* Files that nobody would write. */
static void test_hostile(void **state)
{
    struct bench *bench = *state;
    cleanup(free_ptr) char *text = calloc(1, 60001);

    assert_non_null(text);
    memset(text, 'x', 60000);
    text[0] = '/';
    put_text(bench, "proc/swaps", text);
    put_text(bench, "proc/cmdline", text);
    put_text(bench, "etc/crypttab", text);
    put_text(bench, "etc/initramfs-tools/conf.d/resume", "RESUME=");
    gather(bench);
    memcpy(text, "resume=", 7);
    put_text(bench, "proc/cmdline", text);
    assert_false(gather(bench)->resume.items[0].safe);
    for (size_t i = 0; i < 60000; i += 10)
        memcpy(text + i, "/a file 1\n", 10);
    put_text(bench, "proc/swaps", text);
    assert_int_equal(gather(bench)->swaps.count, DOCTOR_PLACES_MAX);
}

#define test(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(test_empty_system),
        test(test_secure_boot),
        test(test_panic),
        test(test_swaps),
        test(test_resume),
        test(test_key_files),
        test(test_copied_key_files),
        test(test_images),
        test(test_images_without),
        test(test_hostile),
        test(test_images_that_cannot_be_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
