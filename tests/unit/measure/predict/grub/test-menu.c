/* Which entry boots, and what that measures. */
#include "scene.h"

#include "base/cleanup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* $chosen and $default show in each entry. */
#define MENU                                                                                                           \
    "menuentry 'First one' --id first {\n echo chosen=$chosen default=$default.\n linux /vmlinuz first\n}\n"           \
    "submenu 'More > below' --id more {\n"                                                                             \
    " menuentry 'Second one' --id second {\n  echo chosen=$chosen.\n  linux /vmlinuz second\n }\n"                     \
    " menuentry 'Third one' {\n  linux /vmlinuz third\n  initrd /initrd.img /vmlinuz\n }\n"                            \
    " submenu Deep --id deep {\n  menuentry Last --id last {\n   linux /vmlinuz last\n  }\n }\n"                       \
    "}\n"                                                                                                              \
    "menuentry 'Firmware' --id firmware {\n fwsetup\n}\n"

static void predict(struct scene *scene, const char *before, const char *after)
{
    char config[4096];

    snprintf(config, sizeof config, "%s%s%s", before, MENU, after);
    scene_write(scene, "boot/grub/grub.cfg", config);
    scene_predict(scene);
}

static void assert_boots(const struct scene *scene, const char *path, const char *command_line)
{
    assert_string_equal(scene->boot.menu[scene->boot.chosen].path, path);
    assert_string_equal(scene->boot.command_line, command_line);
}

static void default_is_first(void **state)
{
    struct scene *scene = *state;

    predict(scene, "", "set timeout=5\n");
    assert_boots(scene, "first", "first");
    assert_false(scene->boot.waits);
    assert_true(scene_has(scene, "echo chosen=first default=."));
    assert_true(scene_has(scene, "setparams First one"));
}

static void defaults(void **state)
{
    static const struct {
        const char *value, *path, *command_line;
    } rows[] = {
        { "0", "first", "first" },
        { "first", "first", "first" },
        { "First one", "first", "first" },
        { "more>second", "more>second", "second" },
        { "1>1", "more>Third one", "third" },
        { "1>Third one", "more>Third one", "third" },
        { "More >> below>second", "more>second", "second" },
        { "more", "more>second", "second" },
        { "1>2>0", "more>deep>last", "last" },
        { "1>2", "more>deep>last", "last" },
        { "99", "first", "first" },
        { "nothing of this", "first", "first" },
        { "more>nothing", "more>second", "second" },
        { "0 and more", "first", "first" },
        { "0x1>1", "more>Third one", "third" },
    };

    for (size_t i = 0; i < array_size(rows); i++) {
        char line[128];

        snprintf(line, sizeof line, "set timeout=5\nset default='%s'\n", rows[i].value);
        predict(*state, line, "");
        assert_boots(*state, rows[i].path, rows[i].command_line);
    }
}

static void listed(void **state)
{
    static const struct {
        const char *path, *title;
        unsigned depth;
        bool submenu;
    } rows[] = {
        { "first", "First one", 0, false },        { "more", "More > below", 0, true },
        { "more>second", "Second one", 1, false }, { "more>Third one", "Third one", 1, false },
        { "more>deep", "Deep", 1, true },          { "more>deep>last", "Last", 2, false },
        { "firmware", "Firmware", 0, false },
    };
    struct scene *scene = *state;

    predict(scene, "", "");
    assert_int_equal(scene->boot.menu_count, array_size(rows));
    for (size_t i = 0; i < array_size(rows); i++) {
        assert_string_equal(scene->boot.menu[i].path, rows[i].path);
        assert_string_equal(scene->boot.menu[i].title, rows[i].title);
        assert_int_equal(scene->boot.menu[i].depth, rows[i].depth);
        assert_int_equal(scene->boot.menu[i].submenu, rows[i].submenu);
    }
    /* looking into submenus is nothing that GRUB did */
    assert_false(scene_has(scene, "setparams More > below"));
}

/* The way down measures what is entered, and each way differs. */
static void choices(void **state)
{
    struct scene *scene = *state;

    scene->request.choice = "more>deep>last";
    predict(scene, "", "set timeout=5\nset default=more\n");
    assert_boots(scene, "more>deep>last", "last");
    assert_true(scene_has(scene, "setparams More > below"));
    assert_true(scene_has(scene, "setparams Deep"));
    assert_true(scene_has(scene, "setparams Last"));
    scene->request.choice = "more>second";
    predict(scene, "", "set timeout=5\n");
    assert_true(scene_has(scene, "echo chosen=more>second."));
    scene->request.choice = "First one";
    predict(scene, "", "set default='more>second'\n");
    assert_boots(scene, "first", "first");
    assert_true(scene_has(scene, "echo chosen=first default=second."));
}

/* What a person chooses and what boots untouched is the same where nothing looks at the difference. */
static void choice_and_default(void **state)
{
    struct scene *scene = *state;
    struct grub_boot untouched;

    predict(scene, "", "set timeout=5\nset default='more>second'\n");
    untouched = scene->boot;
    scene->boot = (struct grub_boot){ 0 };
    scene->request.choice = "more>second";
    scene_predict(scene);
    assert_int_equal(scene->boot.extends.count, untouched.extends.count);
    for (size_t i = 0; i < untouched.extends.count; i++)
        assert_string_equal(scene->boot.extends.items[i].text, untouched.extends.items[i].text);
    grub_boot_free(&untouched);
}

static void wrong_choices(void **state)
{
    static const char *const rows[] = { "nothing", "more", "more>nothing", "first>more", "more>deep", "0", "" };
    struct scene *scene = *state;

    predict(scene, "", "");
    for (size_t i = 0; i < array_size(rows); i++) {
        grub_boot_free(&scene->boot);
        scene->request.choice = rows[i];
        assert_int_equal(grub_predict(&scene->request, &scene->boot, &scene->error), ERROR_USAGE);
        assert_int_equal(scene->boot.menu_count, 0);
    }
}

static void waiting(void **state)
{
    static const char *const waits[] = { "",
                                         "set timeout=-1\n",
                                         "set timeout=x\n",
                                         "set timeout=\n",
                                         "set timeout=5\nset superusers=root\n",
                                         "set timeout_style=hidden\nset timeout=-1\n" };
    static const char *const boots[] = { "set timeout=0\n", "set timeout=5\n",
                                         "set timeout=10\nset timeout_style=hidden\n",
                                         "set timeout=0\nset timeout_style=countdown\n" };
    struct scene *scene = *state;

    for (size_t i = 0; i < array_size(waits); i++) {
        predict(scene, "", waits[i]);
        assert_true(scene->boot.waits);
        assert_boots(scene, "first", "first");
    }
    for (size_t i = 0; i < array_size(boots); i++) {
        predict(scene, "", boots[i]);
        assert_false(scene->boot.waits);
    }
}

static void unrestricted(void **state)
{
    struct scene *scene = *state;

    scene_write(scene, "boot/grub/grub.cfg",
                "set superusers=root\nset timeout=1\nmenuentry a --unrestricted {\n linux /vmlinuz\n}\n");
    scene_predict(scene);
    assert_false(scene->boot.waits);
    scene_write(scene, "boot/grub/grub.cfg",
                "set superusers=root\nset timeout=1\nmenuentry a --users x --unrestricted {\n linux /vmlinuz\n}\n");
    scene_predict(scene);
    assert_true(scene->boot.waits);
}

/* Variables pass into an entry, and into a submenu only when they are exported. */
static void environments(void **state)
{
    struct scene *scene = *state;

    scene->request.choice = "s>e";
    scene_write(scene, "boot/grub/grub.cfg",
                "a=1\nb=2\nexport b\nsubmenu s {\n echo a=$a b=$b 1=$1\n c=3\n menuentry e {\n  echo c=$c\n  linux "
                "/vmlinuz\n }\n}\n");
    scene_predict(scene);
    assert_true(scene_has(scene, "echo a= b=2 1=s"));
    assert_true(scene_has(scene, "echo c=3"));
}

static void titles_with_quotes(void **state)
{
    struct scene *scene = *state;

    scene_write(scene, "boot/grub/grub.cfg",
                "menuentry \"it's \\\"x\\\" \\$y\" more {\n echo \"$1|$2|$#\"\n linux /vmlinuz\n}\n");
    scene_predict(scene);
    assert_true(scene_has(scene, "setparams it's \"x\" $y more"));
    assert_true(scene_has(scene, "echo it's \"x\" $y|more|2"));
    assert_string_equal(scene->boot.menu[0].path, "it's \"x\" $y");
}

/* GRUB_SAVEDEFAULT as grub-mkconfig writes it: two boots, and then no change. */
static void saved_default(void **state)
{
    static const char config[] =
        "if [ -s $prefix/grubenv ]; then\n  load_env\nfi\nset default=\"${saved_entry}\"\nset timeout=5\n"
        "function savedefault {\n  if [ -z \"${boot_once}\" ]; then\n    saved_entry=\"${chosen}\"\n    save_env "
        "saved_entry\n  fi\n}\n"
        "menuentry A --id a {\n\tsavedefault\n\tlinux /vmlinuz\n}\nsubmenu S --id s {\nmenuentry B --id b "
        "{\n\tsavedefault\n\tlinux /vmlinuz\n}\n}\n";
    struct scene *scene = *state;
    struct grub_known_file known = { 0 };
    char block[1024];
    struct grub_written_file written;

    memset(block, '#', sizeof block);
    memcpy(block, "# GRUB Environment Block\n", 25);
    scene_write_bytes(scene, "boot/grub/grubenv", block, sizeof block);
    scene_write(scene, "boot/grub/grub.cfg", config);
    scene->request.choice = "s>b";
    scene_predict(scene);
    assert_int_equal(scene->boot.written_count, 1);
    written = scene->boot.written[0];
    assert_memory_equal(written.bytes, "# GRUB Environment Block\nsaved_entry=s>b\n####", 45);
    known = (struct grub_known_file){ .path = scene_path(scene, "boot/grub/grubenv"),
                                      .bytes = written.bytes,
                                      .size = written.size };
    scene->boot.written_count = 0; /* kept beyond the next prediction */
    scene->request.known_files = &known;
    scene->request.known_file_count = 1;
    scene->request.choice = NULL;
    scene_predict(scene);
    assert_string_equal(scene->boot.menu[scene->boot.chosen].path, "s>b");
    assert_true(scene_has(scene, "set default=s>b"));
    assert_int_equal(scene->boot.written_count, 0);
    free(written.path);
    free(written.bytes);
}

/* The menu of the first file itself, without another configuration. */
static void menu_of_first_file(void **state)
{
    struct scene *scene = *state;

    scene_write(scene, "esp/EFI/debian/grub.cfg",
                "search.fs_uuid " SCENE_BOOT_UUID " root\nset timeout=0\nmenuentry x {\nlinux /vmlinuz a 'b c' "
                "\"d\\\"e\" f\\\\g\ninitrd /initrd.img\n}\n");
    scene_predict(scene);
    assert_string_equal(scene->boot.command_line, "a \"b c\" d\\\"e f\\\\g");
    assert_int_equal(scene_count(scene, 8, "kernel_cmdline: /vmlinuz a \"b c\" d\\\"e f\\\\g"), 1);
}

/* A kernel without a menu, and the command that starts it at once. */
static void no_menu(void **state)
{
    struct scene *scene = *state;

    scene_write(scene, "boot/grub/grub.cfg", "linux /vmlinuz\ninitrd /initrd.img /vmlinuz\nboot\necho never\n");
    scene_predict(scene);
    assert_int_equal(scene->boot.menu_count, 0);
    assert_int_equal(scene->boot.initrd_count, 2);
    assert_string_equal(scene->boot.command_line, "");
    assert_false(scene_has(scene, "echo never"));
    assert_string_equal(scene->boot.extends.items[scene->boot.kernel_index].text, "/vmlinuz");
    assert_int_equal(scene->boot.extends.items[scene->boot.kernel_index].pcr, 9);
    scene->request.choice = "x";
    grub_boot_free(&scene->boot);
    assert_int_equal(grub_predict(&scene->request, &scene->boot, &scene->error), ERROR_USAGE);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, scene_setup, scene_teardown)
    const struct CMUnitTest tests[] = {
        TEST(default_is_first),
        TEST(defaults),
        TEST(listed),
        TEST(choices),
        TEST(choice_and_default),
        TEST(wrong_choices),
        TEST(waiting),
        TEST(unrestricted),
        TEST(environments),
        TEST(titles_with_quotes),
        TEST(saved_default),
        TEST(menu_of_first_file),
        TEST(no_menu),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
