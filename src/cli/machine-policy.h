/* The machine's policy, for verbs that need a rule of it and no PCRs. */
#pragma once

#include "cli/verb.h"
#include "policy/document.h"

#define MACHINE_POLICY "/etc/bootseal/policy.json"

/* What --policy names, else MACHINE_POLICY, else the defaults. The verb has a row for --policy. */
int machine_policy_read(const struct call *call, struct policy_document *ret, struct error *error);
