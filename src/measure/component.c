#include "measure/component.h"

#include "base/cleanup.h"
#include "measure/describe.h"
#include "measure/event-type.h"
#include "measure/text.h"

#include <string.h>

static const struct {
    const char *word, *phrase;
} kinds[COMPONENT_KIND_COUNT] = {
    [COMPONENT_OTHER] = { "other", "an event of the type" },
    [COMPONENT_NOTE] = { "note", "a note that is not measured:" },
    [COMPONENT_SEPARATOR] = { "separator", "end of the firmware's own part" },
    [COMPONENT_FIRMWARE] = { "firmware", "the firmware's" },
    [COMPONENT_FIRMWARE_SETTING] = { "firmware-setting", "the firmware's setting" },
    [COMPONENT_DRIVER] = { "driver", "the firmware driver" },
    [COMPONENT_BOOT_STEP] = { "boot-step", "the firmware:" },
    [COMPONENT_PARTITION_TABLE] = { "partition-table", "the partition table of disk" },
    [COMPONENT_SECURE_BOOT] = { "secure-boot", "Secure Boot" },
    [COMPONENT_KEY_LIST] = { "key-list", "Secure Boot's list" },
    [COMPONENT_AUTHORITY] = { "authority", "a program was verified by" },
    [COMPONENT_OWNER_KEYS] = { "owner-keys", "shim's" },
    [COMPONENT_PROGRAM] = { "program", "the boot program" },
    [COMPONENT_LOADER_CONFIGURATION] = { "loader-configuration", "the boot loader's" },
    [COMPONENT_GRUB_COMMAND] = { "grub-command", "GRUB's command" },
    [COMPONENT_MENU_ENTRY] = { "menu-entry", "GRUB's menu entry" },
    [COMPONENT_BOOT_FILE] = { "boot-file", "the file" },
    [COMPONENT_KERNEL] = { "kernel", "the kernel" },
    [COMPONENT_KERNEL_COMMAND_LINE] = { "kernel-command-line", "kernel command line" },
    [COMPONENT_LOAD_OPTIONS] = { "load-options", "the kernel's load options" },
    [COMPONENT_INITRD] = { "initrd", "the initrd" },
    [COMPONENT_IMAGE_SECTION] = { "image-section", "the unified kernel image's section" },
    [COMPONENT_EXTENSION] = { "extension", "beside the unified kernel image:" },
};

const char *component_kind_name(enum component_kind kind)
{
    return kinds[kind].word;
}

void component_put_subject(FILE *stream, const struct component *component)
{
    fprintf(stream, "%s%s%s", kinds[component->kind].phrase, component->name[0] ? " " : "", component->name);
}

/* Whether the value is worth its place: a menu entry's is long, a program's may be the name once more. */
static bool shows_value(const struct component *component)
{
    if (component->kind == COMPONENT_GRUB_COMMAND)
        return true;
    return component->kind != COMPONENT_MENU_ENTRY && component->value[0] &&
           strcmp(component->value, component->name) != 0;
}

void component_put(FILE *stream, const struct component *component)
{
    if (component->kind == COMPONENT_GRUB_COMMAND) /* the value starts with the name */
        fputs(kinds[component->kind].phrase, stream);
    else
        component_put_subject(stream, component);
    if (shows_value(component))
        fprintf(stream, ": %s", component->value);
}

static void free_component(struct component *component)
{
    free(component->name);
    free(component->value);
    *component = (struct component){ 0 };
}

void component_list_free(struct component_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free_component(&list->items[i]);
    free(list->items);
    *list = (struct component_list){ 0 };
}

static bool describe(const struct event *event, struct description *description)
{
    switch (event->type) {
    case EVENT_IPL:
    case EVENT_COMPACT_HASH:
        return describe_ipl_event(event, description);
    case EVENT_TAG:
        return describe_tagged_event(event, description);
    default:
        return describe_firmware_event(event, description);
    }
}

/* What is said of an event that nobody here understands. */
static void describe_type(const struct event *event, struct description *description)
{
    const char *name = event_type_name(event->type);

    description->kind = event_is_extended(event) ? COMPONENT_OTHER : COMPONENT_NOTE;
    if (name)
        fputs(name, description->name);
    else
        fprintf(description->name, "0x%08x", event->type);
    if (event->data.size)
        fprintf(description->value, "%zu bytes", event->data.size);
}

/* Two streams into memory, to be closed into a component's strings. */
struct streams {
    FILE *name, *value;
    size_t name_size, value_size;
};

static bool close_streams(struct streams *streams)
{
    bool good = streams->name && streams->value && !ferror(streams->name) && !ferror(streams->value);

    good = streams->name && fclose(streams->name) == 0 && good;
    return streams->value && fclose(streams->value) == 0 && good;
}

/* Runs one reader, or with NULL the one for what nobody understands. *understood is what it returned. */
static int read_with(bool (*reader)(const struct event *, struct description *), const struct event *event,
                     const struct description *context, struct component *ret, bool *understood)
{
    struct streams streams = { 0 };
    struct description description = *context;

    *ret = (struct component){ 0 };
    *understood = true;
    description.name = streams.name = open_memstream(&ret->name, &streams.name_size);
    description.value = streams.value = open_memstream(&ret->value, &streams.value_size);
    if (streams.name && streams.value) {
        if (reader)
            *understood = reader(event, &description);
        else
            describe_type(event, &description);
    }
    ret->kind = description.kind;
    return close_streams(&streams) ? 0 : -1;
}

static int read_component(const struct event *event, const struct description *context, struct component *ret,
                          struct error *error)
{
    bool understood;
    int r = read_with(describe, event, context, ret, &understood);

    if (!r && !understood) {
        free_component(ret);
        r = read_with(NULL, event, context, ret, &understood);
    }
    if (!r)
        return 0;
    free_component(ret);
    return error_no_memory(error);
}

/* The words after the command's own: "linux /vmlinuz quiet" gives "/vmlinuz quiet". */
static const char *arguments_of(const struct component *command)
{
    const char *space = strchr(command->value, ' ');

    return space ? space + 1 : "";
}

/* Keeps what later events are to be read by. */
static void remember(const struct component *component, struct description *context)
{
    static const char *const loaders[] = { "linux", "linuxefi", "linux16" }, *const others[] = { "initrd", "initrdefi",
                                                                                                 "initrd16" };

    if (component->kind != COMPONENT_GRUB_COMMAND)
        return;
    for (size_t i = 0; i < array_size(loaders); i++) {
        if (strcmp(component->name, loaders[i]) == 0)
            context->kernel = arguments_of(component);
        if (strcmp(component->name, others[i]) == 0)
            context->initrd = arguments_of(component);
    }
}

int component_list_read(const struct event_log *log, struct component_list *ret, struct error *error)
{
    struct description context = { .kernel = "", .initrd = "" };
    int r = 0;

    *ret = (struct component_list){ .items = calloc(log->count + 1, sizeof(*ret->items)) };
    if (!ret->items)
        return error_no_memory(error);
    for (size_t i = 0; !r && i < log->count; i++) {
        r = read_component(&log->events[i], &context, &ret->items[i], error);
        if (!r) {
            ret->count++;
            remember(&ret->items[i], &context);
        }
    }
    if (r)
        component_list_free(ret);
    return r;
}
