/* Writing: what approval_to_json() gives, approval_from_json() takes back. test-approval-parse.c has the hostile side.
 */
#include "sample.h"

static struct error error;

static void assert_same_branch(const struct branch *a, const struct branch *b, uint32_t pcrs)
{
    assert_int_equal(a->kind, b->kind);
    assert_string_equal(a->label, b->label);
    assert_int_equal(a->source, b->source);
    assert_string_equal(a->entry, b->entry);
    assert_string_equal(a->approved_in, b->approved_in);
    assert_int_equal(a->kept, b->kept);
    assert_int_equal(a->values.mask, b->values.mask);
    assert_int_equal(pcr_values_differ(&a->values, &b->values, a->values.mask & pcrs), 0);
    assert_int_equal(a->after, b->after);
    assert_int_equal(a->until, b->until);
    assert_int_equal(a->has_clock, b->has_clock);
    assert_int_equal(a->clock_ms, b->clock_ms);
    assert_memory_equal(&a->authority, &b->authority, sizeof(a->authority));
}

static void assert_same(const struct approval *a, const struct approval *b)
{
    assert_int_equal(a->bank, b->bank);
    assert_int_equal(a->pcrs, b->pcrs);
    assert_int_equal(a->cap, b->cap);
    assert_int_equal(a->branch_count, b->branch_count);
    for (size_t i = 0; i < a->branch_count; i++)
        assert_same_branch(&a->branches[i], &b->branches[i], a->pcrs);
    assert_int_equal(a->object_count, b->object_count);
    for (size_t i = 0; i < a->object_count; i++)
        assert_true(object_name_equal(&a->objects[i], &b->objects[i]));
}

/* Through text, as it goes through a LUKS2 header. */
static void round_trip(const struct approval *approval, const struct approval *next, struct approval *ret,
                       struct approval *ret_next, bool *ret_has_next)
{
    cleanup(json_free) struct json_object *object = json_object_new_object();
    cleanup(json_free) struct json_object *parsed = NULL;
    struct json_view view = { .source = "token 3", .kind = ERROR_METADATA };

    assert_good(approval_to_json(approval, next, object, &error), &error);
    assert_good(json_parse(json_object_to_json_string(object), &view, &parsed, &error), &error);
    assert_good(approval_from_json(&view, ret, ret_next, ret_has_next, &error), &error);
}

static void an_approval_comes_back(void **state)
{
    cleanup(approval_free) struct approval approval = sample_approval();
    cleanup(approval_free) struct approval again = { 0 };
    cleanup(approval_free) struct approval next = { 0 };
    bool has_next = true;

    (void)state;
    round_trip(&approval, NULL, &again, &next, &has_next);
    assert_same(&approval, &again);
    assert_false(has_next);
    assert_int_equal(next.branch_count, 0);
}

static void next_comes_back(void **state)
{
    cleanup(approval_free) struct approval approval = sample_approval();
    cleanup(approval_free) struct approval next = sample_approval();
    cleanup(approval_free) struct approval again = { 0 };
    cleanup(approval_free) struct approval next_again = { 0 };
    bool has_next = false;

    (void)state;
    next.branches[0].values.value[4][0] ^= 1;
    next.branches[1].has_clock = false;
    next.branches[1].clock_ms = 0;
    approval_remove_object(&next, 0);
    round_trip(&approval, &next, &again, &next_again, &has_next);
    assert_true(has_next);
    assert_same(&approval, &again);
    assert_same(&next, &next_again);
}

static void extremes_come_back(void **state)
{
    cleanup(approval_free) struct approval approval = sample_approval();
    cleanup(approval_free) struct approval again = { 0 };

    (void)state;
    approval.branches[1].after = UINT32_MAX - 1;
    approval.branches[1].until = UINT32_MAX;
    approval.branches[1].clock_ms = INT64_MAX - 1;
    strcpy(approval.branches[0].label, "Démarrer «Linux» 起動");
    round_trip(&approval, NULL, &again, NULL, NULL);
    assert_same(&approval, &again);
}

/* Where a boot state is from: kept beside it, and in no digest. */
static void origins_come_back(void **state)
{
    cleanup(approval_free) struct approval approval = sample_approval();
    cleanup(approval_free) struct approval again = { 0 };
    struct digest before, after;

    (void)state;
    assert_good(approval_digest(&approval, &before, &error), &error);
    strcpy(approval.branches[0].entry, "6.1.0-50-amd64");
    strcpy(approval.branches[0].approved_in, "1a2b3c4d");
    approval.branches[0].kept = true;
    round_trip(&approval, NULL, &again, NULL, NULL);
    assert_same(&approval, &again);
    assert_good(approval_digest(&again, &after, &error), &error);
    assert_true(digest_equal(&before, &after));
}

static void the_largest_bank_and_list_come_back(void **state)
{
    cleanup(approval_free) struct approval approval = { .bank = HASH_SHA512, .pcrs = 0xfbff, .cap = 12 };
    cleanup(approval_free) struct approval again = { 0 };

    (void)state;
    for (unsigned i = 0; i < APPROVAL_MAX_BRANCHES; i++) {
        struct branch branch = { .kind = BRANCH_BOOT, .values = sample_values(HASH_SHA512, approval.pcrs) };

        branch.values.value[9][63] = (uint8_t)i;
        sample_add(&approval, branch);
    }
    for (unsigned i = 0; i < APPROVAL_MAX_OBJECTS; i++)
        sample_add_object(&approval, i);
    round_trip(&approval, &approval, &again, NULL, NULL);
    assert_same(&approval, &again);
}

static void shared_values_are_written_once(void **state)
{
    cleanup(json_free) struct json_object *object = json_object_new_object();
    cleanup(approval_free) struct approval approval = sample_approval();
    struct branch other = sample_boot("other kernel");

    (void)state;
    other.values.value[4][0] ^= 1;
    sample_add(&approval, other);
    assert_good(approval_to_json(&approval, &approval, object, &error), &error);
    /* PCR 4 twice; 7 and 12, which is the suspension's too, once */
    assert_int_equal(json_object_array_length(json_object_object_get(object, "values")), 4);
}

static void the_format_is_the_documented_one(void **state)
{
    cleanup(json_free) struct json_object *object = json_object_new_object();
    cleanup(approval_free) struct approval approval = sample_approval();
    const char *text;

    (void)state;
    approval.branches[1].has_clock = false;
    approval_remove_object(&approval, 1);
    assert_good(approval_to_json(&approval, NULL, object, &error), &error);
    text = json_object_to_json_string_ext(object, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
    assert_string_equal(
        text, "{\"bank\":\"sha256\",\"pcrs\":[4,7,12],\"cap\":12,\"branches\":["
              "{\"kind\":\"boot\",\"label\":\"linux 6.1.0-50\",\"source\":\"predicted\",\"values\":[0,1,2]},"
              "{\"kind\":\"suspend\",\"after\":40,\"until\":41,\"clock_ms\":null,\"value\":2},"
              "{\"kind\":\"authority\",\"public\":\"ACMACwAEAAAAAAAQABgACwADABAAIGsX0fLhLEJH+"
              "Lzm5WOkQPJ3A32BLeszoPShOUXYmMKWACBP40Li"
              "/hp/m47n60p8D54WK84zV2sxXs7LtkBoN79R9Q==\"}],"
              "\"objects\":[\"000b7591168325ee4e53348662e67ddfe78704595cdbee277397afd26ff6fa8a9554\"],\"next\":null,"
              "\"values\":[\"5dba2e10dba5299f3e128449006cf1a350343fcd096fd5417b8e36da0b2bbd1b\","
              "\"5c39bc4a545e4c418b3907b6bce2d75cbd7a828e01654155ff460d35a177ca90\","
              "\"12a111c121c90c3f05f59ca9aa7b20757c030ea21ccd0a27fd40c4aa5adfa490\"]}");
}

/* A token is rewritten in place: its other keys stay, the old list goes. */
static void other_keys_stay(void **state)
{
    cleanup(json_free) struct json_object *object = json_object_new_object();
    cleanup(approval_free) struct approval approval = sample_approval();

    (void)state;
    json_object_object_add(object, "type", json_object_new_string("bootseal-approval"));
    assert_good(approval_to_json(&approval, &approval, object, &error), &error);
    approval_remove_branch(&approval, 0);
    assert_good(approval_to_json(&approval, NULL, object, &error), &error);
    assert_string_equal(json_object_get_string(json_object_object_get(object, "type")), "bootseal-approval");
    assert_int_equal(json_object_array_length(json_object_object_get(object, "branches")), 2);
    assert_null(json_object_object_get(object, "next"));
}

static void assert_not_written(const struct approval *approval, const struct approval *next, const char *part)
{
    cleanup(json_free) struct json_object *object = json_object_new_object();

    assert_error(approval_to_json(approval, next, object, &error), &error, ERROR_FAILED, part);
}

/* What could not be read back is not written: a token would be lost. */
static void what_cannot_be_read_is_not_written(void **state)
{
    cleanup(approval_free) struct approval approval = sample_approval();
    struct branch *boot = &approval.branches[0], *suspend = &approval.branches[1];

    (void)state;
    strcpy(boot->label, "bad\tlabel");
    assert_not_written(&approval, NULL, "bad?label");
    strcpy(boot->label, "good");
    strcpy(boot->entry, "bad\tentry");
    assert_not_written(&approval, NULL, "origin");
    strcpy(boot->entry, "");
    strcpy(boot->approved_in, "1a2b3c4");
    assert_not_written(&approval, NULL, "origin");
    strcpy(boot->approved_in, "");
    boot->values.mask &= ~(1u << 7);
    assert_not_written(&approval, NULL, "PCR 7");
    boot->values.mask |= 1u << 7;
    boot->source = (enum branch_source)2;
    assert_not_written(&approval, NULL, "\"good\"");
    boot->source = BRANCH_MEASURED;
    suspend->clock_ms = INT64_MAX;
    assert_not_written(&approval, NULL, "clock");
    suspend->has_clock = false;
    suspend->kind = (enum branch_kind)3;
    assert_not_written(&approval, NULL, "unknown kind");
}

static void an_odd_selection_is_not_written(void **state)
{
    cleanup(approval_free) struct approval approval = sample_approval();
    cleanup(approval_free) struct approval next = sample_approval();

    (void)state;
    next.pcrs |= 1u << 9;
    assert_not_written(&approval, &next, "the next approval");
    next.pcrs = approval.pcrs;
    next.cap = 7;
    assert_not_written(&approval, &next, "the next approval");
    assert_not_written(&next, &approval, "the next approval");
    approval.cap = 13;
    assert_not_written(&approval, NULL, "with the cap");
    approval.cap = 64;
    assert_not_written(&approval, NULL, "with the cap");
    approval.cap = SAMPLE_CAP;
    approval.bank = HASH_SHA1;
    assert_not_written(&approval, NULL, "no bank");
}

/* Its digest is the same: nothing that the TPM knows is left out. */
static void tokens_are_short(void **state)
{
    cleanup(approval_free) struct approval approval = sample_approval();
    cleanup(approval_free) struct approval read = { 0 };
    cleanup(json_free) struct json_object *object = json_object_new_object();
    struct json_view view = { .source = "test", .kind = ERROR_METADATA };
    struct digest digest, same;
    const char *text;

    (void)state;
    assert_good(approval_to_token(&approval, NULL, object, &error), &error);
    text = json_object_to_json_string_ext(object, JSON_C_TO_STRING_PLAIN);
    assert_null(strstr(text, "label"));
    assert_null(strstr(text, "source"));
    assert_null(strstr(text, "entry"));
    assert_null(strstr(text, "approved_in"));
    view.object = object;
    assert_good(approval_from_json(&view, &read, NULL, NULL, &error), &error);
    assert_int_equal(read.branch_count, approval.branch_count);
    assert_good(approval_digest(&approval, &digest, &error), &error);
    assert_good(approval_digest(&read, &same, &error), &error);
    assert_true(digest_equal(&digest, &same));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_approval_comes_back),
        cmocka_unit_test(next_comes_back),
        cmocka_unit_test(extremes_come_back),
        cmocka_unit_test(origins_come_back),
        cmocka_unit_test(the_largest_bank_and_list_come_back),
        cmocka_unit_test(shared_values_are_written_once),
        cmocka_unit_test(the_format_is_the_documented_one),
        cmocka_unit_test(other_keys_stay),
        cmocka_unit_test(what_cannot_be_read_is_not_written),
        cmocka_unit_test(an_odd_selection_is_not_written),
        cmocka_unit_test(tokens_are_short),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
