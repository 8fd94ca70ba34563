"""bootseal change-pin: the new PIN opens, the old one does not; by the old PIN or by a passphrase."""

import json
import os
import threading

import pytest

from bootseal import NEW_PIN, PASSPHRASE, PIN, check_schema

WRONG_PIN = "1111111111"
OLD_PROMPT, FIRST_PROMPT, SECOND_PROMPT = "Old PIN: ", "New PIN: ", "[Aa]gain[^:]*: "


def assert_changed(bench, volume, new=NEW_PIN, old=PIN):
    """The volume opens by the new PIN alone, and nothing of the old protector is left."""
    assert bench.unlock(volume, pin=new).rc == 0
    assert bench.unlock(volume, pin=old).rc == 4
    assert volume.tokens("bootseal-pending") == {}
    ((keyslot,),) = [token["keyslots"] for token in volume.tokens("bootseal").values()]
    assert volume.keyslots() == {0, int(keyslot)}


def assert_unchanged(bench, volume, old=PIN):
    """The old PIN opens, and nothing of a new protector is there."""
    assert bench.unlock(volume, pin=old).rc == 0
    assert volume.tokens("bootseal-pending") == {} and len(volume.keyslots()) == 2


def test_json(bench, enrolled):
    """A new protector in a new keyslot; the boot states and the rest of the list stay as they are."""
    token, approval = enrolled.token(), enrolled.token("bootseal-approval")
    result = bench.change_pin("--json", enrolled)
    assert result.rc == 0, result
    check_schema(result.json, "change-pin")
    new, approval_now = enrolled.token(), enrolled.token("bootseal-approval")
    assert result.json == {"changed": [{"volume": enrolled.uuid, "name": enrolled.name, "protector": new["id"],
                                        "operator": 1, "keyslot": int(new["keyslots"][0])}]}
    assert new["id"] != token["id"] and new["keyslots"] != token["keyslots"]
    assert new["kdf"]["salt"] != token["kdf"]["salt"]
    assert approval_now["branches"] == approval["branches"] and approval_now["objects"] != approval["objects"]
    assert len(approval_now["objects"]) == 1
    assert_changed(bench, enrolled)


def test_text(bench, enrolled):
    """A line for each volume on stdout, and nothing else."""
    result = bench.change_pin(enrolled)
    token = enrolled.token()
    assert result.rc == 0 and result.stderr == ""
    assert result.stdout == (f"{enrolled.name} has the new PIN: protector {token['id']} (keyslot "
                             f"{token['keyslots'][0]})\n")


def test_opens_at_boot(bench, enrolled):
    """The initramfs takes the new PIN, with the pins that it had."""
    pins = (bench.state / "pins.json").read_bytes()
    assert bench.change_pin(enrolled).rc == 0
    assert (bench.state / "pins.json").read_bytes() == pins
    bench.boot()
    done = bench.unlock_all(PIN, NEW_PIN)
    assert done.rc == 0 and done.volume(enrolled.name)["wrong_pins"] == 1


def test_capped(bench, enrolled):
    """The running system is capped: authority and PIN."""
    bench.unlock_all(PIN)
    assert bench.change_pin(enrolled).rc == 0
    assert_changed(bench, enrolled)


def test_in_an_unknown_boot_state(bench, enrolled):
    """It does not depend on the boot state, which may have changed since."""
    bench.boot({9: b"another initrd"})
    assert bench.change_pin(enrolled).rc == 0
    bench.boot()
    assert_changed(bench, enrolled)


def test_again_and_again(bench, enrolled):
    """Nothing piles up."""
    pins = [PIN, "481526", "730914", "5602937", PIN]
    for old, new in zip(pins, pins[1:]):
        assert bench.change_pin(enrolled, pin=old, new=new).rc == 0
    assert_changed(bench, enrolled, new=PIN, old="5602937")
    assert len(enrolled.token("bootseal-approval")["objects"]) == 1


def test_label_priority_and_unknown_keys_are_kept(bench, volume):
    """What people and later versions have put there belongs to the place, not to the PIN."""
    bench.enroll(volume, "--label", "operator 1")
    keyslot = volume.token()["keyslots"][0]
    volume.edit_token(lambda token: token.update(remark={"by": "a later version"}))
    volume.edit(lambda metadata: metadata["keyslots"][keyslot].update(priority=2))
    assert bench.change_pin(volume).rc == 0
    token = volume.token()
    assert token["label"] == "operator 1" and token["remark"] == {"by": "a later version"}
    assert volume.metadata()["keyslots"][token["keyslots"][0]]["priority"] == 2


# ---- being entitled ----

def test_wrong_pin(bench, enrolled):
    """Status 4, counted once by the TPM, nothing written."""
    header = enrolled.header()
    result = bench.change_pin(enrolled, pin=WRONG_PIN)
    assert result.rc == 4 and "wrong PIN" in result.stderr and WRONG_PIN not in result.stderr
    assert bench.tpm.lockout_counter() == 1
    assert enrolled.header() == header


def test_lockout(bench, volume):
    """Status 5 before anybody is asked; a passphrase changes the PIN all the same."""
    bench.set_policy(lockout={"max_tries": 2})
    bench.enroll(volume)
    for _ in range(2):
        assert bench.change_pin(volume, pin=WRONG_PIN).rc == 4
    refused = bench.change_pin(volume)
    assert refused.rc == 5 and "refuses PINs" in refused.stderr
    assert bench.on_terminal(bench.arguments("change-pin", volume), prompt=OLD_PROMPT).rc == 5
    assert bench.change_pin(volume, key="not the passphrase").rc == 4
    assert bench.unlock(volume).rc == 5
    assert bench.change_pin(volume, key=PASSPHRASE).rc == 0
    assert_changed(bench, volume)


def test_forgotten(bench, enrolled):
    """With a passphrase: nothing is counted."""
    result = bench.change_pin("--json", enrolled, key=PASSPHRASE)
    assert result.rc == 0, result
    assert bench.tpm.lockout_counter() == 0
    assert_changed(bench, enrolled)
    assert enrolled.opens_with(PASSPHRASE)


def test_forgotten_with_a_line_end(bench, enrolled):
    """A file that an editor has ended with a newline."""
    assert bench.change_pin(enrolled, key=PASSPHRASE + "\n").rc == 0
    assert_changed(bench, enrolled)


def test_wrong_passphrase(bench, enrolled):
    """Status 4, and nothing is changed."""
    result = bench.change_pin(enrolled, key="not the passphrase")
    assert result.rc == 4 and "passphrase" in result.stderr
    assert_unchanged(bench, enrolled)


def test_forgotten_on_a_terminal(bench, enrolled):
    """--forgotten asks for the passphrase, then twice for the PIN."""
    argv = bench.arguments("change-pin", "--forgotten", "--policy", bench.policy, enrolled)
    done = bench.on_terminal(argv, ("Passphrase or recovery key of the volume: ", PASSPHRASE),
                             (FIRST_PROMPT, NEW_PIN), (SECOND_PROMPT, NEW_PIN))
    assert done.rc == 0 and PASSPHRASE not in done.screen and NEW_PIN not in done.screen
    assert_changed(bench, enrolled)


def test_on_a_terminal(bench, enrolled):
    """A wrong old PIN, the right one, then the new one twice; nothing is echoed."""
    argv = bench.arguments("change-pin", "--policy", bench.policy, enrolled)
    done = bench.on_terminal(argv, (OLD_PROMPT, WRONG_PIN), (OLD_PROMPT, PIN), (FIRST_PROMPT, NEW_PIN),
                             (SECOND_PROMPT, NEW_PIN))
    assert done.rc == 0 and "wrong PIN; 2 more tries" in done.screen
    assert all(pin not in done.screen for pin in (WRONG_PIN, PIN, NEW_PIN))
    assert_changed(bench, enrolled)


def test_typed_differently(bench, enrolled):
    """Two different new PINs: status 2, and the old one holds."""
    argv = bench.arguments("change-pin", "--policy", bench.policy, enrolled)
    done = bench.on_terminal(argv, (OLD_PROMPT, PIN), (FIRST_PROMPT, NEW_PIN), (SECOND_PROMPT, WRONG_PIN))
    assert done.rc == 2
    assert_unchanged(bench, enrolled)


def test_tries_end(bench, enrolled):
    """The policy's number of tries, and no more."""
    argv = bench.arguments("change-pin", enrolled)
    done = bench.on_terminal(argv, *[(OLD_PROMPT, WRONG_PIN)] * 3, prompt=OLD_PROMPT)
    assert done.rc == 4 and bench.tpm.lockout_counter() == 3


def test_pipes(bench, enrolled):
    """Both PINs from pipes, one of them standard input."""
    pipe = bench.folder / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_bytes(NEW_PIN.encode() + b"\n"))
    writer.start()
    result = bench.bootseal("change-pin", "--policy", bench.policy, "--pin-file", "-", "--new-pin-file", pipe,
                            enrolled, stdin=PIN.encode() + b"\n")
    writer.join()
    assert result.rc == 0, result
    assert_changed(bench, enrolled)


@pytest.mark.parametrize("missing, option", [("old", "--pin-file"), ("new", "--new-pin-file"),
                                             ("key", "--unlock-key-file")])
def test_no_terminal(bench, enrolled, missing, option):
    """Nobody to ask: status 2, and the option that answers; nothing is changed."""
    arguments = ["--forgotten"] if missing == "key" else []
    result = bench.change_pin(*arguments, enrolled, pin=None if missing != "new" else PIN,
                              new=None if missing == "new" else NEW_PIN)
    assert result.rc == 2 and option in result.stderr
    assert_unchanged(bench, enrolled)


# ---- the new PIN ----

@pytest.mark.parametrize("new, part", [("12345", "too short"), ("7" * 21, "too long"), ("abcdefgh", "digits only"),
                                       ("730914\r", "control character"), ("12345678", "sequence"),
                                       ("654321", "sequence"), ("111111", "repeats"), ("121212", "repeats"),
                                       ("19870624", "year"), ("062024", "year"), ("", "too short"),
                                       ("7309\x0014", "control character"), (b"73091\xff", "digits only"),
                                       ("730914" * 2000, "bytes"), (PIN, "is the old one")],
                         ids=range(15))  # the folder's name is in messages
def test_bad_new_pin(bench, enrolled, new, part):
    """Status 2 with the rule, the PIN is not told, and the old one holds."""
    result = bench.change_pin(enrolled, new=new)
    quoted = new if isinstance(new, str) else new.decode(errors="replace")
    assert result.rc == 2 and part in result.stderr and (not new or quoted not in result.stderr), result
    assert_unchanged(bench, enrolled)


def test_policy_allows_simple_pins(bench, enrolled):
    """allow_simple: what is refused otherwise."""
    bench.set_policy(pin={"allow_simple": True})
    assert bench.change_pin(enrolled, new="123456").rc == 0
    assert_changed(bench, enrolled, new="123456")


def test_bytes_as_typed(bench, enrolled):
    """Outside ASCII a PIN is its bytes: the same letter composed in another way is another PIN."""
    bench.set_policy(pin={"characters": "any"})
    assert bench.change_pin(enrolled, new="schl\u00fcssel").rc == 0
    assert bench.unlock(enrolled, pin="schl\u00fcssel").rc == 0
    assert bench.unlock(enrolled, pin="schlu\u0308ssel").rc == 4
    assert bench.unlock(enrolled, pin="schl\u00fcssel".encode("latin-1")).rc == 4


def test_never_cheaper_than_pinned(bench, volume):
    """A policy that asks for less than the enrolment's floor does not make a PIN that the next boot refuses."""
    bench.set_policy(kdf={"memory_kib": 16384, "floor_memory_kib": 16384, "floor_iterations": 2, "time_ms": 1})
    bench.enroll(volume)
    bench.set_policy()
    assert bench.change_pin(volume).rc == 0
    assert volume.token()["kdf"]["memory_kib"] == 16384 and volume.token()["kdf"]["iterations"] >= 2
    assert_changed(bench, volume)


def test_without_a_policy(bench, enrolled):
    """The defaults: PINs of six digits and more."""
    argv = ["change-pin", "--new-pin-file", bench.secret_file("12a456", "new-pin"), enrolled]
    refused = bench.bootseal(*argv, pin=PIN)
    assert refused.rc == 2 and "digits only" in refused.stderr
    bench.secret_file("730914", "new-pin")
    assert bench.bootseal(*argv, pin=PIN).rc == 0
    assert_changed(bench, enrolled, new="730914")


# ---- which one ----

@pytest.mark.parametrize("arguments, key, part", [
    (["--protector", "8a"], None, "DEVICE"), ([], PASSPHRASE, "DEVICE"), (["--forgotten"], None, "--pin-file"),
    (["--unlock-key-file", "/dev/null", "x"], None, "--pin-file"),
    (["--pin-file", "-", "--new-pin-file", "-", "x"], None, "standard input"),
])
def test_wrong_options(bench, arguments, key, part):
    """Status 2 before anything is looked at."""
    result = bench.change_pin(*arguments, key=key)
    assert result.rc == 2 and part in result.stderr


def test_nothing_enrolled(bench, volume):
    """Status 7."""
    assert bench.change_pin(volume).rc == 7
    assert bench.change_pin().rc == 7


def test_not_enrolled_here(bench, enrolled):
    """A volume that is not of this machine: status 7; no LUKS2 volume at all: 8."""
    assert enrolled
    assert bench.change_pin(bench.volume()).rc == 7
    assert bench.change_pin("/dev/null").rc == 8


def test_no_pin_to_change(bench, volume):
    """A protector without a PIN: status 7."""
    without = bench.enroll(volume, "--no-pin", pin=None)["protector"]
    result = bench.change_pin(volume)
    assert result.rc == 7 and "with a PIN" in result.stderr
    assert bench.change_pin().rc == 7
    with_pin = bench.enroll(volume)["protector"]
    assert bench.change_pin("--protector", without, volume).rc == 7
    assert bench.change_pin("--protector", with_pin[:8], volume).rc == 0
    assert bench.unlock(volume, pin=None).rc == 0  # the other one is untouched
    assert len(volume.token("bootseal-approval")["objects"]) == 2


def test_several_protectors_with_a_pin(bench, enrolled):
    """A header with two of one operator: which one must be said."""
    token = enrolled.token()
    other = {**token, "id": "11111111-2222-4333-8444-555555555555"}
    enrolled.put_token(other, 20)
    result = bench.change_pin(enrolled)
    assert result.rc == 2 and "--protector" in result.stderr
    assert bench.change_pin("--protector", token["id"][:4], enrolled).rc == 0
    assert bench.change_pin("--protector", "0000", enrolled, key=PASSPHRASE).rc == 7


def test_damaged_header(bench, enrolled):
    """Status 9, nothing is asked of the TPM."""
    enrolled.edit_token(lambda token: token.update(kdf={}))
    assert bench.change_pin(enrolled).rc == 9
    assert bench.tpm.lockout_counter() == 0


def test_no_room(bench, enrolled):
    """All keyslots are in use: status 10, and everything is as it was."""
    for number in range(8):
        if len(enrolled.keyslots()) == 8:
            break
        enrolled.add_passphrase(f"passphrase {number}")
    keyslots, objects = enrolled.keyslots(), enrolled.token("bootseal-approval")["objects"]
    result = bench.change_pin(enrolled)
    assert result.rc == 10 and "the PIN is as it was" in result.stderr
    assert enrolled.keyslots() == keyslots and enrolled.tokens("bootseal-pending") == {}
    assert enrolled.token("bootseal-approval")["objects"] == objects
    assert bench.unlock(enrolled).rc == 0


@pytest.mark.parametrize("room", range(300, 6001, 300))
def test_little_room_for_tokens(bench, enrolled, room):
    """Wherever the header's area for JSON is full, either all is done or nothing is left of it."""
    bench.cap()  # the authority's way, so that the approval is what it will be
    area = int(enrolled.metadata()["config"]["json_size"])
    used = len(json.dumps(enrolled.metadata(), separators=(",", ":")))
    enrolled.put_token({"type": "filler", "keyslots": [], "text": "x" * (area - used - room)}, 30)
    result = bench.change_pin(enrolled)
    if result.rc == 0:
        assert_changed(bench, enrolled)
    else:
        assert result.rc == 10 and "the PIN is as it was" in result.stderr, result
        assert_unchanged(bench, enrolled)
        assert len(enrolled.token("bootseal-approval")["objects"]) == 1
    assert result.rc == (10 if room <= 900 else 0) or 900 < room < 5000
