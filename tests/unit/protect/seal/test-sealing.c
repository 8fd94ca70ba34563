#include "protect/seal/sealing.h"

#include "base/cleanup.h"
#include "protect/machine.h"
#include "protect/provision/provision.h"
#include "protect/seal/approve.h"
#include "protect/seal/leftover.h"
#include "protect/unlock/keys.h"

/* A machine whose state is open for changing, its TPM connected with it, and one volume with its key. */
struct shop {
    struct state state;
    struct volume *volume;
    struct secret key;
};

static void shop_free(struct shop *shop)
{
    secret_free(&shop->key);
    volume_close(&shop->volume);
    state_close(&shop->state);
}

static void open_shop(struct machine *machine, size_t i, struct shop *ret)
{
    cleanup(secret_free) struct secret passphrase = secret_of(LUKS_FILE_PASSPHRASE);
    struct error error;

    ret->state = machine_state(machine);
    assert_good(provision_tpm(machine->tpm, &ret->state, NULL, &error), &error);
    assert_good(volume_open(&ret->volume, machine->volumes[i].path, &error), &error);
    assert_good(volume_keyslot_open(ret->volume, -1, &passphrase, &ret->key, NULL, &error), &error);
}

static struct sealing a_sealing(struct machine *machine, struct shop *shop)
{
    return (struct sealing){ machine->tpm, &shop->state, &shop->volume, &shop->key };
}

/* All steps up to the switch of the approval. */
static void begin(struct sealing *sealing, enum protector_payload payload, const char *pin)
{
    cleanup(approval_free) struct approval draft = { 0 };
    cleanup(secret_free) struct secret secret = secret_of(pin ? pin : "");
    struct state *own = sealing->state;
    struct error error;

    assert_good(sealing_describe(sealing, pin ? PROTECTOR_TPM2_PIN : PROTECTOR_TPM2, "a label", &error), &error);
    sealing->protector.payload = payload;
    sealing->protector.kdf = (struct kdf_parameters){ .memory_kib = 8192, .iterations = 1, .lanes = 1 };
    assert_good(sealing_seal(sealing, pin ? &secret : NULL, &error), &error);
    assert_good(sealing_announce(sealing, &error), &error);
    assert_good(approval_copy(&own->approval, &draft, &error), &error);
    assert_good(sealing_add_object(sealing, &draft, &error), &error);
    assert_good(approve_switch(sealing->tpm, own, &draft, &error), &error);
    assert_good(approve_reopen(own, sealing->volume, &error), &error);
}

static void test_the_whole_way(void **state)
{
    struct machine *machine = *state;

    for (enum protector_payload payload = PAYLOAD_KEYSLOT; payload <= PAYLOAD_VOLUME_KEY; payload++) {
        cleanup(shop_free) struct shop shop = { .state.lock = -1 };
        cleanup(sealing_free) struct sealing sealing = { 0 };
        uint32_t keyslots = machine_keyslots(machine, 0);
        struct error error;

        open_shop(machine, 0, &shop);
        sealing = a_sealing(machine, &shop);
        begin(&sealing, payload, payload == PAYLOAD_KEYSLOT ? MACHINE_OTHER_PIN : NULL);
        assert_good(sealing_install(&sealing, &error), &error);
        assert_int_equal(sealing.protector.keyslot >= 0, payload == PAYLOAD_KEYSLOT);
        assert_good(sealing_write_token(&sealing, -1, &error), &error);
        assert_true(sealing.protector.token >= 0);
        assert_good(sealing_settle(machine->tpm, &shop.state, &shop.volume, -1, &error), &error);
        assert_int_equal(machine_keyslots(machine, 0) != keyslots, payload == PAYLOAD_KEYSLOT);
        assert_int_equal(machine_tokens(machine, 0, TOKEN_TYPE_PENDING), 0);
        assert_int_equal(machine_handles(machine), 0);
    }
    assert_int_equal(machine_tokens(machine, 0, TOKEN_TYPE_PROTECTOR), 3);
}

/* Cut before its token is written: object and keyslot go, the others stay. */
static void test_settle_ends_what_was_cut(void **state)
{
    struct machine *machine = *state;
    cleanup(shop_free) struct shop shop = { .state.lock = -1 };
    cleanup(sealing_free) struct sealing sealing = { 0 };
    struct error error;

    open_shop(machine, 0, &shop);
    sealing = a_sealing(machine, &shop);
    begin(&sealing, PAYLOAD_KEYSLOT, MACHINE_OTHER_PIN);
    assert_good(sealing_install(&sealing, &error), &error);
    assert_int_equal(shop.state.approval.object_count, 2);
    assert_good(sealing_settle(machine->tpm, &shop.state, &shop.volume, -1, &error), &error);
    assert_int_equal(shop.state.approval.object_count, 1);
    assert_int_equal(machine_keyslots(machine, 0), 3);
    assert_int_equal(machine_tokens(machine, 0, TOKEN_TYPE_PENDING), 0);
    shop_free(&shop);
    assert_good(machine_unlock(machine, 0, MACHINE_PIN, &error), &error);
}

/* Withdrawing the last object would take the boot states with it: it stays in force, and so does what names it. */
static void test_settle_leaves_the_last_object(void **state)
{
    struct machine *machine = *state;
    cleanup(shop_free) struct shop shop = { .state.lock = -1 };
    struct error error;

    machine_set_token(machine, 0, TOKEN_TYPE_PROTECTOR, "keyslots", "[]");
    machine_set_token(machine, 0, TOKEN_TYPE_PROTECTOR, "type", "\"bootseal-pending\"");
    open_shop(machine, 0, &shop);
    assert_good(sealing_settle(machine->tpm, &shop.state, &shop.volume, -1, &error), &error);
    assert_int_equal(shop.state.approval.object_count, 1);
    assert_int_equal(machine_tokens(machine, 0, TOKEN_TYPE_PENDING), 1);
}

/* What comes back is compared with what was given. */
static void test_install_compares(void **state)
{
    struct machine *machine = *state;
    cleanup(shop_free) struct shop shop = { .state.lock = -1 };
    cleanup(sealing_free) struct sealing sealing = { 0 };
    uint32_t keyslots = machine_keyslots(machine, 0);
    struct error error;

    open_shop(machine, 0, &shop);
    sealing = a_sealing(machine, &shop);
    begin(&sealing, PAYLOAD_KEYSLOT, MACHINE_OTHER_PIN);
    sealing.sealed.bytes[0] ^= 1;
    assert_error(sealing_install(&sealing, &error), &error, ERROR_TPM, "another secret than it was given");
    sealing.sealed.bytes[0] ^= 1;
    sealing.auth.bytes[0] ^= 1;
    assert_error(sealing_install(&sealing, &error), &error, ERROR_WRONG_PIN, "does not unseal");
    assert_int_equal(machine_keyslots(machine, 0), keyslots);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        enrolled_test(test_the_whole_way),
        enrolled_test(test_settle_ends_what_was_cut),
        enrolled_test(test_settle_leaves_the_last_object),
        enrolled_test(test_install_compares),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
