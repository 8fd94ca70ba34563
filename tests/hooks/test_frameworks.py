"""The hooks of RAUC and SWUpdate, called by the programs themselves, and Mender's state scripts."""

import re
import shutil
from pathlib import Path

import pytest

from debian import write_files

pytestmark = pytest.mark.full  # what else comes with Debian than apt and its kernels

PREDICT = "reseal --predict --hook "
HOOKS = "/usr/lib/bootseal/hooks"

RAUC_CONF = f"""\
[system]
compatible=test
bootloader=custom
bundle-formats=plain verity
[keyring]
path=/root/test/certificate.pem
[handlers]
bootloader-custom-backend=/root/test/backend
post-install={HOOKS}/rauc
[slot.rootfs.0]
device=/root/test/a.img
type=raw
bootname=A
[slot.rootfs.1]
device=/root/test/b.img
type=raw
bootname=B
"""

RAUC_BACKEND = """\
#!/bin/sh
case $1 in
get-primary) cat /root/test/primary ;;
set-primary) echo "$2" >/root/test/primary ;;
get-state) echo good ;;
get-current) echo A ;;
esac
"""

RAUC_INSTALL = """\
set -e
cd /root/test
openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out certificate.pem -subj /CN=test -days 2
mkdir bundle
if [ "$1" = raw ]; then
    echo "no file system" >bundle/rootfs.img
else
    mkdir slot
    echo kernel >slot/vmlinuz
    mksquashfs slot bundle/rootfs.img -quiet -no-progress
fi
printf '[update]\\ncompatible=test\\nversion=1\\n[image.rootfs]\\nfilename=rootfs.img\\n' >bundle/manifest.raucm
rauc --cert certificate.pem --key key.pem bundle bundle update.raucb
truncate -s 1M a.img b.img
echo A >primary
dbus-run-session -- sh -c '
    export DBUS_SYSTEM_BUS_ADDRESS=$DBUS_SESSION_BUS_ADDRESS
    rauc --override-boot-slot=A service &
    until dbus-send --session --print-reply --dest=org.freedesktop.DBus / org.freedesktop.DBus.NameHasOwner \
        string:de.pengutronix.rauc | grep -q "boolean true"; do sleep 0.1; done
    rauc install update.raucb'
"""


@pytest.fixture(autouse=True)
def folder(system):
    """/root/test, for what a test makes."""
    shutil.rmtree(system.path("root/test"), ignore_errors=True)
    system.path("root/test").mkdir()


def mounts(system):
    """What RAUC has on a machine: a root that is a mount, and loop devices to mount its bundles by."""
    devices = [Path("/dev/loop-control"), *sorted(Path("/dev").glob("loop[0-9]*"))]
    for device in devices:
        system.path(device).touch()
    return {system.tree: "/", "/proc": "/proc", **{device: device for device in devices}}


def rauc_install(system, kind):
    """Install an update with the running system in slot A."""
    write_files(system.tree, {"etc/rauc/system.conf": RAUC_CONF, "root/test/backend": RAUC_BACKEND})
    system.path("root/test/backend").chmod(0o755)
    return system.run("sh", "-c", RAUC_INSTALL, "sh", kind, binds=mounts(system))


@pytest.mark.parametrize("kind, words, files", [
    ("squashfs", f"{PREDICT}rauc --slot /run/bootseal/slot", "vmlinuz "),
    ("raw", f"{PREDICT}rauc", ""),
], ids=["file-system", "raw"])
def test_rauc(system, kind, words, files):
    """The slot that was written is mounted when bootseal looks, and by nobody later; or has nothing to mount."""
    result = rauc_install(system, kind)
    assert result.status == 0, result.output
    call, = system.calls()
    assert (call.words, call.in_slot) == (words, files)
    assert system.path("root/test/primary").read_text(encoding="ascii") == "B\n"
    assert not list(system.path("run/bootseal/slot").iterdir())


def test_rauc_and_a_failure(system):
    """The installation fails; the slot stays the one that boots next."""
    system.fail("rauc", 3)
    result = rauc_install(system, "squashfs")
    assert result.status == 1 and "Post-install handler error" in result.output, result.output
    assert len(system.calls()) == 1
    assert system.path("root/test/primary").read_text(encoding="ascii") == "B\n"


def test_rauc_handler_without_a_slot(system):
    """Nothing that the boot loader starts was written."""
    system.check(f"{HOOKS}/rauc")
    system.check(f"{HOOKS}/rauc", RAUC_TARGET_SLOTS="1 2", RAUC_SLOT_DEVICE_1="/root/.profile", RAUC_SLOT_BOOTNAME_1="",
                 RAUC_SLOT_DEVICE_2="/dev/not-there", RAUC_SLOT_BOOTNAME_2="B")
    assert system.words() == [f"{PREDICT}rauc"] * 2


SWUPDATE_MAKE = """\
set -e
cd /root/test
openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out certificate.pem -subj /CN=test -days 2 \\
    -addext extendedKeyUsage=emailProtection
echo content >payload
digest=$(sha256sum <payload | cut -c -64)
cat >sw-description <<END
software = { version = "1"; hardware-compatibility: [ "1.0" ];
    files: ( { filename = "payload"; path = "/root/test/installed"; sha256 = "$digest"; } ); }
END
openssl cms -sign -in sw-description -out sw-description.sig -signer certificate.pem -inkey key.pem -outform DER \\
    -nosmimecap -binary
printf 'sw-description\\nsw-description.sig\\npayload\\n' | cpio -o -H crc >update.swu
echo "board 1.0" >/etc/hwrevision
"""

SWUPDATE_CFG = f"""\
globals: {{
    public-key-file = "/root/test/certificate.pem";
    postupdatecmd = "{HOOKS}/swupdate && touch /root/test/rebooted";
}};
"""


def swupdate(system, *options):
    """Install the update: how it ended, and the calls.

    `swupdate -i` ends with 1 now and then, right after the installation and before the command: then once more.
    """
    for _ in range(30):
        result = system.run("swupdate", "-f", "/root/test/swupdate.cfg", *options, "-i", "/root/test/update.swu")
        words = system.words()
        if words:
            break
    return result, words


def test_swupdate(system):
    """Called after the update was installed; a failure ends swupdate, and what should follow does not."""
    write_files(system.tree, {"root/test/swupdate.cfg": SWUPDATE_CFG})
    system.check("sh", "-c", SWUPDATE_MAKE)
    result, words = swupdate(system)
    assert (result.status, words) == (0, [f"{PREDICT}swupdate"]), result.output
    assert system.path("root/test/installed").read_text(encoding="ascii") == "content\n"
    system.path("root/test/rebooted").unlink()

    result, words = swupdate(system, "-p", f"{HOOKS}/swupdate /root")
    assert (result.status, words) == (0, [f"{PREDICT}swupdate --slot /root"]), result.output

    system.fail("swupdate", 3)
    result, words = swupdate(system)
    assert (result.status, words) == (1, [f"{PREDICT}swupdate"]), result.output
    assert not system.path("root/test/rebooted").exists()


MENDER = "/usr/share/bootseal/mender"


@pytest.mark.parametrize("state, words, status", [
    ("ArtifactInstall_Leave", f"{PREDICT}mender", 1),
    ("ArtifactCommit_Leave", "reseal --commit --hook mender", 0),
    ("ArtifactRollback_Leave", f"{PREDICT}mender", 1),
], ids=["install", "commit", "rollback"])
def test_mender(system, state, words, status):
    """Names as Mender reads them, no status but those that it knows."""
    script = f"{MENDER}/{state}_50_bootseal"
    names = sorted(path.name for path in system.path(MENDER).iterdir())
    assert len(names) == 3 and all(re.fullmatch(r"Artifact[A-Z][a-z]+_Leave_[0-9]{2}_\w+", name) for name in names)
    assert system.check(script) == ""
    assert system.words() == [words]
    system.fail("mender", 10)
    assert system.run(script).status == status
