"""bootseal doctor: findings, remedies, repairs."""

import hashlib
import json
import re

import pytest

from bootseal import MEASURED, PIN, REPOSITORY, check_schema

# What every bench has: its state folder lies in the open, and nobody made a recovery key.
ALWAYS = {"state-unencrypted", "no-recovery-key"}
PASSPHRASE_KINDS = {"passphrase-left", "keyslot-unnamed"}


@pytest.fixture(name="root")
def make_root(bench):
    """A system of which nothing is known but that it boots well."""
    root = bench.folder / "root"
    (root / "proc").mkdir(parents=True)
    (root / "proc/cmdline").write_text("root=/dev/mapper/root panic=30\n")
    return root


def examine(bench, root, *options):
    """(exit status, {kind: finding}) of a run, checked against the schema."""
    result = bench.bootseal("doctor", "--json", "--root", root, *options)
    check_schema(result.json, "doctor")
    left = [finding for finding in result.json["findings"]
            if finding["severity"] != "note" and not finding["fixed"]]
    assert result.rc == (1 if left else 0), result
    return result.rc, {finding["kind"]: finding for finding in result.json["findings"]}


def kinds(bench, root, *options):
    """The kinds of what is wrong, beside what is wrong on every bench."""
    return set(examine(bench, root, *options)[1]) - ALWAYS - PASSPHRASE_KINDS


def test_healthy(bench, enrolled, root):
    """Nothing but what a bench cannot have."""
    assert kinds(bench, root) == set()
    enrolled.put_recovery_key()
    enrolled.remove_passphrase()
    assert set(examine(bench, root)[1]) == {"state-unencrypted"}


def test_capped(bench, enrolled, root):
    """The same in the running system, after the initramfs."""
    assert bench.unlock_all(PIN).rc == 0
    assert kinds(bench, root) == set() and enrolled


def test_nothing_enrolled(bench, root):
    """A machine that has yet to be enrolled."""
    rc, found = examine(bench, root)
    assert rc == 1 and {"nothing-enrolled", "lockout-auth-empty"} <= set(found)
    assert not bench.state.exists()


def test_text(bench, enrolled, root):
    """For people: faults first, each with what to do; how many on stderr."""
    bench.tpm.tool("tpm2_nvundefine", "-C", "o", "0x018b5ea0")
    result = bench.bootseal("doctor", "--root", root)
    assert result.rc == 1 and result.stdout.startswith("fault ")
    assert result.stdout.index("index-missing") < result.stdout.index("no-recovery-key")
    assert f"no-recovery-key: {enrolled.name}" in result.stdout and "what to do: " in result.stdout
    assert re.search(r"doctor: \d+ faults, \d+ warnings?", result.stderr)


def test_threat_14_index_is_put_back(bench, enrolled, root):
    """Somebody deleted the approval index: found, repaired without a PIN, and the old PIN opens."""
    bench.tpm.tool("tpm2_nvundefine", "-C", "o", "0x018b5ea0")
    assert kinds(bench, root) == {"index-missing", "next-unlock-fails"}
    _, found = examine(bench, root, "--fix")
    assert found["index-missing"]["fixed"] and found["next-unlock-fails"]["fixed"]
    assert not found["no-recovery-key"]["fixed"]
    assert kinds(bench, root) == set()
    bench.boot()
    assert bench.unlock_all(PIN).rc == 0 and enrolled


def test_threat_26_list_is_written_again(bench, enrolled, root):
    """An edited list in the header is told, and the state folder's put in its place."""
    enrolled.edit_token(lambda token: token["branches"][1]["values"].reverse(), "bootseal-approval")
    assert "approval-token" in kinds(bench, root)
    assert examine(bench, root, "--fix")[1]["approval-token"]["fixed"]
    assert kinds(bench, root) == set() and bench.unlock(enrolled).rc == 0


def test_threat_29_passphrase(bench, enrolled, root):
    """The installation's passphrase."""
    enrolled.convert_passphrase()
    _, found = examine(bench, root, "--fix")
    assert found["passphrase-left"]["subject"] == enrolled.name and not found["passphrase-left"]["fixed"]
    assert enrolled.keyslots() == {0, 1}  # never removed unasked


def test_limits(bench, volume, root):
    """Looser than the policy says: made strict with the kept authorisation."""
    bench.set_policy(lockout={"max_tries": 32})
    bench.enroll(volume)
    policy = root / "etc/bootseal/policy.json"
    policy.parent.mkdir(parents=True)
    policy.write_text(bench.policy.read_text().replace('"max_tries": 32', '"max_tries": 4'))
    assert kinds(bench, root) == {"limits-loose"}
    assert examine(bench, root, "--fix")[1]["limits-loose"]["fixed"]
    assert bench.status()["tpm"]["max_tries"] == 4


def test_leftover(bench, volume, root):
    """What a cut enrolment left is taken away, and the passphrase stays."""
    bench.enroll(volume)
    token = volume.token()
    (number,) = volume.tokens("bootseal")
    volume.put_token({**token, "type": "bootseal-pending", "keyslots": [],
                      "planned_keyslot": int(token["keyslots"][0])}, number)
    assert "enrolment-cut" in kinds(bench, root)
    assert examine(bench, root, "--fix")[1]["enrolment-cut"]["fixed"]
    assert volume.keyslots() == {0} and volume.tokens("bootseal-pending") == {}


def test_cleared_tpm(bench, enrolled, root):
    """Nothing can be repaired: each finding that --fix is for says why."""
    bench.tpm.clear()
    _, found = examine(bench, root, "--fix")
    assert not found["next-unlock-fails"]["fixed"]
    assert not found["srk-missing"]["fixed"] and "another TPM" in found["srk-missing"]["not_fixed"]
    assert found["srk-foreign"]["severity"] == "fault" and enrolled.keyslots() == {0, 1}


def test_no_tpm(bench, enrolled, root):
    """It is said once as such, and the volumes are looked at all the same."""
    bench.tpm.stop()
    found = kinds(bench, root, "--fix")
    assert {"tpm-unusable", "next-unlock-fails"} <= found and "srk-missing" not in found
    assert enrolled


@pytest.mark.parametrize("change, kind", [
    ({7: None}, "pcr-not-extended"), ({9: None}, "initrd-unmeasured"), ({9: b"another initrd"}, "next-unlock-fails"),
])
def test_boot(bench, enrolled, root, change, kind):
    """A boot that measures less, or something else."""
    bench.boot(change)
    assert kind in kinds(bench, root) and enrolled


@pytest.mark.parametrize("path, content, kind", [
    ("proc/cmdline", b"quiet", "panic-missing"),
    ("sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c", bytes(5), "secure-boot-off"),
    ("proc/swaps", b"Filename Type Size Used Priority\n/dev/sda2 partition 1000 0 -2\n", "swap-unencrypted"),
    ("etc/initramfs-tools/conf.d/resume", b"RESUME=/dev/sda2\n", "resume-not-pinned"),
    ("etc/crypttab", b"data /dev/sda4 /etc/crypttab luks\n", "key-file-unencrypted"),
    ("boot/grub/grub.cfg", b"", "boot-unencrypted"),
    ("boot/initrd.img-6.1", b"", "initramfs-unreadable"),
])
def test_system(bench, enrolled, root, path, content, kind):
    """What the system's files say."""
    assert kind not in kinds(bench, root) and enrolled
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    (root / "boot").mkdir(exist_ok=True)
    (root / "boot/vmlinuz-6.1").touch()
    assert kind in kinds(bench, root)


def examine_with_log(bench, log, *options):
    """{kind: [findings]} with the event log of a recorded boot."""
    result = bench.bootseal("doctor", "--json", *options,
                            environment={"BOOTSEAL_EVENTLOG": str(REPOSITORY / f"tests/data/eventlogs/{log}.bin")})
    found = {}
    for finding in result.json["findings"]:
        found.setdefault(finding["kind"], []).append(finding)
    return found


def test_boot_chain(bench, volume, root):
    """PCRs that the way of booting wants: GRUB's commands, bound or not."""
    bench.enroll(volume, "--pcrs", "4,7,9,12")
    assert "chain-not-covered" not in examine_with_log(bench, "debian12-systemd-boot", "--root", root)
    (finding,) = examine_with_log(bench, "debian12-shim-grub-secureboot", "--root", root)["chain-not-covered"]
    assert finding["severity"] == "warning" and finding["subject"] == "shim-grub"
    assert "PCR 8" in finding["text"] and "--policy grub" in finding["remedy"]


def test_log_under_the_root(bench, volume, root):
    """The event log is the one under --root, unless another is named."""
    bench.enroll(volume, "--pcrs", "4,7,9,12")
    log = root / "sys/kernel/security/tpm0/binary_bios_measurements"
    log.parent.mkdir(parents=True)
    log.write_bytes((REPOSITORY / "tests/data/eventlogs/debian12-shim-grub-secureboot.bin").read_bytes())
    assert kinds(bench, root) == {"chain-not-covered"}


def test_changed_boot_file(bench, enrolled, root):
    """A file on record with another hash is told; what is as recorded, gone, or verified by its form is not."""
    grubenv = b"# GRUB Environment Block\n".ljust(1024, b"#")
    for name, content in (("vmlinuz-6.1", b"kernel"), ("initrd.img-6.1", b"planted"), ("grub/grubenv", grubenv)):
        file = root / "boot" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    files = [{"path": f"/boot/{name}", "sha256": hashlib.sha256(content).hexdigest(), "source": "at enrolment",
              "date": "2026-11-22T08:00:00Z"}
             for name, content in (("vmlinuz-6.1", b"kernel"), ("initrd.img-6.1", b"initrd"), ("initrd.img-6.0", b""),
                                   ("grub/grubenv", b"what it was"))]
    record = bench.state / "boot-files.json"
    record.touch(mode=0o600)
    record.write_text(json.dumps({"version": 1, "files": files}), encoding="utf-8")
    before = record.read_bytes()
    changed = [finding for finding in bench.bootseal("doctor", "--json", "--root", root).json["findings"]
               if finding["kind"] == "boot-file-changed"]
    assert [finding["subject"] for finding in changed] == ["/boot/initrd.img-6.1"]
    assert "on record" in changed[0]["text"] and "--trust /boot/initrd.img-6.1" in changed[0]["remedy"]
    assert record.read_bytes() == before and enrolled


def test_next_boot(bench, enrolled):
    """A log that this machine did not boot by: that its PCRs cannot be predicted is a note, and nothing is kept."""
    before = {path.name: path.read_bytes() for path in bench.state.iterdir()}
    notes = examine_with_log(bench, "debian12-shim-grub-secureboot")["pcr-unpredictable"]
    assert {note["severity"] for note in notes} == {"note"} and all(note["text"] for note in notes)
    assert {path.name: path.read_bytes() for path in bench.state.iterdir()} == before and enrolled


def test_without_a_log(bench, enrolled):
    """Nothing is said of the next boot where Linux has no event log."""
    result = bench.bootseal("doctor", "--json", environment={"BOOTSEAL_EVENTLOG": str(bench.folder / "missing")})
    assert not {"next-boot-not-approved", "pcr-unpredictable"} & {item["kind"] for item in result.json["findings"]}
    assert enrolled


def test_initramfs_of_another_root_is_not_built(bench, enrolled, root):
    """--fix with --root says why it leaves the initramfs alone."""
    tool = root / "usr/bin/lsinitramfs"
    for path in ("boot/vmlinuz-6.1", "boot/initrd.img-6.1", "usr/bin/lsinitramfs"):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).touch()
    tool.write_text("#!/bin/sh\necho conf/conf.d\n")
    tool.chmod(0o755)
    _, found = examine(bench, root, "--fix")
    assert not found["initramfs-without-bootseal"]["fixed"] and found["initramfs-without-bootseal"]["not_fixed"]
    assert enrolled


def test_changes_nothing(bench, enrolled, root):
    """Without --fix: neither header nor state folder nor TPM."""
    def everything():
        files = {path.name: path.read_bytes() for path in bench.state.iterdir()}
        return enrolled.header(), files, bench.tpm.properties(), bench.tpm.pcrs()

    bench.measure({7: MEASURED[7]})
    before = everything()
    examine(bench, root)
    assert everything() == before


@pytest.mark.parametrize("name", ["pins.json", "approval.json"])
def test_damaged_state(bench, enrolled, root, name):
    """A finding like any other, with the rest still looked at; nothing is repaired over it."""
    path = bench.state / name
    path.write_text(path.read_text(encoding="utf-8")[:-20], encoding="utf-8")
    (root / "proc/cmdline").write_text("root=/dev/mapper/root\n")
    for options in ([], ["--fix"]):
        rc, found = examine(bench, root, *options)
        assert rc == 1 and name in found["state-damaged"]["text"] and not found["state-damaged"]["fixed"]
        assert "panic-missing" in found and "nothing-enrolled" not in found
    assert enrolled and bench.bootseal("status").rc == 9


def test_man_page_lists_the_kinds(bench, root):
    """Every kind is described, and those that --fix repairs are marked."""
    page = (REPOSITORY / "man/bootseal-doctor.8.scd").read_text(encoding="utf-8")
    section = page.split("# FINDINGS")[1].split("# OPTIONS")[0]
    listed = re.findall(r"_([a-z]+(?:-[a-z]+)+)_", section)
    checks = bench.bootseal("doctor", "--json", "--root", root).json["checks"]
    assert sorted(listed) == sorted(checks)
