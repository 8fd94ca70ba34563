"""Suspensions: what they let through, for how long, and that nobody prolongs them."""

import pytest

from bootseal import CAP_PCR, PIN
from suspension import CHANGED, left, suspend


def test_the_pin_is_still_asked_for_and_counted(bench, enrolled):
    """A wrong PIN opens nothing and costs a try."""
    suspend(bench)
    bench.boot(CHANGED)
    done = bench.unlock_all("000000", PIN)
    assert done.rc == 0 and done.volume(enrolled.name)["wrong_pins"] == 1
    assert bench.tpm.lockout_counter() == 1


def test_an_approved_boot_uses_no_suspension(bench, enrolled):
    """Nothing is said of it where the boot state is approved anyhow."""
    suspend(bench)
    bench.boot()
    done = bench.unlock_all(PIN)
    assert done.rc == 0 and not done.volume(enrolled.name)["suspended"] and "suspended" not in done.screen


def test_approved_states_stay_approved(bench, enrolled):
    """After it is over, what was approved before is approved still."""
    suspend(bench)
    bench.boot(CHANGED)
    bench.boot(CHANGED)
    bench.boot()
    assert bench.unlock(enrolled).rc == 0


def test_threat_10_the_cap_holds_while_suspended(bench, enrolled):
    """Once the initramfs is left, root without the authority unseals nothing."""
    suspend(bench, "--reboots", "2")
    bench.boot(CHANGED)
    assert bench.unlock_all(PIN).rc == 0
    assert bench.cap().rc == 0
    done = bench.unlock_all()
    assert done.rc == 3 and done.prompts == ()
    assert enrolled.opens_with("no such passphrase") is False


def test_threat_10_a_capped_value_is_no_value_before_the_cap(bench, enrolled):
    """Made after the cap, with no record of the initramfs: what the cap PCR holds then is not taken."""
    measured = {**CHANGED, CAP_PCR: b"a command line that nobody knows"}
    bench.boot(measured)
    assert bench.cap().rc == 0 and not bench.report.exists()
    suspend(bench, "--reboots", "2")
    assert enrolled
    bench.boot(measured)
    assert bench.cap().rc == 0
    done = bench.unlock_all()
    assert done.rc == 3 and done.prompts == ()


def test_threat_19_not_in_the_boot_that_made_it(bench, enrolled):
    """A suspension begins with the next reset."""
    bench.boot(CHANGED)
    suspend(bench)
    assert bench.unlock(enrolled).rc == 3
    bench.boot(CHANGED)
    assert bench.unlock(enrolled).rc == 0


@pytest.mark.parametrize("reset", ["reboot", "power cut"])
def test_threat_19_every_reset_counts(bench, enrolled, reset):
    """Boots of another system and power cuts use it up."""
    suspend(bench, "--reboots", "2")
    for _ in range(2):
        if reset == "reboot":
            bench.tpm.reboot()
        else:
            bench.tpm.power_cut()
            bench.tpm.properties()  # it was started, as it must be before anything can be unsealed
    bench.boot(CHANGED)
    assert bench.unlock(enrolled).rc == 3


def test_threat_19_a_restart_is_no_way_around(bench, enrolled):
    """Shutdown(STATE) and Startup(CLEAR) raise restartCount alone: it does not hold then."""
    suspend(bench)
    bench.boot(CHANGED)
    for _ in range(2):
        bench.tpm.reboot("state")
        bench.measure(CHANGED)
        assert bench.unlock(enrolled).rc == 3


def test_threat_19_the_clock_cannot_be_set_back(bench, enrolled):
    """TPM2_ClockSet goes forward only; and forward ends it."""
    suspend(bench, "--reboots", "15", "--for", "1h")
    bench.boot(CHANGED)
    assert bench.unlock(enrolled).rc == 0
    with pytest.raises(Exception):
        bench.tpm.tool("tpm2_setclock", "1")
    clock = int(bench.tpm.tool("tpm2_readclock").decode().split("clock:")[1].split()[0])
    bench.tpm.tool("tpm2_setclock", str(clock + 3600 * 1000))
    refused = bench.unlock(enrolled)
    assert refused.rc == 3 and left(bench)["reboots_left"] == 0


def test_threat_19_power_cuts_do_not_prolong_a_duration(bench, enrolled):
    """The clock may fall back when power is cut: the number of reboots is the bound that stays."""
    suspend(bench, "--reboots", "2", "--for", "1h")
    for _ in range(3):
        bench.tpm.power_cut()
        bench.tpm.properties()
    bench.measure(CHANGED)
    assert bench.unlock(enrolled).rc == 3


def test_threat_19_an_edited_list_opens_nothing(bench, enrolled):
    """Other limits in the header's token are other digests."""
    suspend(bench)
    bench.boot(CHANGED)
    bench.boot(CHANGED)

    def prolong(token):
        for branch in token["branches"]:
            if branch["kind"] == "suspend":
                branch["until"] += 10

    enrolled.edit_token(prolong, "bootseal-approval")
    done = bench.unlock_all()
    assert done.rc == 9 and done.prompts == ()


def test_several_volumes(bench):
    """One suspension for all volumes of the machine."""
    volumes = [bench.volume(), bench.volume()]
    for volume in volumes:
        bench.enroll(volume)
    suspend(bench)
    bench.boot(CHANGED)
    done = bench.unlock_all(PIN)
    assert done.rc == 0 and all(done.volume(volume.name)["suspended"] for volume in volumes)
    assert done.screen.count("bootseal is suspended") == 1


def test_cap_values_of_the_approved_boots(bench, enrolled):
    """A boot whose cap PCR has a value before the cap (a command line in PCR 12) is covered where it is known."""
    bench.boot({CAP_PCR: b"quiet"})
    assert bench.reseal("--keep").rc == 0
    suspend(bench, "--reboots", "3")
    bench.boot({**CHANGED, CAP_PCR: b"quiet"})
    assert bench.unlock(enrolled).rc == 0
    bench.boot({**CHANGED, CAP_PCR: None})
    assert bench.unlock(enrolled).rc == 0
    bench.boot({**CHANGED, CAP_PCR: b"init=/bin/sh"})
    assert bench.unlock(enrolled).rc == 3


def test_more_branches_than_a_policy_or_holds(bench, enrolled):
    """The suspension is found among many boot states."""
    for number in range(10):
        bench.boot({9: b"initrd %d" % number})
        assert bench.reseal("--keep").rc == 0
    suspend(bench)
    bench.boot(CHANGED)
    assert bench.unlock(enrolled).rc == 0
