#include "bad-tpm.h"

#include "fuzz.h"

#include <argon2.h>
#include <errno.h>
#include <string.h>
#include <time.h>
#include <tss2/tss2_tcti.h>
#include <tss2/tss2_tctildr.h>
#include <tss2/tss2_tpm2_types.h>

#define HEADER_BYTES 10
#define TAG_NO_SESSIONS 0x8001
#define COMMANDS_MAX 100000 /* of one input: more is a loop that the TPM keeps going */
#define REACHED_MAX 512
#define MAGIC 0xb0075ea1626164ull

static struct {
    struct span script;
    size_t at;
    bool alone;
    bool running;
    unsigned skip;
    bool skip_known;
    bool repeating;
    uint16_t repeated;
    unsigned commands;
    uint32_t reached[REACHED_MAX];
    size_t reached_count;
    uint64_t waited_ns;
} bad;

void bad_tpm_begin(struct span script, bool alone)
{
    memset(&bad, 0, sizeof(bad));
    bad.script = script;
    bad.alone = alone;
    bad.running = true;
}

void bad_tpm_end(void)
{
    bad.running = false;
}

uint64_t bad_tpm_waited_ms(void)
{
    return bad.waited_ns / 1000000;
}

unsigned bad_tpm_commands(void)
{
    return bad.commands;
}

bool bad_tpm_reached(uint32_t command)
{
    for (size_t i = 0; i < bad.reached_count; i++)
        if (bad.reached[i] == command)
            return true;
    return false;
}

/* ---- the script ---- */

struct record {
    enum bad_tpm_act act;
    const uint8_t *bytes;
    size_t size;
};

static bool take_byte(uint8_t *ret)
{
    if (bad.at >= bad.script.size)
        return false;
    *ret = ((const uint8_t *)bad.script.bytes)[bad.at++];
    return true;
}

/* What is done with the next answer; false: the script is at its end. */
static bool next_record(struct record *ret)
{
    uint8_t skip, act, size;

    *ret = (struct record){ BAD_TPM_PASS, NULL, 0 };
    if (!bad.skip_known) {
        if (!take_byte(&skip))
            return false;
        bad.skip = skip;
        bad.skip_known = true;
    }
    if (bad.skip > 0) {
        bad.skip--;
        return true;
    }
    bad.skip_known = false;
    if (!take_byte(&act) || !take_byte(&size))
        return false;
    ret->act = act % BAD_TPM_ACTS;
    ret->bytes = (const uint8_t *)bad.script.bytes + bad.at;
    ret->size = size < bad.script.size - bad.at ? size : bad.script.size - bad.at;
    bad.at += ret->size;
    return true;
}

/* ---- the answer ---- */

#define ANSWER_MAX 4096

struct answer {
    uint8_t bytes[ANSWER_MAX];
    size_t size;
};

static void put_number(uint8_t *place, uint32_t number)
{
    for (int i = 0; i < 4; i++)
        place[i] = (uint8_t)(number >> (24 - 8 * i));
}

static void answer_code(struct answer *answer, uint16_t code)
{
    memset(answer->bytes, 0, HEADER_BYTES);
    answer->bytes[0] = TAG_NO_SESSIONS >> 8;
    answer->bytes[1] = TAG_NO_SESSIONS & 0xff;
    put_number(answer->bytes + 2, HEADER_BYTES);
    put_number(answer->bytes + 6, code);
    answer->size = HEADER_BYTES;
}

static uint16_t record_number(const struct record *record, size_t at)
{
    return record->size >= at + 2 ? (uint16_t)(record->bytes[at] | record->bytes[at + 1] << 8) : 0;
}

static void answer_whole(struct answer *answer, const struct record *record)
{
    memcpy(answer->bytes, record->bytes, record->size);
    answer->size = record->size;
}

static void answer_body(struct answer *answer, const struct record *record)
{
    if (answer->size < HEADER_BYTES)
        answer_code(answer, 0);
    memcpy(answer->bytes + HEADER_BYTES, record->bytes, record->size);
    answer->size = HEADER_BYTES + record->size;
    put_number(answer->bytes + 2, (uint32_t)answer->size);
}

/* False when the connection is to end. */
static bool spoil(struct answer *answer, const struct record *record)
{
    uint16_t number = record_number(record, 0);

    switch (record->act) {
    case BAD_TPM_REPLACE:
    case BAD_TPM_UNSENT:
        answer_whole(answer, record);
        break;
    case BAD_TPM_BODY:
        answer_body(answer, record);
        break;
    case BAD_TPM_REPEAT:
        bad.repeating = true;
        bad.repeated = number;
        answer_code(answer, number);
        break;
    case BAD_TPM_CODE:
        answer_code(answer, number);
        break;
    case BAD_TPM_FLIP:
        if (number < answer->size && record->size >= 3)
            answer->bytes[number] ^= record->bytes[2];
        break;
    case BAD_TPM_TRUNCATE:
        if (number < answer->size)
            answer->size = number;
        break;
    case BAD_TPM_CLOSE:
        return false;
    default:
        break;
    }
    return true;
}

/* ---- the connection ---- */

struct connection {
    TSS2_TCTI_CONTEXT_COMMON_V1 common;
    TSS2_TCTI_CONTEXT *tpm; /* NULL: alone */
    struct answer answer;
    bool has_answer;
};

static void note_reached(uint32_t command)
{
    if (bad.reached_count < REACHED_MAX)
        bad.reached[bad.reached_count++] = command;
}

static TSS2_RC ask_tpm(struct connection *connection, size_t size, const uint8_t *command)
{
    TSS2_RC rc = Tss2_Tcti_Transmit(connection->tpm, size, command);

    connection->answer.size = sizeof(connection->answer.bytes);
    rc = rc ?: Tss2_Tcti_Receive(connection->tpm, &connection->answer.size, connection->answer.bytes, -1);
    if (!rc && bad.running && size >= HEADER_BYTES)
        note_reached((uint32_t)command[6] << 24 | (uint32_t)command[7] << 16 | (uint32_t)command[8] << 8 | command[9]);
    return rc;
}

static TSS2_RC transmit(TSS2_TCTI_CONTEXT *context, size_t size, const uint8_t *command)
{
    struct connection *connection = (struct connection *)context;
    struct record record = { BAD_TPM_PASS, NULL, 0 };
    bool there = true;
    TSS2_RC rc = 0;

    fuzz_require(bad.commands++ < COMMANDS_MAX);
    connection->has_answer = true;
    if (bad.running && bad.repeating) {
        answer_code(&connection->answer, bad.repeated);
        return TSS2_RC_SUCCESS;
    }
    if (bad.running)
        there = next_record(&record);
    connection->answer.size = 0;
    if (connection->tpm && record.act != BAD_TPM_UNSENT)
        rc = ask_tpm(connection, size, command);
    else if (!connection->tpm && !there)
        rc = TSS2_TCTI_RC_IO_ERROR;
    if (!rc && !spoil(&connection->answer, &record))
        rc = TSS2_TCTI_RC_IO_ERROR;
    connection->has_answer = !rc;
    return rc;
}

static TSS2_RC receive(TSS2_TCTI_CONTEXT *context, size_t *size, uint8_t *response, int32_t timeout)
{
    struct connection *connection = (struct connection *)context;

    (void)timeout;
    if (!connection->has_answer)
        return TSS2_TCTI_RC_BAD_SEQUENCE;
    if (response && *size < connection->answer.size)
        return TSS2_TCTI_RC_INSUFFICIENT_BUFFER;
    if (response)
        memcpy(response, connection->answer.bytes, connection->answer.size);
    *size = connection->answer.size;
    connection->has_answer = !response;
    return TSS2_RC_SUCCESS;
}

static void finalize(TSS2_TCTI_CONTEXT *context)
{
    (void)context;
}

static TSS2_RC cancel(TSS2_TCTI_CONTEXT *context)
{
    (void)context;
    return TSS2_TCTI_RC_NOT_IMPLEMENTED;
}

TSS2_RC __real_Tss2_TctiLdr_Initialize(const char *name, TSS2_TCTI_CONTEXT **context);
TSS2_RC __wrap_Tss2_TctiLdr_Initialize(const char *name, TSS2_TCTI_CONTEXT **context);
void __real_Tss2_TctiLdr_Finalize(TSS2_TCTI_CONTEXT **context);
void __wrap_Tss2_TctiLdr_Finalize(TSS2_TCTI_CONTEXT **context);

TSS2_RC __wrap_Tss2_TctiLdr_Initialize(const char *name, TSS2_TCTI_CONTEXT **context)
{
    struct connection *connection = calloc(1, sizeof(*connection));
    TSS2_RC rc = 0;

    fuzz_require(connection);
    connection->common = (TSS2_TCTI_CONTEXT_COMMON_V1){
        .magic = MAGIC,
        .version = 1,
        .transmit = transmit,
        .receive = receive,
        .finalize = finalize,
        .cancel = cancel,
    };
    if (!bad.running || !bad.alone)
        rc = __real_Tss2_TctiLdr_Initialize(name, &connection->tpm);
    if (rc) {
        free(connection);
        return rc;
    }
    *context = (TSS2_TCTI_CONTEXT *)connection;
    return TSS2_RC_SUCCESS;
}

void __wrap_Tss2_TctiLdr_Finalize(TSS2_TCTI_CONTEXT **context)
{
    struct connection *connection = (struct connection *)*context;

    if (!connection)
        return;
    if (connection->tpm)
        __real_Tss2_TctiLdr_Finalize(&connection->tpm);
    free(connection);
    *context = NULL;
}

/* ---- time ---- */

int __real_clock_gettime(clockid_t clock, struct timespec *ret);
int __wrap_clock_gettime(clockid_t clock, struct timespec *ret);
int __real_nanosleep(const struct timespec *time, struct timespec *left);
int __wrap_nanosleep(const struct timespec *time, struct timespec *left);

int __wrap_clock_gettime(clockid_t clock, struct timespec *ret)
{
    uint64_t ns;
    int r = __real_clock_gettime(clock, ret);

    if (r || clock != CLOCK_MONOTONIC)
        return r;
    ns = (uint64_t)ret->tv_nsec + bad.waited_ns;
    ret->tv_sec += (time_t)(ns / 1000000000);
    ret->tv_nsec = (long)(ns % 1000000000);
    return 0;
}

int __wrap_nanosleep(const struct timespec *time, struct timespec *left)
{
    if (!bad.running)
        return __real_nanosleep(time, left);
    bad.waited_ns += (uint64_t)time->tv_sec * 1000000000 + (uint64_t)time->tv_nsec;
    return 0;
}

/* ---- Argon2id ---- */

int __wrap_argon2id_hash_raw(uint32_t iterations, uint32_t memory_kib, uint32_t lanes, const void *pin, size_t pin_size,
                             const void *salt, size_t salt_size, void *ret, size_t size);

/* The same PIN, salt and cost give the same bytes, and no others do. */
int __wrap_argon2id_hash_raw(uint32_t iterations, uint32_t memory_kib, uint32_t lanes, const void *pin, size_t pin_size,
                             const void *salt, size_t salt_size, void *ret, size_t size)
{
    const uint32_t cost[] = { iterations, memory_kib, lanes };
    const struct span parts[] = { { cost, sizeof(cost) }, { salt, salt_size }, { pin, pin_size } };
    uint8_t digest[HASH_MAX_BYTES];
    struct error error;

    fuzz_require(size <= sizeof(digest) && !hash_compute(HASH_SHA512, parts, 3, digest, &error));
    memcpy(ret, digest, size);
    return ARGON2_OK;
}
