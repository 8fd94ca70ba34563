#include "protect/update/golden.h"

#include "base/cleanup.h"
#include "base/encode.h"
#include "base/file.h"
#include "base/pcr-json.h"
#include "measure/replay.h"
#include "protect/boot/boot-state.h"

#include <dirent.h>
#include <string.h>
#include <sys/utsname.h>

#define GOLDEN_VERSION 1
#define GOLDEN_LIST "golden-log.json"
#define LOG_PREFIX "golden-log-"
#define LOG_DIGITS 16
#define LOG_NAME_TEXT (sizeof(LOG_PREFIX) + LOG_DIGITS + 4)
#define PCR_BOOT_PHASES 11

static void log_name(const struct digest *sha256, char ret[LOG_NAME_TEXT])
{
    char digits[HEX_TEXT(DIGEST_BYTES)];

    hex_encode(sha256->bytes, DIGEST_BYTES, digits);
    snprintf(ret, LOG_NAME_TEXT, LOG_PREFIX "%.*s.bin", LOG_DIGITS, digits);
}

static int path_of(const struct state *state, const char *name, char **ret, struct error *error)
{
    *ret = file_path(state->folder, name);
    return *ret ? 0 : error_no_memory(error);
}

/* ---- reading ---- */

static int boot_from_json(const struct json_view *view, struct golden_boot *ret, struct error *error)
{
    enum hash_algorithm bank;
    int r = json_get_hash(view, "bank", &bank, error);

    ret->has_log = json_object_object_get(view->object, "sha256") != NULL;
    if (!r && ret->has_log)
        r = json_get_hex(view, "sha256", ret->log_sha256.bytes, DIGEST_BYTES, error);
    r = r ?: json_get_text(view, "boot_id", ret->boot_id, sizeof(ret->boot_id), error);
    r = r ?: json_get_text(view, "kernel", ret->kernel, sizeof(ret->kernel), error);
    r = r ?: json_get_text(view, "date", ret->date, sizeof(ret->date), error);
    return r ?: pcr_values_from_json(view, "pcrs", bank, &ret->values, error);
}

static int boots_from_json(const struct json_view *view, struct golden_list *ret, struct error *error)
{
    struct json_view list, boot;
    int64_t version;
    int r = json_get_integer(view, "version", GOLDEN_VERSION, GOLDEN_VERSION, &version, error);

    r = r ?: json_get_array(view, "boots", GOLDEN_MAX, &list, error);
    for (size_t i = 0; !r && i < json_object_array_length(list.object); i++) {
        r = json_array_object(&list, "boots", i, &boot, error);
        r = r ?: boot_from_json(&boot, &ret->items[i], error);
        ret->count = i + 1;
    }
    return r;
}

int golden_read(const struct state *state, struct golden_list *ret, struct error *error)
{
    cleanup(free_ptr) char *path = NULL;
    cleanup(json_free) struct json_object *document = NULL;
    struct json_view view = { .kind = ERROR_METADATA };
    int r = path_of(state, GOLDEN_LIST, &path, error);

    *ret = (struct golden_list){ 0 };
    if (r || !file_exists(path))
        return r;
    view.source = path;
    r = file_check_private(path, error);
    r = r ?: json_read(&view, &document, error);
    r = r ?: boots_from_json(&view, ret, error);
    if (r)
        *ret = (struct golden_list){ 0 };
    return r;
}

int golden_nearest(const struct golden_list *list, const struct pcr_values *values, uint32_t mask)
{
    int nearest = -1, fewest = 0;

    for (size_t i = 0; i < list->count; i++) {
        const struct golden_boot *boot = &list->items[i];
        int differ;

        if (boot->values.bank != values->bank)
            continue;
        differ = __builtin_popcount(pcr_values_differ(&boot->values, values, mask));
        if (nearest < 0 || differ < fewest) {
            nearest = (int)i;
            fewest = differ;
        }
    }
    return nearest;
}

int golden_read_log(const struct state *state, const struct golden_boot *boot, struct event_log *ret,
                    struct error *error)
{
    cleanup(free_ptr) char *path = NULL;
    cleanup(free_ptr) char *bytes = NULL;
    char name[LOG_NAME_TEXT];
    struct digest now;
    size_t size;
    int r;

    if (!boot->has_log)
        return error_set(error, ERROR_FAILED, "no event log was kept of the boot of %s", boot->date);
    log_name(&boot->log_sha256, name);
    r = path_of(state, name, &path, error);
    r = r ?: file_read(path, GOLDEN_LOG_MAX_BYTES, &bytes, &size, error);
    r = r ?: digest_compute(&now, &(struct span){ bytes, size }, 1, error);
    if (!r && !digest_equal(&now, &boot->log_sha256))
        r = error_set(error, ERROR_METADATA, "\"%s\" is not the event log that was kept", path);
    return r ?: event_log_parse(bytes, size, ret, error);
}

int golden_check_log(const struct event_log *log, const struct pcr_values *values, uint32_t mask, uint32_t *ret_differ,
                     struct error *error)
{
    struct pcr_values replayed;
    int bank = event_log_bank(log, values->bank);
    int r;

    *ret_differ = 0;
    if (bank < 0 || !log->banks[bank].complete) {
        *ret_differ = mask;
        return 0;
    }
    r = event_log_replay(log, values->bank, &replayed, error);
    if (r)
        return r;
    *ret_differ = pcr_values_differ(&replayed, values, mask & replayed.mask);
    if (*ret_differ & (1u << PCR_BOOT_PHASES) && boot_state_phases_follow(&replayed, values))
        *ret_differ &= ~(1u << PCR_BOOT_PHASES);
    return 0;
}

/* ---- writing ---- */

/* A key with null for its value. */
static int add_null(struct json_object *object, const char *key, struct error *error)
{
    return json_object_object_add(object, key, NULL) < 0 ? error_no_memory(error) : 0;
}

static int add_log(struct json_object *object, const struct golden_boot *boot, struct error *error)
{
    char name[LOG_NAME_TEXT];
    int r;

    if (!boot->has_log) {
        r = add_null(object, "log", error);
        return r ?: add_null(object, "sha256", error);
    }
    log_name(&boot->log_sha256, name);
    r = json_add(object, "log", json_object_new_string(name), error);
    return r ?: json_add(object, "sha256", json_new_hex(boot->log_sha256.bytes, DIGEST_BYTES), error);
}

static int boot_to_json(struct json_object *list, const struct golden_boot *boot, struct error *error)
{
    struct json_object *object = json_object_new_object();
    int r = json_append(list, object, error);

    r = r ?: add_log(object, boot, error);
    r = r ?: json_add(object, "boot_id", json_object_new_string(boot->boot_id), error);
    r = r ?: json_add(object, "kernel", json_object_new_string(boot->kernel), error);
    r = r ?: json_add(object, "date", json_object_new_string(boot->date), error);
    r = r ?: json_add(object, "bank", json_object_new_string(hash_name(boot->values.bank)), error);
    return r ?: pcr_values_to_json(object, "pcrs", &boot->values, error);
}

static int write_list(const struct state *state, const struct golden_list *list, struct error *error)
{
    cleanup(free_ptr) char *path = NULL;
    cleanup(json_free) struct json_object *document = json_object_new_object();
    struct json_object *boots = json_object_new_array();
    int r = document ? json_add(document, "boots", boots, error) : error_no_memory(error);

    r = r ?: json_add(document, "version", json_object_new_int(GOLDEN_VERSION), error);
    for (size_t i = 0; !r && i < list->count; i++)
        r = boot_to_json(boots, &list->items[i], error);
    r = r ?: path_of(state, GOLDEN_LIST, &path, error);
    return r ?: json_write(path, document, 0600, error);
}

static bool is_named(const struct golden_list *list, const char *name)
{
    char own[LOG_NAME_TEXT];

    for (size_t i = 0; i < list->count; i++) {
        log_name(&list->items[i].log_sha256, own);
        if (list->items[i].has_log && strcmp(own, name) == 0)
            return true;
    }
    return false;
}

static void close_folder(DIR **folder)
{
    if (*folder)
        closedir(*folder);
}

/* Logs that the list does not name: of boots that it has forgotten, or of a change that was cut. */
static int remove_other_logs(const struct state *state, const struct golden_list *list, struct error *error)
{
    cleanup(close_folder) DIR *folder = opendir(state->folder);
    struct dirent *entry;
    int r = 0;

    while (!r && folder && (entry = readdir(folder))) {
        cleanup(free_ptr) char *path = NULL;

        if (strncmp(entry->d_name, LOG_PREFIX, strlen(LOG_PREFIX)) != 0 || is_named(list, entry->d_name))
            continue;
        r = path_of(state, entry->d_name, &path, error);
        r = r ?: file_remove(path, error);
    }
    return r;
}

/* ---- keeping the running boot ---- */

bool golden_is_good(const struct approval *approval, const struct boot_record *record)
{
    bool good = record->cap_done && !record->tpm_error[0] && record->volume_count > 0 &&
                approval_find_state(approval, &record->values) >= 0;

    for (size_t i = 0; good && i < record->volume_count; i++)
        good = record->volumes[i].opened && record->volumes[i].status == ERROR_NONE &&
               strcmp(record->volumes[i].by, REPORT_BY_RECOVERY) != 0;
    return good;
}

/* The new boot first; then the others, but for those of the same state and those that are not approved any more. */
static void put_first(struct golden_list *list, const struct golden_boot *fresh, const struct approval *approval)
{
    struct golden_list all = { .items[0] = *fresh, .count = 1 };

    for (size_t i = 0; i < list->count && all.count < GOLDEN_MAX; i++) {
        const struct pcr_values *values = &list->items[i].values;

        if (approval_find_state(approval, values) >= 0 && pcr_values_differ(values, &fresh->values, approval->pcrs))
            all.items[all.count++] = list->items[i];
    }
    *list = all;
}

/* NULL where there is no log, or one that is too long to be kept. */
static char *read_running_log(const char *path, size_t *ret_size)
{
    struct error ignored;
    char *bytes = NULL;

    if (file_exists(path))
        (void)file_read(path, GOLDEN_LOG_MAX_BYTES, &bytes, ret_size, &ignored);
    return bytes;
}

static int describe(const struct boot_record *record, struct golden_boot *ret, struct error *error)
{
    struct utsname system;

    *ret = (struct golden_boot){ .values = record->values };
    strcpy(ret->boot_id, record->boot_id);
    if (uname(&system) == 0)
        snprintf(ret->kernel, sizeof(ret->kernel), "%.*s", GOLDEN_KERNEL_MAX, system.release);
    return token_time_now(ret->date, error);
}

static int check_replay(const char *bytes, size_t size, const struct approval *approval,
                        const struct pcr_values *values, bool *ret, struct error *error)
{
    cleanup(event_log_free) struct event_log log = { 0 };
    struct error ignored;
    uint32_t differ;
    int r;

    *ret = event_log_parse(bytes, size, &log, &ignored) == 0;
    if (!*ret)
        return 0;
    r = golden_check_log(&log, values, approval->pcrs, &differ, error);
    *ret = !r && !differ;
    return r == ERROR_METADATA ? 0 : r;
}

static int write_log(const struct state *state, const char *bytes, size_t size, struct golden_boot *boot,
                     struct error *error)
{
    cleanup(free_ptr) char *path = NULL;
    char name[LOG_NAME_TEXT];
    int r = digest_compute(&boot->log_sha256, &(struct span){ bytes, size }, 1, error);

    if (r)
        return r;
    log_name(&boot->log_sha256, name);
    boot->has_log = true;
    r = path_of(state, name, &path, error);
    return r ?: file_write(path, bytes, size, 0600, error);
}

static int keep(const struct state *state, struct golden_list *list, struct golden_boot *fresh, const char *bytes,
                size_t size, struct error *error)
{
    int r = bytes ? write_log(state, bytes, size, fresh, error) : 0;

    if (r)
        return r;
    put_first(list, fresh, &state->approval);
    r = write_list(state, list, error);
    return r ?: remove_other_logs(state, list, error);
}

int golden_keep(const struct state *state, const struct boot_record *record, const char *log_path,
                enum golden_outcome *ret, struct error *error)
{
    cleanup(free_ptr) char *bytes = NULL;
    struct golden_list list;
    struct golden_boot fresh;
    struct error ignored;
    bool replays = true;
    size_t size = 0;
    int r;

    *ret = GOLDEN_NOT_GOOD;
    if (!state->has_approval || !golden_is_good(&state->approval, record))
        return 0;
    if (golden_read(state, &list, &ignored))
        list.count = 0; /* a damaged list is written anew */
    *ret = GOLDEN_UNCHANGED;
    if (list.count > 0 && strcmp(list.items[0].boot_id, record->boot_id) == 0)
        return 0;
    bytes = read_running_log(log_path ? log_path : EVENT_LOG_PATH, &size);
    r = bytes ? check_replay(bytes, size, &state->approval, &record->values, &replays, error) : 0;
    *ret = GOLDEN_NOT_REPLAYED;
    if (r || !replays)
        return r;
    *ret = bytes ? GOLDEN_KEPT : GOLDEN_KEPT_VALUES;
    r = describe(record, &fresh, error);
    return r ?: keep(state, &list, &fresh, bytes, size, error);
}
