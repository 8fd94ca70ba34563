"""Every road out of the initramfs is capped (threat row 12): shells, failures, keys at the console."""

import json
import re
import subprocess
import time

import pytest

import initrd
from attacks import NO_REBOOT, WITNESS, witness, with_command_line
from image import BootFiles
from layouts import CAP_PCR, CONSOLE, EVERY_DRIVER, PLAIN, is_capped
from machine import INITRAMFS_PROMPT
from sealed import PIN, answer_pin_prompt, expect_stop
from storage import clone

ROOT = PLAIN.volume("cryptroot")
STAGES = ("panic", "local-top", "local-premount", "init-bottom")
BREAKS = ("top", "modules", "premount", "mount", "mountroot", "bottom", "init")
SHELL_SECONDS = 240  # under emulation, with others at work
MOUNT_SECONDS = 45  # from the PIN to the root file system, likewise
PCR_IN_INITRAMFS = f"cat /sys/class/tpm/tpm0/pcr-sha256/{CAP_PCR}"


def assert_capped_shell(machine):
    """The initramfs' shell is there, and the TPM gives nothing any more."""
    machine.wait_initramfs_shell()
    value = machine.run_initramfs(PCR_IN_INITRAMFS).strip()
    assert is_capped(bytes.fromhex(value)), value


def mappings_in(machine) -> str:
    """What is open, as the initramfs' shell sees it."""
    return machine.run_initramfs("dmsetup ls")


# ---- what was built ----


@pytest.fixture(scope="module")
def files(sealed_layout):
    """The files of the initrd."""
    return initrd.read(sealed_layout(PLAIN).boot.initrd)


def scripts_of(files, stage):
    """The scripts of a stage, in their order."""
    lines = files[f"scripts/{stage}/ORDER"].decode().splitlines()
    return [line.split()[0].rsplit("/", 1)[1] for line in lines if line.startswith(f"/scripts/{stage}/")]


@pytest.mark.parametrize("stage", ["panic", "local-premount", "init-bottom"])
def test_the_nets_are_first_in_their_stages(files, stage):
    """A script with prerequisites would come after all that have none."""
    assert scripts_of(files, stage)[0] == "bootseal"
    assert "PREREQ=" not in files[f"scripts/{stage}/bootseal"].decode()


def test_bootseal_comes_before_the_distributions_prompt(files):
    order = scripts_of(files, "local-top")
    assert order.index("bootseal") < order.index("cryptroot") == len(order) - 1


def test_pid_1_reads_its_part_first(files):
    assert "conf/conf.d/bootseal" in files and "etc/bootseal/pins.json" in files


# ---- shells ----


@pytest.mark.parametrize("point", [pytest.param(point, marks=[] if point in ("top", "bottom") else pytest.mark.full)
                                   for point in BREAKS])
def test_threat_12_break(sealed_layout, layout_machine, point):
    """A shell asked for on the command line: that is another boot state, and capped besides."""
    sealed = sealed_layout(PLAIN)
    machine = layout_machine(sealed, boot=with_command_line(sealed.boot, lambda line: f"{line} break={point}"))
    machine.start()
    if point in ("bottom", "init"):
        machine.answer_prompt("cryptroot", ROOT.passphrase)
        assert "not the approved one" in machine.before and "PIN for" not in machine.before
    assert_capped_shell(machine)


@pytest.mark.full
def test_threat_12_shell_after_wrong_passphrases(sealed_layout, layout_machine):
    """In the approved boot state: wrong PINs, wrong passphrases, and then a shell."""
    machine = layout_machine(sealed_layout(PLAIN))
    machine.start()
    for _ in range(3):
        answer_pin_prompt(machine, "cryptroot", "000000")
    while machine.expect([r"Please unlock disk cryptroot.*: ", r"\(initramfs\) "]) == 0:
        machine.send("wrong")
    value = machine.run_initramfs(PCR_IN_INITRAMFS).strip()
    assert is_capped(bytes.fromhex(value)), value
    assert "cryptroot" not in mappings_in(machine)


@pytest.mark.full
def test_threat_12_shell_when_the_root_is_not_found(sealed_layout, layout_machine):
    """In the approved boot state, with the right PIN: what the TPM opened is closed before the shell."""
    sealed = sealed_layout(PLAIN.but(name="root-missing", root="UUID=00000000-0000-4000-8000-000000000000"))
    machine = layout_machine(sealed)
    machine.start()
    answer_pin_prompt(machine, "cryptroot")
    assert_capped_shell(machine)
    assert "cryptroot" not in mappings_in(machine)


# ---- keys ----


SCREEN = PLAIN.but(name="screen", kernel_options=f"{CONSOLE} console=tty0 loglevel=7")
ATTENTION = "alt-sysrq-k"


def press_for(machine, seconds):
    """Press the keys again and again."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        machine.send_key(ATTENTION)
        time.sleep(0.4)


@pytest.mark.full
def test_threat_12_secure_attention_key(sealed_layout, layout_machine):
    """Alt+SysRq+K kills everything on the console but PID 1. The console is the screen: the PIN is typed blindly."""
    machine = layout_machine(sealed_layout(SCREEN))
    machine.start()
    machine.expect("device-mapper: uevent")  # bootseal's script has just begun
    seen = 1
    while seen == 1 and machine.seconds < SHELL_SECONDS:
        press_for(machine, 15)
        machine.send_key("ctrl-u")  # the keys that did nothing else were typed
        machine.type_keys(PIN)
        # Not soon again: once the root is mounted the kernel's default is back, and the keys would kill the shell.
        seen = machine.expect_or_timeout("EXT4-fs .*: mounted filesystem", MOUNT_SECONDS)
    assert seen == 0, "the PIN opened nothing"
    machine.wait_shell()
    assert "SAK" not in machine.check("dmesg")
    assert is_capped(machine.pcr(CAP_PCR))
    assert json.loads(machine.read_file("/run/bootseal/report.json"))["cap"]["done"]
    # The keys do arrive, and the kernel's default is back.
    assert machine.check("cat /proc/sys/kernel/sysrq").strip() not in ("", "0")
    press_for(machine, 1)
    assert "SAK" in machine.check("dmesg")


# ---- failures ----

def with_files(sealed, files, folder) -> BootFiles:
    """The same boot with some files of the initrd replaced: another boot state, which the passphrase opens."""
    changed = clone(sealed.boot.initrd, folder / "initrd")
    initrd.append(changed, files)
    return BootFiles(sealed.boot.kernel, changed, sealed.boot.command_line)


def test_threat_12_a_cap_that_fails_stops_the_boot(sealed_layout, layout_machine, tmp_path):
    """The program does nothing at all, and says that all is well as long as it is not asked for the cap alone."""
    sealed = sealed_layout(PLAIN)
    program = b'#!/bin/sh\ncase "$*" in\n*--cap*) exit 1 ;;\nesac\nexit 0\n'
    boot = with_files(sealed, {**WITNESS, "usr/lib/bootseal/bootseal-unlock": program}, tmp_path)
    machine = layout_machine(sealed, boot=boot, extra_arguments=NO_REBOOT)
    machine.start()
    log = expect_stop(machine)
    assert witness(log) == ({}, False)
    assert "Please unlock disk" not in log and "systemd" not in log


@pytest.mark.full
def test_threat_12_scripts_that_are_killed(sealed_layout, layout_machine, tmp_path):
    """None of bootseal's own scripts comes to its end: PID 1 does what they should have done."""
    sealed = sealed_layout(PLAIN)
    killed = {f"scripts/{stage}/bootseal": b"#!/bin/sh\nkill -KILL $$\n" for stage in STAGES}
    machine = layout_machine(sealed, boot=with_files(sealed, killed, tmp_path))
    machine.start()
    machine.answer_prompt("cryptroot", ROOT.passphrase)
    assert "PIN for" not in machine.before
    machine.wait_shell()
    assert is_capped(machine.pcr(CAP_PCR))


@pytest.mark.full
def test_threat_12_a_tpm_that_vanishes(sealed_layout, layout_machine):
    """The TPM is gone when the PIN comes: the boot does not go on by itself."""
    machine = layout_machine(sealed_layout(PLAIN), extra_arguments=NO_REBOOT)
    machine.start()
    machine.expect(r"PIN for cryptroot")
    machine.tpm.cut()
    machine.send(PIN)
    seen = machine.expect([r"Please unlock disk", r"the boot is stopped", r"bootseal-test:ready# "])
    assert seen != 2


def start_with_silent_tpm(layout_machine, sealed, words="", **options):
    """A machine whose TPM is announced by the firmware and dies before the kernel's driver speaks to it."""
    loud = with_command_line(sealed.boot, lambda line: line.replace(" quiet", "") + words)
    machine = layout_machine(sealed, boot=loud, **options)
    machine.start()
    machine.expect("Linux version")
    machine.tpm.cut()
    return machine


@pytest.mark.full
def test_a_silent_tpm_leaves_the_passphrase(sealed_layout, layout_machine):
    """It has unsealed nothing, so nothing needs a cap; the root lies on a pinned volume, and may run."""
    machine = start_with_silent_tpm(layout_machine, sealed_layout(PLAIN))
    machine.answer_prompt("cryptroot", ROOT.passphrase)
    assert "bootseal:" in machine.before and "PIN for" not in machine.before
    machine.wait_shell()
    assert machine.read_file("/run/bootseal/cap") == b"silent\n"


@pytest.mark.full
def test_threat_12_a_silent_tpm_and_no_passphrase(sealed_layout, layout_machine):
    """No shell: the TPM may come to life again."""
    machine = start_with_silent_tpm(layout_machine, sealed_layout(PLAIN), extra_arguments=NO_REBOOT)
    while machine.expect([r"Please unlock disk cryptroot.*: ", r"the boot is stopped: .*no shell", INITRAMFS_PROMPT],
                         SHELL_SECONDS) == 0:
        machine.send("wrong")
    assert "no shell" in machine.match[0]
    machine.wait_off()


@pytest.mark.full
def test_threat_12_a_modular_tpm_driver_before_udev(sealed_layout, layout_machine):
    """Before a shell every driver is tried that a TPM may have, though udev has not run and none is there to be seen."""
    watched = EVERY_DRIVER.but(name="every-driver-watched", initrd_files=WITNESS)
    machine = start_with_silent_tpm(layout_machine, sealed_layout(watched), " break=top", extra_arguments=NO_REBOOT)
    log = expect_stop(machine)
    modules = re.findall(r"witness: module (\S+)", log)
    assert {"tpm_tis_spi", "tpm_tis_i2c_cr50"} & set(modules), modules
    assert "(initramfs)" not in log, log


def test_threat_12_token_stripped(sealed_layout, layout_machine, tmp_path):
    """No protector is left: the passphrase opens the volume, and the boot is capped all the same."""
    sealed = sealed_layout(PLAIN)
    disk = clone(sealed.disks[0], tmp_path / "stripped.img")
    tokens = json.loads(subprocess.run(["cryptsetup", "luksDump", "--dump-json-metadata", disk], check=True,
                                       capture_output=True).stdout)["tokens"]
    for number in tokens:
        subprocess.run(["cryptsetup", "token", "remove", f"--token-id={number}", disk], check=True)
    machine = layout_machine(sealed, [disk])
    machine.start()
    machine.answer_prompt("cryptroot", ROOT.passphrase)
    assert "bootseal:" in machine.before and "PIN for" not in machine.before
    machine.wait_shell()
    assert is_capped(machine.pcr(CAP_PCR))
    disk.unlink()
