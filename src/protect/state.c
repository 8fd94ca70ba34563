#include "protect/state.h"

#include "base/cleanup.h"
#include "base/file.h"
#include "base/json.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define LOCKOUT_AUTH_MAX 64

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

/* Opens a file of ours if it is there; *ret_path stays NULL otherwise. */
static int find_file(const struct state *state, const char *name, char **ret_path, struct error *error)
{
    cleanup(free_ptr) char *path = NULL;
    int r = path_of(state, name, &path, error);

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
    int r = find_file(state, "authority.pem", &path, error);

    if (r || (!path && !create))
        return r;
    return authority_open(state->folder, create, &state->authority, error);
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
    r = file_check_private(state->folder, error);
    return r || mode == STATE_READ ? r : take_lock(state, error);
}

int state_open(const char *folder, enum state_mode mode, struct state *ret, struct error *error)
{
    int r;

    *ret = (struct state){ .folder = strdup(folder ? folder : STATE_FOLDER), .lock = -1 };
    if (!ret->folder)
        return error_no_memory(error);
    r = open_folder(ret, mode, error);
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
