"""A journal of a test's own: what a program writes to systemd's journal socket.

    run_with_journal(argv, environment)  ->  (finished program, [{"MESSAGE": ..., ...}, ...])
    kinds(entries)                       ->  ["MISMATCH", "RECOVERY", ...], as src/protect/boot/boot-event.h calls them

libsystemd knows one place for the socket, so the program runs where /run is a folder of its own (a mount namespace).
"""

import json
import re
import socket
import subprocess
import sys
from pathlib import Path

SOCKET = Path("/run/systemd/journal/socket")
DATAGRAM_MAX = 1 << 20

HEADER = Path(__file__).resolve().parents[2] / "src/protect/boot/boot-event.h"
IDS = dict(re.findall(r'#define BOOT_EVENT_(\w+) "([0-9a-f]{32})"', HEADER.read_text(encoding="utf-8")))


def kinds(entries) -> list:
    """The names of the entries' MESSAGE_IDs."""
    names = {number: name for name, number in IDS.items()}
    return [names[entry["MESSAGE_ID"]] for entry in entries]


def parse(datagram: bytes) -> dict:
    """The fields of one entry in the journal's native protocol; a value with a newline has its length before it."""
    fields = {}
    while datagram:
        line, _, datagram = datagram.partition(b"\n")
        name, equals, value = line.partition(b"=")
        if not equals:
            size = int.from_bytes(datagram[:8], "little")
            value, datagram = datagram[8:8 + size], datagram[9 + size:]
        fields[name.decode()] = value.decode()
    return fields


def run_with_journal(argv, environment) -> tuple:
    """Run a program beside a journal; its result as (rc, stdout, stderr), and the entries."""
    command = ["unshare", "--mount", "--propagation", "private", sys.executable, __file__, *map(str, argv)]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, env=environment, check=True)
    answer = json.loads(done.stdout)
    return answer["result"], [parse(bytes.fromhex(datagram)) for datagram in answer["datagrams"]]


def main(argv) -> None:
    """In the namespace: make the socket, run the program, print what came."""
    subprocess.run(["mount", "-t", "tmpfs", "journal", "/run"], check=True)
    SOCKET.parent.mkdir(parents=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as journal:
        journal.bind(str(SOCKET))
        journal.setblocking(False)
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        datagrams = []
        try:
            while True:
                datagrams.append(journal.recv(DATAGRAM_MAX).hex())
        except BlockingIOError:
            pass
    print(json.dumps({"result": [done.returncode, done.stdout, done.stderr], "datagrams": datagrams}))


if __name__ == "__main__":
    main(sys.argv[1:])
