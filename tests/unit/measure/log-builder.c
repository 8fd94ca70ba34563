#include "log-builder.h"

#include "measure/event-type.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

const char *const recorded_logs[RECORDED_LOGS] = {
    "debian12-shim-grub-secureboot", "debian12-systemd-boot",          "debian12-grub-mkconfig/a",
    "debian12-grub-mkconfig/next",   "debian12-grub-mkconfig/usbhigh",
};
const char *recorded_folder;

const uint8_t global_vendor[16] = { 0x61, 0xdf, 0xe4, 0x8b, 0xca, 0x93, 0xd2, 0x11,
                                    0xaa, 0x0d, 0x00, 0xe0, 0x98, 0x03, 0x2b, 0x8c };
const uint8_t database_vendor[16] = { 0xcb, 0xb2, 0x19, 0xd7, 0x3a, 0x3d, 0x96, 0x45,
                                      0xa3, 0xbc, 0xda, 0xd0, 0x0e, 0x67, 0x65, 0x6f };
const uint8_t shim_vendor[16] = { 0x50, 0xab, 0x5d, 0x60, 0x46, 0xe0, 0x00, 0x43,
                                  0xab, 0xb6, 0x3d, 0xd8, 0x10, 0xdd, 0x8b, 0x23 };

static struct built_log the_log; /* one test has one log at a time */

const char *recorded_path(const char *name, const char *extension)
{
    static char path[PATH_MAX];

    assert_non_null(recorded_folder);
    snprintf(path, sizeof(path), "%s/%s.%s", recorded_folder, name, extension);
    return path;
}

void built_log_put(struct built_log *built, const void *bytes, size_t size)
{
    assert_true(size <= sizeof(built->bytes) - built->size);
    if (size)
        memcpy(built->bytes + built->size, bytes, size);
    built->size += size;
}

static void put_number(struct built_log *built, uint64_t number, size_t size)
{
    for (size_t i = 0; i < size; i++)
        built_log_put(built, &(uint8_t){ (uint8_t)(number >> (8 * i)) }, 1);
}

void built_log_u8(struct built_log *built, uint8_t number)
{
    put_number(built, number, sizeof(number));
}

void built_log_u16(struct built_log *built, uint16_t number)
{
    put_number(built, number, sizeof(number));
}

void built_log_u32(struct built_log *built, uint32_t number)
{
    put_number(built, number, sizeof(number));
}

void built_log_u64(struct built_log *built, uint64_t number)
{
    put_number(built, number, sizeof(number));
}

struct built_log *built_log_start(size_t bank_count, const uint16_t *banks)
{
    static const uint8_t zero[20];

    the_log = (struct built_log){ .bank_count = bank_count };
    if (bank_count == 0)
        return &the_log;
    memcpy(the_log.banks, banks, bank_count * sizeof(*banks));
    built_log_u32(&the_log, 0);
    built_log_u32(&the_log, EVENT_NO_ACTION);
    built_log_put(&the_log, zero, sizeof(zero));
    built_log_u32(&the_log, (uint32_t)(29 + 4 * bank_count));
    built_log_put(&the_log, "Spec ID Event03", 16);
    built_log_u32(&the_log, 0);                              /* platform class */
    built_log_put(&the_log, (uint8_t[]){ 0, 2, 105, 2 }, 4); /* version, errata, size of a word */
    built_log_u32(&the_log, (uint32_t)bank_count);
    for (size_t i = 0; i < bank_count; i++) {
        built_log_u16(&the_log, banks[i]);
        built_log_u16(&the_log, (uint16_t)hash_size(banks[i]));
    }
    built_log_u8(&the_log, 0); /* no vendor's data */
    return &the_log;
}

static void put_digest(struct built_log *built, enum hash_algorithm algorithm, struct span hashed)
{
    uint8_t digest[HASH_MAX_BYTES];
    struct error error;

    assert_int_equal(hash_compute(algorithm, &hashed, 1, digest, &error), 0);
    built_log_put(built, digest, hash_size(algorithm));
}

void built_log_add(struct built_log *built, uint32_t pcr, uint32_t type, struct span data, struct span hashed)
{
    built_log_u32(built, pcr);
    built_log_u32(built, type);
    if (built->bank_count == 0) {
        put_digest(built, HASH_SHA1, hashed);
    } else {
        built_log_u32(built, (uint32_t)built->bank_count);
        for (size_t i = 0; i < built->bank_count; i++) {
            built_log_u16(built, built->banks[i]);
            put_digest(built, built->banks[i], hashed);
        }
    }
    built_log_u32(built, (uint32_t)data.size);
    built_log_put(built, data.bytes, data.size);
}

void built_log_add_text(struct built_log *built, uint32_t pcr, uint32_t type, const char *text, const char *hashed)
{
    built_log_add(built, pcr, type, (struct span){ text, strlen(text) + 1 }, (struct span){ hashed, strlen(hashed) });
}

void built_log_add_utf16(struct built_log *built, uint32_t pcr, uint32_t type, const char *text)
{
    uint8_t wide[4096] = { 0 };
    size_t count = strlen(text) + 1;

    assert_true(2 * count <= sizeof(wide));
    for (size_t i = 0; i < count; i++)
        wide[2 * i] = (uint8_t)text[i];
    built_log_add(built, pcr, type, (struct span){ wide, 2 * count }, (struct span){ wide, 2 * count });
}

/* Something is written behind the log, and taken back to be an event's data. */
static struct span take_back(struct built_log *built, size_t start, uint8_t *ret, size_t max)
{
    size_t size = built->size - start;

    assert_true(size <= max);
    memcpy(ret, built->bytes + start, size);
    built->size = start;
    return (struct span){ ret, size };
}

static void put_wide(struct built_log *built, const char *text)
{
    for (; *text; text++)
        built_log_u16(built, (uint8_t)*text);
}

void built_log_add_variable(struct built_log *built, uint32_t pcr, uint32_t type, const uint8_t *vendor,
                            const char *name, struct span data)
{
    uint8_t bytes[8192];
    size_t start = built->size;
    struct span span;

    built_log_put(built, vendor, 16);
    built_log_u64(built, strlen(name));
    built_log_u64(built, data.size);
    put_wide(built, name);
    built_log_put(built, data.bytes, data.size);
    span = take_back(built, start, bytes, sizeof(bytes));
    built_log_add(built, pcr, type, span, span);
}

void built_log_add_program(struct built_log *built, const char *file, const char *content)
{
    uint8_t bytes[2048];
    size_t start = built->size;
    uint16_t node = (uint16_t)(file ? 4 + 2 * (strlen(file) + 1) : 0);

    for (int i = 0; i < 3; i++)
        built_log_u64(built, 0x1000); /* where it lies */
    built_log_u64(built, file ? node + 4u : 0);
    if (file) {
        built_log_put(built, (uint8_t[]){ 4, 4 }, 2);
        built_log_u16(built, node);
        put_wide(built, file);
        built_log_u16(built, 0);
        built_log_put(built, (uint8_t[]){ 0x7f, 0xff, 4, 0 }, 4);
    }
    built_log_add(built, 4, EVENT_BOOT_SERVICES_APPLICATION, take_back(built, start, bytes, sizeof(bytes)),
                  (struct span){ content, strlen(content) });
}

void built_log_add_tag(struct built_log *built, uint32_t pcr, uint32_t tag, const char *text, const char *hashed)
{
    uint8_t bytes[2048];
    size_t start = built->size;

    built_log_u32(built, tag);
    built_log_u32(built, (uint32_t)strlen(text) + 1);
    built_log_put(built, text, strlen(text) + 1);
    built_log_add(built, pcr, EVENT_TAG, take_back(built, start, bytes, sizeof(bytes)),
                  (struct span){ hashed, strlen(hashed) });
}

void built_log_parse(const struct built_log *built, struct event_log *ret)
{
    struct error error = { 0 };

    if (event_log_parse(built->bytes, built->size, ret, &error))
        fail_msg("%s", error.text);
}
