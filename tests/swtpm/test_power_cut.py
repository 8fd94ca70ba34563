"""The power is cut in the middle of a change: afterwards there is a way in, and the change can be made again."""

import pytest

import cut_writes
from bootseal import PASSPHRASE, PIN
from power_switch import PowerSwitch

OTHER_BOOT = {9: b"another initrd"}


def cut_at(bench, argv, name, executed, boot=None):
    """Run a program whose TPM loses its power at a command, and boot again."""
    with PowerSwitch(bench.tpm, name, executed) as switch:
        result = bench.run(argv, environment={"BOOTSEAL_TCTI": switch.tcti})
    assert switch.has_cut
    bench.tpm.start()
    bench.boot(boot)
    return result


def enroll_arguments(bench, volume):
    """The call that enrolls a volume."""
    return bench.arguments("enroll", *bench.enroll_options, volume, pin=PIN, key=PASSPHRASE)


@pytest.mark.parametrize("executed", [False, True], ids=["not executed", "executed"])
@pytest.mark.parametrize("name", ["EvictControl", "NV_DefineSpace", "HierarchyChangeAuth",
                                  "DictionaryAttackParameters", "Create", "NV_Write", "Load", "Unseal"])
def test_threat_16_enroll(bench, volume, name, executed):
    """The passphrase still opens; enrolling again does what it should, and nothing of the first time is left."""
    assert cut_at(bench, enroll_arguments(bench, volume), name, executed).rc == 6
    assert volume.opens_with(PASSPHRASE)
    bench.enroll(volume)
    assert bench.unlock(volume).rc == 0
    assert volume.keyslots() == {0, 1} and volume.tokens("bootseal-pending") == {}
    assert len(volume.token("bootseal-approval")["objects"]) == 1


def test_threat_16_lockout_authorisation_is_not_lost(bench, volume):
    """It was on disk before the TPM got it."""
    cut_at(bench, enroll_arguments(bench, volume), "HierarchyChangeAuth", True)
    auth = (bench.state / "lockout-auth").read_bytes().hex()
    bench.tpm.tool("tpm2_dictionarylockout", "--clear-lockout", "-p", f"hex:{auth}")


@pytest.mark.parametrize("executed", [False, True], ids=["not executed", "executed"])
@pytest.mark.parametrize("name", ["Create", "NV_Write", "Unseal"])
def test_threat_16_enroll_a_second_volume(bench, enrolled, name, executed):
    """What was enrolled before opens as before."""
    second = bench.volume()
    cut_at(bench, enroll_arguments(bench, second), name, executed)
    assert bench.unlock(enrolled).rc == 0
    bench.enroll(second)
    assert bench.unlock(enrolled).rc == 0 and bench.unlock(second).rc == 0
    assert len(second.token("bootseal-approval")["objects"]) == 2


SECOND_PIN = "9085746321"


def enroll_second_operator(bench, volume):
    """The call that adds another PIN to a volume."""
    return bench.arguments("enroll", *bench.enroll_options, "--operator", "2", volume, pin=SECOND_PIN, key=PASSPHRASE)


def assert_first_operator(bench, volume):
    """Number 1 opens with the own PIN, here and in the initramfs, whatever became of number 2."""
    assert bench.unlock(volume, "--operator", "1").rc == 0
    both = len(volume.tokens("bootseal")) == 2
    assert bench.unlock_all(*["1"] * both, PIN).rc == 0
    bench.boot()
    assert bench.tpm.lockout_counter() <= 1  # an Unseal that the power cut ended


def assert_second_operator(bench, volume):
    """Said again, it is done once, and nothing is left beside it."""
    assert bench.run(enroll_second_operator(bench, volume)).rc in (0, 10)
    assert bench.unlock(volume, "--operator", "2", pin=SECOND_PIN).rc == 0
    assert bench.unlock(volume, "--operator", "1").rc == 0
    bench.enroll(volume, "--operator", "3", pin="5061728394")  # which clears away what a cut at the very end has left
    assert volume.keyslots() == {0, 1, 2, 3} and volume.tokens("bootseal-pending") == {}
    assert len(volume.token("bootseal-approval")["objects"]) == 3


@pytest.mark.parametrize("executed", [False, True], ids=["not executed", "executed"])
@pytest.mark.parametrize("name", ["Create", "NV_Write", "Unseal"])
def test_threat_16_enroll_a_second_operator(bench, enrolled, name, executed):
    """The first one opens as before."""
    cut_at(bench, enroll_second_operator(bench, enrolled), name, executed)
    assert_first_operator(bench, enrolled)
    assert_second_operator(bench, enrolled)


@pytest.mark.parametrize("number", range(2, 62, 5))
def test_threat_16_enroll_a_second_operator_at_a_write(bench, enrolled, number):
    """Of the header, or of a file of the state folder."""
    result = bench.run(enroll_second_operator(bench, enrolled),
                       environment=cut_writes.environment(enrolled, number, False))
    bench.tpm.power_cut()
    bench.boot()
    assert result.rc in (0, cut_writes.STATUS_CUT)
    assert_first_operator(bench, enrolled)
    assert_second_operator(bench, enrolled)


@pytest.mark.parametrize("executed", [False, True], ids=["not executed", "executed"])
@pytest.mark.parametrize("verb", ["change-pin", "remove"])
def test_threat_16_second_operator(bench, enrolled, verb, executed):
    """The first one opens while the second one's PIN is changed or removed."""
    bench.enroll(enrolled, pin=SECOND_PIN)
    change = ["--policy", bench.policy, "--new-pin-file", bench.secret_file("5061728394", "new")]
    pin = SECOND_PIN if verb == "change-pin" else None
    argv = bench.arguments(verb, *change * (pin is not None), "--operator", "2", enrolled, pin=pin)
    assert cut_at(bench, argv, "NV_Write", executed).rc in (0, 6)
    assert_first_operator(bench, enrolled)


@pytest.mark.parametrize("executed", [False, True], ids=["not executed", "executed"])
def test_threat_16_reseal(bench, enrolled, executed):
    """NV_Write is the commit point: the old state opens until it is executed, the new one from then on."""
    bench.boot(OTHER_BOOT)
    argv = bench.arguments("reseal", "--current", "--current-values")
    assert cut_at(bench, argv, "NV_Write", executed, OTHER_BOOT).rc == 6
    assert bench.unlock(enrolled).rc == (0 if executed else 3)
    done = bench.unlock_all(*[PIN] * executed)
    assert done.rc == (0 if executed else 3)
    bench.boot()
    assert bench.unlock(enrolled).rc == (3 if executed else 0)
    bench.boot(OTHER_BOOT)
    assert bench.reseal().rc == 0
    assert bench.unlock(enrolled).rc == 0
    assert enrolled.token("bootseal-approval")["next"] is None


@pytest.mark.parametrize("executed", [False, True], ids=["not executed", "executed"])
def test_threat_16_remove(bench, enrolled, executed):
    """The other volume opens in any case; the removal is finished by saying it again."""
    second = bench.volume()
    bench.enroll(second, pin="9085746321")
    cut_at(bench, bench.arguments("remove", enrolled), "NV_Write", executed)
    assert bench.unlock(second, pin="9085746321").rc == 0
    assert enrolled.opens_with(PASSPHRASE)
    assert bench.bootseal("remove", enrolled).rc in (0, 7)
    assert enrolled.metadata()["tokens"] == {} and enrolled.keyslots() == {0}
    assert bench.unlock(second, pin="9085746321").rc == 0


@pytest.mark.parametrize("name", ["Load", "PolicyPCR", "Unseal", "PCR_Event"])
@pytest.mark.parametrize("executed", [False, True], ids=["not executed", "executed"])
def test_threat_16_unlock_all(bench, enrolled, name, executed):
    """In the initramfs: status 6 and the reason, and the next boot opens; the counter is what the TPM says."""
    with PowerSwitch(bench.tpm, name, executed) as switch:
        done = bench.unlock_all(*[PIN] * (name in ("Unseal", "PCR_Event")), tcti=switch.tcti)
    assert switch.has_cut and done.rc == 6
    bench.tpm.start()
    assert bench.tpm.lockout_counter() == (1 if name == "Unseal" and executed else 0)
    bench.boot()
    assert bench.unlock(enrolled).rc == 0
