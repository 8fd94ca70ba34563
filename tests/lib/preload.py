"""Libraries that come before the program's own, and what a sanitizer in the program is told then."""

import os


def sanitizer(option: str) -> dict:
    """The environment in which AddressSanitizer, where the build has it, has one more option."""
    options = [part for part in os.environ.get("ASAN_OPTIONS", "").split(":") if part]
    return {"ASAN_OPTIONS": ":".join([*options, option])}


def preload(*libraries) -> dict:
    """The environment for that; AddressSanitizer lets others come first only when told so."""
    return {"LD_PRELOAD": ":".join(map(str, libraries)), **sanitizer("verify_asan_link_order=0")}
