"""Machines that boot from an EFI system partition of their own disk, with no shim and no GRUB.

Plans of layouts.py whose first disk is the ESP: what seal() approves is a boot by the firmware alone, so that the first
boot from the ESP asks for the passphrase. The programs on it are made here, outside.
"""

from pathlib import Path

from image import INITRAMFS_MODULES, MIB, SECTOR_SIZE, BootFiles, FatPartition
from layouts import PLAIN, ROOT, Plan
from owner_keys import OwnerKeys
from storage import empty_file, run

PROGRAMS = Path("/usr/lib/systemd/boot/efi")
STUB = PROGRAMS / "linuxx64.efi.stub"
SYSTEMD_BOOT = PROGRAMS / "systemd-bootx64.efi"
FIRST_PROGRAM = "/EFI/BOOT/BOOTX64.EFI"
ESP_MOUNT = "/boot/efi"

ESP_MIB = 160
ESP_SERIAL = "B007-5EA1"
# The sections' places in memory, with room for each.
SECTIONS = (".osrel", 0x20000), (".cmdline", 0x30000), (".linux", 0x2000000), (".initrd", 0x4000000)
OS_RELEASE = b'ID=debian\nVERSION_ID="12"\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n'


def esp_of(disk: Path) -> FatPartition:
    """The files of the ESP."""
    return FatPartition(disk, MIB)


def _make_esp(path: Path) -> Path:
    """A disk with an empty ESP on it."""
    empty_file(path, (ESP_MIB + 2) * MIB)
    run(["sgdisk", "--disk-guid=00000000-0000-4000-8000-0000b0075e59", f"--new=1:{MIB // SECTOR_SIZE}:+{ESP_MIB}M",
         "--typecode=1:ef00", "--partition-guid=1:00000001-0000-4000-8000-0000b0075e59", path])
    run(["mformat", "-i", f"{path}@@{MIB}", "-T", ESP_MIB * MIB // SECTOR_SIZE, "-N", ESP_SERIAL.replace("-", ""),
         "-v", "ESP", "::"])
    return path


def esp_plan(name: str, pcrs) -> Plan:
    """The root on one volume, and before it the ESP; the policy's PCRs."""
    return PLAIN.but(
        name=name, policy={"pcrs": list(pcrs)},
        fill=lambda workshop: [_make_esp(workshop.folder / "esp.img"), workshop.encrypt(ROOT, workshop.root())],
        fstab=f"{PLAIN.fstab}UUID={ESP_SERIAL} {ESP_MOUNT} vfat umask=0077 0 0\n",
        # the root file system has no modules
        modules=(*INITRAMFS_MODULES, "efivarfs", "vfat", "nls_ascii", "nls_cp437", "nls_utf8"),
        tree_files={"etc/systemd/system.conf.d/patient.conf": "[Manager]\nDefaultDeviceTimeoutSec=600s\n"})


def sign(program: Path, keys: OwnerKeys) -> Path:
    """A program signed by the owner's db key, in place."""
    run(["sbsign", "--key", keys.key("db"), "--cert", keys.certificate("db"), "--output", program, program])
    return program


def make_uki(path: Path, boot: BootFiles, command_line: str) -> Path:
    """A unified kernel image."""
    small = {".osrel": OS_RELEASE, ".cmdline": command_line.encode("ascii")}
    files = {".linux": boot.kernel, ".initrd": boot.initrd}
    for name, content in small.items():
        files[name] = path.with_suffix(name)
        files[name].write_bytes(content)
    arguments = []
    for name, address in SECTIONS:
        arguments += ["--add-section", f"{name}={files[name]}", "--change-section-vma", f"{name}={address:#x}"]
    run(["objcopy", *arguments, STUB, path])
    for name in small:
        files[name].unlink()
    return path
