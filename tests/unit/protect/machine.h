/*
 * A machine on the bench: a software TPM whose boot is measured as firmware and boot loader would, LUKS2 volumes in
 * plain files, and a scratch folder that holds the state folder, the report and what a test likes. Functions assert
 * (cmocka) what they need.
 */
#pragma once

#include "base/scratch.h"
#include "luks-edit.h"
#include "protect/enroll/enroll.h"
#include "protect/unlock.h"
#include "protect/unlock/report.h"
#include "swtpm-fixture.h"

#include <stdbool.h>
#include <string.h>

#define MACHINE_VOLUMES 4
#define MACHINE_PCRS (1u << 4 | 1u << 7 | 1u << 12)
#define MACHINE_CAP 12
#define MACHINE_PIN "481526"
#define MACHINE_OTHER_PIN "730914"

struct machine {
    struct swtpm swtpm;
    struct tpm *tpm; /* NULL while disconnected */
    struct scratch scratch;
    char state_folder[256], report_path[256], pins_path[300];
    struct luks_file volumes[MACHINE_VOLUMES];
    size_t volume_count;
    struct policy_document policy;
};

/* cmocka setup and teardown: *state is the machine. Booted, connected, with one volume; nothing is enrolled. */
int machine_setup(void **state);
int machine_teardown(void **state);

/* The same with volume 0 enrolled with MACHINE_PIN. */
int machine_setup_enrolled(void **state);

#define machine_test(test) cmocka_unit_test_setup_teardown(test, machine_setup, machine_teardown)
#define enrolled_test(test) cmocka_unit_test_setup_teardown(test, machine_setup_enrolled, machine_teardown)

void machine_connect(struct machine *machine);
void machine_disconnect(struct machine *machine);

/* A reset, and the same boot again. */
void machine_reboot(struct machine *machine);

/* A reset into other PCR banks, "sha256:none+sha384:all" (TPM2_PCR_Allocate), and the same boot again. */
void machine_set_banks(struct machine *machine, const char *banks);

/* Extends a PCR with a text. */
void machine_extend(struct machine *machine, unsigned pcr, const char *event);

/* What the initramfs leaves behind: the report with the PCRs of now, and the cap. */
void machine_leave_initramfs(struct machine *machine);

/* One more volume, with a UUID of its own. Returns its number. */
size_t machine_add_volume(struct machine *machine);

/* A request for volume `i`, named "volumeI", that takes the PCRs as they are. */
struct enroll_request machine_request(struct machine *machine, size_t i);

/* The whole of an enrolment; `pin` NULL: without a PIN. */
int machine_try_enroll(const struct enroll_request *request, const char *pin, struct protector *ret,
                       struct error *error);
struct protector machine_enroll(struct machine *machine, size_t i, const char *pin);

/* The state folder, for changing; state_close() it before a function of src/protect opens it itself. */
struct state machine_state(struct machine *machine);

/* As many wrong PINs as this are one lockout away. */
void machine_set_max_tries(struct machine *machine, uint32_t max_tries);

/* The same, with one try forgiven after as many seconds. */
void machine_set_lockout(struct machine *machine, uint32_t max_tries, uint32_t recovery_s);

/* unlock_begin() and one try; what the passphrase is for is proven by unlock_try() itself. */
int machine_unlock(struct machine *machine, size_t i, const char *pin, struct error *error);

/* Sessions and transient objects that are in the TPM. */
size_t machine_handles(struct machine *machine);

struct pcr_values machine_pcrs(struct machine *machine);

/* A secret that holds the text. */
struct secret secret_of(const char *text);

/* How many tokens of a type a volume has. */
size_t machine_tokens(struct machine *machine, size_t i, const char *type);

/* Sets a member ("kdf/memory_kib") of the volume's only token of a type, or removes it; "" is the token itself. */
void machine_set_token(struct machine *machine, size_t i, const char *type, const char *member, const char *json);
uint32_t machine_keyslots(struct machine *machine, size_t i);

/* Copies a file. */
void machine_copy(const char *from, const char *to);

static inline void assert_good(int r, const struct error *error)
{
    if (r)
        fail_msg("error %d: %s (0x%x)", r, error->text, error->tpm_code);
}

/* Asserts that it failed as it should, and that the text says so. */
static inline void assert_error(int r, const struct error *error, enum error_kind kind, const char *part)
{
    if (r != (int)kind || !r || error->kind != kind || !strstr(error->text, part))
        fail_msg("expected error %d with \"%s\", got %d: %s", (int)kind, part, r, r ? error->text : "no error");
}
