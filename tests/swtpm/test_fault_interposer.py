"""Somebody between processor and TPM who changes commands and answers: he gets nothing, and breaks nothing for good."""

import base64
import json
import shutil

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

import attacker
import fault
import pcap
from bootseal import NEW_PIN, PASSPHRASE, PIN


# ---- his own storage root key ----

def srk_of(state) -> bytes:
    """The pinned public area of the SRK."""
    return base64.b64decode(json.loads((state / "pins.json").read_text(encoding="utf-8"))["srk"]["public"])


def own_key(public: bytes) -> bytes:
    """The same public area with a key that is the attacker's."""
    numbers = ec.generate_private_key(ec.SECP256R1()).public_key().public_numbers()
    return public[:-66] + numbers.x.to_bytes(32, "big") + b"\x00\x20" + numbers.y.to_bytes(32, "big")


def swaps(public: bytes) -> list:
    """What makes each answer show his key in place of the TPM's, Name and all."""
    own = own_key(public)
    return [(public[-66:], own[-66:]), (attacker.object_name(public), attacker.object_name(own))]


def run(bench, argv, *swapped, **options):
    """Run a program across his bus: (result, names of the commands that it sent)."""
    log = bench.folder / "log"
    log.unlink(missing_ok=True)
    tcti = fault.tcti(bench.tpm, *swapped, log=log, child=bench.tcti, **options)
    done = bench.run(argv, environment={"BOOTSEAL_TCTI": tcti})
    return done, fault.commands(log)


def test_threat_08_pinned_key_is_not_asked_for(bench, enrolled):
    """Unlocking takes the SRK from the pins: what he would say about it is never heard."""
    log = bench.folder / "log"
    tcti = fault.tcti(bench.tpm, *swaps(srk_of(bench.state)), log=log)
    assert bench.bootseal("unlock", "--test", enrolled, pin=PIN, environment={"BOOTSEAL_TCTI": tcti}).rc == 0
    assert bench.unlock_all(PIN, tcti=tcti).rc == 0
    assert not {"ReadPublic", "NV_ReadPublic", "CreatePrimary"} & set(fault.commands(log))


@pytest.mark.parametrize("verb", ["reseal", "enroll", "change-pin", "provision"])
def test_threat_08_own_key_offered(bench, enrolled, verb):
    """It is not the pinned one: status 6 or 9, and not one session is salted to it."""
    argv = {
        "reseal": lambda: bench.arguments("reseal", "--current", "--current-values"),
        "enroll": lambda: bench.arguments("enroll", *bench.enroll_options, bench.volume(), pin=PIN, key=PASSPHRASE),
        "change-pin": lambda: bench.arguments("change-pin", "--policy", bench.policy, "--new-pin-file",
                                              bench.secret_file(NEW_PIN, "new-pin"), enrolled, pin=PIN),
        "provision": lambda: bench.arguments("provision", "--policy", bench.policy, "--allow-unencrypted-state"),
    }[verb]()
    done, sent = run(bench, argv, *swaps(srk_of(bench.state)))
    assert done.rc in (6, 9), done
    assert "ReadPublic" in sent and not {"StartAuthSession", "Create", "NV_Write", "HierarchyChangeAuth"} & set(sent)
    assert bench.unlock(enrolled).rc == 0


def test_threat_08_own_key_at_the_first_enrolment(bench, volume):
    """Nothing is pinned yet, but the TPM cannot take part in a session that is salted to his key: nothing is sealed."""
    bench.tpm.set_lockout(32, 600, 0)
    bench.tpm.stop()
    before = bench.tpm.copy_state(bench.folder / "before")
    bench.tpm.start()
    assert bench.provision().rc == 0
    public = srk_of(bench.state)
    bench.tpm.stop()
    shutil.rmtree(bench.state)
    shutil.rmtree(bench.tpm.state_dir)
    shutil.copytree(before, bench.tpm.state_dir)
    bench.tpm.start()
    bench.boot()
    argv = bench.arguments("enroll", *bench.enroll_options, volume, pin=PIN, key=PASSPHRASE)
    with bench.recording() as commands:
        done, _ = run(bench, argv, *swaps(public))
    assert done.rc == 6, done
    in_sessions = [command for command in commands
                   if command.name in ("HierarchyChangeAuth", "DictionaryAttackParameters", "Create", "NV_Write")]
    assert in_sessions and all(command.rc != 0 for command in in_sessions)
    assert volume.metadata()["tokens"] == {} and volume.keyslots() == {0}
    bench.boot()
    shutil.rmtree(bench.state)
    bench.enroll(volume)
    assert bench.unlock(volume).rc == 0


# ---- attributes, changed on the wire ----

# of the session that is the one authorisation of a command with one handle: after header, handle and size; its handle
# and its nonce of 32 bytes are before it
SESSION_ATTRIBUTES = 10 + 4 + 4 + 4 + 2 + 32
CONTINUE, AUDIT, DECRYPT, ENCRYPT = 0x01, 0x80, 0x20, 0x40


def edit(place: int, bits: int) -> int:
    """The value of do=command and do=command-end: one byte."""
    return place << 8 | bits


@pytest.mark.parametrize("bits", [ENCRYPT, DECRYPT, CONTINUE, AUDIT])
def test_threat_08_session_attributes_of_unseal(bench, enrolled, bits):
    """Response encryption taken away: the TPM does not answer such a command."""
    sealed = attacker.secrets_of(bench.tpm, enrolled, bench.state, PIN).sealed
    with bench.recording() as commands:
        done, _ = run(bench, bench.arguments("unlock", "--test", enrolled, pin=PIN), code="15e", times=0, do="command",
                      value=edit(SESSION_ATTRIBUTES, bits))
    unseals = [command for command in commands if command.name == "Unseal"]
    assert unseals and all(command.rc != 0 for command in unseals)
    assert done.rc in (4, 6) and pcap.exposing(commands, sealed) == []
    assert bench.unlock(enrolled).rc == 0


@pytest.mark.parametrize("name, code", [("Create", "153"), ("HierarchyChangeAuth", "129"),
                                        ("DictionaryAttackParameters", "13a")])
@pytest.mark.parametrize("bits", [DECRYPT, CONTINUE])
def test_threat_08_session_attributes_at_enrolment(bench, volume, name, code, bits):
    """Parameter encryption taken away: the TPM refuses, and no secret was in clear.

    It may take no lockout authorisation for a while after that: here, until the next start.
    """
    bench.tpm.set_lockout(32, 600, 0)
    argv = bench.arguments("enroll", *bench.enroll_options, volume, pin=PIN, key=PASSPHRASE)
    with bench.recording() as commands:
        done, _ = run(bench, argv, code=code, times=0, do="command", value=edit(SESSION_ATTRIBUTES, bits))
    struck = [command for command in commands if command.name == name]
    assert done.rc != 0 and struck and all(command.rc != 0 for command in struck)
    lockout_auth = bench.state / "lockout-auth"
    if lockout_auth.exists():
        assert pcap.exposing(commands, lockout_auth.read_bytes()) == []
    assert volume.opens_with(PASSPHRASE)
    bench.boot()
    bench.enroll(volume)
    assert bench.unlock(volume).rc == 0


# From the last byte of Create: PCRs 4, outside data 2, unique 2, scheme 2, policy 34; of Load: unique 34, scheme 2,
# policy 34. Then the attributes, the lowest byte first.
@pytest.mark.parametrize("code, place", [("153", 44), ("157", 70)], ids=["Create", "Load"])
@pytest.mark.parametrize("byte, bits", [(0, 0x40), (0, 0x02), (0, 0x80), (1, 0x04)],
                         ids=["userWithAuth", "fixedTPM", "adminWithPolicy", "noDA"])
def test_threat_08_object_attributes(bench, volume, code, place, byte, bits):
    """An object that could be had without its policy, or guessed at: neither made nor loaded."""
    argv = bench.arguments("enroll", *bench.enroll_options, volume, pin=PIN, key=PASSPHRASE)
    done, sent = run(bench, argv, code=code, times=0, do="command-end", value=edit(place + byte, bits))
    assert done.rc == 6 and sent.count("Unseal") == 0, done
    bench.enroll(volume)
    assert bench.unlock(volume).rc == 0


@pytest.mark.parametrize("bits", [0x02, 0x04], ids=["ownerwrite", "authwrite"])
def test_threat_08_index_attributes(bench, volume, bits):
    """An index that others could write: it is not the one that was ordered, nothing is sealed to it."""
    attributes = 10 + 4 + 4 + 9 + 2 + 2 + 4 + 2 + 3  # the lowest byte, in NV_DefineSpace with an empty password
    argv = bench.arguments("enroll", *bench.enroll_options, volume, pin=PIN, key=PASSPHRASE)
    done, sent = run(bench, argv, code="12a", times=0, do="command", value=edit(attributes, bits))
    assert done.rc == 6 and "NV_DefineSpace" in sent and "Unseal" not in sent, (done, sent)
    bench.enroll(volume)
    assert bench.unlock(volume).rc == 0
    public = bench.tpm.tool("tpm2_nvreadpublic", hex(attacker.index_handle(bench.state))).decode()
    assert "ownerwrite" not in public and "authwrite" not in public


@pytest.mark.parametrize("bit", [8 * 11 + 1, 8 * 11 + 2, 8 * 13], ids=["ownerwrite", "authwrite", "policy"])
def test_threat_08_index_shown_otherwise(bench, enrolled, bit):
    """NV_ReadPublic's answer: bootseal works with the pinned index, whatever is shown."""
    bench.boot({9: b"another initrd"})
    argv = bench.arguments("reseal", "--current", "--current-values")
    done, _ = run(bench, argv, code="169", times=0, do="flip", value=bit)
    assert done.rc in (0, 6), done
    assert bench.reseal().rc == 0
    assert bench.unlock(enrolled).rc == 0
    assert bench.tpm.lockout_counter() == 0


@pytest.mark.parametrize("code", ["153", "15e", "137", "14e"], ids=["Create", "Unseal", "NV_Write", "NV_Read"])
def test_threat_08_authenticated_answers(bench, enrolled, code):
    """One bit of an answer that a session authenticates: refused, the next run is as if nothing had been."""
    verb = {"153": "change-pin", "15e": "unlock", "137": "reseal", "14e": "reseal"}[code]
    argv = {"change-pin": ["--policy", bench.policy, "--new-pin-file", bench.secret_file(NEW_PIN, "new"), enrolled],
            "unlock": ["--test", enrolled], "reseal": ["--current", "--current-values", "--keep"]}[verb]
    pin = PIN if verb != "reseal" else None
    times = 2 if verb == "unlock" else 1  # the TPM wants the first use of a PIN again
    done, _ = run(bench, bench.arguments(verb, *argv, pin=pin), code=code, times=times, do="flip", value=8 * 6 + 1)
    assert done.rc == 6 and ("authentic" in done.stderr or "malformed" in done.stderr), done
    assert bench.unlock(enrolled).rc == 0
