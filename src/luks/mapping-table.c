/*
 * Device mapper's own word on a mapping (ioctl DM_TABLE_STATUS; kernel: admin-guide/device-mapper/dm-crypt):
 *
 *   CIPHER KEY IV-OFFSET DEVICE OFFSET [NUMBER OPTION...]
 *
 * libcryptsetup reads the header again when it is asked about a mapping, and would tell what stands there now.
 */
#include "luks/internal.h"

#include "base/cleanup.h"

#include <errno.h>
#include <linux/dm-ioctl.h>
#include <string.h>
#include <sys/ioctl.h>

#define ANSWER_BYTES 4096 /* a key in hexadecimal has 128 bytes, names 255 */
#define SMALLEST_SECTOR_BYTES 512

/* The key may be part of the answer. */
struct table_answer {
    struct dm_ioctl head;
    char data[ANSWER_BYTES];
};

static void wipe_answer(struct table_answer *answer)
{
    explicit_bzero(answer, sizeof(*answer));
}

static int damaged(struct error *error, const char *what)
{
    return error_set(error, ERROR_METADATA, "the kernel's table of the mapping: %s", what);
}

static int ask_kernel(const char *mapping_uuid, struct table_answer *ret, struct error *error)
{
    int number;

    memset(ret, 0, sizeof(*ret));
    ret->head.flags = DM_STATUS_TABLE_FLAG | DM_SECURE_DATA_FLAG;
    snprintf(ret->head.uuid, sizeof(ret->head.uuid), "%s", mapping_uuid);
    number = device_mapper_call(DM_TABLE_STATUS, &ret->head, sizeof(*ret));
    return number ? error_errno(error, number, "cannot read the table of the mapping \"%s\"", mapping_uuid) : 0;
}

/* The parameters of the one target, which must be of type "crypt". */
static int find_parameters(struct table_answer *answer, const char **ret, struct error *error)
{
    struct dm_target_spec target;
    size_t start = answer->head.data_start;

    if ((answer->head.flags & DM_BUFFER_FULL_FLAG) || start > sizeof(*answer) - sizeof(target))
        return damaged(error, "it is too long");
    if (answer->head.target_count != 1)
        return damaged(error, "it has other than one part");
    memcpy(&target, (const char *)answer + start, sizeof(target));
    target.target_type[sizeof(target.target_type) - 1] = '\0';
    if (strcmp(target.target_type, "crypt") != 0 || target.sector_start != 0)
        return damaged(error, "it does not encrypt");
    answer->data[sizeof(answer->data) - 1] = '\0';
    *ret = (const char *)answer + start + sizeof(target);
    return 0;
}

static int read_table(const char *mapping_uuid, struct mapping_table *ret, struct error *error)
{
    cleanup(wipe_answer) struct table_answer answer;
    const char *parameters = NULL;
    int r = ask_kernel(mapping_uuid, &answer, error);

    r = r ?: find_parameters(&answer, &parameters, error);
    return r ?: mapping_table_parse(parameters, ret, error);
}

/* ---- the parameters ---- */

/* Copies the next word, which must fit, and moves on. */
static bool next_word(const char **text, char *ret, size_t size)
{
    size_t length;

    *text += strspn(*text, " ");
    length = strcspn(*text, " ");
    if (length == 0 || length >= size)
        return false;
    memcpy(ret, *text, length);
    ret[length] = '\0';
    *text += length;
    return true;
}

static bool next_number(const char **text, uint64_t *ret)
{
    char word[24], *end;

    if (!next_word(text, word, sizeof(word)) || word[0] < '0' || word[0] > '9')
        return false;
    errno = 0;
    *ret = strtoull(word, &end, 10);
    return !*end && !errno;
}

static bool skip_word(const char **text)
{
    *text += strspn(*text, " ");
    if (!**text)
        return false;
    *text += strcspn(*text, " ");
    return true;
}

/* What the options may say beside the sector size: how the work is done, not what is done. */
static bool option_is_harmless(const char *option)
{
    static const char *const known[] = {
        "allow_discards", "same_cpu_crypt", "submit_from_crypt_cpus", "no_read_workqueue", "no_write_workqueue",
    };

    for (size_t i = 0; i < array_size(known); i++)
        if (strcmp(option, known[i]) == 0)
            return true;
    return false;
}

static int parse_options(const char *text, struct mapping_table *ret, struct error *error)
{
    char option[64];
    uint64_t count;

    ret->sector_size_bytes = SMALLEST_SECTOR_BYTES;
    text += strspn(text, " ");
    if (!*text)
        return 0;
    if (!next_number(&text, &count))
        return damaged(error, "it has no number of options");
    for (; count > 0; count--) {
        if (!next_word(&text, option, sizeof(option)))
            return damaged(error, "an option is missing");
        if (sscanf(option, "sector_size:%9u", &ret->sector_size_bytes) != 1 && !option_is_harmless(option))
            return error_set(error, ERROR_METADATA, "the kernel's table of the mapping: unknown option \"%s\"", option);
    }
    return text[strspn(text, " ")] ? damaged(error, "more follows after its options") : 0;
}

int mapping_table_parse(const char *parameters, struct mapping_table *ret, struct error *error)
{
    struct mapping_table table = { 0 };
    char device[32];
    int end = 0;

    if (!next_word(&parameters, table.cipher, sizeof(table.cipher)) || !skip_word(&parameters) ||
        !next_number(&parameters, &table.iv_offset_sectors) || !next_word(&parameters, device, sizeof(device)) ||
        sscanf(device, "%9u:%9u%n", &table.device.major, &table.device.minor, &end) != 2 || device[end] ||
        !next_number(&parameters, &table.offset_sectors))
        return damaged(error, "it is not that of an encrypted volume");
    if (parse_options(parameters, &table, error))
        return (int)error->kind;
    *ret = table;
    return 0;
}

int mapping_table_check(const struct mapping_table *table, struct volume *volume, struct error *error)
{
    struct volume_facts facts;
    int r = volume_facts_read(volume, &facts, error);

    if (r)
        return r;
    if (strcmp(table->cipher, facts.cipher) != 0)
        return error_set(error, ERROR_METADATA, "it is opened with the cipher \"%s\" instead of \"%s\"", table->cipher,
                         facts.cipher);
    if (table->offset_sectors != facts.offset_bytes / SMALLEST_SECTOR_BYTES ||
        table->iv_offset_sectors != facts.iv_offset_sectors)
        return error_set(error, ERROR_METADATA, "it is opened at another place than its header says");
    if (table->sector_size_bytes != facts.sector_size_bytes)
        return error_set(error, ERROR_METADATA, "it is opened with sectors of %u bytes instead of %u",
                         table->sector_size_bytes, facts.sector_size_bytes);
    return 0;
}

int volume_mapping_device(const char *mapping_uuid, struct blockdev *ret, struct error *error)
{
    struct mapping_table table;
    int r = read_table(mapping_uuid, &table, error);

    if (!r)
        *ret = table.device;
    return r;
}

int volume_mapping_check(struct volume *volume, const char *mapping_uuid, struct error *error)
{
    struct mapping_table table;
    int r = read_table(mapping_uuid, &table, error);

    return r ?: mapping_table_check(&table, volume, error);
}
