"""A physical volume of LVM in a file, with volume group and logical volumes: LVM's own tools want block devices.

What is written is as `pvcreate`, `vgcreate` and `lvcreate` leave it, each logical volume in one piece: a label in the
second sector, a metadata area with the volume group's description as text, and 1 MiB on the first extent.  Layout and
checksums: lvm2's lib/format_text/layout.h and lib/label/label.h.
"""

import hashlib
import struct
import zlib
from pathlib import Path

SECTOR = 512
MIB = 1024 * 1024
EXTENT = 4 * MIB
FIRST_EXTENT = MIB
AREA_START = 4096
AREA_SIZE = FIRST_EXTENT - AREA_START
AREA_MAGIC = b"\x20LVM2\x20x[5A%r0N*>"
CHECKSUM_START = 0xF597A6CF

GROUP = """\
{group} {{
id = "{id}"
seqno = 1
format = "lvm2"
status = ["RESIZEABLE", "READ", "WRITE"]
flags = []
extent_size = {extent_sectors}
max_lv = 0
max_pv = 0
metadata_copies = 0
physical_volumes {{
pv0 {{
id = "{pv_id}"
device = "/dev/unknown"
status = ["ALLOCATABLE"]
flags = []
dev_size = {size_sectors}
pe_start = {first_sector}
pe_count = {extents}
}}
}}
logical_volumes {{
{volumes}}}
}}
contents = "Text Format Volume Group"
version = 1
description = ""
creation_host = "bootseal-test"
creation_time = 1
"""

VOLUME = """\
{name} {{
id = "{id}"
status = ["READ", "WRITE", "VISIBLE"]
flags = []
segment_count = 1
segment1 {{
start_extent = 0
extent_count = {extents}
type = "striped"
stripe_count = 1
stripes = ["pv0", {first}]
}}
}}
"""


def _checksum(data: bytes) -> int:
    """CRC-32 with a start of its own and no inversion at the end."""
    return ~zlib.crc32(data, ~CHECKSUM_START & 0xFFFFFFFF) & 0xFFFFFFFF


def _identifier(name: str) -> str:
    """32 letters and digits that stand for a name."""
    return hashlib.md5(name.encode(), usedforsecurity=False).hexdigest()


def _dashed(identifier: str) -> str:
    """The same as the metadata writes it: 6-4-4-4-4-4-6."""
    cuts = (0, 6, 10, 14, 18, 22, 26, 32)
    return "-".join(identifier[start:end] for start, end in zip(cuts, cuts[1:]))


def _label(pv_id: str, size: int) -> bytes:
    """The label's sector: data area, metadata area, the extension that says that the volume is in use."""
    areas = struct.pack("<8Q", FIRST_EXTENT, 0, 0, 0, AREA_START, AREA_SIZE, 0, 0)
    header = pv_id.encode() + struct.pack("<Q", size) + areas + struct.pack("<II2Q", 2, 1, 0, 0)
    checked = (struct.pack("<I", 32) + b"LVM2 001" + header).ljust(SECTOR - 20, b"\0")
    return b"LABELONE" + struct.pack("<QI", 1, _checksum(checked)) + checked


def _area(text: bytes) -> bytes:
    """The metadata area's header, and the text behind it."""
    location = struct.pack("<QQII", SECTOR, len(text), _checksum(text), 0)
    checked = (AREA_MAGIC + struct.pack("<IQQ", 1, AREA_START, AREA_SIZE) + location).ljust(SECTOR - 4, b"\0")
    return struct.pack("<I", _checksum(checked)) + checked + text


def make_physical_volume(path: Path, group: str, sizes: dict, identity: str = "") -> dict:
    """Make PATH hold a volume group with logical volumes of the given SIZES, {name: bytes}; where each one starts.

    IDENTITY makes groups of one name differ in all their UUIDs.
    """
    extents = {name: -(-size // EXTENT) for name, size in sizes.items()}
    size = FIRST_EXTENT + sum(extents.values()) * EXTENT
    offsets, volumes, first = {}, "", 0
    for name, count in extents.items():
        lv_id = _dashed(_identifier(f"{identity} {group} {name}"))
        volumes += VOLUME.format(name=name, id=lv_id, extents=count, first=first)
        offsets[name] = FIRST_EXTENT + first * EXTENT
        first += count
    pv_id = _identifier(f"{identity} {group} pv")
    text = GROUP.format(group=group, id=_dashed(_identifier(f"{identity} {group}")), pv_id=_dashed(pv_id),
                        extent_sectors=EXTENT // SECTOR, size_sectors=size // SECTOR,
                        first_sector=FIRST_EXTENT // SECTOR, extents=first, volumes=volumes)
    with open(path, "wb") as file:
        file.truncate(size)
        file.seek(SECTOR)
        file.write(_label(pv_id, size))
        file.seek(AREA_START)
        file.write(_area(text.encode() + b"\0"))
    return offsets
