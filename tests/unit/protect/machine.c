#include "machine.h"

#include "base/cleanup.h"
#include "base/file.h"
#include "luks/token.h"
#include "protect/unlock/cap.h"
#include "protect/unlock/keys.h"
#include "tpm/internal.h"
#include "tpm/lockout.h"

#include <sys/wait.h>

#define POLICY "{ \"pcrs\": [4, 7, 12], \"kdf\": { \"memory_kib\": 8192, \"time_ms\": 1, \"floor_memory_kib\": 8192 } }"

static const char *const uuids[MACHINE_VOLUMES] = {
    LUKS_FILE_UUID,
    "0f4a7c52-1d1e-4b86-9a77-51c5ea1b0072",
    "0f4a7c52-1d1e-4b86-9a77-51c5ea1b0073",
    "0f4a7c52-1d1e-4b86-9a77-51c5ea1b0074",
};

void machine_connect(struct machine *machine)
{
    struct error error;

    assert_good(tpm_open(&machine->tpm, swtpm_tcti(&machine->swtpm), &error), &error);
}

void machine_disconnect(struct machine *machine)
{
    tpm_close(&machine->tpm);
}

void machine_extend(struct machine *machine, unsigned pcr, const char *event)
{
    struct error error;

    assert_good(tpm_pcr_event(machine->tpm, pcr, event, strlen(event), &error), &error);
}

static void measure_boot(struct machine *machine)
{
    machine_extend(machine, 4, "boot loader and kernel");
    machine_extend(machine, 7, "secure boot is on");
}

void machine_reboot(struct machine *machine)
{
    machine_disconnect(machine);
    assert_int_equal(swtpm_reset(&machine->swtpm), 0);
    machine_connect(machine);
    measure_boot(machine);
}

/* TPM2_PCR_Allocate with the platform's authorisation, which is empty on a software TPM: the firmware setup's switch.
 */
void machine_set_banks(struct machine *machine, const char *banks)
{
    char tcti[80];
    pid_t child;
    int status;

    machine_disconnect(machine);
    snprintf(tcti, sizeof(tcti), "--tcti=%s", swtpm_tcti(&machine->swtpm));
    child = fork();
    if (child == 0) {
        if (freopen("/dev/null", "w", stdout))
            execlp("tpm2_pcrallocate", "tpm2_pcrallocate", tcti, "-P", "", banks, (char *)NULL);
        _exit(127);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    machine_connect(machine);
    machine_reboot(machine);
}

struct pcr_values machine_pcrs(struct machine *machine)
{
    struct pcr_values values;
    struct error error;

    assert_good(tpm_pcr_read(machine->tpm, HASH_SHA256, 0xffff, &values, &error), &error);
    return values;
}

void machine_leave_initramfs(struct machine *machine)
{
    cleanup(free_ptr) struct report *report = calloc(1, sizeof(*report));
    struct error error;

    assert_non_null(report);
    *report = (struct report){ .values = machine_pcrs(machine), .cap = MACHINE_CAP, .cap_done = true };
    assert_good(report_write(machine->report_path, report, &error), &error);
    assert_good(cap_apply(machine->tpm, HASH_SHA256, MACHINE_CAP, NULL, &error), &error);
}

size_t machine_add_volume(struct machine *machine)
{
    size_t i = machine->volume_count++;

    assert_true(i < MACHINE_VOLUMES);
    luks_file_make(&machine->volumes[i], &(struct luks_form){ 0 });
    luks_set_uuid(machine->volumes[i].path, uuids[i]);
    return i;
}

int machine_setup(void **state)
{
    struct machine *machine = calloc(1, sizeof(*machine));
    struct error error;

    assert_non_null(machine);
    *state = machine;
    if (swtpm_start(&machine->swtpm))
        return -1;
    scratch_make(&machine->scratch);
    snprintf(machine->state_folder, sizeof(machine->state_folder), "%s/state", machine->scratch.folder);
    snprintf(machine->report_path, sizeof(machine->report_path), "%s/report.json", machine->scratch.folder);
    snprintf(machine->pins_path, sizeof(machine->pins_path), "%s/pins.json", machine->state_folder);
    assert_good(policy_document_parse(POLICY, "the test's policy", &machine->policy, &error), &error);
    machine_connect(machine);
    measure_boot(machine);
    machine_add_volume(machine);
    return 0;
}

int machine_setup_enrolled(void **state)
{
    int r = machine_setup(state);

    if (!r)
        machine_enroll(*state, 0, MACHINE_PIN);
    return r;
}

int machine_teardown(void **state)
{
    struct machine *machine = *state;

    machine_disconnect(machine);
    swtpm_stop(&machine->swtpm);
    for (size_t i = 0; i < machine->volume_count; i++)
        luks_file_remove(&machine->volumes[i]);
    scratch_remove(&machine->scratch);
    free(machine);
    return 0;
}

struct secret secret_of(const char *text)
{
    struct secret secret;
    struct error error;

    assert_good(secret_copy(&secret, text, strlen(text), &error), &error);
    return secret;
}

struct enroll_request machine_request(struct machine *machine, size_t i)
{
    static const char *const names[MACHINE_VOLUMES] = { "volume0", "volume1", "volume2", "volume3" };

    return (struct enroll_request){
        .tpm = machine->tpm,
        .state_folder = machine->state_folder,
        .device = machine->volumes[i].path,
        .name = names[i],
        .report_path = machine->report_path,
        .document = machine->policy,
        .current_values = true,
        .allow_unencrypted_state = true,
    };
}

int machine_try_enroll(const struct enroll_request *request, const char *pin, struct protector *ret,
                       struct error *error)
{
    cleanup(enroll_end) struct enroll enroll = { .state.lock = -1 };
    cleanup(secret_free) struct secret passphrase = secret_of(LUKS_FILE_PASSPHRASE);
    cleanup(secret_free) struct secret secret = secret_of(pin ? pin : "");
    struct enroll_request own = *request;
    int r;

    own.no_pin = !pin;
    r = enroll_begin(&enroll, &own, error);
    if (!r)
        r = enroll_check_passphrase(&enroll, &passphrase, error);
    if (!r)
        r = enroll_finish(&enroll, pin ? &secret : NULL, error);
    if (!r && ret)
        *ret = enroll.protector;
    return r;
}

struct protector machine_enroll(struct machine *machine, size_t i, const char *pin)
{
    struct enroll_request request = machine_request(machine, i);
    struct protector protector = { 0 };
    struct error error;

    assert_good(machine_try_enroll(&request, pin, &protector, &error), &error);
    return protector;
}

struct state machine_state(struct machine *machine)
{
    struct state state;
    struct error error;

    assert_good(state_open(machine->state_folder, STATE_CHANGE, &state, &error), &error);
    return state;
}

void machine_set_max_tries(struct machine *machine, uint32_t max_tries)
{
    machine_set_lockout(machine, max_tries, 600);
}

void machine_set_lockout(struct machine *machine, uint32_t max_tries, uint32_t recovery_s)
{
    cleanup(state_close) struct state state = machine_state(machine);
    cleanup(secret_free) struct secret auth = { 0 };
    struct error error;

    assert_good(tpm_srk_use(machine->tpm, &state.pins.srk, &error), &error);
    assert_good(state_read_lockout_auth(&state, &auth, &error), &error);
    assert_good(tpm_lockout_set_limits(machine->tpm, &auth, max_tries, recovery_s, 86400, &error), &error);
}

int machine_unlock(struct machine *machine, size_t i, const char *pin, struct error *error)
{
    cleanup(unlock_end) struct unlock unlock = { .state.lock = -1 };
    cleanup(secret_free) struct secret secret = secret_of(pin ? pin : "");
    cleanup(secret_free) struct secret passphrase = { 0 };
    int r = unlock_begin(&unlock, machine->tpm, machine->state_folder, machine->volumes[i].path, error);

    return r ? r : unlock_try(&unlock, pin ? &secret : NULL, &passphrase, error);
}

size_t machine_handles(struct machine *machine)
{
    static const TPM2_HANDLE ranges[] = { TPM2_TRANSIENT_FIRST, TPM2_LOADED_SESSION_FIRST };
    TPM2_HANDLE handles[64];
    struct error error;
    size_t count, sum = 0;

    for (size_t i = 0; i < array_size(ranges); i++) {
        assert_good(tpm_handles_read(machine->tpm, ranges[i], handles, array_size(handles), &count, &error), &error);
        sum += count;
    }
    return sum;
}

size_t machine_tokens(struct machine *machine, size_t i, const char *type)
{
    cleanup(volume_close) struct volume *volume = NULL;
    struct token_list list;
    struct error error;

    assert_good(volume_open(&volume, machine->volumes[i].path, &error), &error);
    assert_good(volume_tokens(volume, type, &list, &error), &error);
    return list.count;
}

void machine_set_token(struct machine *machine, size_t i, const char *type, const char *member, const char *json)
{
    cleanup(volume_close) struct volume *volume = NULL;
    struct token_list list;
    struct error error;
    char path[96];

    assert_good(volume_open(&volume, machine->volumes[i].path, &error), &error);
    assert_good(volume_tokens(volume, type, &list, &error), &error);
    assert_int_equal(list.count, 1);
    volume_close(&volume);
    snprintf(path, sizeof(path), "tokens/%d%s%s", list.numbers[0], member[0] ? "/" : "", member);
    luks_set(machine->volumes[i].path, path, json);
}

uint32_t machine_keyslots(struct machine *machine, size_t i)
{
    cleanup(volume_close) struct volume *volume = NULL;
    struct error error;
    uint32_t mask;

    assert_good(volume_open(&volume, machine->volumes[i].path, &error), &error);
    assert_good(volume_keyslots(volume, &mask, &error), &error);
    return mask;
}

void machine_copy(const char *from, const char *to)
{
    cleanup(free_ptr) char *bytes = NULL;
    struct error error;
    size_t size;

    assert_good(file_read(from, 64 * 1024 * 1024, &bytes, &size, &error), &error);
    assert_good(file_write(to, bytes, size, 0600, &error), &error);
}
