#define RUN_IMPLEMENTATION
#include "measure/predict/grub/run.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define NAME_MAX_BYTES 512 /* of a file, as GRUB names it */
#define FILES_MAX_DEPTH 16 /* source and configfile within each other; Debian has two */

static const struct source nowhere = { .name = "GRUB's configuration" };

static const struct source *source_of(const struct run *run)
{
    return run->node ? run->node->source : &nowhere;
}

static unsigned line_of(const struct run *run)
{
    return run->node ? run->node->line : 0;
}

int run_refuse(const struct run *run, struct error *error, const char *format, ...)
{
    char what[sizeof error->text / 2];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    return script_refuse(source_of(run), line_of(run), error, "%s", what);
}

int run_refuse_inner(const struct run *run, int r, struct error *error)
{
    if (!r || !run->node)
        return r;
    error_prefix(error, "%.200s, line %u: cannot be followed", source_of(run)->name, line_of(run));
    error_remedy(error, "Change the configuration, or suspend the protection before the next boot");
    return r;
}

int run_measure_text(struct run *run, const char *prefix, const char *text, struct error *error)
{
    const char *event;

    if (run->silent)
        return 0;
    event = pool_print(&run->pool, "%s: %s", prefix, text);
    return event ? extend_list_add_data(&run->boot->extends, 8, text, strlen(text), event, error)
                 : pool_error(&run->pool, error);
}

/* The name's device: what is in its parentheses, else $root. */
static int split_name(const struct run *run, const char *name, const char **device, const char **path,
                      struct error *error)
{
    const char *end = name[0] == '(' ? strchr(name, ')') : NULL;

    *path = end ? end + 1 : name;
    *device = end ? name + 1 : run_get(run, "root");
    if ((name[0] == '(' && !end) || !*device)
        return run_refuse(run, error, "the file name \"%.100s\"", name);
    return 0;
}

int run_find_file(struct run *run, const char *name, struct grub_file **ret, struct error *error)
{
    const char *device, *path;
    char device_name[64];
    const struct boot_place *place;
    int r = split_name(run, name, &device, &path, error);

    *ret = NULL;
    if (r)
        return r;
    if (strlen(name) > NAME_MAX_BYTES)
        return run_refuse(run, error, "a file name longer than %d characters", NAME_MAX_BYTES);
    if (path[0] != '/' && path[0] != '\0')
        return run_refuse(run, error, "the file name \"%.100s\" (no \"/\" in front)", name);
    snprintf(device_name, sizeof device_name, "%.*s", (int)strcspn(device, ")"), device);
    r = grub_files_place(&run->files, device_name, &place, error);
    r = r ?: grub_files_find(&run->files, place, path, ret, error);
    return run_refuse_inner(run, r, error);
}

int run_note_file(struct run *run, const struct grub_file *file, struct error *error)
{
    if (run->silent)
        return 0;
    return extend_list_add_source(&run->boot->extends, file->path, &file->sha256, error);
}

int run_open_file(struct run *run, const char *name, struct grub_file **ret, struct error *error)
{
    struct grub_file *file;
    int r = run_find_file(run, name, &file, error);

    *ret = NULL;
    if (r || !file || file->kind != GRUB_FILE_REGULAR)
        return r;
    r = grub_file_hash(&run->files, file, error);
    r = r ?: run_note_file(run, file, error);
    if (!r && !run->silent)
        r = extend_list_add(&run->boot->extends, 9, file->digest, name, error);
    if (!r)
        *ret = file;
    return run_refuse_inner(run, r, error);
}

static int enter(struct run *run, struct error *error)
{
    if (++run->depth > RUN_MAX_DEPTH)
        return run_refuse(run, error, "constructs, functions and files are too deep within each other");
    return 0;
}

static int call_function(struct run *run, const struct function *function, const struct arguments *arguments,
                         struct error *error)
{
    struct scope scope = { .arguments = arguments->items + 1, .count = arguments->count - 1, .outer = run->scope };
    unsigned loops = run->loops;
    int r;

    run->scope = &scope;
    run->loops = 0;
    r = run_list(run, function->body, error);
    run->returns = false;
    run->loops = loops;
    run->scope = scope.outer;
    return r;
}

static const struct function *find_function(const struct run *run, const char *name)
{
    for (const struct function *function = run->functions; function; function = function->next)
        if (strcmp(function->name, name) == 0)
            return function;
    return NULL;
}

/* NAME=VALUE, which GRUB tries last. */
static int assign(struct run *run, const char *word, struct error *error)
{
    const char *equals = strchr(word, '=');
    char *name;

    if (!equals)
        return run_refuse(run, error, "the command \"%.60s\" is not known", word);
    name = pool_copy(&run->pool, word, (size_t)(equals - word));
    if (!name)
        return pool_error(&run->pool, error);
    run->status = STATUS_GOOD;
    if ((name[0] >= '0' && name[0] <= '9') || (name[0] != '\0' && name[1] == '\0' && strchr("#*@", name[0])))
        return 0;
    return run_set(run, name, equals + 1, error);
}

static int execute_named(struct run *run, const struct arguments *arguments, struct error *error)
{
    const char *name = arguments->items[0];
    const struct command *command = command_find(name);
    const struct function *function;

    if (command)
        return command->execute(run, arguments, error);
    if (command_exists(name))
        return run_refuse(run, error, "the command \"%.60s\"", name);
    function = find_function(run, name);
    if (function)
        return call_function(run, function, arguments, error);
    return assign(run, name, error);
}

/* "! COMMAND …" */
static int execute_inverted(struct run *run, const struct arguments *arguments, struct error *error)
{
    struct arguments rest = { arguments->items + 1, arguments->count - 1, arguments->block };
    int r;

    if (rest.count == 0)
        return run_refuse(run, error, "a \"!\" without a command");
    r = execute_named(run, &rest, error);
    if (run->status != STATUS_UNKNOWN)
        run->status = run->status == STATUS_GOOD ? STATUS_FAILED : STATUS_GOOD;
    return r;
}

/* GRUB measures the words with single blanks between them. */
static int measure_command(struct run *run, const struct arguments *arguments, struct error *error)
{
    struct pool_text text = { 0 };
    int r = 0;

    if (run->silent)
        return 0;
    for (size_t i = 0; !r && i < arguments->count; i++) {
        if (i > 0)
            r = pool_text_put(&run->pool, &text, " ", 1, error);
        r = r ?: pool_text_put(&run->pool, &text, arguments->items[i], strlen(arguments->items[i]), error);
    }
    return r ?: run_measure_text(run, "grub_cmd", text.bytes, error);
}

static int execute_command(struct run *run, const struct node *node, struct error *error)
{
    struct arguments arguments;
    int r = run_expand(run, node->words, &arguments, error);

    if (r)
        return r;
    if (arguments.count == 0) {
        run->status = STATUS_GOOD;
        return 0;
    }
    if (++run->commands > RUN_MAX_COMMANDS)
        return run_refuse(run, error, "more than %d commands", RUN_MAX_COMMANDS);
    r = measure_command(run, &arguments, error);
    if (r)
        return r;
    if (strcmp(arguments.items[0], "!") == 0)
        return execute_inverted(run, &arguments, error);
    return execute_named(run, &arguments, error);
}

/* Whether the last command went well, where something depends on it. */
static int decide(struct run *run, bool *ret, struct error *error)
{
    *ret = run->status == STATUS_GOOD;
    if (run->status == STATUS_UNKNOWN && !run->booted)
        return run_refuse(run, error, "it is not known whether the command before succeeds");
    return 0;
}

static int execute_if(struct run *run, const struct node *node, struct error *error)
{
    bool good = false;
    int r = run_list(run, node->condition, error);

    if (r || run->returns || run->booted)
        return r;
    r = decide(run, &good, error);
    run->status = STATUS_GOOD;
    return r ?: run_list(run, good ? node->body : node->otherwise, error);
}

/* At the end of a loop's turn: a "continue" for this loop is over. */
static void end_turn(struct run *run)
{
    if (run->breaks == 1 && run->continues)
        run->breaks = 0;
}

static int execute_while(struct run *run, const struct node *node, struct error *error)
{
    bool good = false, ends = false;
    int r = 0;

    run->loops++;
    while (!r && !ends && !run->booted) {
        enum status status;

        r = run_list(run, node->condition, error);
        if (r || run->returns || run->booted)
            break;
        r = decide(run, &good, error);
        status = run->status;
        if (r || good != (node->kind == NODE_WHILE)) {
            run->status = status;
            break;
        }
        r = run_list(run, node->body, error);
        end_turn(run);
        ends = run->returns || run->breaks > 0;
    }
    if (run->breaks > 0)
        run->breaks--;
    run->loops--;
    return r;
}

static int execute_for(struct run *run, const struct node *node, struct error *error)
{
    struct arguments words;
    int r = run_expand(run, node->words, &words, error);

    run->loops++;
    run->status = STATUS_GOOD;
    for (size_t i = 0; !r && i < words.count && !run->returns && !run->booted; i++) {
        end_turn(run);
        if (run->breaks > 0)
            break;
        r = run_set(run, node->name, words.items[i], error) ?: run_list(run, node->body, error);
    }
    if (run->breaks > 0)
        run->breaks--;
    run->loops--;
    return r;
}

static int execute_node(struct run *run, const struct node *node, struct error *error)
{
    int r = enter(run, error);

    run->node = node;
    if (r)
        return r;
    switch (node->kind) {
    case NODE_IF:
        r = execute_if(run, node, error);
        break;
    case NODE_FOR:
        r = execute_for(run, node, error);
        break;
    case NODE_WHILE:
    case NODE_UNTIL:
        r = execute_while(run, node, error);
        break;
    case NODE_COMMAND:
        r = execute_command(run, node, error);
        break;
    }
    run->depth--;
    return r;
}

int run_list(struct run *run, const struct node *list, struct error *error)
{
    int r = enter(run, error);

    for (; !r && list && run->breaks == 0 && !run->booted; list = list->next) {
        r = execute_node(run, list, error);
        if (run->returns)
            break;
    }
    run->depth--;
    return r;
}

static int run_source(struct run *run, const struct source *source, struct error *error)
{
    struct parser parser = { .pool = &run->pool, .source = source, .functions = &run->functions };
    bool more = true;
    int r = 0;

    while (!r && more && !run->booted) {
        struct node *list;

        r = script_next(&parser, &list, &more, error);
        r = r ?: run_list(run, list, error);
    }
    return r;
}

int run_text(struct run *run, const char *name, const char *text, struct error *error)
{
    struct source *source = pool_new(&run->pool, sizeof *source);

    if (!source)
        return pool_error(&run->pool, error);
    *source = (struct source){ .name = name, .text = text, .size = strlen(text) };
    return run_source(run, source, error);
}

static int set_or_unset(struct run *run, const char *name, const char *value, struct error *error)
{
    return value ? run_set(run, name, value, error) : run_unset(run, name, error);
}

/* $config_file and $config_directory: the file's whole name, and that without its last part. */
static int set_config(struct run *run, const char *name, struct error *error)
{
    const char *root = run_get(run, "root");
    char *whole = name[0] == '(' ? pool_copy(&run->pool, name, strlen(name))
                                 : pool_print(&run->pool, "(%s)%s", root ? root : "", name);
    char *folder = whole ? pool_copy(&run->pool, whole, strlen(whole)) : NULL;
    char *slash = folder ? strrchr(folder, '/') : NULL;

    if (!folder)
        return pool_error(&run->pool, error);
    if (slash)
        *slash = '\0';
    return run_set(run, "config_file", whole, error)
               ?: run_set(run, "config_directory", folder, error)
               ?: run_export(run, "config_file", error)
               ?: run_export(run, "config_directory", error);
}

static int run_loaded_file(struct run *run, const char *name, const struct grub_file *file, struct error *error)
{
    const char *old_file = run_get(run, "config_file"), *old_folder = run_get(run, "config_directory");
    struct source *source = pool_new(&run->pool, sizeof *source);
    int r = source ? 0 : pool_error(&run->pool, error);

    r = r ?: source_from_file(&run->pool, name, file->bytes, (size_t)file->size, source, error);
    r = r ?: set_config(run, name, error);
    r = r ?: run_source(run, source, error);
    r = r ?: set_or_unset(run, "config_file", old_file, error);
    return r ?: set_or_unset(run, "config_directory", old_folder, error);
}

int run_file(struct run *run, const char *name, struct error *error)
{
    struct grub_file *file;
    int r;

    if (run->file_depth == FILES_MAX_DEPTH)
        return run_refuse(run, error, "configuration files are too deep within each other");
    r = run_open_file(run, name, &file, error);
    if (r || !file)
        return r;
    name = pool_copy(&run->pool, name, strlen(name));
    if (!name)
        return pool_error(&run->pool, error);
    r = run_refuse_inner(run, grub_file_load(&run->files, file, error), error);
    if (r)
        return r;
    run->file_depth++;
    r = run_loaded_file(run, name, file, error);
    run->file_depth--;
    return r;
}
