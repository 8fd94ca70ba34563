/* report.json. BOOT-ID in the input stands for that of this boot, without which nothing is read. */
#include "fuzz.h"

#include "base/cleanup.h"
#include "base/file.h"
#include "protect/unlock/report.h"

#include <string.h>

#define PLACE "BOOT-ID"

static const char *boot_id(void)
{
    static char id[64];
    cleanup(free_ptr) char *text = NULL;
    struct error error;

    if (!id[0]) {
        fuzz_require(!file_read("/proc/sys/kernel/random/boot_id", sizeof(id) - 1, &text, NULL, &error));
        memcpy(id, text, strcspn(text, "\n"));
    }
    return id;
}

static void write_report(struct span bytes)
{
    cleanup(free_ptr) char *text = fuzz_text(bytes);
    cleanup(free_ptr) char *whole = NULL;
    char *place = memmem(text, bytes.size, PLACE, strlen(PLACE));
    int size;

    if (place)
        *place = '\0';
    size = place ? asprintf(&whole, "%s%s%s", text, boot_id(), place + strlen(PLACE)) : 0;
    fuzz_require(size >= 0);
    fuzz_write("report.json", place ? fuzz_span(whole, (size_t)size) : bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static struct report report;
    struct report_opening opening;
    struct object_name index;
    char path[FUZZ_PATH];
    struct error error;
    bool opened;
    int r;

    write_report(fuzz_span(bytes, size));
    fuzz_path("report.json", path);
    r = report_read_values(path, &report, &error);
    fuzz_require_told(r, &error);
    fuzz_require(r || report.cap < PCR_COUNT);
    r = report_read_opened(path, &report, &error);
    fuzz_require_told(r, &error);
    fuzz_require(report.volume_count <= PINS_MAX_VOLUMES);
    r = report_read_opening(path, "0f4a7c52-1d1e-4b86-9a77-51c5ea1b0071", &opening, &error);
    fuzz_require_told(r, &error);
    fuzz_require(strlen(opening.by) < sizeof(opening.by) && strlen(opening.reason) < sizeof(opening.reason));
    fuzz_require_told(report_read_index(path, &index, &opened, &error), &error);
    return 0;
}
