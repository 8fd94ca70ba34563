#include "scratch-machine.h"

#include "base/cleanup.h"
#include "base/file.h"
#include "log-builder.h"
#include "measure/efi-variable.h"
#include "measure/event-type.h"
#include "measure/predict/program.h"
#include "measure/predict/running-boot.h"
#include "measure/predict/shim.h"
#include "measure/text.h"

#include <ftw.h>
#include <libgen.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *walk)
{
    (void)status;
    (void)type;
    (void)walk;
    return remove(path);
}

void machine_write(const struct scratch_machine *scratch, const char *path, const void *bytes, size_t size)
{
    char whole[PATH_MAX], folder[PATH_MAX];
    struct error error;

    snprintf(whole, sizeof(whole), "%s/%s", scratch->folder, path);
    snprintf(folder, sizeof(folder), "%s/%s", scratch->folder, path);
    assert_int_equal(file_make_folder(dirname(folder), 0700, &error), 0);
    assert_int_equal(file_write(whole, bytes, size, 0600, &error), 0);
}

void machine_copy(const struct scratch_machine *scratch, const char *path, const char *from)
{
    cleanup(free_ptr) char *bytes = NULL;
    struct error error = { 0 };
    size_t size;

    if (file_read(from, 64 * 1024 * 1024, &bytes, &size, &error))
        fail_msg("%s", error.text);
    machine_write(scratch, path, bytes, size);
}

void scratch_set_variable(const struct scratch_machine *scratch, const uint8_t *vendor, const char *name,
                          const void *data, size_t size)
{
    cleanup(free_ptr) uint8_t *bytes = calloc(1, size + 4);
    char path[PATH_MAX], guid[GUID_TEXT];

    assert_non_null(bytes);
    guid_format(vendor, guid);
    snprintf(path, sizeof(path), "%s/%s-%s", scratch->variables, name, guid);
    if (!data) {
        unlink(path);
        return;
    }
    bytes[0] = 7;
    memcpy(bytes + 4, data, size);
    snprintf(path, sizeof(path), "efivars/%s-%s", name, guid);
    machine_write(scratch, path, bytes, size + 4);
}

void scratch_set_option(const struct scratch_machine *scratch, uint16_t number, const char *file)
{
    uint8_t option[512] = { 1 };
    size_t path = 4 + 2 + 4, length = strlen(file), node = 4 + 2 * (length + 1);
    char name[16];

    assert_true(path + node + 4 <= sizeof(option));
    option[4] = (uint8_t)(node + 4);
    option[5] = (uint8_t)((node + 4) >> 8);
    option[6] = 'x';
    option[path] = 4; /* media: file path */
    option[path + 1] = 4;
    option[path + 2] = (uint8_t)node;
    for (size_t i = 0; i < length; i++)
        option[path + 4 + 2 * i] = (uint8_t)file[i];
    memcpy(option + path + node, "\x7f\xff\x04\x00", 4);
    snprintf(name, sizeof(name), "Boot%04X", number);
    scratch_set_variable(scratch, vendor_global, name, option, path + node + 4);
}

void scratch_set_number(const struct scratch_machine *scratch, const char *name, uint16_t number)
{
    scratch_set_variable(scratch, vendor_global, name, &number, sizeof(number));
}

/* The variables whose contents the log tells; empty ones are not there. */
static void write_variables(const struct scratch_machine *scratch)
{
    for (size_t i = 0; i < scratch->log.count; i++) {
        const struct event *event = &scratch->log.events[i];
        struct efi_variable variable;

        if (event->type != EVENT_VARIABLE_DRIVER_CONFIG && event->type != EVENT_VARIABLE_BOOT)
            continue;
        assert_true(efi_variable_parse(event->data, &variable));
        if (variable.data.size)
            scratch_set_variable(scratch, variable.vendor, variable.name, variable.data.bytes, variable.data.size);
    }
    for (size_t i = 0; i < scratch->log.count; i++) {
        struct efi_variable variable;

        if (scratch->log.events[i].type == EVENT_VARIABLE_AUTHORITY &&
            efi_variable_parse(scratch->log.events[i].data, &variable) && strcmp(variable.name, "SbatLevel") == 0)
            scratch_set_variable(scratch, vendor_shim, "SbatLevelRT", variable.data.bytes, variable.data.size);
    }
}

/* shim and boot loader are known by their digests; their files are stand-ins. */
static void know_programs(struct scratch_machine *scratch)
{
    struct program_cache cache = { 0 };
    struct running_boot running;
    struct error error = { 0 };
    size_t last;

    if (running_boot_read(&scratch->machine, &cache, &running, &error))
        return;
    last = running.loader != NO_PROGRAM ? running.loader + 1 : running.image;
    for (size_t i = 0; i < last; i++) {
        char path[PATH_MAX] = "esp";
        size_t length = strlen(path);

        snprintf(path + length, sizeof(path) - length, "%s", running.programs[i].name);
        for (char *c = path; *c; c++)
            *c = *c == '\\' ? '/' : *c;
        machine_write(scratch, path, "stand-in", 8);
        assert_true(asprintf(&scratch->paths[i], "%s/%s", scratch->folder, path) > 0);
        scratch->programs[i] =
            (struct predict_known_program){ scratch->paths[i], running.programs[i].digest, &scratch->sha256 };
        scratch->machine.known_program_count = i + 1;
    }
    scratch->machine.known_programs = scratch->programs;
}

static void prepare(struct scratch_machine *scratch)
{
    struct error error;

    strcpy(scratch->folder, "/tmp/bootseal-predict-XXXXXX");
    assert_non_null(mkdtemp(scratch->folder));
    snprintf(scratch->variables, sizeof(scratch->variables), "%s/efivars", scratch->folder);
    snprintf(scratch->esp, sizeof(scratch->esp), "%s/esp", scratch->folder);
    assert_int_equal(file_make_folder(scratch->variables, 0700, &error), 0);
    assert_int_equal(file_make_folder(scratch->esp, 0700, &error), 0);
    assert_int_equal(component_list_read(&scratch->log, &scratch->components, &error), 0);
    scratch->machine = (struct predict_machine){
        .bank = HASH_SHA256,
        .log = &scratch->log,
        .components = &scratch->components,
        .efi_system_partition = scratch->esp,
        .variables = scratch->variables,
    };
    write_variables(scratch);
    know_programs(scratch);
}

void scratch_machine_start(struct scratch_machine *scratch, const char *log)
{
    struct error error = { 0 };

    *scratch = (struct scratch_machine){ 0 };
    if (event_log_read(recorded_path(log, "bin"), &scratch->log, &error))
        fail_msg("%s", error.text);
    prepare(scratch);
}

void scratch_machine_start_built(struct scratch_machine *scratch, const struct built_log *built)
{
    *scratch = (struct scratch_machine){ 0 };
    built_log_parse(built, &scratch->log);
    prepare(scratch);
}

void scratch_machine_end(struct scratch_machine *scratch)
{
    component_list_free(&scratch->components);
    event_log_free(&scratch->log);
    for (size_t i = 0; i < SCRATCH_PROGRAMS; i++)
        free(scratch->paths[i]);
    nftw(scratch->folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

void scratch_hash_list(const char *program, uint8_t ret[SCRATCH_LIST_BYTES])
{
    static const uint8_t sha256_type[16] = { 0x26, 0x16, 0xc4, 0xc1, 0x4c, 0x50, 0x92, 0x40,
                                             0xac, 0xa9, 0x41, 0xf9, 0x36, 0x93, 0x43, 0x28 };
    struct digest ignored;
    struct error error = { 0 };

    memset(ret, 0, SCRATCH_LIST_BYTES);
    memcpy(ret, sha256_type, sizeof(sha256_type));
    ret[16] = SCRATCH_LIST_BYTES;
    ret[24] = 16 + 32;
    if (program_hash(program, HASH_SHA256, ret + SCRATCH_LIST_BYTES - 32, &ignored, &error))
        fail_msg("%s", error.text);
}

void scratch_set_owner_keys(const struct scratch_machine *scratch, const uint8_t *list)
{
    cleanup(free_ptr) uint8_t *lists = NULL;
    struct error error = { 0 };
    size_t size = 0;

    if (shim_vendor_lists(SCRATCH_SHIM, false, &lists, &size, &error))
        fail_msg("%s", error.text);
    lists = realloc(lists, size + SCRATCH_LIST_BYTES);
    assert_non_null(lists);
    if (list)
        memcpy(lists + size, list, SCRATCH_LIST_BYTES);
    scratch_set_variable(scratch, vendor_shim, "MokListRT", lists, size + (list ? SCRATCH_LIST_BYTES : 0));
}

void scratch_forget_program(struct scratch_machine *scratch, const char *path)
{
    char whole[PATH_MAX];

    snprintf(whole, sizeof(whole), "%s/%s", scratch->folder, path);
    for (size_t i = 0; i < scratch->machine.known_program_count; i++)
        if (strcmp(scratch->programs[i].path, whole) == 0)
            scratch->programs[i].path = "";
}

void scratch_compare(const struct scratch_machine *scratch, const struct extend_list *list, unsigned pcr)
{
    size_t bank = (size_t)event_log_bank(&scratch->log, HASH_SHA256), item = 0;

    for (size_t i = 0; i < scratch->log.count; i++) {
        const struct event *event = &scratch->log.events[i];

        if (event->pcr != pcr || !event_is_extended(event))
            continue;
        while (item < list->count && list->items[item].pcr != pcr)
            item++;
        if (item == list->count)
            fail_msg("PCR %u: event %zu is not predicted", pcr, i);
        if (memcmp(list->items[item].digest, event->digest[bank], DIGEST_BYTES) != 0)
            fail_msg("PCR %u: event %zu differs: %s", pcr, i, list->items[item].text);
        item++;
    }
    while (item < list->count && list->items[item].pcr != pcr)
        item++;
    assert_int_equal(item, list->count);
}
