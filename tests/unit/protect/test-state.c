#include "protect/state.h"

#include "base/cleanup.h"
#include "base/file.h"
#include "json-edit.h"
#include "machine.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

struct bench {
    struct scratch scratch;
    char folder[256];
    struct state state;
};

static int setup(void **state)
{
    struct bench *bench = calloc(1, sizeof(*bench));

    assert_non_null(bench);
    *state = bench;
    scratch_make(&bench->scratch);
    snprintf(bench->folder, sizeof(bench->folder), "%s/state", bench->scratch.folder);
    bench->state.lock = -1;
    return 0;
}

static int teardown(void **state)
{
    struct bench *bench = *state;

    state_close(&bench->state);
    scratch_remove(&bench->scratch);
    free(bench);
    return 0;
}

static int reopen(struct bench *bench, enum state_mode mode, struct error *error)
{
    state_close(&bench->state);
    return state_open(bench->folder, mode, &bench->state, error);
}

static const char *path_in(struct bench *bench, const char *name)
{
    char path[64];

    snprintf(path, sizeof(path), "state/%s", name);
    return scratch_path(&bench->scratch, path);
}

static void fill_approval(const struct state *state, struct approval *ret, unsigned boot_states)
{
    struct branch branch = { .kind = BRANCH_AUTHORITY, .authority = authority_signer(state->authority).public };
    struct object_name name = { { 0, 0x0b, 7 } };
    struct error error;

    *ret = (struct approval){ .bank = HASH_SHA256, .pcrs = MACHINE_PCRS, .cap = MACHINE_CAP };
    assert_good(approval_add_branch(ret, &branch, &error), &error);
    for (unsigned i = 0; i < boot_states; i++) {
        struct branch boot = { .kind = BRANCH_BOOT, .label = "linux" };

        boot.values = (struct pcr_values){ .bank = HASH_SHA256, .mask = MACHINE_PCRS };
        memset(boot.values.value[4], (int)i + 1, DIGEST_BYTES);
        assert_good(approval_add_branch(ret, &boot, &error), &error);
    }
    assert_good(approval_add_object(ret, &name, &error), &error);
}

static struct digest digest_of(const struct approval *approval)
{
    struct digest digest;
    struct error error;

    assert_good(approval_digest(approval, &digest, &error), &error);
    return digest;
}

static void test_create(void **state)
{
    struct bench *bench = *state;
    struct stat status;
    struct error error;

    assert_good(reopen(bench, STATE_CREATE, &error), &error);
    assert_non_null(bench->state.authority);
    assert_false(bench->state.has_pins);
    assert_false(bench->state.has_approval);
    assert_return_code(stat(bench->folder, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0700);
    assert_return_code(stat(path_in(bench, "authority.pem"), &status), 0);
    assert_int_equal(status.st_mode & 07777, 0600);
}

static void test_read_makes_nothing(void **state)
{
    struct bench *bench = *state;
    struct error error;

    assert_good(reopen(bench, STATE_READ, &error), &error);
    assert_null(bench->state.authority);
    assert_int_equal(bench->state.lock, -1);
    assert_false(file_exists(bench->folder));
    assert_good(file_make_folder(bench->folder, 0700, &error), &error);
    assert_good(reopen(bench, STATE_READ, &error), &error);
    assert_null(bench->state.authority);
    assert_false(file_exists(path_in(bench, "lock")));
    assert_good(reopen(bench, STATE_CHANGE, &error), &error);
    assert_null(bench->state.authority);
    assert_false(file_exists(path_in(bench, "authority.pem")));
}

static void test_change_needs_a_folder(void **state)
{
    struct bench *bench = *state;
    struct error error;

    assert_error(reopen(bench, STATE_CHANGE, &error), &error, ERROR_NO_PROTECTOR, "nothing is enrolled");
    assert_false(file_exists(bench->folder));
}

static bool is_locked(struct bench *bench)
{
    cleanup(close_fd) int fd = open(path_in(bench, "lock"), O_RDWR | O_CLOEXEC);

    assert_return_code(fd, 0);
    return flock(fd, LOCK_EX | LOCK_NB) < 0;
}

static void test_lock(void **state)
{
    struct bench *bench = *state;
    struct error error;

    assert_good(reopen(bench, STATE_CREATE, &error), &error);
    assert_true(is_locked(bench));
    assert_good(reopen(bench, STATE_READ, &error), &error);
    assert_false(is_locked(bench));
    assert_good(reopen(bench, STATE_CHANGE, &error), &error);
    assert_true(is_locked(bench));
    state_close(&bench->state);
    assert_false(is_locked(bench));
}

/* Somebody else's file may be where the lock belongs; following it would make or open theirs. */
static void test_lock_is_no_link(void **state)
{
    struct bench *bench = *state;
    struct error error;

    assert_good(file_make_folder(bench->folder, 0700, &error), &error);
    assert_return_code(symlink("elsewhere", path_in(bench, "lock")), 0);
    assert_error(reopen(bench, STATE_CHANGE, &error), &error, ERROR_FAILED, "lock");
    assert_false(file_exists(path_in(bench, "elsewhere")));
}

static void test_approval_round_trip(void **state)
{
    struct bench *bench = *state;
    struct digest digest;
    struct error error;

    assert_good(reopen(bench, STATE_CREATE, &error), &error);
    fill_approval(&bench->state, &bench->state.approval, 1);
    digest = digest_of(&bench->state.approval);
    assert_good(state_save_approval(&bench->state, &error), &error);
    assert_good(reopen(bench, STATE_READ, &error), &error);
    assert_true(bench->state.has_approval);
    assert_false(bench->state.has_next);
    assert_memory_equal(digest_of(&bench->state.approval).bytes, digest.bytes, DIGEST_BYTES);
}

static void test_both_lists_round_trip(void **state)
{
    struct bench *bench = *state;
    struct digest now, next;
    struct error error;

    assert_good(reopen(bench, STATE_CREATE, &error), &error);
    fill_approval(&bench->state, &bench->state.approval, 1);
    fill_approval(&bench->state, &bench->state.next, 2);
    bench->state.has_next = true;
    now = digest_of(&bench->state.approval);
    next = digest_of(&bench->state.next);
    assert_memory_not_equal(now.bytes, next.bytes, DIGEST_BYTES);
    assert_good(state_save_approval(&bench->state, &error), &error);
    assert_good(reopen(bench, STATE_READ, &error), &error);
    assert_true(bench->state.has_next);
    assert_memory_equal(digest_of(&bench->state.approval).bytes, now.bytes, DIGEST_BYTES);
    assert_memory_equal(digest_of(&bench->state.next).bytes, next.bytes, DIGEST_BYTES);
}

static void test_drop_approval(void **state)
{
    struct bench *bench = *state;
    struct error error;

    assert_good(reopen(bench, STATE_CREATE, &error), &error);
    fill_approval(&bench->state, &bench->state.approval, 1);
    fill_approval(&bench->state, &bench->state.next, 2);
    bench->state.has_next = true;
    assert_good(state_save_approval(&bench->state, &error), &error);
    assert_good(state_drop_approval(&bench->state, &error), &error);
    assert_false(bench->state.has_approval);
    assert_false(bench->state.has_next);
    assert_int_equal(bench->state.approval.object_count, 0);
    assert_false(file_exists(path_in(bench, "approval.json")));
    assert_good(state_drop_approval(&bench->state, &error), &error); /* nothing to drop */
    assert_good(reopen(bench, STATE_READ, &error), &error);
    assert_false(bench->state.has_approval);
}

static void test_damaged_files(void **state)
{
    struct bench *bench = *state;
    struct error error;

    assert_good(reopen(bench, STATE_CREATE, &error), &error);
    fill_approval(&bench->state, &bench->state.approval, 1);
    assert_good(state_save_approval(&bench->state, &error), &error);
    json_edit(path_in(bench, "approval.json"), "branches/0/kind", "\"door\"");
    assert_error(reopen(bench, STATE_READ, &error), &error, ERROR_METADATA, "approval.json");
    assert_false(bench->state.has_approval);
    scratch_write(&bench->scratch, "state/approval.json", "{");
    assert_error(reopen(bench, STATE_READ, &error), &error, ERROR_METADATA, "approval.json");
    assert_good(file_remove(path_in(bench, "approval.json"), &error), &error);
    assert_good(reopen(bench, STATE_READ, &error), &error);
    scratch_write(&bench->scratch, "state/pins.json", "{}");
    assert_error(reopen(bench, STATE_READ, &error), &error, ERROR_METADATA, "pins.json");
}

static void test_private_folder(void **state)
{
    struct bench *bench = *state;
    struct error error;

    assert_good(reopen(bench, STATE_CREATE, &error), &error);
    assert_return_code(chmod(bench->folder, 0750), 0);
    assert_error(reopen(bench, STATE_READ, &error), &error, ERROR_FAILED, "reached by others");
    assert_error(reopen(bench, STATE_CREATE, &error), &error, ERROR_FAILED, "reached by others");
    assert_return_code(chmod(bench->folder, 0700), 0);
    assert_good(reopen(bench, STATE_READ, &error), &error);
}

static void test_private_files(void **state)
{
    static const char *const names[] = { "pins.json", "approval.json", "authority.pem" };
    struct bench *bench = *state;
    struct error error;

    for (size_t i = 0; i < array_size(names); i++) {
        char path[32];

        assert_good(reopen(bench, STATE_CREATE, &error), &error);
        assert_good(file_remove(path_in(bench, names[i]), &error), &error);
        snprintf(path, sizeof(path), "state/%s", names[i]);
        assert_return_code(chmod(scratch_write(&bench->scratch, path, "{}"), 0604), 0);
        assert_error(reopen(bench, STATE_READ, &error), &error, ERROR_FAILED, names[i]);
        assert_non_null(strstr(error.text, "reached by others"));
        assert_good(file_remove(path_in(bench, names[i]), &error), &error);
        assert_return_code(symlink("lock", path_in(bench, names[i])), 0);
        assert_error(reopen(bench, STATE_READ, &error), &error, ERROR_FAILED, "reached by others");
        assert_return_code(unlink(path_in(bench, names[i])), 0);
        assert_good(reopen(bench, STATE_READ, &error), &error);
    }
}

static void test_lockout_auth(void **state)
{
    struct bench *bench = *state;
    cleanup(secret_free) struct secret auth = { 0 };
    cleanup(secret_free) struct secret again = { 0 };
    struct stat status;
    struct error error;

    assert_good(reopen(bench, STATE_CREATE, &error), &error);
    assert_good(state_read_lockout_auth(&bench->state, &again, &error), &error);
    assert_int_equal(again.size, 0);
    assert_good(secret_random(&auth, 32, &error), &error);
    auth.bytes[31] = '\n'; /* bytes, not text: nothing is cut */
    assert_good(state_save_lockout_auth(&bench->state, &auth, &error), &error);
    assert_return_code(stat(path_in(bench, "lockout-auth"), &status), 0);
    assert_int_equal(status.st_mode & 07777, 0600);
    assert_good(state_read_lockout_auth(&bench->state, &again, &error), &error);
    assert_true(secret_equal(&auth, &again));
}

static void test_lockout_auth_refused(void **state)
{
    struct bench *bench = *state;
    cleanup(secret_free) struct secret auth = { 0 };
    struct error error;
    char long_one[100];

    assert_good(reopen(bench, STATE_CREATE, &error), &error);
    memset(long_one, 'x', sizeof(long_one));
    long_one[sizeof(long_one) - 1] = '\0';
    scratch_write(&bench->scratch, "state/lockout-auth", long_one);
    assert_int_not_equal(state_read_lockout_auth(&bench->state, &auth, &error), 0);
    assert_int_equal(auth.size, 0);
    scratch_write(&bench->scratch, "state/lockout-auth", "x");
    assert_return_code(chmod(path_in(bench, "lockout-auth"), 0640), 0);
    assert_error(state_read_lockout_auth(&bench->state, &auth, &error), &error, ERROR_FAILED, "reached by others");
    assert_int_equal(auth.size, 0);
}

/* Put aside, never sent again; without one there is nothing to do. */
static void test_refuse_lockout_auth(void **state)
{
    struct bench *bench = *state;
    cleanup(secret_free) struct secret auth = { 0 };
    struct error error;

    assert_good(reopen(bench, STATE_CREATE, &error), &error);
    assert_good(state_refuse_lockout_auth(&bench->state, &error), &error);
    scratch_write(&bench->scratch, "state/lockout-auth", "an old one");
    assert_good(state_refuse_lockout_auth(&bench->state, &error), &error);
    assert_good(state_read_lockout_auth(&bench->state, &auth, &error), &error);
    assert_int_equal(auth.size, 0);
    scratch_expect(&bench->scratch, "state/lockout-auth.refused", "an old one");
}

#define test(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        test(test_create),
        test(test_read_makes_nothing),
        test(test_change_needs_a_folder),
        test(test_lock),
        test(test_lock_is_no_link),
        test(test_approval_round_trip),
        test(test_both_lists_round_trip),
        test(test_drop_approval),
        test(test_damaged_files),
        test(test_private_folder),
        test(test_private_files),
        test(test_lockout_auth),
        test(test_lockout_auth_refused),
        test(test_refuse_lockout_auth),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
