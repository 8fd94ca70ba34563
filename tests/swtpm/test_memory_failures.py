"""Every allocation and every call of the system that fails: a clear error, no crash, no leak, and a way in afterwards.

One run for each call, in which that call alone fails. In the everyday run a sample of them, evenly spread; all of them
are marked "full". On a build with sanitizers (`-Db_sanitize=address,undefined`) what they report is a failure too.
"""

import collections
import dataclasses

import pexpect
import pytest

import fail_calls
import recovery
from bootseal import NEW_PIN, PASSPHRASE, PATIENCE_S, PIN, REPOSITORY, Result
from snapshot import Snapshot
from suspension import left, resume, suspend

SAMPLE = 3                # calls of each program, everyday
SAMPLE_OF_LIBRARIES = 30  # where they are hundreds of thousands
STATUSES = range(11)
EVENT_LOG = REPOSITORY / "tests/data/eventlogs/debian12-grub-mkconfig/a.bin"
SANITIZERS = ("AddressSanitizer", "LeakSanitizer", "runtime error:", "Assertion")


@dataclasses.dataclass(frozen=True)
class Case:
    """A program's run: `prepare` makes the machine, `run` calls the program, `check` says what must hold after it.

    CHECK gets the result, and asserts what a success has promised, and that there is a way in in any case.
    """

    prepare: object
    run: object
    check: object
    changes: bool = True  # the machine, so that it has to be made anew for each run


def enrolled_volume(bench):
    """A volume that opens by PIN, and by nothing else."""
    bench.enroll(bench.volume())
    bench.volumes[0].remove_passphrase()


def verb(*words, pin=None, key=None, options=lambda bench: (), with_volume=True, variables=()):
    """A call of bootseal on the first volume."""
    def run(bench, environment):
        volumes = [bench.volumes[0]] if with_volume else []
        return bench.bootseal(*words, *options(bench), *volumes, pin=pin, key=key,
                              environment={**environment, **dict(variables)})
    return run


def opens_by_pin(bench, result):
    """As before."""
    assert bench.unlock(bench.volumes[0]).rc == 0, result


def unlock_all(bench, environment):
    """bootseal-unlock on a terminal, where each question gets an answer."""
    argv = bench.unlock_all_arguments()
    child = pexpect.spawn(argv[0], argv[1:], env=bench.environment(**environment), timeout=PATIENCE_S,
                          encoding="utf-8", codec_errors="replace")
    child.delaybeforesend = None
    screen = fail_calls.answer(child)
    child.wait()
    child.ptyproc.delayafterclose = 0
    child.close(force=True)
    return Result(child.exitstatus if child.signalstatus is None else -child.signalstatus, "", screen)


def after_unlock_all(bench, result):
    """Nothing is changed, but this boot may be capped."""
    assert bench.unlock(bench.volumes[0]).rc == 0, result


def after_enroll(bench, result):
    """The passphrase opens, and the PIN when it was said so; saying it again does it."""
    volume = bench.volumes[0]
    assert volume.opens_with(PASSPHRASE), result
    if result.rc != 0 and bench.unlock(volume).rc != 0:
        bench.enroll(volume)
    assert bench.unlock(volume).rc == 0, result


def after_change_pin(bench, result):
    """The new PIN opens when it was said so, else one of the two."""
    pins = [NEW_PIN] if result.rc == 0 else [PIN, NEW_PIN]
    assert any(bench.unlock(bench.volumes[0], pin=pin).rc == 0 for pin in pins), result


def after_remove(bench, result):
    """The passphrase opens; the protector is gone when it was said so."""
    assert bench.volumes[0].opens_with(PASSPHRASE), result
    assert result.rc != 0 or not bench.volumes[0].tokens("bootseal"), result


def after_provision(bench, result):
    """It can be said again, and a volume enrolled."""
    assert result.rc == 0 or bench.provision().rc == 0, result
    assert bench.try_enroll(bench.volumes[0]).rc == 0


def after_recovery_key(bench, result):
    """The PIN opens; a key that was shown opens too."""
    opens_by_pin(bench, result)
    if result.rc == 0:
        assert bench.volumes[0].opens_with(recovery.shown_key(result))
    assert recovery.listed(bench, bench.volumes[0]) is not None


def after_suspend(bench, result):
    """The PIN opens; the next boot is covered when it was said so."""
    opens_by_pin(bench, result)
    assert result.rc != 0 or left(bench)["reboots_left"] == 2, result


def suspended_volume(bench):
    """Two reboots of it are left."""
    enrolled_volume(bench)
    suspend(bench, "--reboots", "2")


def after_resume(bench, result):
    """The PIN opens; nothing is suspended when it was said so, and saying it again does it."""
    opens_by_pin(bench, result)
    if result.rc != 0:
        resume(bench)
    assert left(bench) is None, result


def booted(bench):
    """A boot by PIN has left its report."""
    enrolled_volume(bench)
    assert bench.unlock_all("1111111111", PIN).rc == 0


CASES = {
    "unlock": Case(enrolled_volume, verb("unlock", "--test", pin=PIN), opens_by_pin, changes=False),
    "bootseal-unlock": Case(enrolled_volume, unlock_all, after_unlock_all),
    "status": Case(enrolled_volume, verb("status", "--json", with_volume=False), opens_by_pin, changes=False),
    "doctor": Case(enrolled_volume, verb("doctor", "--json", with_volume=False), opens_by_pin, changes=False),
    "enroll": Case(lambda bench: bench.volume(),
                   verb("enroll", pin=PIN, key=PASSPHRASE, options=lambda bench: bench.enroll_options), after_enroll),
    "change-pin": Case(enrolled_volume, verb("change-pin", pin=PIN, options=lambda bench: (
        "--policy", bench.policy, "--new-pin-file", bench.secret_file(NEW_PIN, "new"))), after_change_pin),
    "reseal": Case(enrolled_volume, verb("reseal", "--current", "--current-values", with_volume=False), opens_by_pin),
    "remove": Case(lambda bench: bench.enroll(bench.volume()), verb("remove"), after_remove),
    "recovery-key": Case(enrolled_volume, verb("recovery-key", "--yes", "add", pin=PIN), after_recovery_key),
    "provision": Case(lambda bench: bench.volume(), verb("provision", "--allow-unencrypted-state", with_volume=False,
                                               options=lambda bench: ("--policy", bench.policy)), after_provision),
    "suspend": Case(enrolled_volume, verb("suspend", "--reboots", "2", with_volume=False), after_suspend),
    "resume": Case(suspended_volume, verb("resume", with_volume=False), after_resume),
    "predict": Case(enrolled_volume, verb("predict", "--json", with_volume=False, variables=[
        ("BOOTSEAL_EVENTLOG", str(EVENT_LOG))]), opens_by_pin, changes=False),
    "explain": Case(enrolled_volume, verb("explain", "--json", "--eventlog", EVENT_LOG, with_volume=False), opens_by_pin,
                    changes=False),
    "boot-ok": Case(booted, verb("boot-ok", "--stderr", with_volume=False), opens_by_pin),
}


def fault_of(result) -> str:
    """What is wrong with the end of a program, or nothing."""
    if result.rc not in STATUSES:
        return "crashed"
    if any(word in result.stdout + result.stderr for word in SANITIZERS):
        return "sanitizer"
    return "silent" if result.rc != 0 and "bootseal" not in result.stderr else ""


def try_points(bench, case, mode, choose, capsys):
    """Let each of some calls fail; CHOOSE makes their list from the number of all."""
    def run(environment):
        return case.run(bench, environment)
    case.prepare(bench)
    snapshot = Snapshot(bench)
    result, points = fail_calls.count(run, mode)
    assert result.rc in (0, 1), result  # doctor has something to say of every software TPM
    assert points > (0 if ":" in mode else 50), result
    statuses, faults = collections.Counter(), []
    for point in choose(points):
        if case.changes:
            snapshot.restore()
        result, what = fail_calls.fail(run, mode, point)
        statuses[result.rc] += 1
        fault = fault_of(result)
        try:
            if case.changes:
                case.check(bench, result)
        except (AssertionError, ValueError) as error:
            fault = f"{fault} afterwards: {error}"
        if fault:
            faults.append((what, fault, result))
    with capsys.disabled():
        print(f" {sum(statuses.values())} of {points} calls failed, exit statuses {dict(sorted(statuses.items()))}")
    assert not faults, "\n".join(map(str, faults))
    case.check(bench, result)


def spread(size: int):
    """A sample of that size, evenly spread."""
    return lambda points: sorted({points * (2 * i + 1) // (2 * size) + 1 for i in range(size)})


@pytest.mark.parametrize("name", CASES)
def test_sample(bench, capsys, name):
    """The everyday run."""
    try_points(bench, CASES[name], "own", spread(SAMPLE), capsys)


@pytest.mark.parametrize("name", ["provision", "reseal"])
def test_whether_a_file_is_there(bench, capsys, name):
    """Every access(): a disk that cannot be read does not say that a rotation of the authority is under way."""
    try_points(bench, CASES[name], "own:access", lambda points: range(1, points + 1), capsys)


@pytest.mark.full
@pytest.mark.sanitized
@pytest.mark.parametrize("name", CASES)
def test_every_call(bench, capsys, name):
    """Every call from the program itself."""
    try_points(bench, CASES[name], "own", lambda points: range(1, points + 1), capsys)


@pytest.mark.full
@pytest.mark.sanitized
@pytest.mark.parametrize("name", CASES)
def test_allocations_of_libraries(bench, capsys, name):
    """Memory that a library cannot have while it works for the program."""
    try_points(bench, CASES[name], "all", spread(SAMPLE_OF_LIBRARIES), capsys)
