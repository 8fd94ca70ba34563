#include "measure/predict/authority-events.h"

#include "base/cleanup.h"
#include "measure/efi-variable.h"
#include "measure/event-type.h"
#include "measure/predict/firmware-events.h"
#include "measure/predict/owner-keys.h"
#include "measure/predict/program.h"
#include "measure/predict/shim.h"
#include "measure/text.h"

#include <string.h>

#define AUTHORITIES_MAX 32

/* What was measured already, of those who look that up: firmware and shim each for themselves. */
struct measured {
    uint8_t digests[AUTHORITIES_MAX][HASH_MAX_BYTES];
    size_t count;
};

struct authorities {
    const struct running_boot *running;
    struct boot_prediction *prediction;
    struct firmware_variable db, owner;              /* db and MokListRT */
    struct firmware_variable revoked, owner_revoked; /* dbx and MokListXRT, where there are such */
    bool has_policy;                                 /* SbatPolicy is set: shim may write SbatLevel */
    bool new_shim;
    bool anew;            /* a program or a list is another one than in the running boot */
    bool new_revocations; /* dbx is */
    struct measured by_firmware, by_shim;
    char *shim; /* path; NULL when there is none */
};

static void authorities_free(struct authorities *authorities)
{
    firmware_variable_free(&authorities->db);
    firmware_variable_free(&authorities->owner);
    firmware_variable_free(&authorities->revoked);
    firmware_variable_free(&authorities->owner_revoked);
    free(authorities->shim);
}

static int give_up(struct authorities *authorities, const char *why, struct error *error)
{
    return boot_prediction_give_up(authorities->prediction, 1u << 7, error, "%s", why);
}

/* False when it is there already. */
static bool note(struct measured *measured, const uint8_t *digest, size_t size)
{
    for (size_t i = 0; i < measured->count; i++)
        if (memcmp(measured->digests[i], digest, size) == 0)
            return false;
    if (measured->count < AUTHORITIES_MAX)
        memcpy(measured->digests[measured->count++], digest, size);
    return true;
}

static bool is_shims_part(const struct authorities *authorities, size_t program)
{
    return authorities->running->shim && program > 0;
}

static struct measured *measured_by(struct authorities *authorities, size_t program)
{
    return is_shims_part(authorities, program) ? &authorities->by_shim : &authorities->by_firmware;
}

/* Adds an authority's event unless it was measured before. */
static int add_authority(struct authorities *authorities, size_t program, const uint8_t *vendor, const char *name,
                         struct span signature, struct error *error)
{
    const struct predict_machine *machine = authorities->running->machine;
    cleanup(free_ptr) uint8_t *bytes = NULL;
    uint8_t digest[HASH_MAX_BYTES];
    size_t size;
    int r = firmware_variable_measured(vendor, name, signature, &bytes, &size, error);

    r = r ?: hash_compute(machine->bank, &(struct span){ bytes, size }, 1, digest, error);
    if (r || !note(measured_by(authorities, program), digest, hash_size(machine->bank)))
        return r;
    return extend_list_add(&authorities->prediction->extends, 7, digest, "a program was verified by another signer",
                           error);
}

/* SbatLevel as the shim that is there now will set it. */
static int add_level(struct authorities *authorities, size_t event, struct error *error)
{
    const struct predict_machine *machine = authorities->running->machine;
    cleanup(free_ptr) uint8_t *bytes = NULL;
    cleanup(free_ptr) char *level = NULL;
    cleanup(free_ptr) char *words = NULL;
    const char *reason = NULL;
    size_t size = 0;
    int r = shim_sbat_level(authorities->shim, machine->variables, machine->changed, &level, &reason, error);

    if (r || reason)
        return give_up(authorities, reason ? reason : error->text, error);
    r = firmware_variable_measured(vendor_shim, "SbatLevel", (struct span){ level, strlen(level) }, &bytes, &size,
                                   error);
    if (r)
        return r;
    words = event < machine->log->count ? running_boot_words(machine, event) : strdup("shim's SbatLevel");
    return words ? extend_list_add_data(&authorities->prediction->extends, 7, bytes, size, words, error)
                 : error_no_memory(error);
}

static bool is_level(const struct running_boot *running, size_t i)
{
    struct efi_variable variable;

    return running->machine->log->events[i].type == EVENT_VARIABLE_AUTHORITY &&
           efi_variable_parse(running->machine->log->events[i].data, &variable) && efi_variable_is_shims(&variable) &&
           strcmp(variable.name, "SbatLevel") == 0;
}

/* True for who vouched for a program; false for what shim measures of its own state. */
static bool is_authority(const struct running_boot *running, size_t i)
{
    static const char *const own[] = { "SbatLevel", "MokSBState", "SBAT" };
    struct efi_variable variable;

    if (running->machine->log->events[i].type != EVENT_VARIABLE_AUTHORITY)
        return false;
    if (!efi_variable_parse(running->machine->log->events[i].data, &variable))
        return true;
    for (size_t k = 0; k < array_size(own); k++)
        if (efi_variable_is_shims(&variable) && strcmp(variable.name, own[k]) == 0)
            return false;
    return true;
}

/* The events of PCR 7 that the log has between two places: all of them, or without authorities. */
static int keep(struct authorities *authorities, size_t program, size_t from, size_t to, struct error *error)
{
    const struct running_boot *running = authorities->running;
    int r = 0;

    for (size_t i = from; !r && i < to; i++) {
        const struct event *event = &running->machine->log->events[i];

        if (event->pcr != 7 || !event_is_extended(event))
            continue;
        if (is_authority(running, i) && authorities->anew)
            continue;
        if (is_authority(running, i))
            note(measured_by(authorities, program), event->digest[running->bank], hash_size(running->machine->bank));
        if (is_level(running, i) && authorities->shim && (authorities->has_policy || authorities->new_shim))
            r = add_level(authorities, i, error);
        else
            r = running_boot_keep(running, i, authorities->prediction, error);
    }
    return r;
}

/* The list by which the program is verified, in the order of those who verify. */
static int look_up(struct authorities *authorities, size_t program, const char *path, struct error *error)
{
    struct span db = { authorities->db.data, authorities->db.size };
    struct span owner = { authorities->owner.data, authorities->owner.size };
    bool shim = is_shims_part(authorities, program);
    struct span signature;
    int r;

    if (!authorities->db.data || (shim && !authorities->owner.data))
        return give_up(authorities, "the lists of Secure Boot's keys cannot be read", error);
    r = program_authority(path, db, shim, &signature, error);
    if (!r && signature.size > 0)
        return add_authority(authorities, program, vendor_database, "db", signature, error);
    if (!r && shim)
        r = program_authority(path, owner, shim, &signature, error);
    if (r)
        return give_up(authorities, error->text, error);
    if (signature.size > 0)
        return add_authority(authorities, program, vendor_shim, "MokListRT", signature, error);
    return boot_prediction_give_up(authorities->prediction, 1u << 7, error, "no key of this machine verifies \"%s\"",
                                   path);
}

static int refuse_if_listed(struct authorities *authorities, const char *path, const struct firmware_variable *list,
                            const char *name, bool by_firmware, struct error *error)
{
    bool is_revoked;
    int r = program_is_revoked(path, (struct span){ list->data, list->size }, by_firmware, &is_revoked, error);

    if (r)
        return authorities->anew ? give_up(authorities, error->text, error) : 0; /* one that is known by its digest */
    if (!is_revoked)
        return 0;
    return boot_prediction_give_up(authorities->prediction, 1u << 7, error,
                                   "%s revokes \"%s\": the machine would not start it", name, path);
}

/* What no firmware and no shim starts, whoever vouches for it. What both have started with these lists is not asked. */
static int refuse_revoked(struct authorities *authorities, size_t program, const char *path, struct error *error)
{
    bool by_shim = is_shims_part(authorities, program);
    int r = 0;

    if (authorities->anew || authorities->new_revocations)
        r = refuse_if_listed(authorities, path, &authorities->revoked, "dbx", !by_shim, error);
    if (!r && authorities->anew && !authorities->new_shim && by_shim)
        r = refuse_if_listed(authorities, path, &authorities->owner_revoked, "shim's MokListX", false, error);
    return r;
}

/* MokManager, which shim starts first. */
static int look_up_manager(struct authorities *authorities, struct error *error)
{
    cleanup(free_ptr) char *path = NULL;

    if (owner_keys_find_manager(authorities->running, &path, error))
        return give_up(authorities, error->text, error);
    return look_up(authorities, 1, path, error);
}

/* What the log has until the program was started, or what would be there now. */
static int predict_program(struct authorities *authorities, size_t program, size_t from, size_t to, const char *path,
                           struct error *error)
{
    int r = keep(authorities, program, from, to, error);

    if (!r && authorities->running->secure_boot)
        r = refuse_revoked(authorities, program, path, error);
    if (r || !authorities->anew || !authorities->running->secure_boot || authorities->prediction->unknown & 1u << 7)
        return r;
    if (program == 1 && authorities->running->asks)
        r = look_up_manager(authorities, error);
    return r ?: look_up(authorities, program, path, error);
}

/* Whether the program is one that ran in this boot, from its place on. */
static int is_same(const struct authorities *authorities, size_t program, const char *path, bool *ret,
                   struct error *error)
{
    const struct running_boot *running = authorities->running;
    size_t last = program == running->image ? running->program_count : program + 1;
    uint8_t digest[HASH_MAX_BYTES];
    int r = firmware_events_hash_program(running, &authorities->prediction->extends, path, digest, error);

    *ret = false;
    for (size_t i = program; !r && i < last && !*ret; i++)
        *ret = memcmp(digest, running->programs[i].digest, hash_size(running->machine->bank)) == 0;
    return r;
}

/* shim and boot loader, up to the one before `last`; *ret_end is the event of the last of them. */
static int predict_loaders(struct authorities *authorities, size_t last, size_t *ret_end, struct error *error)
{
    const struct running_boot *running = authorities->running;
    size_t from = running->start;
    int r = 0;

    for (size_t i = 0; !r && i < last; i++) {
        cleanup(free_ptr) char *path = NULL;
        bool same;

        r = firmware_events_find_program(running, i, &path, error);
        r = r ?: is_same(authorities, i, path, &same, error);
        if (r)
            return give_up(authorities, error->text, error);
        authorities->anew = authorities->anew || !same || (is_shims_part(authorities, i) && owner_keys_matter(running));
        authorities->new_shim = authorities->new_shim || (i == 0 && !same);
        r = predict_program(authorities, i, from, running->programs[i].event, path, error);
        from = running->programs[i].event;
        if (i == 0 && running->shim)
            authorities->shim = take_ptr(path);
    }
    *ret_end = from;
    return r;
}

/* The kernel or unified image, and then the rest of the log. */
static int predict_image(struct authorities *authorities, const char *image, size_t from, struct error *error)
{
    const struct running_boot *running = authorities->running;
    size_t end = running->machine->log->count;
    bool same = true;
    int r = 0;

    if (running->image == NO_PROGRAM || !image)
        return keep(authorities, running->program_count, from, end, error);
    r = is_same(authorities, running->image, image, &same, error);
    if (r)
        return give_up(authorities, error->text, error);
    authorities->anew =
        authorities->anew || !same || (is_shims_part(authorities, running->image) && owner_keys_matter(running));
    r = predict_program(authorities, running->image, from, running->programs[running->image].event, image, error);
    return r ?: keep(authorities, running->image, running->programs[running->image].event, end, error);
}

/* True when the list is another one than the firmware has measured. */
static bool is_changed(const struct running_boot *running, const char *name, const struct firmware_variable *list)
{
    for (size_t i = 0; i < running->start; i++) {
        const struct event *event = &running->machine->log->events[i];
        struct efi_variable variable;

        if (event->type == EVENT_VARIABLE_DRIVER_CONFIG && efi_variable_parse(event->data, &variable) &&
            strcmp(variable.name, name) == 0 && list->data)
            return variable.data.size != list->size || memcmp(variable.data.bytes, list->data, list->size) != 0;
    }
    return false;
}

/* Reads the lists; db that is another one than the log's changes everything after it. */
static int read_lists(struct authorities *authorities, struct error *error)
{
    const struct predict_machine *machine = authorities->running->machine;
    cleanup(firmware_variable_free) struct firmware_variable policy = { 0 };
    bool found;
    int r = firmware_variable_read(machine->variables, machine->changed, vendor_database, "db", &authorities->db,
                                   &found, error);

    r = r
            ?: firmware_variable_read(machine->variables, machine->changed, vendor_shim, "MokListRT",
                                      &authorities->owner, &found, error);
    r = r
            ?: firmware_variable_read(machine->variables, machine->changed, vendor_shim, "SbatPolicy", &policy,
                                      &authorities->has_policy, error);
    r = r
            ?: firmware_variable_read(machine->variables, machine->changed, vendor_database, "dbx",
                                      &authorities->revoked, &found, error);
    r = r
            ?: firmware_variable_read(machine->variables, machine->changed, vendor_shim, "MokListXRT",
                                      &authorities->owner_revoked, &found, error);
    if (r)
        return r;
    authorities->anew = is_changed(authorities->running, "db", &authorities->db);
    authorities->new_revocations = is_changed(authorities->running, "dbx", &authorities->revoked);
    return 0;
}

int authority_events_predict(const struct running_boot *running, const char *image, struct boot_prediction *ret,
                             struct error *error)
{
    cleanup(authorities_free) struct authorities authorities = { .running = running, .prediction = ret };
    size_t loaders = running->loader != NO_PROGRAM ? running->loader + 1 : running->image, end = running->start;
    int r = read_lists(&authorities, error);

    if (r)
        return give_up(&authorities, error->text, error);
    r = predict_loaders(&authorities, loaders, &end, error);
    if (r || ret->unknown & 1u << 7)
        return r;
    return predict_image(&authorities, image, end, error);
}
