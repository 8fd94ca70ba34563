/* What cannot be followed is said, with its place, and gives no prediction. */
#include "scene.h"

#include "base/cleanup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

struct row {
    const char *config, *part;
};

static void refuse_all(struct scene *scene, const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++)
        scene_refuse(scene, rows[i].config, rows[i].part);
}

static void syntax(void **state)
{
    static const struct row rows[] = {
        { "echo a\necho 'b\n", "line 2: cannot be followed: a quote that does not end" },
        { "echo \"b\n", "a quote that does not end" },
        { "echo $\n", "line 1: cannot be followed: a \"$\" without" },
        { "echo ${a\n", "a \"$\" without" },
        { "echo \"$ \"\n", "a \"$\" without" },
        { "echo ${a b}\n", "a \"$\" without" },
        { "echo $\"a\"\n", "translates" },
        { "if true; then echo a\n", "missing" },
        { "if true; then fi\n", "a command is missing" },
        { "if; then echo a; fi\n", "a command is missing" },
        { "if true then echo a; fi\n", "a \"then\" is missing" },
        { "fi\n", "a command is missing" },
        { "for x in a b; echo; done\n", "a \"do\" is missing" },
        { "for 1 in a b; do echo; done\n", "a name is missing" },
        { "while true; do echo; fi\n", "a \"done\" is missing" },
        { "function f { echo }\n", "missing" },
        { "function f { }\n", "a command is missing" },
        { "function 1 { echo; }\n", "a name is missing" },
        { "if true; then function f { echo; }; fi\n", "a command is missing" },
        { "menuentry a {\n}\n", "a command is missing" },
        { "menuentry a {\n echo a\n", "missing" },
        { "echo a }\n", "missing" },
        { "}\n", "a command is missing" },
        { "{ echo a; }\n", "a command is missing" },
        { "echo a | echo b\n", "no use for" },
        { "echo a && echo b\n", "no use for" },
        { "echo a > b\n", "no use for" },
        { "echo a;; echo b\n", "no use for" },
        { ";\n", "a command is missing" },
        { "[[ a ]]\n", "a command is missing" },
        { "echo [[ a\n", "[[" },
    };

    refuse_all(*state, rows, array_size(rows));
}

static void commands(void **state)
{
    static const struct row rows[] = {
        { "true\n\nchainloader /x.efi\n", "line 3: cannot be followed: the command \"chainloader\"" },
        { "probe -u $root --set=x\n", "the command \"probe\"" },
        { "cryptomount -a\n", "the command \"cryptomount\"" },
        { "fwsetup\n", "the command \"fwsetup\"" },
        { "reboot\n", "the command \"reboot\"" },
        { "keymap de\n", "the command \"keymap\"" },
        { "linux16 /vmlinuz\n", "the command \"linux16\"" },
        { "legacy_configfile /x\n", "the command \"legacy_configfile\"" },
        { "exit\n", "the command \"exit\"" },
        { "eval echo\n", "the command \"eval\"" },
        { "rmmod tpm\n", "the command \"rmmod\"" },
        { "regexp a b\n", "the command \"regexp\"" },
        { "no_such_command\n", "\"no_such_command\" is not known" },
        { "! no_such_command\n", "\"no_such_command\" is not known" },
        { "!\n", "without a command" },
        { "function ls { echo; }\nls\n", "the command \"ls\"" },
        { "echo /*\n", "may stand for files" },
        { "echo a?\n", "may stand for files" },
        { "x='*'\necho $x\n", "may stand for files" },
        { "false\necho $?\n", "$?" },
        { "return\n", "outside of a function" },
        { "set check_signatures=enforce\n", "check_signatures" },
        { "set net_default_server=x\n", "net_default_server" },
        { "terminal_output morse\n", "the terminal \"morse\"" },
        { "play /tune\n", "a tune" },
        { "[ 010 -eq 8 ]\n", "the number \"010\"" },
        { "[ 0x10 -eq 8 ]\n", "the number \"0x10\"" },
        { "[ /a -nt /b ]\n", "the comparison" },
        { "[ a-1 -plt a-2 ]\n", "the comparison" },
        { "search --set=x --fs-uuid 0000\n", "no known file system" },
        { "search --set=x --label\n", "no known file system" },
        { "search --set=x --cryptodisk-only --label y\n", "the option" },
        { "search --set=x " SCENE_BOOT_UUID "\n", "search with these" },
        { "search --fs-u --set=x " SCENE_BOOT_UUID "\n", "the option \"--fs-u\"" },
        { "load_env --fil /x\n", "the option" },
        { "menuentry a --source 'echo'\n", "--source" },
        { "menuentry a --hotke x {\n echo\n}\n", "the option \"--hotke\"" },
        { "menuentry {\n echo\n}\n", "without a title" },
        { "menuentry a\n", "without a title or a body" },
        { "break x\n", "the number \"x\"" },
        { "insmod /x.mod\n", "the module file" },
    };

    refuse_all(*state, rows, array_size(rows));
}

static void kernels(void **state)
{
    static const struct row rows[] = {
        { "linux /none\n", "there is no kernel \"/none\"" },
        { "linux /grub\n", "there is no kernel" },
        { "linux\n", "\"linux\" command" },
        { "linux /vmlinuz\nlinux /vmlinuz\n", "a second one" },
        { "initrd /initrd.img\n", "without a kernel" },
        { "linux /vmlinuz\ninitrd /none\n", "there is no initrd \"/none\"" },
        { "linux /vmlinuz\ninitrd /initrd.img\ninitrd /initrd.img\n", "a second one" },
        { "linux /vmlinuz\ninitrd newc:x:/initrd.img\n", "newc:" },
        { "linux vmlinuz\n", "no \"/\" in front" },
        { "linux (hd0,gpt2)vmlinuz\n", "no \"/\" in front" },
        { "linux (hd0,gpt2\n", "the file name" },
        { "boot\n", "without a kernel" },
        { "", "starts no kernel" },
        { "menuentry a {\n true\n}\n", "starts no kernel" },
        { "submenu a {\n true\n}\n", "starts no kernel" },
        { "submenu a {\n menuentry b {\n fwsetup\n}\n}\n", "the menu entry \"b\", line 3" },
    };

    refuse_all(*state, rows, array_size(rows));
}

static void devices(void **state)
{
    static const struct row rows[] = {
        { "[ -e (hd1,gpt2)/x ]\n", "what is on the device \"hd1,gpt2\"" },
        { "[ -e (memdisk)/x ]\n", "what is on the device \"memdisk\"" },
        { "set root=hd0\nlinux /vmlinuz\n", "what is on the device \"hd0\"" },
        { "unset root\nlinux /vmlinuz\n", "what is on the device" },
        { "linux /grub/../vmlinuz\n", "\"..\"" },
        { "linux /link\n", "symbolic link" },
        { "linux /folder/vmlinuz\n", "symbolic link" },
        { "[ -e /link ]\n", "symbolic link" },
        { "linux /pipe\n", "is no file" },
    };
    struct scene *scene = *state;
    char link[SCENE_PATH];

    snprintf(link, sizeof link, "%s", scene_path(scene, "boot/link"));
    assert_int_equal(symlink("vmlinuz", link), 0);
    snprintf(link, sizeof link, "%s", scene_path(scene, "boot/folder"));
    assert_int_equal(symlink(".", link), 0);
    assert_int_equal(mkfifo(scene_path(scene, "boot/pipe"), 0600), 0);
    refuse_all(scene, rows, array_size(rows));
    scene->items[2] = (struct boot_place){ scene->boot_folder, SCENE_BOOT_UUID, "boot", "gpt3", 0 };
    scene->places.count = 3;
    scene_refuse(scene, "", "more than one file system fits");
    scene->items[2].partition = "gpt2";
    scene->items[2].uuid = "";
    scene_refuse(scene, "", "more than one file system may be \"hd0,gpt2\"");
}

static void requests(void **state)
{
    struct scene *scene = *state;

    scene->request.config = "(hd0,gpt1)/EFI/debian/none.cfg";
    assert_int_equal(grub_predict(&scene->request, &scene->boot, &scene->error), ERROR_FAILED);
    assert_non_null(strstr(scene->error.text, "is not there"));
    scene->request.prefix = NULL;
    assert_int_equal(grub_predict(&scene->request, &scene->boot, &scene->error), ERROR_USAGE);
    scene->request.prefix = "";
    scene->request.bank = (enum hash_algorithm)1;
    assert_int_equal(grub_predict(&scene->request, &scene->boot, &scene->error), ERROR_USAGE);
}

static void themes(void **state)
{
    struct scene *scene = *state;

    scene_write(scene, "boot/grub/grub.cfg",
                "terminal_output gfxterm\nset theme=/x\nset timeout=0\nmenuentry a {\n linux /vmlinuz\n}\n");
    scene_predict(scene);
    scene_refuse(scene, "terminal_output gfxterm\nset theme=/x\nset timeout=1\nmenuentry a {\n linux /vmlinuz\n}\n",
                 "theme");
    scene->request.choice = "a";
    scene_refuse(scene, "terminal_output gfxterm\nset theme=/x\nset timeout=0\nmenuentry a {\n linux /vmlinuz\n}\n",
                 "theme");
}

/* Files that refer to each other, and each limit of time and memory. */
static void endless(void **state)
{
    static const struct row rows[] = {
        { "source $prefix/grub.cfg\n", "too deep" },
        { "configfile $prefix/grub.cfg\n", "too deep" },
        { "while true; do x=1; done\n", "more than 4096 commands" },
        { "until false; do x=1; done\n", "more than 4096 commands" },
        { "function f { f; }\nf\n", "too deep" },
        { "x=a\nwhile true; do x=$x$x; done\n", "longer than" },
        { "x=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n"
          "for i in 1 2 3 4 5 6 7 8 9 10 11 12; do x=$x$x; done\nwhile true; do y=$x; done\n",
          "MiB" },
        { "function f { menuentry a { true; }; }\nwhile true; do f; done\n", "more than 512 menu entries" },
        { "x='a b'\nfor i in 1 2 3 4 5 6 7 8 9 10 11 12 13; do x=\"$x $x\"; done\necho $x\n", "words" },
        { "submenu a {\n while true; do true; done\n}\n", "commands" },
    };

    refuse_all(*state, rows, array_size(rows));
}

static void nested(void **state)
{
    struct scene *scene = *state;
    char config[8192];
    size_t size;

    for (size_t kind = 0; kind < 3; kind++) {
        static const char *const pieces[] = { "if true; then ", "menuentry a { ", "while true; do " };

        size = 0;
        for (size_t i = 0; i < 300; i++)
            size += (size_t)snprintf(config + size, sizeof config - size, "%s", pieces[kind]);
        scene_refuse(scene, config, "too many constructs");
    }
    size = (size_t)snprintf(config, sizeof config, "if false; then true");
    for (size_t i = 0; i < 300; i++)
        size += (size_t)snprintf(config + size, sizeof config - size, "; elif false; then true");
    snprintf(config + size, sizeof config - size, "; fi\n");
    scene_refuse(scene, config, "too many constructs");
    size = (size_t)snprintf(config, sizeof config, "[ ");
    for (size_t i = 0; i < 300; i++)
        size += (size_t)snprintf(config + size, sizeof config - size, "'(' ");
    snprintf(config + size, sizeof config - size, "]\n");
    scene_refuse(scene, config, "too many parentheses");
}

static void sizes(void **state)
{
    struct scene *scene = *state;
    size_t size = 1024 * 1024 + 1;
    char *bytes = malloc(size);
    char line[4096];

    assert_non_null(bytes);
    memset(bytes, '#', size);
    scene_write_bytes(scene, "boot/grub/large.cfg", bytes, size);
    scene_write_bytes(scene, "boot/grub/zero.cfg", "echo\0echo\n", 10);
    free(bytes);
    scene_refuse(scene, "source /grub/large.cfg\n", "is larger than");
    scene_refuse(scene, "source /grub/zero.cfg\n", "no text");
    memset(line, 'x', sizeof line);
    memcpy(line, "linux /vmlinuz ", 15);
    line[sizeof line - 1] = '\0';
    scene_refuse(scene, line, "a command line longer than");
    memset(line, '/', 2000);
    memcpy(line, "linux ", 6);
    memset(line + 20, 'x', 1000);
    line[1020] = '\0';
    scene_refuse(scene, line, "a file name longer than 512 characters");
    line[400] = '\0';
    scene_refuse(scene, line, "a name is too long");
    assert_int_equal(truncate(scene_path(scene, "boot/initrd.img"), 2049LL * 1024 * 1024), 0);
    scene_refuse(scene, "linux /vmlinuz\ninitrd /initrd.img\n", "is larger than");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, scene_setup, scene_teardown)
    const struct CMUnitTest tests[] = {
        TEST(syntax), TEST(commands), TEST(kernels), TEST(devices), TEST(requests),
        TEST(themes), TEST(endless),  TEST(nested),  TEST(sizes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
