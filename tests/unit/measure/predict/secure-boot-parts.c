/* What src/measure/predict knows of Secure Boot, for test-secure-boot-parts to ask. */
#include "base/cleanup.h"
#include "base/encode.h"
#include "base/file.h"
#include "measure/predict/program-part.h"
#include "measure/predict/program.h"
#include "measure/predict/shim.h"
#include "measure/predict/variable-update.h"

#include <stdio.h>
#include <string.h>

static int print(const void *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        printf("%02x", ((const uint8_t *)bytes)[i]);
    putchar('\n');
    return 0;
}

/* authority PROGRAM LISTS first|last: by what the program is verified, where the hash is looked for */
static int authority(char **argv, struct error *error)
{
    cleanup(free_ptr) char *lists = NULL;
    struct span found;
    size_t size;
    int r = file_read(argv[1], 1 << 20, &lists, &size, error);

    r = r ?: program_authority(argv[0], (struct span){ lists, size }, strcmp(argv[2], "first") == 0, &found, error);
    return r ?: print(found.bytes, found.size);
}

/* revoked PROGRAM LISTS firmware|shim: whether the lists keep it from being started */
static int revoked(char **argv, struct error *error)
{
    cleanup(free_ptr) char *lists = NULL;
    bool found;
    size_t size;
    int r = file_read(argv[1], 1 << 20, &lists, &size, error);

    r = r ?: program_is_revoked(argv[0], (struct span){ lists, size }, strcmp(argv[2], "firmware") == 0, &found, error);
    if (!r)
        puts(found ? "yes" : "no");
    return r;
}

/* update BEFORE UPDATE append|replace: the variable after it */
static int update(char **argv, struct error *error)
{
    cleanup(firmware_variable_free) struct firmware_variable after = { 0 };
    cleanup(free_ptr) char *before = NULL;
    cleanup(free_ptr) char *bytes = NULL;
    struct firmware_variable variable = { .name = (char[]){ "dbx" } };
    size_t size;
    int r = file_read(argv[0], 1 << 20, &before, &variable.size, error);

    variable.data = (uint8_t *)before;
    r = r ?: file_read(argv[1], 1 << 20, &bytes, &size, error);
    r = r
            ?: variable_update_apply(&variable, (struct span){ bytes, size }, strcmp(argv[2], "append") == 0, &after,
                                     error);
    return r ?: print(after.data, after.size);
}

/* hash PROGRAM: its Authenticode hash and its SHA-256 */
static int hash(char **argv, struct error *error)
{
    uint8_t digest[HASH_MAX_BYTES];
    struct digest sha256;
    int r = program_hash(argv[0], HASH_SHA256, digest, &sha256, error);

    r = r ?: print(digest, DIGEST_BYTES);
    return r ?: print(sha256.bytes, DIGEST_BYTES);
}

/* section PROGRAM NAME */
static int section(char **argv, struct error *error)
{
    cleanup(free_ptr) uint8_t *bytes = NULL;
    size_t size;
    int r = program_section(argv[0], argv[1], &bytes, &size, error);

    return r ?: print(bytes, size);
}

/* vendor SHIM allowed|revoked: the lists that shim brings */
static int vendor(char **argv, struct error *error)
{
    cleanup(free_ptr) uint8_t *bytes = NULL;
    size_t size;
    int r = shim_vendor_lists(argv[0], strcmp(argv[1], "revoked") == 0, &bytes, &size, error);

    return r ?: print(bytes, size);
}

/* level SHIM VARIABLES: SbatLevel as shim will leave it */
static int level(char **argv, struct error *error)
{
    cleanup(free_ptr) char *text = NULL;
    const char *reason = NULL;
    int r = shim_sbat_level(argv[0], argv[1], NULL, &text, &reason, error);

    if (!r)
        printf("%s\n", text ? text : reason);
    return r;
}

/* find FOLDER NAME */
static int find(char **argv, struct error *error)
{
    cleanup(free_ptr) char *path = NULL;
    int r = program_find(argv[0], argv[1], &path, error);

    if (!r)
        puts(path);
    return r;
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        int arguments;
        int (*run)(char **argv, struct error *error);
    } verbs[] = {
        { "authority", 3, authority }, { "revoked", 3, revoked }, { "update", 3, update }, { "hash", 1, hash },
        { "section", 2, section },     { "vendor", 2, vendor },   { "level", 2, level },   { "find", 2, find },
    };
    struct error error = { 0 };

    for (size_t i = 0; argc > 1 && i < array_size(verbs); i++) {
        int r;

        if (strcmp(argv[1], verbs[i].name) != 0 || argc != verbs[i].arguments + 2)
            continue;
        r = verbs[i].run(argv + 2, &error);
        if (r)
            fprintf(stderr, "%s\n", error.text);
        return r;
    }
    return 2;
}
