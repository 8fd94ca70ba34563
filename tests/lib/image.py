"""Disk images that boot: GPT with an ESP, a plain /boot and a LUKS2 root, made without mounting anything.

    with scratch_tree(folder) as tree:          # a private copy of the Debian tree
        ... DESTDIR=tree meson install ...
        prepare_tree(tree, layout)              # crypttab, fstab, initrd, grub.cfg
        image = build_image(tree, folder / "disk.img", layout)

Or in one go make_image().  The image's ESP and /boot stay open to tests: `image.esp` and `image.boot`
read and write files in it, and export_volume()/import_header() hand the LUKS2 header to command line
tools.  Tests that tamper do so on image.clone().

The kernel of the machine that makes the image needs no device mapper, no loop devices and no ext4: the
payload of the LUKS2 volume is encrypted by luks-fill.c.
"""

import hashlib
import os
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from debian import cache_folder, cache_lock, debian_tree, run_in_tree, run_logged, say, write_files

MIB = 1024 * 1024
SECTOR_SIZE = 512
LUKS_HEADER_SIZE = 16 * MIB
# Documentation/filesystems/ext4/super.rst: where the superblock is, s_feature_incompat in it, the bit RECOVER.
EXT4_SUPERBLOCK = 1024
EXT4_INCOMPATIBLE_FEATURES = 0x60
EXT4_NEEDS_RECOVERY = 0x4
LUKS_FILL_SOURCE = Path(__file__).resolve().parent.parent / "vm" / "luks-fill.c"

# What the cloud kernel has as modules and the initramfs needs for the machines of machine.py; dm_crypt is
# brought by cryptsetup's hook.
INITRAMFS_MODULES = ("virtio_pci", "virtio_blk", "aesni_intel", "xts", "ecb")


@dataclass(frozen=True)
class Layout:
    """Everything about an image that a test may want to know or choose."""

    passphrase: bytes = b"a passphrase known to the tests"
    volume_name: str = "cryptroot"
    luks_uuid: str = "3f9a7c52-0d1e-4b86-9a77-51c5ea1b0071"
    root_uuid: str = "86e224d5-2e88-4382-a7fc-a3a8681dcd50"
    boot_uuid: str = "b9c86f0a-5b6d-4a55-8f0b-7a2f5b6e4c12"
    esp_serial: str = "B007-5EA1"
    esp_mib: int = 64
    boot_mib: int = 192
    root_mib: int = 768
    kernel_options: str = "console=ttyS0"
    grub_timeout: int = 0
    modules: tuple = INITRAMFS_MODULES
    crypttab_options: str = "luks,initramfs"

    @property
    def esp_offset(self) -> int:
        """Where the ESP starts in the image, in bytes."""
        return MIB

    @property
    def boot_offset(self) -> int:
        """Where /boot starts."""
        return self.esp_offset + self.esp_mib * MIB

    @property
    def luks_offset(self) -> int:
        """Where the LUKS2 volume starts."""
        return self.boot_offset + self.boot_mib * MIB

    @property
    def luks_size(self) -> int:
        """The LUKS2 volume's size, header and payload."""
        return LUKS_HEADER_SIZE + self.root_mib * MIB

    @property
    def size(self) -> int:
        """The size of the image; the last MiB is for the second partition table."""
        return self.luks_offset + self.luks_size + MIB


def _run(argv, stdin: bytes = b"", **options) -> bytes:
    """Run a tool; its stdout, or an exception with its stderr."""
    done = subprocess.run([str(part) for part in argv], input=stdin, capture_output=True, check=False, **options)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, argv))}: {done.returncode}\n{done.stderr.decode(errors='replace')}")
    return done.stdout


def _write_at(path: Path, offset: int, data: bytes) -> None:
    """Overwrite a part of an existing file."""
    with open(path, "r+b") as file:
        file.seek(offset)
        file.write(data)


# -- file systems inside an image --------------------------------------------------------------------


class _FileSystem:
    """Files inside one partition of an image, by absolute paths as seen from that partition's root."""

    def __init__(self, disk: Path, offset: int):
        self.disk = disk
        self.offset = offset

    def read(self, path: str) -> bytes:
        """The content of a file; FileNotFoundError when there is none."""
        raise NotImplementedError

    def write(self, path: str, data: bytes) -> None:
        """Create or replace a file; its folder must exist."""
        raise NotImplementedError

    def edit(self, path: str, change) -> None:
        """Replace a file's content by change(content); it is an error when that changes nothing."""
        before = self.read(path)
        after = change(before)
        if after == before:
            raise ValueError(f"the edit of {path} changed nothing")
        self.write(path, after)


class FatPartition(_FileSystem):
    """The ESP, through mtools."""

    def _mtools(self, command: str, *arguments) -> bytes:
        environment = {**os.environ, "MTOOLS_SKIP_CHECK": "1"}
        return _run([command, "-i", f"{self.disk}@@{self.offset}", *arguments], env=environment)

    def read(self, path: str) -> bytes:
        try:
            return self._mtools("mtype", f"::{path}")
        except RuntimeError as error:
            raise FileNotFoundError(f"{path}: {error}") from error

    def write(self, path: str, data: bytes) -> None:
        with tempfile.NamedTemporaryFile() as source:
            source.write(data)
            source.flush()
            self._mtools("mcopy", "-o", source.name, f"::{path}")

    def make_folder(self, path: str) -> None:
        """Make a folder; its parent must exist."""
        self._mtools("mmd", f"::{path}")

    def remove(self, path: str) -> None:
        """Remove a file."""
        self._mtools("mdel", f"::{path}")

    def names(self, folder: str = "/") -> list:
        """The names in a folder."""
        lines = self._mtools("mdir", "-b", f"::{folder}").decode("utf-8").split("\n")
        return sorted(line.rstrip("/").rsplit("/", 1)[1] for line in lines if "/" in line)


class Ext4Partition(_FileSystem):
    """The plain /boot, through debugfs."""

    def __init__(self, disk: Path, offset: int, size: int):
        super().__init__(disk, offset)
        self.size = size

    @property
    def _name(self) -> str:
        return f"{self.disk}?offset={self.offset}"

    def _debugfs(self, request: str, *options) -> bytes:
        """One request; debugfs tells of errors only in words, after a line with its version."""
        if self._needs_recovery():
            self._recover()
        done = subprocess.run(["debugfs", *options, "-R", request, self._name], capture_output=True, check=False)
        complaints = done.stderr.decode(errors="replace").split("\n", 1)[-1].strip()
        if "not found" in complaints:
            raise FileNotFoundError(f"{request}: {complaints}")
        if done.returncode != 0 or complaints:
            raise RuntimeError(f"debugfs {request}: {complaints}")
        return done.stdout

    def _needs_recovery(self) -> bool:
        """Whether the journal holds changes that are not in place yet, as after a power cut."""
        with open(self.disk, "rb") as disk:
            disk.seek(self.offset + EXT4_SUPERBLOCK + EXT4_INCOMPATIBLE_FEATURES)
            return bool(int.from_bytes(disk.read(4), "little") & EXT4_NEEDS_RECOVERY)

    def _recover(self) -> None:
        """Replay the journal, in a copy of the partition: e2fsck forgets the offset halfway."""
        with tempfile.TemporaryDirectory(dir=self.disk.parent) as folder:
            copy = Path(folder) / "boot.ext4"
            with open(self.disk, "rb") as disk:
                disk.seek(self.offset)
                copy.write_bytes(disk.read(self.size))
            done = subprocess.run(["e2fsck", "-p", copy], capture_output=True, text=True, check=False)
            if done.returncode > 1:
                raise RuntimeError(f"e2fsck: {done.returncode}\n{done.stdout}{done.stderr}")
            _write_at(self.disk, self.offset, copy.read_bytes())

    def read(self, path: str) -> bytes:
        return self._debugfs(f"cat {path}")

    def write(self, path: str, data: bytes) -> None:
        if path.rsplit("/", 1)[1] in self.names(path.rsplit("/", 1)[0] or "/"):
            self._debugfs(f"rm {path}", "-w")
        with tempfile.NamedTemporaryFile() as source:
            source.write(data)
            source.flush()
            self._debugfs(f"write {source.name} {path}", "-w")
        if self.read(path) != data:
            raise RuntimeError(f"{path} does not hold what was written")

    def remove(self, path: str) -> None:
        """Remove a file."""
        self._debugfs(f"rm {path}", "-w")

    def names(self, folder: str = "/") -> list:
        """The names in a folder."""
        entries = self._debugfs(f"ls -p {folder}").decode("utf-8").split("\n")
        names = [entry.split("/")[5] for entry in entries if entry.startswith("/")]
        return sorted(name for name in names if name not in ("", ".", ".."))


@dataclass(frozen=True)
class BootFiles:
    """A kernel and an initrd outside an image, for booting without firmware and boot loader."""

    kernel: Path
    initrd: Path
    command_line: str


@dataclass(frozen=True)
class DiskImage:
    """A raw disk image and how it is laid out."""

    path: Path
    layout: Layout

    @property
    def esp(self) -> FatPartition:
        """The files of the ESP."""
        return FatPartition(self.path, self.layout.esp_offset)

    @property
    def boot(self) -> Ext4Partition:
        """The files of /boot."""
        return Ext4Partition(self.path, self.layout.boot_offset, self.layout.boot_mib * MIB)

    def clone(self, path) -> "DiskImage":
        """An independent copy, sharing blocks where the file system can."""
        _run(["cp", "--reflink=auto", "--sparse=auto", self.path, path])
        return DiskImage(Path(path), self.layout)

    def export_volume(self, path) -> Path:
        """A LUKS2 volume for command line tools: this image's header, and nothing for a payload."""
        path = Path(path)
        with open(self.path, "rb") as disk, open(path, "wb") as volume:
            disk.seek(self.layout.luks_offset)
            volume.write(disk.read(LUKS_HEADER_SIZE))
            volume.truncate(self.layout.luks_size)
        return path

    def import_header(self, path) -> None:
        """Replace the LUKS2 header by that of the volume PATH, as export_volume() made it."""
        with open(path, "rb") as volume:
            header = volume.read(LUKS_HEADER_SIZE)
        _write_at(self.path, self.layout.luks_offset, header)

    def boot_files(self, folder) -> BootFiles:
        """Copy the newest kernel and its initrd out of /boot, with the command line GRUB would give."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        version = max(name for name in self.boot.names("/") if name.startswith("vmlinuz-")).removeprefix("vmlinuz-")
        for name in (f"vmlinuz-{version}", f"initrd.img-{version}"):
            (folder / name).write_bytes(self.boot.read(f"/{name}"))
        line = f"root=UUID={self.layout.root_uuid} ro {self.layout.kernel_options} quiet"
        return BootFiles(folder / f"vmlinuz-{version}", folder / f"initrd.img-{version}", line)


# -- the tree -----------------------------------------------------------------------------------------

# Two of GRUB's tools look for the devices that a path lies on.  When grub-mkconfig runs in the tree these
# stand in their places and answer for the machine that the tree is going to be.
GRUB_PROBE = """\
#!/bin/sh
root=/dev/mapper/{volume_name} boot=/dev/vda2 device= path= target=
while [ $# -gt 0 ]; do
	case $1 in
	--device|-d) device=$2; shift ;;
	--target=*) target=${{1#*=}} ;;
	-t) target=$2; shift ;;
	*) path=$1 ;;
	esac
	shift
done
case $path in
/boot|/boot/*) device=$boot ;;
/*) device=$root ;;
esac
case $target:$device in
device:*) echo "$device" ;;
fs:*) echo ext2 ;;
partmap:*) echo gpt ;;
fs_uuid:$boot) echo {boot_uuid} ;;
fs_uuid:$root) echo {root_uuid} ;;
abstraction:$root) echo "cryptodisk luks2" ;;
cryptodisk_uuid:$root) echo {luks_uuid} | tr -d - ;;
esac
"""

GRUB_MKRELPATH = """\
#!/bin/sh
echo "${1#/boot}"
"""

GRUB_DEFAULTS = """\
GRUB_DEFAULT=0
GRUB_TIMEOUT={grub_timeout}
GRUB_DISTRIBUTOR=Debian
GRUB_CMDLINE_LINUX_DEFAULT="quiet"
GRUB_CMDLINE_LINUX="{kernel_options}"
"""

FSTAB = """\
/dev/mapper/{volume_name} / ext4 errors=remount-ro 0 0
UUID={boot_uuid} /boot ext4 defaults 0 0
UUID={esp_serial} /boot/efi vfat umask=0077 0 0
"""

# As grub-install writes it into EFI/debian.
ESP_GRUB_CFG = """\
search.fs_uuid {boot_uuid} root 
set prefix=($root)'/grub'
configfile $prefix/grub.cfg
"""

# {path in the ESP: path in the tree}; EFI/BOOT as `grub-install --removable` fills it.
ESP_FILES = {
    "/EFI/BOOT/BOOTX64.EFI": "usr/lib/shim/shimx64.efi.signed",
    "/EFI/BOOT/grubx64.efi": "usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed",
    "/EFI/debian/shimx64.efi": "usr/lib/shim/shimx64.efi.signed",
    "/EFI/debian/grubx64.efi": "usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed",
    "/EFI/debian/mmx64.efi": "usr/lib/shim/mmx64.efi.signed",
}


@contextmanager
def scratch_tree(folder, extra_packages=()):
    """A private copy of the Debian tree in FOLDER, removed at the end."""
    tree = Path(folder) / "tree"
    _run(["cp", "--archive", "--reflink=auto", debian_tree(extra_packages), tree])
    try:
        yield tree
    finally:
        shutil.rmtree(tree)


def configure_tree(tree: Path, layout: Layout) -> None:
    """Write the files that say where everything lies."""
    values = vars(layout)
    crypttab = f"{layout.volume_name} UUID={layout.luks_uuid} none {layout.crypttab_options}\n"
    write_files(tree, {
        "etc/crypttab": crypttab,
        "etc/fstab": FSTAB.format(**values),
        "etc/default/grub": GRUB_DEFAULTS.format(**values),
        "etc/initramfs-tools/modules": "".join(f"{module}\n" for module in layout.modules),
    })
    (tree / "boot/efi").mkdir(exist_ok=True)


def update_grub(tree: Path, layout: Layout, log: Path) -> None:
    """What grub-install leaves in /boot/grub, and grub.cfg as update-grub makes it on the machine itself."""
    grub = tree / "boot/grub"
    modules = tree / "usr/lib/grub/x86_64-efi"
    (grub / "fonts").mkdir(parents=True, exist_ok=True)
    (grub / "x86_64-efi").mkdir(exist_ok=True)
    shutil.copy(tree / "usr/share/grub/unicode.pf2", grub / "fonts")
    for file in [*modules.glob("*.mod"), *modules.glob("*.lst")]:
        shutil.copy(file, grub / "x86_64-efi")
    # grub-mkconfig writes root=UUID= only when udev knows that file system.
    by_uuid = tree / "dev/disk/by-uuid" / layout.root_uuid
    by_uuid.parent.mkdir(parents=True, exist_ok=True)
    by_uuid.touch()
    with tempfile.TemporaryDirectory() as folder:
        tools = {"grub-probe": GRUB_PROBE.format(**vars(layout)), "grub-mkrelpath": GRUB_MKRELPATH}
        write_files(Path(folder), tools)
        for name in tools:
            (Path(folder) / name).chmod(0o755)
        binds = {f"{folder}/grub-probe": "/usr/sbin/grub-probe", f"{folder}/grub-mkrelpath": "/usr/bin/grub-mkrelpath"}
        run_in_tree(tree, ["grub-editenv", "/boot/grub/grubenv", "create"], log)
        run_in_tree(tree, ["grub-mkconfig", "-o", "/boot/grub/grub.cfg"], log, binds)
    shutil.rmtree(tree / "dev/disk")


def prepare_tree(tree: Path, layout: Layout, log: Path) -> None:
    """Make the tree the root of a machine laid out like LAYOUT: configuration, initrd, grub.cfg."""
    configure_tree(tree, layout)
    run_in_tree(tree, ["update-initramfs", "-u", "-k", "all"], log)
    update_grub(tree, layout, log)


# -- the image ----------------------------------------------------------------------------------------


def _partition(disk: Path, layout: Layout) -> None:
    """An empty image with its partition table; fixed identifiers, so that equal input gives equal PCRs."""
    with open(disk, "wb") as file:
        file.truncate(layout.size)
    starts = [layout.esp_offset, layout.boot_offset, layout.luks_offset]
    ends = [layout.boot_offset, layout.luks_offset, layout.luks_offset + layout.luks_size]
    types = ["ef00", "8300", "8309"]
    argv = ["sgdisk", "--disk-guid=00000000-0000-4000-8000-0000b0075ea1"]
    for number, (start, end, code) in enumerate(zip(starts, ends, types), 1):
        argv += [f"--new={number}:{start // SECTOR_SIZE}:{end // SECTOR_SIZE - 1}", f"--typecode={number}:{code}",
                 f"--partition-guid={number}:{number:08d}-0000-4000-8000-0000b0075ea1"]
    _run([*argv, disk])


def _fill_esp(tree: Path, image: DiskImage) -> None:
    """Make the ESP: shim, Debian's signed GRUB, and the few lines that lead it to /boot."""
    layout = image.layout
    sectors = layout.esp_mib * MIB // SECTOR_SIZE
    _run(["mformat", "-i", f"{image.path}@@{layout.esp_offset}", "-T", sectors,
          "-N", layout.esp_serial.replace("-", ""), "-v", "ESP", "::"])
    for folder in ("/EFI", "/EFI/BOOT", "/EFI/debian"):
        image.esp.make_folder(folder)
    for path, source in ESP_FILES.items():
        image.esp.write(path, (tree / source).read_bytes())
    image.esp.write("/EFI/debian/grub.cfg", ESP_GRUB_CFG.format(**vars(layout)).encode("ascii"))


def _make_ext4(folder: Path, target: Path, uuid: str, size_mib: int, log: Path, offset: int = 0) -> None:
    """An ext4 file system holding FOLDER, at OFFSET of the file TARGET."""
    options = f"offset={offset},nodiscard" if offset else "nodiscard"
    run_logged(["mkfs.ext4", "-q", "-F", "-m", "0", "-U", uuid, "-E", options, "-d", str(folder), str(target),
                f"{size_mib}M"], log)


def luks_fill_program() -> Path:
    """luks-fill, compiled into the cache."""
    key = hashlib.sha256(LUKS_FILL_SOURCE.read_bytes()).hexdigest()[:12]
    program = cache_folder() / f"luks-fill-{key}"
    with cache_lock("luks-fill"):
        if not program.exists():
            unfinished = program.with_name(f"{program.name}.new")
            _run(["cc", "-O2", "-o", unfinished, LUKS_FILL_SOURCE, "-lcrypto"])
            unfinished.rename(program)
    return program


def _format_luks(volume: Path, layout: Layout) -> bytes:
    """Make the file VOLUME a LUKS2 volume with the layout's passphrase; its volume key."""
    with open(volume, "wb") as file:
        file.truncate(layout.luks_size)
    _run(["cryptsetup", "luksFormat", "--batch-mode", "--type", "luks2", "--uuid", layout.luks_uuid,
          "--cipher", "aes-xts-plain64", "--key-size", 512, "--sector-size", SECTOR_SIZE,
          "--pbkdf", "pbkdf2", "--pbkdf-force-iterations", 1000, "--offset", LUKS_HEADER_SIZE // SECTOR_SIZE,
          "--key-file", "-", volume], layout.passphrase)
    key_file = volume.with_suffix(".key")
    _run(["cryptsetup", "luksDump", "--batch-mode", "--dump-volume-key", "--volume-key-file", key_file,
          "--key-file", "-", volume], layout.passphrase)
    key = key_file.read_bytes()
    key_file.unlink()
    return key


def _fill_root(tree: Path, image: DiskImage, folder: Path, log: Path) -> None:
    """Make the LUKS2 volume with the tree, less /boot, as its payload."""
    layout = image.layout
    _make_ext4(tree, folder / "root.ext4", layout.root_uuid, layout.root_mib, log)
    key = _format_luks(folder / "root.luks", layout)
    image.import_header(folder / "root.luks")
    _run([luks_fill_program(), folder / "root.ext4", image.path, layout.luks_offset + LUKS_HEADER_SIZE], key)


def build_image(tree: Path, path, layout: Layout, log: Path) -> DiskImage:
    """Make the disk image PATH from a prepared tree."""
    image = DiskImage(Path(path), layout)
    with tempfile.TemporaryDirectory(dir=image.path.parent) as name:
        folder = Path(name)
        _partition(image.path, layout)
        _fill_esp(tree, image)
        (tree / "boot").rename(folder / "boot")
        (tree / "boot").mkdir()
        try:
            _make_ext4(folder / "boot", image.path, layout.boot_uuid, layout.boot_mib, log, layout.boot_offset)
            _fill_root(tree, image, folder, log)
        finally:
            (tree / "boot").rmdir()
            (folder / "boot").rename(tree / "boot")
    return image


def make_image(path, layout: Layout = Layout(), install=None, extra_packages=()) -> DiskImage:
    """A bootable image: the Debian tree, changed by install(tree) before the initrd is made."""
    path = Path(path).absolute()
    path.parent.mkdir(parents=True, exist_ok=True)
    log = path.with_suffix(".log")
    with tempfile.TemporaryDirectory(dir=path.parent) as folder, scratch_tree(folder, extra_packages) as tree:
        if install:
            install(tree)
        say(f"making the disk image {path}, about 10 s")
        prepare_tree(tree, layout, log)
        return build_image(tree, path, layout, log)
