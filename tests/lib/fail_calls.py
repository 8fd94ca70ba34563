"""Programs of which one call fails: memory that cannot be had, a file that cannot be read.

    points = fail_calls.count(run, "own")
    for point in range(1, points + 1):
        result, name = fail_calls.fail(run, "own", point)

RUN is given what to add to the environment, runs the program, and returns how it ended.
"""

import tempfile
from pathlib import Path

import pexpect

from bootseal import BUILD, PIN, PROMPT
from preload import preload

LIBRARY = BUILD / "tests/fail-calls.so"
PROMPTS_MAX = 12  # of one program, however many calls of it fail
LEAKS = Path(__file__).with_name("lsan-libraries.txt")


def _run(run, mode, point):
    leaks = {"LSAN_OPTIONS": f"suppressions={LEAKS}:print_suppressions=0"} if mode == "all" else {}
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        result = run({**preload(LIBRARY), **leaks, "FAIL_CALLS": mode, "FAIL_CALLS_AT": str(point),
                      "FAIL_CALLS_LOG": str(log)})
        return result, log.read_text(encoding="ascii").split() if log.exists() else ["no call", "0"]


def answer(child) -> str:
    """Sit before a program's terminal to its end, with the PIN and without a recovery key: what was on the screen."""
    screen = ""
    for _ in range(PROMPTS_MAX):
        end = child.expect([pexpect.EOF, PROMPT, r"Recovery key [^\r\n]*: "])
        screen += child.before
        if end == 0:
            return screen
        child.sendline(PIN if end == 1 else "")
    raise AssertionError(f"asked again and again: {screen}")


def count(run, mode: str) -> tuple:
    """How the program ends when nothing fails, and how many calls could."""
    result, (name, number) = _run(run, mode, 0)
    assert name == "calls", result
    return result, int(number, 16)


def fail(run, mode: str, point: int) -> tuple:
    """How it ends when that call fails, and which one it was: its name, and where in the program it is."""
    result, words = _run(run, mode, point)
    return result, f"call {point}: {words[0]} at {words[1]}"
