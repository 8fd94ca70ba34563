"""Disks made of layers, in plain files: file systems, LUKS2 volumes, LVM, one in the other in any order.

    workshop = Workshop(tree, folder)
    root = workshop.ext4("root", ROOT_UUID, 320, tree)
    swap = workshop.swap("swap", SWAP_UUID, 32)
    disk = workshop.encrypt(volume, workshop.lvm("panel", {"root": root, "swap": swap}))

Each method takes files and gives one. The machine that makes them needs neither device mapper nor loop devices:
lvm.py writes LVM's metadata, luks-fill encrypts what a volume holds.
"""

import shutil
import subprocess
import uuid
from dataclasses import dataclass
from pathlib import Path

from debian import run_in_tree
from image import LUKS_HEADER_SIZE, MIB, SECTOR_SIZE, luks_fill_program
from lvm import make_physical_volume

NAMESPACE = uuid.UUID("b0075ea1-0000-4000-8000-000000000000")

def fixed_uuid(name: str) -> str:
    """The UUID of a thing by its name: the same in each run, so that equal input gives equal PCRs."""
    return str(uuid.uuid5(NAMESPACE, name))


@dataclass(frozen=True)
class Volume:
    """A LUKS2 volume: what it is called at boot, how much it holds, whether bootseal opens it.

    SOURCE: crypttab's second field, if it is not the UUID.  HEADER_APART: its data lie in a file of their own.
    """

    name: str
    size_mib: int
    enrolled: bool = True
    options: str = "luks,initramfs"
    passphrase: bytes = b"a passphrase known to the tests"
    uuid_name: str = ""
    source: str = ""
    header_apart: bool = False

    @property
    def uuid(self) -> str:
        """The UUID in its header."""
        return fixed_uuid(f"LUKS {self.uuid_name or self.name}")

    @property
    def crypttab(self) -> str:
        """Its line in crypttab."""
        return f"{self.name} {self.source or f'UUID={self.uuid}'} none {self.options}\n"


def run(argv, stdin: bytes = b"") -> bytes:
    """Run a tool; its stdout, or an exception with its stderr."""
    done = subprocess.run([str(part) for part in argv], input=stdin, capture_output=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, argv))}: {done.returncode}\n{done.stderr.decode(errors='replace')}")
    return done.stdout


def empty_file(path: Path, size: int) -> Path:
    """A file of zeros."""
    with open(path, "wb") as file:
        file.truncate(size)
    return path


def copy_into(source: Path, target: Path, offset: int) -> None:
    """Copy a file into another one, from a byte on."""
    run(["dd", f"if={source}", f"of={target}", "bs=1M", "conv=notrunc,sparse", "iflag=fullblock", "oflag=seek_bytes",
         f"seek={offset}", "status=none"])


def format_volume(path: Path, volume: Volume, *options) -> Path:
    """A LUKS2 volume in the file PATH with nothing in it yet."""
    if volume.header_apart:
        empty_file(path, LUKS_HEADER_SIZE)
        data = empty_file(data_path(path), volume.size_mib * MIB)
        place = ["--offset=0", f"--header={path}"]
    else:
        data = empty_file(path, LUKS_HEADER_SIZE + volume.size_mib * MIB)
        place = [f"--offset={LUKS_HEADER_SIZE // SECTOR_SIZE}"]
    run(["cryptsetup", "luksFormat", "--batch-mode", "--type=luks2", f"--uuid={volume.uuid}",
         "--cipher=aes-xts-plain64", "--key-size=512", f"--sector-size={SECTOR_SIZE}", "--pbkdf=pbkdf2",
         "--pbkdf-force-iterations=1000", *place, *options, "--key-file=-", data], volume.passphrase)
    return path


def data_path(path: Path) -> Path:
    """Where the data of a volume with the header apart lie; PATH has the header."""
    return path.with_suffix(".data")


def volume_key(path: Path, volume: Volume) -> bytes:
    """The volume key, as whoever knows the passphrase may have it."""
    key = path.with_suffix(".key")
    run(["cryptsetup", "luksDump", "--batch-mode", "--dump-volume-key", f"--volume-key-file={key}", "--key-file=-",
         path], volume.passphrase)
    content = key.read_bytes()
    key.unlink()
    return content


def fill_volume(path: Path, volume: Volume, plain: Path) -> Path:
    """Encrypt what the volume in PATH is to hold."""
    if plain.stat().st_size > volume.size_mib * MIB:
        raise ValueError(f"{plain} is larger than the volume {volume.name}")
    target, offset = (data_path(path), 0) if volume.header_apart else (path, LUKS_HEADER_SIZE)
    run([luks_fill_program(), plain, target, offset], volume_key(path, volume))
    return target


class Workshop:
    """Makes files in FOLDER with the tools of TREE, a Debian with lvm2 and btrfs-progs."""

    def __init__(self, tree: Path, folder: Path):
        self.tree = tree
        self.folder = folder
        self.log = folder / "workshop.log"

    def ext4(self, name: str, uuid_text: str, size_mib: int, content=None) -> Path:
        """An ext4 file system, with a folder's content."""
        path = self.folder / f"{name}.ext4"
        source = ["-d", content] if content else []
        run(["mkfs.ext4", "-q", "-F", "-m", "0", "-U", uuid_text, "-L", name, "-E", "nodiscard", *source, path,
             f"{size_mib}M"])
        return path

    def btrfs(self, name: str, uuid_text: str, size_mib: int) -> Path:
        """A btrfs file system with the tree as its content."""
        path = empty_file(self.folder / f"{name}.btrfs", size_mib * MIB)
        argv = ["mkfs.btrfs", "--quiet", "--uuid", uuid_text, "--rootdir", "/mnt", f"/srv/{path.name}"]
        run_in_tree(self.tree, argv, self.log, {self.tree: "/mnt", self.folder: "/srv"})
        return path

    def swap(self, name: str, uuid_text: str, size_mib: int) -> Path:
        """Swap space."""
        path = empty_file(self.folder / f"{name}.swap", size_mib * MIB)
        path.chmod(0o600)
        run(["mkswap", "--uuid", uuid_text, "--label", name, path])
        return path

    def lvm(self, group: str, volumes: dict, identity: str = "") -> Path:
        """A physical volume with the volume group GROUP, which holds {name: file with the content}; see lvm.py."""
        path = self.folder / f"{identity}{group}.pv"
        sizes = {name: file.stat().st_size for name, file in volumes.items()}
        for name, offset in make_physical_volume(path, group, sizes, identity).items():
            copy_into(volumes[name], path, offset)
        return path

    def encrypt(self, volume: Volume, plain: Path) -> Path:
        """The disk of a LUKS2 volume that lies formatted (and enrolled) in the folder, with its content.  A header that
        is apart is a disk of its own, at volume_path()."""
        return fill_volume(self.volume_path(volume), volume, plain)

    def volume_path(self, volume: Volume) -> Path:
        """Where the volume lies."""
        return self.folder / f"{volume.name}.luks"


def clone(source: Path, target: Path) -> Path:
    """An independent copy, sharing blocks where the file system can."""
    run(["cp", "--reflink=auto", "--sparse=auto", source, target])
    return target


def remove_folder(folder: Path) -> None:
    """Remove a folder of disks: pytest keeps its folders for some runs."""
    shutil.rmtree(folder, ignore_errors=True)
