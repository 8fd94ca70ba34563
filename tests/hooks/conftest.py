"""What the tests of the update hooks share: Debian trees in which bootseal is installed and the real frameworks run.

In the place of the `bootseal` program stands one that notes how it was called and ends as the test says: these tests
show that the hooks are where the frameworks look, come when everything is in place, and pass on what they should.
What `bootseal reseal` does with it is tested elsewhere.
"""

import hashlib
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "lib"))

import debian  # noqa: E402
import image  # noqa: E402
from sealed import install  # noqa: E402

BUILD = Path(os.environ.get("BOOTSEAL_BUILD", Path(__file__).resolve().parents[2] / "build"))
PACKAGES = ("dbus", "dpkg-repack", "openssl", "rauc", "squashfs-tools", "swupdate", "systemd-boot")
# Packages that tests install: made again from what the tree has installed, so that no archive is asked.
REPACKED = ("grub-efi-amd64-signed", "hostname")
SECONDS = 300
STATE = "var/lib/bootseal"
GRUB_CFG = "# as it was\n"

RECORDER = """\
#!/bin/sh
digest() {
    if [ -f "$1" ]; then sha256sum <"$1" | cut -c -64; else echo none; fi
}
stdin=closed
[ ! -e "/proc/$$/fd/0" ] || stdin=$(readlink "/proc/$$/fd/0")
hook='' built='' slot='' previous=''
[ "$1" != suspend ] || hook=suspend
for word; do
    case $previous in
    --hook) hook=$word ;;
    --built) built=$word ;;
    --slot) slot=$word ;;
    esac
    previous=$word
done
in_slot=
[ -z "$slot" ] || in_slot=$(ls "$slot" | tr '\\n' ' ')
printf '%s\\t%s\\t%s\\t%s\\t%s\\n' "$*" "$stdin" "$(digest /boot/grub/grub.cfg)" "$(digest "$built")" "$in_slot" \\
    >>/var/lib/bootseal/calls
# a test may hold it here
[ ! -p /var/lib/bootseal/hold ] || read -r _ </var/lib/bootseal/hold
[ ! -e "/var/lib/bootseal/fail-$hook" ] || exit "$(cat "/var/lib/bootseal/fail-$hook")"
exit 0
"""

# An image in no time: what is in it matters to one test alone, which has the real one.
MKINITRAMFS = """\
#!/bin/sh
while [ "$1" != -o ]; do shift; done
{ echo "$@"; cat /proc/sys/kernel/random/uuid; } >"$2"
"""


@dataclass(frozen=True)
class Call:
    """One call of bootseal: its words, what its standard input was, and digests of files as they were then."""

    words: str
    stdin: str
    grub_cfg: str
    built: str
    in_slot: str


@dataclass(frozen=True)
class Result:
    """How a command in the tree ended."""

    status: int
    output: str


class System:
    """A Debian tree with hooks."""

    STATE = STATE
    GRUB_CFG = GRUB_CFG

    def __init__(self, tree: Path):
        self.tree = tree

    def path(self, path) -> Path:
        """Where a file of the tree is."""
        return self.tree / str(path).lstrip("/")

    def digest(self, path) -> str:
        """What the recorder says of a file."""
        return hashlib.sha256(self.path(path).read_bytes()).hexdigest()

    def run(self, *argv, binds=None, **environment) -> Result:
        """Run a command inside, its standard input closed."""
        inside = ["sh", "-c", 'exec "$@" <&-', "sh", *argv]
        base = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8", "HOME": "/root"}
        done = subprocess.run(debian.chroot_argv(self.tree, inside, binds), check=False, timeout=SECONDS,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              env={**base, **debian.INSTALL_ENVIRONMENT, **environment})
        return Result(done.returncode, done.stdout)

    def check(self, *argv, **options) -> str:
        """Run a command inside that must succeed; what it said."""
        result = self.run(*argv, **options)
        assert result.status == 0, result.output
        return result.output

    def calls(self) -> list:
        """The calls of bootseal since the last look."""
        record = self.path(f"{STATE}/calls")
        if not record.exists():
            return []
        calls = [Call(*line.split("\t")) for line in record.read_text(encoding="utf-8").splitlines()]
        record.unlink()
        return calls

    def words(self) -> list:
        """Their words alone."""
        return [call.words for call in self.calls()]

    def fail(self, hook: str, status: int) -> None:
        """From now on bootseal ends so for this hook; 0: no more."""
        self.path(f"{STATE}/fail-{hook}").write_text(str(status), encoding="ascii")

    def package_status(self, package: str) -> str:
        """dpkg's word for how far a package is."""
        return self.run("dpkg-query", "--show", "--showformat=${db:Status-Status}", package).output

    @property
    def version(self) -> str:
        """The kernel's."""
        name, = (path.name for path in self.path("lib/modules").iterdir())
        return name

    @property
    def kernel_package(self) -> str:
        """The package that holds it."""
        return f"linux-image-{self.version}"

    def package_file(self, package: str) -> str:
        """Where the tree has a package to install."""
        name, = (path.name for path in self.path("packages").glob(f"{package}_*.deb"))
        return f"/packages/{name}"


@pytest.hookimpl(tryfirst=True)  # before xdist looks for groups
def pytest_collection_modifyitems(items):
    """They share one tree: in one process all of them."""
    for item in items:
        if Path(item.path).is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.xdist_group("debian-tree"))


@pytest.fixture(scope="session")
def progress(pytestconfig):
    """Show at once, past pytest's capture, what takes long."""
    capture = pytestconfig.pluginmanager.getplugin("capturemanager")

    def show(line):
        with capture.global_and_fixture_disabled():
            print(f"\n{line}", file=sys.stderr, flush=True)

    debian.progress.append(show)
    yield debian.say
    debian.progress.pop()


def prepare(system: System, layout: image.Layout) -> None:
    """bootseal's files, and in front of the program the recorder; GRUB's tools answer for a machine that is not there."""
    install(BUILD)(system.tree)
    image.configure_tree(system.tree, layout)
    files = {
        "usr/sbin/bootseal": RECORDER,
        "usr/sbin/grub-probe": image.GRUB_PROBE.format(**vars(layout)),
        "usr/bin/grub-mkrelpath": image.GRUB_MKRELPATH,
        "usr/sbin/mkinitramfs": MKINITRAMFS,
    }
    system.path("usr/sbin/mkinitramfs").rename(system.path("usr/sbin/mkinitramfs.real"))
    for name in files:
        system.path(name).unlink(missing_ok=True)
    debian.write_files(system.tree, files)
    for name in files:
        system.path(name).chmod(0o755)
    for folder in ("boot/grub", "packages", STATE):
        system.path(folder).mkdir(mode=0o700, exist_ok=True)


@pytest.fixture(scope="session")
def installed(tmp_path_factory, progress):
    """The tree that all tests share: a test that breaks something in it puts it right."""
    folder = tmp_path_factory.mktemp("hooks")
    with image.scratch_tree(folder, PACKAGES) as tree:
        system = System(tree)
        prepare(system, image.Layout())
        for package in (system.kernel_package, *REPACKED):
            system.check("sh", "-c", 'cd /packages && dpkg-repack --deb-option=-Znone "$1"', "sh", package)
        yield system


@pytest.fixture
def system(installed):
    """The tree, with nothing that would fail, no call recorded, and a grub.cfg of before."""
    for record in installed.path(STATE).iterdir():
        record.unlink()
    installed.path("boot/grub/grub.cfg").write_text(GRUB_CFG, encoding="ascii")
    return installed
