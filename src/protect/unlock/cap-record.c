#include "protect/unlock/cap-record.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "protect/unlock/cap.h"
#include "protect/unlock/tpm-device.h"

#include <string.h>

#define WORD_MAX_BYTES 16

static const char *const words[] = { [CAP_DONE] = "done\n", [CAP_NONE] = "none\n", [CAP_SILENT] = "silent\n" };

enum cap_record cap_record_read(const char *run)
{
    cleanup(free_ptr) char *path = file_path(run, CAP_RECORD_NAME);
    cleanup(free_ptr) char *word = NULL;
    struct error ignored;

    if (!path || !file_exists(path) || file_read(path, WORD_MAX_BYTES, &word, NULL, &ignored))
        return CAP_OWED;
    for (size_t i = CAP_DONE; i < array_size(words); i++)
        if (strcmp(word, words[i]) == 0)
            return (enum cap_record)i;
    return CAP_OWED;
}

int cap_record_write(const char *run, enum cap_record record, struct error *error)
{
    cleanup(free_ptr) char *path = file_path(run, CAP_RECORD_NAME);
    int r = path ? 0 : error_no_memory(error);

    if (!r && record == CAP_OWED)
        return file_exists(path) ? file_remove(path, error) : 0;
    if (!r)
        r = file_make_folder(run, 0700, error);
    return r ? r : file_write(path, words[record], strlen(words[record]), 0600, error);
}

enum cap_record cap_record_decide(const struct cap_facts *facts)
{
    if (facts->capped)
        return CAP_DONE;
    if (!facts->announced)
        return CAP_NONE;
    if (facts->answered)
        return CAP_OWED;
    if (!facts->pinned)
        return CAP_NONE;
    return facts->whole_boot ? CAP_SILENT : CAP_OWED;
}

int cap_apply_again(const char *tcti, const struct pins *pins, struct tpm **tpm, struct error *error)
{
    struct error ignored;

    if (*tpm && !cap_apply(*tpm, pins->bank, pins->cap, NULL, &ignored))
        return 0;
    tpm_close(tpm);
    if (tpm_device_open(tcti, clock_now_ms(), tpm, error))
        return (int)error->kind;
    if (!*tpm)
        return error_set(error, ERROR_TPM, "the TPM is gone");
    return cap_apply(*tpm, pins->bank, pins->cap, NULL, error);
}

bool cap_tpm_answers(struct tpm *tpm, const struct pins *pins)
{
    struct pcr_values ignored_values;
    struct error ignored;

    return tpm && tpm_pcr_read(tpm, pins->bank, 1u << pins->cap, &ignored_values, &ignored) == 0;
}

int cap_pins_read(const char *path, struct pins *ret, struct error *error)
{
    int r = file_exists(path) ? pins_read(path, ret, error) : 0;

    if (r || !file_exists(path))
        *ret = (struct pins){ .bank = HASH_SHA256, .cap = CAP_DEFAULT_PCR };
    return r;
}

/* Without pins nobody has named a bank: the first active one serves to read the cap back. */
static void choose_bank(struct tpm *tpm, struct pins *pins)
{
    static const enum hash_algorithm banks[] = { HASH_SHA256, HASH_SHA384, HASH_SHA512, HASH_SHA1 };
    struct error ignored;

    for (size_t i = 0; pins->volume_count == 0 && i < array_size(banks); i++) {
        uint32_t mask;

        if (tpm_bank_read(tpm, banks[i], &mask, &ignored) || !(mask & 1u << pins->cap))
            continue;
        pins->bank = banks[i];
        return;
    }
}

/* Asks the TPM. *error tells what went wrong, if anything did. */
static struct cap_facts try_cap(const struct cap_request *request, struct pins *pins, struct error *error)
{
    cleanup(tpm_close) struct tpm *tpm = NULL;
    int r = tpm_device_open(request->tcti, clock_now_ms() + request->wait_s * 1000ull, &tpm, error);
    struct cap_facts facts = { .announced = r || tpm };

    if (tpm) {
        choose_bank(tpm, pins);
        facts.capped = cap_apply_again(request->tcti, pins, &tpm, error) == 0;
        facts.answered = facts.capped || cap_tpm_answers(tpm, pins);
    }
    return facts;
}

int cap_now(const struct cap_request *request, struct error *error)
{
    cleanup(free_ptr) struct pins *pins = calloc(1, sizeof(*pins));
    enum cap_record before = request->run ? cap_record_read(request->run) : CAP_OWED, now;
    struct error ignored, written;
    struct cap_facts facts;
    bool damaged;

    if (!pins)
        return error_no_memory(error);
    if (before == CAP_DONE)
        return 0;
    damaged = cap_pins_read(request->pins_path, pins, &ignored);
    facts = try_cap(request, pins, error);
    facts.pinned = damaged || pins->volume_count > 0;
    now = cap_record_decide(&facts);
    /* a TPM that is silent still does not undo what --all knows; one that answers and is not capped does */
    if (request->run && (now != CAP_OWED || before != CAP_SILENT || facts.answered) &&
        cap_record_write(request->run, now, &written)) {
        *error = written;
        return (int)written.kind;
    }
    return now == CAP_DONE || now == CAP_NONE ? 0 : error_rekind(error, ERROR_TPM);
}
