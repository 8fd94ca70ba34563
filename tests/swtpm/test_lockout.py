"""While the TPM refuses PINs: until when, counted down where a person waits, and for nobody else."""

import re

import pexpect
import pytest

from bootseal import PATIENCE_S, PIN, PROGRAM

WRONG_PIN = "1111111111"
COUNTDOWN = r"in at most (10:00|9:\d\d)"


@pytest.fixture(name="locked")
def make_locked(bench, volume):
    """A volume whose TPM has just locked."""
    bench.set_policy(lockout={"max_tries": 1})
    bench.enroll(volume)
    assert bench.unlock(volume, pin=WRONG_PIN).rc == 4
    return volume


def unlock_argv(volume):
    """An unlock that has to ask."""
    return [str(PROGRAM), "unlock", "--test", str(volume.path)]


def reset(bench):
    """Somebody with the lockout authorisation resets the counter."""
    auth = (bench.state / "lockout-auth").read_bytes().hex()
    bench.tpm.tool("tpm2_dictionarylockout", "--clear-lockout", "-p", f"hex:{auth}")


def test_until_when(bench, locked):
    """Every refusal says it: the command line's, status, the initramfs's."""
    until = r"refuses PINs after 1 wrong ones, until \d\d:\d\d:\d\d \S+ at the latest \(10 min\)"
    refused = bench.unlock(locked)
    assert refused.rc == 5 and re.search(until, refused.stderr) and "what to do" in refused.stderr
    assert re.search(until, bench.bootseal("status").stdout)
    assert re.search(until, bench.unlock_all().screen)


def test_lockout_that_comes_at_the_prompt(bench, volume):
    """The TPM's tries are used up before the policy's: status 5 and until when."""
    bench.set_policy(tries=10, lockout={"max_tries": 2})
    bench.enroll(volume)
    done = bench.unlock_all(WRONG_PIN, WRONG_PIN)
    assert done.rc == 5 and "refuses PINs after 2 wrong ones, until" in done.screen
    assert done.volume(volume.name)["status"] == 5


def test_policy_tries_are_no_lockout(bench, volume):
    """The other way round it is a wrong PIN as before."""
    bench.set_policy(tries=1)
    bench.enroll(volume)
    done = bench.unlock_all(WRONG_PIN)
    assert done.rc == 4 and "1 wrong PINs" in done.screen


def test_countdown_and_then_the_prompt(bench, locked):
    """A person at a terminal sees the time run, and is asked as soon as the TPM takes PINs again."""
    argv = unlock_argv(locked)
    child = pexpect.spawn(argv[0], argv[1:], env=bench.environment(), timeout=PATIENCE_S, encoding="utf-8")
    try:
        child.expect("refuses PINs")
        child.expect(COUNTDOWN)
        child.expect(COUNTDOWN)  # and once more: it counts
        reset(bench)
        child.expect("PIN: ")
        child.sendline(PIN)
        child.expect(pexpect.EOF)
        child.wait()
    finally:
        child.close(force=True)
    assert child.exitstatus == 0


def test_enter_ends_the_waiting(bench, locked):
    """Who does not wait gets the refusal, status 5."""
    done = bench.on_terminal(unlock_argv(locked), (COUNTDOWN, ""))
    assert done.rc == 5 and "PIN:" not in done.screen


def test_nobody_waits_without_a_terminal(bench, locked):
    """Status 5 at once."""
    result = bench.run(unlock_argv(locked))
    assert result.rc == 5 and "in at most" not in result.stderr + result.stdout
