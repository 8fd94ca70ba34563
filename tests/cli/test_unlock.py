"""bootseal unlock: opening a volume from the command line."""

import subprocess
from pathlib import Path

import pytest

from bootseal import PASSPHRASE, PIN, check_schema

WRONG_PIN = "1111111111"
PROMPT = r"PIN: "


def unlock_on_terminal(bench, volume, *pins):
    """Unlock with what a person types."""
    argv = bench.arguments("unlock", "--test", volume)
    return bench.on_terminal(argv, *((PROMPT, pin) for pin in pins), prompt=PROMPT)


def test_json(bench, enrolled):
    """--test --json: by the boot state, nothing activated."""
    result = bench.unlock(enrolled, "--json")
    assert result.rc == 0
    check_schema(result.json, "unlock")
    assert result.json == {"volume": enrolled.uuid, "protector": enrolled.token()["id"], "operator": 1,
                           "recovery_id": None, "by": "boot-state", "activated": False}
    assert not Path("/dev/mapper", enrolled.name).exists()


def test_text(bench, enrolled):
    """One line on stdout."""
    result = bench.unlock(enrolled)
    assert result.stdout == f"{enrolled.uuid} would open by the boot state\n" and result.stderr == ""


@pytest.mark.parametrize("name", ["", "a/b", "..", "x" * 128])
def test_bad_name(bench, enrolled, name):
    """What is no name for a mapping is refused, and nothing is opened."""
    result = bench.bootseal("unlock", enrolled, name, pin=PIN)
    assert result.rc == 2, result


def test_wrong_pin_from_a_file(bench, enrolled):
    """One try, status 4, counted once."""
    result = bench.unlock(enrolled, pin=WRONG_PIN)
    assert result.rc == 4 and "wrong PIN" in result.stderr and WRONG_PIN not in result.stderr
    assert result.stdout == ""
    assert bench.tpm.lockout_counter() == 1


def test_pin_from_stdin(bench, enrolled):
    """--pin-file -, with and without a line end."""
    assert bench.unlock(enrolled, "--pin-file", "-", pin=None).rc == 4  # stdin is empty
    for line_end in (b"", b"\n"):
        result = bench.bootseal("unlock", "--test", "--pin-file", "-", enrolled, stdin=PIN.encode() + line_end)
        assert result.rc == 0, result


def test_no_terminal(bench, enrolled):
    """Nobody to ask: status 2, and the option that answers."""
    result = bench.unlock(enrolled, pin=None)
    assert result.rc == 2 and "--pin-file" in result.stderr
    assert bench.tpm.lockout_counter() == 0


def test_prompt(bench, enrolled):
    """A wrong PIN, the right one; nothing is echoed, and the tries left are told."""
    done = unlock_on_terminal(bench, enrolled, WRONG_PIN, PIN)
    assert done.rc == 0 and "wrong PIN; 2 more tries" in done.screen
    assert WRONG_PIN not in done.screen and PIN not in done.screen


def test_prompt_ends_after_the_tries(bench, enrolled):
    """The policy's number of tries, and no more."""
    done = unlock_on_terminal(bench, enrolled, WRONG_PIN, WRONG_PIN, WRONG_PIN)
    assert done.rc == 4
    assert bench.tpm.lockout_counter() == 3


def test_policy_tries(bench, volume):
    """"tries" of the policy document."""
    bench.set_policy(tries=1)
    bench.enroll(volume)
    assert unlock_on_terminal(bench, volume, WRONG_PIN).rc == 4


HOSTILE_PINS = {
    "empty": b"",
    "spaces": b"      ",
    "NUL": PIN.encode() + b"\0",
    "invalid UTF-8": b"\xff\xfe\xfd",
    "right PIN and more": PIN.encode() + b"0",
    "right PIN in two lines": PIN.encode() + b"\n\n",
    "512 characters": b"x" * 512,
}


@pytest.mark.parametrize("name", HOSTILE_PINS)
def test_threat_21_hostile_pin(bench, enrolled, name):
    """Whatever it is, it is a wrong PIN, and the right one still opens."""
    result = bench.unlock(enrolled, pin=HOSTILE_PINS[name])
    assert result.rc == 4, result
    assert bench.unlock(enrolled).rc == 0


def test_pin_file_is_too_long(bench, enrolled):
    """Nobody typed that: the call is wrong, and nothing is counted."""
    result = bench.unlock(enrolled, pin=PIN * 1000)
    assert result.rc == 2 and "512" in result.stderr
    assert bench.tpm.lockout_counter() == 0


def test_no_pin(bench, volume):
    """A protector without a PIN opens without a question."""
    bench.enroll(volume, "--no-pin", pin=None)
    result = bench.unlock(volume, "--json", pin=None)
    assert result.rc == 0
    check_schema(result.json, "unlock")


def test_not_enrolled(bench, enrolled):
    """A volume that this machine does not know: status 7."""
    assert enrolled
    stranger = bench.volume()
    result = bench.unlock(stranger)
    assert result.rc == 7 and "bootseal enroll" in result.stderr


def test_no_state(bench, volume):
    """Nothing was ever enrolled: status 7."""
    assert bench.unlock(volume).rc == 7
    assert not bench.state.exists()


def test_protector_is_gone(bench, enrolled):
    """Its token was removed from the header: status 7, and the passphrase opens."""
    (number,) = enrolled.tokens("bootseal")
    enrolled.edit(lambda metadata: metadata["tokens"].pop(str(number)))
    assert bench.unlock(enrolled).rc == 7
    assert enrolled.opens_with(PASSPHRASE)


def test_keyslot_is_gone(bench, enrolled):
    """Its keyslot was killed, which cryptsetup takes out of the token: status 9."""
    (keyslot,) = enrolled.token()["keyslots"]
    subprocess.run(["cryptsetup", "luksKillSlot", "--batch-mode", enrolled.path, keyslot], check=True)
    result = bench.unlock(enrolled)
    assert result.rc == 9 and "keyslot" in result.stderr


def test_no_volume(bench, enrolled):
    """What holds no LUKS2 volume: status 8."""
    assert enrolled
    path = bench.folder / "file"
    path.write_bytes(bytes(1 << 20))
    assert bench.unlock(path).rc == 8


def test_missing_device(bench, enrolled):
    """A device that is not there is named."""
    assert enrolled
    result = bench.unlock("/nosuchdevice")
    assert result.rc in (1, 8) and "/nosuchdevice" in result.stderr


def test_volume_elsewhere(bench, enrolled):
    """The volume is known by what it is, not by its path."""
    moved = enrolled.path.rename(bench.folder / "moved.img")
    assert bench.unlock(moved).rc == 0
