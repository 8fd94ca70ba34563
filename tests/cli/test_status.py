"""bootseal status: what an administrator is told."""

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
