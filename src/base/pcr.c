#include "base/pcr.h"

#include <stdio.h>
#include <string.h>

void pcr_mask_format(uint32_t mask, char ret[PCR_LIST_TEXT])
{
    size_t length = 0;

    ret[0] = '\0';
    for (unsigned i = 0; i < PCR_COUNT; i++)
        if (mask & (1u << i))
            length += (size_t)snprintf(ret + length, PCR_LIST_TEXT - length, "%s%u", length ? ", " : "", i);
}

bool pcr_value_is_reset(const struct pcr_values *values, unsigned pcr)
{
    const uint8_t *value = values->value[pcr];
    size_t size = hash_size(values->bank);

    if (size == 0 || (value[0] != 0x00 && value[0] != 0xff))
        return false;
    for (size_t i = 1; i < size; i++)
        if (value[i] != value[0])
            return false;
    return true;
}

uint32_t pcr_values_differ(const struct pcr_values *a, const struct pcr_values *b, uint32_t mask)
{
    uint32_t differ = mask & ~(a->mask & b->mask);

    for (unsigned i = 0; i < PCR_COUNT; i++)
        if (mask & a->mask & b->mask & (1u << i) && memcmp(a->value[i], b->value[i], hash_size(a->bank)) != 0)
            differ |= 1u << i;
    return differ;
}

int pcr_extend(struct pcr_values *values, unsigned pcr, const void *event, size_t size, struct error *error)
{
    uint8_t digest[HASH_MAX_BYTES];
    const struct span parts[] = {
        { values->value[pcr], hash_size(values->bank) },
        { digest, hash_size(values->bank) },
    };
    int r = hash_compute(values->bank, &(struct span){ event, size }, 1, digest, error);

    return r ? r : hash_compute(values->bank, parts, 2, values->value[pcr], error);
}

const char *pcr_meaning(unsigned pcr)
{
    static const char *const meanings[PCR_COUNT] = {
        [0] = "the firmware",
        [1] = "the firmware's configuration",
        [2] = "firmware of add-in cards",
        [3] = "the configuration of add-in cards",
        [4] = "the boot loader or kernel image",
        [5] = "the partition table or boot loader configuration",
        [6] = "the platform's maker",
        [7] = "Secure Boot: switched off, or other keys",
        [8] = "GRUB's commands or the kernel command line",
        [9] = "the initrd, kernel or GRUB configuration files",
        [10] = "the kernel's integrity measurements",
        [11] = "the unified kernel image",
        [12] = "the kernel command line, credentials, or the cap: the boot was over already",
        [13] = "system extensions",
        [14] = "shim's machine owner keys",
        [15] = "the system's identity",
        [16] = "debugging",
        [23] = "an application",
    };

    return pcr < PCR_COUNT && meanings[pcr] ? meanings[pcr] : "a part of the platform";
}
