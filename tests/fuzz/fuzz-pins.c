/* pins.json; the second part is a crypttab that has options for the pinned volumes. */
#include "fuzz.h"

#include "base/cleanup.h"
#include "protect/unlock/crypttab.h"
#include "protect/unlock/pins.h"

#include <string.h>

static void try_crypttab(const char *text, const struct pins *pins)
{
    struct crypttab_entry entry;
    struct crypttab_row row;
    struct error error;

    for (size_t i = 0; i < pins->volume_count; i++)
        fuzz_require_told(crypttab_parse(text, &pins->volumes[i], &entry, &error), &error);
    while (crypttab_next(&text, &row))
        fuzz_require(memchr(row.name, '\0', sizeof(row.name)) && memchr(row.source, '\0', sizeof(row.source)));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static struct pins pins, again;
    cleanup(free_ptr) char *crypttab = NULL;
    struct span parts[2];
    char path[FUZZ_PATH];
    struct error error;
    int r;

    fuzz_split(bytes, size, parts, 2);
    crypttab = fuzz_text(parts[1]);
    r = pins_read(fuzz_file(parts[0]), &pins, &error);
    fuzz_require_told(r, &error);
    if (r)
        return 0;
    fuzz_require(pins.volume_count <= PINS_MAX_VOLUMES && pins.cap < PCR_COUNT && pins.tries > 0);
    fuzz_require(!entity_check(&pins.srk, &error) && !entity_check(&pins.index, &error));
    fuzz_path("pins.json", path);
    fuzz_require(!pins_write(path, &pins, &error));
    fuzz_require(!pins_read(path, &again, &error));
    fuzz_require(again.volume_count == pins.volume_count && object_name_equal(&again.srk.name, &pins.srk.name));
    try_crypttab(crypttab, &pins);
    return 0;
}
