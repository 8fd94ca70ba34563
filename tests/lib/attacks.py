"""What an attacker brings: a root file system of his own, and a witness of how a boot was stopped.

His init prints MARKER on the console as soon as it runs.  WITNESS stands in the initrd in place of `reboot`, sealed
like the rest of it, and tells what was open and whether the boot was capped when the machine was told to restart.
"""

import hashlib
import re
import shutil
import subprocess
from pathlib import Path

from debian import cache_folder, cache_lock
from image import BootFiles
from layouts import ROOT_UUID, is_capped
from storage import Workshop

MARKER = "ATTACKER RUNS AS PID"
INIT_SOURCE = Path(__file__).resolve().parent.parent / "vm" / "attack-init.c"

WITNESS = {"usr/sbin/reboot": b"""\
#!/bin/sh
exec >/dev/console 2>&1
echo
for mapping in /sys/block/dm-*/dm; do
    [ -e "$mapping" ] && echo "witness: open $(cat "$mapping/name") $(cat "$mapping/uuid")"
done
while read -r module _; do
    echo "witness: module $module"
done </proc/modules
echo "witness: pcr12 $(cat /sys/class/tpm/tpm0/pcr-sha256/12)"
exec busybox reboot "$@"
"""}
NO_REBOOT = ("-no-reboot",)


def with_command_line(boot, change) -> BootFiles:
    """The same kernel and initrd, started with other words."""
    return BootFiles(boot.kernel, boot.initrd, change(boot.command_line))


def init_program() -> Path:
    """The attacker's init, compiled into the cache."""
    key = hashlib.sha256(INIT_SOURCE.read_bytes()).hexdigest()[:12]
    program = cache_folder() / f"attack-init-{key}"
    with cache_lock("attack-init"):
        if not program.exists():
            unfinished = program.with_name(f"{program.name}.new")
            subprocess.run(["cc", "-O2", "-static", "-o", unfinished, INIT_SOURCE], check=True)
            unfinished.rename(program)
    return program


def root_of_attacker(folder: Path, size_mib: int = 16) -> Path:
    """A file system with the genuine root's UUID, and an init that tells that it runs."""
    tree = folder / "attack"
    for name in ("dev", "proc", "run", "sys", "usr", "etc", "root", "sbin"):
        (tree / name).mkdir(parents=True)
    shutil.copy(init_program(), tree / "sbin/init")
    (tree / "sbin/init").chmod(0o755)
    try:
        return Workshop(tree, folder).ext4("attack", ROOT_UUID, size_mib, tree)
    finally:
        shutil.rmtree(tree)


def witness(log: str) -> tuple:
    """({name of each mapping: its dm UUID}, whether PCR 12 was capped) when the machine was told to restart."""
    opened = dict(re.findall(r"witness: open (\S+) (\S*)", log))
    value = re.search(r"witness: pcr12 ([0-9A-Fa-f]{64})", log)
    if not value:
        raise AssertionError(f"the machine was not restarted by the initramfs:\n{log}")
    return opened, is_capped(bytes.fromhex(value[1]))
