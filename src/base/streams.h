/*
 * Standard input, output and error are open, whatever the caller closed. Else the next file that is opened takes their
 * place: a result would be written into the header of a volume, a PIN read from a disk.
 */
#pragma once

/* To be called before anything is opened. What was closed cannot be used: reading it, and writing to it, fails. */
void streams_open(void);
