#include "bench.h"
#include "tpm/internal.h"

#include <ctype.h>
#include <string.h>

static void test_success_is_no_error(void **state)
{
    struct error error = { .kind = ERROR_NONE };

    (void)state;
    assert_int_equal(tpm_outcome(TSS2_RC_SUCCESS, TPM2_CC_Unseal, "TPM2_Unseal", &error), 0);
    assert_int_equal(error.kind, ERROR_NONE);
}

static void expect(TSS2_RC rc, TPM2_CC command, enum error_kind kind, unsigned code)
{
    struct error error;

    assert_int_equal(tpm_outcome(rc, command, "TPM2_Something", &error), kind);
    assert_int_equal(error.kind, kind);
    assert_int_equal(error.tpm_code, code);
}

static void test_kinds(void **state)
{
    (void)state;
    expect(TPM_CODE_WRONG_AUTH, TPM2_CC_Unseal, ERROR_WRONG_PIN, TPM_CODE_WRONG_AUTH);
    expect(TPM_CODE_WRONG_AUTH, TPM2_CC_DictionaryAttackLockReset, ERROR_TPM, TPM_CODE_WRONG_AUTH);
    expect(TPM_CODE_LOCKOUT, TPM2_CC_Unseal, ERROR_LOCKOUT, TPM_CODE_LOCKOUT);
    expect(TPM_CODE_LOCKOUT, TPM2_CC_DictionaryAttackLockReset, ERROR_TPM, TPM_CODE_LOCKOUT);
    expect(TPM_CODE_PCR_CHANGED, TPM2_CC_Unseal, ERROR_MISMATCH, TPM_CODE_PCR_CHANGED);
    expect(TPM_CODE_OR_MISMATCH, TPM2_CC_PolicyOR, ERROR_MISMATCH, TPM_CODE_OR_MISMATCH);
    expect(TPM_CODE_OR_MISMATCH, TPM2_CC_Load, ERROR_TPM, TPM_CODE_OR_MISMATCH);
    expect(TPM_CODE_STALE_LIST, TPM2_CC_PolicyAuthorizeNV, ERROR_MISMATCH, TPM_CODE_STALE_LIST);
    expect(TPM_CODE_STALE_LIST, TPM2_CC_Load, ERROR_TPM, TPM_CODE_STALE_LIST);
    expect(TPM_CODE_INTEGRITY, TPM2_CC_Load, ERROR_TPM, TPM_CODE_INTEGRITY);
    expect(TPM_CODE_POLICY_FAIL, TPM2_CC_Unseal, ERROR_MISMATCH, TPM_CODE_POLICY_FAIL);
    expect(TPM2_RC_FAILURE, TPM2_CC_Load, ERROR_TPM, TPM2_RC_FAILURE);
}

static void test_resource_managers_layer_is_no_matter(void **state)
{
    (void)state;
    expect(TSS2_RESMGR_RC_LAYER | TPM2_RC_COMMAND_CODE, TPM2_CC_Load, ERROR_TPM, TPM2_RC_COMMAND_CODE);
    expect(TSS2_RESMGR_TPM_RC_LAYER | TPM_CODE_LOCKOUT, TPM2_CC_Unseal, ERROR_LOCKOUT, TPM_CODE_LOCKOUT);
}

static void test_library_errors_have_no_tpm_code(void **state)
{
    (void)state;
    expect(TSS2_ESYS_RC_RSP_AUTH_FAILED, TPM2_CC_Unseal, ERROR_TPM, 0);
    expect(TSS2_TCTI_RC_IO_ERROR, TPM2_CC_Unseal, ERROR_TPM, 0);
    expect(TSS2_ESYS_RC_MEMORY, TPM2_CC_Unseal, ERROR_FAILED, 0);
    expect(TSS2_SYS_RC_BAD_VALUE, TPM2_CC_Unseal, ERROR_TPM, 0);
}

/* Whatever a TPM answers: words, one line, and a code that callers can look at. */
static void test_every_code_has_words(void **state)
{
    struct error error;

    (void)state;
    for (TSS2_RC rc = 1; rc < 0x1000; rc++) {
        unsigned letters = 0;

        assert_int_not_equal(tpm_outcome(rc, TPM2_CC_Load, "TPM2_Load", &error), 0);
        assert_int_equal(error.tpm_code, rc);
        assert_true(strncmp(error.text, "0x", 2) != 0);
        assert_null(strchr(error.text, '\n'));
        for (const char *p = error.text; *p; p++)
            letters += isalpha((unsigned char)*p) != 0;
        assert_true(letters > 8);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_success_is_no_error),
        cmocka_unit_test(test_kinds),
        cmocka_unit_test(test_resource_managers_layer_is_no_matter),
        cmocka_unit_test(test_library_errors_have_no_tpm_code),
        cmocka_unit_test(test_every_code_has_words),
    };

    return cmocka_run_group_tests_name("response", tests, NULL, NULL);
}
