#include "scratch.h"

#include "base/cleanup.h"
#include "measure/pe.h"

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define PE 0x80
#define OPTIONAL (PE + 24)
#define OPTIONAL_BYTES 240
#define SECTIONS (OPTIONAL + OPTIONAL_BYTES)
#define HEADERS 0x1000
#define ALIGNMENT 0x200

static struct error error;

char *scratch_new(void)
{
    char *folder = strdup("/tmp/bootseal-test.XXXXXX");

    assert_non_null(folder);
    assert_non_null(mkdtemp(folder));
    return folder;
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *place)
{
    (void)status;
    (void)type;
    (void)place;
    return remove(path);
}

void scratch_free(char **folder)
{
    if (*folder)
        nftw(*folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    free(*folder);
    *folder = NULL;
}

void scratch_write(const char *folder, const char *path, const void *bytes, size_t size)
{
    cleanup(free_ptr) char *name = NULL;
    cleanup(close_stream) FILE *file = NULL;

    assert_true(asprintf(&name, "%s%s", folder, path) > 0);
    for (char *slash = strchr(name + strlen(folder) + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        mkdir(name, 0700);
        *slash = '/';
    }
    file = fopen(name, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
}

void scratch_write_text(const char *folder, const char *path, const char *text)
{
    scratch_write(folder, path, text, strlen(text));
}

void made_put(struct made_image *made, size_t place, uint64_t number, size_t size)
{
    for (size_t i = 0; i < size; i++)
        made->bytes[place + i] = (uint8_t)(number >> (8 * i));
}

void made_start(struct made_image *ret)
{
    memset(ret, 0, sizeof *ret);
    ret->size = HEADERS;
    ret->next_address = HEADERS;
    memcpy(ret->bytes, "MZ", 2);
    made_put(ret, 0x3c, PE, 4);
    memcpy(ret->bytes + PE, "PE\0", 4);
    made_put(ret, PE + 4, 0x8664, 2);
    made_put(ret, PE + 20, OPTIONAL_BYTES, 2);
    made_put(ret, OPTIONAL, 0x20b, 2);
    made_put(ret, OPTIONAL + 44, 1, 2);
    made_put(ret, OPTIONAL + 60, HEADERS, 4);
    made_put(ret, OPTIONAL + 108, 16, 4);
}

size_t made_add(struct made_image *made, const char *name, const void *bytes, size_t size)
{
    size_t header = SECTIONS + 40u * made->sections++, raw = (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;

    assert_true(made->size + raw <= MADE_MAX);
    made_put(made, PE + 6, made->sections, 2);
    memcpy(made->bytes + header, name, strnlen(name, 8));
    made_put(made, header + 8, size, 4);
    made_put(made, header + 12, made->next_address, 4);
    made_put(made, header + 16, raw, 4);
    made_put(made, header + 20, made->size, 4);
    memcpy(made->bytes + made->size, bytes, size);
    made->size += raw;
    made->next_address += (uint32_t)(raw + 0xfff) & ~0xfffu;
    return header;
}

void made_kernel(struct made_image *ret, const char *version)
{
    uint8_t code[3000];

    for (size_t i = 0; i < sizeof code; i++)
        code[i] = (uint8_t)(i * 31 + i / 256);
    made_start(ret);
    made_add(ret, ".setup", code, 700);
    made_add(ret, ".text", code, sizeof code);
    memcpy(ret->bytes + 0x202, "HdrS", 4);
    made_put(ret, 0x20e, 0x300, 2);
    memcpy(ret->bytes + 0x500, version, strlen(version) + 1);
}

void made_unified(struct made_image *ret, const char *stub, const struct made_image *kernel)
{
    made_start(ret);
    made_add(ret, ".text", "stub", 4);
    made_add(ret, ".sdmagic", stub, strlen(stub) + 1);
    made_add(ret, ".linux", kernel->bytes, kernel->size);
}

void made_write(const struct made_image *made, const char *folder, const char *path, uint8_t *ret)
{
    cleanup(free_ptr) char *name = NULL;

    scratch_write(folder, path, made->bytes, made->size);
    if (!ret)
        return;
    assert_true(asprintf(&name, "%s%s", folder, path) > 0);
    assert_int_equal(pe_hash(name, HASH_SHA256, ret, &error), 0);
}

/* The next event of that PCR at or after *from, which is moved behind it. */
static const struct extend *next_event(const struct extend_list *list, unsigned pcr, size_t *from)
{
    while (*from < list->count)
        if (list->items[(*from)++].pcr == pcr)
            return &list->items[*from - 1];
    return NULL;
}

void assert_events(const struct boot_prediction *prediction, const struct wanted *wanted, size_t count)
{
    size_t from[PCR_COUNT] = { 0 };

    for (size_t i = 0; i < count; i++) {
        const struct extend *event = next_event(&prediction->extends, wanted[i].pcr, &from[wanted[i].pcr]);

        if (!event)
            fail_msg("event %zu (PCR %u) is missing", i, wanted[i].pcr);
        if (memcmp(event->digest, wanted[i].digest.bytes, DIGEST_BYTES) != 0)
            fail_msg("event %zu (PCR %u): \"%s\" is another", i, wanted[i].pcr, event->text);
    }
    assert_int_equal(prediction->extends.count, count);
}

struct wanted wanted_bytes(unsigned pcr, const void *bytes, size_t size)
{
    struct wanted wanted = { .pcr = pcr };

    assert_int_equal(digest_compute(&wanted.digest, &(struct span){ bytes, size }, 1, &error), 0);
    return wanted;
}

struct wanted wanted_text(unsigned pcr, const char *text)
{
    return wanted_bytes(pcr, text, strlen(text) + 1);
}

struct wanted wanted_wide(unsigned pcr, const char *text)
{
    uint8_t wide[512] = { 0 };
    size_t length = strlen(text);

    assert_true(2 * length + 2 <= sizeof wide);
    for (size_t i = 0; i < length; i++)
        wide[2 * i] = (uint8_t)text[i];
    return wanted_bytes(pcr, wide, 2 * length + 2);
}
