#include "measure/predict/command-line.h"

#include "base/cleanup.h"

#include <string.h>

#define BLANKS " \t\n\r\f\v"

/* What a word's name means for a boot; a "-" in the table also stands for "_". */
enum meaning {
    MEANS_SHELL,         /* as a word of its own, and with any value */
    MEANS_SHELL_IF_TRUE, /* unless its value says no */
    MEANS_SHELL_WORD,    /* as a word of its own alone */
    MEANS_PROGRAM,       /* the program of its value is started instead of init */
    MEANS_UNIT,          /* the unit of its value is started */
};

static const struct {
    const char *name;
    enum meaning meaning;
} names[] = {
    { "-b", MEANS_SHELL_WORD },
    { "-s", MEANS_SHELL_WORD },
    { "1", MEANS_SHELL_WORD },
    { "S", MEANS_SHELL_WORD },
    { "b", MEANS_SHELL_WORD },
    { "break", MEANS_SHELL },
    { "emergency", MEANS_SHELL_WORD },
    { "init", MEANS_PROGRAM },
    { "rd.break", MEANS_SHELL_IF_TRUE },
    { "rd.emergency", MEANS_SHELL },
    { "rd.rescue", MEANS_SHELL },
    { "rd.shell", MEANS_SHELL_IF_TRUE },
    { "rd.systemd.debug-shell", MEANS_SHELL_IF_TRUE },
    { "rd.systemd.unit", MEANS_UNIT },
    { "rd.systemd.wants", MEANS_UNIT },
    { "rdbreak", MEANS_SHELL },
    { "rdinit", MEANS_PROGRAM },
    { "rdshell", MEANS_SHELL },
    { "recovery", MEANS_SHELL_WORD },
    { "rescue", MEANS_SHELL_WORD },
    { "s", MEANS_SHELL_WORD },
    { "single", MEANS_SHELL_WORD },
    { "systemd.crash-shell", MEANS_SHELL_IF_TRUE },
    { "systemd.debug-shell", MEANS_SHELL_IF_TRUE },
    { "systemd.run", MEANS_SHELL },
    { "systemd.sulogin-force", MEANS_SHELL_IF_TRUE },
    { "systemd.unit", MEANS_UNIT },
    { "systemd.wants", MEANS_UNIT },
    { "SYSTEMD-SULOGIN-FORCE", MEANS_SHELL_IF_TRUE },
};

static bool is_one_of(const char *word, const char *const *words, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(word, words[i]) == 0)
            return true;
    return false;
}

static bool is_no(const char *value)
{
    static const char *const no[] = { "0", "no", "off", "false", "n", "f" };

    return is_one_of(value, no, array_size(no));
}

static bool is_own_init(const char *program)
{
    static const char *const own[] = { "/init", "/sbin/init", "/usr/sbin/init", "/lib/systemd/systemd",
                                       "/usr/lib/systemd/systemd" };

    return is_one_of(program, own, array_size(own));
}

static bool is_shell_unit(const char *unit)
{
    static const char *const parts[] = { "rescue",  "emergency", "debug-shell",         "debug_shell",
                                         "sulogin", "runlevel1", "kernel-command-line", "single" };

    for (size_t i = 0; i < array_size(parts); i++)
        if (strstr(unit, parts[i]))
            return true;
    return false;
}

static bool value_gives_shell(enum meaning meaning, const char *value)
{
    switch (meaning) {
    case MEANS_SHELL:
        return true;
    case MEANS_SHELL_IF_TRUE:
        return !value || !is_no(value);
    case MEANS_SHELL_WORD:
        return !value;
    case MEANS_PROGRAM:
        return value && !is_own_init(value);
    case MEANS_UNIT:
        return value && is_shell_unit(value);
    }
    return true;
}

/* Linux and systemd take "-" and "_" in names for the same. */
static bool is_name(const char *word, size_t length, const char *name)
{
    if (strlen(name) != length)
        return false;
    for (size_t i = 0; i < length; i++)
        if (word[i] != name[i] && !((word[i] == '_' || word[i] == '-') && name[i] == '-'))
            return false;
    return true;
}

static bool word_gives_shell(const char *word)
{
    size_t length = strcspn(word, "=");
    const char *value = word[length] ? word + length + 1 : NULL;

    for (size_t i = 0; i < array_size(names); i++)
        if (is_name(word, length, names[i].name) && value_gives_shell(names[i].meaning, value))
            return true;
    return false;
}

/* Copies a word without its quotes, cut at the end: a name that matters fits, and so does what matters of a value. */
static void copy_word(const char *word, size_t length, char *ret, size_t size)
{
    size_t copied = 0;

    for (size_t i = 0; i < length && copied + 1 < size; i++)
        if (word[i] != '"' && word[i] != '\'' && word[i] != '\\')
            ret[copied++] = word[i];
    ret[copied] = '\0';
}

bool command_line_gives_shell(const char *command_line, char ret[COMMAND_LINE_WORD])
{
    char word[4096] = { 0 }; /* Linux's command lines have 2048 */

    ret[0] = '\0';
    while (*command_line) {
        size_t length;

        command_line += strspn(command_line, BLANKS);
        length = strcspn(command_line, BLANKS);
        copy_word(command_line, length, word, sizeof word);
        if (word[0] && word_gives_shell(word)) {
            copy_word(word, strlen(word), ret, COMMAND_LINE_WORD);
            return true;
        }
        command_line += length;
    }
    return false;
}
