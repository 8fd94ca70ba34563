#include "measure/predict/grub/run.h"

#include "base/cleanup.h"

#include <string.h>

/* The magic number of GNU message catalogs, and version 0. */
static const uint8_t catalog_head[] = { 0xde, 0x12, 0x04, 0x95, 0, 0, 0, 0 };

static bool is_catalog(const struct grub_file *file)
{
    return file->size >= 28 && memcmp(file->head, catalog_head, sizeof catalog_head) == 0;
}

/* Tries the three names of a catalog, up to the first that is one: each that is there is read. */
static int try_language(struct run *run, const char *folder, const char *language, bool *found, struct error *error)
{
    static const char *const endings[] = { ".mo", ".mo.gz", ".gmo" };
    int r = 0;

    *found = false;
    for (size_t i = 0; !r && !*found && i < array_size(endings); i++) {
        char *name = pool_print(&run->pool, "%s/%s%s", folder, language, endings[i]);
        struct grub_file *file;

        r = name ? run_open_file(run, name, &file, error) : pool_error(&run->pool, error);
        if (!r && file && i == 1)
            return run_refuse(run, error, "a compressed message catalog (\"%.100s\")", name);
        *found = !r && file && is_catalog(file);
    }
    return r;
}

/* "de_DE", then "de". */
static int try_languages(struct run *run, const char *folder, const char *language, struct error *error)
{
    size_t length = strcspn(language, "_");
    bool found;
    int r = try_language(run, folder, language, &found, error);
    char *shorter;

    if (r || found || language[length] == '\0')
        return r;
    shorter = pool_copy(&run->pool, language, length);
    return shorter ? try_language(run, folder, shorter, &found, error) : pool_error(&run->pool, error);
}

/* What the variable will be. */
static const char *value_of(const struct run *run, const char *name, const char *set, const char *value)
{
    const char *now = strcmp(name, set) == 0 ? value : run_get(run, name);

    return now ? now : "";
}

static int load_main(struct run *run, const char *set, const char *value, struct error *error)
{
    const char *language = value_of(run, "lang", set, value);
    const char *folder = value_of(run, "locale_dir", set, value);

    if (folder[0] == '\0' && value_of(run, "prefix", set, value)[0] != '\0') {
        folder = pool_print(&run->pool, "%s/locale", value_of(run, "prefix", set, value));
        if (!folder)
            return pool_error(&run->pool, error);
    }
    return language[0] && folder[0] ? try_languages(run, folder, language, error) : 0;
}

static int load_secondary(struct run *run, const char *set, const char *value, struct error *error)
{
    const char *language = value_of(run, "lang", set, value);
    const char *folder = value_of(run, "secondary_locale_dir", set, value);

    return language[0] && folder[0] ? try_languages(run, folder, language, error) : 0;
}

int run_load_translations(struct run *run, const char *name, const char *value, struct error *error)
{
    int r = 0;

    if (strcmp(name, "secondary_locale_dir") != 0)
        r = load_main(run, name, value, error);
    if (!r && (strcmp(name, "lang") == 0 || strcmp(name, "secondary_locale_dir") == 0))
        r = load_secondary(run, name, value, error);
    return r;
}
