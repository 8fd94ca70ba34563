/*
 * A TPM that lies, for fuzz targets: somebody between tpm2-tss and a software TPM who answers as a script says. The
 * script is bytes of the input; one record after the other:
 *
 *   skip    this many answers pass as they are; then, for one answer,
 *   what    what is done with it: enum bad_tpm_act
 *   size    bytes of the record that follow
 *   bytes   for that
 *
 * When the script is at its end all answers pass. A connection can also be cut from the TPM altogether: every answer is
 * then one of the script's records, and the end of the script the end of the connection.
 *
 * Programs that use it are linked with BAD_TPM_LINK_ARGS (meson.build): the clock is this file's, so that waiting for a
 * busy TPM takes no time, and a wait that has no end is found; and Argon2id is cheap.
 */
#pragma once

#include "base/hash.h"

enum bad_tpm_act {
    BAD_TPM_PASS,     /* nothing */
    BAD_TPM_REPLACE,  /* the record is the answer, header and all */
    BAD_TPM_BODY,     /* the answer's header, and the record behind it; the size is made right */
    BAD_TPM_CODE,     /* an error: the record's first two bytes are the response code */
    BAD_TPM_REPEAT,   /* that error from now on, whatever is sent */
    BAD_TPM_FLIP,     /* byte number record[0] and 256 times record[1] is changed by record[2] */
    BAD_TPM_TRUNCATE, /* only record[0] and 256 times record[1] bytes of it arrive */
    BAD_TPM_CLOSE,    /* the connection is at its end */
    BAD_TPM_UNSENT,   /* the command does not reach the TPM; the record is the answer */
    BAD_TPM_ACTS,
};

/* From now on connections to a TPM are under this script. With `alone` there is no TPM behind. */
void bad_tpm_begin(struct span script, bool alone);

/* The same as it is: everything passes. */
void bad_tpm_end(void);

/* Milliseconds that the code under test has waited since bad_tpm_begin(). */
uint64_t bad_tpm_waited_ms(void);

/* Commands since bad_tpm_begin(). */
unsigned bad_tpm_commands(void);

/* Whether the TPM carried out one with this code since bad_tpm_begin(). */
bool bad_tpm_reached(uint32_t command);
