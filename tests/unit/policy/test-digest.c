/* The expected digests were read from trial sessions of a software TPM with the same PCR values and parameters. */
#include "sample.h"

#include "policy/digest.h"

#define PCR_POLICY "a538089fbb36853f553d280e638439da470ff3936bdd2f16933c78fd82a2ff74"
#define PCR_23_POLICY "3c87a4b3fb85ebeea58c5fb36ac22d3f280cec27a9f6dd0fa23be9ce560deec8"

static struct error error;

static struct digest from_hex(const char *text)
{
    struct digest digest;

    assert_true(hex_decode(text, digest.bytes, DIGEST_BYTES));
    return digest;
}

static void assert_policy(const struct digest *policy, const char *expected)
{
    assert_hex(policy->bytes, DIGEST_BYTES, expected);
}

static void pcr_is_the_tpms(void **state)
{
    struct pcr_values values = sample_values(HASH_SHA256, SAMPLE_PCRS);
    struct digest policy = { 0 };

    (void)state;
    assert_good(policy_digest_pcr(&policy, &values, SAMPLE_PCRS, &error), &error);
    assert_policy(&policy, PCR_POLICY);

    /* the last PCR, never extended */
    policy = (struct digest){ 0 };
    assert_good(
        policy_digest_pcr(&policy, &(struct pcr_values){ .bank = HASH_SHA256, .mask = 1u << 23 }, 1u << 23, &error),
        &error);
    assert_policy(&policy, PCR_23_POLICY);
}

static void pcr_uses_only_what_is_selected(void **state)
{
    struct pcr_values values = sample_values(HASH_SHA256, SAMPLE_PCRS | 1u << 9);
    struct digest policy = { 0 };

    (void)state;
    assert_good(policy_digest_pcr(&policy, &values, SAMPLE_PCRS, &error), &error);
    assert_policy(&policy, PCR_POLICY);
}

static void pcr_of_another_bank_is_the_tpms(void **state)
{
    struct pcr_values values = sample_values(HASH_SHA384, 1u << 12);
    struct digest policy = { 0 };

    (void)state;
    values.mask |= 1u << 0; /* never extended */
    assert_good(policy_digest_pcr(&policy, &values, 1u << 0 | 1u << 12, &error), &error);
    assert_policy(&policy, "3b6e1767627c6dbc9ec4d05e69ce9052ecd4faf19246ba5cd55c6cd56ddb2dc0");
}

static void pcr_refuses_what_it_cannot_know(void **state)
{
    struct pcr_values values = sample_values(HASH_SHA256, SAMPLE_PCRS);
    struct digest policy = { 0 };

    (void)state;
    assert_error(policy_digest_pcr(&policy, &values, SAMPLE_PCRS | 1u << 9, &error), &error, ERROR_FAILED, "each PCR");
    assert_error(policy_digest_pcr(&policy, &values, 0, &error), &error, ERROR_FAILED, "each PCR");
    values.mask = UINT32_MAX;
    assert_error(policy_digest_pcr(&policy, &values, 1u << 24, &error), &error, ERROR_FAILED, "each PCR");
    values.bank = (enum hash_algorithm)0;
    assert_error(policy_digest_pcr(&policy, &values, SAMPLE_PCRS, &error), &error, ERROR_FAILED, "each PCR");
    assert_policy(&policy, "0000000000000000000000000000000000000000000000000000000000000000");
}

static void or_is_the_tpms(void **state)
{
    const struct digest a = from_hex(PCR_POLICY), b = from_hex(PCR_23_POLICY);
    const struct digest list[] = { a, b, a, b, a, b, a, b };
    struct digest policy = { 0 };

    (void)state;
    assert_good(policy_digest_or(&policy, list, 2, &error), &error);
    assert_policy(&policy, "f045843626d10156d4015242821e2cefd463eab7634e758ae0cf32ec31c56b2f");

    /* what came before is forgotten */
    policy = a;
    assert_good(policy_digest_or(&policy, list, 8, &error), &error);
    assert_policy(&policy, "f97d885c8bd08e470d21aaa54acf9f7696d7918bf4c61e58ad07e5a70430ab57");
}

static void or_takes_two_to_eight(void **state)
{
    const struct digest list[9] = { 0 };
    struct digest policy;

    (void)state;
    assert_error(policy_digest_or(&policy, list, 0, &error), &error, ERROR_FAILED, "not 0");
    assert_error(policy_digest_or(&policy, list, 1, &error), &error, ERROR_FAILED, "not 1");
    assert_error(policy_digest_or(&policy, list, 9, &error), &error, ERROR_FAILED, "not 9");
}

static void signed_is_the_tpms(void **state)
{
    const struct authority_public public = sample_authority();
    struct digest policy = { 0 };
    struct object_name name;

    (void)state;
    assert_good(authority_name(&public, &name, &error), &error);
    assert_good(policy_digest_signed(&policy, &name, authority_policy_ref(AUTHORITY_ADMIN), &error), &error);
    assert_policy(&policy, "6ba4a6f1e722780a68a68bb4381b9bd7f030ce11c919129c7f9905980be0cb26");

    policy = from_hex(PCR_POLICY);
    assert_good(policy_digest_signed(&policy, &name, authority_policy_ref(AUTHORITY_APPROVE), &error), &error);
    assert_policy(&policy, "d14547e42978c9f7995b137ad5a917d9191a7f6753ee175fb9e4d47742fb9577");
}

static void cp_hash_is_the_tpms(void **state)
{
    struct digest policy = { 0 }, cp_hash;
    struct object_name name;

    (void)state;
    assert_good(object_name_compute(&name, "object", 6, &error), &error);
    assert_good(policy_unseal_cp_hash(&name, &cp_hash, &error), &error);
    assert_policy(&cp_hash, "64a80fdabb95f9e37c554100bdfe7994e280ac5b80dffb733ba9c700714c4202");
    assert_good(policy_digest_cp_hash(&policy, &cp_hash, &error), &error);
    assert_policy(&policy, "c85aeec680aa41e867cbc2f1cce53087dbebd3203e1126e8aa37f263fb73b4e5");
}

/* As tpm2_unseal --cphash gave it for an object that tpm2_create had made. */
static void unseal_cp_hash_is_the_tools(void **state)
{
    struct object_name name;
    struct digest cp_hash;

    (void)state;
    assert_true(
        hex_decode("000bbce8b85cb3fbefe3e333261685269f3f584f3b579010cfd3de24dcf91bca8c2d", name.bytes, NAME_BYTES));
    assert_good(policy_unseal_cp_hash(&name, &cp_hash, &error), &error);
    assert_policy(&cp_hash, "6c36af942c30699fe62170e4a8d86bfa17731e021731c78724d3a3b12df2c171");
}

static void authorize_nv_is_the_tpms(void **state)
{
    struct digest policy = from_hex(PCR_POLICY); /* forgotten, as in PolicyOR */
    struct object_name index;

    (void)state;
    assert_true(
        hex_decode("000bcf247692b89ec14596fee153505849834094fef01bf47a5b13e2a13d72153923", index.bytes, NAME_BYTES));
    assert_good(policy_digest_authorize_nv(&policy, &index, &error), &error);
    assert_policy(&policy, "a5c3aff22c3ac49cacfbedb04d58fa0fb36ed906f7ec1abaee5ebe8b7e8aa7a7");
}

static void auth_value_is_the_tpms(void **state)
{
    struct pcr_values values = sample_values(HASH_SHA256, SAMPLE_PCRS);
    struct digest policy = { 0 };

    (void)state;
    assert_good(policy_digest_auth_value(&policy, &error), &error);
    assert_policy(&policy, "8fcd2169ab92694e0c633f1ab772842b8241bbc20288981fc7ac1eddc1fddb0e");
    assert_good(policy_digest_pcr(&policy, &values, SAMPLE_PCRS, &error), &error);
    assert_policy(&policy, "5f627487e0073b7f758d1915f5a058b900949b3bb4dc3f805c0b16cba7b636f8");
}

static void counter_timer_is_the_tpms(void **state)
{
    struct digest policy = { 0 };

    (void)state;
    assert_good(policy_digest_counter_timer(&policy, 40, 4, POLICY_TIME_RESET_COUNT, POLICY_UNSIGNED_GREATER, &error),
                &error);
    assert_policy(&policy, "ed68da50579f574adc7aaec9f5f1c07db106b912030b1c87d338835fe2214d0d");
    assert_good(
        policy_digest_counter_timer(&policy, 41, 4, POLICY_TIME_RESET_COUNT, POLICY_UNSIGNED_LESS_OR_EQUAL, &error),
        &error);
    assert_policy(&policy, "3d4a3dc631e0a5d61135f106312d76aeb4200d59bcc55185b2bfe7391325ca7e");
    assert_good(policy_digest_counter_timer(&policy, 0, 4, POLICY_TIME_RESTART_COUNT, POLICY_EQUAL, &error), &error);
    assert_policy(&policy, "3f9f4b34b6ad49aa454c7ca4e2e1d70e70a5338d552361edcce381852fd3ef40");
    assert_good(
        policy_digest_counter_timer(&policy, 7200000, 8, POLICY_TIME_CLOCK, POLICY_UNSIGNED_LESS_OR_EQUAL, &error),
        &error);
    assert_policy(&policy, "9d8393cc78622f3b2bc29c8972afe522bffac1b9ca8423899c303bec7cc8f00d");
}

static void counter_timer_refuses_other_sizes(void **state)
{
    struct digest policy = { 0 };

    (void)state;
    for (size_t size = 0; size < 10; size++)
        if (size != 4 && size != 8)
            assert_int_equal(policy_digest_counter_timer(&policy, 1, size, 16, POLICY_EQUAL, &error), ERROR_FAILED);
    /* an operand that does not fit is not cut */
    assert_int_equal(policy_digest_counter_timer(&policy, 1ull << 32, 4, 16, POLICY_EQUAL, &error), ERROR_FAILED);
    assert_good(policy_digest_counter_timer(&policy, UINT32_MAX, 4, 16, POLICY_EQUAL, &error), &error);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pcr_is_the_tpms),
        cmocka_unit_test(pcr_uses_only_what_is_selected),
        cmocka_unit_test(pcr_of_another_bank_is_the_tpms),
        cmocka_unit_test(pcr_refuses_what_it_cannot_know),
        cmocka_unit_test(or_is_the_tpms),
        cmocka_unit_test(or_takes_two_to_eight),
        cmocka_unit_test(signed_is_the_tpms),
        cmocka_unit_test(cp_hash_is_the_tpms),
        cmocka_unit_test(unseal_cp_hash_is_the_tools),
        cmocka_unit_test(authorize_nv_is_the_tpms),
        cmocka_unit_test(auth_value_is_the_tpms),
        cmocka_unit_test(counter_timer_is_the_tpms),
        cmocka_unit_test(counter_timer_refuses_other_sizes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
