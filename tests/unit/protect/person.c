#include "person.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "protect/unlock/cap.h"

static void show(void *context, const char *line)
{
    struct person *person = context;
    size_t used = strlen(person->lines);

    snprintf(person->lines + used, sizeof(person->lines) - used, "%s\n", line);
}

static int answer(void *context, const char *prompt, struct secret *ret, struct error *error)
{
    struct person *person = context;
    const char *text = person->answers[person->asked];

    assert_true(person->asked < array_size(person->prompts));
    snprintf(person->prompts[person->asked], sizeof(person->prompts[0]), "%s", prompt);
    if (!text)
        return error_set(error, ERROR_USAGE, "nobody is here");
    person->asked++;
    if (text[0] == '\0' && strncmp(prompt, "Recovery key", strlen("Recovery key")) == 0)
        clock_pause_ms(person->patience_s * 1000);
    if (strcmp(text, "too long") == 0)
        return error_set(error, ERROR_WRONG_PIN, "longer than any PIN");
    return secret_copy(ret, text, strlen(text), error);
}

struct outcome *initramfs_run(struct machine *machine, struct person *person)
{
    static struct outcome outcome;
    const struct unlock_all_request request = {
        .pins_path = machine->pins_path,
        .tcti = swtpm_tcti(&machine->swtpm),
        .report_path = machine->report_path,
        .test = true,
        .ui = { .show = show, .ask = answer, .context = person },
    };

    machine_disconnect(machine);
    outcome.r = unlock_all(&request, &outcome.report, &outcome.error);
    if (machine->swtpm.pid)
        machine_connect(machine);
    return &outcome;
}

void initramfs_expect_capped(struct machine *machine, const struct outcome *outcome)
{
    struct pcr_values now = machine_pcrs(machine), start = { .bank = HASH_SHA256, .mask = 0xffff };

    assert_true(outcome->report.cap_done);
    assert_int_equal(outcome->report.cap, MACHINE_CAP);
    assert_true(cap_is_on(&start, &now, MACHINE_CAP));
    assert_int_equal(machine_handles(machine), 0);
}

uint32_t initramfs_wrong_pins(struct machine *machine)
{
    struct tpm_state now;
    struct error error;

    assert_good(tpm_state_read(machine->tpm, &now, &error), &error);
    return now.lockout_counter;
}
