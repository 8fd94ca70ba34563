"""Row 18: the programs' memory, searched for secrets where none is needed any more; where one is, it is found."""

import concurrent.futures
import contextlib
import dataclasses
import os
import re
import resource
import signal
import subprocess

import pexpect
import pytest

import attacker
import fail_calls
import memory
import recovery
from bootseal import NEW_PIN, PASSPHRASE, PATIENCE_S, PIN, PROMPT
from memory import Stopped, found
from preload import preload
from snapshot import Snapshot

WRONG_PIN = "9182736450"


def of_pin(volume, pin) -> dict:
    """{name: bytes} of what a PIN becomes, the right one or not."""
    auth, mix = attacker.stretch(volume.token(), pin)
    return {"PIN": pin.encode(), "A": auth, "B": mix}


def of_volume(bench, volume, pin=PIN) -> dict:
    """{name: bytes} of all that opens a volume by its PIN, in a boot state that is approved and not capped."""
    token = volume.token()
    keys = {**of_pin(volume, pin), "volume key": volume.volume_key()}
    if token["payload"] == "volume-key":
        sealed = attacker.unseal(bench.tpm, token, volume.token("bootseal-approval"),
                                 attacker.index_handle(bench.state), keys["A"])
        return {**keys, "sealed": sealed}
    secrets = dataclasses.asdict(attacker.secrets_of(bench.tpm, volume, bench.state, pin))
    return {**keys, "S": secrets["sealed"], "K": secrets["key"], "text of K": secrets["passphrase"]}


def of_stops(secrets: dict) -> dict:
    """Those that are in memory at one of the stops: K becomes its text at once."""
    return {name: secret for name, secret in secrets.items() if name not in ("K", "new K")}


def of_recovery_key(key: str) -> dict:
    """{name: bytes} of a recovery key, as it is shown and as digits."""
    return {"recovery key": key.encode(), "digits": key.replace("-", "").encode()}


# ---- bootseal ----

def test_threat_18_unlock(bench, enrolled):
    """At the end of `unlock`; each secret was found where it was needed."""
    secrets = of_volume(bench, enrolled)
    argv = bench.arguments("unlock", "--test", enrolled, pin=PIN)
    with Stopped(bench, argv, "stretching", "stretched", "unsealed", "opening", "opened", "exit") as program:
        assert found(program.at("stretching"), secrets) == ["PIN"]
        assert {"A", "B"} <= set(found(program.at("stretched"), secrets))
        assert {"A", "B", "S"} <= set(found(program.at("unsealed"), secrets))
        assert {"text of K"} <= set(found(program.at("opening"), secrets))
        assert {"volume key"} <= set(found(program.at("opened"), secrets))
        assert found(program.at("exit"), secrets) == []
        assert program.end().rc == 0


def test_threat_18_unlock_by_the_authority(bench, enrolled):
    """The same in a boot that is capped."""
    secrets = of_volume(bench, enrolled)
    bench.cap()
    with Stopped(bench, bench.arguments("unlock", "--test", enrolled, pin=PIN), "unsealed", "exit") as program:
        assert {"A", "B", "S"} <= set(found(program.at("unsealed"), secrets))
        assert found(program.at("exit"), secrets) == []
        assert program.end().rc == 0


def test_threat_18_wrong_pin(bench, enrolled):
    """A wrong one is somebody's other PIN, or nearly the right one."""
    secrets = of_pin(enrolled, WRONG_PIN)
    with Stopped(bench, bench.arguments("unlock", "--test", enrolled, pin=WRONG_PIN), "stretched", "exit") as program:
        assert found(program.at("stretched"), secrets) == ["PIN", "A", "B"]
        assert found(program.at("exit"), secrets) == []
        assert program.end().rc == 4


def test_threat_18_volume_key(bench, volume):
    """The TPM keeps the volume key itself."""
    bench.enroll(volume, "--payload", "volume-key")
    secrets = of_volume(bench, volume)
    with Stopped(bench, bench.arguments("unlock", "--test", volume, pin=PIN), "unsealed", "exit") as program:
        assert {"A", "B", "sealed"} <= set(found(program.at("unsealed"), secrets))
        assert found(program.at("exit"), secrets) == []
        assert program.end().rc == 0


def test_threat_18_recovery_key(bench, enrolled):
    """Typed instead of the PIN."""
    key = recovery.add(bench, enrolled)["key"]
    secrets = {**of_recovery_key(key), "volume key": enrolled.volume_key()}
    argv = bench.arguments("unlock", "--test", enrolled, pin=key)
    with Stopped(bench, argv, "opening", "opened", "exit") as program:
        assert "recovery key" in found(program.at("opening"), secrets)
        assert "volume key" in found(program.at("opened"), secrets)
        assert found(program.at("exit"), secrets) == []
        assert program.end().rc == 0


def of_state(bench) -> dict:
    """{name: bytes} of what the state folder keeps."""
    pem = (bench.state / "authority.pem").read_text(encoding="ascii").splitlines()
    text = subprocess.run(["openssl", "pkey", "-in", bench.state / "authority.pem", "-noout", "-text"],
                          capture_output=True, text=True, check=True).stdout
    number = re.search(r"priv:\s*((?:[0-9a-f]{2}[:\s]+)+)pub:", text).group(1)
    return {"lockout authorisation": (bench.state / "lockout-auth").read_bytes(),
            "authority's file": pem[1].encode(),
            "authority": bytes.fromhex(re.sub(r"[:\s]", "", number))[-32:]}


def run_through(bench, argv) -> tuple:
    """Run a program through all stops: the memory at the end, what was in it before, and what it said."""
    points = ("stretched", "unsealed", "opening", "opened", "adding", "exit")
    with Stopped(bench, argv, *points) as program:
        stops = list(program.stops())
        result = program.end()
    assert result.rc == 0 and stops[-1][0] == "exit"
    return stops[-1][1], [piece for _, pieces in stops[:-1] for piece in pieces], result


@pytest.mark.parametrize("payload", ["keyslot", "volume-key"])
def test_threat_18_enroll(bench, volume, payload):
    """With the TPM's lockout authorisation, the authority and the recovery key, all made here."""
    options = [option for option in bench.enroll_options if option != "--no-recovery-key"]
    end, before, result = run_through(bench, bench.arguments(
        "enroll", *options, "--yes", "--payload", payload, volume, pin=PIN, key=PASSPHRASE))
    (key,) = set(re.findall(recovery.KEY, result.stdout))
    needed = {**of_stops(of_volume(bench, volume)), "recovery key": key.encode(), "passphrase": PASSPHRASE.encode()}
    assert set(found(before, needed)) == set(needed)
    assert found(end, {**of_volume(bench, volume), **needed, **of_recovery_key(key), **of_state(bench)}) == []


def test_threat_18_change_pin(bench, enrolled):
    """Neither the old one nor the new one, nor what they open."""
    olds = of_volume(bench, enrolled)
    end, before, _ = run_through(bench, bench.arguments(
        "change-pin", "--policy", bench.policy, "--new-pin-file", bench.secret_file(NEW_PIN, "new"), enrolled, pin=PIN))
    news = {f"new {name}": value for name, value in of_volume(bench, enrolled, NEW_PIN).items()}
    assert set(found(before, {**olds, **news})) == of_stops({**olds, **news}).keys()
    assert found(end, {**olds, **news, **of_state(bench)}) == []


# ---- bootseal-unlock ----

@contextlib.contextmanager
def at_the_prompt(bench, *points):
    """bootseal-unlock on a terminal: (the terminal, the memory at the next stop of a name)."""
    argv = bench.unlock_all_arguments()
    child = pexpect.spawn(argv[0], argv[1:], env=bench.environment(**memory.environment_of(*points)),
                          timeout=PATIENCE_S, encoding="utf-8")
    child.delaybeforesend = None
    stops = memory.stops(child.pid)

    def at(point):
        return next(pieces for name, pieces in stops if name == point)
    try:
        yield child, at
    finally:
        child.close(force=True)


def answer(child, pin):
    """Type a PIN when it is asked for."""
    memory.go_on(child.pid)
    child.expect(PROMPT)
    child.sendline(pin)


def waiting(child) -> list:
    """The memory while the next answer is waited for."""
    memory.go_on(child.pid)
    child.expect(PROMPT)
    return memory.dump(child.pid)


def test_threat_18_initramfs(bench, enrolled):
    """A wrong PIN is gone when the next one is waited for; the right one, and all that it opens, before the cap."""
    wrong, right = of_pin(enrolled, WRONG_PIN), of_volume(bench, enrolled)
    with at_the_prompt(bench, "stretched", "unsealed", "opening", "opened", "capping", "exit") as (child, at):
        answer(child, WRONG_PIN)
        assert found(at("stretched"), wrong) == ["PIN", "A", "B"]
        at("unsealed")  # it was not
        assert found(waiting(child), wrong) == []
        child.sendline(PIN)
        before = at("stretched") + at("unsealed") + at("opening") + at("opened")
        assert set(found(before, right)) == of_stops(right).keys()
        assert found(at("capping"), {**right, **wrong}) == []
        assert found(at("exit"), right) == []


def test_threat_18_initramfs_two_pins(bench, enrolled):
    """The first volume's are gone while the second one's PIN is waited for; both before the cap."""
    second = bench.volume()
    bench.enroll(second, pin=NEW_PIN)
    first, other = of_volume(bench, enrolled), of_pin(second, NEW_PIN)
    with at_the_prompt(bench, "opened", "capping", "exit") as (child, at):
        answer(child, PIN)
        assert {"B", "text of K", "volume key"} & set(found(at("opened"), first))
        assert found(waiting(child), first) == []
        child.sendline(NEW_PIN)
        assert "volume key" in found(at("opened"), {"volume key": second.volume_key()})
        assert found(at("capping"), {**first, **other, "volume key of the second": second.volume_key()}) == []
        assert found(at("exit"), {**first, **other, "volume key of the second": second.volume_key()}) == []


def test_threat_18_initramfs_recovery_key(bench, enrolled):
    """Typed in the place of the PIN."""
    key = recovery.add(bench, enrolled)["key"]
    secrets = {**of_recovery_key(key), "volume key": enrolled.volume_key()}
    with at_the_prompt(bench, "opening", "opened", "capping", "exit") as (child, at):
        answer(child, key)
        assert "recovery key" in found(at("opening"), secrets)
        assert "volume key" in found(at("opened"), secrets)
        assert found(at("capping"), secrets) == []
        assert found(at("exit"), secrets) == []


# ---- a call that fails ----

def enrolled_with_passphrase(bench):
    """The volume, and what opens it."""
    volume = bench.volume()
    bench.enroll(volume)
    return volume, of_volume(bench, volume)


def not_enrolled(bench):
    """The volume, and what is there before it has a protector."""
    volume = bench.volume()
    return volume, {"volume key": volume.volume_key(), "PIN": PIN.encode()}


def new_pin(bench) -> list:
    """The options that name another PIN."""
    return ["--new-pin-file", bench.secret_file(NEW_PIN, "new")]


# verb: what makes its volume, its options, and whether it changes anything
FAILING = {
    "unlock": (enrolled_with_passphrase, lambda bench: ["--test"], False),
    "enroll": (not_enrolled, lambda bench: bench.enroll_options, True),
    "change-pin": (enrolled_with_passphrase, lambda bench: ["--policy", bench.policy, *new_pin(bench)], True),
    "recovery-key": (enrolled_with_passphrase, lambda bench: ["--yes", "add"], True),
}
OF_CALLS = pytest.mark.parametrize("step", [100, pytest.param(1, marks=pytest.mark.full)])


def failing(point: int) -> dict:
    """The environment in which a call fails, and the program stops at its end."""
    return {**preload(memory.LIBRARY, fail_calls.LIBRARY), "FAIL_CALLS": "own", "FAIL_CALLS_AT": str(point)}


@OF_CALLS
@pytest.mark.parametrize("verb", FAILING)
def test_threat_18_after_a_failure(bench, verb, step):
    """Memory that cannot be had, or a file that cannot be read, at each call or at some: what was there is wiped."""
    prepare, options, changes = FAILING[verb]
    volume, secrets = prepare(bench)
    secrets = {**secrets, "new PIN": NEW_PIN.encode(), "passphrase": PASSPHRASE.encode()}
    argv = bench.arguments(verb, *options(bench), volume, pin=PIN, key=PASSPHRASE if verb == "enroll" else None)
    snapshot = Snapshot(bench)
    result, points = fail_calls.count(lambda environment: bench.run(argv, environment=environment), "own")
    assert result.rc == 0
    for point in range(step // 2 + 1, points + 1, step):
        if changes:
            snapshot.restore()
        with Stopped(bench, argv, "exit", environment=failing(point)) as program:
            end = program.at("exit")
            assert found(end, {**secrets, **(of_state(bench) if keeps_secrets(bench) else {})}) == [], point
            assert program.end().rc in range(11), point


@OF_CALLS
def test_threat_18_after_a_failure_in_the_initramfs(bench, enrolled, step):
    """The same where the PIN is typed."""
    secrets = of_volume(bench, enrolled)
    snapshot = Snapshot(bench)
    _, points = fail_calls.count(lambda environment: at_a_terminal(bench, environment)[0], "own")
    for point in range(step // 2 + 1, points + 1, step):
        snapshot.restore()
        _, end = at_a_terminal(bench, {**memory.environment_of("exit"), **failing(point)})
        assert found(end, secrets) == [], point


def keeps_secrets(bench) -> bool:
    """Whether the state folder has come as far as its two secrets."""
    return (bench.state / "lockout-auth").exists() and (bench.state / "authority.pem").exists()


def at_a_terminal(bench, environment) -> tuple:
    """bootseal-unlock, all its questions answered: what was on the screen, and the memory where it stopped."""
    argv = bench.unlock_all_arguments()
    child = pexpect.spawn(argv[0], argv[1:], env=bench.environment(**environment), timeout=PATIENCE_S, encoding="utf-8",
                          codec_errors="replace")
    child.delaybeforesend = None
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        screen = pool.submit(fail_calls.answer, child)
        try:
            end = [piece for _, pieces in memory.stops(child.pid) for piece in pieces]
            return screen.result(), end
        finally:
            child.close(force=True)


# ---- beside the memory itself ----

def end_of(argv, cwd, environment=None) -> int:
    """How a program ended by SIGABRT, as waitid() says it; as much may be dumped as there is."""
    def dump_all():
        resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    with subprocess.Popen(list(map(str, argv)), cwd=cwd, env=environment, preexec_fn=dump_all, stdin=subprocess.DEVNULL,
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        os.waitid(os.P_PID, process.pid, os.WSTOPPED)
        process.send_signal(signal.SIGABRT)
        process.send_signal(signal.SIGCONT)
        return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT).si_code


def test_threat_18_no_core_file(bench, enrolled):
    """A program that crashes while it has the secrets leaves nothing behind; another one does, here."""
    folder = bench.folder / "cores"
    folder.mkdir()
    assert end_of(["sh", "-c", "kill -STOP $$; exit 1"], folder) == os.CLD_DUMPED
    argv = bench.arguments("unlock", "--test", enrolled, pin=PIN)
    for point in ("stretched", "opening", "exit"):
        assert end_of(argv, folder, bench.environment(**memory.environment_of(point))) == os.CLD_KILLED
    assert bench.unlock(enrolled).rc == 0


@pytest.mark.unsanitized  # AddressSanitizer answers mlock() itself
def test_threat_18_locked(bench, enrolled):
    """The pages with secrets cannot be swapped out; where the system forbids that, it is survived, and said."""
    argv = bench.arguments("unlock", "--test", "--verbose", enrolled, pin=PIN)
    with Stopped(bench, argv, "opening") as program:
        program.at("opening")
        status = open(f"/proc/{program.pid}/status", encoding="ascii").read()
        assert int(re.search(r"VmLck:\s+(\d+)", status).group(1)) > 0
        assert "could not be locked" not in program.end().stderr
    without = ["setpriv", "--bounding-set=-ipc_lock", "--inh-caps=-ipc_lock", "--", "prlimit", "--memlock=0:0", "--"]
    result = bench.run([*without, *argv])
    assert result.rc == 0 and "could not be locked into memory" in result.stderr
    result = bench.run([*without, *bench.arguments("unlock", "--test", enrolled, pin=PIN)])
    assert result.rc == 0 and result.stderr == ""


@pytest.mark.unsanitized
def test_threat_18_locked_in_the_initramfs(bench, enrolled):
    """The same there."""
    assert enrolled
    argv = ["setpriv", "--bounding-set=-ipc_lock", "--inh-caps=-ipc_lock", "--", "prlimit", "--memlock=0:0", "--",
            *bench.unlock_all_arguments("--verbose")]
    done = bench.on_terminal(argv, (PROMPT, PIN), prompt=PROMPT)
    assert done.rc == 0 and "could not be locked into memory" in done.screen
