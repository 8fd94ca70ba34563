#include "measure/predict/shim.h"

#include "base/cleanup.h"
#include "base/cursor.h"
#include "measure/predict/program-part.h"
#include "measure/text.h"

#include <string.h>

#define LIST_HEADER 28
#define POLICY_LATEST 1
#define POLICY_AUTOMATIC 2
#define LEVEL_START "sbat,"

static const uint8_t x509_type[GUID_BYTES] = { 0xa1, 0x59, 0xc0, 0xa5, 0xe4, 0x94, 0xa7, 0x4a,
                                               0x87, 0xb5, 0xab, 0x15, 0x5c, 0x2b, 0xf0, 0x72 };

/* The text at an offset of the section, which ends with a NUL. */
static bool text_at(const struct cursor *section, uint32_t offset, const char **ret)
{
    struct cursor place = *section;
    struct span rest;

    if (!cursor_skip(&place, offset))
        return false;
    rest = cursor_rest(&place);
    *ret = rest.bytes;
    return rest.size > 0 && memchr(rest.bytes, '\0', rest.size) != NULL;
}

/* .sbatlevel: a version, then where the automatic and the latest level are, counted from behind the version. */
static bool parse_section(const uint8_t *bytes, size_t size, bool latest, const char **ret)
{
    struct cursor section = cursor_new(bytes, size), body;
    uint32_t version, automatic_at, latest_at;

    if (!cursor_u32(&section, &version) || version != 0)
        return false;
    body = section;
    return cursor_u32(&section, &automatic_at) && cursor_u32(&section, &latest_at) &&
           text_at(&body, latest ? latest_at : automatic_at, ret);
}

/* Splits "sbat,VERSION,DATE"; false for another text. */
static bool parse_level(const char *level, size_t *ret_version, const char **ret_date, size_t *ret_size)
{
    const char *version = level + strlen(LEVEL_START), *end;

    if (strncmp(level, LEVEL_START, strlen(LEVEL_START)) != 0 || strspn(version, "0123456789") == 0)
        return false;
    *ret_version = strtoul(version, NULL, 10);
    end = version + strspn(version, "0123456789");
    *ret_date = *end == ',' ? end + 1 : end;
    *ret_size = strspn(*ret_date, "0123456789");
    return true;
}

/* True when the level in force is as new as the other, and so stays. */
static bool stays(const char *level, const char *other)
{
    size_t version, other_version, size, other_size;
    const char *date, *other_date;

    if (!parse_level(level, &version, &date, &size) || !parse_level(other, &other_version, &other_date, &other_size))
        return false;
    if (version != other_version)
        return version > other_version;
    if (size != other_size)
        return size > other_size;
    return strncmp(date, other_date, size) >= 0;
}

/* SbatPolicy: the level of which kind shim will take; automatic where there is none. */
static int read_policy(const char *variables, const struct firmware_variable_list *changed, unsigned *ret,
                       struct error *error)
{
    cleanup(firmware_variable_free) struct firmware_variable policy = { 0 };
    bool found;
    int r = firmware_variable_read(variables, changed, vendor_shim, "SbatPolicy", &policy, &found, error);

    *ret = found && policy.size == 1 ? policy.data[0] : POLICY_AUTOMATIC;
    return r;
}

/* Takes the newest of both. */
static int choose(const struct firmware_variable *now, const char *brought, char **ret, struct error *error)
{
    cleanup(free_ptr) char *level = now->data ? strndup((const char *)now->data, now->size) : NULL;

    if (now->data && !level)
        return error_no_memory(error);
    *ret = level && stays(level, brought) ? take_ptr(level) : strdup(brought);
    return *ret ? 0 : error_no_memory(error);
}

int shim_sbat_level(const char *shim, const char *variables, const struct firmware_variable_list *changed, char **ret,
                    const char **ret_reason, struct error *error)
{
    cleanup(firmware_variable_free) struct firmware_variable now = { 0 };
    cleanup(free_ptr) uint8_t *section = NULL;
    const char *brought = NULL;
    unsigned policy;
    size_t size;
    bool found;
    int r = read_policy(variables, changed, &policy, error);

    *ret = NULL;
    *ret_reason = NULL;
    r = r ?: firmware_variable_read(variables, changed, vendor_shim, "SbatLevelRT", &now, &found, error);
    r = r ?: program_section(shim, ".sbatlevel", &section, &size, error);
    if (r)
        return r;
    if (!found)
        *ret_reason = "the level in force (SbatLevelRT) cannot be read";
    else if (policy != POLICY_AUTOMATIC && policy != POLICY_LATEST)
        *ret_reason = "SbatPolicy asks shim to set SbatLevel back";
    else if (!section || !parse_section(section, size, policy == POLICY_LATEST, &brought))
        *ret_reason = "shim has no section .sbatlevel that is known";
    return *ret_reason ? 0 : choose(&now, brought, ret, error);
}

static void put_u32(uint8_t *bytes, size_t number)
{
    for (size_t i = 0; i < 4; i++)
        bytes[i] = (uint8_t)(number >> (8 * i));
}

/* A list of one certificate, of which shim is the owner. */
static int make_list(struct span certificate, uint8_t **ret, size_t *ret_size, struct error *error)
{
    *ret_size = LIST_HEADER + GUID_BYTES + certificate.size;
    *ret = calloc(1, *ret_size);
    if (!*ret)
        return error_no_memory(error);
    memcpy(*ret, x509_type, GUID_BYTES);
    put_u32(*ret + 16, *ret_size);
    put_u32(*ret + 24, GUID_BYTES + certificate.size);
    memcpy(*ret + LIST_HEADER, vendor_shim, GUID_BYTES);
    memcpy(*ret + LIST_HEADER + GUID_BYTES, certificate.bytes, certificate.size);
    return 0;
}

static int copy(struct span bytes, uint8_t **ret, size_t *ret_size, struct error *error)
{
    *ret = malloc(bytes.size + 1);
    if (!*ret)
        return error_no_memory(error);
    memcpy(*ret, bytes.bytes, bytes.size);
    *ret_size = bytes.size;
    return 0;
}

/* .vendor_cert: sizes and places of what is allowed (one certificate, or lists) and of what is revoked (lists). */
static bool parse_vendor(const uint8_t *bytes, size_t size, bool revoked, struct span *ret)
{
    struct cursor section = cursor_new(bytes, size), place = section;
    uint32_t sizes[2], offsets[2];

    return cursor_u32(&section, &sizes[0]) && cursor_u32(&section, &sizes[1]) && cursor_u32(&section, &offsets[0]) &&
           cursor_u32(&section, &offsets[1]) && cursor_skip(&place, offsets[revoked]) &&
           cursor_span(&place, sizes[revoked], ret);
}

int shim_vendor_lists(const char *shim, bool revoked, uint8_t **ret, size_t *ret_size, struct error *error)
{
    cleanup(free_ptr) uint8_t *section = NULL;
    struct span part;
    size_t size;
    int r = program_section(shim, ".vendor_cert", &section, &size, error);

    *ret = NULL;
    *ret_size = 0;
    if (r || !section)
        return r;
    if (!parse_vendor(section, size, revoked, &part))
        return error_set(error, ERROR_METADATA, "the section .vendor_cert of \"%s\" is damaged", shim);
    if (part.size == 0)
        return 0;
    if (((const uint8_t *)part.bytes)[0] == 0x30) /* DER */
        return make_list(part, ret, ret_size, error);
    return copy(part, ret, ret_size, error);
}
