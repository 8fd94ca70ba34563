#include "policy/document.h"

#include "base/cleanup.h"
#include "base/file.h"
#include "base/json.h"

#include <dirent.h>
#include <string.h>

#define SUFFIX ".json"
#define PRESET_NAME_MAX 63
#define PRESET_CHARACTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-"

struct names {
    struct dirent **entries;
    int count; /* negative: the folder cannot be read */
};

static void free_names(struct names *names)
{
    for (int i = 0; i < names->count; i++)
        free(names->entries[i]);
    free(names->entries);
}

static bool has_suffix(const char *name)
{
    size_t length = strlen(name);

    return length >= strlen(SUFFIX) && strcmp(name + length - strlen(SUFFIX), SUFFIX) == 0;
}

static size_t stem_length(const char *file)
{
    return strlen(file) - strlen(SUFFIX);
}

/* The schema of the documents lies beside the presets and is none. */
static int is_preset_file(const struct dirent *entry)
{
    const char *name = entry->d_name;

    return has_suffix(name) && stem_length(name) > 0 && strspn(name, PRESET_CHARACTERS) == stem_length(name) &&
           strcmp(name, "schema" SUFFIX) != 0;
}

/* "firmware, grub, uki" into text, cut where it is full. */
static void list_presets(const struct names *names, char *text, size_t size)
{
    size_t used = 0;

    text[0] = '\0';
    for (int i = 0; i < names->count && used < size; i++) {
        const char *file = names->entries[i]->d_name;

        used += (size_t)snprintf(text + used, size - used, "%s%.*s", i ? ", " : "", (int)stem_length(file), file);
    }
}

static int unknown_preset(const char *folder, const char *name, struct error *error)
{
    cleanup(free_names) struct names names = { 0 };
    char text[256];

    names.count = scandir(folder, &names.entries, is_preset_file, alphasort);
    error_set(error, ERROR_USAGE, "there is no policy preset \"%.80s\"", name);
    if (names.count <= 0)
        return error_remedy(error, "give a file, as in ./NAME.json: \"%.200s\" holds no presets", folder);
    list_presets(&names, text, sizeof(text));
    return error_remedy(error, "use one of %s, or a file, as in ./NAME.json", text);
}

static bool is_preset_name(const char *name)
{
    return *name != '\0' && strlen(name) <= PRESET_NAME_MAX && name[strspn(name, PRESET_CHARACTERS)] == '\0' &&
           strcmp(name, "schema") != 0;
}

/* Whatever is wrong with a file that the caller named is the call's fault. */
static int read_file(const char *path, struct policy_document *ret, struct error *error)
{
    cleanup(free_ptr) char *text = NULL;
    size_t size;
    int r = file_read(path, JSON_MAX_BYTES, &text, &size, error);

    if (r)
        return error_rekind(error, ERROR_USAGE);
    if (strlen(text) != size)
        return error_set(error, ERROR_USAGE, "%s: has a NUL byte", path);
    return policy_document_parse(text, path, ret, error);
}

static int read_preset(const char *folder, const char *name, struct policy_document *ret, struct error *error)
{
    char file[PRESET_NAME_MAX + sizeof(SUFFIX)];
    cleanup(free_ptr) char *path = NULL;

    if (!is_preset_name(name))
        return unknown_preset(folder, name, error);
    snprintf(file, sizeof(file), "%s%s", name, SUFFIX);
    path = file_path(folder, file);
    if (!path)
        return error_no_memory(error);
    return file_exists(path) ? read_file(path, ret, error) : unknown_preset(folder, name, error);
}

/* The first preset's settings, and the PCRs of all. */
static int read_presets(const char *folder, const char *names, struct policy_document *ret, struct error *error)
{
    cleanup(free_ptr) char *copy = strdup(names);
    char *rest = copy, *name;

    if (!copy)
        return error_no_memory(error);
    for (bool first = true; (name = strsep(&rest, ",")); first = false) {
        struct policy_document one;
        int r = read_preset(folder, name, &one, error);

        if (r)
            return r;
        if (first)
            *ret = one;
        ret->pcrs |= one.pcrs;
    }
    return 0;
}

int policy_document_read(const char *folder, const char *name, struct policy_document *ret, struct error *error)
{
    struct policy_document document = { 0 };
    int r = strchr(name, '/') || has_suffix(name) ? read_file(name, &document, error)
                                                  : read_presets(folder, name, &document, error);

    if (!r)
        *ret = document;
    return r;
}
