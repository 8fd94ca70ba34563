#include "measure/predict/variable-stages.h"

#include "base/cleanup.h"
#include "grub-machine.h"
#include "log-builder.h"
#include "measure/predict/mok-request.h"
#include "measure/predict/shim.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define SHIM "/usr/lib/shim/shimx64.efi" /* unsigned */
#define HEADER_BYTES 44                  /* EFI_TIME, and a certificate of four bytes */
#define LIST_BYTES (28 + 16 + 32)

static const uint8_t sha256_type[16] = { 0x26, 0x16, 0xc4, 0xc1, 0x4c, 0x50, 0x92, 0x40,
                                         0xac, 0xa9, 0x41, 0xf9, 0x36, 0x93, 0x43, 0x28 };

/* A list of one hash, all bytes of which are `fill`. */
static void make_list(uint8_t fill, uint8_t ret[LIST_BYTES])
{
    memset(ret, 0, LIST_BYTES);
    memcpy(ret, sha256_type, sizeof(sha256_type));
    ret[16] = LIST_BYTES;
    ret[24] = 16 + 32;
    memset(ret + LIST_BYTES - 32, fill, 32);
}

/* EFI_VARIABLE_AUTHENTICATION_2 and such a list; four bytes are left free in front. */
struct update {
    uint8_t bytes[4 + HEADER_BYTES + LIST_BYTES];
};

static struct update make_update(uint8_t fill)
{
    static const uint8_t header[] = { 28,   0,    0,    0,    0,    2,    0xf1, 0x0e, 0x9d, 0xd2,
                                      0xaf, 0x4a, 0xdf, 0x68, 0xee, 0x49, 0x8a, 0xa9, 0x34, 0x7d,
                                      0x37, 0x56, 0x65, 0xa7, 's',  'i',  'g',  'n' };
    struct update update = { 0 };

    memcpy(update.bytes + 4 + 16, header, sizeof(header));
    make_list(fill, update.bytes + 4 + HEADER_BYTES);
    return update;
}

static struct variable_change change_of(const char *name, bool append, const struct update *update)
{
    return (struct variable_change){ name, "a file", append, { update->bytes + 4, sizeof(update->bytes) - 4 } };
}

/* Makes them, or fails. */
static void make(const struct scratch_machine *scratch, const struct variable_change *changes, size_t count,
                 struct variable_stages *ret)
{
    struct error error = { 0 };

    if (variable_stages_make(scratch->variables, changes, count, ret, &error))
        fail_msg("%s", error.text);
}

static const struct firmware_variable *find(const struct variable_stage *stage, const uint8_t *vendor, const char *name)
{
    return firmware_variable_list_find(&stage->changed, vendor, name);
}

/* ---- the stages ---- */

static void nothing_changes(void **state)
{
    cleanup(grub_machine_end) struct grub_machine machine;
    cleanup(variable_stages_free) struct variable_stages stages = { 0 };

    (void)state;
    grub_machine_start(&machine, "a");
    make(&machine.scratch, NULL, 0, &stages);
    assert_int_equal(stages.count, 1);
    assert_int_equal(stages.items[0].step_count, 0);
    assert_int_equal(stages.items[0].changed.count, 0);
}

/* Each starts from what the one before it gives. */
static void one_after_the_other(void **state)
{
    cleanup(grub_machine_end) struct grub_machine machine;
    cleanup(variable_stages_free) struct variable_stages stages = { 0 };
    const struct update first = make_update(1), second = make_update(2);
    const struct variable_change changes[] = { change_of("dbx", true, &first), change_of("db", true, &first),
                                               change_of("dbx", true, &second), change_of("dbx", true, &first) };
    const struct firmware_variable *one, *other;

    (void)state;
    grub_machine_start(&machine, "a");
    make(&machine.scratch, changes, 4, &stages); /* the last one adds nothing */
    assert_int_equal(stages.count, 4);
    assert_int_equal(stages.items[3].step_count, 3);
    assert_string_equal(stages.items[3].steps[0], "dbx");
    assert_string_equal(stages.items[3].steps[1], "db");
    assert_string_equal(stages.items[3].steps[2], "dbx");
    assert_null(find(&stages.items[1], vendor_database, "db"));
    one = find(&stages.items[2], vendor_database, "dbx");
    other = find(&stages.items[3], vendor_database, "dbx");
    assert_int_equal(other->size, one->size + LIST_BYTES);
    assert_memory_equal(other->data, one->data, one->size);
    assert_memory_equal(other->data + one->size, second.bytes + 4 + HEADER_BYTES, LIST_BYTES);
}

static void in_the_place_of(void **state)
{
    cleanup(grub_machine_end) struct grub_machine machine;
    cleanup(variable_stages_free) struct variable_stages stages = { 0 };
    const struct update update = make_update(1);
    const struct variable_change change = change_of("KEK", false, &update);
    const struct firmware_variable *after;

    (void)state;
    grub_machine_start(&machine, "a");
    make(&machine.scratch, &change, 1, &stages);
    assert_int_equal(stages.count, 2);
    after = find(&stages.items[1], vendor_global, "KEK");
    assert_int_equal(after->size, LIST_BYTES);
    assert_memory_equal(after->data, update.bytes + 4 + HEADER_BYTES, LIST_BYTES);
}

/* As in a file that is written to efivarfs; they must say what the caller says. */
static void with_attributes(void **state)
{
    cleanup(grub_machine_end) struct grub_machine machine;
    struct update update = make_update(1);
    struct variable_change change = { "dbx", "a file", true, { update.bytes, sizeof(update.bytes) } };
    static const struct {
        uint8_t attributes;
        bool append;
        int status;
    } cases[] = { { 0x67, true, 0 },
                  { 0x27, false, 0 },
                  { 0x67, false, ERROR_METADATA },
                  { 0x27, true, ERROR_METADATA },
                  { 0x07, false, ERROR_METADATA },
                  { 0, false, ERROR_METADATA } };

    (void)state;
    grub_machine_start(&machine, "a");
    for (size_t i = 0; i < array_size(cases); i++) {
        cleanup(variable_stages_free) struct variable_stages stages = { 0 };
        struct error error = { 0 };

        update.bytes[0] = cases[i].attributes;
        change.append = cases[i].append;
        assert_int_equal(variable_stages_make(machine.scratch.variables, &change, 1, &stages, &error), cases[i].status);
        assert_int_equal(stages.count, cases[i].status ? 0 : 2);
    }
}

static void what_cannot_be_followed(void **state)
{
    cleanup(grub_machine_end) struct grub_machine machine;
    struct variable_stages stages;
    const struct update update = make_update(1);
    struct variable_change changes[VARIABLE_CHANGES_MAX + 1];
    struct error error = { 0 };

    (void)state;
    grub_machine_start(&machine, "a");
    for (size_t i = 0; i < array_size(changes); i++)
        changes[i] = change_of("dbx", true, &update);
    assert_int_equal(variable_stages_make(machine.scratch.variables, changes, array_size(changes), &stages, &error),
                     ERROR_USAGE);
    assert_int_equal(variable_stages_make(NULL, changes, 1, &stages, &error), ERROR_FAILED);
    changes[0].name = "MokList";
    assert_int_equal(variable_stages_make(machine.scratch.variables, changes, 1, &stages, &error), ERROR_USAGE);
    changes[1].update.size--;
    assert_int_equal(variable_stages_make(machine.scratch.variables, changes + 1, 1, &stages, &error), ERROR_METADATA);
    assert_non_null(strstr(error.text, "a file"));
    assert_int_equal(stages.count, 0);
}

/* ---- the machine owner's keys ---- */

/* What mokutil --import leaves, on a machine with these keys. */
static void ask_for(const struct scratch_machine *scratch, const void *keys, size_t size)
{
    uint8_t new_keys[LIST_BYTES];

    make_list(7, new_keys);
    scratch_set_variable(scratch, vendor_shim, "MokListRT", keys, size);
    scratch_set_variable(scratch, vendor_shim, "MokNew", new_keys, sizeof(new_keys));
    scratch_set_variable(scratch, vendor_shim, "MokAuth", "a password's hash", 17);
}

static void assert_request(const struct scratch_machine *scratch, enum mok_request wanted, const char *wanted_name)
{
    enum mok_request request;
    struct error error = { 0 };
    const char *name;

    if (mok_request_read(scratch->variables, NULL, &request, &name, &error))
        fail_msg("%s", error.text);
    assert_int_equal(request, wanted);
    if (wanted_name)
        assert_string_equal(name, wanted_name);
    else
        assert_null(name);
}

static void requests(void **state)
{
    cleanup(grub_machine_end) struct grub_machine machine;
    uint8_t keys[LIST_BYTES];

    (void)state;
    grub_machine_start(&machine, "a");
    make_list(1, keys);
    assert_request(&machine.scratch, MOK_REQUEST_NONE, NULL);
    ask_for(&machine.scratch, keys, sizeof(keys));
    assert_request(&machine.scratch, MOK_REQUEST_IMPORT, "MokNew");
    scratch_set_variable(&machine.scratch, vendor_shim, "MokXDel", keys, sizeof(keys));
    assert_request(&machine.scratch, MOK_REQUEST_OTHER, "MokXDel");
    scratch_set_variable(&machine.scratch, vendor_shim, "MokXDel", NULL, 0);
    scratch_set_variable(&machine.scratch, vendor_shim, "MokNew", keys, sizeof(keys) - 1);
    assert_request(&machine.scratch, MOK_REQUEST_OTHER, "MokNew");
    scratch_set_variable(&machine.scratch, vendor_shim, "MokNew", NULL, 0); /* all keys are to go */
    assert_request(&machine.scratch, MOK_REQUEST_OTHER, "MokAuth");
    ask_for(&machine.scratch, keys, sizeof(keys));
    scratch_set_variable(&machine.scratch, vendor_shim, "MokListRT", NULL, 0); /* there is no shim */
    assert_request(&machine.scratch, MOK_REQUEST_OTHER, "MokNew");
    ask_for(&machine.scratch, keys, sizeof(keys));
    scratch_set_variable(&machine.scratch, vendor_shim, "MokAuth", NULL, 0);
    assert_request(&machine.scratch, MOK_REQUEST_OTHER, "MokNew");
}

/* Either answer, before and after an update. */
static void answers(void **state)
{
    cleanup(grub_machine_end) struct grub_machine machine;
    cleanup(variable_stages_free) struct variable_stages stages = { 0 };
    const struct update update = make_update(1);
    const struct variable_change change = change_of("dbx", true, &update);
    static const size_t steps[] = { 0, 1, 1, 1, 2, 2 };
    const struct firmware_variable *after;
    uint8_t keys[LIST_BYTES], new_keys[LIST_BYTES];

    (void)state;
    grub_machine_start(&machine, "a");
    make_list(1, keys);
    make_list(7, new_keys);
    ask_for(&machine.scratch, keys, sizeof(keys));
    make(&machine.scratch, &change, 1, &stages);
    assert_int_equal(stages.count, array_size(steps));
    for (size_t i = 0; i < array_size(steps); i++)
        assert_int_equal(stages.items[i].step_count, steps[i]);
    assert_string_equal(stages.items[2].steps[0], "mok-refused");
    assert_true(find(&stages.items[2], vendor_shim, "MokNew")->gone);
    assert_null(find(&stages.items[2], vendor_shim, "MokListRT"));
    assert_string_equal(stages.items[5].steps[1], "mok-enrolled");
    assert_non_null(find(&stages.items[5], vendor_database, "dbx"));
    assert_true(find(&stages.items[5], vendor_shim, "MokAuth")->gone);
    after = find(&stages.items[3], vendor_shim, "MokListRT");
    assert_int_equal(after->size, 2 * LIST_BYTES);
    assert_memory_equal(after->data, keys, LIST_BYTES);
    assert_memory_equal(after->data + LIST_BYTES, new_keys, LIST_BYTES);
    variable_stages_free(&stages);
    make_list(0, keys); /* what shim shows where there are none */
    ask_for(&machine.scratch, keys, sizeof(keys));
    make(&machine.scratch, NULL, 0, &stages);
    assert_int_equal(find(&stages.items[2], vendor_shim, "MokListRT")->size, LIST_BYTES);
    assert_memory_equal(find(&stages.items[2], vendor_shim, "MokListRT")->data, new_keys, LIST_BYTES);
}

/* ---- predictions ---- */

static void predict(const struct predict_machine *machine, const struct variable_stages *stages, struct prediction *ret)
{
    struct error error = { 0 };

    if (predict_stages(machine, stages, ret, &error))
        fail_msg("%s", error.text);
}

/* The next boot of that stage. */
static const struct predicted_boot *next_of(const struct prediction *prediction, const char *label)
{
    for (size_t i = 0; i < prediction->count; i++) {
        const struct predicted_boot *boot = &prediction->boots[i];

        if (boot->chosen && boot->step == 0 && boot->order == 0 && strcmp(boot->label, label) == 0)
            return boot;
    }
    fail_msg("no next boot \"%s\"", label);
    return NULL;
}

/* The state without the update is predicted as ever; the other one is what the written variable would give. */
static void before_and_after(void **state)
{
    cleanup(grub_machine_end) struct grub_machine machine;
    cleanup(variable_stages_free) struct variable_stages stages = { 0 };
    cleanup(prediction_free) struct prediction prediction = { 0 }, written = { 0 };
    const struct update update = make_update(1);
    const struct variable_change change = change_of("dbx", true, &update);
    const struct predicted_boot *after;
    const struct firmware_variable *dbx;
    struct error error = { 0 };

    (void)state;
    grub_machine_start(&machine, "a");
    make(&machine.scratch, &change, 1, &stages);
    predict(&machine.scratch.machine, &stages, &prediction);
    assert_recorded(&machine.recorded, next_of(&prediction, "linux 6.1.0-56-cloud-amd64"));
    after = next_of(&prediction, "linux 6.1.0-56-cloud-amd64, after dbx");
    assert_int_equal(after->after_count, 1);
    assert_string_equal(after->after[0], "dbx");
    assert_int_equal(pcr_values_differ(&after->values, &machine.recorded, after->values.mask & machine.recorded.mask),
                     1u << 7);
    dbx = find(&stages.items[1], vendor_database, "dbx");
    scratch_set_variable(&machine.scratch, vendor_database, "dbx", dbx->data, dbx->size);
    if (predict_boots(&machine.scratch.machine, &written, &error))
        fail_msg("%s", error.text);
    assert_int_equal(written.count, prediction.count / 2);
    for (size_t i = 0; i < written.count; i++) {
        const struct predicted_boot *boot = &prediction.boots[written.count + i];

        assert_int_equal(boot->values.mask, written.boots[i].values.mask);
        assert_int_equal(pcr_values_differ(&boot->values, &written.boots[i].values, boot->values.mask), 0);
    }
}

/* A variable that this boot has not measured, and one that Secure Boot itself hangs on. */
static void what_cannot_be_predicted(void **state)
{
    cleanup(grub_machine_end) struct grub_machine machine;
    const struct update update = make_update(1);
    static const struct {
        const char *name, *words;
    } cases[] = { { "dbt", "did not measure the variable \"dbt\"" }, { "PK", "Secure Boot comes or goes" } };

    (void)state;
    grub_machine_start(&machine, "a");
    for (size_t i = 0; i < array_size(cases); i++) {
        cleanup(variable_stages_free) struct variable_stages stages = { 0 };
        cleanup(prediction_free) struct prediction prediction = { 0 };
        const struct variable_change change = change_of(cases[i].name, false, &update);

        if (i == 1)
            scratch_set_variable(&machine.scratch, vendor_global, "PK", NULL, 0);
        make(&machine.scratch, &change, 1, &stages);
        stages.items[0] = stages.items[1]; /* this one alone */
        stages.count = 1;
        predict(&machine.scratch.machine, &stages, &prediction);
        if (!prediction.boots[0].unknown[7] || !strstr(prediction.boots[0].unknown[7], cases[i].words))
            fail_msg("%s: %s", cases[i].name, prediction.boots[0].unknown[7]);
    }
}

/* Names that are cut, and updates that are counted, so that the label says whichever stage it is. */
static void labels(void **state)
{
    cleanup(grub_machine_end) struct grub_machine machine;
    static const struct {
        size_t count;
        const char *steps[VARIABLE_STAGE_STEPS_MAX], *wanted;
    } cases[] = {
        { 2, { "dbx", "KEK" }, "linux 6.1.0-56-cloud-amd64, after dbx, KEK" },
        { 3, { "dbx", "KEK", "mok-enrolled" }, "linux 6.1.0-56-cloud-amd64, after dbx, KEK, MOK" },
        { 5, { "PK", "KEK", "db", "dbx", "mok-refused" }, "linux 6.1.0-56-cloud-amd64, after 4 updates, MOK refused" },
        { 1, { "mok-enrolled" }, "linux 6.1.0-56-cloud-amd64, after MOK" },
    };

    (void)state;
    grub_machine_start(&machine, "a");
    for (size_t i = 0; i < array_size(cases); i++) {
        struct variable_stages stages = { .count = 1 };
        cleanup(prediction_free) struct prediction prediction = { 0 };

        memcpy(stages.items[0].steps, cases[i].steps, sizeof(stages.items[0].steps));
        stages.items[0].step_count = cases[i].count;
        predict(&machine.scratch.machine, &stages, &prediction);
        assert_string_equal(prediction.boots[0].label, cases[i].wanted);
    }
}

/* The digest in the log is that of the lists which shim brings: the owner had no keys. */
static void form_of_the_event(void **state)
{
    static const char *const logs[] = { "debian12-shim-grub-secureboot", GRUB_RECORDED "a", GRUB_RECORDED "next",
                                        GRUB_RECORDED "usbhigh" };
    cleanup(free_ptr) uint8_t *lists = NULL;
    struct error error = { 0 };
    struct digest digest;
    size_t size;

    (void)state;
    assert_int_equal(shim_vendor_lists(SHIM, false, &lists, &size, &error), 0);
    assert_int_equal(digest_compute(&digest, &(struct span){ lists, size }, 1, &error), 0);
    for (size_t i = 0; i < array_size(logs); i++) {
        cleanup(scratch_machine_end) struct scratch_machine scratch;
        size_t found = 0;

        scratch_machine_start(&scratch, logs[i]);
        for (size_t k = 0; k < scratch.log.count; k++)
            if (scratch.log.events[k].pcr == 14 && strcmp(scratch.components.items[k].name, "MokList") == 0) {
                size_t bank = (size_t)event_log_bank(&scratch.log, HASH_SHA256);

                assert_memory_equal(scratch.log.events[k].digest[bank], digest.bytes, DIGEST_BYTES);
                found++;
            }
        assert_int_equal(found, 1);
    }
}

/* PCR 14 after another "MokList". */
static void replay_with(const struct scratch_machine *scratch, const struct firmware_variable *keys, uint8_t *ret)
{
    size_t bank = (size_t)event_log_bank(&scratch->log, HASH_SHA256);
    struct pcr_values values = { .bank = HASH_SHA256, .mask = 1u << 14 };
    cleanup(extend_list_free) struct extend_list list = { 0 };
    struct error error;

    assert_int_equal(extend_list_init(&list, HASH_SHA256, &error), 0);
    for (size_t i = 0; i < scratch->log.count; i++) {
        const struct event *event = &scratch->log.events[i];

        if (event->pcr != 14)
            continue;
        if (strcmp(scratch->components.items[i].name, "MokList") == 0)
            assert_int_equal(extend_list_add_data(&list, 14, keys->data, keys->size, "", &error), 0);
        else
            assert_int_equal(extend_list_add(&list, 14, event->digest[bank], "", &error), 0);
    }
    assert_int_equal(extend_list_apply(&list, &values, &error), 0);
    memcpy(ret, values.value[14], DIGEST_BYTES);
}

static void enrolled_keys(void **state)
{
    cleanup(grub_machine_end) struct grub_machine machine;
    cleanup(variable_stages_free) struct variable_stages stages = { 0 };
    cleanup(prediction_free) struct prediction prediction = { 0 }, other = { 0 };
    cleanup(free_ptr) uint8_t *lists = NULL;
    const struct predicted_boot *boot;
    uint8_t wanted[DIGEST_BYTES];
    struct error error;
    size_t size;

    (void)state;
    grub_machine_start(&machine, "a");
    assert_int_equal(shim_vendor_lists(SHIM, false, &lists, &size, &error), 0);
    ask_for(&machine.scratch, lists, size);
    make(&machine.scratch, NULL, 0, &stages);
    predict(&machine.scratch.machine, &stages, &prediction);
    assert_recorded(&machine.recorded, next_of(&prediction, "linux 6.1.0-56-cloud-amd64, after MOK refused"));
    boot = next_of(&prediction, "linux 6.1.0-56-cloud-amd64, after MOK");
    replay_with(&machine.scratch, find(&stages.items[2], vendor_shim, "MokListRT"), wanted);
    assert_true(boot->values.mask & 1u << 14);
    assert_memory_equal(boot->values.value[14], wanted, DIGEST_BYTES);
    assert_int_equal(pcr_values_differ(&boot->values, &machine.recorded, 1u << 4), 0);
    make_list(1, lists); /* not what the log has */
    scratch_set_variable(&machine.scratch, vendor_shim, "MokListRT", lists, LIST_BYTES);
    predict(&machine.scratch.machine, &stages, &other);
    boot = next_of(&other, "linux 6.1.0-56-cloud-amd64, after MOK");
    assert_non_null(strstr(boot->unknown[14], "a form that is not known"));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_changes),
        cmocka_unit_test(one_after_the_other),
        cmocka_unit_test(in_the_place_of),
        cmocka_unit_test(with_attributes),
        cmocka_unit_test(what_cannot_be_followed),
        cmocka_unit_test(requests),
        cmocka_unit_test(answers),
        cmocka_unit_test(before_and_after),
        cmocka_unit_test(what_cannot_be_predicted),
        cmocka_unit_test(labels),
        cmocka_unit_test(form_of_the_event),
        cmocka_unit_test(enrolled_keys),
    };

    recorded_folder = argc > 1 ? argv[1] : NULL;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
