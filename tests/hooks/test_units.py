"""The units, in Debian's own systemd, which runs as the first process of its own namespaces; and the look at shutdown."""

import hashlib
import shutil
import struct
import subprocess

import pytest

from debian import write_files

pytestmark = pytest.mark.full  # a systemd of its own, twenty times

STATE = "var/lib/bootseal"
SECONDS = 600

# As a container's. Nothing of the machine outside is seen but its kernel: no /sys, no devices but the tree's own.
BOOT = """
set -e
tree=$1
mount --make-rprivate /
mount --bind "$tree" "$tree"
mount -t proc proc "$tree/proc"
mount -t tmpfs tmpfs "$tree/sys"
mkdir -p "$tree/sys/fs/cgroup"
mount -t cgroup2 cgroup2 "$tree/sys/fs/cgroup"
mount -t tmpfs tmpfs "$tree/run"
cd "$tree"
mkdir -p outside
pivot_root . outside
umount -l /outside
exec env -i container=bootseal-test PATH=/usr/sbin:/usr/bin:/sbin:/bin \\
    /lib/systemd/systemd --unit=test.service --log-target=null
"""

# Ends the machine, however it ends.
TEST_SERVICE = """\
[Unit]
DefaultDependencies=no
After=multi-user.target
SuccessAction=exit
FailureAction=exit
[Service]
Type=oneshot
TimeoutStartSec=500
ExecStart=/bin/sh -eux /root/steps
StandardOutput=file:/root/output
StandardError=file:/root/output
"""

# Stands for all services that write boot files while they stop.
ORDINARY_SERVICE = """\
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStop=/usr/sbin/bootseal ordinary
"""

FUNCTIONS = """\
calls=/var/lib/bootseal/calls
touch "$calls"
count() { wc -l <"$calls"; }
# until_more_than NUMBER: until bootseal was called again
until_more_than() { until [ "$(count)" -gt "$1" ]; do sleep 0.1; done; }
until_flag() { until [ -e /run/bootseal/boot-files-changed ]; do sleep 0.1; done; }
until_idle() {
    until [ ! -e /run/bootseal/boot-files-changed ] &&
        systemctl show --property=ActiveState bootseal-reseal.service | grep -q -E 'inactive|failed'; do sleep 0.1; done
}
# seen COMMAND...: a change after which bootseal is called
seen() {
    before=$(count)
    "$@"
    until_more_than "$before"
    until_idle
}
"""

# Changes that come while bootseal works on others are those that a plain path unit misses.
CHANGES = """\
systemctl start bootseal-boot-files.path
mkfifo /var/lib/bootseal/hold
echo one >/boot/grub/grub.cfg
until_more_than 0
echo two >/boot/grub/grub.cfg
until_flag
echo three >/boot/grub/grub.cfg
echo go >/var/lib/bootseal/hold
until_more_than 1
echo go >/var/lib/bootseal/hold
rm /var/lib/bootseal/hold
until_idle
# a failure does not end the watch
echo 3 >/var/lib/bootseal/fail-grub
seen grub-editenv /boot/grub/grubenv create
seen grub-editenv /boot/grub/grubenv set next_entry=1
# a folder that was not there
seen mkdir -p /boot/efi/EFI/debian
seen cp /root/.profile /boot/efi/EFI/debian/shimx64.efi
"""

SHUTDOWN = """\
systemctl start bootseal-shutdown.service ordinary.service
"""


def boot(system, steps):
    """Run the steps under systemd; the calls of bootseal until all services have stopped."""
    for folder in system.path("usr/lib/systemd/system").glob("*.wants"):
        for link in folder.iterdir():
            link.unlink()
    for name in ("etc/fstab", "etc/crypttab", "root/done", "boot/grub/grubenv"):
        system.path(name).unlink(missing_ok=True)
    shutil.rmtree(system.path("boot/efi/EFI"), ignore_errors=True)
    units = "etc/systemd/system"
    write_files(system.tree, {
        f"{units}/test.service": TEST_SERVICE,
        f"{units}/ordinary.service": ORDINARY_SERVICE,
        "root/steps": FUNCTIONS + steps + "touch /root/done\n",
    })
    namespaces = ("--mount", "--pid", "--fork", "--kill-child=KILL", "--uts", "--ipc", "--net", "--cgroup")
    with subprocess.Popen(["unshare", *namespaces, "sh", "-c", BOOT, "sh", system.tree], stdin=subprocess.DEVNULL,
                          stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as machine:
        try:
            _, errors = machine.communicate(timeout=SECONDS)
        except subprocess.TimeoutExpired:
            machine.kill()
            raise
    output = system.path("root/output")
    said = output.read_text(encoding="utf-8") if output.exists() else errors.decode()
    assert system.path("root/done").exists(), said
    return system.calls()


def test_units_are_sound(system):
    """systemd finds nothing to say about them."""
    units = sorted(f"/{path.relative_to(system.tree)}" for path in
                   system.path("usr/lib/systemd/system").glob("bootseal-*"))
    assert len(units) == 6
    assert system.check("systemd-analyze", "verify", "--man=no", *units) == ""


def test_no_change_is_missed(system):
    """Changes of grub.cfg, grubenv and the EFI system partition, also those that come while others are worked on."""
    calls = boot(system, CHANGES)
    assert {call.words for call in calls} == {"reseal --predict --hook grub"}
    assert [call.grub_cfg for call in calls[:2]] == [hashlib.sha256(text).hexdigest() for text in (b"one\n", b"three\n")]
    assert len(calls) >= 6


def test_shutdown_comes_after_what_stops(system):
    """The last look comes when ordinary services have stopped."""
    calls = boot(system, SHUTDOWN)
    assert [call.words for call in calls] == ["ordinary", "reseal --predict --hook shutdown --quiet"]


# -- what waits in the firmware -------------------------------------------------------------------

EFIVARS = "sys/firmware/efi/efivars"
INDICATIONS = f"{EFIVARS}/OsIndications-8be4df61-93ca-11d2-aa0d-00e098032b8c"
FWUPD = f"{EFIVARS}/fwupd-2b2fb8bb-0000-4d5e-a1f5-3c1f1e3a1111-0-0abba7dc-e516-4167-bbf5-4d9d1c739416"
ATTRIBUTES = struct.pack("<I", 7)


def fwupd_variable(status):
    """As fwupd writes it: version, GUID, flags, hardware instance, time, status, and a device path."""
    return ATTRIBUTES + struct.pack("<I16sIQ16sI", 7, bytes(16), 0, 0, bytes(16), status) + bytes(20)


@pytest.mark.parametrize("path, content, warns", [
    ("boot/efi/EFI/UpdateCapsule/fwupd-1.cap", b"capsule", True),
    (INDICATIONS, ATTRIBUTES + struct.pack("<Q", 4), True),
    (INDICATIONS, ATTRIBUTES + struct.pack("<Q", 1), False),
    (INDICATIONS, b"", False),
    (FWUPD, fwupd_variable(1), True),
    (FWUPD, fwupd_variable(2), False),
    (FWUPD, b"short", False),
    ("boot/efi/EFI/debian/fwupdx64.efi", b"program", False),
], ids=["capsule", "indicated", "other-indication", "no-indication", "fwupd-waits", "fwupd-done", "fwupd-short",
        "program-alone"])
def test_firmware_update(system, path, content, warns):
    """The next boot is suspended, and where that is refused what waits is told, on a machine that has something to lose;
    the look at the next boot comes all the same."""
    system.path(path).parent.mkdir(parents=True, exist_ok=True)
    system.path(path).write_bytes(content)
    hook = "/usr/lib/bootseal/hooks/shutdown"
    words = ["reseal --predict --hook shutdown --quiet"]
    assert system.check(hook) == "" and system.words() == words
    system.path(f"{STATE}/pins.json").write_text("{}", encoding="ascii")
    suspends = ["suspend --firmware --quiet"] if warns else []
    assert system.check(hook) == "" and system.words() == suspends + words
    system.fail("suspend", 10)
    output = system.check(hook)
    assert ("the firmware will update itself" in output) == warns and (output == "") != warns
    assert system.words() == suspends + words
    system.fail("shutdown", 3)
    assert system.run(hook).status == 3
    system.path(path).unlink()
