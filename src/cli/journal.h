/* Structured entries for systemd's journal. */
#pragma once

#include "protect/boot/boot-event.h"

/* Whether a journal takes entries on this machine. */
bool journal_is_there(void);

/* Sends one entry. */
int journal_send(const struct boot_event *event, struct error *error);
