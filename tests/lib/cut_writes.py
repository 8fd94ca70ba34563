"""Ends a program at a chosen change of the disk, as a power cut would: see cut-writes.c."""

import dataclasses
from pathlib import Path

from bootseal import BUILD
from preload import preload

LIBRARY = BUILD / "tests/cut-writes.so"
STATUS_CUT = 111


@dataclasses.dataclass(frozen=True)
class Change:
    """One call that changes the disk, as it was traced."""

    number: int
    time_ns: int  # of time.monotonic_ns()
    call: str
    size_bytes: int
    path: Path

    def __str__(self):
        return f"{self.call} {self.path.name}" + (f" ({self.size_bytes} bytes)" if self.size_bytes else "")


def environment(volume, number: int, torn=False) -> dict:
    """What makes a program end at this write to the volume, or rename in its folder, counted from 1; TORN: when half of
    it is done."""
    return {**at(volume.path.parent, number, torn), "CUT_FILE": str(volume.path)}


def at(folder, number: int, torn=False) -> dict:
    """What makes a program end at this change under FOLDER, whatever it is."""
    return {**preload(LIBRARY), "CUT_FOLDER": str(folder), "CUT_AT": str(number),
            **({"CUT_TORN": "1"} if torn else {})}


def traced(folder, trace) -> dict:
    """What makes a program note its changes under FOLDER in the file TRACE."""
    return {**preload(LIBRARY), "CUT_FOLDER": str(folder), "CUT_TRACE": str(trace)}


def read_trace(trace) -> list:
    """The changes, in their order."""
    lines = (line.split(" ", 4) for line in Path(trace).read_text(encoding="utf-8").splitlines())
    return [Change(int(number), int(time), call, int(size), Path(path)) for number, time, call, size, path in lines]
