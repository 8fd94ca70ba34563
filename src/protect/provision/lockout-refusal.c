#include "protect/provision/lockout-refusal.h"

#include "base/cleanup.h"
#include "base/file.h"
#include "base/json.h"

#define FILE_NAME "lockout-refused.json"
#define RECORD_VERSION 1

int lockout_refusal_prepare(struct tpm *tpm, const struct state *state, const struct secret *auth,
                            struct lockout_refusal *ret, struct error *error)
{
    struct tpm_clock clock;
    struct tpm_state limits;
    int r = tpm_clock_read(tpm, &clock, error) ?: tpm_state_read(tpm, &limits, error);

    if (r)
        return r;
    *ret = (struct lockout_refusal){
        .srk = state->pins.srk.name,
        .clock_ms = clock.clock_ms,
        .reset_count = clock.reset_count,
        .recovery_s = limits.lockout_recovery_s,
    };
    return digest_compute(&ret->auth, &(struct span){ auth->bytes, auth->size }, 1, error);
}

static int read_number(const struct json_view *view, const char *key, int64_t max, int64_t *ret, struct error *error)
{
    return json_get_integer(view, key, 0, max, ret, error);
}

static int from_json(const struct json_view *view, struct lockout_refusal *ret, struct error *error)
{
    static const char *const allowed[] = { "version", "srk", "digest", "clock_ms", "reset_count", "recovery_s", NULL };
    int64_t version, clock_ms, reset_count, recovery_s;
    int r = json_get_integer(view, "version", RECORD_VERSION, RECORD_VERSION, &version, error)
                ?: json_check_keys(view, allowed, error)
                ?: json_get_hex(view, "srk", ret->srk.bytes, sizeof(ret->srk.bytes), error)
                ?: json_get_hex(view, "digest", ret->auth.bytes, sizeof(ret->auth.bytes), error)
                ?: read_number(view, "clock_ms", INT64_MAX, &clock_ms, error)
                ?: read_number(view, "reset_count", UINT32_MAX, &reset_count, error)
                ?: read_number(view, "recovery_s", UINT32_MAX, &recovery_s, error);

    if (r)
        return r;
    ret->clock_ms = (uint64_t)clock_ms;
    ret->reset_count = (uint32_t)reset_count;
    ret->recovery_s = (uint32_t)recovery_s;
    return 0;
}

/* *ret_found is false when there is no record. */
static int read_record(const struct state *state, struct lockout_refusal *ret, bool *ret_found, struct error *error)
{
    cleanup(free_ptr) char *path = file_path(state->folder, FILE_NAME);
    cleanup(json_free) struct json_object *document = NULL;
    struct json_view view = { .source = path, .kind = ERROR_METADATA };
    int r;

    *ret_found = false;
    if (!path)
        return error_no_memory(error);
    if (!file_exists(path))
        return 0;
    r = file_check_private(path, error) ?: json_read(&view, &document, error) ?: from_json(&view, ret, error);
    *ret_found = !r;
    return r;
}

/* A clock that fell back after a power cut makes it last longer, not shorter. */
static uint64_t seconds_left(const struct lockout_refusal *refused, const struct lockout_refusal *now)
{
    uint64_t until_ms = refused->clock_ms + refused->recovery_s * 1000ull;

    return until_ms > now->clock_ms ? (until_ms - now->clock_ms + 999) / 1000 : 0;
}

static bool is_over(const struct lockout_refusal *refused, const struct lockout_refusal *now)
{
    if (refused->recovery_s == 0)
        return refused->reset_count != now->reset_count;
    return seconds_left(refused, now) == 0;
}

int lockout_refusal_check(const struct state *state, const struct lockout_refusal *now, struct error *error)
{
    struct lockout_refusal refused;
    bool found;
    int r = read_record(state, &refused, &found, error);

    if (r || !found || !object_name_equal(&refused.srk, &now->srk) || !digest_equal(&refused.auth, &now->auth) ||
        is_over(&refused, now))
        return r;
    error_set(error, ERROR_REFUSED,
              "the TPM has refused this lockout authorisation before; a wrong one is not sent twice, since each locks "
              "out the right one");
    if (refused.recovery_s == 0)
        return error_remedy(error,
                            "give the right one with --lockout-auth-file, or reboot to have this one tried again");
    return error_remedy(error,
                        "give the right one with --lockout-auth-file; this one may be tried again after %llu s with "
                        "the machine switched on",
                        (unsigned long long)seconds_left(&refused, now));
}

int lockout_refusal_write(const struct state *state, const struct lockout_refusal *refusal, struct error *error)
{
    cleanup(free_ptr) char *path = file_path(state->folder, FILE_NAME);
    cleanup(json_free) struct json_object *document = json_object_new_object();

    if (!path || !document)
        return error_no_memory(error);
    return json_add(document, "version", json_object_new_int(RECORD_VERSION), error)
               ?: json_add(document, "srk", json_new_hex(refusal->srk.bytes, sizeof(refusal->srk.bytes)), error)
               ?: json_add(document, "digest", json_new_hex(refusal->auth.bytes, sizeof(refusal->auth.bytes)), error)
               ?: json_add(document, "clock_ms", json_object_new_int64((int64_t)refusal->clock_ms), error)
               ?: json_add(document, "reset_count", json_object_new_int64(refusal->reset_count), error)
               ?: json_add(document, "recovery_s", json_object_new_int64(refusal->recovery_s), error)
               ?: json_write(path, document, 0600, error);
}

int lockout_refusal_forget(const struct state *state, struct error *error)
{
    cleanup(free_ptr) char *path = file_path(state->folder, FILE_NAME);

    return path ? file_remove(path, error) : error_no_memory(error);
}
