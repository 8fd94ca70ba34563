"""bootseal reseal --current: another boot state is approved, PIN and sealed object stay."""

import json

import pytest

from bootseal import PIN, check_schema

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


def test_says_which_state(bench, enrolled):
    """Without --current: status 2."""
    assert enrolled
    result = bench.bootseal("reseal")
    assert result.rc == 2 and "--current" in result.stderr


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
