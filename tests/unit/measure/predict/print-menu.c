/*
 * Prints systemd-boot's menu and what one entry of it measures, for tests in other languages.
 *
 * usage: print-menu SECURE-BOOT(0|1) ESP LOADER [ID]
 *
 * The menu: "entry ID TITLE", "chosen ID"; with an ID its events: "PCR DIGEST TEXT", "unknown PCR REASON",
 * "command-line TEXT".
 */
#include "base/cleanup.h"
#include "base/encode.h"
#include "measure/predict/systemd-boot.h"

#include <string.h>

static int print_events(const struct systemd_boot_machine *machine, const struct systemd_boot_entry *entry,
                        struct error *error)
{
    cleanup(boot_prediction_free) struct boot_prediction prediction = { 0 };
    char hex[HEX_TEXT(HASH_MAX_BYTES)];
    int r = boot_prediction_init(&prediction, machine->bank, error);

    r = r ?: systemd_boot_predict(machine, entry, &prediction, error);
    for (size_t i = 0; i < prediction.extends.count; i++) {
        hex_encode(prediction.extends.items[i].digest, hash_size(machine->bank), hex);
        printf("%u %s %s\n", prediction.extends.items[i].pcr, hex, prediction.extends.items[i].text);
    }
    for (size_t i = 0; i < PCR_COUNT; i++)
        if (prediction.reasons[i])
            printf("unknown %zu %s\n", i, prediction.reasons[i]);
    if (prediction.command_line)
        printf("command-line %s\n", prediction.command_line);
    return r;
}

int main(int count, char **arguments)
{
    struct systemd_boot_machine machine = { .bank = HASH_SHA256 };
    cleanup(systemd_boot_menu_free) struct systemd_boot_menu menu = { 0 };
    struct error error = { 0 };
    int r;

    if (count < 4)
        return 2;
    machine.secure_boot = strcmp(arguments[1], "1") == 0;
    machine.esp = arguments[2];
    machine.loader = arguments[3];
    r = systemd_boot_read_menu(&machine, &menu, &error);
    for (size_t i = 0; !r && i < menu.count; i++) {
        printf("entry %s %s\n", menu.entries[i].id, menu.entries[i].title ?: "");
        if (count > 4 && strcmp(menu.entries[i].id, arguments[4]) == 0)
            r = print_events(&machine, &menu.entries[i], &error);
    }
    if (!r && menu.chosen != SYSTEMD_BOOT_NONE)
        printf("chosen %s\n", menu.entries[menu.chosen].id);
    if (!r && menu.reason)
        printf("reason %s\n", menu.reason);
    if (r)
        printf("error %d %s\n", r, error.text);
    return r;
}
