/* GRUB's configuration; the second part is grubenv, the third the entry that somebody chooses in the menu. */
#include "fuzz.h"

#include "base/cleanup.h"
#include "measure/predict/grub/environment.h"
#include "measure/predict/grub/grub.h"

#include <string.h>

#define BOOT_UUID "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee" /* of the recorded configuration in tests/data */

static const char start[] = "search.fs_uuid " BOOT_UUID " root\n"
                            "set prefix=($root)'/grub'\n"
                            "configfile $prefix/grub.cfg\n";

static char esp[FUZZ_PATH], boot[FUZZ_PATH], grub_cfg[FUZZ_PATH], grubenv[FUZZ_PATH];

static void write_text(const char *name, const char *text)
{
    fuzz_write(name, fuzz_span(text, strlen(text)));
}

static void make_disk(void)
{
    if (esp[0])
        return;
    write_text("esp/EFI/debian/grub.cfg", start);
    write_text("boot/vmlinuz", "a kernel");
    write_text("boot/initrd.img", "an initrd");
    write_text("boot/vmlinuz-6.1.0-56-cloud-amd64", "a kernel");
    write_text("boot/initrd.img-6.1.0-56-cloud-amd64", "an initrd");
    write_text("boot/grub/grub.cfg", "");
    write_text("boot/grub/grubenv", "");
    write_text("boot/grub/unicode.pf2", "a font");
    write_text("boot/grub/x86_64-efi/video.lst", "efi_gop\n");
    fuzz_path("boot/grub/grub.cfg", grub_cfg);
    fuzz_path("boot/grub/grubenv", grubenv);
    fuzz_path("boot", boot);
    fuzz_path("esp", esp);
}

static void require_whole(const struct grub_boot *predicted)
{
    fuzz_require(predicted->chosen < predicted->menu_count || predicted->menu_count == 0);
    fuzz_require(predicted->kernel && predicted->command_line && predicted->kernel_index < predicted->extends.count);
    for (size_t i = 0; i < predicted->extends.count; i++)
        fuzz_require(predicted->extends.items[i].pcr == 8 || predicted->extends.items[i].pcr == 9);
}

static void try_environment(struct span bytes)
{
    cleanup(free_ptr) char *copy = fuzz_text(bytes);
    cleanup(free_ptr) char *name = malloc(bytes.size + 1);
    cleanup(free_ptr) char *value = malloc(bytes.size + 1);
    struct environment environment = { copy, bytes.size };
    size_t offset = 0;

    fuzz_require(name && value);
    if (!environment_is_good(&environment))
        return;
    while (environment_next(&environment, &offset, name, value))
        fuzz_require(strlen(name) < bytes.size && strlen(value) < bytes.size);
    (void)environment_set(&environment, "next_entry", "a>b\\\n");
    environment_remove(&environment, "saved_entry");
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    cleanup(grub_boot_free) struct grub_boot predicted = { 0 };
    cleanup(free_ptr) char *choice = NULL;
    struct span parts[3];
    struct error error;
    int r;

    make_disk();
    fuzz_split(bytes, size, parts, 3);
    choice = fuzz_text(parts[2]);
    {
        struct boot_place items[] = { { esp, "1234-abcd", "", "gpt1", 0 }, { boot, BOOT_UUID, "boot", "gpt2", 0 } };
        const struct boot_places places = { items, array_size(items) };
        const struct grub_known_file known[] = {
            { .path = grub_cfg, .bytes = parts[0].bytes, .size = parts[0].size },
            { .path = grubenv, .bytes = parts[1].bytes, .size = parts[1].size },
        };
        const struct grub_request request = {
            .bank = HASH_SHA256,
            .places = &places,
            .secure_boot = size % 2,
            .config = "(hd0,gpt1)/EFI/debian/grub.cfg",
            .prefix = "(hd0,gpt1)/EFI/debian",
            .cmdpath = "(hd0,gpt1)/EFI/debian",
            .root = "hd0,gpt1",
            .choice = choice[0] ? choice : NULL,
            .known_files = known,
            .known_file_count = array_size(known),
        };

        r = grub_predict(&request, &predicted, &error);
    }
    fuzz_require_told(r, &error);
    if (!r)
        require_whole(&predicted);
    try_environment(parts[1]);
    return 0;
}
