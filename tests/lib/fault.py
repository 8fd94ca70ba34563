"""A TPM that misbehaves: the TCTI of tests/lib/fault-tcti.c, which has the list of what can go wrong.

    bench.bootseal(..., environment={"BOOTSEAL_TCTI": fault.tcti(bench.tpm, at=7, do="rc", value=0x922)})
    commands = fault.commands(log)
"""

from pathlib import Path

from bootseal import BUILD
from pcap import NAMES

LIBRARY = BUILD / "tests/libtss2-tcti-fault.so"


def tcti(tpm, *swaps, child=None, **options) -> str:
    """The TCTI string; SWAPS are (bytes, bytes in their place), CHILD another way to the TPM than its own."""
    words = [f"{name}={value}" for name, value in options.items()]
    words += [f"swap={before.hex()}-{after.hex()}" for before, after in swaps]
    return f"{LIBRARY}:{','.join(words)}:{child or tpm.plain_tcti}"


def commands(log) -> list:
    """The names of the commands that a log=LOG names, in order."""
    lines = Path(log).read_text(encoding="ascii").splitlines() if Path(log).exists() else []
    codes = [int(line.split()[1], 16) for line in lines]
    return [NAMES.get(code, hex(code)) for code in codes]


# What a TPM, its bus or its driver may do at one command.  SMALL ones are to be got over; after a GREAT one there is an
# error in words.  {n} is the number of the point: what it stands for differs from point to point.
SMALL = {
    "retry": {"do": "rc", "value": 0x922, "times": 12},  # tpm2-tss sends a command five times by itself
    "yielded": {"do": "rc", "value": 0x908, "times": 7},
    "testing": {"do": "rc", "value": 0x90A, "times": 7},
    "no room for an object": {"do": "rc", "value": 0x902},
    "no room for a session": {"do": "rc", "value": 0x903},
    "out of memory": {"do": "rc", "value": 0x904},
    "late": {"do": "late", "value": 300},
}
GREAT = {
    "silent": {"do": "late", "value": 0},
    "closed": {"do": "closed"},
    "answer lost": {"do": "deaf"},
    "size too large": {"do": "size", "value": 0x10000},
    "size too small": {"do": "size", "value": 0x8},
    "random": {"do": "random", "value": "{n}"},
    "random body": {"do": "body", "value": "{n}"},
    "short": {"do": "short", "value": 70},
    "truncated": {"do": "truncated", "value": 70},
    "bit turned": {"do": "flip", "value": "{n}13"},
    "never any room": {"do": "rc", "value": 0x902, "times": 0},
    "failure": {"do": "rc", "value": 0x101, "times": 0},
}
FOR_GOOD = ("closed", "answer lost", "never any room", "failure")  # of no use for the rest of the boot
FAULTS = {**SMALL, **GREAT}

STATUSES = range(11)  # that overview and man pages know


def at(tpm, name: str, number: int, **options) -> str:
    """The TCTI string for a fault of FAULTS at a command."""
    words = {key: str(value).format(n=number) for key, value in FAULTS[name].items()}
    return tcti(tpm, at=number, **words, **options)


def assert_clear(rc: int, text: str) -> None:
    """A status that is documented; words, unless it is success; no sanitizer's report, and no signal."""
    assert rc in STATUSES, text
    assert rc == 0 or text.strip(), rc
    assert "Sanitizer" not in text and "runtime error:" not in text, text
