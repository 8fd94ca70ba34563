"""Recovery keys in the initramfs, and when the power is cut."""

import json
import re
import signal

import pytest

import recovery
from bootseal import PASSPHRASE, PIN, PROMPT, Boot, check_schema, tries_left
from preload import sanitizer

WRONG_PIN = "1111111111"
OTHER_BOOT = {9: b"another initrd"}
ANY_PROMPT = rf"(?:{PROMPT}|Recovery key [^\r\n]*: )"


def unlock_all(bench, *dialogue, guard=ANY_PROMPT) -> Boot:
    """What the initramfs does, with (prompt, what is typed); any other prompt, as GUARD says, is an error."""
    bench.report.unlink(missing_ok=True)
    done = bench.on_terminal(bench.unlock_all_arguments(), *dialogue, prompt=guard)
    report = json.loads(bench.report.read_text(encoding="utf-8"))
    check_schema(report, "report")
    assert report["cap"]["done"] or report["tpm"]
    return Boot(done.rc, done.screen, done.prompts, report)


def asked_for(made, volume) -> str:
    """The prompt for a recovery key."""
    return re.escape(f"Recovery key {made['id']} for {volume.name}: ")


@pytest.fixture(name="made")
def make_recovery_key(bench, enrolled):
    """The recovery key of the enrolled volume."""
    return recovery.add(bench, enrolled)


# ---- at the PIN's prompt ----

@pytest.mark.parametrize("form", ["dashes", "blanks", "nothing"])
def test_in_the_place_of_the_pin(bench, enrolled, made, form):
    """It opens, the report names it, and the TPM has seen no PIN."""
    typed = made["key"].replace("-", {"dashes": "-", "blanks": " ", "nothing": ""}[form])
    done = unlock_all(bench, (PROMPT, typed))
    volume = done.volume(enrolled.name)
    assert done.rc == 0 and volume["opened"] and volume["by"] == "recovery" and volume["recovery_id"] == made["id"]
    assert volume["status"] == 0 and volume["reason"] is None and volume["wrong_pins"] == 0
    assert bench.tpm.lockout_counter() == 0
    assert made["key"] not in done.screen and made["key"] not in bench.report.read_text()


def test_never_sent_to_the_tpm(bench, enrolled, made):
    """Between the prompt and the cap there is no Unseal, right key or wrong."""
    assert enrolled
    with bench.recording() as commands:
        unlock_all(bench, (PROMPT, recovery.another(made["key"])), (PROMPT, recovery.with_typo(made["key"], 1)),
                   (PROMPT, made["key"]))
    assert "Unseal" not in [command.name for command in commands]


def test_threat_04_wrong_recovery_keys_cost_no_try(bench, enrolled, made):
    """The number of tries left stays, the group is named, and the right PIN opens after all."""
    assert enrolled
    done = unlock_all(bench, (PROMPT, recovery.with_typo(made["key"], 3)), (PROMPT, made["key"][:-1]),
                      (PROMPT, recovery.another(made["key"])), (PROMPT, WRONG_PIN),
                      (PROMPT, recovery.another(made["key"])), (PROMPT, PIN))
    assert done.rc == 0 and done.volume(enrolled.name)["by"] == "tpm2-pin"
    assert [tries_left(prompt) for prompt in done.prompts] == [3, 3, 3, 3, 2, 2]
    assert "group 3 has a typo" in done.screen and "group 8 has 5 digits, not 6" in done.screen
    assert "that recovery key opens nothing here" in done.screen
    assert bench.tpm.lockout_counter() == 1


def test_key_of_another_volume(bench, enrolled, made):
    """It opens that one; the PIN is then asked for what is left."""
    second = bench.volume()
    bench.enroll(second)
    assert made["id"] not in [each["id"] for each in recovery.listed(bench, second)]
    other = recovery.add(bench, second)
    done = unlock_all(bench, (PROMPT, other["key"]), (PROMPT, PIN))
    assert done.rc == 0
    assert done.volume(second.name)["recovery_id"] == other["id"]
    assert done.volume(enrolled.name)["by"] == "tpm2-pin"
    assert second.name in done.prompts[0] and second.name not in done.prompts[1]


def test_leader_of_several(bench, enrolled, made):
    """Volumes that share a PIN: the recovery key of the first leaves the others to the PIN."""
    second = bench.volume()
    bench.enroll(second)
    done = unlock_all(bench, (PROMPT, made["key"]), (PROMPT, PIN))
    assert done.rc == 0 and done.volume(enrolled.name)["by"] == "recovery"
    assert done.volume(second.name)["by"] == "tpm2-pin"


def test_ten_wrong_ones(bench, enrolled, made):
    """Then the volume is left to the distribution's prompt; nothing was counted."""
    wrong = recovery.another(made["key"])
    done = unlock_all(bench, *[(PROMPT, wrong)] * 10)
    assert done.rc == 4 and not done.volume(enrolled.name)["opened"]
    assert done.volume(enrolled.name)["reason"] == "10 wrong recovery keys"
    assert bench.tpm.lockout_counter() == 0


def test_without_recovery_keys_nothing_is_new(bench, enrolled):
    """A volume that has none: its form is still never sent to the TPM, and no other prompt comes."""
    key = "471207-278498-422125-177177-561902-537405-468006-693451"
    done = unlock_all(bench, (PROMPT, key), (PROMPT, PIN))
    assert done.rc == 0 and done.volume(enrolled.name)["recovery_id"] is None
    bench.boot(OTHER_BOOT)
    done = unlock_all(bench)
    assert done.rc == 3 and "Recovery key" not in done.screen and "can be opened" not in done.screen
    assert bench.tpm.lockout_counter() == 0


# ---- when the TPM does not do it ----

def test_threat_01_after_the_reason(bench, enrolled, made):
    """A boot state that is not approved: the PCR, then the recovery key by its ID; the reason is kept."""
    bench.boot(OTHER_BOOT)
    done = unlock_all(bench, (asked_for(made, enrolled), made["key"]))
    volume = done.volume(enrolled.name)
    assert done.rc == 0 and volume["opened"] and volume["by"] == "recovery" and volume["recovery_id"] == made["id"]
    assert volume["status"] == 3 and "PCR 9" in volume["reason"]
    assert done.screen.index("PCR 9") < done.screen.index("Recovery key")


def test_enter_alone(bench, enrolled, made):
    """Leaves the volume to the distribution's prompt."""
    bench.boot(OTHER_BOOT)
    done = unlock_all(bench, (asked_for(made, enrolled), ""))
    assert done.rc == 3 and not done.volume(enrolled.name)["opened"]


def test_typo_is_named_while_typing(bench, enrolled, made):
    """On a terminal; the rest of a line that was pasted is dropped."""
    bench.boot(OTHER_BOOT)
    prompt = asked_for(made, enrolled)
    done = unlock_all(bench, (prompt, recovery.with_typo(made["key"], 4)),
                      ("group 4 has a typo: go on from there", made["key"][21:]), guard=None)
    assert done.rc == 0 and made["key"][:6] not in done.screen


def test_wrong_keys_at_the_recovery_prompt(bench, enrolled, made):
    """Ten, then the distribution's prompt; a right one among them opens."""
    bench.boot(OTHER_BOOT)
    prompt, wrong = asked_for(made, enrolled), recovery.another(made["key"])
    done = unlock_all(bench, *[(prompt, wrong)] * 10)
    assert done.rc == 3 and "10 wrong recovery keys" in done.screen
    bench.boot(OTHER_BOOT)
    assert unlock_all(bench, *[(prompt, wrong)] * 9, (prompt, made["key"])).rc == 0


def test_threat_04_locked_out(bench, volume):
    """The recovery key is asked for at once."""
    bench.set_policy(lockout={"max_tries": 8})
    bench.enroll(volume)
    made = recovery.add(bench, volume)
    for _ in range(8):
        bench.unlock(volume, pin=WRONG_PIN)
    bench.boot()
    done = unlock_all(bench, (asked_for(made, volume), made["key"]))
    assert done.rc == 0 and done.volume(volume.name)["status"] == 5


def test_after_wrong_pins(bench, enrolled, made):
    """A wrong PIN never costs the chance to type the recovery key; nor does an empty one."""
    done = unlock_all(bench, *[(PROMPT, WRONG_PIN)] * 3, (asked_for(made, enrolled), made["key"]))
    assert done.rc == 0 and done.volume(enrolled.name)["wrong_pins"] == 3
    bench.boot()
    assert unlock_all(bench, (PROMPT, ""), (asked_for(made, enrolled), made["key"])).rc == 0


def test_threat_03_another_tpm(bench, enrolled, made):
    """Cleared: status 6 is kept as the reason, the recovery key works."""
    bench.tpm.tool("tpm2_clear", "-c", "p")
    done = unlock_all(bench, (asked_for(made, enrolled), made["key"]))
    assert done.rc in (0, 6) and done.volume(enrolled.name)["opened"]
    assert done.volume(enrolled.name)["status"] == 6


def test_threat_17_silent_tpm(bench, enrolled, made):
    """None answers: the recovery key works, and no cap is claimed."""
    bench.tpm.stop()
    done = unlock_all(bench, (asked_for(made, enrolled), made["key"]))
    assert done.rc == 6 and done.volume(enrolled.name)["by"] == "recovery" and not done.report["cap"]["done"]


def test_several_volumes(bench, enrolled, made):
    """Each is asked for by its own key; a key typed for the wrong one opens its own."""
    second = bench.volume()
    bench.enroll(second)
    other = recovery.add(bench, second)
    bench.boot(OTHER_BOOT)
    done = unlock_all(bench, (asked_for(made, enrolled), other["key"]), (asked_for(made, enrolled), made["key"]))
    assert done.rc == 0 and [volume["by"] for volume in done.report["volumes"]] == ["recovery"] * 2


def test_enter_leaves_one_volume(bench, enrolled, made):
    """The next one is asked for all the same."""
    second = bench.volume()
    bench.enroll(second)
    other = recovery.add(bench, second)
    bench.boot(OTHER_BOOT)
    done = unlock_all(bench, (asked_for(made, enrolled), ""), (asked_for(other, second), other["key"]))
    assert done.rc == 3 and not done.volume(enrolled.name)["opened"] and done.volume(second.name)["by"] == "recovery"


def test_several_keys(bench, enrolled, made):
    """Both are named, each opens."""
    other = recovery.add(bench, enrolled)
    for key in (made, other):
        bench.boot(OTHER_BOOT)
        done = unlock_all(bench, (rf"Recovery key \w+ or \w+ for {enrolled.name}: ", key["key"]))
        assert done.volume(enrolled.name)["recovery_id"] == key["id"]
        assert made["id"] in done.prompts[0] and other["id"] in done.prompts[0]


# ---- what the disk says is not believed ----

@pytest.mark.parametrize("change", [
    lambda metadata: metadata["segments"]["0"].update(encryption="cipher_null-ecb"),
    lambda metadata: metadata["segments"]["0"].update(sector_size=4096),
])
def test_threat_25_edited_header(bench, enrolled, made, change):
    """It differs from the pin: no recovery key is asked for."""
    assert made
    enrolled.edit(change)
    done = unlock_all(bench)
    assert done.rc == 9 and "Recovery key" not in done.screen


def test_threat_20_another_volume_with_the_uuid(bench, enrolled, made):
    """In the pinned one's place: not opened, whatever recovery key it has."""
    stranger = bench.volume()
    recovery.add(bench, stranger)
    stranger.set_uuid(enrolled.uuid)
    enrolled.path.unlink()
    stranger.path.rename(enrolled.path)
    assert made
    done = unlock_all(bench)
    assert done.rc == 9 and "Recovery key" not in done.screen


@pytest.mark.parametrize("kind", ["bootseal", "bootseal-approval"])
def test_damaged_tokens_do_not_keep_it_out(bench, enrolled, made, kind):
    """What an attacker does to the TPM's tokens, the recovery key still opens."""
    enrolled.edit_token(lambda token: token.update(version=99), kind)
    done = unlock_all(bench, (asked_for(made, enrolled), made["key"]))
    assert done.rc == 0 and done.volume(enrolled.name)["status"] == 9


@pytest.mark.parametrize("change", [
    lambda token: token.update(version=99), lambda token: token.update(id="../../etc"),
    lambda token: token.update(keyslots=[]), lambda token: token.update(created="\x1b[2J"),
])
def test_damaged_recovery_token(bench, enrolled, made, change):
    """It offers nothing, and breaks nothing."""
    enrolled.edit_token(change, "bootseal-recovery")
    done = unlock_all(bench, (PROMPT, made["key"]), (PROMPT, PIN))
    assert done.rc == 0 and "\x1b" not in done.screen
    bench.boot(OTHER_BOOT)
    assert unlock_all(bench).rc == 3


def test_token_that_names_the_passphrases_keyslot(bench, enrolled, made):
    """Only what has the form of a recovery key is tried, so a passphrase opens nothing here."""
    enrolled.edit_token(lambda token: token.update(keyslots=["0"]), "bootseal-recovery")
    bench.boot(OTHER_BOOT)
    done = unlock_all(bench, (asked_for(made, enrolled), made["key"]), (asked_for(made, enrolled), ""))
    assert done.rc == 3


# ---- the power is cut ----

def cut_at_write(bench, argv, volume, count: int):
    """Run a program that is killed at its COUNT-th write to the volume, which is not done."""
    return bench.run(["strace", "-f", "-qq", "-o", bench.folder / "strace.log", "-P", volume.path, "-e",
                      "trace=write,pwrite64", "-e", f"inject=write,pwrite64:error=EIO:signal=KILL:when={count}", *argv],
                     environment=sanitizer("detect_leaks=0"))  # LeakSanitizer traces too, and there can be only one


def every_cut(bench, volume, argv):
    """Run a program again and again on the volume as it is now, each time cut one write later, until it is not cut.

    Yields the result of each run; the program must not need files that the test changes meanwhile.
    """
    header = volume.header()
    count = 0
    while True:
        count += 1
        assert count < 500
        volume.put_header(header)
        result = cut_at_write(bench, argv, volume, count)
        assert result.rc in (0, -signal.SIGKILL, 128 + signal.SIGKILL), result
        yield result
        if result.rc == 0:
            break
    assert count > 10  # else strace saw no writes


def test_threat_16_remove_other_keyslots(bench, enrolled):
    """PIN and recovery key open at each point, and it is finished by saying it again."""
    made = recovery.add(bench, enrolled)
    enrolled.add_passphrase("of the installation")
    way_in = bench.secret_file(made["key"], "way-in")
    argv = bench.arguments("recovery-key", "--unlock-key-file", way_in, "--remove-other-keyslots", "check", enrolled)
    for _ in every_cut(bench, enrolled, argv):
        assert bench.unlock(enrolled).rc == 0 and enrolled.opens_with(made["key"])
        assert bench.run(argv).rc == 0
        assert not enrolled.opens_with(PASSPHRASE) and not enrolled.opens_with("of the installation")
        assert len(enrolled.keyslots()) == 2 and bench.unlock(enrolled).rc == 0


def test_threat_16_enroll_clears_a_cut_key(bench, enrolled):
    """The next enrolment of the volume does, too; the recovery key that counts stays."""
    made = recovery.add(bench, enrolled)
    argv = bench.arguments("recovery-key", "--yes", "add", enrolled, key=PASSPHRASE)
    found = False
    for cut in every_cut(bench, enrolled, argv):
        found = bool(enrolled.tokens("bootseal-pending")) and len(enrolled.keyslots()) == 4
        if found:
            assert cut.rc
            break
    assert found
    assert bench.bootseal("remove", enrolled).rc == 0
    bench.enroll(enrolled)
    assert enrolled.tokens("bootseal-pending") == {} and len(enrolled.keyslots()) == 3
    assert bench.unlock(enrolled).rc == 0 and enrolled.opens_with(made["key"])
