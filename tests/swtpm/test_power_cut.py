"""The TPM loses its power in the middle of a change and the program goes on: it says so and clears away what it can.

Afterwards there is a way in, and the change can be made again.  Where both end at once: test_every_cut.py.
"""

import pytest

from bootseal import PASSPHRASE, PIN
from power_switch import PowerSwitch

SECOND_PIN, THIRD_PIN = "9085746321", "5061728394"


def cut_at(bench, argv, name, executed):
    """Run a program whose TPM loses its power at a command, and boot again."""
    with PowerSwitch(bench.tpm, name, executed) as switch:
        result = bench.run(argv, environment={"BOOTSEAL_TCTI": switch.tcti})
    assert switch.has_cut
    bench.tpm.start()
    bench.boot()
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
def test_threat_16_second_operator(bench, enrolled, executed):
    """Number 1 opens with the own PIN, here and in the initramfs, while number 2's PIN is changed."""
    bench.enroll(enrolled, pin=SECOND_PIN)
    change = ["--policy", bench.policy, "--new-pin-file", bench.secret_file(THIRD_PIN, "new")]
    argv = bench.arguments("change-pin", *change, "--operator", "2", enrolled, pin=SECOND_PIN)
    assert cut_at(bench, argv, "NV_Write", executed).rc in (0, 6)
    assert bench.unlock(enrolled, "--operator", "1").rc == 0
    assert bench.unlock_all("1", PIN).rc == 0
    bench.boot()
    assert bench.tpm.lockout_counter() <= 1  # an Unseal that the power cut ended


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
