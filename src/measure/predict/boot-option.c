#include "measure/predict/boot-option.h"

#include "base/cleanup.h"
#include "base/cursor.h"
#include "measure/device-path.h"
#include "measure/load-option.h"
#include "measure/text.h"

#include <string.h>

#define LOAD_OPTION_ACTIVE 0x1u
#define LOAD_OPTION_CATEGORY 0x1f00u

static void free_option(struct boot_option *option)
{
    free(option->description);
    free(option->file);
    free(option->path);
    free(option->options);
    *option = (struct boot_option){ 0 };
}

void boot_options_free(struct boot_options *options)
{
    for (size_t i = 0; i < options->count; i++)
        free_option(&options->items[i]);
    *options = (struct boot_options){ .next = -1, .current = -1 };
}

/* A number of two bytes; -1 when the variable is not there, or is none. */
static int read_number(const char *folder, const struct firmware_variable_list *changed, const char *name, int *ret,
                       struct error *error)
{
    cleanup(firmware_variable_free) struct firmware_variable variable = { 0 };
    bool found;
    int r = firmware_variable_read(folder, changed, vendor_global, name, &variable, &found, error);

    *ret = found && variable.size == 2 ? variable.data[0] | variable.data[1] << 8 : -1;
    return r;
}

/* EDK2 marks so the entries that it makes for the disks it finds; the mark is not given to the program. */
static const uint8_t automatic[GUID_BYTES] = { 0x4e, 0xac, 0x08, 0x81, 0x11, 0x9f, 0x59, 0x4d,
                                               0x85, 0x0e, 0xe2, 0x1a, 0x52, 0x2c, 0x59, 0xb2 };

enum part { PART_DESCRIPTION, PART_FILE, PART_PATH };

static char *put_part(enum part part, struct span bytes)
{
    char *text = NULL;
    size_t size;
    FILE *stream = open_memstream(&text, &size);

    if (!stream)
        return NULL;
    if (part == PART_DESCRIPTION)
        text_put_utf16(stream, bytes);
    else if (part == PART_FILE)
        device_path_put_file(stream, bytes);
    else
        device_path_put(stream, bytes);
    if (fclose(stream) == 0)
        return text;
    free(text);
    return NULL;
}

/* False when the data is no load option, or memory is short. */
static bool parse(struct span data, struct boot_option *ret)
{
    struct load_option option;
    struct span options;

    if (!load_option_parse(data, &option))
        return false;
    options = option.options;
    if (options.size == GUID_BYTES && memcmp(options.bytes, automatic, GUID_BYTES) == 0)
        options.size = 0;
    ret->active = option.attributes & LOAD_OPTION_ACTIVE;
    ret->application = option.attributes & LOAD_OPTION_CATEGORY;
    ret->description = put_part(PART_DESCRIPTION, option.description);
    ret->file = put_part(PART_FILE, option.path);
    ret->path = put_part(PART_PATH, option.path);
    ret->options = malloc(options.size + 1);
    if (!ret->description || !ret->file || !ret->path || !ret->options)
        return false;
    memcpy(ret->options, options.bytes, options.size);
    ret->options_size = options.size;
    return true;
}

static int add(struct boot_options *ret, const char *folder, const struct firmware_variable_list *changed,
               uint16_t number, struct error *error)
{
    cleanup(firmware_variable_free) struct firmware_variable variable = { 0 };
    struct boot_option *option = &ret->items[ret->count];
    char name[16];
    bool found;
    int r;

    if (ret->count == BOOT_OPTIONS_MAX || boot_options_find(ret, number))
        return 0;
    snprintf(name, sizeof(name), "Boot%04X", number);
    r = firmware_variable_read(folder, changed, vendor_global, name, &variable, &found, error);
    if (r || !found)
        return r;
    option->number = number;
    if (parse((struct span){ variable.data, variable.size }, option))
        ret->count++;
    else
        free_option(option);
    return 0;
}

int boot_options_read(const char *folder, const struct firmware_variable_list *changed, struct boot_options *ret,
                      struct error *error)
{
    cleanup(firmware_variable_free) struct firmware_variable order = { 0 };
    struct cursor cursor;
    uint16_t number;
    bool found;
    int r;

    *ret = (struct boot_options){ .next = -1, .current = -1 };
    r = read_number(folder, changed, "BootNext", &ret->next, error);
    r = r ?: read_number(folder, changed, "BootCurrent", &ret->current, error);
    r = r ?: firmware_variable_read(folder, changed, vendor_global, "BootOrder", &order, &found, error);
    cursor = cursor_new(order.data, order.size);
    while (!r && cursor_u16(&cursor, &number))
        r = add(ret, folder, changed, number, error);
    if (!r && ret->next >= 0)
        r = add(ret, folder, changed, (uint16_t)ret->next, error);
    if (!r && ret->current >= 0)
        r = add(ret, folder, changed, (uint16_t)ret->current, error);
    if (r)
        boot_options_free(ret);
    return r;
}

const struct boot_option *boot_options_find(const struct boot_options *options, int number)
{
    for (size_t i = 0; i < options->count; i++)
        if (options->items[i].number == number)
            return &options->items[i];
    return NULL;
}

const struct boot_option *boot_options_next(const struct boot_options *options)
{
    if (options->next >= 0)
        return boot_options_find(options, options->next);
    for (size_t i = 0; i < options->count; i++)
        if (options->items[i].active && !options->items[i].application)
            return &options->items[i];
    return NULL;
}
