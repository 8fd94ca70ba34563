#include "measure/predict/extend-list.h"

#include "base/cleanup.h"

#include <stdlib.h>
#include <string.h>

int extend_list_init(struct extend_list *list, enum hash_algorithm bank, struct error *error)
{
    *list = (struct extend_list){ .bank = bank };
    if (hash_size(bank) == 0)
        return error_set(error, ERROR_USAGE, "hash algorithm 0x%04x is not known", (unsigned)bank);
    return 0;
}

void extend_list_free(struct extend_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->items[i].text);
    for (size_t i = 0; i < list->file_count; i++)
        free(list->files[i].path);
    free(list->items);
    free(list->files);
    *list = (struct extend_list){ .bank = list->bank };
}

/* Room for one more of them: the array grows by doubling, from 16. */
static void *grow(void *items, size_t count, size_t item_size)
{
    bool full = count == 0 || (count >= 16 && (count & (count - 1)) == 0);

    return full ? reallocarray(items, count < 16 ? 16 : count * 2, item_size) : items;
}

int extend_list_add(struct extend_list *list, unsigned pcr, const uint8_t *digest, const char *text,
                    struct error *error)
{
    struct extend *items;

    if (pcr >= PCR_COUNT)
        return error_set(error, ERROR_USAGE, "there is no PCR %u", pcr);
    if (list->count == EXTEND_LIST_MAX)
        return error_set(error, ERROR_FAILED, "the boot would have more than %d events", EXTEND_LIST_MAX);
    items = grow(list->items, list->count, sizeof *items);
    if (!items)
        return error_no_memory(error);
    list->items = items;
    items[list->count] = (struct extend){ .pcr = pcr, .text = strdup(text) };
    if (!items[list->count].text)
        return error_no_memory(error);
    memcpy(items[list->count++].digest, digest, hash_size(list->bank));
    return 0;
}

int extend_list_add_data(struct extend_list *list, unsigned pcr, const void *data, size_t size, const char *text,
                         struct error *error)
{
    uint8_t digest[HASH_MAX_BYTES];

    return hash_compute(list->bank, &(struct span){ data, size }, 1, digest, error)
               ?: extend_list_add(list, pcr, digest, text, error);
}

int extend_list_add_source(struct extend_list *list, const char *path, const struct digest *sha256, struct error *error)
{
    struct boot_file *files;

    for (size_t i = 0; i < list->file_count; i++) {
        if (strcmp(list->files[i].path, path) != 0)
            continue;
        if (digest_equal(&list->files[i].sha256, sha256))
            return 0;
        return error_set(error, ERROR_FAILED, "\"%s\" was changed while it was read; run this again", path);
    }
    if (list->file_count == EXTEND_LIST_FILES_MAX)
        return error_set(error, ERROR_FAILED, "the boot would read more than %d files", EXTEND_LIST_FILES_MAX);
    files = grow(list->files, list->file_count, sizeof *files);
    if (!files)
        return error_no_memory(error);
    list->files = files;
    files[list->file_count] = (struct boot_file){ .path = strdup(path), .sha256 = *sha256 };
    if (!files[list->file_count].path)
        return error_no_memory(error);
    list->file_count++;
    return 0;
}

int extend_list_append(struct extend_list *list, const struct extend_list *other, struct error *error)
{
    int r = 0;

    if (list->bank != other->bank)
        return error_set(error, ERROR_USAGE, "two lists of different banks");
    for (size_t i = 0; !r && i < other->count; i++)
        r = extend_list_add(list, other->items[i].pcr, other->items[i].digest, other->items[i].text, error);
    for (size_t i = 0; !r && i < other->file_count; i++)
        r = extend_list_add_source(list, other->files[i].path, &other->files[i].sha256, error);
    return r;
}

int extend_list_apply(const struct extend_list *list, struct pcr_values *values, struct error *error)
{
    size_t size = hash_size(list->bank);
    int r = 0;

    if (values->bank != list->bank)
        return error_set(error, ERROR_USAGE, "a list and values of different banks");
    for (size_t i = 0; !r && i < list->count; i++) {
        const struct extend *item = &list->items[i];
        const struct span parts[] = { { values->value[item->pcr], size }, { item->digest, size } };
        uint8_t extended[HASH_MAX_BYTES];

        if (!(values->mask & (1u << item->pcr)))
            continue;
        r = hash_compute(list->bank, parts, 2, extended, error);
        if (!r)
            memcpy(values->value[item->pcr], extended, size);
    }
    return r;
}
