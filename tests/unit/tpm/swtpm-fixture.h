/*
 * A software TPM 2.0 for one test program: a process of its own on free ports of this machine, with its state in a
 * temporary folder. It dies with the program.
 *
 *     struct swtpm swtpm;
 *     if (swtpm_start(&swtpm)) return -1;
 *     … tpm_open(&tpm, swtpm_tcti(&swtpm), &error) …
 *     swtpm_stop(&swtpm);
 *
 * Close every connection before the power is cut or the TPM is reset. Functions return 0, or -1 with words on stderr.
 */
#pragma once

#include <stdint.h>
#include <sys/types.h>

struct swtpm {
    pid_t pid;
    uint16_t port; /* commands; control is the next one */
    char folder[64];
    char tcti[64];
};

/* A new TPM, started with TPM2_Startup(CLEAR). */
int swtpm_start(struct swtpm *swtpm);

/* For tpm_open(); the same for the life of the TPM. */
const char *swtpm_tcti(const struct swtpm *swtpm);

/* Killed as it stands, and switched on again. */
int swtpm_power_cut(struct swtpm *swtpm);

/* A reboot: TPM2_Shutdown(CLEAR), reset, TPM2_Startup(CLEAR). */
int swtpm_reset(struct swtpm *swtpm);

/* The same, many times faster: the process stays. */
int swtpm_reset_in_place(struct swtpm *swtpm);

/* A TPM Restart, which does not raise resetCount: TPM2_Shutdown(STATE), reset, TPM2_Startup(CLEAR). */
int swtpm_restart(struct swtpm *swtpm);

/* Ends the process and removes its state. An empty struct is accepted. */
void swtpm_stop(struct swtpm *swtpm);
