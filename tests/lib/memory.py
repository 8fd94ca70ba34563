"""Looking into the memory of a program that is stopped, or waits.

    with memory.Stopped(bench, argv, "opening", "exit") as program:
        dump = program.at("opening")
        assert key in dump
        assert memory.found(program.at("exit"), {"the key": key}) == []
        assert program.end().rc == 0
"""

import contextlib
import os
import re
import signal
import subprocess
from pathlib import Path

from bootseal import BUILD, PATIENCE_S, Result
from preload import preload

LIBRARY = BUILD / "tests/stop-at.so"

MAPPING_MAX_BYTES = 1 << 30  # beyond it are what AddressSanitizer keeps beside the memory, not in it

MAP_LINE = re.compile(r"^([0-9a-f]+)-([0-9a-f]+) rw")


def dump(pid: int) -> list:
    """All that a process can have written into its memory, one piece for each mapping."""
    pieces = []
    with open(f"/proc/{pid}/maps", encoding="utf-8") as maps, open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for line in maps:
            match = MAP_LINE.match(line)
            if not match:
                continue
            start, end = (int(number, 16) for number in match.groups())
            if end - start > MAPPING_MAX_BYTES:
                continue
            try:
                pieces.append(os.pread(memory.fileno(), end - start, start))
            except OSError:  # past the end of a file
                continue
    assert sum(map(len, pieces)) > 1 << 16, "that is no program's memory"
    return pieces


def found(pieces, secrets: dict) -> list:
    """The names of those {name: bytes} that are there, or the half of them that comes first or last."""
    def parts(secret):
        half = max(len(secret) // 2, 8)
        return {secret, secret[:half], secret[-half:]}
    return [name for name, secret in secrets.items()
            if any(part in piece for piece in pieces for part in parts(secret))]


class Stopped:
    """A program that stops at each of the points, in their order; see stop-at.c."""

    def __init__(self, bench, argv, *points, environment=None):
        self._environment = bench.environment(**{**environment_of(*points), **(environment or {})})
        self._argv = list(map(str, argv))
        self._process = None

    def __enter__(self):
        self._process = subprocess.Popen(self._argv, env=self._environment, stdin=subprocess.DEVNULL,
                                         stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)
        return self

    def __exit__(self, *exception):
        if self._process.poll() is None:
            self._process.kill()
        self._process.communicate()

    @property
    def pid(self) -> int:
        """The process."""
        return self._process.pid

    def at(self, point: str) -> list:
        """Let it run until it stops, which must be at the point; the memory it has then."""
        name, pieces = next(self.stops())
        assert name == point, f"it stopped at {name}"
        return pieces

    def stops(self):
        """(point, memory) of each stop until it ends."""
        return stops(self.pid)

    def end(self) -> Result:
        """Let it run to its end."""
        for point, _ in self.stops():
            raise AssertionError(f"it stopped at {point} once more")
        output, errors = self._process.communicate(timeout=PATIENCE_S)
        return Result(self._process.returncode, output.decode(), errors.decode())


def environment_of(*points) -> dict:
    """The variables that make a program stop."""
    return {**preload(LIBRARY), "STOP_AT": "".join(f"{point}," for point in points)}


def go_on(pid: int) -> None:
    """Let a program run on if it has stopped; one that waits at a prompt takes the signal for the end of a pause."""
    if re.search(r"^State:\s+T", Path(f"/proc/{pid}/status").read_text(encoding="ascii"), re.MULTILINE):
        os.kill(pid, signal.SIGCONT)


@contextlib.contextmanager
def _patience():
    """For what could wait for ever."""
    def give_up(*_):
        raise TimeoutError("it neither stops nor ends")
    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(PATIENCE_S)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def stops(pid: int):
    """Let a program run on, again and again: (point, memory) of each stop, until it has ended."""
    while True:
        go_on(pid)
        with _patience():
            status = os.waitid(os.P_PID, pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
        if status.si_code != os.CLD_STOPPED:
            return
        os.waitid(os.P_PID, pid, os.WSTOPPED)
        yield Path(f"/proc/{pid}/comm").read_text(encoding="ascii").strip(), dump(pid)
