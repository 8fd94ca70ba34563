"""bootseal boot-ok: the boot's record in the journal, and the counter of wrong PINs back to 0."""

import json
import re
from pathlib import Path

import pytest

import journal
from bootseal import PASSPHRASE, PIN, REPOSITORY, check_schema

WRONG_PIN = "1111111111"
PAGE = REPOSITORY / "man/bootseal-journal.7.scd"


def boot_ok(bench, *options):
    """Run it; its JSON."""
    result = bench.bootseal("boot-ok", "--json", "--stderr", *options)
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
    assert kinds(document) == ["MISMATCH"] and document["lockout_counter"] is None
    (entry,) = document["entries"]
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
    assert kinds(document) == ["MISMATCH", "RECOVERY"] and document["lockout_counter"] is None
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
    assert set(re.findall(r"\b[0-9a-f]{32}\b", page)) == set(journal.IDS.values()) and len(journal.IDS) == 11
    source = Path(REPOSITORY / "src/protect/boot-event.c").read_text(encoding="utf-8")
    assert set(re.findall(r"BOOTSEAL_[A-Z_]+", page)) == set(re.findall(r"BOOTSEAL_[A-Z_]+", source))
