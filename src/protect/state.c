#include "protect/state.h"

#include "base/cleanup.h"
#include "base/file.h"
#include "base/json.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define LOCKOUT_AUTH_MAX 64
#define COMPLETE STATE_NEXT "/complete"

/* What an authority has of its own. */
static const char *const rotated_files[] = { "authority.pem", "approval.json", "pins.json" };

static int path_of(const struct state *state, const char *name, char **ret, struct error *error)
{
    *ret = file_path(state->folder, name);
    return *ret ? 0 : error_no_memory(error);
}

static int take_lock(struct state *state, struct error *error)
{
    cleanup(free_ptr) char *path = NULL;
    int r = path_of(state, "lock", &path, error);

    if (r)
        return r;
    state->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (state->lock < 0)
        return error_errno(error, errno, "cannot make \"%s\"", path);
    while (flock(state->lock, LOCK_EX) < 0)
        if (errno != EINTR)
            return error_errno(error, errno, "cannot lock \"%s\"", path);
    return 0;
}

/* What is there decides which authority counts: where it cannot be told, nothing is done. */
static int has_file(const struct state *state, const char *name, bool *ret, struct error *error)
{
    cleanup(free_ptr) char *path = NULL;
    int r = path_of(state, name, &path, error);

    *ret = false;
    return r ?: file_find(path, ret, error);
}

/* ---- rotation of the authority ---- */

/* The name under which a file is in force: one of a switch that was cut may still be in "next". */
static int place_of(const struct state *state, const char *name, char **ret, struct error *error)
{
    cleanup(free_ptr) char *next = NULL;
    bool complete, is_next = false;
    int r;

    if (asprintf(&next, STATE_NEXT "/%s", name) < 0) {
        next = NULL;
        return error_no_memory(error);
    }
    r = has_file(state, COMPLETE, &complete, error);
    if (!r && complete)
        r = has_file(state, next, &is_next, error);
    return r ?: path_of(state, is_next ? next : name, ret, error);
}

static int path_of_rotated(const struct state *state, const char *folder, const char *name, char **ret,
                           struct error *error)
{
    if (asprintf(ret, "%s/%s/%s", state->folder, folder, name) >= 0)
        return 0;
    *ret = NULL;
    return error_no_memory(error);
}

/* One file of "next" into its place, the old one into "retired". It may have been done before, or half. */
static int switch_file(const struct state *state, const char *name, struct error *error)
{
    cleanup(free_ptr) char *next = NULL, *here = NULL, *retired = NULL;
    bool is_next = false, is_here = false;
    int r = path_of_rotated(state, STATE_NEXT, name, &next, error);

    r = r ?: path_of(state, name, &here, error);
    r = r ?: path_of_rotated(state, STATE_RETIRED, name, &retired, error);
    r = r ?: file_find(next, &is_next, error);
    r = r ?: file_find(here, &is_here, error);
    if (r || !is_next)
        return r;
    if (is_here)
        r = file_link(here, retired, error);
    return r ?: file_move(next, here, error);
}

static void close_folder(DIR **folder)
{
    if (*folder)
        closedir(*folder);
}

/* Temporary files of writes that were cut included. */
static int wipe_files(const char *path, struct error *error)
{
    cleanup(close_folder) DIR *folder = opendir(path);
    struct dirent *entry;
    int r = 0;

    if (!folder)
        return errno == ENOENT ? 0 : error_errno(error, errno, "cannot open the folder \"%s\"", path);
    while (!r && (entry = readdir(folder))) {
        cleanup(free_ptr) char *file = NULL;

        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        file = file_path(path, entry->d_name);
        r = file ? file_wipe(file, error) : error_no_memory(error);
    }
    return r;
}

/* The pins first: without them nobody looks at what may be left, half wiped. */
static int drop_folder(const struct state *state, const char *folder, struct error *error)
{
    cleanup(free_ptr) char *path = NULL, *pins = NULL;
    int r = path_of(state, folder, &path, error);

    r = r ?: path_of_rotated(state, folder, "pins.json", &pins, error);
    if (!r && file_exists(pins))
        r = file_remove(pins, error);
    r = r ?: wipe_files(path, error);
    return r ?: file_remove_folder(path, error);
}

static int finish_switch(const struct state *state, struct error *error)
{
    cleanup(free_ptr) char *retired = NULL;
    int r = path_of(state, STATE_RETIRED, &retired, error);

    r = r ?: file_make_folder(retired, 0700, error);
    for (size_t i = 0; !r && i < array_size(rotated_files); i++)
        r = switch_file(state, rotated_files[i], error);
    return r ?: drop_folder(state, STATE_NEXT, error);
}

int state_commit_next(const struct state *state, struct error *error)
{
    cleanup(free_ptr) char *path = NULL;
    int r = path_of(state, COMPLETE, &path, error);

    r = r ?: file_write(path, "", 0, 0600, error);
    return r ?: finish_switch(state, error);
}

int state_drop_rotated(const struct state *state, const char *name, struct error *error)
{
    return drop_folder(state, name, error);
}

static int read_other_index(struct state *state, const char *path, struct error *error)
{
    cleanup(free_ptr) struct pins *pins = calloc(1, sizeof(*pins));
    int r;

    if (!pins)
        return error_no_memory(error);
    if (!file_exists(path))
        return 0;
    r = file_check_private(path, error) ?: pins_read(path, pins, error);
    if (!r)
        state->other_index = pins->index.name;
    return r;
}

static int load_rotation(struct state *state, struct error *error)
{
    cleanup(free_ptr) char *other = NULL;
    bool complete, retired, next, retired_pins;
    int r = has_file(state, COMPLETE, &complete, error);

    r = r ?: has_file(state, STATE_RETIRED, &retired, error);
    r = r ?: has_file(state, STATE_NEXT, &next, error);
    r = r ?: has_file(state, STATE_RETIRED "/pins.json", &retired_pins, error);
    if (r)
        return r;
    if (complete || retired)
        state->rotation = ROTATION_WAITING;
    else if (next)
        state->rotation = ROTATION_BEGUN;
    else
        return 0;
    if (complete) /* the switch was cut, and who only reads cannot finish it */
        r = path_of_rotated(state, retired_pins ? STATE_RETIRED : ".", "pins.json", &other, error);
    else
        r = path_of_rotated(state, state->rotation == ROTATION_BEGUN ? STATE_NEXT : STATE_RETIRED, "pins.json", &other,
                            error);
    return r ?: read_other_index(state, other, error);
}

int state_refuse_rotation(const struct state *state, struct error *error)
{
    if (state->rotation == ROTATION_NONE)
        return 0;
    if (state->rotation == ROTATION_BEGUN) {
        error_set(error, ERROR_REFUSED, "a rotation of the authority was cut, and is neither done nor undone");
        return error_remedy(error, "run: bootseal provision --rotate-authority; or with --undo, to keep the old one");
    }
    error_set(error, ERROR_REFUSED, "the old authority of a rotation is still in force beside the new one");
    return error_remedy(error, "reboot, so that the new one proves itself; or, if the next boot needs no proof: "
                               "bootseal provision --rotate-authority --finish");
}

int state_open_rotated(const struct state *state, const char *name, struct state *ret, struct error *error)
{
    cleanup(free_ptr) char *path = NULL;
    int r = path_of(state, name, &path, error);

    *ret = (struct state){ .lock = -1 };
    r = r ?: state_open(path, STATE_CREATE, ret, error);
    ret->rotation = state->rotation == ROTATION_NONE ? ROTATION_BEGUN : state->rotation;
    ret->other_index = state->pins.index.name;
    return r;
}

/* ---- files ---- */

/* Opens a file of ours if it is there; *ret_path stays NULL otherwise. */
static int find_file(const struct state *state, const char *name, char **ret_path, struct error *error)
{
    cleanup(free_ptr) char *path = NULL;
    int r = place_of(state, name, &path, error);

    *ret_path = NULL;
    if (r || !file_exists(path))
        return r;
    r = file_check_private(path, error);
    if (!r)
        *ret_path = take_ptr(path);
    return r;
}

static int load_pins(struct state *state, struct error *error)
{
    cleanup(free_ptr) char *path = NULL;
    int r = find_file(state, "pins.json", &path, error);

    if (r || !path)
        return r;
    r = pins_read(path, &state->pins, error);
    state->has_pins = !r;
    return r;
}

static int load_approval(struct state *state, struct error *error)
{
    cleanup(free_ptr) char *path = NULL;
    cleanup(json_free) struct json_object *document = NULL;
    struct json_view view = { .kind = ERROR_METADATA };
    int64_t version;
    int r = find_file(state, "approval.json", &path, error);

    if (r || !path)
        return r;
    view.source = path;
    r = json_read(&view, &document, error);
    if (!r)
        r = json_get_integer(&view, "version", TOKEN_VERSION, TOKEN_VERSION, &version, error);
    if (!r)
        r = approval_from_json(&view, &state->approval, &state->next, &state->has_next, error);
    state->has_approval = !r;
    return r;
}

static int load_authority(struct state *state, bool create, struct error *error)
{
    cleanup(free_ptr) char *path = NULL;
    cleanup(free_ptr) char *folder = NULL;
    int r = find_file(state, "authority.pem", &path, error);

    /* another one than the pinned one could do nothing */
    if (r || (!path && (!create || state->has_pins)))
        return r;
    folder = path ? strndup(path, strlen(path) - strlen("/authority.pem")) : strdup(state->folder);
    return folder ? authority_open(folder, create, &state->authority, error) : error_no_memory(error);
}

static int open_folder(struct state *state, enum state_mode mode, struct error *error)
{
    int r;

    if (mode == STATE_CREATE) {
        r = file_make_folder(state->folder, 0700, error);
        if (r)
            return r;
    }
    if (!file_exists(state->folder)) {
        if (mode == STATE_READ)
            return 0;
        error_set(error, ERROR_NO_PROTECTOR, "there is no state folder \"%s\": nothing is enrolled here",
                  state->folder);
        return error_remedy(error, "run: bootseal enroll");
    }
    r = file_check_private_folder(state->folder, error);
    return r || mode == STATE_READ ? r : take_lock(state, error);
}

int state_open(const char *folder, enum state_mode mode, struct state *ret, struct error *error)
{
    bool complete = false;
    int r;

    *ret = (struct state){ .folder = strdup(folder ? folder : STATE_FOLDER), .lock = -1 };
    if (!ret->folder)
        return error_no_memory(error);
    r = open_folder(ret, mode, error);
    if (!r && mode != STATE_READ)
        r = has_file(ret, COMPLETE, &complete, error);
    if (!r && complete)
        r = finish_switch(ret, error);
    if (!r)
        r = load_rotation(ret, error);
    if (!r)
        r = load_pins(ret, error);
    if (!r)
        r = load_approval(ret, error);
    if (!r && file_exists(ret->folder))
        r = load_authority(ret, mode == STATE_CREATE, error);
    if (r)
        error_prefix(error, "state folder");
    return r;
}

void state_close(struct state *state)
{
    authority_close(&state->authority);
    approval_free(&state->approval);
    approval_free(&state->next);
    if (state->lock >= 0)
        close(state->lock);
    free(state->folder);
    *state = (struct state){ .lock = -1 };
}

int state_save_pins(struct state *state, struct error *error)
{
    cleanup(free_ptr) char *path = NULL;
    int r = path_of(state, "pins.json", &path, error);

    if (!r)
        r = pins_write(path, &state->pins, error);
    state->has_pins = state->has_pins || !r;
    return r;
}

int state_save_approval(struct state *state, struct error *error)
{
    cleanup(free_ptr) char *path = NULL;
    cleanup(json_free) struct json_object *document = json_object_new_object();
    int r = path_of(state, "approval.json", &path, error);

    if (!document)
        return error_no_memory(error);
    if (!r)
        r = json_add(document, "version", json_object_new_int(TOKEN_VERSION), error);
    if (!r)
        r = approval_to_json(&state->approval, state->has_next ? &state->next : NULL, document, error);
    if (!r)
        r = json_write(path, document, 0600, error);
    state->has_approval = state->has_approval || !r;
    return r;
}

int state_read_lockout_auth(const struct state *state, struct secret *ret, struct error *error)
{
    cleanup(free_ptr) char *path = NULL;
    cleanup(close_fd) int fd = -1;
    int r = find_file(state, "lockout-auth", &path, error);

    *ret = (struct secret){ 0 };
    if (r || !path)
        return r;
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return error_errno(error, errno, "cannot open \"%s\"", path);
    return secret_read(ret, fd, LOCKOUT_AUTH_MAX, path, error);
}

int state_save_lockout_auth(const struct state *state, const struct secret *auth, struct error *error)
{
    cleanup(free_ptr) char *path = NULL;
    int r = path_of(state, "lockout-auth", &path, error);

    return r ? r : file_write(path, auth->bytes, auth->size, 0600, error);
}

int state_drop_approval(struct state *state, struct error *error)
{
    cleanup(free_ptr) char *path = NULL;
    int r = path_of(state, "approval.json", &path, error);

    if (!r)
        r = file_remove(path, error);
    if (r)
        return r;
    approval_free(&state->approval);
    approval_free(&state->next);
    state->has_approval = state->has_next = false;
    return 0;
}

int state_refuse_lockout_auth(const struct state *state, struct error *error)
{
    cleanup(free_ptr) char *path = NULL;
    cleanup(free_ptr) char *aside = NULL;
    int r = path_of(state, "lockout-auth", &path, error);

    if (!r)
        r = path_of(state, "lockout-auth.refused", &aside, error);
    if (!r && rename(path, aside) < 0 && errno != ENOENT)
        r = error_errno(error, errno, "cannot rename \"%s\"", path);
    return r;
}
