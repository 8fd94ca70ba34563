"""The power is cut while a PIN is changed, for several volumes, or in the TPM alone: one PIN opens, the old one or the
new one, and changing it again clears away the rest.  One volume at each point: test_every_cut.py."""

import pytest

import cut_writes
from bootseal import NEW_PIN, PASSPHRASE, PIN
from power_switch import PowerSwitch

THIRD_PIN = "481526"
# about as many as there are
WRITES = 90
COMMANDS = 70


def sampled(numbers, step=5):
    """Every STEP-th in each run, the others in `tests/run full`."""
    return [pytest.param(number, marks=[] if i % step == 0 else pytest.mark.full) for i, number in enumerate(numbers)]


def change_arguments(bench, *arguments, pin=PIN):
    """The call that changes the PIN to NEW_PIN."""
    return bench.arguments("change-pin", "--policy", bench.policy, "--new-pin-file",
                           bench.secret_file(NEW_PIN, "new-pin"), *arguments, pin=pin)


def cut_at_write(bench, argv, volume, number):
    """Run a program that ends at a write, cut the TPM's power too, and boot."""
    result = bench.run(argv, environment=cut_writes.environment(volume, number))
    bench.tpm.power_cut()
    bench.boot()
    assert result.rc in (0, cut_writes.STATUS_CUT), result


def cut_at_command(bench, argv, number, executed, name=None):
    """Run a program whose TPM loses its power at a command, and boot; the result when there was such a command."""
    with PowerSwitch(bench.tpm, name, executed, number) as switch:
        result = bench.run(argv, environment={"BOOTSEAL_TCTI": switch.tcti})
    if switch.has_cut:
        bench.tpm.start()
    bench.boot()
    return result if switch.has_cut else None


def the_pin(bench, volume):
    """The one PIN that opens the volume, in the initramfs too."""
    (pin,) = [pin for pin in (PIN, NEW_PIN) if bench.unlock(volume, pin=pin).rc == 0]
    done = bench.unlock_all(pin)
    assert done.volume(volume.name)["opened"] and len(done.prompts) == 1
    bench.boot()
    return pin


def assert_clean(bench, volume, pin, others=0):
    """One protector, its keyslot beside the passphrase's, its object in the TPM's list, and nothing else."""
    assert bench.unlock(volume, pin=pin).rc == 0
    ((keyslot,),) = [token["keyslots"] for token in volume.tokens("bootseal").values()]
    assert volume.keyslots() == {0, int(keyslot)} and volume.tokens("bootseal-pending") == {}
    approval = volume.token("bootseal-approval")
    assert len(approval["objects"]) == 1 + others and approval["next"] is None


def change_again(bench, volume):
    """Whatever is left of the first change goes with the next one."""
    old = the_pin(bench, volume)
    result = bench.change_pin(volume, pin=old, new=THIRD_PIN)
    assert result.rc == 0, result
    assert_clean(bench, volume, THIRD_PIN)


@pytest.mark.parametrize("number", sampled(range(1, COMMANDS)))
def test_threat_16_at_each_command(bench, enrolled, number):
    """Each TPM command is executed and its answer lost, and the program goes on."""
    result = cut_at_command(bench, change_arguments(bench, enrolled), number, True)
    if result and result.rc == 0:
        assert the_pin(bench, enrolled) == NEW_PIN
    elif result:
        assert result.rc == 6, result
    change_again(bench, enrolled)


@pytest.mark.parametrize("number", [1, 2])
def test_threat_16_before_the_switch(bench, enrolled, number):
    """The approval is not switched: to both objects, to the new one alone."""
    assert cut_at_command(bench, change_arguments(bench, enrolled), number, False, "NV_Write").rc == 6
    assert the_pin(bench, enrolled) == (PIN, NEW_PIN)[number - 1]
    change_again(bench, enrolled)


@pytest.mark.parametrize("number", sampled(range(1, 2 * WRITES, 9)))
def test_threat_16_two_volumes(bench, enrolled, number):
    """Each opens with one of the PINs; changing the PIN of those that have the old one makes it one again."""
    second = bench.volume()
    bench.enroll(second)
    cut_at_write(bench, change_arguments(bench), second, number)
    pins = [next(pin for pin in (PIN, NEW_PIN) if bench.unlock(each, pin=pin).rc == 0)
            for each in (enrolled, second)]
    for each, pin in zip((enrolled, second), pins):
        if pin == PIN:
            assert bench.change_pin(each).rc == 0
    assert bench.change_pin(pin=NEW_PIN, new=THIRD_PIN).rc == 0
    for each in (enrolled, second):
        assert_clean(bench, each, THIRD_PIN, others=1)
    assert enrolled.token()["kdf"] == second.token()["kdf"]
    assert len(bench.unlock_all(THIRD_PIN).prompts) == 1


def test_threat_16_removed_after_a_cut(bench, enrolled):
    """The old object is still in force: it goes with the protector."""
    second = bench.volume()
    bench.enroll(second, pin=THIRD_PIN)
    old = enrolled.header()
    cut_at_command(bench, change_arguments(bench, enrolled), 2, False, "NV_Write")
    assert enrolled.tokens("bootseal-pending") != {}
    assert bench.bootseal("remove", enrolled).rc == 0
    assert enrolled.metadata()["tokens"] == {} and enrolled.keyslots() == {0}
    assert len(second.token("bootseal-approval")["objects"]) == 1
    assert bench.unlock(second, pin=THIRD_PIN).rc == 0
    assert bench.bootseal("enroll", *bench.enroll_options, enrolled, pin=PIN, key=PASSPHRASE).rc == 0
    enrolled.put_header(old)
    assert bench.unlock(enrolled).rc == 9


def test_threat_23_leftover_is_no_way_in(bench, enrolled):
    """A keyslot that a change has left does not count as the last way in."""
    enrolled.add_passphrase("what a change has left")
    pending = {"type": "bootseal-pending", "keyslots": [], "planned_keyslot": 2}
    enrolled.put_token({**enrolled.token(), **pending}, 20)
    enrolled.remove_passphrase()
    assert bench.bootseal("remove", enrolled).rc == 10
    assert bench.unlock(enrolled).rc == 0


def test_threat_16_a_cut_within_the_clearing(bench, enrolled):
    """The old object is still in force when the second run is cut too: it is withdrawn in the third."""
    cut_at_command(bench, change_arguments(bench, enrolled), 2, False, "NV_Write")
    assert len(enrolled.token("bootseal-approval")["objects"]) == 2
    cut_at_command(bench, change_arguments(bench, enrolled, pin=NEW_PIN), 1, False, "NV_Write")
    assert enrolled.tokens("bootseal-pending") != {}
    change_again(bench, enrolled)
