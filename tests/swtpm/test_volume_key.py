"""The payload volume-key: the TPM keeps the volume key itself, and the volume opens without any keyslot."""

import pytest

import attacker
import cut_writes
import pcap
from bootseal import NEW_PIN, PASSPHRASE, PIN, check_schema

WRONG_PIN = "1111111111"


@pytest.fixture(name="sealed")
def make_sealed(bench, volume):
    """A volume whose key the TPM keeps, beside a passphrase."""
    result = bench.enroll(volume, "--payload", "volume-key")
    check_schema(result, "enroll")
    assert result["payload"] == "volume-key" and result["keyslot"] is None
    return volume


@pytest.fixture(name="keyless")
def make_keyless(sealed):
    """The same, with the passphrase's keyslot gone too."""
    sealed.remove_passphrase()
    assert sealed.keyslots() == set()
    return sealed


def test_token(sealed):
    """No keyslot is made and none is named; else the token is like others."""
    token = sealed.token()
    assert token["payload"] == "volume-key" and token["keyslots"] == [] and token["kind"] == "tpm2-pin"
    assert sealed.keyslots() == {0} and sealed.tokens("bootseal-pending") == {}
    assert sealed.opens_with(PASSPHRASE)


def test_sealed_data(bench, sealed):
    """As the design says: nonce, the key encrypted by what B gives, tag."""
    token = sealed.token()
    auth, mix = attacker.stretch(token, PIN)
    data = attacker.unseal(bench.tpm, token, sealed.token("bootseal-approval"), attacker.index_handle(bench.state), auth)
    assert len(data) == 12 + len(sealed.volume_key()) + 16
    assert attacker.volume_key(data, mix, token["id"]) == sealed.volume_key()


def test_sealed_data_without_a_pin(bench, volume):
    """B is empty, and the object has no authValue."""
    bench.enroll(volume, "--payload", "volume-key", "--no-pin", pin=None)
    token = volume.token()
    data = attacker.unseal(bench.tpm, token, volume.token("bootseal-approval"), attacker.index_handle(bench.state))
    assert attacker.volume_key(data, b"", token["id"]) == volume.volume_key()
    assert bench.unlock(volume, pin=None).rc == 0
    volume.remove_passphrase()
    done = bench.unlock_all()
    assert done.rc == 0 and done.prompts == () and done.volume(volume.name)["by"] == "tpm2"


def test_opens(bench, keyless):
    """In the initramfs, by the boot state, and by the authority: without any keyslot."""
    assert bench.unlock(keyless).rc == 0
    assert bench.unlock(keyless, pin=WRONG_PIN).rc == 4
    done = bench.unlock_all(WRONG_PIN, PIN)
    assert done.rc == 0 and done.volume(keyless.name)["opened"]
    assert "authority" in bench.unlock(keyless).stdout


def test_status(bench, keyless):
    """Protected, and said to be what it is."""
    status = bench.status()
    check_schema(status, "status")
    (volume,) = status["volumes"]
    (protector,) = volume["protectors"]
    assert protector["payload"] == "volume-key" and protector["keyslot"] is None
    assert volume["state"] == "protected" and volume["uuid"] == keyless.uuid
    assert "volume-key" in bench.bootseal("status").stdout


def test_unknown_payload(bench, volume):
    """Status 2."""
    result = bench.try_enroll(volume, "--payload", "passphrase")
    assert result.rc == 2 and "volume-key" in result.stderr


def test_beside_a_keyslot(bench):
    """Volumes of both payloads share PIN and question."""
    first, second = bench.volume(), bench.volume()
    bench.enroll(first)
    bench.enroll(second, "--payload", "volume-key")
    assert first.token()["kdf"] == second.token()["kdf"]
    done = bench.unlock_all(PIN)
    assert done.rc == 0 and len(done.prompts) == 1


# ---- edited headers ----

def test_threat_25_another_digest(bench, sealed):
    """The header's digest of the key was edited: not the pinned volume."""
    sealed.edit(lambda metadata: metadata["digests"]["0"].update(iterations=2000))
    assert bench.unlock(sealed).rc == 9
    assert bench.unlock_all().rc == 9


def test_threat_25_another_cipher(bench, keyless):
    """Nothing but the facts says what the key is for."""
    keyless.edit(lambda metadata: metadata["segments"]["0"].update(encryption="cipher_null-ecb"))
    assert bench.unlock(keyless).rc == 9


def test_threat_25_key_of_another_volume(bench, sealed):
    """The token of one volume in the header of another: the key unseals, and is not that volume's."""
    other = bench.volume()
    bench.enroll(other, "--payload", "volume-key")
    other.put_token(sealed.token())
    result = bench.unlock(other)
    assert result.rc == 9 and "not the volume's" in result.stderr
    done = bench.unlock_all(PIN)
    assert done.rc == 9 and done.volume(sealed.name)["opened"] and not done.volume(other.name)["opened"]


@pytest.mark.parametrize("payload", ["keyslot", "volume-key"])
def test_threat_15_payload_is_edited(bench, volume, payload):
    """What is sealed is no key of the other kind."""
    bench.enroll(volume, "--payload", payload)
    other = {"keyslot": ("volume-key", []), "volume-key": ("keyslot", ["0"])}[payload]
    volume.edit_token(lambda token: token.update(payload=other[0], keyslots=other[1]))
    assert bench.unlock(volume).rc == 9
    assert bench.unlock_all(PIN).rc == 9


def test_threat_15_keyslot_is_named(bench, sealed):
    """A keyslot beside the volume key means nothing, and is refused."""
    sealed.edit_token(lambda token: token.update(keyslots=["0"]))
    assert bench.unlock(sealed).rc == 9


def test_threat_15_id_is_edited(bench, sealed):
    """The ID is part of the key's derivation."""
    sealed.edit_token(lambda token: token.update(id="11111111-2222-4333-8444-555555555555"))
    assert bench.unlock(sealed).rc == 9


# ---- changes ----

def test_change_pin(bench, sealed):
    """The new protector keeps the payload; the old PIN is dead, with the old header too."""
    old = sealed.header()
    result = bench.change_pin("--json", sealed)
    assert result.rc == 0, result
    check_schema(result.json, "change-pin")
    assert result.json["changed"][0]["keyslot"] is None
    assert sealed.token()["payload"] == "volume-key" and sealed.keyslots() == {0}
    assert sealed.tokens("bootseal-pending") == {}
    assert bench.unlock(sealed, pin=NEW_PIN).rc == 0 and bench.unlock(sealed).rc == 4
    sealed.put_header(old)
    assert bench.unlock(sealed).rc == 9


def test_change_pin_without_a_keyslot(bench, keyless):
    """The old PIN is all that is needed."""
    assert bench.change_pin(keyless).rc == 0
    assert bench.unlock(keyless, pin=NEW_PIN).rc == 0
    assert "(volume-key)" in bench.change_pin(keyless, pin=NEW_PIN, new=PIN).stdout
    assert bench.unlock_all(PIN).rc == 0


def test_change_pin_by_a_passphrase(bench, sealed):
    """A passphrase gives the volume key as well."""
    assert bench.change_pin(sealed, key=PASSPHRASE).rc == 0
    assert bench.unlock(sealed, pin=NEW_PIN).rc == 0


def test_threat_23_last_way_in_of_a_machine(bench, keyless):
    """Status 10; --force-last loses the data."""
    result = bench.bootseal("remove", keyless)
    assert result.rc == 10 and "last way" in result.stderr
    assert bench.unlock(keyless).rc == 0
    assert bench.bootseal("remove", "--force-last", "--confirm", keyless.name, keyless).rc == 0
    assert keyless.tokens("bootseal") == {}


def test_threat_23_one_of_two(bench, volume):
    """A volume key that stays sealed is a way in: the other protector, and its keyslot, may go."""
    with_key = bench.enroll(volume, "--payload", "volume-key")["protector"]
    without_pin = bench.enroll(volume, "--no-pin", pin=None)["protector"]
    volume.remove_passphrase()
    assert bench.bootseal("remove", "--protector", without_pin, volume).rc == 0
    assert volume.keyslots() == set() and volume.token()["id"] == with_key
    assert bench.unlock(volume).rc == 0
    assert bench.bootseal("remove", "--protector", with_key, volume).rc == 10


def test_remove(bench, sealed):
    """Token and object go, the passphrase stays."""
    result = bench.bootseal("remove", "--json", sealed)
    assert result.rc == 0 and result.json == {"removed": 1, "keyslots_left": 1}
    assert sealed.metadata()["tokens"] == {} and sealed.opens_with(PASSPHRASE)


def test_threat_07_no_secret_on_the_bus(bench, volume):
    """Neither the volume key nor its frame, over enroll, unlock and change-pin, with a PIN and without."""
    other = bench.volume()
    with bench.recording() as commands:
        bench.enroll(volume, "--payload", "volume-key")
        bench.enroll(other, "--payload", "volume-key", "--no-pin", pin=None)
        assert bench.unlock(volume).rc == 0 and bench.unlock(other, pin=None).rc == 0
        assert bench.change_pin(volume).rc == 0
    assert {"Create", "Unseal"} <= {command.name for command in commands}
    for each in (volume, other):
        key = each.volume_key()
        for part in (key, key[:32], key[32:]):
            assert pcap.exposing(commands, part) == []


# ---- power cuts ----

@pytest.mark.parametrize("number", range(1, 50, 2))
def test_threat_16_change_pin(bench, keyless, number):
    """With no keyslot at all: one PIN opens, whenever the power goes."""
    argv = bench.arguments("change-pin", "--policy", bench.policy, "--new-pin-file",
                           bench.secret_file(NEW_PIN, "new-pin"), keyless, pin=PIN)
    bench.run(argv, environment=cut_writes.environment(keyless, number))
    bench.tpm.power_cut()
    bench.boot()
    (pin,) = [pin for pin in (PIN, NEW_PIN) if bench.unlock(keyless, pin=pin).rc == 0]
    assert bench.change_pin(keyless, pin=pin, new="481526").rc == 0
    assert bench.unlock(keyless, pin="481526").rc == 0
    assert keyless.keyslots() == set() and keyless.tokens("bootseal-pending") == {}
    assert len(keyless.token("bootseal-approval")["objects"]) == 1
