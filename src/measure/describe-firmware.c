#include "measure/describe.h"

#include "base/cursor.h"
#include "measure/device-path.h"
#include "measure/efi-variable.h"
#include "measure/event-type.h"
#include "measure/gpt.h"
#include "measure/text.h"

#include <stdlib.h>
#include <string.h>

static bool describe_variable(const struct event *event, struct description *ret)
{
    struct efi_variable variable;

    if (!efi_variable_parse(event->data, &variable))
        return false;
    if (efi_variable_is_secure_boot(&variable)) {
        ret->kind = COMPONENT_SECURE_BOOT;
    } else {
        ret->kind = efi_variable_is_key_list(&variable) ? COMPONENT_KEY_LIST : COMPONENT_FIRMWARE_SETTING;
        fputs(variable.name, ret->name);
    }
    efi_variable_put(ret->value, &variable);
    return true;
}

/* The name holds the key, so that another one is another authority and not a change of this. */
static bool describe_authority(const struct event *event, struct description *ret)
{
    struct efi_variable variable;

    if (!efi_variable_parse(event->data, &variable))
        return false;
    ret->kind = COMPONENT_AUTHORITY;
    if (efi_variable_is_shims(&variable) && strcmp(variable.name, "SbatLevel") == 0) {
        ret->kind = COMPONENT_OWNER_KEYS;
        fputs(variable.name, ret->name);
        efi_variable_put_authority(ret->value, &variable);
        return true;
    }
    efi_variable_put_authority(ret->name, &variable);
    fprintf(ret->name, " in %s", variable.name);
    return true;
}

/* EFI_IMAGE_LOAD_EVENT (PFP 10.4.2.3). */
static bool parse_image(const struct event *event, struct span *path)
{
    struct cursor cursor = cursor_over(event->data);
    uint64_t path_size;

    return cursor_skip(&cursor, 24) && cursor_u64(&cursor, &path_size) && cursor_span(&cursor, path_size, path);
}

static bool describe_driver(const struct event *event, struct description *ret)
{
    struct span path;

    if (!parse_image(event, &path))
        return false;
    ret->kind = COMPONENT_DRIVER;
    if (!device_path_put_file(ret->name, path))
        return device_path_put(ret->name, path);
    return device_path_put(ret->value, path);
}

/* A program that GRUB or shim started from memory has no path; it is then the kernel, if GRUB was told to load one. */
static void name_program_in_memory(struct description *ret)
{
    size_t length = strcspn(ret->kernel, " ");

    if (length == 0) {
        fputs("in memory", ret->name);
        return;
    }
    ret->kind = COMPONENT_KERNEL;
    fwrite(ret->kernel, 1, length, ret->name);
}

static bool describe_program(const struct event *event, struct description *ret)
{
    char *file = NULL;
    size_t size;
    FILE *stream;
    struct span path;
    bool has_file;

    if (!parse_image(event, &path))
        return false;
    ret->kind = COMPONENT_PROGRAM;
    stream = open_memstream(&file, &size);
    if (!stream)
        return false;
    has_file = device_path_put_file(stream, path);
    if (fclose(stream) != 0) {
        free(file);
        return false;
    }
    if (has_file && looks_like_kernel(file))
        ret->kind = COMPONENT_KERNEL;
    if (has_file)
        fputs(file, ret->name);
    free(file);
    if (!device_path_put(ret->value, path))
        return false;
    fflush(ret->value);
    if (!has_file && ftello(ret->value) > 0)
        fputs("without a name", ret->name);
    else if (!has_file)
        name_program_in_memory(ret);
    return true;
}

/* UEFI_PLATFORM_FIRMWARE_BLOB and, with a description before it, BLOB2 (PFP 10.4.2.1). */
static bool describe_blob(const struct event *event, struct description *ret)
{
    struct cursor cursor = cursor_over(event->data);
    uint64_t base, size;
    uint8_t length;
    struct span name = { "", 0 };

    if (event->type == EVENT_FIRMWARE_BLOB2 && (!cursor_u8(&cursor, &length) || !cursor_span(&cursor, length, &name)))
        return false;
    if (!cursor_u64(&cursor, &base) || !cursor_u64(&cursor, &size))
        return false;
    ret->kind = COMPONENT_FIRMWARE;
    if (name.size)
        fputs("code ", ret->name);
    else
        fprintf(ret->name, "code at 0x%llx", (unsigned long long)base);
    text_put_utf8(ret->name, name);
    fprintf(ret->value, "%llu bytes", (unsigned long long)size);
    return true;
}

/* A string, or a GUID, or nothing but an end of string. */
static bool describe_version(const struct event *event, struct description *ret)
{
    char guid[GUID_TEXT];

    ret->kind = COMPONENT_FIRMWARE;
    fputs("version", ret->name);
    if (event->data.size == GUID_BYTES && !text_is_utf16(event->data)) {
        guid_format(event->data.bytes, guid);
        fputs(guid, ret->value);
    } else {
        text_put(ret->value, event->data);
    }
    return true;
}

static bool describe_text(const struct event *event, struct description *ret, enum component_kind kind)
{
    ret->kind = kind;
    text_put(ret->name, event->data);
    return event->data.size > 0;
}

/* Four bytes: zero or all ones; anything else says that the firmware had failed (PFP 3.3.2.2). */
static bool describe_separator(const struct event *event, struct description *ret)
{
    struct cursor cursor = cursor_over(event->data);
    uint32_t word;

    if (!cursor_u32(&cursor, &word) || cursor_left(&cursor) > 0)
        return false;
    ret->kind = COMPONENT_SEPARATOR;
    if (word != 0 && word != UINT32_MAX)
        fprintf(ret->value, "error 0x%08x", word);
    return true;
}

static bool describe_partition_table(const struct event *event, struct description *ret)
{
    ret->kind = COMPONENT_PARTITION_TABLE;
    return gpt_put(ret->name, ret->value, event->data);
}

static bool describe_note(const struct event *event, struct description *ret)
{
    struct cursor cursor = cursor_over(event->data);
    struct span signature;
    uint8_t locality;

    if (!cursor_span(&cursor, 16, &signature) || memcmp(signature.bytes, "StartupLocality", 16) != 0 ||
        !cursor_u8(&cursor, &locality))
        return false;
    ret->kind = COMPONENT_NOTE;
    fputs("locality at which the TPM was started", ret->name);
    fprintf(ret->value, "%u", locality);
    return true;
}

static bool describe_part(struct description *ret, const char *name)
{
    ret->kind = COMPONENT_FIRMWARE;
    fputs(name, ret->name);
    return true;
}

bool describe_firmware_event(const struct event *event, struct description *ret)
{
    switch (event->type) {
    case EVENT_VARIABLE_DRIVER_CONFIG:
    case EVENT_VARIABLE_BOOT:
    case EVENT_VARIABLE_BOOT2:
        return describe_variable(event, ret);
    case EVENT_VARIABLE_AUTHORITY:
        return describe_authority(event, ret);
    case EVENT_BOOT_SERVICES_APPLICATION:
        return describe_program(event, ret);
    case EVENT_BOOT_SERVICES_DRIVER:
    case EVENT_RUNTIME_SERVICES_DRIVER:
        return describe_driver(event, ret);
    case EVENT_GPT:
    case EVENT_GPT2:
        return describe_partition_table(event, ret);
    case EVENT_FIRMWARE_BLOB:
    case EVENT_FIRMWARE_BLOB2:
        return describe_blob(event, ret);
    case EVENT_S_CRTM_VERSION:
        return describe_version(event, ret);
    case EVENT_S_CRTM_CONTENTS:
        return describe_part(ret, "first code");
    case EVENT_HCRTM:
        return describe_part(ret, "first code, as the processor measured it");
    case EVENT_CPU_MICROCODE:
        return describe_part(ret, "microcode for the processor");
    case EVENT_HANDOFF_TABLES:
    case EVENT_HANDOFF_TABLES2:
        return describe_part(ret, "tables for the operating system");
    case EVENT_SEPARATOR:
        return describe_separator(event, ret);
    case EVENT_ACTION:
    case EVENT_EFI_ACTION:
        return describe_text(event, ret, COMPONENT_BOOT_STEP);
    case EVENT_POST_CODE:
        return describe_text(event, ret, COMPONENT_FIRMWARE);
    case EVENT_NO_ACTION:
        return describe_note(event, ret);
    default:
        return false;
    }
}
