"""Debian's kernel packages, for tests that install another one."""

import re
import subprocess
from pathlib import Path

from debian import cache_folder, cache_lock, say

PATTERN = re.compile(r"^linux-image-6\.1\.0-([0-9]+)-cloud-amd64$")


def installed_release(tree: Path) -> str:
    """The release of the newest kernel in a tree."""
    return max((tree / "boot").glob("vmlinuz-*")).name.removeprefix("vmlinuz-")


def older_kernel(tree: Path) -> tuple:
    """(release, package file) of the newest kernel that is older than the tree's, from the archive that apt uses."""
    names = subprocess.run(["apt-cache", "--names-only", "search", PATTERN.pattern], capture_output=True, text=True,
                           check=True).stdout.split("\n")
    newest = int(re.search(r"6\.1\.0-(\d+)-", installed_release(tree))[1])
    numbers = [int(match[1]) for match in (PATTERN.match(name.split(" ")[0]) for name in names) if match]
    number = max(number for number in numbers if number < newest)
    release = f"6.1.0-{number}-cloud-amd64"
    folder = cache_folder() / "packages"
    with cache_lock("packages"):
        folder.mkdir(exist_ok=True)
        found = sorted(folder.glob(f"linux-image-{release}_*.deb"))
        if not found:
            say(f"fetching linux-image-{release}")
            subprocess.run(["apt-get", "-q", "download", f"linux-image-{release}"], cwd=folder, check=True,
                           stdout=subprocess.DEVNULL)
            found = sorted(folder.glob(f"linux-image-{release}_*.deb"))
    return release, found[-1]
