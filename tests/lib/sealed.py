"""A machine whose root bootseal unlocks: installed by `meson install`, enrolled inside the running machine.

What is dear to make, three boots under emulation, is made once: the disk, the TPM's state and the firmware's
variables of a machine that asks for the PIN. Tests boot copies of the three.
"""

import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from bootseal import check_schema
from image import DiskImage, make_image
from machine import BOOT_SECONDS

PIN = "481526"
ENROLL_SECONDS = 1200  # it makes the initramfs anew, emulated: five minutes on a busy machine
RESEAL_SECONDS = 600
STATE = "/var/lib/bootseal"


def install(build: Path):
    """The step of make_image() that puts bootseal into a tree, as an administrator would."""

    def install_into(tree: Path) -> None:
        subprocess.run(["meson", "install", "--no-rebuild", "--quiet", "-C", str(build)], check=True,
                       env={"DESTDIR": str(tree), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}, stdout=subprocess.DEVNULL)

    return install_into


def make_installed_image(path, layout, build: Path) -> DiskImage:
    """Debian with bootseal installed and in its initramfs, nothing enrolled."""
    return make_image(path, layout, install(build))


def reason_of(machine) -> str:
    """What bootseal said on the console before the prompt that was just seen."""
    return "\n".join(line for line in machine.before.splitlines() if "bootseal:" in line)


def log_in_by_passphrase(machine, layout) -> str:
    """Answer Debian's own prompt, and wait for the shell; the reason that bootseal gave before."""
    machine.enter_passphrase(layout)
    reason = reason_of(machine)
    machine.wait_shell()
    return reason


def enter_pin(machine, layout, pin: str = PIN) -> str:
    """Wait for bootseal's prompt and type the PIN; what was shown before the prompt."""
    return answer_pin_prompt(machine, layout.volume_name, pin)


def answer_pin_prompt(machine, names: str, pin: str = PIN) -> str:
    """Wait for bootseal's prompt for a volume, or several as it lists them, and type the PIN; what was shown before."""
    machine.expect(pin_prompt(names))
    shown = machine.before
    machine.send(pin)
    return shown


def write_secrets(machine, layout) -> None:
    """PIN and passphrase as files in memory: commands in these tests have no terminal."""
    machine.write_file("/run/pin", PIN.encode())
    machine.write_file("/run/passphrase", layout.passphrase)


def pin_prompt(names: str) -> str:
    """bootseal's prompt, as a regular expression."""
    return rf"PIN for {re.escape(names)} \(\d+ tr(y|ies) left\): "


def boot_by_pin(machine, names: str) -> None:
    """From the prompt for the volumes NAMES to a root shell, with no other question."""
    shown = answer_pin_prompt(machine, names)
    assert "Please unlock disk" not in shown, shown
    machine.wait_shell()
    assert "PIN for" not in machine.before and "Please unlock disk" not in machine.before, machine.before


def reboot_by_pin(machine, layout, progress, what: str) -> None:
    """Off and on again; the PIN, and nothing else, leads to a shell."""
    machine.power_off()
    progress(f"boot by the PIN: {what}")
    machine.start()
    shown = enter_pin(machine, layout)
    assert "not the approved one" not in shown and "Please unlock disk" not in shown, shown
    machine.wait_shell()
    assert "Please unlock disk" not in machine.before


def reseal_now(machine):
    """`bootseal reseal`, as a hook or an administrator; its status, answer and words."""
    status, output = machine.run("bootseal reseal --predict --json 2>/run/words", RESEAL_SECONDS)
    answer = json.loads(output[output.index("{"):])
    check_schema(answer, "reseal")
    return status, answer, machine.check("cat /run/words")


def verify_prediction(machine, options: str = "") -> dict:
    """The running boot, predicted from its own sources, is what was measured; the answer of `bootseal predict`."""
    answer = json.loads(machine.check(f"bootseal predict --verify --json {options}", RESEAL_SECONDS))
    check_schema(answer, "predict")
    assert {result["result"] for result in answer["verify"]["pcrs"].values()} == {"good"}, answer["verify"]
    return answer


def entries_of_boot_ok(machine) -> list:
    """What bootseal-boot-ok.service has written to the journal.  Nothing but the installation has started it."""
    machine.run("systemctl is-system-running --wait", BOOT_SECONDS)
    state = machine.check("systemctl show --property=Result,ExecMainExitTimestampMonotonic bootseal-boot-ok")
    if "Result=success\n" not in state or "Monotonic=0\n" in state:
        raise AssertionError(machine.run("journalctl --no-pager --boot --unit=bootseal-boot-ok; "
                                         "systemctl status --no-pager bootseal-boot-ok")[1])
    lines = machine.check("journalctl --boot --output=json SYSLOG_IDENTIFIER=bootseal").splitlines()
    return [entry for entry in map(json.loads, lines) if "MESSAGE_ID" in entry]


def expect_stop(machine) -> str:
    """Wait until the boot is stopped and the machine off (it must not restart: QEMU's -no-reboot); the reason."""
    machine.expect(r"bootseal: the boot is stopped: ([^\r\n]*)")
    machine.wait_off()
    return machine.console_log.read_text(encoding="utf-8", errors="replace")


@dataclass(frozen=True)
class SealedMachine:
    """A machine that is switched off: its disk, its TPM, its firmware's variables."""

    image: DiskImage
    tpm: Path
    firmware_vars: Path

    def copy(self, folder: Path) -> "SealedMachine":
        """Another one, to boot and to tamper with."""
        folder.mkdir(parents=True)
        shutil.copytree(self.tpm, folder / "tpm", ignore=shutil.ignore_patterns("*.sock", "*.pid", "*.log", "ctrl*"))
        shutil.copy(self.firmware_vars, folder / "vars.fd")
        return SealedMachine(self.image.clone(folder / "disk.img"), folder / "tpm", folder / "vars.fd")
