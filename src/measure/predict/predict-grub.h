/*
 * Within src/measure/predict: the boots of GRUB's menu.
 */
#pragma once

#include "measure/predict/boots.h"

/* Adds them for each of the machine's disk orders. */
int predict_grub(struct boots *boots, struct error *error);
