/* Reading what an attacker wrote into a LUKS2 header. Each case is a good document with one thing changed. */
#include "sample.h"

static struct error error;

#define GOOD_VALUE "\"5dba2e10dba5299f3e128449006cf1a350343fcd096fd5417b8e36da0b2bbd1b\""
#define GOOD_NAME "\"000b7591168325ee4e53348662e67ddfe78704595cdbee277397afd26ff6fa8a9554\""
#define GOOD_PUBLIC                                                                                                    \
    "\"ACMACwAEAAAAAAAQABgACwADABAAIGsX0fLhLEJH+Lzm5WOkQPJ3A32BLeszoPShOUXYmMKWACBP40Li"                               \
    "/hp/m47n60p8D54WK84zV2sxXs7LtkBoN79R9Q==\""
#define GOOD_BOOT "{\"kind\":\"boot\",\"label\":\"a\",\"source\":\"measured\",\"values\":[0,0]}"
#define GOOD_SUSPEND "{\"kind\":\"suspend\",\"after\":1,\"until\":2,\"clock_ms\":null,\"value\":0}"
#define GOOD_AUTHORITY "{\"kind\":\"authority\",\"public\":" GOOD_PUBLIC "}"

/* The JSON text of each top-level key; a NULL one is left out. */
struct document {
    const char *bank, *pcrs, *cap, *values, *branches, *objects, *next;
};

static const struct document good = {
    .bank = "\"sha256\"",
    .pcrs = "[7,12]",
    .cap = "12",
    .values = "[" GOOD_VALUE "]",
    .branches = "[" GOOD_BOOT "," GOOD_SUSPEND "," GOOD_AUTHORITY "]",
    .objects = "[" GOOD_NAME "]",
    .next = "null",
};

static void add_key(char **text, const char *key, const char *value)
{
    cleanup(free_ptr) char *before = *text;

    if (!value)
        *text = strdup(before);
    else if (asprintf(text, "%s%s\"%s\":%s", before, before[1] ? "," : "", key, value) < 0)
        fail();
}

static char *document_text(const struct document *document)
{
    char *text = strdup("{"), *whole = NULL;

    add_key(&text, "bank", document->bank);
    add_key(&text, "pcrs", document->pcrs);
    add_key(&text, "cap", document->cap);
    add_key(&text, "values", document->values);
    add_key(&text, "branches", document->branches);
    add_key(&text, "objects", document->objects);
    add_key(&text, "next", document->next);
    if (asprintf(&whole, "%s}", text) < 0)
        fail();
    free(text);
    return whole;
}

static int parse(const struct document *document, struct approval *ret)
{
    cleanup(free_ptr) char *text = document_text(document);
    cleanup(json_free) struct json_object *parsed = NULL;
    cleanup(approval_free) struct approval next = { 0 };
    struct json_view view = { .source = "token 3", .kind = ERROR_METADATA };
    bool has_next;

    assert_good(json_parse(text, &view, &parsed, &error), &error);
    return approval_from_json(&view, ret, &next, &has_next, &error);
}

/* Fails as metadata, names the token and what is wrong, and leaves the result empty. */
static void assert_refused(const struct document *document, const char *part)
{
    const struct approval empty = { 0 };
    struct approval approval = { 0 };

    assert_error(parse(document, &approval), &error, ERROR_METADATA, part);
    assert_non_null(strstr(error.text, "token 3"));
    assert_memory_equal(&approval, &empty, sizeof(empty));
}

static void refuse_branch(const char *branch, const char *part)
{
    cleanup(free_ptr) char *list = NULL, *next = NULL;
    struct document document = good;

    assert_true(asprintf(&list, "[%s,%s]", GOOD_AUTHORITY, branch) > 0);
    document.branches = list;
    assert_refused(&document, part);
    assert_non_null(strstr(error.text, "branch 1: "));

    /* the next list gets no more trust */
    assert_true(asprintf(&next, "{\"branches\":%s,\"objects\":[]}", list) > 0);
    document = good;
    document.next = next;
    assert_refused(&document, part);
    assert_non_null(strstr(error.text, "next: "));
}

static void the_good_document_is_good(void **state)
{
    cleanup(approval_free) struct approval approval = { 0 };

    (void)state;
    assert_good(parse(&good, &approval), &error);
    assert_int_equal(approval.branch_count, 3);
    assert_int_equal(approval.object_count, 1);
    assert_int_equal(approval.pcrs, 1u << 7 | 1u << 12);
    assert_int_equal(approval.branches[1].values.mask, 1u << 12);
}

static void empty_lists_are_read(void **state)
{
    cleanup(approval_free) struct approval approval = { 0 };
    struct document document = good;

    (void)state;
    document.branches = document.objects = document.values = "[]";
    assert_good(parse(&document, &approval), &error);
    assert_int_equal(approval.branch_count, 0);
}

static void missing_keys_are_named(void **state)
{
    static const size_t offsets[] = {
        offsetof(struct document, bank),   offsetof(struct document, pcrs),     offsetof(struct document, cap),
        offsetof(struct document, values), offsetof(struct document, branches), offsetof(struct document, objects),
        offsetof(struct document, next),
    };
    static const char *const names[] = { "bank", "pcrs", "cap", "values", "branches", "objects", "next" };

    (void)state;
    for (size_t i = 0; i < array_size(names); i++) {
        struct document document = good;
        char part[32];

        snprintf(part, sizeof(part), "\"%s\": missing", names[i]);
        *(const char **)((char *)&document + offsets[i]) = NULL;
        assert_refused(&document, part);
        snprintf(part, sizeof(part), "\"%s\": must be", names[i]);
        *(const char **)((char *)&document + offsets[i]) = "true";
        assert_refused(&document, part);
    }
}

static void other_banks_are_refused(void **state)
{
    static const char *const banks[] = { "\"sha1\"", "\"md5\"", "\"\"", "\"sha256 \"" };
    struct document document = good;

    (void)state;
    for (size_t i = 0; i < array_size(banks); i++) {
        document.bank = banks[i];
        assert_refused(&document, "\"bank\"");
    }
}

static void odd_selections_are_refused(void **state)
{
    static const char *const lists[] = { "[12,7]",
                                         "[7,7,12]",
                                         "[7,12,24]",
                                         "[-1,12]",
                                         "[7,\"12\"]",
                                         "[7,12.0]",
                                         "[7,12,99999999999999999999]",
                                         "[7,null]",
                                         "[0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24]" };
    struct document document = good;

    (void)state;
    for (size_t i = 0; i < array_size(lists); i++) {
        document.pcrs = lists[i];
        assert_refused(&document, "\"pcrs\"");
    }
    document.pcrs = "[]";
    assert_refused(&document, "12 is not in \"pcrs\"");
    document = good;
    document.cap = "9";
    assert_refused(&document, "9 is not in \"pcrs\"");
    document.cap = "24";
    assert_refused(&document, "\"cap\": 24");
    document.cap = "-1";
    assert_refused(&document, "\"cap\": -1");
}

static void odd_values_are_refused(void **state)
{
    static const char *const lists[] = {
        "[\"\"]",
        "[\"5dba2e10dba5299f3e128449006cf1a350343fcd096fd5417b8e36da0b2bbd1\"]",
        "[\"5dba2e10dba5299f3e128449006cf1a350343fcd096fd5417b8e36da0b2bbd1b00\"]",
        "[\"5dba2e10dba5299f3e128449006cf1a350343fcd096fd5417b8e36da0b2bbd1b\\u0000\"]",
        "[\"gdba2e10dba5299f3e128449006cf1a350343fcd096fd5417b8e36da0b2bbd1b\"]",
        "[7]",
        "[null]",
        "[" GOOD_VALUE ",[]]", /* also where no branch names it */
    };
    struct document document = good;

    (void)state;
    for (size_t i = 0; i < array_size(lists); i++) {
        document.values = lists[i];
        assert_refused(&document, "\"values\": element");
    }
}

static void places_out_of_range_are_refused(void **state)
{
    struct document document = good;

    (void)state;
    refuse_branch("{\"kind\":\"boot\",\"label\":\"a\",\"source\":\"measured\",\"values\":[0,1]}",
                  "\"values\": element 1");
    refuse_branch("{\"kind\":\"boot\",\"label\":\"a\",\"source\":\"measured\",\"values\":[-1,0]}",
                  "\"values\": element 0");
    refuse_branch("{\"kind\":\"boot\",\"label\":\"a\",\"source\":\"measured\",\"values\":[0,18446744073709551615]}",
                  "\"values\": element 1");
    refuse_branch("{\"kind\":\"boot\",\"label\":\"a\",\"source\":\"measured\",\"values\":[0,\"0\"]}",
                  "\"values\": element 1");
    refuse_branch("{\"kind\":\"boot\",\"label\":\"a\",\"source\":\"measured\",\"values\":[0,0.5]}",
                  "\"values\": element 1");
    refuse_branch("{\"kind\":\"suspend\",\"after\":1,\"until\":2,\"clock_ms\":null,\"value\":1}", "\"value\"");
    refuse_branch("{\"kind\":\"suspend\",\"after\":1,\"until\":2,\"clock_ms\":null,\"value\":-1}", "\"value\"");
    document.values = "[]";
    assert_refused(&document, "the list of values is empty");
    document.branches = "[" GOOD_SUSPEND "]";
    assert_refused(&document, "\"value\"");
}

static void wrong_counts_are_refused(void **state)
{
    (void)state;
    refuse_branch("{\"kind\":\"boot\",\"label\":\"a\",\"source\":\"measured\",\"values\":[0]}", "one element per PCR");
    refuse_branch("{\"kind\":\"boot\",\"label\":\"a\",\"source\":\"measured\",\"values\":[0,0,0]}",
                  "one element per PCR");
    refuse_branch("{\"kind\":\"boot\",\"label\":\"a\",\"source\":\"measured\",\"values\":[]}", "one element per PCR");
    refuse_branch("{\"kind\":\"boot\",\"label\":\"a\",\"source\":\"measured\",\"values\":["
                  "0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0]}",
                  "more than 24");
}

static void odd_branches_are_refused(void **state)
{
    struct document document = good;

    (void)state;
    refuse_branch("{}", "\"kind\": missing");
    refuse_branch("{\"kind\":\"shell\"}", "\"shell\" is unknown");
    refuse_branch("{\"kind\":\"\"}", "\"kind\"");
    refuse_branch("{\"kind\":\"a kind that is far too long\"}", "longer than");
    refuse_branch("{\"kind\":1}", "\"kind\": must be");
    refuse_branch("{\"kind\":\"boot\",\"label\":\"a\",\"source\":\"hearsay\",\"values\":[0,0]}", "\"hearsay\"");
    refuse_branch("{\"kind\":\"boot\",\"label\":\"a\",\"source\":\"measured\"}", "\"values\": missing");
    document.branches = "[7]";
    assert_refused(&document, "element 0 must be an object");
    document.branches = "{}";
    assert_refused(&document, "\"branches\": must be a list");
}

static void odd_suspensions_are_refused(void **state)
{
    (void)state;
    refuse_branch("{\"kind\":\"suspend\",\"until\":2,\"clock_ms\":null,\"value\":0}", "\"after\": missing");
    refuse_branch("{\"kind\":\"suspend\",\"after\":1,\"clock_ms\":null,\"value\":0}", "\"until\": missing");
    refuse_branch("{\"kind\":\"suspend\",\"after\":1,\"until\":2,\"value\":0}", "\"clock_ms\": missing");
    refuse_branch("{\"kind\":\"suspend\",\"after\":1,\"until\":2,\"clock_ms\":null}", "\"value\": missing");
    refuse_branch("{\"kind\":\"suspend\",\"after\":-1,\"until\":2,\"clock_ms\":null,\"value\":0}", "\"after\"");
    refuse_branch("{\"kind\":\"suspend\",\"after\":1,\"until\":4294967296,\"clock_ms\":null,\"value\":0}", "\"until\"");
    refuse_branch("{\"kind\":\"suspend\",\"after\":1,\"until\":2,\"clock_ms\":-1,\"value\":0}", "\"clock_ms\"");
    refuse_branch("{\"kind\":\"suspend\",\"after\":1,\"until\":2,\"clock_ms\":99999999999999999999,\"value\":0}",
                  "\"clock_ms\"");
    refuse_branch("{\"kind\":\"suspend\",\"after\":1,\"until\":2,\"clock_ms\":false,\"value\":0}", "\"clock_ms\"");
}

static void odd_authorities_are_refused(void **state)
{
    (void)state;
    refuse_branch("{\"kind\":\"authority\"}", "\"public\": missing");
    refuse_branch("{\"kind\":\"authority\",\"public\":\"\"}", "\"public\"");
    refuse_branch("{\"kind\":\"authority\",\"public\":\"AAAA\"}", "not the public area");
    refuse_branch("{\"kind\":\"authority\",\"public\":\"%%%%\"}", "base64");
    refuse_branch("{\"kind\":\"authority\",\"public\":"
                  "\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
                  "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"}",
                  "base64");
}

static void refuse_label(const char *label)
{
    cleanup(free_ptr) char *branch = NULL;

    assert_true(
        asprintf(&branch, "{\"kind\":\"boot\",\"label\":\"%s\",\"source\":\"measured\",\"values\":[0,0]}", label) > 0);
    refuse_branch(branch, "\"label\"");
}

static void labels_that_steer_a_terminal_are_refused(void **state)
{
    (void)state;
    refuse_label("\\u001b[2J");
    refuse_label("a\\nb");
    refuse_label("\\u007f");
    refuse_label("\\u009b2J");
    refuse_label("a\\u0000b");
    refuse_label("0123456789012345678901234567890123456789012345678901234567890123"); /* 64 bytes */
}

static void odd_origins_are_refused(void **state)
{
#define ORIGIN(text) "{\"kind\":\"boot\",\"label\":\"a\",\"source\":\"measured\",\"values\":[0,0]," text "}"
    (void)state;
    refuse_branch(ORIGIN("\"entry\":1"), "\"entry\"");
    refuse_branch(ORIGIN("\"entry\":\"a\\u001b[2J\""), "\"entry\"");
    refuse_branch(ORIGIN("\"entry\":\"0123456789012345678901234567890123456789012345678901234567890123\""),
                  "\"entry\"");
    refuse_branch(ORIGIN("\"approved_in\":\"1a2b3c4\""), "\"approved_in\"");
    refuse_branch(ORIGIN("\"approved_in\":\"1A2B3C4D\""), "\"approved_in\"");
    refuse_branch(ORIGIN("\"approved_in\":\"1a2b3c4d5\""), "\"approved_in\"");
    refuse_branch(ORIGIN("\"kept\":\"true\""), "\"kept\"");
}

static void odd_objects_are_refused(void **state)
{
    static const char *const lists[] = {
        "[\"\"]", "[\"000b\"]", "[1]", "[" GOOD_NAME ",{}]",
        "[\"000b7591168325ee4e53348662e67ddfe78704595cdbee277397afd26ff6fa8a95540\"]"
    };
    struct document document = good;

    (void)state;
    for (size_t i = 0; i < array_size(lists); i++) {
        document.objects = lists[i];
        assert_refused(&document, "\"objects\": element");
    }
}

static void odd_nexts_are_refused(void **state)
{
    struct document document = good;

    (void)state;
    document.next = "[]";
    assert_refused(&document, "\"next\": must be an object");
    document.next = "{}";
    assert_refused(&document, "\"branches\": missing");
    document.next = "{\"branches\":[]}";
    assert_refused(&document, "\"objects\": missing");
    document.next = "false";
    assert_refused(&document, "\"next\"");
}

/* `count` times the element, as a list. */
static char *repeat(const char *element, size_t count)
{
    size_t size = count * (strlen(element) + 1) + 2;
    char *text = malloc(size), *end = text;

    assert_non_null(text);
    *end++ = '[';
    for (size_t i = 0; i < count; i++)
        end += snprintf(end, size - (size_t)(end - text), "%s%s", i ? "," : "", element);
    *end++ = ']';
    *end = '\0';
    return text;
}

static void huge_lists_are_refused(void **state)
{
    cleanup(free_ptr) char *branches = repeat(GOOD_BOOT, APPROVAL_MAX_BRANCHES + 1);
    cleanup(free_ptr) char *objects = repeat(GOOD_NAME, APPROVAL_MAX_OBJECTS + 1);
    cleanup(free_ptr) char *values = repeat("0", 6145);
    struct document document = good;

    (void)state;
    document.branches = branches;
    assert_refused(&document, "more than 128");
    document = good;
    document.objects = objects;
    assert_refused(&document, "more than 64");
    document = good;
    document.values = values;
    assert_refused(&document, "more than 6144");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_good_document_is_good),       cmocka_unit_test(empty_lists_are_read),
        cmocka_unit_test(missing_keys_are_named),          cmocka_unit_test(other_banks_are_refused),
        cmocka_unit_test(odd_selections_are_refused),      cmocka_unit_test(odd_values_are_refused),
        cmocka_unit_test(places_out_of_range_are_refused), cmocka_unit_test(wrong_counts_are_refused),
        cmocka_unit_test(odd_branches_are_refused),        cmocka_unit_test(odd_suspensions_are_refused),
        cmocka_unit_test(odd_authorities_are_refused),     cmocka_unit_test(labels_that_steer_a_terminal_are_refused),
        cmocka_unit_test(odd_objects_are_refused),         cmocka_unit_test(odd_nexts_are_refused),
        cmocka_unit_test(huge_lists_are_refused),          cmocka_unit_test(odd_origins_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
