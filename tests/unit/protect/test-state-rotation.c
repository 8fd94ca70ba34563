/*
 * The three files of an authority, switched for another's: whoever opens the folder finds those of one of the two,
 * wherever the process ended.
 */
#include "protect/state.h"

#include "base/cleanup.h"
#include "base/file.h"
#include "machine.h"

#include <sys/stat.h>
#include <sys/wait.h>

#define CUT_STATUS 77
#define PLACES_MAX 60
#define OLD_HANDLE 0x018b5ea0u
#define NEW_HANDLE 0x018b5ea1u

/* ---- cuts: everything that gives a file its place, or takes it ---- */

static int left = -1;
static bool after_it;

#define wrapped(name, parameters, arguments)                                                                           \
    int __real_##name parameters;                                                                                      \
    int __wrap_##name parameters;                                                                                      \
    int __wrap_##name parameters                                                                                       \
    {                                                                                                                  \
        bool cut = left >= 0 && left-- == 0;                                                                           \
        int r;                                                                                                         \
                                                                                                                       \
        if (cut && !after_it)                                                                                          \
            _exit(CUT_STATUS);                                                                                         \
        r = __real_##name arguments;                                                                                   \
        if (cut)                                                                                                       \
            _exit(CUT_STATUS);                                                                                         \
        return r;                                                                                                      \
    }

wrapped(rename, (const char *from, const char *to), (from, to))
    wrapped(link, (const char *from, const char *to), (from, to)) wrapped(unlink, (const char *path), (path))
        wrapped(rmdir, (const char *path), (path)) wrapped(mkdir, (const char *path, mode_t mode), (path, mode))

            struct bench {
    struct scratch scratch;
    char folder[256];
};

/* ---- two authorities ---- */

static void fill(struct state *state, uint32_t handle)
{
    struct authority_signer signer = authority_signer(state->authority);
    struct branch branch = { .kind = BRANCH_AUTHORITY, .authority = signer.public };
    struct branch boot = { .kind = BRANCH_BOOT, .values = { .bank = HASH_SHA256, .mask = MACHINE_PCRS } };
    struct object_name object = { { 0, 0x0b, (uint8_t)handle } };
    struct error error;

    state->pins = (struct pins){ .bank = HASH_SHA256,
                                 .cap = MACHINE_CAP,
                                 .tries = 3,
                                 .floor_memory_kib = 8,
                                 .floor_iterations = 1,
                                 .srk = { .handle = 1, .public_size = 4 } };
    state->pins.index = (struct entity){ .handle = handle, .public = { (uint8_t)handle }, .public_size = 4 };
    assert_good(authority_name(&signer.public, &state->pins.authority, &error), &error);
    assert_good(state_save_pins(state, &error), &error);
    state->approval = (struct approval){ .bank = HASH_SHA256, .pcrs = MACHINE_PCRS, .cap = MACHINE_CAP };
    assert_good(approval_add_branch(&state->approval, &branch, &error), &error);
    assert_good(approval_add_branch(&state->approval, &boot, &error), &error);
    assert_good(approval_add_object(&state->approval, &object, &error), &error);
    assert_good(state_save_approval(state, &error), &error);
}

static int setup(void **state)
{
    struct bench *bench = calloc(1, sizeof(*bench));
    cleanup(state_close) struct state old = { .lock = -1 };
    cleanup(state_close) struct state next = { .lock = -1 };
    struct error error;

    assert_non_null(bench);
    *state = bench;
    scratch_make(&bench->scratch);
    snprintf(bench->folder, sizeof(bench->folder), "%s/state", bench->scratch.folder);
    assert_good(state_open(bench->folder, STATE_CREATE, &old, &error), &error);
    fill(&old, OLD_HANDLE);
    assert_good(state_open_rotated(&old, STATE_NEXT, &next, &error), &error);
    fill(&next, NEW_HANDLE);
    return 0;
}

static int teardown(void **state)
{
    struct bench *bench = *state;

    scratch_remove(&bench->scratch);
    free(bench);
    return 0;
}

/* All of one authority: the handle tells which. */
static uint32_t whose(const struct state *state)
{
    const struct authority_public *listed;
    struct authority_signer signer;
    struct object_name name;
    struct error error;

    assert_true(state->has_pins && state->has_approval && state->authority);
    signer = authority_signer(state->authority);
    assert_good(authority_name(&signer.public, &name, &error), &error);
    assert_true(object_name_equal(&name, &state->pins.authority));
    listed = &state->approval.branches[approval_find_branch(&state->approval, BRANCH_AUTHORITY)].authority;
    assert_memory_equal(listed->x, signer.public.x, sizeof(listed->x));
    assert_int_equal(state->approval.objects[0].bytes[2], (uint8_t)state->pins.index.handle);
    return state->pins.index.handle;
}

static bool has(const struct bench *bench, const char *name)
{
    cleanup(free_ptr) char *path = file_path(bench->folder, name);

    return file_exists(path);
}

static uint32_t look(const struct bench *bench, enum state_mode mode, enum rotation_stage *ret_stage)
{
    cleanup(state_close) struct state state = { .lock = -1 };
    struct error error;

    assert_good(state_open(bench->folder, mode, &state, &error), &error);
    *ret_stage = state.rotation;
    return whose(&state);
}

/* ---- tests ---- */

static int commit(const struct bench *bench)
{
    cleanup(state_close) struct state state = { .lock = -1 };
    struct error error;
    int r = state_open(bench->folder, STATE_CHANGE, &state, &error);

    return r ?: state_commit_next(&state, &error);
}

static int drop_retired(const struct bench *bench)
{
    cleanup(state_close) struct state state = { .lock = -1 };
    struct error error;
    int r = state_open(bench->folder, STATE_CHANGE, &state, &error);

    return r ?: state_drop_rotated(&state, STATE_RETIRED, &error);
}

/* True when there was a place of that number to end at. */
static bool cut_at(const struct bench *bench, int (*change)(const struct bench *bench), int place, bool after)
{
    pid_t child = fork();
    int status;

    assert_true(child >= 0);
    if (child == 0) {
        left = place;
        after_it = after;
        _exit(change(bench) ? 1 : 0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_true(WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == CUT_STATUS);
    return WEXITSTATUS(status) == CUT_STATUS;
}

static void assert_switched(const struct bench *bench)
{
    cleanup(state_close) struct state state = { .lock = -1 };
    cleanup(state_close) struct state retired = { .lock = -1 };
    struct error error;

    assert_good(state_open(bench->folder, STATE_CHANGE, &state, &error), &error);
    assert_int_equal(state.rotation, ROTATION_WAITING);
    assert_int_equal(whose(&state), NEW_HANDLE);
    assert_false(has(bench, STATE_NEXT "/complete"));
    assert_good(state_open_rotated(&state, STATE_RETIRED, &retired, &error), &error);
    assert_int_equal(whose(&retired), OLD_HANDLE);
    assert_true(object_name_equal(&state.other_index, &retired.pins.index.name));
    assert_true(object_name_equal(&retired.other_index, &state.pins.index.name));
}

/* What a reader finds, and then whoever changes. */
static void check_cut_switch(const struct bench *bench)
{
    enum rotation_stage seen, settled;
    uint32_t read = look(bench, STATE_READ, &seen);

    assert_int_equal(read, seen == ROTATION_WAITING ? NEW_HANDLE : OLD_HANDLE);
    assert_int_equal(look(bench, STATE_CHANGE, &settled), read);
    assert_int_equal(settled, seen);
    if (settled == ROTATION_BEGUN)
        assert_int_equal(commit(bench), 0);
    assert_switched(bench);
}

static void cut_switch(void **state, bool after)
{
    int place = 0;

    for (; cut_at(*state, commit, place, after); place++) {
        check_cut_switch(*state);
        assert_true(place < PLACES_MAX);
        teardown(state);
        setup(state);
    }
    assert_true(place > 10);
    assert_switched(*state);
}

static void test_cut_before(void **state)
{
    cut_switch(state, false);
}

static void test_cut_after(void **state)
{
    cut_switch(state, true);
}

static void check_cut_drop(const struct bench *bench)
{
    enum rotation_stage stage;

    assert_int_equal(look(bench, STATE_READ, &stage), NEW_HANDLE);
    if (stage == ROTATION_WAITING)
        assert_int_equal(drop_retired(bench), 0);
    assert_int_equal(look(bench, STATE_CHANGE, &stage), NEW_HANDLE);
    assert_int_equal(stage, ROTATION_NONE);
    assert_false(has(bench, STATE_RETIRED) || has(bench, STATE_NEXT));
}

static void test_cut_drop(void **state)
{
    int place = 0;

    assert_int_equal(commit(*state), 0);
    for (; cut_at(*state, drop_retired, place, place % 2); place++) {
        check_cut_drop(*state);
        assert_true(place < PLACES_MAX);
        teardown(state);
        setup(state);
        assert_int_equal(commit(*state), 0);
    }
    assert_true(place > 3);
    check_cut_drop(*state);
}

static int drop_next(const struct bench *bench)
{
    cleanup(state_close) struct state state = { .lock = -1 };
    struct error error;
    int r = state_open(bench->folder, STATE_CHANGE, &state, &error);

    return r ?: state_drop_rotated(&state, STATE_NEXT, &error);
}

static void test_cut_undo(void **state)
{
    enum rotation_stage stage;
    int place = 0;

    for (; cut_at(*state, drop_next, place, place % 2); place++) {
        assert_int_equal(look(*state, STATE_READ, &stage), OLD_HANDLE);
        assert_int_equal(drop_next(*state), 0);
        assert_int_equal(look(*state, STATE_CHANGE, &stage), OLD_HANDLE);
        assert_int_equal(stage, ROTATION_NONE);
        assert_true(place < PLACES_MAX);
        teardown(state);
        setup(state);
    }
    assert_true(place > 3);
}

/* What a dropped folder held cannot be read by another name either. */
static void test_wiped(void **state)
{
    struct bench *bench = *state;
    cleanup(free_ptr) char *key = file_path(bench->folder, STATE_RETIRED "/authority.pem");
    cleanup(free_ptr) char *left_behind = file_path(bench->folder, STATE_RETIRED "/authority.pem.new");
    cleanup(free_ptr) char *other = file_path(bench->folder, "copy");
    cleanup(free_ptr) char *text = NULL;
    struct error error;
    size_t size;

    assert_int_equal(commit(bench), 0);
    assert_good(file_write(left_behind, "half of a key", 13, 0600, &error), &error);
    assert_good(file_link(key, other, &error), &error);
    assert_int_equal(drop_retired(bench), 0);
    assert_good(file_read(other, 4096, &text, &size, &error), &error);
    for (size_t i = 0; i < size; i++)
        assert_int_equal(text[i], 0);
}

static void test_refused(void **state)
{
    struct bench *bench = *state;
    cleanup(state_close) struct state begun = { .lock = -1 };
    cleanup(state_close) struct state waiting = { .lock = -1 };
    cleanup(state_close) struct state none = { .lock = -1 };
    struct error error;

    assert_good(state_open(bench->folder, STATE_READ, &begun, &error), &error);
    assert_error(state_refuse_rotation(&begun, &error), &error, ERROR_REFUSED, "was cut");
    assert_non_null(strstr(error.remedy, "--undo"));
    assert_int_equal(commit(bench), 0);
    assert_good(state_open(bench->folder, STATE_READ, &waiting, &error), &error);
    assert_error(state_refuse_rotation(&waiting, &error), &error, ERROR_REFUSED, "beside the new one");
    assert_non_null(strstr(error.remedy, "--finish"));
    assert_int_equal(drop_retired(bench), 0);
    assert_good(state_open(bench->folder, STATE_READ, &none, &error), &error);
    assert_good(state_refuse_rotation(&none, &error), &error);
}

/* Pins without their authority: a new one could do nothing, and would hide the loss. */
static void test_no_second_authority(void **state)
{
    struct bench *bench = *state;
    cleanup(state_close) struct state opened = { .lock = -1 };
    cleanup(free_ptr) char *key = file_path(bench->folder, "authority.pem");
    struct error error;

    assert_good(file_remove(key, &error), &error);
    assert_good(state_open(bench->folder, STATE_CREATE, &opened, &error), &error);
    assert_null(opened.authority);
    assert_false(file_exists(key));
}

static void test_others_can_reach_it(void **state)
{
    struct bench *bench = *state;
    cleanup(state_close) struct state opened = { .lock = -1 };
    cleanup(free_ptr) char *pins = file_path(bench->folder, STATE_NEXT "/pins.json");
    struct error error;

    assert_return_code(chmod(pins, 0644), 0);
    assert_error(state_open(bench->folder, STATE_READ, &opened, &error), &error, ERROR_FAILED, "reached by others");
}

#define test(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(test_cut_before),
        test(test_cut_after),
        test(test_cut_drop),
        test(test_cut_undo),
        test(test_wiped),
        test(test_refused),
        test(test_no_second_authority),
        test(test_others_can_reach_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
