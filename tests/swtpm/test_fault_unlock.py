"""A TPM that misbehaves at one command of an unlock: the time is bounded, the error clear, the recovery key asked for.

Each test here is one point: a fault at a command.  All commands with all faults are in `tests/run full`.
"""

import json

import pexpect
import pytest

import fault
import recovery
from bootseal import CAP_PCR, MEASURED, PATIENCE_S, PIN, PROMPT, UNLOCK_PROGRAM, Bench

COMMANDS = {"unlock": 12, "status": 15, "doctor": 20, "unlock-all": 17, "cap": 3}  # a test says that there are no more


def points(verb: str, step: int):
    """(fault, number of the command): one for each STEP-th fault in each run, the others in `tests/run full`."""
    count = COMMANDS[verb]
    return [pytest.param(name, number,
                         marks=[] if i % step == 0 and number == (i * 7 + 2) % count else pytest.mark.full)
            for i, name in enumerate(fault.FAULTS) for number in range(count)]


@pytest.fixture(name="model", scope="session")
def make_model(tmp_path_factory):
    """A machine with one enrolled volume that has a recovery key, switched off."""
    with Bench(tmp_path_factory.mktemp("model")) as model:
        model.measure(MEASURED)
        volume = model.volume()
        model.enroll(volume)
        model.recovery_key = recovery.add(model, volume)["key"]
    return model


def arguments(bench, verb, volume):
    """The call of a verb that changes nothing."""
    return bench.arguments("unlock", "--test", volume, pin=PIN) if verb == "unlock" else bench.arguments(verb)


def run(bench, verb, volume, tcti):
    """Run it with another TCTI."""
    return bench.run(arguments(bench, verb, volume), environment={"BOOTSEAL_TCTI": tcti})


@pytest.mark.parametrize("name, number", points("unlock", 2))
def test_threat_17_unlock(bench, enrolled, name, number):
    """In the running system."""
    done = run(bench, "unlock", enrolled, fault.at(bench.tpm, name, number))
    fault.assert_clear(done.rc, done.stderr)
    if name in fault.SMALL:
        assert done.rc == 0, done
    assert bench.unlock(enrolled).rc == 0


@pytest.mark.parametrize("verb, name, number",
                         [pytest.param(verb, *point.values, marks=point.marks) for verb in ("status", "doctor")
                          for point in points(verb, 4)])
def test_threat_17_report(bench, enrolled, verb, name, number):
    """What looks on: it tells what it can, and what is wrong with the TPM."""
    done = run(bench, verb, enrolled, fault.at(bench.tpm, name, number))
    fault.assert_clear(done.rc, done.stdout + done.stderr)
    if name in fault.SMALL:
        assert done.rc == run(bench, verb, enrolled, bench.tpm.plain_tcti).rc, done
    assert bench.unlock(enrolled).rc == 0


def converse(bench, key, tcti, *options):
    """`bootseal-unlock --all` with somebody who knows PIN and recovery key: (status, screen, prompts)."""
    argv = bench.unlock_all_arguments(*options, tcti=tcti)
    answers = {PROMPT: PIN, r"Recovery key [^\r\n]*: ": key}
    child = pexpect.spawn(argv[0], argv[1:], env=bench.environment(), timeout=PATIENCE_S, encoding="utf-8",
                          codec_errors="replace")
    child.delaybeforesend = None
    screen, prompts = "", []
    while (which := child.expect([*answers, pexpect.EOF])) < len(answers) and len(prompts) < 20:
        screen += child.before + child.after
        prompts.append(which)
        child.sendline(list(answers.values())[which])
    screen += child.before
    child.wait()
    child.ptyproc.delayafterclose = 0
    child.close(force=True)
    assert child.signalstatus is None, screen
    return child.exitstatus, screen, prompts


def is_capped(bench):
    """Whether the cap PCR was extended."""
    return bench.tpm.pcrs()[CAP_PCR] != bytes(32)


@pytest.mark.parametrize("name, number", points("unlock-all", 1))
def test_threat_17_unlock_all(bench, model, enrolled, name, number):
    """In the initramfs: what the TPM does not open, the recovery key does; the cap is done if a TPM is there at all."""
    rc, screen, prompts = converse(bench, model.recovery_key, fault.at(bench.tpm, name, number))
    fault.assert_clear(rc, screen)
    report = json.loads(bench.report.read_text(encoding="utf-8"))
    (volume,) = report["volumes"]
    assert volume["opened"], screen
    if name in fault.SMALL:
        assert rc == 0 and volume["by"] == "tpm2-pin" and len(prompts) == 1, screen
    if name not in fault.FOR_GOOD:
        assert is_capped(bench) and report["cap"]["done"], screen
    assert report["cap"]["done"] <= is_capped(bench)
    bench.boot()
    assert bench.unlock(enrolled).rc == 0


@pytest.mark.parametrize("name, number", points("cap", 4))
def test_threat_17_cap(bench, enrolled, name, number):
    """The net below: capped, or not claimed."""
    record = bench.folder / "run/cap"
    done = bench.run([UNLOCK_PROGRAM, "--cap", "--pins", bench.state / "pins.json", "--run", record.parent, "--tcti",
                      fault.at(bench.tpm, name, number)])
    fault.assert_clear(done.rc, done.stderr)
    if name in fault.FOR_GOOD:
        assert done.rc == 6 and not record.exists(), done
    else:
        assert enrolled and done.rc == 0 and is_capped(bench) and record.read_text(encoding="ascii") == "done\n"


def test_threat_17_busy_for_ever(bench, model, enrolled):
    """RETRY from the first command on: its patience ends once, not once for each command."""
    rc, screen, prompts = converse(bench, model.recovery_key,
                                   fault.tcti(bench.tpm, at=0, do="rc", value=0x922, times=0))
    assert enrolled and rc == 6 and prompts == [1] and "busy" in screen, screen


@pytest.mark.parametrize("number", [pytest.param(i, marks=pytest.mark.full) for i in range(1, COMMANDS["unlock-all"])])
def test_threat_17_busy_from_a_command_on(bench, model, enrolled, number):
    """The same from each other command on."""
    tcti = fault.tcti(bench.tpm, at=number, do="rc", value=0x922, times=0)
    rc, screen, _ = converse(bench, model.recovery_key, tcti)
    fault.assert_clear(rc, screen)
    (volume,) = json.loads(bench.report.read_text(encoding="utf-8"))["volumes"]
    assert enrolled and volume["opened"], screen


@pytest.mark.parametrize("verb", COMMANDS)
def test_every_command_is_a_point(bench, model, enrolled, verb):
    """The numbers above reach to the end."""
    log = bench.folder / "log"
    tcti = fault.tcti(bench.tpm, log=log)
    if verb == "unlock-all":
        converse(bench, model.recovery_key, tcti)
    elif verb == "cap":
        bench.run([UNLOCK_PROGRAM, "--cap", "--pins", bench.state / "pins.json", "--tcti", tcti])
    else:
        run(bench, verb, enrolled, tcti)
    assert len(fault.commands(log)) == COMMANDS[verb]
