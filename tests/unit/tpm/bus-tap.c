#include "bus-tap.h"

#include "tpm/internal.h"

#include <string.h>
#include <tss2/tss2_tcti.h>

#define COMMANDS_MAX 4096
#define BYTES_MAX (1024 * 1024)
#define HEADER_BYTES 10

static struct {
    TSS2_TCTI_TRANSMIT_FCN transmit;
    TSS2_TCTI_RECEIVE_FCN receive;
    uint32_t commands[COMMANDS_MAX];
    size_t count;
    unsigned repeats;
    uint8_t bytes[BYTES_MAX];
    size_t size;
    uint32_t refused, refusal;
    unsigned refusals_left;
    uint32_t spoiled;
    size_t spoil_from_end;
    uint32_t hidden;
    bool answering;
} tap;

static uint32_t number_at(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

static void keep(const uint8_t *bytes, size_t size)
{
    if (size <= BYTES_MAX - tap.size) {
        memcpy(tap.bytes + tap.size, bytes, size);
        tap.size += size;
    }
}

static TSS2_RC transmit(TSS2_TCTI_CONTEXT *tcti, size_t size, const uint8_t *command)
{
    uint32_t code = number_at(command + 6);

    if (tap.count < COMMANDS_MAX)
        tap.commands[tap.count++] = code;
    keep(command, size);
    if (tap.refusals_left > 0 && code == tap.refused) {
        tap.refusals_left--;
        tap.answering = true;
        return TSS2_RC_SUCCESS;
    }
    return tap.transmit(tcti, size, command);
}

/* A command that has to come again does not count. */
static void count_answer(const uint8_t *response)
{
    switch (number_at(response + 6)) {
    case TPM2_RC_RETRY:
    case TPM2_RC_TESTING:
    case TPM2_RC_YIELDED:
    case TPM2_RC_NV_RATE:
        tap.count--;
        tap.repeats++;
    }
}

static TSS2_RC answer(size_t *size, uint8_t *response)
{
    const uint8_t refusal[HEADER_BYTES] = {
        0x80, 0x01, 0, 0, 0, HEADER_BYTES, [8] = (uint8_t)(tap.refusal >> 8), (uint8_t)tap.refusal
    };

    *size = sizeof(refusal);
    if (!response)
        return TSS2_RC_SUCCESS;
    memcpy(response, refusal, sizeof(refusal));
    count_answer(response);
    tap.answering = false;
    return TSS2_RC_SUCCESS;
}

/* TPM2_GetCapability's answer with one command's attributes: header, moreData, capability, count, attributes. Part 3,
 * 30.2. */
static void hide_command(uint8_t *response, size_t size)
{
    const size_t capability = HEADER_BYTES + 1, count = capability + 4, attributes = count + 4;

    if (!tap.hidden || size != attributes + 4 || number_at(response + capability) != TPM2_CAP_COMMANDS)
        return;
    if ((number_at(response + attributes) & TPMA_CC_COMMANDINDEX_MASK) == tap.hidden)
        response[attributes + 3]++;
}

static TSS2_RC receive(TSS2_TCTI_CONTEXT *tcti, size_t *size, uint8_t *response, int32_t timeout)
{
    TSS2_RC rc;

    if (tap.answering)
        return answer(size, response);
    rc = tap.receive(tcti, size, response, timeout);
    if (rc || !response)
        return rc;
    keep(response, *size);
    if (tap.spoiled && tap.spoiled == tap.commands[tap.count - 1] && tap.spoil_from_end <= *size) {
        response[*size - tap.spoil_from_end] ^= 1;
        tap.spoiled = 0;
    }
    if (tap.commands[tap.count - 1] == TPM2_CC_GetCapability)
        hide_command(response, *size);
    count_answer(response);
    return rc;
}

void bus_tap(struct tpm *tpm)
{
    memset(&tap, 0, sizeof(tap));
    tap.transmit = TSS2_TCTI_TRANSMIT(tpm->tcti);
    tap.receive = TSS2_TCTI_RECEIVE(tpm->tcti);
    TSS2_TCTI_TRANSMIT(tpm->tcti) = transmit;
    TSS2_TCTI_RECEIVE(tpm->tcti) = receive;
}

void bus_tap_restart(void)
{
    tap.count = 0;
    tap.repeats = 0;
    tap.size = 0;
}

size_t bus_tap_count(void)
{
    return tap.count;
}

unsigned bus_tap_repeats(void)
{
    return tap.repeats;
}

uint32_t bus_tap_command(size_t i)
{
    return i < tap.count ? tap.commands[i] : 0;
}

bool bus_tap_saw(const void *bytes, size_t size)
{
    return memmem(tap.bytes, tap.size, bytes, size) != NULL;
}

void bus_tap_refuse(uint32_t command, uint32_t response_code, unsigned times)
{
    tap.refused = command;
    tap.refusal = response_code;
    tap.refusals_left = times;
}

void bus_tap_spoil(uint32_t command, size_t from_end)
{
    tap.spoiled = command;
    tap.spoil_from_end = from_end;
}

void bus_tap_hide_command(uint32_t command)
{
    tap.hidden = command;
}
