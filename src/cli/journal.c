#include "cli/journal.h"

#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#define SD_JOURNAL_SUPPRESS_LOCATION /* where in our source it was sent from is of no use to anyone */
#include <systemd/sd-journal.h>

#define JOURNAL_SOCKET "/run/systemd/journal/socket"

/* libsystemd takes an entry that nobody receives for sent. */
bool journal_is_there(void)
{
    return access(JOURNAL_SOCKET, W_OK) == 0;
}

int journal_send(const struct boot_event *event, struct error *error)
{
    struct iovec fields[BOOT_EVENT_FIELDS_MAX];
    int r;

    for (size_t i = 0; i < event->count; i++)
        fields[i] = (struct iovec){ .iov_base = event->fields[i], .iov_len = strlen(event->fields[i]) };
    r = sd_journal_sendv(fields, (int)event->count);
    return r < 0 ? error_errno(error, -r, "cannot write to the journal") : 0;
}
