/* The pins go into the initramfs: making it again with the distribution's own tool. */
#pragma once

#include "base/error.h"

#include <stdbool.h>

/* True when this system has update-initramfs. */
bool initramfs_is_there(void);

/* update-initramfs -u for every installed kernel; its messages go to stderr. */
int initramfs_rebuild(struct error *error);
