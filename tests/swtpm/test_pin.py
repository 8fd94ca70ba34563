"""PINs: tried by the TPM, counted by the TPM, and by nothing else."""

import pytest

from bootseal import MEASURED, PASSPHRASE, PIN, tries_left
from power_switch import PowerSwitch

WRONG_PIN = "1111111111"


def test_enroll_and_unlock(bench, enrolled):
    """The main job, from the command line and as the initramfs does it."""
    assert bench.unlock(enrolled).rc == 0
    done = bench.unlock_all(PIN)
    assert done.rc == 0 and done.volume(enrolled.name)["opened"]
    assert done.prompts == (f"PIN for {enrolled.name} (3 tries left): ",)


def test_without_a_pin(bench, volume):
    """A protector without a PIN: nobody is asked, nothing is counted, the passphrase still works."""
    bench.enroll(volume, "--no-pin", pin=None)
    done = bench.unlock_all()
    assert done.rc == 0 and done.prompts == () and done.volume(volume.name)["by"] == "tpm2"
    bench.boot()
    assert bench.unlock_all().rc == 0
    assert volume.opens_with(PASSPHRASE)


def test_wrong_then_right(bench, enrolled):
    """Both in one run; the prompt says how many tries are left, the report how many were wrong."""
    done = bench.unlock_all(WRONG_PIN, PIN)
    assert done.rc == 0 and [tries_left(prompt) for prompt in done.prompts] == [3, 2]
    assert "wrong PIN" in done.screen and done.volume(enrolled.name)["wrong_pins"] == 1
    assert WRONG_PIN not in done.screen and PIN not in done.screen
    assert bench.tpm.lockout_counter() == 1


def test_all_tries_wrong(bench, enrolled):
    """The policy's number of tries, then status 4; the passphrase opens."""
    done = bench.unlock_all(*[WRONG_PIN] * 3)
    assert done.rc == 4 and [tries_left(prompt) for prompt in done.prompts] == [3, 2, 1]
    volume = done.volume(enrolled.name)
    assert not volume["opened"] and volume["status"] == 4 and volume["wrong_pins"] == 3
    assert enrolled.opens_with(PASSPHRASE)


def test_threat_21_long_pin_at_the_prompt(bench, enrolled):
    """10 000 characters: a wrong PIN like any other, after which the right one opens."""
    done = bench.unlock_all("7" * 10000, PIN)
    assert done.rc == 0 and done.volume(enrolled.name)["opened"]


@pytest.mark.parametrize("pin", ["      ", "\x7f\x7f1", "ünïcödé", f"{PIN}\0", "\0"])
def test_threat_21_hostile_pin_at_the_prompt(bench, enrolled, pin):
    """Whatever is typed is a wrong PIN, after which the right one opens."""
    done = bench.unlock_all(pin, PIN)
    assert done.rc == 0 and done.volume(enrolled.name)["wrong_pins"] == 1


@pytest.fixture(name="strict")
def make_strict(bench, volume):
    """A volume whose TPM locks after three wrong PINs."""
    bench.set_policy(tries=10, lockout={"max_tries": 3})
    bench.enroll(volume)
    return volume


def test_threat_04_lockout(bench, strict):
    """Status 5 after the limit, with the right PIN too; told before anybody is asked, and for how long."""
    for _ in range(3):
        assert bench.unlock(strict, pin=WRONG_PIN).rc == 4
    refused = bench.unlock(strict)
    assert refused.rc == 5 and "600 s" in refused.stderr
    done = bench.unlock_all()
    assert done.rc == 5 and done.prompts == () and "refuses PINs" in done.screen
    assert done.volume(strict.name)["status"] == 5
    assert strict.opens_with(PASSPHRASE)


def test_threat_04_lockout_outlives_power_cuts(bench, strict):
    """The counter is in the TPM's non-volatile memory."""
    for count in range(1, 4):
        assert bench.unlock(strict, pin=WRONG_PIN).rc == 4
        bench.tpm.power_cut()
        bench.boot()
        assert bench.tpm.lockout_counter() == count
    assert bench.unlock(strict).rc == 5


def test_threat_04_lockout_at_the_prompt(bench, strict):
    """The prompt counts down what the TPM gives, not only the policy's tries; in lockout it ends."""
    done = bench.unlock_all(*[WRONG_PIN] * 3)
    assert done.rc in (4, 5) and [tries_left(prompt) for prompt in done.prompts] == [3, 2, 1]
    assert bench.tpm.lockout_counter() == 3
    bench.boot()
    assert bench.unlock_all().rc == 5


def test_threat_04_no_pin_knows_no_lockout(bench, strict):
    """A protector without a PIN opens in lockout: there is nothing to guess."""
    second = bench.volume()
    bench.enroll(second, "--no-pin", pin=None)
    for _ in range(3):
        bench.unlock(strict, pin=WRONG_PIN)
    assert bench.unlock(second, pin=None).rc == 0
    assert bench.unlock(strict).rc == 5


def test_threat_04_wrong_pin_and_power_cut_count_once(bench, enrolled):
    """TPM2_Shutdown follows a wrong PIN too: pulling the plug does not count it twice."""
    assert bench.unlock(enrolled, pin=WRONG_PIN).rc == 4
    bench.tpm.power_cut()
    assert bench.tpm.lockout_counter() == 1


def test_threat_04_wrong_pin_at_the_prompt_and_power_cut(bench, enrolled):
    """The same while the next prompt waits."""
    assert enrolled
    done = bench.unlock_all(WRONG_PIN, lambda: bench.tpm.power_cut() or PIN)
    assert done.rc == 6
    assert bench.tpm.lockout_counter() == 1


def test_threat_06_power_cuts_after_the_right_pin(bench, enrolled):
    """A hundred boots that end with the plug pulled, none of them with an orderly shutdown: nothing is counted."""
    for _ in range(100):
        assert bench.unlock(enrolled).rc == 0
        bench.tpm.power_cut()
        assert bench.tpm.lockout_counter() == 0
        bench.measure(MEASURED)


@pytest.mark.parametrize("in_initramfs", [False, True], ids=["command line", "initramfs"])
@pytest.mark.parametrize("name, executed, counted", [
    ("Unseal", False, 0), ("Unseal", True, 1), ("Shutdown", False, 1), ("Shutdown", True, 0)])
def test_threat_06_power_cut_at_the_shutdown(bench, enrolled, name, executed, counted, in_initramfs):
    """From the Unseal to the Shutdown behind it the right PIN is one try, as the TPM's authors want it; nothing that
    a person does lies between them. boot-ok gives the try back after the next boot by PIN."""
    with PowerSwitch(bench.tpm, name, executed) as switch:
        if in_initramfs:
            done = bench.unlock_all(PIN, tcti=switch.tcti)
        else:
            done = bench.bootseal("unlock", "--test", "--tcti", switch.tcti, enrolled, pin=PIN)
    # the command line has what it wanted when the Shutdown fails; the initramfs cannot cap any more
    assert switch.has_cut and done.rc == (0 if name == "Shutdown" and not in_initramfs else 6), done
    bench.tpm.start()
    assert bench.tpm.lockout_counter() == counted
    bench.boot()
    assert bench.unlock_all(PIN).rc == 0
    assert bench.bootseal("boot-ok", "--stderr").rc == 0
    assert bench.tpm.lockout_counter() == 0


def test_threat_06_power_cut_after_the_initramfs(bench, enrolled):
    """The same after what the initramfs does, and after an enrolment."""
    assert bench.unlock_all(PIN).volume(enrolled.name)["opened"]
    bench.tpm.power_cut()
    assert bench.tpm.lockout_counter() == 0
    bench.boot()
    bench.enroll(bench.volume())
    bench.tpm.power_cut()
    assert bench.tpm.lockout_counter() == 0


def test_threat_06_power_cut_after_the_authority(bench, enrolled):
    """The same in the running system."""
    bench.cap()
    assert "authority" in bench.unlock(enrolled).stdout
    bench.tpm.power_cut()
    assert bench.tpm.lockout_counter() == 0
