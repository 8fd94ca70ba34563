"""A machine whose Secure Boot keys are its owner's: the firmware's variables with them, and signed updates of dbx.

The variables are written into OVMF's store as the firmware itself would leave them (MdeModulePkg's
VariableFormat.h). With a platform key there the firmware starts with Secure Boot on.
"""

import shutil
import struct
import uuid
from dataclasses import dataclass
from pathlib import Path

from machine import FIRMWARE, OVMF
from storage import run

GLOBAL = uuid.UUID("8be4df61-93ca-11d2-aa0d-00e098032b8c")
SECURITY = uuid.UUID("d719b2cb-3d3a-4596-a3bc-dad00e67656f")
OWNER = uuid.UUID("b0075ea1-0000-4000-8000-00000000000e")
CERT_X509 = uuid.UUID("a5c059a1-94e4-4aa7-87b5-ab155c2bf072")
CERT_SHA256 = uuid.UUID("c1c41626-504c-4092-aca9-41f936934328")

# The first volume's header, then the store's: signature, size, format, state, six bytes that are reserved.
STORE = 0x48
STORE_HEADER = 28
STORE_SIGNATURE = uuid.UUID("aaf32c78-947b-439a-a180-2e144ec37792")
# Id, state, reserved, attributes, count, time, key index, sizes of name and data, vendor.
VARIABLE = struct.Struct("<HBxIQ16sIII16s")
VARIABLE_ID = 0x55AA
VARIABLE_ADDED = 0x3F
# Non-volatile, for boot services and at run time, with time-based authentication; and what is added to what is there.
ATTRIBUTES = 0x27
APPEND = 0x40


def signature_list(kind: uuid.UUID, signature: bytes) -> bytes:
    """An EFI_SIGNATURE_LIST with one entry."""
    size = 16 + len(signature)
    return kind.bytes_le + struct.pack("<III", 28 + size, 0, size) + OWNER.bytes_le + signature


def _variable(vendor: uuid.UUID, name: str, data: bytes) -> bytes:
    encoded = f"{name}\0".encode("utf-16-le")
    header = VARIABLE.pack(VARIABLE_ID, VARIABLE_ADDED, ATTRIBUTES, 0, bytes(16), 0, len(encoded), len(data),
                           vendor.bytes_le)
    variable = header + encoded + data
    return variable + b"\xff" * (-len(variable) % 4)


@dataclass(frozen=True)
class OwnerKeys:
    """Keys and certificates in a folder: PK, KEK and db, each as NAME.key and NAME.pem."""

    folder: Path

    @classmethod
    def make(cls, folder: Path) -> "OwnerKeys":
        """New keys in FOLDER."""
        folder.mkdir()
        for name in ("PK", "KEK", "db"):
            run(["openssl", "req", "-new", "-x509", "-newkey", "rsa:2048", "-nodes", "-sha256", "-days", "36500",
                 "-subj", f"/CN=bootseal test {name}", "-keyout", folder / f"{name}.key",
                 "-out", folder / f"{name}.pem"])
        return cls(folder)

    def key(self, name: str) -> Path:
        """The private key."""
        return self.folder / f"{name}.key"

    def certificate(self, name: str) -> Path:
        """The certificate."""
        return self.folder / f"{name}.pem"

    def der(self, name: str) -> bytes:
        """The certificate as shim and the firmware keep it."""
        return run(["openssl", "x509", "-outform", "DER", "-in", self.certificate(name)])

    def write_firmware_vars(self, path: Path) -> Path:
        """A store of variables with these keys in it and nothing else."""
        shutil.copy(OVMF / FIRMWARE[False][1], path)
        variables = b""
        for vendor, name in ((GLOBAL, "PK"), (GLOBAL, "KEK"), (SECURITY, "db")):
            variables += _variable(vendor, name, signature_list(CERT_X509, self.der(name)))
        with open(path, "r+b") as store:
            store.seek(STORE)
            header = store.read(STORE_HEADER)
            free = store.read(len(variables))
            if header[:16] != STORE_SIGNATURE.bytes_le or free.strip(b"\xff"):
                raise RuntimeError(f"{path} is no empty store of variables")
            store.seek(STORE + STORE_HEADER)
            store.write(variables)
        return path

    def dbx_update(self, digest: bytes, folder: Path) -> bytes:
        """The file in efivarfs that adds a SHA-256 to dbx, with its attributes, signed by the KEK."""
        plain, signed = folder / "dbx.esl", folder / "dbx.auth"
        plain.write_bytes(signature_list(CERT_SHA256, digest))
        run(["sign-efi-sig-list", "-a", "-k", self.key("KEK"), "-c", self.certificate("KEK"), "dbx", plain, signed])
        return struct.pack("<I", ATTRIBUTES | APPEND) + signed.read_bytes()
