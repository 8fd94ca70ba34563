/*
 * What is known about this boot's cap, as one word in a file, RUN/cap, for the boot scripts and for PID 1, which reads
 * files but ignores exit statuses. RUN is /run/bootseal. No file: the cap is owed, and nothing may go on.
 *
 *   done     the cap was extended and read back
 *   none     there is nothing to cap: no TPM is announced; or one is that does not answer, and nothing is pinned
 *   silent   a TPM is announced, there are pins, and not one command was answered from the start of --all to its end.
 *            Nothing was unsealed, so there is nothing to end; but the TPM may come to life later. The boot goes on
 *            only by a passphrase: the root check then finds the root on a pinned volume or stops. No hibernated system
 *            is resumed and no shell is opened. Each net tries the cap again
 *
 * "silent" is written by --all alone, which knows that nothing was unsealed. A TPM that answers but whose cap fails has
 * no word, and the boot stops.
 *
 * Without pins a silent TPM does not stop the boot: installing bootseal on a machine with a broken TPM must not make it
 * unbootable. Nothing is lost: an initramfs without pins is not in any approved boot state, unless the policy leaves
 * the initramfs out, and then an attacker brings one of his own.
 */
#pragma once

#include "protect/unlock/pins.h"
#include "tpm/tpm.h"

#define CAP_RECORD_NAME "cap"

enum cap_record { CAP_OWED, CAP_DONE, CAP_NONE, CAP_SILENT };

/* The word in RUN/cap; anything else there is CAP_OWED. */
enum cap_record cap_record_read(const char *run);

/* Writes the word, or removes the file for CAP_OWED. */
int cap_record_write(const char *run, enum cap_record record, struct error *error);

struct cap_facts {
    bool announced;  /* there is a TPM, as far as anyone tells */
    bool answered;   /* at least one command went well */
    bool capped;     /* and was read back */
    bool pinned;     /* there are pins, or there may be: they cannot be read */
    bool whole_boot; /* the facts are about everything that this boot did with the TPM so far */
};

enum cap_record cap_record_decide(const struct cap_facts *facts);

/*
 * cap_apply() where the pins say. If it fails, once more on a fresh connection, which takes the place of *tpm (NULL, if
 * there is none to be had): one that broke, now or earlier, takes no command any more.
 */
int cap_apply_again(const char *tcti, const struct pins *pins, struct tpm **tpm, struct error *error);

/* Whether the TPM says anything at all. NULL does not. */
bool cap_tpm_answers(struct tpm *tpm, const struct pins *pins);

/* Without pins, or with damaged ones, the cap's place is the constant one. Damaged is told, and returned. */
int cap_pins_read(const char *path, struct pins *ret, struct error *error);

struct cap_request {
    const char *pins_path;
    const char *tcti; /* NULL: the machine's own, see tpm-device.h */
    const char *run;  /* NULL: no record is kept, the cap is extended each time */
    unsigned wait_s;  /* for the TPM's device */
};

/*
 * A net: caps, unless the record says that this was done. 0 when the cap is shown or there is nothing to cap, and
 * recorded; ERROR_TPM when it is not, in silence or not.
 */
int cap_now(const struct cap_request *request, struct error *error);
