#include "protect/unlock-all.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "protect/cap.h"
#include "protect/keys.h"
#include "protect/target.h"
#include "protect/tpm-device.h"

#include <stdarg.h>
#include <string.h>

#define OBSERVED_PCRS 0xffffu /* 0 to 15: all that a policy may select, in two commands */
#define PREPARED_AHEAD 2      /* a TPM keeps three objects and three sessions at least; one stays free */
#define LINE_MAX_BYTES 1800
#define POLL_MS 100

struct run {
    const struct unlock_all_request *request;
    struct report *report;
    struct pins *pins;
    struct tpm *tpm;
    struct target targets[PINS_MAX_VOLUMES];
    bool open[PINS_MAX_VOLUMES];   /* target_open() went well and nothing failed since */
    bool opened[PINS_MAX_VOLUMES]; /* done */
    uint64_t deadline_ms;
};

static void show(const struct run *run, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void show(const struct run *run, const char *format, ...)
{
    char line[LINE_MAX_BYTES];
    va_list args;

    va_start(args, format);
    vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    run->request->ui.show(run->request->ui.context, line);
}

static void show_error(const struct run *run, const char *what, const struct error *error)
{
    show(run, "%s: %s", what, error->text);
    if (error->remedy[0])
        show(run, "what to do: %s", error->remedy);
}

/* Volume i will not be opened here: the reason is shown now, before anyone types, and kept for the report. */
static void give_up(struct run *run, size_t i, const struct error *error)
{
    struct report_volume *volume = &run->report->volumes[i];

    run->open[i] = false;
    unseal_free(&run->targets[i].unseal); /* what it holds in the TPM is room for the next one */
    volume->status = error->kind;
    snprintf(volume->reason, sizeof(volume->reason), "%s", error->text);
    show_error(run, volume->name, error);
}

static int read_pins(struct run *run, struct error *error)
{
    int r;

    if (!file_exists(run->request->pins_path)) {
        *run->pins = (struct pins){ .bank = HASH_SHA256, .cap = CAP_DEFAULT_PCR };
        return 0;
    }
    r = pins_read(run->request->pins_path, run->pins, error);
    if (r) /* damaged pins open nothing, but the cap is still owed */
        *run->pins = (struct pins){ .bank = HASH_SHA256, .cap = CAP_DEFAULT_PCR };
    return r;
}

static int open_tpm(struct run *run, struct error *error)
{
    int r = tpm_device_open(run->request->tcti, run->deadline_ms, &run->tpm, error);

    if (!r && run->tpm && run->pins->volume_count > 0) {
        r = tpm_srk_use(run->tpm, &run->pins->srk, error);
        if (!r)
            r = tpm_index_use(run->tpm, &run->pins->index, error);
    }
    return r;
}

static void wait_for_device(const struct run *run, const struct pinned_volume *pin)
{
    bool told = false;

    while (!file_exists(pin->device) && clock_now_ms() < run->deadline_ms) {
        if (!told)
            show(run, "waiting for %s (%s)", pin->name, pin->device);
        told = true;
        clock_pause_ms(POLL_MS);
    }
}

/* A mapping of the pinned name that is there already is either ours or an attack; a name alone proves nothing. */
static int check_mapping(struct run *run, size_t i, struct error *error)
{
    const struct pinned_volume *pin = &run->pins->volumes[i];
    enum mapping_state state;
    int r = run->request->test ? 0 : volume_mapping_state(pin->name, pin->uuid, &state, error);

    if (r || run->request->test)
        return r;
    if (state == MAPPING_FOREIGN)
        return error_set(error, ERROR_METADATA, "something that is not this volume has the name /dev/mapper/%s",
                         pin->name);
    run->opened[i] = state == MAPPING_OURS;
    return 0;
}

static void open_targets(struct run *run)
{
    struct error error;

    for (size_t i = 0; i < run->pins->volume_count; i++) {
        const struct pinned_volume *pin = &run->pins->volumes[i];
        struct report_volume *volume = &run->report->volumes[i];

        strcpy(volume->name, pin->name);
        strcpy(volume->uuid, pin->uuid);
        run->report->volume_count = i + 1;
        wait_for_device(run, pin);
        if (check_mapping(run, i, &error) || (!run->opened[i] && target_open(&run->targets[i], run->pins, pin, &error)))
            give_up(run, i, &error);
        else
            run->open[i] = !run->opened[i];
    }
}

static void prepare_targets(struct run *run)
{
    size_t prepared = 0;
    struct error error;

    for (size_t i = 0; i < run->pins->volume_count && prepared < PREPARED_AHEAD; i++) {
        if (!run->open[i])
            continue;
        if (target_prepare(&run->targets[i], run->tpm, NULL, &error))
            give_up(run, i, &error);
        else
            prepared++;
    }
}

static int activate(struct run *run, size_t i, const struct secret *passphrase, struct error *error)
{
    const struct volume_options options = { 0 };
    struct target *target = &run->targets[i];

    if (run->request->test)
        return volume_keyslot_open(target->volume, target->protector->keyslot, passphrase, NULL, NULL, error);
    return volume_activate(target->volume, target->pin->name, target->protector->keyslot, passphrase, &options, error);
}

/* Unseals and opens volume i with what the PIN gave. A wrong PIN is returned and changes nothing else. */
static int open_volume(struct run *run, size_t i, const struct secret *auth, const struct secret *mix,
                       struct error *error)
{
    cleanup(secret_free) struct secret passphrase = { 0 };
    struct report_volume *volume = &run->report->volumes[i];
    uint64_t started = clock_now_ms();
    int r = target_prepare(&run->targets[i], run->tpm, NULL, error);

    if (!r)
        r = target_passphrase(&run->targets[i], auth, mix, &passphrase, error);
    if (r)
        return r;
    r = activate(run, i, &passphrase, error);
    if (r == ERROR_WRONG_PIN)
        r = error_set(error, ERROR_METADATA, "the unsealed key does not open keyslot %d: the header was changed",
                      run->targets[i].protector->keyslot);
    if (r)
        return r;
    run->open[i] = false;
    run->opened[i] = volume->opened = true;
    volume->by = run->targets[i].protector->kind;
    volume->milliseconds = clock_now_ms() - started;
    return 0;
}

/* All volumes that share the first one's PIN. Only the first one decides whether the PIN was right: the others have the
 * same authValue, and a PIN is never tried on two objects. */
static int open_group(struct run *run, size_t first, const struct secret *pin, struct error *error)
{
    cleanup(secret_free) struct secret auth = { 0 };
    cleanup(secret_free) struct secret mix = { 0 };
    struct target *leader = &run->targets[first];
    int r = keys_stretch(pin, &leader->protector->kdf, &auth, &mix, error);

    if (!r)
        r = open_volume(run, first, &auth, &mix, error);
    if (r)
        return r;
    for (size_t i = first + 1; i < run->pins->volume_count; i++)
        if (run->open[i] && target_same_pin(&run->targets[first], &run->targets[i]) &&
            open_volume(run, i, &auth, &mix, error))
            give_up(run, i, error);
    return 0;
}

static void name_group(const struct run *run, size_t first, char *ret, size_t size)
{
    size_t length = (size_t)snprintf(ret, size, "%s", run->pins->volumes[first].name);

    for (size_t i = first + 1; i < run->pins->volume_count && length < size; i++)
        if (run->open[i] && target_same_pin(&run->targets[first], &run->targets[i]))
            length += (size_t)snprintf(ret + length, size - length, ", %s", run->pins->volumes[i].name);
}

/* Tries that both the policy and the TPM still give. */
static unsigned tries_left(const struct run *run, size_t first, unsigned asked)
{
    const struct tpm_state *state = &run->targets[first].unseal.state;
    unsigned policy = run->pins->tries - asked;
    unsigned counted = state->lockout_counter + run->report->volumes[first].wrong_pins;
    unsigned tpm = state->max_tries > counted ? state->max_tries - counted : 0;

    return policy < tpm ? policy : tpm;
}

static void give_up_group(struct run *run, size_t first, const struct error *error)
{
    for (size_t i = run->pins->volume_count; i-- > first;)
        if (run->open[i] && (i == first || target_same_pin(&run->targets[first], &run->targets[i])))
            give_up(run, i, error);
}

static int ask_pin(struct run *run, size_t first, unsigned left, struct secret *ret, struct error *error)
{
    char names[256], prompt[320];

    name_group(run, first, names, sizeof(names));
    snprintf(prompt, sizeof(prompt), "PIN for %s (%u %s left)", names, left, left == 1 ? "try" : "tries");
    return run->request->ui.ask(run->request->ui.context, prompt, ret, error);
}

/* One question. An empty answer asks for the next way in, which is the distribution's prompt. */
static int try_group(struct run *run, size_t first, unsigned left, bool *ret_go_on, struct error *error)
{
    cleanup(secret_free) struct secret pin = { 0 };
    int r = ask_pin(run, first, left, &pin, error);

    *ret_go_on = true;
    if (!r && pin.size > 0) {
        r = open_group(run, first, &pin, error);
        run->report->volumes[first].wrong_pins += r == ERROR_WRONG_PIN;
        return r;
    }
    *ret_go_on = r == ERROR_WRONG_PIN; /* longer than any PIN: no command was spent on it */
    return r ? r : error_set(error, ERROR_WRONG_PIN, "no PIN was given");
}

/* Prepared earlier, it does not know of the wrong PINs that other groups have cost since. */
static int prepare_leader(struct run *run, size_t first, struct error *error)
{
    struct target *leader = &run->targets[first];
    unsigned wrong = 0;

    for (size_t i = 0; i < first; i++)
        wrong += run->report->volumes[i].wrong_pins;
    if (leader->prepared && wrong > 0)
        return tpm_state_read(run->tpm, &leader->unseal.state, error);
    return target_prepare(leader, run->tpm, NULL, error);
}

static void ask_for_group(struct run *run, size_t first)
{
    struct error error;
    bool go_on = !prepare_leader(run, first, &error);

    for (unsigned asked = 0; go_on; asked++) {
        unsigned left = tries_left(run, first, asked);

        if (left == 0) {
            error_set(&error, ERROR_WRONG_PIN, "%u wrong PINs", asked);
            break;
        }
        if (!try_group(run, first, left, &go_on, &error))
            return;
        if (error.kind != ERROR_WRONG_PIN)
            break;
        if (go_on)
            show(run, "wrong PIN");
    }
    give_up_group(run, first, &error);
}

static void open_all(struct run *run)
{
    struct error error;

    for (size_t i = 0; i < run->pins->volume_count; i++)
        if (run->open[i] && !target_has_pin(&run->targets[i]) && open_volume(run, i, NULL, NULL, &error))
            give_up(run, i, &error);
    for (size_t i = 0; i < run->pins->volume_count; i++)
        if (run->open[i])
            ask_for_group(run, i);
}

/* Without pins nobody has named a bank: the first active one serves to record and to read the cap back. */
static int observe(struct run *run, struct error *error)
{
    static const enum hash_algorithm others[] = { HASH_SHA384, HASH_SHA512, HASH_SHA1 };
    struct pcr_values *values = &run->report->values;
    struct pins *pins = run->pins;
    int r = tpm_pcr_read(run->tpm, pins->bank, OBSERVED_PCRS, values, error);

    for (size_t i = 0; !r && !pins->volume_count && !(values->mask & 1u << pins->cap) && i < array_size(others); i++) {
        pins->bank = others[i];
        r = tpm_pcr_read(run->tpm, pins->bank, OBSERVED_PCRS, values, error);
    }
    return r ? error_prefix(error, "cannot read the PCRs") : 0;
}

/* Everything that wants the TPM. Without one, each pinned volume gets the reason. */
static void unlock_volumes(struct run *run, int tpm_fault, const struct error *error)
{
    open_targets(run);
    if (run->tpm && !tpm_fault) {
        prepare_targets(run);
        open_all(run);
        return;
    }
    for (size_t i = 0; i < run->pins->volume_count; i++)
        if (run->open[i])
            give_up(run, i, error);
}

static void release_targets(struct run *run)
{
    for (size_t i = 0; i < run->pins->volume_count; i++)
        target_free(&run->targets[i]);
}

static int apply_cap(struct run *run, struct error *error)
{
    int r = cap_apply(run->tpm, run->pins->bank, run->pins->cap, NULL, error);

    run->report->cap_done = !r;
    if (r)
        show_error(run, "cap", error);
    return r;
}

static int first_failure(const struct run *run)
{
    for (size_t i = 0; i < run->report->volume_count; i++)
        if (!run->opened[i])
            return (int)run->report->volumes[i].status;
    return 0;
}

static int run_all(struct run *run, struct error *error)
{
    struct error pins_error, tpm_error, cap_error;
    int p = read_pins(run, &pins_error), c = 0, t;

    if (p)
        show_error(run, "pins", &pins_error);
    run->report->cap = run->pins->cap;
    t = open_tpm(run, &tpm_error);
    if (!t && !run->tpm)
        error_set(&tpm_error, ERROR_TPM, "this machine has no TPM");
    if (!t && run->tpm)
        t = observe(run, &tpm_error);
    if (t)
        snprintf(run->report->tpm_error, sizeof(run->report->tpm_error), "%s", tpm_error.text);
    unlock_volumes(run, t, &tpm_error);
    release_targets(run);
    if (run->tpm)
        c = apply_cap(run, &cap_error);
    tpm_close(&run->tpm);
    if (c)
        *error = cap_error;
    else if (p)
        *error = pins_error;
    else if (t)
        *error = tpm_error;
    return c ? c : p ? p : t ? t : first_failure(run);
}

int unlock_all(const struct unlock_all_request *request, struct report *ret_report, struct error *error)
{
    cleanup(free_ptr) struct run *run = calloc(1, sizeof(*run));
    cleanup(free_ptr) struct pins *pins = calloc(1, sizeof(*pins));
    struct error written;
    int r;

    *ret_report = (struct report){ 0 };
    if (!run || !pins)
        return error_no_memory(error);
    error->text[0] = '\0';
    *run = (struct run){
        .request = request,
        .report = ret_report,
        .pins = pins,
        .deadline_ms = clock_now_ms() + request->wait_s * 1000ull,
    };
    r = run_all(run, error);
    if (request->report_path && report_write(request->report_path, ret_report, &written))
        show_error(run, "report", &written);
    return r;
}
