"""Row 18: the programs' memory, searched for every secret where none is needed any more; and where one is, it is found."""

import base64
import os
import resource
import signal
import subprocess

import pexpect
import pytest

import memory
from bootseal import NEW_PIN, PASSPHRASE, PATIENCE_S, PIN, PROMPT, UNLOCK_PROGRAM
from memory import Stopped, dump, found

WRONG_PIN = "9182736450"


def secrets_of(bench, volume, pin=PIN) -> dict:
    """{name: bytes} of all that opens a volume by its PIN."""
    token = volume.token()
    auth, mix = memory.stretch(pin, token)
    with Stopped(bench, bench.arguments("unlock", "--test", volume, pin=pin), "unsealed", "opening") as program:
        answered = program.at("unsealed")
        text = memory.find_passphrase(program.at("opening"), volume)
        assert program.end().rc == 0
    key = base64.b64decode(text)
    return {"PIN": pin.encode(), "A": auth, "B": mix, "S": memory.find_sealed(answered, token, mix, key), "K": key,
            "text of K": text, "volume key": volume.volume_key()}


def test_threat_18_unlock(bench, enrolled):
    """At the end of `unlock`; each secret was found where it was needed."""
    secrets = secrets_of(bench, enrolled)
    argv = bench.arguments("unlock", "--test", enrolled, pin=PIN)
    with Stopped(bench, argv, "stretching", "stretched", "unsealed", "opening", "opened", "exit") as program:
        assert found(program.at("stretching"), secrets) == ["PIN"]
        assert {"A", "B"} <= set(found(program.at("stretched"), secrets))
        assert {"A", "B", "S"} <= set(found(program.at("unsealed"), secrets))
        assert {"text of K"} <= set(found(program.at("opening"), secrets))
        assert {"volume key"} <= set(found(program.at("opened"), secrets))
        assert found(program.at("exit"), secrets) == []
        assert program.end().rc == 0
