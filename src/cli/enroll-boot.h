/* What follows an enrolment of a volume that the initramfs opens: the initramfs gets the pins, and the boot that it will
 * give is approved before it comes. */
#pragma once

#include "cli/verb.h"
#include "protect/enroll.h"

struct enroll_boot {
    bool concerned;       /* the initramfs opens this volume */
    struct error rebuilt; /* kind ERROR_NONE: it has the pins, or nobody wanted it to */
    bool opens;           /* the next boot is approved: it asks for the PIN */
    struct error why;     /* why it is not, if that is known */
};

/*
 * Predicts and approves what boots now, since whoever enrolls vouches for it, rebuilds the initramfs, predicts and
 * approves what that gives. A boot that cannot be predicted is no failure: it is told in *ret. The enrolment is paused
 * meanwhile and must not be used after an error.
 */
int enroll_boot_prepare(const struct call *call, struct enroll *enroll, struct enroll_boot *ret, struct error *error);

/* Says what the next boot will ask for. */
void enroll_boot_tell(const struct call *call, const struct enroll_boot *boot);
