#include "measure/predict/program.h"

#include "base/cleanup.h"
#include "measure/pe.h"
#include "measure/predict/hashed-file.h"
#include "measure/predict/image-file.h"
#include "measure/predict/program-part.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

/* The entry of the folder with that name, upper and lower case alike, the exact one first. */
static bool find_entry(const char *folder, const char *name, char ret[NAME_MAX + 1])
{
    DIR *stream = opendir(folder);
    const struct dirent *entry;
    bool found = false;

    while (stream && (entry = readdir(stream)) != NULL) {
        if (strcasecmp(entry->d_name, name) != 0 || (found && strcmp(entry->d_name, name) != 0))
            continue;
        memcpy(ret, entry->d_name, strlen(entry->d_name) + 1);
        found = true;
    }
    if (stream)
        closedir(stream);
    return found;
}

/* Takes the next part of a firmware's path; false at the end. */
static bool next_part(const char **name, char ret[NAME_MAX + 1])
{
    size_t length;

    *name += strspn(*name, "\\/");
    length = strcspn(*name, "\\/");
    if (length == 0 || length > NAME_MAX)
        return false;
    memcpy(ret, *name, length);
    ret[length] = '\0';
    *name += length;
    return true;
}

int program_find(const char *folder, const char *name, char **ret, struct error *error)
{
    char part[NAME_MAX + 1], entry[NAME_MAX + 1], path[PATH_MAX];
    const char *rest = name;
    size_t length = (size_t)snprintf(path, sizeof(path), "%s", folder);

    *ret = NULL;
    while (length < sizeof(path) && next_part(&rest, part)) {
        if (strcmp(part, "..") == 0 || strcmp(part, ".") == 0 || !find_entry(path, part, entry))
            return error_set(error, ERROR_FAILED, "there is no \"%s\" below \"%s\"", name, folder);
        length += (size_t)snprintf(path + length, sizeof(path) - length, "/%s", entry);
    }
    if (length >= sizeof(path) || *rest || length == strlen(folder))
        return error_set(error, ERROR_FAILED, "\"%s\" is no path of a file", name);
    *ret = strdup(path);
    return *ret ? 0 : error_no_memory(error);
}

static int hash_file(const char *path, struct digest *ret, struct error *error)
{
    cleanup(close_fd) int fd = -1;
    struct hashed_file file;
    int r = program_open(path, &fd, error);

    r = r ?: hashed_file_read(NULL, fd, path, HASH_SHA256, BOOT_FILE_MAX_BYTES, NULL, &file, error);
    if (!r)
        *ret = file.sha256;
    return r;
}

/* Sections with gaps are hashed in an order that is not the file's: then it is read three times. */
static int hash_with_gaps(const char *path, enum hash_algorithm bank, uint8_t *ret, struct digest *ret_sha256,
                          struct error *error)
{
    struct digest before;
    int r = hash_file(path, &before, error);

    r = r ?: pe_hash(path, bank, ret, error);
    r = r ?: hash_file(path, ret_sha256, error);
    if (!r && !digest_equal(&before, ret_sha256))
        r = error_set(error, ERROR_FAILED, "\"%s\" was changed while it was read; run this again", path);
    return r;
}

static int hash_in_one_pass(const struct pe_image *image, enum hash_algorithm bank, uint8_t *ret,
                            struct digest *ret_sha256, struct error *error)
{
    cleanup(stretches_free) struct stretches stretches = { 0 };
    cleanup(hash_state_free) struct hash_state *state = NULL;
    int r = hash_start(bank, &state, error);

    r = r ?: stretches_add_image(&stretches, image, state, error);
    r = r ?: one_pass_read(image->fd, image->path, image->size, stretches.items, stretches.count, ret_sha256, error);
    return r ?: hash_finish(state, ret, error);
}

int program_hash(const char *path, enum hash_algorithm bank, uint8_t *ret, struct digest *ret_sha256,
                 struct error *error)
{
    cleanup(pe_image_free) struct pe_image image = { 0 };
    cleanup(close_fd) int fd = -1;
    struct stat status;
    int r = program_open(path, &fd, error);

    if (r)
        return r;
    if (fstat(fd, &status) < 0)
        return error_errno(error, errno, "cannot read \"%s\"", path);
    r = pe_image_parse(fd, path, 0, (uint64_t)status.st_size, &image, error);
    if (!r && pe_image_has_gaps(&image))
        return hash_with_gaps(path, bank, ret, ret_sha256, error);
    return r ?: hash_in_one_pass(&image, bank, ret, ret_sha256, error);
}
