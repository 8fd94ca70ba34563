#include "cli/next-boot.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "protect/enroll/initramfs.h"
#include "protect/suspend.h"
#include "protect/update/foresee.h"

static const char *const initrds[] = { "/boot/initrd.img-*", NULL };

/* Where the next boot is not known, *ret says so. */
static void approve(const struct call *call, const struct foresee_request *request, struct next_boot *ret)
{
    cleanup(foresee_end) struct foresee_result *result = NULL;
    struct foresee_request whole = *request;
    int r;

    whole.reseal.state_folder = call_state_folder(call);
    whole.reseal.report_path = call_report(call);
    whole.log_path = call_running_log(call);
    whole.ends = FORESEE_ENDS_UPDATE; /* the initramfs's own hook has made one */
    r = foresee(&whole, &result, &ret->why);
    ret->opens = !r && (result->next_opens || result->by_suspension);
    ret->by_suspension = ret->opens && !result->next_opens;
    if (!r)
        ret->why = result->why;
}

void next_boot_trust(const struct call *call, struct tpm *tpm, bool current_values, struct next_boot *ret)
{
    const struct foresee_request request = {
        .reseal = { .tpm = tpm, .current_values = current_values },
        .trust_all = true,
    };

    approve(call, &request, ret);
}

/* The boot that nobody can foresee. A protector without a PIN, and whatever else is in the way, leaves it as it is. */
static void suspend_instead(const struct call *call, struct tpm *tpm, struct next_boot *ret)
{
    const struct suspend_request request = {
        .tpm = tpm,
        .state_folder = call_state_folder(call),
        .report_path = call_report(call),
    };
    struct suspend_result result;
    struct error ignored;

    ret->opens = ret->by_suspension = !suspend_for_update(&request, &result, &ignored);
}

void next_boot_approve(const struct call *call, struct tpm *tpm, bool current_values, struct next_boot *ret)
{
    const struct foresee_request request = {
        .reseal = { .tpm = tpm, .current_values = current_values },
        .written = initrds,
    };

    approve(call, &request, ret);
    if (!ret->opens)
        suspend_instead(call, tpm, ret);
}

void next_boot_rebuild(const struct call *call, struct tpm *tpm, bool current_values, struct next_boot *ret)
{
    if (initramfs_rebuild(&ret->rebuilt))
        return;
    ret->rebuilt.kind = ERROR_NONE;
    next_boot_approve(call, tpm, current_values, ret);
}

void next_boot_tell(const struct next_boot *boot, const char *opening, const char *key)
{
    if (boot->rebuilt.kind != ERROR_NONE)
        return;
    if (boot->by_suspension) {
        log_warning("the next boot could not be approved ahead: %s", boot->why.text);
        log_info("it is let through once, and approved when it was good: the next boot %s", opening);
        return;
    }
    if (boot->opens) {
        log_info("the initramfs now carries the pins, and the boot that it will give is approved: the next boot %s",
                 opening);
        return;
    }
    if (boot->why.text[0])
        log_warning("the next boot could not be approved ahead: %s", boot->why.text);
    log_warning("the initramfs now carries the pins, which changes the boot state: the next boot asks for the %s. Log "
                "in then and run: bootseal reseal --current",
                key);
}
