#include "measure/predict/systemd-boot-config.h"

#include "base/cleanup.h"
#include "measure/predict/wide.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define ENTRIES "/loader/entries"
#define BLANKS " \t"

void systemd_boot_entry_free(struct systemd_boot_entry *entry)
{
    free(entry->id);
    free(entry->title);
    free(entry->version);
    free(entry->sort_key);
    free(entry->machine_id);
    free(entry->image);
    free(entry->name_at_start);
    for (size_t i = 0; i < entry->initrd_count; i++)
        free(entry->initrds[i]);
    free(entry->initrds);
    free(entry->options);
    free(entry->devicetree);
    free(entry->problem);
    free(entry->file);
    *entry = (struct systemd_boot_entry){ 0 };
}

void systemd_boot_lower(char *text)
{
    for (; *text; text++)
        if (*text >= 'A' && *text <= 'Z')
            *text = (char)(*text - 'A' + 'a');
}

/* The next line that is not empty, without what is blank around it; false at the end. */
static bool next_text(char **rest, char **ret)
{
    for (;;) {
        size_t length = strcspn(*rest, "\n\r");
        char *line = *rest;

        if (!*line)
            return false;
        *rest += length + (line[length] != '\0');
        line[length] = '\0';
        line += strspn(line, BLANKS);
        for (length = strlen(line); length > 0 && strchr(BLANKS, line[length - 1]); length--)
            line[length - 1] = '\0';
        if (length > 0) {
            *ret = line;
            return true;
        }
    }
}

bool systemd_boot_next_line(char **rest, const char *separators, char **ret_key, char **ret_value)
{
    char *line;

    while (next_text(rest, &line)) {
        char *key_end = line + strcspn(line, separators), *value, *last = line + strlen(line) - 1;

        if (*line == '#' || !*key_end)
            continue;
        value = key_end + strspn(key_end, separators);
        *key_end = '\0';
        if (*value == '"' && *last == '"') {
            value++;
            *last = '\0';
        }
        *ret_key = line;
        *ret_value = value;
        return true;
    }
    return false;
}

/* The text as systemd-boot has it in memory: nothing where it is empty. */
static int set_text(char **field, const char *value, struct error *error)
{
    free(*field);
    *field = NULL;
    return value[0] ? wide_normalize(value, strlen(value), field, error) : 0;
}

int systemd_boot_read_default(char *text, char **ret, struct error *error)
{
    char *key, *value;
    int r = 0;

    *ret = NULL;
    while (!r && systemd_boot_next_line(&text, BLANKS, &key, &value))
        if (strcmp(key, "default") == 0 && (value[0] != '@' || strcasecmp(value, "@saved") == 0))
            r = set_text(ret, value, error);
    if (!r && *ret)
        systemd_boot_lower(*ret);
    return r;
}

bool systemd_boot_enrolls_keys(char *text)
{
    char *key, *value;
    bool forced = false;

    while (systemd_boot_next_line(&text, BLANKS, &key, &value))
        if (strcmp(key, "secure-boot-enroll") == 0)
            forced =
                strcmp(value, "force") == 0 || (forced && strcmp(value, "off") != 0 && strcmp(value, "manual") != 0);
    return forced;
}

char *systemd_boot_efi_path(const char *text)
{
    char *path = strdup(text);
    size_t length = 0;

    if (!path)
        return NULL;
    for (const char *from = text; *from; from++) {
        char c = *from;

        if (c == '/')
            c = '\\';
        if (c != '\\' || length == 0 || path[length - 1] != '\\')
            path[length++] = c;
    }
    path[length] = '\0';
    return path;
}

/* "\EFI\debian" as "/EFI/debian". */
static int set_folder_path(char **field, const char *efi_path, struct error *error)
{
    free(*field);
    if (asprintf(field, "%s%s", efi_path[0] == '\\' ? "" : "/", efi_path) < 0) {
        *field = NULL;
        return error_no_memory(error);
    }
    for (char *p = *field; *p; p++)
        if (*p == '\\')
            *p = '/';
    return 0;
}

/* The first one stays. */
static int set_problem(struct systemd_boot_entry *entry, const char *what, const char *which, struct error *error)
{
    if (!entry->problem && asprintf(&entry->problem, "%s%s", what, which) < 0) {
        entry->problem = NULL;
        return error_no_memory(error);
    }
    return 0;
}

/* A path as systemd-boot has it. One that is empty would end systemd-boot. */
static int read_path(struct systemd_boot_entry *entry, const char *value, char **ret, struct error *error)
{
    cleanup(free_ptr) char *text = NULL;
    int r = set_text(&text, value, error);

    *ret = NULL;
    if (!r && !text)
        return set_problem(entry, "the entry has an empty path", "", error);
    if (r)
        return r;
    *ret = systemd_boot_efi_path(text);
    return *ret ? 0 : error_no_memory(error);
}

static int set_path(struct systemd_boot_entry *entry, char **field, const char *value, struct error *error)
{
    cleanup(free_ptr) char *path = NULL;
    int r = read_path(entry, value, &path, error);

    return r || !path ? r : set_folder_path(field, path, error);
}

/* "<all> <more>", or only that. */
static int append_words(char **all, const char *more, struct error *error)
{
    char *joined;

    if (asprintf(&joined, "%s%s%s", *all ?: "", *all ? " " : "", more) < 0)
        return error_no_memory(error);
    free(*all);
    *all = joined;
    return 0;
}

/* What is collected of an entry before all of it is known. */
struct draft {
    struct systemd_boot_entry *entry;
    const struct systemd_boot_place *place;
    bool has_image, left_out;
    char *options, *initrd_options; /* "initrd=\a initrd=\b" */
};

static void draft_free(struct draft *draft)
{
    free(draft->options);
    free(draft->initrd_options);
}

static int add_initrd(struct draft *draft, const char *value, struct error *error)
{
    struct systemd_boot_entry *entry = draft->entry;
    cleanup(free_ptr) char *path = NULL;
    cleanup(free_ptr) char *word = NULL;
    char **initrds;
    int r = read_path(entry, value, &path, error);

    if (r || !path)
        return r;
    initrds = reallocarray(entry->initrds, entry->initrd_count + 1, sizeof *initrds);
    if (!initrds || asprintf(&word, "initrd=%s", path) < 0) {
        entry->initrds = initrds ?: entry->initrds;
        word = NULL;
        return error_no_memory(error);
    }
    entry->initrds = initrds;
    initrds[entry->initrd_count] = NULL;
    r = set_folder_path(&initrds[entry->initrd_count], path, error);
    if (r)
        return r;
    entry->initrd_count++;
    return append_words(&draft->initrd_options, word, error);
}

static int add_options(struct draft *draft, const char *value, struct error *error)
{
    cleanup(free_ptr) char *text = NULL;
    int r = set_text(&text, value, error);

    if (!r && !text)
        return set_problem(draft->entry, "the entry has options that are nothing but quotes", "", error);
    return r ?: append_words(&draft->options, text, error);
}

static int set_image(struct draft *draft, enum systemd_boot_kind kind, const char *value, struct error *error)
{
    cleanup(free_ptr) char *own = NULL;
    cleanup(free_ptr) char *path = NULL;
    int r = read_path(draft->entry, value, &path, error);

    draft->entry->kind = kind;
    draft->has_image = true;
    if (r || !path)
        return r;
    own = systemd_boot_efi_path(draft->place->machine->loader);
    if (!own)
        return error_no_memory(error);
    if (kind == SYSTEMD_BOOT_EFI && draft->place->folder == draft->place->machine->esp && strcasecmp(path, own) == 0)
        draft->left_out = true; /* it does not list itself */
    return set_folder_path(&draft->entry->image, path, error);
}

static int take_line(struct draft *draft, const char *key, const char *value, struct error *error)
{
    struct systemd_boot_entry *entry = draft->entry;
    const struct {
        const char *key;
        char **field;
    } texts[] = { { "title", &entry->title },
                  { "version", &entry->version },
                  { "sort-key", &entry->sort_key },
                  { "machine-id", &entry->machine_id } };

    for (size_t i = 0; i < array_size(texts); i++)
        if (strcmp(key, texts[i].key) == 0)
            return set_text(texts[i].field, value, error);
    if (strcmp(key, "linux") == 0)
        return set_image(draft, SYSTEMD_BOOT_LINUX, value, error);
    if (strcmp(key, "efi") == 0)
        return set_image(draft, SYSTEMD_BOOT_EFI, value, error);
    if (strcmp(key, "initrd") == 0)
        return add_initrd(draft, value, error);
    if (strcmp(key, "options") == 0)
        return add_options(draft, value, error);
    if (strcmp(key, "devicetree") == 0)
        return set_path(entry, &entry->devicetree, value, error);
    if (strcmp(key, "architecture") == 0 && strcasecmp(value, draft->place->architecture) != 0)
        draft->left_out = true;
    return 0;
}

/* A decimal number from *text on, which is moved behind it. */
static bool read_number(const char **text, int64_t *ret)
{
    const char *p = *text;
    int64_t number = 0;

    for (; *p >= '0' && *p <= '9'; p++) {
        number = number * 10 + (*p - '0');
        if (number > INT_MAX)
            return false;
    }
    if (p == *text)
        return false;
    *text = p;
    *ret = number;
    return true;
}

/* "name+LEFT-DONE.conf", "name+LEFT.conf". systemd-boot counts when it starts the entry, by renaming the file. */
static int read_tries(struct systemd_boot_entry *entry, const char *name, const char *suffix, struct error *error)
{
    const char *plus = strrchr(name, '+'), *rest = plus ? plus + 1 : "";
    int64_t left, done = 0;

    entry->tries_left = entry->tries_done = -1;
    if (!plus || !read_number(&rest, &left))
        return 0;
    if (*rest == '-') {
        rest++;
        if (!read_number(&rest, &done))
            return 0;
    }
    if (strcasecmp(rest, suffix) != 0)
        return 0;
    entry->tries_left = left;
    entry->tries_done = done;
    if (asprintf(&entry->name_at_start, "%.*s%lld-%lld%s", (int)(plus + 1 - name), name,
                 (long long)(left > 0 ? left - 1 : 0), (long long)(done < INT_MAX ? done + 1 : INT_MAX), suffix) < 0) {
        entry->name_at_start = NULL;
        return error_no_memory(error);
    }
    return 0;
}

int systemd_boot_set_id(struct systemd_boot_entry *entry, const char *name, const char *suffix, struct error *error)
{
    int r = set_text(&entry->id, name, error);

    if (!r && entry->id)
        systemd_boot_lower(entry->id);
    return r ?: read_tries(entry, name, suffix, error);
}

/* systemd-boot adds "initrd=" for old kernels, and only to what is called a Linux kernel. */
static int finish_options(struct draft *draft, struct error *error)
{
    struct systemd_boot_entry *entry = draft->entry;

    if (entry->kind == SYSTEMD_BOOT_LINUX && draft->initrd_options) {
        entry->options = take_ptr(draft->initrd_options);
        return draft->options ? append_words(&entry->options, draft->options, error) : 0;
    }
    entry->options = take_ptr(draft->options);
    for (size_t i = 0; i < entry->initrd_count; i++)
        free(entry->initrds[i]);
    entry->initrd_count = 0;
    return 0;
}

/* An entry whose image is not there is left out. */
static int check_image(struct draft *draft, struct error *error)
{
    cleanup(boot_file_close) struct boot_file_handle file = { .fd = -1 };
    int r = boot_file_open(draft->place->folder, draft->entry->image, &file, error);

    if (r == ERROR_METADATA)
        return set_problem(draft->entry, error->text, "", error);
    if (!r && file.fd < 0)
        draft->left_out = true;
    return r;
}

int systemd_boot_read_entry(const struct systemd_boot_place *place, const char *name, struct systemd_boot_entry *ret,
                            bool *ret_listed, struct error *error)
{
    cleanup(draft_free) struct draft draft = { .entry = ret, .place = place };
    cleanup(boot_file_close) struct boot_file_handle file = { .fd = -1 };
    cleanup(free_ptr) char *path = NULL;
    cleanup(free_ptr) char *text = NULL;
    char *rest, *key, *value;
    int r;

    *ret = (struct systemd_boot_entry){ .folder = place->folder };
    *ret_listed = false;
    if (asprintf(&path, ENTRIES "/%s", name) < 0) {
        path = NULL;
        return error_no_memory(error);
    }
    r = boot_file_open(place->folder, path, &file, error);
    if (r || file.fd < 0)
        return r;
    r = boot_file_read(&file, SYSTEMD_BOOT_CONFIG_MAX, &text, &ret->file_sha256, error);
    ret->file = take_ptr(file.path);
    rest = text;
    while (!r && !draft.left_out && systemd_boot_next_line(&rest, BLANKS, &key, &value))
        r = take_line(&draft, key, value, error);
    if (r || draft.left_out || !draft.has_image)
        return r;
    if (ret->image)
        r = check_image(&draft, error);
    r = r ?: finish_options(&draft, error);
    r = r ?: systemd_boot_set_id(ret, name, ".conf", error);
    *ret_listed = !draft.left_out;
    return r;
}
