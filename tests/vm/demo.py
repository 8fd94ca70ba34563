#!/usr/bin/python3
"""The main job on a real measured boot, with the machine's console visible: `tests/demo --boot`.

Firmware, shim, Debian's signed GRUB and kernel under Secure Boot, a root file system on LUKS2, a software TPM. The
machine is installed, enrolled, and booted by its PIN; then its kernel command line is changed from outside, and
the next boot refuses. Every step checks what it shows. It takes some ten minutes: the machine is emulated.
"""

import os
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "lib"))

import debian  # noqa: E402
from image import Layout  # noqa: E402
from machine import Machine  # noqa: E402
from sealed import (ENROLL_SECONDS, PIN, enter_pin, log_in_by_passphrase, make_installed_image,  # noqa: E402
                    write_secrets)

BUILD = Path(os.environ.get("BOOTSEAL_BUILD", HERE.parents[1] / "build"))


def say(text: str) -> None:
    """A line of prose between what the console shows."""
    print(f"\n\033[1m--- {text}\033[0m\n", file=sys.stderr, flush=True)


def run(machine: Machine, command: str, timeout: float = 90) -> str:
    """A command in the machine, as its administrator would type it, and what it answered."""
    print(f"\n# {command}", file=sys.stderr)
    output = machine.check(command, timeout)
    print(output, file=sys.stderr, flush=True)
    return output


def enroll(machine: Machine, layout: Layout) -> None:
    """First boot: the passphrase of the installation still opens the root."""
    say("First boot. Nothing is enrolled: Debian asks for the passphrase of the installation")
    machine.start()
    log_in_by_passphrase(machine, layout)
    say("In the running system: enroll the root volume, with a PIN, for a machine that boots with shim and GRUB")
    write_secrets(machine, layout)
    run(machine, "bootseal enroll --policy grub --unlock-key-file /run/passphrase --pin-file /run/pin "
        "--no-recovery-key /dev/vda3", ENROLL_SECONDS)
    machine.power_off()


def boot_by_pin(machine: Machine, layout: Layout) -> None:
    """Second boot: nobody has booted this initramfs before, and the PIN is all that is asked."""
    say("Second boot. The initramfs carries the pins now; the boot that it gives was predicted: the PIN opens the root")
    machine.start()
    enter_pin(machine, layout, PIN)
    machine.wait_shell()
    assert "Please unlock disk" not in machine.before
    run(machine, "bootseal status")
    machine.power_off()


def refuse_changed_boot(machine: Machine, image, layout: Layout) -> None:
    """Third boot: someone had the disk on a bench."""
    say("With the machine off, the kernel command line in grub.cfg is changed. Third boot")
    image.boot.edit("/grub/grub.cfg", lambda text: text.replace(b" quiet", b" quiet planted=1", 1))
    machine.start()
    machine.enter_passphrase(layout)
    assert "PCR 8 (" in machine.before and "PIN for" not in machine.before, machine.before
    machine.wait_shell()
    machine.power_off()
    say("Refused before any PIN was asked, with the PCR named; the passphrase still opened the volume")


def main() -> None:
    """All three boots of one machine."""
    layout = Layout()
    debian.progress.append(say)
    with tempfile.TemporaryDirectory(prefix="bootseal-demo-") as name:
        folder = Path(name)
        say("Making a disk image: Debian 12 with its root on LUKS2, bootseal put into it by `meson install`")
        image = make_installed_image(folder / "disk.img", layout, BUILD)
        with Machine(folder / "machine", [image.path], echo=True) as machine:
            enroll(machine, layout)
            boot_by_pin(machine, layout)
            refuse_changed_boot(machine, image, layout)


if __name__ == "__main__":
    main()
