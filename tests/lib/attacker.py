"""What somebody can do without bootseal: with the disk in his hands, with tpm2-tools, and even with the PIN.

Everything here is written from the design and the specifications alone and shares nothing with bootseal's own code, so
that a test can compare the two.
"""

import base64
import contextlib
import dataclasses
import hashlib
import hmac
import json
import tempfile
import uuid
from pathlib import Path

from argon2.low_level import Type, hash_secret_raw
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

SRK = "0x81000001"

# TPM 2.0 Part 2, 6.5.2
CC_UNSEAL = 0x15E
CC_POLICY_SIGNED = 0x160
CC_POLICY_CP_HASH = 0x16E
CC_POLICY_OR = 0x171
CC_POLICY_PCR = 0x17F
ALGORITHMS = {"sha256": 0x0B, "sha384": 0x0C, "sha512": 0x0D}


# ---- the policy, as the design says it ----

def _sha256(*parts: bytes) -> bytes:
    return hashlib.sha256(b"".join(parts)).digest()


def _number(value: int, size: int) -> bytes:
    return value.to_bytes(size, "big")


def _update(policy: bytes, command: int, *arguments: bytes) -> bytes:
    return _sha256(policy, _number(command, 4), *arguments)


EMPTY = bytes(32)


def object_name(public: bytes) -> bytes:
    """The Name of a TPM object by its public area, with or without its size before it."""
    return _number(ALGORITHMS["sha256"], 2) + _sha256(sized(public)[2:])


def unseal_cp_hash(name: bytes) -> bytes:
    """cpHash of Unseal for one object."""
    return _sha256(_number(CC_UNSEAL, 4), name)


def branch_digest(approval: dict, branch: dict) -> bytes:
    """The policy digest of one branch of a bootseal-approval token."""
    if branch["kind"] == "authority":
        name = object_name(base64.b64decode(branch["public"]))
        return _sha256(_update(EMPTY, CC_POLICY_SIGNED, name), b"bootseal admin")
    values = b"".join(bytes.fromhex(approval["values"][index]) for index in branch["values"])
    select = sum(1 << pcr for pcr in approval["pcrs"]).to_bytes(3, "little")
    selection = _number(1, 4) + _number(ALGORITHMS[approval["bank"]], 2) + b"\x03" + select
    return _update(EMPTY, CC_POLICY_PCR, selection, _sha256(values))


def or_tree(digests: list) -> list:
    """The rows of a PolicyOR tree: groups of eight in list order, a group of one moves up unchanged."""
    rows = [digests]
    while len(rows[-1]) > 1:
        groups = [rows[-1][i:i + 8] for i in range(0, len(rows[-1]), 8)]
        rows.append([_update(EMPTY, CC_POLICY_OR, *group) if len(group) > 1 else group[0] for group in groups])
    return rows


def or_path(digests: list, place: int) -> list:
    """The lists of the PolicyOR commands that lead from one digest to the root."""
    path = []
    for row in or_tree(digests)[:-1]:
        group = row[place // 8 * 8:place // 8 * 8 + 8]
        path += [group] if len(group) > 1 else []
        place //= 8
    return path


def object_digests(approval: dict) -> list:
    """The digest of each object in force, on top of the branches."""
    (root,) = or_tree([branch_digest(approval, branch) for branch in approval["branches"]])[-1]
    return [_update(root, CC_POLICY_CP_HASH, unseal_cp_hash(bytes.fromhex(name))) for name in approval["objects"]]


def approved_digest(approval: dict) -> bytes:
    """What the approval index must hold for this list."""
    return or_tree(object_digests(approval))[-1][0]


# ---- the keys, as the design says them ----

@dataclasses.dataclass(frozen=True)
class Secrets:
    """Everything that must never be seen on the bus."""

    auth: bytes        # A
    mix: bytes         # B
    sealed: bytes      # S
    key: bytes         # K
    passphrase: bytes  # of the keyslot: base64(K)


def stretch(token: dict, pin: str) -> tuple:
    """A and B; both empty without a PIN."""
    if token["kind"] == "tpm2":
        return b"", b""
    kdf = token["kdf"]
    both = hash_secret_raw(pin.encode(), base64.b64decode(kdf["salt"]), time_cost=kdf["iterations"],
                           memory_cost=kdf["memory_kib"], parallelism=kdf["lanes"], hash_len=64, type=Type.ID)
    return both[:32], both[32:]


def derive_key(sealed: bytes, mix: bytes, protector_id: str) -> bytes:
    """K: HKDF-SHA256 (RFC 5869), one block."""
    extracted = hmac.digest(uuid.UUID(protector_id).bytes, sealed + mix, "sha256")
    return hmac.digest(extracted, b"bootseal v1 keyslot\x01", "sha256")


def passphrase(sealed: bytes, mix: bytes, protector_id: str) -> str:
    """What opens the protector's keyslot."""
    return base64.b64encode(derive_key(sealed, mix, protector_id)).decode()


def volume_key(sealed: bytes, mix: bytes, protector_id: str) -> bytes:
    """What the payload volume-key holds: nonce and AES-256-GCM, under a key from B alone."""
    extracted = hmac.digest(uuid.UUID(protector_id).bytes, mix, "sha256")
    key = hmac.digest(extracted, b"bootseal v1 volume key\x01", "sha256")
    return AESGCM(key).decrypt(sealed[:12], sealed[12:], None)


# ---- tpm2-tools ----

def _write(folder, name: str, data: bytes) -> Path:
    path = Path(folder) / name
    path.write_bytes(data)
    return path


def _assert_or(tpm, folder, session, path: list) -> None:
    for digests in path:
        files = [str(_write(folder, f"or{i}", digest)) for i, digest in enumerate(digests)]
        tpm.tool("tpm2_policyor", "-S", session, "sha256:" + ",".join(files))


def unseal(tpm, token: dict, approval: dict, index: int, auth: bytes = b"", path_of: dict = None) -> bytes:
    """S, by the last boot branch and A; an exception that names the tool when the TPM refuses.

    TOKEN and APPROVAL are what some header says; nothing here asks bootseal's opinion.  PATH_OF is the token of the
    object through whose part of the list it is tried.
    """
    public = base64.b64decode(token["tpm"]["public"])
    private = base64.b64decode(token["tpm"]["private"])
    name = object_name(base64.b64decode((path_of or token)["tpm"]["public"]))
    branch = len(approval["branches"]) - 1
    branches = [branch_digest(approval, each) for each in approval["branches"]]
    place = approval["objects"].index(name.hex())
    with tempfile.TemporaryDirectory() as folder, flushed(tpm):
        session, loaded = Path(folder) / "session", Path(folder) / "object"
        tpm.tool("tpm2_load", "-C", SRK, "-u", _write(folder, "public", sized(public)), "-r",
                 _write(folder, "private", sized(private)), "-c", loaded)
        tpm.tool("tpm2_startauthsession", "--policy-session", "-S", session)
        tpm.tool("tpm2_policypcr", "-S", session, "-l", approval["bank"] + ":" + ",".join(map(str, approval["pcrs"])))
        _assert_or(tpm, folder, session, or_path(branches, branch))
        cp_hash = _write(folder, "cp-hash", sized(unseal_cp_hash(name)))
        tpm.tool("tpm2_policycphash", "-S", session, "--cphash-input", cp_hash)
        _assert_or(tpm, folder, session, or_path(object_digests(approval), place))
        tpm.tool("tpm2_policyauthorizenv", "-S", session, "-C", hex(index), hex(index))
        if token["kind"] == "tpm2-pin":
            tpm.tool("tpm2_policyauthvalue", "-S", session)
        secret = f"+hex:{auth.hex()}" if auth else ""
        return tpm.tool("tpm2_unseal", "-c", loaded, "-p", f"session:{session}{secret}")


def sized(data: bytes) -> bytes:
    """A TPM2B: with its size before it, which is added if it is not there."""
    return data if int.from_bytes(data[:2], "big") + 2 == len(data) else _number(len(data), 2) + data


@contextlib.contextmanager
def flushed(tpm):
    """Leave neither objects nor sessions in the TPM."""
    try:
        yield
    finally:
        tpm.flush()


def index_handle(state) -> int:
    """The handle of the approval index."""
    return json.loads((Path(state) / "pins.json").read_text(encoding="utf-8"))["approval"]["handle"]


def index_policy(state) -> bytes:
    """The approval index' authPolicy, which anyone may read: handle, algorithm, attributes and a size are before it."""
    pins = json.loads((Path(state) / "pins.json").read_text(encoding="utf-8"))
    return base64.b64decode(pins["approval"]["public"])[12:44]


def secrets_of(tpm, volume, state, pin: str) -> Secrets:
    """All secrets of the one protector of a volume, for who knows its PIN in the approved boot state."""
    token, approval = volume.token(), volume.token("bootseal-approval")
    auth, mix = stretch(token, pin)
    sealed = unseal(tpm, token, approval, index_handle(state), auth)
    key = derive_key(sealed, mix, token["id"])
    return Secrets(auth, mix, sealed, key, base64.b64encode(key))


def delete_index(tpm, state) -> None:
    """Delete the approval index, as everyone can whom empty owner authorisation lets in."""
    tpm.tool("tpm2_nvundefine", "-C", "o", hex(index_handle(state)))


def define_index(tpm, state, attributes: str = "authread|policywrite|writeall|no_da") -> None:
    """Define the approval index anew; with these attributes it is the same by its Name once it is written."""
    with tempfile.TemporaryDirectory() as folder:
        tpm.tool("tpm2_nvdefine", "-C", "o", "-s", "34", "-g", "sha256", "-a", attributes, "-L",
                 _write(folder, "policy", index_policy(state)), hex(index_handle(state)))
