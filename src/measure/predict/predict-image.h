/*
 * Within src/measure/predict: the boots of systemd-boot's menu, and of unified kernel images and kernels that the
 * firmware starts.
 */
#pragma once

#include "measure/predict/boot-option.h"
#include "measure/predict/boots.h"

int predict_systemd_boot(struct boots *boots, struct error *error);

/* One boot for each entry of the firmware that starts an image from the EFI system partition. */
int predict_firmware_images(struct boots *boots, const struct boot_options *options, struct error *error);
