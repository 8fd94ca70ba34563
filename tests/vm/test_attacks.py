"""The attacker's own root beside the real volume (threat rows 11 and 25): it never runs, and nothing stays open.

Each boot has the genuine kernel, initrd and command line, and an innocent person who types the PIN, and passphrases
where Debian's prompt asks for them.
"""

import dataclasses
import shutil

import pytest

from attacks import MARKER, NO_REBOOT, WITNESS, root_of_attacker, witness
from bootseal import Bench
from image import LUKS_HEADER_SIZE, MIB
from layouts import (CAP_PCR, LVM_ON_LUKS, PLAIN, ROOT_MIB, ROOT_UUID, SEVERAL, Plan, is_capped, measure_boot,
                     succeeded)
from luks_edit import edit_header, set_uuid
from machine import Machine
from sealed import answer_pin_prompt, expect_stop
from storage import Volume, Workshop, clone, copy_into, fill_volume, fixed_uuid, format_volume
from swtpm import SoftwareTpm

NOT_PINNED = "is not on the volumes that bootseal was enrolled for"
OTHER_HEADER = "is not that of the pinned volume"
STOPPED = r"bootseal: the boot is stopped: "
FORGED = "has the name /dev/mapper/crypt-root"
NULL_CIPHER = '"cipher_null-ecb" is not a cipher that bootseal opens'

# The same machines as elsewhere; a restart is seen from inside.
WATCHED = SEVERAL.but(name="several-watched", initrd_files=WITNESS)
WATCHED_LVM = LVM_ON_LUKS.but(name="lvm-on-luks-watched", initrd_files=WITNESS)

ROOT_ALONE = PLAIN.volume("cryptroot")
ROOT, DATA, OLD = (SEVERAL.volume(name) for name in ("cryptroot", "cryptdata", "cryptold"))


def check_stopped(machine, reason):
    """The boot is stopped for that reason, every volume closed, and capped; the attacker's init never ran."""
    log = expect_stop(machine)
    assert reason in log, log
    assert MARKER not in log, log
    opened, capped = witness(log)
    assert capped, log
    assert not any(uuid.startswith("CRYPT-") for uuid in opened.values()), log


@pytest.fixture
def disks_of(tmp_path):
    """disks_of(sealed): copies of a machine's disks, by the names of their volumes, to tamper with."""
    copies = []

    def copy(sealed):
        disks = {disk.stem: clone(disk, tmp_path / disk.name) for disk in sealed.disks}
        copies.extend(disks.values())
        return disks

    yield copy
    for disk in copies:
        disk.unlink()


def boot(layout_machine, sealed, disks):
    """Switch on a machine with these disks."""
    machine = layout_machine(sealed, list(disks), extra_arguments=NO_REBOOT)
    machine.start()
    return machine


@pytest.mark.full
def test_threat_11_copied_root_uuid_on_a_later_volume(sealed_layout, layout_machine, disks_of, tmp_path):
    """A volume without a token is replaced; it is opened last, and blkid finds the root's UUID there first."""
    sealed = sealed_layout(WATCHED)
    disks = disks_of(sealed)
    fill_volume(disks["cryptold"], OLD, root_of_attacker(tmp_path))
    machine = boot(layout_machine, sealed, disks.values())
    answer_pin_prompt(machine, "cryptroot, cryptdata")
    machine.answer_prompt("cryptold", OLD.passphrase)
    check_stopped(machine, NOT_PINNED)


@pytest.mark.full
@pytest.mark.parametrize("kind", ["disk", "lvm"])
def test_threat_11_copied_root_uuid_without_encryption(sealed_layout, layout_machine, tmp_path, kind):
    """Whichever of the two wins: the genuine root runs, or the boot is stopped."""
    sealed = sealed_layout(PLAIN.but(name="plain-watched", initrd_files=WITNESS))
    disk = root_of_attacker(tmp_path)
    if kind == "lvm":
        disk = Workshop(tmp_path, tmp_path).lvm("aaa", {"aaa": disk}, "attack")
    machine = boot(layout_machine, sealed, [*sealed.disks, disk])
    answer_pin_prompt(machine, "cryptroot")
    seen = machine.expect([STOPPED, MARKER, r"bootseal-test:ready# "])
    assert seen != 1, machine.console_log.read_text(errors="replace")
    if seen == 0:
        machine.wait_off()
        assert "cryptroot" not in witness(machine.console_log.read_text(errors="replace"))[0]
    else:
        assert "/dev/mapper/cryptroot" in machine.check("findmnt --noheadings --output SOURCE /")


@pytest.mark.full
def test_threat_11_plain_volume_group_of_the_roots_name(sealed_layout, layout_machine, tmp_path):
    """It is active before the PIN is typed, and then the real one cannot be."""
    sealed = sealed_layout(WATCHED_LVM)
    disk = Workshop(tmp_path, tmp_path).lvm("panel", {"root": root_of_attacker(tmp_path)}, "attack")
    machine = boot(layout_machine, sealed, [*sealed.disks, disk])
    answer_pin_prompt(machine, "cryptroot")
    check_stopped(machine, NOT_PINNED)


@pytest.mark.full
def test_the_attackers_root_would_run_without_pins(sealed_layout, layout_machine, tmp_path):
    """What the other tests rely on: nothing else is wrong with that file system."""
    volumes = tuple(dataclasses.replace(volume, enrolled=False) for volume in LVM_ON_LUKS.volumes)
    sealed = sealed_layout(LVM_ON_LUKS.but(name="lvm-on-luks-open", volumes=volumes))
    disk = Workshop(tmp_path, tmp_path).lvm("panel", {"root": root_of_attacker(tmp_path)}, "attack")
    machine = boot(layout_machine, sealed, [*sealed.disks, disk])
    machine.answer_prompt("cryptroot", volumes[0].passphrase)
    machine.expect(MARKER)
    machine.expect("ATTACKER FINDS /dev/mapper/cryptroot")


# A pinned name that a logical volume can have as well: "crypt-root" is "root" of the group "crypt".
FORGEABLE = PLAIN.but(name="forgeable", volumes=(Volume("crypt-root", ROOT_MIB),), initrd_files=WITNESS,
                      fill=lambda workshop: [workshop.encrypt(FORGEABLE.volumes[0], workshop.root())],
                      root="/dev/mapper/crypt-root", fstab="/dev/mapper/crypt-root / ext4 errors=remount-ro 0 0\n")


@pytest.mark.full
def test_threat_11_forged_mapping_of_the_pinned_name(sealed_layout, layout_machine, tmp_path):
    """What has the name is not what was pinned: it is noticed before the PIN, and not run."""
    sealed = sealed_layout(FORGEABLE)
    disk = Workshop(tmp_path, tmp_path).lvm("crypt", {"root": root_of_attacker(tmp_path)}, "attack")
    machine = boot(layout_machine, sealed, [*sealed.disks, disk])
    check_stopped(machine, NOT_PINNED)
    log = machine.console_log.read_text(errors="replace")
    assert FORGED in log and "PIN for" not in log, log


# ---- a system that was put to sleep elsewhere ----

RESUME = {"etc/initramfs-tools/conf.d/resume": f"RESUME=UUID={fixed_uuid('sleep')}\n"}
SLEEP_MIB = 256
RESUMED = "ATTACKER IS RESUMED"


def fill_with_swap(workshop, *disks):
    """Disks, and swap space without encryption that the initramfs looks for an image in."""
    return [*disks, workshop.swap("sleep", fixed_uuid("sleep"), SLEEP_MIB)]


SLEEPER = Plan("sleeper", (), lambda workshop: fill_with_swap(workshop, workshop.root()), tree_files=RESUME,
               fstab=f"UUID={ROOT_UUID} / ext4 defaults 0 0\nUUID={fixed_uuid('sleep')} none swap sw 0 0\n")
PLAIN_SWAP = PLAIN.but(name="plain-swap", tree_files=RESUME, initrd_files=WITNESS,
                       fill=lambda workshop: fill_with_swap(workshop, workshop.encrypt(ROOT_ALONE, workshop.root())))
PLAIN_SWAP_OPEN = PLAIN_SWAP.but(name="plain-swap-open", volumes=(dataclasses.replace(ROOT_ALONE, enrolled=False),))


@pytest.fixture(scope="module")
def planted_image(sealed_layout, tmp_path_factory):
    """Swap space with the attacker's own system in it, put to sleep on a machine with the same kernel."""
    sealed = sealed_layout(SLEEPER)
    folder = tmp_path_factory.mktemp("sleeper")
    disks = [clone(disk, folder / disk.name) for disk in sealed.disks]
    with Machine(folder / "machine", disks, sealed.copy_tpm(folder / "tpm"), direct=sealed.boot) as machine:
        machine.start()
        machine.wait_shell()
        assert machine.check("swapon --noheadings --show=NAME")
        machine.send(f"echo disk >/sys/power/state; echo '{RESUMED[:4]}''{RESUMED[4:]}'")
        machine.wait_off()
    disks[0].unlink()
    yield disks[1]
    disks[1].unlink()


@pytest.mark.full
def test_threat_12_planted_hibernation_image(sealed_layout, layout_machine, planted_image):
    """It is not resumed: the volume's key would lie in the memory that it gets. The machine boots instead."""
    sealed = sealed_layout(PLAIN_SWAP)
    machine = boot(layout_machine, sealed, [sealed.disks[0], planted_image])
    answer_pin_prompt(machine, "cryptroot")
    machine.wait_shell()
    log = machine.console_log.read_text(errors="replace")
    assert RESUMED not in log and "nothing is resumed from UUID=" in log, log
    assert is_capped(machine.pcr(CAP_PCR))
    assert "/dev/mapper/cryptroot" in machine.check("findmnt --noheadings --output SOURCE /")


@pytest.mark.full
def test_plain_swap_without_an_image(sealed_layout, layout_machine):
    """Nobody is told of what is not there."""
    machine = layout_machine(sealed_layout(PLAIN_SWAP))
    machine.start()
    answer_pin_prompt(machine, "cryptroot")
    machine.wait_shell()
    assert "resume" not in machine.console_log.read_text(errors="replace")
    assert is_capped(machine.pcr(CAP_PCR))


@pytest.mark.full
def test_the_planted_image_would_be_resumed_without_pins(sealed_layout, layout_machine, planted_image):
    """What the test above relies on: nothing else is wrong with that image."""
    sealed = sealed_layout(PLAIN_SWAP_OPEN)
    machine = boot(layout_machine, sealed, [sealed.disks[0], planted_image])
    machine.answer_prompt("cryptroot", ROOT_ALONE.passphrase)
    machine.expect(RESUMED)


def enroll_as_attacker(sealed, volume, path, folder):
    """Give the attacker's volume a token of his own, on the machine's TPM and for the machine's genuine boot state."""
    folder.mkdir()
    attacker = Bench(folder)
    attacker.tpm = SoftwareTpm(sealed.copy_tpm(folder / "its-tpm"))
    attacker.set_policy(pcrs=[9, 12], cap=12)
    with attacker:
        measure_boot(attacker, sealed.boot)
        succeeded(attacker.try_enroll(path, "--no-pin", "--name", volume.name, pin=None, key=volume.passphrase))
        attacker.tpm.tool("tpm2_shutdown", "--clear")
    return attacker.tpm.state_dir


def test_threat_11_own_volume_with_own_token(sealed_layout, layout_machine, disks_of, tmp_path):
    """The attacker's volume has the root's UUID and a token made on the same TPM; the real one is there, renamed."""
    sealed = sealed_layout(WATCHED)
    disks = disks_of(sealed)
    own = Volume("cryptroot", 16, passphrase=b"the attacker's passphrase")
    path = format_volume(tmp_path / "own.luks", own)
    tpm = enroll_as_attacker(sealed, own, path, tmp_path / "bench")
    fill_volume(path, own, root_of_attacker(tmp_path))
    set_uuid(disks["cryptroot"], fixed_uuid("renamed"))
    machine = boot(layout_machine, sealed, [*disks.values(), path])
    shutil.copytree(tpm, machine.tpm.state_dir, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.pid", "*.log"))
    shown = answer_pin_prompt(machine, "cryptdata")
    assert OTHER_HEADER in shown and "Please unlock disk" not in shown, shown
    machine.answer_prompt("cryptroot", own.passphrase)
    machine.answer_prompt("cryptold", OLD.passphrase)
    check_stopped(machine, OTHER_HEADER)


def test_threat_25_cipher_null(sealed_layout, layout_machine, disks_of, tmp_path):
    """The genuine passphrase opens such a header, and what lies on the disk in clear becomes the root."""
    sealed = sealed_layout(WATCHED)
    disks = disks_of(sealed)

    def edit(metadata):
        metadata["segments"]["0"]["encryption"] = "cipher_null-ecb"

    edit_header(disks["cryptroot"], edit)
    copy_into(root_of_attacker(tmp_path), disks["cryptroot"], LUKS_HEADER_SIZE)
    machine = boot(layout_machine, sealed, disks.values())
    shown = answer_pin_prompt(machine, "cryptdata")
    assert NULL_CIPHER in shown, shown
    machine.answer_prompt("cryptroot", ROOT.passphrase)
    machine.answer_prompt("cryptold", OLD.passphrase)
    check_stopped(machine, NULL_CIPHER)


def move_offset(metadata):
    """The payload begins a MiB later."""
    segment = metadata["segments"]["0"]
    segment["offset"] = str(int(segment["offset"]) + MIB)


def expect_left_to_passphrase(machine, count, pins_for=None):
    """COUNT volumes have another header than the pinned one; they are asked for by Debian's prompt only."""
    shown = answer_pin_prompt(machine, pins_for) if pins_for else ""
    machine.expect(r"Please unlock disk cryptroot")
    shown += machine.before
    assert shown.count(OTHER_HEADER) == count, shown
    assert pins_for or "PIN for" not in shown, shown


@pytest.mark.full
def test_threat_25_offset_moved(sealed_layout, layout_machine, disks_of):
    sealed = sealed_layout(WATCHED)
    disks = disks_of(sealed)
    edit_header(disks["cryptroot"], move_offset)
    expect_left_to_passphrase(boot(layout_machine, sealed, disks.values()), 1, "cryptdata")


def test_threat_11_uuids_swapped(sealed_layout, layout_machine, disks_of):
    """Neither volume is opened under the other's name."""
    sealed = sealed_layout(WATCHED)
    disks = disks_of(sealed)
    set_uuid(disks["cryptroot"], DATA.uuid)
    set_uuid(disks["cryptdata"], ROOT.uuid)
    expect_left_to_passphrase(boot(layout_machine, sealed, disks.values()), 2)
