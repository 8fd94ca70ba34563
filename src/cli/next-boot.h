/* What follows when the pins have changed: the initramfs is built with them, and the boot that it will give is approved
 * before it comes. The caller must not hold the state folder's lock: the new initramfs sets off an update hook, which
 * would wait for it for ever. */
#pragma once

#include "cli/verb.h"

struct next_boot {
    struct error rebuilt; /* kind ERROR_NONE: the initramfs was built */
    bool opens;           /* the next boot is approved, or suspended: it asks for what is enrolled */
    bool by_suspension;   /* it is not approved: a suspension lets it through, and boot-ok approves it then */
    struct error why;     /* why it is not approved, if that is known */
};

/* Predicts and approves what boots now, since whoever enrolls vouches for it: all that it rests on goes on record. */
void next_boot_trust(const struct call *call, struct tpm *tpm, bool current_values, struct next_boot *ret);

/* Builds the initramfs, predicts and approves what that gives. A boot that cannot be predicted is no failure: where
 * every protector has a PIN, a suspension for one reboot lets it through. */
void next_boot_rebuild(const struct call *call, struct tpm *tpm, bool current_values, struct next_boot *ret);

/* The same for an initramfs that was built already. */
void next_boot_approve(const struct call *call, struct tpm *tpm, bool current_values, struct next_boot *ret);

/* Says what the next boot will do: `opening` if it is approved ("asks for the PIN"), else that it asks for `key`. */
void next_boot_tell(const struct next_boot *boot, const char *opening, const char *key);
