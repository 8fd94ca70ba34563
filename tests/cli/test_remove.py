"""bootseal remove: protectors go, the last way in does not go unasked."""

import shutil

import pytest

from bootseal import PASSPHRASE, PIN, check_schema


def test_json(bench, enrolled):
    """Token and keyslot go, the passphrase stays."""
    result = bench.bootseal("remove", "--json", enrolled)
    assert result.rc == 0, result
    check_schema(result.json, "remove")
    assert result.json == {"removed": 1, "keyslots_left": 1}
    assert enrolled.metadata()["tokens"] == {} and enrolled.keyslots() == {0}
    assert enrolled.opens_with(PASSPHRASE)


def test_text(bench, enrolled):
    """One line on stdout."""
    result = bench.bootseal("remove", enrolled)
    assert result.rc == 0 and result.stdout == "1 protector removed; 1 keyslot left\n" and result.stderr == ""


def test_afterwards(bench, enrolled):
    """The volume is not enrolled any more, and can be again."""
    assert bench.bootseal("remove", enrolled).rc == 0
    assert bench.status()["volumes"] == [] and bench.status()["approval"] is None
    assert bench.unlock(enrolled).rc == 7
    assert bench.bootseal("remove", enrolled).rc == 7
    assert bench.unlock_all().rc == 0
    bench.boot()
    bench.enroll(enrolled, pin="9085746321")
    assert bench.unlock(enrolled, pin="9085746321").rc == 0
    assert bench.unlock(enrolled).rc == 4


@pytest.fixture(name="both")
def make_both(bench, volume):
    """A volume with a protector of each kind."""
    with_pin = bench.enroll(volume)["protector"]
    without = bench.enroll(volume, "--no-pin", pin=None)["protector"]
    return with_pin, without


def test_one_by_its_id(bench, volume, both):
    """--protector with the first characters: the other one still opens."""
    with_pin, without = both
    result = bench.bootseal("remove", "--json", "--protector", without[:8], volume)
    assert result.rc == 0 and result.json == {"removed": 1, "keyslots_left": 2}
    assert volume.token()["id"] == with_pin
    assert bench.unlock(volume).rc == 0
    assert bench.unlock(volume, pin="1111111111").rc == 4


def test_all(bench, volume, both):
    """Without --protector: each one."""
    assert both
    result = bench.bootseal("remove", "--json", volume)
    assert result.rc == 0 and result.json == {"removed": 2, "keyslots_left": 1}
    assert volume.metadata()["tokens"] == {}


def test_ambiguous_id(bench, volume, both):
    """What begins two IDs is refused: status 2."""
    assert both
    result = bench.bootseal("remove", "--protector", "", volume)
    assert result.rc == 2
    assert len(volume.tokens("bootseal")) == 2


def test_unknown_id(bench, enrolled):
    """Status 7."""
    result = bench.bootseal("remove", "--protector", "zzz", enrolled)
    assert result.rc == 7 and '"zzz"' in result.stderr
    assert bench.unlock(enrolled).rc == 0


def test_threat_23_last_way_in(bench, enrolled):
    """Status 10, nothing is changed; --force-last means it."""
    enrolled.remove_passphrase()
    before = enrolled.header()
    refused = bench.bootseal("remove", enrolled)
    assert refused.rc == 10 and "--force-last" in refused.stderr and enrolled.header() == before
    assert bench.unlock(enrolled).rc == 0
    unasked = bench.bootseal("remove", "--force-last", enrolled)
    assert unasked.rc == 2 and f"--confirm {enrolled.name}" in unasked.stderr and enrolled.header() == before
    wrong = bench.bootseal("remove", "--force-last", "--confirm", "another", enrolled)
    assert wrong.rc == 10 and enrolled.name in wrong.stderr and enrolled.header() == before
    forced = bench.bootseal("remove", "--json", "--force-last", "--confirm", enrolled.name, enrolled)
    assert forced.rc == 0
    check_schema(forced.json, "remove")
    assert forced.json == {"removed": 1, "keyslots_left": 0}
    assert enrolled.keyslots() == set()


@pytest.mark.parametrize("typed, status", [("", 10), ("other", 10), (None, 0)])
def test_threat_23_last_way_in_on_a_terminal(bench, enrolled, typed, status):
    """The name has to be typed back."""
    enrolled.remove_passphrase()
    before = enrolled.header()
    done = bench.on_terminal(bench.arguments("remove", "--force-last", enrolled),
                             (r"type its name: ", enrolled.name if typed is None else typed))
    assert done.rc == status, done
    assert (enrolled.header() == before) == (status != 0)


def test_threat_23_last_of_two(bench, volume, both):
    """One of two protectors may go without --force-last, the other not."""
    with_pin, without = both
    volume.remove_passphrase()
    assert bench.bootseal("remove", "--protector", without, volume).rc == 0
    assert bench.bootseal("remove", "--protector", with_pin, volume).rc == 10
    assert bench.unlock(volume).rc == 0


def test_other_volume_still_opens(bench, enrolled):
    """Removing from one of two volumes leaves the other as it was."""
    second = bench.volume()
    bench.enroll(second, pin="9085746321")
    assert bench.bootseal("remove", enrolled).rc == 0
    assert bench.unlock(second, pin="9085746321").rc == 0
    bench.boot()
    done = bench.unlock_all("9085746321")
    assert done.rc == 0 and [volume["name"] for volume in done.report["volumes"]] == [second.name]
    assert len(second.token("bootseal-approval")["objects"]) == 1


def test_without_tpm(bench, enrolled):
    """A header can be cleaned up when the TPM is gone; that is said."""
    bench.tpm.stop()
    result = bench.bootseal("remove", enrolled)
    assert result.rc == 0 and "TPM" in result.stderr
    assert enrolled.metadata()["tokens"] == {} and enrolled.keyslots() == {0}


def test_with_a_cleared_tpm(bench, enrolled):
    """The same with a TPM that knows nothing; afterwards the machine is enrolled anew."""
    bench.tpm.clear()
    bench.boot()
    result = bench.bootseal("remove", enrolled)
    assert result.rc == 0 and enrolled.metadata()["tokens"] == {}
    shutil.move(bench.state, bench.folder / "old-state")
    bench.enroll(enrolled)
    assert bench.unlock(enrolled).rc == 0


def test_without_tpm_of_one_volume(bench, enrolled):
    """What was removed without the TPM is dead in it after the next change."""
    second = bench.volume()
    bench.enroll(second)
    old_header = enrolled.header()
    bench.tpm.stop()
    assert bench.bootseal("remove", enrolled).rc == 0
    bench.tpm.start()
    bench.boot()
    assert bench.reseal().rc == 0
    assert bench.unlock(second).rc == 0
    enrolled.put_header(old_header)
    assert bench.unlock(enrolled).rc == 7


def test_without_state(bench, enrolled):
    """After a reinstallation: tokens, and no state folder."""
    shutil.rmtree(bench.state)
    result = bench.bootseal("remove", enrolled)
    assert result.rc == 0, result
    assert enrolled.metadata()["tokens"] == {}


def test_nothing_enrolled(bench, volume):
    """Status 7."""
    assert bench.bootseal("remove", volume).rc == 7


def test_no_volume(bench):
    """Status 8."""
    path = bench.folder / "file"
    path.write_bytes(bytes(1 << 20))
    assert bench.bootseal("remove", path).rc == 8


def test_capped_boot(bench, enrolled):
    """The running system of a machine that booted by its PIN."""
    bench.unlock_all(PIN)
    assert bench.bootseal("remove", enrolled).rc == 0
