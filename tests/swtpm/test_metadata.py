"""The header is the attacker's to edit: tokens, lists, metadata, and old copies of all of it."""

import base64
import copy
import hashlib
import json
import subprocess

import pytest

import attacker
from bootseal import PASSPHRASE, PIN

OTHER_BOOT = {9: b"another initrd"}
OTHER_NAME = "000b" + "5a" * 32
OTHER_ID = "0a1b2c3d-4e5f-4a6b-8c7d-8e9f0a1b2c3d"


def assert_refused(bench, volume, *statuses):
    """Both programs refuse with one of these, nobody is asked, no try is counted, the passphrase opens."""
    result = bench.unlock(volume)
    assert result.rc in statuses, result
    done = bench.unlock_all()
    assert done.rc in statuses and done.prompts == ()
    assert not done.volume(volume.name)["opened"] and done.volume(volume.name)["reason"]
    assert bench.tpm.lockout_counter() == 0
    assert volume.opens_with(PASSPHRASE)


def put(path, value):
    """A function that puts a value into a token at a path like tpm/srk; a function as value gets the old one."""
    *folders, last = path.split("/")

    def change(token):
        for folder in folders:
            token = token[int(folder) if isinstance(token, list) else folder]
        key = int(last) if isinstance(token, list) else last
        token[key] = value(token[key]) if callable(value) else value

    return change


def flip(text):
    """Another value of the same form: one bit in the middle of what base64 says."""
    data = bytearray(base64.b64decode(text))
    data[len(data) // 2] ^= 1
    return base64.b64encode(data).decode()


# ---- the protector's token ----

# What is changed, to what, and the status; all known before anybody is asked.
PROTECTOR_EDITS = [
    ("version", 2, 9),
    ("id", "nobody", 9),
    ("kind", "tpm2", 9),
    ("kind", "recovery", 9),
    ("label", "x" * 64, 9),
    ("label", "\x1b[2J", 9),
    ("payload", "volume-key", 9),
    ("created", "yesterday", 9),
    ("keyslots", [], 9),
    ("keyslots", ["0", "1"], 9),
    ("tpm/srk", OTHER_NAME, 9),
    ("tpm/srk", "000b", 9),
    ("tpm/approval", OTHER_NAME, 9),
    ("tpm/private", flip, 6),
    ("tpm/private", "", 9),
    ("tpm/private", base64.b64encode(bytes(4000)).decode(), 9),
    ("tpm/public", flip, 6),
    ("tpm/public", "AAAA", 9),
    ("kdf/type", "argon2i", 9),
    ("kdf/memory_kib", 8191, 9),
    ("kdf/memory_kib", 1 << 40, 9),
    ("kdf/iterations", 0, 9),
    ("kdf/iterations", 1001, 9),
    ("kdf/lanes", 0, 9),
    ("kdf/lanes", 5, 9),
    ("kdf/salt", base64.b64encode(bytes(31)).decode(), 9),
    ("kdf", None, 9),
    ("tpm", [], 9),
]


@pytest.mark.parametrize("path, value, status", PROTECTOR_EDITS,
                         ids=[f"{path} {number}" for number, (path, _, _) in enumerate(PROTECTOR_EDITS)])
def test_protector_token_edited(bench, enrolled, path, value, status):
    """Refused before anybody is asked, with the reason."""
    enrolled.edit_token(put(path, value))
    assert_refused(bench, enrolled, status)


@pytest.mark.parametrize("path, value, status", [
    ("id", OTHER_ID, 9),
    ("keyslots", ["0"], 9),
    ("kdf/salt", flip, 4),
    ("kdf/memory_kib", 8193, 4),
    ("kdf/lanes", lambda lanes: lanes % 4 + 1, 4),
], ids=["id", "keyslots", "salt", "memory", "lanes"])
def test_protector_token_edited_to_another_key(bench, enrolled, path, value, status):
    """What only the PIN can tell: the key is another one, and nothing opens."""
    enrolled.edit_token(put(path, value))
    assert bench.unlock(enrolled).rc == status
    assert enrolled.opens_with(PASSPHRASE)


def test_protector_token_keeps_what_it_may(bench, enrolled):
    """The control: editing itself is not what is refused, nor are a label and keys that a later version writes."""
    enrolled.edit_token(lambda token: token.update(label="somebody's", later={"a": [1, 2]}))
    assert bench.unlock(enrolled).rc == 0


HOSTILE_VALUES = [None, True, -1, 2 ** 63, 1e300, "", "x" * 3000, "\\u0000", [], {}, [[[]]], {"type": "bootseal"}]


def check_wrong_types(bench, volume, kind, path):
    """The token's field as everything that JSON has."""
    genuine = volume.token(kind)
    for value in HOSTILE_VALUES:
        if path.rpartition("/")[2] == "label" and value in ("", "\\u0000"):
            continue  # a label
        token = copy.deepcopy(genuine)
        put(path, value)(token)
        volume.put_token(token)
        result = bench.unlock(volume)
        assert result.rc == 9, (value, result)
    volume.put_token(genuine)
    assert bench.unlock(volume).rc == 0


@pytest.mark.parametrize("path", ["version", "id", "kind", "label", "payload", "created", "tpm", "tpm/srk",
                                  "tpm/approval", "tpm/private", "tpm/public", "kdf", "kdf/type", "kdf/memory_kib",
                                  "kdf/iterations", "kdf/lanes", "kdf/salt"])
def test_threat_15_protector_token_of_wrong_types(bench, enrolled, path):
    """Each field as everything that JSON has: status 9, never a crash."""
    check_wrong_types(bench, enrolled, "bootseal", path)


@pytest.mark.parametrize("path", ["version", "bank", "pcrs", "cap", "branches", "branches/0", "branches/0/kind",
                                  "branches/0/public", "branches/1", "branches/1/kind", "branches/1/label",
                                  "branches/1/source", "branches/1/values", "objects", "objects/0", "values",
                                  "values/0"])
def test_threat_15_approval_token_of_wrong_types(bench, enrolled, path):
    """The same for the list of approved states."""
    check_wrong_types(bench, enrolled, "bootseal-approval", path)


@pytest.mark.parametrize("kind, status", [("bootseal", 7), ("bootseal-approval", 9)])
def test_token_missing(bench, enrolled, kind, status):
    """A protector or a list that is not there."""
    (number,) = enrolled.tokens(kind)
    enrolled.edit(lambda metadata: metadata["tokens"].pop(str(number)))
    assert_refused(bench, enrolled, status)


def test_second_list(bench, enrolled):
    """Two lists, the genuine one and another: refused before anybody is asked."""
    token = enrolled.token("bootseal-approval")
    enrolled.put_token({**token, "branches": token["branches"][::-1]}, 0)
    assert_refused(bench, enrolled, 9)


def test_second_protector(bench, enrolled):
    """A copy of the protector with another ID before the genuine one: its key opens nothing."""
    token = enrolled.token()
    enrolled.put_token(token, 31)
    enrolled.put_token({**token, "id": OTHER_ID}, min(enrolled.tokens("bootseal")))
    assert bench.unlock(enrolled).rc == 9
    assert enrolled.opens_with(PASSPHRASE)


def test_threat_09_key_derivation_below_the_floor(bench, volume):
    """A token that would make the PIN cheap to guess is refused by the pinned floor, and nothing is derived."""
    bench.set_policy(kdf={"memory_kib": 16384, "time_ms": 20, "floor_memory_kib": 16384})
    bench.enroll(volume)
    volume.edit_token(put("kdf/memory_kib", 8192))
    assert_refused(bench, volume, 9)


def test_threat_08_token_names_another_srk(bench, enrolled):
    """Status 9, and nothing goes to the TPM for it: not one command, and in the initramfs only PCRs and the cap."""
    enrolled.edit_token(put("tpm/srk", OTHER_NAME))
    with bench.recording() as commands:
        assert bench.unlock(enrolled).rc == 9
    assert commands == []
    with bench.recording() as commands:
        assert bench.unlock_all().rc == 9
    assert {command.name for command in commands} == {"PCR_Read", "PCR_Event"}


# ---- the list of approved states ----

def add_this_boot(bench, approval):
    """Append the running boot's state to a list."""
    pcrs = bench.tpm.pcrs()
    approval["values"] += [pcrs[pcr].hex() for pcr in approval["pcrs"] if pcrs[pcr].hex() not in approval["values"]]
    approval["branches"].append({"kind": "boot", "label": "linux", "source": "measured",
                                 "values": [approval["values"].index(pcrs[pcr].hex()) for pcr in approval["pcrs"]]})


def test_attackers_boot_in_the_list(bench, enrolled):
    """The list names his boot, but the TPM's index does not hold its digest: status 9."""
    bench.boot(OTHER_BOOT)
    enrolled.edit_token(lambda token: add_this_boot(bench, token), "bootseal-approval")
    assert_refused(bench, enrolled, 9)


def test_attackers_boot_in_the_next_list(bench, enrolled):
    """The same in the list that a cut change would have left."""
    bench.boot(OTHER_BOOT)
    forged = enrolled.token("bootseal-approval")
    add_this_boot(bench, forged)

    def change(token):
        token.update(next={"branches": forged["branches"], "objects": forged["objects"]}, values=forged["values"])

    enrolled.edit_token(change, "bootseal-approval")
    assert_refused(bench, enrolled, 3, 9)


def test_forged_next_list_beside_the_genuine_one(bench, enrolled):
    """In the approved boot it changes nothing; the next change drops it."""
    genuine = enrolled.token("bootseal-approval")
    enrolled.edit_token(put("next", {"branches": genuine["branches"][::-1], "objects": [OTHER_NAME]}),
                        "bootseal-approval")
    assert bench.unlock(enrolled).rc == 0
    assert bench.reseal().rc == 0
    assert enrolled.token("bootseal-approval") == genuine


@pytest.mark.parametrize("change", [
    put("objects", []),
    put("objects", [OTHER_NAME]),
    lambda token: token["objects"].append(OTHER_NAME),
    lambda token: token["branches"].pop(0),
    lambda token: token["branches"].pop(1),
    lambda token: token["branches"].reverse(),
    lambda token: token["branches"].append(token["branches"][1]),
    put("branches", []),
    put("bank", "sha384"),
    put("cap", 14),
    put("pcrs", [4, 7, 8, 9, 12]),
    put("pcrs", [4, 7, 8, 9, 13, 14]),
    put("pcrs", [14, 12, 9, 8, 7, 4]),
    put("version", 2),
    put("branches/0/public", flip),
    put("branches/1/kind", "suspend"),
    lambda token: token["branches"].append({"kind": "suspend", "after": 0, "until": 4294967295, "clock_ms": None,
                                            "value": 4}),
], ids=["no object", "another object", "one object more", "no authority", "no boot", "another order", "a branch twice",
        "no branch", "bank", "cap", "fewer PCRs", "other PCRs", "PCRs not ascending", "version", "authority",
        "boot as suspension", "a suspension"])
def test_approval_token_edited(bench, enrolled, change):
    """A list that is not the TPM's own: refused before anybody is asked."""
    enrolled.edit_token(change, "bootseal-approval")
    assert_refused(bench, enrolled, 9)


@pytest.mark.parametrize("place", [0, 4])
def test_approved_values_edited(bench, enrolled, place):
    """A value that no boot has: the boot state or the list, but not both, is called wrong."""
    enrolled.edit_token(put(f"values/{place}", hashlib.sha256(b"x").hexdigest()), "bootseal-approval")
    assert_refused(bench, enrolled, 3, 9)


def test_threat_15_long_list(bench, enrolled):
    """As many branches as the header has room for: no long wait, and nothing opens."""
    def fill(token):
        branch = {"kind": "boot", "label": "", "source": "measured", "values": [4] * 6}
        token["branches"] = token["branches"][:1] + [branch] * 100

    enrolled.edit_token(fill, "bootseal-approval")
    assert_refused(bench, enrolled, 3, 9)


# ---- old copies ----

@pytest.fixture(name="enrolled_again")
def make_enrolled_again(bench, volume):
    """A volume whose PIN was replaced by enrolling anew, and its header of before."""
    bench.enroll(bench.volume(), pin="5555544444")  # so that the machine always has an approval
    bench.enroll(volume)
    old = volume.header()
    assert bench.bootseal("remove", volume).rc == 0
    bench.enroll(volume, pin="9085746321")
    return volume, old


def test_threat_13_old_header(bench, enrolled_again):
    """The old header with the old PIN: refused, though its keyslot is back."""
    volume, old = enrolled_again
    volume.put_header(old)
    assert bench.unlock(volume).rc == 9
    assert bench.unlock(volume, pin="9085746321").rc == 9


def test_threat_13_old_protector_with_the_list_of_now(bench, enrolled_again):
    """His best try: the old object under the list that is in force, where it is not named."""
    volume, old = enrolled_again
    approval = volume.token("bootseal-approval")
    volume.put_header(old)
    volume.put_token(approval)
    result = bench.unlock(volume)
    assert result.rc == 9 and "not in force" in result.stderr


def test_threat_13_old_object_written_into_the_list(bench, enrolled_again):
    """He names it there: then the list is not the TPM's."""
    volume, old = enrolled_again
    approval = volume.token("bootseal-approval")
    volume.put_header(old)
    approval["objects"] += volume.token("bootseal-approval")["objects"]
    volume.put_token(approval)
    assert bench.unlock(volume).rc == 9


def test_threat_13_old_object_by_hand(bench, enrolled_again):
    """With tpm2-tools and the old PIN, in the approved boot state: through the path of the object in force, the TPM
    refuses to unseal another one; through its own, the list is not the TPM's."""
    volume, old = enrolled_again
    new_list, new_token = volume.token("bootseal-approval"), volume.token()
    volume.put_header(old)
    old_list, token = volume.token("bootseal-approval"), volume.token()
    index = attacker.index_handle(bench.state)
    auth, _ = attacker.stretch(token, PIN)
    with pytest.raises(RuntimeError, match="tpm2_policyauthorizenv"):
        attacker.unseal(bench.tpm, token, old_list, index, auth)
    with pytest.raises(RuntimeError, match="tpm2_unseal"):
        attacker.unseal(bench.tpm, token, new_list, index, auth, path_of=new_token)
    new_auth, _ = attacker.stretch(new_token, "9085746321")
    assert len(attacker.unseal(bench.tpm, new_token, new_list, index, new_auth)) == 32


def test_threat_13_removed_protector(bench, volume):
    """A protector without a PIN, from commissioning, copied back after a PIN was set."""
    bench.enroll(volume, "--no-pin", pin=None)
    old = volume.header()
    without = volume.token()["id"]
    bench.enroll(volume)
    assert bench.bootseal("remove", "--protector", without, volume).rc == 0
    volume.put_header(old)
    assert_refused(bench, volume, 9)


def test_threat_13_last_protector_of_the_machine(bench, enrolled):
    """Everything was removed; the old header comes back."""
    old = enrolled.header()
    assert bench.bootseal("remove", enrolled).rc == 0
    enrolled.put_header(old)
    assert bench.unlock(enrolled).rc in (6, 7, 9)
    assert bench.unlock_all().report["volumes"] == []


def test_threat_13_old_list(bench, enrolled):
    """An approval that was withdrawn, copied back in the boot that it approved: status 9."""
    old = enrolled.token("bootseal-approval")
    bench.boot(OTHER_BOOT)
    assert bench.reseal().rc == 0
    bench.boot()
    assert bench.unlock(enrolled).rc == 3
    enrolled.put_token(old)
    assert_refused(bench, enrolled, 9)


def test_stale_list_is_repaired(bench, enrolled):
    """A backup of the header that is older than the approval: reseal writes the list that counts."""
    old = enrolled.token("bootseal-approval")
    bench.boot(OTHER_BOOT)
    assert bench.reseal().rc == 0
    enrolled.put_token(old)
    assert bench.unlock(enrolled).rc in (3, 9)
    assert bench.reseal().rc == 0
    assert bench.unlock(enrolled).rc == 0


# ---- what verbs believe ----

def test_threat_26_edited_list_is_repaired(bench, enrolled):
    """An administrator's verb takes nothing from the header: his PCRs, branches and next list are written over."""
    genuine = enrolled.token("bootseal-approval")

    def forge(token):
        token.update(pcrs=[12], cap=12, values=["00" * 32], next={"branches": [], "objects": []},
                     branches=[token["branches"][0], {**token["branches"][1], "values": [0]}])

    enrolled.edit_token(forge, "bootseal-approval")
    assert bench.unlock(enrolled).rc == 9
    assert bench.reseal().rc == 0
    assert enrolled.token("bootseal-approval") == genuine
    assert bench.unlock(enrolled).rc == 0


def test_threat_26_index_of_the_token_is_not_obeyed(bench, enrolled):
    """A new protector is bound to the machine's own index and SRK, whatever another volume's token says."""
    genuine = enrolled.token()["tpm"]
    enrolled.edit_token(lambda token: token["tpm"].update(srk=OTHER_NAME, approval=OTHER_NAME))
    second = bench.volume()
    bench.enroll(second)
    assert {key: second.token()["tpm"][key] for key in ("srk", "approval")} == {
        key: genuine[key] for key in ("srk", "approval")}
    assert bench.unlock(second).rc == 0 and bench.unlock(enrolled).rc == 9


def test_threat_26_cost_of_the_token_is_not_obeyed(bench, volume):
    """The second volume with the same PIN does not inherit a cost that was edited down."""
    bench.set_policy(kdf={"memory_kib": 16384, "time_ms": 20})
    bench.enroll(volume)
    volume.edit_token(put("kdf/memory_kib", 8192))
    second = bench.volume()
    bench.enroll(second)
    assert second.token()["kdf"]["memory_kib"] == 16384
    assert second.token()["kdf"]["salt"] != volume.token()["kdf"]["salt"]
    assert bench.tpm.lockout_counter() == 0


def test_threat_26_second_list_goes(bench, enrolled):
    """Of two lists one is left after the next change."""
    token = enrolled.token("bootseal-approval")
    enrolled.put_token(token, 30)
    assert bench.unlock(enrolled).rc == 9
    assert bench.reseal().rc == 0
    assert enrolled.token("bootseal-approval") == token
    assert bench.unlock(enrolled).rc == 0


# ---- the rest of the header ----

def edit_segment(**changes):
    """A function that changes the one segment; a function as value computes it from the old one."""
    def change(metadata):
        for key, value in changes.items():
            put(f"segments/0/{key}", value)(metadata)

    return change


def add_segment(metadata):
    """Split the volume into two segments."""
    first = metadata["segments"]["0"]
    second = {**first, "offset": str(int(first["offset"]) + (1 << 20)), "iv_tweak": "2048"}
    first["size"] = str(1 << 20)
    metadata["segments"]["1"] = second
    metadata["digests"]["0"]["segments"] = ["0", "1"]


def make_linear(metadata):
    """A segment that is passed through as it is."""
    offset = metadata["segments"]["0"]["offset"]
    metadata["segments"]["0"] = {"type": "linear", "offset": offset, "size": "dynamic"}


HEADER_EDITS = {
    "cipher_null": edit_segment(encryption="cipher_null-ecb"),
    "another cipher": edit_segment(encryption="aes-cbc-essiv:sha256"),
    "offset": edit_segment(offset=lambda offset: str(int(offset) + 4096)),
    "sector size": edit_segment(sector_size=4096),
    "IV": edit_segment(iv_tweak="8"),
    "size": edit_segment(size=str(1 << 20)),
    "integrity": edit_segment(integrity={"type": "hmac(sha256)", "journal_encryption": "none",
                                         "journal_integrity": "none"}),
    "linear": make_linear,
    "second segment": add_segment,
    "requirements": put("config/requirements", {"mandatory": ["later"]}),
    "digest": put("digests/0/digest", flip),
    "digest's iterations": put("digests/0/iterations", 2000),
}


@pytest.mark.parametrize("name", HEADER_EDITS)
def test_threat_25_header_edited(bench, enrolled, name):
    """What the volume is differs from its pin: status 9 before anybody is asked."""
    enrolled.edit(HEADER_EDITS[name])
    result = bench.unlock(enrolled)
    assert result.rc == 9, result
    done = bench.unlock_all()
    assert done.rc == 9 and done.prompts == () and not done.volume(enrolled.name)["opened"]


def test_threat_25_pending_reencryption(bench, enrolled):
    """A re-encryption that was begun: status 9, and how to finish it."""
    subprocess.run(["cryptsetup", "reencrypt", "--batch-mode", "--init-only", "--key-slot=0", "--key-file=-",
                    "--pbkdf=pbkdf2", "--pbkdf-force-iterations=1000", enrolled.path], input=PASSPHRASE.encode(),
                   check=True)
    result = bench.unlock(enrolled)
    assert result.rc == 9 and "cryptsetup reencrypt" in result.stderr, result
    assert bench.unlock_all().rc == 9


@pytest.mark.parametrize("name", ["cipher_null", "offset", "second segment"])
def test_threat_25_verbs_write_to_no_edited_header(bench, enrolled, name):
    """Nor is anything approved on it."""
    enrolled.edit(HEADER_EDITS[name])
    before = enrolled.header()
    bench.boot(OTHER_BOOT)
    result = bench.reseal()
    assert result.rc == 9 and enrolled.name in result.stderr
    assert enrolled.header() == before


def test_threat_25_enroll_refuses_cipher_null(bench, volume):
    """A volume that does not encrypt is not enrolled in the first place."""
    volume.edit(HEADER_EDITS["cipher_null"])
    assert bench.try_enroll(volume).rc == 9


def test_header_edits_that_do_not_matter(bench, enrolled):
    """The control: label, subsystem and flags are no facts; nor is one more passphrase."""
    enrolled.edit(lambda metadata: metadata["config"].update(flags=["allow-discards"]))
    enrolled.add_passphrase("another")
    assert bench.unlock(enrolled).rc == 0
    assert bench.unlock_all(PIN).rc == 0


def test_keyslot_of_the_protector_edited(bench, enrolled):
    """The keyslot's own record: the key does not open it, status 9, and no try is counted."""
    (keyslot,) = enrolled.token()["keyslots"]
    enrolled.edit(lambda metadata: put(f"keyslots/{keyslot}/kdf/salt", flip)(metadata))
    result = bench.unlock(enrolled)
    assert result.rc == 9, result
    bench.tpm.power_cut()
    assert bench.tpm.lockout_counter() == 0


def test_state_is_not_the_header(bench, enrolled):
    """approval.json and the token say the same list, the token without words for people; only the former counts."""
    state = json.loads((bench.state / "approval.json").read_text())
    token = enrolled.token("bootseal-approval")
    keys = ("bank", "pcrs", "cap", "branches", "objects", "values", "next")
    words = ("label", "source", "entry", "approved_in")
    assert all(state["branches"][1][word] for word in words)
    for word in words:
        del state["branches"][1][word]
    assert {key: state[key] for key in keys} == {key: token[key] for key in keys}
