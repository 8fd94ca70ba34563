/*
 * Where else a new PIN opens something: protectors that share the PIN share salt and cost, so that one question and one
 * derivation open all of them at boot. Finding out takes a try on each PIN that it may be, so it is tried once for each
 * salt, and never on the PINs of the volume itself: there each operator has another one, and whether two of them chose
 * the same is nobody's business.
 */
#pragma once

#include "protect/state.h"
#include "tpm/tpm.h"

#define PIN_SEARCH_MAX 64 /* PINs that are tried or passed over, as many as an approval has objects */

struct pin_search {
    struct tpm *tpm; /* with SRK and index in use */
    const struct state *state;
    uint32_t volumes; /* mask of the pins to search */
    struct {
        unsigned operator_number; /* 0: of anyone */
        struct kdf_parameters kdf;
    } passed_over[PIN_SEARCH_MAX];
    size_t passed_over_count;
};

/* Neither this PIN is tried, nor any PIN of an operator with its number. */
void pin_search_pass_over(struct pin_search *search, const struct protector *protector);

/*
 * Salt and cost for a new PIN, and whose it is where it was found: the number, else 0 and fresh ones by the rules. The
 * wrong tries that the search costs are forgiven.
 */
int pin_search_choose(struct pin_search *search, const struct kdf_rules *rules, const struct secret *pin,
                      struct kdf_parameters *ret, unsigned *ret_operator, struct error *error);
