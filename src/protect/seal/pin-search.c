#include "protect/seal/pin-search.h"

#include "base/cleanup.h"
#include "protect/provision/provision.h"
#include "protect/unlock/keys.h"
#include "protect/unlock/target.h"

static void pass_over(struct pin_search *search, unsigned operator_number, const struct kdf_parameters *kdf)
{
    size_t i = search->passed_over_count;

    if (i == PIN_SEARCH_MAX)
        return;
    search->passed_over[i].operator_number = operator_number;
    search->passed_over[i].kdf = *kdf;
    search->passed_over_count++;
}

void pin_search_pass_over(struct pin_search *search, const struct protector *protector)
{
    pass_over(search, protector->operator_number, &protector->kdf);
}

/* All of them, once there is no room to remember one more. */
static bool is_passed_over(const struct pin_search *search, const struct protector *protector)
{
    for (size_t i = 0; i < search->passed_over_count; i++)
        if (search->passed_over[i].operator_number == protector->operator_number ||
            kdf_parameters_equal(&search->passed_over[i].kdf, &protector->kdf))
            return true;
    return search->passed_over_count == PIN_SEARCH_MAX;
}

/* 0: it is this one's PIN. */
static int try_pin(const struct pin_search *search, struct target *target, const struct secret *pin,
                   struct error *error)
{
    cleanup(secret_free) struct secret auth = { 0 };
    cleanup(secret_free) struct secret mix = { 0 };
    cleanup(secret_free) struct secret opener = { 0 };
    struct authority_signer signer = authority_signer(search->state->authority);
    int r = target_prepare(target, search->tpm, &signer, error);

    r = r ?: keys_stretch(pin, &target->protector->kdf, &auth, &mix, error);
    return r ?: target_unseal(target, &auth, &mix, &opener, error);
}

static bool search_volume(struct pin_search *search, const struct pinned_volume *pin, const struct secret *secret_pin,
                          struct kdf_parameters *ret, unsigned *ret_operator)
{
    cleanup(target_free) struct target target = { 0 };
    struct operator_list operators = { 0 };
    struct error ignored;

    if (!target_open(&target, &search->state->pins, pin, &ignored))
        target_operators(&target, &operators);
    for (size_t i = 0; i < operators.count; i++) {
        int r;

        if (target_choose_operator(&target, operators.items[i].number, &ignored) ||
            is_passed_over(search, target.protector))
            continue;
        *ret = target.protector->kdf;
        *ret_operator = target.protector->operator_number;
        pass_over(search, 0, ret);
        r = try_pin(search, &target, secret_pin, &ignored);
        if (!r)
            return true;
        /* the wrong try that finding out has cost is ours, not a guesser's */
        if (r == ERROR_WRONG_PIN)
            (void)provision_forgive(search->tpm, search->state, &ignored);
        target_release(&target);
    }
    return false;
}

int pin_search_choose(struct pin_search *search, const struct kdf_rules *rules, const struct secret *pin,
                      struct kdf_parameters *ret, unsigned *ret_operator, struct error *error)
{
    const struct pins *pins = &search->state->pins;

    for (size_t i = 0; i < pins->volume_count; i++)
        if (search->volumes & 1u << i && search_volume(search, &pins->volumes[i], pin, ret, ret_operator))
            return 0;
    *ret_operator = 0;
    return keys_calibrate(rules, ret, error);
}
