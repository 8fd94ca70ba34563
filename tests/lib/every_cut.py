"""Each place where the power can go while a verb runs: counted in a run that ends well, then tried one by one.

    bench.become(model)
    for point in record(bench, argv, environment).points["disk"]:
        bench.become(model)
        result = cut(bench, argv, point, environment)
        ... a new boot, and whatever must hold in it ...

Program and TPM end together.  What a point leaves behind is told by its `state`: where nothing lasting happened between
two points, on the disk or in the TPM, it is the same.
"""

import dataclasses
import subprocess
import tempfile
import threading
from pathlib import Path

import cut_writes
from bootseal import PATIENCE_S, Result
from power_switch import PowerSwitch

DISK, TORN, BEFORE, AFTER = KINDS = ("disk", "torn", "before", "after")

# Commands after which a TPM is another one when it is switched on again.  Unseal: the use of an authorisation is
# counted as a wrong one when the power goes before a Shutdown.
LASTING = {"EvictControl", "NV_DefineSpace", "NV_UndefineSpace", "NV_Write", "HierarchyChangeAuth", "Clear", "Unseal",
           "DictionaryAttackParameters", "DictionaryAttackLockReset", "Shutdown"}

# Those after which the disk must not be behind.
COMMITTING = LASTING - {"Unseal", "Shutdown", "DictionaryAttackLockReset"}

TORN_MIN_BYTES = 1024  # a disk writes sectors of 512 bytes whole


@dataclasses.dataclass(frozen=True)
class Point:
    """One place for a cut."""

    kind: str  # DISK, TORN: before a change of the disk, in the middle of it; BEFORE, AFTER: of a TPM command
    number: int  # of the change, or of the command, from 1
    what: str
    state: tuple
    pin_in_use: bool  # an Unseal came, and no Shutdown since

    def __str__(self):
        return f"{self.kind} {self.number}: {self.what}"


@dataclasses.dataclass(frozen=True)
class Run:
    """What a program did from its start to its good end."""

    changes: list  # of cut_writes.Change
    commands: list  # of PowerSwitch

    @property
    def _events(self) -> list:
        """Both in their order; a command as (number, name)."""
        events = [(change.time_ns, change) for change in self.changes]
        events += [(time, (number, name)) for number, (time, name) in enumerate(self.commands, 1)]
        return [event for _, event in sorted(events, key=lambda each: each[0])]

    @property
    def points(self) -> dict:
        """{kind: the points in their order}."""
        points = {kind: [] for kind in KINDS}
        lasting, in_use = 0, False
        for event in self._events:
            if isinstance(event, cut_writes.Change):
                points[DISK].append(Point(DISK, event.number, str(event), (lasting,), in_use))
                if event.call == "write" and event.size_bytes >= TORN_MIN_BYTES:
                    points[TORN].append(Point(TORN, event.number, str(event), (lasting, "torn"), in_use))
                lasting += event.call != "fsync"
                continue
            number, name = event
            points[BEFORE].append(Point(BEFORE, number, name, (lasting,), in_use))
            lasting += name in LASTING
            in_use = name == "Unseal" or in_use and name != "Shutdown"
            points[AFTER].append(Point(AFTER, number, name, (lasting,), in_use))
        return points

    @property
    def unsynced(self) -> list:
        """What a disk might not have kept yet when the TPM was changed, or when the program said that it was done."""
        found, dirty = [], {}
        for event in [*self._events, (0, "the end")]:
            if not isinstance(event, cut_writes.Change):
                if event[1] in COMMITTING or event[1] == "the end":
                    found += [f"{change} at {event[1]}" for change in dirty.values()]
            elif event.call == "fsync":
                dirty.pop(event.path, None)
            else:
                # of a file its content or its mode, else what the folder says of it
                in_file = event.call in ("write", "ftruncate", "fchmod")
                dirty[event.path if in_file else event.path.parent] = event
        return found


class _Program:
    """A program that can be killed from the relay's thread as soon as it runs."""

    def __init__(self):
        self._started = threading.Event()
        self._process = None

    def run(self, bench, argv, environment) -> Result:
        """Run it to its end."""
        self._process = subprocess.Popen(list(map(str, argv)), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                         stderr=subprocess.PIPE, env=bench.environment(**environment),
                                         start_new_session=True)
        self._started.set()
        with self._process as process:
            stdout, stderr = process.communicate(timeout=PATIENCE_S)
        return Result(process.returncode, stdout.decode(), stderr.decode())

    def kill(self) -> None:
        """End it: of what it would do next, nothing happens."""
        self._started.wait()
        self._process.kill()


def record(bench, argv, environment) -> Run:
    """Run a program, which must succeed."""
    with tempfile.TemporaryDirectory() as folder:
        trace = Path(folder) / "trace"
        trace.touch()
        with PowerSwitch(bench.tpm, None, False, 0) as switch:
            more = {"BOOTSEAL_TCTI": switch.tcti, **cut_writes.traced(bench.folder, trace), **environment}
            result = _Program().run(bench, argv, more)
        assert result.rc == 0, result
        return Run(cut_writes.read_trace(trace), switch.commands)


def cut(bench, argv, point, environment) -> Result:
    """Run a program until the point, where it ends and the TPM loses its power; the TPM is off then."""
    if point.kind in (DISK, TORN):
        more = cut_writes.at(bench.folder, point.number, point.kind == TORN)
        result = _Program().run(bench, argv, {**more, **environment})
        assert result.rc == cut_writes.STATUS_CUT, (point, result)
        bench.tpm.cut()
        return result
    program = _Program()
    with PowerSwitch(bench.tpm, None, point.kind == AFTER, point.number, on_cut=program.kill) as switch:
        result = program.run(bench, argv, {"BOOTSEAL_TCTI": switch.tcti, **environment})
    assert switch.has_cut and switch.commands[-1][1] == point.what, (point, switch.commands[-1:], result)
    return result
