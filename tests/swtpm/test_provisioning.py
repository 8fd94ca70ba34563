"""bootseal provision: on a fresh TPM, on somebody else's, cut at each command, and on the bus."""


import pytest

import pcap
from bootseal import PASSPHRASE, PIN, check_schema

OWNER = "the owner's word"
LOCKOUT = "the fleet's lockout word"
LOCKOUT_CODES = {"DictionaryAttackParameters", "DictionaryAttackLockReset", "HierarchyChangeAuth"}


def set_owner(bench, text=OWNER):
    """Somebody sets the owner authorisation."""
    bench.tpm.tool("tpm2_changeauth", "-c", "owner", text)


def set_lockout(bench, text=LOCKOUT, limits=None):
    """Somebody sets the lockout authorisation, and limits."""
    if limits:
        bench.tpm.set_lockout(*limits)
    bench.tpm.tool("tpm2_changeauth", "-c", "lockout", text)


def kept(bench):
    """The lockout authorisation in the state folder, as tpm2-tools want it."""
    return "hex:" + (bench.state / "lockout-auth").read_bytes().hex()


def assert_kept_works(bench):
    """The TPM takes it."""
    bench.tpm.tool("tpm2_dictionarylockout", "--clear-lockout", "-p", kept(bench))


def sent(commands):
    """How many lockout authorisations were sent."""
    return sum(command.name in LOCKOUT_CODES for command in commands)


def indices(bench):
    """The NV indices in bootseal's range."""
    text = bench.tpm.tool("tpm2_getcap", "handles-nv-index").decode("ascii")
    return [line for line in text.upper().split() if "18B5EA" in line]


# ---- a TPM of our own ----

def test_fresh_and_again(bench):
    """The second time nothing changes; both times the TPM has what the folder keeps."""
    first = bench.provision("--json").json
    files = {path.name: path.read_bytes() for path in bench.state.iterdir()}
    assert bench.provision("--json").json == first
    assert {path.name: path.read_bytes() for path in bench.state.iterdir()} == files
    assert_kept_works(bench)
    assert len(files["lockout-auth"]) == 32


def test_then_enroll(bench, volume):
    """Provisioned first, as in a factory; the volume comes later and uses what is there."""
    before = bench.provision("--json").json
    auth = kept(bench)
    bench.enroll(volume)
    assert bench.unlock(volume).rc == 0
    assert bench.provision("--json").json == before and kept(bench) == auth
    assert bench.unlock(volume).rc == 0 and len(indices(bench)) == 1


def test_lost_index_is_put_back(bench, enrolled):
    """Deleted by someone with the owner's word: defined and written again, no PIN is needed."""
    bench.tpm.tool("tpm2_nvundefine", "0x018B5EA0")
    assert bench.unlock(enrolled).rc == 6
    assert bench.provision().rc == 0
    assert bench.unlock(enrolled).rc == 0


def test_threat_30_another_machines_state(bench, enrolled):
    """A cloned image: the SRK is another one; no lockout authorisation is sent."""
    assert enrolled
    bench.tpm.clear()
    with bench.recording() as commands:
        result = bench.provision()
    assert result.rc == 6 and "another TPM" in result.stderr and result.stdout == ""
    assert sent(commands) == 0
    assert not bench.tpm.properties()["lockoutAuthSet"] and indices(bench) == []


# ---- somebody else's lockout authorisation ----

def test_foreign_lockout_strict(bench, volume):
    """With limits as strict as the policy's it can stay with its owner: told, and no failure."""
    set_lockout(bench, limits=(10, 900, 1000))
    result = bench.provision("--json")
    assert result.rc == 0 and result.json["lockout"]["authorisation"] == "foreign"
    assert "someone else" in bench.provision().stdout
    bench.enroll(volume)
    assert bench.unlock(volume).rc == 0


def test_foreign_lockout_loose(bench):
    """Too loose for a PIN: status 10; SRK and index are made all the same."""
    set_lockout(bench, limits=(1000, 10, 1000))
    result = bench.provision("--json")
    assert result.rc == 10 and "too loose" in result.stderr and "--lockout-auth-file" in result.stderr
    check_schema(result.json, "provision")
    assert result.json["lockout"]["error"]["kind"] == "refused" and result.json["index"]
    assert len(indices(bench)) == 1


@pytest.mark.parametrize("written", [LOCKOUT, LOCKOUT + "\n"], ids=["as it stands", "with a newline"])
def test_lockout_auth_file(bench, written):
    """Given: the limits are set, it stays what it is, and is kept for boot-ok."""
    set_lockout(bench, limits=(1000, 10, 1000))
    result = bench.provision("--json", "--lockout-auth-file", bench.secret_file(written, "auth"))
    assert result.rc == 0, result
    assert result.json["lockout"]["max_tries"] == 32 and result.json["lockout"]["authorisation"] == "kept"
    bench.tpm.tool("tpm2_dictionarylockout", "--clear-lockout", "-p", LOCKOUT)
    assert (bench.state / "lockout-auth").read_bytes() == LOCKOUT.encode()
    assert bench.provision().rc == 0


def test_lockout_auth_from_a_pipe(bench):
    """`-` is standard input."""
    set_lockout(bench)
    argv = bench.arguments("provision", "--policy", bench.policy, "--allow-unencrypted-state", "--lockout-auth-file",
                           "-")
    assert bench.run(argv, stdin=LOCKOUT.encode()).rc == 0


def test_wrong_lockout_auth_is_never_sent_twice(bench):
    """Refused once by the TPM, from then on by bootseal, until another is given."""
    set_lockout(bench, limits=(10, 900, 0))  # 0: the hierarchy is locked until the next start
    wrong = bench.secret_file("something else", "auth")
    with bench.recording() as commands:
        first = bench.provision("--lockout-auth-file", wrong)
        again = [bench.provision("--json", "--lockout-auth-file", wrong) for _ in range(3)]
    assert first.rc == 6 and "another lockout authorisation" in first.stderr
    assert {result.rc for result in again} == {10} and "not sent twice" in again[0].stderr
    assert all(result.json["index"] for result in again)
    assert sent(commands) == 1
    assert not (bench.state / "lockout-auth").exists()
    bench.boot()
    right = bench.secret_file(LOCKOUT, "auth")
    assert bench.provision("--lockout-auth-file", right).rc == 0
    assert not (bench.state / "lockout-refused.json").exists()


def test_right_one_while_the_hierarchy_is_locked(bench):
    """The TPM takes none; that does not make it a wrong one, and it is told how long."""
    set_lockout(bench, limits=(10, 900, 5000))
    assert bench.provision("--lockout-auth-file", bench.secret_file("wrong", "auth")).rc == 6
    for _ in range(2):
        result = bench.provision("--lockout-auth-file", bench.secret_file(LOCKOUT, "auth"))
        assert result.rc == 6 and "5000 s" in result.stderr


def test_wrong_one_again_after_the_recovery(bench):
    """Once the TPM takes any, a reboot here, the same may be tried: somebody may have set it in the meantime."""
    set_lockout(bench, limits=(10, 900, 0))
    path = bench.secret_file("not yet", "auth")
    assert bench.provision("--lockout-auth-file", path).rc == 6
    assert bench.provision("--lockout-auth-file", path).rc == 10
    bench.boot()
    bench.tpm.tool("tpm2_changeauth", "-c", "lockout", "-p", LOCKOUT, "not yet")
    assert bench.provision("--lockout-auth-file", path).rc == 0


def test_restored_folder(bench):
    """An old state folder: its authorisation is sent once, put aside, and the newest may be given."""
    assert bench.provision().rc == 0
    newest = bench.secret_file(bytes(range(1, 33)), "auth")
    bench.tpm.tool("tpm2_changeauth", "-c", "lockout", "-p", kept(bench), "hex:" + bytes(range(1, 33)).hex())
    with bench.recording() as commands:
        result = bench.provision()
        second = bench.provision()
    assert result.rc == 6 and "put aside" in result.stderr
    assert second.rc == 0 and "someone else" in second.stdout  # the limits are ours, and strict
    assert sent(commands) == 1
    assert (bench.state / "lockout-auth.refused").exists()
    assert bench.provision("--lockout-auth-file", newest).rc == 6  # 86400 s; but it was looked at by nobody


# ---- somebody else's owner authorisation ----

def test_owner_auth(bench, volume):
    """Needed for SRK and index; it is not changed, and not kept."""
    set_owner(bench)
    result = bench.provision()
    assert result.rc == 6 and "owner authorisation is set" in result.stderr and "--owner-auth-file" in result.stderr
    result = bench.provision("--json", "--owner-auth-file", bench.secret_file(OWNER, "auth"))
    assert result.rc == 0 and result.json["owner_auth_set"] and result.json["lockout"]["authorisation"] == "kept"
    assert not any(OWNER.encode() in path.read_bytes() for path in bench.state.iterdir())
    bench.enroll(volume)  # needs the owner no more
    assert bench.unlock(volume).rc == 0
    bench.tpm.tool("tpm2_changeauth", "-c", "owner", "-p", OWNER)


def test_owner_auth_wrong(bench):
    """Status 6; it counts nothing, the right one may follow at once."""
    set_owner(bench)
    assert bench.provision("--owner-auth-file", bench.secret_file("wrong", "auth")).rc == 6
    assert bench.provision("--owner-auth-file", bench.secret_file(OWNER, "auth")).rc == 0


def test_owner_auth_after_the_srk(bench):
    """The SRK is there and the index is not: the lockout authorisation is set all the same."""
    assert bench.provision().rc == 0
    bench.tpm.tool("tpm2_nvundefine", "0x018B5EA0")
    bench.tpm.tool("tpm2_changeauth", "-c", "lockout", "-p", kept(bench))
    set_owner(bench)
    result = bench.provision("--json")
    assert result.rc == 6 and result.json["index"] is None and result.json["index_error"]["kind"] == "tpm"
    assert result.json["lockout"]["authorisation"] == "kept" and bench.tpm.properties()["lockoutAuthSet"] == 1
    assert bench.provision("--owner-auth-file", bench.secret_file(OWNER, "auth")).rc == 0
    assert len(indices(bench)) == 1


def test_remove_without_the_owner(bench, volume):
    """Removing the last protector kills it in the TPM although the index cannot be deleted; enrolling again works."""
    bench.enroll(volume)
    header, state = volume.header(), {path: path.read_bytes() for path in bench.state.iterdir()}
    set_owner(bench)
    result = bench.bootseal("remove", volume)
    assert result.rc == 0, result
    assert len(indices(bench)) == 1
    volume.put_header(header)  # old copies of everything but the TPM
    for path, content in state.items():
        path.touch(mode=0o600)
        path.write_bytes(content)
    refused = bench.unlock(volume)
    assert refused.rc == 9 and "not the one that the TPM holds" in refused.stderr
    assert bench.tpm.lockout_counter() == 0
    assert bench.bootseal("remove", volume).rc == 0
    bench.enroll(volume)
    assert bench.unlock(volume).rc == 0


def test_not_needed_and_given(bench):
    """Both given to a TPM that has neither: they are not used, which is said; a random one is set."""
    auth = bench.secret_file("no one's", "auth")
    result = bench.provision("--owner-auth-file", auth, "--lockout-auth-file", auth)
    assert result.rc == 0, result
    assert "no owner authorisation" in result.stderr and "had no lockout authorisation" in result.stderr
    assert len((bench.state / "lockout-auth").read_bytes()) == 32
    assert_kept_works(bench)


# ---- the bus ----

def test_threat_07_nothing_on_the_bus(bench):
    """Lockout and owner authorisations, ours and others', over everything that uses them."""
    set_owner(bench)
    owner = bench.secret_file(OWNER, "owner")
    with bench.recording() as commands:
        assert bench.provision("--owner-auth-file", owner).rc == 0
        auth = (bench.state / "lockout-auth").read_bytes()
        assert bench.provision().rc == 0
    bench.tpm.tool("tpm2_changeauth", "-c", "lockout", "-p", kept(bench), LOCKOUT)
    bench.tpm.tool("tpm2_nvundefine", "-P", OWNER, "0x018B5EA0")
    with bench.recording() as more:
        given = bench.secret_file(LOCKOUT, "lockout")
        assert bench.provision("--owner-auth-file", owner, "--lockout-auth-file", given).rc == 0
    everything = commands + more
    used = {command.name for command in everything}
    assert {"CreatePrimary", "EvictControl", "NV_DefineSpace", "HierarchyChangeAuth",
            "DictionaryAttackParameters"} <= used
    for secret in (OWNER.encode(), LOCKOUT.encode(), auth):
        assert pcap.exposing(everything, secret) == []


HANDLES = {"EvictControl": 2, "NV_DefineSpace": 1, "HierarchyChangeAuth": 1, "DictionaryAttackParameters": 1,
           "DictionaryAttackLockReset": 1}
PASSWORD_SESSION = (0x40000009).to_bytes(4, "big")


def test_threat_07_no_password_session(bench):
    """Each command that an authorisation was given for is in a session with a salt; none is in a password session."""
    set_owner(bench)
    with bench.recording() as commands:
        assert bench.provision("--owner-auth-file", bench.secret_file(OWNER, "owner")).rc == 0
    seen = [command for command in commands if command.name in HANDLES]
    assert {command.name for command in seen} >= {"EvictControl", "NV_DefineSpace", "HierarchyChangeAuth"}
    for command in seen:
        start = 10 + 4 * HANDLES[command.name] + 4
        assert command.request[start:start + 4] != PASSWORD_SESSION, command.name
    for command in commands:
        if command.name == "StartAuthSession":
            assert command.request[10:14] != (0x40000007).to_bytes(4, "big")  # a key to salt to
            nonce = int.from_bytes(command.request[18:20], "big")
            assert int.from_bytes(command.request[20 + nonce:22 + nonce], "big") > 60


def test_threat_07_boot_ok_on_the_bus(bench, enrolled):
    """The reset: one command, in a salted session, and the authorisation is nowhere."""
    assert enrolled and bench.unlock_all("1111111111", PIN).rc == 0
    auth = (bench.state / "lockout-auth").read_bytes()
    with bench.recording() as commands:
        assert bench.bootseal("boot-ok", "--stderr").rc == 0
    assert [command.name for command in commands].count("DictionaryAttackLockReset") == 1
    (reset,) = [command for command in commands if command.name == "DictionaryAttackLockReset"]
    assert reset.rc == 0 and reset.request[18:22] != PASSWORD_SESSION
    assert pcap.exposing(commands, auth) == []


def test_pin_counts_after_provisioning(bench, volume):
    """The limits that were set are those that a PIN meets."""
    bench.set_policy(lockout={"max_tries": 2})
    assert bench.provision().rc == 0
    bench.enroll(volume)
    for _ in range(2):
        assert bench.unlock(volume, pin="1111111111").rc == 4
    assert bench.unlock(volume, pin=PIN).rc == 5
    assert volume.opens_with(PASSPHRASE)
