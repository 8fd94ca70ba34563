"""bootseal resume: a suspension is over at once, and nothing of it comes back."""

import json

import pytest

import fail_calls
from suspension import CHANGED, left, resume, suspend


def test_threat_19_an_old_header_brings_none_back(bench, enrolled):
    """After `resume` the header that had it is refused."""
    suspend(bench, "--reboots", "15")
    old = enrolled.header()
    assert resume(bench) == {"resumed": True, "renewed": False}
    enrolled.put_header(old)
    bench.boot(CHANGED)
    done = bench.unlock_all()
    assert done.rc in (3, 9) and done.prompts == ()


def test_resume_ends_it(bench, enrolled):
    """At once; and there is none to end afterwards."""
    suspend(bench, "--reboots", "5")
    assert resume(bench)["resumed"]
    assert left(bench) is None
    assert not resume(bench)["resumed"]
    bench.boot(CHANGED)
    assert bench.unlock(enrolled).rc == 3
    bench.boot()
    assert bench.unlock(enrolled).rc == 0


def lists_on_record(bench, volume):
    """approval.json, and the header's copy of it."""
    return [json.loads((bench.state / "approval.json").read_text(encoding="utf-8")), volume.token("bootseal-approval")]


@pytest.fixture
def cut(bench, enrolled):
    """A suspended machine whose `resume` was cut between the TPM's change and the records'."""
    suspend(bench, "--reboots", "5")
    # the first rename puts both lists on record, the second the new one alone
    result, _ = fail_calls.fail(lambda environment: bench.bootseal("resume", environment=environment), "own:rename", 2)
    assert result.rc == 1 and "a copy of it is not up to date" in result.stderr, result
    assert all(document.get("next") for document in lists_on_record(bench, enrolled))
    return enrolled


def test_cut_after_the_tpm_has_switched(bench, cut):
    """status says what is in force, not what the records still say; the next verb finishes them, with nothing to do."""
    assert left(bench) is None
    assert not resume(bench)["resumed"]
    assert not any(document.get("next") for document in lists_on_record(bench, cut))
    bench.boot(CHANGED)
    assert bench.unlock(cut).rc == 3


def test_cut_and_a_later_version(bench, cut):
    """What a later bootseal has written in the meantime is not written over."""
    token = cut.token("bootseal-approval")
    cut.put_token({**token, "version": token["version"] + 1})
    before = cut.header()
    result = bench.bootseal("resume")
    assert result.rc == 9 and "cannot finish a change of the approval that was cut" in result.stderr, result
    assert cut.header() == before and lists_on_record(bench, cut)[0]["next"]


def test_resume_renews_a_secret_without_a_pin(bench, volume):
    """What a suspended boot may have given away opens nothing afterwards."""
    bench.enroll(volume, "--no-pin", pin=None)
    old, slots = volume.token(), volume.keyslots()
    suspend(bench, "--allow-no-pin")
    exposed = volume.header()
    bench.boot(CHANGED)
    assert bench.unlock_all().rc == 0
    assert resume(bench) == {"resumed": True, "renewed": True}
    assert volume.token()["tpm"]["private"] != old["tpm"]["private"] and volume.token()["id"] != old["id"]
    assert len(volume.keyslots()) == len(slots) and not volume.tokens("bootseal-pending")
    bench.boot()
    assert bench.unlock_all().rc == 0
    volume.put_header(exposed)
    assert bench.unlock_all().rc in (3, 9)
