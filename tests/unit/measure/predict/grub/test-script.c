/* The script language: what GRUB executes, word by word, shown by what it measures. */
#include "scene.h"

#include "base/cleanup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void words(void **state)
{
    scene_expect(*state, "echo a  b\tc\n", "echo a b c", NULL);
    scene_expect(*state, "echo 'a  b' \"c  d\" e'f'\"g\"\n", "echo a  b c  d efg", NULL);
}

static void separators(void **state)
{
    scene_expect(*state, "echo a;echo b ; echo c\n\n  \necho d;\n", "echo a", "echo b", "echo c", "echo d", NULL);
}

static void escapes(void **state)
{
    scene_expect(*state, "echo a\\ b \\$x \\\"c\\' \\\\\n", "echo a b $x \"c' \\", NULL);
    scene_expect(*state, "echo \"\\$x \\\"c\\\\ \\n\"\n", "echo $x \"c\\ \\n", NULL);
    scene_expect(*state, "echo '\\$x \"c'\n", "echo \\$x \"c", NULL);
    scene_expect(*state, "echo a \\\n  b\\\nc\n", "echo a bc", NULL);
    scene_expect(*state, "echo \"a\\\nb\"\n", "echo ab", NULL);
    scene_expect(*state, "echo \\* '*' \"?\"\n", "echo * * ?", NULL);
}

static void lines_in_quotes(void **state)
{
    scene_expect(*state, "echo 'a\nb' \"c\nd\"\n", "echo a\nb c\nd", NULL);
}

/* Only a line that starts with one is left out; elsewhere "#" must begin a word. */
static void comments(void **state)
{
    scene_expect(*state, "# echo no\necho a # b\n  # c\necho d#e\n#\n", "echo a", "echo d#e", NULL);
    scene_expect(*state, "echo 'a\n# gone\nb'\n", "echo a\nb", NULL);
}

static void carriage_returns(void **state)
{
    scene_expect(*state, "echo a\r\necho b\r\n", "echo a", "echo b", NULL);
}

static void variables(void **state)
{
    scene_expect(*state, "x=1\nset y=2\necho $x ${y} \"$x$y\" '$x' ${x}y $xy.\n", "x=1", "set y=2",
                 "echo 1 2 12 $x 1y .", NULL);
    scene_expect(*state, "set x=\necho a $x b \"$x\" c\n", "set x=", "echo a b  c", NULL);
    scene_expect(*state, "set x='a  b'\necho $x \"$x\" c$x.\n", "set x=a  b", "echo a b a  b ca b.", NULL);
    scene_expect(*state, "x=1\nunset x\necho \"$x\" end\n", "x=1", "unset x", "echo  end", NULL);
    scene_expect(*state, "$nothing\necho $grub_platform $grub_cpu $feature_timeout_style\n", "echo efi x86_64 y", NULL);
    scene_expect(*state, "x=echo\n$x a\n", "x=echo", "echo a", NULL);
    scene_expect(*state, "set x=a=b\necho $x\n", "set x=a=b", "echo a=b", NULL);
}

static void conditions(void **state)
{
    scene_expect(*state, "if true; then echo a; else echo b; fi\n", "true", "echo a", NULL);
    scene_expect(*state, "if false\nthen\necho a\nelse\necho b\nfi\n", "false", "echo b", NULL);
    scene_expect(*state, "if false; then echo a; elif true; then echo b; else echo c; fi; echo d\n", "false", "true",
                 "echo b", "echo d", NULL);
    scene_expect(*state, "if false; then echo a; elif false; then echo b; fi\n", "false", "false", NULL);
    scene_expect(*state, "if ! true; then echo a; fi\nif ! false; then echo b; fi\n", "! true", "! false", "echo b",
                 NULL);
    scene_expect(*state, "if false; true; then if true; then echo a; fi; fi\n", "false", "true", "true", "echo a",
                 NULL);
}

static void loops(void **state)
{
    scene_expect(*state, "for i in a 'b c' d; do echo $i; done\n", "echo a", "echo b c", "echo d", NULL);
    scene_expect(*state, "for i in a b c; do if [ $i = b ]; then continue; fi; echo $i; done\n", "[ a = b ]", "echo a",
                 "[ b = b ]", "continue", "[ c = b ]", "echo c", NULL);
    scene_expect(*state, "for i in a b; do for j in 1 2; do echo $i$j; break 2; done; done\n", "echo a1", "break 2",
                 NULL);
    scene_expect(*state, "x=a\nwhile [ $x != aaa ]; do x=a$x; done\n", "x=a", "[ a != aaa ]", "x=aa", "[ aa != aaa ]",
                 "x=aaa", "[ aaa != aaa ]", NULL);
    scene_expect(*state, "until true; do echo a; done\n", "true", NULL);
    scene_expect(*state, "for i in ; do echo a; done\necho b\n", "echo b", NULL);
    scene_expect(*state, "while true; do echo a; break; done\n", "true", "echo a", "break", NULL);
}

static void functions(void **state)
{
    scene_expect(*state, "function f {\n\techo $1 $2 $# \"$@\"\n}\nf a 'b c'\n", "f a b c", "echo a b c 2 a b c", NULL);
    scene_expect(*state, "function f { return 1; echo a; }\nif f; then echo b; else echo c; fi\n", "f", "return 1",
                 "echo c", NULL);
    scene_expect(*state, "function f { shift; echo $1 $#; }\nf a b\necho $1.\n", "f a b", "shift", "echo b 1", "echo .",
                 NULL);
    scene_expect(*state, "function f { false; }\nfunction f { true; }\nif f; then echo a; fi\n", "f", "true", "echo a",
                 NULL);
    scene_expect(*state, "function f { setparams x y; echo $* \"$*\"; }\nf a\n", "f a", "setparams x y", "echo x y x y",
                 NULL);
}

/* "$@" keeps words apart, $@ splits them again. */
static void parameters(void **state)
{
    scene_expect(*state,
                 "function count { echo $#; }\nfunction f { count \"$@\"; count $@; count \"$*\"; }\nf 'a b' c\n",
                 "f a b c", "count a b c", "echo 2", "count a b c", "echo 3", "count a b c", "echo 1", NULL);
}

/* Behind a command's name they are words like others. */
static void reserved_words(void **state)
{
    scene_expect(*state, "echo if then fi done in\n", "echo if then fi done in", NULL);
}

/* A block is kept as it stands, but for lines that start with "#". */
static void raw_blocks(void **state)
{
    scene_expect(
        *state,
        "set default=linux\nmenuentry 'A \"title\"' --id=a --class x {\n\t# kept\n# left out\n  echo  'x'  $y # "
        "too\n\tif true; "
        "then\n echo '}'; fi\n}\n",
        "set default=linux",
        "menuentry A \"title\" --id=a --class x {\n\t# kept\n  echo  'x'  $y # too\n\tif true; then\n echo '}'; "
        "fi\n}",
        NULL);
}

static void status(void **state)
{
    scene_expect(*state, "true\necho $?\nx=1\necho $?\n", "true", "echo 0", "x=1", "echo 0", NULL);
}

static void expressions(void **state)
{
    static const struct {
        const char *expression;
        bool value;
    } rows[] = {
        { "a = a", true },
        { "a = b", false },
        { "a == a", true },
        { "a != b", true },
        { "a '<' b", true },
        { "b '<=' a", false },
        { "b '>' a", true },
        { "a '>=' b", false },
        { "1 -eq 1", true },
        { "10 -gt 9", true },
        { "10 -lt 9", false },
        { "-1 -lt 1", true },
        { "2 -ge 2", true },
        { "2 -le 1", false },
        { "2 -ne 1", true },
        { "-z ''", true },
        { "-n ''", false },
        { "-n a", true },
        { "''", false },
        { "a", true },
        { "", true },
        { "! a", false },
        { "a -a ''", false },
        { "a -o ''", true },
        { "'' -o '' -o a", true },
        { "'(' '' -o a ')' -a ''", false },
        { "'(' '' -o a ')' -a b", true },
        { "! '(' a = b ')'", true },
        { "-d /grub", true },
        { "-d /vmlinuz", false },
        { "-e /grub", true },
        { "-e /nothing", false },
        { "-f /vmlinuz", true },
        { "-f /grub", false },
        { "-f /nothing/more", false },
        { "-f //vmlinuz/", true },
        { "-s /vmlinuz", true },
        { "-s /nothing", false },
        { "-e (hd0,gpt1)/EFI", true },
        { "-d (hd0,gpt1)/", true },
        { "-d (hd0,1)", true },
    };

    for (size_t i = 0; i < array_size(rows); i++) {
        struct scene *scene = *state;
        char config[512];

        snprintf(config, sizeof config,
                 "if [ %s ]; then echo yes; else echo no; fi\nmenuentry L {\nlinux /vmlinuz\n}\nset timeout=0\n",
                 rows[i].expression);
        scene_write(scene, "boot/grub/grub.cfg", config);
        scene_predict(scene);
        if (scene_has(scene, "echo yes") != rows[i].value)
            fail_msg("%s", rows[i].expression);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, scene_setup, scene_teardown)
    const struct CMUnitTest tests[] = {
        TEST(words),      TEST(separators),       TEST(escapes),     TEST(lines_in_quotes),
        TEST(comments),   TEST(carriage_returns), TEST(variables),   TEST(conditions),
        TEST(loops),      TEST(functions),        TEST(parameters),  TEST(reserved_words),
        TEST(raw_blocks), TEST(status),           TEST(expressions),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
