/*
 * By which way a machine boots, and what a policy must bind for that way. The running boot's event log decides; where
 * Linux has none, or it is of no way that is known, the firmware's variables.
 */
#pragma once

#include "base/error.h"
#include "measure/boot-chain.h"

#include <stdint.h>

struct machine_chain {
    enum boot_chain chain;
    bool by_log; /* else the variables say so */
};

/*
 * `root` goes before the paths of log and variables, "" for this very system; `log_path` NULL: the kernel's log.
 * CHAIN_NONE when nothing tells. ERROR_METADATA: the log, or a variable, is damaged.
 */
int machine_chain_read(const char *root, const char *log_path, struct machine_chain *ret, struct error *error);

/* The policy preset made for it; NULL: none. */
const char *machine_chain_preset(enum boot_chain chain);

/* The PCRs without which a policy leaves out kernel, initrd or command line, as this way measures them. */
uint32_t machine_chain_pcrs(enum boot_chain chain);
