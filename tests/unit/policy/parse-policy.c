/*
 * usage: parse-policy FILE…
 * For each file one line: the document with all its defaults as JSON, or "refused: " and why. For test-documents.
 */
#include "base/json.h"
#include "policy/document.h"

#include <inttypes.h>
#include <stdio.h>

static void print_document(const struct policy_document *document)
{
    const char *separator = "";

    printf("{\"version\": 1, \"bank\": \"%s\", \"pcrs\": [", hash_name(document->bank));
    for (unsigned i = 0; i < PCR_COUNT; i++) {
        if (!(document->pcrs & (1u << i)))
            continue;
        printf("%s%u", separator, i);
        separator = ", ";
    }
    printf("], \"cap\": %u, \"tries\": %u, \"root\": \"%s\", ", document->cap, document->tries,
           document->any_root ? "any" : "pinned");
    printf("\"on_failure\": \"%s\", \"after_recovery\": \"%s\", ",
           ((const char *const[]){ "warn", "fail", "suspend" })[document->on_failure],
           document->reseal_after_recovery ? "reseal" : "advise");
    printf("\"pin\": {\"min_length\": %u, \"max_length\": %u, \"characters\": \"%s\", \"allow_simple\": %s}, ",
           document->pin.min_length, document->pin.max_length, document->pin.digits_only ? "digits" : "any",
           document->pin.allow_simple ? "true" : "false");
    printf("\"kdf\": {\"memory_kib\": %" PRIu32 ", \"time_ms\": %" PRIu32 ", \"floor_memory_kib\": %" PRIu32
           ", \"floor_iterations\": %" PRIu32 "}, ",
           document->kdf.memory_kib, document->kdf.time_ms, document->kdf.floor_memory_kib,
           document->kdf.floor_iterations);
    printf("\"lockout\": {\"max_tries\": %" PRIu32 ", \"recovery_s\": %" PRIu32 ", \"lockout_recovery_s\": %" PRIu32
           "}}\n",
           document->lockout.max_tries, document->lockout.recovery_s, document->lockout.lockout_recovery_s);
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        struct policy_document document;
        struct error error;

        if (policy_document_read("", argv[i], &document, &error))
            printf("refused: %s\n", error.text);
        else
            print_document(&document);
    }
    return 0;
}
