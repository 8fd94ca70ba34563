"""What a probe on the TPM's bus records: none of the secrets, in no form, by no verb."""

import base64

import pytest

import attacker
import pcap
from bootseal import MEASURED, PASSPHRASE, PIN, Bench


@pytest.fixture(name="life", scope="module")
def make_life(tmp_path_factory):
    """Everything that bootseal does in the life of a protector: the record, and the secrets by name."""
    with Bench(tmp_path_factory.mktemp("life")) as bench:
        bench.measure(MEASURED)
        return live(bench, bench.volume())


def live(bench, volume):
    """What make_life() gives."""
    with bench.recording() as commands:
        bench.enroll(volume)
        assert bench.unlock(volume).rc == 0
        assert bench.unlock(volume, pin="1111111111").rc == 4
        bench.enroll(bench.volume())
    secrets = attacker.secrets_of(bench.tpm, volume, bench.state, PIN)
    lockout_auth = (bench.state / "lockout-auth").read_bytes()
    # the initramfs, the authority's unseal, and what changes the approval
    with bench.recording() as more:
        assert bench.unlock_all("2222222222", PIN).rc == 0
        assert "authority" in bench.unlock(volume).stdout
        assert bench.reseal().rc == 0
        assert bench.bootseal("status").rc == 0
        assert bench.bootseal("remove", volume).rc == 0
    assert volume.opens_with(PASSPHRASE)
    return commands + more, {
        "PIN": PIN.encode(), "A": secrets.auth, "B": secrets.mix, "A and B": secrets.auth + secrets.mix,
        "S": secrets.sealed, "K": secrets.key, "keyslot's passphrase": secrets.passphrase,
        "volume key": volume.volume_key(), "half a volume key": volume.volume_key()[:32],
        "lockout authorisation": lockout_auth, "passphrase": PASSPHRASE.encode(),
    }


def test_threat_07_no_secret_on_the_bus(life):
    """Over enroll, unlock in both ways, the initramfs, reseal, status and remove."""
    commands, secrets = life
    used = {command.name for command in commands}
    assert {"Create", "Unseal", "HierarchyChangeAuth", "NV_Write", "PolicySigned", "PCR_Event"} <= used
    found = {name: pcap.exposing(commands, secret) for name, secret in secrets.items()}
    assert found == {name: [] for name in secrets}


def test_threat_07_secrets_are_what_they_are_called(bench, enrolled):
    """What is searched for is right: it opens the keyslot, and the lockout hierarchy."""
    secrets = attacker.secrets_of(bench.tpm, enrolled, bench.state, PIN)
    assert len(secrets.auth) == len(secrets.mix) == len(secrets.sealed) == 32
    assert base64.b64decode(secrets.passphrase) == secrets.key
    assert enrolled.opens_with(secrets.passphrase.decode())
    lockout_auth = (bench.state / "lockout-auth").read_bytes()
    bench.tpm.tool("tpm2_dictionarylockout", "--clear-lockout", "-p", f"hex:{lockout_auth.hex()}")


def test_threat_07_search_finds_what_is_there(bench, enrolled):
    """The control: a careless program's Create, recorded in the same way, gives everything away."""
    assert enrolled
    auth, sealed = bytes(range(32)), bytes(range(100, 132))
    with bench.recording() as commands:
        result = bench.run(["tpm2_create", "-C", attacker.SRK, "-i", "-", "-p", f"hex:{auth.hex()}", "-u",
                            bench.folder / "public", "-r", bench.folder / "private"], stdin=sealed,
                           environment={"TPM2TOOLS_TCTI": bench.tcti})
    assert result.rc == 0, result
    assert pcap.exposing(commands, auth) == ["Create"] and pcap.exposing(commands, sealed) == ["Create"]
    assert pcap.exposing(commands, bytes(32 * [7])) == []


@pytest.mark.parametrize("form", ["raw", "hex", "base64"])
def test_threat_07_search_knows_the_forms(bench, enrolled, form):
    """The control for each form."""
    secret = bytes(range(200, 232))
    written = {"raw": secret, "hex": secret.hex().encode(), "base64": base64.b64encode(secret)}[form]
    assert enrolled
    with bench.recording() as commands:
        bench.run(["tpm2_hash", "-C", "n", "-g", "sha256", "--hex"], stdin=b"before" + written + b"after",
                  environment={"TPM2TOOLS_TCTI": bench.tcti})
    assert pcap.exposing(commands, secret) != []


SESSION_TAG = 0x8002
PASSWORD_SESSION = (0x40000009).to_bytes(4, "big")
HANDLES = {"Create": 1, "Unseal": 1, "HierarchyChangeAuth": 1, "DictionaryAttackParameters": 1,
           "DictionaryAttackLockReset": 1}


def authorisations(command):
    """(session, attributes, HMAC) of each authorisation in a command."""
    area = command.request[10 + 4 * HANDLES[command.name]:]
    size, area = int.from_bytes(area[:4], "big"), area[4:]
    area = area[:size]
    while area:
        session, area = area[:4], area[4:]
        nonce = int.from_bytes(area[:2], "big")
        attributes, area = area[2 + nonce], area[2 + nonce + 1:]
        length = int.from_bytes(area[:2], "big")
        yield session, attributes, area[2:2 + length]
        area = area[2 + length:]


def test_threat_07_sessions_that_carry_secrets(life):
    """Each is a real session, authorised by HMAC; the one parameter that holds a secret is encrypted."""
    commands, _ = life
    decrypt, encrypt = 0x20, 0x40
    needed = {"Create": decrypt, "HierarchyChangeAuth": decrypt, "Unseal": encrypt, "DictionaryAttackParameters": 0,
              "DictionaryAttackLockReset": 0}
    seen = [command for command in commands if command.name in needed]
    assert {command.name for command in seen} >= {"Create", "HierarchyChangeAuth", "Unseal"}
    for command in seen:
        assert int.from_bytes(command.request[:2], "big") == SESSION_TAG
        (authorisation,) = authorisations(command)
        session, attributes, hmac = authorisation
        assert session != PASSWORD_SESSION and len(hmac) == 32, command.name
        assert attributes & needed[command.name] == needed[command.name], command.name


def test_threat_07_sessions_are_salted(life):
    """Every session is salted to the SRK: its handle and an encrypted salt are in StartAuthSession."""
    commands, _ = life
    started = [command for command in commands if command.name == "StartAuthSession"]
    assert started
    for command in started:
        assert command.request[10:14] == int(attacker.SRK, 16).to_bytes(4, "big")
        nonce = int.from_bytes(command.request[18:20], "big")
        salt = command.request[20 + nonce:]
        assert int.from_bytes(salt[:2], "big") > 60


def test_threat_07_unsealed_secret_differs_on_the_wire(bench, enrolled):
    """Twice the same S: two different answers."""
    with bench.recording() as commands:
        bench.unlock(enrolled)
        bench.unlock(enrolled)
    answers = [command.response for command in commands if command.name == "Unseal" and command.rc == 0]
    assert len(answers) == 2 and answers[0][14:50] != answers[1][14:50]
