"""bootseal boot-ok: the boot's record in the journal, and the counter of wrong PINs back to 0."""

import hashlib
import json
import re
import struct
from pathlib import Path

import pytest

import eventlog
import journal
from bootseal import PASSPHRASE, PIN, REPOSITORY, check_schema

WRONG_PIN = "1111111111"
PAGE = REPOSITORY / "man/bootseal-journal.7.scd"


def boot_ok(bench, *options, environment=None):
    """Run it; its JSON."""
    result = bench.bootseal("boot-ok", "--json", "--stderr", *options, environment=environment)
    assert result.rc == 0, result
    check_schema(result.json, "boot-ok")
    return result.json


def kinds(document):
    """The names of the entries' MESSAGE_IDs."""
    return journal.kinds(document["entries"])


def edit_report(bench, change):
    """Let CHANGE change this boot's report."""
    report = json.loads(bench.report.read_text(encoding="utf-8"))
    change(report)
    bench.report.write_text(json.dumps(report), encoding="utf-8")


def test_by_pin(bench, enrolled):
    """One entry, and a counter that is 0 already."""
    assert bench.unlock_all(PIN).rc == 0
    document = boot_ok(bench)
    assert kinds(document) == ["PIN"] and document["written"] and not document["journal"]
    (entry,) = document["entries"]
    assert entry["BOOTSEAL_VOLUME"] == enrolled.name and entry["BOOTSEAL_UUID"] == enrolled.uuid
    assert entry["BOOTSEAL_BY"] == "tpm2-pin" and entry["PRIORITY"] == "6"
    assert entry["BOOTSEAL_OPERATOR"] == "1" and entry["BOOTSEAL_PROTECTOR"] == enrolled.token()["id"]
    assert document["lockout_counter"] == {"before": 0, "after": 0}


def test_resets_the_counter(bench, enrolled):
    """After a boot by PIN with wrong tries before it."""
    assert enrolled and bench.unlock_all(WRONG_PIN, WRONG_PIN, PIN).rc == 0
    assert bench.tpm.lockout_counter() == 2
    document = boot_ok(bench)
    assert kinds(document) == ["PIN", "COUNTER_RESET"]
    assert document["entries"][0]["BOOTSEAL_WRONG_PINS"] == "2"
    assert document["entries"][1]["BOOTSEAL_LOCKOUT_COUNTER"] == "2"
    assert document["lockout_counter"] == {"before": 2, "after": 0}
    assert bench.tpm.lockout_counter() == 0


def test_twice(bench, enrolled):
    """The second time nothing is written, and nothing is left to do."""
    assert enrolled and bench.unlock_all(WRONG_PIN, PIN).rc == 0
    assert boot_ok(bench)["written"]
    document = boot_ok(bench)
    assert not document["written"] and kinds(document) == ["PIN"]
    assert document["lockout_counter"] == {"before": 0, "after": 0}
    bench.boot()
    assert bench.unlock_all(PIN).rc == 0
    (bench.folder / "report.json.recorded").write_text("another boot", encoding="ascii")  # as after a reboot
    assert boot_ok(bench)["written"]


def test_counter_stays_without_a_pin(bench, enrolled):
    """Who guesses PINs and then gives up does not get the counter back by booting with a passphrase."""
    assert enrolled and bench.unlock_all(*[WRONG_PIN] * 3).rc == 4
    document = boot_ok(bench)
    assert kinds(document) == ["WRONG_PIN"] and document["lockout_counter"] is None
    assert bench.tpm.lockout_counter() == 3


def test_counter_of_somebody_else(bench, enrolled):
    """Without the kept authorisation it stays, which is said and is no failure."""
    assert enrolled and bench.unlock_all(WRONG_PIN, PIN).rc == 0
    (bench.state / "lockout-auth").unlink()
    result = bench.bootseal("boot-ok", "--json", "--stderr")
    assert result.rc == 0 and "not kept here" in result.stderr
    assert result.json["lockout_counter"] == {"before": 1, "after": 1}


def test_wrong_lockout_authorisation_is_sent_once(bench, enrolled):
    """A restored folder: status 6 once, and then as without."""
    assert enrolled and bench.unlock_all(WRONG_PIN, PIN).rc == 0
    (bench.state / "lockout-auth").write_bytes(bytes(range(1, 33)))
    with bench.recording() as commands:
        results = [bench.bootseal("boot-ok", "--stderr") for _ in range(3)]
    assert [result.rc for result in results] == [6, 0, 0] and "put aside" in results[0].stderr
    assert sum(command.name == "DictionaryAttackLockReset" for command in commands) == 1


def test_mismatch(bench, enrolled):
    """Which PCRs it was."""
    bench.boot({9: b"another initrd", 4: b"another kernel"})
    assert bench.unlock_all().rc == 3
    document = boot_ok(bench)
    assert kinds(document) == ["MISMATCH", "CHANGED"] and document["lockout_counter"] is None
    entry, changed = document["entries"]
    assert changed["BOOTSEAL_PCRS"] == "4, 9" and "reseal --current" in changed["MESSAGE"]
    assert entry["BOOTSEAL_PCRS"] == "4, 9" and entry["BOOTSEAL_STATUS"] == "3" and entry["PRIORITY"] == "4"
    assert entry["BOOTSEAL_VOLUME"] == enrolled.name and "BOOTSEAL_BY" not in entry


def test_lockout(bench, volume):
    """The TPM refused."""
    bench.set_policy(lockout={"max_tries": 1})
    bench.enroll(volume)
    assert bench.unlock_all(WRONG_PIN).rc in (4, 5)
    bench.boot()
    assert bench.unlock_all().rc == 5
    assert kinds(boot_ok(bench)) == ["LOCKOUT"]


def test_without_a_pin(bench, volume):
    """An entry of its own kind; no counter."""
    bench.enroll(volume, "--no-pin", pin=None)
    assert bench.unlock_all().rc == 0
    document = boot_ok(bench)
    assert kinds(document) == ["NO_PIN"] and document["lockout_counter"] is None


def test_tpm_failure(bench, enrolled):
    """The boot went on with the passphrase; the TPM is gone, and boot-ok does not ask for it."""
    assert enrolled
    bench.tpm.stop()
    assert bench.unlock_all().rc == 6
    document = boot_ok(bench)
    assert set(kinds(document)) == {"TPM"} and document["entries"][0]["PRIORITY"] == "3"
    bench.tpm.start()


def test_recovery_key(bench, enrolled):
    """After a mismatch, two entries: what had been in the way, and the key's ID."""
    assert enrolled
    bench.boot({9: b"another initrd"})
    assert bench.unlock_all().rc == 3
    edit_report(bench, lambda report: report["volumes"][0].update(opened=True, by="recovery", recovery_id="1a2b3c4d"))
    document = boot_ok(bench)
    assert kinds(document) == ["MISMATCH", "RECOVERY", "CHANGED"] and document["lockout_counter"] is None
    assert document["entries"][1]["BOOTSEAL_RECOVERY_ID"] == "1a2b3c4d"
    assert document["entries"][1]["PRIORITY"] == "4"


def test_used_recovery_key_is_marked(bench, enrolled):
    """In its token, once the boot was good; a key that is gone by now is no fault."""
    made = bench.bootseal("recovery-key", "add", "--json", "--yes", enrolled, key=PASSPHRASE)
    assert made.rc == 0, made
    number = enrolled.token("bootseal-recovery")["id"]
    assert bench.unlock_all(PIN).rc == 0
    edit_report(bench, lambda report: report["volumes"][0].update(by="recovery", recovery_id=number))
    assert "used" not in enrolled.token("bootseal-recovery")
    boot_ok(bench)
    assert enrolled.token("bootseal-recovery")["used"].startswith("20")
    edit_report(bench, lambda report: report["volumes"][0].update(recovery_id="00000000"))
    (bench.folder / "report.json.recorded").unlink()
    boot_ok(bench)


def test_no_report(bench, enrolled):
    """A machine with pins whose initramfs did not run bootseal-unlock."""
    assert enrolled
    assert kinds(boot_ok(bench)) == ["NO_REPORT"]


def test_nothing_enrolled(bench):
    """Nothing to tell."""
    document = boot_ok(bench)
    assert document["entries"] == [] and not document["written"]


@pytest.mark.parametrize("change, rc", [
    (lambda report: report.update(boot_id="0" * 8 + "-0000-0000-0000-" + "0" * 12), 1),
    (lambda report: report.update(version=2), 9),
    (lambda report: report.update(volumes="none"), 9),
    (lambda report: report["volumes"][0].update(opened="yes"), 9),
    (lambda report: report["volumes"][0].update(name="x" * 200), 9),
])
def test_bad_report(bench, enrolled, change, rc):
    """Of another boot, of a version to come, damaged: refused, and the counter is left alone."""
    assert enrolled and bench.unlock_all(WRONG_PIN, PIN).rc == 0
    edit_report(bench, change)
    result = bench.bootseal("boot-ok", "--stderr")
    assert result.rc == rc and "report.json" in result.stderr
    assert bench.tpm.lockout_counter() == 1


def test_unknown_keys_are_no_fault(bench, enrolled):
    """A report of a later version with more to tell."""
    assert enrolled and bench.unlock_all(PIN).rc == 0
    edit_report(bench, lambda report: (report.update(more=1), report["volumes"][0].update(more=[])))
    assert kinds(boot_ok(bench)) == ["PIN"]


def test_text(bench, enrolled):
    """Without a journal the words are on standard error, once; with --verbose the fields too."""
    assert bench.unlock_all(PIN).rc == 0
    result = bench.bootseal("boot-ok", "--stderr", "--verbose")
    assert result.rc == 0 and result.stdout == ""
    assert f"{enrolled.name} was opened by the PIN" in result.stderr and "MESSAGE_ID=" in result.stderr
    again = bench.bootseal("boot-ok", "--stderr")
    assert again.stderr == "" and again.stdout == f"{enrolled.name} was opened by the PIN\n"


def test_hostile_text(bench, enrolled):
    """What the report says reaches terminals through the journal: no control characters, no second field."""
    assert enrolled and bench.unlock_all(*[WRONG_PIN] * 3).rc == 4
    edit_report(bench, lambda report: report["volumes"][0].update(reason="\x1b[2Jgone\nBOOTSEAL_BY=tpm2-pin"))
    (entry,) = boot_ok(bench)["entries"]
    assert entry["BOOTSEAL_REASON"] == "?[2Jgone?BOOTSEAL_BY=tpm2-pin" and "BOOTSEAL_BY" not in entry


def test_journal(bench, enrolled):
    """What libsystemd sends to the journal's socket is what --json says."""
    assert enrolled and bench.unlock_all(WRONG_PIN, PIN).rc == 0
    argv = bench.arguments("boot-ok", "--json")
    (rc, stdout, stderr), entries = journal.run_with_journal(argv, bench.environment())
    assert (rc, stderr) == (0, "")
    document = json.loads(stdout)
    check_schema(document, "boot-ok")
    assert document["journal"] and document["written"] and kinds(document) == ["PIN", "COUNTER_RESET"]
    assert entries == document["entries"]
    (rc, stdout, _), entries = journal.run_with_journal(argv, bench.environment())
    assert rc == 0 and entries == [] and not json.loads(stdout)["written"]


def test_page_has_each_id():
    """bootseal-journal(7) lists the MESSAGE_IDs and fields of the source, and no others."""
    page = PAGE.read_text(encoding="utf-8").replace("\\", "")
    assert set(re.findall(r"\b[0-9a-f]{32}\b", page)) == set(journal.IDS.values()) and len(journal.IDS) == 16
    source = Path(REPOSITORY / "src/protect/boot/boot-event.c").read_text(encoding="utf-8")
    assert set(re.findall(r"BOOTSEAL_[A-Z_]+", page)) == set(re.findall(r"BOOTSEAL_[A-Z_]+", source))


# ---- good boots on record ----

def golden(bench):
    """The list of good boots."""
    path = bench.state / "golden-log.json"
    return json.loads(path.read_text(encoding="utf-8"))["boots"] if path.exists() else []


def logs(bench):
    """The logs that are kept."""
    return sorted(path.name for path in bench.state.glob("golden-log-*"))


@pytest.fixture(name="logged")
def logged_volume(bench, volume):
    """A volume that was enrolled in a boot with an event log; the boot runs again."""
    eventlog.boot(bench)
    bench.enroll(volume)
    return volume


def test_keeps_a_good_boot(bench, logged):
    """Its event log, PCRs, kernel and time; for root alone."""
    environment = eventlog.boot(bench)
    assert logged and bench.unlock_all(PIN).rc == 0
    assert boot_ok(bench, environment=environment)["good_boot"] == "kept"
    (boot,) = golden(bench)
    assert logs(bench) == [boot["log"]]
    kept = bench.state / boot["log"]
    assert kept.read_bytes() == (bench.folder / "eventlog").read_bytes() and kept.stat().st_mode & 0o777 == 0o600
    report = json.loads(bench.report.read_text(encoding="utf-8"))
    assert boot["pcrs"] == report["pcrs"] and boot["boot_id"] == report["boot_id"] and boot["kernel"]
    assert boot_ok(bench, environment=environment)["good_boot"] == "unchanged"


def forget_the_boot(bench):
    """As if the boots on record were of other days: a bench has one boot_id."""
    path = bench.state / "golden-log.json"
    boots = [{**boot, "boot_id": "00000000-0000-4000-8000-000000000000"} for boot in golden(bench)]
    path.write_text(json.dumps({"version": 1, "boots": boots}), encoding="utf-8")


def good_boot(bench, **changes):
    """Boot, open by the PIN, keep it."""
    environment = eventlog.boot(bench, **changes)
    assert bench.unlock_all(PIN).rc == 0
    document = boot_ok(bench, environment=environment)
    forget_the_boot(bench)
    return document


def test_one_for_each_boot_state(bench, logged):
    """Two approved states: one each, the latest first. One that is no longer approved goes."""
    assert logged and good_boot(bench)["good_boot"] == "kept"
    eventlog.boot(bench, initrd=b"another")
    assert bench.reseal("--keep").rc == 0
    assert good_boot(bench, initrd=b"another")["good_boot"] == "kept"
    assert good_boot(bench)["good_boot"] == "kept"
    assert len(golden(bench)) == 2 == len(logs(bench))
    assert golden(bench)[0]["pcrs"]["9"] != golden(bench)[1]["pcrs"]["9"]
    assert bench.reseal().rc == 0
    assert good_boot(bench)["good_boot"] == "kept"
    assert len(golden(bench)) == 1 == len(logs(bench))


def test_number_of_good_boots_is_capped(bench, logged):
    """However many states are approved."""
    assert logged
    for i in range(6):
        eventlog.boot(bench, initrd=str(i).encode())
        assert bench.reseal("--keep").rc == 0
        good_boot(bench, initrd=str(i).encode())
    assert len(golden(bench)) == 4 == len(logs(bench))


def test_boots_that_are_not_kept(bench, logged):
    """Not approved; no PIN was right; a log that does not give the PCRs."""
    environment = eventlog.boot(bench, initrd=b"another")
    assert logged and bench.unlock_all().rc == 3
    assert boot_ok(bench, environment=environment)["good_boot"] == "not-good"
    environment = eventlog.boot(bench)
    assert bench.unlock_all(*[WRONG_PIN] * 3).rc == 4
    assert boot_ok(bench, environment=environment)["good_boot"] == "not-good"
    environment = eventlog.boot(bench, more=[(9, b"more", b"/overlay.img\0")])
    assert bench.unlock_all(PIN).rc == 0
    assert boot_ok(bench, environment=environment)["good_boot"] == "not-replayed"
    assert golden(bench) == [] and logs(bench) == []


def test_damaged_log_is_not_kept(bench, logged):
    """What is no log at all does not replay either."""
    environment = eventlog.boot(bench)
    (bench.folder / "eventlog").write_bytes(b"no event log")
    assert logged and bench.unlock_all(PIN).rc == 0
    assert boot_ok(bench, environment=environment)["good_boot"] == "not-replayed"


def test_good_boot_without_a_log(bench, logged):
    """Its values are kept."""
    assert logged and good_boot(bench, log=False)["good_boot"] == "values"
    (boot,) = golden(bench)
    assert boot["log"] is None and boot["sha256"] is None and boot["pcrs"]["9"]


def test_cut_while_keeping(bench, logged):
    """A log without its place in the list, as a power cut leaves it, is gone after the next good boot."""
    assert logged
    half = bench.state / "golden-log-0123456789abcdef.bin"
    half.touch(mode=0o600)
    half.write_bytes(b"half a log")
    assert good_boot(bench)["good_boot"] == "kept"
    assert logs(bench) == [golden(bench)[0]["log"]]


# ---- the approval afterwards ----

def approved_long_ago(bench, **changes):
    """As if all states had been approved in an earlier boot; CHANGES for each."""
    path = bench.state / "approval.json"
    approval = json.loads(path.read_text(encoding="utf-8"))
    for branch in approval["branches"]:
        if branch["kind"] == "boot":
            branch.update(approved_in="00000000", **changes)
    path.write_text(json.dumps(approval), encoding="utf-8")


def test_commits(bench, logged):
    """What a good boot has outlived is no longer approved, and the journal has it. A boot that is not good drops nothing."""
    eventlog.boot(bench, initrd=b"updated")
    assert bench.reseal("--keep").rc == 0
    approved_long_ago(bench, kept=False)
    environment = eventlog.boot(bench, initrd=b"a third")
    assert bench.unlock_all().rc == 3
    assert boot_ok(bench, environment=environment)["dropped"] == 0
    environment = eventlog.boot(bench, initrd=b"updated")
    assert bench.unlock_all(PIN).rc == 0
    document = boot_ok(bench, environment=environment)
    assert document["dropped"] == 1 and kinds(document) == ["PIN", "COMMITTED"]
    assert document["entries"][1]["BOOTSEAL_DROPPED"] == "1"
    assert boot_ok(bench, environment=environment)["dropped"] == 0
    eventlog.boot(bench)
    assert bench.unlock(logged).rc == 3


def test_leaves_what_a_person_has_kept(bench, logged):
    """--keep: both states of one kernel."""
    eventlog.boot(bench, initrd=b"with a disk more")
    assert bench.reseal("--keep").rc == 0
    approved_long_ago(bench)
    assert good_boot(bench)["dropped"] == 0
    eventlog.boot(bench, initrd=b"with a disk more")
    assert bench.unlock(logged).rc == 0


def test_leaves_what_is_pending(bench, logged):
    """An update of this boot, before boot-ok has run."""
    eventlog.boot(bench, initrd=b"updated")
    assert bench.reseal("--keep").rc == 0
    assert good_boot(bench)["dropped"] == 0
    eventlog.boot(bench, initrd=b"updated")
    assert bench.unlock(logged).rc == 0


def test_tpm_is_not_asked_without_need(bench, volume):
    """A good boot without a PIN and with nothing to drop."""
    eventlog.boot(bench)
    bench.enroll(volume, "--no-pin", pin=None)
    environment = eventlog.boot(bench)
    assert bench.unlock_all().rc == 0
    with bench.recording() as commands:
        assert boot_ok(bench, environment=environment)["good_boot"] == "kept"
    assert commands == []


# ---- after a boot by recovery key ----

def recovery_boot(bench, **changes):
    """A boot that is not approved, and that a recovery key has opened; the environment."""
    environment = eventlog.boot(bench, **changes)
    assert bench.unlock_all().rc == 3
    edit_report(bench, lambda report: report["volumes"][0].update(opened=True, by="recovery"))
    return environment


def know_file(bench, path, content, known=None):
    """Write a boot file, and put it on record; KNOWN is what the record has, if not that."""
    path.write_bytes(content)
    digest = hashlib.sha256(content if known is None else known).hexdigest()
    record = bench.state / "boot-files.json"
    record.touch(mode=0o600)
    record.write_text(json.dumps({"version": 1, "files": [
        {"path": str(path), "sha256": digest, "source": "written by update-initramfs",
         "date": "2026-11-22T08:00:00Z"}]}), encoding="utf-8")


def wants_reseal(bench):
    """The option for a policy that has boots approved by themselves."""
    path = bench.folder / "reseal-policy.json"
    path.write_text(json.dumps({"version": 1, "pcrs": [4, 7, 8, 9, 12, 14], "after_recovery": "reseal"}),
                    encoding="utf-8")
    return ["--policy", str(path)]


def test_advises(bench, logged):
    """What changed since the good boot, in explain's words, in the journal; and what to run."""
    good_boot(bench)
    environment = recovery_boot(bench, initrd=b"another")
    document = boot_ok(bench, environment=environment)
    assert kinds(document) == ["MISMATCH", "RECOVERY", "CHANGED"] and not document["resealed"]
    changed = document["entries"][2]
    assert changed["BOOTSEAL_CHANGES"] == f"PCR 9: the initrd {eventlog.INITRD}: other content"
    assert changed["BOOTSEAL_PCRS"] == "9" and changed["PRIORITY"] == "4"
    for words in (changed["BOOTSEAL_CHANGES"], "Since the good boot of ", "bootseal reseal --current"):
        assert words in changed["MESSAGE"]
    eventlog.boot(bench, initrd=b"another")
    assert bench.unlock(logged).rc == 3


def test_advises_without_a_good_boot(bench, logged):
    """It says that there is nothing to compare with."""
    environment = recovery_boot(bench, initrd=b"another")
    changed = boot_ok(bench, environment=environment)["entries"][-1]
    assert logged and "no good boot is on record" in changed["MESSAGE"] and "BOOTSEAL_CHANGES" not in changed


def test_policy_advises_by_default(bench, logged):
    """Also where a recorded update explains it."""
    good_boot(bench)
    know_file(bench, bench.folder / "initrd.img-6.1.0-50-amd64", b"updated")
    environment = recovery_boot(bench, initrd=b"updated")
    assert not boot_ok(bench, environment=environment)["resealed"]
    eventlog.boot(bench, initrd=b"updated")
    assert bench.unlock(logged).rc == 3


def test_reseals(bench, logged):
    """A recorded update explains it, and the policy wants it: approved, without a PIN."""
    good_boot(bench)
    know_file(bench, bench.folder / "initrd.img-6.1.0-50-amd64", b"updated")
    environment = recovery_boot(bench, initrd=b"updated")
    document = boot_ok(bench, *wants_reseal(bench), environment=environment)
    assert document["resealed"] and kinds(document)[-1] == "RESEALED"
    eventlog.boot(bench, initrd=b"updated")
    assert bench.unlock(logged).rc == 0
    eventlog.boot(bench)
    assert bench.unlock(logged).rc == 0


def tiny_program():
    """The smallest PE image that firmware would hash: the whole file, and what of it Authenticode hashes."""
    headers = bytearray(512)
    headers[:2] = b"MZ"
    struct.pack_into("<I", headers, 0x3C, 0x40)
    struct.pack_into("<4sHHIIIHH", headers, 0x40, b"PE\0\0", 0x8664, 1, 0, 0, 0, 112 + 16 * 8, 0x22)
    optional = 0x40 + 24
    struct.pack_into("<H", headers, optional, 0x20B)
    struct.pack_into("<II", headers, optional + 32, 512, 512)  # alignment of sections and file
    struct.pack_into("<II", headers, optional + 56, 1024, 512)  # image and headers
    struct.pack_into("<I", headers, optional + 108, 16)
    section = optional + 112 + 16 * 8
    struct.pack_into("<8sIIII", headers, section, b".text", 512, 512, 512, 512)
    checksum, certificates = optional + 64, optional + 112 + 4 * 8
    image = bytes(headers) + b"the program".ljust(512, b"\0")
    return image, image[:checksum] + image[checksum + 4:certificates] + image[certificates + 8:]


@pytest.mark.parametrize("planted", [False, True], ids=["known", "planted"])
def test_reseals_a_boot_loader(bench, logged, planted):
    """Measured by its Authenticode hash, on record by its SHA-256: the file must still be the one on record."""
    good_boot(bench)
    image, measured = tiny_program()
    path = bench.folder / "grubx64.efi"
    know_file(bench, path, image)
    if planted:  # the checksum is not hashed by Authenticode
        path.write_bytes(image[:0x98] + b"\x01" + image[0x99:])
    environment = recovery_boot(bench, program=measured)
    document = boot_ok(bench, *wants_reseal(bench), environment=environment)
    assert document["resealed"] is not planted
    eventlog.boot(bench, program=measured)
    assert bench.unlock(logged).rc == (3 if planted else 0)


@pytest.mark.parametrize("changes, known, words", [
    ({"initrd": b"planted"}, b"updated", "no recorded update accounts for PCR 9"),
    ({"initrd": b"updated", "command": "set default=1"}, b"updated", "no recorded update accounts for PCR 8"),
    ({"initrd": b"updated", "secure_boot": b"off"}, b"updated", "PCR 7 is not as it was"),
    ({"initrd": b"updated", "program": b"another"}, b"updated", "no recorded update accounts for PCR 4"),
    ({"initrd": b"updated", "log": False}, b"updated", "no event logs"),
    ({"initrd": b"updated", "more": [(9, b"more", b"/overlay.img\0")]}, b"updated", "does not give the values"),
], ids=["planted", "command", "secure-boot", "program", "no-log", "lying-log"])
def test_reseals_nothing_else(bench, logged, changes, known, words):
    """Whatever is not explained: it stays not approved, and why is said."""
    good_boot(bench)
    know_file(bench, bench.folder / "initrd.img-6.1.0-50-amd64", known)
    environment = recovery_boot(bench, **changes)
    before = logged.token("bootseal-approval")
    result = bench.bootseal("boot-ok", "--json", "--stderr", *wants_reseal(bench), environment=environment)
    assert result.rc == 0 and not result.json["resealed"] and words in result.stderr, result
    assert logged.token("bootseal-approval") == before


def test_reseals_only_after_a_recovery_key(bench, logged):
    """Not when the passphrase was used: nobody has proven to be the administrator to bootseal."""
    good_boot(bench)
    know_file(bench, bench.folder / "initrd.img-6.1.0-50-amd64", b"updated")
    environment = eventlog.boot(bench, initrd=b"updated")
    assert bench.unlock_all().rc == 3
    document = boot_ok(bench, *wants_reseal(bench), environment=environment)
    assert not document["resealed"]
    eventlog.boot(bench, initrd=b"updated")
    assert bench.unlock(logged).rc == 3
