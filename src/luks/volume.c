#include "luks/internal.h"

#include "base/cleanup.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <libcryptsetup.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>

#define SMALLEST_VOLUME_BYTES 0x8000 /* two copies of a header of 16 KiB */

/* Gathers the error messages of one call, without their line ends and full stops. */
static void collect_complaint(int level, const char *message, void *context)
{
    struct volume *volume = context;
    size_t used = strlen(volume->complaint), length = strlen(message);

    if (level != CRYPT_LOG_ERROR)
        return;
    while (length > 0 && (isspace((unsigned char)message[length - 1]) || message[length - 1] == '.'))
        length--;
    snprintf(volume->complaint + used, sizeof(volume->complaint) - used, "%s%.*s", used ? "; " : "", (int)length,
             message);
}

struct crypt_device *volume_device(struct volume *volume)
{
    volume->complaint[0] = '\0';
    return volume->device;
}

int volume_fail(struct volume *volume, int code, struct error *error, const char *format, ...)
{
    const char *errno_words = strerrordesc_np(-code);
    char what[256];
    va_list args;

    va_start(args, format);
    vsnprintf(what, sizeof(what), format, args);
    va_end(args);
    return error_set(error, ERROR_FAILED, "\"%s\": %s: %s", volume->path, what,
                     volume->complaint[0] ? volume->complaint : (errno_words ?: "unknown error"));
}

void volume_reload(struct volume *volume)
{
    volume->stale = crypt_load(volume->device, CRYPT_LUKS2, NULL) < 0;
}

bool uuid_is_valid(const char *text)
{
    static const char form[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";

    if (strlen(text) != sizeof(form) - 1)
        return false;
    for (size_t i = 0; form[i]; i++)
        if (form[i] == '-' ? text[i] != '-' : !isxdigit((unsigned char)text[i]))
            return false;
    return true;
}

/* libcryptsetup prints when it cannot open the device, before a callback can be set: so we look first. */
static int open_path(const char *path, int *ret_fd, struct error *error)
{
    cleanup(close_fd) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    struct stat status;

    if (fd < 0 && (errno == EACCES || errno == EPERM)) {
        error_errno(error, errno, "cannot open \"%s\"", path);
        return error_remedy(error, "call it as root");
    }
    if (fd < 0) {
        error_errno(error, errno, "cannot open \"%s\"", path);
        return error_remedy(error, "see which devices there are: lsblk -f");
    }
    if (fstat(fd, &status) < 0)
        return error_errno(error, errno, "cannot look at \"%s\"", path);
    if (!S_ISBLK(status.st_mode) && !S_ISREG(status.st_mode)) {
        error_set(error, ERROR_NOT_LUKS2, "\"%s\" is neither a block device nor a file", path);
        return error_remedy(error, "see which devices there are: lsblk -f");
    }
    *ret_fd = fd;
    fd = -1;
    return 0;
}

static int take_uuid(struct volume *volume, struct error *error)
{
    const char *uuid = crypt_get_uuid(volume->device);

    if (!uuid || !uuid_is_valid(uuid))
        return error_set(error, ERROR_METADATA, "\"%s\": the header's UUID \"%s\" is not one", volume->path,
                         uuid ?: "");
    memcpy(volume->uuid, uuid, sizeof(volume->uuid));
    return 0;
}

void volume_listen(struct volume *volume)
{
    crypt_set_log_callback(volume->device, collect_complaint, volume);
}

static int load(struct volume *volume, int fd, struct error *error)
{
    int code = crypt_init(&volume->device, volume->path);

    if (code < 0)
        return volume_fail(volume, code, error, "cannot use the device");
    volume_listen(volume);
    code = crypt_load(volume_device(volume), CRYPT_LUKS2, NULL);
    /* on something smaller than two headers it fails with EIO, as if the disk were broken */
    if (code == -EINVAL || (code == -EIO && lseek(fd, 0, SEEK_END) < SMALLEST_VOLUME_BYTES))
        return probe_explain(fd, volume->path, error);
    if (code < 0)
        return volume_fail(volume, code, error, "cannot read the LUKS2 header");
    return take_uuid(volume, error);
}

int volume_open(struct volume **ret, const char *device, struct error *error)
{
    cleanup(volume_close) struct volume *volume = calloc(1, sizeof(*volume));
    cleanup(close_fd) int fd = -1;
    int r;

    if (!volume)
        return error_no_memory(error);
    r = resolve_device(&system_folders, device, &volume->path, error);
    if (!r)
        r = open_path(volume->path, &fd, error);
    if (!r)
        r = load(volume, fd, error);
    if (r)
        return r;
    if (strncmp(device, "UUID=", 5) == 0 && strcasecmp(device + 5, volume->uuid) != 0)
        return error_set(error, ERROR_NOT_LUKS2, "\"%s\" has the UUID %s, not the one that it is listed under",
                         volume->path, volume->uuid);
    for (int i = 0; i < VOLUME_MAX_TOKENS; i++)
        snprintf(volume->token_names[i], TOKEN_NAME_TEXT, "token %d", i);
    *ret = take_ptr(volume);
    return 0;
}

void volume_close(struct volume **volume)
{
    if (!*volume)
        return;
    crypt_free((*volume)->device);
    free((*volume)->path);
    free(*volume);
    *volume = NULL;
}

const char *volume_path(const struct volume *volume)
{
    return volume->path;
}

const char *volume_uuid(const struct volume *volume)
{
    return volume->uuid;
}
