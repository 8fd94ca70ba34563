#!/usr/bin/env python3
"""Writes what the fuzz targets start from into FOLDER/TARGET/NAME.

    make-seeds.py FOLDER EVENTLOGS

Event logs and GRUB's files are the recorded ones of tests/data/eventlogs; the rest is made here: documents as bootseal
writes them, with made-up keys, and the smallest PE images and EFI lists that are whole.
"""

import base64
import copy
import hashlib
import json
import struct
import sys
import uuid
from pathlib import Path

SEPARATOR = b"\n%%%%\n"

SHA256 = 0x000B


def digest(text: str) -> bytes:
    """Some 32 bytes."""
    return hashlib.sha256(text.encode()).digest()


def name(area: bytes) -> str:
    """The Name of a public area, in hexadecimal."""
    return (struct.pack(">H", SHA256) + hashlib.sha256(area).digest()).hex()


def text64(data: bytes) -> str:
    """Bytes as JSON has them."""
    return base64.b64encode(data).decode()


# P-256's base point: a public key that every library takes.
POINT = (bytes.fromhex("6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"),
         bytes.fromhex("4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5"))

# TPM 2.0 Part 2, 12.2.4 TPMT_PUBLIC and 13.5 TPMS_NV_PUBLIC
SRK = (struct.pack(">HHIH", 0x0023, SHA256, 0x00030472, 0) + struct.pack(">HHHHHH", 6, 128, 0x43, 0x10, 3, 0x10)
       + b"".join(struct.pack(">H", 32) + part for part in POINT))
AUTHORITY = (struct.pack(">HHIH", 0x0023, SHA256, 0x00040000, 0) + struct.pack(">HHHHH", 0x10, 0x18, SHA256, 3, 0x10)
             + b"".join(struct.pack(">H", 32) + part for part in POINT))
INDEX_ATTRIBUTES = 0x22041008  # written, NO_DA, AUTHREAD, WRITEALL, POLICYWRITE
INDEX = (struct.pack(">IHI", 0x018B5EA0, SHA256, INDEX_ATTRIBUTES) + struct.pack(">H", 32) + digest("index policy")
         + struct.pack(">H", 34))
SEALED_PUBLIC = (struct.pack(">HHI", 0x0008, SHA256, 0x00000092) + struct.pack(">H", 32) + digest("object policy")
                 + struct.pack(">H", 0x10) + struct.pack(">H", 32) + digest("unique"))
SEALED_PRIVATE = struct.pack(">H", 32) + digest("integrity") + struct.pack(">H", 16) + bytes(16) + bytes(range(96))

VOLUME = "0f4a7c52-1d1e-4b86-9a77-51c5ea1b0071"

PROTECTOR = {
    "type": "bootseal", "keyslots": ["1"], "version": 1, "id": "5a0610a7-fe30-4cbd-8de1-ae0a877a623f",
    "kind": "tpm2-pin", "label": "Anna", "operator": 2, "payload": "keyslot", "created": "2026-11-21T20:00:00Z",
    "tpm": {"srk": name(SRK), "approval": name(INDEX), "private": text64(SEALED_PRIVATE),
            "public": text64(SEALED_PUBLIC)},
    "kdf": {"type": "argon2id", "memory_kib": 65536, "iterations": 4, "lanes": 2, "salt": text64(digest("salt"))},
}
RECOVERY = {"type": "bootseal-recovery", "keyslots": ["2"], "version": 1, "id": "1f3a90c4",
            "created": "2026-11-21T20:00:00Z", "used": "2026-12-01T06:12:00Z", "escrow": None}
BRANCHES = [
    {"kind": "boot", "label": "linux 6.1.0-50-amd64", "source": "measured", "values": [0, 1, 2],
     "entry": "6.1.0-50-amd64", "approved_in": "1a2b3c4d", "kept": True},
    {"kind": "boot", "label": "linux 6.1.0-51-amd64", "source": "predicted", "values": [3, 1, 2]},
    {"kind": "suspend", "after": 40, "until": 41, "clock_ms": 7200000, "value": 2},
    {"kind": "suspend", "after": 40, "until": 41, "clock_ms": None, "value": 2},
    {"kind": "authority", "public": text64(AUTHORITY)},
]
OBJECTS = [name(SEALED_PUBLIC), name(SEALED_PUBLIC + b"2")]
APPROVAL = {
    "type": "bootseal-approval", "keyslots": [], "version": 1, "index": name(INDEX), "bank": "sha256",
    "pcrs": [4, 7, 12], "cap": 12, "values": [digest("4").hex(), digest("7").hex(), bytes(32).hex(), digest("5").hex()],
    "branches": BRANCHES, "objects": OBJECTS, "next": {"branches": BRANCHES[1:], "objects": OBJECTS[1:]},
}
PINNED = {"name": "cryptroot", "uuid": VOLUME, "device": f"/dev/disk/by-uuid/{VOLUME}", "facts": digest("facts").hex()}
PINS = {
    "version": 1, "srk": {"handle": 0x81000001, "public": text64(SRK)},
    "approval": {"handle": 0x018B5EA0, "public": text64(INDEX)}, "authority": name(AUTHORITY), "bank": "sha256",
    "cap": 12, "tries": 3, "root": "pinned", "kdf_floor": {"memory_kib": 8192, "iterations": 1},
    "volumes": [PINNED, {**PINNED, "name": "cryptdata", "uuid": VOLUME[:-1] + "2"}],
}
CRYPTTAB = (f"# name source key options\ncryptroot UUID={VOLUME} none luks,discard,tries=2,x-initrd.attach\n"
            "crypt\\040data /dev/sda3 none luks,header=/dev/sdb1,read-only,no-read-workqueue\n"
            "cryptdata PARTUUID=1 /key tcrypt,offset=8\n")
REPORT = {
    "version": 1, "boot_id": "BOOT-ID", "index": name(INDEX), "bank": "sha256",
    "pcrs": {str(number): digest(str(number)).hex() for number in range(16)}, "cap": {"pcr": 12, "done": True},
    "tpm": None,
    "volumes": [
        {"name": "cryptroot", "uuid": VOLUME, "opened": True, "by": "tpm2-pin", "status": 0, "reason": None,
         "protector": PROTECTOR["id"], "operator": 1, "recovery_id": None, "wrong_pins": 1, "milliseconds": 812},
        {"name": "cryptdata", "uuid": VOLUME[:-1] + "2", "opened": True, "by": "recovery", "status": 3,
         "reason": "PCR 9: the initrd changed", "protector": None, "operator": None, "recovery_id": "1f3a90c4",
         "wrong_pins": 0, "milliseconds": 9},
    ],
}
POLICY = {
    "version": 1, "bank": "sha256", "pcrs": [4, 7, 8, 9, 12, 14], "cap": 12, "tries": 3, "root": "pinned",
    "on_failure": "warn", "after_recovery": "advise",
    "pin": {"min_length": 6, "max_length": 20, "characters": "digits", "allow_simple": False},
    "kdf": {"memory_kib": 65536, "time_ms": 500, "floor_memory_kib": 8192, "floor_iterations": 1},
    "lockout": {"max_tries": 32, "recovery_s": 600, "lockout_recovery_s": 86400},
}
BOOT_FILES = {"version": 1, "files": [
    {"path": "/boot/initrd.img-6.1.0-50-amd64", "sha256": digest("initrd").hex(),
     "source": "written by update-initramfs", "date": "2026-11-22T08:00:00Z"}]}
STATE_APPROVAL = {key: value for key, value in APPROVAL.items() if key not in ("type", "keyslots")}
RECOVERY_KEY = b"471207-278498-422125-177177-561902-537405-468006-693451"


def document(value) -> bytes:
    """JSON as it lies on the disk."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def changed(value, **fields):
    """A copy with other fields; None takes one away."""
    other = copy.deepcopy(value)
    for key, field in fields.items():
        other.pop(key, None)
        if field is not None:
            other[key] = field
    return other


# ---- PE images (Microsoft, "PE Format") ----

HEADERS = 0x400
PE = 0x80
SECTIONS = PE + 24 + 240


def image(*sections, signatures=b"") -> bytes:
    """A PE32+ image for x86-64 with these (name, bytes)."""
    head = bytearray(HEADERS)
    body = b""
    address = 0x1000
    head[0:2] = b"MZ"
    struct.pack_into("<I", head, 0x3C, PE)
    head[PE:PE + 4] = b"PE\0\0"
    struct.pack_into("<HH", head, PE + 4, 0x8664, len(sections))
    struct.pack_into("<H", head, PE + 20, 240)
    struct.pack_into("<H", head, PE + 24, 0x20B)
    struct.pack_into("<H", head, PE + 24 + 44, 1)
    struct.pack_into("<I", head, PE + 24 + 60, HEADERS)
    struct.pack_into("<I", head, PE + 24 + 108, 16)
    for number, (section, data) in enumerate(sections):
        raw = data + bytes(-len(data) % 0x200)
        struct.pack_into("<8sIIII", head, SECTIONS + 40 * number, section.encode(), len(data), address, len(raw),
                         HEADERS + len(body))
        body += raw
        address += (len(raw) + 0xFFF) & ~0xFFF
    if signatures:
        struct.pack_into("<II", head, PE + 24 + 112 + 32, HEADERS + len(body), len(signatures))
    return bytes(head) + body + signatures


def kernel(version: str) -> bytes:
    """An image that says that it is a kernel of that version (Linux: arch/x86/boot, "HdrS")."""
    data = bytearray(image((".setup", bytes(700)), (".text", bytes(range(256)) * 4)))
    data[0x202:0x206] = b"HdrS"
    struct.pack_into("<H", data, 0x206, 0x20F)
    data[0x236] = 3
    struct.pack_into("<H", data, 0x20E, 0x600)
    data[0x800:0x800 + len(version) + 1] = version.encode() + b"\0"
    return bytes(data)


def unified(*more) -> bytes:
    """A unified kernel image with systemd's stub."""
    return image((".text", bytes(64)), (".sdmagic", b"#### LoaderInfo: systemd-stub 252.39-1~deb12u2 ####\0"),
                 (".osrel", b"ID=debian\nVERSION_ID=12\nPRETTY_NAME=\"Debian\"\n"), (".cmdline", b"root=/dev/sda1 quiet"),
                 (".initrd", b"070701" + bytes(50)), *more, (".linux", kernel("6.1.0-50-amd64 (debian)")))


# ---- EFI ----

GLOBAL = uuid.UUID("8be4df61-93ca-11d2-aa0d-00e098032b8c").bytes_le
DATABASE = uuid.UUID("d719b2cb-3d3a-4596-a3bc-dad00e67656f").bytes_le
SHIM = uuid.UUID("605dab50-e046-4300-abb6-3dd810dd8b23").bytes_le
SHA256_LIST = uuid.UUID("c1c41626-504c-4092-aca9-41f936934328").bytes_le
X509_LIST = uuid.UUID("a5c059a1-94e4-4aa7-87b5-ab155c2bf072").bytes_le
PKCS7 = uuid.UUID("4aafd29d-68df-49ee-8aa9-347d375665a7").bytes_le


def signature_list(kind: bytes, *contents) -> bytes:
    """An EFI_SIGNATURE_LIST (UEFI 2.10, 32.4.1)."""
    size = 16 + len(contents[0])
    return kind + struct.pack("<III", 28 + size * len(contents), 0, size) + b"".join(DATABASE + data for data in contents)


def variable(vendor: bytes, text: str, data: bytes) -> bytes:
    """UEFI_VARIABLE_DATA, as it is measured."""
    wide = text.encode("utf-16-le")
    return vendor + struct.pack("<QQ", len(text), len(data)) + wide + data


def node(kind: int, subtype: int, data: bytes) -> bytes:
    """A node of a device path."""
    return struct.pack("<BBH", kind, subtype, 4 + len(data)) + data


DEVICE_PATH = (node(2, 1, struct.pack("<II", 0x0A0341D0, 0)) + node(1, 1, b"\x02\x1f")
               + node(4, 1, struct.pack("<IQQ", 1, 2048, 4096) + bytes(range(16)) + b"\x02\x02")
               + node(4, 4, "\\EFI\\debian\\shimx64.efi\0".encode("utf-16-le")) + node(0x7F, 0xFF, b""))
BOOT_OPTION = (struct.pack("<IH", 1, len(DEVICE_PATH)) + "debian\0".encode("utf-16-le") + DEVICE_PATH
               + "quiet\0".encode("utf-16-le"))
HASHES = signature_list(SHA256_LIST, digest("a"), digest("b"))
# A certificate's outline: enough for whoever looks for a name in it.
CERTIFICATE = bytes.fromhex("3082003030820024a00302010202010130") + bytes(40)
UPDATE = (bytes(16) + struct.pack("<IHH", 24 + 8, 0x0200, 0x0EF1) + PKCS7 + bytes(8) + HASHES)
GPT = (b"EFI PART" + struct.pack("<IIIIQQQQ", 0x10000, 92, 0, 0, 1, 99, 34, 66) + bytes(range(16))
       + struct.pack("<QIII", 2, 128, 128, 0) + struct.pack("<Q", 1) + bytes(range(16)) + bytes(range(16, 32))
       + struct.pack("<QQQ", 2048, 4096, 0) + "boot".encode("utf-16-le").ljust(72, b"\0"))

# ---- scripts of a TPM that lies: see bad-tpm.h ----

PASS, REPLACE, BODY, CODE, REPEAT, FLIP, TRUNCATE, CLOSE, UNSENT = range(9)


def act(skip: int, what: int, data: bytes = b"") -> bytes:
    """One record."""
    return bytes((skip, what, len(data))) + data


def code(number: int) -> bytes:
    """A response code, as records have it."""
    return struct.pack("<H", number)


SCRIPTS = {
    "as-it-is": b"",
    "busy-once": act(3, CODE, code(0x922)),
    "busy-for-ever": act(3, REPEAT, code(0x922)),
    "no-memory": act(2, REPEAT, code(0x902)),
    "lockout": act(4, CODE, code(0x921)),
    "pcr-changed": act(9, CODE, code(0x128)),
    "pcr-changed-for-ever": act(9, REPEAT, code(0x128)),
    "stale-list": act(9, CODE, code(0x184)),
    "closed": act(5, CLOSE),
    "short": act(2, TRUNCATE, b"\x0c\0"),
    "spoiled": act(4, FLIP, b"\x20\0\x01"),
    "many-pcrs": act(0, BODY, struct.pack(">IIHB3s", 1, 1, SHA256, 3, b"\xff\xff\xff") + struct.pack(">I", 8)),
    "unsent": act(6, UNSENT, struct.pack(">HII", 0x8001, 10, 0)),
}
# Answers in the order in which fuzz-tpm-blob asks, with nothing behind them.
ALONE = b"".join(act(0, UNSENT, struct.pack(">HII", 0x8001, 10 + len(body), 0) + body) for body in (
    b"\0" + struct.pack(">III", 6, 1, 0x200) + bytes(4),
    struct.pack(">QQIIB", 1, 2, 3, 4, 1),
    b"\0" + struct.pack(">III", 6, 1, 0x105) + b"IBM ",
))
UNLOCKS = {
    "right-pin": (0, b"481526\n", b""),
    "wrong-pin": (0, b"000000\n\n481526\n", b""),
    "no-pin": (2, b"", b""),
    "both": (8, b"481526\n", b""),
    "capped": (4, b"481526\n", b""),
    "recovery-key": (0, RECOVERY_KEY + b"\n", b""),
    "cost": (0, b"481526\n", b"tokens/2/kdf/memory_kib 4194304\ntokens/2/kdf/iterations 1000\n"),
    "keyslot-cost": (0, b"481526\n", b"keyslots/1/kdf/iterations 2000000000\n"),
    "cipher": (0, b"481526\n", b'segments/0/encryption "cipher_null-ecb"\n'),
    "stripped": (0, b"481526\n", b"tokens/2\n"),
    "approval": (2, b"", b"tokens/1/branches []\ntokens/1/pcrs [0,1,2]\n"),
    "two-protectors": (0, b"1\n481526\n", b"tokens/7 " + document(PROTECTOR) + b"\n"),
    "recovery-token": (0, RECOVERY_KEY + b"\n", b"tokens/5 " + document(changed(RECOVERY, keyslots=["0"])) + b"\n"),
    "operators": (8, b"2\n481526\n", b"tokens/2/operator 2\ntokens/2/label \"\\u001b[2J\"\n"),
}

GRUB_SCRIPTS = {
    "small": b"set timeout=5\nmenuentry Linux --id linux {\n\tlinux /vmlinuz quiet\n\tinitrd /initrd.img\n}\n",
    "logic": b"""set default=1
if [ "${next_entry}" -a -s $prefix/grubenv ]; then load_env; elif true; then set a="b${c}d"; else set x=y; fi
for i in 1 2 3; do set n="$n $i"; done
while [ "$m" != xxx ]; do m="x$m"; done
function f { set g="$1"; shift; return 0; }
f 1 2
search --no-floppy --fs-uuid --set=root --hint-efi=hd0,gpt2 aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee
submenu 'More' --id more { menuentry "It's" --class a { linux /vmlinuz ro; initrd /initrd.img } }
menuentry 'Linux' --unrestricted { linux ($root)/vmlinuz root=UUID=1 ; initrd /initrd.img }
""",
}
GRUBENV = b"# GRUB Environment Block\nsaved_entry=linux\nnext_entry=more>It's\n".ljust(1024, b"#")

ENTRY = (b"title Debian\nversion 6.1.0-50-amd64\nmachine-id b0075ea1b0075ea1b0075ea1b0075ea1\nsort-key debian\n"
         b"linux /vmlinuz\ninitrd /initrd.img\noptions root=/dev/mapper/cryptroot quiet\noptions splash\n")
LOADERS = {
    "menu": (b"timeout 3\ndefault debian*\nconsole-mode max\n", ENTRY,
             b"title Older\nefi /EFI/BOOT/BOOTX64.EFI\narchitecture x64\noptions single\n", b"", b"", b"older.conf"),
    "chosen": (b"default @saved\neditor no\n", ENTRY, b"linux /vmlinuz\ndevicetree /dt\n", b"older.conf",
               b"[a-z]*\\?.conf", b"@saved"),
}


def seeds(eventlogs: Path):
    """Each seed: (target, name, its parts)."""
    yield "token", "protector", [document(PROTECTOR)]
    yield "token", "no-pin", [document(changed(PROTECTOR, kind="tpm2", kdf=None, operator=None))]
    yield "token", "volume-key", [document(changed(PROTECTOR, payload="volume-key", keyslots=[]))]
    yield "token", "pending", [document(changed(PROTECTOR, type="bootseal-pending", keyslots=[], extra={"a": [1]}))]
    yield "token", "recovery", [document(RECOVERY)]
    yield "approval", "all-branches", [document(APPROVAL)]
    yield "approval", "no-next", [document(changed(APPROVAL, next=None, objects=OBJECTS[:1]))]
    yield "approval", "many", [document(changed(APPROVAL, branches=BRANCHES * 5, objects=OBJECTS * 5))]
    yield "pins", "pins", [document(PINS), CRYPTTAB.encode()]
    yield "pins", "one-volume", [document(changed(PINS, volumes=[PINNED], root="any"))]
    yield "report", "opened", [document(REPORT)]
    yield "report", "no-tpm", [document(changed(REPORT, tpm="no answer", bank=None, pcrs={}, index=None))]
    yield "policy", "policy", [document(POLICY), b"4,7,8,9,12", b"481526"]
    yield "policy", "any-pin", [document({"pcrs": [4, 7, 12], "pin": {"characters": "any"}}), b"0,23", b"cor rect horse"]
    yield "recovery-key", "canonical", [RECOVERY_KEY]
    yield "recovery-key", "blanks", [b" " + RECOVERY_KEY.replace(b"-", b" ") + b"\n"]
    yield "recovery-key", "wrong-group", [RECOVERY_KEY.replace(b"278498", b"278499")]
    yield "boot-files", "record", [document(BOOT_FILES), document(STATE_APPROVAL)]
    yield "boot-files", "empty", [document({"version": 1, "files": []})]
    logs = sorted(eventlogs.glob("**/*.bin"))
    assert len(logs) >= 4, eventlogs
    for number, log in enumerate(logs):
        yield "event-log", log.stem, [log.read_bytes()]
        yield "event-log", f"{log.stem}-other", [log.read_bytes(), logs[number - 1].read_bytes()]
    recorded = eventlogs / "debian12-grub-mkconfig"
    yield "grub", "recorded", [(recorded / "grub.cfg").read_bytes(), (recorded / "grubenv").read_bytes()]
    for key, script in GRUB_SCRIPTS.items():
        yield "grub", key, [script, GRUBENV]
    yield "grub", "chosen", [GRUB_SCRIPTS["logic"], GRUBENV, b"more>It's"]
    options = "root=/dev/sda1 initrd=\\initrd\0".encode("utf-16-le")
    yield "pe", "kernel", [kernel("6.1.0-50-amd64 (debian)"), options, b"an initrd"]
    yield "pe", "unified", [unified((".splash", b"BM" + bytes(60)), (".dtb", b"\xd0\x0d\xfe\xed"))]
    yield "pe", "signed", [image((".text", bytes(100)), signatures=struct.pack("<IHH", 16, 0x200, 2) + bytes(8))]
    yield "pe", "shim", [image((".sbatlevel", struct.pack("<III", 0, 8, 40) + b"sbat,1,2022052400\ngrub,2\n\0".ljust(32, b"\0")
                                + b"sbat,1,2023012900\nshim,2\n\0"),
                               (".vendor_cert", struct.pack("<IIII", len(CERTIFICATE), len(HASHES), 16,
                                                            16 + len(CERTIFICATE)) + CERTIFICATE + HASHES))]
    yield "efi", "lists", [HASHES + signature_list(X509_LIST, CERTIFICATE), UPDATE]
    yield "efi", "database", [variable(DATABASE, "db", signature_list(X509_LIST, CERTIFICATE))]
    yield "efi", "secure-boot", [variable(GLOBAL, "SecureBoot", b"\x01")]
    yield "efi", "sbat", [variable(SHIM, "SbatLevel", b"sbat,1,2022052400\ngrub,2\n")]
    yield "efi", "boot-variable", [variable(GLOBAL, "Boot0001", BOOT_OPTION)]
    yield "efi", "boot-option", [struct.pack("<I", 7) + BOOT_OPTION]
    yield "efi", "device-path", [DEVICE_PATH]
    yield "efi", "partitions", [GPT]
    for key, parts in LOADERS.items():
        yield "systemd-boot", key, list(parts)
    areas = [SRK, INDEX, SEALED_PRIVATE, SEALED_PUBLIC]
    yield "tpm-blob", "silent", areas + [b""]
    yield "tpm-blob", "answers", areas + [ALONE]
    yield "tpm-blob", "answers-more", areas + [ALONE + b"\0"]
    for key, script in SCRIPTS.items():
        yield "tpm-blob", key, areas + [script]
        yield "unlock", f"tpm-{key}", [b"\0" + b"481526\n481526\n", b"", script]
    for key, (mode, typed, changes) in UNLOCKS.items():
        yield "unlock", key, [bytes((mode,)) + typed, changes, b""]
    yield "unlock", "alone", [b"\x01" + b"481526\n", b"", ALONE]


def main():
    """Write them all."""
    folder, eventlogs = map(Path, sys.argv[1:])
    for target, seed, parts in seeds(eventlogs):
        (folder / target).mkdir(parents=True, exist_ok=True)
        (folder / target / seed).write_bytes(SEPARATOR.join(parts))
    (folder / "done").touch()


if __name__ == "__main__":
    main()
