/* boot-files.json, the record of boot files in the state folder; the second part is approval.json beside it. */
#include "fuzz.h"

#include "base/cleanup.h"
#include "protect/update/known-files.h"

#include <string.h>

static void try_state(const char *folder)
{
    struct state state = { .lock = -1 };
    struct error error;
    int r = state_open(folder, STATE_READ, &state, &error);

    fuzz_require_told(r, &error);
    state_close(&state);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static const char path[] = "/boot/vmlinuz";
    cleanup(known_files_free) struct known_files files = { 0 };
    char folder[FUZZ_PATH];
    struct digest sha256 = { { 0 } };
    const struct state state = { .folder = folder, .lock = -1 };
    struct span parts[2];
    struct error error;
    int r;

    fuzz_split(bytes, size, parts, 2);
    fuzz_write("boot-files.json", parts[0]);
    fuzz_write("approval.json", parts[1]);
    fuzz_path("", folder);
    r = known_files_read(&state, &files, &error);
    fuzz_require_told(r, &error);
    fuzz_require(files.count <= KNOWN_FILES_MAX && (!r || files.count == 0));
    if (!r)
        fuzz_require_told(known_files_set(&files, path, &sha256, "fuzz", &error), &error);
    (void)known_files_has(&files, path, &sha256);
    try_state(folder);
    return 0;
}
