"""bootseal-unlock: what the initramfs runs, apart from opening volumes (tests/swtpm)."""

import hashlib
import json

import pytest

from bootseal import CAP_PCR, PIN, UNLOCK_PROGRAM, check_schema

ZERO = bytes(32)


def is_capped(bench):
    """Whether the cap PCR was extended."""
    return bench.tpm.pcrs()[CAP_PCR] != ZERO


@pytest.mark.parametrize("argv", [[], ["--frobnicate"], ["--all", "volume"], ["--all", "--wait", "soon"],
                                  ["--all", "--wait", "-1"], ["--all", "--wait", "3601"], ["--all", "--pins"]])
def test_wrong_call(bench, argv):
    """Status 2 and the usage; nothing is done."""
    result = bench.run([UNLOCK_PROGRAM, *argv, "--tcti", bench.tcti])
    assert result.rc == 2 and "usage:" in result.stderr
    assert not is_capped(bench)


def test_help(bench):
    """The usage on stdout."""
    result = bench.run([UNLOCK_PROGRAM, "--help"])
    assert result.rc == 0 and result.stdout.startswith("usage: bootseal-unlock")


def test_environment_is_not_obeyed(bench, enrolled):
    """The kernel command line ends up there: BOOTSEAL_TCTI and BOOTSEAL_STATE_DIR mean nothing."""
    assert enrolled
    result = bench.run([UNLOCK_PROGRAM, "--cap", "--wait", "0"],
                       environment={"BOOTSEAL_TCTI": bench.tcti, "BOOTSEAL_STATE_DIR": str(bench.state)})
    assert not is_capped(bench), result


def test_cap(bench):
    """--cap without pins: the default PCR, in each active bank, as anyone can compute it."""
    assert bench.cap().rc == 0
    check_capped(bench, CAP_PCR, ZERO)


def check_capped(bench, pcr, before):
    """PCR is BEFORE extended by the one constant event."""
    event = hashlib.sha256(b"bootseal cap v1").digest()
    assert bench.tpm.pcrs()[pcr] == hashlib.sha256(before + event).digest()
    assert any(bench.tpm.pcrs("sha384")[pcr])


def test_cap_by_the_pins(bench, volume):
    """The pinned PCR is capped, and no other."""
    bench.set_policy(pcrs=[4, 7, 8, 9, 13], cap=13)
    bench.enroll(volume)
    result = bench.run([UNLOCK_PROGRAM, "--cap", "--pins", bench.state / "pins.json", "--tcti", bench.tcti])
    assert result.rc == 0
    check_capped(bench, 13, ZERO)
    assert not is_capped(bench)


def test_report(bench, enrolled):
    """What it did, in the form that other programs read; root's alone."""
    before = bench.tpm.pcrs()
    done = bench.unlock_all(PIN)
    check_schema(done.report, "report")
    assert done.report["pcrs"] == {str(pcr): before[pcr].hex() for pcr in range(16)}
    assert done.report["cap"] == {"pcr": CAP_PCR, "done": True} and done.report["tpm"] is None
    volume = done.volume(enrolled.name)
    assert volume["opened"] and volume["by"] == "tpm2-pin" and volume["status"] == 0
    assert bench.report.stat().st_mode & 0o777 == 0o600


def test_no_pins(bench):
    """No pinned volume: nothing is asked, the cap is done."""
    done = bench.unlock_all(pins_path="/nosuchfile")
    assert done.rc == 0 and done.report["volumes"] == []
    check_schema(done.report, "report")
    check_capped(bench, CAP_PCR, ZERO)


def test_check_resume(bench, enrolled):
    """What is no block device is no place for an image; without pins any place will do."""
    pins = bench.state / "pins.json"
    done = bench.run([UNLOCK_PROGRAM, "--check-resume", "/dev/null", "--pins", pins])
    assert done.rc == 10 and "not a block device" in done.stderr
    done = bench.run([UNLOCK_PROGRAM, "--check-resume", "/dev/nosuchdevice", "--pins", pins])
    assert done.rc == 1 and "/dev/nosuchdevice" in done.stderr
    assert bench.run([UNLOCK_PROGRAM, "--check-resume", "/dev/null", "--pins", "/nosuchfile"]).rc == 0


@pytest.mark.parametrize("pins", [b"", b"{", b'{"version": 2}', b"[]", b"\0" * 100])
def test_damaged_pins(bench, enrolled, pins):
    """Status 9: nothing is opened, nothing asked, the cap is done."""
    assert enrolled
    path = bench.folder / "pins.json"
    path.write_bytes(pins)
    done = bench.unlock_all(pins_path=path)
    assert done.rc == 9 and done.prompts == () and str(path) in done.screen
    assert is_capped(bench)


def edit_pins(bench, change):
    """A copy of the pins with a change; its path."""
    pins = json.loads((bench.state / "pins.json").read_text())
    change(pins)
    path = bench.folder / "pins.json"
    path.write_text(json.dumps(pins))
    return path


@pytest.mark.parametrize("change", [
    lambda pins: pins["srk"].update(public="AAAA"),
    lambda pins: pins["approval"].update(public=pins["srk"]["public"]),
    lambda pins: pins["approval"].update(handle=pins["approval"]["handle"] + 1),
    lambda pins: pins["volumes"][0].update(facts="00" * 32),
    lambda pins: pins["volumes"][0].update(name="a/b"),
    lambda pins: pins.update(tries=0),
    lambda pins: pins.update(kdf_floor={"memory_kib": 1 << 20, "iterations": 1}),
    lambda pins: pins.update(bank="md5"),
], ids=["SRK", "index", "index handle", "facts", "name", "tries", "floor", "bank"])
def test_hostile_pins(bench, enrolled, change):
    """Pins that do not fit what is there: nothing is opened, nothing asked, the cap is done."""
    assert enrolled
    done = bench.unlock_all(pins_path=edit_pins(bench, change))
    assert done.rc in (6, 9) and done.prompts == ()
    assert not any(volume["opened"] for volume in done.report.get("volumes", []))
    assert is_capped(bench)


def test_missing_volume(bench, enrolled):
    """A bounded wait, then the reason; the cap is done."""
    enrolled.path.unlink()
    argv = [str(UNLOCK_PROGRAM), "--all", "--terminal", "--wait", "1", "--tcti", bench.tcti, "--pins",
            str(bench.state / "pins.json"), "--test"]
    done = bench.on_terminal(argv)
    assert done.rc in (1, 8) and "waiting for" in done.screen and str(enrolled.path) in done.screen
    assert is_capped(bench)


def test_no_tpm(bench, enrolled):
    """A TPM that does not answer: status 6 and the reason, nothing asked."""
    bench.tpm.stop()
    done = bench.unlock_all()
    assert done.rc == 6 and done.prompts == ()
    check_schema(done.report, "report")
    assert done.report["tpm"] and not done.report["cap"]["done"]
    assert done.volume(enrolled.name)["status"] == 6


def test_report_cannot_be_written(bench, enrolled):
    """It is said, and the volume opens all the same."""
    assert enrolled
    bench.report = bench.folder / "nosuchfolder" / "report.json"
    done = bench.unlock_all(PIN)
    assert done.rc == 0 and "report" in done.screen


def test_empty_pin(bench, enrolled):
    """Return alone: on to the distribution's own prompt, and no try is counted."""
    done = bench.unlock_all("")
    assert done.rc == 4 and not done.volume(enrolled.name)["opened"]
    assert bench.tpm.lockout_counter() == 0
