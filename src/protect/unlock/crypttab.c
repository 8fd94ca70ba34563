#include "protect/unlock/crypttab.h"

#include "base/cleanup.h"
#include "base/file.h"

#include <string.h>
#include <strings.h>

#define BLANKS " \t"
#define NAME_MAX_BYTES (PINS_NAME_MAX + 1)

/* A part of the text. */
struct field {
    const char *start;
    size_t length;
};

struct line {
    struct field name, source, key, options;
};

static bool is_octal(char c)
{
    return c >= '0' && c <= '7';
}

/* One byte, or \ooo. 0 when there is a backslash that is none, or a NUL would come out. */
static size_t decode_byte(const char *text, size_t left, char *ret)
{
    if (*text != '\\') {
        *ret = *text;
        return 1;
    }
    if (left < 4 || text[1] > '3' || !is_octal(text[1]) || !is_octal(text[2]) || !is_octal(text[3]))
        return 0;
    *ret = (char)((text[1] - '0') << 6 | (text[2] - '0') << 3 | (text[3] - '0'));
    return *ret ? 4 : 0;
}

/* False when the field does not fit or is mangled badly. */
static bool decode(struct field field, char *ret, size_t size)
{
    size_t length = 0, n;

    for (size_t i = 0; i < field.length; i += n) {
        if (length + 1 >= size)
            return false;
        n = decode_byte(field.start + i, field.length - i, &ret[length++]);
        if (n == 0)
            return false;
    }
    ret[length] = '\0';
    return true;
}

static struct field next_field(const char **text, const char *end)
{
    struct field field;

    while (*text < end && strchr(BLANKS, **text))
        (*text)++;
    field.start = *text;
    while (*text < end && !strchr(BLANKS, **text))
        (*text)++;
    field.length = (size_t)(*text - field.start);
    return field;
}

/* The next line with an entry on it, as the distribution's script reads them: three fields at least. */
static bool next_line(const char **text, struct line *ret)
{
    while (**text) {
        const char *p = *text, *end = p + strcspn(p, "\n");

        *text = *end ? end + 1 : end;
        ret->name = next_field(&p, end);
        ret->source = next_field(&p, end);
        ret->key = next_field(&p, end);
        ret->options = next_field(&p, end);
        if (ret->key.length > 0 && ret->name.start[0] != '#')
            return true;
    }
    return false;
}

static bool names_pin(const struct line *line, const struct pinned_volume *pin)
{
    char name[NAME_MAX_BYTES];

    return decode(line->name, name, sizeof(name)) && strcmp(name, pin->name) == 0;
}

/* Without quotation marks, which some write around a UUID. */
static const char *plain_uuid(char *text)
{
    size_t length = strlen(text);

    if (length >= 2 && text[0] == '"' && text[length - 1] == '"') {
        text[length - 1] = '\0';
        text++;
    }
    return text;
}

static bool means_volume(const struct line *line, const char *device, const char *uuid)
{
    static const char by_uuid[] = "/dev/disk/by-uuid/";
    char source[CRYPTTAB_PATH_MAX + 1];

    if (!decode(line->source, source, sizeof(source)))
        return false;
    if (strncmp(source, "UUID=", 5) == 0)
        return strcasecmp(plain_uuid(source + 5), uuid) == 0;
    if (strncmp(source, by_uuid, sizeof(by_uuid) - 1) == 0)
        return strcasecmp(source + sizeof(by_uuid) - 1, uuid) == 0;
    return strcmp(source, device) == 0;
}

static bool find_line(const char *text, const struct pinned_volume *pin, struct line *ret)
{
    const char *p = text;

    while (next_line(&p, ret))
        if (names_pin(ret, pin))
            return true;
    p = text;
    while (next_line(&p, ret))
        if (means_volume(ret, pin->device, pin->uuid))
            return true;
    return false;
}

/* ---- options ---- */

static bool is_listed(const char *const *list, const char *name)
{
    for (; *list; list++)
        if (strcmp(*list, name) == 0)
            return true;
    return false;
}

static bool set_flag(struct volume_options *options, const char *name)
{
    const struct {
        const char *name;
        bool *flag;
    } rows[] = {
        { "discard", &options->discard },
        { "readonly", &options->read_only },
        { "read-only", &options->read_only },
        { "same-cpu-crypt", &options->same_cpu_crypt },
        { "submit-from-crypt-cpus", &options->submit_from_crypt_cpus },
        { "no-read-workqueue", &options->no_read_workqueue },
        { "no-write-workqueue", &options->no_write_workqueue },
    };

    for (size_t i = 0; i < array_size(rows); i++)
        if (strcmp(rows[i].name, name) == 0)
            return *rows[i].flag = true;
    return false;
}

/* Another kind of volume than LUKS2, or another part of the device. */
static const char *const foreign[] = {
    "plain",         "offset",           "skip",      "tcrypt",        "tcrypt-hidden",       "tcrypthidden",
    "tcrypt-system", "tcrypt-veracrypt", "veracrypt", "veracrypt-pim", "veracrypt-query-pim", "bitlk",
    "fvault2",       "loopaes",          NULL,
};

/* When and how a passphrase is asked for, and what plain volumes need and LUKS ignores. */
static const char *const not_for_us[] = {
    "luks",        "initramfs",      "noearly",      "noauto",          "nofail",          "loud",      "quiet",
    "verify",      "tries",          "timeout",      "check",           "checkargs",       "keyscript", "keyslot",
    "key-slot",    "keyfile-offset", "keyfile-size", "keyfile-timeout", "cipher",          "size",      "hash",
    "sector-size", "swap",           "tmp",          "_netdev",         "x-initrd.attach", NULL,
};

static int add_option(struct field field, struct crypttab_entry *entry, struct error *error)
{
    const char *equals = memchr(field.start, '=', field.length);
    struct field name_field = { field.start, equals ? (size_t)(equals - field.start) : field.length };
    struct field value = { equals ? equals + 1 : "", equals ? field.length - name_field.length - 1 : 0 };
    char name[CRYPTTAB_OPTION_MAX + 1];

    if (!decode(name_field, name, sizeof(name)))
        return error_set(error, ERROR_USAGE, "crypttab: the option \"%.*s\" cannot be read", CRYPTTAB_OPTION_MAX,
                         field.start);
    if (strcmp(name, "header") == 0) {
        if (value.length == 0 || !decode(value, entry->header, sizeof(entry->header)))
            return error_set(error, ERROR_USAGE, "crypttab: the path of header= cannot be read");
    } else if (is_listed(foreign, name)) {
        if (!entry->foreign[0])
            strcpy(entry->foreign, name);
    } else if (!set_flag(&entry->options, name) && !is_listed(not_for_us, name) && !entry->ignored[0]) {
        strcpy(entry->ignored, name);
    }
    return 0;
}

/* Commas are what separates options before they are decoded: \054 is one of a value. */
static int add_options(struct field options, struct crypttab_entry *entry, struct error *error)
{
    const char *p = options.start, *end = p + options.length;
    int r = 0;

    while (!r && p < end) {
        const char *comma = memchr(p, ',', (size_t)(end - p)) ?: end;

        if (comma > p)
            r = add_option((struct field){ p, (size_t)(comma - p) }, entry, error);
        p = comma + 1;
    }
    return r;
}

int crypttab_parse(const char *text, const struct pinned_volume *pin, struct crypttab_entry *ret, struct error *error)
{
    struct crypttab_entry entry = { 0 };
    struct line line;
    int r;

    *ret = entry;
    if (!find_line(text, pin, &line))
        return 0;
    entry.found = true;
    if (!decode(line.source, entry.source, sizeof(entry.source)))
        return error_set(error, ERROR_USAGE, "crypttab: the source of \"%s\" cannot be read", pin->name);
    r = add_options(line.options, &entry, error);
    if (!r)
        *ret = entry;
    return r;
}

int crypttab_read(const char *path, const struct pinned_volume *pin, struct crypttab_entry *ret, struct error *error)
{
    cleanup(free_ptr) char *text = NULL;
    struct error ignored;

    *ret = (struct crypttab_entry){ 0 };
    if (!file_exists(path) || file_read(path, CRYPTTAB_MAX_BYTES, &text, NULL, &ignored))
        return 0;
    return crypttab_parse(text, pin, ret, error);
}

bool crypttab_name(const char *path, const char *device, const char *uuid, char *ret, size_t size)
{
    cleanup(free_ptr) char *text = NULL;
    const char *p;
    struct line line;
    struct error ignored;

    if (!file_exists(path) || file_read(path, CRYPTTAB_MAX_BYTES, &text, NULL, &ignored))
        return false;
    p = text;
    while (next_line(&p, &line))
        if (means_volume(&line, device, uuid) && decode(line.name, ret, size) && ret[0])
            return true;
    return false;
}

bool crypttab_next(const char **text, struct crypttab_row *ret)
{
    struct line line;

    while (next_line(text, &line))
        if (decode(line.name, ret->name, sizeof(ret->name)) && decode(line.source, ret->source, sizeof(ret->source)) &&
            decode(line.key, ret->key, sizeof(ret->key)))
            return true;
    return false;
}
