"""A machine's life with its protectors, in real boots: the recovery key at the prompt, a new PIN."""

import json

import pytest

import recovery
from attacks import with_command_line
from bootseal import NEW_PIN, Bench
from layouts import CAP_PCR, PLAIN, is_capped
from sealed import ENROLL_SECONDS, PIN, answer_pin_prompt, pin_prompt
from storage import clone

ROOT = PLAIN.volume("cryptroot")


@pytest.fixture
def disk_with_key(sealed_layout, tmp_path):
    """(a copy of the plain layout's disk that has a recovery key too, the key's result)"""
    disk = clone(sealed_layout(PLAIN).disks[0], tmp_path / "with-key.img")
    with Bench(tmp_path / "bench") as bench:
        made = recovery.add(bench, disk, key=ROOT.passphrase)
    yield disk, made
    disk.unlink()


def check_opened_by_key(machine, made, status):
    """Multi-user, capped, and the report names the key, and why the TPM did not do it."""
    machine.wait_shell()
    assert is_capped(machine.pcr(CAP_PCR))
    volume, = json.loads(machine.read_file("/run/bootseal/report.json"))["volumes"]
    assert (volume["by"], volume["recovery_id"], volume["status"]) == ("recovery", made["id"], status)
    assert made["key"] not in machine.console_log.read_text(errors="replace")


def test_recovery_key_after_a_changed_boot(sealed_layout, layout_machine, disk_with_key):
    """The reason comes first, then bootseal's own question with the key's ID; a typo is named and costs nothing."""
    sealed = sealed_layout(PLAIN)
    disk, made = disk_with_key
    changed = with_command_line(sealed.boot, lambda line: f"{line} panic=1")
    machine = layout_machine(sealed, [disk], boot=changed)
    machine.start()
    prompt = rf"Recovery key {made['id']} for cryptroot: "
    machine.expect(prompt)
    assert "PCR 9" in machine.before and "PIN for" not in machine.before
    machine.send(recovery.with_typo(made["key"], 3))
    machine.expect("group 3 has a typo")
    machine.expect(prompt)
    machine.send(made["key"].replace("-", ""))
    check_opened_by_key(machine, made, 3)


@pytest.mark.full
def test_recovery_key_in_the_place_of_the_pin(sealed_layout, layout_machine, disk_with_key):
    """It never goes to the TPM: no PIN try is spent."""
    disk, made = disk_with_key
    machine = layout_machine(sealed_layout(PLAIN), [disk])
    machine.start()
    machine.expect(pin_prompt("cryptroot"))
    machine.send(recovery.another(made["key"]))
    machine.expect(pin_prompt("cryptroot"))
    assert "(3 tries left)" in machine.match[0]
    machine.send(made["key"])
    check_opened_by_key(machine, made, 0)


@pytest.mark.full
def test_after_change_pin(sealed_layout, layout_machine, tmp_path):
    """Changed in the running system, which is capped; the next boot takes the new PIN and counts the old one as wrong."""
    sealed = sealed_layout(PLAIN)
    disk = clone(sealed.disks[0], tmp_path / "changed.img")
    machine = layout_machine(sealed, [disk], keep_disks=True)
    machine.start()
    answer_pin_prompt(machine, "cryptroot")
    machine.wait_shell()
    machine.write_file("/run/old", PIN.encode())
    machine.write_file("/run/new", NEW_PIN.encode())
    machine.check(f"bootseal change-pin --pin-file /run/old --new-pin-file /run/new UUID={ROOT.uuid}", ENROLL_SECONDS)
    machine.power_off()

    machine.start()
    answer_pin_prompt(machine, "cryptroot", PIN)
    machine.expect("wrong PIN")
    answer_pin_prompt(machine, "cryptroot", NEW_PIN)
    machine.wait_shell()
    volume, = json.loads(machine.read_file("/run/bootseal/report.json"))["volumes"]
    assert (volume["by"], volume["wrong_pins"]) == ("tpm2-pin", 1)
    status = json.loads(machine.check("bootseal status --json"))
    assert status["volumes"][0]["state"].startswith("protected"), status
    machine.kill()
    disk.unlink()
