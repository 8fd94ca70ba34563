#include "protect/unlock/cap-record.h"

#include "base/cleanup.h"
#include "base/file.h"
#include "protect/unlock/cap.h"
#include "protect/unlock/unlock-all.h"
#include "swtpm-fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define LOCAL_PCR 20 /* at locality 0 it can be read and not extended: a TPM that answers, and a cap that fails */

/* A TPM, the folder for the record, and pins. */
struct boot {
    struct swtpm swtpm;
    char tcti[64]; /* the same when it is switched off */
    char folder[64], run[96], path[112], pins_path[96];
};

static int setup(void **state)
{
    struct boot *boot = calloc(1, sizeof(*boot));

    if (!boot || swtpm_start(&boot->swtpm))
        return -1;
    strcpy(boot->tcti, swtpm_tcti(&boot->swtpm));
    strcpy(boot->folder, "/tmp/test-cap-record-XXXXXX");
    if (!mkdtemp(boot->folder))
        return -1;
    snprintf(boot->run, sizeof(boot->run), "%s/run", boot->folder);
    snprintf(boot->path, sizeof(boot->path), "%s/cap", boot->run);
    snprintf(boot->pins_path, sizeof(boot->pins_path), "%s/pins.json", boot->folder);
    *state = boot;
    return 0;
}

static int teardown(void **state)
{
    struct boot *boot = *state;

    swtpm_stop(&boot->swtpm);
    unlink(boot->path);
    rmdir(boot->run);
    unlink(boot->pins_path);
    rmdir(boot->folder);
    free(boot);
    return 0;
}

static void pin(struct boot *boot, unsigned cap, size_t volumes)
{
    cleanup(free_ptr) struct pins *pins = calloc(1, sizeof(*pins));
    struct error error;

    assert_non_null(pins);
    *pins = (struct pins){
        .srk = { .handle = 0x81000001, .public = { 0 }, .public_size = 90 },
        .index = { .handle = 0x018b5ea0, .public = { 0 }, .public_size = 46 },
        .bank = HASH_SHA256,
        .cap = cap,
        .tries = 3,
        .floor_memory_kib = 8192,
        .floor_iterations = 1,
        .volumes = { { .name = "cryptroot",
                       .uuid = "0f4a7c52-1d1e-4b86-9a77-51c5ea1b0071",
                       .device = "/nonexistent" } },
        .volume_count = volumes,
    };
    assert_int_equal(pins_write(boot->pins_path, pins, &error), 0);
}

static struct cap_request request_of(struct boot *boot)
{
    return (struct cap_request){ .pins_path = boot->pins_path, .tcti = boot->tcti, .run = boot->run };
}

static void expect_net(struct boot *boot, int kind, enum cap_record record)
{
    const struct cap_request request = request_of(boot);
    struct error error = { 0 };

    if (cap_now(&request, &error) != kind)
        fail_msg("not %d: %s", kind, error.text);
    assert_int_equal(cap_record_read(boot->run), record);
}

static struct pcr_values pcr_of(struct boot *boot, unsigned pcr)
{
    cleanup(tpm_close) struct tpm *tpm = NULL;
    struct pcr_values values;
    struct error error;

    assert_int_equal(tpm_open(&tpm, swtpm_tcti(&boot->swtpm), &error), 0);
    assert_int_equal(tpm_pcr_read(tpm, HASH_SHA256, 1u << pcr, &values, &error), 0);
    return values;
}

static bool is_extended(struct boot *boot, unsigned pcr)
{
    struct pcr_values values = pcr_of(boot, pcr);

    return !pcr_value_is_reset(&values, pcr);
}

static void record(struct boot *boot, enum cap_record word)
{
    struct error error;

    assert_int_equal(cap_record_write(boot->run, word, &error), 0);
}

/* ---- the record ---- */

static void words(void **state)
{
    static const struct {
        enum cap_record record;
        const char *text;
    } rows[] = { { CAP_DONE, "done\n" }, { CAP_NONE, "none\n" }, { CAP_SILENT, "silent\n" } };
    struct boot *boot = *state;
    struct error error;

    assert_int_equal(cap_record_read(boot->run), CAP_OWED);
    for (size_t i = 0; i < array_size(rows); i++) {
        cleanup(free_ptr) char *text = NULL;

        record(boot, rows[i].record);
        assert_int_equal(file_read(boot->path, 100, &text, NULL, &error), 0);
        assert_string_equal(text, rows[i].text);
        assert_int_equal(cap_record_read(boot->run), rows[i].record);
    }
    record(boot, CAP_OWED);
    assert_false(file_exists(boot->path));
    record(boot, CAP_OWED);
}

static void other_words_are_none(void **state)
{
    static const char *const bad[] = { "", "done", "don\n", "done\n\n", "DONE\n", "done\nsilent\n", "owed\n" };
    struct boot *boot = *state;
    struct error error;

    record(boot, CAP_DONE);
    for (size_t i = 0; i < array_size(bad); i++) {
        assert_int_equal(file_write(boot->path, bad[i], strlen(bad[i]), 0600, &error), 0);
        assert_int_equal(cap_record_read(boot->run), CAP_OWED);
    }
}

static void decisions(void **state)
{
    (void)state;
    for (unsigned bits = 0; bits < 32; bits++) {
        const struct cap_facts facts = { bits & 1, bits & 2, bits & 4, bits & 8, bits & 16 };
        enum cap_record expected = facts.capped       ? CAP_DONE
                                   : !facts.announced ? CAP_NONE
                                   : facts.answered   ? CAP_OWED
                                   : facts.pinned     ? facts.whole_boot ? CAP_SILENT : CAP_OWED
                                                      : CAP_NONE;

        assert_int_equal(cap_record_decide(&facts), expected);
    }
}

/* ---- the net ---- */

static void caps_once(void **state)
{
    struct boot *boot = *state;
    struct pcr_values before = pcr_of(boot, 12), after, again;

    pin(boot, 12, 1);
    expect_net(boot, 0, CAP_DONE);
    after = pcr_of(boot, 12);
    assert_true(cap_is_on(&before, &after, 12));
    expect_net(boot, 0, CAP_DONE);
    again = pcr_of(boot, 12);
    assert_int_equal(pcr_values_differ(&after, &again, 1u << 12), 0);
    record(boot, CAP_NONE); /* there was no TPM a moment ago */
    expect_net(boot, 0, CAP_DONE);
    again = pcr_of(boot, 12);
    assert_int_not_equal(pcr_values_differ(&after, &again, 1u << 12), 0);
}

static void caps_without_pins_and_by_the_pins(void **state)
{
    struct boot *boot = *state;

    expect_net(boot, 0, CAP_DONE);
    assert_true(is_extended(boot, 12));
    record(boot, CAP_OWED);
    pin(boot, 13, 1);
    expect_net(boot, 0, CAP_DONE);
    assert_true(is_extended(boot, 13));
}

static void a_cap_that_fails_is_owed(void **state)
{
    struct boot *boot = *state;

    pin(boot, LOCAL_PCR, 1);
    expect_net(boot, ERROR_TPM, CAP_OWED);
    record(boot, CAP_SILENT); /* it was silent, and now it answers */
    expect_net(boot, ERROR_TPM, CAP_OWED);
    pin(boot, LOCAL_PCR, 0);
    expect_net(boot, ERROR_TPM, CAP_OWED);
}

static void a_silent_tpm_with_pins_is_owed(void **state)
{
    struct boot *boot = *state;

    pin(boot, 12, 1);
    swtpm_stop(&boot->swtpm);
    expect_net(boot, ERROR_TPM, CAP_OWED);
    record(boot, CAP_SILENT); /* --all knows that nothing was unsealed */
    expect_net(boot, ERROR_TPM, CAP_SILENT);
    record(boot, CAP_DONE);
    expect_net(boot, 0, CAP_DONE);
}

static void a_silent_tpm_without_pins_is_let_go(void **state)
{
    struct boot *boot = *state;

    swtpm_stop(&boot->swtpm);
    expect_net(boot, 0, CAP_NONE);
    pin(boot, 12, 0);
    expect_net(boot, 0, CAP_NONE);
}

static void damaged_pins_count_as_pins(void **state)
{
    struct boot *boot = *state;
    struct error error;

    assert_int_equal(file_write(boot->pins_path, "{", 1, 0600, &error), 0);
    expect_net(boot, 0, CAP_DONE); /* in the place of the default */
    assert_true(is_extended(boot, 12));
    record(boot, CAP_OWED);
    swtpm_stop(&boot->swtpm);
    expect_net(boot, ERROR_TPM, CAP_OWED);
}

static void without_a_record_it_caps_each_time(void **state)
{
    struct boot *boot = *state;
    struct cap_request request = request_of(boot);
    struct pcr_values first, second;
    struct error error;

    request.run = NULL;
    assert_int_equal(cap_now(&request, &error), 0);
    first = pcr_of(boot, 12);
    assert_int_equal(cap_now(&request, &error), 0);
    second = pcr_of(boot, 12);
    assert_int_not_equal(pcr_values_differ(&first, &second, 1u << 12), 0);
    assert_false(file_exists(boot->run));
}

/* ---- --all ---- */

static void show_nothing(void *context, const char *line)
{
    (void)context;
    (void)line;
}

static int ask_nobody(void *context, const char *prompt, struct secret *ret, struct error *error)
{
    (void)context;
    (void)prompt;
    (void)ret;
    return error_set(error, ERROR_USAGE, "nobody is there");
}

static void expect_all(struct boot *boot, int kind, enum cap_record word)
{
    cleanup(free_ptr) struct report *report = calloc(1, sizeof(*report));
    const struct unlock_all_request request = {
        .pins_path = boot->pins_path,
        .tcti = boot->tcti,
        .run = boot->run,
        .ui = { .show = show_nothing, .ask = ask_nobody },
    };
    struct error error;

    assert_non_null(report);
    record(boot, CAP_NONE); /* of an earlier net: it says nothing about this run */
    assert_int_equal(unlock_all(&request, report, &error), kind);
    assert_int_equal(cap_record_read(boot->run), word);
    assert_int_equal(report->cap_done, word == CAP_DONE);
}

static void all_records_the_cap(void **state)
{
    struct boot *boot = *state;

    expect_all(boot, 0, CAP_DONE);
    pin(boot, 12, 1);
    expect_all(boot, ERROR_METADATA, CAP_DONE); /* what is pinned as the SRK here is none */
}

static void all_records_silence(void **state)
{
    struct boot *boot = *state;

    pin(boot, 12, 1);
    swtpm_stop(&boot->swtpm);
    expect_all(boot, ERROR_TPM, CAP_SILENT);
    pin(boot, 12, 0);
    expect_all(boot, ERROR_TPM, CAP_NONE);
}

static void all_records_nothing_when_the_cap_fails(void **state)
{
    struct boot *boot = *state;

    pin(boot, LOCAL_PCR, 1);
    expect_all(boot, ERROR_TPM, CAP_OWED);
    pin(boot, LOCAL_PCR, 0);
    expect_all(boot, ERROR_TPM, CAP_OWED);
}

int main(void)
{
#define on_boot(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        on_boot(words),
        on_boot(other_words_are_none),
        cmocka_unit_test(decisions),
        on_boot(caps_once),
        on_boot(caps_without_pins_and_by_the_pins),
        on_boot(a_cap_that_fails_is_owed),
        on_boot(a_silent_tpm_with_pins_is_owed),
        on_boot(a_silent_tpm_without_pins_is_let_go),
        on_boot(damaged_pins_count_as_pins),
        on_boot(without_a_record_it_caps_each_time),
        on_boot(all_records_the_cap),
        on_boot(all_records_silence),
        on_boot(all_records_nothing_when_the_cap_fails),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
