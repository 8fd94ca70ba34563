"""bootseal itself: verbs, options and arguments."""

import json
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from bootseal import PROGRAM, REPOSITORY, SCHEMAS

VERBS = ["enroll", "unlock", "status", "doctor", "explain", "predict", "reseal", "suspend", "resume", "change-pin",
         "recovery-key", "remove", "provision", "boot-ok"]


def test_help_lists_the_verbs(bench):
    """--help alone: every verb, on stdout."""
    result = bench.run([PROGRAM, "--help"])
    assert result.rc == 0 and result.stderr == ""
    assert [line.split()[0] for line in result.stdout.splitlines() if line.startswith("  ")] == VERBS


def test_every_verb_has_a_schema():
    """The bench holds what a verb writes with --json against it; the initramfs writes a report besides."""
    assert {path.stem for path in SCHEMAS.iterdir()} == {*VERBS, "report"}


def test_version(bench):
    """--version: name and number."""
    result = bench.run([PROGRAM, "--version"])
    assert result.rc == 0 and result.stdout.startswith("bootseal ")


@pytest.mark.parametrize("verb", VERBS)
def test_help_of_a_verb(bench, verb):
    """Its own options and the common ones; needs no TPM."""
    result = bench.bootseal(verb, "--help", "--tcti", "nothing")
    assert result.rc == 0 and result.stderr == ""
    assert result.stdout.startswith(f"usage: bootseal {verb} ")
    assert "--json" in result.stdout and "--state-dir" in result.stdout


@pytest.mark.parametrize("argv, quoted", [
    ([], "a verb is missing"),
    (["enrol"], '"enrol"'),
    (["--json"], '"--json"'),
    (["enroll"], "DEVICE"),
    (["unlock"], "DEVICE"),
    (["remove"], "DEVICE"),
    (["enroll", "one", "two"], '"two"'),
    (["unlock", "one", "two", "three"], '"three"'),
    (["status", "one", "two"], '"two"'),
    (["reseal", "--current", "one"], '"one"'),
    (["explain", "one"], '"one"'),
    (["explain", "--against"], '"--against"'),
    (["status", "--frobnicate"], '"--frobnicate"'),
    (["status", "--json=yes"], '"--json=yes"'),
    (["enroll", "one", "--pin-file"], '"--pin-file"'),
])
def test_wrong_call(bench, argv, quoted):
    """Status 2, nothing on stdout; the words say what is wrong and where help is."""
    result = bench.run([PROGRAM, *argv])
    assert result.rc == 2 and result.stdout == ""
    assert quoted in result.stderr and "--help" in result.stderr


@pytest.mark.parametrize("verb", [verb for verb in VERBS if verb not in ("explain", "predict")])
def test_no_tpm(bench, volume, verb):
    """Every verb that needs the TPM says that there is none; the others have something to say all the same."""
    arguments = {"status": [], "doctor": [], "reseal": ["--current"], "recovery-key": ["list", volume], "provision": [],
                 "boot-ok": [], "suspend": [], "resume": []}.get(verb, [volume])
    options = bench.enroll_options if verb == "enroll" else []
    bench.tpm.stop()
    result = bench.bootseal(verb, *options, *arguments)
    assert result.rc == {"status": 0, "doctor": 1, "remove": 7, "recovery-key": 0, "boot-ok": 0}.get(verb, 6), result
    assert "TPM" in result.stdout + result.stderr or verb in ("remove", "recovery-key", "boot-ok")


@pytest.mark.parametrize("tcti, rc", [("nosuchlibrary:x=1", 6), ("", 2), ("device:/dev/nosuchdevice", 6)])
def test_bad_tcti(bench, enrolled, tcti, rc):
    """A TCTI string that leads nowhere."""
    result = bench.bootseal("unlock", "--tcti", tcti, enrolled)
    assert result.rc == rc and result.stderr != ""


def test_option_goes_before_environment(bench, enrolled):
    """--tcti and --state-dir win over BOOTSEAL_TCTI and BOOTSEAL_STATE_DIR."""
    wrong = {"BOOTSEAL_TCTI": "device:/dev/nosuchdevice", "BOOTSEAL_STATE_DIR": "/nosuchfolder"}
    options = ["--tcti", bench.tcti, "--state-dir", bench.state]
    assert bench.bootseal("status", "--json", *options, environment=wrong).json["volumes"][0]["uuid"] == enrolled.uuid
    assert bench.bootseal("status", "--json", environment=wrong).json["volumes"] == []


def test_quiet_and_verbose(bench, enrolled):
    """--quiet leaves the result alone, --verbose adds words to stderr."""
    bench.cap()
    quiet = bench.unlock(enrolled, "--quiet")
    verbose = bench.unlock(enrolled, "--verbose")
    assert (quiet.rc, verbose.rc) == (0, 0)
    assert quiet.stdout == verbose.stdout and quiet.stderr == ""
    assert "authority" in verbose.stderr


@pytest.fixture(name="copied_program", scope="module")
def make_copied_program():
    """bootseal where everybody can run it."""
    with tempfile.TemporaryDirectory(prefix="bootseal-program-") as folder:
        Path(folder).chmod(0o755)
        yield shutil.copy(PROGRAM, folder)


def as_nobody(*argv):
    """Run a program as an unprivileged user."""
    return subprocess.run(["runuser", "-u", "nobody", "--", *argv], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, check=False)


def test_threat_22_only_root(copied_program):
    """An unprivileged user is refused, whatever the verb, before anything is looked at; explain reads no secret."""
    for verb in set(VERBS) - {"explain"}:
        done = [as_nobody(copied_program, verb, *arguments) for arguments in ([], ["/nowhere"], ["list", "/nowhere"])]
        fitting = [result for result in done if result.returncode != 2]
        assert fitting and all(result.stdout == "" for result in done)
        for result in fitting:
            assert result.returncode == 1 and f"{verb}: only root" in result.stderr and "sudo" in result.stderr


def test_threat_22_offline(copied_program):
    """What needs neither TPM nor secrets works for everybody: an event log, in words and values."""
    log = Path(copied_program).parent / "log.bin"
    log.write_bytes((REPOSITORY / "tests/data/eventlogs/debian12-systemd-boot.bin").read_bytes())
    log.chmod(0o644)
    done = as_nobody(copied_program, "explain", "--eventlog", log, "--json")
    assert done.returncode == 0 and json.loads(done.stdout)["pcrs"]["sha256"]["7"], done


def test_help_needs_no_root(copied_program):
    """What changes nothing is for everybody."""
    done = as_nobody(copied_program, "enroll", "--help")
    assert done.returncode == 0 and done.stdout.startswith("usage: bootseal enroll")
