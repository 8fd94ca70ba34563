"""A software TPM 2.0 (swtpm) that can be switched off, lose power, and be reset like a real one.

SoftwareTpm serves command line tests: commands and control over TCP, `.tcti` names it to tpm2-tss.
MachineTpm serves QEMU: it waits at a control socket, and QEMU hands it the command channel.
Both keep the TPM's state in a folder, so that a TPM prepared by command line tools can be plugged
into a virtual machine afterwards, and the other way round; never both at once.

swtpm becomes a daemon once it has bound its sockets, so that "it returned" means "it is ready".
"""

import ctypes
import os
import random
import re
import select
import shutil
import signal
import socket
import subprocess
import tempfile
from pathlib import Path

STOP_SECONDS = 10
START_ATTEMPTS = 20
# Below the range the kernel hands out by itself, so that only servers are in the way.
PORTS = range(10000, 30000, 2)

PROPERTY_LINE = re.compile(r"^\s*(\w+):\s+(?:0x)?([0-9A-Fa-f]+)\s*$", re.MULTILINE)
PCR_LINE = re.compile(r"^\s*(\d+)\s*:\s*0x([0-9A-Fa-f]+)\s*$", re.MULTILINE)


PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h


def _adopt_daemons() -> None:
    """Make the daemons started here children of this process, so that none stays behind as a zombie."""
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")


class TpmStartError(Exception):
    """swtpm did not start; the text holds its log."""


class _Swtpm:
    """The process and its state folder, whatever it listens on."""

    def __init__(self, state_dir):
        self.state_dir = Path(state_dir).absolute()
        self.state_dir.mkdir(parents=True, exist_ok=True)
        self.log = self.state_dir / "swtpm.log"
        self._pid_file = self.state_dir / "swtpm.pid"
        # Holds the process itself, not its number, which the kernel may give to another one.
        self._process = None

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *exception):
        self.stop()

    @property
    def running(self) -> bool:
        """Whether swtpm has been started and has not ended since."""
        return self._process is not None and not select.select([self._process], [], [], 0)[0]

    def _launch(self, arguments) -> None:
        """Start swtpm as a daemon; it has bound its sockets when this returns."""
        _adopt_daemons()
        self._pid_file.unlink(missing_ok=True)
        argv = ["swtpm", "socket", "--tpm2", "--tpmstate", f"dir={self.state_dir}",
                "--log", f"file={self.log},level=1", "--pid", f"file={self._pid_file}", "--daemon", *arguments]
        started = subprocess.run(argv, capture_output=True, text=True, check=False)
        if started.returncode != 0:
            log = self.log.read_text(errors="replace") if self.log.exists() else ""
            raise TpmStartError(f"{' '.join(argv)}: {started.returncode}\n{started.stderr}{log[-2000:]}")
        self._process = os.pidfd_open(int(self._pid_file.read_text(encoding="ascii")))

    def _end(self, number: int) -> None:
        """Send a signal and wait until the process is gone."""
        if self._process is None:
            return
        process, self._process = self._process, None
        try:
            signal.pidfd_send_signal(process, number)
            if not select.select([process], [], [], STOP_SECONDS)[0]:
                raise TimeoutError(f"swtpm still runs {STOP_SECONDS} s after signal {number}")
            os.waitid(os.P_PIDFD, process, os.WEXITED)
        finally:
            os.close(process)

    def start(self) -> None:
        """Switch on."""
        raise NotImplementedError

    def stop(self) -> None:
        """Switch off without telling the TPM, but let swtpm end by itself."""
        self._end(signal.SIGTERM)

    def cut(self) -> None:
        """Cut the power: swtpm is killed in whatever it does."""
        self._end(signal.SIGKILL)

    def copy_state(self, folder) -> Path:
        """Copy the state of a TPM that is switched off, as nobody can do with a real one."""
        if self.running:
            raise RuntimeError("the TPM must be switched off to copy its state")
        return Path(shutil.copytree(self.state_dir, folder))


class MachineTpm(_Swtpm):
    """A TPM for one virtual machine: start() before QEMU; it ends when QEMU closes its connection."""

    def __init__(self, state_dir):
        super().__init__(state_dir)
        self._socket_dir = None

    @property
    def control_socket(self) -> Path:
        """What QEMU's chardev connects to.  In a folder of its own: a socket's name is 107 bytes at most."""
        if self._socket_dir is None:
            self._socket_dir = Path(tempfile.mkdtemp(prefix="swtpm-"))
        return self._socket_dir / "control"

    def start(self) -> None:
        self._launch(["--terminate", "--ctrl", f"type=unixio,path={self.control_socket}"])

    def _end(self, number: int) -> None:
        super()._end(number)
        if self._socket_dir is not None:
            shutil.rmtree(self._socket_dir, ignore_errors=True)
            self._socket_dir = None


class SoftwareTpm(_Swtpm):
    """A TPM for command line tests, reached over TCP on this machine.

    With PCAP, `.tcti` makes tpm2-tss record each command and response into that file, provided the
    environment holds `.environment`; the methods below use a connection that is not recorded.
    """

    def __init__(self, state_dir, pcap=None):
        super().__init__(state_dir)
        self.pcap = Path(pcap).absolute() if pcap else None
        self.port = None

    @property
    def plain_tcti(self) -> str:
        """The TCTI string, without recording."""
        return f"swtpm:host=127.0.0.1,port={self.port}"

    @property
    def tcti(self) -> str:
        """The TCTI string for the program under test."""
        return f"pcap:{self.plain_tcti}" if self.pcap else self.plain_tcti

    @property
    def environment(self) -> dict:
        """What to add to the environment of the program under test."""
        recording = {"TCTI_PCAP_FILE": str(self.pcap)} if self.pcap else {}
        return {"BOOTSEAL_TCTI": self.tcti, "TSS2_LOG": "all+none", **recording}

    def start(self) -> None:
        """Switch on: TPM2_Startup(CLEAR).  The port stays the same for the life of this object."""
        if self.port is not None:
            self._launch_at(self.port)
            return
        for attempt in range(START_ATTEMPTS):
            port = random.choice(PORTS)
            try:
                self._launch_at(port)
            except TpmStartError:
                if attempt + 1 == START_ATTEMPTS or self._is_free(port):
                    raise
            else:
                self.port = port
                return

    def _launch_at(self, port: int) -> None:
        self._launch(["--server", f"type=tcp,port={port}", "--ctrl", f"type=tcp,port={port + 1}",
                      "--flags", "not-need-init,startup-clear"])

    @staticmethod
    def _is_free(port: int) -> bool:
        """Whether both ports can be bound, so that a failure to start had another reason."""
        try:
            for number in (port, port + 1):
                with socket.socket() as probe:
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    probe.bind(("127.0.0.1", number))
        except OSError:
            return False
        return True

    def power_cut(self) -> None:
        """Cut the power and switch on again: an unorderly TPM Reset."""
        self.cut()
        self.start()

    def reboot(self, shutdown="clear") -> None:
        """Reset, as a reboot does.  SHUTDOWN: what the operating system said before.

        "clear": TPM2_Shutdown(CLEAR), an orderly TPM Reset.  "state": TPM2_Shutdown(STATE), as when
        suspending, hence a TPM Restart.  None: nothing.
        """
        options = {"clear": ["--clear"], "state": [], None: None}[shutdown]
        if options is not None:
            self.tool("tpm2_shutdown", *options)
        self.cut()
        self.start()

    def tool(self, *argv, stdin: bytes = b"") -> bytes:
        """Run one of the tpm2-tools on this TPM; its stdout, or an exception with its stderr."""
        environment = {**os.environ, "TPM2TOOLS_TCTI": self.plain_tcti, "TSS2_LOG": "all+none"}
        done = subprocess.run([str(part) for part in argv], input=stdin, capture_output=True,
                              env=environment, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"{' '.join(map(str, argv))}: {done.returncode}\n{done.stderr.decode(errors='replace')}")
        return done.stdout

    def extend(self, pcr: int, data: bytes) -> None:
        """Measure DATA: extend PCR in every bank by that bank's hash of DATA."""
        self.tool("tpm2_pcrevent", pcr, stdin=data)

    def extend_digest(self, pcr: int, digest: bytes, bank: str = "sha256") -> None:
        """Extend PCR in one bank by DIGEST itself, as when replaying an event log."""
        self.tool("tpm2_pcrextend", f"{pcr}:{bank}={digest.hex()}")

    def pcrs(self, bank: str = "sha256") -> dict:
        """{PCR: value} of one bank."""
        output = self.tool("tpm2_pcrread", bank).decode("ascii")
        return {int(pcr): bytes.fromhex(value) for pcr, value in PCR_LINE.findall(output)}

    def properties(self) -> dict:
        """{name: number} of the variable properties, e.g. TPM2_PT_LOCKOUT_COUNTER."""
        output = self.tool("tpm2_getcap", "properties-variable").decode("ascii")
        return {name: int(value, 16) for name, value in PROPERTY_LINE.findall(output)}

    def lockout_counter(self) -> int:
        """How many wrong authorisations the TPM remembers."""
        return self.properties()["TPM2_PT_LOCKOUT_COUNTER"]

    def set_lockout(self, max_tries: int, recovery_seconds: int, lockout_recovery_seconds: int = 1000) -> None:
        """Set the dictionary-attack parameters; the lockout authorisation must be empty."""
        self.tool("tpm2_dictionarylockout", "--setup-parameters", f"--max-tries={max_tries}",
                  f"--recovery-time={recovery_seconds}", f"--lockout-recovery-time={lockout_recovery_seconds}")

    def reset_lockout(self) -> None:
        """Forget the wrong authorisations; the lockout authorisation must be empty."""
        self.tool("tpm2_dictionarylockout", "--clear-lockout")

    def clear(self) -> None:
        """TPM2_Clear by the platform, as from a firmware menu: works whatever the authorisations are."""
        self.tool("tpm2_clear", "-c", "p")

    def flush(self) -> None:
        """Flush the transient objects and sessions that tools left behind."""
        for kind in ("--transient-object", "--loaded-session", "--saved-session"):
            self.tool("tpm2_flushcontext", kind)
