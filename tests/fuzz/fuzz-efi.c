/* What firmware and its variables hold: signature lists, measured variables, partition tables, device paths, and the
 * second part as an update of the first, a variable of signature lists. */
#include "fuzz.h"

#include "base/cleanup.h"
#include "measure/device-path.h"
#include "measure/efi-variable.h"
#include "measure/gpt.h"
#include "measure/predict/boot-option.h"
#include "measure/predict/variable-stages.h"
#include "measure/predict/variable-update.h"
#include "measure/signature-list.h"
#include "measure/text.h"

#include <string.h>

static void try_lists(struct span bytes)
{
    struct signature_walk walk = { .lists = bytes };
    struct span signature;

    while (signature_next(&walk, &signature)) {
        fuzz_require(signature.size >= GUID_BYTES && signature.size <= bytes.size);
        (void)signature_walk_type(&walk);
        signature_put(fuzz_nowhere(), signature);
    }
    signature_lists_put(fuzz_nowhere(), bytes);
}

static void try_variable(struct span bytes)
{
    struct efi_variable variable;

    if (!efi_variable_parse(bytes, &variable))
        return;
    (void)efi_variable_is_key_list(&variable);
    (void)efi_variable_is_secure_boot(&variable);
    (void)efi_variable_is_shims(&variable);
    efi_variable_put(fuzz_nowhere(), &variable);
    efi_variable_put_authority(fuzz_nowhere(), &variable);
}

static void try_update(struct span before, struct span update, bool append)
{
    cleanup(free_ptr) uint8_t *data = (uint8_t *)fuzz_text(before);
    cleanup(firmware_variable_free) struct firmware_variable after = { 0 };
    char name[] = "dbx";
    struct firmware_variable variable = { .name = name, .attributes = 0x27, .data = data, .size = before.size };
    struct error error;
    int r;

    memcpy(variable.vendor, vendor_database, sizeof(variable.vendor));
    r = variable_update_apply(&variable, update, append, &after, &error);
    fuzz_require_told(r, &error);
    fuzz_require(r || after.size <= before.size + update.size);
    if (!r)
        try_lists(fuzz_span(after.data, after.size));
}

/* Keys of the machine's owner, and a request for more. */
static void try_request(struct span keys, struct span new_keys)
{
    cleanup(variable_stages_free) struct variable_stages stages = { 0 };
    char folder[FUZZ_PATH];
    struct error error;

    fuzz_write("efivars/MokListRT-605dab50-e046-4300-abb6-3dd810dd8b23", keys);
    fuzz_write("efivars/MokNew-605dab50-e046-4300-abb6-3dd810dd8b23", new_keys);
    fuzz_write("efivars/MokAuth-605dab50-e046-4300-abb6-3dd810dd8b23", keys);
    fuzz_path("efivars", folder);
    fuzz_require_told(variable_stages_make(folder, NULL, 0, &stages, &error), &error);
    for (size_t i = 0; i < stages.count; i++)
        for (size_t k = 0; k < stages.items[i].changed.count; k++)
            fuzz_require(stages.items[i].changed.items[k].size <= keys.size + new_keys.size);
}

/* The firmware's boot entries, all of them this one. */
static void try_boot_option(struct span bytes)
{
    static const char order[] = "\x07\0\0\0\x01\0\x02";
    cleanup(boot_options_free) struct boot_options options = { .next = -1, .current = -1 };
    char folder[FUZZ_PATH];
    struct error error;

    fuzz_write("efivars/BootOrder-8be4df61-93ca-11d2-aa0d-00e098032b8c", fuzz_span(order, sizeof(order)));
    fuzz_write("efivars/Boot0001-8be4df61-93ca-11d2-aa0d-00e098032b8c", bytes);
    fuzz_path("efivars", folder);
    fuzz_require_told(boot_options_read(folder, NULL, &options, &error), &error);
    for (size_t i = 0; i < options.count; i++)
        fuzz_require(!strpbrk(options.items[i].description, "\n\r\x1b"));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct span parts[2];

    fuzz_split(bytes, size, parts, 2);
    try_lists(parts[0]);
    try_variable(parts[0]);
    try_boot_option(parts[0]);
    (void)device_path_put(fuzz_nowhere(), parts[0]);
    (void)device_path_put_file(fuzz_nowhere(), parts[0]);
    (void)device_path_is_firmware(parts[0]);
    (void)gpt_put(fuzz_nowhere(), fuzz_nowhere(), parts[0]);
    text_put(fuzz_nowhere(), parts[0]);
    try_update(parts[0], parts[1], false);
    try_update(parts[0], parts[1], true);
    try_request(parts[0], parts[1]);
    return 0;
}
