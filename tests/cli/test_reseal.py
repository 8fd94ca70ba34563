"""bootseal reseal: another boot state is approved, PIN and sealed object stay; states that are not used any more go."""

import fcntl
import hashlib
import json
import os
import subprocess

import pytest

import firmware_variables
from bootseal import PATIENCE_S, PIN, POLICY, REPOSITORY, check_schema
from firmware_variables import SECURITY, signature_list

OTHER_BOOT = {9: b"another initrd"}


def test_json(bench, enrolled):
    """What is approved now."""
    assert enrolled
    result = bench.reseal("--json")
    assert result.rc == 0, result
    check_schema(result.json, "reseal")
    assert result.json["boot_states"] == 1 and result.json["volumes"] == 1


def test_text(bench, enrolled):
    """One line on stdout."""
    assert enrolled
    result = bench.reseal()
    assert result.rc == 0 and result.stdout.startswith("approved now: 1 boot state") and result.stderr == ""


def test_new_state_replaces_the_old(bench, enrolled):
    """The new boot opens by the same PIN, the old one does not any more."""
    token = enrolled.token()
    bench.boot(OTHER_BOOT)
    assert bench.unlock(enrolled).rc == 3
    assert bench.reseal().rc == 0
    assert bench.unlock(enrolled).rc == 0
    assert enrolled.token() == token
    bench.boot()
    assert bench.unlock(enrolled).rc == 3


def test_keep(bench, enrolled):
    """--keep: both."""
    bench.boot(OTHER_BOOT)
    assert bench.reseal("--keep", "--json").json["boot_states"] == 2
    assert bench.unlock(enrolled).rc == 0
    bench.boot()
    assert bench.unlock(enrolled).rc == 0
    bench.boot({9: b"a third"})
    assert bench.unlock(enrolled).rc == 3


def test_same_state_twice(bench, enrolled):
    """One state is approved once, with --keep too."""
    for _ in range(3):
        assert bench.reseal("--keep", "--json").json["boot_states"] == 1
    assert bench.unlock(enrolled).rc == 0


def test_after_the_initramfs(bench, enrolled):
    """The normal case: the boot state is the one that the initramfs recorded before the cap."""
    bench.boot(OTHER_BOOT)
    refused = bench.unlock_all()
    assert refused.rc == 3
    result = bench.bootseal("reseal", "--current")
    assert result.rc == 0, result
    bench.boot(OTHER_BOOT)
    assert bench.unlock_all(PIN).volume(enrolled.name)["opened"]


def test_all_volumes_get_the_list(bench, enrolled):
    """Each header holds it."""
    second = bench.volume()
    bench.enroll(second)
    bench.boot(OTHER_BOOT)
    assert bench.reseal("--json").json["volumes"] == 2
    assert enrolled.token("bootseal-approval") == second.token("bootseal-approval")
    assert bench.unlock(enrolled).rc == 0 and bench.unlock(second).rc == 0


def predict(bench, *options):
    """`reseal` as it is by default, on a bench that no boot loader has started: nothing can be predicted there."""
    result = bench.bootseal("reseal", "--json", "--current-values", *options)
    if result.stdout:
        check_schema(result.json, "reseal")
    return result


def test_cannot_predict(bench, enrolled):
    """It is said, with the status of a boot that will not match; what is approved stays."""
    before = enrolled.token("bootseal-approval")
    result = predict(bench)
    assert result.rc == 3 and "no event log" in result.stderr and "recovery key at hand" in result.stderr, result
    assert not result.json["prediction"]["next_boot_opens"] and result.json["prediction"]["added"] == 0
    assert result.json["boot_states"] == 1 and enrolled.token("bootseal-approval") == before
    assert bench.unlock(enrolled).rc == 0


def test_hook_warns(bench, enrolled):
    """An update goes on, and says what the next boot will ask for; unless the policy wants it to fail."""
    assert enrolled
    result = predict(bench, "--hook", "kernel")
    assert result.rc == 0 and "the next boot will ask for the recovery key" in result.stderr, result
    policy = bench.folder / "failing.json"
    policy.write_text(json.dumps({"version": 1, "pcrs": [4, 7, 12], "on_failure": "fail"}), encoding="utf-8")
    assert predict(bench, "--hook", "kernel", "--policy", policy).rc == 3
    assert predict(bench, "--hook", "kernel", "--policy", bench.folder / "none.json").rc == 0


def test_hook_where_nothing_is_enrolled(bench):
    """Silent: the hooks are there as soon as bootseal is installed. Without a TPM as well."""
    bench.tpm.stop()
    for way in ("--predict", "--commit"):
        result = bench.bootseal("reseal", way, "--hook", "initramfs")
        assert (result.rc, result.stdout, result.stderr) == (0, "", "")


@pytest.mark.parametrize("options, words", [
    (("--hook", "nobody"), '"nobody" is none of'),
    (("--current", "--commit"), "exclude each other"),
    (("--predict", "--keep"), "--keep goes with --current"),
    (("--commit", "--trust", "/boot/vmlinuz"), "--trust goes with --predict"),
    (("--current", "--variable", "dbx+=FILE"), "--variable goes with --predict"),
    (("--variable", "MokList=FILE"), '"MokList" is none of'),
])
def test_options_that_do_not_fit(bench, options, words):
    """Status 2, before anything is looked at."""
    result = bench.bootseal("reseal", *options)
    assert result.rc == 2 and words in result.stderr, result


def test_update_of_a_variable(bench, volume):
    """A policy in which the state after it is the one before it: approved once. What is no update approves nothing."""
    policy = bench.folder / "firmware.json"
    policy.write_text(json.dumps({**POLICY, "pcrs": [5, 11, 12]}), encoding="utf-8")
    bench.boot({5: b"a boot entry", 11: b"an image"})
    bench.enroll(volume, "--policy", policy)
    log = {"BOOTSEAL_EVENTLOG": str(REPOSITORY / "tests/data/eventlogs/debian12-grub-mkconfig/a.bin")}
    update = bench.folder / "dbx.auth"
    argv = bench.arguments("reseal", "--json", "--current-values", "--variable", f"dbx+={update}")
    variables = {f"dbx-{SECURITY}": signature_list(bytes(32))}
    update.write_bytes(signature_list(b"\1" * 32))
    before = bench.status()["approval"]
    result = firmware_variables.run(bench, variables, argv, log)
    assert result.rc == 9 and str(update) in result.stderr and "no signed update" in result.stderr, result
    assert bench.status()["approval"] == before
    update.write_bytes(firmware_variables.update(signature_list(b"\1" * 32)))
    result = firmware_variables.run(bench, variables, argv, log)
    assert result.rc == 0, result
    check_schema(result.json, "reseal")
    prediction = result.json["prediction"]
    assert prediction["added"] == 1 and prediction["next_boot_opens"] and result.json["boot_states"] == 2
    assert {(tuple(boot["after"]), boot["verdict"]) for boot in prediction["boots"]} == {
        ((), "approve"), (("dbx",), "approve")}


def test_no_update_of_a_variable(bench, enrolled):
    """Said before anything is done, and no suspension makes up for it."""
    before = enrolled.header()
    update = bench.folder / "dbx.auth"
    update.write_bytes(b"no update")
    result = predict(bench, "--or-suspend", "--variable", f"dbx+={update}")
    assert result.rc == 9 and str(update) in result.stderr and "no signed update" in result.stderr, result
    assert enrolled.header() == before


def test_file_that_cannot_be_vouched_for(bench, enrolled):
    """What is not there, or no rule fits, is no boot file."""
    assert enrolled
    assert predict(bench, "--trust", "/boot/nothing-there").rc == 1
    (bench.folder / "initrd").write_bytes(b"an initrd")
    result = predict(bench, "--built", bench.folder / "initrd")
    assert result.rc == 10 and "no rule" in result.stderr, result


def test_nothing_enrolled(bench, volume):
    """Status 7, before and after an enrolment."""
    assert bench.reseal().rc == 7
    bench.enroll(volume)
    assert bench.bootseal("remove", volume).rc == 0
    assert bench.reseal().rc == 7


def test_no_record_of_the_boot(bench, enrolled):
    """Without report.json, and not told to take the values of now: status 10."""
    result = bench.bootseal("reseal", "--current")
    assert result.rc == 10 and "--current-values" in result.stderr
    assert bench.unlock(enrolled).rc == 0


def test_capped_without_a_record(bench, enrolled):
    """The values after the cap are no boot state: status 10."""
    bench.cap()
    result = bench.reseal()
    assert result.rc == 10 and "PCR 12" in result.stderr
    bench.boot()
    assert bench.unlock(enrolled).rc == 0


@pytest.mark.parametrize("pcr", [4, 14])
def test_values_that_moved_since(bench, enrolled, pcr):
    """A PCR that somebody extended after the initramfs: status 3, it is named, nothing is approved."""
    bench.unlock_all(PIN)
    bench.measure({pcr: b"something after the initramfs"})
    before = enrolled.token("bootseal-approval")
    result = bench.reseal()
    assert result.rc == 3 and f"PCR {pcr} " in result.stderr
    assert enrolled.token("bootseal-approval") == before


def test_second_cap_changes_nothing(bench, enrolled):
    """The nets may cap again."""
    bench.unlock_all(PIN)
    bench.cap()
    assert bench.reseal().rc == 0
    bench.boot()
    assert bench.unlock(enrolled).rc == 0


def change_report(bench, **changes):
    """Rewrite the report with other values."""
    report = {**json.loads(bench.report.read_text()), **changes}
    bench.report.write_text(json.dumps(report))


def test_report_of_another_boot(bench, enrolled):
    """It says nothing about this boot: status 1."""
    assert enrolled
    bench.unlock_all(PIN)
    change_report(bench, boot_id="00000000-0000-4000-8000-000000000000")
    result = bench.reseal()
    assert result.rc == 1 and str(bench.report) in result.stderr


def test_damaged_report(bench, enrolled):
    """Status 9."""
    assert enrolled
    bench.unlock_all(PIN)
    bench.report.write_text("{")
    assert bench.reseal().rc == 9


def test_report_that_others_could_write(bench, enrolled):
    """Only root's own report counts."""
    assert enrolled
    bench.unlock_all(PIN)
    bench.report.chmod(0o666)
    assert bench.reseal().rc == 1


def test_missing_volume(bench, enrolled):
    """A pinned volume that is not there: it is named, and what was approved still is."""
    away = enrolled.path.rename(bench.folder / "away.img")
    result = bench.reseal()
    assert result.rc == 1 and enrolled.name in result.stderr
    away.rename(enrolled.path)
    assert bench.unlock(enrolled).rc == 0
    assert bench.reseal().rc == 0
    assert enrolled.token("bootseal-approval")["next"] is None


def test_no_tpm(bench, enrolled):
    """Status 6."""
    assert enrolled
    bench.tpm.stop()
    assert bench.reseal().rc == 6


# ---- --commit ----

def commit(bench, *options):
    """Drop what the running boot has outlived; the result's JSON."""
    result = bench.bootseal("reseal", "--commit", "--current-values", "--json", *options)
    assert result.rc == 0, result
    check_schema(result.json, "reseal")
    return result.json


def edit_approval(bench, change):
    """Let CHANGE change the boot branches on record: nothing of it is in the digest."""
    path = bench.state / "approval.json"
    approval = json.loads(path.read_text())
    for branch in approval["branches"]:
        if branch["kind"] == "boot":
            change(branch)
    path.write_text(json.dumps(approval))


def approved_long_ago(bench):
    """As if all states had been approved in an earlier boot."""
    edit_approval(bench, lambda branch: branch.update(approved_in="00000000"))


def approve_states(bench, *changes):
    """Approve these boots, beside what is approved; the last one runs."""
    for change in changes:
        bench.boot(change)
        assert bench.reseal("--keep").rc == 0


def test_commit(bench, enrolled):
    """What the running boot has outlived goes: another state of the same kernel. The running one still opens."""
    approve_states(bench, OTHER_BOOT)
    approved_long_ago(bench)
    document = commit(bench)
    assert (document["boot_states"], document["dropped"]) == (1, 1)
    assert [state["running"] for state in document["states"]] == [True]
    assert bench.unlock(enrolled).rc == 0
    bench.boot()
    assert bench.unlock(enrolled).rc == 3


def test_commit_says_it_in_one_line(bench, enrolled):
    """What is approved now, and how much went."""
    assert enrolled
    approve_states(bench, OTHER_BOOT)
    approved_long_ago(bench)
    result = bench.bootseal("reseal", "--commit", "--current-values")
    assert result.rc == 0 and result.stdout.count("\n") == 1
    assert result.stdout.startswith("approved now: 1 boot state (linux ") and "dropped: 1" in result.stdout


def test_commit_after_the_initramfs(bench, enrolled):
    """The state that booted is the recorded one, not the PCRs after the cap."""
    approve_states(bench, OTHER_BOOT)
    approved_long_ago(bench)
    bench.boot(OTHER_BOOT)
    assert bench.unlock_all(PIN).rc == 0
    assert bench.bootseal("reseal", "--commit").rc == 0
    bench.boot(OTHER_BOOT)
    assert bench.unlock(enrolled).rc == 0
    bench.boot()
    assert bench.unlock(enrolled).rc == 3


def test_commit_keeps_what_is_pending(bench, enrolled):
    """What was approved since this boot began is the next boot's: a commit in between leaves it."""
    bench.boot(OTHER_BOOT)
    assert bench.reseal("--keep").rc == 0
    bench.boot()
    assert commit(bench)["dropped"] == 0
    bench.boot(OTHER_BOOT)
    assert bench.unlock(enrolled).rc == 0


def test_commit_of_other_kernels(bench, enrolled):
    """A state of a kernel that is not installed goes; the last one is never dropped."""
    approve_states(bench, OTHER_BOOT)
    approved_long_ago(bench)
    edit_approval(bench, lambda branch: branch.update(entry="0.0.1-of-nobody"))
    bench.boot()
    document = commit(bench)
    assert (document["boot_states"], document["dropped"]) == (1, 1)
    assert bench.unlock(enrolled).rc == 0


def test_commit_in_an_unapproved_boot(bench, enrolled):
    """Status 3 with what to do; nothing is dropped."""
    approve_states(bench, OTHER_BOOT)
    approved_long_ago(bench)
    before = enrolled.token("bootseal-approval")
    bench.boot({9: b"a third"})
    result = bench.bootseal("reseal", "--commit", "--current-values")
    assert result.rc == 3 and "PCR 9" in result.stderr and "reseal --current" in result.stderr
    assert enrolled.token("bootseal-approval") == before
    bench.boot()
    assert bench.unlock(enrolled).rc == 0


def test_commit_with_nothing_to_drop(bench, enrolled):
    """Success, and neither the TPM's index nor a header is written."""
    before = enrolled.header()
    with bench.recording() as commands:
        assert commit(bench)["dropped"] == 0
    assert enrolled.header() == before
    assert not [command for command in commands if command.name == "NV_Write"]


@pytest.mark.parametrize("options", [["--current", "--commit"], ["--commit", "--keep"]])
def test_options_that_exclude_each_other(bench, enrolled, options):
    """Status 2."""
    assert enrolled and bench.bootseal("reseal", *options).rc == 2


def test_many_boot_states(bench, enrolled):
    """More than one PolicyOR holds: twelve states, each of which opens; then one of them alone."""
    boots = [{9: f"initrd {i}".encode()} for i in range(11)]
    approve_states(bench, *boots)
    document = bench.reseal("--keep", "--json").json
    assert document["boot_states"] == 12 and len(document["states"]) == 12
    for changed in (None, boots[0], boots[5], boots[6], boots[7], boots[10]):
        bench.boot(changed)
        assert bench.unlock(enrolled).rc == 0
    bench.boot({9: b"initrd 11"})
    assert bench.unlock(enrolled).rc == 3
    approved_long_ago(bench)
    bench.boot(boots[6])
    assert commit(bench)["dropped"] == 11
    assert bench.unlock(enrolled).rc == 0
    bench.boot(boots[7])
    assert bench.unlock(enrolled).rc == 3


# ---- two at once ----

def write_report(bench, name, pcr_11):
    """A report of this boot's whose PCR 11 was at another of systemd's phases."""
    report = json.loads(bench.report.read_text())
    report["pcrs"]["11"] = pcr_11.hex()
    path = bench.folder / name
    path.touch(mode=0o600)
    path.write_text(json.dumps(report))
    return path


def test_two_at_once(bench, volume):
    """Two update hooks, neither with a standard input, wait for each other: both succeed, no state is lost."""
    bench.set_policy(pcrs=[*POLICY["pcrs"][:-1], 11, 14])
    bench.boot({9: b"an older initrd", 11: b"a unified kernel image"})
    bench.enroll(volume)
    bench.boot({11: b"a unified kernel image"})
    assert bench.unlock_all().rc == 3
    before = bytes.fromhex(json.loads(bench.report.read_text())["pcrs"]["11"])
    bench.measure({11: b"sysinit"})
    after = hashlib.sha256(before + hashlib.sha256(b"sysinit").digest()).digest()
    reports = [write_report(bench, "first.json", before), write_report(bench, "second.json", after)]
    with open(bench.state / "lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # none of them changes anything before both were started
        hooks = [subprocess.Popen([*bench.arguments("reseal", "--current", "--keep"), "--report", str(report)],
                                  env=bench.environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                  preexec_fn=lambda: os.close(0))
                 for report in reports]
    outcomes = [hook.communicate(timeout=PATIENCE_S) for hook in hooks]
    assert [hook.returncode for hook in hooks] == [0, 0], outcomes
    assert sorted(stdout.split()[2] for stdout, _ in outcomes) == [b"2", b"3"]
    bench.boot({11: b"a unified kernel image"})
    assert bench.unlock(volume).rc == 0
    bench.measure({11: b"sysinit"})
    assert bench.unlock(volume).rc == 0
