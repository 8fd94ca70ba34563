"""The attacker's editor for LUKS2 headers: changes the metadata or the UUID and makes the checksums right again.

    edit_header(path, function)     function(metadata) changes the parsed JSON in place
    read_header(path)               the parsed JSON
    set_uuid(path, uuid)

Both copies of the header are written, so that libcryptsetup sees nothing to repair. luks-edit.py is the command.
Offsets: LUKS2 On-Disk Format Specification 1.1, 2.1.
"""

import hashlib
import json
import os

BINARY_SIZE = 4096
SIZE_AT = 8
CHECKSUM_ALGORITHM_AT, CHECKSUM_ALGORITHM_SIZE = 72, 32
UUID_AT, UUID_SIZE = 168, 40
CHECKSUM_AT, CHECKSUM_SIZE = 448, 64


def header_size(disk) -> int:
    """How many bytes one copy of the header takes: binary header and JSON area."""
    disk.seek(0)
    if disk.read(8) != b"LUKS\xba\xbe\x00\x02":
        raise ValueError("not a LUKS2 header")
    return int.from_bytes(disk.read(8), "big")


def write_copy(disk, offset: int, copy: bytearray):
    """Writes one copy of the header with its checksum."""
    name = copy[CHECKSUM_ALGORITHM_AT : CHECKSUM_ALGORITHM_AT + CHECKSUM_ALGORITHM_SIZE]
    algorithm = name.rstrip(b"\0").decode()
    copy[CHECKSUM_AT : CHECKSUM_AT + CHECKSUM_SIZE] = bytes(CHECKSUM_SIZE)
    digest = hashlib.new(algorithm, copy).digest()
    copy[CHECKSUM_AT : CHECKSUM_AT + len(digest)] = digest
    disk.seek(offset)
    disk.write(copy)


def change_copies(path, change):
    """Calls change(copy) on the bytes of each copy of the header and writes them back."""
    with open(path, "r+b") as disk:
        size = header_size(disk)
        for offset in (0, size):
            disk.seek(offset)
            copy = bytearray(disk.read(size))
            change(copy)
            if len(copy) != size:
                raise ValueError("the change does not fit into the header")
            write_copy(disk, offset, copy)
        disk.flush()
        os.fsync(disk.fileno())


def read_header(path) -> dict:
    """The metadata as the first copy of the header has it."""
    with open(path, "rb") as disk:
        size = header_size(disk)
        disk.seek(BINARY_SIZE)
        return json.loads(disk.read(size - BINARY_SIZE).rstrip(b"\0"))


def edit_header(path, function):
    """Lets function(metadata) change the metadata in place."""
    metadata = read_header(path)
    function(metadata)
    text = json.dumps(metadata, separators=(",", ":"), ensure_ascii=False).encode()

    def change(copy):
        room = len(copy) - BINARY_SIZE
        if len(text) >= room:
            raise ValueError(f"{len(text)} bytes of metadata do not fit into {room - 1}")
        copy[BINARY_SIZE:] = text.ljust(room, b"\0")

    change_copies(path, change)


def set_uuid(path, uuid: str):
    """Gives the volume another UUID."""
    text = uuid.encode()
    if len(text) >= UUID_SIZE:
        raise ValueError("the UUID is too long")

    def change(copy):
        copy[UUID_AT : UUID_AT + UUID_SIZE] = text.ljust(UUID_SIZE, b"\0")

    change_copies(path, change)
