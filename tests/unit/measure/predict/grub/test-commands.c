/* What commands measure and set: files, devices, fonts, languages. */
#include "scene.h"

#include "base/cleanup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define ENTRY "menuentry Linux {\n\tlinux /vmlinuz quiet\n}\n"

static void predict(struct scene *scene, const char *config)
{
    char whole[4096];

    snprintf(whole, sizeof whole, "%s" ENTRY, config);
    scene_write(scene, "boot/grub/grub.cfg", whole);
    scene_predict(scene);
}

static void searches(void **state)
{
    static const char *const rows[] = {
        "search --no-floppy --fs-uuid --set=x " SCENE_BOOT_UUID,
        "search --fs-uuid --set=x --hint-bios=hd9,gpt9 --hint-efi=hd9,gpt9 "
        "--hint-baremetal=ahci9,gpt9 " SCENE_BOOT_UUID,
        "search -n -u --set x " SCENE_BOOT_UUID,
        "search.fs_uuid AAAAAAAA-BBBB-CCCC-DDDD-EEEEEEEEEEEE x hd0,gpt1",
        "search --label boot --set=x",
        "search.fs_label boot x",
        "search --file --set=x /vmlinuz",
        "search.file /vmlinuz x",
        "search --file /vmlinuz --set=x",
    };

    for (size_t i = 0; i < array_size(rows); i++) {
        char config[512];

        if (i == 4)
            continue;
        snprintf(config, sizeof config, "if %s; then echo found=$x; fi\n", rows[i]);
        predict(*state, config);
        assert_true(scene_has(*state, "echo found=hd0,gpt2"));
    }
    predict(*state, "set root=hd9\nsearch --set --fs-uuid 1234-ABCD\necho $root\nset root=(hd0,gpt2)\necho $root\n");
    assert_true(scene_has(*state, "echo hd0,gpt1"));
    assert_true(scene_has(*state, "echo hd0,gpt2"));
}

/* A file that is searched for is opened. */
static void search_measures_the_file(void **state)
{
    predict(*state, "search --file --set=x /vmlinuz\n");
    assert_int_equal(scene_count(*state, 9, "(hd0,gpt2)/vmlinuz"), 1);
    assert_int_equal(scene_count(*state, 9, "/vmlinuz"), 1);
}

static void lists_of_the_prefix(void **state)
{
    struct scene *scene = *state;

    scene_write(scene, "boot/grub/x86_64-efi/fs.lst", "ext2\n");
    scene_write(scene, "boot/grub/x86_64-efi/command.lst", "test: test\n");
    scene_write(scene, "boot/grub/x86_64-efi/video.lst", "unused\n");
    predict(scene, "set prefix=$prefix\n");
    assert_int_equal(scene_count(scene, 9, "(hd0,gpt2)/grub/x86_64-efi/command.lst"), 2);
    assert_int_equal(scene_count(scene, 9, "(hd0,gpt2)/grub/x86_64-efi/fs.lst"), 2);
    assert_int_equal(scene_count(scene, 9, "(hd0,gpt2)/grub/x86_64-efi/crypto.lst"), 0);
    assert_int_equal(scene_count(scene, 9, "(hd0,gpt2)/grub/x86_64-efi/video.lst"), 0);
}

static const char catalog[32] = "\xde\x12\x04\x95";

static void languages(void **state)
{
    struct scene *scene = *state;

    scene_write_bytes(scene, "boot/grub/locale/de.mo", catalog, sizeof catalog);
    scene_write(scene, "boot/grub/locale/fr.mo", "no catalog");
    predict(scene, "set locale_dir=$prefix/locale\nset lang=de_DE\ninsmod gettext\n");
    assert_int_equal(scene_count(scene, 9, "(hd0,gpt2)/grub/locale/de.mo"), 1);
    predict(scene, "set lang=de\n");
    assert_int_equal(scene_count(scene, 9, "(hd0,gpt2)/grub/locale/de.mo"), 1);
    predict(scene, "set locale_dir=$prefix/locale\nset lang=fr_FR\n");
    assert_int_equal(scene_count(scene, 9, "(hd0,gpt2)/grub/locale/fr.mo"), 1);
    predict(scene, "set lang=de\nset secondary_locale_dir=$prefix/locale\nset lang=C\nset locale_dir=/\n");
    assert_int_equal(scene_count(scene, 9, "(hd0,gpt2)/grub/locale/de.mo"), 2);
    predict(scene, "set locale_dir=$prefix/locale\n");
    assert_int_equal(scene_count(scene, 9, "(hd0,gpt2)/grub/locale/de.mo"), 0);
    /* the first name that holds a catalog ends the search */
    scene_write_bytes(scene, "boot/grub/locale/de_DE.mo", catalog, sizeof catalog);
    predict(scene, "set lang=de_DE\n");
    assert_int_equal(scene_count(scene, 9, "(hd0,gpt2)/grub/locale/de_DE.mo"), 1);
    assert_int_equal(scene_count(scene, 9, "(hd0,gpt2)/grub/locale/de.mo"), 0);
}

/* From a disk, a font is measured; Secure Boot then refuses it. */
static void fonts(void **state)
{
    static const char font[32] = "FILE\0\0\0\4PFF2";
    struct scene *scene = *state;

    scene_write_bytes(scene, "boot/grub/unicode.pf2", font, sizeof font);
    scene_write_bytes(scene, "boot/grub/fonts/other.pf2", font, sizeof font);
    predict(scene, "if loadfont unicode; then echo built in; fi\n"
                   "if loadfont /grub/unicode.pf2; then echo path; else echo no path; fi\n"
                   "if loadfont other; then echo name; else echo no name; fi\n"
                   "if loadfont third; then echo third; else echo no third; fi\n");
    assert_true(scene_has(scene, "echo built in"));
    assert_true(scene_has(scene, "echo no path"));
    assert_true(scene_has(scene, "echo no name"));
    assert_true(scene_has(scene, "echo no third"));
    assert_int_equal(scene_count(scene, 9, "/grub/unicode.pf2"), 1);
    assert_int_equal(scene_count(scene, 9, "(hd0,gpt2)/grub/fonts/other.pf2"), 1);
    scene->request.secure_boot = false;
    predict(scene, "set root=hd0,gpt2\n"
                   "if loadfont /grub/unicode.pf2; then echo path; fi\nif loadfont other; then echo name; fi\n");
    assert_true(scene_has(scene, "echo path"));
    assert_true(scene_has(scene, "echo name"));
    assert_int_equal(scene_count(scene, 9, "/grub/unicode.pf2"), 1);
    assert_int_equal(scene_count(scene, 9, "(hd0,gpt2)/grub/fonts/other.pf2"), 1);
}

static void modules(void **state)
{
    struct scene *scene = *state;

    scene_write(scene, "boot/grub/x86_64-efi/tga.mod", "a module");
    predict(scene, "insmod ext2\ninsmod part_gpt\ninsmod tga\ninsmod vga\necho $?\n");
    assert_int_equal(scene_count(scene, 9, "(hd0,gpt2)/grub/x86_64-efi/tga.mod"), 1);
    assert_true(scene_has(scene, "echo 0"));
    scene->request.secure_boot = false;
    scene_refuse(scene, "insmod vga\ninsmod tga\n", "line 2: cannot be followed: the module \"tga\"");
}

static void pictures(void **state)
{
    struct scene *scene = *state;

    scene_write_bytes(scene, "boot/grub/x.png", "\x89PNG\r\n\x1a\n and more", 17);
    scene_write(scene, "boot/grub/y.jpg", "no picture");
    predict(scene, "terminal_output gfxterm\nif background_image /grub/x.png; then echo good; fi\n"
                   "if background_image -m stretch /grub/none.png; then echo none; else echo no none; fi\n");
    assert_int_equal(scene_count(scene, 9, "/grub/x.png"), 1);
    assert_true(scene_has(scene, "echo good"));
    assert_true(scene_has(scene, "echo no none"));
    scene_refuse(scene, "terminal_output gfxterm\nif background_image /grub/y.jpg; then echo good; fi\n",
                 "whether the command before succeeds");
    scene_refuse(scene, "background_image /grub/x.png\n", "without terminal_output gfxterm");
    scene_refuse(scene, "terminal_output gfxterm\nterminal_output console\nbackground_image /grub/x.png\n",
                 "without terminal_output gfxterm");
    scene_refuse(scene, "terminal_output gfxterm\nbackground_image /grub/x.tga\n", "neither .png nor .jpg");
}

static void other_files(void **state)
{
    struct scene *scene = *state;

    scene_write(scene, "boot/grub/custom.cfg", "echo $config_directory $config_file\nx=1\n");
    predict(scene, "if [ -f ${config_directory}/custom.cfg ]; then\n  source ${config_directory}/custom.cfg\nfi\n"
                   "echo $x $config_directory\n. /grub/nothing\necho $?\n");
    assert_true(scene_has(scene, "echo (hd0,gpt2)/grub (hd0,gpt2)/grub/custom.cfg"));
    assert_true(scene_has(scene, "echo 1 (hd0,gpt2)/grub"));
    assert_int_equal(scene_count(scene, 9, "(hd0,gpt2)/grub/custom.cfg"), 1);
    /* configfile: what is not exported stays out, and nothing comes back */
    scene_write(scene, "boot/grub/custom.cfg", "echo in a=$a b=$b\nb=3\n");
    predict(scene, "a=1\nb=2\nexport b\nconfigfile /grub/custom.cfg\necho out a=$a b=$b\n");
    assert_true(scene_has(scene, "echo out a=1 b=2"));
}

/* Of the first part of the block, and only what was asked for. */
static void environment_blocks(void **state)
{
    struct scene *scene = *state;

    scene_write(scene, "boot/grub/grubenv", "# GRUB Environment Block\na=1\nb=x\\\\y\\\nz\n# c=1\nd=4\n#####");
    scene_write(scene, "boot/other", "# GRUB Environment Block\na=2\n####");
    scene_write(scene, "boot/broken", "a=2\n");
    predict(scene, "load_env\necho $a \"$b\" $c $d\nload_env --file /other a\nload_env -f (hd0,gpt2)/other\necho $a\n"
                   "load_env -s d\nload_env --skip-sig\nif load_env -f /none; then true; else echo none; fi\n");
    assert_true(scene_has(scene, "echo 1 x\\y\nz 4"));
    assert_true(scene_has(scene, "echo 2"));
    assert_true(scene_has(scene, "echo none"));
    assert_int_equal(scene_count(scene, 9, "(hd0,gpt2)/grub/grubenv"), 1);
    assert_int_equal(scene_count(scene, 9, "(hd0,gpt2)/other"), 1);
    predict(scene, "a=1\nif load_env -f (hd0,gpt2)/broken a; then echo good; else echo $a; fi\n");
    assert_true(scene_has(scene, "echo 1"));
    predict(scene, "load_env d\necho a=$a d=$d\n");
    assert_true(scene_has(scene, "echo a= d=4"));
}

/* What was saved is what is read later in the same boot. */
static void saved_and_loaded(void **state)
{
    struct scene *scene = *state;

    scene_write(scene, "boot/grub/grubenv", "# GRUB Environment Block\na=1\n##########");
    predict(scene, "load_env\na=22\nsave_env a\nunset a\nload_env\necho $a\n");
    assert_true(scene_has(scene, "echo 22"));
    assert_int_equal(scene->boot.written_count, 1);
    assert_memory_equal(scene->boot.written[0].bytes, "# GRUB Environment Block\na=22\n#########", 39);
    assert_int_equal(scene_count(scene, 9, "(hd0,gpt2)/grub/grubenv"), 2);
    predict(scene, "load_env\nunset a\nsave_env a\n");
    assert_memory_equal(scene->boot.written[0].bytes, "# GRUB Environment Block\n##############", 39);
    predict(scene, "load_env\nsave_env a\nsave_env\n");
    assert_int_equal(scene->boot.written_count, 0);
    predict(scene, "set a=more-than-there-is-room-for\nif save_env a; then true; else echo full; fi\n");
    assert_true(scene_has(scene, "echo full"));
    assert_int_equal(scene->boot.written_count, 0);
}

/* Commands without an effect on what is measured; nothing may depend on those whose outcome is the hardware's. */
static void quiet_commands(void **state)
{
    static const char *const unknown[] = { "serial --unit=0 --speed=115200",
                                           "terminal_input console serial",
                                           "terminal_output serial",
                                           "cutmem 1 2",
                                           "badram 1,2",
                                           "terminfo serial vt100",
                                           "play 480 440 1",
                                           "background_color red",
                                           "password_pbkdf2 root grub.x" };

    predict(*state, "clear\nif sleep --verbose --interruptible 3; then echo slept; fi\ngettext x\n");
    assert_true(scene_has(*state, "echo slept"));
    for (size_t i = 0; i < array_size(unknown); i++) {
        char config[256];

        snprintf(config, sizeof config, "%s\necho after\n", unknown[i]);
        predict(*state, config);
        assert_true(scene_has(*state, "echo after"));
        snprintf(config, sizeof config, "if %s; then echo a; fi\n", unknown[i]);
        scene_refuse(*state, config, "not known whether the command before succeeds");
    }
}

static void banks(void **state)
{
    static const enum hash_algorithm algorithms[] = { HASH_SHA1, HASH_SHA384, HASH_SHA512 };
    struct scene *scene = *state;

    for (size_t i = 0; i < array_size(algorithms); i++) {
        uint8_t digest[HASH_MAX_BYTES];

        scene->request.bank = algorithms[i];
        predict(scene, "");
        assert_int_equal(hash_compute(algorithms[i], &(struct span){ "a kernel", 8 }, 1, digest, &scene->error), 0);
        assert_memory_equal(scene->boot.extends.items[scene->boot.kernel_index].digest, digest,
                            hash_size(algorithms[i]));
    }
}

static void known_hashes(void **state)
{
    struct scene *scene = *state;
    struct digest digest = { { 1, 2, 3 } };
    struct grub_known_file known = { .size = 1, .digest = digest.bytes, .sha256 = &digest };
    char path[SCENE_PATH];

    snprintf(path, sizeof path, "%s", scene_path(scene, "boot/vmlinuz"));
    known.path = path;
    unlink(path);
    scene->request.known_files = &known;
    scene->request.known_file_count = 1;
    predict(scene, "");
    assert_memory_equal(scene->boot.extends.items[scene->boot.kernel_index].digest, digest.bytes, 32);
    known.sha256 = NULL;
    grub_boot_free(&scene->boot);
    assert_int_equal(grub_predict(&scene->request, &scene->boot, &scene->error), ERROR_USAGE);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, scene_setup, scene_teardown)
    const struct CMUnitTest tests[] = {
        TEST(searches),
        TEST(search_measures_the_file),
        TEST(lists_of_the_prefix),
        TEST(languages),
        TEST(fonts),
        TEST(modules),
        TEST(pictures),
        TEST(other_files),
        TEST(environment_blocks),
        TEST(saved_and_loaded),
        TEST(quiet_commands),
        TEST(banks),
        TEST(known_hashes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
