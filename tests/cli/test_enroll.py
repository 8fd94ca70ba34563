"""bootseal enroll: what it makes, and all that it refuses before it makes anything."""

import json
import os
import subprocess
import tempfile

import pytest

import eventlog
from bootseal import CAP_PCR, MEASURED, PASSPHRASE, PIN, REPOSITORY, check_schema


def assert_untouched(volume):
    """The header is as cryptsetup made it."""
    metadata = volume.metadata()
    assert metadata["tokens"] == {} and set(metadata["keyslots"]) == {"0"}


# ---- what it makes ----

def test_json(bench, volume):
    """The result names what is now in the header."""
    result = bench.enroll(volume)
    check_schema(result, "enroll")
    token = volume.token()
    assert result["volume"] == volume.uuid and result["name"] == volume.name
    assert result["kind"] == token["kind"] == "tpm2-pin" and result["protector"] == token["id"]
    assert token["keyslots"] == [str(result["keyslot"])]
    assert volume.keyslots() == {0, result["keyslot"]}


def test_text(bench, volume):
    """One line on stdout, with the protector's ID."""
    result = bench.try_enroll(volume)
    assert result.rc == 0 and result.stdout.count("\n") == 1
    assert volume.token()["id"] in result.stdout


def test_tokens(bench, volume):
    """A protector, a list of approved states, nothing left over."""
    bench.enroll(volume)
    assert {token["type"] for token in volume.metadata()["tokens"].values()} == {"bootseal", "bootseal-approval"}
    approval = volume.token("bootseal-approval")
    assert [branch["kind"] for branch in approval["branches"]] == ["authority", "boot"]
    assert len(approval["objects"]) == 1 and approval["next"] is None


def test_no_pin(bench, volume):
    """--no-pin: a protector of the other kind, without a key derivation."""
    result = bench.enroll(volume, "--no-pin", pin=None)
    check_schema(result, "enroll")
    assert result["kind"] == volume.token()["kind"] == "tpm2"
    assert "kdf" not in volume.token()


def test_name_and_label(bench, volume):
    """--name goes into the pins, --label into the token."""
    result = bench.enroll(volume, "--name", "cryptroot", "--label", "operator 1")
    pins = json.loads((bench.state / "pins.json").read_text())
    assert result["name"] == pins["volumes"][0]["name"] == "cryptroot"
    assert volume.token()["label"] == "operator 1"


@pytest.mark.parametrize("option, text", [
    ("--name", ""), ("--name", "a/b"), ("--name", ".."), ("--name", "x" * 128), ("--label", "x" * 64),
    ("--label", "two\nlines"), ("--label", "\x1b[2J"),
])
def test_bad_name_or_label(bench, volume, option, text):
    """Status 2, and nothing is changed; a label that could not be read again is not written."""
    assert bench.try_enroll(volume, option, text).rc == 2
    assert_untouched(volume)


def test_uuid_names_the_pinned_device(bench, volume):
    """The pin of a file is its whole path, however it was given."""
    relative = os.path.relpath(volume.path)
    result = bench.bootseal("enroll", *bench.enroll_options, relative, pin=PIN, key=PASSPHRASE)
    pins = json.loads((bench.state / "pins.json").read_text())
    assert result.rc == 0 and pins["volumes"][0]["device"] == str(volume.path.resolve())


def test_leftover_of_a_cut_enrolment_goes(bench, volume):
    """A pending token, and the keyslot that it planned, are cleared away."""
    bench.enroll(volume)
    token = volume.token()
    pending = {**token, "type": "bootseal-pending", "keyslots": [], "planned_keyslot": int(token["keyslots"][0])}
    (number,) = volume.tokens("bootseal")
    volume.put_token(pending, number)
    assert bench.try_enroll(volume).rc == 0
    assert volume.tokens("bootseal-pending") == {}
    assert len(volume.keyslots()) == 2 and volume.opens_with(PASSPHRASE)
    assert bench.unlock(volume).rc == 0


def test_forged_leftover_keeps_the_passphrase(bench, volume):
    """A pending token that names the administrator's own keyslot does not take it away."""
    bench.enroll(volume)
    forged = {**volume.token(), "type": "bootseal-pending", "keyslots": [], "planned_keyslot": 0}
    bench.bootseal("remove", volume)
    volume.put_token(forged, 9)
    assert bench.try_enroll(volume).rc == 0
    assert volume.opens_with(PASSPHRASE) and volume.tokens("bootseal-pending") == {}


# ---- volumes ----

def test_wrong_passphrase(bench, volume):
    """Status 4; the volume, and what would be approved, stay as they are."""
    result = bench.try_enroll(volume, key="not the passphrase")
    assert result.rc == 4 and "passphrase" in result.stderr
    assert "not the passphrase" not in result.stderr
    assert_untouched(volume)
    assert bench.status()["volumes"] == []


def test_luks1(bench):
    """Status 8, and the way to convert it."""
    path = bench.folder / "luks1.img"
    with open(path, "wb") as file:
        file.truncate(8 << 20)
    subprocess.run(["cryptsetup", "luksFormat", "--batch-mode", "--type=luks1", "--pbkdf-force-iterations=1000",
                    "--key-file=-", path], input=PASSPHRASE.encode(), check=True)
    result = bench.try_enroll(path)
    assert result.rc == 8
    assert "LUKS1" in result.stderr and "cryptsetup convert" in result.stderr


@pytest.mark.parametrize("content", [b"", b"hello", bytes(1 << 20), b"LUKS\xba\xbe\x00\x02" + bytes(1 << 20)],
                         ids=["empty", "short", "zeros", "magic alone"])
def test_no_volume(bench, content):
    """A file that holds no LUKS2 volume: status 8."""
    path = bench.folder / "file"
    path.write_bytes(content)
    result = bench.try_enroll(path)
    assert result.rc == 8 and str(path) in result.stderr


def test_folder(bench):
    """Neither a device nor a file: status 8."""
    assert bench.try_enroll(bench.folder).rc == 8


@pytest.mark.parametrize("device", ["/nosuchdevice", "UUID=2f9bd9c8-7d6e-4d86-a1fb-1a5c4c4a5b1e"])
def test_missing_device(bench, device):
    """It is named, with what to do."""
    result = bench.try_enroll(device)
    assert result.rc in (1, 8) and device in result.stderr and "what to do" in result.stderr


def test_second_of_a_kind(bench, enrolled):
    """Status 10; the words name the protector that is there and how to remove it."""
    result = bench.try_enroll(enrolled, "--operator", "1", pin="9085746321")
    assert result.rc == 10
    assert enrolled.token()["id"] in result.stderr and "bootseal remove" in result.stderr
    assert bench.unlock(enrolled).rc == 0


def test_other_policy_than_the_machines(bench, enrolled):
    """All volumes of a machine share one selection: status 10."""
    second = bench.volume()
    result = bench.try_enroll(second, "--pcrs", "7,12")
    assert result.rc == 10 and enrolled.uuid not in result.stderr
    assert_untouched(second)


# ---- PINs ----

BAD_PINS = {
    "empty": b"",
    "too short": b"53197",
    "too long": b"531970864253197086421",
    "letters": b"5319x7",
    "spaces": b"531 97",
    "only spaces": b"        ",
    "NUL": b"5319\x0070",
    "DOS line end": b"531970\r\n",
    "two lines": b"531970\n\n",
    "invalid UTF-8": b"\xff\xfe\xfd\xfc\xfb\xfa\xf9",
    "other digits": "٥٣١٩٧٠٨".encode(),
    "10 000 characters": b"5319708642" * 1000,
}


@pytest.mark.parametrize("name", BAD_PINS)
def test_threat_21_bad_pin(bench, volume, name):
    """Status 2 with the rule; the PIN is never quoted, and nothing is changed."""
    result = bench.try_enroll(volume, pin=BAD_PINS[name])
    assert result.rc == 2, result
    assert any(words in result.stderr for words in ("the PIN is", "the PIN may", "the PIN has", "bytes"))
    assert "without a terminal" not in result.stderr
    quoted = BAD_PINS[name].decode(errors="replace").strip()
    assert not quoted or quoted not in result.stdout + result.stderr
    assert_untouched(volume)


@pytest.mark.parametrize("pin", [b"531970", b"531970\n", b"53197086425319708642"])
def test_good_pin(bench, volume, pin):
    """The shortest, with a line end, and the longest."""
    bench.enroll(volume, pin=pin)
    assert bench.unlock(volume, pin=pin.strip()).rc == 0


def test_policy_allows_any_character(bench, volume):
    """With "characters": "any" a PIN may be a sentence, in UTF-8 and beyond."""
    bench.set_policy(pin={"min_length": 4, "max_length": 64, "characters": "any"})
    pin = "Straße 7, été ".encode() + b"\xff"
    bench.enroll(volume, pin=pin)
    assert bench.unlock(volume, pin=pin).rc == 0
    assert bench.unlock(volume, pin=pin[:-1]).rc == 4


# ---- policies ----

@pytest.mark.parametrize("pcrs", ["", "x", "4,,12", "4,12,", ",12", "-1", "4 12", "24", "12,4096", "04,12", "4,4,12",
                                  "10,12", "12,16", "12,23"])
def test_bad_selection(bench, volume, pcrs):
    """--pcrs: no list of numbers, or PCRs that cannot be used."""
    result = bench.try_enroll(volume, "--pcrs", pcrs)
    assert result.rc == 2, result
    assert_untouched(volume)


def test_cap_joins_the_selection(bench, volume):
    """--pcrs without the cap PCR: it is bound all the same."""
    bench.enroll(volume, "--pcrs", "4,7")
    assert volume.token("bootseal-approval")["pcrs"] == [4, 7, CAP_PCR]


@pytest.mark.parametrize("document, words", [
    ({"pcrs": []}, '"pcrs"'),
    ({"pcrs": [24]}, '"pcrs"'),
    ({"pcrs": [10, 12]}, "PCR 10"),
    ({"pcrs": [4, 7]}, '"cap"'),
    ({"pcrs": "4,7,12"}, '"pcrs"'),
    ({"pcrs": [7, 12], "cap": 7}, '"cap"'),
    ({"pcrs": [7, 12], "tires": 3}, "tires"),
    ({"pcrs": [7, 12], "pin": {"min": 4}}, "min"),
    ({"pcrs": [7, 12], "bank": "sha1"}, '"bank"'),
    ({"pcrs": [7, 12], "version": 2}, '"version"'),
    ({"pcrs": [7, 12], "kdf": {"memory_kib": 8}}, '"memory_kib"'),
    ({"pcrs": [7, 12], "lockout": {"max_tries": 33}}, '"max_tries"'),
    ({"bank": "sha256"}, '"pcrs"'),
])
def test_bad_document(bench, volume, document, words):
    """Status 2 with file, key and rule."""
    bench.policy.write_text(json.dumps(document))
    result = bench.try_enroll(volume)
    assert result.rc == 2 and str(bench.policy) in result.stderr and words in result.stderr, result
    assert_untouched(volume)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"pcrs":[12]}\0', b"\xff", None])
def test_unreadable_document(bench, volume, content):
    """Status 2 for what is no JSON object, and for no file at all."""
    bench.policy.unlink()
    if content is not None:
        bench.policy.write_bytes(content)
    result = bench.try_enroll(volume)
    assert result.rc == 2 and str(bench.policy) in result.stderr, result


RECORDED = REPOSITORY / "tests/data/eventlogs"


def enroll_without_policy(bench, volume, log):
    """Enroll a volume with the presets of the tree, in a boot that has this event log; the result."""
    environment = {"BOOTSEAL_EVENTLOG": str(log), "BOOTSEAL_POLICY_DIR": str(REPOSITORY / "policy")}
    return bench.bootseal("enroll", "--current-values", "--allow-unencrypted-state", "--no-recovery-key", volume, pin=PIN,
                          key=PASSPHRASE, environment=environment)


@pytest.mark.parametrize("log, words, preset_name", [
    ("debian12-shim-grub-secureboot", "shim and GRUB", "grub"),
    ("debian12-systemd-boot", "systemd-boot", "systemd-boot"),
])
def test_preset_of_the_boot_chain(bench, volume, log, words, preset_name):
    """Without --policy the preset for the way the machine boots is taken, and said."""
    result = enroll_without_policy(bench, volume, RECORDED / f"{log}.bin")
    assert result.rc == 0 and f"boots by {words}" in result.stderr and f"preset {preset_name}" in result.stderr, result
    wanted = json.loads((REPOSITORY / f"policy/{preset_name}.json").read_text(encoding="utf-8"))["pcrs"]
    assert volume.token("bootseal-approval")["pcrs"] == wanted
    assert bench.unlock(volume).rc == 0


def test_preset_of_a_unified_image(bench, volume):
    """The same with a unified kernel image, whose sections the log names."""
    log = bench.folder / "eventlog"
    log.write_bytes(eventlog.header() + eventlog.event(11, b"sections", ".linux\0".encode("utf-16-le")))
    bench.boot({11: b"sections"})
    result = enroll_without_policy(bench, volume, log)
    assert result.rc == 0 and "preset uki" in result.stderr, result
    assert volume.token("bootseal-approval")["pcrs"] == [4, 7, 11, 12, 13]


def test_preset_is_no_promise(bench, volume):
    """What the log says is not believed: PCRs that the preset wants and nothing extended are refused all the same."""
    log = bench.folder / "eventlog"
    log.write_bytes(eventlog.header() + eventlog.event(11, b"sections", ".linux\0".encode("utf-16-le")))
    result = enroll_without_policy(bench, volume, log)
    assert result.rc == 10 and "PCR 11" in result.stderr, result
    assert_untouched(volume)


def test_damaged_log_chooses_nothing(bench, volume):
    """Without --policy a log that cannot be read is an error, with what to give."""
    log = bench.folder / "eventlog"
    log.write_bytes((RECORDED / "debian12-systemd-boot.bin").read_bytes()[:-3])
    result = enroll_without_policy(bench, volume, log)
    assert result.rc == 9 and "--policy" in result.stderr, result
    assert_untouched(volume)


@pytest.mark.skipif(os.path.exists("/sys/firmware/efi/efivars"), reason="this machine's firmware says how it boots")
def test_no_policy(bench, volume):
    """Without --policy, the machine's own, and anything that tells how it boots: status 2, and what to give."""
    result = enroll_without_policy(bench, volume, bench.folder / "missing")
    assert result.rc == 2 and "--policy" in result.stderr
    assert_untouched(volume)


def test_unknown_preset(bench, volume):
    """A name that is neither a preset nor a file."""
    result = bench.bootseal("enroll", "--policy", "grubb", volume, pin=PIN, key=PASSPHRASE)
    assert result.rc == 2 and '"grubb"' in result.stderr and "what to do" in result.stderr


@pytest.mark.parametrize("missing", [4, 7, 8, 9])
def test_pcr_that_nothing_extended(bench, volume, missing):
    """Status 10: binding to it would protect nothing."""
    bench.boot({missing: None})
    result = bench.try_enroll(volume)
    assert result.rc == 10 and f"PCR {missing}" in result.stderr
    assert_untouched(volume)


def test_pcrs_that_may_be_zero(bench, volume):
    """12, 13 and 14 say something by being zero."""
    bench.enroll(volume, "--pcrs", "4,12,13,14")
    assert bench.unlock(volume).rc == 0


def preset(name):
    """A preset's file in the tree."""
    return str(REPOSITORY / f"policy/{name}.json")


def test_secure_boot_preset(bench, volume):
    """Where GRUB measures commands it covers too little, with or without a PIN: status 10. Else a PIN is needed."""
    by_grub = bench.bootseal("enroll", *bench.enroll_options, "--policy", preset("secure-boot"), volume, pin=PIN,
                             key=PASSPHRASE)
    assert by_grub.rc == 10 and "GRUB" in by_grub.stderr
    bench.boot({8: None})
    without = bench.bootseal("enroll", *bench.enroll_options, "--policy", preset("secure-boot"), "--no-pin", volume,
                             key=PASSPHRASE)
    assert without.rc == 10 and "PIN" in without.stderr
    assert_untouched(volume)
    with_pin = bench.bootseal("enroll", *bench.enroll_options, "--policy", preset("secure-boot"), volume, pin=PIN,
                              key=PASSPHRASE)
    assert with_pin.rc == 0


@pytest.mark.parametrize("name, more", [("grub", {}), ("systemd-boot", {}), ("uki", {11: b"sections"}),
                                        ("firmware", {0: b"firmware", 2: b"option ROMs"})])
def test_presets(bench, volume, name, more):
    """Each preset of the tree serves a machine that boots in its way."""
    bench.boot(more)
    result = bench.bootseal("enroll", *bench.enroll_options, "--policy", preset(name), volume, pin=PIN,
                            key=PASSPHRASE)
    assert result.rc == 0, result
    assert bench.unlock(volume).rc == 0


# ---- banks ----

@pytest.fixture(name="sha384_machine")
def make_sha384_machine(bench):
    """A machine whose TPM has the SHA-384 bank alone."""
    bench.tpm.tool("tpm2_pcrallocate", "sha256:none+sha384:all")
    bench.banks = ("sha384",)
    bench.boot()
    return bench


def test_inactive_bank(sha384_machine, volume):
    """Status 10, and how to choose another."""
    result = sha384_machine.try_enroll(volume)
    assert result.rc == 10 and "sha256" in result.stderr and "--bank" in result.stderr
    assert_untouched(volume)


def test_other_bank(sha384_machine, volume):
    """--bank sha384 works from enrolment to unlocking."""
    sha384_machine.enroll(volume, "--bank", "sha384")
    assert sha384_machine.unlock(volume).rc == 0
    assert sha384_machine.unlock_all(PIN).rc == 0
    sha384_machine.boot({9: b"another initrd"})
    assert sha384_machine.unlock(volume).rc == 3


@pytest.mark.parametrize("bank", ["sha1", "sha", "", "SHA256"])
def test_bad_bank(bench, volume, bank):
    """Not a bank, or one that cannot be trusted."""
    assert bench.try_enroll(volume, "--bank", bank).rc == 2


def test_active_bank_that_firmware_ignores(bench, volume):
    """All zero in an active bank that nothing measures into: status 10."""
    assert bench.try_enroll(volume, "--bank", "sha512").rc == 10
    assert_untouched(volume)


# ---- state folder, boot state ----

def test_state_outside_luks(bench, volume):
    """Without the option for tests and images: status 10, and no key is left there."""
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        result = bench.bootseal("enroll", "--policy", bench.policy, "--current-values", "--no-recovery-key",
                                "--state-dir", f"{folder}/state", volume, pin=PIN, key=PASSPHRASE)
        assert result.rc == 10 and "LUKS" in result.stderr
        assert [file for _, _, files in os.walk(folder) for file in files] == []
    assert_untouched(volume)


def test_no_record_of_the_boot(bench, volume):
    """Without report.json and --current-values: status 10."""
    result = bench.bootseal("enroll", "--policy", bench.policy, "--allow-unencrypted-state", "--no-recovery-key", volume,
                            pin=PIN, key=PASSPHRASE)
    assert result.rc == 10 and "--current-values" in result.stderr
    assert_untouched(volume)


def test_recorded_values(bench, volume):
    """What the initramfs recorded before its cap is what is approved."""
    assert bench.unlock_all().rc == 0
    result = bench.bootseal("enroll", "--policy", bench.policy, "--allow-unencrypted-state", "--no-recovery-key", volume,
                            pin=PIN, key=PASSPHRASE)
    assert result.rc == 0, result
    bench.boot()
    assert bench.unlock_all(PIN).rc == 0


def test_values_that_moved_since(bench, volume):
    """A PCR that is not as recorded: status 3, and it is named."""
    bench.unlock_all()
    bench.measure({9: b"something after the initramfs"})
    result = bench.try_enroll(volume)
    assert result.rc == 3 and "PCR 9" in result.stderr
    assert_untouched(volume)


def test_capped_without_a_record(bench, volume):
    """The values after the cap are never an initramfs's: status 10."""
    bench.cap()
    result = bench.try_enroll(volume)
    assert result.rc == 10 and "PCR 12" in result.stderr
    assert_untouched(volume)


# ---- where secrets come from ----

def test_pin_and_key_from_stdin(bench, volume):
    """Both cannot be "-": status 2."""
    result = bench.bootseal("enroll", *bench.enroll_options, "--pin-file", "-", "--unlock-key-file", "-", volume,
                            stdin=PIN.encode())
    assert result.rc == 2 and "standard input" in result.stderr
    assert_untouched(volume)


def test_pin_from_stdin(bench, volume):
    """--pin-file - with the passphrase from a file, and the other way round."""
    result = bench.try_enroll(volume, "--pin-file", "-", pin=None, stdin=PIN.encode() + b"\n")
    assert result.rc == 0 and bench.unlock(volume).rc == 0
    assert bench.bootseal("remove", volume).rc == 0
    result = bench.try_enroll(volume, "--unlock-key-file", "-", key=None, stdin=PASSPHRASE.encode() + b"\n")
    assert result.rc == 0 and bench.unlock(volume).rc == 0


def test_pin_file_with_no_pin(bench, volume):
    """They exclude each other: status 2."""
    result = bench.try_enroll(volume, "--no-pin")
    assert result.rc == 2 and "--no-pin" in result.stderr
    assert_untouched(volume)


@pytest.mark.parametrize("option", ["--pin-file", "--unlock-key-file"])
def test_missing_file(bench, volume, option):
    """A file that is not there is named."""
    pin, key = (None, PASSPHRASE) if option == "--pin-file" else (PIN, None)
    result = bench.try_enroll(volume, option, "/nosuchfile", pin=pin, key=key)
    assert result.rc in (1, 2) and "/nosuchfile" in result.stderr
    assert_untouched(volume)


@pytest.mark.parametrize("pin, key, option", [(PIN, None, "--unlock-key-file"), (None, PASSPHRASE, "--pin-file")])
def test_no_terminal(bench, volume, pin, key, option):
    """Nobody to ask: status 2, and the option that answers."""
    result = bench.try_enroll(volume, pin=pin, key=key)
    assert result.rc == 2 and option in result.stderr
    assert_untouched(volume)


PROMPTS = [r"[Pp]assphrase[^\r\n]*: ", r"New PIN: ", r"New PIN \(again\): "]


def enroll_on_terminal(bench, volume, *typed):
    """Enroll with what a person types."""
    argv = bench.arguments("enroll", *bench.enroll_options, volume)
    return bench.on_terminal(argv, *zip(PROMPTS, typed))


def test_prompts(bench, volume):
    """The passphrase, and the PIN twice; nothing of it is echoed."""
    done = enroll_on_terminal(bench, volume, PASSPHRASE, PIN, PIN)
    assert done.rc == 0
    assert PASSPHRASE not in done.screen and PIN not in done.screen
    assert bench.unlock(volume).rc == 0


def test_prompt_mismatch(bench, volume):
    """Two different PINs: status 2, nothing changed."""
    done = enroll_on_terminal(bench, volume, PASSPHRASE, PIN, PIN[:-1] + "0")
    assert done.rc == 2 and "differ" in done.screen and PIN not in done.screen
    assert_untouched(volume)


def test_prompt_bad_pin(bench, volume):
    """A typed PIN obeys the same rules."""
    done = enroll_on_terminal(bench, volume, PASSPHRASE, "53197", "53197")
    assert done.rc == 2 and "too short" in done.screen and "53197" not in done.screen
    assert_untouched(volume)


def test_prompt_wrong_passphrase(bench, volume):
    """It is refused before anybody has to think of a PIN."""
    done = enroll_on_terminal(bench, volume, "not the passphrase")
    assert done.rc == 4 and "New PIN" not in done.screen and "not the passphrase" not in done.screen
    assert_untouched(volume)


def test_refusals_come_before_prompts(bench, volume):
    """What can be refused is refused before a secret is asked for."""
    bench.boot({9: None})
    done = enroll_on_terminal(bench, volume)
    assert done.rc == 10 and "assphrase" not in done.screen.split("what to do")[0]


def test_measured_values_are_recorded(bench, enrolled):
    """The approval has this boot's values, each once."""
    approval = enrolled.token("bootseal-approval")
    now = bench.tpm.pcrs()
    boot = approval["branches"][1]
    values = {pcr: approval["values"][place] for pcr, place in zip(approval["pcrs"], boot["values"])}
    assert values == {pcr: now[pcr].hex() for pcr in approval["pcrs"]}
    assert len(set(approval["values"])) == len(approval["values"]) == len(MEASURED) + 1
