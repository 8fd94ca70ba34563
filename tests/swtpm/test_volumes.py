"""Several volumes on one machine: one PIN or several, and each volume its own key under its own name."""

import attacker
from bootseal import PIN

OTHER_PIN = "9085746321"
WRONG_PIN = "1111111111"


def enroll_two(bench, first_pin=PIN, second_pin=PIN):
    """Two enrolled volumes."""
    volumes = [bench.volume(), bench.volume()]
    for volume, pin in zip(volumes, (first_pin, second_pin)):
        bench.enroll(volume, pin=pin)
    return volumes


def opened(done, *volumes):
    """Whether the report says of each volume that it was opened."""
    return [done.volume(volume.name)["opened"] for volume in volumes]


def test_one_pin(bench):
    """One question, one key derivation, both open; enrolling the second has cost no try."""
    first, second = enroll_two(bench)
    assert first.token()["kdf"] == second.token()["kdf"]
    assert bench.tpm.lockout_counter() == 0
    done = bench.unlock_all(PIN)
    assert done.rc == 0 and opened(done, first, second) == [True, True]
    assert done.prompts == (f"PIN for {first.name}, {second.name} (3 tries left): ",)


def test_one_pin_wrong_then_right(bench):
    """A wrong PIN is tried on one of them only."""
    first, second = enroll_two(bench)
    done = bench.unlock_all(WRONG_PIN, PIN)
    assert done.rc == 0 and opened(done, first, second) == [True, True]
    assert bench.tpm.lockout_counter() == 1


def test_one_pin_all_wrong(bench):
    """Both are given up, with one count a try."""
    first, second = enroll_two(bench)
    done = bench.unlock_all(*[WRONG_PIN] * 3)
    assert done.rc == 4 and opened(done, first, second) == [False, False]
    assert done.volume(second.name)["status"] == 4
    assert bench.tpm.lockout_counter() == 3


def test_two_pins(bench):
    """Each is asked for by name; no try is wasted, neither at enrolment nor at the prompt."""
    first, second = enroll_two(bench, PIN, OTHER_PIN)
    assert first.token()["kdf"]["salt"] != second.token()["kdf"]["salt"]
    assert bench.tpm.lockout_counter() == 0
    done = bench.unlock_all(PIN, OTHER_PIN)
    assert done.rc == 0 and opened(done, first, second) == [True, True]
    assert done.prompts == tuple(f"PIN for {volume.name} (3 tries left): " for volume in (first, second))
    assert bench.tpm.lockout_counter() == 0


def test_two_pins_one_wrong(bench):
    """The volume whose PIN is known opens all the same; the status is the other one's."""
    first, second = enroll_two(bench, PIN, OTHER_PIN)
    done = bench.unlock_all(*[WRONG_PIN] * 3, OTHER_PIN)
    assert done.rc == 4 and opened(done, first, second) == [False, True]


def test_with_and_without_a_pin(bench):
    """A data volume without a PIN beside a root with one."""
    root, data = bench.volume(), bench.volume()
    bench.enroll(root)
    bench.enroll(data, "--no-pin", pin=None)
    done = bench.unlock_all(PIN)
    assert done.rc == 0 and opened(done, root, data) == [True, True] and len(done.prompts) == 1


def test_five_volumes_with_three_pins(bench):
    """More than a TPM holds at once."""
    pins = [PIN, OTHER_PIN, PIN, "5555544444", OTHER_PIN]
    volumes = [bench.volume() for _ in pins]
    for volume, pin in zip(volumes, pins):
        bench.enroll(volume, pin=pin)
    assert bench.tpm.lockout_counter() == 0
    done = bench.unlock_all(PIN, OTHER_PIN, "5555544444")
    assert done.rc == 0 and opened(done, *volumes) == [True] * 5


def test_third_volume_has_its_own_pin(bench):
    """Two that share a PIN, and a third that does not."""
    volumes = [bench.volume() for _ in range(3)]
    for volume, pin in zip(volumes, (PIN, PIN, OTHER_PIN)):
        bench.enroll(volume, pin=pin)
    done = bench.unlock_all(PIN, OTHER_PIN)
    assert done.rc == 0 and opened(done, *volumes) == [True] * 3


def test_each_by_the_command_line(bench):
    """Each volume's own PIN, and not the other's."""
    first, second = enroll_two(bench, PIN, OTHER_PIN)
    assert bench.unlock(first).rc == 0 and bench.unlock(second, pin=OTHER_PIN).rc == 0
    assert bench.unlock(second).rc == 4 and bench.unlock(first, pin=OTHER_PIN).rc == 4


def test_changed_boot_refuses_both(bench):
    """Nobody is asked."""
    volumes = enroll_two(bench)
    bench.boot({9: b"another initrd"})
    done = bench.unlock_all()
    assert done.rc == 3 and opened(done, *volumes) == [False, False] and done.prompts == ()


def test_one_is_missing(bench):
    """The other one opens; the list of prompts does not name the missing one."""
    first, second = enroll_two(bench)
    first.path.unlink()
    done = bench.unlock_all(PIN)
    assert done.rc != 0 and opened(done, first, second) == [False, True]
    assert done.prompts == (f"PIN for {second.name} (3 tries left): ",)


def test_keys_differ(bench):
    """One PIN, but each volume has its own secret, key and passphrase."""
    first, second = enroll_two(bench)
    ours, theirs = (attacker.secrets_of(bench.tpm, volume, bench.state, PIN) for volume in (first, second))
    assert ours.auth == theirs.auth and ours.sealed != theirs.sealed and ours.key != theirs.key
    assert first.opens_with(ours.passphrase.decode()) and not second.opens_with(ours.passphrase.decode())


# ---- volumes in each other's place ----

def assert_refused(bench, *volumes):
    """Status 9 for each, from both programs, and nobody is asked."""
    for volume in volumes:
        assert bench.unlock(volume).rc == 9
    done = bench.unlock_all()
    assert done.rc == 9 and done.prompts == ()
    assert {volume["status"] for volume in done.report["volumes"]} == {9}


def test_threat_11_uuids_of_two_volumes_swapped(bench):
    """The UUIDs of two volumes are exchanged: neither opens under the other's name."""
    first, second = enroll_two(bench)
    first.set_uuid(second.uuid)
    second.set_uuid(first.uuid)
    assert_refused(bench, first, second)


def test_threat_20_volumes_swapped(bench):
    """The whole volumes are exchanged."""
    first, second = enroll_two(bench)
    between = bench.folder / "between"
    first.path.rename(between)
    second.path.rename(first.path)
    between.rename(second.path)
    done = bench.unlock_all()
    assert done.rc == 9 and done.prompts == () and opened(done, first, second) == [False, False]


def test_threat_20_two_volumes_with_one_uuid(bench):
    """The real one opens under its name, the other not at all."""
    first, second = enroll_two(bench)
    second.set_uuid(first.uuid)
    done = bench.unlock_all(PIN)
    assert done.rc == 9 and opened(done, first, second) == [True, False]
    assert done.volume(second.name)["status"] == 9 and "UUID" in done.volume(second.name)["reason"]


def test_threat_11_foreign_volume_with_the_uuid(bench, enrolled):
    """A volume of the attacker's in the place of ours, with its UUID and its tokens: status 9."""
    planted = bench.volume()
    planted.set_uuid(enrolled.uuid)
    tokens = enrolled.metadata()["tokens"]
    planted.edit(lambda metadata: metadata["tokens"].update(
        {number: {**token, "keyslots": ["0"] if token["keyslots"] else []} for number, token in tokens.items()}))
    planted.path.rename(enrolled.path)
    assert_refused(bench, enrolled)


def test_threat_11_foreign_volume_with_an_own_token(bench, enrolled):
    """The same, honestly enrolled on this very TPM by a bootseal of the attacker's: status 9."""
    ours = bench.state.rename(bench.folder / "ours")
    planted = bench.volume()
    bench.enroll(planted, "--no-pin", pin=None)
    assert bench.unlock_all().rc == 0
    bench.boot()
    bench.state.rename(bench.folder / "theirs")
    ours.rename(bench.state)
    assert bench.unlock(planted, pin=None).rc == 7
    planted.set_uuid(enrolled.uuid)
    planted.path.rename(enrolled.path)
    assert_refused(bench, enrolled)
