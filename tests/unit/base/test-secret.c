#include "base/secret.h"

#include "base/cleanup.h"

#include <fcntl.h>
#include <openssl/crypto.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include <cmocka.h>

static void new_is_empty_with_room(void **state)
{
    cleanup(secret_free) struct secret secret = { 0 };
    struct error error;

    (void)state;
    assert_int_equal(secret_new(&secret, 5000, &error), 0);
    assert_non_null(secret.bytes);
    assert_int_equal(secret.size, 0);
    assert_int_equal(secret.capacity, 5000);
    memset(secret.bytes, 0xaa, 5000);
}

static void impossible_sizes_are_refused(void **state)
{
    struct secret secret = { 0 };
    struct error error;

    (void)state;
    assert_int_equal(secret_new(&secret, 0, &error), ERROR_FAILED);
    assert_int_equal(secret_new(&secret, SIZE_MAX, &error), ERROR_FAILED);
    assert_int_equal(secret_new(&secret, SIZE_MAX / 2, &error), ERROR_FAILED);
    assert_null(secret.bytes);
}

static void copies_and_compares(void **state)
{
    cleanup(secret_free) struct secret a = { 0 }, b = { 0 }, c = { 0 }, shorter = { 0 }, empty = { 0 };
    const struct secret none = { 0 };
    struct error error;

    (void)state;
    assert_int_equal(secret_copy(&a, "1234", 4, &error), 0);
    assert_int_equal(secret_copy(&b, "1234", 4, &error), 0);
    assert_int_equal(secret_copy(&c, "1235", 4, &error), 0);
    assert_int_equal(secret_copy(&shorter, "123", 3, &error), 0);
    assert_int_equal(secret_copy(&empty, "", 0, &error), 0);
    assert_true(secret_equal(&a, &b));
    assert_false(secret_equal(&a, &c));
    assert_false(secret_equal(&a, &shorter));
    assert_false(secret_equal(&a, &empty));
    assert_true(secret_equal(&empty, &none));
}

static void random_secrets_differ(void **state)
{
    cleanup(secret_free) struct secret a = { 0 }, b = { 0 };
    static const uint8_t zeros[32];
    struct error error;

    (void)state;
    assert_int_equal(secret_random(&a, 32, &error), 0);
    assert_int_equal(secret_random(&b, 32, &error), 0);
    assert_int_equal(a.size, 32);
    assert_false(secret_equal(&a, &b));
    assert_memory_not_equal(a.bytes, zeros, sizeof(zeros));
    assert_int_equal(secret_random(&a, 0, &error), ERROR_FAILED);
}

static int read_text(const char *text, size_t length, size_t max, struct secret *ret, struct error *error)
{
    cleanup(close_fd) int output = -1;
    int ends[2];

    assert_return_code(pipe2(ends, O_CLOEXEC), 0);
    output = ends[0];
    assert_int_equal(write(ends[1], text, length), length);
    close(ends[1]);
    return secret_read(ret, output, max, "the pipe", error);
}

static void reads_up_to_the_limit(void **state)
{
    cleanup(secret_free) struct secret full = { 0 }, empty = { 0 }, binary = { 0 }, over = { 0 };
    struct error error;

    (void)state;
    assert_int_equal(read_text("12345678", 8, 8, &full, &error), 0);
    assert_int_equal(full.size, 8);
    assert_memory_equal(full.bytes, "12345678", 8);
    assert_int_equal(read_text("", 0, 8, &empty, &error), 0);
    assert_int_equal(empty.size, 0);
    assert_int_equal(read_text("\0\n\xff", 3, 8, &binary, &error), 0);
    assert_int_equal(binary.size, 3);
    assert_int_equal(read_text("123456789", 9, 8, &over, &error), ERROR_USAGE);
    assert_null(over.bytes);
    assert_non_null(strstr(error.text, "the pipe"));
    assert_null(strstr(error.text, "1234"));
}

static void unreadable_is_told(void **state)
{
    struct secret secret = { 0 };
    struct error error;

    (void)state;
    assert_int_equal(secret_read(&secret, -1, 8, "nothing", &error), ERROR_FAILED);
    assert_null(secret.bytes);
}

static void chomp_cuts_one_newline(void **state)
{
    static const struct {
        const char *input;
        size_t left;
    } rows[] = { { "1234\n", 4 }, { "1234\n\n", 5 }, { "1234", 4 },  { "\n", 0 },
                 { "", 0 },       { "12\n34", 5 },   { "12\r\n", 3 } };
    struct error error;

    (void)state;
    for (size_t i = 0; i < array_size(rows); i++) {
        cleanup(secret_free) struct secret secret = { 0 };

        assert_int_equal(secret_copy(&secret, rows[i].input, strlen(rows[i].input), &error), 0);
        secret_chomp(&secret);
        assert_int_equal(secret.size, rows[i].left);
    }
}

static void taking_leaves_nothing(void **state)
{
    cleanup(secret_free) struct secret a = { 0 }, b = { 0 };
    struct error error;
    uint8_t *bytes;

    (void)state;
    assert_int_equal(secret_copy(&a, "1234", 4, &error), 0);
    bytes = a.bytes;
    b = secret_take(&a);
    assert_null(a.bytes);
    assert_int_equal(a.size, 0);
    assert_ptr_equal(b.bytes, bytes);
    secret_free(&b);
    assert_null(b.bytes);
    secret_free(&b);
}

/* The pages are gone after secret_free(), and a forked child finds zeros. */
static void freed_and_forked_secrets_are_gone(void **state)
{
    cleanup(secret_free) struct secret secret = { 0 };
    unsigned char resident;
    struct error error;
    uint8_t *bytes;
    int status;
    pid_t child;

    (void)state;
    assert_int_equal(secret_copy(&secret, "1234", 4, &error), 0);
    bytes = secret.bytes;
    child = fork();
    if (child == 0)
        _exit(bytes[0] | bytes[1] | bytes[2] | bytes[3] ? 1 : 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    assert_memory_equal(bytes, "1234", 4);
    assert_return_code(mincore(bytes, 1, &resident), 0);
    secret_free(&secret);
    assert_int_equal(mincore(bytes, 1, &resident), -1);
}

/* What libcrypto has freed: the allocator writes into its beginning only. Not instrumented, since it is freed. */
__attribute__((no_sanitize("address"))) static size_t count_left(const volatile uint8_t *memory, size_t size)
{
    size_t left = 0;

    for (size_t i = 0; i < size; i++)
        left += memory[i] == 0xa5;
    return left;
}

/* In a child: it is for good. */
static int libcrypto_wipes(void)
{
    uint8_t *memory, *moved;
    bool whole = true;

    if (!secret_wipe_libcrypto())
        return 1;
    memory = OPENSSL_malloc(64);
    memset(memory, 0xa5, 64);
    moved = OPENSSL_realloc(memory, 4000);
    if (moved == memory || count_left(memory, 64) != 0)
        return 2;
    for (size_t i = 0; i < 64; i++)
        whole = whole && moved[i] == 0xa5;
    if (!whole || OPENSSL_realloc(moved, 100) != moved)
        return 3;
    memset(moved, 0xa5, 100);
    OPENSSL_free(moved);
    if (count_left(moved, 100) != 0)
        return 4;
    OPENSSL_free(NULL);
    if (OPENSSL_realloc(OPENSSL_realloc(NULL, 10), 0))
        return 5;
    return secret_wipe_libcrypto() ? 6 : 0;
}

static void libcrypto_leaves_nothing(void **state)
{
    pid_t child = fork();
    int status;

    (void)state;
    if (child == 0)
        _exit(libcrypto_wipes());
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(new_is_empty_with_room),
        cmocka_unit_test(impossible_sizes_are_refused),
        cmocka_unit_test(copies_and_compares),
        cmocka_unit_test(random_secrets_differ),
        cmocka_unit_test(reads_up_to_the_limit),
        cmocka_unit_test(unreadable_is_told),
        cmocka_unit_test(chomp_cuts_one_newline),
        cmocka_unit_test(taking_leaves_nothing),
        cmocka_unit_test(freed_and_forked_secrets_are_gone),
        cmocka_unit_test(libcrypto_leaves_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
