/* Kernels and unified kernel images made by the test: what they measure, and what is not followed. That real ones
 * measure this is for test-unified-images and the recorded boots. */
#include "measure/predict/boot-image.h"

#include "base/cleanup.h"
#include "scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define VERSION "6.1.0-50-amd64 (debian-kernel@lists.debian.org) #1 SMP"
#define UKI "/EFI/Linux/debian.efi"
#define STUB_PCRS (1u << 4 | 1u << 9 | 1u << 11 | 1u << 12 | 1u << 13)

static struct error error;
static struct made_image kernel, image;

static struct boot_prediction predict(const struct image_start *start)
{
    struct boot_prediction prediction;

    error = (struct error){ 0 };
    assert_int_equal(boot_prediction_init(&prediction, HASH_SHA256, &error), 0);
    if (boot_image_predict(start, &prediction, &error))
        fail_msg("%s", error.text);
    return prediction;
}

static struct image_start start_of(const char *folder, const char *path)
{
    return (struct image_start){ .bank = HASH_SHA256, .folder = folder, .path = path };
}

/* The PCRs are given up, and one of the reasons has these words. */
static void assert_given_up(const struct image_start *start, uint32_t pcrs, const char *words)
{
    cleanup(boot_prediction_free) struct boot_prediction prediction = predict(start);

    assert_int_equal(prediction.unknown, pcrs);
    for (unsigned i = 0; i < PCR_COUNT; i++) {
        assert_int_equal(prediction.reasons[i] != NULL, (pcrs >> i & 1) != 0);
        if (prediction.reasons[i] && !strstr(prediction.reasons[i], words))
            fail_msg("PCR %u: \"%s\" does not say \"%s\"", i, prediction.reasons[i], words);
    }
}

/* A kernel as systemd-boot starts it: image, load options as they are, initrds one after the other. */
static void test_kernel(void **unused)
{
    cleanup(scratch_free) char *folder = scratch_new();
    static const char *const initrds[] = { "/deb/ucode", "deb//initrd" };
    struct image_start start = start_of(folder, "/deb/linux");
    struct wanted wanted[] = { { .pcr = 4 }, wanted_wide(9, "quiet initrd=x"), wanted_bytes(9, "onetwo", 6) };

    (void)unused;
    made_kernel(&kernel, VERSION);
    made_write(&kernel, folder, "/deb/linux", wanted[0].digest.bytes);
    scratch_write_text(folder, "/deb/ucode", "one");
    scratch_write_text(folder, "/deb/initrd", "two");
    start.options = (struct span){ "q\0u\0i\0e\0t\0 \0i\0n\0i\0t\0r\0d\0=\0x\0\0", 30 };
    start.initrds = initrds;
    start.initrd_count = 2;
    {
        cleanup(boot_prediction_free) struct boot_prediction prediction = predict(&start);

        assert_events(&prediction, wanted, 3);
        assert_int_equal(prediction.unknown, 0);
        assert_string_equal(prediction.command_line, "quiet initrd=x");
        assert_int_equal(prediction.extends.file_count, 3);
        assert_string_equal(prediction.extends.files[0].path + strlen(folder), "/deb/linux");
    }
    start.initrd_count = 0; /* now the kernel would load it, unmeasured */
    assert_given_up(&start, 1u << 9, "does not measure it");
    start.options = (struct span){ "n\0o\0i\0n\0i\0t\0r\0d\0\0", 18 };
    assert_given_up(&start, 1u << 9, "noinitrd");
    start.options = (struct span){ "\1\0\0\0\2\0q\0", 8 }; /* Linux would look for a command line within */
    assert_given_up(&start, 1u << 9, "are no command line");
    start.options.size = 0; /* a kernel with neither: its image alone */
    {
        cleanup(boot_prediction_free) struct boot_prediction prediction = predict(&start);

        assert_events(&prediction, wanted, 1);
        assert_null(prediction.command_line);
    }
    start.initrd_count = 1;
    start.initrds = (const char *const[]){ "/deb/gone" };
    assert_given_up(&start, BOOT_ALL_PCRS, "is not there");
    start.initrds = (const char *const[]){ "/deb/../deb/initrd" };
    assert_given_up(&start, BOOT_ALL_PCRS, "is no path");
}

static void test_kernel_versions(void **unused)
{
    cleanup(scratch_free) char *folder = scratch_new();
    struct image_start start = start_of(folder, "/linux");
    static const struct {
        const char *version;
        bool known;
    } versions[] = { { "6.1.0-1 x", true }, { "6.1.170-x", true }, { "6.12.9 x", false }, { "6.0.9 x", false },
                     { "5.10.0 x", false }, { "7.1.0 x", false },  { "six x", false },    { "61.1.0 x", false } };

    (void)unused;
    for (size_t i = 0; i < array_size(versions); i++) {
        made_kernel(&kernel, versions[i].version);
        made_write(&kernel, folder, "/linux", NULL);
        assert_given_up(&start, versions[i].known ? 0 : 1u << 9, "what the EFI stub of Linux");
    }
    made_kernel(&kernel, "6.1.0 x");
    made_put(&kernel, 0x20e, 0, 2);
    made_write(&kernel, folder, "/linux", NULL);
    assert_given_up(&start, 1u << 9, "does not tell its version");
    made_put(&kernel, 0x20e, 0xffff, 2);
    made_write(&kernel, folder, "/linux", NULL);
    assert_given_up(&start, 1u << 9, "does not tell its version");
    memcpy(kernel.bytes + 0x202, "Hdrs", 4);
    made_write(&kernel, folder, "/linux", NULL);
    assert_given_up(&start, BOOT_ALL_PCRS, "neither a unified kernel image nor a Linux kernel");
}

/* What section names and contents the image has: name with its NUL, then the bytes; the order is the stub's. */
#define COMMAND_LINE "console=ttyS0\tquiet \n"
static void make_unified(const char *folder, struct wanted *ret_image, struct wanted *ret_kernel)
{
    made_kernel(&kernel, VERSION);
    made_write(&kernel, folder, "/kernel", ret_kernel->digest.bytes);
    made_unified(&image, MADE_STUB, &kernel);
    made_add(&image, ".cmdline", COMMAND_LINE, strlen(COMMAND_LINE));
    made_add(&image, ".initrd", "initrd", 6);
    made_add(&image, ".osrel", "ID=debian\n", 10);
    made_write(&image, folder, UKI, ret_image->digest.bytes);
}

static void test_unified(void **unused)
{
    cleanup(scratch_free) char *folder = scratch_new();
    static const char *const phases[] = { "enter-initrd", "leave-initrd" };
    struct image_start start = start_of(folder, UKI);
    struct wanted wanted[] = { { .pcr = 4 },
                               { .pcr = 4 },
                               wanted_text(11, ".linux"),
                               { .pcr = 11 },
                               wanted_text(11, ".osrel"),
                               wanted_bytes(11, "ID=debian\n", 10),
                               wanted_text(11, ".cmdline"),
                               wanted_bytes(11, COMMAND_LINE, strlen(COMMAND_LINE)),
                               wanted_text(11, ".initrd"),
                               wanted_bytes(11, "initrd", 6),
                               wanted_bytes(11, "enter-initrd", 12),
                               wanted_bytes(11, "leave-initrd", 12),
                               wanted_wide(9, "console=ttyS0 quiet"),
                               wanted_bytes(9, "initrd", 6) };

    (void)unused;
    make_unified(folder, &wanted[0], &wanted[1]);
    wanted[3] = wanted_bytes(11, kernel.bytes, kernel.size);
    start.phases = phases;
    start.phase_count = 2;
    {
        cleanup(boot_prediction_free) struct boot_prediction prediction = predict(&start);

        assert_events(&prediction, wanted, array_size(wanted));
        assert_int_equal(prediction.unknown, 0);
        assert_string_equal(prediction.command_line, "console=ttyS0 quiet");
        assert_int_equal(prediction.extends.file_count, 1);
    }
    start.secure_boot = true; /* the stub vouches for the kernel: nobody measures it alone */
    wanted[1] = wanted[0];
    {
        cleanup(boot_prediction_free) struct boot_prediction prediction = predict(&start);

        assert_events(&prediction, wanted + 1, array_size(wanted) - 1);
    }
    start.through_shim = true;
    assert_given_up(&start, 1u << 4, "what shim measures");
}

/* Load options replace the command line and go to PCR 12, unless Secure Boot is on or they are rubbish. */
static void test_load_options(void **unused)
{
    cleanup(scratch_free) char *folder = scratch_new();
    struct image_start start = start_of(folder, UKI);
    struct wanted ignored, measured = wanted_wide(12, "init=/bin/sh"), own = wanted_wide(9, "console=ttyS0 quiet");
    static const struct {
        struct span options;
        bool secure_boot, count;
    } cases[] = { { { "i\0n\0i\0t\0=\0/\0b\0i\0n\0/\0s\0h\0 \0\n\0\0", 30 }, false, true },
                  { { "i\0n\0i\0t\0=\0/\0b\0i\0n\0/\0s\0h", 23 + 1 }, false, true },
                  { { "i\0n\0i\0t\0=\0/\0b\0i\0n\0/\0s\0h\0\0", 26 }, true, false },
                  { { "\x1f\0x\0\0", 6 }, false, false },
                  { { "i", 1 }, false, false } };

    (void)unused;
    make_unified(folder, &ignored, &ignored);
    for (size_t i = 0; i < array_size(cases); i++) {
        cleanup(boot_prediction_free) struct boot_prediction prediction = { 0 };
        const struct extend *found = NULL;

        start.options = cases[i].options;
        start.secure_boot = cases[i].secure_boot;
        prediction = predict(&start);
        for (size_t j = 0; j < prediction.extends.count; j++)
            if (prediction.extends.items[j].pcr == 12)
                found = &prediction.extends.items[j];
        assert_int_equal(found != NULL, cases[i].count);
        if (found)
            assert_memory_equal(found->digest, measured.digest.bytes, DIGEST_BYTES);
        assert_string_equal(prediction.command_line, cases[i].count ? "init=/bin/sh" : "console=ttyS0 quiet");
        if (!found)
            for (size_t j = 0; j < prediction.extends.count; j++)
                if (prediction.extends.items[j].pcr == 9) {
                    assert_memory_equal(prediction.extends.items[j].digest, own.digest.bytes, DIGEST_BYTES);
                    break;
                }
    }
}

/* The archive by hand: what Linux' documentation says of "newc", and the fields as the stub fills them. */
static size_t put_entry(char *to, unsigned inode, unsigned mode, const char *name, const char *content)
{
    size_t length = 0, name_size = strlen(name) + 1;

    length += (size_t)sprintf(to, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x", inode, mode, 0u, 0u, 1u,
                              0u, (unsigned)strlen(content), 0u, 0u, 0u, 0u, (unsigned)name_size, 0u);
    memcpy(to + length, name, name_size);
    length += name_size;
    while (length % 4)
        to[length++] = 0;
    memcpy(to + length, content, strlen(content));
    length += strlen(content);
    while (length % 4)
        to[length++] = 0;
    return length;
}

static size_t put_end(char *to)
{
    size_t length = put_entry(to, 0, 0, "TRAILER!!!", "");

    memcpy(to + 94, "0000000B", 8);
    return length;
}

/* Credentials and system extensions beside the image: PCR 12 and 13, and all of them behind the initrd in PCR 9. */
static void test_extras(void **unused)
{
    cleanup(scratch_free) char *folder = scratch_new();
    struct image_start start = start_of(folder, UKI);
    struct wanted ignored = { 0 }, wanted[4];
    char all[8192] = "initrd\0\0";
    size_t size = 8, from;

    (void)unused;
    make_unified(folder, &ignored, &ignored);
    scratch_write_text(folder, UKI ".extra.d/b.cred", "second");
    scratch_write_text(folder, UKI ".extra.d/Z.CRED", "first");
    scratch_write_text(folder, UKI ".extra.d/.hidden.cred", "no");
    scratch_write_text(folder, UKI ".extra.d/folder.cred/x", "no");
    scratch_write_text(folder, UKI ".extra.d/\xc3\xa4.cred", "no");
    scratch_write_text(folder, UKI ".extra.d/e.raw", "extension");
    scratch_write_text(folder, UKI ".extra.d/other", "no");
    scratch_write_text(folder, "/loader/credentials/g.cred", "");
    from = size;
    size += put_entry(all + size, 1, 0040555, ".extra", "");
    size += put_entry(all + size, 2, 0040500, ".extra/credentials", "");
    size += put_entry(all + size, 3, 0100400, ".extra/credentials/Z.CRED", "first");
    size += put_entry(all + size, 4, 0100400, ".extra/credentials/b.cred", "second");
    size += put_end(all + size);
    wanted[0] = wanted_bytes(12, all + from, size - from);
    from = size;
    size += put_entry(all + size, 1, 0040555, ".extra", "");
    size += put_entry(all + size, 2, 0040500, ".extra/global_credentials", "");
    size += put_entry(all + size, 3, 0100400, ".extra/global_credentials/g.cred", "");
    size += put_end(all + size);
    wanted[1] = wanted_bytes(12, all + from, size - from);
    from = size;
    size += put_entry(all + size, 1, 0040555, ".extra", "");
    size += put_entry(all + size, 2, 0040555, ".extra/sysext", "");
    size += put_entry(all + size, 3, 0100444, ".extra/sysext/e.raw", "extension");
    size += put_end(all + size);
    wanted[2] = wanted_bytes(13, all + from, size - from);
    wanted[3] = wanted_bytes(9, all, size);
    {
        cleanup(boot_prediction_free) struct boot_prediction prediction = predict(&start);
        size_t found = 0;

        for (size_t i = 0; i < prediction.extends.count; i++)
            for (size_t j = 0; j < array_size(wanted); j++)
                found += prediction.extends.items[i].pcr == wanted[j].pcr &&
                         memcmp(prediction.extends.items[i].digest, wanted[j].digest.bytes, DIGEST_BYTES) == 0;
        assert_int_equal(found, array_size(wanted));
        assert_int_equal(prediction.extends.file_count, 5);
    }
    start.name_at_start = "debian+2-1.efi"; /* boot counting: these are not beside it then */
    {
        cleanup(boot_prediction_free) struct boot_prediction prediction = predict(&start);

        assert_int_equal(prediction.extends.file_count, 2);
    }
    {
        cleanup(free_ptr) char *link = NULL;

        assert_true(asprintf(&link, "%s%s.extra.d/l.raw", folder, UKI) > 0);
        assert_int_equal(symlink("/etc/passwd", link), 0);
    }
    start.name_at_start = NULL;
    assert_given_up(&start, BOOT_ALL_PCRS, "is no file");
}

/* Signature and public key are not measured as archives but come with the initrd. */
static void test_packed_sections(void **unused)
{
    cleanup(scratch_free) char *folder = scratch_new();
    struct image_start start = start_of(folder, UKI);
    struct wanted wanted[] = { { .pcr = 4 },
                               { .pcr = 4 },
                               wanted_text(11, ".linux"),
                               { .pcr = 11 },
                               wanted_text(11, ".pcrpkey"),
                               wanted_bytes(11, "key", 3),
                               { .pcr = 9 } };
    char all[2048];
    size_t size = 0;

    (void)unused;
    made_kernel(&kernel, VERSION);
    made_write(&kernel, folder, "/kernel", wanted[1].digest.bytes);
    made_unified(&image, MADE_STUB, &kernel);
    made_add(&image, ".pcrsig", "{}", 2);
    made_add(&image, ".pcrpkey", "key", 3);
    made_write(&image, folder, UKI, wanted[0].digest.bytes);
    size += put_entry(all + size, 1, 0040555, ".extra", "");
    size += put_entry(all + size, 2, 0100444, ".extra/tpm2-pcr-signature.json", "{}");
    size += put_end(all + size);
    size += put_entry(all + size, 1, 0040555, ".extra", "");
    size += put_entry(all + size, 2, 0100444, ".extra/tpm2-pcr-public-key.pem", "key");
    size += put_end(all + size);
    wanted[3] = wanted_bytes(11, kernel.bytes, kernel.size);
    wanted[6] = wanted_bytes(9, all, size);
    {
        cleanup(boot_prediction_free) struct boot_prediction prediction = predict(&start);

        assert_events(&prediction, wanted, array_size(wanted));
        assert_null(prediction.command_line);
    }
}

/* Where a section is larger in memory than in the file, zeros follow. */
static void test_zeros(void **unused)
{
    cleanup(scratch_free) char *folder = scratch_new();
    struct image_start start = start_of(folder, UKI);
    static uint8_t splash[0x300];
    struct wanted wanted = { 0 };
    size_t header;
    bool found = false;

    (void)unused;
    made_kernel(&kernel, VERSION);
    made_unified(&image, MADE_STUB, &kernel);
    header = made_add(&image, ".splash", "BM", 2);
    made_put(&image, header + 8, sizeof splash, 4);
    made_write(&image, folder, UKI, NULL);
    memcpy(splash, "BM", 2);
    wanted = wanted_bytes(11, splash, sizeof splash);
    {
        cleanup(boot_prediction_free) struct boot_prediction prediction = predict(&start);

        for (size_t i = 0; i < prediction.extends.count; i++)
            found = found || memcmp(prediction.extends.items[i].digest, wanted.digest.bytes, DIGEST_BYTES) == 0;
        assert_true(found);
    }
    made_put(&image, header + 8, 0x200000, 4);
    made_write(&image, folder, UKI, NULL);
    assert_given_up(&start, STUB_PCRS, "much larger in memory");
}

static void test_refusals(void **unused)
{
    cleanup(scratch_free) char *folder = scratch_new();
    struct image_start start = start_of(folder, UKI);
    static const char *const initrds[] = { "/kernel" };
    static const struct {
        const char *stub, *words;
    } stubs[] = { { "#### LoaderInfo: systemd-stub 254.1-2 ####", "systemd-stub 254.1-2" },
                  { "#### LoaderInfo: systemd-stub 2520 ####", "systemd-stub 2520" },
                  { "#### LoaderInfo: systemd-stub 252.39", "another stub" },
                  { MADE_LOADER, "another stub" },
                  { "", "another stub" } };
    size_t header;

    (void)unused;
    made_kernel(&kernel, VERSION);
    made_write(&kernel, folder, "/kernel", NULL);
    for (size_t i = 0; i < array_size(stubs); i++) {
        made_unified(&image, stubs[i].stub, &kernel);
        made_write(&image, folder, UKI, NULL);
        assert_given_up(&start, STUB_PCRS, stubs[i].words);
    }
    made_unified(&image, MADE_STUB, &kernel);
    made_add(&image, ".dtb", "d", 1);
    made_add(&image, ".dtbauto", "d", 1);
    made_write(&image, folder, UKI, NULL);
    assert_given_up(&start, STUB_PCRS, "more than one section whose name starts with .dtb");

    made_unified(&image, MADE_STUB, &kernel);
    header = made_add(&image, ".initrd", "initrd", 6);
    made_put(&image, header + 12, 0x3000, 4);
    made_write(&image, folder, UKI, NULL);
    assert_given_up(&start, STUB_PCRS, "overlap in memory");

    made_start(&image);
    made_add(&image, ".sdmagic", MADE_STUB, sizeof MADE_STUB);
    made_write(&image, folder, UKI, NULL);
    assert_given_up(&start, STUB_PCRS, "no section .linux");

    made_start(&image);
    made_add(&image, ".sdmagic", MADE_STUB, sizeof MADE_STUB);
    made_add(&image, ".linux", "no kernel", 9);
    made_write(&image, folder, UKI, NULL);
    assert_given_up(&start, BOOT_ALL_PCRS, "is no PE image");

    made_put(&kernel, 0x80 + 24 + 44, 0, 2); /* older than EFI_LOAD_FILE2 */
    made_unified(&image, MADE_STUB, &kernel);
    made_write(&image, folder, UKI, NULL);
    assert_given_up(&start, STUB_PCRS, "a kernel of a kind that is not followed");

    made_kernel(&kernel, VERSION);
    made_unified(&image, MADE_STUB, &kernel);
    made_write(&image, folder, UKI, NULL);
    start.initrds = initrds;
    start.initrd_count = 1;
    assert_given_up(&start, BOOT_ALL_PCRS, "does not take a boot loader's initrds");
    start.initrd_count = 0;

    made_kernel(&kernel, "5.10.0-1-amd64 x");
    made_unified(&image, MADE_STUB, &kernel);
    made_write(&image, folder, UKI, NULL);
    assert_given_up(&start, 1u << 9, "Linux 5.10.0-1-amd64");

    start.path = "/nowhere.efi";
    assert_given_up(&start, BOOT_ALL_PCRS, "is not there");
    scratch_write_text(folder, "/text.efi", "#!/bin/sh\n");
    start.path = "/text.efi";
    assert_given_up(&start, BOOT_ALL_PCRS, "is no PE image");
    start.path = "/EFI";
    assert_given_up(&start, BOOT_ALL_PCRS, "is no file");
}

/* Cut anywhere, and with any byte of its headers changed, an image gives a prediction or reasons. */
static void test_hostile(void **unused)
{
    cleanup(scratch_free) char *folder = scratch_new();
    struct image_start start = start_of(folder, UKI);
    static struct made_image changed;

    (void)unused;
    made_kernel(&kernel, VERSION);
    made_unified(&image, MADE_STUB, &kernel);
    made_add(&image, ".cmdline", "quiet", 5);
    for (size_t i = 0; i < 0x400; i += 5) {
        changed = image;
        changed.bytes[i] = (uint8_t)~changed.bytes[i];
        made_write(&changed, folder, UKI, NULL);
        {
            cleanup(boot_prediction_free) struct boot_prediction prediction = predict(&start);

            assert_int_equal(prediction.unknown & ~BOOT_ALL_PCRS, 0);
        }
        changed = image;
        changed.size = i * image.size / 0x400;
        made_write(&changed, folder, UKI, NULL);
        {
            cleanup(boot_prediction_free) struct boot_prediction prediction = predict(&start);

            assert_int_not_equal(prediction.unknown, 0);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kernel),  cmocka_unit_test(test_kernel_versions),
        cmocka_unit_test(test_unified), cmocka_unit_test(test_load_options),
        cmocka_unit_test(test_extras),  cmocka_unit_test(test_packed_sections),
        cmocka_unit_test(test_zeros),   cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_hostile),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
