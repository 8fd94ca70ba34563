/*
 * What is between tpm2-tss and the driver that it has loaded (a TCTI of its own). tpm2-tss waits for an answer however
 * long it takes, and believes the size that the answer's header gives: this layer waits TPM_ANSWER_MS, and passes on no
 * answer that is shorter or longer than it says. The drivers for real TPMs keep to a time limit; those for software
 * TPMs (swtpm, mssim) do not.
 */
#include "tpm/internal.h"

#include <tss2/tss2_tctildr.h>

#define HEADER_BYTES 10 /* TPM 2.0 Part 1, 18: tag, size, response code */

static uint32_t size_said(const uint8_t *answer)
{
    return (uint32_t)answer[2] << 24 | (uint32_t)answer[3] << 16 | (uint32_t)answer[4] << 8 | answer[5];
}

/* An answer that comes later than that would be taken for the next command's: no other is sent. */
static TSS2_RC transmit(TSS2_TCTI_CONTEXT *tcti, size_t size, const uint8_t *command)
{
    struct tpm_link *link = (struct tpm_link *)tcti;

    return link->silent ? TSS2_TCTI_RC_NO_CONNECTION : Tss2_Tcti_Transmit(link->driver, size, command);
}

static TSS2_RC receive(TSS2_TCTI_CONTEXT *tcti, size_t *size, uint8_t *answer, int32_t timeout_ms)
{
    struct tpm_link *link = (struct tpm_link *)tcti;
    bool bounded = timeout_ms == TSS2_TCTI_TIMEOUT_BLOCK;
    int32_t limit_ms = bounded ? TPM_ANSWER_MS : timeout_ms;
    TSS2_RC rc = Tss2_Tcti_Receive(link->driver, size, answer, limit_ms);

    if (rc == TSS2_TCTI_RC_TRY_AGAIN && bounded) {
        link->silent = true;
        return TPM_RC_SILENT;
    }
    if (rc || !answer)
        return rc;
    return *size < HEADER_BYTES || size_said(answer) != *size ? TPM_RC_MALFORMED : TSS2_RC_SUCCESS;
}

static TSS2_RC cancel(TSS2_TCTI_CONTEXT *tcti)
{
    return Tss2_Tcti_Cancel(((struct tpm_link *)tcti)->driver);
}

static TSS2_RC get_poll_handles(TSS2_TCTI_CONTEXT *tcti, TSS2_TCTI_POLL_HANDLE *handles, size_t *count)
{
    return Tss2_Tcti_GetPollHandles(((struct tpm_link *)tcti)->driver, handles, count);
}

static TSS2_RC set_locality(TSS2_TCTI_CONTEXT *tcti, uint8_t locality)
{
    return Tss2_Tcti_SetLocality(((struct tpm_link *)tcti)->driver, locality);
}

TSS2_RC tpm_link_open(struct tpm_link *link, const char *tcti)
{
    *link = (struct tpm_link){
        .common = { .magic = 0x626f6f747365616cull, /* "bootseal" */
                    .version = 1,
                    .transmit = transmit,
                    .receive = receive,
                    .cancel = cancel,
                    .getPollHandles = get_poll_handles,
                    .setLocality = set_locality },
    };
    return Tss2_TctiLdr_Initialize(tcti, &link->driver);
}

void tpm_link_close(struct tpm_link *link)
{
    if (link->driver)
        Tss2_TctiLdr_Finalize(&link->driver);
}
