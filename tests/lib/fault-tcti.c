/*
 * A TCTI that lies between a program and its TPM and does one thing wrong:
 *
 *   --tcti /PATH/libtss2-tcti-fault.so:at=7,do=rc,value=0x922,times=3:swtpm:host=127.0.0.1,port=2321
 *
 * The commands of a process are counted from 0, whatever connections they go through. Options:
 *
 *   log=FILE      a line for each command: its number and its code, in hexadecimal
 *   at=N          where the fault begins; without it, the first command with the code=CODE (hexadecimal)
 *   times=N       how many commands it strikes from there on; 0: all that follow. 1 if not given
 *   do=FAULT
 *     rc          the command does not reach the TPM; the answer is the response code `value`
 *     late        the answer comes `value` milliseconds late; 0: it never comes
 *     closed      the command does not reach the TPM; nothing goes through from then on
 *     deaf        the TPM executes the command, its answer is lost, nothing goes through from then on
 *     size        `value` is XORed to the size in the answer's header
 *     random      all bytes of the answer are random (`value`: the seed), as many as there were
 *     body        the same but for the header, which says success and how many bytes there are
 *     short       the answer has `value` percent of its bytes, and the size in its header is wrong
 *     truncated   the same with the right size in the header
 *     flip        bit `value` of the answer's body, modulo their number, is turned
 *     command     byte `value` >> 8 of the command is XORed with the byte `value` & 0xff
 *     command-end the same, counted from the command's last byte
 *   swap=A-B      in each answer the bytes A become B (hexadecimal, of one length); up to three times
 */
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tss2/tss2_tcti.h>
#include <tss2/tss2_tctildr.h>
#include <tss2/tss2_tpm2_types.h>
#include <unistd.h>

#define MAGIC 0x6661756c74756c74ull
#define HEADER_BYTES 10
#define SWAPS_MAX 3
#define SWAP_BYTES_MAX 128
#define RESPONSE_BYTES_MAX 4096

enum fault {
    FAULT_NONE,
    FAULT_RC,
    FAULT_LATE,
    FAULT_CLOSED,
    FAULT_DEAF,
    FAULT_SIZE,
    FAULT_RANDOM,
    FAULT_BODY,
    FAULT_SHORT,
    FAULT_TRUNCATED,
    FAULT_FLIP,
    FAULT_COMMAND,
    FAULT_COMMAND_END,
};

static const char *const fault_names[] = {
    "none", "rc",    "late",      "closed", "deaf",    "size",        "random",
    "body", "short", "truncated", "flip",   "command", "command-end",
};

struct swap {
    uint8_t from[SWAP_BYTES_MAX], to[SWAP_BYTES_MAX];
    size_t size;
};

struct context {
    TSS2_TCTI_CONTEXT_COMMON_V2 common;
    TSS2_TCTI_CONTEXT *child;
    uint8_t command[RESPONSE_BYTES_MAX];
};

/* Of the process: this library is never unloaded. */
static struct {
    char log[512];
    enum fault fault;
    long at, times;
    unsigned long value, code;
    struct swap swaps[SWAPS_MAX];
    size_t swap_count;
    long next, first; /* numbers of the command to come, and of the first one that was struck; -1: none yet */
    bool strikes;     /* the command that was sent last */
    bool closed;
} state = { .at = -1, .first = -1 };

static uint32_t number_at(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

static void put_number(uint8_t *bytes, uint32_t number)
{
    for (int i = 0; i < 4; i++)
        bytes[i] = (uint8_t)(number >> (24 - 8 * i));
}

/* xorshift; the same in each run. */
static uint8_t random_byte(void)
{
    static uint64_t x;

    if (x == 0)
        x = state.value * 2654435761u + 88172645463325252u;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return (uint8_t)(x >> 32);
}

/* ---- commands ---- */

static void write_log(uint32_t code)
{
    FILE *file = state.log[0] ? fopen(state.log, "ae") : NULL;

    if (!file)
        return;
    fprintf(file, "%ld %x\n", state.next, code);
    fclose(file);
}

/* Whether the command to come is struck. */
static bool is_struck(uint32_t code)
{
    if (state.first < 0 && (state.at >= 0 ? state.next == state.at : state.code && code == state.code))
        state.first = state.next;
    return state.first >= 0 && (state.times == 0 || state.next < state.first + state.times);
}

static TSS2_RC transmit_edited(struct context *context, size_t size, const uint8_t *command)
{
    size_t place = state.value >> 8;

    if (size > sizeof(context->command) || place >= size)
        return TSS2_TCTI_RC_BAD_VALUE;
    memcpy(context->command, command, size);
    context->command[state.fault == FAULT_COMMAND ? place : size - 1 - place] ^= (uint8_t)(state.value & 0xff);
    return Tss2_Tcti_Transmit(context->child, size, context->command);
}

static TSS2_RC transmit(TSS2_TCTI_CONTEXT *tcti, size_t size, const uint8_t *command)
{
    struct context *context = (struct context *)tcti;
    uint32_t code = size < HEADER_BYTES ? 0 : number_at(command + 6);

    write_log(code);
    state.strikes = is_struck(code);
    state.next++;
    if (state.strikes && state.fault == FAULT_CLOSED)
        state.closed = true;
    if (state.closed)
        return TSS2_TCTI_RC_IO_ERROR;
    if (state.strikes && state.fault == FAULT_RC)
        return TSS2_RC_SUCCESS;
    if (state.strikes && (state.fault == FAULT_COMMAND || state.fault == FAULT_COMMAND_END))
        return transmit_edited(context, size, command);
    return Tss2_Tcti_Transmit(context->child, size, command);
}

/* ---- answers ---- */

static TSS2_RC answer_code(size_t *size, uint8_t *response)
{
    static const uint8_t header[6] = { TPM2_ST_NO_SESSIONS >> 8, TPM2_ST_NO_SESSIONS & 0xff, 0, 0, 0, HEADER_BYTES };

    if (response) {
        memcpy(response, header, sizeof(header));
        put_number(response + 6, (uint32_t)state.value);
    }
    *size = HEADER_BYTES;
    return TSS2_RC_SUCCESS;
}

static void replace(uint8_t *response, size_t size, const struct swap *swap)
{
    for (size_t i = 0; i + swap->size <= size; i++)
        if (memcmp(response + i, swap->from, swap->size) == 0)
            memcpy(response + i, swap->to, swap->size);
}

static void spoil(size_t *size, uint8_t *response)
{
    size_t bits = 8 * (*size - HEADER_BYTES), bit = bits ? state.value % bits : 0;

    switch (state.fault) {
    case FAULT_SIZE:
        put_number(response + 2, number_at(response + 2) ^ (uint32_t)state.value);
        break;
    case FAULT_RANDOM:
    case FAULT_BODY:
        for (size_t i = state.fault == FAULT_BODY ? HEADER_BYTES : 0; i < *size; i++)
            response[i] = random_byte();
        if (state.fault == FAULT_BODY)
            put_number(response + 6, TPM2_RC_SUCCESS);
        break;
    case FAULT_SHORT:
    case FAULT_TRUNCATED:
        *size = *size * state.value / 100;
        if (state.fault == FAULT_TRUNCATED)
            put_number(response + 2, (uint32_t)*size);
        break;
    case FAULT_FLIP:
        if (bits)
            response[HEADER_BYTES + bit / 8] ^= (uint8_t)(1 << bit % 8);
        break;
    default:
        break;
    }
}

/* Time passes as the caller allows: one that would wait for ever, does. */
static TSS2_RC wait_late(int32_t timeout)
{
    if (state.value == 0 && timeout >= 0)
        return TSS2_TCTI_RC_TRY_AGAIN;
    while (state.value == 0)
        pause();
    poll(NULL, 0, (int)state.value);
    return TSS2_RC_SUCCESS;
}

static TSS2_RC receive(TSS2_TCTI_CONTEXT *tcti, size_t *size, uint8_t *response, int32_t timeout)
{
    struct context *context = (struct context *)tcti;
    TSS2_RC rc = state.closed ? TSS2_TCTI_RC_IO_ERROR : TSS2_RC_SUCCESS;

    if (!rc && state.strikes && state.fault == FAULT_RC)
        return answer_code(size, response);
    if (!rc && state.strikes && state.fault == FAULT_LATE)
        rc = wait_late(timeout);
    if (!rc)
        rc = Tss2_Tcti_Receive(context->child, size, response, timeout);
    if (rc || !response)
        return rc;
    if (state.strikes && state.fault == FAULT_DEAF) {
        state.closed = true;
        return TSS2_TCTI_RC_IO_ERROR;
    }
    for (size_t i = 0; i < state.swap_count; i++)
        replace(response, *size, &state.swaps[i]);
    if (state.strikes)
        spoil(size, response);
    return TSS2_RC_SUCCESS;
}

/* ---- the rest of a TCTI ---- */

static void finalize(TSS2_TCTI_CONTEXT *tcti)
{
    Tss2_TctiLdr_Finalize(&((struct context *)tcti)->child);
}

static TSS2_RC cancel(TSS2_TCTI_CONTEXT *tcti)
{
    return Tss2_Tcti_Cancel(((struct context *)tcti)->child);
}

/* An answer that is held back shows nowhere. */
static TSS2_RC get_poll_handles(TSS2_TCTI_CONTEXT *tcti, TSS2_TCTI_POLL_HANDLE *handles, size_t *count)
{
    if (state.strikes && (state.fault == FAULT_RC || state.fault == FAULT_LATE))
        return TSS2_TCTI_RC_NOT_IMPLEMENTED;
    return Tss2_Tcti_GetPollHandles(((struct context *)tcti)->child, handles, count);
}

static TSS2_RC set_locality(TSS2_TCTI_CONTEXT *tcti, uint8_t locality)
{
    return Tss2_Tcti_SetLocality(((struct context *)tcti)->child, locality);
}

static TSS2_RC make_sticky(TSS2_TCTI_CONTEXT *tcti, TPM2_HANDLE *handle, uint8_t sticky)
{
    (void)tcti, (void)handle, (void)sticky;
    return TSS2_TCTI_RC_NOT_IMPLEMENTED;
}

/* ---- options ---- */

static bool parse_bytes(const char *hex, size_t digits, uint8_t *ret)
{
    for (size_t i = 0; i < digits / 2; i++)
        if (sscanf(hex + 2 * i, "%2hhx", &ret[i]) != 1)
            return false;
    return digits % 2 == 0;
}

static bool parse_swap(const char *value)
{
    struct swap *swap = &state.swaps[state.swap_count];
    size_t digits = strcspn(value, "-");

    if (state.swap_count == SWAPS_MAX || strlen(value) != 2 * digits + 1 || digits / 2 > SWAP_BYTES_MAX)
        return false;
    swap->size = digits / 2;
    state.swap_count++;
    return swap->size > 0 && parse_bytes(value, digits, swap->from) &&
           parse_bytes(value + digits + 1, digits, swap->to);
}

static bool parse_fault(const char *value)
{
    for (size_t i = 0; i < sizeof(fault_names) / sizeof(fault_names[0]); i++)
        if (strcmp(value, fault_names[i]) == 0) {
            state.fault = (enum fault)i;
            return true;
        }
    return false;
}

static bool parse_option(const char *name, const char *value)
{
    if (strcmp(name, "log") == 0)
        return snprintf(state.log, sizeof(state.log), "%s", value) < (int)sizeof(state.log);
    if (strcmp(name, "swap") == 0)
        return parse_swap(value);
    if (strcmp(name, "do") == 0)
        return parse_fault(value);
    if (strcmp(name, "at") == 0)
        state.at = strtol(value, NULL, 10);
    else if (strcmp(name, "times") == 0)
        state.times = strtol(value, NULL, 10);
    else if (strcmp(name, "code") == 0)
        state.code = strtoul(value, NULL, 16);
    else if (strcmp(name, "value") == 0)
        state.value = strtoul(value, NULL, 0);
    else
        return false;
    return true;
}

static bool parse_options(char *options)
{
    char *rest = options, *option;

    state.times = 1;
    state.swap_count = 0;
    while ((option = strsep(&rest, ",")) != NULL) {
        char *value = strchr(option, '=');

        if (!value)
            return false;
        *value++ = '\0';
        if (!parse_option(option, value))
            return false;
    }
    return true;
}

static TSS2_RC open_child(struct context *context, const char *config)
{
    const char *child = config ? strchr(config, ':') : NULL;
    char *options = child ? strndup(config, (size_t)(child - config)) : NULL;
    bool good = options && parse_options(options);

    free(options);
    return good ? Tss2_TctiLdr_Initialize(child + 1, &context->child) : TSS2_TCTI_RC_BAD_VALUE;
}

static TSS2_RC init(TSS2_TCTI_CONTEXT *tcti, size_t *size, const char *config)
{
    struct context *context = (struct context *)tcti;

    if (!size || (!tcti && config == NULL))
        return TSS2_TCTI_RC_BAD_VALUE;
    if (!tcti) {
        *size = sizeof(*context);
        return TSS2_RC_SUCCESS;
    }
    *context = (struct context){
        .common = {
            .v1 = { .magic = MAGIC,
                    .version = 2,
                    .transmit = transmit,
                    .receive = receive,
                    .finalize = finalize,
                    .cancel = cancel,
                    .getPollHandles = get_poll_handles,
                    .setLocality = set_locality },
            .makeSticky = make_sticky,
        },
    };
    return open_child(context, config);
}

static const TSS2_TCTI_INFO info = {
    .version = 2,
    .name = "tcti-fault",
    .description = "does one thing wrong",
    .config_help = "OPTIONS:CHILD",
    .init = init,
};

const TSS2_TCTI_INFO *Tss2_Tcti_Info(void);

__attribute__((visibility("default"))) const TSS2_TCTI_INFO *Tss2_Tcti_Info(void)
{
    return &info;
}
