#include "grub-machine.h"

#include "base/cleanup.h"
#include "base/encode.h"
#include "base/file.h"
#include "log-builder.h"
#include "measure/predict/grub/environment.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define NEVER_KNOWN (1u << 10 | 0x7e0000u)

void read_recorded(const char *name, struct pcr_values *ret)
{
    cleanup(close_stream) FILE *file = fopen(recorded_path(name, "pcrs"), "r");
    char text[HEX_TEXT(DIGEST_BYTES)];
    unsigned pcr;

    *ret = (struct pcr_values){ .bank = HASH_SHA256 };
    assert_non_null(file);
    while (fscanf(file, "%u %64s", &pcr, text) == 2) {
        assert_in_range(pcr, 0, PCR_COUNT - 1);
        assert_true(hex_decode(text, ret->value[pcr], DIGEST_BYTES));
        ret->mask |= 1u << pcr;
    }
}

static void copy(struct grub_machine *machine, const char *name, const char *to)
{
    char path[PATH_MAX];

    snprintf(path, sizeof(path), "%s/" GRUB_RECORDED "%s", recorded_folder, name);
    machine_copy(&machine->scratch, to, path);
}

static void read_sums(struct grub_machine *machine)
{
    char path[PATH_MAX], line[256];
    cleanup(close_stream) FILE *stream = NULL;

    snprintf(path, sizeof(path), "%s/" GRUB_RECORDED "sha256sums", recorded_folder);
    stream = fopen(path, "r");
    assert_non_null(stream);
    while (fgets(line, sizeof(line), stream)) {
        size_t i = machine->file_count;

        line[strcspn(line, "\n")] = '\0';
        if (strstr(line, "/grub.cfg") || strstr(line, "/grubenv"))
            continue;
        assert_true(i < GRUB_KNOWN_FILES);
        line[64] = '\0';
        assert_true(hex_decode(line, machine->digests[i].bytes, DIGEST_BYTES));
        assert_true(asprintf(&machine->paths[i], "%s%s", machine->scratch.folder, line + 66) > 0);
        machine->files[i] = (struct grub_known_file){
            .path = machine->paths[i], .size = 1, .digest = machine->digests[i].bytes, .sha256 = &machine->digests[i]
        };
        machine->file_count++;
    }
}

static void set_places(struct grub_machine *machine)
{
    for (unsigned disk = 0; disk < 2; disk++) {
        machine->places[disk][0] = (struct boot_place){ machine->scratch.esp, "1234-5678", "", "gpt1", disk };
        machine->places[disk][1] =
            (struct boot_place){ machine->boot, "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee", "", "gpt2", disk };
        machine->places[disk][2] =
            (struct boot_place){ machine->scratch.folder, "86e224d5-2e88-4382-a7fc-a3a8681dcd50", "", "gpt3", disk };
        machine->orders[disk] = (struct boot_places){ machine->places[disk], 3 };
    }
}

/* The kernel's Authenticode hash, as the log has it. */
static const uint8_t *kernel_digest(const struct event_log *log)
{
    const uint8_t *found = NULL;

    for (size_t i = 0; i < log->count; i++)
        if (log->events[i].pcr == 4 && event_is_extended(&log->events[i]))
            found = log->events[i].digest[event_log_bank(log, HASH_SHA256)];
    return found;
}

static void know_kernel(struct grub_machine *machine, const char *release)
{
    struct scratch_machine *scratch = &machine->scratch;
    size_t i = scratch->machine.known_program_count++;

    for (size_t k = 0; k < machine->file_count; k++)
        if (strstr(machine->paths[k], "vmlinuz") && strstr(machine->paths[k], release))
            scratch->programs[i] =
                (struct predict_known_program){ machine->paths[k], kernel_digest(&scratch->log), &machine->digests[k] };
    assert_non_null(scratch->programs[i].path);
}

void grub_machine_start(struct grub_machine *machine, const char *name)
{
    struct scratch_machine *scratch = &machine->scratch;
    char log[64];

    *machine = (struct grub_machine){ 0 };
    snprintf(log, sizeof(log), GRUB_RECORDED "%s", name);
    scratch_machine_start(scratch, log);
    snprintf(machine->boot, sizeof(machine->boot), "%s/boot", scratch->folder);
    copy(machine, "esp-grub.cfg", "esp/EFI/debian/grub.cfg");
    copy(machine, "grub.cfg", "boot/grub/grub.cfg");
    copy(machine, "grubenv", "boot/grub/grubenv");
    read_sums(machine);
    set_places(machine);
    know_kernel(machine, strcmp(name, "next") == 0 ? "-53-" : "-56-");
    read_recorded(log, &machine->recorded);
    scratch->machine.orders = machine->orders;
    scratch->machine.order_count = 2;
    scratch->machine.known_files = machine->files;
    scratch->machine.known_file_count = machine->file_count;
    scratch->machine.recorded = &machine->recorded;
    if (strcmp(name, "next") == 0)
        grub_machine_reboot_into(machine, "1>2");
}

void grub_machine_end(struct grub_machine *machine)
{
    for (size_t i = 0; i < machine->file_count; i++)
        free(machine->paths[i]);
    scratch_machine_end(&machine->scratch);
}

void grub_machine_reboot_into(struct grub_machine *machine, const char *entry)
{
    cleanup(free_ptr) char *bytes = NULL;
    struct environment environment;
    char path[PATH_MAX];
    struct error error;

    snprintf(path, sizeof(path), "%s/boot/grub/grubenv", machine->scratch.folder);
    assert_int_equal(file_read(path, 65536, &bytes, &environment.size, &error), 0);
    environment.bytes = bytes;
    assert_true(environment_set(&environment, "next_entry", entry));
    machine_write(&machine->scratch, "boot/grub/grubenv", bytes, environment.size);
}

void grub_machine_forget_file(struct grub_machine *machine, const char *path)
{
    char whole[PATH_MAX];

    snprintf(whole, sizeof(whole), "%s/%s", machine->scratch.folder, path);
    for (size_t i = 0; i < machine->file_count; i++)
        if (strcmp(machine->files[i].path, whole) == 0)
            machine->files[i].path = "";
    scratch_forget_program(&machine->scratch, path);
}

const struct predicted_boot *find_boot(const struct prediction *prediction, size_t order, bool chosen, size_t step,
                                       const char *id)
{
    for (size_t i = 0; i < prediction->count; i++) {
        const struct predicted_boot *boot = &prediction->boots[i];

        if (boot->order == order && boot->chosen == chosen && boot->step == step && strstr(boot->id, id))
            return boot;
    }
    fail_msg("no boot \"%s\" was predicted", id);
    return NULL;
}

void assert_recorded(const struct pcr_values *recorded, const struct predicted_boot *boot)
{
    for (unsigned pcr = 0; pcr < PCR_COUNT; pcr++) {
        if (NEVER_KNOWN & 1u << pcr)
            continue;
        if (boot->unknown[pcr])
            fail_msg("PCR %u: %s", pcr, boot->unknown[pcr]);
        assert_true(boot->values.mask & 1u << pcr);
        if (recorded->mask & 1u << pcr && pcr_values_differ(recorded, &boot->values, 1u << pcr))
            fail_msg("PCR %u is not what was recorded", pcr);
    }
}
