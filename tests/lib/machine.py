"""A virtual machine with a TPM, driven over its serial console.

    machine = Machine(folder, [image.path], tpm_state=folder / "tpm")
    machine.start()
    machine.enter_passphrase(layout)
    machine.wait_shell()
    status, output = machine.run("uname -r")
    machine.power_off()

QEMU runs the firmware (OVMF, with Secure Boot and Microsoft's keys unless told otherwise), swtpm is the
TPM.  The TPM's state, the firmware's variables and the disks outlive a boot, as in a real machine.  With
`direct` the firmware, without Secure Boot, starts a kernel from outside the disks: no shim and no GRUB, but a TPM that
ACPI announces, and kernel, initrd and command line measured.  Where even that is not needed, `firmware=False` saves
some seconds more; the PCRs then stay empty.

There is no KVM where these tests run: everything is emulated, about thirty times slower than a real
machine.  The timeouts are meant for that and for a neighbour who takes half of the processor.
"""

import base64
import json
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pexpect
import pexpect.fdpexpect

from debian import PROMPT
from swtpm import MachineTpm

OVMF = Path("/usr/share/OVMF")
# {Secure Boot: (code, template of the variables)}
FIRMWARE = {
    True: ("OVMF_CODE_4M.secboot.fd", "OVMF_VARS_4M.ms.fd"),
    False: ("OVMF_CODE_4M.fd", "OVMF_VARS_4M.fd"),
}

# Three times the slowest seen.
BOOT_SECONDS = 240
COMMAND_SECONDS = 90
POWER_OFF_SECONDS = 120
QEMU_SECONDS = 20
# Between two looks at a screen that stands still when both are the same.
SCREEN_SECONDS = 0.5

INITRAMFS_PROMPT = r"\(initramfs\) "
PASSPHRASE_PROMPT = r"Please unlock disk {name}.*: "
# Of a console that fills a screen, not what follows is wanted but what was seen.
LOG_TAIL = 20_000


class ConsoleError(AssertionError):
    """The console did not show what was waited for; the text holds what it showed."""


class Qmp:
    """QEMU's control socket: one command, one answer; events are passed over."""

    def __init__(self, path: Path):
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(QEMU_SECONDS)
        self._socket.connect(str(path))
        self._lines = self._socket.makefile("r", encoding="utf-8")
        self._lines.readline()
        self.command("qmp_capabilities")

    def command(self, name: str, **arguments):
        """Execute a command; its return value."""
        self._socket.sendall(json.dumps({"execute": name, "arguments": arguments}).encode() + b"\n")
        for line in self._lines:
            answer = json.loads(line)
            if "error" in answer:
                raise RuntimeError(f"QEMU: {name}: {answer['error']['desc']}")
            if "return" in answer:
                return answer["return"]
        raise RuntimeError(f"QEMU closed its control socket during {name}")

    def close(self) -> None:
        """Close the connection; QEMU goes on."""
        self._lines.close()
        self._socket.close()


class Console(pexpect.fdpexpect.fdspawn):
    """The serial console.  QEMU's end is the end of the file, in whatever state it left the socket."""

    def __init__(self, path: Path, echo: bool):
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(str(path))
        super().__init__(connection.detach(), encoding="utf-8", codec_errors="replace", maxread=65536)
        self.logfile_read = sys.__stderr__ if echo else None

    def read_nonblocking(self, size=1, timeout=-1):
        try:
            return super().read_nonblocking(size, timeout)
        except ConnectionResetError as error:
            self.flag_eof = True
            raise pexpect.EOF("connection reset") from error


class Machine:
    """One machine: what it is made of, and the boot it is in."""

    def __init__(self, folder, disks, tpm_state=None, *, secure_boot=True, firmware_vars=None, direct=None,
                 firmware=True, keep_disks=True, extra_arguments=(), bus="virtio-blk-pci", echo=False):
        """FOLDER keeps logs, and what is not named: the TPM's state, the firmware's variables.

        DISKS: paths of raw images, the first one is booted.  TPM_STATE: folder of a (new or used) TPM.
        DIRECT: an image.BootFiles, to boot without a boot loader; and without FIRMWARE too.  BUS: QEMU's device for
        the disks.  KEEP_DISKS: whether what is written to them outlives the boot; if not, they need no copying.
        ECHO: show the console on stderr as the tests read it.
        """
        self.folder = Path(folder).absolute()
        self.folder.mkdir(parents=True, exist_ok=True)
        self.disks = [Path(disk).absolute() for disk in disks]
        self.tpm = MachineTpm(tpm_state or self.folder / "tpm")
        self.secure_boot = secure_boot and not direct
        self.firmware = firmware
        self.keep_disks = keep_disks
        self.firmware_vars = Path(firmware_vars or self.folder / "firmware-vars.fd").absolute()
        self.direct = direct
        self.extra_arguments = list(extra_arguments)
        self.bus = bus
        self.echo = echo
        self.boots = 0
        self.qmp = None
        self._qemu = None
        self._console = None
        self._sockets = None
        self._started = None

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.kill()

    @property
    def console_log(self) -> Path:
        """Everything the console showed in the latest boot, colours and all."""
        return self.folder / f"console-{self.boots}.log"

    @property
    def qemu_log(self) -> Path:
        """What QEMU itself had to say in the latest boot."""
        return self.folder / f"qemu-{self.boots}.log"

    @property
    def running(self) -> bool:
        """Whether QEMU runs."""
        return self._qemu is not None and self._qemu.poll() is None

    @property
    def seconds(self) -> float:
        """How long ago it was switched on."""
        return time.monotonic() - self._started

    # -- power ------------------------------------------------------------------------------------

    def start(self) -> None:
        """Switch on."""
        if self.running:
            raise RuntimeError("the machine is on already")
        if self.firmware and not self.firmware_vars.exists():
            shutil.copy(OVMF / FIRMWARE[self.secure_boot][1], self.firmware_vars)
        self.boots += 1
        # A folder of its own: a socket's name is 107 bytes at most.
        self._sockets = Path(tempfile.mkdtemp(prefix="qemu-"))
        self._started = time.monotonic()
        self.tpm.start()
        try:
            self._start_qemu()
        except (OSError, RuntimeError) as error:
            self.kill()
            raise RuntimeError(f"QEMU did not start: {error}\n{self.qemu_log.read_text()}") from error

    def _start_qemu(self) -> None:
        """Start QEMU and connect to the console and the control socket.  It waits for the console."""
        with socket.socket(socket.AF_UNIX) as console_server, socket.socket(socket.AF_UNIX) as control_server:
            # QEMU gets listening sockets, so that connecting needs no second try.
            for server, name in ((console_server, "console"), (control_server, "control")):
                server.bind(str(self._sockets / name))
                server.listen(1)
            with open(self.qemu_log, "wb") as log:
                self._qemu = subprocess.Popen(
                    self._argv(console_server.fileno(), control_server.fileno()), stdin=subprocess.DEVNULL,
                    stdout=log, stderr=log, pass_fds=(console_server.fileno(), control_server.fileno()))
        self._console = Console(self._sockets / "console", self.echo)
        self.qmp = Qmp(self._sockets / "control")

    def _argv(self, console_fd: int, control_fd: int) -> list:
        """QEMU's command line."""
        return [
            "qemu-system-x86_64", "-nodefaults", "-no-user-config", "-name", self.folder.name,
            "-machine", f"q35,smm={'on' if self.secure_boot else 'off'}", "-accel", "tcg,thread=multi",
            "-cpu", "max", "-smp", "2", "-m", "1024", "-display", "none", "-vga", "std", "-nic", "none",
            "-chardev", f"socket,id=console,fd={console_fd},server=on,wait=on,logfile={self.console_log}",
            "-serial", "chardev:console",
            "-chardev", f"socket,id=control,fd={control_fd},server=on,wait=off", "-mon", "control,mode=control",
            "-chardev", f"socket,id=tpm,path={self.tpm.control_socket}",
            "-tpmdev", "emulator,id=tpm0,chardev=tpm", "-device", "tpm-crb,tpmdev=tpm0",
            "-object", "rng-random,id=random,filename=/dev/urandom", "-device", "virtio-rng-pci,rng=random",
            *(self._firmware_arguments() if self.firmware else []),
            *(self._direct_arguments() if self.direct else []),
            *self.extra_arguments, *self._disk_arguments(),  # a disk may need a controller from there
        ]

    def _firmware_arguments(self) -> list:
        code = OVMF / FIRMWARE[self.secure_boot][0]
        protected = ["-global", "driver=cfi.pflash01,property=secure,value=on"] if self.secure_boot else []
        return [*protected, "-drive", f"if=pflash,unit=0,format=raw,readonly=on,file={code}",
                "-drive", f"if=pflash,unit=1,format=raw,file={self.firmware_vars}"]

    def _direct_arguments(self) -> list:
        return ["-kernel", str(self.direct.kernel), "-initrd", str(self.direct.initrd),
                "-append", self.direct.command_line]

    def _disk_arguments(self) -> list:
        arguments = []
        fate = "off" if self.keep_disks else "on"
        serial = "" if self.bus == "sd-card" else ",serial=disk{}"
        for number, disk in enumerate(self.disks):
            # unsafe: what the guest has written survives QEMU's death in the page cache, and no more is asked.
            order = "" if self.direct else f",bootindex={number}"
            arguments += ["-drive", f"if=none,id=disk{number},format=raw,cache=unsafe,snapshot={fate},file={disk}",
                          "-device", f"{self.bus},drive=disk{number}{serial.format(number)}{order}"]
        return arguments

    def power_off(self) -> None:
        """Shut down from the root shell, in order, and wait until the machine is off."""
        self.send("systemctl poweroff")
        self.wait_off()

    def wait_off(self, timeout: float = POWER_OFF_SECONDS) -> None:
        """Wait until the machine switches itself off."""
        self.expect(pexpect.EOF, timeout)
        status = self._qemu.wait(QEMU_SECONDS)
        self._put_away()
        if status != 0:
            raise RuntimeError(f"QEMU ended with {status}\n{self.qemu_log.read_text()}")

    def kill(self) -> None:
        """Cut the power, of TPM and machine at once.  Harmless when it is off."""
        self.tpm.cut()
        if self.running:
            self._qemu.send_signal(signal.SIGKILL)
            self._qemu.wait()
        self._put_away()

    def _put_away(self) -> None:
        """Forget a boot that is over; swtpm ends by itself when QEMU is gone, at the latest here."""
        self.tpm.stop()
        if self.qmp is not None:
            self.qmp.close()
        if self._console is not None:
            self._console.close()
        if self._sockets is not None:
            shutil.rmtree(self._sockets, ignore_errors=True)
        self.qmp = self._console = self._sockets = self._qemu = None

    # -- console ----------------------------------------------------------------------------------

    def expect(self, pattern, timeout: float = BOOT_SECONDS):
        """Wait until the console shows PATTERN (a regular expression, or a list of them: the index of the
        one seen is returned).  The match is in `.match`, what came before it in `.before`."""
        patterns = pattern if isinstance(pattern, list) else [pattern]
        try:
            return self._console.expect(patterns, timeout)
        except (pexpect.TIMEOUT, pexpect.EOF) as error:
            reason = f"not within {timeout} s" if isinstance(error, pexpect.TIMEOUT) else "before the machine ended"
        log = self.console_log.read_text(encoding="utf-8", errors="replace")[-LOG_TAIL:]
        raise ConsoleError(f"{pattern!r} was not seen on the console, {reason}.  {self.console_log}:\n{log}")

    def expect_or_timeout(self, pattern, timeout: float) -> int:
        """0 when the console shows PATTERN in time, else 1."""
        return self._console.expect([pattern, pexpect.TIMEOUT], timeout)

    @property
    def match(self):
        """The match of the latest expect()."""
        return self._console.match

    @property
    def before(self) -> str:
        """What the console showed before the latest match."""
        return self._console.before

    def send(self, line: str = "") -> None:
        """Type a line."""
        self._console.send(f"{line}\n")

    def send_key(self, keys: str) -> None:
        """Press keys at the machine's keyboard, as QEMU names them: "alt-sysrq-k"."""
        codes = [{"type": "qcode", "data": key} for key in keys.split("-")]
        self.qmp.command("send-key", keys=codes)

    def type_keys(self, text: str) -> None:
        """Type digits, and Enter, at the machine's keyboard."""
        for key in [*text, "ret"]:
            self.send_key(key)

    def _still_screen(self) -> bytes:
        """What the machine's screen shows once it no longer changes."""
        last, now, path = None, b"", self.folder / "screen.ppm"
        while now != last:
            last = now
            time.sleep(SCREEN_SECONDS)
            self.qmp.command("screendump", filename=str(path))
            now = path.read_bytes()
        return now

    def press(self, *keys: str) -> None:
        """Press keys one after the other, where nothing but the screen tells that each was taken."""
        for key in keys:
            before, end = self._still_screen(), time.monotonic() + COMMAND_SECONDS
            self.send_key(key)
            while self._still_screen() == before:
                if time.monotonic() > end:
                    raise ConsoleError(f"the key {key!r} changed nothing on the screen")

    def plug(self, disk, device: str, name: str = "late", **properties) -> None:
        """Plug a disk into the running machine, as QEMU's device DEVICE.  What is written to it goes with the boot."""
        self.qmp.command("human-monitor-command", **{
            "command-line": f"drive_add 0 if=none,id={name},format=raw,snapshot=on,file={Path(disk).absolute()}"})
        self.qmp.command("device_add", driver=device, id=f"{name}-device", drive=name, **properties)

    def enter_passphrase(self, layout, passphrase=None) -> None:
        """Wait for Debian's own prompt for the image's volume and answer it."""
        self.answer_prompt(layout.volume_name, layout.passphrase if passphrase is None else passphrase)

    def answer_prompt(self, volume_name: str, passphrase: bytes) -> None:
        """Wait for Debian's own prompt for a volume and answer it."""
        self.expect(PASSPHRASE_PROMPT.format(name=re.escape(volume_name)))
        self.send(passphrase.decode("utf-8"))

    def wait_shell(self, timeout: float = BOOT_SECONDS) -> None:
        """Wait for the root shell that logs itself in."""
        self.expect(re.escape(PROMPT), timeout)

    def run(self, command: str, timeout: float = COMMAND_SECONDS) -> tuple:
        """Run a command in the root shell: (exit status, what it printed to stdout and stderr).

        It goes there encoded, so that neither quotes nor an echo can be mistaken for its output, and runs
        in a shell of its own.
        """
        encoded = base64.b64encode(command.encode("utf-8")).decode("ascii")
        if len(encoded) > 3500:
            raise ValueError("longer than a terminal's line; use write_file()")
        self.send(f"echo '<''output'; sh -c \"$(echo {encoded} | base64 -d)\" 2>&1 </dev/null; echo '>''status' $?")
        self.expect(r"<output\r?\n", timeout)
        self.expect(r">status (\d+)\r?\n", timeout)
        output, status = self.before.replace("\r\n", "\n"), int(self.match[1])
        self.expect(re.escape(PROMPT), timeout)
        return status, output

    def wait_initramfs_shell(self, timeout: float = BOOT_SECONDS) -> None:
        """Wait for the shell that initramfs-tools starts when it cannot go on, or is told to break."""
        self.expect(INITRAMFS_PROMPT, timeout)

    def run_initramfs(self, command: str, timeout: float = COMMAND_SECONDS) -> str:
        """Run a short command in the initramfs' shell; what it printed."""
        self.send(f"echo '<''output'; {command}; echo '>''status'")
        self.expect(r"<output\r?\n", timeout)
        self.expect(r">status\r?\n", timeout)
        output = self.before.replace("\r\n", "\n")
        self.expect(INITRAMFS_PROMPT, timeout)
        return output

    def check(self, command: str, timeout: float = COMMAND_SECONDS) -> str:
        """Run a command that must succeed; what it printed."""
        status, output = self.run(command, timeout)
        if status != 0:
            raise ConsoleError(f"{command!r} ended with {status}:\n{output}")
        return output

    def read_file(self, path: str, timeout: float = COMMAND_SECONDS) -> bytes:
        """The content of a file of the running system, in /sys and /proc too."""
        return base64.b64decode(self.check(f"base64 '{path}'", timeout))

    def write_file(self, path: str, data: bytes) -> None:
        """Create or replace a file of the running system."""
        self.check(f": > '{path}'")
        for start in range(0, len(data), 1500):
            encoded = base64.b64encode(data[start:start + 1500]).decode("ascii")
            self.check(f"echo {encoded} | base64 -d >> '{path}'")

    def pcr(self, number: int, bank: str = "sha256") -> bytes:
        """A PCR's value, as the running kernel reads it."""
        return bytes.fromhex(self.check(f"cat /sys/class/tpm/tpm0/pcr-{bank}/{number}").strip())
