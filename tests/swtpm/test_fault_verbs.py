"""A TPM that misbehaves at one command of a verb that changes something: the volume opens afterwards by the PIN or by
what opened it before, and the next run of the verb succeeds.

Each test here is one point: a fault at a command.  All commands are in `tests/run full`, each with one fault that
breaks the connection and one that spoils the answer, in turn, and each fourth with one that is to be got over.
"""

import pytest

import fault
from bootseal import NEW_PIN, PASSPHRASE, PIN

SMALL = list(fault.SMALL)
BREAKING = ["silent", "closed", "answer lost", "failure"]
SPOILING = ["size too large", "random", "random body", "short", "truncated", "bit turned", "never any room",
            "size too small"]

# How many commands each verb sends; a test says so.
COMMANDS = {"enroll": 57, "enroll volume-key": 57, "change-pin": 59, "reseal": 12, "provision": 40, "remove": 10,
            "boot-ok": 6}
FIRST = ("enroll", "enroll volume-key", "provision")  # on a machine where nothing is enrolled


def points(count: int, step: int):
    """(fault, number of the command): two in each run, the others in `tests/run full`."""
    early, late = step % count // 4 * 4, (step + count // 2) % count
    for number in range(count):
        names = [BREAKING[number % len(BREAKING)], SPOILING[number % len(SPOILING)]]
        if number % 4 == 0:
            names.insert(0, SMALL[number // 4 % len(SMALL)])
        for i, name in enumerate(names):
            everyday = (number, i) in ((early, 0), (late, len(names) - 1))
            yield pytest.param(name, number, marks=[] if everyday else pytest.mark.full)


def arguments(bench, verb, volume):
    """The call."""
    if verb.startswith("enroll"):
        payload = ["--payload", "volume-key"] if verb == "enroll volume-key" else []
        return bench.arguments("enroll", *bench.enroll_options, *payload, volume, pin=PIN, key=PASSPHRASE)
    if verb == "provision":
        return bench.arguments("provision", "--policy", bench.policy, "--allow-unencrypted-state")
    if verb == "reseal":
        return bench.arguments("reseal", "--current", "--current-values")
    if verb == "change-pin":
        return bench.arguments(verb, "--policy", bench.policy, "--new-pin-file", bench.secret_file(NEW_PIN, "new-pin"),
                               volume, pin=PIN)
    return bench.arguments(verb, *[volume] * (verb == "remove"))


def prepare(bench, request, verb):
    """The machine before the verb; its volume."""
    if verb in FIRST:
        bench.tpm.set_lockout(32, 600, 0)
        return bench.volume()
    volume = request.getfixturevalue("enrolled")
    if verb == "remove":  # beside another protector, so that the approval stays in use
        bench.enroll(bench.volume(), pin=NEW_PIN)
    if verb == "reseal":
        bench.boot({9: b"another initrd"})
    if verb == "boot-ok":  # with a wrong PIN to be forgotten
        bench.unlock_all("1111111111", PIN)
    return volume


def opens(bench, volume):
    """By PIN or by passphrase, on a TPM that is well again."""
    return volume.opens_with(PASSPHRASE) and (not volume.tokens("bootseal") or
                                              any(bench.unlock(volume, pin=pin).rc == 0 for pin in (PIN, NEW_PIN)))


def assert_done(bench, verb, volume):
    """The verb has done what it is for."""
    if verb == "remove":
        assert volume.tokens("bootseal") == {} and volume.keyslots() == {0}
        assert bench.unlock(bench.volumes[1], pin=NEW_PIN).rc == 0
    elif verb == "boot-ok":
        assert bench.tpm.lockout_counter() == 0
    elif verb != "provision":
        assert bench.unlock(volume, pin=NEW_PIN if verb == "change-pin" else PIN).rc == 0
        assert volume.tokens("bootseal-pending") == {} and volume.token("bootseal-approval")["next"] is None


def again(bench, verb, volume) -> bool:
    """Say it once more after it has failed, in the next boot if it may be; it may have come to its end all the same.

    False: it has to wait. A session that was broken on the bus makes the right lockout authorisation a wrong one, after
    which the TPM takes none for as long as the policy has it (here, before the first enrolment: until the next start).
    """
    if verb != "boot-ok":
        bench.boot({9: b"another initrd"} if verb == "reseal" else None)
    if verb == "change-pin" and bench.unlock(volume, pin=NEW_PIN).rc == 0:
        assert bench.change_pin(volume, pin=NEW_PIN, new=PIN).rc == 0
    done = bench.run(arguments(bench, verb, volume))
    if verb == "boot-ok" and "takes none for now" in done.stderr:
        return False
    assert done.rc == 0 or (verb == "remove" and done.rc == 7), done
    return True


@pytest.mark.parametrize("verb, name, number",
                         [pytest.param(verb, *point.values, marks=point.marks)
                          for i, (verb, count) in enumerate(COMMANDS.items()) for point in points(count, 11 * i + 5)])
def test_threat_17_verb(bench, request, verb, name, number):
    """A clear error, or success; a way in; and the verb can be said again."""
    volume = prepare(bench, request, verb)
    done = bench.run(arguments(bench, verb, volume), environment={"BOOTSEAL_TCTI": fault.at(bench.tpm, name, number)})
    fault.assert_clear(done.rc, done.stderr)
    if name in fault.SMALL:
        assert done.rc == 0, done
    if verb not in ("remove", "reseal") and name != "bit turned":
        assert opens(bench, volume), done
    assert volume.opens_with(PASSPHRASE)
    if name == "bit turned" and done.rc == 0 and bench.unlock(volume).rc == 3:
        assert bench.reseal().rc == 0  # no session proves what TPM2_PCR_Read says: another state was approved
    if done.rc == 0 or again(bench, verb, volume):
        assert_done(bench, verb, volume)


@pytest.mark.parametrize("verb", COMMANDS)
def test_every_command_is_a_point(bench, request, verb):
    """The numbers above reach to the end."""
    log = bench.folder / "log"
    volume = prepare(bench, request, verb)
    done = bench.run(arguments(bench, verb, volume), environment={"BOOTSEAL_TCTI": fault.tcti(bench.tpm, log=log)})
    assert done.rc == 0 and len(fault.commands(log)) == COMMANDS[verb]
    assert_done(bench, verb, volume)
