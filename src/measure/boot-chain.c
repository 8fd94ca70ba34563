#include "measure/boot-chain.h"

#include "base/cleanup.h"
#include "measure/text.h"

#include <string.h>

#define RETURNING "Returning from EFI Application from Boot Option"

static const struct {
    const char *name, *words;
} chains[] = {
    [CHAIN_NONE] = { "none", "none that is known" },
    [CHAIN_UKI] = { "uki", "a unified kernel image" },
    [CHAIN_SYSTEMD_BOOT] = { "systemd-boot", "systemd-boot" },
    [CHAIN_SHIM_GRUB] = { "shim-grub", "shim and GRUB" },
    [CHAIN_GRUB] = { "grub", "GRUB without shim" },
    [CHAIN_KERNEL] = { "kernel", "a kernel that the firmware starts" },
};

const char *boot_chain_name(enum boot_chain chain)
{
    return chains[chain].name;
}

const char *boot_chain_words(enum boot_chain chain)
{
    return chains[chain].words;
}

/* What the events since the last boot entry that came back to the firmware tell. */
struct traces {
    bool image_sections, grub, owner_keys, systemd_boot, kernel_stub;
    size_t programs; /* not the firmware's own, such as its setup menu */
};

static void add_program(struct traces *traces, const struct component *component)
{
    if (strncmp(component->name, "FvFile(", 7) == 0)
        return;
    traces->programs++;
    traces->systemd_boot = traces->systemd_boot || strcasestr(component->name, "systemd-boot");
}

/* GRUB says "kernel_cmdline: …" in ASCII; systemd-boot the command line alone, in UTF-16. */
static void add_command_line(struct traces *traces, const struct event *event)
{
    if (text_is_utf16(event->data))
        traces->systemd_boot = true;
    else if (event->pcr == 8)
        traces->grub = true;
}

static void add_trace(struct traces *traces, const struct event *event, const struct component *component)
{
    switch (component->kind) {
    case COMPONENT_BOOT_STEP:
        if (strcmp(component->name, RETURNING) == 0)
            *traces = (struct traces){ 0 };
        break;
    case COMPONENT_PROGRAM:
    case COMPONENT_KERNEL:
        if (event->pcr == 4)
            add_program(traces, component);
        break;
    case COMPONENT_IMAGE_SECTION:
        traces->image_sections = true;
        break;
    case COMPONENT_GRUB_COMMAND:
    case COMPONENT_MENU_ENTRY:
        traces->grub = true;
        break;
    case COMPONENT_OWNER_KEYS:
        traces->owner_keys = true;
        break;
    case COMPONENT_KERNEL_COMMAND_LINE:
        add_command_line(traces, event);
        break;
    case COMPONENT_LOADER_CONFIGURATION:
        traces->systemd_boot = true;
        break;
    case COMPONENT_LOAD_OPTIONS:
        traces->kernel_stub = true;
        break;
    default:
        break;
    }
}

enum boot_chain boot_chain_detect(const struct event_log *log, const struct component_list *components)
{
    struct traces traces = { 0 };

    for (size_t i = 0; i < components->count; i++)
        add_trace(&traces, &log->events[i], &components->items[i]);
    if (traces.image_sections)
        return CHAIN_UKI;
    if (traces.grub)
        return traces.owner_keys ? CHAIN_SHIM_GRUB : CHAIN_GRUB;
    if (traces.systemd_boot)
        return CHAIN_SYSTEMD_BOOT;
    return traces.kernel_stub && traces.programs == 1 ? CHAIN_KERNEL : CHAIN_NONE;
}
