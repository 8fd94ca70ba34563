#include "measure/predict/grub/run.h"

#include "base/cleanup.h"

#include <string.h>

#define VARIABLES_MAX 2048 /* of one context; grubenv has 1024 bytes, configurations some dozen */

/* Variables with a meaning of their own in Debian's image: unsetting makes them empty. */
static bool is_hooked(const char *name)
{
    static const char *const hooked[] = { "root",
                                          "prefix",
                                          "lang",
                                          "locale_dir",
                                          "secondary_locale_dir",
                                          "pager",
                                          "color_normal",
                                          "color_highlight",
                                          "check_signatures" };

    for (size_t i = 0; i < array_size(hooked); i++)
        if (strcmp(name, hooked[i]) == 0)
            return true;
    return false;
}

static struct variable *find(const struct context *context, const char *name)
{
    for (struct variable *variable = context->variables; variable; variable = variable->next)
        if (strcmp(variable->name, name) == 0)
            return variable;
    return NULL;
}

const char *run_get(const struct run *run, const char *name)
{
    const struct variable *variable = find(run->context, name);

    return variable ? variable->value : NULL;
}

/* Stores copies, with no effect but that. */
static int store(struct run *run, const char *name, const char *value, struct variable **ret, struct error *error)
{
    struct variable *variable = find(run->context, name);
    char *copy = pool_copy(&run->pool, value, strlen(value));
    size_t count = 0;

    if (!copy)
        return pool_error(&run->pool, error);
    if (!variable) {
        for (variable = run->context->variables; variable; variable = variable->next)
            count++;
        variable = pool_new(&run->pool, sizeof *variable);
        if (!variable)
            return pool_error(&run->pool, error);
        variable->name = pool_copy(&run->pool, name, strlen(name));
        if (!variable->name)
            return pool_error(&run->pool, error);
        if (count == VARIABLES_MAX)
            return run_refuse(run, error, "more than %d variables", VARIABLES_MAX);
        variable->next = run->context->variables;
        run->context->variables = variable;
    }
    variable->value = copy;
    *ret = variable;
    return 0;
}

/* GRUB takes "(hd0,gpt2)" for "hd0,gpt2". */
static int store_root(struct run *run, const char *value, struct error *error)
{
    size_t length = strlen(value);
    struct variable *variable;
    char *bare;

    if (length < 2 || value[0] != '(' || value[length - 1] != ')')
        return store(run, "root", value, &variable, error);
    bare = pool_copy(&run->pool, value + 1, length - 2);
    return bare ? store(run, "root", bare, &variable, error) : pool_error(&run->pool, error);
}

/* Lists that GRUB reads from a new prefix, where they are. */
static int read_lists(struct run *run, const char *prefix, struct error *error)
{
    static const char *const lists[] = { "command", "fs", "crypto", "terminal" };
    int r = 0;

    for (size_t i = 0; !r && i < array_size(lists); i++) {
        char *name = pool_print(&run->pool, "%s/x86_64-efi/%s.lst", prefix, lists[i]);
        struct grub_file *file;

        r = name ? run_open_file(run, name, &file, error) : pool_error(&run->pool, error);
    }
    return r;
}

int run_set(struct run *run, const char *name, const char *value, struct error *error)
{
    struct variable *variable;

    if (strcmp(name, "root") == 0)
        return store_root(run, value, error);
    if (strcmp(name, "check_signatures") == 0 || strncmp(name, "net_", 4) == 0 || strncmp(name, "pxe_", 4) == 0)
        return run_refuse(run, error, "the variable \"%.60s\"", name);
    if (strcmp(name, "prefix") == 0)
        return read_lists(run, value, error)
                   ?: run_load_translations(run, name, value, error)
                   ?: store(run, name, value, &variable, error);
    if (strcmp(name, "lang") == 0 || strcmp(name, "locale_dir") == 0 || strcmp(name, "secondary_locale_dir") == 0)
        return run_load_translations(run, name, value, error) ?: store(run, name, value, &variable, error);
    return store(run, name, value, &variable, error);
}

int run_unset(struct run *run, const char *name, struct error *error)
{
    struct variable **slot = &run->context->variables;

    if (is_hooked(name))
        return run_get(run, name) ? run_set(run, name, "", error) : 0;
    while (*slot && strcmp((*slot)->name, name) != 0)
        slot = &(*slot)->next;
    if (*slot)
        *slot = (*slot)->next;
    return 0;
}

int run_export(struct run *run, const char *name, struct error *error)
{
    struct variable *variable = find(run->context, name);
    int r = variable ? 0 : store(run, name, "", &variable, error);

    if (!r)
        variable->exported = true;
    return r;
}

int run_open_context(struct run *run, struct error *error)
{
    struct context *outer = run->context, *context = pool_new(&run->pool, sizeof *context);
    int r = 0;

    if (!context)
        return pool_error(&run->pool, error);
    *context = (struct context){ .outer = outer, .end = &context->entries };
    run->context = context;
    for (const struct variable *variable = outer ? outer->variables : NULL; !r && variable; variable = variable->next) {
        struct variable *copy;

        if (!variable->exported)
            continue;
        r = store(run, variable->name, variable->value, &copy, error);
        if (!r)
            copy->exported = true;
    }
    return r;
}

void run_close_context(struct run *run)
{
    run->context = run->context->outer;
}

static int set_exported(struct run *run, const char *name, const char *value, struct error *error)
{
    struct variable *variable;
    int r = store(run, name, value, &variable, error);

    if (!r)
        variable->exported = true;
    return r;
}

int run_set_first(struct run *run, struct error *error)
{
    const struct grub_request *request = run->request;
    const struct {
        const char *name, *value;
    } first[] = {
        { "feature_chainloader_bpb", "y" },
        { "feature_ntldr", "y" },
        { "feature_platform_search_hint", "y" },
        { "feature_default_font_path", "y" },
        { "feature_all_video_module", "y" },
        { "feature_menuentry_id", "y" },
        { "feature_menuentry_options", "y" },
        { "feature_200_final", "y" },
        { "feature_nativedisk_cmd", "y" },
        { "feature_timeout_style", "y" },
        { "grub_cpu", "x86_64" },
        { "grub_platform", "efi" },
        { "color_normal", "light-gray/black" },
        { "color_highlight", "black/light-gray" },
        { "pager", "" },
        { "lang", "" },
        { "locale_dir", "" },
        { "secondary_locale_dir", "" },
        { "config_file", "(memdisk)/grub.cfg" },
        { "config_directory", "(memdisk)" },
        { "cmdpath", request->cmdpath },
        { "prefix", request->prefix },
        { "root", request->root },
    };
    int r = 0;

    for (size_t i = 0; !r && i < array_size(first); i++)
        r = set_exported(run, first[i].name, first[i].value, error);
    if (!r && request->secure_boot)
        r = set_exported(run, "lockdown", "y", error) ?: set_exported(run, "shim_lock", "y", error);
    return r;
}
