/*
 * How `enroll` and `recovery-key` hand a fresh recovery key to the person, once: on stdout as text or within the JSON
 * result, with --qr as a QR code too, or with --output in a file. Unless --yes or --output was given, two groups are to
 * be typed back. The verb's rows must have "output", "qr" and "yes".
 */
#pragma once

#include "cli/verb.h"
#include "protect/recovery/recovery-key.h"

struct recovery_output {
    const struct call *call;
    struct json_object *result; /* with --json: the rest of the result, which the key joins; borrowed */
    bool made_file;
};

/* What can be refused before anything is changed: options that exclude each other, nobody to type back, a file that is
 * there. */
int recovery_output_check(const struct call *call, struct error *error);

/* The same for the place of --output's file, once it is known which volume the key will open. */
int recovery_output_check_place(const struct call *call, const char *uuid, struct error *error);

/* The output as what recovery_key_add() calls; it must outlive that. */
struct recovery_hand_over recovery_output_hand_over(struct recovery_output *output);

/* After a failure: the file holds a key that opens nothing, and is removed. */
void recovery_output_take_back(const struct recovery_output *output);
