"""The boot state: which boots open, what is said of the others, and what the cap ends."""

import pytest

import attacker
from bootseal import CAP_PCR, PASSPHRASE, PIN


@pytest.mark.parametrize("pcr", [4, 7, 8, 9, 12, 14])
def test_threat_01_changed_boot(bench, enrolled, pcr):
    """Status 3 with the PCR's number and no other's, before anybody is asked; the passphrase works."""
    bench.boot({pcr: b"something else"})
    refused = bench.unlock(enrolled)
    assert refused.rc == 3 and f"PCR {pcr} (" in refused.stderr and refused.stderr.count("PCR ") == 1
    done = bench.unlock_all()
    assert done.rc == 3 and done.prompts == ()
    assert f"PCR {pcr} (" in done.screen and f"PCR {pcr} (" in done.volume(enrolled.name)["reason"]
    assert bench.tpm.lockout_counter() == 0
    assert enrolled.opens_with(PASSPHRASE)


def test_threat_02_secure_boot_switched_off(bench, enrolled):
    """PCR 7, in words that people understand."""
    assert enrolled
    bench.boot({7: b"Secure Boot is off"})
    done = bench.unlock_all()
    assert done.rc == 3 and done.prompts == () and "Secure Boot" in done.screen


def test_threat_01_several_pcrs(bench, enrolled):
    """All that differ are named."""
    bench.boot({4: b"another kernel", 9: b"another initrd"})
    result = bench.unlock(enrolled)
    assert result.rc == 3 and "PCR 4 (" in result.stderr and "PCR 9 (" in result.stderr
    assert "PCR 7" not in result.stderr and "PCR 8" not in result.stderr


def test_other_pcrs_do_not_matter(bench, enrolled):
    """What is not in the policy may change."""
    bench.boot({0: b"another firmware", 10: b"IMA", 11: b"phases"})
    assert bench.unlock(enrolled).rc == 0


def test_pcr_extended_while_a_person_types(bench, enrolled):
    """A PCR outside the policy that moves (IMA's) costs neither a question nor a try."""
    done = bench.unlock_all(lambda: bench.measure({10: b"IMA"}) or PIN)
    assert done.rc == 0 and done.volume(enrolled.name)["opened"]
    assert bench.tpm.lockout_counter() == 0


def test_policy_pcr_extended_while_a_person_types(bench, enrolled):
    """One of the policy's: status 3, the PCR named, no try counted."""
    done = bench.unlock_all(lambda: bench.measure({9: b"late"}) or PIN)
    assert done.rc == 3 and "PCR 9" in done.volume(enrolled.name)["reason"]
    assert bench.tpm.lockout_counter() == 0


def test_twelve_branches(bench, enrolled):
    """Twelve boot states, more than one PolicyOR holds: any of them opens, a thirteenth does not."""
    boots = [{9: b"initrd %d" % number} for number in range(12)]
    for number, boot in enumerate(boots):
        bench.boot(boot)
        options = ["--keep"] if number else []
        assert bench.reseal("--json", *options).json["boot_states"] == number + 1
    for boot in boots:
        bench.boot(boot)
        assert bench.unlock(enrolled).rc == 0, boot
    assert bench.unlock_all(PIN).rc == 0
    bench.boot()
    refused = bench.unlock(enrolled)
    assert refused.rc == 3 and "PCR 9 (" in refused.stderr


def test_authority_among_twelve_branches(bench, enrolled):
    """After the cap the authority finds its way through the tree too."""
    for number in range(12):
        bench.boot({9: b"initrd %d" % number})
        assert bench.reseal("--keep").rc == 0
    bench.cap()
    assert "authority" in bench.unlock(enrolled).stdout


# ---- the cap ----

def hide_authority(bench):
    """Take the authority's key away."""
    return (bench.state / "authority.pem").rename(bench.folder / "authority.pem")


def test_threat_10_capped(bench, enrolled):
    """After the initramfs neither boot state nor PIN unseals; the authority with the PIN does."""
    assert bench.unlock_all(PIN).rc == 0
    by_authority = bench.unlock(enrolled, "--json")
    assert by_authority.rc == 0 and by_authority.json["by"] == "authority"
    assert bench.unlock(enrolled, pin="1111111111").rc == 4
    hide_authority(bench)
    refused = bench.unlock(enrolled)
    assert refused.rc == 3 and f"PCR {CAP_PCR} is capped" in refused.stderr


def test_threat_10_by_hand(bench, enrolled):
    """The same with tpm2-tools: before the cap S comes out by boot state and PIN, after it no more."""
    token, approval = enrolled.token(), enrolled.token("bootseal-approval")
    index = attacker.index_handle(bench.state)
    auth, mix = attacker.stretch(token, PIN)
    sealed = attacker.unseal(bench.tpm, token, approval, index, auth)
    assert enrolled.opens_with(attacker.passphrase(sealed, mix, token["id"]))
    bench.unlock_all(PIN)
    with pytest.raises(RuntimeError, match="tpm2_policyor"):
        attacker.unseal(bench.tpm, token, approval, index, auth)


@pytest.mark.parametrize("typed", [[PIN], ["1111111111"] * 3], ids=["opened", "wrong PINs"])
def test_threat_10_capped_whatever_happened(bench, enrolled, typed):
    """The cap does not depend on success."""
    bench.unlock_all(*typed)
    hide_authority(bench)
    assert bench.unlock(enrolled).rc == 3


def test_threat_10_capped_without_a_protector(bench, volume):
    """Nor on whether there was anything to open."""
    bench.unlock_all()
    bench.enroll(volume)
    hide_authority(bench)
    assert bench.unlock(volume).rc == 3


def test_threat_10_no_pin(bench, volume):
    """Without a PIN too."""
    bench.enroll(volume, "--no-pin", pin=None)
    bench.unlock_all()
    assert "authority" in bench.unlock(volume, pin=None).stdout
    hide_authority(bench)
    assert bench.unlock(volume, pin=None).rc == 3


def test_threat_10_second_run_is_refused(bench, enrolled):
    """A second run in the same boot opens nothing and asks nothing."""
    bench.unlock_all(PIN)
    again = bench.unlock_all()
    assert again.rc == 3 and again.prompts == () and not again.volume(enrolled.name)["opened"]


def test_authority_is_no_way_around_the_boot_state(bench, enrolled):
    """A boot that does not match and is not capped: status 3, though the authority is here."""
    bench.boot({9: b"another initrd"})
    assert (bench.state / "authority.pem").exists()
    assert bench.unlock(enrolled).rc == 3


def test_authority_after_a_changed_boot(bench, enrolled):
    """Once that boot is capped and running, authority and PIN open a volume; another key does not."""
    bench.boot({9: b"another initrd"})
    assert bench.unlock_all().rc == 3
    assert bench.unlock(enrolled, "--json").json["by"] == "authority"
    hide_authority(bench)
    assert bench.unlock(enrolled).rc == 3


def test_foreign_authority(bench, enrolled):
    """Somebody else's key signs nothing that this TPM takes."""
    bench.cap()
    bench.run(["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", hide_authority(bench)])
    (bench.folder / "authority.pem").rename(bench.state / "authority.pem")
    (bench.state / "authority.pem").chmod(0o600)
    result = bench.unlock(enrolled)
    assert result.rc not in (0, 4), result
