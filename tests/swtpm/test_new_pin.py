"""What bootseal change-pin means for the TPM: the old PIN is dead there, whatever header comes back; and several
volumes that share a PIN, or do not."""

import pytest

import attacker
import pcap
from bootseal import NEW_PIN, PASSPHRASE, PIN

OTHER_PIN = "9085746321"
WRONG_PIN = "1111111111"


@pytest.fixture(name="changed")
def make_changed(bench, enrolled):
    """A volume whose PIN was changed, and its header of before."""
    old = enrolled.header()
    assert bench.change_pin(enrolled).rc == 0
    return enrolled, old


def test_threat_13_old_header(bench, changed):
    """The old header with the old PIN: refused here and in the initramfs, though its keyslot is back; nothing counts."""
    volume, old = changed
    volume.put_header(old)
    assert bench.unlock(volume).rc == 9
    assert bench.unlock(volume, pin=NEW_PIN).rc == 9
    done = bench.unlock_all()
    assert done.rc == 9 and done.prompts == ()
    assert bench.tpm.lockout_counter() == 0


def test_threat_13_old_header_by_the_authority(bench, changed):
    """Nor in the running system; and the old PIN does not change itself back into force."""
    volume, old = changed
    volume.put_header(old)
    bench.cap()
    assert bench.unlock(volume).rc == 9
    refused = bench.change_pin(volume, new=OTHER_PIN)
    assert refused.rc == 9 and "not in force" in refused.stderr


def test_threat_13_old_token_in_the_new_header(bench, changed):
    """Old object, old keyslot's number, the list of now: not in it."""
    volume, old = changed
    new = volume.header()
    volume.put_header(old)
    token = volume.token()
    volume.put_header(new)
    volume.put_token({**token, "keyslots": volume.token()["keyslots"]})
    result = bench.unlock(volume)
    assert result.rc == 9 and "not in force" in result.stderr


def test_threat_13_old_object_by_hand(bench, changed):
    """With tpm2-tools and the old PIN, in the approved boot state: neither list opens a way."""
    volume, old = changed
    new_list, new_token = volume.token("bootseal-approval"), volume.token()
    volume.put_header(old)
    old_list, token = volume.token("bootseal-approval"), volume.token()
    index = attacker.index_handle(bench.state)
    auth, _ = attacker.stretch(token, PIN)
    with pytest.raises(RuntimeError, match="tpm2_policyauthorizenv"):
        attacker.unseal(bench.tpm, token, old_list, index, auth)
    with pytest.raises(RuntimeError, match="tpm2_unseal"):
        attacker.unseal(bench.tpm, token, new_list, index, auth, path_of=new_token)
    new_auth, _ = attacker.stretch(new_token, NEW_PIN)
    assert len(attacker.unseal(bench.tpm, new_token, new_list, index, new_auth)) == 32


def test_old_header_and_a_passphrase(bench, changed):
    """Whoever put the old header back by mistake gets out of it by a passphrase; both old PINs are dead then."""
    volume, old = changed
    volume.put_header(old)
    assert bench.change_pin(volume, new=OTHER_PIN, key=PASSPHRASE).rc == 0
    assert bench.unlock(volume, pin=OTHER_PIN).rc == 0
    assert bench.unlock(volume).rc == 4 and bench.unlock(volume, pin=NEW_PIN).rc == 4
    # the object of the PIN between them went with its header: nobody here can name it
    assert volume.keyslots() == {0, 2} and volume.tokens("bootseal-pending") == {}


def test_threat_07_no_secret_on_the_bus(bench, enrolled):
    """Neither of the PINs, nor what comes of them."""
    old = attacker.secrets_of(bench.tpm, enrolled, bench.state, PIN)
    with bench.recording() as commands:
        assert bench.change_pin(enrolled, pin=WRONG_PIN).rc == 4
        assert bench.change_pin(enrolled).rc == 0
    new = attacker.secrets_of(bench.tpm, enrolled, bench.state, NEW_PIN)
    assert {"Create", "Unseal", "NV_Write"} <= {command.name for command in commands}
    for secrets, pin in ((old, PIN), (new, NEW_PIN)):
        for secret in (pin.encode(), secrets.auth, secrets.mix, secrets.sealed, secrets.key, secrets.passphrase,
                       enrolled.volume_key()):
            assert pcap.exposing(commands, secret) == []


def test_threat_06_power_cut_afterwards(bench, enrolled):
    """The PINs were right, so pulling the plug costs no try."""
    assert bench.change_pin(enrolled).rc == 0
    bench.tpm.power_cut()
    assert bench.tpm.lockout_counter() == 0


def test_threat_03_another_tpm(bench, enrolled):
    """A cleared TPM: status 6, nothing is changed."""
    header = enrolled.header()
    bench.tpm.clear()
    assert bench.change_pin(enrolled).rc == 6
    assert bench.change_pin(enrolled, key=PASSPHRASE).rc == 6
    assert enrolled.header() == header


def test_threat_14_lost_index(bench, enrolled):
    """The approval index was deleted: it is made again on the way."""
    bench.tpm.tool("tpm2_nvundefine", "-C", "o", attacker.index_handle(bench.state))
    assert bench.change_pin(enrolled).rc == 0
    assert bench.unlock(enrolled, pin=NEW_PIN).rc == 0


def test_threat_26_edited_cost(bench, enrolled):
    """A cost below the pinned one: status 9, nothing is derived or tried."""
    enrolled.edit_token(lambda token: token["kdf"].update(memory_kib=4096))
    assert bench.change_pin(enrolled).rc == 9
    assert bench.tpm.lockout_counter() == 0


def test_threat_26_edited_list(bench, enrolled):
    """The list that counts is the state folder's: the header's comes right with the change."""
    enrolled.edit_token(lambda token: token.update(objects=[]), "bootseal-approval")
    assert bench.change_pin(enrolled).rc == 0
    assert bench.unlock(enrolled, pin=NEW_PIN).rc == 0
    bench.boot()
    assert bench.unlock_all(NEW_PIN).rc == 0


def test_threat_25_edited_header(bench, enrolled):
    """Another cipher: status 9, by PIN and by passphrase."""
    enrolled.edit(lambda metadata: metadata["segments"]["0"].update(encryption="aes-cbc-essiv:sha256"))
    assert bench.change_pin(enrolled).rc == 9
    assert bench.change_pin(enrolled, key=PASSPHRASE).rc == 9


def test_threat_16_forged_leftover(bench, enrolled):
    """A pending token names the passphrase's keyslot, and the object in force: both stay."""
    pending = {"type": "bootseal-pending", "keyslots": [], "planned_keyslot": 0}
    enrolled.put_token({**enrolled.token(), **pending}, 20)
    assert bench.change_pin(enrolled, pin=WRONG_PIN).rc == 4
    assert bench.change_pin(enrolled, new="12", key=PASSPHRASE).rc == 2
    assert enrolled.tokens("bootseal-pending") == {}
    assert enrolled.opens_with(PASSPHRASE) and bench.unlock(enrolled).rc == 0


# ---- several volumes ----

def enroll_two(bench, first_pin=PIN, second_pin=PIN):
    """Two enrolled volumes."""
    volumes = [bench.volume(), bench.volume()]
    for volume, pin in zip(volumes, (first_pin, second_pin)):
        bench.enroll(volume, pin=pin)
    return volumes


def test_all_that_share_it(bench):
    """Without DEVICE: one try, both have the new PIN, and still share the question."""
    first, second = enroll_two(bench)
    result = bench.change_pin("--json")
    assert result.rc == 0
    assert [each["volume"] for each in result.json["changed"]] == [first.uuid, second.uuid]
    assert first.token()["kdf"] == second.token()["kdf"]
    assert len(first.token("bootseal-approval")["objects"]) == 2
    done = bench.unlock_all(NEW_PIN)
    assert done.rc == 0 and len(done.prompts) == 1
    bench.boot()
    assert bench.unlock(first).rc == 4 and bench.unlock(second).rc == 4


def test_wrong_for_all_that_share_it(bench):
    """One count for the one salt."""
    enroll_two(bench)
    assert bench.change_pin(pin=WRONG_PIN).rc == 4
    assert bench.tpm.lockout_counter() == 1


def test_only_those_that_it_opens(bench):
    """The other one keeps its PIN, and the try that it has cost is forgiven."""
    first, second = enroll_two(bench, PIN, OTHER_PIN)
    result = bench.change_pin("--json", pin=OTHER_PIN)
    assert result.rc == 0 and [each["volume"] for each in result.json["changed"]] == [second.uuid]
    assert bench.tpm.lockout_counter() == 0
    assert bench.unlock(first).rc == 0 and bench.unlock(second, pin=NEW_PIN).rc == 0


def test_one_of_them(bench):
    """With DEVICE: the other one keeps the old PIN, and each is asked for."""
    first, second = enroll_two(bench)
    assert bench.change_pin(first).rc == 0
    assert bench.unlock(first, pin=NEW_PIN).rc == 0 and bench.unlock(second).rc == 0
    assert len(bench.unlock_all(NEW_PIN, PIN).prompts) == 2


def test_one_after_the_other(bench):
    """A volume that gets another one's PIN shares its question, and finding that out has cost no try."""
    first, second = enroll_two(bench)
    assert bench.change_pin(first).rc == 0 and bench.change_pin(second, key=PASSPHRASE).rc == 0
    assert first.token()["kdf"] == second.token()["kdf"]
    assert bench.tpm.lockout_counter() == 0
    assert len(bench.unlock_all(NEW_PIN).prompts) == 1


def test_volumes_without_a_pin_stay_out(bench):
    """There is no PIN to change on them."""
    first, second = bench.volume(), bench.volume()
    bench.enroll(first, "--no-pin", pin=None)
    bench.enroll(second)
    token = first.token()
    result = bench.change_pin("--json")
    assert result.rc == 0 and [each["volume"] for each in result.json["changed"]] == [second.uuid]
    assert first.token() == token
    assert bench.unlock_all(NEW_PIN).rc == 0


def test_missing_volume(bench):
    """All or none: a volume that is not there keeps the others as they are."""
    first, second = enroll_two(bench)
    second.path.rename(bench.folder / "away")
    header = first.header()
    assert bench.change_pin().rc == 1
    assert first.header() == header
    (bench.folder / "away").rename(second.path)
    assert bench.change_pin().rc == 0


def test_one_that_cannot_be_changed(bench):
    """The second has no keyslot left: the first keeps its PIN too, and nothing is left over."""
    first, second = enroll_two(bench)
    while len(second.keyslots()) < 8:
        second.add_passphrase(f"passphrase {len(second.keyslots())}")
    result = bench.change_pin()
    assert result.rc == 10 and "the PIN is as it was" in result.stderr
    for volume in (first, second):
        assert bench.unlock(volume).rc == 0
        assert volume.tokens("bootseal-pending") == {}
        assert len(volume.token("bootseal-approval")["objects"]) == 2
    assert first.keyslots() == {0, 1}
