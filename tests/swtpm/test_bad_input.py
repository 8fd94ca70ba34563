"""What nobody should give: refused with the rule, before anything is written, and what worked before still does."""

import fcntl
import json
import os
import shutil
import socket
import subprocess
from pathlib import Path

import pytest

from bootseal import NEW_PIN, PASSPHRASE, PATIENCE_S, PIN, PROGRAM, VOLUME_BYTES, check_schema

VERBS_OF_A_DEVICE = ["enroll", "unlock", "remove", "change-pin", "recovery-key"]


def call(bench, verb, device):
    """A verb on a device, with everything that it might ask for."""
    if verb == "enroll":
        return bench.try_enroll(device)
    if verb == "change-pin":
        return bench.change_pin(device)
    if verb == "recovery-key":
        return bench.bootseal(verb, "--yes", "add", device, key=PASSPHRASE)
    if verb == "reseal":
        return bench.reseal()
    return bench.bootseal(verb, *([] if verb == "doctor" else [device]), pin=PIN if verb == "unlock" else None)


# {verb: what it needs that it would otherwise have to ask for}
WITHOUT_OPTIONS = {"enroll": "--unlock-key-file", "unlock": "--pin-file", "reseal": None, "change-pin": "--pin-file",
                   "recovery-key": "--unlock-key-file", "status": None, "doctor": None, "explain": None, "remove": None,
                   "provision": None, "predict": None, "boot-ok": None}


def without_options(bench, enrolled, verb):
    """A call with the arguments that it cannot do without."""
    arguments = {"enroll": [*bench.enroll_options, bench.volume()], "recovery-key": ["--yes", "add", enrolled],
                 **dict.fromkeys(["unlock", "remove", "change-pin"], [enrolled])}.get(verb, [])
    return [PROGRAM, verb, *(getattr(word, "path", word) for word in arguments)]


def assert_nobody_was_asked(verb, result):
    """It ended, and if it would have had to ask it says by which option to answer."""
    assert result.rc == (2 if WITHOUT_OPTIONS[verb] else result.rc) and result.rc in (0, 1, 2, 10), result
    assert (WITHOUT_OPTIONS[verb] or "") in result.stderr, result


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


@pytest.mark.parametrize("verb", ["remove", "reseal", "change-pin", "recovery-key"])
def test_read_only_change(bench, enrolled, verb):
    """What cannot be written is not half done: the volume opens as before."""
    new_pin = ["--new-pin-file", bench.secret_file(NEW_PIN, "new-pin")]
    arguments = {"remove": ([enrolled], {}), "reseal": (["--current", "--current-values"], {}),
                 "change-pin": ([*new_pin, enrolled], {"pin": PIN}),
                 "recovery-key": (["--yes", "add", enrolled], {"key": PASSPHRASE})}[verb]
    result = read_only(bench, enrolled, *bench.arguments(verb, *arguments[0], **arguments[1]))
    assert result.rc == 1 and str(enrolled.path) in result.stderr and result.stdout == "", result
    if verb != "remove":
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


# ---- what somebody else is at; a disk that is in use, and mappings, are in tests/vm/test_protectors.py ----

def is_kept_waiting(process) -> bool:
    """Whether a process waits for a lock of somebody else's (proc(5), /proc/locks)."""
    lines = [line.split() for line in Path("/proc/locks").read_text(encoding="ascii").splitlines()]
    return any(words[1] == "->" and words[5] == str(process.pid) for words in lines)


def wait_for(bench, locked, *argv):
    """Run a program that must wait until a file is no longer locked; its exit status."""
    with open(locked, "rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        process = subprocess.Popen(list(map(str, argv)), env=bench.environment(), stdin=subprocess.DEVNULL,
                                   stdout=subprocess.DEVNULL)
        while not is_kept_waiting(process):
            assert process.poll() is None, "it did not wait"
    with process:
        return process.wait(PATIENCE_S)


@pytest.mark.parametrize("verb", ["unlock", "reseal", "remove"])
def test_header_that_somebody_is_changing(bench, enrolled, verb):
    """libcryptsetup's own lock: as long as cryptsetup changes the header, nobody looks at it."""
    arguments = {"unlock": ["--test", enrolled], "reseal": ["--current", "--current-values"], "remove": [enrolled]}[verb]
    argv = bench.arguments(verb, *arguments, pin=PIN if verb == "unlock" else None)
    assert wait_for(bench, enrolled.path, *argv) == 0
    assert verb == "remove" or bench.unlock(enrolled).rc == 0


@pytest.mark.parametrize("verb", ["reseal", "remove"])
def test_two_at_once(bench, enrolled, verb):
    """Who changes something has the state folder to himself; the next one waits."""
    arguments = ["--current", "--current-values"] if verb == "reseal" else [enrolled]
    assert wait_for(bench, bench.state / "lock", *bench.arguments(verb, *arguments)) == 0


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

NEWER_WORDS = "is not known to this bootseal"
VERBS_THAT_READ_TOKENS = [*VERBS_OF_A_DEVICE, "reseal", "status", "doctor"]


@pytest.mark.parametrize("verb", VERBS_THAT_READ_TOKENS)
def test_newer_protector(bench, enrolled, verb):
    """Refused by all that need it, told by the others, and kept as it is."""
    enrolled.edit_token(lambda token: token.update(version=2, news=[1, 2, 3]))
    token = enrolled.token()
    result = call(bench, verb, enrolled)
    assert result.rc == {"reseal": 0, "status": 0, "doctor": 1}.get(verb, 9), result
    assert verb == "reseal" or NEWER_WORDS in result.stdout + result.stderr
    assert enrolled.token() == token and enrolled.keyslots() == {0, 1}


@pytest.mark.parametrize("verb", VERBS_THAT_READ_TOKENS)
def test_newer_leftover(bench, enrolled, verb):
    """What a later version's enrolment has left half done is nobody's to clear away."""
    token = {**enrolled.token(), "type": "bootseal-pending", "version": 2}
    (number,) = enrolled.tokens("bootseal")
    enrolled.put_token(token, number)
    result = call(bench, verb, enrolled)
    assert result.rc == {"enroll": 9, "remove": 9, "recovery-key": 0, "reseal": 0, "status": 0, "doctor": 1}.get(verb, 7), result
    assert enrolled.token("bootseal-pending") == token and {0, 1} <= enrolled.keyslots()


@pytest.mark.parametrize("verb", VERBS_THAT_READ_TOKENS)
def test_newer_approval(bench, enrolled, verb):
    """The list of approved states is not written over, nor made stale in the TPM."""
    enrolled.edit_token(lambda token: token.update(version=2, news=[1, 2, 3]), "bootseal-approval")
    token = enrolled.token("bootseal-approval")
    result = call(bench, verb, enrolled)
    assert result.rc == {"recovery-key": 0, "status": 0, "doctor": 1}.get(verb, 9), result
    assert result.rc == 0 and verb != "status" or NEWER_WORDS in result.stdout + result.stderr
    assert enrolled.token("bootseal-approval") == token and {0, 1} <= enrolled.keyslots()
    enrolled.edit_token(lambda token: token.update(version=1), "bootseal-approval")
    assert bench.unlock(enrolled).rc == 0


def test_newer_approval_is_not_mended(bench, enrolled):
    """doctor --fix writes damaged lists anew, but this one is not damaged. Who takes it away can have a new one."""
    enrolled.edit_token(lambda token: token.update(version=2), "bootseal-approval")
    token = enrolled.token("bootseal-approval")
    result = bench.bootseal("doctor", "--json", "--fix")
    assert result.rc == 1 and enrolled.token("bootseal-approval") == token
    (finding,) = (finding for finding in result.json["findings"] if finding["not_fixed"])
    assert NEWER_WORDS in finding["not_fixed"]
    refused = bench.reseal()
    assert refused.rc == 9 and "cryptsetup token remove" in refused.stderr
    (number,) = enrolled.tokens("bootseal-approval")
    enrolled.edit(lambda metadata: metadata["tokens"].pop(str(number)))
    bench.bootseal("doctor", "--fix")
    assert bench.unlock(enrolled).rc == 0


def test_newer_approval_of_a_volume_to_be_enrolled(bench, volume):
    """Refused, and the passphrase opens; without that token it is enrolled."""
    volume.put_token({"type": "bootseal-approval", "keyslots": [], "version": 2}, 0)
    result = bench.try_enroll(volume)
    assert result.rc == 9 and NEWER_WORDS in result.stderr, result
    assert volume.token("bootseal-approval")["version"] == 2 and volume.opens_with(PASSPHRASE)
    volume.edit(lambda metadata: metadata["tokens"].pop("0"))
    bench.enroll(volume)
    assert bench.unlock(volume).rc == 0 and volume.keyslots() == {0, 1}


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
    words = result.stdout if verb == "doctor" else result.stderr  # it has a finding
    assert result.rc == (1 if verb == "doctor" else 9) and name in words and "version" in words, result
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


@pytest.mark.parametrize("verb", [*VERBS_OF_A_DEVICE, "status"])
def test_volume_without_right(bench, enrolled, verb):
    """Root by name alone, as in some containers: the volume is somebody else's, and cannot be opened."""
    before = enrolled.header()
    os.chown(enrolled.path, 65534, 65534)
    enrolled.path.chmod(0o600)
    options = {"enroll": bench.enroll_options, "recovery-key": ["--yes", "add"],
               "change-pin": ["--new-pin-file", bench.secret_file(NEW_PIN, "new-pin")]}.get(verb, [])
    secrets = {"pin": PIN if verb in ("enroll", "unlock", "change-pin") else None,
               "key": PASSPHRASE if verb in ("enroll", "recovery-key") else None}
    result = bench.run(["setpriv", "--bounding-set=-all", "--inh-caps=-all", "--",
                        *bench.arguments(verb, *options, enrolled, **secrets)])
    assert result.rc == (0 if verb == "status" else 1), result
    assert "Permission denied" in result.stdout + result.stderr and str(enrolled.path) in result.stdout + result.stderr
    assert enrolled.header() == before and bench.unlock(enrolled).rc == 0


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


@pytest.mark.parametrize("verb", WITHOUT_OPTIONS)
def test_closed_stdin_of_every_verb(bench, enrolled, verb):
    """The same as without a terminal; what a verb opens meanwhile is not taken for its standard input."""
    before = enrolled.header()
    result = closed(bench, "<&-", *without_options(bench, enrolled, verb))
    assert_nobody_was_asked(verb, result)
    assert verb == "remove" or enrolled.header() == before


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


@pytest.mark.parametrize("verb", ["enroll", "unlock", "reseal", "change-pin", "provision"])
def test_tpm_that_refuses_the_connection(bench, enrolled, verb):
    """Status 6, and nothing is changed."""
    before, second = enrolled.header(), bench.volume()
    bench.tpm.stop()
    result = {"provision": bench.provision}[verb]() if verb == "provision" else \
        call(bench, verb, second if verb == "enroll" else enrolled)
    assert result.rc == 6 and enrolled.header() == before, result


def connections_to(port) -> int:
    """How many programs are connected with a port of this machine."""
    lines = Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]
    return sum(line.split()[2:4] == [f"0100007F:{port:04X}", "01"] for line in lines)


def test_tpm_that_is_taken(bench, enrolled):
    """swtpm serves one connection, and another program has it: its turn comes first, and then ours."""
    with socket.create_connection(("127.0.0.1", bench.tpm.port)):
        waiting = subprocess.Popen(bench.arguments("unlock", "--test", enrolled, pin=PIN), env=bench.environment(),
                                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        while connections_to(bench.tpm.port) < 2:
            assert waiting.poll() is None
    with waiting:
        assert waiting.wait(PATIENCE_S) == 0
    assert bench.tpm.lockout_counter() == 0


# ---- nobody to ask ----

@pytest.mark.parametrize("verb", WITHOUT_OPTIONS)
def test_never_waits_for_somebody(bench, enrolled, verb):
    """Without a terminal and without options: every verb ends, and one that would ask names the option."""
    assert_nobody_was_asked(verb, bench.run(without_options(bench, enrolled, verb)))
