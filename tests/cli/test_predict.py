"""bootseal predict: what the next boots will measure, and whether this machine keeps to it."""

import pytest

from bootseal import REPOSITORY, check_schema

LOGS = REPOSITORY / "tests/data/eventlogs"
GRUB_LOG = LOGS / "debian12-grub-mkconfig/a.bin"
# Of that boot no file is here: what a file or the ESP would have to give is not known, the rest is replayed.
REPLAYED = {"0", "2", "3", "5", "6", "12"}


def predict(bench, *options, log=GRUB_LOG, rc=0):
    """A run with the log of another machine; its JSON."""
    environment = {"BOOTSEAL_EVENTLOG": str(log)}
    result = bench.bootseal("predict", "--json", *options, environment=environment)
    assert result.rc == rc, result
    check_schema(result.json, "predict")
    return result.json


def values_of(log):
    """The PCRs that were read in that boot."""
    lines = log.with_suffix(".pcrs").read_text(encoding="utf-8").split("\n")
    return dict(line.lower().split() for line in lines if line.strip())


def test_without_a_log(bench):
    """Nothing is known, and why is said for each PCR; nothing fails."""
    answer = predict(bench, log=bench.folder / "none")
    assert answer["boot_chain"] == "none" and answer["verify"] is None
    (boot,) = answer["boots"]
    assert boot["pcrs"] == {} and boot["approved"] is None and boot["files"] == []
    assert set(boot["unknown"]) == {str(pcr) for pcr in range(16) if pcr != 10}
    assert all("no event log" in reason for reason in boot["unknown"].values())


def test_what_no_file_gives(bench):
    """The firmware's own part is replayed; what boot files would give has a reason in the place of a value."""
    answer = predict(bench)
    assert answer["boot_chain"] == "shim-grub" and answer["bank"] == "sha256"
    for boot in answer["boots"]:
        assert REPLAYED <= set(boot["pcrs"]) and {"4", "8", "9"} <= set(boot["unknown"])
        assert not set(boot["pcrs"]) & set(boot["unknown"])
        for pcr in REPLAYED:
            assert boot["pcrs"][pcr] == values_of(GRUB_LOG)[pcr]


def test_chosen_pcrs(bench):
    """--pcrs and --bank; what makes no sense is status 2."""
    boot = predict(bench, "--pcrs", "0,7")["boots"][0]
    assert set(boot["pcrs"]) | set(boot["unknown"]) == {"0", "7"}
    for options, words in ((("--bank", "md5"), "md5"), (("--pcrs", "0,99"), "99")):
        result = bench.bootseal("predict", *options, environment={"BOOTSEAL_EVENTLOG": str(GRUB_LOG)})
        assert result.rc == 2 and words in result.stderr, result


def test_policy_of_the_machine(bench, enrolled):
    """Without --pcrs those that are enrolled; a boot that is not known is not approved."""
    assert enrolled
    for boot in predict(bench)["boots"]:
        assert set(boot["pcrs"]) | set(boot["unknown"]) == {"4", "7", "8", "9", "12", "14"} and boot["approved"] is False


def test_verify(bench):
    """A machine that is not the log's: not good, and said for each PCR; status 1."""
    answer = predict(bench, "--verify", rc=1)
    assert answer["boots"] == [] and set(answer["verify"]["pcrs"]) == {str(pcr) for pcr in range(16) if pcr != 10}
    assert all(result["reason"] or result["result"] == "good" for result in answer["verify"]["pcrs"].values())
    assert answer["verify"]["pcrs"]["8"]["result"] != "good"


def test_text(bench):
    """For people: the chain, the boots, a line for each PCR."""
    result = bench.bootseal("predict", "--pcrs", "5,8", environment={"BOOTSEAL_EVENTLOG": str(GRUB_LOG)})
    assert result.rc == 0 and result.stdout.startswith("boot chain: shim and GRUB\n")
    assert f"PCR  5  {values_of(GRUB_LOG)['5']}" in result.stdout and "PCR  8  not known: " in result.stdout
    result = bench.bootseal("predict", "--verify", "--pcrs", "8", environment={"BOOTSEAL_EVENTLOG": str(GRUB_LOG)})
    assert result.rc == 1 and result.stdout.startswith("PCR  8  ") and "could not be reproduced" in result.stderr


@pytest.mark.parametrize("content", [b"no event log", b""])
def test_damaged_log(bench, content):
    """Status 9, as with explain."""
    path = bench.folder / "damaged"
    path.write_bytes(content)
    result = bench.bootseal("predict", environment={"BOOTSEAL_EVENTLOG": str(path)})
    assert result.rc == 9 and str(path) in result.stderr, result
