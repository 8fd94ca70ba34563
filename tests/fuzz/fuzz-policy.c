/* The policy document; the second part is what somebody gives for --pcrs, the third a new PIN. */
#include "fuzz.h"

#include "base/cleanup.h"
#include "policy/document.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct span parts[3];
    cleanup(free_ptr) char *text = NULL;
    cleanup(free_ptr) char *list = NULL;
    cleanup(secret_free) struct secret pin = { 0 };
    struct policy_document document = policy_document_default();
    struct pcr_values values = { .bank = HASH_SHA256 };
    struct error error;
    uint32_t mask;
    int r;

    fuzz_split(bytes, size, parts, 3);
    text = fuzz_text(parts[0]);
    list = fuzz_text(parts[1]);
    r = policy_document_parse(text, "policy.json", &document, &error);
    fuzz_require_told(r, &error);
    if (!r) {
        fuzz_require(document.pcrs & 1u << document.cap);
        fuzz_require(document.pin.min_length <= document.pin.max_length && document.pin.max_length <= PIN_MAX_BYTES);
        values.mask = document.pcrs;
        values.bank = document.bank;
        fuzz_require_told(policy_document_check_values(&document, &values, true, &error), &error);
    } else {
        document = policy_document_default();
    }
    r = policy_pcrs_parse(list, &mask, &error);
    fuzz_require_told(r, &error);
    fuzz_require(r || mask < 1u << PCR_COUNT);
    fuzz_require(!secret_copy(&pin, parts[2].bytes, parts[2].size, &error));
    fuzz_require_told(policy_pin_check(&document.pin, &pin, &error), &error);
    return 0;
}
