/*
 * Someone on the bus between tpm2-tss and the TPM: counts the commands, keeps the bytes, answers in the TPM's place or
 * changes an answer. One at a time.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tpm;

/* Until the connection is closed. Starts with nothing seen and nothing to do. */
void bus_tap(struct tpm *tpm);

/* Forgets what was seen. */
void bus_tap_restart(void);

/* The codes of the commands that the TPM carried out or refused, in order. */
size_t bus_tap_count(void);
uint32_t bus_tap_command(size_t i);

/* How often the TPM wanted the same command again. It does that once before each first use of an authValue that is
 * counted, to write down first that one is in use, and while it tests itself. */
unsigned bus_tap_repeats(void);

/* True when the bytes went over the bus, in a command or a response. */
bool bus_tap_saw(const void *bytes, size_t size);

/* The next `times` commands with this code do not reach the TPM; the answer is this response code. */
void bus_tap_refuse(uint32_t command, uint32_t response_code, unsigned times);

/* Turns a bit of the next answer to this command, `from_end` bytes before its end. */
void bus_tap_spoil(uint32_t command, size_t from_end);

/* Says, when asked whether it has this command, what a TPM without it says: the next one that it has. */
void bus_tap_hide_command(uint32_t command);
