"""The main job, on real measured boots: firmware, shim, signed GRUB and kernel under Secure Boot, root on LUKS2.

The machine is installed and enrolled as the README says: `meson install`, a boot, `bootseal enroll` in the running
system. The next boot, which nobody has booted before, asks for the PIN; copies of it refuse when their boot was changed.
"""

import json
import os
from pathlib import Path

import pytest

import initrd
import journal
from bootseal import check_schema
from machine import Machine
from sealed import (ENROLL_SECONDS, PIN, STATE, SealedMachine, enter_pin, entries_of_boot_ok, log_in_by_passphrase,
                    make_installed_image, write_secrets)
from storage import Volume, format_volume, run

BUILD = Path(os.environ.get("BOOTSEAL_BUILD", Path(__file__).resolve().parents[2] / "build"))
ROOT_DEVICE = "/dev/vda3"


@pytest.fixture(scope="module")
def sealed(tmp_path_factory, layout, progress, pytestconfig):
    """A machine that was enrolled, switched off: its next boot is the first one with the pins in the initramfs."""
    folder = tmp_path_factory.mktemp("sealed")
    image = make_installed_image(folder / "disk.img", layout, BUILD)
    machine = Machine(folder / "machine", [image.path], folder / "tpm", firmware_vars=folder / "vars.fd",
                      echo=pytestconfig.getoption("capture") == "no")
    with machine:
        progress("first boot: bootseal is installed, nothing is enrolled")
        machine.start()
        log_in_by_passphrase(machine, layout)
        report = json.loads(machine.read_file("/run/bootseal/report.json"))
        assert report["cap"] == {"pcr": 12, "done": True} and report["volumes"] == []
        write_secrets(machine, layout)
        output = machine.check(f"bootseal enroll --policy grub --unlock-key-file /run/passphrase --pin-file /run/pin "
                               f"--no-recovery-key {ROOT_DEVICE}", ENROLL_SECONDS)
        assert "the next boot asks for the PIN" in output
        machine.power_off()
    yield SealedMachine(image, folder / "tpm", folder / "vars.fd")
    image.path.unlink()


@pytest.fixture
def copy_of(sealed, tmp_path, pytestconfig):
    """copy_of(secure_boot=…): a copy of the sealed machine, its disk, and what drives it."""
    machines = []

    def make(secure_boot=True):
        copy = sealed.copy(tmp_path / f"copy-{len(machines)}")
        if not secure_boot:  # other firmware settings: the variables start afresh, the TPM is the same
            copy.firmware_vars.unlink()
        machines.append(Machine(tmp_path / f"machine-{len(machines)}", [copy.image.path], copy.tpm,
                                firmware_vars=copy.firmware_vars, secure_boot=secure_boot,
                                echo=pytestconfig.getoption("capture") == "no"))
        return machines[-1], copy.image

    yield make
    for machine in machines:
        machine.kill()
        machine.disks[0].unlink()


def refused_without_authority(machine) -> str:
    """Root of the running system with the PIN, but not the state folder's keys (threat row 10): what it is told."""
    machine.check(f"mkdir -m 700 /run/without && cp {STATE}/*.json /run/without/ && chmod 600 /run/without/*")
    status, output = machine.run(f"bootseal unlock --test --state-dir /run/without --pin-file /run/pin {ROOT_DEVICE}")
    assert status == 3, output
    return output


def test_threat_10_right_pin_boots_and_the_running_system_is_capped(copy_of, layout):
    """The PIN alone leads to multi-user; root there cannot unseal with it."""
    machine, _ = copy_of()
    machine.start()
    shown = enter_pin(machine, layout)
    assert "not the approved one" not in shown and "Please unlock disk" not in shown
    machine.wait_shell()
    assert "Please unlock disk" not in machine.before and PIN not in machine.console_log.read_text(errors="replace")
    machine.check("systemctl is-active multi-user.target || systemctl is-system-running --wait")

    report = json.loads(machine.read_file("/run/bootseal/report.json"))
    volume, = report["volumes"]
    assert (volume["name"], volume["opened"], volume["by"]) == (layout.volume_name, True, "tpm2-pin")
    assert report["cap"]["done"] and set(map(int, report["pcrs"])) >= {4, 7, 8, 9, 12, 14}
    entries = entries_of_boot_ok(machine)
    assert journal.kinds(entries) == ["PIN", "COMMITTED"]  # the boot that enrolled has had its time
    assert (entries[0]["BOOTSEAL_VOLUME"], entries[0]["PRIORITY"]) == (layout.volume_name, "6")

    write_secrets(machine, layout)
    assert "capped" in refused_without_authority(machine)
    status, output = machine.run(f"bootseal unlock --test --pin-file /run/pin {ROOT_DEVICE}")
    assert status == 0 and "by the authority" in output, output
    status = json.loads(machine.check("bootseal status --json"))
    assert status["tpm"]["lockout_counter"] == 0 and status["volumes"][0]["authority_opens"]
    machine.power_off()


def doctor(machine, *options):
    """{(kind, subject): finding}"""
    _, output = machine.run(f"bootseal doctor --json {' '.join(options)} 2>/dev/null", ENROLL_SECONDS)
    document = json.loads(output)
    check_schema(document, "doctor")
    return {(finding["kind"], finding["subject"]): finding for finding in document["findings"]}


def make_passphrase_dear(image, header):
    """Give the passphrase's keyslot a cost that bootseal gives none of its own: it passes for a leftover otherwise."""
    run(["cryptsetup", "luksConvertKey", "--key-slot=0", "--pbkdf=pbkdf2", "--pbkdf-force-iterations=2000",
         "--key-file=-", image.export_volume(header)], image.layout.passphrase)
    image.import_header(header)


@pytest.mark.full
def test_doctor_looks_into_the_initramfs_in_use(copy_of, layout, tmp_path):
    """It finds what this machine's owner has left undone and nothing else, until the pins change; and mends that."""
    machine, image = copy_of()
    make_passphrase_dear(image, tmp_path / "header")
    machine.disks.append(format_volume(tmp_path / "data.luks", Volume("cryptdata", 16, passphrase=layout.passphrase)))
    machine.start()
    enter_pin(machine, layout)
    machine.wait_shell()
    left_undone = {("no-recovery-key", layout.volume_name), ("passphrase-left", layout.volume_name),
                   ("panic-missing", ""), ("boot-unencrypted", "/boot")}
    assert set(doctor(machine)) == left_undone

    write_secrets(machine, layout)
    machine.check("echo cryptdata /dev/vdb none luks,noauto >>/etc/crypttab")
    machine.check("bootseal enroll --policy grub --unlock-key-file /run/passphrase --pin-file /run/pin --no-initramfs "
                  "--no-recovery-key --name cryptdata /dev/vdb", ENROLL_SECONDS)
    stale = {key for key, finding in doctor(machine).items() if finding["fixable"]}
    assert stale and {kind for kind, _ in stale} == {"initramfs-pins-differ"}
    mended = doctor(machine, "--fix")
    assert all(mended[key]["fixed"] for key in stale)
    assert not stale & set(doctor(machine))
    pins = machine.read_file(f"{STATE}/pins.json")
    machine.power_off()
    name, = (name for name in image.boot.names("/") if name.startswith("initrd.img-") and "cloud" in name)
    (tmp_path / "initrd").write_bytes(image.boot.read(f"/{name}"))
    assert initrd.read(tmp_path / "initrd")["etc/bootseal/pins.json"] == pins


def expect_refusal(machine, layout, pcr):
    """The boot is refused with the PCR named, no PIN is asked, and the passphrase still opens the volume."""
    machine.start()
    machine.enter_passphrase(layout)
    shown = machine.before
    assert f"PCR {pcr} (" in shown and "not the approved one" in shown, shown
    assert "PIN for" not in shown
    machine.wait_shell()


def test_threat_01_command_line_changed(copy_of, layout):
    machine, image = copy_of()
    # Of the entry that boots: the first one.
    image.boot.edit("/grub/grub.cfg", lambda text: text.replace(b" quiet", b" quiet planted=1", 1))
    expect_refusal(machine, layout, 8)


def test_threat_01_initrd_replaced(copy_of, layout):
    machine, image = copy_of()
    name, = (name for name in image.boot.names("/") if name.startswith("initrd.img-") and "cloud" in name)
    # What follows the archive's end is measured like the rest, and the kernel unpacks the same files.
    image.boot.edit(f"/{name}", lambda content: content + bytes(512))
    expect_refusal(machine, layout, 9)


def test_threat_02_secure_boot_off(copy_of, layout):
    machine, _ = copy_of(secure_boot=False)
    expect_refusal(machine, layout, 7)


@pytest.mark.full
def test_threat_10_suspended_for_one_reboot(copy_of, layout):
    """The changed boot asks for the PIN and says so; root there cannot unseal; the boot after it is refused."""
    machine, image = copy_of()
    machine.start()
    enter_pin(machine, layout)
    machine.wait_shell()
    assert "suspended: 1 reboot left" in machine.check("bootseal suspend")
    machine.power_off()

    image.boot.edit("/grub/grub.cfg", lambda text: text.replace(b" quiet", b" quiet planted=1", 1))
    machine.start()
    shown = enter_pin(machine, layout)
    assert "bootseal is suspended (by hand): this boot is not an approved one" in shown, shown
    assert "0 more reboots are covered" in shown and "Please unlock disk" not in shown, shown
    machine.wait_shell()
    assert "planted=1" in machine.check("cat /proc/cmdline")
    entries = entries_of_boot_ok(machine)
    assert journal.kinds(entries)[:3] == ["SUSPENDED", "PIN", "CHANGED"], entries
    assert "8" in entries[0]["BOOTSEAL_PCRS"].split(", ")
    write_secrets(machine, layout)
    refused_without_authority(machine)
    machine.power_off()
    expect_refusal(machine, layout, 8)
