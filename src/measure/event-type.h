/*
 * Types of events in a firmware's log: TCG PC Client Platform Firmware Profile (PFP) 1.06, 10.4.1.
 */
#pragma once

#include <stdint.h>

enum event_type { /* past int: an extension that gcc and clang share */
                  EVENT_POST_CODE = 0x1,
                  EVENT_NO_ACTION = 0x3,
                  EVENT_SEPARATOR = 0x4,
                  EVENT_ACTION = 0x5,
                  EVENT_TAG = 0x6,
                  EVENT_S_CRTM_CONTENTS = 0x7,
                  EVENT_S_CRTM_VERSION = 0x8,
                  EVENT_CPU_MICROCODE = 0x9,
                  EVENT_PLATFORM_CONFIG_FLAGS = 0xa,
                  EVENT_TABLE_OF_DEVICES = 0xb,
                  EVENT_COMPACT_HASH = 0xc,
                  EVENT_IPL = 0xd,
                  EVENT_IPL_PARTITION_DATA = 0xe,
                  EVENT_NONHOST_CODE = 0xf,
                  EVENT_NONHOST_CONFIG = 0x10,
                  EVENT_NONHOST_INFO = 0x11,
                  EVENT_OMIT_BOOT_DEVICE_EVENTS = 0x12,
                  EVENT_POST_CODE2 = 0x13,
                  EVENT_VARIABLE_DRIVER_CONFIG = 0x80000001,
                  EVENT_VARIABLE_BOOT = 0x80000002,
                  EVENT_BOOT_SERVICES_APPLICATION = 0x80000003,
                  EVENT_BOOT_SERVICES_DRIVER = 0x80000004,
                  EVENT_RUNTIME_SERVICES_DRIVER = 0x80000005,
                  EVENT_GPT = 0x80000006,
                  EVENT_EFI_ACTION = 0x80000007,
                  EVENT_FIRMWARE_BLOB = 0x80000008,
                  EVENT_HANDOFF_TABLES = 0x80000009,
                  EVENT_FIRMWARE_BLOB2 = 0x8000000a,
                  EVENT_HANDOFF_TABLES2 = 0x8000000b,
                  EVENT_VARIABLE_BOOT2 = 0x8000000c,
                  EVENT_GPT2 = 0x8000000d,
                  EVENT_HCRTM = 0x80000010,
                  EVENT_VARIABLE_AUTHORITY = 0x800000e0,
                  EVENT_SPDM_FIRMWARE_BLOB = 0x800000e1,
                  EVENT_SPDM_FIRMWARE_CONFIG = 0x800000e2,
};

/* The specification's name: "EV_SEPARATOR"; NULL for a type that it does not know. */
const char *event_type_name(uint32_t type);
