#include "measure/pe.h"
#include "measure/pe-image.h"

#include "base/cleanup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* A small image, made to order. All of it lies in this struct; what the hash should cover is listed beside. */
#define PE 64
#define OPTIONAL (PE + 24)
#define CHECKSUM (OPTIONAL + 64)
#define OPTIONAL_SIZE 240
#define DIRECTORIES (OPTIONAL + 112)
#define CERTIFICATES (DIRECTORIES + 4 * 8)
#define SECTIONS (OPTIONAL + OPTIONAL_SIZE)
#define HEADERS 512

struct made {
    uint8_t bytes[8192];
    size_t size;
    unsigned section_count;
};

static void put(struct made *made, size_t place, uint64_t number, size_t size)
{
    for (size_t i = 0; i < size; i++)
        made->bytes[place + i] = (uint8_t)(number >> (8 * i));
}

/* Headers for PE32+ with 16 directories and no section. */
static void start(struct made *ret)
{
    *ret = (struct made){ .size = HEADERS };
    for (size_t i = 0; i < sizeof(ret->bytes); i++)
        ret->bytes[i] = (uint8_t)(i * 7 + i / 256);
    memset(ret->bytes, 0, HEADERS);
    memcpy(ret->bytes, "MZ", 2);
    put(ret, 0x3c, PE, 4);
    memcpy(ret->bytes + PE, "PE\0", 4);
    put(ret, PE + 20, OPTIONAL_SIZE, 2);
    put(ret, OPTIONAL, 0x20b, 2);
    put(ret, OPTIONAL + 60, HEADERS, 4);
    put(ret, OPTIONAL + 108, 16, 4);
}

static void add_section(struct made *made, uint32_t place, uint32_t size)
{
    size_t header = SECTIONS + 40 * made->section_count++;

    put(made, PE + 6, made->section_count, 2);
    put(made, header + 16, size, 4);
    put(made, header + 20, place, 4);
    if (size > 0 && place + size > made->size && place + size <= sizeof(made->bytes))
        made->size = place + size;
}

/* Signatures, at the end of the file. */
static void add_certificates(struct made *made, uint32_t size)
{
    put(made, CERTIFICATES, made->size, 4);
    put(made, CERTIFICATES + 4, size, 4);
    made->size += size;
}

static char path[] = "/tmp/test-pe-XXXXXX";

static void write_file(const struct made *made, size_t size)
{
    cleanup(close_stream) FILE *file = fopen(path, "w");

    assert_non_null(file);
    assert_int_equal(fwrite(made->bytes, 1, size, file), size);
}

static int hash_file(struct digest *ret, struct error *error)
{
    *error = (struct error){ 0 };
    return pe_hash(path, HASH_SHA256, ret->bytes, error);
}

/* The hash must be that of these parts: pairs of start and end, the last one of zeros. */
static void assert_hash(const struct made *made, const size_t (*parts)[2])
{
    struct span spans[16];
    struct digest wanted, hash;
    struct error error;
    size_t count = 0;

    for (; parts[count][1]; count++)
        spans[count] = (struct span){ made->bytes + parts[count][0], parts[count][1] - parts[count][0] };
    assert_int_equal(digest_compute(&wanted, spans, count, &error), 0);
    write_file(made, made->size);
    if (hash_file(&hash, &error))
        fail_msg("%s", error.text);
    assert_true(digest_equal(&hash, &wanted));
}

#define HEADER_PARTS                                                                                                   \
    { 0, CHECKSUM }, { CHECKSUM + 4, CERTIFICATES },                                                                   \
    {                                                                                                                  \
        CERTIFICATES + 8, HEADERS                                                                                      \
    }
#define ASSERT_HASH(made, ...)                                                                                         \
    assert_hash(made, (const size_t[][2]){ HEADER_PARTS, __VA_ARGS__ __VA_OPT__(, ){ 0, 0 } })

static void assert_refused(const struct made *made, const char *words)
{
    struct digest hash;
    struct error error;

    write_file(made, made->size);
    assert_int_equal(hash_file(&hash, &error), ERROR_METADATA);
    if (!strstr(error.text, words))
        fail_msg("\"%s\" is not in \"%s\"", words, error.text);
    assert_non_null(strstr(error.text, path));
}

static void sections(void **state)
{
    struct made made;

    (void)state;
    start(&made);
    ASSERT_HASH(&made);
    add_section(&made, 512, 512);
    ASSERT_HASH(&made, { 512, 1024 });
    add_section(&made, 1024, 100);
    ASSERT_HASH(&made, { 512, 1124 });
    add_section(&made, 0, 0); /* has no bytes in the file */
    add_section(&made, 4096, 0);
    ASSERT_HASH(&made, { 512, 1124 });
}

/* Hashed by their place in the file, not in the table. */
static void sections_out_of_order(void **state)
{
    struct made made;

    (void)state;
    start(&made);
    add_section(&made, 1536, 512);
    add_section(&made, 512, 512);
    add_section(&made, 1024, 512);
    ASSERT_HASH(&made, { 512, 2048 });
}

static void data_behind_the_sections(void **state)
{
    struct made made;

    (void)state;
    start(&made);
    add_section(&made, 512, 512);
    made.size += 77;
    ASSERT_HASH(&made, { 512, 1101 });
}

/* What is hashed behind is counted, not placed: the specification has it so. */
static void gap_between_sections(void **state)
{
    struct made made;

    (void)state;
    start(&made);
    add_section(&made, 600, 100);
    add_section(&made, 1000, 100);
    ASSERT_HASH(&made, { 600, 700 }, { 1000, 1100 }, { 712, 1100 });
}

static void signatures(void **state)
{
    struct made made;

    (void)state;
    start(&made);
    add_section(&made, 512, 512);
    add_certificates(&made, 200);
    ASSERT_HASH(&made, { 512, 1024 });
    start(&made);
    add_section(&made, 512, 512);
    made.size += 8; /* data between sections and signatures */
    add_certificates(&made, 200);
    ASSERT_HASH(&made, { 512, 1032 });
}

/* Neither checksum nor signatures change it; any other byte does. */
static void what_changes_it(void **state)
{
    struct made made;
    struct digest first, hash;
    struct error error;

    (void)state;
    start(&made);
    add_section(&made, 512, 64);
    add_certificates(&made, 64);
    write_file(&made, made.size);
    assert_int_equal(hash_file(&first, &error), 0);
    for (size_t place = 0; place < made.size; place++) {
        bool left_out = (place >= CHECKSUM && place < CHECKSUM + 4) ||
                        (place >= CERTIFICATES && place < CERTIFICATES + 8) || place >= 576;

        made.bytes[place] ^= 0x10;
        write_file(&made, made.size);
        if (!hash_file(&hash, &error)) /* else: it was a header that has to be so */
            assert_true(digest_equal(&hash, &first) == left_out);
        else
            assert_int_equal(error.kind, ERROR_METADATA);
        made.bytes[place] ^= 0x10;
    }
}

/* PE32, whose directories lie elsewhere; and one that has none. */
static void other_headers(void **state)
{
    const size_t certificates = OPTIONAL + 96 + 4 * 8;
    struct made made;

    (void)state;
    start(&made);
    put(&made, OPTIONAL, 0x10b, 2);
    put(&made, OPTIONAL + 108, 0, 4);
    put(&made, OPTIONAL + 92, 16, 4);
    add_section(&made, 512, 512);
    assert_hash(&made, (const size_t[][2]){
                           { 0, CHECKSUM }, { CHECKSUM + 4, certificates }, { certificates + 8, 1024 }, { 0, 0 } });
    start(&made);
    put(&made, OPTIONAL + 108, 4, 4);
    add_section(&made, 512, 512);
    assert_hash(&made, (const size_t[][2]){ { 0, CHECKSUM }, { CHECKSUM + 4, 1024 }, { 0, 0 } });
}

static void other_banks(void **state)
{
    struct made made;
    uint8_t hash[HASH_MAX_BYTES];
    struct error error;

    (void)state;
    start(&made);
    write_file(&made, made.size);
    assert_int_equal(pe_hash(path, HASH_SHA1, hash, &error), 0);
    assert_int_equal(pe_hash(path, HASH_SHA512, hash, &error), 0);
    assert_int_equal(pe_hash(path, (enum hash_algorithm)0x12, hash, &error), ERROR_FAILED);
}

static void wrong_headers(void **state)
{
    struct made made;

    (void)state;
    start(&made);
    made.bytes[0] = 'X';
    assert_refused(&made, "MZ");
    start(&made);
    made.bytes[PE] = 'X';
    assert_refused(&made, "no PE header");
    start(&made);
    put(&made, 0x3c, UINT32_MAX, 4);
    assert_refused(&made, "no PE header");
    start(&made);
    put(&made, OPTIONAL, 0x107, 2);
    assert_refused(&made, "no known kind");
    start(&made);
    put(&made, PE + 20, 111, 2);
    assert_refused(&made, "too short");
    start(&made);
    put(&made, OPTIONAL + 108, 17, 4);
    assert_refused(&made, "more data directories");
    start(&made);
    put(&made, PE + 20, 112 + 15 * 8, 2);
    assert_refused(&made, "more data directories");
    start(&made);
    put(&made, OPTIONAL + 60, SECTIONS - 1, 4);
    assert_refused(&made, "size of its headers");
    start(&made);
    put(&made, OPTIONAL + 60, HEADERS + 1, 4);
    assert_refused(&made, "size of its headers");
}

static void wrong_sections(void **state)
{
    struct made made;

    (void)state;
    start(&made);
    add_section(&made, 512, 512);
    add_section(&made, 1023, 512);
    assert_refused(&made, "overlap");
    start(&made);
    add_section(&made, 511, 512);
    assert_refused(&made, "overlap");
    start(&made);
    add_section(&made, 512, 512);
    made.size--;
    assert_refused(&made, "past the end");
    start(&made);
    add_section(&made, 512, UINT32_MAX);
    assert_refused(&made, "past the end");
    start(&made);
    add_section(&made, UINT32_MAX, UINT32_MAX);
    assert_refused(&made, "past the end");
    start(&made);
    put(&made, PE + 6, PE_MAX_SECTIONS + 1, 2);
    assert_refused(&made, "too many sections");
    start(&made);
    put(&made, PE + 6, PE_MAX_SECTIONS, 2);
    assert_refused(&made, "section headers");
}

static void wrong_signatures(void **state)
{
    struct made made;

    (void)state;
    start(&made);
    add_section(&made, 512, 512);
    add_certificates(&made, 200);
    made.size++;
    assert_refused(&made, "not the end");
    start(&made);
    put(&made, CERTIFICATES, 1024, 4);
    put(&made, CERTIFICATES + 4, UINT32_MAX, 4);
    assert_refused(&made, "not the end");
    start(&made);
    add_section(&made, 512, 512);
    put(&made, CERTIFICATES, 1000, 4); /* the section's last bytes as signatures */
    put(&made, CERTIFICATES + 4, 24, 4);
    assert_refused(&made, "into the signatures");
}

static void truncated(void **state)
{
    struct made made;
    struct digest hash;
    struct error error;

    (void)state;
    start(&made);
    add_section(&made, 512, 64);
    add_certificates(&made, 64);
    for (size_t size = 0; size < made.size; size++) {
        write_file(&made, size);
        assert_int_equal(hash_file(&hash, &error), ERROR_METADATA);
    }
}

static void no_file(void **state)
{
    uint8_t hash[HASH_MAX_BYTES];
    struct error error = { 0 };

    (void)state;
    assert_int_equal(pe_hash("/nonexistent/image", HASH_SHA256, hash, &error), ERROR_FAILED);
    assert_int_equal(pe_hash("/tmp", HASH_SHA256, hash, &error), ERROR_FAILED);
    assert_int_equal(pe_hash("/dev/zero", HASH_SHA256, hash, &error), ERROR_FAILED);
}

static int make_path(void **state)
{
    int fd = mkstemp(path);

    (void)state;
    return fd < 0 ? -1 : close(fd);
}

static int remove_path(void **state)
{
    (void)state;
    return unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sections),
        cmocka_unit_test(sections_out_of_order),
        cmocka_unit_test(data_behind_the_sections),
        cmocka_unit_test(gap_between_sections),
        cmocka_unit_test(signatures),
        cmocka_unit_test(what_changes_it),
        cmocka_unit_test(other_headers),
        cmocka_unit_test(other_banks),
        cmocka_unit_test(wrong_headers),
        cmocka_unit_test(wrong_sections),
        cmocka_unit_test(wrong_signatures),
        cmocka_unit_test(truncated),
        cmocka_unit_test(no_file),
    };

    return cmocka_run_group_tests(tests, make_path, remove_path);
}
