#include "measure/predict/hashed-file.h"

#include "base/cleanup.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define LARGE 300001 /* more than one piece */

static struct error error;

struct bench {
    char path[40];
    int fd;
    struct hashed_files known;
};

static void start(struct bench *bench, const void *bytes, size_t size)
{
    *bench = (struct bench){ .path = "/tmp/bootseal-hashed.XXXXXX" };
    bench->fd = mkstemp(bench->path);
    assert_true(bench->fd >= 0);
    assert_int_equal(write(bench->fd, bytes, size), (ssize_t)size);
}

static void end(struct bench *bench)
{
    close(bench->fd);
    unlink(bench->path);
    hashed_files_free(&bench->known);
}

/* Writes over the beginning, and sets the time of the last change of contents. */
static void overwrite(const struct bench *bench, const char *text, time_t seconds)
{
    struct timespec times[2] = { { .tv_sec = seconds }, { .tv_sec = seconds } };

    assert_int_equal(pwrite(bench->fd, text, strlen(text), 0), (ssize_t)strlen(text));
    assert_int_equal(futimens(bench->fd, times), 0);
}

static void assert_hash(const struct hashed_file *file, enum hash_algorithm bank, const void *bytes, size_t size)
{
    struct span span = { bytes, size };
    uint8_t digest[HASH_MAX_BYTES];
    struct digest sha256;

    assert_int_equal(hash_compute(bank, &span, 1, digest, &error), 0);
    assert_int_equal(digest_compute(&sha256, &span, 1, &error), 0);
    assert_memory_equal(file->digest, digest, hash_size(bank));
    assert_true(digest_equal(&file->sha256, &sha256));
    assert_int_equal(file->size, size);
}

static int read_hash(struct bench *bench, enum hash_algorithm bank, struct hashed_file *ret)
{
    return hashed_file_read(&bench->known, bench->fd, bench->path, bank, LARGE, NULL, ret, &error);
}

static void test_banks(void **unused)
{
    static uint8_t bytes[LARGE];
    static const size_t sizes[] = { 0, 1, HASHED_FILE_HEAD_BYTES, 65536, LARGE };
    static const enum hash_algorithm banks[] = { HASH_SHA1, HASH_SHA256, HASH_SHA384 };

    (void)unused;
    for (size_t i = 0; i < LARGE; i++)
        bytes[i] = (uint8_t)(i * 7 + 1);
    for (size_t i = 0; i < array_size(sizes); i++)
        for (size_t k = 0; k < array_size(banks); k++) {
            uint8_t head[HASHED_FILE_HEAD_BYTES] = { 0 };
            struct hashed_file file;
            struct bench bench;

            start(&bench, bytes, sizes[i]);
            assert_int_equal(read_hash(&bench, banks[k], &file), 0);
            assert_hash(&file, banks[k], bytes, sizes[i]);
            memcpy(head, bytes, sizes[i] < sizeof(head) ? sizes[i] : sizeof(head));
            assert_memory_equal(file.head, head, sizeof(head));
            end(&bench);
        }
}

/* What is the same by path, inode, size and times is not read again; anything else is. */
static void test_kept(void **unused)
{
    struct hashed_file file;
    struct bench bench;

    (void)unused;
    start(&bench, "an initrd", 9);
    assert_int_equal(read_hash(&bench, HASH_SHA256, &file), 0);
    assert_int_equal(read_hash(&bench, HASH_SHA256, &file), 0);
    assert_int_equal(bench.known.count, 1);
    assert_hash(&file, HASH_SHA256, "an initrd", 9);

    assert_int_equal(read_hash(&bench, HASH_SHA1, &file), 0); /* another bank */
    assert_hash(&file, HASH_SHA1, "an initrd", 9);
    assert_int_equal(bench.known.count, 2);

    overwrite(&bench, "AN", 1000000000); /* another time, the same size */
    assert_int_equal(read_hash(&bench, HASH_SHA256, &file), 0);
    assert_hash(&file, HASH_SHA256, "AN initrd", 9);

    overwrite(&bench, "AN initrd.", 1000000000); /* another size, the same time */
    assert_int_equal(read_hash(&bench, HASH_SHA256, &file), 0);
    assert_hash(&file, HASH_SHA256, "AN initrd.", 10);
    end(&bench);
}

/* Another file under the same path is another file, whatever its times say. */
static void test_replaced(void **unused)
{
    struct hashed_file file;
    struct bench bench;
    int fd;

    (void)unused;
    start(&bench, "one", 3);
    overwrite(&bench, "one", 1000000000);
    assert_int_equal(read_hash(&bench, HASH_SHA256, &file), 0);
    fd = bench.fd;
    assert_int_equal(unlink(bench.path), 0);
    bench.fd = open(bench.path, O_RDWR | O_CREAT | O_EXCL, 0600);
    assert_true(bench.fd >= 0);
    overwrite(&bench, "two", 1000000000);
    assert_int_equal(read_hash(&bench, HASH_SHA256, &file), 0);
    assert_hash(&file, HASH_SHA256, "two", 3);
    close(fd);
    end(&bench);
}

/* Contents are wanted: they are read whatever is kept. */
static void test_contents(void **unused)
{
    struct hashed_file file;
    struct bench bench;
    char bytes[10] = "";

    (void)unused;
    start(&bench, "grub.cfg", 8);
    assert_int_equal(read_hash(&bench, HASH_SHA256, &file), 0);
    assert_int_equal(hashed_file_read(&bench.known, bench.fd, bench.path, HASH_SHA384, 8, bytes, &file, &error), 0);
    assert_string_equal(bytes, "grub.cfg");
    assert_hash(&file, HASH_SHA384, bytes, 8);
    end(&bench);
}

static void test_refused(void **unused)
{
    cleanup(close_fd) int null = open("/dev/null", O_RDONLY);
    struct hashed_file file;
    struct bench bench;

    (void)unused;
    start(&bench, "too large", 9);
    assert_int_equal(hashed_file_read(NULL, bench.fd, bench.path, HASH_SHA256, 8, NULL, &file, &error), ERROR_FAILED);
    assert_non_null(strstr(error.text, "larger"));
    assert_int_equal(hashed_file_read(NULL, bench.fd, bench.path, HASH_SHA256, 9, NULL, &file, &error), 0);
    assert_int_equal(hashed_file_read(NULL, null, "/dev/null", HASH_SHA256, 9, NULL, &file, &error), ERROR_FAILED);
    assert_int_not_equal(hashed_file_read(NULL, bench.fd, bench.path, 0x99, 9, NULL, &file, &error), 0);
    end(&bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_banks),    cmocka_unit_test(test_kept),    cmocka_unit_test(test_replaced),
        cmocka_unit_test(test_contents), cmocka_unit_test(test_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
