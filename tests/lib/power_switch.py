"""Pulls the plug of a software TPM at a chosen command.

    with PowerSwitch(tpm, "NV_Write", executed=True) as switch:
        ... a program that uses switch.tcti ...
    assert switch.has_cut

The program speaks to the TPM through a relay, which ends the TPM when that command comes by: before the TPM has seen
it, or when it has executed it and nobody has heard its answer.  The program lives on and hears that the TPM is gone,
unless `on_cut` ends it too.  `commands` has what came by.
"""

import select
import socket
import threading
import time

from pcap import NAMES

ATTEMPTS = 1000


def _listen_on_two_ports() -> tuple:
    """Servers on two neighbouring ports, as tpm2-tss expects them: commands and control."""
    for _ in range(ATTEMPTS):
        first = socket.create_server(("127.0.0.1", 0))
        try:
            return first, socket.create_server(("127.0.0.1", first.getsockname()[1] + 1))
        except (OSError, OverflowError):
            first.close()
    raise OSError("no two neighbouring ports are free")


class PowerSwitch:
    """A relay between a program and a TPM that cuts the TPM's power at the n-th command of a name, or of any name.

    With number 0 it never does.  ON_CUT is called right before the power goes; nothing reaches the program any more.
    """

    def __init__(self, tpm, name: str | None, executed: bool, number: int = 1, on_cut=lambda: None):
        self._codes = [code for code, each in NAMES.items() if each == name]
        assert name is None or self._codes
        self._left = number
        self._tpm = tpm
        self._executed = executed
        self._on_cut = on_cut
        self.commands = []  # (time.monotonic_ns() when it came, name)
        self._commands, self._control = _listen_on_two_ports()
        self._stop, self._stopped = socket.socketpair()
        self._peers = {}  # of each connection; those of the command port are in _from_program, too
        self._from_program = set()
        self._thread = threading.Thread(target=self._relay)
        self.has_cut = False

    @property
    def tcti(self) -> str:
        """The TCTI string for the program."""
        return f"swtpm:host=127.0.0.1,port={self._commands.getsockname()[1]}"

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *exception):
        self._stop.close()
        self._thread.join()

    def _relay(self) -> None:
        """Pass on what comes until the power is cut or nobody needs it any more."""
        try:
            while not self.has_cut:
                sources = [self._commands, self._control, self._stopped, *self._peers]
                for source in select.select(sources, [], [])[0]:
                    if source is self._stopped:
                        return
                    if source in (self._commands, self._control):
                        self._accept(source)
                    elif source in self._peers and not self.has_cut:
                        self._pass_on(source)
        finally:
            for each in (self._commands, self._control, self._stopped, *self._peers):
                each.close()

    def _accept(self, server) -> None:
        program, _ = server.accept()
        tpm = socket.create_connection(("127.0.0.1", self._tpm.port + (server is self._control)))
        self._peers.update({program: tpm, tpm: program})
        if server is self._commands:
            self._from_program.add(program)

    def _pass_on(self, source) -> None:
        peer, data = self._peers[source], source.recv(8192)
        if not data:
            for each in (source, peer):
                del self._peers[each]
                each.close()
        elif source in self._from_program and self._is_the_one(int.from_bytes(data[6:10], "big")):
            if self._executed:
                peer.sendall(data)
                peer.recv(8192)
            self._on_cut()
            self._tpm.cut()
            self.has_cut = True
        else:
            peer.sendall(data)

    def _is_the_one(self, code) -> bool:
        """Whether this command ends it."""
        self.commands.append((time.monotonic_ns(), NAMES.get(code, hex(code))))
        self._left -= not self._codes or code in self._codes
        return self._left == 0 and (not self._codes or code in self._codes)
