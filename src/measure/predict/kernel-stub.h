/*
 * What the EFI stub of a Linux kernel measures into PCR 9 once it runs: its load options, and the initrd that a boot
 * loader or systemd's stub hands over (EFI_LOAD_FILE2_PROTOCOL). Kernels of x86, whose images tell their version.
 */
#pragma once

#include "measure/pe-image.h"
#include "measure/predict/boot-prediction.h"

/* False for what is no Linux kernel of x86. */
bool kernel_is_x86(const struct pe_image *image);

/* Appends the events, or gives up PCR 9. `initrd` has taken in the initrd's bytes; NULL: there is none. */
int kernel_stub_predict(const struct pe_image *image, struct span load_options, struct hash_state *initrd,
                        struct boot_prediction *prediction, struct error *error);
