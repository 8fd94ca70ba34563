"""The table of threats tells what the tests' results say, and nothing better."""

import json

import pytest

import threats


def junit(folder, **cases):
    """A file of pytest's with one case each: None held, else the element that says what it did."""
    body = "".join(f'<testcase name="{name}[x]">{f"<{fault}/>" if fault else ""}</testcase>'
                   for name, fault in cases.items())
    path = folder / "results.xml"
    path.write_text(f"<testsuites><testsuite>{body}</testsuite></testsuites>", encoding="utf-8")
    return path


def verdict(row, ran, folder="swtpm"):
    """What the table says of a row whose one test in the tree is in a folder of tests/."""
    return threats.verdict(row, {f"test_threat_{row:02}_x": {folder}}, ran)


@pytest.mark.parametrize("fault, result", [(None, "passed"), ("failure", "failed"), ("error", "failed"),
                                           ("skipped", "failed")])
def test_junit(tmp_path, fault, result):
    """A case that was skipped has not held."""
    ran = threats.outcomes([junit(tmp_path, test_threat_03_x=fault, test_other=None)])
    assert verdict(3, ran[3]) == result and set(ran) == {3}


@pytest.mark.parametrize("output, result", [
    ("[ RUN      ] test_threat_03_x\n[       OK ] test_threat_03_x\n", "passed"),
    ("[ RUN      ] test_threat_03_x\n", "failed"),
    ("[       OK ] test_threat_03_x\n", "failed"),
    ("[ RUN      ] test_threat_03_x\n[  SKIPPED ] test_threat_03_x\n", "failed"),
    ("[ RUN      ] test_threat_03_x\n[       OK ] test_threat_03_x\n[  FAILED  ] test_threat_03_x\n", "failed"),
    ("[ RUN      ] test_other\n[       OK ] test_other\n", "not run"),
])
def test_unit_tests(tmp_path, output, result):
    """One that ended its program in the middle has not held; nor has one that was never begun."""
    log = tmp_path / "testlog.json"
    log.write_text(json.dumps({"name": "x", "result": "OK", "stdout": output}) + "\n", encoding="utf-8")
    assert verdict(3, threats.outcomes([log])[3]) == result


def test_no_test():
    """Nothing in the tree has the row's number."""
    assert threats.verdict(3, {}, {}) == "no test"
    assert verdict(3, {}) == "not run"


def test_measured_boot():
    """Such a row wants a test there, whatever others say."""
    ran = {"test_threat_01_x": [True]}
    assert verdict(1, ran) == "no test"
    assert verdict(1, ran, "vm") == "passed"
    names = {"test_threat_01_x": {"swtpm"}, "test_threat_01_y": {"vm"}}
    assert threats.verdict(1, names, ran) == "not run"
    assert threats.verdict(1, names, {"test_threat_01_y": [True], "test_threat_01_x": [False]}) == "failed"


def test_one_of_several_failed():
    """All that ran must have held."""
    assert verdict(3, {"test_threat_03_x": [True, False, True]}) == "failed"


def test_numbers_have_two_digits():
    """Every test in the tree that shows a row names one that there is."""
    for name in threats.defined():
        assert threats.row_of(name) in threats.ROWS and name.startswith(f"test_threat_{threats.row_of(name):02}_"), name
