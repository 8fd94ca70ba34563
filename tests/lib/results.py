"""Counts what a test runner recorded: "PASSED FAILED" on one line.

    results.py meson meson-logs/testlog.json
    results.py pytest JUNIT.xml

Only a test that ran and held has passed: a skipped one counts as failed.
"""

import json
import sys
from pathlib import Path
from xml.etree import ElementTree

MESON_PASSES = ("OK", "EXPECTEDFAIL")
PYTEST_FAULTS = ("failure", "error", "skipped")


def meson_outcomes(path):
    """One bool for each line of meson's log: a JSON object a test."""
    for line in path.read_text(encoding="utf-8").splitlines():
        yield json.loads(line)["result"] in MESON_PASSES


def pytest_outcomes(path):
    """One bool for each test case of a JUnit file."""
    for case in ElementTree.parse(path).iter("testcase"):
        yield not any(case.find(fault) is not None for fault in PYTEST_FAULTS)


READERS = {"meson": meson_outcomes, "pytest": pytest_outcomes}


def main():
    """Print the two numbers."""
    runner, path = sys.argv[1:]
    outcomes = list(READERS[runner](Path(path)))
    print(outcomes.count(True), outcomes.count(False))


if __name__ == "__main__":
    main()
