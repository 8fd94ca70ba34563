#include "protect/boot/boot-event.h"

#include "base/cleanup.h"
#include "protect/machine.h"

static struct boot_record *new_record(void)
{
    struct boot_record *record = calloc(1, sizeof(*record));

    assert_non_null(record);
    *record = (struct boot_record){
        .values = { .bank = HASH_SHA256, .mask = 0xffff },
        .cap = 12,
        .cap_done = true,
        .volumes = { { .name = "cryptroot",
                       .uuid = LUKS_FILE_UUID,
                       .opened = true,
                       .by = "tpm2-pin",
                       .milliseconds = 812 } },
        .volume_count = 1,
    };
    return record;
}

/* The values that the record has, approved, but for the PCRs of a mask. */
static struct approval approval_but(const struct boot_record *record, uint32_t differ)
{
    struct approval approval = { .bank = HASH_SHA256, .pcrs = 1u << 4 | 1u << 7 | 1u << 9 | 1u << 12, .cap = 12 };
    struct branch branch = { .kind = BRANCH_BOOT, .source = BRANCH_MEASURED, .values = record->values };
    struct error error;

    branch.values.mask = approval.pcrs;
    for (unsigned i = 0; i < PCR_COUNT; i++)
        if (differ & (1u << i))
            branch.values.value[i][0] ^= 1;
    assert_good(approval_add_branch(&approval, &branch, &error), &error);
    return approval;
}

static void assert_field(const struct boot_event *event, const char *name, const char *expected)
{
    const char *value = boot_event_value(event, name);

    if (!expected)
        assert_null(value);
    else if (!value || strcmp(value, expected) != 0)
        fail_msg("%s is \"%s\", not \"%s\"", name, value ? value : "missing", expected);
}

/* The events of a record; the caller frees them. */
static struct boot_events *events_of(const struct boot_record *record, const struct approval *approval)
{
    struct boot_events *events = calloc(1, sizeof(*events));
    struct error error;

    assert_non_null(events);
    assert_good(boot_events_of_record(record, approval, events, &error), &error);
    return events;
}

static void drop(struct boot_events **events)
{
    boot_events_free(*events);
    free(*events);
}

/* Whose PIN it was. */
static void test_operator(void **state)
{
    cleanup(free_ptr) struct boot_record *record = new_record();
    cleanup(drop) struct boot_events *events = NULL;

    (void)state;
    record->volumes[0].operator_number = 2;
    strcpy(record->volumes[0].protector, LUKS_FILE_UUID);
    events = events_of(record, NULL);
    assert_field(&events->items[0], "BOOTSEAL_OPERATOR", "2");
    assert_field(&events->items[0], "BOOTSEAL_PROTECTOR", LUKS_FILE_UUID);
}

static void test_opened_by_pin(void **state)
{
    cleanup(free_ptr) struct boot_record *record = new_record();
    cleanup(drop) struct boot_events *events = events_of(record, NULL);
    const struct boot_event *event = &events->items[0];

    (void)state;
    assert_int_equal(events->count, 1);
    assert_string_equal(event->fields[0], "MESSAGE=cryptroot was opened by the PIN");
    assert_field(event, "MESSAGE_ID", BOOT_EVENT_PIN);
    assert_field(event, "PRIORITY", "6");
    assert_field(event, "SYSLOG_IDENTIFIER", "bootseal");
    assert_field(event, "BOOTSEAL_VOLUME", "cryptroot");
    assert_field(event, "BOOTSEAL_UUID", LUKS_FILE_UUID);
    assert_field(event, "BOOTSEAL_OPERATOR", NULL); /* the report is older than the field */
    assert_field(event, "BOOTSEAL_BY", "tpm2-pin");
    assert_field(event, "BOOTSEAL_STATUS", "0");
    assert_field(event, "BOOTSEAL_MILLISECONDS", "812");
    assert_field(event, "BOOTSEAL_WRONG_PINS", "0");
    assert_field(event, "BOOTSEAL_REASON", NULL);
    assert_field(event, "BOOTSEAL", NULL); /* a name's beginning is not the name */
    assert_int_equal(boot_event_priority(event), 6);
}

static void test_wrong_pins_before_it(void **state)
{
    cleanup(free_ptr) struct boot_record *record = new_record();
    cleanup(drop) struct boot_events *one = NULL, *two = NULL;

    (void)state;
    record->volumes[0].wrong_pins = 1;
    one = events_of(record, NULL);
    assert_field(&one->items[0], "MESSAGE", "cryptroot was opened by the PIN, after 1 wrong one");
    assert_field(&one->items[0], "PRIORITY", "5");
    record->volumes[0].wrong_pins = 2;
    two = events_of(record, NULL);
    assert_field(&two->items[0], "MESSAGE", "cryptroot was opened by the PIN, after 2 wrong ones");
}

static void test_each_status(void **state)
{
    static const struct {
        enum error_kind status;
        const char *id, *priority;
    } rows[] = {
        { ERROR_FAILED, BOOT_EVENT_NOT_OPENED, "3" },
        { ERROR_MISMATCH, BOOT_EVENT_MISMATCH, "4" },
        { ERROR_WRONG_PIN, BOOT_EVENT_WRONG_PIN, "4" },
        { ERROR_LOCKOUT, BOOT_EVENT_LOCKOUT, "4" },
        { ERROR_TPM, BOOT_EVENT_TPM, "3" },
        { ERROR_NOT_LUKS2, BOOT_EVENT_NOT_OPENED, "3" },
        { ERROR_METADATA, BOOT_EVENT_NOT_OPENED, "3" },
        { ERROR_REFUSED, BOOT_EVENT_NOT_OPENED, "3" },
    };
    cleanup(free_ptr) struct boot_record *record = new_record();

    (void)state;
    record->volumes[0].opened = false;
    strcpy(record->volumes[0].by, "");
    strcpy(record->volumes[0].reason, "a reason");
    for (size_t i = 0; i < array_size(rows); i++) {
        cleanup(drop) struct boot_events *events = NULL;

        record->volumes[0].status = rows[i].status;
        events = events_of(record, NULL);
        assert_int_equal(events->count, 1);
        assert_field(&events->items[0], "MESSAGE", "cryptroot was not opened by the TPM: a reason");
        assert_field(&events->items[0], "MESSAGE_ID", rows[i].id);
        assert_field(&events->items[0], "PRIORITY", rows[i].priority);
        assert_field(&events->items[0], "BOOTSEAL_REASON", "a reason");
        assert_field(&events->items[0], "BOOTSEAL_BY", NULL);
        assert_field(&events->items[0], "BOOTSEAL_MILLISECONDS", NULL);
    }
}

static void test_recovery_key(void **state)
{
    cleanup(free_ptr) struct boot_record *record = new_record();
    cleanup(drop) struct boot_events *events = NULL, *nameless = NULL;

    (void)state;
    record->volumes[0].status = ERROR_LOCKOUT;
    strcpy(record->volumes[0].reason, "the TPM refuses PINs");
    strcpy(record->volumes[0].by, "recovery");
    strcpy(record->volumes[0].recovery_id, "1a2b3c4d");
    events = events_of(record, NULL);
    assert_int_equal(events->count, 2);
    assert_field(&events->items[0], "MESSAGE_ID", BOOT_EVENT_LOCKOUT);
    assert_field(&events->items[1], "MESSAGE_ID", BOOT_EVENT_RECOVERY);
    assert_field(&events->items[1], "MESSAGE", "cryptroot was opened by its recovery key 1a2b3c4d");
    assert_field(&events->items[1], "BOOTSEAL_RECOVERY_ID", "1a2b3c4d");
    /* a report without the ID */
    record->volumes[0].status = ERROR_NONE;
    record->volumes[0].recovery_id[0] = '\0';
    nameless = events_of(record, NULL);
    assert_int_equal(nameless->count, 1);
    assert_field(&nameless->items[0], "BOOTSEAL_RECOVERY_ID", NULL);
    assert_false(boot_record_has_pin(record));
}

static void test_mismatching_pcrs(void **state)
{
    cleanup(free_ptr) struct boot_record *record = new_record();
    cleanup(approval_free) struct approval two = { 0 }, none = { 0 };
    cleanup(drop) struct boot_events *with = NULL, *same = NULL, *unknown = NULL;

    (void)state;
    record->volumes[0] = (struct boot_volume){ .name = "cryptroot", .status = ERROR_MISMATCH };
    two = approval_but(record, 1u << 4 | 1u << 9);
    none = approval_but(record, 0);
    with = events_of(record, &two);
    assert_field(&with->items[0], "BOOTSEAL_PCRS", "4, 9");
    same = events_of(record, &none); /* approved in the meantime */
    assert_field(&same->items[0], "BOOTSEAL_PCRS", NULL);
    record->values.mask &= ~(1u << 9); /* the report has not what the approval wants */
    unknown = events_of(record, &two);
    assert_field(&unknown->items[0], "BOOTSEAL_PCRS", NULL);
}

static void test_machine(void **state)
{
    cleanup(free_ptr) struct boot_record *record = new_record();
    cleanup(drop) struct boot_events *events = NULL, *without = NULL;

    (void)state;
    record->volume_count = 0;
    record->cap_done = false;
    strcpy(record->tpm_error, "it does not answer");
    events = events_of(record, NULL);
    assert_int_equal(events->count, 2);
    assert_field(&events->items[0], "MESSAGE_ID", BOOT_EVENT_TPM);
    assert_field(&events->items[0], "BOOTSEAL_REASON", "it does not answer");
    assert_field(&events->items[0], "BOOTSEAL_VOLUME", NULL);
    assert_field(&events->items[1], "MESSAGE_ID", BOOT_EVENT_NOT_CAPPED);
    assert_field(&events->items[1], "BOOTSEAL_PCRS", "12");
    record->values.mask = 0; /* nothing to cap */
    record->tpm_error[0] = '\0';
    without = events_of(record, NULL);
    assert_int_equal(without->count, 0);
}

/* As many volumes as there can be, each with two entries. */
static void test_full(void **state)
{
    cleanup(free_ptr) struct boot_record *record = new_record();
    cleanup(drop) struct boot_events *events = NULL;
    struct error error;

    (void)state;
    record->volume_count = PINS_MAX_VOLUMES;
    record->cap_done = false;
    strcpy(record->tpm_error, "x");
    for (size_t i = 0; i < PINS_MAX_VOLUMES; i++) {
        record->volumes[i] = (struct boot_volume){ .opened = true, .by = "recovery", .status = ERROR_TPM };
        memset(record->volumes[i].name, 'n', PINS_NAME_MAX);
        memset(record->volumes[i].reason, '\n', REPORT_REASON_MAX);
    }
    events = events_of(record, NULL);
    assert_int_equal(events->count, 2 + 2 * PINS_MAX_VOLUMES);
    assert_null(strchr(events->items[2].fields[0], '\n'));
    assert_good(boot_events_counter_reset(3, events, &error), &error);
    assert_field(&events->items[events->count - 1], "BOOTSEAL_LOCKOUT_COUNTER", "3");
    events->count = BOOT_EVENTS_MAX;
    assert_error(boot_events_no_report(events, &error), &error, ERROR_FAILED, "at most");
    events->count = 3 + 2 * PINS_MAX_VOLUMES;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_operator),
        cmocka_unit_test(test_opened_by_pin),
        cmocka_unit_test(test_wrong_pins_before_it),
        cmocka_unit_test(test_each_status),
        cmocka_unit_test(test_recovery_key),
        cmocka_unit_test(test_mismatching_pcrs),
        cmocka_unit_test(test_machine),
        cmocka_unit_test(test_full),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
