/* systemd-boot's configuration: loader.conf, two entries, and the EFI variables that choose one. */
#include "fuzz.h"

#include "base/cleanup.h"
#include "measure/predict/command-line.h"
#include "measure/predict/systemd-boot-order.h"
#include "measure/predict/systemd-boot.h"
#include "predict/scratch.h"

#include <string.h>

#define LOADER "EFI/systemd/systemd-bootx64.efi"

enum part { LOADER_CONF, FIRST_ENTRY, SECOND_ENTRY, ONE_SHOT, PREFERRED, LAST_BOOTED, PARTS };

static void make_disk(void)
{
    static struct made_image image;
    static const char magic[] = MADE_LOADER;

    if (image.size)
        return;
    made_start(&image);
    made_add(&image, ".sdmagic", magic, sizeof(magic));
    fuzz_write("esp/" LOADER, fuzz_span(image.bytes, image.size));
    made_kernel(&image, "6.1.0-50-amd64 (debian)");
    fuzz_write("esp/vmlinuz", fuzz_span(image.bytes, image.size));
    fuzz_write("esp/initrd.img", fuzz_span("an initrd", 9));
}

static void predict(const struct systemd_boot_machine *machine, const struct systemd_boot_entry *entry)
{
    cleanup(boot_prediction_free) struct boot_prediction prediction = { 0 };
    char word[COMMAND_LINE_WORD];
    struct error error;

    fuzz_require(!boot_prediction_init(&prediction, HASH_SHA256, &error));
    fuzz_require_told(systemd_boot_predict(machine, entry, &prediction, &error), &error);
    if (prediction.command_line && command_line_gives_shell(prediction.command_line, word))
        fuzz_require(strlen(word) < sizeof(word));
}

static void try_menu(const struct systemd_boot_machine *machine)
{
    cleanup(systemd_boot_menu_free) struct systemd_boot_menu menu = { 0 };
    struct error error;
    int r = systemd_boot_read_menu(machine, &menu, &error);

    fuzz_require_told(r, &error);
    if (r)
        return;
    fuzz_require(menu.chosen == SYSTEMD_BOOT_NONE ? menu.reason != NULL : menu.chosen < menu.count);
    for (size_t i = 0; i < menu.count; i++)
        predict(machine, &menu.entries[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    cleanup(free_ptr) char *one_shot = NULL;
    cleanup(free_ptr) char *preferred = NULL;
    cleanup(free_ptr) char *last_booted = NULL;
    struct systemd_boot_machine machine = { .bank = HASH_SHA256, .loader = "/" LOADER };
    struct span parts[PARTS];
    char esp[FUZZ_PATH];
    struct error error;
    bool fits;

    fuzz_split(bytes, size, parts, PARTS);
    one_shot = fuzz_text(parts[ONE_SHOT]);
    preferred = fuzz_text(parts[PREFERRED]);
    last_booted = fuzz_text(parts[LAST_BOOTED]);
    make_disk();
    fuzz_write("esp/loader/loader.conf", parts[LOADER_CONF]);
    fuzz_write("esp/loader/entries/debian+3-1.conf", parts[FIRST_ENTRY]);
    fuzz_write("esp/loader/entries/older.conf", parts[SECOND_ENTRY]);
    fuzz_path("esp", esp);
    machine.esp = esp;
    machine.secure_boot = size % 2;
    machine.entry_one_shot = one_shot[0] ? one_shot : NULL;
    machine.entry_default = preferred[0] ? preferred : NULL;
    machine.entry_last_booted = last_booted[0] ? last_booted : NULL;
    try_menu(&machine);
    (void)systemd_version_compare(one_shot, preferred);
    fuzz_require_told(systemd_boot_match(preferred, one_shot, &fits, &error), &error);
    return 0;
}
