"""How many TPM commands an unlock takes, and in what order: on a slow bus each one is a wait."""

import pytest

from bootseal import PIN

BEFORE_THE_PIN = ["Load", "GetCapability", "StartAuthSession", "PolicyPCR", "PolicyOR", "PolicyCpHash",
                  "PolicyAuthorizeNV", "PolicyAuthValue"]
AFTER_THE_PIN = ["Unseal", "FlushContext", "Shutdown"]
ELEVEN = BEFORE_THE_PIN + AFTER_THE_PIN
SEVERAL_OBJECTS = BEFORE_THE_PIN[:6] + ["PolicyOR"] + BEFORE_THE_PIN[6:]  # a PolicyOR over them, too
WRONG_TRY = ["Unseal", "Shutdown"]
LOOK_AT_PCRS = ["PCR_Read", "PCR_Read"]  # 0 to 15, eight a command
CAP = ["PCR_Read", "PCR_Event", "PCR_Read"]

WRONG_PIN = "1111111111"
RETRY = 0x922


def names(commands):
    """The names of the commands that bootseal has sent.

    The first use of a PIN after a Shutdown is answered with TPM_RC_RETRY, and what follows is the very same command
    again: the TPM writes down that a try was begun.  That is its own affair and counts as one.
    """
    kept = []
    for command, following in zip(commands, [*commands[1:], None]):
        if command.rc == RETRY:
            assert command.name == "Unseal" and following.request == command.request
        else:
            kept.append(command.name)
    return kept


def test_unlock(bench, enrolled):
    """Eleven, in the designed order."""
    with bench.recording() as commands:
        assert bench.unlock(enrolled).rc == 0
    assert names(commands) == ELEVEN


def test_unlock_without_a_pin(bench, volume):
    """Neither PolicyAuthValue nor Shutdown."""
    bench.enroll(volume, "--no-pin", pin=None)
    with bench.recording() as commands:
        assert bench.unlock(volume, pin=None).rc == 0
    assert names(commands) == [name for name in ELEVEN if name not in ("PolicyAuthValue", "Shutdown")]


def test_unlock_with_two_objects_in_force(bench, enrolled):
    """Twelve."""
    bench.enroll(bench.volume())
    with bench.recording() as commands:
        assert bench.unlock(enrolled).rc == 0
    assert names(commands) == SEVERAL_OBJECTS + AFTER_THE_PIN


def test_unlock_with_eight_boot_states(bench, enrolled):
    """One more PolicyOR for each step of the tree; where the state is not in the first group, one that fails."""
    for number in range(8):
        bench.boot({9: b"initrd %d" % number})
        assert bench.reseal("--keep").rc == 0
    with bench.recording() as commands:
        assert bench.unlock(enrolled).rc == 0
    assert len(commands) <= len(ELEVEN) + 3


def test_unlock_in_a_changed_boot(bench, enrolled):
    """No Unseal: the PCRs are read to name the ones that differ."""
    bench.boot({9: b"another initrd"})
    with bench.recording() as commands:
        assert bench.unlock(enrolled).rc == 3
    assert names(commands) == ["Load", "GetCapability", "StartAuthSession", "PolicyPCR", "PolicyOR", "PCR_Read",
                               "FlushContext", "FlushContext"]


def test_wrong_pin(bench, enrolled):
    """Unseal and Shutdown, and what was loaded is flushed."""
    with bench.recording() as commands:
        assert bench.unlock(enrolled, pin=WRONG_PIN).rc == 4
    assert names(commands) == BEFORE_THE_PIN + WRONG_TRY + ["FlushContext", "FlushContext"]


def test_unlock_all(bench, enrolled):
    """The eleven, between a look at the PCRs and the cap."""
    assert enrolled
    with bench.recording() as commands:
        assert bench.unlock_all(PIN).rc == 0
    assert names(commands) == LOOK_AT_PCRS + ELEVEN + CAP


def test_unlock_all_with_a_wrong_try(bench, enrolled):
    """Two more."""
    assert enrolled
    with bench.recording() as commands:
        assert bench.unlock_all(WRONG_PIN, PIN).rc == 0
    assert names(commands) == LOOK_AT_PCRS + BEFORE_THE_PIN + WRONG_TRY + AFTER_THE_PIN + CAP


def test_one_command_between_pin_and_key(bench, enrolled):
    """When the prompt is there, everything that needs no PIN is done; the next command is Unseal."""
    assert enrolled
    before = []

    def type_pin():
        before.extend(bench.recorded())
        return PIN

    with bench.recording() as commands:
        assert bench.unlock_all(type_pin).rc == 0
    assert names(before) == LOOK_AT_PCRS + BEFORE_THE_PIN
    assert names(commands)[len(names(before)):] == AFTER_THE_PIN + CAP


@pytest.mark.parametrize("typed", [WRONG_PIN, PIN])
def test_shutdown_follows_each_use_of_a_pin(bench, enrolled, typed):
    """As the very next thing, apart from freeing the object: whatever is between is time to pull the plug in."""
    with bench.recording() as commands:
        bench.unlock(enrolled, pin=typed)
    sent = names(commands)
    between = sent[sent.index("Unseal") + 1:sent.index("Shutdown")]
    assert between in ([], ["FlushContext"])


def test_two_volumes(bench, enrolled):
    """Twelve for each, since two objects are in force; the second one's Unseal follows the first's at once."""
    bench.enroll(bench.volume())
    assert enrolled
    with bench.recording() as commands:
        assert bench.unlock_all(PIN).rc == 0
    assert names(commands) == LOOK_AT_PCRS + SEVERAL_OBJECTS * 2 + AFTER_THE_PIN * 2 + CAP


def test_nothing_is_left_in_the_tpm(bench, enrolled):
    """Neither sessions nor objects, however it ended."""
    for act in (lambda: bench.unlock(enrolled), lambda: bench.unlock(enrolled, pin=WRONG_PIN), bench.status,
                bench.reseal, lambda: bench.unlock_all(WRONG_PIN, PIN), lambda: bench.enroll(bench.volume())):
        act()
        for kind in ("handles-transient", "handles-loaded-session", "handles-saved-session"):
            assert bench.tpm.tool("tpm2_getcap", kind) == b"", (act, kind)


def test_room_taken_by_others(bench, enrolled):
    """Objects and sessions that an earlier program left behind are flushed, and the volume opens."""
    for number in range(3):
        bench.tpm.tool("tpm2_createprimary", "-C", "o", "-c", bench.folder / f"object{number}")
        bench.tpm.tool("tpm2_startauthsession", "-S", bench.folder / f"session{number}")
    assert bench.tpm.tool("tpm2_getcap", "handles-transient") != b""
    assert bench.unlock(enrolled).rc == 0
