#include "policy/document.h"

#include "base/cleanup.h"

#include <ctype.h>

#define BIT(pcr) (1u << (pcr))

enum {
    PCR_KERNEL_IMAGE = 4,
    PCR_GRUB_COMMANDS = 8,
    PCR_FILES = 9,
    PCR_IMA = 10,
    PCR_UKI = 11,
    PCR_COMMAND_LINE = 12,
    PCR_EXTENSIONS = 13,
    PCR_MOK = 14,
    PCR_DEBUG = 16,
    PCR_APPLICATION = 23,
    CAP_FIRST = 8, /* 8 to 15 are the operating system's: PC Client Platform Firmware Profile, PCR usage */
    CAP_LAST = 15,
};

static const char *why_never(unsigned pcr)
{
    switch (pcr) {
    case PCR_IMA:
        return "the running kernel extends it (IMA), so no boot gives a value that can be known beforehand";
    case PCR_DEBUG:
    case PCR_APPLICATION:
        return "any program may reset it";
    default:
        return NULL;
    }
}

/* One number of a list; *list is moved behind it. */
static bool parse_pcr(const char **list, unsigned *ret)
{
    const char *digit = *list;
    unsigned pcr = 0;

    for (; isdigit((unsigned char)*digit) && pcr < PCR_COUNT; digit++)
        pcr = 10 * pcr + (unsigned)(*digit - '0');
    if (digit == *list || pcr >= PCR_COUNT || (**list == '0' && digit - *list > 1))
        return false;
    *list = digit;
    *ret = pcr;
    return true;
}

int policy_pcrs_parse(const char *list, uint32_t *ret_mask, struct error *error)
{
    const char *rest = list;
    uint32_t mask = 0;
    unsigned pcr;

    for (;; rest++) {
        if (!parse_pcr(&rest, &pcr) || (*rest != ',' && *rest != '\0')) {
            error_set(error, ERROR_USAGE, "\"%.80s\" is not a list of PCR numbers from 0 to %d", list, PCR_COUNT - 1);
            return error_remedy(error, "write the numbers with commas between them, as in 4,7,9,12");
        }
        if (mask & BIT(pcr))
            return error_set(error, ERROR_USAGE, "\"%.80s\" has PCR %u twice", list, pcr);
        mask |= BIT(pcr);
        if (*rest == '\0')
            break;
    }
    *ret_mask = mask;
    return 0;
}

static int check_bank(enum hash_algorithm bank, const char *source, struct error *error)
{
    if (bank == HASH_SHA1)
        return error_set(error, ERROR_USAGE,
                         "%s: \"bank\": sha1 is refused: two boot components with the same SHA-1 can be made, and one "
                         "be shown while the other runs",
                         source);
    if (hash_size(bank) < DIGEST_BYTES)
        return error_set(error, ERROR_USAGE, "%s: \"bank\": must be sha256, sha384 or sha512", source);
    return 0;
}

static int check_pcrs(uint32_t pcrs, const char *source, struct error *error)
{
    if (pcrs == 0)
        return error_set(error, ERROR_USAGE, "%s: \"pcrs\": must name one PCR at least", source);
    if (pcrs >> PCR_COUNT != 0)
        return error_set(error, ERROR_USAGE, "%s: \"pcrs\": must be PCR numbers from 0 to %d", source, PCR_COUNT - 1);
    for (unsigned pcr = 0; pcr < PCR_COUNT; pcr++)
        if (pcrs & BIT(pcr) && why_never(pcr))
            return error_set(error, ERROR_USAGE, "%s: \"pcrs\": PCR %u is refused: %s", source, pcr, why_never(pcr));
    return 0;
}

int policy_document_check(const struct policy_document *document, const char *source, struct error *error)
{
    unsigned cap = document->cap;
    int r = check_bank(document->bank, source, error);

    r = r ? r : check_pcrs(document->pcrs, source, error);
    if (r)
        return r;
    if (cap < CAP_FIRST || cap > CAP_LAST || cap == PCR_IMA)
        return error_set(error, ERROR_USAGE, "%s: \"cap\": must be a PCR from %d to %d, not %d; it is %u", source,
                         CAP_FIRST, CAP_LAST, PCR_IMA, cap);
    if (!(document->pcrs & BIT(cap))) {
        error_set(error, ERROR_USAGE, "%s: \"cap\": PCR %u is not in \"pcrs\"; without it the cap protects nothing",
                  source, cap);
        return error_remedy(error, "add PCR %u to the selection, or make one of its PCRs the cap", cap);
    }
    return 0;
}

/* Zero in these says that no credential, extension or owner key was added; the cap is there to be extended later. */
static uint32_t may_be_reset(const struct policy_document *document)
{
    return BIT(PCR_COMMAND_LINE) | BIT(PCR_EXTENSIONS) | BIT(PCR_MOK) | BIT(document->cap % PCR_COUNT);
}

static int check_measured(const struct policy_document *document, const struct pcr_values *values, struct error *error)
{
    const char *bank = hash_name(document->bank);
    char list[PCR_LIST_TEXT];
    uint32_t unmeasured = 0, unknown = document->pcrs & ~values->mask;

    if (values->bank != document->bank || unknown != 0) {
        pcr_mask_format(values->bank != document->bank ? document->pcrs : unknown, list);
        return error_set(error, ERROR_REFUSED, "the boot state has no value in bank %s for PCR %s", bank, list);
    }
    for (unsigned pcr = 0; pcr < PCR_COUNT; pcr++)
        if (document->pcrs & ~may_be_reset(document) & BIT(pcr) && pcr_value_is_reset(values, pcr))
            unmeasured |= BIT(pcr);
    if (unmeasured == 0)
        return 0;
    pcr_mask_format(unmeasured, list);
    error_set(error, ERROR_REFUSED,
              "nothing in this boot was measured into PCR %s of bank %s: binding to it would "
              "protect nothing",
              list, bank);
    return error_remedy(error, "choose the policy of this machine's boot chain with --policy, or PCRs and "
                               "a bank that its firmware measures into");
}

int policy_document_check_values(const struct policy_document *document, const struct pcr_values *values, bool has_pin,
                                 struct error *error)
{
    const uint32_t components = BIT(PCR_KERNEL_IMAGE) | BIT(PCR_GRUB_COMMANDS) | BIT(PCR_FILES) | BIT(PCR_UKI);
    bool grub = values->mask & BIT(PCR_GRUB_COMMANDS) && !pcr_value_is_reset(values, PCR_GRUB_COMMANDS);
    int r = check_measured(document, values, error);

    if (r || (document->pcrs & components) != 0 || (has_pin && !grub))
        return r;
    if (grub) {
        error_set(error, ERROR_REFUSED,
                  "the policy covers neither kernel nor initrd (none of PCR 4, 8, 9, 11), and "
                  "GRUB, which started this machine, lets anyone change the command line");
        return error_remedy(error, "use the policy \"grub\"");
    }
    error_set(error, ERROR_REFUSED,
              "the policy covers neither kernel nor initrd (none of PCR 4, 8, 9, 11), and there "
              "is no PIN");
    return error_remedy(error, "set a PIN, or use the policy of this machine's boot chain");
}
