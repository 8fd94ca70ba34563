/*
 * A machine for tests of predictions: a scratch folder with EFI variables as a recorded log has them, and an EFI system
 * partition to which tests add files.
 */
#pragma once

#include "measure/predict/predict.h"

#define SCRATCH_PROGRAMS 8

struct scratch_machine {
    char folder[64];
    char variables[128], esp[128];
    struct event_log log;
    struct component_list components;
    struct predict_known_program programs[SCRATCH_PROGRAMS];
    char *paths[SCRATCH_PROGRAMS];
    struct digest sha256;
    struct predict_machine machine; /* to be given to predict_boots() */
};

/* Reads the log (below the folder of recorded logs), writes its variables, and knows its programs before the kernel by
 * their digests. */
void scratch_machine_start(struct scratch_machine *scratch, const char *log);
void scratch_machine_end(struct scratch_machine *scratch);

/* The same for a log that a test made. */
struct built_log;
void scratch_machine_start_built(struct scratch_machine *scratch, const struct built_log *built);

/* Writes a file below the scratch folder; folders are made. */
void machine_write(const struct scratch_machine *scratch, const char *path, const void *bytes, size_t size);

/* Copies a file of the system there; a failed assertion when it is not installed. */
void machine_copy(const struct scratch_machine *scratch, const char *path, const char *from);

/* Writes a variable, with attributes; NULL removes it. */
void scratch_set_variable(const struct scratch_machine *scratch, const uint8_t *vendor, const char *name,
                          const void *data, size_t size);

/* A boot entry of the firmware for a file of the EFI system partition; a variable that holds one number. */
void scratch_set_option(const struct scratch_machine *scratch, uint16_t number, const char *file);
void scratch_set_number(const struct scratch_machine *scratch, const char *name, uint16_t number);

#define SCRATCH_SHIM "/usr/lib/shim/shimx64.efi" /* Debian's, unsigned */
#define SCRATCH_LIST_BYTES (28 + 16 + 32)

/* An EFI_SIGNATURE_LIST with the Authenticode hash of a program. */
void scratch_hash_list(const char *program, uint8_t ret[SCRATCH_LIST_BYTES]);

/* MokListRT: the keys that Debian's shim brings, and such a list behind them; NULL: none. */
void scratch_set_owner_keys(const struct scratch_machine *scratch, const uint8_t *list);

/* From now on the program of that file is read from disk. */
void scratch_forget_program(struct scratch_machine *scratch, const char *path);

/* Fails unless the log's events of one PCR, from its first to its last, are those of the list. */
void scratch_compare(const struct scratch_machine *scratch, const struct extend_list *list, unsigned pcr);
