"""Updates of a sealed machine with shim, GRUB and Secure Boot: nobody types anything but the PIN.

One machine lives through all of it, since each step starts from the one before, as on a real machine: another kernel by
apt, a boot into it and back, another command line, a new authority. Then the attack: the previous kernel's initrd is
planted while the machine is off. At the end that kernel is removed.
"""

import json
import os
import re
from pathlib import Path

import pytest

import sealed
from debian import debian_tree
from image import DiskImage, make_image
from kernels import installed_release, older_kernel
from machine import Machine
from sealed import (ENROLL_SECONDS, PIN, RESEAL_SECONDS, enter_pin, install, pin_prompt, reseal_now, verify_prediction,
                    write_secrets)

BUILD = Path(os.environ.get("BOOTSEAL_BUILD", Path(__file__).resolve().parents[2] / "build"))
ROOT_DEVICE = "/dev/vda3"
PACKAGE = "/root/kernel.deb"
UPDATE_SECONDS = 1800  # a kernel's installation makes an initramfs and a grub.cfg, emulated

pytestmark = pytest.mark.full


@pytest.fixture(scope="module", name="kernels")
def two_kernels():
    """(release of the installed kernel, release of the other one, its package)"""
    tree = debian_tree()
    return (installed_release(tree), *older_kernel(tree))


@pytest.fixture(scope="module", name="machine")
def sealed_machine(tmp_path_factory, layout, kernels, progress, pytestconfig):
    """Enrolled and rebooted: it runs, opened by the PIN."""
    folder = tmp_path_factory.mktemp("updates")
    put_bootseal = install(BUILD)

    def prepare(tree):
        put_bootseal(tree)
        (tree / PACKAGE.lstrip("/")).write_bytes(kernels[2].read_bytes())

    image = make_image(folder / "disk.img", layout, prepare)
    machine = Machine(folder / "machine", [image.path], folder / "tpm", firmware_vars=folder / "vars.fd",
                      echo=pytestconfig.getoption("capture") == "no")
    with machine:
        progress("first boot: enroll")
        machine.start()
        machine.enter_passphrase(layout)
        machine.wait_shell()
        write_secrets(machine, layout)
        verify(machine)
        machine.check(f"bootseal enroll --policy grub --unlock-key-file /run/passphrase --pin-file /run/pin "
                      f"--no-recovery-key {ROOT_DEVICE}", ENROLL_SECONDS)
        reboot_by_pin(machine, layout, progress, "enrolled")
        yield machine
    image.path.unlink()


@pytest.fixture(scope="module", name="installing")
def two_installed_kernels(machine, kernels):
    """The other kernel is installed by apt, the running one boots on; what that said."""
    verify(machine)
    return machine.check(f"apt-get -q -y install {PACKAGE}", UPDATE_SECONDS)


def verify(machine):
    """The running boot, predicted from its own sources, is what was measured."""
    answer = verify_prediction(machine)
    assert answer["verify"]["first_event"] is None and answer["boot_chain"] == "shim-grub"


def reboot_by_pin(machine, layout, progress, what):
    """By the PIN alone, and boot-ok has been through: it drops what this boot has outlived, which the next steps rest
    on."""
    sealed.reboot_by_pin(machine, layout, progress, what)
    machine.check("systemctl start bootseal-boot-ok.service", RESEAL_SECONDS)


def running_kernel(machine) -> str:
    """What `uname` says."""
    return machine.check("uname -r").strip()


def test_another_kernel_by_apt(machine, installing, layout, kernels, progress):
    """Installed; the machine boots on; into the new one; back into the old one; each time with the PIN alone."""
    installed, other, _ = kernels
    assert "will ask for" not in installing, installing
    reboot_by_pin(machine, layout, progress, "after apt, the same kernel")
    assert running_kernel(machine) == installed
    verify(machine)
    entry = machine.check(f"sed -n \"s/.*menuentry_id_option '\\(gnulinux-[^']*\\)'.*/\\1/p\" /boot/grub/grub.cfg")
    wanted, = (line for line in entry.split() if f"-{other}-advanced" in line)
    parent, = (line for line in entry.split() if line.startswith("gnulinux-advanced-"))
    machine.check(f"grub-reboot '{parent}>{wanted}'")
    # The path unit sees grubenv change; this is what it runs, without its wait.
    status, answer, words = reseal_now(machine)
    assert status == 0 and answer["prediction"]["next_boot_opens"], (answer, words)
    reboot_by_pin(machine, layout, progress, "the other kernel, by grub-reboot")
    assert running_kernel(machine) == other
    reboot_by_pin(machine, layout, progress, "the first kernel again")
    assert running_kernel(machine) == installed


def test_command_line(machine, layout, progress):
    """/etc/default/grub and update-grub; a command line that gives a shell stays out."""
    machine.check("sed -i 's/ quiet\"/ quiet audit=0\"/; s/=\"quiet\"/=\"quiet audit=0\"/' /etc/default/grub && "
                  "update-grub 2>/run/update-grub", UPDATE_SECONDS)
    machine.check("bootseal reseal --predict --hook grub", RESEAL_SECONDS)
    reboot_by_pin(machine, layout, progress, "another command line")
    assert "audit=0" in machine.check("cat /proc/cmdline")
    machine.check("sed -i 's/audit=0/audit=0 init=\\/bin\\/sh/' /etc/default/grub && update-grub 2>/run/update-grub",
                  UPDATE_SECONDS)
    status, output = machine.run("bootseal reseal --predict --trust /boot/grub/grub.cfg", RESEAL_SECONDS)
    assert status == 10 and "gives a shell" in output and "--allow-rescue" in output, output
    machine.check("sed -i 's/ init=\\/bin\\/sh//' /etc/default/grub && update-grub 2>/run/update-grub", UPDATE_SECONDS)
    machine.check("bootseal reseal --predict --hook grub", RESEAL_SECONDS)
    reboot_by_pin(machine, layout, progress, "the command line of before")


def test_rotated_authority(machine, layout, progress):
    """New pins, so another initramfs: predicted under the new authority, and that boot ends the old one."""
    write_secrets(machine, layout)
    output = machine.check("bootseal provision --rotate-authority --pin-file /run/pin 2>&1", ENROLL_SECONDS)
    assert "the next boot opens the volumes as before" in output, output
    assert json.loads(machine.check("bootseal status --json"))["rotation"] == "waiting"
    reboot_by_pin(machine, layout, progress, "a new authority")
    assert json.loads(machine.check("bootseal status --json"))["rotation"] is None


@pytest.mark.threats
@pytest.mark.usefixtures("installing")
def test_threat_24_planted_initrd(machine, layout, kernels, progress):
    """The machine is off: somebody replaces the previous kernel's initrd. It boots on, and the next update names it."""
    installed, other, _ = kernels
    machine.power_off()
    image = machine_image(machine, layout)
    image.boot.edit(f"/initrd.img-{other}", lambda content: content + bytes(512))
    machine.start()
    enter_pin(machine, layout)
    machine.wait_shell()
    output = machine.check("update-initramfs -u 2>&1", UPDATE_SECONDS)
    assert re.search(rf'not approved: "[^"]*{other}[^"]*": .*initrd\.img-{other}', output), output
    assert "will ask for" not in output  # the kernel that boots next is in order
    reboot_by_pin(machine, layout, progress, "after the update, the first kernel")
    assert running_kernel(machine) == installed
    machine.power_off()
    saved = boot_into(image, other)
    machine.start()
    machine.enter_passphrase(layout)
    assert "not the approved one" in machine.before and "PIN for" not in machine.before, machine.before
    machine.wait_shell()
    machine.power_off()
    restore(image, saved)


def test_removed_kernel_is_refused(machine, layout, kernels, progress):
    """Removed by apt and committed by the next good boot: its files, put back by somebody, open nothing."""
    _, other, _ = kernels
    image = machine_image(machine, layout)
    saved = {name: image.boot.read(f"/{name}") for name in (f"vmlinuz-{other}", f"initrd.img-{other}", "grub/grub.cfg",
                                                            "grub/grubenv")}
    machine.start()
    enter_pin(machine, layout)
    machine.wait_shell()
    output = machine.check(f"apt-get -q -y remove linux-image-{other} 2>&1", UPDATE_SECONDS)
    assert "will ask for" not in output, output
    reboot_by_pin(machine, layout, progress, "the other kernel is gone")
    states = json.loads(machine.check("bootseal reseal --commit --json"))["states"]
    assert not any(other in (state["entry"] or "") for state in states), states
    machine.power_off()
    restore(image, saved)
    boot_into(image, other)
    machine.start()
    machine.enter_passphrase(layout)
    assert "not the approved one" in machine.before, machine.before
    assert not re.search(pin_prompt(layout.volume_name), machine.before) and PIN not in machine.before
    machine.kill()  # without its modules it comes to no shell


# -- the disk of a machine that is off ----------------------------------------------------------------

def machine_image(machine, layout):
    """Its disk, as an image whose files can be read and written."""
    return DiskImage(machine.disks[0], layout)


def boot_into(image, release) -> dict:
    """Have GRUB boot another kernel next, by the environment block that grub-reboot writes; what was there before."""
    saved = {"grub/grubenv": image.boot.read("/grub/grubenv")}
    configuration = image.boot.read("/grub/grub.cfg").decode("utf-8")
    entries = re.findall(r"menuentry_id_option '(gnulinux-[^']*)'", configuration)
    wanted, = (entry for entry in entries if f"-{release}-advanced" in entry)
    parent, = (entry for entry in entries if entry.startswith("gnulinux-advanced-"))
    block = b"# GRUB Environment Block\n" + f"next_entry={parent}>{wanted}\n".encode()
    image.boot.write("/grub/grubenv", block.ljust(1024, b"#"))
    return saved


def restore(image, saved) -> None:
    """Put files of /boot back."""
    for name, content in saved.items():
        image.boot.write(f"/{name}", content)
