"""Recovery keys, as the tests make, spoil and type them."""

import re

from bootseal import PASSPHRASE, PIN

KEY = r"[0-9]{6}(?:-[0-9]{6}){7}"
TYPE_BACK = r"Group (\d) of the recovery key: "


def add(bench, volume, *options, key=PASSPHRASE, pin=None) -> dict:
    """A fresh recovery key, without questions: what the JSON result says of it."""
    result = bench.bootseal("recovery-key", "--json", "--yes", *options, "add", volume, key=key, pin=pin)
    assert result.rc == 0, result
    return result.json["recovery_key"]


def listed(bench, volume) -> list:
    """`recovery-key list`."""
    result = bench.bootseal("recovery-key", "--json", "list", volume)
    assert result.rc == 0, result
    return result.json["recovery_keys"]


def check(bench, volume, key):
    """`recovery-key check`."""
    return bench.bootseal("recovery-key", "--json", "check", volume, key=key)


def shown_key(result) -> str:
    """The recovery key that a program has shown; empty without one."""
    match = re.search(KEY, result.stdout)
    return match.group() if match else ""


def with_typo(key: str, group: int) -> str:
    """The key with one digit of a group (from 1 on) changed."""
    groups = key.split("-")
    text = groups[group - 1]
    groups[group - 1] = text[:-1] + str((int(text[-1]) + 1) % 10)
    return "-".join(groups)


def another(key: str) -> str:
    """A key with the right form that is another one."""
    first = int(key[:6]) // 11
    return f"{(first + 1) % 65536 * 11:06d}{key[6:]}"


def enroll_with_key(bench, volume, *options, pin=PIN, key=PASSPHRASE) -> dict:
    """Enroll without questions, and with a recovery key; the result's JSON."""
    arguments = [option for option in bench.enroll_options if option != "--no-recovery-key"]
    result = bench.bootseal("enroll", *arguments, "--yes", "--json", *options, volume, pin=pin, key=key)
    assert result.rc == 0, result
    return result.json


def typing_back(screen: str, prompt: str) -> str:
    """The group that the prompt asks for, of the key on the screen."""
    (key,) = set(re.findall(KEY, screen))
    return key.split("-")[int(re.search(TYPE_BACK, prompt).group(1)) - 1]
