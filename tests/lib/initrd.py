"""Looking into an initrd, and adding to one.

An initrd is one or more cpio archives (newc), the first one here compressed by zstd.  The kernel unpacks them one after
the other: a file of an archive at the end replaces one of the same name before it.
"""

import subprocess
from pathlib import Path

MAGIC = b"070701"
TRAILER = "TRAILER!!!"
REGULAR, LINK, KIND = 0o100000, 0o120000, 0o170000


def _padding(size: int) -> bytes:
    return bytes(-size % 4)


def _entry(number: int, name: str, mode: int, content: bytes) -> bytes:
    """One file: thirteen numbers in hexadecimal, the name, the content, each padded to four bytes."""
    encoded = name.encode() + b"\0"
    fields = (number, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(encoded), 0)
    header = MAGIC + b"".join(b"%08X" % value for value in fields) + encoded
    return header + _padding(len(header)) + content + _padding(len(content))


def archive(files: dict, mode: int = 0o755) -> bytes:
    """A cpio archive of {path: content}; their folders must exist in the archive before it.

    Each file comes as a link first: over a file of the same kind the kernel writes in place, and so into everything
    that shares its inode, as all names of busybox do.
    """
    entries = b""
    for number, (path, content) in enumerate(files.items()):
        entries += _entry(2 * number + 1, path, LINK | 0o777, b"gone")
        entries += _entry(2 * number + 2, path, REGULAR | mode, content)
    return entries + _entry(0, TRAILER, 0, b"")


def append(initrd: Path, files: dict) -> None:
    """Replace or add files."""
    with open(initrd, "ab") as file:
        file.write(_padding(file.tell()))
        file.write(archive(files))


def read(initrd: Path) -> dict:
    """{path: content} of the first archive; a link's content is where it leads."""
    data = subprocess.run(["zstd", "--decompress", "--stdout", initrd], capture_output=True, check=True).stdout
    files, at = {}, 0
    while True:
        if data[at:at + 6] != MAGIC:
            raise ValueError(f"{initrd}: no cpio header at {at}")
        fields = [int(data[at + 6 + 8 * i:at + 14 + 8 * i], 16) for i in range(13)]
        mode, size, name_size = fields[1], fields[6], fields[11]
        name = data[at + 110:at + 110 + name_size - 1].decode()
        start = at + 110 + name_size + len(_padding(at + 110 + name_size))
        if name == TRAILER:
            return files
        if mode & KIND in (REGULAR, LINK):
            files[name.removeprefix("./")] = data[start:start + size]
        at = start + size + len(_padding(start + size))
