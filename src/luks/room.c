#include "luks/internal.h"

#include "base/cleanup.h"

#include <libcryptsetup.h>

#define BINARY_HEADER_BYTES 4096u /* before the JSON area; LUKS2 On-Disk Format Specification 1.1, 2.1 */
#define STRIPES 4000u             /* of the anti-forensic splitter, as libcryptsetup makes keyslots */
#define AREA_ALIGNMENT 4096u

struct area {
    uint64_t start, end;
};

int room_for_json(struct volume *volume, struct json_object *metadata, size_t extra, struct error *error)
{
    uint64_t header_bytes = 0;
    size_t length = 0;
    int code = crypt_get_metadata_size(volume_device(volume), &header_bytes, NULL);

    if (code < 0 || header_bytes <= BINARY_HEADER_BYTES)
        return volume_fail(volume, code, error, "cannot tell the size of the header");
    /* in the form in which libcryptsetup writes it, and with the NUL behind it */
    if (!json_object_to_json_string_length(metadata, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, &length))
        return error_no_memory(error);
    if (length + extra + 1 <= header_bytes - BINARY_HEADER_BYTES)
        return 0;
    error_set(error, ERROR_REFUSED, "\"%s\": no room in the LUKS2 header's JSON area", volume->path);
    return error_remedy(error, "remove tokens or keyslots that are no longer used (cryptsetup luksDump lists them)");
}

static int area_order(const void *a, const void *b)
{
    const struct area *left = a, *right = b;

    return (left->start > right->start) - (left->start < right->start);
}

static int read_areas(const struct json_view *metadata, struct area areas[VOLUME_MAX_KEYSLOTS], size_t *ret_count,
                      struct error *error)
{
    struct json_view keyslots, keyslot, area;
    uint32_t mask;
    size_t count = 0;
    int r = json_get_object(metadata, "keyslots", &keyslots, error);

    if (!r)
        r = metadata_numbers(&keyslots, "keyslots", &mask, error);
    for (int i = 0; !r && i < VOLUME_MAX_KEYSLOTS; i++) {
        uint64_t size;

        if (!(mask & (1u << i)))
            continue;
        r = metadata_item(metadata, "keyslots", i, &keyslot, error);
        r = r ?: json_get_object(&keyslot, "area", &area, error);
        r = r ?: metadata_decimal(&area, "offset", &areas[count].start, error);
        r = r ?: metadata_decimal(&area, "size", &size, error);
        if (!r && __builtin_add_overflow(areas[count].start, size, &areas[count].end))
            r = json_fault(&area, "size", error, "is too large");
        count++;
    }
    *ret_count = r ? 0 : count;
    return r;
}

/* The keyslots' areas lie behind the two copies of the header, in `keyslots_size` bytes. */
static int read_bounds(const struct json_view *metadata, struct area *ret, struct error *error)
{
    struct json_view config;
    uint64_t json_bytes, keyslots_bytes;
    int r = json_get_object(metadata, "config", &config, error);

    r = r ?: metadata_decimal(&config, "json_size", &json_bytes, error);
    r = r ?: metadata_decimal(&config, "keyslots_size", &keyslots_bytes, error);
    if (r)
        return r;
    if (json_bytes > UINT32_MAX || keyslots_bytes > UINT32_MAX)
        return json_fault(&config, "keyslots_size", error, "is too large");
    ret->start = 2 * (json_bytes + BINARY_HEADER_BYTES);
    ret->end = ret->start + keyslots_bytes;
    return 0;
}

int room_for_keyslots(const struct json_view *metadata, size_t key_size_bytes, unsigned wanted, struct error *error)
{
    uint64_t needed = (key_size_bytes * STRIPES + AREA_ALIGNMENT - 1) / AREA_ALIGNMENT * AREA_ALIGNMENT;
    struct area areas[VOLUME_MAX_KEYSLOTS], bounds = { 0 };
    size_t count = 0;
    uint64_t free_from, fit = 0;
    int r = read_bounds(metadata, &bounds, error);

    r = r ?: read_areas(metadata, areas, &count, error);
    if (r)
        return r;
    qsort(areas, count, sizeof(areas[0]), area_order);
    free_from = bounds.start;
    for (size_t i = 0; i < count; i++) {
        if (areas[i].start > free_from)
            fit += (areas[i].start - free_from) / needed;
        if (areas[i].end > free_from)
            free_from = areas[i].end;
    }
    if (bounds.end > free_from)
        fit += (bounds.end - free_from) / needed;
    if (fit >= wanted)
        return 0;
    error_set(error, ERROR_REFUSED, "no room for another keyslot in the LUKS2 header");
    return error_remedy(error, "remove a keyslot that is no longer used: cryptsetup luksKillSlot");
}
