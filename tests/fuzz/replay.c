/*
 * Goes through known inputs of a fuzz target, without libFuzzer.
 * usage: replay-NAME (FILE | FOLDER)...
 *
 * A folder stands for the files in it; one that is not there has none. Fails when there was none at all.
 */
#include "fuzz.h"

#include "base/cleanup.h"
#include "base/file.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define INPUT_MAX_BYTES (4 * 1024 * 1024)

static size_t replayed;

static void close_folder(DIR **stream)
{
    if (*stream)
        closedir(*stream);
}

static void replay_file(const char *path)
{
    cleanup(free_ptr) char *bytes = NULL;
    cleanup(free_ptr) uint8_t *exact = NULL;
    struct error error;
    size_t size;

    if (file_read(path, INPUT_MAX_BYTES, &bytes, &size, &error)) {
        fprintf(stderr, "%s\n", error.text);
        exit(1);
    }
    /* no byte more than libFuzzer would give, so that reading on is found */
    exact = malloc(size ?: 1);
    fuzz_require(exact);
    memcpy(exact, bytes, size);
    printf("%s\n", path);
    fflush(stdout);
    LLVMFuzzerTestOneInput(exact, size);
    replayed++;
}

static void replay_folder(const char *path)
{
    cleanup(close_folder) DIR *stream = opendir(path);
    struct dirent *entry;

    while (stream && (entry = readdir(stream)) != NULL) {
        cleanup(free_ptr) char *file = file_path(path, entry->d_name);

        fuzz_require(file);
        if (entry->d_name[0] != '.')
            replay_file(file);
    }
}

int main(int count, char **arguments)
{
    struct stat status;

    if (LLVMFuzzerInitialize)
        LLVMFuzzerInitialize(&count, &arguments);
    for (int i = 1; i < count; i++)
        if (stat(arguments[i], &status) == 0 && S_ISREG(status.st_mode))
            replay_file(arguments[i]);
        else
            replay_folder(arguments[i]);
    printf("%zu inputs\n", replayed);
    return replayed ? 0 : 1;
}
