#include "protect/unlock/unlock-run.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "protect/unlock/tpm-device.h"

#include <stdarg.h>
#include <string.h>

#define OBSERVED_PCRS 0xffffu /* 0 to 15: all that a policy may select, in two commands */
#define PREPARED_AHEAD 2      /* a TPM keeps three objects and three sessions at least; one stays free */
#define LINE_MAX_BYTES 1800
#define POLL_MS 100
#define LOCKOUTS_MAX 8 /* that a person waits for: a TPM that contradicts itself has an end too */

void unlock_run_show(const struct run *run, const char *format, ...)
{
    char line[LINE_MAX_BYTES];
    va_list args;

    va_start(args, format);
    vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    run->request->ui.show(run->request->ui.context, line);
}

void unlock_run_show_error(const struct run *run, const char *what, const struct error *error)
{
    unlock_run_show(run, "%s: %s", what, error->text);
    if (error->remedy[0])
        unlock_run_show(run, "what to do: %s", error->remedy);
}

static void show_detail(const struct run *run, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void show_detail(const struct run *run, const char *format, ...)
{
    char line[LINE_MAX_BYTES];
    va_list args;

    va_start(args, format);
    vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    if (run->request->ui.detail)
        run->request->ui.detail(run->request->ui.context, line);
}

void unlock_run_give_up(struct run *run, size_t i, const struct error *error)
{
    struct report_volume *volume = &run->report->volumes[i];

    run->open[i] = false;
    target_release(&run->targets[i]); /* what it holds in the TPM is room for the next one */
    volume->status = error->kind;
    snprintf(volume->reason, sizeof(volume->reason), "%s", error->text);
    unlock_run_show_error(run, volume->name, error);
}

/* Whoever types a PIN is to know that nobody has looked at what was started. */
static void show_suspension(struct run *run, const struct suspension *suspension)
{
    struct tpm_clock clock;
    struct error ignored;
    unsigned left = 0;

    if (run->suspension_told)
        return;
    run->suspension_told = true;
    if (!tpm_clock_read(run->tpm, &clock, &ignored)) {
        const struct suspension_time now = { clock.reset_count, clock.clock_ms };

        left = suspension_reboots_left(suspension, &now);
    }
    unlock_run_show(run,
                    "bootseal is suspended (%s): this boot is not an approved one, and opens all the same; "
                    "%u more %s covered",
                    suspend_purpose_name(suspension->purpose), left, left == 1 ? "reboot is" : "reboots are");
}

int unlock_run_prepare(struct run *run, size_t i, struct error *error)
{
    struct target *target = &run->targets[i];
    int r = target_prepare(target, run->tpm, NULL, error);

    if (!r && target->unseal.suspended)
        show_suspension(run, &target->unseal.suspension);
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
            unlock_run_show(run, "waiting for %s (%s)", pin->name, pin->device);
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

/* bootseal was enrolled on the device that holds the header; whatever else crypttab means is not the pinned volume. */
static int check_header(const struct crypttab_entry *entry, const struct pinned_volume *pin, struct error *error)
{
    cleanup(free_ptr) char *header = realpath(entry->header, NULL);
    cleanup(free_ptr) char *pinned = realpath(pin->device, NULL);

    if (header && pinned && strcmp(header, pinned) == 0)
        return 0;
    return error_set(error, ERROR_REFUSED, "crypttab has its header at \"%s\", which is not the pinned \"%s\"",
                     entry->header, pin->device);
}

static int read_entry(struct run *run, size_t i, struct error *error)
{
    const struct pinned_volume *pin = &run->pins->volumes[i];
    struct crypttab_entry *entry = &run->entries[i];
    int r = run->request->crypttab ? crypttab_read(run->request->crypttab, pin, entry, error) : 0;

    if (!r && entry->foreign[0])
        r = error_set(error, ERROR_REFUSED, "crypttab has the option \"%s\" for it, which is not for LUKS2 volumes",
                      entry->foreign);
    if (!r && entry->ignored[0])
        show_detail(run, "%s: crypttab's option \"%s\" is not known and ignored", pin->name, entry->ignored);
    if (!r && entry->header[0])
        r = check_header(entry, pin, error);
    return r;
}

static int open_target(struct run *run, size_t i, struct error *error)
{
    int r = check_mapping(run, i, error);

    if (r || run->opened[i])
        return r;
    r = read_entry(run, i, error);
    run->mappable[i] = !r;
    return r ? r : target_open(&run->targets[i], run->pins, &run->pins->volumes[i], error);
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
        if (open_target(run, i, &error))
            unlock_run_give_up(run, i, &error);
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
        if (unlock_run_prepare(run, i, &error))
            unlock_run_give_up(run, i, &error);
        else
            prepared++;
    }
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

/* A connection that broke still holds what was sent last, and somebody may take a while to find a recovery key. */
static void drop_broken(struct run *run)
{
    struct error ignored;

    if (!run->tpm || !tpm_is_broken(run->tpm))
        return;
    for (size_t i = 0; i < run->pins->volume_count; i++)
        target_release(&run->targets[i]);
    tpm_close(&run->tpm);
    (void)tpm_device_open(run->request->tcti, clock_now_ms(), &run->tpm, &ignored);
}

static bool is_locked_out(const struct run *run, size_t i)
{
    return !run->opened[i] && run->report->volumes[i].status == ERROR_LOCKOUT;
}

/* True when a lockout has ended since it kept volumes closed: their PINs may be asked for once more. The TPM is asked
 * only where there was one. */
static bool take_back_locked_out(struct run *run)
{
    struct tpm_state state;
    struct error ignored;
    bool any = false;

    for (size_t i = 0; i < run->pins->volume_count; i++)
        any |= is_locked_out(run, i);
    if (!any || !run->tpm || tpm_state_read(run->tpm, &state, &ignored) || state.in_lockout)
        return false;
    for (size_t i = 0; i < run->pins->volume_count; i++) {
        if (!is_locked_out(run, i))
            continue;
        run->report->volumes[i].status = ERROR_NONE;
        run->report->volumes[i].reason[0] = '\0';
        run->open[i] = true;
    }
    return true;
}

/* Everything that wants the TPM. Without one, each pinned volume gets the reason. */
static void unlock_volumes(struct run *run, int tpm_fault, const struct error *error)
{
    unsigned rounds = 0;

    open_targets(run);
    do {
        if (run->tpm && !tpm_fault) {
            prepare_targets(run);
            unlock_run_by_tpm(run);
        }
        for (size_t i = 0; i < run->pins->volume_count; i++)
            if (run->open[i])
                unlock_run_give_up(run, i, error);
        drop_broken(run);
        unlock_run_ask_recovery(run);
    } while (++rounds < LOCKOUTS_MAX && take_back_locked_out(run));
}

static void release_targets(struct run *run)
{
    for (size_t i = 0; i < run->pins->volume_count; i++)
        target_free(&run->targets[i]);
}

/* Not done until it was read back, and known to PID 1 only when it is written down. */
static int apply_cap(struct run *run, struct error *error)
{
    struct error written;
    int r = run->has_tpm ? cap_apply_again(run->request->tcti, run->pins, &run->tpm, error) : 0, w = 0;

    run->report->cap_done = run->cap.capped = run->has_tpm && !r;
    if (run->has_tpm && !run->cap.answered)
        run->cap.answered = run->cap.capped || cap_tpm_answers(run->tpm, run->pins);
    if (run->request->run)
        w = cap_record_write(run->request->run, cap_record_decide(&run->cap), &written);
    if (!r && w)
        *error = written;
    if (r || w)
        unlock_run_show_error(run, "cap", error);
    return r ? r : w;
}

static int first_failure(const struct run *run)
{
    for (size_t i = 0; i < run->report->volume_count; i++)
        if (!run->opened[i])
            return (int)run->report->volumes[i].status;
    return 0;
}

/* The TPM, ready for use, and the PCRs. Success with run->tpm NULL has no TPM announced, which is told as an error all
 * the same, for the volumes that want one. */
static int start_tpm(struct run *run, struct error *error)
{
    int r = open_tpm(run, error);

    run->has_tpm = run->tpm;
    run->cap.announced = r || run->tpm;
    if (!run->cap.announced)
        error_set(error, ERROR_TPM, "this machine has no TPM");
    if (!r && run->tpm) {
        r = observe(run, error);
        run->cap.answered = !r;
    }
    if (r)
        snprintf(run->report->tpm_error, sizeof(run->report->tpm_error), "%s", error->text);
    return r;
}

static int run_all(struct run *run, struct error *error)
{
    struct error pins_error, tpm_error, cap_error;
    int p = cap_pins_read(run->request->pins_path, run->pins, &pins_error), c, t;

    if (p) /* damaged pins open nothing, but the cap is still owed */
        unlock_run_show_error(run, "pins", &pins_error);
    run->report->cap = run->pins->cap;
    run->report->index = run->pins->index.name;
    run->cap = (struct cap_facts){ .pinned = p || run->pins->volume_count > 0, .whole_boot = true };
    t = start_tpm(run, &tpm_error);
    unlock_volumes(run, t, &tpm_error);
    release_targets(run);
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

/* What keeps it from beginning; all that comes later is shown where it happens. */
static int cannot_begin(const struct unlock_all_request *request, const struct error *error)
{
    request->ui.show(request->ui.context, error->text);
    return (int)error->kind;
}

int unlock_all(const struct unlock_all_request *request, struct report *ret_report, struct error *error)
{
    cleanup(free_ptr) struct run *run = calloc(1, sizeof(*run));
    cleanup(free_ptr) struct pins *pins = calloc(1, sizeof(*pins));
    struct error written;
    int r;

    *ret_report = (struct report){ 0 };
    if (!run || !pins) {
        error_no_memory(error);
        return cannot_begin(request, error);
    }
    error->text[0] = '\0';
    *run = (struct run){
        .request = request,
        .report = ret_report,
        .pins = pins,
        .deadline_ms = clock_now_ms() + request->wait_s * 1000ull,
    };
    /* what an earlier net found out says nothing about what comes now */
    r = request->run ? cap_record_write(request->run, CAP_OWED, error) : 0;
    if (r)
        return cannot_begin(request, error);
    r = run_all(run, error);
    if (request->report_path && report_write(request->report_path, ret_report, &written))
        unlock_run_show_error(run, "report", &written);
    return r;
}
