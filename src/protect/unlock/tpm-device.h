/*
 * Which TPM, and waiting for it. In the initramfs this program is alone, so it takes /dev/tpm0: the kernel's resource
 * manager behind /dev/tpmrm0 swaps contexts around every command, eleven become more than sixty on the bus.
 */
#pragma once

#include "tpm/approval-index.h"
#include "tpm/tpm.h"

/*
 * With a TCTI string: opens that. Without: when the firmware announces a TPM (ACPI table TPM2, or a device that the
 * kernel has already), waits until the deadline (CLOCK_MONOTONIC, ms) for /dev/tpm0 and opens it, or /dev/tpmrm0 if it
 * is busy. No TPM announced is success with *ret NULL. One that is announced but does not come is ERROR_TPM.
 */
int tpm_device_open(const char *tcti, uint64_t deadline_ms, struct tpm **ret, struct error *error);
