"""What the programs give up at their start, seen from outside; see tests/unit/base/test-privilege.c too."""

import re
import subprocess
from pathlib import Path

import pexpect
import pytest

from bootseal import BUILD, PASSPHRASE, PATIENCE_S, PIN, PROMPT
from memory import Stopped

WRONG_PIN = "9182736450"

# A library that obeys it has no SHA-256 any more.
NO_ALGORITHMS = """\
openssl_conf = start
[start]
providers = list
[list]
null = none
[none]
activate = 1
"""


def given_up(pid) -> dict:
    """What the kernel says of a process."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    limits = Path(f"/proc/{pid}/limits").read_text(encoding="ascii")
    words = {name: re.search(rf"^{name}:\s+(\S+)", status, re.MULTILINE).group(1)
             for name in ("NoNewPrivs", "Seccomp", "Umask")}
    return {**words, "cores": re.search(r"^Max core file size\s+(\S+)\s+(\S+)", limits, re.MULTILINE).groups()}


GIVEN_UP = {"NoNewPrivs": "1", "Seccomp": "2", "Umask": "0077", "cores": ("0", "0")}


def test_verb_that_runs_nothing(bench, enrolled):
    """No new rights, no core files, no system calls that it does not need."""
    with Stopped(bench, bench.arguments("unlock", "--test", enrolled, pin=PIN), "opening") as program:
        program.at("opening")
        assert given_up(program.pid) == GIVEN_UP
        assert program.end().rc == 0


def test_verb_that_runs_update_initramfs(bench, volume):
    """The same but for the system calls: hooks may need any."""
    argv = bench.arguments("enroll", *bench.enroll_options, volume, pin=PIN, key=PASSPHRASE)
    with Stopped(bench, argv, "adding") as program:
        program.at("adding")
        assert given_up(program.pid) == {**GIVEN_UP, "Seccomp": "0"}
        assert program.end().rc == 0


def test_initramfs(bench, enrolled):
    """bootseal-unlock, while it waits for the PIN."""
    assert enrolled
    argv = bench.unlock_all_arguments()
    child = pexpect.spawn(argv[0], argv[1:], env=bench.environment(), timeout=PATIENCE_S)
    try:
        child.expect(PROMPT)
        assert given_up(child.pid) == GIVEN_UP
    finally:
        child.close(force=True)


def test_libraries_take_no_orders(bench, enrolled):
    """The environment of whoever calls is not that of the libraries: none can be told to log, or what to load."""
    log, config = bench.folder / "log", bench.folder / "openssl.cnf"
    config.write_text(NO_ALGORITHMS, encoding="ascii")
    orders = {"TSS2_LOG": "all+trace", "TSS2_LOGFILE": str(log), "OPENSSL_CONF": str(config)}
    assert subprocess.run(["openssl", "dgst", "-sha256", config], env={**bench.environment(), **orders},
                          capture_output=True, check=False).returncode != 0
    result = bench.bootseal("unlock", "--test", enrolled, pin=PIN, environment=orders)
    assert result.rc == 0 and result.stderr == "" and not log.exists()


# ---- the services ----

def of_unit(name: str, key: str) -> list:
    """The words of one line of a unit, as it is installed."""
    unit = (BUILD / f"systemd/bootseal-{name}.service").read_text(encoding="utf-8")
    return re.search(rf"^{key}=(.*)$", unit, re.MULTILINE).group(1).split()


@pytest.mark.parametrize("name, verb", [
    ("boot-ok", ["boot-ok"]),
    ("reseal", ["reseal", "--current", "--current-values"]),
    ("shutdown", ["reseal", "--predict", "--hook", "shutdown", "--quiet"]),
])
def test_capabilities_of_a_service(bench, enrolled, name, verb):
    """What a service's program does works with the capabilities that its unit leaves to it."""
    left = [word.removeprefix("CAP_").lower() for word in of_unit(name, "CapabilityBoundingSet")]
    assert left == ["dac_override", "dac_read_search", "ipc_lock", "sys_admin"]
    assert bench.unlock_all(WRONG_PIN, PIN).rc == 0
    if name == "reseal":
        bench.boot({9: b"another initrd"})
    result = bench.run(["setpriv", f"--bounding-set=-all,+{',+'.join(left)}", "--inh-caps=-all", "--no-new-privs", "--",
                        *bench.arguments(*verb)])
    assert result.rc == 0, result
    if name == "boot-ok":
        assert bench.tpm.lockout_counter() == 0
    bench.boot({9: b"another initrd"} if name == "reseal" else None)
    assert bench.unlock(enrolled).rc == 0


@pytest.mark.parametrize("name", ["boot-files", "boot-ok", "reseal", "shutdown"])
def test_exposure_of_a_service(name):
    """As systemd counts it: 0 is nothing to complain about, 10 is a unit that gives up nothing."""
    unit = BUILD / f"systemd/bootseal-{name}.service"
    text = subprocess.run(["systemd-analyze", "security", "--offline=true", "--no-pager", unit], capture_output=True,
                          text=True, check=True).stdout
    assert float(re.search(r"exposure level for \S+: ([0-9.]+)", text).group(1)) < 2.5, text
