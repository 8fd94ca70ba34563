#include "base/cleanup.h"
#include "tpm/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <tss2/tss2_tctildr.h>

#define DEVICE_PREFIX "device:"
#define TCTI_NAME_MAX 64

/* The TCTI's name, "device" in "device:/dev/tpm0"; false when there is none. */
static bool tcti_name(const char *tcti, char ret[TCTI_NAME_MAX])
{
    size_t length = strcspn(tcti, ":");

    if (length == 0 || length >= TCTI_NAME_MAX)
        return false;
    memcpy(ret, tcti, length);
    ret[length] = '\0';
    return true;
}

static bool tcti_is_installed(const char *name)
{
    TSS2_TCTI_INFO *info = NULL;
    bool installed = !Tss2_TctiLdr_GetInfo(name, &info);

    Tss2_TctiLdr_FreeInfo(&info);
    return installed;
}

int tpm_device_failed(const char *path, int number, struct error *error)
{
    error_errno(error, number, "cannot open the TPM device \"%s\"", path);
    if (number == EBUSY) {
        error_set(error, ERROR_TPM, "the TPM device \"%s\" is in use by another program", path);
        error_remedy(error, "use the kernel's resource manager instead: --tcti device:/dev/tpmrm0");
    } else if (number == ENOENT || number == ENODEV || number == ENXIO) {
        error_set(error, ERROR_TPM, "there is no TPM device \"%s\"", path);
        error_remedy(error, "enable the TPM 2.0 (also called PTT or fTPM) in the firmware's setup");
    } else if (number == EACCES || number == EPERM) {
        error_remedy(error, "run bootseal as root");
    }
    return error_rekind(error, ERROR_TPM);
}

/* tpm2-tss says "IO failure" whatever it was; the device itself tells more. */
static int ask_device(const char *path, struct error *error)
{
    cleanup(close_fd) int fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);

    if (fd < 0)
        return tpm_device_failed(path, errno, error);
    return error_set(error, ERROR_TPM, "cannot use the TPM device \"%s\"", path);
}

static int open_failed(TSS2_RC rc, const char *tcti, struct error *error)
{
    char name[TCTI_NAME_MAX];

    if (!tcti_name(tcti, name))
        return error_set(error, ERROR_USAGE, "\"%s\" names no way to reach a TPM", tcti);
    if (!tcti_is_installed(name)) {
        error_set(error, ERROR_TPM, "tpm2-tss has no library for \"%s\", the first part of \"%s\"", name, tcti);
        return error_remedy(error, "install libtss2-tcti-%s, or give another --tcti", name);
    }
    if (strncmp(tcti, DEVICE_PREFIX, strlen(DEVICE_PREFIX)) == 0)
        return ask_device(tcti + strlen(DEVICE_PREFIX), error);
    tpm_outcome(rc, 0, "opening", error);
    return error_prefix(error, "cannot reach the TPM at \"%s\"", tcti);
}

/* tpm2-tss writes to stderr what its callers get as return codes; bootseal says it in its own words. */
static void silence_library(void)
{
    (void)setenv("TSS2_LOG", "all+none", 0);
}

int tpm_open(struct tpm **ret, const char *tcti, struct error *error)
{
    cleanup(tpm_close) struct tpm *tpm = calloc(1, sizeof(*tpm));
    TSS2_RC rc;

    if (!tpm)
        return error_no_memory(error);
    if (!tcti || !*tcti)
        return error_set(error, ERROR_USAGE, "it is not said how to reach the TPM");
    silence_library();
    rc = tpm_link_open(&tpm->link, tcti);
    if (rc)
        return open_failed(rc, tcti, error);
    tpm->tcti = (TSS2_TCTI_CONTEXT *)&tpm->link;
    rc = Esys_Initialize(&tpm->esys, tpm->tcti, NULL);
    if (rc)
        return tpm_outcome(rc, 0, "Esys_Initialize", error);
    *ret = take_ptr(tpm);
    return 0;
}

bool tpm_is_broken(const struct tpm *tpm)
{
    return tpm->is_broken;
}

void tpm_close(struct tpm **tpm)
{
    if (!*tpm)
        return;
    if ((*tpm)->esys)
        tpm_live_flush_own(*tpm);
    if ((*tpm)->esys)
        tpm_context_free(*tpm);
    tpm_link_close(&(*tpm)->link);
    free(*tpm);
    *tpm = NULL;
}

int tpm_shutdown(struct tpm *tpm, struct error *error)
{
    return TPM_COMMAND(tpm, error, Shutdown, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, TPM2_SU_CLEAR);
}
