#include "measure/predict/grub/files.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* "gpt2" and "msdos2" are also said as "2". */
static bool partition_is(const char *partition, const char *said)
{
    size_t digits = strspn(said, "0123456789");

    if (said[0] != '\0' && said[digits] == '\0') {
        partition += strcspn(partition, "0123456789");
        return strcmp(partition, said) == 0;
    }
    return strcmp(partition, said) == 0;
}

/* "hd0,gpt2" as the place has it, "hd0" for a whole disk. */
static bool device_is(const struct boot_place *place, const char *device)
{
    char disk[24];
    size_t length;

    snprintf(disk, sizeof disk, "hd%u", place->disk);
    length = strlen(disk);
    if (strncmp(device, disk, length) != 0)
        return false;
    if (place->partition[0] == '\0')
        return device[length] == '\0';
    return device[length] == ',' && partition_is(place->partition, device + length + 1);
}

int grub_files_place(const struct grub_files *files, const char *device, const struct boot_place **ret,
                     struct error *error)
{
    const struct boot_places *places = files->request->places;

    *ret = NULL;
    for (size_t i = 0; i < places->count; i++) {
        if (!device_is(&places->items[i], device))
            continue;
        if (*ret)
            return error_set(error, ERROR_FAILED, "more than one file system may be \"%s\"", device);
        *ret = &places->items[i];
    }
    if (!*ret)
        return error_set(error, ERROR_FAILED, "it is not known what is on the device \"%s\"", device);
    return 0;
}

/* Checks that it is what GRUB would see there: no link, and not the top of another mount. */
static int check_step(int fd, const char *path, struct statx *ret, struct error *error)
{
    if (statx(fd, "", AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, ret) < 0)
        return error_errno(error, errno, "cannot read \"%s\"", path);
    if (S_ISLNK(ret->stx_mode))
        return error_set(error, ERROR_FAILED, "\"%s\" has a symbolic link in it", path);
    if (ret->stx_attributes & ret->stx_attributes_mask & STATX_ATTR_MOUNT_ROOT)
        return error_set(error, ERROR_FAILED, "\"%s\": another file system is mounted on the way to it", path);
    return 0;
}

/* Goes down from *fd by the name's parts; -1 in *fd when there is no such file. */
static int walk(int *fd, const char *name, const char *path, struct statx *ret, struct error *error)
{
    int r = 0;

    while (!r && *fd >= 0) {
        char part[NAME_MAX + 1];
        size_t length;
        int below;

        name += strspn(name, "/");
        length = strcspn(name, "/");
        if (length == 0)
            return 0;
        if (length > NAME_MAX)
            return error_set(error, ERROR_FAILED, "\"%s\": a name is too long", path);
        memcpy(part, name, length);
        part[length] = '\0';
        if (strcmp(part, ".") == 0 || strcmp(part, "..") == 0)
            return error_set(error, ERROR_FAILED, "\"%s\": \".\" and \"..\" in names are not followed", path);
        below = openat(*fd, part, O_PATH | O_NOFOLLOW | O_CLOEXEC);
        if (below < 0 && errno != ENOENT && errno != ENOTDIR)
            return error_errno(error, errno, "cannot open \"%s\"", path);
        close(*fd);
        *fd = below;
        if (below >= 0)
            r = check_step(below, path, ret, error);
        name += length;
    }
    return r;
}

static enum grub_file_kind kind_of(const struct statx *status)
{
    return S_ISDIR(status->stx_mode) ? GRUB_FILE_FOLDER : GRUB_FILE_REGULAR;
}

/* Finds out what is at the place; *ret_fd is a file opened for reading when it is a regular one, else -1. */
static int open_file(const struct boot_place *place, const char *name, struct grub_file *file, int *ret_fd,
                     struct error *error)
{
    cleanup(close_fd) int fd = open(place->folder[0] ? place->folder : "/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    struct statx status = { .stx_mode = S_IFDIR };
    char self[40];
    int r;

    *ret_fd = -1;
    if (fd < 0)
        return error_errno(error, errno, "cannot open \"%s\"", place->folder);
    r = walk(&fd, name, file->path, &status, error);
    if (r || fd < 0)
        return r;
    if (!S_ISDIR(status.stx_mode) && !S_ISREG(status.stx_mode))
        return error_set(error, ERROR_FAILED, "\"%s\" is no file", file->path);
    file->kind = kind_of(&status);
    file->size = status.stx_size;
    if (file->kind == GRUB_FILE_FOLDER)
        return 0;
    snprintf(self, sizeof self, "/proc/self/fd/%d", fd);
    *ret_fd = open(self, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    return *ret_fd < 0 ? error_errno(error, errno, "cannot open \"%s\"", file->path) : 0;
}

static const struct grub_known_file *known_file(const struct grub_request *request, const char *path)
{
    for (size_t i = 0; i < request->known_file_count; i++)
        if (strcmp(request->known_files[i].path, path) == 0)
            return &request->known_files[i];
    return NULL;
}

/* The place's own folder and the name, with single slashes. */
static char *system_path(struct pool *pool, const struct boot_place *place, const char *name)
{
    size_t length = strlen(place->folder);
    char *path = pool_new(pool, length + strlen(name) + 2);

    if (!path)
        return NULL;
    memcpy(path, place->folder, length);
    for (; *name; name++)
        if (*name != '/' || length == 0 || path[length - 1] != '/')
            path[length++] = *name;
    while (length > 1 && path[length - 1] == '/')
        path[--length] = '\0';
    return path;
}

static int hash_bytes(const struct grub_files *files, struct grub_file *file, struct error *error)
{
    struct span bytes = { file->bytes, (size_t)file->size };

    memset(file->head, 0, sizeof file->head);
    if (file->size > 0)
        memcpy(file->head, file->bytes, file->size < sizeof file->head ? (size_t)file->size : sizeof file->head);
    file->hashed = true;
    return hash_compute(files->request->bank, &bytes, 1, file->digest, error)
               ?: digest_compute(&file->sha256, &bytes, 1, error);
}

static int take_known(const struct grub_files *files, const struct grub_known_file *known, struct grub_file *file,
                      struct error *error)
{
    file->kind = GRUB_FILE_REGULAR;
    file->size = known->size;
    if (known->bytes) {
        if (known->size > GRUB_READ_MAX)
            return error_set(error, ERROR_USAGE, "\"%s\": known contents are too large", file->path);
        file->bytes = pool_copy(files->pool, known->bytes, known->size);
        file->loaded = true;
        return file->bytes ? hash_bytes(files, file, error) : pool_error(files->pool, error);
    }
    if (!known->digest || !known->sha256)
        return error_set(error, ERROR_USAGE, "\"%s\": neither contents nor hashes", file->path);
    memcpy(file->digest, known->digest, hash_size(files->request->bank));
    file->sha256 = *known->sha256;
    file->foreign = file->hashed = true;
    return 0;
}

/* Looks at the disk for what the file is. It is opened again to be hashed: what it is then counts. */
static int look(const struct boot_place *place, const char *name, struct grub_file *file, struct error *error)
{
    cleanup(close_fd) int fd = -1;

    return open_file(place, name, file, &fd, error);
}

int grub_files_find(struct grub_files *files, const struct boot_place *place, const char *name, struct grub_file **ret,
                    struct error *error)
{
    const struct grub_known_file *known;
    char *path = system_path(files->pool, place, name);
    struct grub_file *file;
    int r;

    if (!path)
        return pool_error(files->pool, error);
    for (*ret = files->items; *ret; *ret = (*ret)->next)
        if (strcmp((*ret)->path, path) == 0)
            return 0;
    file = pool_new(files->pool, sizeof *file);
    if (!file)
        return pool_error(files->pool, error);
    *file = (struct grub_file){ .path = path, .place = place, .name = pool_copy(files->pool, name, strlen(name)) };
    if (!file->name)
        return pool_error(files->pool, error);
    known = known_file(files->request, path);
    r = known ? take_known(files, known, file, error) : look(place, name, file, error);
    if (r)
        return r;
    file->next = files->items;
    files->items = *ret = file;
    return 0;
}

/* Both hashes of all that `fd` gives, and its first bytes; the contents into `bytes` when that is not NULL. */
static int read_all(const struct grub_files *files, int fd, struct grub_file *file, char *bytes, uint64_t max,
                    struct error *error)
{
    struct hashed_file read;
    int r = hashed_file_read(files->request->hashed, fd, file->path, files->request->bank, max, bytes, &read, error);

    if (r)
        return r;
    file->size = read.size;
    memcpy(file->digest, read.digest, sizeof(file->digest));
    memcpy(file->head, read.head, sizeof(file->head));
    file->sha256 = read.sha256;
    file->hashed = true;
    return 0;
}

/* Opens the file again for reading: by the way, not by the path, so that no link is followed. */
static int open_again(const struct grub_file *file, uint64_t max, int *ret_fd, struct error *error)
{
    struct grub_file again = { .path = file->path };
    int r = 0;

    if (file->size > max)
        r = error_set(error, ERROR_FAILED, "\"%s\" is larger than %llu bytes", file->path, (unsigned long long)max);
    r = r ?: open_file(file->place, file->name, &again, ret_fd, error);

    if (!r && *ret_fd < 0)
        return error_set(error, ERROR_FAILED, "\"%s\" went while it was to be read; run this again", file->path);
    return r;
}

int grub_file_hash(struct grub_files *files, struct grub_file *file, struct error *error)
{
    cleanup(close_fd) int fd = -1;

    if (file->hashed)
        return 0;
    return open_again(file, GRUB_HASH_MAX, &fd, error) ?: read_all(files, fd, file, NULL, GRUB_HASH_MAX, error);
}

int grub_file_load(struct grub_files *files, struct grub_file *file, struct error *error)
{
    cleanup(close_fd) int fd = -1;
    struct digest before = file->sha256;
    bool was_hashed = file->hashed;
    int r;

    if (file->loaded)
        return 0;
    if (file->foreign)
        return error_set(error, ERROR_FAILED, "\"%s\": only its hash is known, and GRUB interprets it", file->path);
    r = open_again(file, GRUB_READ_MAX, &fd, error);
    if (r)
        return r;
    file->bytes = pool_new(files->pool, (size_t)file->size + 1);
    if (!file->bytes)
        return pool_error(files->pool, error);
    r = read_all(files, fd, file, file->bytes, file->size, error);
    if (!r && was_hashed && !digest_equal(&before, &file->sha256))
        return error_set(error, ERROR_FAILED, "\"%s\" was changed while it was read; run this again", file->path);
    file->loaded = !r;
    return r;
}

int grub_file_write(const struct grub_files *files, struct grub_file *file, char *bytes, struct error *error)
{
    struct span all = { bytes, (size_t)file->size };

    file->written = file->written || memcmp(file->bytes, bytes, (size_t)file->size) != 0;
    file->bytes = bytes;
    return hash_compute(files->request->bank, &all, 1, file->digest, error);
}
