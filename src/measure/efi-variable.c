#include "measure/efi-variable.h"

#include "base/cleanup.h"
#include "base/cursor.h"
#include "measure/device-path.h"
#include "measure/load-option.h"
#include "measure/signature-list.h"
#include "measure/text.h"

#include <ctype.h>
#include <string.h>

/* UEFI 2.10: 3.3, 32.6.1; shim's own vendor GUID */
static const uint8_t global_vendor[GUID_BYTES] = { 0x61, 0xdf, 0xe4, 0x8b, 0xca, 0x93, 0xd2, 0x11,
                                                   0xaa, 0x0d, 0x00, 0xe0, 0x98, 0x03, 0x2b, 0x8c };
static const uint8_t database_vendor[GUID_BYTES] = { 0xcb, 0xb2, 0x19, 0xd7, 0x3a, 0x3d, 0x96, 0x45,
                                                     0xa3, 0xbc, 0xda, 0xd0, 0x0e, 0x67, 0x65, 0x6f };
static const uint8_t shim_vendor[GUID_BYTES] = { 0x50, 0xab, 0x5d, 0x60, 0x46, 0xe0, 0x00, 0x43,
                                                 0xab, 0xb6, 0x3d, 0xd8, 0x10, 0xdd, 0x8b, 0x23 };

static bool is(const struct efi_variable *variable, const uint8_t *vendor, const char *name)
{
    return memcmp(variable->vendor, vendor, GUID_BYTES) == 0 && strcmp(variable->name, name) == 0;
}

/* True when there is a character behind a NUL: it would not be shown. */
static bool hides_characters(struct span name)
{
    struct cursor cursor = cursor_over(name);
    uint16_t unit;
    bool ended = false;

    while (cursor_u16(&cursor, &unit)) {
        if (ended && unit != 0)
            return true;
        ended = ended || unit == 0;
    }
    return false;
}

/* Writes the name into the variable; false when it is none, is too long, or memory is short. */
static bool take_name(struct efi_variable *variable, struct span name)
{
    cleanup(close_stream) FILE *stream = NULL;

    if (name.size == 0 || name.size > 2 * VARIABLE_NAME_MAX || hides_characters(name))
        return false;
    stream = fmemopen(variable->name, sizeof(variable->name), "w");
    if (!stream)
        return false;
    text_put_utf16(stream, name);
    return fflush(stream) == 0 && strnlen(variable->name, sizeof(variable->name)) < sizeof(variable->name);
}

bool efi_variable_parse(struct span bytes, struct efi_variable *ret)
{
    struct cursor cursor = cursor_over(bytes);
    uint64_t name_characters, data_size;
    struct span vendor, name;

    *ret = (struct efi_variable){ 0 };
    if (!cursor_span(&cursor, GUID_BYTES, &vendor) || !cursor_u64(&cursor, &name_characters) ||
        !cursor_u64(&cursor, &data_size) || name_characters > VARIABLE_NAME_MAX ||
        !cursor_span(&cursor, 2 * name_characters, &name) || !cursor_span(&cursor, data_size, &ret->data))
        return false;
    ret->vendor = vendor.bytes;
    return take_name(ret, name);
}

bool efi_variable_is_key_list(const struct efi_variable *variable)
{
    static const char *const databases[] = { "db", "dbx", "dbt", "dbr" };

    if (is(variable, global_vendor, "PK") || is(variable, global_vendor, "KEK"))
        return true;
    for (size_t i = 0; i < array_size(databases); i++)
        if (is(variable, database_vendor, databases[i]))
            return true;
    return false;
}

bool efi_variable_is_secure_boot(const struct efi_variable *variable)
{
    return is(variable, global_vendor, "SecureBoot");
}

bool efi_variable_is_shims(const struct efi_variable *variable)
{
    return memcmp(variable->vendor, shim_vendor, GUID_BYTES) == 0;
}

/* A switch of one byte; an empty variable is off (UEFI 2.10, 32.4). */
static void put_switch(FILE *stream, struct span data)
{
    const uint8_t *bytes = data.bytes;

    if (data.size > 1 || (data.size == 1 && bytes[0] > 1))
        fprintf(stream, "not a value that it may have (%zu bytes)", data.size);
    else
        fputs(data.size == 1 && bytes[0] == 1 ? "on" : "off", stream);
}

/* BootOrder and its like: numbers of two bytes. */
static void put_order(FILE *stream, struct span data)
{
    struct cursor cursor = cursor_over(data);
    const char *comma = "";
    uint16_t number;

    while (cursor_u16(&cursor, &number)) {
        fprintf(stream, "%s%04X", comma, number);
        comma = ", ";
    }
}

/* False when the data is no load option. */
static bool put_load_option(FILE *stream, struct span data)
{
    struct load_option option;

    if (!load_option_parse(data, &option))
        return false;
    text_put_utf16(stream, option.description);
    fputs(", ", stream);
    return device_path_put(stream, option.path);
}

/* "Boot0001": a word, then four hexadecimal digits. */
static bool is_numbered(const char *name, const char *word)
{
    size_t length = strlen(word);

    if (strncmp(name, word, length) != 0 || strlen(name) != length + 4)
        return false;
    for (const char *c = name + length; *c; c++)
        if (!isxdigit((unsigned char)*c))
            return false;
    return true;
}

static bool is_switch(const struct efi_variable *variable)
{
    static const char *const names[] = { "SecureBoot", "SetupMode", "AuditMode", "DeployedMode" };

    for (size_t i = 0; i < array_size(names); i++)
        if (is(variable, global_vendor, names[i]))
            return true;
    return false;
}

void efi_variable_put(FILE *stream, const struct efi_variable *variable)
{
    const char *name = variable->name;

    if (is_switch(variable))
        put_switch(stream, variable->data);
    else if (efi_variable_is_key_list(variable))
        signature_lists_put(stream, variable->data);
    else if (strcmp(name, "BootOrder") == 0 || strcmp(name, "DriverOrder") == 0)
        put_order(stream, variable->data);
    else if ((!is_numbered(name, "Boot") && !is_numbered(name, "Driver")) || !put_load_option(stream, variable->data))
        fprintf(stream, "%zu bytes", variable->data.size);
}

void efi_variable_put_authority(FILE *stream, const struct efi_variable *variable)
{
    if (efi_variable_is_shims(variable) && strcmp(variable->name, "SbatLevel") == 0)
        text_put_utf8(stream, variable->data);
    else
        signature_put(stream, variable->data);
}
