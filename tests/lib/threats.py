"""The table of threats, and what the tests of a run say about each of its rows.

    threats.py [RESULT]...

A RESULT is what a runner has recorded: JUNIT.xml of pytest, or testlog.json of meson, whose unit tests tell on their
output how each of their functions ended. A test shows a row when its name has the row's number: test_threat_NN_...

Each row is one of:

    passed   at least one of its tests ran, and all that ran held
    failed   one did not hold, was skipped, or did not come to its end
    not run  it has tests, but none in these results, or none in a measured boot where there should be one
    no test  no test in the tree has its number, or none where the row is to be shown in a measured boot

The exit status is 1 when a row failed or has no test, when a name has a number that is not in the table, and when two
folders have the same name.
"""

import collections
import json
import re
import sys
from pathlib import Path
from xml.etree import ElementTree

TESTS = Path(__file__).resolve().parents[1]

# Row: what somebody does or what happens, and whether it is to be shown in a measured boot.
MEASURED_BOOT = "vm"
ROWS = {
    1: ("another initrd, kernel, command line or GRUB configuration is booted", MEASURED_BOOT),
    2: ("Secure Boot is switched off, or has other keys", MEASURED_BOOT),
    3: ("the disk comes into another machine, or the TPM is cleared", ""),
    4: ("PINs are guessed at the prompt, also across power cuts", ""),
    5: ("the lockout is reset or widened from another system", ""),
    6: ("the plug is pulled after the right PIN, again and again", ""),
    7: ("the TPM's bus is recorded", ""),
    8: ("somebody on the bus shows his own keys, or changes what goes by", ""),
    9: ("the TPM is broken open: the PIN must still be found", ""),
    10: ("root of the running system unseals again without the authority", MEASURED_BOOT),
    11: ("the attacker's root runs beside an opened volume", MEASURED_BOOT),
    12: ("a shell, SysRq, a failing script or a planted image before the cap", MEASURED_BOOT),
    13: ("an old header, object, PIN or list is copied back", ""),
    14: ("the approval index is deleted and made again", ""),
    15: ("what is read from disk, firmware or TPM is hostile", ""),
    16: ("the power is cut in the middle of a change", ""),
    17: ("the TPM is late, busy, full, talks nonsense or falls silent", ""),
    18: ("memory is read after the unlock", ""),
    19: ("a suspension is prolonged, or used in the boot that made it", ""),
    20: ("two volumes, in another order, or with one UUID", ""),
    21: ("a PIN of spaces, NUL, thousands of characters or broken UTF-8", ""),
    22: ("somebody without privileges runs a verb or reads the state", ""),
    23: ("the last way in is removed by mistake", ""),
    24: ("a boot file that is not booted is replaced before an update", MEASURED_BOOT),
    25: ("the header is edited: cipher, offset, segments, re-encryption", ""),
    26: ("the token is edited, then an administrator's verb runs", ""),
    27: ("the authority's signature is captured and used for something else", ""),
    28: ("the PIN is tried at the object without an unlock", ""),
    29: ("the installation's passphrase is still in a keyslot", ""),
    30: ("a cloned image or a restored backup has another state folder", ""),
}

NAME = re.compile(r"\btest_threat_(\d+)_\w+")
DEFINITION = re.compile(r"^(?:def|static void) (test_threat_\w+)", re.MULTILINE)
CMOCKA_LINE = re.compile(r"^\[\s+(RUN|OK|FAILED|SKIPPED)\s+\] (\w+)", re.MULTILINE)
PYTEST_FAULTS = ("failure", "error", "skipped")


def row_of(name: str):
    """The number in a test's name; None without one."""
    match = NAME.match(name)
    return int(match[1]) if match else None


def defined() -> dict:
    """{name: folders of tests/ that it is in} of all tests in the tree that show a row."""
    found = collections.defaultdict(set)
    for path in [*TESTS.glob("**/test*.py"), *TESTS.glob("unit/**/*.c"), *TESTS.glob("fuzz/**/*.c")]:
        for name in DEFINITION.findall(path.read_text(encoding="utf-8")):
            found[name].add(path.relative_to(TESTS).parts[0])
    return found


def pytest_results(path: Path):
    """(name, whether it held) of each case in a JUnit file; a name without the point that it was run for."""
    for case in ElementTree.parse(path).iter("testcase"):
        yield case.get("name").partition("[")[0], not any(case.find(fault) is not None for fault in PYTEST_FAULTS)


def cmocka_results(output: str):
    """The same of a program's output: one that was begun and is not known to have held has not."""
    outcomes = {}
    for outcome, name in CMOCKA_LINE.findall(output):
        outcomes[name] = outcome == "OK" and outcomes.get(name) is not None
        if outcome == "RUN":
            outcomes[name] = False
    return outcomes.items()


def meson_results(path: Path):
    """The same of meson's log, a JSON object a line."""
    for line in path.read_text(encoding="utf-8").splitlines():
        test = json.loads(line)
        yield from cmocka_results(test.get("stdout", "") + "\n" + test.get("stderr", ""))


def outcomes(paths) -> dict:
    """{row: {name: [whether it held, once for each time that it ran]}}"""
    found = collections.defaultdict(lambda: collections.defaultdict(list))
    for path in map(Path, paths):
        for name, held in (pytest_results if path.suffix == ".xml" else meson_results)(path):
            if row_of(name) is not None:
                found[row_of(name)][name].append(held)
    return found


def verdict(row: int, names: dict, ran: dict) -> str:
    """One of the words above. NAMES are the row's tests in the tree, RAN those in the results."""
    where = ROWS[row][1]
    if not names or where and not any(where in folders for folders in names.values()):
        return "no test"
    if not ran or where and not any(where in names.get(name, ()) for name in ran):
        return "not run"
    return "passed" if all(all(held) for held in ran.values()) else "failed"


def report(row: int, names: dict, ran: dict) -> str:
    """The row's lines; its result."""
    result = verdict(row, names, ran)
    print(f"{row:2}  {result:7}  {ROWS[row][0]}")
    for name in sorted({*names, *ran}):
        times = ran.get(name, [])
        held = f"{times.count(True)} of {len(times)}" if times else "-"
        print(f"{'':13}{held:>9}  {name} ({', '.join(sorted(names.get(name, ['?'])))})")
    return result


def main(paths) -> int:
    """Print the table."""
    names, ran = defined(), outcomes(paths)
    unknown = sorted(name for name in names if row_of(name) not in ROWS)
    results = collections.Counter()
    for row in ROWS:
        results[report(row, {name: where for name, where in names.items() if row_of(name) == row}, ran[row])] += 1
    for name in unknown:
        print(f"{name}: there is no such row")
    twice = sorted(name for name, where in names.items() if len(where) > 1)
    for name in twice:
        print(f"{name}: in {' and '.join(sorted(names[name]))}, and the results do not tell which")
    print(", ".join(f"{results[word]} {word}" for word in ("passed", "failed", "not run", "no test")))
    return 1 if unknown or twice or results["failed"] or results["no test"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
