"""Machines of any disk layout that boot measured and are sealed before their first boot.

    with SystemTree(folder, install(BUILD)) as system:
        machine = seal(plan, system, folder / "plain")
    machine.start(...)

There is no boot loader: the firmware starts the kernel itself (machine.py's `direct`), whose EFI stub measures the
command line and the initrd into PCR 9. Both are files here, so the value is known before any boot: the volumes are
enrolled on a software TPM in which PCR 9 was extended just so, and that TPM is then plugged into the machine. A layout
costs one boot and some seconds.
"""

import dataclasses
import hashlib
import json
import re
import shutil
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable

import initrd
from bootseal import Bench
from debian import run_in_tree, say, write_files
from image import INITRAMFS_MODULES, BootFiles, scratch_tree
from sealed import PIN
from storage import Volume, Workshop, fixed_uuid, format_volume, remove_folder

EXTRA_PACKAGES = ("btrfs-progs", "lvm2")
# Nothing that a layout needs: what they do is done in the initramfs, or by udev.
UNUSED_UNITS = ("blk-availability.service", "dm-event.service", "dm-event.socket", "lvm2-lvmpolld.service",
                "lvm2-lvmpolld.socket", "lvm2-monitor.service")
# Not in the root file system: the kernel comes from outside, its modules with the initrd.
NOT_IN_ROOT = ("boot", "usr/lib/modules")
STATE_IN_TREE = "var/lib/bootseal"

ROOT_UUID = fixed_uuid("root")
ROOT_MIB = 288

# An emulated processor leaks nothing worth the time.
CONSOLE = "console=ttyS0 mitigations=off"

# What the kernel's EFI stub measures, and the values of a policy with just that.
BOOT_PCR = 9
CAP_PCR = 12
CAP_EVENT = b"bootseal cap v1"


def extended(value: bytes, event_digest: bytes) -> bytes:
    """A PCR's value after one more event."""
    return hashlib.sha256(value + event_digest).digest()


def is_capped(value: bytes) -> bool:
    """Whether a cap PCR that nothing else extends is capped: once, or by several nets one after the other."""
    capped = bytes(32)
    for _ in range(4):
        capped = extended(capped, hashlib.sha256(CAP_EVENT).digest())
        if value == capped:
            return True
    return False


def boot_events(boot: BootFiles) -> tuple:
    """The digests that the EFI stub extends PCR 9 by: the load options as the firmware hands them over, the initrd."""
    options = f"{boot.command_line} initrd=initrd\0".encode("utf-16-le")
    return hashlib.sha256(options).digest(), hashlib.sha256(boot.initrd.read_bytes()).digest()


@dataclass(frozen=True)
class Plan:
    """A layout. FILL(workshop) makes its disks, in their order; the volumes lie formatted in the workshop's folder.

    KERNEL: its flavour.  POLICY: what its policy document says besides or instead of the PCRs here.  ENROLL_OPTIONS: of each volume.
    INITRD_FILES: {path: content} that the test adds to what Debian's tools made, or replaces in it.
    """

    name: str
    volumes: tuple
    fill: Callable
    root: str = f"UUID={ROOT_UUID}"
    fstab: str = "/dev/mapper/cryptroot / ext4 errors=remount-ro 0 0\n"
    modules: tuple = INITRAMFS_MODULES
    packages: tuple = EXTRA_PACKAGES
    kernel: str = "cloud-amd64"
    kernel_options: str = CONSOLE
    policy: dict = field(default_factory=dict)
    enroll_options: tuple = ()
    tree_files: dict = field(default_factory=dict)
    initrd_files: dict = field(default_factory=dict)

    @property
    def command_line(self) -> str:
        """The kernel's command line."""
        return f"root={self.root} ro quiet {self.kernel_options}"

    def volume(self, name: str) -> Volume:
        """The volume of that name."""
        volume, = (volume for volume in self.volumes if volume.name == name)
        return volume

    def but(self, **changes) -> "Plan":
        """Another plan that differs in some respects."""
        return dataclasses.replace(self, **changes)


class LayoutWorkshop(Workshop):
    """A workshop that knows the root file system."""

    def root(self, size_mib: int = ROOT_MIB, without=()) -> Path:
        """The root file system on ext4."""
        with self.hidden(*NOT_IN_ROOT, *without):
            return self.ext4("root", ROOT_UUID, size_mib, self.tree)

    def root_btrfs(self, size_mib: int = ROOT_MIB) -> Path:
        """The root file system on btrfs."""
        with self.hidden(*NOT_IN_ROOT):
            return self.btrfs("root", ROOT_UUID, size_mib)

    def usr(self, size_mib: int) -> Path:
        """What lies under /usr, on ext4."""
        with self.hidden("usr/lib/modules"):
            return self.ext4("usr", fixed_uuid("usr"), size_mib, self.tree / "usr")

    @contextmanager
    def hidden(self, *folders):
        """Empty some folders of the tree for a while."""
        aside = self.folder / "aside"
        aside.mkdir()
        try:
            for number, folder in enumerate(folders):
                (self.tree / folder).rename(aside / str(number))
                (self.tree / folder).mkdir()
            yield
        finally:
            for number, folder in reversed(list(enumerate(folders))):
                if (aside / str(number)).exists():
                    (self.tree / folder).rmdir()
                    (aside / str(number)).rename(self.tree / folder)
            aside.rmdir()


class SystemTree:
    """A copy of the Debian tree with bootseal installed, which becomes the root of one layout after the other."""

    def __init__(self, folder: Path, install, packages=EXTRA_PACKAGES):
        self.folder = folder
        self.log = folder / "tree.log"
        self._install = install
        self._packages = packages
        self._scratch = None
        self.tree = None

    def __enter__(self):
        self.folder.mkdir(parents=True, exist_ok=True)
        self._scratch = scratch_tree(self.folder, self._packages)
        self.tree = self._scratch.__enter__()
        for unit in UNUSED_UNITS:
            (self.tree / "etc/systemd/system" / unit).symlink_to("/dev/null")
        for unused in ("usr/lib/grub", "usr/lib/shim"):
            shutil.rmtree(self.tree / unused)
        self._install(self.tree)
        return self

    def __exit__(self, *exception):
        self._scratch.__exit__(*exception)

    @contextmanager
    def shaped(self, plan: Plan):
        """The tree with the plan's configuration; what is the plan's own goes again."""
        write_files(self.tree, {
            "etc/crypttab": "".join(volume.crypttab for volume in plan.volumes),
            "etc/fstab": plan.fstab,
            "etc/initramfs-tools/modules": "".join(f"{module}\n" for module in plan.modules),
            **plan.tree_files,
        })
        try:
            yield self.tree
        finally:
            for path in plan.tree_files:
                (self.tree / path).unlink()
            shutil.rmtree(self.tree / STATE_IN_TREE, ignore_errors=True)

    def put_state(self, state: Path) -> None:
        """Make bootseal's state folder the machine's: in the machine a volume is found by its UUID."""
        target = self.tree / STATE_IN_TREE
        shutil.rmtree(target, ignore_errors=True)
        if not state.exists():  # nothing is enrolled
            return
        shutil.copytree(state, target)
        target.chmod(0o700)
        pins = json.loads((target / "pins.json").read_text(encoding="utf-8"))
        for volume in pins["volumes"]:
            volume["device"] = f"/dev/disk/by-uuid/{volume['uuid']}"
        (target / "pins.json").write_text(json.dumps(pins, indent=2), encoding="utf-8")

    def make_boot_files(self, plan: Plan, folder: Path) -> BootFiles:
        """An initrd by Debian's own tools, and the kernel that it belongs to."""
        name = re.compile(rf"vmlinuz-[0-9.]+-[0-9]+-{plan.kernel}")
        kernel, = (path for path in (self.tree / "boot").iterdir() if name.fullmatch(path.name))
        version = kernel.name.removeprefix("vmlinuz-")
        run_in_tree(self.tree, ["update-initramfs", "-u", "-k", version], self.log)
        for name in (kernel.name, f"initrd.img-{version}"):
            shutil.copy(self.tree / "boot" / name, folder)
        if plan.initrd_files:
            initrd.append(folder / f"initrd.img-{version}", plan.initrd_files)
        return BootFiles(folder / kernel.name, folder / f"initrd.img-{version}", plan.command_line)


@dataclass(frozen=True)
class SealedLayout:
    """A machine that is switched off. `bench` holds its TPM's state and, as only its owner has it, its state folder."""

    plan: Plan
    folder: Path
    disks: tuple
    boot: BootFiles
    bench: Bench

    def copy_tpm(self, folder: Path) -> Path:
        """The TPM's state for one more machine."""
        ignored = shutil.ignore_patterns("*.sock", "*.pid", "*.log", "ctrl*", ".lock")
        return Path(shutil.copytree(self.bench.tpm.state_dir, folder, ignore=ignored))

    def remove(self) -> None:
        """Give the room back."""
        remove_folder(self.folder)


def succeeded(result):
    """The result of a call of bootseal that must not fail: no assertion of a test, but what one stands on."""
    if result.rc != 0:
        raise RuntimeError(f"bootseal: {result}")
    return result


def measure_boot(bench: Bench, boot: BootFiles) -> None:
    """Reset the bench's TPM and extend it as a boot of BOOT will."""
    bench.tpm.reboot()
    for digest in boot_events(boot):
        bench.tpm.extend_digest(BOOT_PCR, digest)


def enroll(bench: Bench, plan: Plan, folder: Path) -> None:
    """Format the plan's volumes and enroll those that bootseal is to open; the boot state is none yet."""
    bench.set_policy(**{"pcrs": [BOOT_PCR, CAP_PCR], "cap": CAP_PCR, **plan.policy})
    # One bank: the firmware, emulated as it is, hashes kernel and initrd for each.
    bench.tpm.tool("tpm2_pcrallocate", "sha256:all+sha1:none+sha384:none+sha512:none")
    bench.boot({pcr: b"a loader" for pcr in plan.policy.get("pcrs", ()) if pcr != CAP_PCR})
    for volume in plan.volumes:
        path = format_volume(folder / f"{volume.name}.luks", volume)
        if volume.enrolled:
            succeeded(bench.try_enroll(path, "--name", volume.name, *plan.enroll_options, pin=PIN,
                                       key=volume.passphrase))


def seal(plan: Plan, system: SystemTree, folder: Path) -> SealedLayout:
    """Make the machine of a plan, with the PIN sealed to its very boot."""
    say(f"making the layout {plan.name}")
    (folder / "bench").mkdir(parents=True)
    with Bench(folder / "bench") as bench, system.shaped(plan):
        enroll(bench, plan, folder)
        system.put_state(bench.state)
        boot = system.make_boot_files(plan, folder)
        measure_boot(bench, boot)
        if bench.state.exists():
            succeeded(bench.reseal())
        system.put_state(bench.state)
        disks = plan.fill(LayoutWorkshop(system.tree, folder))
        bench.tpm.tool("tpm2_shutdown", "--clear")
    return SealedLayout(plan, folder, tuple(disks), boot, bench)


# ---- layouts that several tests use ----


def fill_plain(workshop: LayoutWorkshop) -> list:
    """The root file system on one LUKS2 volume that takes a whole disk."""
    return [workshop.encrypt(ROOT, workshop.root())]


ROOT = Volume("cryptroot", ROOT_MIB)
PLAIN = Plan("plain", (ROOT,), fill_plain)


# Debian's own kernel, which has drivers for what the cloud's never meets.
EVERY_DRIVER = PLAIN.but(
    name="every-driver", kernel="amd64", packages=(*EXTRA_PACKAGES, "linux-image-amd64"),
    modules=(*INITRAMFS_MODULES, "ext4", "crc32c_generic", "xhci_pci", "usb_storage", "uas", "sd_mod", "sdhci_pci",
             "mmc_block"))


def fill_several(workshop: LayoutWorkshop) -> list:
    """Each volume on a disk of its own."""
    disks = [workshop.encrypt(SEVERAL.volume("cryptroot"), workshop.root())]
    for volume in SEVERAL.volumes[1:]:
        content = workshop.ext4(volume.name, fixed_uuid(volume.name), volume.size_mib)
        disks.append(workshop.encrypt(volume, content))
    return disks


# Two volumes with one PIN, and two that bootseal knows nothing of: one for Debian's prompt, one for nobody.
SEVERAL = Plan("several", (
    Volume("cryptroot", ROOT_MIB, options="luks,initramfs,discard,no-read-workqueue,no-write-workqueue"),
    Volume("cryptdata", 16, options="luks,initramfs,readonly,same-cpu-crypt,submit-from-crypt-cpus,key-slot=0"),
    Volume("cryptold", 16, enrolled=False, passphrase=b"a passphrase of its own"),
    Volume("cryptspare", 16, enrolled=False, options="luks,noauto"),
), fill_several)


def fill_lvm_on_luks(workshop: LayoutWorkshop) -> list:
    """Root and swap are logical volumes on the LUKS2 volume, as Debian's installer makes it."""
    group = workshop.lvm("panel", {"root": workshop.root(), "swap": workshop.swap("swap", fixed_uuid("swap"), 32)})
    return [workshop.encrypt(LVM_ON_LUKS.volume("cryptroot"), group)]


LVM_ON_LUKS = Plan(
    "lvm-on-luks", (Volume("cryptroot", ROOT_MIB + 40),), fill_lvm_on_luks, root="/dev/mapper/panel-root",
    fstab="/dev/mapper/panel-root / ext4 errors=remount-ro 0 0\n/dev/mapper/panel-swap none swap sw 0 0\n",
    tree_files={"etc/initramfs-tools/conf.d/resume": "RESUME=/dev/mapper/panel-swap\n"})
