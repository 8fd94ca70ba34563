"""bootseal provision: what it says, and what it refuses to begin with."""

import pytest

from bootseal import check_schema


def test_json(bench):
    """A fresh TPM."""
    result = bench.provision("--json")
    assert result.rc == 0, result
    check_schema(result.json, "provision")
    assert result.json["srk"]["handle"] == 0x81000001 and result.json["index"]["handle"] == 0x018B5EA0
    assert result.json["lockout"]["authorisation"] == "kept" and not result.json["owner_auth_set"]
    assert result.json["index_error"] is None and result.json["lockout"]["error"] is None


def test_text(bench):
    """A line for each part."""
    result = bench.provision()
    assert result.rc == 0 and result.stderr == ""
    assert "SRK                    0x81000001" in result.stdout
    assert "set, and kept in the state folder" in result.stdout
    assert "32 tries, one forgiven each 600 s" in result.stdout


def test_limits_of_the_policy(bench):
    """The policy's, and again when it has changed."""
    bench.set_policy(lockout={"max_tries": 5, "recovery_s": 1200, "lockout_recovery_s": 7200})
    lockout = bench.provision("--json").json["lockout"]
    assert (lockout["max_tries"], lockout["recovery_s"], lockout["lockout_recovery_s"]) == (5, 1200, 7200)
    bench.set_policy()
    lockout = bench.provision("--json").json["lockout"]
    assert (lockout["max_tries"], lockout["recovery_s"], lockout["lockout_recovery_s"]) == (32, 600, 86400)


def test_without_a_policy(bench):
    """No policy is needed: the limits are built in. A machine that has its own policy uses that."""
    result = bench.bootseal("provision", "--json", "--allow-unencrypted-state")
    assert result.rc == 0 and result.json["lockout"]["max_tries"] <= 32


def test_without_a_policy_nothing_gets_loose(bench):
    """Limits of an earlier run with a policy stay."""
    bench.set_policy(lockout={"max_tries": 5, "recovery_s": 1200, "lockout_recovery_s": 90000})
    before = bench.provision("--json").json["lockout"]
    after = bench.bootseal("provision", "--json", "--allow-unencrypted-state").json["lockout"]
    assert after == before and after["max_tries"] == 5


def test_unencrypted_state(bench):
    """The lockout authorisation lies inside a volume, or nowhere."""
    result = bench.bootseal("provision", "--policy", bench.policy)
    assert result.rc == 10 and "outside LUKS" in result.stderr
    assert not (bench.state / "lockout-auth").exists()
    assert bench.tpm.tool("tpm2_getcap", "handles-persistent") == b""


@pytest.mark.parametrize("option", ["--lockout-auth-file", "--owner-auth-file"])
@pytest.mark.parametrize("content, said", [
    (b"", "holds no authorisation"), (b"\n", "holds no authorisation"), (bytes(10), "holds no authorisation"),
    (b"x" * 65, "64"), (b"x" * 1000, "more than"),
])
def test_no_authorisation(bench, option, content, said):
    """Empty, a newline, zeros (which a TPM drops), too long: status 2, and nothing is done."""
    result = bench.provision(option, bench.secret_file(content, "auth"))
    assert result.rc == 2 and said in result.stderr
    assert not bench.state.exists()


def test_both_from_standard_input(bench):
    """One of them at most."""
    result = bench.provision("--lockout-auth-file", "-", "--owner-auth-file", "-")
    assert result.rc == 2 and "standard input" in result.stderr


def test_missing_file(bench):
    """A file that is not there."""
    result = bench.provision("--owner-auth-file", bench.folder / "nothing")
    assert result.rc == 1 and "nothing" in result.stderr and not bench.state.exists()


def test_arguments(bench):
    """There are none."""
    assert bench.provision("/dev/null").rc == 2
