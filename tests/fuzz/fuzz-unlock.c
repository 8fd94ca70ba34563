/*
 * The whole of `bootseal-unlock --all` with a volume whose header is the attacker's, a TPM that lies and a person who
 * types: pins and state folder are the machine's own.
 *
 * The first byte says which things are so; then come, in parts: what the person types, line by line; changes of the
 * header's metadata; the script of the TPM (bad-tpm.h), to the end. Each change is a line "MEMBER JSON", "MEMBER" alone
 * removes it: "tokens/1/kdf/iterations 4000000". A line that starts with "{" is the metadata as a whole.
 *
 * Whatever comes, the run ends: in bounded time, with a kind of error; and what opens the volume opens it by its own
 * key.
 */
#include "fuzz.h"

#include "bad-tpm.h"
#include "base/cleanup.h"
#include "hostile-header.h"
#include "protect/machine.h"
#include "protect/unlock/unlock-all.h"
#include "tpm/lockout.h"

#include <string.h>

#define VOLUMES 2
#define WAIT_S 2
#define WAITED_MAX_MS (10 * 60 * 1000) /* nobody would wait longer; each command has ten seconds of patience */
#define ASKED_MAX 64

/* TPM 2.0 Part 2, 6.5.2 */
#define COMMAND_PCR_EVENT 0x13c
#define COMMAND_UNSEAL 0x15e

enum mode {
    MODE_ALONE = 1,    /* no TPM behind the script */
    MODE_NO_PIN = 2,   /* the volume that opens without a PIN */
    MODE_KEEP_CAP = 4, /* the TPM is not reset before: it is capped, if a run before has done that */
    MODE_TWO = 8,      /* both volumes are pinned; the changes are the first one's */
};

static struct machine *machine;
static struct hostile_header headers[VOLUMES];
static char pins_paths[3][FUZZ_PATH]; /* of the volume with a PIN, of the other one, of both */

static struct {
    const char *rest;
    unsigned asked;
} person;

static void show(void *context, const char *line)
{
    (void)context;
    fuzz_tell("%s", line);
    fuzz_require(!strpbrk(line, "\n\r\x1b"));
}

static int answer(void *context, const char *prompt, struct secret *ret, struct error *error)
{
    size_t size = strcspn(person.rest, "\n");
    const char *line = person.rest;

    (void)context;
    fuzz_require(prompt[0] && !strpbrk(prompt, "\n\r\x1b"));
    fuzz_require(person.asked++ < ASKED_MAX);
    if (!line[0])
        return error_set(error, ERROR_USAGE, "nobody is here");
    person.rest += size + (line[size] == '\n');
    return secret_copy(ret, line, size, error);
}

/* ---- the machine ---- */

/* pins.json with these of its volumes. */
static void keep_pins(const struct pins *all, unsigned first, unsigned count, char path[FUZZ_PATH])
{
    static unsigned number;
    struct pins pins = *all;
    struct error error;
    char name[32];

    memcpy(pins.volumes, all->volumes + first, count * sizeof(pins.volumes[0]));
    pins.volume_count = count;
    snprintf(name, sizeof(name), "pins-%u.json", number++);
    fuzz_path(name, path);
    fuzz_require(!pins_write(path, &pins, &error));
}

static void end_machine(void)
{
    void *state = machine;

    bad_tpm_end();
    for (size_t i = 0; i < VOLUMES; i++)
        hostile_header_free(&headers[i]);
    machine_teardown(&state);
}

static void make_machine(void)
{
    struct pins pins;
    struct error error;
    void *state = NULL;

    fuzz_require(machine_setup(&state) == 0);
    machine = state;
    machine_enroll(machine, 0, MACHINE_PIN);
    machine_add_volume(machine);
    machine_enroll(machine, 1, NULL);
    fuzz_require(!pins_read(machine->pins_path, &pins, &error) && pins.volume_count == 2);
    keep_pins(&pins, 0, 1, pins_paths[0]);
    keep_pins(&pins, 1, 1, pins_paths[1]);
    keep_pins(&pins, 0, 2, pins_paths[2]);
    for (size_t i = 0; i < VOLUMES; i++)
        hostile_header_keep(machine->volumes[i].path, &headers[i]);
    machine_disconnect(machine);
    atexit(end_machine);
}

int LLVMFuzzerInitialize(int *count, char ***arguments)
{
    (void)count;
    (void)arguments;
    make_machine();
    return 0;
}

/* Wrong PINs of runs before are forgotten. */
static void end_lockout(void)
{
    cleanup(state_close) struct state state = machine_state(machine);
    cleanup(secret_free) struct secret auth = { 0 };
    struct tpm_state now;
    struct error error;

    fuzz_require(!tpm_state_read(machine->tpm, &now, &error));
    if (now.lockout_counter == 0)
        return;
    fuzz_require(!tpm_srk_use(machine->tpm, &state.pins.srk, &error));
    fuzz_require(!state_read_lockout_auth(&state, &auth, &error));
    fuzz_require(!tpm_lockout_reset(machine->tpm, &auth, &error));
}

/* Booted afresh into the approved state. A TPM that nobody has capped or given a PIN since is as it was. */
static void boot(bool keep_cap)
{
    static bool used = true;

    used = used || bad_tpm_reached(COMMAND_PCR_EVENT) || bad_tpm_reached(COMMAND_UNSEAL);
    if (!used || keep_cap)
        return;
    fuzz_require(swtpm_reset_in_place(&machine->swtpm) == 0);
    machine_connect(machine);
    machine_extend(machine, 4, "boot loader and kernel");
    machine_extend(machine, 7, "secure boot is on");
    end_lockout();
    machine_disconnect(machine);
    used = false;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static struct report report;
    cleanup(free_ptr) char *typed = NULL;
    struct unlock_all_request request = { .test = true, .wait_s = WAIT_S, .ui = { .show = show, .ask = answer } };
    struct span parts[3];
    struct error error;
    size_t edited;
    uint8_t mode;
    int r;

    if (size == 0)
        return 0;
    mode = bytes[0];
    edited = mode & MODE_NO_PIN ? 1 : 0;
    fuzz_split(bytes + 1, size - 1, parts, 3);
    typed = fuzz_text(parts[0]);
    person.rest = typed;
    person.asked = 0;
    for (size_t i = 0; i < VOLUMES; i++)
        hostile_header_write(&headers[i], i == edited ? parts[1] : fuzz_span("", 0));
    if (!(mode & MODE_ALONE))
        boot(mode & MODE_KEEP_CAP);
    request.tcti = swtpm_tcti(&machine->swtpm);
    request.pins_path = pins_paths[mode & MODE_TWO ? 2 : mode & MODE_NO_PIN ? 1 : 0];
    request.report_path = machine->report_path;
    bad_tpm_begin(parts[2], mode & MODE_ALONE);
    r = unlock_all(&request, &report, &error);
    bad_tpm_end();
    fuzz_require(r >= ERROR_NONE && r <= ERROR_REFUSED);
    fuzz_require(bad_tpm_waited_ms() < WAITED_MAX_MS);
    fuzz_require(report.volume_count == (mode & MODE_TWO ? 2 : 1));
    for (size_t i = 0; i < report.volume_count; i++)
        fuzz_require(report.volumes[i].opened || report.volumes[i].reason[0]);
    fuzz_require(r || report.cap_done);
    return 0;
}
