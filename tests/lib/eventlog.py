"""Event logs for the boots of a bench: what Bench.boot() extends, in a firmware's words."""

import hashlib
import struct

SHA256 = 0x000B
EV_NO_ACTION, EV_IPL, EV_EFI_BOOT_SERVICES_APPLICATION = 0x3, 0xD, 0x80000003

INITRD = "/initrd.img-6.1.0-50-amd64"
LOADER = "\\EFI\\debian\\grubx64.efi"


def header() -> bytes:
    """The first event of a crypto-agile log with the SHA-256 bank alone."""
    data = b"Spec ID Event03\0" + struct.pack("<IBBBBI HH B", 0, 0, 2, 0, 2, 1, SHA256, 32, 0)
    return struct.pack("<II20sI", 0, EV_NO_ACTION, bytes(20), len(data)) + data


def event(pcr: int, measured: bytes, words: bytes, kind: int = EV_IPL) -> bytes:
    """One event: what was measured, and what the log says that it was."""
    return struct.pack("<IIIH", pcr, kind, 1, SHA256) + hashlib.sha256(measured).digest() + \
        struct.pack("<I", len(words)) + words


def application(path: str) -> bytes:
    """The data of an EFI application's event: where it was loaded from."""
    name = (path + "\0").encode("utf-16-le")
    device_path = struct.pack("<BBH", 4, 4, 4 + len(name)) + name + struct.pack("<BBH", 0x7F, 0xFF, 4)
    return struct.pack("<QQQQ", 0, 0, 0, len(device_path)) + device_path


def boot(bench, *, initrd: bytes = b"initrd", command: str = "set default=0", secure_boot: bytes = b"Secure Boot is on",
         program: bytes = b"shim, GRUB and kernel", log=True, more=()):
    """Boot the bench, and give it the event log of that boot; the environment that names the log.

    INITRD, PROGRAM, the boot loader, and SECURE_BOOT are what is measured.  MORE is (PCR, what is measured, words) of
    events that are in the log and not in the PCRs, so that it does not replay.
    """
    bench.boot({4: program, 7: secure_boot, 8: command.encode(), 9: initrd})
    path = bench.folder / "eventlog"
    path.unlink(missing_ok=True)
    if log:
        events = [event(4, program, application(LOADER), EV_EFI_BOOT_SERVICES_APPLICATION),
                  event(7, secure_boot, b"Secure Boot"),
                  event(8, command.encode(), b"grub_cmd: " + command.encode() + b"\0"),
                  event(9, initrd, INITRD.encode() + b"\0"), *(event(*one) for one in more)]
        path.write_bytes(header() + b"".join(events))
    return {"BOOTSEAL_EVENTLOG": str(path)}
