"""Suspending in tests."""

CHANGED = {9: b"another initrd", 7: b"Secure Boot is off"}


def suspend(bench, *options):
    """`bootseal suspend`, which must succeed."""
    result = bench.bootseal("suspend", *options)
    assert result.rc == 0, result
    return result


def resume(bench):
    """`bootseal resume --json`."""
    result = bench.bootseal("resume", "--json")
    assert result.rc == 0, result
    return result.json


def left(bench):
    """What status says of the suspension; None without one."""
    return bench.status()["suspension"]
