#include "cli/enroll-boot.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "protect/initramfs.h"
#include "protect/update/foresee.h"

/* Approves what the files of now will boot. Where that is not known, *ret says so. */
static void approve_next(const struct call *call, const struct enroll *enroll, bool first, struct enroll_boot *ret)
{
    static const char *const initrds[] = { "/boot/initrd.img-*", NULL };
    cleanup(foresee_end) struct foresee_result *result = NULL;
    const struct foresee_request request = {
        .reseal = {
            .tpm = enroll->request.tpm,
            .state_folder = enroll->request.state_folder,
            .report_path = enroll->request.report_path,
            .current_values = enroll->request.current_values,
        },
        .log_path = call_running_log(call),
        .written = first ? NULL : initrds,
        .trust_all = first,
    };
    int r = foresee(&request, &result, &ret->why);

    ret->opens = !r && result->next_opens;
    if (!r)
        ret->why = result->why;
}

int enroll_boot_prepare(const struct call *call, struct enroll *enroll, struct enroll_boot *ret, struct error *error)
{
    bool rebuild;

    *ret = (struct enroll_boot){ .concerned = enroll->pins_changed &&
                                              pins_concern_this_boot(call_state_folder(call), &enroll->pin) };
    rebuild = ret->concerned && !call_flag(call, "no-initramfs") && initramfs_is_there();
    if (!rebuild)
        return 0;
    enroll_pause(enroll);
    approve_next(call, enroll, true, ret);
    if (!initramfs_rebuild(&ret->rebuilt)) {
        ret->rebuilt.kind = ERROR_NONE;
        approve_next(call, enroll, false, ret);
    }
    return enroll_resume(enroll, error);
}

void enroll_boot_tell(const struct call *call, const struct enroll_boot *boot)
{
    const char *key = call_flag(call, "no-recovery-key") ? "passphrase" : "recovery key or a passphrase";

    if (!boot->concerned || boot->rebuilt.kind != ERROR_NONE)
        return;
    if (boot->opens) {
        log_info("the initramfs now carries the pins, and the boot that it will give is approved: the next boot %s",
                 call_flag(call, "no-pin") ? "opens the volume by the TPM alone" : "asks for the PIN");
        return;
    }
    if (boot->why.text[0])
        log_warning("the next boot could not be approved ahead: %s", boot->why.text);
    log_warning("the initramfs now carries the pins, which changes the boot state: the next boot asks for the %s. Log "
                "in then and run: bootseal reseal --current",
                key);
}
