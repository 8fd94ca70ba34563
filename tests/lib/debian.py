"""A Debian 12 tree to boot: made once with debootstrap, kept in a cache outside the checkout.

The tree is a whole small system: kernel, initramfs-tools, cryptsetup, GRUB, the shared libraries that
bootseal needs, and tpm2-tools.  It is never changed after it was made: a test that installs something
into it works on a copy (see image.py).  Its name in the cache is a hash over everything that
determines its content, so that a changed list of packages makes a new tree.

The archive it comes from is the one the machine's own apt uses; none is named here.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

# Raise it when the content of the tree changes in a way that no list below shows.
TREE_VERSION = 1

SUITE = "bookworm"
SUITES = (SUITE, f"{SUITE}-updates", f"{SUITE}-security")

PACKAGES = (
    "cryptsetup-initramfs",
    "e2fsprogs",
    "grub-efi-amd64-bin",
    "grub-efi-amd64-signed",
    "grub2-common",
    "initramfs-tools",
    "kmod",
    "libargon2-1",
    "libcryptsetup12",
    "libjson-c5",
    "libqrencode4",
    "libssl3",
    "libtss2-esys-3.0.2-0",
    "libtss2-mu0",
    "libtss2-rc0",
    "libtss2-tcti-device0",
    "libtss2-tctildr0",
    "linux-image-cloud-amd64",
    "shim-signed",
    "systemd-sysv",
    "tpm2-tools",
    "udev",
    "zstd",
)

HOSTNAME = "bootseal-test"
# A fixed one: without it systemd takes each boot for the first and presets all units.
MACHINE_ID = "b0075ea1" * 4 + "\n"
PROMPT = "bootseal-test:ready# "

# Units that a machine without network, living for two minutes, only waits for.  Under emulation each one
# costs between a half and three seconds.
MASKED_UNITS = (
    "apt-daily-upgrade.timer",
    "apt-daily.timer",
    "dev-hugepages.mount",
    "dev-mqueue.mount",
    "dpkg-db-backup.timer",
    "e2scrub_all.timer",
    "e2scrub_reap.service",
    "fstrim.timer",
    "getty-static.service",
    "getty@tty1.service",
    "modprobe@configfs.service",
    "modprobe@dm_mod.service",
    "modprobe@drm.service",
    "modprobe@efi_pstore.service",
    "modprobe@fuse.service",
    "modprobe@loop.service",
    "networking.service",
    "proc-sys-fs-binfmt_misc.automount",
    "sys-fs-fuse-connections.mount",
    "sys-kernel-config.mount",
    "sys-kernel-debug.mount",
    "sys-kernel-tracing.mount",
    "systemd-journal-flush.service",
    "systemd-modules-load.service",
    "systemd-networkd.service",
    "systemd-networkd.socket",
    "systemd-pstore.service",
    "systemd-random-seed.service",
    "systemd-sysusers.service",
    "systemd-timesyncd.service",
    "systemd-tmpfiles-clean.timer",
    "systemd-update-utmp-runlevel.service",
    "systemd-update-utmp.service",
)

# Modules that udev loads for what QEMU's processor and board offer; the kernel checks each one's signature.
UNUSED_MODULES = ("efi_pstore", "evdev", "i2c_i801", "joydev", "kvm_amd", "kvm_intel", "lpc_ich", "pcspkr",
                  "powernow_k8", "serio_raw", "sp5100_tco")

# Removed from every package: half of the tree, and never read by a test.
UNUSED_PATHS = ("/usr/share/doc/*", "/usr/share/info/*", "/usr/share/locale/*", "/usr/share/man/*")

DPKG_CONFIGURATION = "force-unsafe-io\n" + "".join(f"path-exclude={path}\n" for path in UNUSED_PATHS)

# No start of services, no question.
INSTALL_ENVIRONMENT = {"DEBIAN_FRONTEND": "noninteractive", "DEBCONF_NOWARNINGS": "yes"}

AUTOLOGIN = """\
[Service]
ExecStart=
ExecStart=-/sbin/agetty --autologin root --noclear --keep-baud 115200 - dumb
"""

# The serial console is spoken to by a program: no echo, no line editing, a prompt that cannot be mistaken.
ROOT_PROFILE = f"""\
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
set +o emacs +o history
stty -echo cols 4096
dmesg --console-level emerg
PS1='{PROMPT}'
PS2=
"""

TREE_FILES = {
    "etc/hostname": f"{HOSTNAME}\n",
    "etc/hosts": f"127.0.0.1 localhost {HOSTNAME}\n",
    "etc/systemd/system/serial-getty@ttyS0.service.d/autologin.conf": AUTOLOGIN,
    "etc/systemd/journald.conf.d/volatile.conf": "[Journal]\nStorage=volatile\n",
    "etc/systemd/system.conf.d/fast.conf": "[Manager]\nDefaultTimeoutStopSec=20s\n",
    "etc/modprobe.d/unused.conf": "".join(f"blacklist {module}\n" for module in UNUSED_MODULES),
    # The initrd holds the modules named in etc/initramfs-tools/modules and no others: GRUB reads it slowly.
    "etc/initramfs-tools/conf.d/small.conf": "MODULES=list\nCOMPRESS=zstd\nFSTYPE=ext4\n",
    "root/.profile": ROOT_PROFILE,
    "root/.hushlogin": "",
}


def cache_folder() -> Path:
    """Where trees and images are kept between runs of the tests."""
    folder = Path(os.environ.get("BOOTSEAL_TEST_CACHE", "/var/cache/bootseal-tests")).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _print(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


# Where progress goes: the last one.  conftest.py adds one that pytest does not capture.
progress = [_print]


def say(text: str) -> None:
    """A line of progress for the person who waits."""
    progress[-1](f"bootseal tests: {text}")


@contextmanager
def cache_lock(name: str):
    """Hold the cache's lock NAME; a second run of the tests waits here until the first one is done."""
    with open(cache_folder() / f"{name}.lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def run_logged(argv, log: Path, **options) -> None:
    """Run a command with its output appended to LOG; when it fails, say so with the end of the log."""
    with open(log, "ab") as output:
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=output, stderr=output, check=False, **options)
    if done.returncode != 0:
        end = log.read_text(encoding="utf-8", errors="replace")[-4000:]
        raise RuntimeError(f"{argv[0]} ended with {done.returncode}, see {log}:\n{end}")


# In namespaces of its own: whatever happens, no mount and no process is left behind.  The tree's own
# device nodes do, and there is no /sys: what is made inside must not depend on the machine outside.
CHROOT_SCRIPT = """
set -e
tree=$1; shift
mount -t proc proc "$tree/proc"
while [ "$1" != -- ]; do mount --bind "$1" "$tree$2"; shift 2; done
shift
exec chroot "$tree" "$@"
"""


def chroot_argv(tree: Path, argv, binds=None) -> list:
    """The command line that runs ARGV inside TREE.  BINDS: {file outside: path inside} seen only by it."""
    pairs = [str(part) for pair in (binds or {}).items() for part in pair]
    namespaces = ["unshare", "--mount", "--pid", "--fork", "--kill-child"]
    return [*namespaces, "sh", "-c", CHROOT_SCRIPT, "sh", str(tree), *pairs, "--", *argv]


def run_in_tree(tree: Path, argv, log: Path, binds=None) -> None:
    """Run a command inside TREE (chroot with /proc and its own /dev), logged; see run_logged()."""
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8", "HOME": "/root", **INSTALL_ENVIRONMENT}
    run_logged(chroot_argv(tree, argv, binds), log, env=environment)


def archives() -> list:
    """The (address, suite) pairs of Debian 12 that this machine's apt uses, the main suite first."""
    fields = "$(ORIGIN)|$(CODENAME)|$(COMPONENT)|$(REPO_URI)|$(RELEASE)"
    targets = subprocess.run(
        ["apt-get", "indextargets", "--format", fields, "Created-By: Packages"],
        capture_output=True, text=True, check=True,
    ).stdout.splitlines()
    found = {}
    for target in targets:
        origin, codename, component, address, release = target.split("|")
        if (origin, component) == ("Debian", "main") and codename in SUITES:
            found.setdefault(codename, (address, release))
    if SUITE not in found:
        raise RuntimeError(f"this machine's apt knows no archive of Debian {SUITE}; run apt-get update first")
    return [found[suite] for suite in SUITES if suite in found]


def tree_key(packages) -> str:
    """A short hash over what determines the tree's content, updates of the archive aside."""
    files = sorted(TREE_FILES.items())
    parts = [TREE_VERSION, SUITES, MACHINE_ID, sorted(packages), MASKED_UNITS, DPKG_CONFIGURATION, files]
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:12]


def write_files(tree: Path, files: dict) -> None:
    """Write {path below TREE: text}, making folders as needed."""
    for path, text in files.items():
        target = tree / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")


def _bootstrap(tree: Path, sources: list, log: Path) -> None:
    """debootstrap's minimal system, from the main suite."""
    address, suite = sources[0]
    run_logged(["debootstrap", "--variant=minbase", suite, str(tree), address], log)


def _install(tree: Path, sources: list, packages, log: Path) -> None:
    """Install PACKAGES with the archive's updates, reaching the archive the way the machine's apt does."""
    acquire = subprocess.run(["apt-config", "dump", "Acquire"], capture_output=True, text=True, check=True).stdout
    temporary = {
        "etc/apt/apt.conf.d/host": acquire,
        "usr/sbin/policy-rc.d": "#!/bin/sh\nexit 101\n",
    }
    write_files(tree, temporary)
    (tree / "usr/sbin/policy-rc.d").chmod(0o755)
    write_files(tree, {
        "etc/apt/sources.list": "".join(f"deb {address} {suite} main\n" for address, suite in sources),
        "etc/dpkg/dpkg.cfg.d/small": DPKG_CONFIGURATION,
    })
    options = ["-q", "-y", "--no-install-recommends"]
    run_in_tree(tree, ["apt-get", "-q", "update"], log)
    run_in_tree(tree, ["apt-get", *options, "dist-upgrade"], log)
    run_in_tree(tree, ["apt-get", *options, "install", *packages], log)
    run_in_tree(tree, ["apt-get", "clean"], log)
    for path in temporary:
        (tree / path).unlink()


def _customise(tree: Path) -> None:
    """Make it boot fast, without network, to a root shell on the serial console."""
    for unit in MASKED_UNITS:
        (tree / "etc/systemd/system" / unit).unlink(missing_ok=True)
        (tree / "etc/systemd/system" / unit).symlink_to("/dev/null")
    write_files(tree, {"etc/machine-id": MACHINE_ID, "etc/resolv.conf": "", "etc/apt/sources.list": ""})
    for folder in ("var/lib/apt/lists", "usr/share/doc", "usr/share/man", "usr/share/info", "usr/share/locale"):
        shutil.rmtree(tree / folder, ignore_errors=True)
        (tree / folder).mkdir()


def _make(tree: Path, packages) -> None:
    """Make the tree in a temporary folder and rename it when it is complete."""
    unfinished = tree.with_name(f"{tree.name}.new")
    log = tree.with_name(f"{tree.name}.log")
    shutil.rmtree(unfinished, ignore_errors=True)
    log.unlink(missing_ok=True)
    sources = archives()
    _bootstrap(unfinished, sources, log)
    # Before the packages: the kernel's installation makes an initrd by these.
    write_files(unfinished, TREE_FILES)
    _install(unfinished, sources, packages, log)
    _customise(unfinished)
    unfinished.rename(tree)


def debian_tree(extra_packages=()) -> Path:
    """The cached tree with PACKAGES and EXTRA_PACKAGES; made now when it is missing.  Do not write into it."""
    packages = sorted({*PACKAGES, *extra_packages})
    tree = cache_folder() / f"debian-{tree_key(packages)}"
    with cache_lock(tree.name):
        if not tree.exists():
            say("making the Debian tree, once, about 60 s")
            start = time.monotonic()
            _make(tree, packages)
            say(f"made {tree} in {time.monotonic() - start:.0f} s")
    return tree
