"""What nobody should give: refused with the rule, before anything is written, and what worked before still does."""

import json
import os
import shutil
import subprocess

import pytest

from bootseal import PASSPHRASE, PIN, PROGRAM, VOLUME_BYTES, check_schema

VERBS_OF_A_DEVICE = ["enroll", "unlock", "remove"]


def call(bench, verb, device):
    """A verb on a device, with everything that it might ask for."""
    if verb == "enroll":
        return bench.try_enroll(device)
    return bench.bootseal(verb, device, pin=PIN if verb == "unlock" else None)


# ---- PINs at the unlock; enroll's are in tests/cli/test_enroll.py ----

BAD_PINS = {
    "empty": b"", "newline": b"\n", "NUL": b"24680\x0013579", "NUL behind it": PIN.encode() + b"\0",
    "invalid UTF-8": b"\xff\xfe\xfd\xfc\xfb\xfa", "blank behind it": PIN.encode() + b" ",
    "two lines": PIN.encode() + b"\n\n", "longest": b"9" * 512, "too long": b"9" * 513, "far too long": b"9" * 100000,
}


@pytest.mark.parametrize("name", BAD_PINS)
def test_threat_21_odd_pin(bench, enrolled, name):
    """A wrong PIN, or none at all: one try at the most, never quoted, and the right one opens afterwards."""
    result = bench.unlock(enrolled, pin=BAD_PINS[name])
    assert result.rc == (2 if "too long" in name else 4), result
    assert bench.tpm.lockout_counter() == (0 if "too long" in name else 1)
    quoted = BAD_PINS[name].decode(errors="replace").strip()
    assert not quoted or quoted not in result.stdout + result.stderr
    assert bench.unlock(enrolled).rc == 0


# ---- devices ----

@pytest.fixture(name="odd_device", params=["luks1", "zeros", "empty", "folder", "FIFO", "missing"])
def make_odd_device(bench, request):
    """A path that leads to no LUKS2 volume."""
    path = bench.folder / "odd"
    if request.param == "luks1":
        with open(path, "wb") as file:
            file.truncate(8 << 20)
        subprocess.run(["cryptsetup", "luksFormat", "--batch-mode", "--type=luks1", "--pbkdf-force-iterations=1000",
                        "--key-file=-", path], input=PASSPHRASE.encode(), check=True)
    elif request.param in ("zeros", "empty"):
        path.write_bytes(bytes(1 << 20 if request.param == "zeros" else 0))
    elif request.param == "folder":
        path.mkdir()
    elif request.param == "FIFO":
        os.mkfifo(path)
    return path


@pytest.mark.parametrize("verb", VERBS_OF_A_DEVICE)
def test_no_luks2_volume(bench, enrolled, odd_device, verb):
    """Named, with what to do; nothing else is touched."""
    before = enrolled.header()
    result = call(bench, verb, odd_device)
    assert result.rc in (7, 8) or (result.rc == 1 and not odd_device.exists()), result
    assert str(odd_device) in result.stderr and result.stdout == ""
    assert enrolled.header() == before and bench.unlock(enrolled).rc == 0


def read_only(bench, volume, *argv):
    """Run something while the volume's file cannot be written."""
    script = 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && exec "$@"'
    result = bench.run(["unshare", "--mount", "sh", "-c", script, volume.path, *argv])
    if "mount:" in result.stderr:
        pytest.skip("no right to mount")
    return result


def test_read_only_enroll(bench, volume):
    """A volume that cannot be written to: said as such, and nothing is left approved."""
    argv = bench.arguments("enroll", *bench.enroll_options, volume, pin=PIN, key=PASSPHRASE)
    result = read_only(bench, volume, *argv)
    assert result.rc == 1 and str(volume.path) in result.stderr, result
    assert volume.metadata()["tokens"] == {} and bench.status()["approval"] is None
    bench.enroll(volume)
    assert bench.unlock(volume).rc == 0


def test_read_only_unlock(bench, enrolled):
    """Reading is enough to unlock, and to tell how things are."""
    assert read_only(bench, enrolled, *bench.arguments("unlock", "--test", enrolled, pin=PIN)).rc == 0
    assert read_only(bench, enrolled, *bench.arguments("status", enrolled)).rc == 0


@pytest.mark.parametrize("verb, arguments", [("remove", True), ("reseal", False)])
def test_read_only_change(bench, enrolled, verb, arguments):
    """What cannot be written is not half done: the volume opens as before."""
    options = [] if arguments else ["--current", "--current-values"]
    result = read_only(bench, enrolled, *bench.arguments(verb, *options, *([enrolled] if arguments else [])))
    assert result.rc == 1 and str(enrolled.path) in result.stderr, result
    if verb == "reseal":
        assert bench.unlock(enrolled).rc == 0
    assert enrolled.opens_with(PASSPHRASE) and len(enrolled.keyslots()) == 2


@pytest.fixture(name="detached")
def make_detached(bench):
    """(header, data) of a volume whose header lies in a file of its own."""
    header, data = bench.folder / "header.img", bench.folder / "data.img"
    with open(data, "wb") as file:
        file.truncate(VOLUME_BYTES)
    subprocess.run(["cryptsetup", "luksFormat", "--batch-mode", "--type=luks2", "--pbkdf=pbkdf2",
                    "--pbkdf-force-iterations=1000", "--key-file=-", f"--header={header}", data],
                   input=PASSPHRASE.encode(), check=True)
    return header, data


def test_detached_header(bench, detached):
    """The header is what is enrolled; the data alone are no volume."""
    header, data = detached
    refused = bench.try_enroll(data)
    assert refused.rc == 8 and str(data) in refused.stderr
    assert bench.try_enroll(header).rc == 0
    assert bench.bootseal("unlock", "--test", header, pin=PIN).rc == 0
    assert data.read_bytes() == bytes(VOLUME_BYTES)


# ---- headers that are full ----

def assert_refused_early(bench, volume, before):
    """Status 10, and nothing is there that was not before."""
    result = bench.try_enroll(volume)
    assert result.rc == 10 and "what to do" in result.stderr, result
    assert volume.header() == before and not bench.state.exists()


def test_no_free_keyslot(bench, volume):
    """Room for eight keyslots, and all are taken."""
    for number in range(1, 8):
        volume.add_passphrase(f"passphrase {number}")
    assert_refused_early(bench, volume, volume.header())


def test_no_room_for_tokens(bench, volume):
    """A JSON area with some room, but not enough for what an enrolment takes on its way."""
    volume.put_token({"type": "somebody", "keyslots": [], "text": "x" * 8000}, 0)
    assert_refused_early(bench, volume, volume.header())


def test_no_free_token(bench, volume):
    """All 32 tokens are taken."""
    for number in range(32):
        volume.put_token({"type": "somebody", "keyslots": []}, number)
    assert_refused_early(bench, volume, volume.header())


def test_full_header_unlocks(bench, enrolled):
    """Room is for what is added: a full header unlocks, reseals and removes."""
    for number in range(6):
        enrolled.add_passphrase(f"passphrase {number}")
    assert len(enrolled.keyslots()) == 8
    assert bench.unlock(enrolled).rc == 0 and bench.reseal().rc == 0
    assert bench.bootseal("remove", enrolled).rc == 0


# ---- tokens of a newer version ----

@pytest.mark.parametrize("kind", ["bootseal", "bootseal-pending"])
@pytest.mark.parametrize("verb", VERBS_OF_A_DEVICE)
def test_newer_protector(bench, enrolled, kind, verb):
    """Refused, and kept as it is."""
    token = {**enrolled.token(), "type": kind, "version": 2, "news": [1, 2, 3]}
    (number,) = enrolled.tokens("bootseal")
    enrolled.put_token(token, number)
    result = call(bench, verb, enrolled)
    assert result.rc in (7, 9), result
    assert enrolled.metadata()["tokens"][str(number)] == token
    assert len(enrolled.keyslots()) == 2


def test_newer_recovery_token(bench, enrolled):
    """A recovery key of a later version is left alone, and does not keep the PIN from opening."""
    keyslot = enrolled.put_recovery_key(version=2)
    token = enrolled.token("bootseal-recovery")
    assert bench.unlock(enrolled).rc == 0 and bench.reseal().rc == 0
    assert bench.bootseal("remove", enrolled).rc == 0
    assert enrolled.token("bootseal-recovery") == token and keyslot in enrolled.keyslots()


@pytest.mark.parametrize("name", ["approval.json", "pins.json"])
@pytest.mark.parametrize("verb", ["reseal", "enroll", "status", "doctor"])
def test_newer_state(bench, enrolled, name, verb):
    """A state folder that a later version has written is not taken for ours, and stays as it is."""
    path = bench.state / name
    path.write_text(json.dumps({**json.loads(path.read_text()), "version": 2}))
    before, header = path.read_bytes(), enrolled.header()
    result = bench.reseal() if verb == "reseal" else bench.try_enroll(bench.volume()) if verb == "enroll" \
        else bench.bootseal(verb)
    assert result.rc == 9 and name in result.stderr and "version" in result.stderr, result
    assert path.read_bytes() == before and enrolled.header() == header


# ---- rights ----

@pytest.mark.parametrize("name, mode", [(".", 0o755), ("authority.pem", 0o644), ("pins.json", 0o666)])
def test_open_state_folder(bench, enrolled, name, mode):
    """What others can read or write is not believed, whatever the verb."""
    (bench.state / name).chmod(mode)
    for result in (bench.unlock(enrolled), bench.reseal(), bench.bootseal("status"), bench.bootseal("doctor")):
        assert result.rc == 1 and str(bench.state) in result.stderr, result


def test_key_file_without_right(bench, volume):
    """A PIN file that is a folder."""
    result = bench.bootseal("enroll", *bench.enroll_options, "--pin-file", bench.folder, volume, key=PASSPHRASE)
    assert result.rc == 1 and str(bench.folder) in result.stderr
    assert volume.metadata()["tokens"] == {}


# ---- standard streams that are closed ----

def closed(bench, redirection, *argv):
    """Run a program with streams closed, as `sh -c 'program <&-'` does."""
    return bench.run(["sh", "-c", f'exec "$@" {redirection}', "sh", *argv])


@pytest.mark.parametrize("option, key", [("--pin-file", {"key": PASSPHRASE}), ("--unlock-key-file", {"pin": PIN})])
def test_closed_stdin(bench, volume, option, key):
    """A secret from a standard input that is closed is none: no file that was opened meanwhile takes its place."""
    argv = bench.arguments("enroll", *bench.enroll_options, option, "-", volume, **key)
    result = closed(bench, "<&-", *argv)
    assert result.rc in (1, 2, 4) and "standard input" in result.stderr, result
    assert volume.metadata()["tokens"] == {}


def test_closed_stdin_without_need(bench, enrolled):
    """Who asks for nothing does not mind."""
    assert closed(bench, "<&-", *bench.arguments("unlock", "--test", enrolled, pin=PIN)).rc == 0
    result = closed(bench, "<&-", *bench.arguments("status", "--json"))
    check_schema(result.json, "status")


def test_closed_stdin_where_one_would_be_asked(bench, enrolled):
    """The same words as without a terminal."""
    result = closed(bench, "<&-", *bench.arguments("unlock", "--test", enrolled))
    assert result.rc == 2 and "--pin-file" in result.stderr


@pytest.mark.parametrize("redirection", [">&-", "<&- >&-", "<&- >&- 2>&-"])
def test_closed_stdout(bench, enrolled, redirection):
    """A result that cannot be written is a failure, and is never written into the volume instead."""
    before = enrolled.header()
    result = closed(bench, redirection, *bench.arguments("status", "--json"))
    assert result.rc == 1 and result.stdout == ""
    assert enrolled.header() == before and bench.unlock(enrolled).rc == 0


def test_full_stdout(bench, enrolled):
    """No room for the result: said so."""
    result = closed(bench, ">/dev/full", *bench.arguments("status", "--json"))
    assert result.rc == 1 and "standard output" in result.stderr and enrolled


# ---- TPMs ----

@pytest.mark.parametrize("verb", ["enroll", "unlock", "reseal"])
def test_not_a_tpm(bench, enrolled, verb):
    """A device that answers no TPM command: status 6, in bounded time, and nothing is changed."""
    before = enrolled.header()
    shutil.copy("/dev/null", bench.folder / "device")
    environment = {"BOOTSEAL_TCTI": f"device:{bench.folder / 'device'}"}
    options = {"enroll": [*bench.enroll_options, bench.volume()], "unlock": ["--test", enrolled],
               "reseal": ["--current", "--current-values"]}[verb]
    result = bench.bootseal(verb, *options, pin=None if verb == "reseal" else PIN,
                            key=PASSPHRASE if verb == "enroll" else None, environment=environment)
    assert result.rc == 6 and enrolled.header() == before, result


# ---- nobody to ask ----

@pytest.mark.parametrize("verb", ["enroll", "unlock", "status", "reseal", "remove", "doctor"])
def test_never_waits_for_somebody(bench, enrolled, verb):
    """Without a terminal and without options: every verb ends, and one that would ask names the option."""
    arguments = {"enroll": [*bench.enroll_options, bench.volume()], "unlock": [enrolled], "remove": [enrolled],
                 "reseal": []}.get(verb, [])
    result = bench.run([PROGRAM, verb, *map(str, (getattr(word, "path", word) for word in arguments))])
    asks = {"enroll": "--unlock-key-file", "unlock": "--pin-file", "reseal": "--current"}
    assert result.rc in (0, 1, 2), result
    if verb in asks:
        assert result.rc == 2 and asks[verb] in result.stderr
