"""bootseal predict: what the next boots will measure, and whether this machine keeps to it."""

import pytest

import firmware_variables
from firmware_variables import SECURITY, SHIM, signature_list
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


# ---- updates of firmware variables ----

OLD, NEW, OTHER = (signature_list(bytes([i]) * 32) for i in range(1, 4))
DBX = f"dbx-{SECURITY}"
KEYS = {f"MokListRT-{SHIM}": OLD, f"MokNew-{SHIM}": NEW, f"MokAuth-{SHIM}": b"a password's hash"}


def write_update(bench, name, lists):
    """A file with a signed update."""
    path = bench.folder / name
    path.write_bytes(firmware_variables.update(lists))
    return path


def predict_with(bench, variables, *options):
    """A run where these are the firmware's variables."""
    argv = bench.arguments("predict", "--json", *options)
    result = firmware_variables.run(bench, variables, argv, {"BOOTSEAL_EVENTLOG": str(GRUB_LOG)})
    assert result.rc == 0, result
    check_schema(result.json, "predict")
    return [(boot["after"], boot["label"]) for boot in result.json["boots"] if boot["disk_order"] == 0]


def test_update_of_a_variable(bench):
    """Each state on the way, the one without it first; nothing that changes nothing."""
    first, second = write_update(bench, "first", NEW), write_update(bench, "second", OTHER)
    options = ["--variable", f"dbx+={first}", "--variable", f"dbx+={first}", "--variable", f"db={second}"]
    boots = predict_with(bench, {DBX: OLD}, *options)
    assert [after for after, _ in boots] == [[], ["dbx"], ["dbx", "db"]]
    assert [label for _, label in boots] == ["linux", "linux, after dbx", "linux, after dbx, db"]
    assert predict_with(bench, {DBX: NEW}, *options[:4]) == [([], "linux")]


def test_request_for_owner_keys(bench):
    """What mokutil --import leaves: asked, refused, granted, each before and after an update."""
    boots = predict_with(bench, KEYS)
    assert [after for after, _ in boots] == [[], ["mok-refused"], ["mok-enrolled"]]
    assert boots[1][1] == "linux, after MOK refused" and boots[2][1] == "linux, after MOK"
    boots = predict_with(bench, KEYS, "--variable", f"dbx+={write_update(bench, 'first', NEW)}")
    assert [after for after, _ in boots] == [
        [], ["dbx"], ["mok-refused"], ["mok-enrolled"], ["dbx", "mok-refused"], ["dbx", "mok-enrolled"]]
    assert predict_with(bench, {**KEYS, f"MokDel-{SHIM}": NEW}) == [([], "linux")]


@pytest.mark.parametrize("option, status, words", [
    ("dbx", 2, '"dbx" is not NAME[+]=FILE'),
    ("=FILE", 2, '"=FILE" is not NAME[+]=FILE'),
    ("dbx=", 2, '"dbx=" is not NAME[+]=FILE'),
    ("SbatLevel={good}", 2, '"SbatLevel" is none of PK, KEK, db'),
    ("dbx+={folder}/none", 1, "none"),
    ("dbx+={folder}", 1, "cannot read"),
    ("dbx+={long}", 1, "more than 1048576 bytes"),
    ("dbx+={lists}", 9, "no signed update"),
    ("dbx+={empty}", 9, "no signed update"),
])
def test_no_update(bench, option, status, words):
    """What is no such option, no file, or no update; each is named."""
    paths = {"good": write_update(bench, "good", NEW), "folder": bench.folder}
    for name, content in (("lists", NEW), ("empty", b""), ("long", bytes((1 << 20) + 1))):
        paths[name] = bench.folder / name
        paths[name].write_bytes(content)
    argv = bench.arguments("predict", "--variable", option.format(**paths))
    result = firmware_variables.run(bench, {DBX: OLD}, argv, {"BOOTSEAL_EVENTLOG": str(GRUB_LOG)})
    assert result.rc == status and words in result.stderr and result.stdout == "", result


def test_too_many_updates(bench):
    """Four at the most."""
    option = ["--variable", f"dbx+={write_update(bench, 'good', NEW)}"]
    result = bench.bootseal("predict", *option * 5)
    assert result.rc == 2 and "more than 4 times" in result.stderr, result


def test_update_of_the_running_boot(bench):
    """--verify looks back."""
    result = bench.bootseal("predict", "--verify", "--variable", f"dbx+={write_update(bench, 'good', NEW)}")
    assert result.rc == 2 and "exclude each other" in result.stderr, result


@pytest.mark.parametrize("content", [b"no event log", b""])
def test_damaged_log(bench, content):
    """Status 9, as with explain."""
    path = bench.folder / "damaged"
    path.write_bytes(content)
    result = bench.bootseal("predict", environment={"BOOTSEAL_EVENTLOG": str(path)})
    assert result.rc == 9 and str(path) in result.stderr, result
