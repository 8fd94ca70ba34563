"""Another TPM, a cleared one, and one whose owner authorisation is empty, so that anybody may try."""

import json
import shutil

import pytest

import attacker
from bootseal import PASSPHRASE, PIN, Bench
from swtpm import SoftwareTpm


def assert_refused(bench, volume, rc=6):
    """Both programs refuse, nobody is asked, the passphrase opens."""
    result = bench.unlock(volume)
    assert result.rc == rc, result
    done = bench.unlock_all()
    assert done.rc == rc and done.prompts == () and done.volume(volume.name)["status"] == rc
    assert volume.opens_with(PASSPHRASE)


def change_tpm(bench, folder):
    """Put another TPM into the machine and boot."""
    bench.tpm.stop()
    bench.tpm = SoftwareTpm(folder)
    bench.tpm.start()
    bench.boot()


@pytest.fixture(name="other")
def make_other(tmp_path):
    """Another machine that uses bootseal, switched off."""
    (tmp_path / "other").mkdir()
    with Bench(tmp_path / "other") as other:
        other.boot()
        other.enroll(other.volume())
    return other


def test_threat_03_tpm_cleared(bench, enrolled):
    """Status 6."""
    bench.tpm.clear()
    bench.boot()
    assert_refused(bench, enrolled)


def test_threat_03_new_tpm(bench, enrolled):
    """A TPM that nobody has used."""
    change_tpm(bench, bench.folder / "new")
    assert_refused(bench, enrolled)


def test_threat_03_foreign_tpm(bench, enrolled, other):
    """The disk in another machine that uses bootseal too: its TPM has an SRK and an index at the same handles."""
    change_tpm(bench, other.tpm.state_dir)
    assert_refused(bench, enrolled)


def test_threat_03_srk_deleted(bench, enrolled):
    """Only the SRK is gone."""
    bench.tpm.tool("tpm2_evictcontrol", "-C", "o", "-c", attacker.SRK)
    assert_refused(bench, enrolled)


def test_threat_03_srk_made_again(bench, enrolled):
    """It is the same key again, from the same seed: after a repair the old PIN works."""
    bench.tpm.tool("tpm2_evictcontrol", "-C", "o", "-c", attacker.SRK)
    assert bench.reseal().rc == 0
    assert bench.unlock(enrolled).rc == 0


def test_threat_08_other_key_at_the_srk_handle(bench, enrolled):
    """Somebody's own storage key where the SRK was: sessions are salted to the pinned one, so he learns nothing."""
    folder = bench.folder
    bench.tpm.tool("tpm2_evictcontrol", "-C", "o", "-c", attacker.SRK)
    bench.tpm.tool("tpm2_createprimary", "-C", "e", "-G", "ecc256:aes128cfb", "-c", folder / "key")
    bench.tpm.tool("tpm2_createprimary", "-C", "o", "-G", "ecc384:aes128cfb", "-c", folder / "key")
    bench.tpm.tool("tpm2_evictcontrol", "-C", "o", "-c", folder / "key", attacker.SRK)
    bench.tpm.flush()
    assert_refused(bench, enrolled)
    result = bench.reseal()
    assert result.rc == 6, result


# ---- the approval index ----

def test_index_deleted(bench, enrolled):
    """Status 6."""
    attacker.delete_index(bench.tpm, bench.state)
    assert_refused(bench, enrolled)


def test_threat_14_index_made_again(bench, enrolled):
    """Deleted and defined again with empty owner authorisation: refused, and repaired with no new enrolment."""
    token = enrolled.token()
    attacker.delete_index(bench.tpm, bench.state)
    attacker.define_index(bench.tpm, bench.state)
    assert_refused(bench, enrolled)
    assert bench.reseal().rc == 0
    assert bench.unlock(enrolled).rc == 0
    assert enrolled.token() == token
    bench.boot()
    assert bench.unlock_all(PIN).rc == 0


def test_threat_14_attacker_cannot_write_it(bench, enrolled):
    """By no authorisation that he has: owner, index, or a policy session of his own."""
    attacker.delete_index(bench.tpm, bench.state)
    attacker.define_index(bench.tpm, bench.state)
    handle = hex(attacker.index_handle(bench.state))
    data = b"\x00\x0b" + attacker.approved_digest(enrolled.token("bootseal-approval"))
    session = bench.folder / "session"
    bench.tpm.tool("tpm2_startauthsession", "--policy-session", "-S", session)
    for authorisation in (["-C", "o"], ["-C", handle], ["-C", handle, "-P", f"session:{session}"]):
        with pytest.raises(RuntimeError, match="tpm2_nvwrite"):
            bench.tpm.tool("tpm2_nvwrite", handle, *authorisation, "-i", "-", stdin=data)
    bench.tpm.flush()
    assert bench.unlock(enrolled).rc == 6


@pytest.mark.parametrize("attributes", ["authread|authwrite|ownerread|ownerwrite|no_da",
                                        "authread|policywrite|ownerwrite|writeall|no_da"])
def test_threat_14_writable_index(bench, enrolled, attributes):
    """An index that he can write has another Name: the right digest in it opens nothing, and reseal replaces it.

    Its Name counts when the TPM unseals, so the PIN may have been asked for; it is not counted.
    """
    attacker.delete_index(bench.tpm, bench.state)
    attacker.define_index(bench.tpm, bench.state, attributes)
    data = b"\x00\x0b" + attacker.approved_digest(enrolled.token("bootseal-approval"))
    bench.tpm.tool("tpm2_nvwrite", hex(attacker.index_handle(bench.state)), "-C", "o", "-i", "-", stdin=data)
    refused = bench.unlock(enrolled)
    assert refused.rc == 6 and "what to do" in refused.stderr, refused
    assert bench.tpm.lockout_counter() == 0 and enrolled.opens_with(PASSPHRASE)
    assert bench.reseal().rc == 0
    assert bench.unlock(enrolled).rc == 0


def test_index_is_as_designed(bench, enrolled):
    """Its digest is the one that the design gives for the header's list; nobody else can read more than that."""
    handle = hex(attacker.index_handle(bench.state))
    held = bench.tpm.tool("tpm2_nvread", handle)
    assert held == b"\x00\x0b" + attacker.approved_digest(enrolled.token("bootseal-approval"))
    public = bench.tpm.tool("tpm2_nvreadpublic", handle).decode()
    (friendly,) = [line for line in public.splitlines() if "friendly" in line and "|" in line]
    assert set(friendly.split(": ")[1].split("|")) == {"policywrite", "writeall", "authread", "no_da", "written"}
    with pytest.raises(RuntimeError, match="tpm2_nvwrite"):
        bench.tpm.tool("tpm2_nvwrite", handle, "-C", "o", "-i", "-", stdin=held)


# ---- the lockout authorisation ----

def test_threat_05_attacker_cannot_reset_the_counter(bench, enrolled):
    """Enrolling has set the lockout authorisation: an empty one neither resets the counter nor widens the limits."""
    bench.unlock(enrolled, pin="1111111111")
    with pytest.raises(RuntimeError, match="tpm2_dictionarylockout"):
        bench.tpm.reset_lockout()
    with pytest.raises(RuntimeError, match="tpm2_dictionarylockout"):
        bench.tpm.set_lockout(1000, 1)
    properties = bench.tpm.properties()
    assert properties["TPM2_PT_LOCKOUT_COUNTER"] == 1
    assert properties["TPM2_PT_MAX_AUTH_FAIL"] == 32 and properties["TPM2_PT_LOCKOUT_INTERVAL"] == 600


def test_threat_05_authorisation_is_random_and_ours(bench, enrolled):
    """32 bytes in the state folder, which do reset the counter."""
    auth = (bench.state / "lockout-auth").read_bytes()
    assert len(auth) == 32 and len(set(auth)) > 8
    bench.unlock(enrolled, pin="1111111111")
    bench.tpm.tool("tpm2_dictionarylockout", "--clear-lockout", "-p", f"hex:{auth.hex()}")
    assert bench.tpm.lockout_counter() == 0


def test_threat_05_limits_of_the_policy(bench, volume):
    """What the policy says is in the TPM before a PIN is relied on; it is so again after somebody has changed it."""
    bench.set_policy(lockout={"max_tries": 5, "recovery_s": 1200, "lockout_recovery_s": 3600})
    bench.enroll(volume)
    wanted = {"TPM2_PT_MAX_AUTH_FAIL": 5, "TPM2_PT_LOCKOUT_INTERVAL": 1200, "TPM2_PT_LOCKOUT_RECOVERY": 3600}
    assert wanted.items() <= bench.tpm.properties().items()
    auth = (bench.state / "lockout-auth").read_bytes().hex()
    bench.tpm.tool("tpm2_dictionarylockout", "-s", "-n", 31, "-t", 1, "-l", 1, "-p", f"hex:{auth}")
    bench.enroll(bench.volume())
    assert wanted.items() <= bench.tpm.properties().items()


def set_foreign_lockout(bench, max_tries, recovery_s):
    """Somebody else administers this TPM."""
    bench.tpm.set_lockout(max_tries, recovery_s)
    bench.tpm.tool("tpm2_changeauth", "-c", "lockout", "somebody else's")


def test_threat_05_foreign_authorisation_with_loose_limits(bench, volume):
    """Whoever can reset the counter can guess the PIN: status 10; without a PIN it does not matter."""
    set_foreign_lockout(bench, 1000, 1)
    result = bench.try_enroll(volume)
    assert result.rc == 10 and "1000" in result.stderr
    assert volume.metadata()["tokens"] == {}
    bench.enroll(volume, "--no-pin", pin=None)
    assert bench.unlock(volume, pin=None).rc == 0


def test_threat_05_foreign_authorisation_with_strict_limits(bench, volume):
    """Limits as strict as the policy's will do."""
    set_foreign_lockout(bench, 10, 7200)
    bench.enroll(volume)
    assert bench.unlock(volume).rc == 0


# ---- another machine's state folder ----

def borrow_state(bench, other):
    """A state folder that was cloned or restored; the volume of this machine's pins is the other's."""
    shutil.rmtree(bench.state, ignore_errors=True)
    shutil.copytree(other.state, bench.state)


@pytest.mark.parametrize("verb", ["enroll", "reseal", "unlock"])
def test_threat_30_state_of_another_machine(bench, enrolled, other, verb):
    """Noticed by the SRK's Name: status 6, and this TPM's lockout authorisation is not tried."""
    lockout_auth = (bench.state / "lockout-auth").read_bytes().hex()
    borrow_state(bench, other)
    (volume,) = json.loads((bench.state / "pins.json").read_text())["volumes"]
    for _ in range(3):
        result = {"enroll": lambda: bench.try_enroll(bench.volume()), "reseal": bench.reseal,
                  "unlock": lambda: bench.unlock(volume["device"])}[verb]()
        assert result.rc == 6, result
    bench.tpm.tool("tpm2_dictionarylockout", "--clear-lockout", "-p", f"hex:{lockout_auth}")
    assert enrolled.opens_with(PASSPHRASE)


def test_threat_30_old_lockout_authorisation(bench, enrolled):
    """A restored backup with an old lockout authorisation: it is tried once, then not again; unlocking still works."""
    (bench.state / "lockout-auth").write_bytes(bytes(31) + b"\x01")
    bench.set_policy(lockout={"max_tries": 7})
    with bench.recording() as commands:
        results = [bench.try_enroll(bench.volume()) for _ in range(3)]
    assert all(result.rc in (6, 10) and "lockout" in result.stderr for result in results), results
    tried = [command for command in commands if command.name == "DictionaryAttackParameters"]
    assert len(tried) == 1
    assert bench.unlock(enrolled).rc == 0


# ---- the state folder ----

@pytest.mark.parametrize("name, mode", [("", 0o755), ("", 0o750), ("authority.pem", 0o644), ("pins.json", 0o640),
                                        ("approval.json", 0o606), ("lockout-auth", 0o640)])
def test_threat_22_readable_state(bench, enrolled, name, mode):
    """A state folder, or a file in it, that others can reach is refused, and named."""
    path = bench.state / name
    path.chmod(mode)
    bench.set_policy(lockout={"max_tries": 7})
    result = bench.try_enroll(bench.volume())
    assert result.rc == 1 and str(path).rstrip("/") in result.stderr and "chmod" in result.stderr
    assert bench.reseal().rc == 1 and bench.unlock(enrolled).rc == 1


@pytest.mark.parametrize("name", ["golden-log.json", "next/authority.pem", "lockout-auth.refused", "left by somebody"])
def test_threat_22_readable_file_of_any_name(bench, enrolled, name):
    """Whether the verb would read it or not: every verb refuses, until it is for root alone."""
    path = bench.state / name
    path.parent.mkdir(mode=0o700, exist_ok=True)
    path.write_text("{}", encoding="ascii")
    path.chmod(0o604)
    for verb in ("status", "doctor", "boot-ok", "unlock"):
        result = bench.unlock(enrolled) if verb == "unlock" else bench.bootseal(verb)
        assert result.rc == 1 and str(path) in result.stdout + result.stderr, result
    path.unlink()
    assert bench.unlock(enrolled).rc == 0


def test_threat_22_foreign_owner(bench, enrolled):
    """The same when it belongs to somebody else, or is a link."""
    shutil.chown(bench.state, "nobody")
    assert bench.unlock(enrolled).rc == 1
    shutil.chown(bench.state, "root")
    assert bench.unlock(enrolled).rc == 0
    authority = bench.state / "authority.pem"
    authority.rename(bench.folder / "moved.pem")
    authority.symlink_to(bench.folder / "moved.pem")
    assert bench.unlock(enrolled).rc == 1


def test_threat_22_state_is_made_private(bench, enrolled):
    """Whatever the umask."""
    assert enrolled
    assert bench.state.stat().st_mode & 0o777 == 0o700
    assert {path.name: path.stat().st_mode & 0o777 for path in bench.state.iterdir()} == {
        name: 0o600 for name in ("approval.json", "authority.pem", "lock", "lockout-auth", "pins.json")}
