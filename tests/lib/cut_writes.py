"""Ends a program at a chosen write to a volume's header, or rename in the state folder: as a power cut would."""

from bootseal import BUILD

LIBRARY = BUILD / "tests/cut-writes.so"
STATUS_CUT = 111


def environment(volume, number: int, torn=False) -> dict:
    """What makes a program end at this write, counted from 1; TORN: when half of it is done."""
    return {"LD_PRELOAD": str(LIBRARY), "CUT_WRITES_FILE": str(volume.path), "CUT_WRITES_AT": str(number),
            **({"CUT_WRITES_TORN": "1"} if torn else {})}
