/* What somebody types for a recovery key. */
#include "fuzz.h"

#include "base/cleanup.h"
#include "base/recovery-key-text.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    cleanup(secret_free) struct secret typed = { 0 };
    cleanup(secret_free) struct secret key = { 0 };
    cleanup(secret_free) struct secret again = { 0 };
    struct error error;
    int r;

    fuzz_require(!secret_copy(&typed, bytes, size, &error));
    (void)recovery_key_has_form(&typed);
    r = recovery_key_parse(&typed, &key, &error);
    fuzz_require_told(r, &error);
    if (!r) {
        fuzz_require(key.size == RECOVERY_KEY_TEXT_SIZE && recovery_key_has_form(&typed));
        fuzz_require(!recovery_key_parse(&key, &again, &error) && secret_equal(&key, &again));
    }
    if (size >= RECOVERY_KEY_BYTES) {
        secret_free(&key);
        secret_free(&again);
        fuzz_require(!recovery_key_format(bytes, &key, &error));
        fuzz_require(!recovery_key_parse(&key, &again, &error) && secret_equal(&key, &again));
    }
    return 0;
}
