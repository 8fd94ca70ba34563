#include "protect/unlock/tpm-device.h"

#include "base/clock.h"
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define DEVICE "/dev/tpm0"
#define DEVICE_MANAGED "/dev/tpmrm0"
#define POLL_MS 50

static const char *const announcements[] = {
    "/sys/firmware/acpi/tables/TPM2",
    "/sys/class/tpm/tpm0",
    DEVICE,
};

static bool is_announced(void)
{
    for (size_t i = 0; i < sizeof(announcements) / sizeof(announcements[0]); i++)
        if (file_exists(announcements[i]))
            return true;
    return false;
}

static bool is_busy(const char *path)
{
    int fd = open(path, O_RDWR | O_CLOEXEC);

    if (fd < 0)
        return errno == EBUSY;
    close(fd);
    return false;
}

int tpm_device_open(const char *tcti, uint64_t deadline_ms, struct tpm **ret, struct error *error)
{
    *ret = NULL;
    if (tcti)
        return tpm_open(ret, tcti, error);
    if (!is_announced())
        return 0;
    while (!file_exists(DEVICE)) {
        if (clock_now_ms() > deadline_ms) {
            error_set(error, ERROR_TPM, "the firmware announces a TPM, but %s does not appear", DEVICE);
            return error_remedy(error, "switch the machine off and on; if it stays so, the TPM's driver is missing in "
                                       "the initramfs, or the TPM is broken");
        }
        clock_pause_ms(POLL_MS);
    }
    return tpm_open(ret, is_busy(DEVICE) && file_exists(DEVICE_MANAGED) ? "device:" DEVICE_MANAGED : "device:" DEVICE,
                    error);
}
