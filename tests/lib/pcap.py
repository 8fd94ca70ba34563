"""What went over the TPM's bus, from the file that tpm2-tss's pcap TCTI writes.

The file is pcapng with one packet per TPM command and per response, each behind a made-up IPv4 and TCP header.  A
program that appends to the file starts a section of its own.

    [command.name for command in read_commands(path)]  ->  ["Load", "GetCapability", ...]
"""

import base64
import dataclasses
from pathlib import Path

ENHANCED_PACKET = 6  # pcapng, 4.3

# TPM 2.0 Part 2, 6.5.2
NAMES = {
    0x120: "EvictControl", 0x121: "HierarchyControl", 0x122: "NV_UndefineSpace", 0x126: "Clear",
    0x129: "HierarchyChangeAuth", 0x12A: "NV_DefineSpace", 0x131: "CreatePrimary", 0x137: "NV_Write",
    0x139: "DictionaryAttackLockReset", 0x13A: "DictionaryAttackParameters", 0x13C: "PCR_Event", 0x13D: "PCR_Reset",
    0x144: "Startup", 0x145: "Shutdown", 0x14E: "NV_Read", 0x150: "ObjectChangeAuth", 0x153: "Create", 0x157: "Load",
    0x15E: "Unseal", 0x160: "PolicySigned", 0x165: "FlushContext", 0x167: "LoadExternal", 0x169: "NV_ReadPublic",
    0x16B: "PolicyAuthValue", 0x16D: "PolicyCounterTimer", 0x16E: "PolicyCpHash", 0x171: "PolicyOR",
    0x173: "ReadPublic", 0x176: "StartAuthSession", 0x17A: "GetCapability", 0x17B: "GetRandom", 0x17D: "Hash",
    0x17E: "PCR_Read", 0x17F: "PolicyPCR", 0x180: "PolicyRestart", 0x182: "PCR_Extend", 0x189: "PolicyGetDigest",
    0x192: "PolicyAuthorizeNV",
}


@dataclasses.dataclass(frozen=True)
class Command:
    """One command and its response, as they were on the wire."""

    request: bytes
    response: bytes

    @property
    def code(self) -> int:
        """The command code."""
        return int.from_bytes(self.request[6:10], "big")

    @property
    def name(self) -> str:
        """The command's name in the specification."""
        return NAMES.get(self.code, hex(self.code))

    @property
    def rc(self) -> int:
        """The response code; 0 is success."""
        return int.from_bytes(self.response[6:10], "big")


def _packets(data: bytes):
    """The TPM's bytes of each packet."""
    while data:
        kind, size = int.from_bytes(data[0:4], "little"), int.from_bytes(data[4:8], "little")
        if size < 12 or size > len(data):
            raise ValueError(f"a block of {size} bytes, and {len(data)} are left")
        if kind == ENHANCED_PACKET:
            captured = int.from_bytes(data[20:24], "little")
            packet = data[28:28 + captured]
            internet = (packet[0] & 15) * 4
            transport = (packet[internet + 12] >> 4) * 4
            yield packet[internet + transport:]
        data = data[size:]


def read_commands(path) -> list:
    """All commands of a record, in order; none when nothing was recorded."""
    path = Path(path)
    packets = list(_packets(path.read_bytes())) if path.exists() else []
    # A program that was killed may have had no answer to its last command.
    packets += [b""] * (len(packets) % 2)
    return [Command(request, response) for request, response in zip(packets[::2], packets[1::2])]


def forms(secret: bytes) -> set:
    """How a secret may look on a wire: raw, hexadecimal, base64."""
    encoded = base64.b64encode(secret).rstrip(b"=")
    return {secret, secret.hex().encode(), secret.hex().upper().encode(), encoded}


def exposing(commands, secret: bytes) -> list:
    """The names of the commands in whose request or response a secret can be read."""
    if len(secret) < 4:
        raise ValueError("so short a secret is found by chance")
    return [command.name for command in commands
            if any(form in part for form in forms(secret) for part in (command.request, command.response))]
