"""bootseal suspend: its options, what it says, and what ends a suspension."""

import pytest

import journal
from bootseal import PIN
from suspension import CHANGED, left, resume, suspend


def test_one_reboot(bench, enrolled):
    """The default: the next boot opens by the PIN whatever it measured, the one after it does not."""
    assert suspend(bench).stdout.startswith("suspended: 1 reboot left, on 1 volume; the PIN is asked for as always")
    bench.boot(CHANGED)
    done = bench.unlock_all(PIN)
    assert done.rc == 0 and done.volume(enrolled.name)["opened"] and done.volume(enrolled.name)["suspended"]
    assert "bootseal is suspended (by hand): this boot is not an approved one" in done.screen
    assert "0 more reboots are covered" in done.screen
    bench.boot(CHANGED)
    done = bench.unlock_all()
    assert done.rc == 3 and done.prompts == () and "PCR 7 (" in done.screen and "PCR 9 (" in done.screen


def test_json(bench, enrolled):
    """What was made, against the schema, and what status says in each boot."""
    assert enrolled and left(bench) is None
    made = suspend(bench, "--reboots", "3", "--json").json
    assert made["suspension"]["reboots_left"] == 3 and made["suspension"]["seconds_left"] is None
    for count in (3, 2, 1, 0):
        now = left(bench)
        assert now["reboots_left"] == count and now["this_boot"] == (count < 3), now
        bench.boot(CHANGED)
    assert not left(bench)["this_boot"]


@pytest.mark.parametrize("options", [("--current",), ("--current", "--keep"), ("--commit",)])
def test_a_reseal_ends_it(bench, enrolled, options):
    """Whoever looks at what is approved wants no suspension beside it."""
    assert enrolled
    suspend(bench, "--reboots", "5")
    result = bench.bootseal("reseal", *options, "--current-values")
    assert result.rc == 0 and "the suspension is ended" in result.stdout, result
    assert left(bench) is None


def test_a_second_one_replaces_the_first(bench, enrolled):
    """The last word counts, whether it is more or less."""
    assert enrolled
    suspend(bench, "--reboots", "15")
    suspend(bench, "--reboots", "2")
    assert left(bench)["reboots_left"] == 2
    assert sum(branch["kind"] == "suspend" for branch in bench.status()["approval"]["branches"]) == 1


def test_update_keeps_one_that_serves(bench, enrolled):
    """--update adds nothing to a suspension that covers the next boot, and makes one where it is over."""
    assert enrolled
    suspend(bench, "--reboots", "4")
    assert suspend(bench, "--update").stdout.startswith("already suspended: 4 reboots left")
    assert left(bench)["purpose"] == "by hand"
    for _ in range(4):
        bench.boot(CHANGED)
    suspend(bench, "--update")
    now = left(bench)
    assert now["purpose"] == "update" and now["reboots_left"] == 1 and now["then_reseal"]


def test_firmware_has_six_resets_to_spare(bench, enrolled):
    """Firmware resets several times when it updates itself."""
    suspend(bench, "--firmware")
    now = left(bench)
    assert now["reboots_left"] == 7 and now["purpose"] == "firmware" and now["then_reseal"]
    for _ in range(6):
        bench.tpm.reboot()
    bench.boot(CHANGED)
    assert bench.unlock(enrolled).rc == 0


@pytest.mark.parametrize("options", [("--reboots", "0"), ("--reboots", "16"), ("--reboots", "-1"), ("--reboots", "x"),
                                     ("--reboots", ""), ("--reboots", "1 "), ("--for", "0"), ("--for", "59s"),
                                     ("--for", "31d"), ("--for", "2"), ("--for", "h"), ("--for", "2h1d"),
                                     ("--for", "99999999999999999999h"), ("--for", "-2h"), ("--for", ""),
                                     ("--update", "--firmware"), ("--reboots",)])
def test_bad_options(bench, enrolled, options):
    """Status 2, and nothing is changed."""
    before = enrolled.header()
    result = bench.bootseal("suspend", *options)
    assert result.rc == 2 and result.stderr, result
    assert enrolled.header() == before


@pytest.mark.parametrize("text, seconds", [("1m", 60), ("90m", 5400), ("2h", 7200), ("1h30m", 5400), ("1d", 86400),
                                           ("1d2h3m4s", 93784)])
def test_durations(bench, enrolled, text, seconds):
    """Units as people write them."""
    assert enrolled
    made = suspend(bench, "--for", text, "--json").json["suspension"]
    assert seconds - 60 <= made["seconds_left"] <= seconds and made["reboots_left"] == 1


def test_nothing_enrolled(bench):
    """Status 7 and what to do."""
    for verb in ("suspend", "resume"):
        result = bench.bootseal(verb)
        assert result.rc == 7 and "bootseal enroll" in result.stderr


def test_without_a_pin_it_is_refused(bench, volume):
    """Any system that is started could open it: status 10, nothing changed."""
    bench.enroll(volume, "--no-pin", pin=None)
    before = volume.header()
    result = bench.bootseal("suspend")
    assert result.rc == 10 and "--allow-no-pin" in result.stderr
    assert volume.header() == before


def test_nothing_without_a_pin_is_enrolled_meanwhile(bench, enrolled):
    """resume would not renew it: status 10, until then."""
    assert enrolled
    second = bench.volume()
    suspend(bench)
    result = bench.try_enroll(second, "--no-pin", pin=None)
    assert result.rc == 10 and "bootseal resume" in result.stderr and not second.tokens("bootseal")
    assert resume(bench)["resumed"]
    assert bench.try_enroll(second, "--no-pin", pin=None).rc == 0


def test_volume_key_without_a_pin_is_always_refused(bench, volume):
    """The secret would be the volume key, which resume cannot renew."""
    bench.enroll(volume, "--no-pin", "--payload", "volume-key", pin=None)
    for options in ((), ("--allow-no-pin",)):
        result = bench.bootseal("suspend", *options)
        assert result.rc == 10 and "volume key" in result.stderr


def test_state_is_named(bench, enrolled):
    """status: the volume is suspended, with what is left."""
    assert enrolled
    suspend(bench, "--reboots", "2")
    status = bench.bootseal("status")
    assert "suspended, 2 reboots left" in status.stdout
    assert bench.status()["volumes"][0]["state"] == "suspended"
    assert bench.bootseal("status", "--protection-as-error-level").rc == 1
    bench.boot(CHANGED)
    bench.boot(CHANGED)
    bench.boot()
    assert bench.status()["volumes"][0]["state"] != "suspended"


# ---- boot-ok ----

def boot_ok(bench):
    """Its JSON."""
    result = bench.bootseal("boot-ok", "--json", "--stderr")
    assert result.rc == 0, result
    return result.json


def suspended_boot(bench, changes):
    """A boot that the suspension lets through, capped as it is in the end."""
    bench.boot(changes)
    assert bench.unlock_all(PIN).rc == 0
    assert bench.cap().rc == 0


def test_boot_ok_leaves_one_made_by_hand(bench, enrolled):
    """A suspended boot: entries of the journal, and nothing is approved."""
    suspend(bench, "--reboots", "3")
    suspended_boot(bench, CHANGED)
    document = boot_ok(bench)
    assert document["suspension"] == "stays"
    assert journal.kinds(document["entries"]) == ["SUSPENDED", "PIN", "CHANGED"]
    entry = next(entry for entry in document["entries"] if entry["MESSAGE_ID"] == journal.IDS["SUSPENDED"])
    assert entry["BOOTSEAL_PCRS"] == "7, 9" and entry["BOOTSEAL_VOLUME"] == enrolled.name and entry["PRIORITY"] == "4"
    assert left(bench)["reboots_left"] == 2
    bench.boot(CHANGED)
    assert bench.unlock(enrolled).rc == 0


def test_boot_ok_reseals_after_an_update(bench, enrolled):
    """What the suspended boot has measured is approved beside the rest, and the suspension is ended."""
    suspend(bench, "--update")
    suspended_boot(bench, CHANGED)
    document = boot_ok(bench)
    assert document["suspension"] == "resealed" and "RESUMED" in journal.kinds(document["entries"])
    assert document["good_boot"] in ("values", "kept")
    assert left(bench) is None
    for changes in (CHANGED, {}):
        bench.boot(changes)
        assert bench.unlock(enrolled).rc == 0
    bench.boot({9: b"a third"})
    assert bench.unlock(enrolled).rc == 3


def enroll_with_firmware(bench, volume):
    """PCR 0 is among those that the policy selects."""
    bench.set_policy(pcrs=[0, 4, 7, 9, 12])
    bench.boot({0: b"firmware"})
    bench.enroll(volume)


def test_boot_ok_reseals_after_firmware(bench, volume):
    """PCRs 0 to 3 are the firmware's."""
    enroll_with_firmware(bench, volume)
    suspend(bench, "--firmware")
    suspended_boot(bench, {0: b"another firmware"})
    assert boot_ok(bench)["suspension"] == "resealed"
    assert left(bench) is None
    bench.boot({0: b"another firmware"})
    assert bench.unlock(volume).rc == 0


def test_boot_ok_takes_no_kernel_for_firmware(bench, volume):
    """More than the firmware has changed: it says so, approves nothing, and leaves what is left of the suspension."""
    enroll_with_firmware(bench, volume)
    suspend(bench, "--firmware")
    suspended_boot(bench, {0: b"another firmware", 9: b"another initrd"})
    result = bench.bootseal("boot-ok", "--json", "--stderr")
    assert result.rc == 0 and result.json["suspension"] == "stays"
    assert "more changed than the firmware: PCR 9" in result.stderr
    assert left(bench)["reboots_left"] == 6
    bench.tpm.reboot()
    for _ in range(5):
        bench.tpm.reboot()
    bench.boot({0: b"another firmware", 9: b"another initrd"})
    assert bench.unlock(volume).rc == 3


def test_boot_ok_ends_it_after_a_good_boot(bench, enrolled):
    """A boot that needed no suspension; but not the boot that made it."""
    assert enrolled
    assert bench.unlock_all(PIN).rc == 0 and bench.cap().rc == 0
    suspend(bench, "--reboots", "5")
    assert boot_ok(bench)["suspension"] == "stays"
    suspended_boot(bench, {})
    assert boot_ok(bench)["suspension"] == "ended"
    assert left(bench) is None


def test_boot_ok_clears_away_what_is_over(bench, enrolled):
    """After a boot that it did not let through either."""
    assert enrolled
    suspend(bench)
    bench.boot(CHANGED)
    bench.boot(CHANGED)
    bench.unlock_all()
    assert bench.cap().rc == 0
    assert boot_ok(bench)["suspension"] == "ended"
    assert left(bench) is None


def test_doctor_tells(bench, enrolled):
    """A warning with what is left, until it is over."""
    assert enrolled
    suspend(bench, "--reboots", "2")
    found = {finding["kind"]: finding for finding in bench.bootseal("doctor", "--json").json["findings"]}
    assert "2 more boots may" in found["bootseal-suspended"]["text"] and "bootseal resume" in found["bootseal-suspended"]["remedy"]
    assert resume(bench)["resumed"]
    assert "bootseal-suspended" not in {finding["kind"] for finding in bench.bootseal("doctor", "--json").json["findings"]}
