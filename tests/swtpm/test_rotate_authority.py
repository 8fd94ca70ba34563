"""provision --rotate-authority: another authority and index, the same PINs, and nothing left of the old ones."""

import json
import shutil

import pytest

import cut_writes
from bootseal import NEW_PIN, PASSPHRASE, PIN, check_schema
from power_switch import PowerSwitch

THIRD_PIN = "481526"
FIRST_INDEX = 0x018B5EA0
# more than there are; a test says so
WRITES = 75
COMMANDS = 90


def sampled(numbers, step=8):
    """Every STEP-th in each run, the others in `tests/run full`."""
    return [pytest.param(number, marks=[] if i % step == 0 else pytest.mark.full) for i, number in enumerate(numbers)]


def arguments(bench, *options, pins=(PIN,)):
    """A call that rotates the authority."""
    files = [option for i, pin in enumerate(pins) for option in ("--pin-file", bench.secret_file(pin, f"pin-{i}"))]
    return [*map(str, bench.arguments("provision", "--rotate-authority", *files, *options))]


def rotate(bench, *options, pins=(PIN,)):
    """Rotate it."""
    return bench.run(arguments(bench, *options, pins=pins))


def finish(bench):
    """Take the old authority away."""
    return bench.run(arguments(bench, "--finish", pins=()))


def pins_of(bench, name):
    """A copy of the pins, as an initramfs that was built now would have it."""
    return shutil.copy(bench.state / "pins.json", bench.folder / name)


def opens(bench, volume, pins, pin=PIN):
    """Whether an initramfs with these pins opens the volume."""
    done = bench.unlock_all(pin, pins_path=pins)
    return done.volume(volume.name)["opened"]


def indices(bench):
    """The handles of approval indices that the TPM has."""
    text = bench.tpm.tool("tpm2_getcap", "handles-nv-index").decode()
    return [int(line.split()[-1], 16) for line in text.splitlines() if "18B5EA" in line.upper()]


def assert_single(bench, volume, others=0):
    """One protector, its keyslot beside the passphrase's, one list, and nothing of another authority."""
    ((keyslot,),) = [token["keyslots"] for token in volume.tokens("bootseal").values()]
    assert volume.keyslots() == {0, int(keyslot)} and volume.tokens("bootseal-pending") == {}
    approval = volume.token("bootseal-approval")
    assert len(approval["objects"]) == 1 + others and approval["next"] is None
    assert not (bench.state / "next").exists() and not (bench.state / "retired").exists()
    assert len(indices(bench)) == 1


def test_both_ways(bench, enrolled):
    """Until the end old and new pins open; after it the new ones alone."""
    old_pins, old_header = pins_of(bench, "old"), enrolled.header()
    old_key = (bench.state / "authority.pem").read_bytes()
    done = rotate(bench, "--json")
    assert done.rc == 0, done
    check_schema(done.json, "provision")
    assert done.json["rotation"] == "waiting" and done.json["index"]["handle"] == FIRST_INDEX + 1
    new_pins = pins_of(bench, "new")
    assert (bench.state / "authority.pem").read_bytes() != old_key
    for pins in (old_pins, new_pins):
        assert opens(bench, enrolled, pins)
        bench.boot()
    assert bench.unlock(enrolled).rc == 0
    done = finish(bench)
    assert done.rc == 0, done
    assert_single(bench, enrolled)
    assert indices(bench) == [FIRST_INDEX + 1]
    bench.boot()
    assert opens(bench, enrolled, new_pins)
    bench.boot()
    enrolled.put_header(old_header)
    assert bench.unlock(enrolled).rc == 9


def test_boot_ok_ends_it(bench, enrolled):
    """After a boot that the TPM opened by the new pins, and not before."""
    old_pins = pins_of(bench, "old")
    assert rotate(bench).rc == 0
    assert bench.status()["rotation"] == "waiting"
    check_schema(bench.status(), "status")
    bench.boot()
    assert opens(bench, enrolled, old_pins)
    done = bench.bootseal("boot-ok", "--json")
    assert done.rc == 0 and not done.json["rotation_ended"]
    assert len(indices(bench)) == 2
    bench.boot()
    assert opens(bench, enrolled, bench.state / "pins.json")
    done = bench.bootseal("boot-ok", "--json")
    assert done.rc == 0 and done.json["rotation_ended"], done
    check_schema(done.json, "boot-ok")
    assert_single(bench, enrolled)
    assert bench.status()["rotation"] is None
    bench.boot()
    assert opens(bench, enrolled, bench.state / "pins.json")


def test_a_boot_by_recovery_proves_nothing(bench, enrolled):
    """The new pins were there, but the TPM did not open the volume by them."""
    assert rotate(bench).rc == 0
    bench.boot({9: b"the new initrd"})
    assert bench.unlock_all().rc == 3
    done = bench.bootseal("boot-ok", "--json")
    assert done.rc == 0 and not done.json["rotation_ended"]
    assert bench.bootseal("reseal", "--current").rc == 0
    bench.boot({9: b"the new initrd"})
    assert opens(bench, enrolled, bench.state / "pins.json")
    assert bench.bootseal("boot-ok", "--json").json["rotation_ended"]
    assert_single(bench, enrolled)


def test_a_second_run_ends_it(bench, enrolled):
    """When this boot has proven it; else it is refused."""
    assert rotate(bench).rc == 0
    again = rotate(bench)
    assert again.rc == 10 and "--finish" in again.stderr
    bench.boot()
    assert opens(bench, enrolled, bench.state / "pins.json")
    again = rotate(bench, "--json", pins=())
    assert again.rc == 0 and again.json["rotation"] == "ended", again
    check_schema(again.json, "provision")
    assert_single(bench, enrolled)


def test_reseal_while_it_waits(bench, enrolled):
    """It is the new list that changes; the old pins keep what they had."""
    old_pins = pins_of(bench, "old")
    assert rotate(bench).rc == 0
    other = {9: b"another initrd"}
    bench.boot(other)
    assert bench.reseal().rc == 0
    assert opens(bench, enrolled, bench.state / "pins.json")
    bench.boot()
    assert opens(bench, enrolled, old_pins)
    bench.boot()
    assert bench.unlock_all().rc == 3
    assert finish(bench).rc == 0
    assert_single(bench, enrolled)


@pytest.mark.parametrize("verb", ["enroll", "change-pin", "remove"])
def test_other_verbs_wait(bench, enrolled, verb):
    """What would change protectors is refused, says what to do, and works afterwards."""
    second = bench.volume()
    calls = {"enroll": lambda: bench.try_enroll(second), "change-pin": lambda: bench.change_pin(enrolled),
             "remove": lambda: bench.bootseal("remove", enrolled)}
    assert rotate(bench).rc == 0
    before = enrolled.metadata()
    refused = calls[verb]()
    assert refused.rc == 10 and "reboot" in refused.stderr and "--finish" in refused.stderr
    assert enrolled.metadata() == before
    assert finish(bench).rc == 0
    assert calls[verb]().rc == 0


def test_twice(bench, enrolled):
    """The handle that became free is taken again."""
    for handle in (FIRST_INDEX + 1, FIRST_INDEX):
        assert rotate(bench).rc == 0
        assert finish(bench).rc == 0
        assert indices(bench) == [handle]
        assert_single(bench, enrolled)
        assert bench.unlock(enrolled).rc == 0


def test_the_old_authority_approves_nothing(bench, enrolled):
    """An old state folder, put back, can neither write the index nor open the volume."""
    old = bench.folder / "old-state"
    shutil.copytree(bench.state, old)
    header = enrolled.header()
    assert rotate(bench).rc == 0 and finish(bench).rc == 0
    new = shutil.copytree(bench.state, bench.folder / "new-state")
    shutil.copy(old / "authority.pem", bench.state / "authority.pem")
    done = bench.reseal()
    assert done.rc == 1 and "not the one" in done.stderr
    assert bench.unlock(enrolled).rc == 0
    shutil.rmtree(bench.state)
    shutil.copytree(old, bench.state)
    assert bench.unlock(enrolled).rc in (6, 9)
    enrolled.put_header(header)
    assert bench.unlock(enrolled).rc == 6
    assert new.exists()


def test_wrong_pin(bench, enrolled):
    """Status 4, one try, and nothing is changed."""
    before, counter = enrolled.metadata(), bench.tpm.lockout_counter()
    done = rotate(bench, pins=(NEW_PIN,))
    assert done.rc == 4 and enrolled.name in done.stderr
    assert bench.tpm.lockout_counter() == counter + 1
    assert enrolled.metadata() == before and not (bench.state / "next").exists() and len(indices(bench)) == 1
    assert bench.unlock(enrolled).rc == 0


def test_without_a_terminal(bench, enrolled):
    """The missing option is named."""
    done = rotate(bench, pins=())
    assert done.rc == 2 and "--pin-file" in done.stderr
    assert not (bench.state / "next").exists() and enrolled.tokens("bootseal-pending") == {}


def test_on_a_terminal(bench, enrolled):
    """One prompt for each PIN; a wrong one is asked for again."""
    argv = arguments(bench, pins=())
    done = bench.on_terminal(argv, (f"PIN for {enrolled.name}: ", THIRD_PIN), (f"PIN for {enrolled.name}: ", PIN),
                             prompt="PIN for")
    assert done.rc == 0 and "wrong PIN" in done.screen
    assert finish(bench).rc == 0
    assert_single(bench, enrolled)


def test_one_pin_for_two_volumes(bench, enrolled):
    """Salt and cost stay shared: one question here, and one at the next boot."""
    second = bench.volume()
    bench.enroll(second)
    done = rotate(bench)
    assert done.rc == 0, done
    assert finish(bench).rc == 0
    for volume in (enrolled, second):
        assert_single(bench, volume, others=1)
    assert len(bench.unlock_all(PIN).prompts) == 1


def test_two_pins(bench, enrolled):
    """Each is tried on its own objects; with the second one wrong nothing is changed."""
    second = bench.volume()
    bench.enroll(second, pin=THIRD_PIN)
    assert rotate(bench, pins=(PIN, PIN)).rc == 4
    assert bench.tpm.lockout_counter() == 1
    assert rotate(bench, pins=(PIN, THIRD_PIN, NEW_PIN)).rc == 2
    assert not (bench.state / "next").exists()
    assert rotate(bench, pins=(PIN, THIRD_PIN)).rc == 0
    assert finish(bench).rc == 0
    assert bench.unlock(enrolled).rc == 0 and bench.unlock(second, pin=THIRD_PIN).rc == 0


def test_without_a_pin(bench, volume):
    """Nobody is asked."""
    bench.enroll(volume, "--no-pin", pin=None)
    assert rotate(bench, pins=()).rc == 0
    assert finish(bench).rc == 0
    assert_single(bench, volume)
    done = bench.unlock_all()
    assert done.rc == 0 and done.volume(volume.name)["by"] == "tpm2"


def test_volume_key(bench, volume):
    """The payload volume-key: no keyslot is used."""
    bench.enroll(volume, "--payload", "volume-key")
    done = rotate(bench, "--json")
    assert done.rc == 0 and done.json["protectors"][0]["keyslot"] is None
    check_schema(done.json, "provision")
    assert volume.keyslots() == {0}
    assert finish(bench).rc == 0
    assert len(volume.tokens("bootseal")) == 1 and volume.keyslots() == {0}
    assert opens(bench, volume, bench.state / "pins.json")


def test_tokens_keep_what_they_have(bench, volume):
    """Label, salt and cost, and keys that this version does not know."""
    bench.enroll(volume, "--label", "Anna")
    volume.edit_token(lambda token: token.update({"operator": 2, "x-site": "hall 3"}))
    before = volume.token()
    assert rotate(bench).rc == 0 and finish(bench).rc == 0
    after = volume.token()
    for key in ("label", "kdf", "kind", "payload", "x-site", "operator"):
        assert after[key] == before[key]
    assert after["id"] != before["id"] and after["tpm"]["approval"] != before["tpm"]["approval"]


def test_drop_protector(bench, enrolled):
    """A protector whose PIN nobody has stays behind; the last one of a volume does not."""
    bench.enroll(enrolled, "--no-pin", pin=None)
    tokens = {token["kind"]: token["id"] for token in enrolled.tokens("bootseal").values()}
    both = [option for identifier in tokens.values() for option in ("--drop-protector", identifier)]
    refused = rotate(bench, *both, pins=())
    assert refused.rc == 10 and "remove" in refused.stderr
    assert rotate(bench, "--drop-protector", "nothing").rc == 7
    assert rotate(bench, "--drop-protector", "").rc == 7
    done = rotate(bench, "--json", "--drop-protector", tokens["tpm2-pin"][:8], pins=())
    assert done.rc == 0 and done.json["dropped"] == [tokens["tpm2-pin"]]
    check_schema(done.json, "provision")
    assert finish(bench).rc == 0
    assert_single(bench, enrolled)
    assert enrolled.token()["kind"] == "tpm2"


def test_recovery_keys_and_passphrases_stay(bench, enrolled):
    """Whatever tokens say that was edited meanwhile: their keyslots are not the old authority's."""
    keyslot = enrolled.put_recovery_key()
    assert rotate(bench).rc == 0
    old = min(enrolled.tokens("bootseal"))
    token = enrolled.tokens("bootseal")[old]
    enrolled.put_token({**token, "keyslots": [str(keyslot)]}, old)
    assert finish(bench).rc == 0
    assert keyslot in enrolled.keyslots() and enrolled.opens_with(PASSPHRASE)
    assert enrolled.opens_with("a recovery key") and bench.unlock(enrolled).rc == 0


def test_no_room(bench, enrolled):
    """A header that cannot hold both for a while: status 10 before anything is changed."""
    enrolled.edit(lambda metadata: metadata["tokens"].update(
        {"30": {"type": "foreign", "keyslots": [], "filler": "x" * 7000}}))
    before = enrolled.metadata()
    done = rotate(bench)
    assert done.rc == 10 and "no room" in done.stderr
    assert enrolled.metadata() == before and len(indices(bench)) == 1
    assert bench.unlock(enrolled).rc == 0


def test_a_volume_that_is_away(bench, enrolled):
    """Refused before anything is changed; and the old authority stays until the volume is back."""
    second = bench.volume()
    bench.enroll(second)
    away = second.path.with_suffix(".away")
    second.path.rename(away)
    assert rotate(bench).rc == 1 and not (bench.state / "next").exists()
    away.rename(second.path)
    assert rotate(bench).rc == 0
    second.path.rename(away)
    done = finish(bench)
    assert done.rc == 1 and second.name in done.stderr and len(indices(bench)) == 2
    away.rename(second.path)
    assert finish(bench).rc == 0
    assert bench.unlock(enrolled).rc == 0 and bench.unlock(second).rc == 0


def test_owner_authorisation(bench, enrolled):
    """Somebody else's: without it no index can be made, and the old one cannot be deleted but approves nothing."""
    bench.tpm.tool("tpm2_changeauth", "-c", "owner", "the owner's")
    header = enrolled.header()
    assert rotate(bench).rc == 6
    assert not (bench.state / "next").exists() and bench.unlock(enrolled).rc == 0
    owner = ("--owner-auth-file", bench.secret_file("the owner's", "owner"))
    assert rotate(bench, *owner).rc == 0
    old_pins = bench.state / "retired" / "pins.json"
    kept = shutil.copy(old_pins, bench.folder / "old")
    assert finish(bench).rc == 0
    assert indices(bench) == [FIRST_INDEX, FIRST_INDEX + 1]
    assert bench.unlock(enrolled).rc == 0
    enrolled.put_header(header)
    done = bench.unlock_all(pins_path=kept)
    assert done.rc == 9 and not done.volume(enrolled.name)["opened"]


def test_nothing_enrolled(bench):
    """A TPM that is prepared, without a volume; and one that is not."""
    assert rotate(bench, pins=()).rc == 7
    assert bench.provision().rc == 0
    before = json.loads((bench.state / "pins.json").read_text())
    assert rotate(bench, pins=()).rc == 0 and finish(bench).rc == 0
    after = json.loads((bench.state / "pins.json").read_text())
    assert after["authority"] != before["authority"] and indices(bench) == [FIRST_INDEX + 1]
    volume = bench.volume()
    bench.enroll(volume)
    assert bench.unlock(volume).rc == 0


def test_lost_authority(bench, enrolled):
    """Nothing can be moved without it; what to do is said, and the volume opens as before."""
    (bench.state / "authority.pem").unlink()
    done = rotate(bench)
    assert done.rc == 1 and "has no authority" in done.stderr and "enroll anew" in done.stderr
    assert not (bench.state / "authority.pem").exists() and not (bench.state / "next").exists()
    assert bench.unlock(enrolled).rc == 0
    assert bench.provision().rc == 1 and not (bench.state / "authority.pem").exists()
    (bench.state / "authority.pem").write_text("nothing")
    (bench.state / "authority.pem").chmod(0o600)
    assert rotate(bench).rc == 1


@pytest.mark.parametrize("options, said", [
    (["--finish", "--undo"], "exclude"), (["--finish", "--drop-protector", "1"], "neither"),
    (["--policy", "grub"], "does not go"),
])
def test_usage(bench, options, said):
    """Options that do not go together."""
    done = rotate(bench, *options, pins=())
    assert done.rc == 2 and said in done.stderr
    done = bench.provision("--undo")
    assert done.rc == 2 and "--rotate-authority" in done.stderr


def test_finish_and_undo_of_nothing(bench, enrolled):
    """Nothing to end is an error, nothing to take back is not."""
    assert finish(bench).rc == 10
    done = rotate(bench, "--undo", "--json", pins=())
    assert done.rc == 0 and done.json["rotation"] == "undone"
    check_schema(done.json, "provision")
    assert bench.unlock(enrolled).rc == 0


# ---- power cuts ----

def cut_at_command(bench, argv, number, executed, name=None):
    """Run a program whose TPM loses its power at a command, and boot; whether there was such a command."""
    with PowerSwitch(bench.tpm, name, executed, number) as switch:
        bench.run(argv, environment={"BOOTSEAL_TCTI": switch.tcti})
    if switch.has_cut:
        bench.tpm.start()
    bench.boot()
    return switch.has_cut


def cut_at_write(bench, argv, volume, number, torn=False):
    """Run a program that ends at a write, cut the TPM's power too, and boot; whether there was such a write."""
    result = bench.run(argv, environment=cut_writes.environment(volume, number, torn))
    bench.tpm.power_cut()
    bench.boot()
    assert result.rc in (0, cut_writes.STATUS_CUT), result
    return result.rc == cut_writes.STATUS_CUT


def assert_goes_on(bench, volume, old_pins):
    """After a cut: the initramfs in use opens it, and so does one that is built now; a second run does the rest."""
    assert opens(bench, volume, old_pins)
    bench.boot()
    assert opens(bench, volume, bench.state / "pins.json")
    bench.boot()
    assert bench.unlock(volume).rc == 0
    again = rotate(bench)
    # refused with what to do where the cut came after the commit point
    assert again.rc == 0 or (again.rc == 10 and "--finish" in again.stderr), again
    assert finish(bench).rc == 0
    assert_single(bench, volume)
    assert opens(bench, volume, bench.state / "pins.json")


@pytest.mark.parametrize("executed", [False, True], ids=["not executed", "executed"])
@pytest.mark.parametrize("number", sampled(range(1, COMMANDS), 9))
def test_threat_16_rotation_cut_at_each_command(bench, enrolled, number, executed):
    """The old way is there all the time, and then the new one."""
    old_pins = pins_of(bench, "old")
    if not cut_at_command(bench, arguments(bench), number, executed):
        assert number > 60
        return
    assert_goes_on(bench, enrolled, old_pins)


@pytest.mark.parametrize("torn", [False, True], ids=["whole", "torn"])
@pytest.mark.parametrize("number", sampled(range(1, WRITES), 10))
def test_threat_16_rotation_cut_at_each_write(bench, enrolled, number, torn):
    """The same for header and state folder."""
    old_pins = pins_of(bench, "old")
    if not cut_at_write(bench, arguments(bench), enrolled, number, torn):
        assert number > 40
        return
    assert_goes_on(bench, enrolled, old_pins)


@pytest.mark.parametrize("number", sampled(range(1, 40), 6))
def test_threat_16_end_cut_at_each_write(bench, enrolled, number):
    """The new way is there all the time; what is left goes with the next run."""
    assert rotate(bench).rc == 0
    if not cut_at_write(bench, arguments(bench, "--finish", pins=()), enrolled, number):
        assert number > 8
        return
    assert opens(bench, enrolled, bench.state / "pins.json")
    bench.boot()
    assert finish(bench).rc in (0, 10)
    assert_single(bench, enrolled)
    assert opens(bench, enrolled, bench.state / "pins.json")


@pytest.mark.parametrize("executed", [False, True], ids=["not executed", "executed"])
@pytest.mark.parametrize("number", sampled(range(1, 10), 3))
def test_threat_16_end_cut_at_each_command(bench, enrolled, number, executed):
    """The same at the TPM's commands."""
    assert rotate(bench).rc == 0
    if not cut_at_command(bench, arguments(bench, "--finish", pins=()), number, executed):
        assert number > 4
        return
    assert opens(bench, enrolled, bench.state / "pins.json")
    bench.boot()
    assert finish(bench).rc == 0
    assert_single(bench, enrolled)


@pytest.mark.parametrize("executed", [False, True], ids=["not executed", "executed"])
@pytest.mark.parametrize("name, number", [("NV_DefineSpace", 1), ("Create", 1), ("NV_Write", 2), ("Unseal", 3)])
def test_threat_16_undo(bench, enrolled, name, number, executed):
    """What was cut is taken back: the machine is as it was."""
    before = enrolled.token()
    assert cut_at_command(bench, arguments(bench), number, executed, name)
    assert (bench.state / "next").exists() and bench.status()["rotation"] == "cut"
    refused = bench.change_pin(enrolled)
    assert refused.rc == 10 and "--undo" in refused.stderr
    done = rotate(bench, "--undo", pins=())
    assert done.rc == 0, done
    assert_single(bench, enrolled)
    assert enrolled.token() == before and indices(bench) == [FIRST_INDEX]
    assert bench.change_pin(enrolled).rc == 0


@pytest.mark.parametrize("number", sampled(range(1, WRITES), 10))
def test_threat_16_two_volumes(bench, enrolled, number):
    """Each opens after a cut in the header of the second one."""
    second = bench.volume()
    bench.enroll(second)
    old_pins = pins_of(bench, "old")
    if not cut_at_write(bench, arguments(bench), second, number):
        assert number > 40
        return
    for pins in (old_pins, bench.state / "pins.json"):
        assert bench.unlock_all(PIN, pins_path=pins).rc == 0
        bench.boot()
    assert rotate(bench).rc in (0, 10)
    assert finish(bench).rc == 0
    for volume in (enrolled, second):
        assert_single(bench, volume, others=1)
