#include "measure/predict/initrd-archive.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* Linux, Documentation/driver-api/early-userspace/buffer-format.rst */
#define HEADER_BYTES 110
#define FOLDER_MAX 64

int hash_sinks_add(const struct hash_sinks *sinks, const void *bytes, size_t size, struct error *error)
{
    int r = 0;

    for (size_t i = 0; !r && i < 2; i++)
        if (sinks->states[i])
            r = hash_add(sinks->states[i], bytes, size, error);
    return r;
}

int initrd_archive_pad(struct initrd_archive *archive, uint64_t size, struct error *error)
{
    return hash_sinks_add(&archive->sinks, "\0\0\0", (size_t)(-size & 3), error);
}

/* A header: all is 0 but what is said. */
static int put_header(struct initrd_archive *archive, uint32_t inode, uint32_t mode, uint32_t size, const char *folder,
                      const char *name, struct error *error)
{
    char header[HEADER_BYTES + 1];
    size_t length = strlen(folder) + (name ? 1 + strlen(name) : 0) + 1;
    int r;

    snprintf(header, sizeof header, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x", inode, mode, 0, 0, 1,
             0, size, 0, 0, 0, 0, (unsigned)length, 0);
    r = hash_sinks_add(&archive->sinks, header, HEADER_BYTES, error);
    r = r ?: hash_sinks_add(&archive->sinks, folder, strlen(folder), error);
    if (!r && name) {
        r = hash_sinks_add(&archive->sinks, "/", 1, error);
        r = r ?: hash_sinks_add(&archive->sinks, name, strlen(name), error);
    }
    r = r ?: hash_sinks_add(&archive->sinks, "", 1, error);
    return r ?: initrd_archive_pad(archive, HEADER_BYTES + length, error);
}

int initrd_archive_start(struct initrd_archive *archive, uint32_t folder_mode, struct error *error)
{
    char above[FOLDER_MAX];
    int r = 0;

    archive->next_inode = 1;
    for (const char *slash = strchr(archive->folder, '/'); !r && slash; slash = strchr(slash + 1, '/')) {
        snprintf(above, sizeof above, "%.*s", (int)(slash - archive->folder), archive->folder);
        r = put_header(archive, archive->next_inode++, S_IFDIR | 0555, 0, above, NULL, error);
    }
    return r ?: put_header(archive, archive->next_inode++, S_IFDIR | folder_mode, 0, archive->folder, NULL, error);
}

int initrd_archive_file(struct initrd_archive *archive, const char *name, uint32_t size, struct error *error)
{
    return put_header(archive, archive->next_inode++, S_IFREG | archive->file_mode, size, archive->folder, name, error);
}

/* As the stub has it: all zeros but one link and the length of the name, here in a capital letter. */
int initrd_archive_end(struct initrd_archive *archive, struct error *error)
{
    static const char name[] = "TRAILER!!!\0\0\0";
    char header[HEADER_BYTES + 1];

    snprintf(header, sizeof header, "070701%032d%08d%048d%08X%08d", 0, 1, 0, 11, 0);
    return hash_sinks_add(&archive->sinks, header, HEADER_BYTES, error)
               ?: hash_sinks_add(&archive->sinks, name, sizeof name, error);
}
