#include "protect/update/known-files.h"

#include "base/cleanup.h"
#include "base/encode.h"
#include "base/file.h"

#include <string.h>

#define KNOWN_FILES_VERSION 1
#define KNOWN_FILES_NAME "boot-files.json"
#define SHORT_DIGITS 12 /* of a hash, to be told apart by people */

void known_files_free(struct known_files *files)
{
    free(files->items);
    *files = (struct known_files){ 0 };
}

static int path_of(const struct state *state, char **ret, struct error *error)
{
    *ret = file_path(state->folder, KNOWN_FILES_NAME);
    return *ret ? 0 : error_no_memory(error);
}

static int file_from_json(const struct json_view *view, struct known_file *ret, struct error *error)
{
    int r = json_get_text(view, "path", ret->path, sizeof(ret->path), error);

    r = r ?: json_get_hex(view, "sha256", ret->sha256.bytes, DIGEST_BYTES, error);
    r = r ?: json_get_text(view, "source", ret->source, sizeof(ret->source), error);
    return r ?: json_get_text(view, "date", ret->date, sizeof(ret->date), error);
}

static int files_from_json(const struct json_view *view, struct known_files *ret, struct error *error)
{
    struct json_view list, file;
    int64_t version;
    size_t count;
    int r = json_get_integer(view, "version", KNOWN_FILES_VERSION, KNOWN_FILES_VERSION, &version, error);

    r = r ?: json_get_array(view, "files", KNOWN_FILES_MAX, &list, error);
    if (r)
        return r;
    count = json_object_array_length(list.object);
    ret->items = calloc(count + 1, sizeof(*ret->items));
    if (!ret->items)
        return error_no_memory(error);
    for (; !r && ret->count < count; ret->count++) {
        r = json_array_object(&list, "files", ret->count, &file, error);
        r = r ?: file_from_json(&file, &ret->items[ret->count], error);
    }
    return r;
}

int known_files_read(const struct state *state, struct known_files *ret, struct error *error)
{
    cleanup(free_ptr) char *path = NULL;
    cleanup(json_free) struct json_object *document = NULL;
    struct json_view view = { .kind = ERROR_METADATA };
    int r = path_of(state, &path, error);

    *ret = (struct known_files){ 0 };
    if (r || !file_exists(path))
        return r;
    view.source = path;
    r = file_check_private(path, error);
    r = r ?: json_read(&view, &document, error);
    r = r ?: files_from_json(&view, ret, error);
    if (r)
        known_files_free(ret);
    return r;
}

static int file_to_json(struct json_object *list, const struct known_file *file, struct error *error)
{
    struct json_object *object = json_object_new_object();
    int r = json_append(list, object, error);

    r = r ?: json_add(object, "path", json_object_new_string(file->path), error);
    r = r ?: json_add(object, "sha256", json_new_hex(file->sha256.bytes, DIGEST_BYTES), error);
    r = r ?: json_add(object, "source", json_object_new_string(file->source), error);
    return r ?: json_add(object, "date", json_object_new_string(file->date), error);
}

int known_files_write(const struct state *state, const struct known_files *files, struct error *error)
{
    cleanup(free_ptr) char *path = NULL;
    cleanup(json_free) struct json_object *document = json_object_new_object();
    struct json_object *list = json_object_new_array();
    int r = document ? json_add(document, "files", list, error) : error_no_memory(error);

    r = r ?: json_add(document, "version", json_object_new_int(KNOWN_FILES_VERSION), error);
    for (size_t i = 0; !r && i < files->count; i++)
        r = file_to_json(list, &files->items[i], error);
    r = r ?: path_of(state, &path, error);
    return r ?: json_write(path, document, 0600, error);
}

static struct known_file *find(const struct known_files *files, const char *path)
{
    for (size_t i = 0; i < files->count; i++)
        if (strcmp(files->items[i].path, path) == 0)
            return &files->items[i];
    return NULL;
}

const struct known_file *known_files_find(const struct known_files *files, const char *path)
{
    return find(files, path);
}

bool known_files_has(const struct known_files *files, const char *path, const struct digest *sha256)
{
    const struct known_file *file = find(files, path);

    return file && digest_equal(&file->sha256, sha256);
}

/* Absolute, and of characters that JSON does not write as several: a full record stays readable. */
static bool is_good_path(const char *path)
{
    for (const unsigned char *p = (const unsigned char *)path; *p; p++)
        if (*p < 0x20 || *p == 0x7f || *p == '"' || *p == '\\')
            return false;
    return path[0] == '/' && strlen(path) <= KNOWN_FILE_PATH_MAX;
}

/* A new item at the end, empty. */
static int append(struct known_files *files, struct known_file **ret, struct error *error)
{
    struct known_file *grown;

    if (files->count == KNOWN_FILES_MAX)
        return error_set(error, ERROR_REFUSED, "the record of boot files holds %d at most", KNOWN_FILES_MAX);
    grown = reallocarray(files->items, files->count + 1, sizeof(*grown));
    if (!grown)
        return error_no_memory(error);
    files->items = grown;
    *ret = &grown[files->count++];
    **ret = (struct known_file){ 0 };
    return 0;
}

int known_files_set(struct known_files *files, const char *path, const struct digest *sha256, const char *source,
                    struct error *error)
{
    struct known_file *file = find(files, path);
    char date[TOKEN_TIME_TEXT];
    int r;

    if (!is_good_path(path))
        return error_set(error, ERROR_REFUSED,
                         "\"%s\" cannot be recorded: not a plain absolute path of at most %d bytes", path,
                         KNOWN_FILE_PATH_MAX);
    r = token_time_now(date, error);
    if (!r && !file)
        r = append(files, &file, error);
    if (r)
        return r;
    strcpy(file->path, path);
    file->sha256 = *sha256;
    snprintf(file->source, sizeof(file->source), "%s", source);
    strcpy(file->date, date);
    return 0;
}

size_t known_files_forget_missing(struct known_files *files, const char *root)
{
    size_t kept = 0, before = files->count;
    char path[4096];

    for (size_t i = 0; i < files->count; i++) {
        snprintf(path, sizeof(path), "%s%s", root, files->items[i].path);
        if (file_exists(path))
            files->items[kept++] = files->items[i];
    }
    files->count = kept;
    return before - kept;
}

static int refuse(const struct known_file *known, const struct boot_file *found, struct error *error)
{
    char is[HEX_TEXT(DIGEST_BYTES)], was[HEX_TEXT(DIGEST_BYTES)];

    hex_encode(found->sha256.bytes, DIGEST_BYTES, is);
    if (!known) {
        error_set(error, ERROR_REFUSED, "\"%s\" is not on record as written by this system (SHA-256 %.*s…)",
                  found->path, SHORT_DIGITS, is);
    } else {
        hex_encode(known->sha256.bytes, DIGEST_BYTES, was);
        error_set(error, ERROR_REFUSED,
                  "\"%s\" was changed by something else than this system: SHA-256 %.*s…, on record %.*s… (%s, %s)",
                  found->path, SHORT_DIGITS, is, SHORT_DIGITS, was, known->source, known->date);
    }
    return error_remedy(error,
                        "if it is to be trusted, run: bootseal reseal --predict --trust %.300s; if not, restore "
                        "it from its package and find out who changed it",
                        found->path);
}

int known_files_check(const struct known_files *files, const struct extend_list *list, struct error *error)
{
    for (size_t i = 0; i < list->file_count; i++) {
        const struct boot_file *found = &list->files[i];

        if (!known_files_has(files, found->path, &found->sha256))
            return refuse(known_files_find(files, found->path), found, error);
    }
    return 0;
}
