"""Predicted PCRs against those after the real boot, where the firmware starts something else than shim and GRUB.

A machine's first boot is not an approved one and asks for the passphrase; what `reseal --predict` approves there, and
in each boot after, opens the next one by the PIN alone. What it has not approved does not.
"""

import hashlib
import json
import struct
import uuid
from pathlib import Path

import pytest

from bootseal import check_schema
from debian import debian_tree
from esp import ESP_MOUNT, ESP_SERIAL, FIRST_PROGRAM, SYSTEMD_BOOT, esp_of, esp_plan, make_uki, sign
from image import ESP_FILES, MIB
from layouts import ROOT
from machine import Machine
from owner_keys import CERT_X509, SECURITY, OwnerKeys, signature_list
from sealed import RESEAL_SECONDS, boot_by_pin
from storage import clone, empty_file

BOOT_OK_SECONDS = 600
DBX = f"/sys/firmware/efi/efivars/dbx-{SECURITY}"

pytestmark = pytest.mark.full


def log_in(machine, progress, what) -> str:
    """The boot is not an approved one: Debian's own prompt leads to a shell.  The reason."""
    progress(f"by the passphrase: {what}")
    machine.start()
    machine.answer_prompt(ROOT.name, ROOT.passphrase)
    shown = machine.before
    assert "not the approved one" in shown and "PIN for" not in shown, shown
    return shown


def boot(machine, progress, what):
    """The PIN, and nothing else, leads to a shell."""
    progress(f"by the PIN: {what}")
    machine.start()
    boot_by_pin(machine, ROOT.name)
    # boot-ok has been through: it drops what this boot has outlived, which the next steps rest on
    machine.check("systemctl start bootseal-boot-ok.service", BOOT_OK_SECONDS)


def verify(machine, chain, pcrs):
    """The running boot, predicted from its own sources, is what was measured."""
    output = machine.run("bootseal predict --verify --json 2>/dev/null", RESEAL_SECONDS)[1]
    answer = json.loads(output[output.index("{"):])
    check_schema(answer, "predict")
    results = {int(pcr): result["result"] for pcr, result in answer["verify"]["pcrs"].items()}
    assert results == dict.fromkeys(pcrs, "good"), answer["verify"]
    assert answer["boot_chain"] == chain


def approve_this_boot(machine):
    """As after an enrolment: the boot that runs is approved, and known to come out as its own sources say."""
    machine.check("bootseal reseal --current", RESEAL_SECONDS)
    machine.run("bootseal reseal --predict", RESEAL_SECONDS)  # nobody has vouched for the files yet


def reseal(machine, *options):
    """`bootseal reseal --predict`, which must approve the next boot."""
    status, output = machine.run(f"bootseal reseal --predict --json {' '.join(options)} 2>/run/words", RESEAL_SECONDS)
    assert status == 0, output + machine.run("cat /run/words")[1]
    answer = json.loads(output[output.index("{"):])
    check_schema(answer, "reseal")
    assert answer["prediction"]["next_boot_opens"], (answer, machine.check("cat /run/words"))


def write_dbx(machine, update):
    """Add to dbx as fwupd does: one write to the variable's file."""
    machine.write_file("/run/dbx", update)
    machine.check(f"test ! -e {DBX} || chattr -i {DBX}; dd if=/run/dbx of={DBX} bs=64K")


@pytest.fixture(name="efi_machine")
def machine_with_esp(tmp_path, sealed_layout, pytestconfig):
    """efi_machine(plan, **options): a machine whose disks are its own; its first disk is the ESP."""
    machines = []

    def make(plan, **options):
        sealed = sealed_layout(plan)
        disks = [clone(disk, tmp_path / disk.name) for disk in sealed.disks]
        options = {"secure_boot": False, "echo": pytestconfig.getoption("capture") == "no", **options}
        machines.append(Machine(tmp_path / "machine", disks, sealed.copy_tpm(tmp_path / "tpm"), **options))
        return machines[-1]

    yield make
    for machine in machines:
        machine.kill()
        for disk in machine.disks:
            disk.unlink()


UKI_PCRS = (4, 7, 11, 12, 13)
STARTED = f"{ESP_MOUNT}{FIRST_PROGRAM}"
UNIFIED = esp_plan("unified", UKI_PCRS)


def test_unified_image_and_dbx(efi_machine, sealed_layout, tmp_path, progress):
    """The firmware starts a unified kernel image. Another image and an update of dbx were predicted; a system extension
    beside the image, and an update of dbx past bootseal, were not."""
    keys = OwnerKeys.make(tmp_path / "keys")
    machine = efi_machine(UNIFIED, firmware_vars=keys.write_firmware_vars(tmp_path / "vars.fd"))
    boot_files = sealed_layout(UNIFIED).boot
    first = sign(make_uki(tmp_path / "first.efi", boot_files, UNIFIED.command_line), keys)
    second = sign(make_uki(tmp_path / "second.efi", boot_files, f"{UNIFIED.command_line} audit=0"), keys)
    esp = esp_of(machine.disks[0])
    for folder in ("/EFI", "/EFI/BOOT", "/new"):
        esp.make_folder(folder)
    esp.write(FIRST_PROGRAM, first.read_bytes())
    esp.write("/new/second.efi", second.read_bytes())

    log_in(machine, progress, "nothing is approved yet")
    machine.wait_shell()
    assert machine.read_file("/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c")[4] == 1
    verify(machine, "uki", UKI_PCRS)
    approve_this_boot(machine)
    before = machine.pcr(7)
    machine.check(f"cp {ESP_MOUNT}/new/second.efi {STARTED}")
    update = keys.dbx_update(b"\1" * 32, tmp_path)
    machine.write_file("/run/dbx.auth", update[4:])  # as it is published, without efivarfs' attributes
    reseal(machine, "--trust", STARTED, "--variable", "dbx+=/run/dbx.auth")
    write_dbx(machine, update)
    machine.check("sync")
    machine.kill()  # nothing has looked at the variable since it was written

    boot(machine, progress, "another image, and an update of dbx that was approved by its file")
    assert "audit=0" in machine.check("cat /proc/cmdline") and machine.pcr(7) != before
    verify(machine, "uki", UKI_PCRS)
    write_dbx(machine, keys.dbx_update(b"\2" * 32, tmp_path))
    machine.kill()  # or the last look at the shutdown would have approved it

    esp.make_folder(f"{FIRST_PROGRAM}.extra.d")
    esp.write(f"{FIRST_PROGRAM}.extra.d/planted.raw", b"somebody else's programs")
    reason = log_in(machine, progress, "dbx past bootseal, an extension beside the image")
    assert "PCR 7" in reason and "PCR 13" in reason, reason


TYPE_1_PCRS = (4, 7, 9, 12)
TYPE_1 = esp_plan("systemd-boot", TYPE_1_PCRS)
LOADER = uuid.UUID("4a67b082-0a4c-41cf-b6c7-440b29bb8c4f")
ENTRIES = f"{ESP_MOUNT}/loader/entries"


def entry(options: str) -> bytes:
    """A boot loader entry of type 1."""
    return f"title Debian\nversion 6.1\nlinux /linux\ninitrd /initrd\noptions {options}\n".encode("ascii")


def set_oneshot(machine, name):
    """What `bootctl set-oneshot` writes: the entry of the next boot alone."""
    machine.write_file("/run/oneshot", struct.pack("<I", 7) + f"{name}\0".encode("utf-16-le"))
    machine.check(f"dd if=/run/oneshot of=/sys/firmware/efi/efivars/LoaderEntryOneShot-{LOADER} bs=4K")


def test_systemd_boot(efi_machine, sealed_layout, progress):
    """Entries of systemd-boot: one is changed, the other is chosen for one boot."""
    machine = efi_machine(TYPE_1)
    boot_files = sealed_layout(TYPE_1).boot
    esp = esp_of(machine.disks[0])
    for folder in ("/EFI", "/EFI/BOOT", "/loader", "/loader/entries"):
        esp.make_folder(folder)
    esp.write(FIRST_PROGRAM, SYSTEMD_BOOT.read_bytes())
    esp.write("/linux", boot_files.kernel.read_bytes())
    esp.write("/initrd", boot_files.initrd.read_bytes())
    esp.write("/loader/loader.conf", b"timeout 0\ndefault first.conf\n")
    esp.write("/loader/entries/first.conf", entry(TYPE_1.command_line))
    esp.write("/loader/entries/other.conf", entry(f"{TYPE_1.command_line} audit=1"))

    log_in(machine, progress, "nothing is approved yet")
    machine.wait_shell()
    verify(machine, "systemd-boot", TYPE_1_PCRS)
    approve_this_boot(machine)
    machine.write_file(f"{ENTRIES}/first.conf", entry(f"{TYPE_1.command_line} audit=0"))
    for file in (STARTED, f"{ESP_MOUNT}/linux", f"{ESP_MOUNT}/initrd", f"{ENTRIES}/other.conf",
                 f"{ESP_MOUNT}/loader/loader.conf"):
        machine.run(f"bootseal reseal --predict --trust {file}", RESEAL_SECONDS)
    reseal(machine, "--trust", f"{ENTRIES}/first.conf")
    machine.power_off()

    boot(machine, progress, "the entry with other options")
    assert "audit=0" in machine.check("cat /proc/cmdline")
    verify(machine, "systemd-boot", TYPE_1_PCRS)
    set_oneshot(machine, "other.conf")
    reseal(machine)
    machine.power_off()

    boot(machine, progress, "the other entry, once")
    assert "audit=1" in machine.check("cat /proc/cmdline")
    verify(machine, "systemd-boot", TYPE_1_PCRS)
    machine.power_off()

    boot(machine, progress, "the first entry again")
    assert "audit=0" in machine.check("cat /proc/cmdline")


GRUB_PCRS = (4, 7, 8, 9, 12, 14)
GRUB = esp_plan("grub-on-esp", GRUB_PCRS)
GRUB_PROGRAM = "/EFI/BOOT/grubx64.efi"
MOK_MANAGER = "/EFI/BOOT/mmx64.efi"
MOK_PASSWORD = "panel"
SHIM_LOCK = uuid.UUID("605dab50-e046-4300-abb6-3dd810dd8b23")
SHIM = Path("/usr/lib/shim/shimx64.efi")  # not signed
GRUB_CFG = """\
set timeout=0
search --no-floppy --fs-uuid --set=root {uuid}
menuentry 'Debian' --id debian {{
	linux ($root)/linux {command_line}
	initrd ($root)/initrd
}}
"""


def fill_grub_esp(disk, boot_files, shim: bytes, grub: bytes):
    """Shim, GRUB with its configuration, kernel and initrd, all on the ESP."""
    esp = esp_of(disk)
    for folder in ("/EFI", "/EFI/BOOT", "/EFI/debian", "/new"):
        esp.make_folder(folder)
    esp.write(FIRST_PROGRAM, shim)
    esp.write(GRUB_PROGRAM, grub)
    configuration = GRUB_CFG.format(uuid=ESP_SERIAL, command_line=GRUB.command_line)
    esp.write("/EFI/debian/grub.cfg", configuration.encode("ascii"))
    esp.write("/linux", boot_files.kernel.read_bytes())
    esp.write("/initrd", boot_files.initrd.read_bytes())
    return esp


def trust_grub_esp(machine):
    """All that the first boot read of the ESP: `bootseal enroll` would have put it on record."""
    for file in (STARTED, f"{ESP_MOUNT}{GRUB_PROGRAM}", f"{ESP_MOUNT}/linux", f"{ESP_MOUNT}/initrd"):
        machine.run(f"bootseal reseal --predict --trust {file}", RESEAL_SECONDS)
    reseal(machine, "--trust", f"{ESP_MOUNT}/EFI/debian/grub.cfg")


def test_usb_disk_left_in(efi_machine, sealed_layout, tmp_path, progress):
    """GRUB counts the disks in another order: that was approved too, and the PIN is the only question."""
    machine = efi_machine(GRUB, secure_boot=True)
    signed = [(debian_tree() / ESP_FILES[path]).read_bytes() for path in (FIRST_PROGRAM, GRUB_PROGRAM)]
    fill_grub_esp(machine.disks[0], sealed_layout(GRUB).boot, *signed)
    stick = empty_file(tmp_path / "stick.img", 32 * MIB)

    log_in(machine, progress, "nothing is approved yet")
    machine.wait_shell()
    verify(machine, "shim-grub", GRUB_PCRS)
    approve_this_boot(machine)
    trust_grub_esp(machine)
    without = machine.pcr(8)
    machine.power_off()

    machine.extra_arguments = ["-device", "qemu-xhci", "-drive", f"if=none,id=stick,format=raw,file={stick}",
                               # OVMF looks at the disks that QEMU lets it boot from, and at no others
                               "-device", "usb-storage,drive=stick,bootindex=9"]
    boot(machine, progress, "with a USB disk")
    assert machine.pcr(8) != without
    verify(machine, "shim-grub", GRUB_PCRS)


def enroll_owner_key(machine) -> None:
    """What a person does who is asked by MokManager: a key, "Enroll MOK", "Continue", "Yes", the password, "Reboot"."""
    machine.expect("Press any key to perform MOK management")
    machine.press("ret", "down", "ret", "down", "ret", "down", "ret")
    for key in MOK_PASSWORD:  # not shown
        machine.send_key(key)
    machine.press("ret", "ret")


def request_owner_key(machine, certificate: bytes) -> None:
    """What `mokutil --import` leaves for shim: the key, and the password's hash (MokManager.c, match_password())."""
    new = signature_list(CERT_X509, certificate)
    password = hashlib.sha256(new + MOK_PASSWORD.encode("utf-16-le")).digest()
    for name, content in (("MokNew", new), ("MokAuth", password)):
        machine.write_file("/run/variable", struct.pack("<I", 7) + content)
        machine.check(f"dd if=/run/variable of=/sys/firmware/efi/efivars/{name}-{SHIM_LOCK} bs=64K")


def test_owner_key(efi_machine, sealed_layout, tmp_path, progress):
    """A further key of the machine's owner: the boot after a person has enrolled it was approved before he was asked; and
    the boot in which nobody answers."""
    keys = OwnerKeys.make(tmp_path / "keys")
    machine = efi_machine(GRUB, secure_boot=True)
    signed = [(debian_tree() / ESP_FILES[path]).read_bytes() for path in (FIRST_PROGRAM, GRUB_PROGRAM)]
    esp = fill_grub_esp(machine.disks[0], sealed_layout(GRUB).boot, *signed)
    esp.write(MOK_MANAGER, (debian_tree() / "usr/lib/shim/mmx64.efi.signed").read_bytes())

    log_in(machine, progress, "nothing is approved yet")
    machine.wait_shell()
    verify(machine, "shim-grub", GRUB_PCRS)
    approve_this_boot(machine)
    trust_grub_esp(machine)
    before = machine.pcr(14)
    request_owner_key(machine, keys.der("db"))
    reseal(machine, "--trust", f"{ESP_MOUNT}{MOK_MANAGER}")
    machine.power_off()

    progress("a person at MokManager, then the PIN: an owner's key")
    machine.start()
    enroll_owner_key(machine)
    boot_by_pin(machine, ROOT.name)
    assert machine.pcr(14) != before
    verify(machine, "shim-grub", GRUB_PCRS)
    before = machine.pcr(4), machine.pcr(14)
    request_owner_key(machine, keys.der("KEK"))
    reseal(machine)
    machine.power_off()

    boot(machine, progress, "nobody at MokManager, and no key enrolled")
    assert machine.pcr(4) != before[0] and machine.pcr(14) == before[1]
    verify(machine, "shim-grub", GRUB_PCRS)


def another_build(program: bytes) -> bytes:
    """Another build of a program, for Authenticode: the text that it would show under DOS differs."""
    assert program.count(b"run in DOS mode") == 1
    return program.replace(b"run in DOS mode", b"run by DOS here")


def test_new_shim_and_grub(efi_machine, sealed_layout, tmp_path, progress):
    """Another shim, and another GRUB that another certificate vouches for; then the first GRUB, past bootseal."""
    keys = OwnerKeys.make(tmp_path / "keys")
    machine = efi_machine(GRUB, firmware_vars=keys.write_firmware_vars(tmp_path / "vars.fd"))
    tree = debian_tree()
    unsigned = {"shim": SHIM.read_bytes(), "new-shim": another_build(SHIM.read_bytes()),
                "new-grub": another_build((tree / "usr/lib/grub/x86_64-efi/monolithic/grubx64.efi").read_bytes())}
    owned = {}
    for name, content in unsigned.items():
        (tmp_path / name).write_bytes(content)
        owned[name] = sign(tmp_path / name, keys).read_bytes()
    debians_grub = (tree / ESP_FILES[GRUB_PROGRAM]).read_bytes()  # shim's own certificate vouches for it
    esp = fill_grub_esp(machine.disks[0], sealed_layout(GRUB).boot, owned["shim"], debians_grub)
    esp.write("/new/shim", owned["new-shim"])
    esp.write("/new/grub", owned["new-grub"])
    esp.write("/new/first-grub", debians_grub)

    log_in(machine, progress, "nothing is approved yet")
    machine.wait_shell()
    verify(machine, "shim-grub", GRUB_PCRS)
    approve_this_boot(machine)
    trust_grub_esp(machine)
    before = machine.pcr(4), machine.pcr(7)
    machine.check(f"cp {ESP_MOUNT}/new/shim {STARTED} && cp {ESP_MOUNT}/new/grub {ESP_MOUNT}{GRUB_PROGRAM}")
    machine.run(f"bootseal reseal --predict --trust {STARTED}", RESEAL_SECONDS)
    reseal(machine, "--trust", f"{ESP_MOUNT}{GRUB_PROGRAM}")
    machine.power_off()

    boot(machine, progress, "another shim and another GRUB")
    assert machine.pcr(4) != before[0] and machine.pcr(7) != before[1]
    verify(machine, "shim-grub", GRUB_PCRS)
    machine.check(f"cp {ESP_MOUNT}/new/first-grub {ESP_MOUNT}{GRUB_PROGRAM}")
    findings = json.loads(machine.run("bootseal doctor --json 2>/dev/null", RESEAL_SECONDS)[1])["findings"]
    told = {finding["kind"]: finding["subject"] for finding in findings}
    assert "next-boot-not-approved" in told and told["boot-file-changed"].endswith(GRUB_PROGRAM), told
    machine.power_off()

    reason = log_in(machine, progress, "the first GRUB, past bootseal")
    assert "PCR 4" in reason, reason
