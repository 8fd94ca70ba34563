/*
 * The root check: what is mounted as the root file system, and as /usr, lies on pinned volumes only. Without it the
 * attacker's file system of the same UUID or volume group becomes the root beside the volumes that the TPM opened for
 * him.
 *
 * Every way down from the file system to a disk must come by a mapping of a pinned volume: its dm UUID says that LUKS2
 * made it of that UUID under the pinned name, the header that it lies on is the pinned one, and the kernel runs it just
 * as that header says. It does not matter whether bootseal opened it or the distribution's passphrase prompt: nobody
 * else makes mappings before the root is there. Without pins nothing is checked.
 *
 * The same is asked of the device that a hibernated system is to be resumed from: an image of the attacker's would run
 * in a memory where the keys of the opened volumes still lie.
 *
 * What it does not see: a disk whose electronics show one header when the volume is opened and another one when it is
 * looked at here. File systems that hide their devices (ZFS, overlays, network) do not pass.
 */
#pragma once

#include "base/blockdev.h"
#include "protect/unlock/pins.h"

struct check_root_request {
    const char *pins_path; /* none: nothing is pinned. Damaged ones, which opened nothing, count as none */
    const char *crypttab;  /* tells where a header lies that is not with its data; NULL: nowhere */
};

/*
 * `folder` is where the root is mounted; with the policy's "root": "any" it is not looked at. ERROR_REFUSED tells which
 * device under which file system is not covered, and why.
 */
int check_root(const struct check_root_request *request, const char *folder, struct error *error);

/* DEVICE is the path of the block device that has the image. */
int check_resume(const struct check_root_request *request, const char *device, struct error *error);

/*
 * What a boot with these pins would say of the system that runs, as far as that can be known: ERROR_REFUSED when the
 * file system at FOLDER ("/") or its /usr does not lie on their volumes only. 0 without volumes, and with "any".
 */
int check_root_of_running(const struct pins *pins, const char *folder, struct error *error);

/* ---- the parts, for the unit tests ---- */

/* Whether a mapping that claims to be of this pin really is. */
typedef int (*check_root_verify)(void *context, const struct pinned_volume *pin, const char *dm_uuid,
                                 struct error *error);

struct check_root_devices {
    const char *sysfs;
    const struct pins *pins;
    check_root_verify verify; /* NULL: the UUID in the mapping's dm UUID is enough, whatever its name */
    void *context;
};

/* One file system's devices. `what` names it in the error: "the root file system". */
int check_root_covered(const struct check_root_devices *devices, const struct blockdev_list *list, const char *what,
                       struct error *error);
