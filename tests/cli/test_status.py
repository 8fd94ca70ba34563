"""bootseal status: what an administrator is told."""

import datetime
import json
import os
import subprocess

import pytest

from bootseal import PASSPHRASE, PIN, check_schema


def status_of(bench, volume=None):
    """The status, checked against the schema; with a volume its part of it."""
    status = bench.status()
    check_schema(status, "status")
    if volume is None:
        return status
    return next(each for each in status["volumes"] if each["uuid"] == volume.uuid)


def is_protected(bench, *volumes):
    """Whether --protection-as-error-level says so."""
    result = bench.bootseal("status", "--protection-as-error-level", *volumes)
    assert result.stdout == "" and result.rc in (0, 1), result
    return result.rc == 0


def test_nothing_enrolled(bench):
    """No volume, no approval; the TPM is told all the same."""
    status = status_of(bench)
    assert status["volumes"] == [] and status["approval"] is None
    assert status["tpm"]["error"] is None and not status["tpm"]["lockout_auth_set"]
    assert "no volume is enrolled" in bench.bootseal("status").stdout
    assert not is_protected(bench)
    assert not bench.state.exists()


def test_enrolled(bench, enrolled):
    """The protector, the approval, and that the passphrase is still there."""
    status = status_of(bench)
    (volume,) = status["volumes"]
    token = enrolled.token()
    assert volume["uuid"] == enrolled.uuid and volume["name"] == enrolled.name
    assert volume["device"] == str(enrolled.path)
    assert volume["boot_state_opens"] and volume["reason"] is None and not volume["authority_opens"]
    assert [protector["id"] for protector in volume["protectors"]] == [token["id"]]
    assert status["approval"]["objects"] == enrolled.token("bootseal-approval")["objects"]
    assert status["tpm"]["lockout_auth_set"]
    assert volume["protectors"][0]["payload"] == "keyslot"
    assert volume["next_unlock"] == {"works": True, "reason": None} and volume["this_boot"] is None
    assert status["approval"]["branches"][status["approval"]["matching_branch"]]["kind"] == "boot"


def test_tpm(bench):
    """Maker, firmware and limits are the TPM's own; nothing ends while nothing is locked."""
    tpm = status_of(bench)["tpm"]
    properties = bench.tpm.properties()
    assert tpm["firmware"].count(".") == 3 and tpm["vendor"]
    assert tpm["max_tries"] == properties["TPM2_PT_MAX_AUTH_FAIL"]
    assert tpm["lockout_ends_within_s"] is None and tpm["lockout_ends_by"] is None


def test_text(bench, enrolled):
    """The same for people, on stdout."""
    result = bench.bootseal("status")
    assert result.rc == 0 and result.stderr == ""
    for words in (enrolled.token()["id"], "tpm2-pin", "4, 7, 8, 9, 12, 14 (sha256), cap 12", "lockout set",
                  "other keyslots 0", "by the boot state"):
        assert words in result.stdout


def test_threat_29_passphrase_is_still_there(bench, enrolled):
    """A passphrase beside the protector is told, and the volume is not called protected."""
    volume = status_of(bench, enrolled)
    assert volume["state"] == "protected, but other keyslots remain" and volume["other_keyslots"] == [0]
    assert not is_protected(bench)


def test_protected(bench, enrolled):
    """With nothing beside the protector."""
    enrolled.remove_passphrase()
    volume = status_of(bench, enrolled)
    assert volume["state"] == "protected" and volume["other_keyslots"] == []
    assert is_protected(bench) and is_protected(bench, enrolled)


def test_one_of_two_is_not_protected(bench, enrolled):
    """All must be protected, unless one is named."""
    second = bench.volume()
    bench.enroll(second)
    enrolled.remove_passphrase()
    assert not is_protected(bench) and is_protected(bench, enrolled) and not is_protected(bench, second)


def test_changed_boot(bench, enrolled):
    """The boot state would not open it, and the PCR is named; the volume is protected all the more."""
    enrolled.remove_passphrase()
    bench.boot({9: b"another initrd"})
    volume = status_of(bench, enrolled)
    assert not volume["boot_state_opens"] and not volume["authority_opens"]
    assert volume["reason"]["kind"] == "mismatch" and "PCR 9" in volume["reason"]["text"]
    assert volume["state"] == "protected" and is_protected(bench)


def test_capped(bench, enrolled):
    """After the initramfs: the authority opens it."""
    bench.unlock_all(PIN)
    volume = status_of(bench, enrolled)
    assert not volume["boot_state_opens"] and volume["authority_opens"]
    assert volume["reason"]["kind"] == "mismatch" and "capped" in volume["reason"]["text"]
    assert "by the authority" in bench.bootseal("status").stdout


def test_locked_out(bench, volume):
    """The counter, the limit, and the state."""
    bench.set_policy(lockout={"max_tries": 1})
    bench.enroll(volume)
    bench.unlock(volume, pin="1111111111")
    status = status_of(bench)
    assert status["tpm"]["in_lockout"] and status["tpm"]["lockout_counter"] == status["tpm"]["max_tries"] == 1
    assert status["volumes"][0]["state"] == "locked out" and not is_protected(bench)
    assert "LOCKED OUT" in bench.bootseal("status").stdout


def test_no_tpm(bench, enrolled):
    """The reason stands where the TPM's data would, and the volume is told all the same."""
    enrolled.remove_passphrase()
    bench.tpm.stop()
    status = status_of(bench)
    assert status["tpm"]["error"]["kind"] == "tpm"
    (volume,) = status["volumes"]
    assert volume["reason"]["kind"] == "tpm" and volume["state"] == "not protected"
    assert len(volume["protectors"]) == 1
    assert not is_protected(bench)


def test_cleared_tpm(bench, enrolled):
    """Not protected any more: the reason."""
    enrolled.remove_passphrase()
    bench.tpm.clear()
    volume = status_of(bench, enrolled)
    assert volume["state"] == "not protected" and volume["reason"]["kind"] == "tpm"


def test_missing_volume(bench, enrolled):
    """A pinned volume that is not there is listed with the reason."""
    enrolled.path.unlink()
    (volume,) = status_of(bench)["volumes"]
    assert volume["name"] == enrolled.name and volume["state"] == "not protected" and volume["reason"]


def test_changed_header(bench, enrolled):
    """A header that differs from its pin."""
    enrolled.edit(lambda metadata: metadata["segments"]["0"].update(sector_size=4096))
    volume = status_of(bench, enrolled)
    assert volume["state"] == "not protected" and volume["reason"]["kind"] == "metadata"
    assert not is_protected(bench)


def test_killed_keyslot(bench, enrolled):
    """A protector without its keyslot."""
    (keyslot,) = enrolled.token()["keyslots"]
    subprocess.run(["cryptsetup", "luksKillSlot", "--batch-mode", enrolled.path, keyslot], check=True)
    volume = status_of(bench, enrolled)
    assert volume["state"] == "not protected" and volume["reason"]["kind"] == "metadata"


def test_stranger(bench, enrolled):
    """A volume that is not enrolled, beside one that is."""
    assert enrolled
    stranger = bench.volume()
    result = bench.bootseal("status", "--json", stranger)
    check_schema(result.json, "status")
    (volume,) = result.json["volumes"]
    assert volume["state"] == "not protected" and volume["reason"]["kind"] == "no-protector"


@pytest.mark.parametrize("content", [None, bytes(1 << 20)], ids=["missing", "no volume"])
def test_no_volume(bench, content):
    """What is no volume is told as such."""
    path = bench.folder / "file"
    if content:
        path.write_bytes(content)
    result = bench.bootseal("status", "--json", path)
    assert result.rc == 0
    check_schema(result.json, "status")
    assert result.json["volumes"][0]["state"] == "not protected"


def test_changes_nothing(bench, enrolled):
    """Neither header nor state folder nor TPM."""
    def everything():
        files = {path.name: path.read_bytes() for path in bench.state.iterdir()}
        return enrolled.header(), files, bench.tpm.properties(), bench.tpm.pcrs()

    before = everything()
    for options in ([], ["--json"], ["--protection-as-error-level"]):
        bench.bootseal("status", *options)
    assert everything() == before
    assert enrolled.opens_with(PASSPHRASE)


# ---- recovery keys ----

def test_recovery_key(bench, enrolled):
    """A recovery key's keyslot is bootseal's; the key is listed."""
    keyslot = enrolled.put_recovery_key()
    enrolled.remove_passphrase()
    volume = status_of(bench, enrolled)
    assert volume["state"] == "protected" and volume["other_keyslots"] == []
    (key,) = volume["recovery_keys"]
    assert key["id"] == "1a2b3c4d" and key["keyslot"] == keyslot and key["used"] is None
    assert "1a2b3c4d" in bench.bootseal("status").stdout


def test_used_recovery_key(bench, enrolled):
    """One that was used is to be replaced."""
    enrolled.put_recovery_key(used="2026-11-22T08:00:00Z")
    assert status_of(bench, enrolled)["recovery_keys"][0]["used"] == "2026-11-22T08:00:00Z"
    assert "rotate" in bench.bootseal("status").stdout


@pytest.mark.parametrize("fields", [
    {"version": 2}, {"id": "1a2b3c4"}, {"id": 7}, {"keyslots": []}, {"keyslots": ["0", "1"]},
    {"created": "x" * 21}, {"used": 5},
])
def test_odd_recovery_token(bench, enrolled, fields):
    """A token that cannot be read makes no keyslot bootseal's, and keeps nothing else from being told."""
    keyslot = enrolled.put_recovery_key(**fields)
    volume = status_of(bench, enrolled)
    assert volume["recovery_keys"] == [] and keyslot in volume["other_keyslots"]
    assert volume["boot_state_opens"]


def test_passphrase_passed_off_as_recovery_key(bench, enrolled):
    """A token that names the installer's passphrase hides nothing."""
    enrolled.convert_passphrase()
    enrolled.put_recovery_key(keyslots=["0"])
    volume = status_of(bench, enrolled)
    assert volume["recovery_keys"] == [] and 0 in volume["other_keyslots"]
    assert volume["state"] == "protected, but other keyslots remain"


def test_orphan(bench, enrolled):
    """A keyslot of bootseal's kind without a token is told apart from a passphrase."""
    enrolled.convert_passphrase()
    enrolled.add_passphrase("left by a power cut")
    volume = status_of(bench, enrolled)
    assert volume["other_keyslots"] == [0, 2] and volume["orphan_keyslots"] == [2]


@pytest.mark.parametrize("token", [{"type": "systemd-tpm2"}, {"type": "bootseal-recovery", "version": 2}])
def test_keyslot_of_somebody_elses_token(bench, enrolled, token):
    """A keyslot that another program's token names, or a later version's, is no orphan."""
    enrolled.convert_passphrase()
    enrolled.put_recovery_key(**token)
    volume = status_of(bench, enrolled)
    assert volume["other_keyslots"] == [0, 2] and volume["orphan_keyslots"] == []


# ---- the next boot ----

def test_next_unlock_after_the_cap(bench, enrolled):
    """What the initramfs recorded is what the next one will see."""
    bench.unlock_all(PIN)
    volume = status_of(bench, enrolled)
    assert volume["next_unlock"] == {"works": True, "reason": None}
    assert volume["this_boot"] == {"opened": True, "by": "tpm2-pin", "operator": 1, "suspended": False,
                                   "reason": None, "wrong_pins": 0}
    assert "opened by tpm2-pin" in bench.bootseal("status").stdout


def test_next_unlock_of_a_changed_boot(bench, enrolled):
    """It was not opened by the TPM, and will not be: the PCR is named."""
    bench.boot({9: b"another initrd"})
    bench.unlock_all()
    status = status_of(bench)
    (volume,) = status["volumes"]
    assert volume["next_unlock"]["works"] is False and "PCR 9" in volume["next_unlock"]["reason"]["text"]
    assert not volume["this_boot"]["opened"] and "PCR 9" in volume["this_boot"]["reason"]
    assert status["approval"]["matching_branch"] is None
    text = bench.bootseal("status").stdout
    assert "will fail" in text and "not opened by bootseal" in text and "not approved" in text
    assert enrolled


def test_next_unlock_without_a_record(bench, enrolled):
    """Capped, and nobody noted what was there before: not known."""
    bench.unlock_all(PIN)
    bench.report.unlink()
    volume = status_of(bench, enrolled)
    assert volume["next_unlock"]["works"] is None and volume["next_unlock"]["reason"]["kind"] == "refused"
    assert volume["this_boot"] is None and "nobody knows" in bench.bootseal("status").stdout


def test_next_unlock_without_the_index(bench, enrolled):
    """The boot state alone would do, but the TPM's index is gone: told while the boot is capped too."""
    bench.unlock_all(PIN)
    bench.tpm.tool("tpm2_nvundefine", "-C", "o", "0x018b5ea0")
    volume = status_of(bench, enrolled)
    assert volume["next_unlock"]["works"] is False and not volume["authority_opens"]
    assert volume["next_unlock"]["reason"]["kind"] == "tpm"


def test_recovery_used(bench, enrolled):
    """A boot by recovery key is told until the next boot."""
    enrolled.remove_passphrase()
    bench.unlock_all(PIN)
    report = json.loads(bench.report.read_text())
    report["volumes"][0].update(by="recovery", reason="PCR 9 (the initrd) changed")
    bench.report.write_text(json.dumps(report))
    volume = status_of(bench, enrolled)
    assert volume["state"] == "recovery used" and volume["protected"] and volume["this_boot"]["by"] == "recovery"
    assert "PCR 9" in volume["this_boot"]["reason"] and is_protected(bench)


@pytest.mark.parametrize("content", [b"", b"{", b'{"version": 2}', b'{"version": 1, "boot_id": "another"}'])
def test_odd_report(bench, enrolled, content):
    """A report that cannot be read, or of another boot, tells nothing and hides nothing."""
    bench.report.write_bytes(content)
    os.chmod(bench.report, 0o600)
    volume = status_of(bench, enrolled)
    assert volume["this_boot"] is None and volume["boot_state_opens"]


def test_end_of_lockout(bench, volume):
    """Until when the TPM refuses PINs, in seconds and as a time."""
    bench.set_policy(lockout={"max_tries": 1, "recovery_s": 600})
    bench.enroll(volume)
    bench.unlock(volume, pin="1111111111")
    status = status_of(bench)
    assert status["tpm"]["lockout_ends_within_s"] == 600
    end = datetime.datetime.fromisoformat(status["tpm"]["lockout_ends_by"].replace("Z", "+00:00"))
    assert end > datetime.datetime.now(datetime.timezone.utc)
    assert status["volumes"][0]["next_unlock"]["works"] is False
    assert "until 2" in bench.bootseal("status").stdout


# ---- colour ----

@pytest.mark.parametrize("terminal, no_color, term, coloured", [
    (True, None, "xterm", True), (True, "1", "xterm", False), (True, None, "dumb", False),
    (False, None, "xterm", False),
])
def test_colour(bench, enrolled, terminal, no_color, term, coloured):
    """On terminals only, and not where somebody said no."""
    argv = ["env", f"TERM={term}"] + ([f"NO_COLOR={no_color}"] if no_color else ["-u", "NO_COLOR"])
    argv[1:] = sorted(argv[1:], key=lambda word: "=" in word)  # env takes its options first
    argv += bench.arguments("status")
    screen = bench.on_terminal(argv).screen if terminal else bench.run(argv).stdout
    assert enrolled.name in screen and ("\x1b[" in screen) == coloured
