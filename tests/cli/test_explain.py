"""bootseal explain: event logs of real boots, the same with changes, and what is no log; and the running boot."""

import hashlib
import os
import shutil
import struct
import subprocess
import tempfile
from pathlib import Path

import pytest

import eventlog
from bootseal import PATIENCE_S, PIN, PROGRAM, Result, check_schema

LOGS = Path(__file__).resolve().parents[1] / "data/eventlogs"
RECORDED = sorted(path.relative_to(LOGS).with_suffix("").as_posix() for path in LOGS.glob("**/*.bin"))
SHIM_GRUB, SYSTEMD_BOOT = "debian12-shim-grub-secureboot", "debian12-systemd-boot"
RUNNING_BOOT = Path("/sys/kernel/security/tpm0/binary_bios_measurements")

BANKS = {4: "sha1", 11: "sha256", 12: "sha384", 13: "sha512"}
EV_IPL = 0xD


def log_path(name):
    """The file of a recorded log."""
    return LOGS / f"{name}.bin"


def explain(*options, program=PROGRAM, user=None):
    """Run it with nothing to talk to: no TPM, no state folder, an empty environment."""
    argv = [program, "explain", "--tcti", "device:/nonexistent", *options]
    done = subprocess.run(list(map(str, argv)), capture_output=True, timeout=PATIENCE_S, check=False, user=user,
                          stdin=subprocess.DEVNULL, env={"LC_ALL": "C.UTF-8"})
    return Result(done.returncode, done.stdout.decode(), done.stderr.decode())


def explain_json(*options):
    """Its JSON, checked against the schema."""
    result = explain("--json", *options)
    assert result.rc == 0 and result.stderr == "", result
    check_schema(result.json, "explain")
    return result.json


def recorded_values(name):
    """{PCR: value} as the TPM had them in that boot; 10 is IMA's."""
    lines = (LOGS / f"{name}.pcrs").read_text(encoding="ascii").split("\n")
    values = dict(line.lower().split() for line in lines if line)
    values.pop("10", None)
    return values


class Log:
    """A crypto-agile log, taken apart and put together again."""

    def __init__(self, content):
        size = struct.unpack_from("<I", content, 28)[0]
        self.header, rest = content[:32 + size], content[32 + size:]
        self.events = []
        while rest:
            pcr, kind, count = struct.unpack_from("<III", rest)
            place, digests = 12, {}
            for _ in range(count):
                algorithm = struct.unpack_from("<H", rest, place)[0]
                length = hashlib.new(BANKS[algorithm]).digest_size
                digests[algorithm] = rest[place + 2:place + 2 + length]
                place += 2 + length
            size = struct.unpack_from("<I", rest, place)[0]
            self.events.append([pcr, kind, digests, rest[place + 4:place + 4 + size]])
            rest = rest[place + 4 + size:]

    @classmethod
    def read(cls, name):
        """A recorded one."""
        return cls(log_path(name).read_bytes())

    @staticmethod
    def digests(content):
        """Of all banks."""
        return {algorithm: hashlib.new(name, content).digest() for algorithm, name in BANKS.items()}

    def find(self, text):
        """The places of the events whose data hold these bytes."""
        return [place for place, event in enumerate(self.events) if text in event[3]]

    def measure(self, place, content, data=None):
        """Let an event be of other content, under other words if DATA is given."""
        self.events[place][2] = self.digests(content)
        if data is not None:
            self.events[place][3] = data

    def replace_text(self, old, new):
        """Change GRUB's texts and what was measured with them."""
        for place in self.find(old):
            data = self.events[place][3].replace(old, new)
            self.measure(place, data.split(b": ", 1)[1].rstrip(b"\0"), data)

    def write(self, path):
        """The log as a file."""
        parts = [self.header]
        for pcr, kind, digests, data in self.events:
            parts.append(struct.pack("<III", pcr, kind, len(digests)))
            parts += [struct.pack("<H", algorithm) + digest for algorithm, digest in digests.items()]
            parts.append(struct.pack("<I", len(data)) + data)
        path.write_bytes(b"".join(parts))
        return path


def differences(before, after):
    """[(PCR, text)] of two logs."""
    return [(difference["pcr"], difference["text"])
            for difference in explain_json("--eventlog", after, "--against", before)["differences"]]


@pytest.mark.parametrize("name", RECORDED)
def test_replays_to_the_values_of_that_boot(name):
    """The PCR values that the TPM had."""
    pcrs = explain_json("--eventlog", log_path(name))["pcrs"]
    assert set(pcrs) == set(BANKS.values())
    wanted = recorded_values(name)
    assert len(wanted) >= 6
    assert {number: pcrs["sha256"][number] for number in wanted} == wanted


@pytest.mark.parametrize("name, chain", [(SHIM_GRUB, "shim-grub"), (SYSTEMD_BOOT, "systemd-boot"),
                                         ("debian12-grub-mkconfig/a", "shim-grub")])
def test_boot_chain(name, chain):
    """By which way it booted."""
    assert explain_json("--eventlog", log_path(name))["boot_chain"] == chain


def test_words():
    """One line for each event, on stdout."""
    result = explain("--eventlog", log_path(SHIM_GRUB))
    assert result.rc == 0 and result.stderr == ""
    first, *lines = result.stdout.splitlines()
    assert first == "boot chain: shim and GRUB" and len(lines) == 60
    for line in ("PCR  7  Secure Boot: on",
                 'PCR  7  a program was verified by "Debian Secure Boot CA" in MokListRT',
                 "PCR  4  the boot program \\EFI\\BOOT\\grubx64.efi",
                 "PCR 14  shim's MokList",
                 "PCR  8  kernel command line: /boot/vmlinuz root=/dev/mapper/cryptroot ro console=ttyS0 panic=-1",
                 "PCR  9  the initrd /boot/initrd.img"):
        assert line in lines


def test_events():
    """In JSON: type, component, digests, and whether the words were measured."""
    events = explain_json("--eventlog", log_path(SYSTEMD_BOOT))["events"]
    (line,) = [event for event in events if event["component"] == "kernel-command-line"]
    assert line["pcr"] == 12 and line["type"] == "EV_IPL" and line["measured"] and line["proven"] is True
    assert line["value"] == "initrd=\\initrd console=ttyS0 quiet break=top"
    assert line["digests"]["sha256"] == hashlib.sha256((line["value"] + "\0").encode("utf-16-le")).hexdigest()
    (initrd,) = [event for event in events if event["component"] == "initrd"]
    assert initrd["pcr"] == 9 and initrd["proven"] is None


def test_needs_no_root():
    """Anyone may read a file of his. Program and log go where everyone comes: the build may lie where not."""
    with tempfile.TemporaryDirectory() as folder:
        program, log = Path(folder) / "bootseal", Path(folder) / "log"
        os.chmod(folder, 0o755)
        shutil.copyfile(PROGRAM, program)
        program.chmod(0o755)
        shutil.copyfile(log_path(SHIM_GRUB), log)
        log.chmod(0o644)
        result = explain("--eventlog", log, program=program, user="nobody" if os.geteuid() == 0 else None)
    assert result.rc == 0 and "Secure Boot: on" in result.stdout


@pytest.mark.parametrize("name", RECORDED)
def test_no_difference(name):
    """A boot and itself."""
    assert differences(log_path(name), log_path(name)) == []
    result = explain("--eventlog", log_path(name), "--against", log_path(name))
    assert result.rc == 0 and result.stdout == "the two boots were measured alike\n"


def test_other_initrd(tmp_path):
    """Its content, told with its name; and nothing else."""
    log = Log.read(SHIM_GRUB)
    log.measure(log.find(b"/boot/initrd.img\0")[-1], b"another initrd")
    assert differences(log_path(SHIM_GRUB), log.write(tmp_path / "log")) == [
        (9, "the initrd /boot/initrd.img: other content")]


def test_other_command_line(tmp_path):
    """Which words became which, in each place at which GRUB has it."""
    log = Log.read(SHIM_GRUB)
    log.replace_text(b" panic=-1", b" init=/bin/sh")
    found = differences(log_path(SHIM_GRUB), log.write(tmp_path / "log"))
    assert {pcr for pcr, _ in found} == {8}
    assert (8, "kernel command line: `panic=-1` became `init=/bin/sh`") in found
    assert (8, 'GRUB\'s menu entry "Debian": other content') in found


def test_secure_boot_off():
    """On against off."""
    found = differences(log_path(SHIM_GRUB), log_path(SYSTEMD_BOOT))
    assert (7, "Secure Boot: off (was on)") in found
    assert (7, "went: a program was verified by \"Debian Secure Boot CA\" in MokListRT") in found


def test_other_loader(tmp_path):
    """A boot program of the same name."""
    log = Log.read(SHIM_GRUB)
    log.measure(log.find("\\grubx64.efi".encode("utf-16-le"))[0], b"another GRUB")
    assert differences(log_path(SHIM_GRUB), log.write(tmp_path / "log")) == [
        (4, "the boot program \\EFI\\BOOT\\grubx64.efi: other content")]


def test_appeared_and_went(tmp_path):
    """One event more, in both directions."""
    log = Log.read(SHIM_GRUB)
    log.events.append([9, EV_IPL, Log.digests(b"overlay"), b"/overlay.img\0"])
    path = log.write(tmp_path / "log")
    assert differences(log_path(SHIM_GRUB), path) == [(9, "appeared: the file /overlay.img")]
    assert differences(path, log_path(SHIM_GRUB)) == [(9, "went: the file /overlay.img")]


def test_other_kernel():
    """A real boot into the other kernel: no firmware's PCR, the names of both kernels."""
    found = differences(log_path("debian12-grub-mkconfig/a"), log_path("debian12-grub-mkconfig/next"))
    assert {pcr for pcr, _ in found} == {4, 8, 9}
    assert (9, "the initrd: `/initrd.img-6.1.0-56-cloud-amd64` became `/initrd.img-6.1.0-53-cloud-amd64`") in found
    assert (9, "the file (hd0,gpt2)/grub/grubenv: other content") in found


def test_lying_log(tmp_path):
    """The same words over another digest: it is told, whatever the words."""
    log = Log.read(SHIM_GRUB)
    log.measure(log.find(b"kernel_cmdline: ")[0], b"/boot/vmlinuz init=/bin/sh")
    path = log.write(tmp_path / "log")
    assert differences(log_path(SHIM_GRUB), path) == [(8, "kernel command line: other content than the event log says")]
    (event,) = [event for event in explain_json("--eventlog", path)["events"] if event["proven"] is False]
    assert event["component"] == "kernel-command-line"
    assert "something else was measured" in explain("--eventlog", path).stdout


def test_hostile_words(tmp_path):
    """What could steer a terminal never reaches it; JSON stays JSON."""
    log = Log.read(SHIM_GRUB)
    words = b"echo \x1b[2J\xff\n\xe2\x80\xae"
    log.events.append([8, EV_IPL, Log.digests(words), b"grub_cmd: " + words + b"\0"])
    path = log.write(tmp_path / "log")
    text = explain("--eventlog", path).stdout
    assert "echo \\x1b[2J\\xff\\n\\u202e" in text and "\x1b" not in text and "\u202e" not in text
    assert explain_json("--eventlog", path)["events"][-1]["proven"] is True


def test_old_form(tmp_path):
    """SHA-1 alone."""
    path = tmp_path / "log"
    path.write_bytes(b"".join(struct.pack("<II20sI", 8, EV_IPL, hashlib.sha1(b"quiet").digest(), 21) +
                              b"kernel_cmdline: quiet" for _ in range(2)))
    document = explain_json("--eventlog", path)
    value = bytes(20)
    for _ in range(2):
        value = hashlib.sha1(value + hashlib.sha1(b"quiet").digest()).digest()
    assert document["form"] == "sha1" and set(document["pcrs"]) == {"sha1"}
    assert document["pcrs"]["sha1"]["8"] == value.hex() and document["pcrs"]["sha1"]["7"] == "00" * 20
    assert [event["value"] for event in document["events"]] == ["quiet", "quiet"]


@pytest.mark.parametrize("content, words", [
    (b"", "empty"),
    (b"this is no event log", "byte"),
    (log_path(SHIM_GRUB).read_bytes()[:-1], "byte"),
    (log_path(SHIM_GRUB).read_bytes() + b"\0", "byte 24634"),
    (b"\xff" * 4096, "byte"),
], ids=["empty", "text", "cut", "longer", "ones"])
@pytest.mark.parametrize("option", ["--eventlog", "--against"])
def test_damaged_log(tmp_path, option, content, words):
    """Status 9, the file and the place named, nothing on stdout."""
    path = tmp_path / "log"
    path.write_bytes(content)
    result = explain("--json", *(["--eventlog", log_path(SHIM_GRUB)] if option == "--against" else []), option, path)
    assert result.rc == 9 and result.stdout == ""
    assert str(path) in result.stderr and words in result.stderr


def test_missing_log():
    """A file that is not there."""
    result = explain("--eventlog", "/nonexistent/log")
    assert result.rc == 1 and result.stdout == "" and "/nonexistent/log" in result.stderr


# ---- the running boot ----

def explain_boot(bench, environment):
    """Its JSON."""
    result = bench.bootseal("explain", "--json", environment=environment)
    assert result.rc == 0 and result.stderr == "", result
    check_schema(result.json, "explain")
    return result.json


@pytest.fixture(name="good")
def good_boot(bench, volume):
    """A machine with one good boot on record; the volume."""
    eventlog.boot(bench)
    bench.enroll(volume)
    environment = eventlog.boot(bench)
    assert bench.unlock_all(PIN).rc == 0
    assert bench.bootseal("boot-ok", "--stderr", environment=environment).rc == 0
    return volume


def pcrs_with(document, key, answer):
    """The numbers of the PCRs with this answer."""
    return [pcr["pcr"] for pcr in document["pcrs"] if pcr[key] is answer]


def test_boot_as_the_good_one(bench, good):
    """Approved, nothing to tell. No TPM is needed."""
    environment = eventlog.boot(bench)
    assert good and bench.unlock_all(PIN).rc == 0
    bench.tpm.stop()
    document = explain_boot(bench, environment)
    assert document["approved"] and document["differences"] == [] and document["values_from"] == "report"
    assert document["nearest"].startswith("linux ") and document["golden"]["eventlog"]
    assert pcrs_with(document, "approved", True) == [4, 7, 8, 9, 12, 14]
    assert pcrs_with(document, "as_golden", False) == [] == pcrs_with(document, "proven", False)
    text = bench.bootseal("explain", environment=environment).stdout
    assert text.startswith("compared with the good boot of 20") and "the two boots were measured alike\n" in text
    assert text.splitlines()[-1].startswith("this boot is approved: linux ")


def test_what_changed(bench, good):
    """Per PCR, in words: components of approved PCRs, and which PCRs are not."""
    environment = eventlog.boot(bench, initrd=b"another", command="set default=1")
    assert good and bench.unlock_all().rc == 3
    document = explain_boot(bench, environment)
    assert document["approved"] is False
    assert pcrs_with(document, "approved", False) == [8, 9] == pcrs_with(document, "as_golden", False)
    assert [(item["pcr"], item["text"]) for item in document["differences"]] == [
        (8, "GRUB's command: `set default=0` became `set default=1`"),
        (9, f"the initrd {eventlog.INITRD}: other content")]
    lines = bench.bootseal("explain", environment=environment).stdout.splitlines()
    assert lines[-3:-1] == ["PCR 9 (the initrd, kernel or GRUB configuration files): not approved",
                            f"    the initrd {eventlog.INITRD}: other content"]
    assert lines[-1].startswith("this boot is not approved: PCR 8, 9; nearest: linux ")


def test_pcr_outside_the_policy(bench, good):
    """What differs there is told, and told apart."""
    environment = eventlog.boot(bench)
    bench.measure({2: b"a card"})
    assert good and bench.unlock_all(PIN).rc == 0
    document = explain_boot(bench, environment)
    assert document["approved"] and pcrs_with(document, "as_golden", False) == [2]
    assert pcrs_with(document, "proven", False) == [2]  # the log does not have it
    text = bench.bootseal("explain", environment=environment).stdout
    assert "PCR 2 (firmware of add-in cards): not in the policy\n    another value than in that boot" in text


def test_nearest_good_boot(bench, good):
    """With two of them: the one that has more in common with this boot."""
    eventlog.boot(bench, initrd=b"other kernel's", command="set default=2")
    assert bench.reseal("--keep").rc == 0
    environment = eventlog.boot(bench, initrd=b"other kernel's", command="set default=2")
    record = bench.state / "golden-log.json"
    record.write_text(record.read_text().replace('"boot_id":"', '"boot_id":"0').replace('"boot_id": "', '"boot_id": "0'))
    assert good and bench.unlock_all(PIN).rc == 0
    assert bench.bootseal("boot-ok", "--stderr", environment=environment).rc == 0
    for initrd, command in ((b"updated", "set default=0"), (b"updated", "set default=2")):
        environment = eventlog.boot(bench, initrd=initrd, command=command)
        assert bench.unlock_all().rc == 3
        assert [item["pcr"] for item in explain_boot(bench, environment)["differences"]] == [9]


def test_without_a_good_boot(bench, volume):
    """It says so; the policy's PCRs, each with what it stands for."""
    eventlog.boot(bench)
    bench.enroll(volume)
    environment = eventlog.boot(bench, initrd=b"another")
    assert bench.unlock_all().rc == 3
    document = explain_boot(bench, environment)
    assert document["golden"] is None and document["differences"] is None
    assert pcrs_with(document, "approved", False) == [9]
    text = bench.bootseal("explain", environment=environment).stdout
    assert text.startswith("no good boot is on record yet")
    assert "PCR 7 (Secure Boot: switched off, or other keys): approved\n" in text
    assert "PCR 9 (the initrd, kernel or GRUB configuration files): not approved\n" in text


def test_without_an_event_log(bench, good):
    """Values alone are compared."""
    environment = eventlog.boot(bench, initrd=b"another", log=False)
    assert good and bench.unlock_all().rc == 3
    document = explain_boot(bench, environment)
    assert document["eventlog"] is None and document["differences"] is None
    assert pcrs_with(document, "as_golden", False) == [9]
    text = bench.bootseal("explain", environment=environment).stdout
    assert "only values are compared: this boot has no event log" in text
    assert "another value than in that boot; no event log tells why" in text


def test_without_a_record_of_the_initramfs(bench, good):
    """The values are those of the event log, and that is said."""
    environment = eventlog.boot(bench, initrd=b"another")
    document = explain_boot(bench, environment)
    assert good and document["values_from"] == "eventlog" and document["approved"] is False
    assert pcrs_with(document, "approved", False) == [9]
    assert "the PCRs are those that the event log gives" in bench.bootseal("explain", environment=environment).stdout


def test_without_either(bench, good):
    """Nothing is known of this boot; no failure."""
    environment = eventlog.boot(bench, log=False)
    document = explain_boot(bench, environment)
    assert good and document["approved"] is None and document["pcrs"] == [] and document["values_from"] is None
    assert "is not known" in bench.bootseal("explain", environment=environment).stdout


def test_log_that_lies(bench, good):
    """Words of a log that does not give the recorded PCRs are marked."""
    environment = eventlog.boot(bench, more=[(9, b"harmless", b"/harmless.img\0")])
    assert good and bench.unlock_all(PIN).rc == 0
    document = explain_boot(bench, environment)
    assert document["approved"] and pcrs_with(document, "proven", False) == [9]
    assert "do not rely on these words" in bench.bootseal("explain", environment=environment).stdout


def test_changed_golden_log(bench, good):
    """A kept log that is not the one that was kept: not used, and it is said."""
    (kept,) = bench.state.glob("golden-log-*.bin")
    kept.write_bytes(kept.read_bytes()[:-1] + b"?")
    environment = eventlog.boot(bench)
    assert good and bench.unlock_all(PIN).rc == 0
    assert explain_boot(bench, environment)["differences"] is None
    assert "is not the event log that was kept" in bench.bootseal("explain", environment=environment).stdout


def test_damaged_list_of_good_boots(bench, good):
    """Status 9; the next good boot makes a new one."""
    (bench.state / "golden-log.json").write_text("{")
    environment = eventlog.boot(bench)
    assert good and bench.unlock_all(PIN).rc == 0
    assert bench.bootseal("explain", environment=environment).rc == 9
    assert bench.bootseal("boot-ok", "--stderr", environment=environment).rc == 0
    assert explain_boot(bench, environment)["golden"]


def test_nothing_is_enrolled(bench):
    """The PCRs that the event log gives, with what each stands for."""
    environment = eventlog.boot(bench)
    document = explain_boot(bench, environment)
    assert document["approved"] is None and document["nearest"] is None and document["golden"] is None
    text = bench.bootseal("explain", environment=environment).stdout
    assert text.endswith("nothing is enrolled on this machine\n") and "PCR 7 (Secure Boot" in text


def test_kernels_own_log():
    """--against alone: the kernel's log, or the words that there is none and what to do."""
    result = explain("--json", "--against", log_path(SHIM_GRUB))
    if RUNNING_BOOT.exists():
        assert result.rc == 0
        check_schema(result.json, "explain")
    else:
        assert result.rc == 1 and result.stdout == ""
        assert "event log" in result.stderr and "--eventlog" in result.stderr
