/* The process ends at each of its writes to the disk, before or after it; the next run ends well. */
#include "base/cleanup.h"
#include "protect/machine.h"
#include "protect/provision/provision.h"
#include "tpm/lockout.h"

#include <sys/wait.h>

#define CUT_STATUS 77
#define PLACES_MAX 20

/* When the child is to end: counted down by each rename() and unlink(), which is how everything gets its place. */
static int writes_left = -1;
static bool after_it;

int __real_rename(const char *from, const char *to);
int __wrap_rename(const char *from, const char *to);
int __real_unlink(const char *path);
int __wrap_unlink(const char *path);

static bool is_the_one(void)
{
    return writes_left >= 0 && writes_left-- == 0;
}

int __wrap_rename(const char *from, const char *to)
{
    bool cut = is_the_one();
    int r;

    if (cut && !after_it)
        _exit(CUT_STATUS);
    r = __real_rename(from, to);
    if (cut)
        _exit(CUT_STATUS);
    return r;
}

int __wrap_unlink(const char *path)
{
    bool cut = is_the_one();
    int r;

    if (cut && !after_it)
        _exit(CUT_STATUS);
    r = __real_unlink(path);
    if (cut)
        _exit(CUT_STATUS);
    return r;
}

static int provision(struct machine *machine, struct provision_result *ret, struct error *error)
{
    const struct provision_request request = {
        .tpm = machine->tpm,
        .state_folder = machine->state_folder,
        .document = machine->policy,
        .allow_unencrypted_state = true,
    };

    return provision_run(ret, &request, error);
}

/* True when there was a write of that number to end at. */
static bool provision_cut(struct machine *machine, int place, bool after)
{
    int status;
    pid_t child;

    machine_disconnect(machine);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        cleanup(provision_end) struct provision_result result = { .state.lock = -1 };
        struct error error;

        machine_connect(machine);
        writes_left = place;
        after_it = after;
        _exit(provision(machine, &result, &error) ? 1 : 0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_true(WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == CUT_STATUS);
    machine_reboot(machine);
    return WEXITSTATUS(status) == CUT_STATUS;
}

static void assert_provisioned(struct machine *machine)
{
    cleanup(provision_end) struct provision_result result = { .state.lock = -1 };
    cleanup(secret_free) struct secret auth = { 0 };
    enum tpm_index_condition condition;
    uint32_t next;
    struct error error;

    assert_good(provision(machine, &result, &error), &error);
    assert_int_equal(result.holder, PROVISION_KEPT);
    assert_good(state_read_lockout_auth(&result.state, &auth, &error), &error);
    assert_good(tpm_lockout_reset(machine->tpm, &auth, &error), &error);
    assert_good(tpm_index_probe(machine->tpm, &result.state.pins.index, &condition, &error), &error);
    assert_int_equal(condition, TPM_INDEX_WRITTEN);
    assert_good(tpm_index_find_free(machine->tpm, &next, &error), &error);
    assert_int_equal(next, TPM_INDEX_FIRST + 1); /* no second one was left behind */
}

static void cut_everywhere(void **state, bool after)
{
    int place = 0;

    while (provision_cut(*state, place, after)) {
        assert_provisioned(*state);
        place++;
        assert_true(place < PLACES_MAX);
        machine_teardown(state);
        assert_int_equal(machine_setup(state), 0);
    }
    assert_true(place >= 3); /* authority, lockout authorisation, pins */
}

static void test_cut_before_each_write(void **state)
{
    cut_everywhere(state, false);
}

static void test_cut_after_each_write(void **state)
{
    cut_everywhere(state, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        machine_test(test_cut_before_each_write),
        machine_test(test_cut_after_each_write),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
