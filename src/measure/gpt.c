#include "measure/gpt.h"

#include "base/cursor.h"
#include "measure/text.h"

#include <string.h>

#define HEADER_BYTES 92
#define HEADER_DISK_GUID 56
#define HEADER_ENTRY_SIZE 84
#define ENTRY_MIN_BYTES 128
#define ENTRY_NAME_BYTES 72

/* What the header says: the disk, and the size of an entry. */
static bool parse_header(struct cursor *cursor, struct span *disk, uint32_t *entry_size)
{
    struct cursor header, place;
    struct span signature;

    if (!cursor_cut(cursor, HEADER_BYTES, &header))
        return false;
    place = header;
    if (!cursor_span(&place, 8, &signature) || memcmp(signature.bytes, "EFI PART", 8) != 0)
        return false;
    place = header;
    if (!cursor_skip(&place, HEADER_DISK_GUID) || !cursor_span(&place, GUID_BYTES, disk))
        return false;
    place = header;
    return cursor_skip(&place, HEADER_ENTRY_SIZE) && cursor_u32(&place, entry_size) && *entry_size >= ENTRY_MIN_BYTES;
}

static bool put_partition(FILE *stream, uint64_t number, struct cursor *entry)
{
    uint64_t first, last;
    struct span name;

    if (!cursor_skip(entry, (uint64_t)2 * GUID_BYTES) || !cursor_u64(entry, &first) || !cursor_u64(entry, &last) ||
        !cursor_skip(entry, 8) || !cursor_span(entry, ENTRY_NAME_BYTES, &name))
        return false;
    fprintf(stream, "%s\"", number > 1 ? ", " : "");
    text_put_utf16(stream, name);
    fprintf(stream, "\" (%llu to %llu)", (unsigned long long)first, (unsigned long long)last);
    return true;
}

bool gpt_put(FILE *disk, FILE *partitions, struct span bytes)
{
    struct cursor cursor = cursor_over(bytes), entry;
    char guid[GUID_TEXT];
    struct span disk_guid;
    uint32_t entry_size;
    uint64_t count;

    if (!parse_header(&cursor, &disk_guid, &entry_size) || !cursor_u64(&cursor, &count) || count > GPT_MAX_PARTITIONS)
        return false;
    guid_format(disk_guid.bytes, guid);
    fputs(guid, disk);
    for (uint64_t i = 1; i <= count; i++)
        if (!cursor_cut(&cursor, entry_size, &entry) || !put_partition(partitions, i, &entry))
            return false;
    if (count == 0)
        fputs("no partitions", partitions);
    return true;
}
