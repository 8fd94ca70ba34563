/* systemd-boot's menu, choice and entries. */
#include "measure/predict/systemd-boot.h"

#include "../log-builder.h"
#include "base/cleanup.h"
#include "measure/event-type.h"
#include "scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define LOADER "/EFI/systemd/systemd-bootx64.efi"
#define VERSION "6.1.0-50-amd64 (debian-kernel@lists.debian.org) #1 SMP"

static struct error error;
static struct made_image image, kernel;

static void write_loader(const char *folder, const char *magic)
{
    made_start(&image);
    made_add(&image, ".text", "code", 4);
    made_add(&image, ".sdmagic", magic, strlen(magic) + 1);
    made_write(&image, folder, LOADER, NULL);
}

/* An ESP with systemd-boot, a kernel and an initrd. */
static char *new_esp(void)
{
    char *folder = scratch_new();

    write_loader(folder, MADE_LOADER);
    made_kernel(&kernel, VERSION);
    made_write(&kernel, folder, "/deb/linux", NULL);
    scratch_write_text(folder, "/deb/initrd", "an initrd");
    return folder;
}

static struct systemd_boot_machine machine_of(const char *folder)
{
    return (struct systemd_boot_machine){ .bank = HASH_SHA256, .esp = folder, .loader = LOADER };
}

static void write_entry(const char *folder, const char *name, const char *text)
{
    char path[300];

    snprintf(path, sizeof path, "/loader/entries/%s", name);
    scratch_write_text(folder, path, text);
}

/* Entries of which only the name counts, or one more line. */
static void write_entries(const char *folder, const char *const (*entries)[2], size_t count)
{
    char text[512];

    for (size_t i = 0; i < count; i++) {
        snprintf(text, sizeof text, "linux /deb/linux\n%s\n", entries[i][1]);
        write_entry(folder, entries[i][0], text);
    }
}

static void write_unified(const char *folder, const char *path, const char *os_release, const char *command_line)
{
    made_unified(&image, MADE_STUB, &kernel);
    if (os_release)
        made_add(&image, ".osrel", os_release, strlen(os_release));
    if (command_line)
        made_add(&image, ".cmdline", command_line, strlen(command_line));
    made_write(&image, folder, path, NULL);
}

static struct systemd_boot_menu read_menu(const struct systemd_boot_machine *machine)
{
    struct systemd_boot_menu menu;

    error = (struct error){ 0 };
    if (systemd_boot_read_menu(machine, &menu, &error))
        fail_msg("%s", error.text);
    return menu;
}

static void assert_order(const struct systemd_boot_menu *menu, const char *const *ids, size_t count)
{
    for (size_t i = 0; i < count && i < menu->count; i++)
        assert_string_equal(menu->entries[i].id, ids[i]);
    assert_int_equal(menu->count, count);
}

static const struct systemd_boot_entry *entry_of(const struct systemd_boot_menu *menu, const char *id)
{
    for (size_t i = 0; i < menu->count; i++)
        if (strcmp(menu->entries[i].id, id) == 0)
            return &menu->entries[i];
    fail_msg("no entry \"%s\"", id);
    return NULL;
}

static struct boot_prediction predict(const struct systemd_boot_machine *machine,
                                      const struct systemd_boot_entry *entry)
{
    struct boot_prediction prediction;

    assert_int_equal(boot_prediction_init(&prediction, HASH_SHA256, &error), 0);
    if (systemd_boot_predict(machine, entry, &prediction, &error))
        fail_msg("%s", error.text);
    return prediction;
}

static void assert_given_up(const struct systemd_boot_machine *machine, const char *id, uint32_t pcrs,
                            const char *words)
{
    cleanup(systemd_boot_menu_free) struct systemd_boot_menu menu = read_menu(machine);
    cleanup(boot_prediction_free) struct boot_prediction prediction = predict(machine, entry_of(&menu, id));

    assert_int_equal(prediction.unknown, pcrs);
    for (unsigned i = 0; i < PCR_COUNT; i++)
        if (prediction.reasons[i] && !strstr(prediction.reasons[i], words))
            fail_msg("PCR %u: \"%s\" does not say \"%s\"", i, prediction.reasons[i], words);
}

/* The recorded boot of Debian 12: from the entry to each event that it has in PCR 4, 9 and 12. Kernel and initrd are
 * not there: their digests are those of what the test has put in their place. */
static void test_recorded(void **unused)
{
    cleanup(scratch_free) char *folder = new_esp();
    cleanup(event_log_free) struct event_log log = { 0 };
    struct systemd_boot_machine machine = machine_of(folder);
    struct wanted wanted[8], kernel_image;
    size_t count = 0, images = 0;
    int bank;

    (void)unused;
    made_write(&kernel, folder, "/vmlinuz", kernel_image.digest.bytes);
    scratch_write_text(folder, "/initrd", "an initrd");
    write_entry(folder, "debian.conf",
                "title Debian\nlinux /vmlinuz\ninitrd /initrd\n"
                "options console=ttyS0 quiet break=top\n");
    assert_int_equal(event_log_read(recorded_path("debian12-systemd-boot", "bin"), &log, &error), 0);
    bank = event_log_bank(&log, HASH_SHA256);
    for (size_t i = 0; i < log.count; i++) {
        const struct event *event = &log.events[i];
        struct wanted recorded = { .pcr = event->pcr };

        if (event->type == EVENT_BOOT_SERVICES_APPLICATION && images++ == 0)
            continue; /* systemd-boot itself */
        if (images == 0 || (event->pcr != 4 && event->pcr != 9 && event->pcr != 12))
            continue;
        assert_true(count < array_size(wanted));
        memcpy(recorded.digest.bytes, event->digest[bank], DIGEST_BYTES);
        if (event->pcr == 4)
            recorded.digest = kernel_image.digest;
        else if (event->pcr == 9 && event->data.size > 8 && memcmp(event->data.bytes, "\xec\x22\x3b\x8f", 4) == 0)
            recorded = wanted_bytes(9, "an initrd", 9);
        wanted[count++] = recorded;
    }
    assert_int_equal(count, 4);
    {
        cleanup(systemd_boot_menu_free) struct systemd_boot_menu menu = read_menu(&machine);
        cleanup(boot_prediction_free) struct boot_prediction prediction = predict(&machine, &menu.entries[0]);
        struct pcr_values got = { .bank = HASH_SHA256, .mask = 1u << 12 };
        static const uint8_t pcr_12[] = { 0x3c, 0x15, 0x95, 0xb2, 0x86, 0x73, 0xd6, 0x53 };

        assert_int_equal(menu.chosen, 0);
        assert_string_equal(menu.entries[0].title, "Debian");
        assert_events(&prediction, wanted, count);
        assert_int_equal(prediction.unknown, 0);
        assert_int_equal(prediction.extends.file_count, 3);
        assert_int_equal(extend_list_apply(&prediction.extends, &got, &error), 0);
        assert_memory_equal(got.value[12], pcr_12, sizeof pcr_12);
    }
}

/* The menu of a machine with everything, as systemd-boot 252 itself had it under OVMF. */
static void test_order(void **unused)
{
    cleanup(scratch_free) char *folder = new_esp();
    struct systemd_boot_machine machine = machine_of(folder);
    static const char *const entries[][2] = {
        { "alpha-6.1.0-9.conf", "" },
        { "alpha-6.1.0-10.conf", "" },
        { "alpha-6.1.0-10~rc1.conf", "" },
        { "Beta.CONF", "version 1" },
        { "s1.conf", "sort-key debian\nversion 6.1.0-9\nmachine-id b" },
        { "s2.conf", "sort-key debian\nversion 6.1.0-10\nmachine-id b" },
        { "s3.conf", "sort-key debian\nversion 1\nmachine-id a" },
        { "s4.conf", "sort-key debian\nversion 1" },
        { "s5.conf", "sort-key  arch\nversion 1" },
        { "t+0.conf", "sort-key aaa" },
        { "t+0-3.conf", "sort-key aaa" },
        { "t+5-1.conf", "sort-key aaa" },
        { "t+2.conf", "sort-key aaa" },
        { "no-arch.conf", "architecture aa64" },
        { "arch.conf", "architecture X64" },
        { "auto-x.conf", "" },
        { ".hidden.conf", "" },
        { "z9.conf.bak", "" },
        { "v1^p.conf", "" },
        { "v1.conf", "" },
        { "v1-2.conf", "" },
        { "v1.2.conf", "" },
        { "v1a.conf", "" },
        { "v001.1.conf", "" },
        { "v1_1.conf", "" },
        { "gone.conf", "linux /deb/none" },
        { "self.conf", "efi //EFI/SYSTEMD\\systemd-bootx64.efi" },
        { "efi.conf", "efi /deb/linux" },
    };
    static const char *const order[] = {
        "t+5-1.conf",
        "t+2.conf",
        "s5.conf",
        "u1.efi",
        "u4+3.efi",
        "s4.conf",
        "s3.conf",
        "s2.conf",
        "s1.conf",
        "u2.efi",
        "v1_1.conf",
        "v1a.conf",
        "v1.2.conf",
        "v001.1.conf",
        "v1.conf",
        "v1^p.conf",
        "v1-2.conf",
        "efi.conf",
        "beta.conf",
        "arch.conf",
        "alpha-6.1.0-10.conf",
        "alpha-6.1.0-10~rc1.conf",
        "alpha-6.1.0-9.conf",
        "t+0.conf",
        "t+0-3.conf",
    };

    (void)unused;
    write_entries(folder, entries, array_size(entries));
    write_entry(folder, "empty.conf", "title nothing\n");
    write_unified(folder, "/EFI/Linux/u1.efi", "ID=debian\nVERSION_ID=12\nNAME=x\n", NULL);
    write_unified(folder, "/EFI/Linux/u2.efi", "ID=debian\nIMAGE_ID=\"zz\"\nIMAGE_VERSION=4\n", NULL);
    write_unified(folder, "/EFI/Linux/u3.efi", "FOO=bar\n", NULL);
    write_unified(folder, "/EFI/Linux/U4+3.efi", "PRETTY_NAME='p'\nBUILD_ID=7\nID=debian\n", NULL);
    write_unified(folder, "/EFI/Linux/none.efi", NULL, NULL);
    scratch_write_text(folder, "/EFI/Linux/text.efi", "no program");
    {
        cleanup(systemd_boot_menu_free) struct systemd_boot_menu menu = read_menu(&machine);

        assert_order(&menu, order, array_size(order));
        assert_int_equal(menu.chosen, 0);
        assert_null(menu.reason);
        assert_string_equal(entry_of(&menu, "u4+3.efi")->title, "'p'");
        assert_string_equal(entry_of(&menu, "u4+3.efi")->name_at_start, "U4+2-1.efi");
        assert_string_equal(entry_of(&menu, "u2.efi")->title, "zz");
        assert_string_equal(entry_of(&menu, "u1.efi")->version, "12");
        assert_int_equal(entry_of(&menu, "t+0-3.conf")->tries_left, 0);
        assert_string_equal(entry_of(&menu, "t+0-3.conf")->name_at_start, "t+0-4.conf");
        assert_int_equal(entry_of(&menu, "s1.conf")->tries_left, -1);
    }
}

/* Who chooses: one boot's variable, the lasting one, loader.conf, the first entry; and what is nobody's to say. */
static void test_choice(void **unused)
{
    cleanup(scratch_free) char *folder = new_esp();
    static const char *const entries[][2] = { { "a.conf", "" }, { "b.conf", "" }, { "c.conf", "" }, { "d.conf", "" } };
    static const struct {
        const char *one_shot, *variable, *last, *config;
        const char *chosen, *lasting; /* NULL: not known */
    } cases[] = {
        { NULL, NULL, NULL, "", "d.conf", "d.conf" },
        { NULL, NULL, NULL, "default b.conf\n", "b.conf", "b.conf" },
        { NULL, NULL, NULL, "default B*\ntimeout 3\n", "b.conf", "b.conf" },
        { NULL, NULL, NULL, "default a.conf\ndefault ?.conf\n", "d.conf", "d.conf" },
        { NULL, NULL, NULL, "default \"[a-b].conf\"\n", "b.conf", "b.conf" },
        { NULL, NULL, NULL, "default x.conf\n", "d.conf", "d.conf" },
        { NULL, NULL, NULL, "#default a.conf\ndefault b.conf\ndefault @other\n", "b.conf", "b.conf" },
        { NULL, "a.conf", NULL, "default b.conf\n", "a.conf", "a.conf" },
        { NULL, "x.conf", NULL, "default b.conf\n", "b.conf", "b.conf" },
        { "C.conf", "a.conf", NULL, "default b.conf\n", "c.conf", "a.conf" },
        { "x.conf", NULL, NULL, "", "d.conf", "d.conf" },
        { NULL, "@saved", "c.conf", "default b.conf\n", "c.conf", "c.conf" },
        { NULL, "@saved", NULL, "default b.conf\n", "b.conf", "b.conf" },
        { NULL, NULL, "a.conf", "default @SAVED\n", "a.conf", "a.conf" },
        { NULL, NULL, "a.conf", "default b.conf\n", "b.conf", "b.conf" },
        { NULL, NULL, NULL, "default auto-windows\n", NULL, NULL },
        { "auto-reboot-to-firmware-setup", NULL, NULL, "", NULL, NULL },
        { NULL, NULL, NULL, "default *-windows\n", NULL, NULL },
        { NULL, NULL, NULL, "secure-boot-enroll force\n", "d.conf", "d.conf" },
    };

    (void)unused;
    write_entries(folder, entries, array_size(entries));
    for (size_t i = 0; i < array_size(cases); i++) {
        struct systemd_boot_machine machine = machine_of(folder);
        cleanup(systemd_boot_menu_free) struct systemd_boot_menu menu = { 0 };

        machine.entry_one_shot = cases[i].one_shot;
        machine.entry_default = cases[i].variable;
        machine.entry_last_booted = cases[i].last;
        scratch_write_text(folder, "/loader/loader.conf", cases[i].config);
        menu = read_menu(&machine);
        assert_int_equal(menu.reason != NULL, !cases[i].chosen);
        if (!cases[i].chosen) {
            assert_true(menu.chosen == SYSTEMD_BOOT_NONE && menu.lasting == SYSTEMD_BOOT_NONE);
            continue;
        }
        assert_string_equal(menu.entries[menu.chosen].id, cases[i].chosen);
        assert_string_equal(menu.entries[menu.lasting].id, cases[i].lasting);
    }
}

static void test_no_choice(void **unused)
{
    cleanup(scratch_free) char *folder = new_esp();
    struct systemd_boot_machine machine = machine_of(folder);

    (void)unused;
    {
        cleanup(systemd_boot_menu_free) struct systemd_boot_menu menu = read_menu(&machine);

        assert_int_equal(menu.count, 0);
        assert_true(menu.chosen == SYSTEMD_BOOT_NONE);
        assert_string_equal(menu.reason, "systemd-boot has no entry for Linux");
    }
    write_entry(folder, "a.conf", "linux /deb/linux\n");
    scratch_write_text(folder, "/loader/loader.conf", "secure-boot-enroll force\n");
    scratch_write_text(folder, "/loader/keys/auto/db.auth", "keys");
    {
        cleanup(systemd_boot_menu_free) struct systemd_boot_menu menu = read_menu(&machine);

        assert_true(menu.chosen == SYSTEMD_BOOT_NONE);
        assert_non_null(strstr(menu.reason, "may enrol the Secure Boot keys"));
    }
    machine.secure_boot = true; /* then it does not */
    {
        cleanup(systemd_boot_menu_free) struct systemd_boot_menu menu = read_menu(&machine);

        assert_int_equal(menu.chosen, 0);
    }
    made_unified(&image, MADE_STUB, &kernel);
    made_add(&image, ".osrel", "ID=x\n", 5);
    image.size -= 0x100; /* cut: a program, but which? */
    made_write(&image, folder, "/EFI/Linux/cut.efi", NULL);
    {
        cleanup(systemd_boot_menu_free) struct systemd_boot_menu menu = read_menu(&machine);

        assert_true(menu.chosen == SYSTEMD_BOOT_NONE);
        assert_non_null(strstr(menu.reason, "reach past the end"));
        assert_int_equal(menu.count, 1);
    }
}

/* Lines, quotes, repeated keys; the paths as EFI has them in the options that are measured. */
static void test_entry(void **unused)
{
    cleanup(scratch_free) char *folder = new_esp();
    struct systemd_boot_machine machine = machine_of(folder);
    const struct systemd_boot_entry *entry;

    (void)unused;
    scratch_write_text(folder, "/deb/ucode", "microcode ");
    write_entry(
        folder, "Deb+3.conf",
        "# comment\r\n\n  title\t\"Debian GNU/Linux\" \nversion 6.1\xff.0\nnoise\nversion 6.1.0\nsort-key debian\n"
        "machine-id 1234\nefi /deb/ucode\nlinux //deb\\linux\ninitrd /deb/ucode\ninitrd deb//initrd\n"
        " options  root=/dev/mapper/root\n\toptions quiet\t\"a  b\"\noptions \"c d\"\nunknown key\n");
    {
        cleanup(systemd_boot_menu_free) struct systemd_boot_menu menu = read_menu(&machine);
        cleanup(boot_prediction_free) struct boot_prediction prediction = { 0 };
        static const char options[] =
            "initrd=\\deb\\ucode initrd=deb\\initrd root=/dev/mapper/root quiet\t\"a  b\" c d";

        entry = entry_of(&menu, "deb+3.conf");
        assert_string_equal(entry->title, "Debian GNU/Linux");
        assert_string_equal(entry->version, "6.1.0");
        assert_string_equal(entry->sort_key, "debian");
        assert_string_equal(entry->machine_id, "1234");
        assert_int_equal(entry->kind, SYSTEMD_BOOT_LINUX);
        assert_string_equal(entry->image, "/deb/linux");
        assert_int_equal(entry->initrd_count, 2);
        assert_string_equal(entry->initrds[1], "/deb/initrd");
        assert_string_equal(entry->options, options);
        assert_string_equal(entry->name_at_start, "Deb+2-1.conf");
        prediction = predict(&machine, entry);
        assert_int_equal(prediction.extends.count, 4);
        assert_string_equal(prediction.command_line, options);
        {
            struct wanted wanted[] = { wanted_wide(12, options),
                                       { .pcr = 4 },
                                       wanted_wide(9, options),
                                       wanted_bytes(9, "microcode an initrd", 19) };

            made_write(&kernel, folder, "/again", wanted[1].digest.bytes);
            assert_events(&prediction, wanted, 4);
        }
        assert_int_equal(prediction.extends.file_count, 4);
    }
}

/* A unified image: systemd-boot measures its command line, and without Secure Boot the stub does so again. */
static void test_unified(void **unused)
{
    cleanup(scratch_free) char *folder = new_esp();
    cleanup(scratch_free) char *boot = scratch_new();
    struct systemd_boot_machine machine = machine_of(folder);
    struct wanted command_line = wanted_wide(12, "root=/dev/sda1");

    (void)unused;
    machine.boot = boot;
    write_unified(boot, "/EFI/Linux/debian.efi", "ID=debian\n", "root=/dev/sda1\n");
    for (int i = 0; i < 2; i++) {
        cleanup(systemd_boot_menu_free) struct systemd_boot_menu menu = { 0 };
        cleanup(boot_prediction_free) struct boot_prediction prediction = { 0 };
        int found = 0;

        machine.secure_boot = i == 1;
        menu = read_menu(&machine);
        assert_int_equal(menu.count, 1);
        assert_ptr_equal(menu.entries[0].folder, boot);
        assert_string_equal(menu.entries[0].options, "root=/dev/sda1");
        prediction = predict(&machine, &menu.entries[0]);
        for (size_t j = 0; j < prediction.extends.count; j++)
            if (prediction.extends.items[j].pcr == 12) {
                assert_memory_equal(prediction.extends.items[j].digest, command_line.digest.bytes, DIGEST_BYTES);
                found++;
            }
        assert_int_equal(found, machine.secure_boot ? 1 : 2);
        assert_int_equal(prediction.unknown, 0);
        assert_string_equal(prediction.command_line, "root=/dev/sda1");
    }
}

/* An entry may start a unified image as well, with options of its own. */
static void test_entry_for_unified(void **unused)
{
    cleanup(scratch_free) char *folder = new_esp();
    struct systemd_boot_machine machine = machine_of(folder);

    (void)unused;
    write_unified(folder, "/images/debian.efi", "ID=debian\n", "root=/dev/sda1\n");
    write_entry(folder, "efi.conf", "efi /images/debian.efi\noptions single\ninitrd /deb/gone\n");
    write_entry(folder, "linux.conf", "linux /images/debian.efi\ninitrd /deb/initrd\n");
    {
        cleanup(systemd_boot_menu_free) struct systemd_boot_menu menu = read_menu(&machine);
        cleanup(boot_prediction_free) struct boot_prediction prediction =
            predict(&machine, entry_of(&menu, "efi.conf"));

        assert_int_equal(prediction.unknown, 0);
        assert_string_equal(prediction.command_line, "single");
    }
    assert_given_up(&machine, "linux.conf", BOOT_ALL_PCRS, "does not take a boot loader's initrds");
}

static void test_refused_entries(void **unused)
{
    cleanup(scratch_free) char *folder = new_esp();
    struct systemd_boot_machine machine = machine_of(folder);
    char path[64];

    (void)unused;
    write_entry(folder, "tree.conf", "linux /deb/linux\ndevicetree /deb/board.dtb\n");
    write_entry(folder, "up.conf", "linux /deb/../deb/linux\n");
    write_entry(folder, "empty.conf", "linux \"\"\n");
    write_entry(folder, "quotes.conf", "linux /deb/linux\noptions \"\"\n");
    write_entry(folder, "shell.conf", "efi /deb/shell.efi\n");
    write_entry(folder, "link.conf", "linux /deb/link\n");
    made_start(&image);
    made_add(&image, ".text", "shell", 5);
    made_write(&image, folder, "/deb/shell.efi", NULL);
    snprintf(path, sizeof path, "%s/deb/link", folder);
    assert_int_equal(symlink("linux", path), 0);
    assert_given_up(&machine, "tree.conf", BOOT_ALL_PCRS, "device tree");
    assert_given_up(&machine, "up.conf", BOOT_ALL_PCRS, "is no path as boot loaders use it");
    assert_given_up(&machine, "empty.conf", BOOT_ALL_PCRS, "empty path");
    assert_given_up(&machine, "quotes.conf", BOOT_ALL_PCRS, "nothing but quotes");
    assert_given_up(&machine, "shell.conf", BOOT_ALL_PCRS, "neither a unified kernel image nor a Linux kernel");
    assert_given_up(&machine, "link.conf", BOOT_ALL_PCRS, "symbolic link");
    machine.secure_boot = true;
    assert_given_up(&machine, "tree.conf", 0, "");
    machine.through_shim = true;
    assert_given_up(&machine, "tree.conf", 1u << 4, "what shim measures");
    scratch_write_text(folder, "/EFI/systemd/drivers/ext4x64.efi", "a driver");
    assert_given_up(&machine, "tree.conf", BOOT_ALL_PCRS, "loads the drivers");
}

/* Other programs, other versions and other machines are not followed, and folders full of entries neither. */
static void test_refused_loaders(void **unused)
{
    cleanup(scratch_free) char *folder = new_esp();
    struct systemd_boot_machine machine = machine_of(folder);
    struct systemd_boot_menu menu;
    static const struct {
        const char *magic, *words;
    } loaders[] = { { "#### LoaderInfo: systemd-boot 257.9-1 ####", "systemd-boot 257.9-1" },
                    { "#### LoaderInfo: systemd-boot 2521 ####", "systemd-boot 2521" },
                    { MADE_STUB, "is not systemd-boot" },
                    { "", "is not systemd-boot" } };
    char name[32];

    (void)unused;
    for (size_t i = 0; i < array_size(loaders); i++) {
        write_loader(folder, loaders[i].magic);
        assert_int_equal(systemd_boot_read_menu(&machine, &menu, &error), ERROR_FAILED);
        assert_non_null(strstr(error.text, loaders[i].words));
        assert_true(error.remedy[0]);
        assert_int_equal(menu.count, 0);
    }
    write_loader(folder, MADE_LOADER);
    made_put(&image, 0x84, 0xaa64, 2);
    made_write(&image, folder, LOADER, NULL);
    assert_int_equal(systemd_boot_read_menu(&machine, &menu, &error), ERROR_FAILED);
    machine.loader = "/EFI/systemd/none.efi";
    assert_int_equal(systemd_boot_read_menu(&machine, &menu, &error), ERROR_FAILED);
    machine.loader = LOADER;
    write_loader(folder, MADE_LOADER);
    for (int i = 0; i <= SYSTEMD_BOOT_ENTRIES_MAX; i++) {
        snprintf(name, sizeof name, "%d.conf", i);
        write_entry(folder, name, "linux /deb/linux\n");
    }
    assert_int_equal(systemd_boot_read_menu(&machine, &menu, &error), ERROR_METADATA);
    assert_non_null(strstr(error.text, "more than 256 entries"));
}

/* Configuration of any bytes gives a menu or a reason. */
static void test_hostile(void **unused)
{
    cleanup(scratch_free) char *folder = new_esp();
    struct systemd_boot_machine machine = machine_of(folder);
    static char text[SYSTEMD_BOOT_ENTRIES_MAX * 300];
    static const char pieces[][12] = { "linux ",           "/deb/linux", "\n",      "\"", "options ", "=", "\\", "efi ",
                                       "\xf0\x9f\x90\xa7", "\xc3",       "initrd ", "\t", "default ", "[", "*",  "]-" };
    unsigned state = 1;

    (void)unused;
    for (int round = 0; round < 300; round++) {
        size_t length = 0;
        cleanup(systemd_boot_menu_free) struct systemd_boot_menu menu = { 0 };

        while (length < 200 + (size_t)round) {
            const char *piece = pieces[(state = state * 1103515245 + 12345) >> 16 & 15];

            memcpy(text + length, piece, strlen(piece));
            length += strlen(piece);
        }
        scratch_write(folder, "/loader/entries/a.conf", text, length);
        scratch_write(folder, "/loader/loader.conf", text, length);
        menu = read_menu(&machine);
        for (size_t i = 0; i < menu.count; i++) {
            cleanup(boot_prediction_free) struct boot_prediction prediction = predict(&machine, &menu.entries[i]);

            assert_int_equal(prediction.unknown & ~BOOT_ALL_PCRS, 0);
        }
    }
    memset(text, 'x', sizeof text);
    scratch_write(folder, "/loader/entries/a.conf", text, sizeof text);
    scratch_write_text(folder, "/loader/loader.conf", "");
    {
        cleanup(systemd_boot_menu_free) struct systemd_boot_menu menu = read_menu(&machine);

        assert_non_null(strstr(menu.reason, "is larger than"));
    }
}

int main(int count, char **arguments)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_recorded),
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_choice),
        cmocka_unit_test(test_no_choice),
        cmocka_unit_test(test_entry),
        cmocka_unit_test(test_unified),
        cmocka_unit_test(test_entry_for_unified),
        cmocka_unit_test(test_refused_entries),
        cmocka_unit_test(test_refused_loaders),
        cmocka_unit_test(test_hostile),
    };

    if (count == 2)
        recorded_folder = arguments[1];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
