"""The power is cut in the middle of a change: afterwards there is a way in, and the change can be made again."""

import pytest

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
