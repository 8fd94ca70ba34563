/*
 * What a copy of a secret leaves in the processor's registers gets into memory by the next call that saves them, as the
 * C library's loader does when a library calls a function for the first time.
 */
#pragma once

#ifndef __has_attribute
#define __has_attribute(name) 0
#endif

/* A function that returns with all registers cleared that it need not preserve; where the compiler can do it. */
#if __has_attribute(zero_call_used_regs)
#define clears_registers __attribute__((zero_call_used_regs("all")))
#else
#define clears_registers
#endif
