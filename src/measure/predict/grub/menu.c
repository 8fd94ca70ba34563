#include "measure/predict/grub/run.h"

#include <stdlib.h>
#include <string.h>

#define MENU_MAX_DEPTH 8 /* of submenus that are looked into */

/* True when the id or title is the first part of the way: parts are joined by ">", and ">>" is a ">" in one. */
static bool is_first_part(const char *name, const char *way)
{
    for (;; name++, way++) {
        bool ends = way[0] == '\0' || (way[0] == '>' && way[1] != '>');

        if (ends || *name == '\0')
            return ends && *name == '\0';
        way += way[0] == '>';
        if (*name != *way)
            return false;
    }
}

/* What is behind the first part; NULL when there is nothing. */
static const char *rest_of(const char *way)
{
    for (; *way; way++) {
        if (way[0] == '>' && way[1] == '>')
            way++;
        else if (way[0] == '>')
            return way[1] ? way + 1 : NULL;
    }
    return NULL;
}

/* "OUTER>ID" */
static int join(struct run *run, const char *outer, const char *id, const char **ret, struct error *error)
{
    struct pool_text text = { 0 };
    int r = outer ? pool_text_put(&run->pool, &text, outer, strlen(outer), error) : 0;

    if (!r && outer)
        r = pool_text_put(&run->pool, &text, ">", 1, error);
    for (; !r && *id; id++)
        r = pool_text_put(&run->pool, &text, *id == '>' ? ">>" : id, 1 + (*id == '>'), error);
    r = r ?: pool_text_put(&run->pool, &text, "", 0, error);
    *ret = text.bytes;
    return r;
}

static int add_to_list(struct run *run, const struct entry *entry, const char *path, unsigned depth,
                       struct error *error)
{
    struct grub_boot *boot = run->boot;
    struct grub_menu_entry *item;

    if (boot->menu_count == RUN_MAX_MENU)
        return run_refuse(run, error, "more than %d menu entries", RUN_MAX_MENU);
    if (!boot->menu)
        boot->menu = calloc(RUN_MAX_MENU, sizeof *boot->menu);
    if (!boot->menu)
        return error_no_memory(error);
    item = &boot->menu[boot->menu_count++];
    *item = (struct grub_menu_entry){ strdup(path), strdup(entry->title), depth, entry->submenu };
    return item->path && item->title ? 0 : error_no_memory(error);
}

static int list_entries(struct run *run, const char *outer, unsigned depth, struct error *error);

static int execute_in_scope(struct run *run, const struct entry *entry, struct error *error)
{
    struct scope scope = { .arguments = entry->arguments, .count = entry->argument_count, .outer = run->scope };
    const char *name = pool_print(&run->pool, "the menu entry \"%.120s\"", entry->title);
    int r = name ? 0 : pool_error(&run->pool, error);

    run->scope = &scope;
    r = r ?: run_text(run, name, entry->source, error);
    run->scope = scope.outer;
    return r;
}

/* Lists what is in a submenu, with nothing done or measured. Where that cannot be followed nothing of it is listed. */
static void look_into(struct run *run, const struct entry *entry, const char *path, unsigned depth)
{
    struct run before = *run;
    size_t listed = run->boot->menu_count;
    struct error unused;
    int r;

    run->silent = true;
    r = run_open_context(run, &unused);
    r = r ?: execute_in_scope(run, entry, &unused);
    r = r ?: list_entries(run, path, depth, &unused);
    while (r && run->boot->menu_count > listed) {
        struct grub_menu_entry *item = &run->boot->menu[--run->boot->menu_count];

        free(item->path);
        free(item->title);
    }
    before.pool = run->pool;
    before.files.items = run->files.items;
    before.commands = run->commands;
    *run = before;
}

static int list_entries(struct run *run, const char *outer, unsigned depth, struct error *error)
{
    int r = 0;

    for (const struct entry *entry = run->context->entries; !r && entry; entry = entry->next) {
        const char *path;

        r = join(run, outer, entry->id, &path, error) ?: add_to_list(run, entry, path, depth, error);
        if (!r && entry->submenu && depth < MENU_MAX_DEPTH)
            look_into(run, entry, path, depth + 1);
    }
    return r;
}

/* A number as GRUB reads it in front of a text, at base 8, 10 or 16: false when there is none. */
static bool read_number(const char *text, int *ret)
{
    int base = 10;

    text += strspn(text, " \t\n\r");
    if (*text < '0' || *text > '9')
        return false;
    if (text[0] == '0' && text[1] == 'x')
        base = 16;
    else if (text[0] == '0' && text[1] >= '0' && text[1] <= '7')
        base = 8;
    *ret = (int)strtoul(text, NULL, base);
    return true;
}

static const struct entry *entry_at(const struct context *context, int number)
{
    const struct entry *entry = context->entries;

    if (number < 0 || (size_t)number >= context->count)
        return context->entries;
    while (number-- > 0)
        entry = entry->next;
    return entry;
}

/* $default: a number, title or id; the first entry for what is none of them. */
static const struct entry *default_entry(const struct run *run)
{
    const char *value = run_get(run, "default");
    int number;

    if (!value)
        return run->context->entries;
    if (read_number(value, &number))
        return entry_at(run->context, number);
    for (const struct entry *entry = run->context->entries; entry; entry = entry->next)
        if (is_first_part(entry->title, value) || is_first_part(entry->id, value))
            return entry;
    return run->context->entries;
}

static int chosen_entry(struct run *run, const struct entry **ret, struct error *error)
{
    for (const struct entry *entry = run->context->entries; entry; entry = entry->next)
        if (is_first_part(entry->id, run->choice)) {
            *ret = entry;
            return 0;
        }
    for (const struct entry *entry = run->context->entries; entry; entry = entry->next)
        if (is_first_part(entry->title, run->choice)) {
            *ret = entry;
            return 0;
        }
    return error_set(error, ERROR_USAGE, "GRUB's menu has no entry \"%.200s\"", run->request->choice);
}

static bool has_countdown(const struct run *run)
{
    const char *style = run_get(run, "timeout_style");

    return style && (strcmp(style, "hidden") == 0 || strcmp(style, "countdown") == 0);
}

/* A menu that is drawn with a theme reads the theme's files. */
static int check_theme(const struct run *run, struct error *error)
{
    const char *theme = run_get(run, "theme");

    if (theme && theme[0] && run->graphics)
        return run_refuse(run, error, "the menu's theme \"%.100s\"", theme);
    return 0;
}

static int unset_timeout(struct run *run, bool style, struct error *error)
{
    int r = run_unset(run, "timeout", error);

    return r || !style ? r : run_unset(run, "timeout_style", error);
}

/* Which entry is taken, and whether GRUB does so by itself. What a key or the passing of time does to variables. */
static int pick(struct run *run, const struct entry **ret, bool *automatic, struct error *error)
{
    const char *text = run_get(run, "timeout");
    int timeout = -1;
    bool counts = text && read_number(text, &timeout) && timeout >= 0, countdown = counts && has_countdown(run);

    *automatic = false;
    if (run->choice)
        return check_theme(run, error) ?: unset_timeout(run, countdown, error) ?: chosen_entry(run, ret, error);
    *ret = default_entry(run);
    *automatic = counts;
    if (!counts) {
        run->boot->waits = true;
        return check_theme(run, error) ?: unset_timeout(run, true, error);
    }
    if (timeout == 0 && !countdown)
        return 0;
    return (countdown ? 0 : check_theme(run, error)) ?: unset_timeout(run, countdown, error);
}

/* $default for what comes below: what is behind the first ">". */
static int step_default(struct run *run, const char *value, struct error *error)
{
    const char *rest = value ? rest_of(value) : NULL;

    return rest ? run_set(run, "default", rest, error) : run_unset(run, "default", error);
}

static int step_choice(struct run *run, const struct entry *entry, struct error *error)
{
    if (!run->choice)
        return 0;
    run->choice = rest_of(run->choice);
    if (!run->choice == entry->submenu)
        return error_set(error, ERROR_USAGE, "GRUB's menu has no entry \"%.200s\": \"%.200s\" is %s submenu",
                         run->request->choice, entry->title, entry->submenu ? "a" : "no");
    return 0;
}

/* Variables as GRUB sets them before an entry is executed, in a context of its own for a submenu. */
static int prepare(struct run *run, const struct entry *entry, bool automatic, struct error *error)
{
    const char *chosen = run_get(run, "chosen"), *value = run_get(run, "default"), *path;
    int r = entry->submenu ? run_open_context(run, error) : 0;

    if (!r && entry->submenu && automatic)
        r = run_set(run, "timeout", "0", error);
    r = r ?: join(run, chosen, entry->id, &path, error);
    r = r ?: run_set(run, "chosen", path, error);
    r = r ?: run_export(run, "chosen", error);
    r = r ?: step_default(run, value, error);
    return r ?: join(run, run->path, entry->id, &run->path, error);
}

static int note_chosen(struct run *run, const struct entry *entry, struct error *error)
{
    struct grub_boot *boot = run->boot;

    for (boot->chosen = 0; boot->chosen < boot->menu_count; boot->chosen++)
        if (strcmp(boot->menu[boot->chosen].path, run->path) == 0)
            return 0;
    return add_to_list(run, entry, run->path, 0, error);
}

static int execute_entry(struct run *run, const struct entry *entry, bool automatic, struct error *error)
{
    int r;

    if (entry->restricted && run_get(run, "superusers"))
        run->boot->waits = true;
    r = step_choice(run, entry, error);
    r = r ?: prepare(run, entry, automatic, error);
    r = r ?: note_chosen(run, entry, error);
    r = r ?: execute_in_scope(run, entry, error);
    if (!r && !run->booted && run->boot->kernel)
        run->booted = true;
    if (!r && !run->booted && entry->submenu && run->context->count > 0)
        r = run_menu(run, error);
    if (entry->submenu)
        run_close_context(run);
    if (!r && !run->booted)
        return run_refuse(run, error, "the entry starts no kernel");
    return r;
}

int run_menu(struct run *run, struct error *error)
{
    const struct entry *entry = NULL;
    bool automatic = false;
    int r = run->boot->menu ? 0 : list_entries(run, NULL, 0, error);

    r = r ?: pick(run, &entry, &automatic, error);
    return r ?: execute_entry(run, entry, automatic, error);
}
