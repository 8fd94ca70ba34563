"""Every disk layout that Debian makes boots by one PIN, typed once."""

import dataclasses
import json
import os
import time

import pytest

from image import INITRAMFS_MODULES, MIB
from layouts import (BOOT_PCR, CAP_PCR, CONSOLE, EVERY_DRIVER, LVM_ON_LUKS, PLAIN, ROOT_MIB, SEVERAL, Plan,
                     boot_events, extended, is_capped)
from sealed import PIN, answer_pin_prompt, boot_by_pin
from storage import Volume, clone, fixed_uuid

# Where a disk can be plugged into a machine that runs.
SLOT = ("-device", "pcie-root-port,id=late-slot,chassis=1,slot=1")
WAITING = r"waiting for cryptroot"


def check_system(machine, volumes):
    """Multi-user is reached, the boot is capped, and the report says which volumes the PIN opened."""
    machine.check("systemctl is-active multi-user.target || systemctl is-system-running --wait")
    assert is_capped(machine.pcr(CAP_PCR))
    report = json.loads(machine.read_file("/run/bootseal/report.json"))
    assert report["cap"] == {"pcr": CAP_PCR, "done": True}
    assert [(volume["name"], volume["by"]) for volume in report["volumes"]] == [(name, "tpm2-pin") for name in volumes]
    assert PIN not in machine.console_log.read_text(errors="replace")


def boot_layout(machine, *volumes):
    """A boot by one PIN, with no disk and no word out of place."""
    machine.start()
    boot_by_pin(machine, ", ".join(volumes))
    check_system(machine, volumes)


def check_source(machine, folder, mapping):
    """The file system mounted there lies on that mapping, by whatever name it was mounted."""
    source = machine.check(f"findmnt --noheadings --nofsroot --output SOURCE {folder} | xargs readlink -f")
    assert source == machine.check(f"readlink -f /dev/mapper/{mapping}")


def test_plain(sealed_layout, layout_machine, progress):
    """The root file system on one LUKS2 volume; and what all these tests stand on: the boot is measured as foreseen."""
    sealed = sealed_layout(PLAIN)
    machine = layout_machine(sealed)
    boot_layout(machine, "cryptroot")
    expected = bytes(32)
    for event in boot_events(sealed.boot):
        expected = extended(expected, event)
    assert machine.pcr(BOOT_PCR) == expected
    check_source(machine, "/", "cryptroot")
    progress(f"shell after {machine.seconds:.0f} s")


def test_lvm_on_luks_with_resume_device(sealed_layout, layout_machine):
    """Root and swap inside the volume; the swap holds no image, and the boot goes on."""
    machine = layout_machine(sealed_layout(LVM_ON_LUKS))
    boot_layout(machine, "cryptroot")
    check_source(machine, "/", "panel-root")
    assert "/dev/dm-" in machine.check("swapon --noheadings --show=NAME")
    assert machine.read_file("/sys/power/resume") not in (b"", b"0:0\n")


def fill_luks_on_lvm(workshop):
    """The LUKS2 volume is a logical volume."""
    return [workshop.lvm("disks", {"sealed": workshop.encrypt(PLAIN.volumes[0], workshop.root())})]


@pytest.mark.full
def test_luks_on_lvm(sealed_layout, layout_machine):
    machine = layout_machine(sealed_layout(PLAIN.but(name="luks-on-lvm", fill=fill_luks_on_lvm)))
    boot_layout(machine, "cryptroot")
    check_source(machine, "/", "cryptroot")
    assert "disks-sealed" in machine.check("lsblk --noheadings --inverse --output NAME /dev/mapper/cryptroot")


USR_APART = Plan(
    "usr-apart", (Volume("cryptroot", 96), Volume("cryptusr", 224)),
    lambda workshop: [workshop.encrypt(USR_APART.volumes[0], workshop.root(96, without=("usr",))),
                      workshop.encrypt(USR_APART.volumes[1], workshop.usr(224))],
    fstab=("/dev/mapper/cryptroot / ext4 errors=remount-ro 0 0\n"
           "/dev/mapper/cryptusr /usr ext4 defaults 0 0\n"))


@pytest.mark.full
def test_usr_apart(sealed_layout, layout_machine):
    """/usr on a second volume: one prompt for both."""
    machine = layout_machine(sealed_layout(USR_APART))
    boot_layout(machine, "cryptroot", "cryptusr")
    check_source(machine, "/", "cryptroot")
    check_source(machine, "/usr", "cryptusr")


BTRFS = Plan(
    "btrfs", (Volume("cryptroot", 512), Volume("cryptmore", 128)),
    lambda workshop: [workshop.encrypt(BTRFS.volumes[0], workshop.root_btrfs(512)),
                      workshop.encrypt(BTRFS.volumes[1], workshop.swap("unused", fixed_uuid("unused"), 128))],
    fstab="/dev/mapper/cryptroot / btrfs defaults 0 0\n", modules=(*INITRAMFS_MODULES, "btrfs"))


@pytest.mark.full
def test_btrfs_on_one_volume_then_on_two(sealed_layout, layout_machine, tmp_path):
    """The root file system grows over a second volume in the running system; the next boot needs both."""
    sealed = sealed_layout(BTRFS)
    disks = [clone(disk, tmp_path / disk.name) for disk in sealed.disks]
    machine = layout_machine(sealed, disks, keep_disks=True)
    boot_layout(machine, "cryptroot", "cryptmore")
    check_source(machine, "/", "cryptroot")
    machine.check("btrfs device add --force /dev/mapper/cryptmore /")
    machine.power_off()

    boot_layout(machine, "cryptroot", "cryptmore")
    assert "Total devices 2" in machine.check("btrfs filesystem show /")
    assert "missing" not in machine.check("btrfs filesystem show /")
    machine.kill()
    for disk in disks:
        disk.unlink()


def test_several_volumes_and_crypttab_options(sealed_layout, layout_machine):
    """One PIN for two volumes; a third is left to Debian's prompt, a fourth to nobody; crypttab's options hold."""
    machine = layout_machine(sealed_layout(SEVERAL))
    machine.start()
    answer_pin_prompt(machine, "cryptroot, cryptdata")
    machine.answer_prompt("cryptold", SEVERAL.volume("cryptold").passphrase)
    machine.wait_shell()
    check_system(machine, ["cryptroot", "cryptdata"])
    names = machine.check("dmsetup ls").split()[::2]
    assert sorted(names) == ["cryptdata", "cryptold", "cryptroot"]
    root, data = (machine.check(f"dmsetup table {name}") for name in ("cryptroot", "cryptdata"))
    for option in ("allow_discards", "no_read_workqueue", "no_write_workqueue"):
        assert option in root and option not in data, (root, data)
    for option in ("same_cpu_crypt", "submit_from_crypt_cpus"):
        assert option in data and option not in root, (root, data)
    assert machine.check("blockdev --getro /dev/mapper/cryptdata").strip() == "1"
    # Without the root's pin the next boot would be stopped.
    status, output = machine.run(f"bootseal remove UUID={SEVERAL.volume('cryptroot').uuid}")
    assert status == 10 and "the boot would be stopped" in output, output


OPEN = SEVERAL.but(name="several-open", volumes=tuple(dataclasses.replace(volume, enrolled=False)
                                                      for volume in SEVERAL.volumes))


@pytest.mark.full
def test_a_data_volume_is_not_enrolled_before_the_root(sealed_layout, layout_machine):
    """With its pin alone the next boot would be stopped, since the root lies on no pinned volume."""
    machine = layout_machine(sealed_layout(OPEN))
    machine.start()
    for volume in OPEN.volumes[:3]:
        machine.answer_prompt(volume.name, volume.passphrase)
    machine.wait_shell()
    machine.write_file("/run/pin", PIN.encode())
    machine.write_file("/run/passphrase", OPEN.volume("cryptdata").passphrase)
    enroll = "bootseal enroll --no-initramfs --no-recovery-key --pin-file /run/pin --unlock-key-file /run/passphrase"
    machine.write_file("/run/any.json", b'{ "pcrs": [9, 12], "root": "any" }')
    machine.write_file("/run/pinned.json", b'{ "pcrs": [9, 12] }')
    data, root = (f"UUID={OPEN.volume(name).uuid}" for name in ("cryptdata", "cryptroot"))
    status, output = machine.run(f"{enroll} --policy /run/pinned.json {data}")
    assert status == 10 and "the boot would be stopped" in output and "enroll the root's volume first" in output, output
    assert "bootseal" not in machine.check(f"cryptsetup luksDump $(blkid --uuid {data[5:]})")
    machine.check(f"{enroll} --policy /run/any.json {data}")
    machine.check(f"{enroll} --policy /run/pinned.json {root}")


HEADER_APART = Plan(
    "header-apart",
    (Volume("cryptroot", ROOT_MIB, header_apart=True, source="/dev/disk/by-id/virtio-disk1",
            options="luks,initramfs,discard,header=/dev/disk/by-id/virtio-disk0"),),
    lambda workshop: [workshop.volume_path(HEADER_APART.volumes[0]),
                      workshop.encrypt(HEADER_APART.volumes[0], workshop.root())])


@pytest.mark.full
def test_header_apart(sealed_layout, layout_machine):
    """The header is on a disk of its own, where bootseal was enrolled; the data have none."""
    machine = layout_machine(sealed_layout(HEADER_APART))
    boot_layout(machine, "cryptroot")
    check_source(machine, "/", "cryptroot")
    assert "allow_discards" in machine.check("dmsetup table cryptroot")
    below = machine.check("lsblk --noheadings --inverse --output SERIAL /dev/mapper/cryptroot").split()
    assert below == ["disk1"]


# ---- disks that are not there yet ----


def boot_with_late_disk(machine, disk, device, seconds=8, **properties):
    """Plug the disk in, some seconds after bootseal began to wait for it."""
    machine.start()
    machine.expect(WAITING)
    time.sleep(seconds)
    machine.plug(disk, device, **properties)
    boot_by_pin(machine, "cryptroot")
    check_system(machine, ["cryptroot"])


@pytest.mark.full
def test_late_virtio_disk(sealed_layout, layout_machine):
    sealed = sealed_layout(PLAIN)
    machine = layout_machine(sealed, [], extra_arguments=SLOT)
    boot_with_late_disk(machine, sealed.disks[0], "virtio-blk-pci", bus="late-slot")


@pytest.mark.full
def test_late_nvme_disk(sealed_layout, layout_machine):
    sealed = sealed_layout(PLAIN)
    machine = layout_machine(sealed, [], extra_arguments=SLOT)
    boot_with_late_disk(machine, sealed.disks[0], "nvme", bus="late-slot", serial="late")


@pytest.mark.full
def test_late_usb_disk(sealed_layout, layout_machine):
    sealed = sealed_layout(EVERY_DRIVER)
    machine = layout_machine(sealed, [], extra_arguments=["-device", "qemu-xhci,id=usb"])
    boot_with_late_disk(machine, sealed.disks[0], "usb-storage", bus="usb.0")


@pytest.mark.full
def test_sd_card(sealed_layout, layout_machine, tmp_path):
    """QEMU's SD card cannot be plugged in later, but the driver finds it late enough. Its size is a power of two."""
    sealed = sealed_layout(EVERY_DRIVER)
    card = clone(sealed.disks[0], tmp_path / "card.img")
    os.truncate(card, 512 * MIB)
    machine = layout_machine(sealed, [card], bus="sd-card", extra_arguments=["-device", "sdhci-pci"])
    machine.start()
    boot_by_pin(machine, "cryptroot")
    check_system(machine, ["cryptroot"])
    assert machine.check("lsblk --noheadings --inverse --output NAME /dev/mapper/cryptroot").count("mmcblk") == 1
    card.unlink()


@pytest.mark.full
def test_rootdelay_prolongs_the_wait(sealed_layout, layout_machine):
    """Without rootdelay= bootseal waits 30 s."""
    sealed = sealed_layout(PLAIN.but(name="rootdelay", kernel_options=f"{CONSOLE} rootdelay=45"))
    machine = layout_machine(sealed, [], extra_arguments=SLOT)
    boot_with_late_disk(machine, sealed.disks[0], "virtio-blk-pci", seconds=36, bus="late-slot")
