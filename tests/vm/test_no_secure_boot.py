"""A sealed machine with shim and GRUB, but without Secure Boot: Linux has no event log there.

The next boot is predicted from GRUB's configuration and from what the initramfs recorded: after a new initramfs the PIN
alone leads in.  A new GRUB cannot be predicted, and bootseal says so before the machine goes down.
"""

import os
from pathlib import Path

import pytest

from image import make_image
from machine import Machine
from sealed import ENROLL_SECONDS, install, reboot_by_pin, reseal_now, verify_prediction, write_secrets

BUILD = Path(os.environ.get("BOOTSEAL_BUILD", Path(__file__).resolve().parents[2] / "build"))
EVENT_LOG = "/sys/kernel/security/tpm0/binary_bios_measurements"
ROOT_DEVICE = "/dev/vda3"
UPDATE_SECONDS = 1800  # it makes an initramfs and predicts what it will boot, emulated

pytestmark = pytest.mark.full


@pytest.fixture(scope="module", name="machine")
def sealed_machine(tmp_path_factory, layout, progress, pytestconfig):
    """Enrolled with preset grub and rebooted: it runs, opened by the PIN."""
    folder = tmp_path_factory.mktemp("no-secure-boot")
    image = make_image(folder / "disk.img", layout, install(BUILD))
    machine = Machine(folder / "machine", [image.path], folder / "tpm", secure_boot=False,
                      echo=pytestconfig.getoption("capture") == "no")
    with machine:
        progress("Secure Boot off: enroll")
        machine.start()
        machine.enter_passphrase(layout)
        machine.wait_shell()
        write_secrets(machine, layout)
        machine.check(f"test ! -e {EVENT_LOG}")
        verify(machine)
        machine.check(f"bootseal enroll --policy grub --unlock-key-file /run/passphrase --pin-file /run/pin "
                      f"--no-recovery-key {ROOT_DEVICE}", ENROLL_SECONDS)
        reboot_by_pin(machine, layout, progress, "enrolled")
        yield machine
    image.path.unlink()


def verify(machine):
    """The running boot, predicted from its own sources, is what the initramfs recorded."""
    verify_prediction(machine, "--pcrs 4,7,8,9,12,14")


def test_new_initramfs(machine, layout, progress):
    """The hook of update-initramfs approves the next boot; it comes as it was predicted."""
    verify(machine)
    output = machine.check("update-initramfs -u", UPDATE_SECONDS)
    assert "will ask for" not in output, output
    reboot_by_pin(machine, layout, progress, "a new initramfs")
    verify(machine)


def test_new_grub_is_not_predicted(machine):
    """Another GRUB on the EFI system partition: no value of it is known, and the next boot is not approved."""
    program = "/boot/efi/EFI/BOOT/grubx64.efi"
    machine.check(f"cp {program} /run/grubx64.efi && printf x >>{program}")
    status, answer, words = reseal_now(machine)
    assert not answer["prediction"]["next_boot_opens"] and "grubx64.efi" in words, (status, answer, words)
    machine.check(f"cp /run/grubx64.efi {program} && bootseal reseal --predict", 600)
    verify(machine)
