"""Libraries that come before the program's own."""

import os


def preload(library) -> dict:
    """The environment for that; AddressSanitizer, where the build has it, lets others come first only when told so."""
    options = [part for part in os.environ.get("ASAN_OPTIONS", "").split(":") if part]
    return {"LD_PRELOAD": str(library), "ASAN_OPTIONS": ":".join([*options, "verify_asan_link_order=0"])}
