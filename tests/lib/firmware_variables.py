"""Firmware variables for programs on a bench: lists of hashes, updates of them, and a folder in the place of efivarfs."""

import struct
import uuid

import pytest

OWNER = uuid.UUID("11111111-2222-3333-4444-555555555555").bytes_le
SHA256 = uuid.UUID("c1c41626-504c-4092-aca9-41f936934328").bytes_le
PKCS7 = uuid.UUID("4aafd29d-68df-49ee-8aa9-347d375665a7").bytes_le

GLOBAL = "8be4df61-93ca-11d2-aa0d-00e098032b8c"
SECURITY = "d719b2cb-3d3a-4596-a3bc-dad00e67656f"
SHIM = "605dab50-e046-4300-abb6-3dd810dd8b23"

# The folder is another one in a mount namespace of the program's own: "$0" is what it holds.
MOUNT = """mount -t tmpfs none /sys/firmware && mkdir -p /sys/firmware/efi/efivars &&
cp "$0"/* /sys/firmware/efi/efivars/ && exec "$@" """


def signature_list(*hashes):
    """EFI_SIGNATURE_LIST of SHA-256 hashes."""
    return SHA256 + struct.pack("<III", 28 + 48 * len(hashes), 0, 48) + b"".join(OWNER + one for one in hashes)


def update(lists):
    """EFI_VARIABLE_AUTHENTICATION_2 with these lists; the signature in it is none, which only the firmware would see."""
    certificate = b"no signature"
    return bytes(16) + struct.pack("<IHH", 24 + len(certificate), 0x0200, 0x0EF1) + PKCS7 + certificate + lists


def run(bench, variables, argv, environment=None):
    """Run a program with these variables, {"dbx-<GUID>": contents}."""
    folder = bench.folder / "efivars"
    folder.mkdir(exist_ok=True)
    for path in folder.iterdir():
        path.unlink()
    for name, content in {f"SecureBoot-{GLOBAL}": b"\1", **variables}.items():
        (folder / name).write_bytes(struct.pack("<I", 7) + content)
    result = bench.run(["unshare", "--mount", "sh", "-c", MOUNT, folder, *argv], environment=environment)
    if "mount:" in result.stderr or "unshare:" in result.stderr:
        pytest.skip("no right to mount")
    return result
