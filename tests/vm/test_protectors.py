"""A machine's life with its protectors, in real boots: the recovery key at the prompt, a new PIN, what boot-ok does."""

import json

import pytest

import journal
import recovery
from attacks import with_command_line
from bootseal import NEW_PIN, Bench, check_schema
from layouts import CAP_PCR, PLAIN, is_capped
from sealed import ENROLL_SECONDS, PIN, answer_pin_prompt, boot_by_pin, entries_of_boot_ok, pin_prompt
from storage import Volume, clone, fixed_uuid, run

ROOT = PLAIN.volume("cryptroot")
WRONG_PIN = "000000"
# The TPM locks before the policy's tries are used up.
STRICT = PLAIN.but(name="strict", policy={"tries": 10, "lockout": {"max_tries": 2}})
VOLUME_KEY = PLAIN.but(name="volume-key", enroll_options=("--payload", "volume-key"))
DATA = Volume("cryptdata", 16)


def fill_two(workshop):
    """The root, and a volume for data, each on a disk of its own."""
    content = workshop.ext4(DATA.name, fixed_uuid(DATA.name), DATA.size_mib)
    return [workshop.encrypt(ROOT, workshop.root()), workshop.encrypt(DATA, content)]


TWO = PLAIN.but(name="two", volumes=(ROOT, DATA), fill=fill_two)


@pytest.fixture
def disk_with_key(sealed_layout, tmp_path):
    """disk_with_key(plan): (a copy of a layout's disk that has a recovery key too, the key's result)"""
    disks = []

    def make(plan=PLAIN):
        disks.append(clone(sealed_layout(plan).disks[0], tmp_path / f"with-key-{len(disks)}.img"))
        with Bench(tmp_path / f"bench-{len(disks)}") as bench:
            return disks[-1], recovery.add(bench, disks[-1], key=ROOT.passphrase)

    yield make
    for disk in disks:
        disk.unlink()


def report_of(machine):
    """What the initramfs says of the root's volume."""
    report = json.loads(machine.read_file("/run/bootseal/report.json"))
    check_schema(report, "report")
    volume, = report["volumes"]
    return volume


def status_of(machine):
    """`bootseal status --json`."""
    status = json.loads(machine.check("bootseal status --json"))
    check_schema(status, "status")
    return status


def check_opened_by_key(machine, made, status):
    """Multi-user, capped, and the report names the key, and why the TPM did not do it."""
    machine.wait_shell()
    assert is_capped(machine.pcr(CAP_PCR))
    volume = report_of(machine)
    assert (volume["by"], volume["recovery_id"], volume["status"]) == ("recovery", made["id"], status)
    assert made["key"] not in machine.console_log.read_text(errors="replace")


def test_recovery_key_after_a_changed_boot(sealed_layout, layout_machine, disk_with_key):
    """The reason comes first, then bootseal's own question with the key's ID; a typo is named and costs nothing. The
    journal has both, and the key wants to be replaced."""
    sealed = sealed_layout(PLAIN)
    disk, made = disk_with_key()
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

    entries = entries_of_boot_ok(machine)
    assert journal.kinds(entries) == ["MISMATCH", "RECOVERY", "CHANGED"]
    assert (entries[0]["BOOTSEAL_PCRS"], entries[0]["BOOTSEAL_STATUS"]) == ("9", "3")
    assert (entries[1]["BOOTSEAL_RECOVERY_ID"], entries[1]["BOOTSEAL_BY"]) == (made["id"], "recovery")
    assert "bootseal recovery-key rotate" in machine.check(f"bootseal recovery-key list UUID={ROOT.uuid}")


@pytest.mark.full
def test_recovery_key_in_the_place_of_the_pin(sealed_layout, layout_machine, disk_with_key):
    """It never goes to the TPM: no PIN try is spent."""
    disk, made = disk_with_key()
    machine = layout_machine(sealed_layout(PLAIN), [disk])
    machine.start()
    machine.expect(pin_prompt("cryptroot"))
    machine.send(recovery.another(made["key"]))
    machine.expect(pin_prompt("cryptroot"))
    assert "(3 tries left)" in machine.match[0]
    machine.send(made["key"])
    check_opened_by_key(machine, made, 0)


@pytest.mark.full
def test_recovery_key_that_was_used_is_replaced(sealed_layout, layout_machine, disk_with_key):
    """Marked in its token by the boot that it opened; replaced in that boot; the next one takes the new key alone."""
    disk, made = disk_with_key()
    machine = layout_machine(sealed_layout(PLAIN), [disk], keep_disks=True)
    machine.start()
    machine.expect(pin_prompt("cryptroot"))
    machine.send(made["key"])
    check_opened_by_key(machine, made, 0)
    assert journal.kinds(entries_of_boot_ok(machine)) == ["RECOVERY"]
    key, = status_of(machine)["volumes"][0]["recovery_keys"]
    assert key["id"] == made["id"] and key["used"]
    assert "used: make a new one with recovery-key rotate" in machine.check("bootseal status")

    machine.write_file("/run/key", made["key"].encode())
    new = json.loads(machine.check(f"bootseal recovery-key --json --yes --unlock-key-file /run/key rotate "
                                   f"UUID={ROOT.uuid} 2>/dev/null"))
    check_schema(new, "recovery-key")
    assert new["replaced"] == made["id"]
    key, = status_of(machine)["volumes"][0]["recovery_keys"]
    assert key["id"] == new["recovery_key"]["id"] and not key["used"]
    machine.power_off()

    machine.start()
    machine.expect(pin_prompt("cryptroot"))
    machine.send(made["key"])
    machine.expect("opens nothing here")
    machine.expect(pin_prompt("cryptroot"))
    machine.send(new["recovery_key"]["key"])
    check_opened_by_key(machine, new["recovery_key"], 0)


@pytest.mark.full
def test_wrong_pins_are_forgiven_after_the_right_one(sealed_layout, layout_machine):
    """boot-ok tells of them, and sets the TPM's counter back."""
    machine = layout_machine(sealed_layout(PLAIN))
    machine.start()
    answer_pin_prompt(machine, "cryptroot", WRONG_PIN)
    machine.expect("wrong PIN")
    boot_by_pin(machine, "cryptroot")
    entries = entries_of_boot_ok(machine)
    assert journal.kinds(entries) == ["PIN", "COUNTER_RESET"]
    pin, reset = entries
    assert (pin["BOOTSEAL_VOLUME"], pin["BOOTSEAL_UUID"]) == ("cryptroot", ROOT.uuid)
    assert (pin["BOOTSEAL_BY"], pin["BOOTSEAL_WRONG_PINS"], pin["PRIORITY"]) == ("tpm2-pin", "1", "5")
    assert reset["BOOTSEAL_LOCKOUT_COUNTER"] == "1"
    assert status_of(machine)["tpm"]["lockout_counter"] == 0


@pytest.mark.full
def test_lockout_at_the_prompt(sealed_layout, layout_machine, disk_with_key):
    """With the last try comes until when the TPM refuses PINs, and the recovery key's prompt at once; so in the next
    boot, before any PIN. A boot that did not end with the right PIN forgives nothing."""
    disk, made = disk_with_key(STRICT)
    machine = layout_machine(sealed_layout(STRICT), [disk])
    until = r"refuses PINs after 2 wrong ones, until \d\d:\d\d:\d\d \S+ at the latest \(10 min\)"
    prompt = rf"Recovery key {made['id']} for cryptroot: "
    machine.start()
    for _ in range(2):
        answer_pin_prompt(machine, "cryptroot", WRONG_PIN)
    machine.expect(until)
    machine.expect(prompt)
    assert "PIN for" not in machine.before
    machine.kill()

    machine.start()
    machine.expect(until)
    assert "PIN for" not in machine.before
    machine.expect(prompt)
    assert "PIN for" not in machine.before
    machine.send(made["key"])
    check_opened_by_key(machine, made, 5)
    assert journal.kinds(entries_of_boot_ok(machine)) == ["LOCKOUT", "RECOVERY"]
    tpm = status_of(machine)["tpm"]
    assert (tpm["lockout_counter"], tpm["in_lockout"]) == (2, True)


@pytest.mark.full
def test_volume_key_and_no_keyslot_but_the_recovery_keys(sealed_layout, layout_machine, disk_with_key):
    """The TPM holds the volume's own key: it boots by the PIN with no keyslot for it, and by the recovery key's."""
    disk, made = disk_with_key(VOLUME_KEY)
    run(["cryptsetup", "luksRemoveKey", "--key-file=-", disk], ROOT.passphrase)
    header = json.loads(run(["cryptsetup", "luksDump", "--dump-json-metadata", disk]))
    token, = (token for token in header["tokens"].values() if token["type"] == "bootseal-recovery")
    assert list(header["keyslots"]) == token["keyslots"]
    machine = layout_machine(sealed_layout(VOLUME_KEY), [disk])
    machine.start()
    boot_by_pin(machine, "cryptroot")
    assert is_capped(machine.pcr(CAP_PCR))
    assert (report_of(machine)["by"], report_of(machine)["status"]) == ("tpm2-pin", 0)
    machine.check("touch /var/tmp/written && sync")
    machine.kill()

    machine.start()
    machine.expect(pin_prompt("cryptroot"))
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
    volume = report_of(machine)
    assert (volume["by"], volume["wrong_pins"]) == ("tpm2-pin", 1)
    status = status_of(machine)
    assert status["volumes"][0]["state"].startswith("protected"), status
    machine.kill()
    disk.unlink()


@pytest.mark.full
def test_what_is_busy(sealed_layout, layout_machine):
    """A mapping that is there, a disk that somebody else uses, a TPM that somebody else holds: named, and no harm done.
    When they are free the PIN opens the volume in the running system too, by the authority."""
    machine = layout_machine(sealed_layout(TWO))
    machine.start()
    boot_by_pin(machine, "cryptroot, cryptdata")
    machine.write_file("/run/pin", PIN.encode())
    unlock = f"bootseal unlock --pin-file /run/pin UUID={DATA.uuid}"
    status, output = machine.run(unlock)
    assert status == 1 and "/dev/mapper/cryptdata" in output, output
    # not of the header: it would be found there
    machine.check("cryptsetup close cryptdata && dmsetup create holder --table '0 2048 linear /dev/vdb 32768'")
    status, output = machine.run(unlock)
    assert status == 1 and "in use" in output, output
    machine.check("dmsetup remove holder")

    held = "exec 3<>/dev/tpm0; "
    status, output = machine.run(f"{held} {unlock} --test --tcti device:/dev/tpm0")
    assert status == 6 and "in use by another program" in output and "/dev/tpmrm0" in output, output
    assert "by the authority" in machine.check(f"{held} {unlock} --test")
    machine.check(f"{held} /usr/lib/bootseal/bootseal-unlock --cap")

    assert "by the authority" in machine.check(unlock)
    machine.check("mount /dev/mapper/cryptdata /mnt && touch /mnt/file && umount /mnt")
    mapping = machine.check("dmsetup info --columns --noheadings -o uuid cryptdata")
    assert mapping.startswith(f"CRYPT-LUKS2-{DATA.uuid.replace('-', '')}-cryptdata"), mapping
    assert status_of(machine)["tpm"]["lockout_counter"] == 0


@pytest.mark.full
def test_two_operators(sealed_layout, layout_machine, tmp_path):
    """A second PIN, enrolled in the running system: the prompt asks who it is, and takes that one's PIN alone."""
    sealed = sealed_layout(PLAIN)
    disk = clone(sealed.disks[0], tmp_path / "operators.img")
    machine = layout_machine(sealed, [disk], keep_disks=True)
    machine.start()
    boot_by_pin(machine, "cryptroot")
    machine.write_file("/run/policy.json", sealed.bench.policy.read_bytes())
    machine.write_file("/run/second", NEW_PIN.encode())
    machine.write_file("/run/passphrase", ROOT.passphrase)
    machine.check("bootseal enroll --policy /run/policy.json --label Bert --pin-file /run/second --no-recovery-key "
                  f"--unlock-key-file /run/passphrase UUID={ROOT.uuid}", ENROLL_SECONDS)
    machine.power_off()

    question = r"Operator \(1, 2 Bert\): "
    machine.start()
    machine.expect(question)
    machine.send("7")
    machine.expect(question)
    machine.send("2")
    machine.expect(r"PIN of operator 2 for cryptroot \(\d+ tries left\): ")
    machine.send(PIN)  # the first operator's
    machine.expect("wrong PIN")
    machine.expect(r"Operator \(1, 2 Bert, Enter for 2\): ")
    machine.send("")
    machine.expect(r"PIN of operator 2 for cryptroot \(\d+ tr(y|ies) left\): ")
    machine.send(NEW_PIN)
    machine.wait_shell()
    volume = report_of(machine)
    assert (volume["by"], volume["operator"], volume["wrong_pins"]) == ("tpm2-pin", 2, 1)
    assert is_capped(machine.pcr(CAP_PCR))
    machine.power_off()

    machine.start()
    machine.expect(question)
    machine.send("1")
    machine.expect("PIN of operator 1 for cryptroot")
    machine.send(PIN)
    machine.wait_shell()
    assert report_of(machine)["operator"] == 1
    machine.kill()
    disk.unlink()
