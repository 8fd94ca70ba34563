"""bootseal recovery-key, and the recovery key that enroll makes."""

import os
import re
import signal
import stat
import subprocess

import pexpect
import pytest
from pyzbar import pyzbar

import recovery
from bootseal import PASSPHRASE, PATIENCE_S, PIN, check_schema

WRONG_PIN = "1111111111"


@pytest.fixture(name="key")
def make_key(bench, volume):
    """The recovery key of a volume that is not enrolled."""
    return recovery.add(bench, volume)


def spoken(key: str) -> list:
    """The ways in which a person may write it."""
    return [key, key.replace("-", ""), key.replace("-", " "), f"  {key.replace('-', ' - ')}\r\n", key + "\n"]


class Terminal:
    """A program on a terminal that is driven step by step."""

    def __init__(self, bench, argv):
        # tests that run in the background of a shell would hand down an ignored SIGINT
        self.child = pexpect.spawn(argv[0], argv[1:], env=bench.environment(), timeout=PATIENCE_S, encoding="utf-8",
                                   dimensions=(80, 200),
                                   preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
        self.child.delaybeforesend = None
        self.screen = ""

    def answer(self, prompt: str, text: str) -> str:
        """Wait for a prompt and type a line; the prompt."""
        self.child.expect(prompt)
        self.screen += self.child.before + self.child.after
        self.child.sendline(text)
        return self.child.after

    def type_back(self, wrong: bool = False) -> None:
        """Answer one question for a group."""
        self.child.expect(recovery.TYPE_BACK)
        self.screen += self.child.before + self.child.after
        self.child.sendline("000001" if wrong else recovery.typing_back(self.screen, self.child.after))

    def end(self) -> int:
        """The exit status; no question may come before."""
        self.child.expect(pexpect.EOF)
        self.screen += self.child.before
        self.child.close()
        return self.child.exitstatus


# ---- add ----

def test_add_json(bench, volume):
    """Key, ID and keyslot; the token has no key in it."""
    result = bench.bootseal("recovery-key", "--json", "--yes", "add", volume, key=PASSPHRASE)
    assert result.rc == 0, result
    check_schema(result.json, "recovery-key")
    made, token = result.json["recovery_key"], volume.token("bootseal-recovery")
    assert token == {"type": "bootseal-recovery", "keyslots": [str(made["keyslot"])], "version": 1, "id": made["id"],
                     "created": made["created"], "escrow": None}
    assert volume.keyslots() == {0, made["keyslot"]} and volume.tokens("bootseal-pending") == {}
    keyslot = volume.metadata()["keyslots"][str(made["keyslot"])]
    assert keyslot["kdf"]["type"] == "pbkdf2" and keyslot["kdf"]["iterations"] == 1000


def test_add_text(bench, volume):
    """ID and key, each on a line of its own."""
    result = bench.bootseal("recovery-key", "--yes", "add", volume, key=PASSPHRASE)
    assert result.rc == 0
    match = re.fullmatch(rf"recovery key ([0-9a-f]{{8}})\n({recovery.KEY})\n", result.stdout)
    assert match and match.group(1) == volume.token("bootseal-recovery")["id"]
    assert match.group(2) not in result.stderr


def test_cryptsetup_takes_the_canonical_text(volume, key):
    """Any rescue system opens the volume with it."""
    assert volume.opens_with(key["key"])
    assert not volume.opens_with(key["key"].replace("-", ""))


def test_the_key_is_nowhere_on_the_disk(volume, key):
    """Neither its text nor its digits."""
    header = volume.header()
    assert key["key"].encode() not in header and key["key"].replace("-", "").encode() not in header


def test_groups_divide_by_eleven(bench, volume):
    """Each group of each key, and no two keys alike."""
    for _ in range(3):
        made = recovery.add(bench, volume)
        assert all(int(group) % 11 == 0 and int(group) < 720896 for group in made["key"].split("-"))
    assert len({each["id"] for each in recovery.listed(bench, volume)}) == 3


@pytest.mark.parametrize("number", range(5))
def test_a_recovery_key_is_a_way_in(bench, volume, key, number):
    """Written in any way, it authorises another one."""
    other = recovery.add(bench, volume, key=spoken(key["key"])[number])
    assert other["id"] != key["id"] and volume.opens_with(other["key"])


def test_the_pin_is_a_way_in(bench, enrolled):
    """With TPM and authority, in a capped boot."""
    bench.cap()
    made = recovery.add(bench, enrolled, key=None, pin=PIN)
    assert enrolled.opens_with(made["key"])
    result = bench.bootseal("recovery-key", "--yes", "add", enrolled, pin=WRONG_PIN)
    assert result.rc == 4 and len(recovery.listed(bench, enrolled)) == 1


@pytest.mark.parametrize("given", ["not the passphrase", "", PASSPHRASE + "\n\n"])
def test_wrong_way_in(bench, volume, given):
    """Nothing is made."""
    before = volume.header()
    assert bench.bootseal("recovery-key", "--yes", "add", volume, key=given).rc in (2, 4)
    assert volume.header() == before


def test_wrong_recovery_key_as_way_in(bench, volume, key):
    """The group is named."""
    result = bench.bootseal("recovery-key", "--yes", "add", volume, key=recovery.with_typo(key["key"], 6))
    assert result.rc == 4 and "group 6 has a typo" in result.stderr and key["key"] not in result.stderr


def test_no_room(bench, volume):
    """Status 10, and nothing was written."""
    while True:
        before = volume.header()
        result = bench.bootseal("recovery-key", "--yes", "add", volume, key=PASSPHRASE)
        if result.rc:
            break
    assert result.rc == 10 and "what to do" in result.stderr and result.stdout == ""
    assert volume.header() == before


def test_no_volume(bench):
    """Status 8."""
    path = bench.folder / "file"
    path.write_bytes(bytes(1 << 20))
    for action in ("add", "rotate", "check", "list"):
        options = {"add": ["--yes"], "rotate": ["--yes"]}.get(action, [])
        result = bench.bootseal("recovery-key", *options, action, path, key=PASSPHRASE if action != "list" else None)
        assert result.rc == 8, (action, result)


def test_volume_that_differs_from_its_pin(bench, enrolled):
    """Status 9: another cipher is no volume to make keys for."""
    enrolled.edit(lambda metadata: metadata["segments"]["0"].update(sector_size=4096))
    for action in ("add", "check"):
        options = ["--yes"] if action == "add" else []
        assert bench.bootseal("recovery-key", *options, action, enrolled, key=PASSPHRASE).rc == 9


# ---- how it is handed over ----

def test_output_file(bench, volume):
    """Mode 0600, a line with the key; nothing of it on stdout."""
    path = bench.folder / "key.txt"
    previous = os.umask(0)
    try:
        result = bench.bootseal("recovery-key", "--output", path, "--json", "add", volume, key=PASSPHRASE)
    finally:
        os.umask(previous)
    assert result.rc == 0, result
    check_schema(result.json, "recovery-key")
    assert result.json["recovery_key"]["key"] is None and result.json["recovery_key"]["file"] == str(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert re.fullmatch(recovery.KEY + "\n", path.read_text())
    assert recovery.check(bench, volume, path.read_text()).rc == 0


def test_output_file_that_is_there(bench, volume):
    """Not written over, not even through a link."""
    path, link = bench.folder / "key.txt", bench.folder / "link"
    path.write_text("precious")
    link.symlink_to(bench.folder / "nowhere")
    for each in (path, link):
        result = bench.bootseal("recovery-key", "--output", each, "add", volume, key=PASSPHRASE)
        assert result.rc != 0 and str(each) in result.stderr
    assert path.read_text() == "precious" and not (bench.folder / "nowhere").exists()
    assert volume.keyslots() == {0} and volume.metadata()["tokens"] == {}


def test_output_into_nowhere(bench, volume):
    """A folder that is not there: nothing is made."""
    result = bench.bootseal("recovery-key", "--output", "/nowhere/key.txt", "add", volume, key=PASSPHRASE)
    assert result.rc != 0 and volume.keyslots() == {0} and volume.metadata()["tokens"] == {}


def test_stdout_that_takes_nothing(bench, volume):
    """A key that nobody has seen does not stay."""
    argv = bench.arguments("recovery-key", "--yes", "add", volume, key=PASSPHRASE)
    result = bench.run(["sh", "-c", '"$@" > /dev/full', "sh", *argv])
    assert result.rc == 1 and "standard output" in result.stderr
    assert volume.keyslots() == {0} and volume.metadata()["tokens"] == {}


def test_qr(bench, volume):
    """The QR code on stdout holds the key."""
    result = bench.bootseal("recovery-key", "--yes", "--qr", "add", volume, key=PASSPHRASE)
    assert result.rc == 0
    _, key, *lines = result.stdout.splitlines()
    rows = []
    for line in lines:
        rows += [[char in "▀█" for char in line], [char in "▄█" for char in line]]
    scale = 8
    pixels = b"".join(bytes(255 if light else 0 for light in row for _ in range(scale)) * scale for row in rows)
    (code,) = pyzbar.decode((pixels, len(rows[0]) * scale, len(rows) * scale))
    assert code.data.decode() == key


def test_qr_is_for_the_terminal(bench, volume):
    """Neither with --json nor with --output: status 2."""
    for options in (["--json"], ["--output", bench.folder / "key.txt"]):
        result = bench.bootseal("recovery-key", "--yes", "--qr", *options, "add", volume, key=PASSPHRASE)
        assert result.rc == 2 and "--qr" in result.stderr
    assert volume.keyslots() == {0}


def test_typing_back(bench, volume):
    """Two groups, not echoed; a wrong one is asked for again."""
    terminal = Terminal(bench, bench.arguments("recovery-key", "add", volume))
    terminal.answer(r"Existing passphrase or recovery key[^\r\n]*: ", PASSPHRASE)
    terminal.type_back(wrong=True)
    terminal.type_back()
    terminal.type_back()
    assert terminal.end() == 0, terminal.screen
    (key,) = re.findall(recovery.KEY, terminal.screen)
    assert recovery.check(bench, volume, key).rc == 0
    assert PASSPHRASE not in terminal.screen


def test_not_typed_back(bench, volume):
    """Three wrong tries: status 4, and the key does not count."""
    terminal = Terminal(bench, bench.arguments("recovery-key", "add", volume, key=PASSPHRASE))
    for _ in range(3):
        terminal.type_back(wrong=True)
    assert terminal.end() == 4, terminal.screen
    assert volume.keyslots() == {0} and volume.metadata()["tokens"] == {}


def test_interrupted_at_the_question(bench, volume):
    """What is left behind is no key, and goes with the next change."""
    terminal = Terminal(bench, bench.arguments("recovery-key", "add", volume, key=PASSPHRASE))
    terminal.child.expect(recovery.TYPE_BACK)
    terminal.child.sendintr()
    terminal.child.expect(pexpect.EOF)
    terminal.child.close()
    assert volume.tokens("bootseal-recovery") == {} and len(volume.tokens("bootseal-pending")) == 1
    assert recovery.listed(bench, volume) == []
    made = recovery.add(bench, volume)
    assert volume.keyslots() == {0, made["keyslot"]} and volume.tokens("bootseal-pending") == {}


def test_nobody_to_type_back(bench, volume):
    """Without a terminal: status 2, and the options."""
    result = bench.bootseal("recovery-key", "add", volume, key=PASSPHRASE)
    assert result.rc == 2 and "--yes" in result.stderr and "--output" in result.stderr
    assert volume.keyslots() == {0}


# ---- rotate ----

def test_rotate(bench, volume, key):
    """The old key is gone from keyslots and tokens, the new one opens."""
    result = bench.bootseal("recovery-key", "--json", "--yes", "rotate", volume, key=PASSPHRASE)
    assert result.rc == 0, result
    check_schema(result.json, "recovery-key")
    made = result.json["recovery_key"]
    assert result.json["replaced"] == key["id"] and made["id"] != key["id"]
    assert [each["id"] for each in recovery.listed(bench, volume)] == [made["id"]]
    assert volume.opens_with(made["key"]) and not volume.opens_with(key["key"])
    assert volume.keyslots() == {0, made["keyslot"]}


def test_rotate_by_the_key_itself(bench, volume, key):
    """Of two keys the one that was given is replaced; by a passphrase it must be named."""
    other = recovery.add(bench, volume)
    result = bench.bootseal("recovery-key", "--json", "--yes", "rotate", volume, key=PASSPHRASE)
    assert result.rc == 2 and key["id"] in result.stderr and other["id"] in result.stderr and "--id" in result.stderr
    result = bench.bootseal("recovery-key", "--json", "--yes", "rotate", volume, key=key["key"])
    assert result.rc == 0 and result.json["replaced"] == key["id"]
    result = bench.bootseal("recovery-key", "--json", "--yes", "--id", other["id"].upper(), "rotate", volume,
                            key=PASSPHRASE)
    assert result.rc == 0 and result.json["replaced"] == other["id"]
    assert not volume.opens_with(other["key"])


@pytest.mark.parametrize("options", [[], ["--id"]], ids=["the only one left", "by its ID"])
def test_rotate_beside_a_key_without_a_keyslot(bench, volume, key, options):
    """A key whose keyslot somebody removed is no choice, but may be named."""
    dead = recovery.add(bench, volume)
    subprocess.run(["cryptsetup", "luksKillSlot", "--batch-mode", volume.path, str(dead["keyslot"])], check=True)
    options = [*options, dead["id"]] if options else []
    result = bench.bootseal("recovery-key", "--json", "--yes", *options, "rotate", volume, key=PASSPHRASE)
    assert result.rc == 0 and result.json["replaced"] == (dead if options else key)["id"]
    ids = {each["id"] for each in recovery.listed(bench, volume)}
    assert ids == {result.json["recovery_key"]["id"], *([key["id"]] if options else [])}
    assert volume.opens_with(key["key"]) == bool(options) and volume.opens_with(result.json["recovery_key"]["key"])


def test_rotate_what_is_not_there(bench, volume, key):
    """Status 7; the keys stay."""
    result = bench.bootseal("recovery-key", "--yes", "--id", "00000000", "rotate", volume, key=PASSPHRASE)
    assert result.rc == 7 and volume.opens_with(key["key"])


def test_rotate_without_room(bench, volume, key):
    """The old key is not removed to make room."""
    while bench.bootseal("recovery-key", "--yes", "add", volume, key=PASSPHRASE).rc == 0:
        pass
    result = bench.bootseal("recovery-key", "--yes", "rotate", volume, key=key["key"])
    assert result.rc == 10 and volume.opens_with(key["key"])


def test_rotate_that_is_not_taken(bench, volume, key):
    """Nobody has seen the new key: the old one stays, and stays alone."""
    argv = bench.arguments("recovery-key", "--yes", "rotate", volume, key=PASSPHRASE)
    assert bench.run(["sh", "-c", '"$@" > /dev/full', "sh", *argv]).rc == 1
    assert [each["id"] for each in recovery.listed(bench, volume)] == [key["id"]]
    assert volume.opens_with(key["key"]) and volume.keyslots() == {0, key["keyslot"]}


def test_rotate_clears_what_a_cut_rotation_left(bench, volume, key):
    """A token whose keyslot is gone, a pending token and its keyslot."""
    other = recovery.add(bench, volume)
    (number,) = [number for number, token in volume.tokens("bootseal-recovery").items() if token["id"] == key["id"]]
    pending = {"type": "bootseal-pending", "keyslots": [], "version": 1, "kind": "recovery", "id": "00000000",
               "created": key["created"], "planned_keyslot": key["keyslot"]}
    volume.put_token(pending, 9)
    volume.put_token({**volume.tokens("bootseal-recovery")[number], "keyslots": []}, number)
    assert recovery.listed(bench, volume)[0]["keyslot"] is None
    result = bench.bootseal("recovery-key", "--yes", "--json", "--id", other["id"], "rotate", volume, key=PASSPHRASE)
    assert result.rc == 0, result
    assert volume.keyslots() == {0, result.json["recovery_key"]["keyslot"]}
    assert len(volume.tokens("bootseal-recovery")) == 1 and volume.tokens("bootseal-pending") == {}


# ---- check and list ----

@pytest.mark.parametrize("number", range(5))
def test_check(bench, volume, key, number):
    """However it is written."""
    result = recovery.check(bench, volume, spoken(key["key"])[number])
    assert result.rc == 0, result
    check_schema(result.json, "recovery-key")
    assert result.json["recovery_key"]["id"] == key["id"]


def test_check_of_a_wrong_key(bench, volume, key):
    """Status 4, with the group; a passphrase is no recovery key."""
    for given, words in [(recovery.another(key["key"]), "not a recovery key of"),
                         (recovery.with_typo(key["key"], 3), "group 3 has a typo"),
                         (key["key"][:-1], "group 8 has 5 digits"), (key["key"][:-7], "48 digits"),
                         (PASSPHRASE, "digits, blanks and dashes"), ("", "48 digits")]:
        result = recovery.check(bench, volume, given)
        assert result.rc == 4 and words in result.stderr, result
        assert key["key"] not in result.stderr and result.stdout == ""


def test_check_on_a_terminal(bench, volume, key):
    """The typo is named while it is typed, and nothing is echoed."""
    terminal = Terminal(bench, bench.arguments("recovery-key", "check", volume))
    wrong = recovery.with_typo(key["key"], 2)
    terminal.child.expect("Recovery key: ")
    terminal.child.send(wrong[:13])
    terminal.child.expect("group 2 has a typo")
    terminal.screen += terminal.child.before + terminal.child.after
    terminal.child.sendline(key["key"][7:])
    assert terminal.end() == 0, terminal.screen
    assert f"recovery key {key['id']} opens" in terminal.screen and key["key"][:6] not in terminal.screen


def test_check_without_recovery_keys(bench, volume, key):
    """Status 7."""
    assert recovery.check(bench, bench.volume(), key["key"]).rc == 7


def test_check_and_remove_other_keyslots(bench, volume):
    """Only beside a protector, and only by the right key."""
    made = recovery.add(bench, volume)
    result = bench.bootseal("recovery-key", "--remove-other-keyslots", "check", volume, key=made["key"])
    assert result.rc == 10 and volume.opens_with(PASSPHRASE)
    bench.enroll(volume)
    result = bench.bootseal("recovery-key", "--remove-other-keyslots", "check", volume,
                            key=recovery.another(made["key"]))
    assert result.rc == 4 and volume.opens_with(PASSPHRASE)
    result = bench.bootseal("recovery-key", "--remove-other-keyslots", "check", volume, key=made["key"])
    assert result.rc == 0 and not volume.opens_with(PASSPHRASE) and volume.opens_with(made["key"])
    assert bench.unlock(volume).rc == 0 and bench.status()["volumes"][0]["other_keyslots"] == []


def test_list(bench, volume):
    """ID, dates, keyslot; a key that was used asks to be replaced; no secret is needed."""
    assert bench.bootseal("recovery-key", "list", volume).stdout == ""
    one, two = recovery.add(bench, volume), recovery.add(bench, volume)
    (number,) = [number for number, token in volume.tokens("bootseal-recovery").items() if token["id"] == two["id"]]
    volume.put_token({**volume.tokens("bootseal-recovery")[number], "used": "2026-12-01T06:12:00Z"}, number)
    result = bench.bootseal("recovery-key", "--json", "list", volume)
    check_schema(result.json, "recovery-key")
    used = {each["id"]: each["used"] for each in result.json["recovery_keys"]}
    assert used == {one["id"]: None, two["id"]: "2026-12-01T06:12:00Z"}
    text = bench.bootseal("recovery-key", "list", volume).stdout
    assert len(text.splitlines()) == 2 and text.count("replace it") == 1


def test_damaged_token(bench, volume, key):
    """It hides no other key, is told, and is neither repaired nor removed."""
    damaged = {**volume.token("bootseal-recovery"), "version": 2}
    volume.put_token(damaged, 7)
    result = bench.bootseal("recovery-key", "--json", "list", volume)
    assert result.json["damaged"] == 1 and [each["id"] for each in result.json["recovery_keys"]] == [key["id"]]
    assert recovery.check(bench, volume, key["key"]).rc == 0
    recovery.add(bench, volume)
    assert volume.tokens("bootseal-recovery")[7] == damaged


# ---- calls ----

@pytest.mark.parametrize("argv, words", [
    (["add"], "DEVICE"), (["frob", "/nowhere"], '"frob"'), (["list", "--qr", "/nowhere"], "--qr"),
    (["check", "--id", "00000000", "/nowhere"], "--id"), (["add", "--remove-other-keyslots", "/nowhere"], "--remove"),
    (["rotate", "--pin-file", "a", "--unlock-key-file", "b", "/nowhere"], "exclude"),
])
def test_wrong_call(bench, argv, words):
    """Status 2."""
    result = bench.bootseal("recovery-key", *argv)
    assert result.rc == 2 and words in result.stderr


@pytest.mark.parametrize("action, option", [("add", "--unlock-key-file"), ("check", "--unlock-key-file")])
def test_nobody_to_ask(bench, volume, action, option):
    """Status 2, and the option that answers."""
    options = ["--yes"] if action == "add" else []
    result = bench.bootseal("recovery-key", *options, action, volume)
    assert result.rc == 2 and option in result.stderr


# ---- enroll ----

def test_enroll_makes_one(bench, volume):
    """In the result, in the header; the passphrase stays unless the option says so."""
    result = recovery.enroll_with_key(bench, volume)
    check_schema(result, "enroll")
    made = result["recovery_key"]
    assert volume.token("bootseal-recovery")["id"] == made["id"] and volume.opens_with(made["key"])
    assert volume.opens_with(PASSPHRASE) and bench.unlock(volume).rc == 0
    assert bench.status()["volumes"][0]["other_keyslots"] == [0]


def test_enroll_and_remove_other_keyslots(bench, volume):
    """Only PIN and recovery key are left."""
    volume.add_passphrase("of the installation")
    result = recovery.enroll_with_key(bench, volume, "--remove-other-keyslots")
    assert volume.keyslots() == {result["keyslot"], result["recovery_key"]["keyslot"]}
    assert not volume.opens_with(PASSPHRASE) and not volume.opens_with("of the installation")
    assert bench.unlock(volume).rc == 0 and volume.opens_with(result["recovery_key"]["key"])
    assert bench.status()["volumes"][0]["state"] == "protected"


def test_threat_23_enroll_leaves_two_ways_in(bench, volume):
    """Without a recovery key other keyslots are not removed: status 10."""
    result = bench.try_enroll(volume, "--remove-other-keyslots")
    assert result.rc == 10 and "recovery key" in result.stderr
    assert volume.metadata()["tokens"] == {} and volume.opens_with(PASSPHRASE)


def test_threat_23_remove_counts_a_recovery_key(bench, volume):
    """The protector may go while the recovery key is there; nothing but a protector is the last way in."""
    made = recovery.enroll_with_key(bench, volume, "--remove-other-keyslots")["recovery_key"]
    assert bench.bootseal("remove", volume).rc == 0
    assert volume.keyslots() == {made["keyslot"]} and volume.opens_with(made["key"])


def test_threat_23_a_leftover_is_no_way_in(bench, volume):
    """A keyslot that a cut change has left opens for nobody."""
    made = recovery.add(bench, volume)
    bench.enroll(volume)
    volume.remove_passphrase()
    (number,) = volume.tokens("bootseal-recovery")
    volume.put_token({"type": "bootseal-pending", "keyslots": [], "version": 1, "kind": "recovery",
                      "id": made["id"], "created": made["created"], "planned_keyslot": made["keyslot"]}, number)
    result = bench.bootseal("remove", volume)
    assert result.rc == 10 and bench.unlock(volume).rc == 0


def test_enroll_by_a_recovery_key(bench, volume, key):
    """After a reinstallation it is what there is; without dashes, too."""
    volume.remove_passphrase()
    result = bench.try_enroll(volume, key=key["key"].replace("-", "") + "\n")
    assert result.rc == 0, result
    assert bench.unlock(volume).rc == 0 and volume.opens_with(key["key"])
    result = bench.try_enroll(bench.volume(), key=recovery.with_typo(key["key"], 4))
    assert result.rc == 4 and "group 4 has a typo" in result.stderr


def enroll_on_terminal(bench, volume, *options):
    """With PIN and passphrase from files: what is asked is about the recovery key."""
    arguments = [option for option in bench.enroll_options if option != "--no-recovery-key"]
    return Terminal(bench, bench.arguments("enroll", *arguments, *options, volume, pin=PIN, key=PASSPHRASE))


@pytest.mark.parametrize("answer", ["y", "n"])
def test_enroll_asks(bench, volume, answer):
    """For two groups, then whether other keyslots go."""
    terminal = enroll_on_terminal(bench, volume)
    terminal.type_back()
    terminal.type_back()
    terminal.answer(r"Remove the other keyslots \(0\)[^\r\n]* \[y/N\]: ", answer)
    assert terminal.end() == 0, terminal.screen
    (key,) = re.findall(recovery.KEY, terminal.screen)
    assert volume.opens_with(key) and volume.opens_with(PASSPHRASE) == (answer == "n")
    assert bench.unlock(volume).rc == 0


def test_enroll_when_the_key_is_not_typed_back(bench, volume):
    """The protector is there, the key is not, the passphrase stays: status 4, and what to do."""
    terminal = enroll_on_terminal(bench, volume, "--remove-other-keyslots")
    for _ in range(3):
        terminal.type_back(wrong=True)
    assert terminal.end() == 4 and "recovery-key add" in terminal.screen
    assert volume.tokens("bootseal-recovery") == {} and volume.opens_with(PASSPHRASE)
    assert bench.unlock(volume).rc == 0


def test_enroll_with_nobody_to_ask(bench, volume):
    """Status 2 before anything is changed."""
    arguments = [option for option in bench.enroll_options if option != "--no-recovery-key"]
    result = bench.bootseal("enroll", *arguments, volume, pin=PIN, key=PASSPHRASE)
    assert result.rc == 2 and "--yes" in result.stderr
    assert volume.metadata()["tokens"] == {}


# ---- unlock ----

@pytest.fixture(name="recoverable")
def make_recoverable(bench, enrolled):
    """The recovery key of the enrolled volume."""
    return recovery.add(bench, enrolled)


@pytest.mark.parametrize("number", range(5))
def test_unlock_by_recovery_key(bench, enrolled, recoverable, number):
    """In the PIN's file, however it is written; no TPM command is sent."""
    with bench.recording() as commands:
        result = bench.unlock(enrolled, "--json", pin=spoken(recoverable["key"])[number])
    assert result.rc == 0, result
    check_schema(result.json, "unlock")
    assert result.json["by"] == "recovery" and result.json["recovery_id"] == recoverable["id"]
    assert commands == []


def test_unlock_by_recovery_key_from_stdin(bench, enrolled, recoverable):
    """--pin-file -."""
    result = bench.bootseal("unlock", "--test", "--pin-file", "-", enrolled, stdin=recoverable["key"].encode())
    assert result.rc == 0 and recoverable["id"] in result.stdout


def test_unlock_by_a_wrong_recovery_key(bench, enrolled, recoverable):
    """Status 4, the group is named, and the TPM has counted nothing."""
    for given, words in [(recovery.another(recoverable["key"]), "not a recovery key"),
                         (recovery.with_typo(recoverable["key"], 5), "group 5 has a typo")]:
        result = bench.unlock(enrolled, pin=given)
        assert result.rc == 4 and words in result.stderr
    assert bench.tpm.lockout_counter() == 0


def test_unlock_without_a_tpm(bench, enrolled, recoverable):
    """Threat 3: the recovery key works."""
    bench.tpm.stop()
    assert bench.unlock(enrolled).rc == 6
    assert bench.unlock(enrolled, pin=recoverable["key"]).rc == 0


@pytest.mark.parametrize("change", [
    lambda metadata: metadata["segments"]["0"].update(encryption="cipher_null-ecb"),
    lambda metadata: metadata["segments"]["0"].update(sector_size=4096),
    lambda metadata: metadata["config"].update(requirements={"mandatory": ["online-reencrypt"]}),
])
def test_threat_25_recovery_of_an_edited_header(bench, enrolled, recoverable, change):
    """Status 9: the pins hold for a recovery key, too."""
    enrolled.edit(change)
    assert bench.unlock(enrolled, pin=recoverable["key"]).rc in (8, 9)


def test_recovery_key_of_an_unknown_volume(bench, enrolled, recoverable):
    """A volume that no pin names is not opened."""
    assert enrolled and recoverable
    stranger = bench.volume()
    made = recovery.add(bench, stranger)
    assert bench.unlock(stranger, pin=made["key"]).rc == 7


def test_prompt_takes_a_recovery_key(bench, enrolled, recoverable):
    """A typo and a wrong PIN before it; only the PIN was counted."""
    terminal = Terminal(bench, bench.arguments("unlock", "--test", enrolled))
    terminal.answer("PIN: ", recovery.with_typo(recoverable["key"], 3))
    terminal.answer("PIN: ", WRONG_PIN)
    terminal.answer("PIN: ", recoverable["key"].replace("-", ""))
    assert terminal.end() == 0, terminal.screen
    assert "group 3 has a typo" in terminal.screen and recoverable["id"] in terminal.screen
    assert bench.tpm.lockout_counter() == 1


def test_prompt_after_a_mismatch(bench, enrolled, recoverable):
    """The reason, then the recovery key by its ID; Enter alone gives up with the reason's status."""
    bench.boot({9: b"another initrd"})
    prompt = f"Recovery key {recoverable['id']}: "
    terminal = Terminal(bench, bench.arguments("unlock", "--test", enrolled))
    terminal.answer(prompt, recovery.another(recoverable["key"]))
    terminal.answer(prompt, recoverable["key"])
    assert terminal.end() == 0 and "PCR 9" in terminal.screen, terminal.screen
    terminal = Terminal(bench, bench.arguments("unlock", "--test", enrolled))
    terminal.answer(prompt, "")
    assert terminal.end() == 3


def test_prompt_after_wrong_pins(bench, enrolled, recoverable):
    """Wrong PINs never cost the chance to type the recovery key."""
    terminal = Terminal(bench, bench.arguments("unlock", "--test", enrolled))
    for _ in range(3):
        terminal.answer("PIN: ", WRONG_PIN)
    terminal.answer(f"Recovery key {recoverable['id']}: ", recoverable["key"])
    assert terminal.end() == 0, terminal.screen


def test_no_prompt_without_recovery_keys(bench, enrolled):
    """As before."""
    bench.boot({9: b"another initrd"})
    terminal = Terminal(bench, bench.arguments("unlock", "--test", enrolled))
    assert terminal.end() == 3 and "Recovery key" not in terminal.screen
