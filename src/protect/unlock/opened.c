#include "protect/unlock/opened.h"

#include "base/cleanup.h"
#include "base/file.h"
#include "protect/unlock/report.h"

#include <string.h>

/* Whether the report has it that the volume was not opened by the TPM. */
static bool is_cleared(const struct report *report, const struct pinned_volume *pin)
{
    for (size_t i = 0; i < report->volume_count; i++)
        if (strcmp(report->volumes[i].uuid, pin->uuid) == 0)
            return !report->volumes[i].opened || report->volumes[i].by_recovery;
    return false;
}

static int close_sealed(const struct close_request *request, const struct pins *pins, const struct report *report,
                        unsigned *ret_count, struct error *error)
{
    struct error one;
    int r = 0;

    /* the last one may lie on the first */
    for (size_t i = pins->volume_count; i-- > 0;) {
        unsigned count;
        int failed;

        if (is_cleared(report, &pins->volumes[i]))
            continue;
        failed = volume_mappings_close(pins->volumes[i].uuid, request->force, &count, &one);
        *ret_count += count;
        if (failed && !r) {
            *error = one;
            r = failed;
        }
    }
    return r;
}

int close_opened(const struct close_request *request, unsigned *ret_count, struct error *error)
{
    cleanup(free_ptr) struct pins *pins = calloc(1, sizeof(*pins));
    cleanup(free_ptr) struct report *report = calloc(1, sizeof(*report));
    struct error ignored;

    *ret_count = 0;
    if (!pins || !report)
        return error_no_memory(error);
    if (request->which == CLOSE_ALL)
        return volume_mappings_close(NULL, request->force, ret_count, error);
    if (!file_exists(request->pins_path) || pins_read(request->pins_path, pins, &ignored))
        return 0;
    if (request->report_path && report_read_opened(request->report_path, report, &ignored))
        report->volume_count = 0; /* of a damaged report nothing counts */
    return close_sealed(request, pins, report, ret_count, error);
}
