"""Looking into the memory of a program that is stopped, or waits.

    with memory.Stopped(bench, argv, "opening", "exit") as program:
        dump = program.at("opening")
        assert key in dump
        assert memory.found(program.at("exit"), {"the key": key}) == []
        assert program.end().rc == 0
"""

import base64
import ctypes
import hashlib
import hmac
import os
import re
import signal
import subprocess
import uuid
from pathlib import Path

from bootseal import BUILD, PATIENCE_S, Result

LIBRARY = BUILD / "tests/stop-at.so"

MAP_LINE = re.compile(r"^([0-9a-f]+)-([0-9a-f]+) r")


def dump(pid: int) -> list:
    """All that can be read of a process's memory, one piece for each mapping; the kernel's own pages are left out."""
    pieces = []
    with open(f"/proc/{pid}/maps", encoding="utf-8") as maps, open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for line in maps:
            match = MAP_LINE.match(line)
            if not match or "[v" in line:
                continue
            start, end = (int(number, 16) for number in match.groups())
            try:
                pieces.append(os.pread(memory.fileno(), end - start, start))
            except OSError:  # a device's, or past the end of a file
                continue
    assert sum(map(len, pieces)) > 1 << 20, "that is no program's memory"
    return pieces


def found(pieces, secrets: dict) -> list:
    """The names of those {name: bytes} that are there, or the half of them that comes first or last."""
    def parts(secret):
        half = max(len(secret) // 2, 8)
        return {secret, secret[:half], secret[-half:]}
    return [name for name, secret in secrets.items() if any(part in piece for piece in pieces for part in parts(secret))]


class Stopped:
    """A program that stops at each of the points, in their order; see stop-at.c."""

    def __init__(self, bench, argv, *points, environment=None):
        self._environment = bench.environment(**environment_of(*points), **(environment or {}))
        self._argv = list(map(str, argv))
        self._process = None

    def __enter__(self):
        self._process = subprocess.Popen(self._argv, env=self._environment, stdin=subprocess.DEVNULL,
                                         stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)
        return self

    def __exit__(self, *exception):
        if self._process.poll() is None:
            self._process.kill()
        self._process.communicate()

    @property
    def pid(self) -> int:
        """The process."""
        return self._process.pid

    def at(self, point: str) -> list:
        """Let it run until the point; the memory it has then."""
        return go_on_to(self.pid, point)

    def end(self) -> Result:
        """Let it run to its end."""
        os.kill(self.pid, signal.SIGCONT)
        output, errors = self._process.communicate(timeout=PATIENCE_S)
        return Result(self._process.returncode, output.decode(), errors.decode())


def environment_of(*points) -> dict:
    """The variables that make a program stop."""
    return {"LD_PRELOAD": str(LIBRARY), "STOP_AT": "".join(f"{point}," for point in points)}


def go_on_to(pid: int, point: str) -> list:
    """Let a program run until the point; the memory it has then."""
    os.kill(pid, signal.SIGCONT)
    status = os.waitid(os.P_PID, pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
    assert status.si_code == os.CLD_STOPPED, f"it ended before {point}"
    os.waitid(os.P_PID, pid, os.WSTOPPED)
    name = Path(f"/proc/{pid}/comm").read_text(encoding="ascii").strip()
    assert name == point, f"it stopped at {name}"
    return dump(pid)


# ---- the keys of keys-and-policy.md, computed here ----

def stretch(pin: str, token: dict) -> tuple:
    """A and B: what becomes of a PIN by the token's cost and salt."""
    kdf, salt = token["kdf"], base64.b64decode(token["kdf"]["salt"])
    result = ctypes.create_string_buffer(64)
    code = ctypes.CDLL("libargon2.so.1").argon2id_hash_raw(
        ctypes.c_uint32(kdf["iterations"]), ctypes.c_uint32(kdf["memory_kib"]), ctypes.c_uint32(kdf["lanes"]),
        pin.encode(), ctypes.c_size_t(len(pin)), salt, ctypes.c_size_t(len(salt)), result, ctypes.c_size_t(64))
    assert code == 0
    return result.raw[:32], result.raw[32:]


def expand(ikm: bytes, token: dict, info: str) -> bytes:
    """HKDF-SHA256 with the protector's UUID as salt, 32 bytes."""
    key = hmac.digest(uuid.UUID(token["id"]).bytes, ikm, hashlib.sha256)
    return hmac.digest(key, info.encode() + b"\1", hashlib.sha256)


def find_passphrase(pieces, volume) -> bytes:
    """The text of K, found in memory by trying what looks like it."""
    shape = re.compile(rb"(?<![A-Za-z0-9+/])[A-Za-z0-9+/]{43}=")
    for candidate in {text for piece in pieces for text in shape.findall(piece)}:
        if volume.opens_with(candidate.decode()):
            return candidate
    raise AssertionError("K is not in this memory")


def find_sealed(pieces, token: dict, mix: bytes, key: bytes) -> bytes:
    """S, found in memory as what gives K together with B; it stands behind its size."""
    for piece in pieces:
        for match in re.finditer(rb"(?=\x20\x00(.{32}))", piece, re.DOTALL):
            if expand(match.group(1) + mix, token, "bootseal v1 keyslot") == key:
                return match.group(1)
    raise AssertionError("S is not in this memory")
