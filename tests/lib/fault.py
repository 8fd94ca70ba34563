"""A TPM that misbehaves: the TCTI of tests/lib/fault-tcti.c, which has the list of what can go wrong.

    bench.bootseal(..., environment={"BOOTSEAL_TCTI": fault.tcti(bench.tpm, at=7, do="rc", value=0x922)})
    commands = fault.commands(log)
"""

from pathlib import Path

from bootseal import BUILD
from pcap import NAMES

LIBRARY = BUILD / "tests/libtss2-tcti-fault.so"


def tcti(tpm, *swaps, **options) -> str:
    """The TCTI string; SWAPS are (bytes, bytes in their place)."""
    words = [f"{name}={value}" for name, value in options.items()]
    words += [f"swap={before.hex()}-{after.hex()}" for before, after in swaps]
    return f"{LIBRARY}:{','.join(words)}:{tpm.plain_tcti}"


def commands(log) -> list:
    """The names of the commands that a log=LOG names, in order."""
    lines = Path(log).read_text(encoding="ascii").splitlines() if Path(log).exists() else []
    codes = [int(line.split()[1], 16) for line in lines]
    return [NAMES.get(code, hex(code)) for code in codes]
