"""Several PINs on one volume: the number comes before the PIN, and a PIN is tried on one object only."""

import base64

import pytest

import recovery
from bootseal import NEW_PIN, PASSPHRASE, PIN, PROGRAM, PROMPT, check_schema
from pcap import exposing

ANNA, BERT, CARL = PIN, "9085746321", "5061728394"
WRONG_PIN = "1111111111"
ASK_ANNA_AND_BERT = "Operator (1 Anna, 2 Bert): "
RETRY = 0x922


@pytest.fixture(name="shared")
def make_shared(bench, volume):
    """A volume of two operators."""
    bench.enroll(volume, "--label", "Anna", pin=ANNA)
    bench.enroll(volume, "--label", "Bert", pin=BERT)
    return volume


def numbers(volume) -> list:
    """The operators of a volume's protectors, in the order of the tokens."""
    return [token.get("operator", 1) for token in volume.tokens("bootseal").values()]


def token_of(volume, operator) -> dict:
    """The token of one operator."""
    return next(token for token in volume.tokens("bootseal").values() if token.get("operator", 1) == operator)


def tried(commands, *volumes) -> list:
    """Whose object each Unseal was for: the operator of the token whose public area was loaded under that handle.

    None: of none that there is by now.
    """
    publics = {base64.b64decode(token["tpm"]["public"]): token.get("operator", 1)
               for volume in volumes for token in volume.tokens("bootseal").values()}
    loaded, result = {}, []
    for command in commands:
        if command.name == "Load":
            whose = [number for public, number in publics.items() if public in command.request]
            loaded[command.response[10:14]] = whose[0] if whose else None
        elif command.name == "Unseal" and command.rc != RETRY:
            result.append(loaded[command.request[10:14]])
    return result


# ---- enrolling ----

def test_numbers(bench, shared):
    """The first one is number 1, and its token as it was before there were operators; the next one is 2."""
    assert numbers(shared) == [1, 2] and "operator" not in token_of(shared, 1)
    assert token_of(shared, 1)["kdf"]["salt"] != token_of(shared, 2)["kdf"]["salt"]
    assert bench.tpm.lockout_counter() == 0


def test_a_number_of_ones_own(bench, enrolled):
    """--operator; the result and status tell it."""
    result = bench.enroll(enrolled, "--operator", "17", pin=BERT)
    check_schema(result, "enroll")
    assert result["operator"] == 17 and numbers(enrolled) == [1, 17]
    status = bench.status()
    check_schema(status, "status")
    assert [protector["operator"] for protector in status["volumes"][0]["protectors"]] == [1, 17]
    assert "operator 17" in bench.bootseal("status").stdout
    assert bench.unlock(enrolled, "--operator", "17", pin=BERT).rc == 0


def test_a_number_that_is_taken(bench, enrolled):
    """Status 10, and nothing is changed."""
    before = enrolled.metadata()
    refused = bench.try_enroll(enrolled, "--operator", "1", pin=BERT)
    assert refused.rc == 10 and "operator 1" in refused.stderr and "bootseal remove" in refused.stderr
    assert enrolled.metadata() == before


@pytest.mark.parametrize("number", ["0", "100", "-1", "one", "", "1 2", "01x"])
def test_what_is_no_number(bench, enrolled, number):
    """Status 2, before anything is asked."""
    assert bench.try_enroll(enrolled, f"--operator={number}", pin=BERT).rc == 2
    assert bench.unlock(enrolled, f"--operator={number}").rc == 2
    assert bench.bootseal("remove", f"--operator={number}", enrolled).rc == 2
    assert bench.change_pin(f"--operator={number}", enrolled).rc == 2


def test_no_operator_without_a_pin(bench, volume):
    """Status 2."""
    assert bench.try_enroll(volume, "--no-pin", "--operator", "2", pin=None).rc == 2


def test_the_same_pin_on_one_volume(bench, shared):
    """Nobody finds out: it is another PIN with another salt, and the other operator's object is not tried."""
    with bench.recording() as commands:
        bench.enroll(shared, pin=ANNA)
    assert numbers(shared) == [1, 2, 3] and tried(commands, shared) == [3]
    assert len({token["kdf"]["salt"] for token in shared.tokens("bootseal").values()}) == 3


def test_the_second_volume_takes_the_number_of_the_pin(bench, shared):
    """Bert's PIN is found, and shares salt and cost with his other one; his name does not matter."""
    second = bench.volume()
    bench.enroll(second, pin=BERT)
    assert numbers(second) == [2]
    assert token_of(second, 2)["kdf"] == token_of(shared, 2)["kdf"]
    assert bench.tpm.lockout_counter() == 0


def test_a_new_pin_gets_a_number_that_is_free_everywhere(bench, shared):
    """The smallest one."""
    second = bench.volume()
    bench.enroll(second, pin=CARL)
    assert numbers(second) == [3]
    bench.enroll(shared, pin=CARL)
    assert numbers(shared) == [1, 2, 3] and token_of(shared, 3)["kdf"] == token_of(second, 3)["kdf"]


def test_each_pin_is_tried_once_for_each_salt(bench, shared):
    """Looking for the number costs one try for each operator of the other volumes, however many these are."""
    second, third = bench.volume(), bench.volume()
    bench.enroll(second, pin=ANNA)
    bench.enroll(second, pin=BERT)
    with bench.recording() as commands:
        bench.enroll(third, pin=CARL)
    assert tried(commands, shared, second, third) == [1, 2, 3]
    assert bench.tpm.lockout_counter() == 0


def test_further_operators_change_no_pins(bench, enrolled):
    """What the initramfs carries stays, so that no boot state changes."""
    before = (bench.state / "pins.json").read_bytes()
    bench.enroll(enrolled, pin=BERT)
    assert (bench.state / "pins.json").read_bytes() == before


# ---- in the initramfs ----

@pytest.mark.parametrize("number, pin", [("1", ANNA), ("2", BERT)])
def test_unlock_all(bench, shared, number, pin):
    """The number, then the PIN; the report says whose it was."""
    with bench.recording() as commands:
        done = bench.unlock_all(number, pin)
    assert done.rc == 0 and bench.tpm.lockout_counter() == 0
    assert done.prompts == (ASK_ANNA_AND_BERT, f"PIN of operator {number} for {shared.name} (3 tries left): ")
    assert tried(commands, shared) == [int(number)]
    assert pin not in done.screen and exposing(commands, pin.encode()) == []
    check_schema(done.report, "report")
    assert done.volume(shared.name)["operator"] == int(number)
    assert done.volume(shared.name)["protector"] == token_of(shared, int(number))["id"]


def test_the_first_one_costs_no_command_more(bench, shared):
    """What was prepared before anyone typed is what the first operator needs; another one is prepared then."""
    with bench.recording() as first:
        assert bench.unlock_all("1", ANNA).rc == 0
    bench.boot()
    with bench.recording() as second:
        assert bench.unlock_all("2", BERT).rc == 0
    assert [command.name for command in first].count("Load") == 1
    assert [command.name for command in second].count("Load") == 2


def test_one_pin_is_asked_for_as_ever(bench, enrolled):
    """No number."""
    done = bench.unlock_all(PIN)
    assert done.prompts == (f"PIN for {enrolled.name} (3 tries left): ",)
    assert done.volume(enrolled.name)["operator"] == 1


def test_another_ones_pin(bench, shared):
    """Bert's PIN with Anna's number is a wrong one, and counted once; then the number can be another one."""
    with bench.recording() as commands:
        done = bench.unlock_all("1", BERT, "2", BERT)
    assert done.rc == 0 and tried(commands, shared) == [1, 2]
    assert bench.tpm.lockout_counter() == 1
    assert done.prompts[2] == "Operator (1 Anna, 2 Bert, Enter for 1): " and "(2 tries left)" in done.prompts[3]
    assert done.volume(shared.name)["wrong_pins"] == 1


def test_enter_is_the_last_number(bench, shared):
    """After a wrong PIN."""
    done = bench.unlock_all("2", WRONG_PIN, "", BERT)
    assert done.rc == 0 and done.volume(shared.name)["operator"] == 2


def test_tries_are_over_all_operators(bench, shared):
    """The policy's three, however the numbers change; nobody is asked for a fourth time."""
    with bench.recording() as commands:
        done = bench.unlock_all("1", WRONG_PIN, "2", WRONG_PIN, "1", WRONG_PIN)
    assert done.rc == 4 and "3 wrong PINs" in done.screen
    assert tried(commands, shared) == [1, 2, 1] and bench.tpm.lockout_counter() == 3


def test_lockout_at_the_prompt(bench, volume):
    """The TPM's tries are over all operators too."""
    bench.set_policy(tries=10, lockout={"max_tries": 2})
    bench.enroll(volume, pin=ANNA)
    bench.enroll(volume, pin=BERT)
    done = bench.unlock_all("1", WRONG_PIN, "2", WRONG_PIN)
    assert done.rc == 5 and "refuses PINs after 2 wrong ones, until" in done.screen


def test_what_is_no_number_at_the_prompt(bench, shared):
    """Asked again: nothing, another number, a PIN; none of it is tried, or shown."""
    with bench.recording() as commands:
        done = bench.unlock_all("", "3", "0", "Bert", BERT[:4], "2", BERT)
    assert done.rc == 0 and tried(commands, shared) == [2]
    assert [prompt == ASK_ANNA_AND_BERT for prompt in done.prompts] == [True] * 6 + [False]


def test_an_empty_pin_leaves_it_closed(bench, shared):
    """The next way in is asked for."""
    done = bench.unlock_all("2", "")
    assert done.rc == 4 and "no PIN was given" in done.volume(shared.name)["reason"]


def test_mismatch_is_known_before(bench, shared):
    """Nobody is asked anything."""
    bench.boot({9: b"another initrd"})
    done = bench.unlock_all()
    assert done.rc == 3 and done.prompts == () and not done.volume(shared.name)["opened"]


@pytest.mark.parametrize("answers", [1, 2], ids=["at the number's prompt", "at the PIN's"])
def test_recovery_key_at_either_prompt(bench, shared, answers):
    """It is taken in both places, and costs no try."""
    key = recovery.add(bench, shared)
    done = bench.unlock_all(*["1"] * (answers - 1), key["key"])
    assert done.rc == 0 and bench.tpm.lockout_counter() == 0
    assert done.volume(shared.name)["by"] == "recovery" and done.volume(shared.name)["operator"] is None
    check_schema(done.report, "report")


def test_hostile_label(bench, shared):
    """Labels are the disk's: cut, and without what moves a cursor."""
    for number, token in shared.tokens("bootseal").items():
        shared.put_token({**token, "label": "A" * 60 if number else token["label"] + "é" * 15}, number)
    done = bench.unlock_all("2", BERT)
    assert done.rc == 0 and len(done.prompts[0].encode()) < 100


def test_hostile_numbers(bench, shared):
    """Numbers that are exchanged, or both the same, only make a PIN a wrong one."""
    tokens = shared.tokens("bootseal")
    for number, token in tokens.items():
        shared.put_token({**token, "operator": 3 - token.get("operator", 1)}, number)
    with bench.recording() as commands:
        assert bench.unlock_all("1", ANNA, "2", ANNA).rc == 0
    assert tried(commands, shared) == [1, 2]


@pytest.mark.parametrize("number", [0, 100, -1, "1", None, 1.5])
def test_metadata(bench, enrolled, number):
    """What is no operator is status 9, and sent nowhere."""
    enrolled.edit_token(lambda token: token.update(operator=number))
    assert bench.unlock(enrolled).rc == 9
    assert bench.unlock_all().rc == 9


# ---- several volumes ----

def test_one_question_for_all_volumes(bench):
    """Two volumes with four operators each: a number, a PIN, and both are open."""
    pins = [ANNA, BERT, CARL, "6172839405"]
    first, second = bench.volume(), bench.volume()
    for volume in (first, second):
        for pin in pins:
            bench.enroll(volume, pin=pin)
    assert numbers(first) == numbers(second) == [1, 2, 3, 4]
    assert len(first.token("bootseal-approval")["objects"]) == 8
    with bench.recording() as commands:
        done = bench.unlock_all("4", pins[3])
    assert done.rc == 0 and len(done.prompts) == 2 and tried(commands, first, second) == [4, 4]
    assert f"for {first.name}, {second.name} (" in done.prompts[1]
    bench.boot()
    done = bench.change_pin("--operator", "3", pin=CARL)
    assert done.rc == 0, done
    for number, pin in enumerate([ANNA, BERT, NEW_PIN, pins[3]], start=1):
        assert all(bench.unlock(volume, "--operator", number, pin=pin).rc == 0 for volume in (first, second))
    assert bench.tpm.lockout_counter() == 0


def test_a_volume_that_is_not_ones_own(bench, shared):
    """It is named, and left closed; whose it is, opens it."""
    second = bench.volume()
    bench.enroll(second, pin=ANNA)
    done = bench.unlock_all("2", BERT)
    assert done.rc == 7 and done.volume(shared.name)["opened"] and not done.volume(second.name)["opened"]
    assert f'operator 2 has no PIN for "{second.name}"' in done.screen
    bench.boot()
    done = bench.unlock_all("1", ANNA)
    assert done.rc == 0 and len(done.prompts) == 2


def test_two_pins_of_one_operator(bench, shared):
    """A volume with another PIN of the same number is asked for after the first."""
    second = bench.volume()
    bench.enroll(second, "--operator", "2", pin=CARL)
    done = bench.unlock_all("2", BERT, CARL)
    assert done.rc == 0 and bench.tpm.lockout_counter() == 0
    assert done.prompts[2] == f"PIN of operator 2 for {second.name} (3 tries left): "


def test_one_pin_under_two_numbers(bench, shared):
    """A change made two PINs one: then one question opens both, whatever the numbers are."""
    second = bench.volume()
    bench.enroll(second, pin=CARL)
    assert numbers(second) == [3]
    changed = bench.change_pin(second, pin=CARL, new=BERT)
    assert changed.rc == 0 and token_of(second, 3)["kdf"] == token_of(shared, 2)["kdf"]
    done = bench.unlock_all("2", BERT)
    assert done.rc == 0 and len(done.prompts) == 2


def test_three_volumes_of_different_operators(bench, shared):
    """More objects than a TPM holds, while the number is changed."""
    second, third = bench.volume(), bench.volume()
    for volume in (second, third):
        bench.enroll(volume, pin=BERT)
    bench.enroll(third, pin=ANNA)
    done = bench.unlock_all("1", WRONG_PIN, "2", BERT)
    assert done.rc == 0 and [volume["operator"] for volume in done.report["volumes"]] == [2, 2, 2]


# ---- in the running system ----

def test_unlock_asks_on_a_terminal(bench, shared):
    """The number, then the PIN; after a wrong one the number again."""
    argv = bench.arguments("unlock", "--test", shared)
    questions = [(r"Operator \([^\r\n]*\): ", "1"), ("PIN: ", BERT), (r"Enter for 1\): ", "2"), ("PIN: ", BERT)]
    done = bench.on_terminal(argv, *questions)
    assert done.rc == 0 and "wrong PIN; 2 more tries" in done.screen
    assert bench.tpm.lockout_counter() == 1


def test_unlock_takes_a_recovery_key_for_a_number(bench, shared):
    """At every prompt."""
    key = recovery.add(bench, shared)
    done = bench.on_terminal(bench.arguments("unlock", "--test", shared), (r"Operator \([^\r\n]*\): ", key["key"]))
    assert done.rc == 0 and f"recovery key {key['id']}" in done.screen


def test_unlock_without_a_terminal(bench, shared):
    """Status 2 that names the option; with it, the JSON says whose PIN it was."""
    refused = bench.unlock(shared, pin=ANNA)
    assert refused.rc == 2 and "--operator" in refused.stderr
    assert bench.tpm.lockout_counter() == 0
    done = bench.unlock(shared, "--json", "--operator", "2", pin=BERT)
    check_schema(done.json, "unlock")
    assert done.rc == 0 and done.json["operator"] == 2
    assert bench.unlock(shared, "--operator", "1", pin=BERT).rc == 4


def test_unlock_of_nobody(bench, shared):
    """Status 7."""
    refused = bench.unlock(shared, "--operator", "3", pin=ANNA)
    assert refused.rc == 7 and "operator 3 has no PIN" in refused.stderr


def test_unlock_after_the_cap(bench, shared):
    """By the authority, each with the own PIN."""
    bench.cap()
    assert bench.unlock(shared, "--operator", "2", pin=BERT).rc == 0
    assert bench.unlock(shared, "--operator", "1", pin=ANNA).rc == 0


# ---- change-pin ----

def test_change_pin_of_one(bench, shared):
    """The others' objects stay in force, and their tokens what they are."""
    anna = token_of(shared, 1)
    with bench.recording() as commands:
        done = bench.change_pin("--json", "--operator", "2", shared, pin=BERT)
    assert done.rc == 0
    check_schema(done.json, "change-pin")
    assert done.json["changed"][0]["operator"] == 2
    assert tried(commands, shared) == [None, 2]  # the old one, and the new one
    assert token_of(shared, 1) == anna and token_of(shared, 2)["label"] == "Bert"
    assert bench.unlock(shared, "--operator", "1", pin=ANNA).rc == 0
    assert bench.unlock(shared, "--operator", "2", pin=NEW_PIN).rc == 0
    assert bench.unlock(shared, "--operator", "2", pin=BERT).rc == 4
    assert len(shared.token("bootseal-approval")["objects"]) == 2


def test_change_pin_with_the_pin_of_another(bench, shared):
    """Status 4, and a try of the own PIN."""
    assert bench.change_pin("--operator", "1", shared, pin=BERT).rc == 4
    assert bench.tpm.lockout_counter() == 1
    assert bench.unlock(shared, "--operator", "2", pin=BERT).rc == 0


def test_change_pin_by_id(bench, shared):
    """--protector means the same."""
    assert bench.change_pin("--protector", token_of(shared, 2)["id"], shared, pin=BERT).rc == 0
    assert bench.unlock(shared, "--operator", "2", pin=NEW_PIN).rc == 0
    both = bench.change_pin("--protector", "0", "--operator", "2", shared, pin=BERT)
    assert both.rc == 2


def test_change_pin_asks_whose(bench, shared):
    """On a terminal; without one status 2 that names the option, and no try."""
    refused = bench.change_pin(shared, pin=BERT)
    assert refused.rc == 2 and "--operator" in refused.stderr
    refused = bench.change_pin(pin=BERT)
    assert refused.rc == 2 and "--operator" in refused.stderr
    assert bench.tpm.lockout_counter() == 0
    argv = bench.arguments("change-pin", "--policy", bench.policy, shared)
    done = bench.on_terminal(argv, (r"Operator \([^\r\n]*\): ", "2"), ("Old PIN: ", BERT), ("New PIN: ", NEW_PIN),
                             (r"\(again\): ", NEW_PIN))
    assert done.rc == 0 and bench.unlock(shared, "--operator", "2", pin=NEW_PIN).rc == 0


def test_change_pin_that_is_forgotten(bench, shared):
    """By the passphrase; the other one's stays."""
    assert bench.change_pin("--operator", "2", shared, key=PASSPHRASE).rc == 0
    assert bench.unlock(shared, "--operator", "1", pin=ANNA).rc == 0
    assert bench.unlock(shared, "--operator", "2", pin=NEW_PIN).rc == 0


def test_change_pin_everywhere(bench, shared):
    """On all volumes where the operator has the PIN, and on no other."""
    second, third = bench.volume(), bench.volume()
    bench.enroll(second, pin=BERT)
    bench.enroll(third, pin=ANNA)
    done = bench.change_pin("--json", "--operator", "2", pin=BERT)
    assert done.rc == 0
    assert [changed["name"] for changed in done.json["changed"]] == [shared.name, second.name]
    assert bench.unlock(shared, "--operator", "2", pin=NEW_PIN).rc == 0
    assert bench.unlock(second, pin=NEW_PIN).rc == 0 and bench.unlock(third, pin=ANNA).rc == 0


def test_change_pin_of_nobody(bench, shared):
    """Status 7."""
    assert bench.change_pin("--operator", "9", shared).rc == 7
    assert bench.change_pin("--operator", "9").rc == 7


# ---- remove ----

def test_remove_one(bench, shared):
    """The PIN is dead, old header or not; the other one opens as before, without a number."""
    header = shared.header()
    done = bench.bootseal("remove", "--operator", "1", shared)
    assert done.rc == 0 and numbers(shared) == [2]
    assert bench.unlock(shared, pin=BERT).rc == 0
    assert bench.unlock_all(BERT).rc == 0
    bench.boot()
    shared.put_header(header)
    assert bench.unlock(shared, "--operator", "1", pin=ANNA).rc == 9


def test_remove_nobody(bench, shared):
    """Status 7; and one way of naming it is enough."""
    refused = bench.bootseal("remove", "--operator", "3", shared)
    assert refused.rc == 7 and "operator 3" in refused.stderr
    assert bench.bootseal("remove", "--operator", "1", "--protector", "0", shared).rc == 2
    assert numbers(shared) == [1, 2]


def test_removal_that_was_cut(bench, shared):
    """A token whose object is no longer in force stands in nobody's way."""
    token = token_of(shared, 1)
    assert bench.bootseal("remove", "--operator", "1", shared).rc == 0
    shared.put_token({**token, "keyslots": [str(min(shared.keyslots()))]}, 9)
    assert numbers(shared) == [2, 1]
    done = bench.unlock_all("1", "2", BERT)
    assert done.rc == 0 and "not in force" in done.screen


# ---- beside one without a PIN ----

def test_pin_that_protects_nothing(bench, enrolled):
    """status and doctor say it; the volume opens without a question."""
    assert bench.status()["volumes"][0]["warnings"] == []
    bench.enroll(enrolled, "--no-pin", pin=None)
    status = bench.status()
    check_schema(status, "status")
    assert [warning["kind"] for warning in status["volumes"][0]["warnings"]] == ["pin-bypassed"]
    assert "the PINs protect nothing" in bench.bootseal("status").stdout
    assert "PINs of the volume protect nothing" in bench.bootseal("doctor").stdout
    assert bench.unlock_all().rc == 0
    assert bench.try_enroll(enrolled, "--no-pin", pin=None).rc == 10
