/*
 * Within src/measure/predict: PCR 7 from the moment at which the firmware starts the first program: who vouched for
 * which program, and shim's SbatLevel. What stands in the log before the first program that is another one now is kept;
 * from there on it is looked up anew.
 */
#pragma once

#include "measure/predict/running-boot.h"

/* `image` is the path of the kernel or unified image that the boot loader will start, NULL when it is not known: the
 * same as in the running boot is taken then. What cannot be known is given up. */
int authority_events_predict(const struct running_boot *running, const char *image, struct boot_prediction *ret,
                             struct error *error);
