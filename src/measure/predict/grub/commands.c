#include "measure/predict/grub/run.h"

#include "base/cleanup.h"

#include <string.h>
#include <strings.h>

static int do_nothing(struct run *run, const struct arguments *arguments, struct error *error)
{
    (void)arguments;
    (void)error;
    run->status = STATUS_GOOD;
    return 0;
}

static int fail(struct run *run, const struct arguments *arguments, struct error *error)
{
    (void)arguments;
    (void)error;
    run->status = STATUS_FAILED;
    return 0;
}

/* What changes the machine, not what is measured; whether it succeeds is up to the machine. */
static int act_on_hardware(struct run *run, const struct arguments *arguments, struct error *error)
{
    (void)arguments;
    (void)error;
    run->status = STATUS_UNKNOWN;
    return 0;
}

static int set(struct run *run, const struct arguments *arguments, struct error *error)
{
    const char *equals = arguments->count > 1 ? strchr(arguments->items[1], '=') : NULL;
    char *name;

    run->status = equals || arguments->count == 1 ? STATUS_GOOD : STATUS_FAILED;
    if (!equals)
        return 0;
    name = pool_copy(&run->pool, arguments->items[1], (size_t)(equals - arguments->items[1]));
    return name ? run_set(run, name, equals + 1, error) : pool_error(&run->pool, error);
}

static int unset(struct run *run, const struct arguments *arguments, struct error *error)
{
    run->status = arguments->count > 1 ? STATUS_GOOD : STATUS_FAILED;
    return arguments->count > 1 ? run_unset(run, arguments->items[1], error) : 0;
}

static int export(struct run *run, const struct arguments *arguments, struct error *error)
{
    int r = 0;

    run->status = arguments->count > 1 ? STATUS_GOOD : STATUS_FAILED;
    for (size_t i = 1; !r && i < arguments->count; i++)
        r = run_export(run, arguments->items[i], error);
    return r;
}

/*
 * A module of the image does nothing more. Of others the file is read, and so measured, and then refused under Secure
 * Boot; insmod itself succeeds all the same. Without Secure Boot it is loaded, and others with it.
 */
static int insmod(struct run *run, const struct arguments *arguments, struct error *error)
{
    const char *prefix = run_get(run, "prefix"), *name;
    struct grub_file *file;
    int r;

    run->status = arguments->count > 1 ? STATUS_GOOD : STATUS_FAILED;
    if (arguments->count == 1 || module_is_built_in(arguments->items[1]))
        return 0;
    if (strpbrk(arguments->items[1], "/(+"))
        return run_refuse(run, error, "the module file \"%.60s\"", arguments->items[1]);
    name = pool_print(&run->pool, "%s/x86_64-efi/%s.mod", prefix ? prefix : "", arguments->items[1]);
    if (!name)
        return pool_error(&run->pool, error);
    r = run_open_file(run, name, &file, error);
    if (!r && file && !run->request->secure_boot)
        return run_refuse(run, error, "the module \"%.60s\", which is not in GRUB's image", arguments->items[1]);
    return r;
}

/* Fonts start with a section FILE that holds PFF2. */
static bool is_font(const struct grub_file *file)
{
    return file->size > 12 && memcmp(file->head, "FILE\0\0\0\4PFF2", 12) == 0;
}

/* "unicode" is in Debian's image and not measured. A font from a disk is, and under Secure Boot refused after that. */
static int load_font(struct run *run, const char *name, struct error *error)
{
    const char *prefix = run_get(run, "prefix");
    struct grub_file *file;
    int r;

    run->status = STATUS_GOOD;
    if (strcmp(name, "unicode") == 0)
        return 0;
    if (name[0] != '/' && name[0] != '(')
        name = pool_print(&run->pool, "%s/fonts/%s.pf2", prefix ? prefix : "", name);
    r = name ? run_open_file(run, name, &file, error) : pool_error(&run->pool, error);
    if (r)
        return r;
    if (!file || run->request->secure_boot)
        run->status = STATUS_FAILED;
    else if (file->foreign || !is_font(file))
        run->status = STATUS_UNKNOWN;
    return 0;
}

static int loadfont(struct run *run, const struct arguments *arguments, struct error *error)
{
    int r = 0;

    run->status = arguments->count > 1 ? STATUS_GOOD : STATUS_FAILED;
    for (size_t i = 1; !r && i < arguments->count && run->status == STATUS_GOOD; i++)
        r = load_font(run, arguments->items[i], error);
    return r;
}

static bool is_terminal(const char *name)
{
    static const char *const known[] = { "console", "gfxterm", "serial", "serial_com0", "serial_com1", "ofconsole" };

    for (size_t i = 0; i < array_size(known); i++)
        if (strcmp(name, known[i]) == 0)
            return true;
    return false;
}

/* gfxterm is taken to work: a machine where it does not is one whose last boot cannot be reproduced. */
static int terminal(struct run *run, const struct arguments *arguments, struct error *error)
{
    bool removes = arguments->count > 1 && strcmp(arguments->items[1], "--remove") == 0;
    bool appends = arguments->count > 1 && strcmp(arguments->items[1], "--append") == 0;
    bool is_output = strcmp(arguments->items[0], "terminal_output") == 0;

    if (is_output && arguments->count > 1 && !removes && !appends)
        run->graphics = false;
    for (size_t i = 1 + (removes || appends); i < arguments->count; i++) {
        if (!is_terminal(arguments->items[i]))
            return run_refuse(run, error, "the terminal \"%.60s\"", arguments->items[i]);
        if (is_output && strcmp(arguments->items[i], "gfxterm") == 0)
            run->graphics = !removes;
    }
    run->status = STATUS_UNKNOWN;
    return 0;
}

static bool is_picture(const struct grub_file *file, const char *name)
{
    size_t length = strlen(name);

    if (length > 4 && strcasecmp(name + length - 4, ".png") == 0)
        return memcmp(file->head, "\x89PNG\r\n\x1a\n", 8) == 0;
    return memcmp(file->head, "\xff\xd8\xff", 3) == 0;
}

static bool has_picture_name(const char *name)
{
    static const char *const endings[] = { ".png", ".jpg", ".jpeg" };

    for (size_t i = 0; i < array_size(endings); i++) {
        size_t length = strlen(endings[i]);

        if (strlen(name) > length && strcasecmp(name + strlen(name) - length, endings[i]) == 0)
            return true;
    }
    return false;
}

static int background_image(struct run *run, const struct arguments *arguments, struct error *error)
{
    size_t at = 1;
    struct grub_file *file;
    int r;

    if (arguments->count > 2 && (strcmp(arguments->items[1], "-m") == 0 || strcmp(arguments->items[1], "--mode") == 0))
        at = 3;
    if (arguments->count != at + 1 || arguments->items[at][0] == '-')
        return run_refuse(run, error, "background_image with these arguments");
    if (!run->graphics)
        return run_refuse(run, error, "background_image without terminal_output gfxterm before it");
    if (!has_picture_name(arguments->items[at]))
        return run_refuse(run, error, "the picture \"%.60s\": neither .png nor .jpg", arguments->items[at]);
    r = run_open_file(run, arguments->items[at], &file, error);
    if (r)
        return r;
    run->status = file ? STATUS_GOOD : STATUS_FAILED;
    if (file && (file->foreign || !is_picture(file, arguments->items[at])))
        run->status = STATUS_UNKNOWN;
    return 0;
}

/* With one argument it would read a file. */
static int play(struct run *run, const struct arguments *arguments, struct error *error)
{
    if (arguments->count == 2)
        return run_refuse(run, error, "a tune from a file");
    run->status = STATUS_UNKNOWN;
    return 0;
}

static int source(struct run *run, const struct arguments *arguments, struct error *error)
{
    int r;

    if (arguments->count != 2) {
        run->status = STATUS_FAILED;
        return 0;
    }
    r = run_file(run, arguments->items[1], error);
    run->status = STATUS_GOOD;
    return r;
}

/* An environment of its own, and a menu if the file has one. */
static int configfile(struct run *run, const struct arguments *arguments, struct error *error)
{
    int r;

    if (run->silent)
        return run_refuse(run, error, "configfile in a submenu that is not entered");
    if (arguments->count != 2) {
        run->status = STATUS_FAILED;
        return 0;
    }
    r = run_open_context(run, error) ?: run_file(run, arguments->items[1], error);
    if (!r && !run->booted && run->context->count > 0)
        r = run_menu(run, error);
    run_close_context(run);
    run->status = STATUS_GOOD;
    return r;
}

static int setparams(struct run *run, const struct arguments *arguments, struct error *error)
{
    (void)error;
    run->status = run->scope ? STATUS_GOOD : STATUS_FAILED;
    if (run->scope) {
        run->scope->arguments = arguments->items + 1;
        run->scope->count = arguments->count - 1;
    }
    return 0;
}

/* A small number as an argument, 1 without one. */
static int read_count(struct run *run, const struct arguments *arguments, size_t *ret, struct error *error)
{
    const char *text = arguments->count > 1 ? arguments->items[1] : "1";
    size_t length = strspn(text, "0123456789");

    if (arguments->count > 2 || length == 0 || length > 6 || text[length] || (text[0] == '0' && length > 1))
        return run_refuse(run, error, "the number \"%.60s\"", text);
    *ret = 0;
    for (size_t i = 0; i < length; i++)
        *ret = 10 * *ret + (size_t)(text[i] - '0');
    return 0;
}

static int shift(struct run *run, const struct arguments *arguments, struct error *error)
{
    size_t count;
    int r = read_count(run, arguments, &count, error);

    if (r)
        return r;
    run->status = !run->scope || count <= run->scope->count ? STATUS_GOOD : STATUS_FAILED;
    if (run->scope && run->status == STATUS_GOOD) {
        run->scope->arguments += count;
        run->scope->count -= count;
    }
    return 0;
}

/* Leaves the function with the given status, or that of the last command. */
static int return_(struct run *run, const struct arguments *arguments, struct error *error)
{
    size_t number;
    int r;

    if (!run->scope)
        return run_refuse(run, error, "return outside of a function");
    run->returns = true;
    if (arguments->count == 1)
        return 0;
    r = read_count(run, arguments, &number, error);
    if (!r)
        run->status = number == 0 ? STATUS_GOOD : STATUS_FAILED;
    return r;
}

static int break_or_continue(struct run *run, const struct arguments *arguments, struct error *error)
{
    size_t count;
    int r = read_count(run, arguments, &count, error);

    if (r)
        return r;
    if (count == 0)
        return run_refuse(run, error, "leaving 0 loops");
    run->continues = strcmp(arguments->items[0], "continue") == 0;
    run->breaks = count < run->loops ? (unsigned)count : run->loops;
    run->status = STATUS_GOOD;
    return 0;
}

const struct command *command_find(const char *name)
{
    static const struct command commands[] = {
        { ".", source },
        { "[", command_test },
        { "background_color", act_on_hardware },
        { "background_image", background_image },
        { "badram", act_on_hardware },
        { "boot", command_boot },
        { "break", break_or_continue },
        { "clear", do_nothing },
        { "configfile", configfile },
        { "continue", break_or_continue },
        { "cutmem", act_on_hardware },
        { "echo", do_nothing },
        { "export", export },
        { "false", fail },
        { "gettext", do_nothing },
        { "initrd", command_initrd },
        { "initrdefi", command_initrd },
        { "insmod", insmod },
        { "linux", command_linux },
        { "linuxefi", command_linux },
        { "load_env", command_load_env },
        { "loadfont", loadfont },
        { "menuentry", command_menuentry },
        { "password_pbkdf2", act_on_hardware },
        { "play", play },
        { "return", return_ },
        { "save_env", command_save_env },
        { "search", command_search },
        { "search.file", command_search },
        { "search.fs_label", command_search },
        { "search.fs_uuid", command_search },
        { "serial", act_on_hardware },
        { "set", set },
        { "setparams", setparams },
        { "shift", shift },
        { "sleep", do_nothing },
        { "source", source },
        { "submenu", command_menuentry },
        { "terminal_input", terminal },
        { "terminal_output", terminal },
        { "terminfo", act_on_hardware },
        { "test", command_test },
        { "true", do_nothing },
        { "unset", unset },
    };

    for (size_t i = 0; i < array_size(commands); i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}
