#include "protect/seal/pin-search.h"

#include "base/cleanup.h"
#include "protect/machine.h"
#include "protect/provision/provision.h"

struct shop {
    struct state state;
    struct pin_search search;
};

static void shop_free(struct shop *shop)
{
    state_close(&shop->state);
}

static void open_shop(struct machine *machine, uint32_t volumes, struct shop *ret)
{
    struct error error;
    bool lost;

    ret->state = machine_state(machine);
    assert_good(provision_tpm(machine->tpm, &ret->state, &lost, &error), &error);
    ret->search = (struct pin_search){ machine->tpm, &ret->state, volumes };
}

/* Whose the PIN is; the salt is that one's then, and a fresh one else. */
static unsigned choose(struct machine *machine, struct shop *shop, const char *text, struct kdf_parameters *ret)
{
    cleanup(secret_free) struct secret pin = secret_of(text);
    unsigned operator_number = 77;
    struct tpm_state now;
    struct error error;

    assert_good(pin_search_choose(&shop->search, &machine->policy.kdf, &pin, ret, &operator_number, &error), &error);
    assert_good(tpm_state_read(machine->tpm, &now, &error), &error);
    assert_int_equal(now.lockout_counter, 0);
    assert_int_equal(machine_handles(machine), 0);
    return operator_number;
}

static struct protector enroll_as(struct machine *machine, size_t i, unsigned operator_number, const char *pin)
{
    struct enroll_request request = machine_request(machine, i);
    struct protector protector;
    struct error error;

    request.operator_number = operator_number;
    assert_good(machine_try_enroll(&request, pin, &protector, &error), &error);
    return protector;
}

static void test_found_where_it_is_searched(void **state)
{
    struct machine *machine = *state;
    struct protector other = enroll_as(machine, machine_add_volume(machine), 5, MACHINE_OTHER_PIN);
    cleanup(shop_free) struct shop shop = { .state.lock = -1 };
    struct kdf_parameters kdf;

    open_shop(machine, 3, &shop);
    assert_int_equal(choose(machine, &shop, MACHINE_OTHER_PIN, &kdf), 5);
    assert_true(kdf_parameters_equal(&kdf, &other.kdf));
    shop.search = (struct pin_search){ machine->tpm, &shop.state, 1 };
    assert_int_equal(choose(machine, &shop, MACHINE_OTHER_PIN, &kdf), 0);
    assert_false(kdf_parameters_equal(&kdf, &other.kdf));
}

static void test_found_among_several(void **state)
{
    struct machine *machine = *state;
    struct protector other = enroll_as(machine, 0, 2, MACHINE_OTHER_PIN);
    cleanup(shop_free) struct shop shop = { .state.lock = -1 };
    struct kdf_parameters kdf;

    open_shop(machine, 1, &shop);
    assert_int_equal(choose(machine, &shop, MACHINE_OTHER_PIN, &kdf), 2);
    assert_true(kdf_parameters_equal(&kdf, &other.kdf));
}

/* By its number, and by its salt. */
static void test_passed_over(void **state)
{
    struct machine *machine = *state;
    struct protector other = enroll_as(machine, 0, 2, MACHINE_OTHER_PIN), same = other;
    cleanup(shop_free) struct shop shop = { .state.lock = -1 };
    struct kdf_parameters kdf;

    open_shop(machine, 1, &shop);
    same.kdf.salt[0] ^= 1;
    pin_search_pass_over(&shop.search, &same);
    assert_int_equal(choose(machine, &shop, MACHINE_OTHER_PIN, &kdf), 0);
    shop.search = (struct pin_search){ machine->tpm, &shop.state, 1 };
    same = other;
    same.operator_number = 9;
    pin_search_pass_over(&shop.search, &same);
    assert_int_equal(choose(machine, &shop, MACHINE_OTHER_PIN, &kdf), 0);
}

/* What cannot be remembered is not tried. */
static void test_no_room_to_remember(void **state)
{
    struct machine *machine = *state;
    struct protector strange = { .kind = PROTECTOR_TPM2_PIN, .operator_number = 50 };
    cleanup(shop_free) struct shop shop = { .state.lock = -1 };
    struct kdf_parameters kdf;

    open_shop(machine, 1, &shop);
    for (unsigned i = 0; i < PIN_SEARCH_MAX + 3; i++)
        pin_search_pass_over(&shop.search, &strange);
    assert_int_equal(choose(machine, &shop, MACHINE_PIN, &kdf), 0);
}

static void test_missing_volume(void **state)
{
    struct machine *machine = *state;
    cleanup(shop_free) struct shop shop = { .state.lock = -1 };
    struct kdf_parameters kdf;

    open_shop(machine, 1, &shop);
    assert_return_code(rename(machine->volumes[0].path, scratch_path(&machine->scratch, "unplugged")), 0);
    assert_int_equal(choose(machine, &shop, MACHINE_PIN, &kdf), 0);
    assert_return_code(rename(scratch_path(&machine->scratch, "unplugged"), machine->volumes[0].path), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        enrolled_test(test_found_where_it_is_searched),
        enrolled_test(test_found_among_several),
        enrolled_test(test_passed_over),
        enrolled_test(test_no_room_to_remember),
        enrolled_test(test_missing_volume),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
