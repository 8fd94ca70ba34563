"""bootseal on a bench: a software TPM, LUKS2 volumes in files and a state folder, all of them one test's own.

    with Bench(folder) as bench:
        volume = bench.volume()
        bench.boot()
        bench.enroll(volume, pin=PIN)
        assert bench.unlock(volume, pin=PIN).rc == 0
        assert bench.unlock_all(PIN).rc == 0

The machine boots as often as a test likes: boot() resets the TPM and measures what a firmware, GRUB and a kernel would.
The programs run without a terminal and with standard input closed, unless the test says otherwise.
"""

import contextlib
import dataclasses
import functools
import hashlib
import json
import os
import re
import shutil
import subprocess
import tempfile
import uuid
from pathlib import Path

import jsonschema
import pexpect

import luks_edit
import pcap
from swtpm import SoftwareTpm

REPOSITORY = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("BOOTSEAL_BUILD", REPOSITORY / "build")).absolute()
PROGRAM = BUILD / "src/cli/bootseal"
UNLOCK_PROGRAM = BUILD / "src/unlock/bootseal-unlock"

SCHEMAS = REPOSITORY / "tests/schema"

PATIENCE_S = 120  # for what takes milliseconds: only a program that hangs is to reach it

PIN = "2468013579"
NEW_PIN = "7305918264"
PASSPHRASE = "correct horse battery staple"
VOLUME_BYTES = 20 << 20

# What a boot measures, by PCR.  12 and 14 stay at zero, as on a machine with neither credentials nor owner keys.
MEASURED = {4: b"shim, GRUB and kernel", 7: b"Secure Boot is on", 8: b"command line", 9: b"initrd"}
CAP_PCR = 12

# The presets' selection for shim and GRUB, with a key derivation that costs a test nothing.
POLICY = {
    "version": 1, "pcrs": [4, 7, 8, 9, 12, 14], "cap": CAP_PCR,
    "kdf": {"memory_kib": 8192, "time_ms": 1},
}

PROMPT = r"(?:PIN (?:of operator \d+ )?for [^\r\n]* left\)|Operator \([^\r\n]*\)): "


@dataclasses.dataclass(frozen=True)
class Result:
    """How a program ended, and what it said."""

    rc: int
    stdout: str
    stderr: str

    @property
    def json(self) -> dict:
        """What it wrote to stdout, as JSON."""
        return json.loads(self.stdout)


@dataclasses.dataclass(frozen=True)
class Dialogue:
    """How a program on a terminal ended, all that was on the screen, and the prompts that were answered."""

    rc: int
    screen: str
    prompts: tuple


@dataclasses.dataclass(frozen=True)
class Boot(Dialogue):
    """A run of `bootseal-unlock --all`: a dialogue, and its report."""

    report: dict

    def volume(self, name) -> dict:
        """What the report says of one volume."""
        return next(volume for volume in self.report["volumes"] if volume["name"] == name)


@functools.lru_cache(maxsize=None)
def _template(number: int) -> Path:
    """A formatted volume to be copied; each number has its own volume key."""
    folder = Path(_templates().name)
    path = folder / f"{number}.img"
    with open(path, "wb") as file:
        file.truncate(VOLUME_BYTES)
    # room for eight keyslots: cryptsetup fills it with random bytes, which each copy then has
    _cryptsetup("luksFormat", "--type=luks2", "--sector-size=512", "--luks2-keyslots-size=2m", "--pbkdf=pbkdf2",
                "--pbkdf-force-iterations=1000", "--key-file=-", path, stdin=PASSPHRASE.encode())
    return path


@functools.lru_cache(maxsize=None)
def _templates():
    """The folder of the templates, removed when Python ends."""
    return tempfile.TemporaryDirectory(prefix="bootseal-templates-")


def _cryptsetup(*arguments, stdin: bytes = b"", check=True):
    """Run cryptsetup with nobody to ask."""
    return subprocess.run(["cryptsetup", "--batch-mode", *map(str, arguments)], input=stdin, capture_output=True,
                          timeout=PATIENCE_S, check=check)


class Volume:
    """A LUKS2 volume in a file, opened by PASSPHRASE in keyslot 0."""

    def __init__(self, path, model, text: str):
        """Copy a file that holds a volume; TEXT is the UUID that the copy gets."""
        self.path = Path(path)
        self.uuid = text
        subprocess.run(["cp", "--sparse=always", model, self.path], check=True)
        self.set_uuid(text)

    @property
    def name(self) -> str:
        """Its name at boot, if none was given at enrolment."""
        return f"luks-{self.uuid}"

    def set_uuid(self, text: str) -> None:
        """Write a UUID into the header."""
        luks_edit.set_uuid(self.path, text)

    def metadata(self) -> dict:
        """The JSON area of its header."""
        return luks_edit.read_header(self.path)

    def edit(self, change) -> None:
        """Let CHANGE change the metadata, as anyone with a screwdriver can."""
        luks_edit.edit_header(self.path, change)

    def tokens(self, kind: str) -> dict:
        """{number: token} of one type."""
        tokens = self.metadata()["tokens"].items()
        return {int(number): token for number, token in tokens if token["type"] == kind}

    def token(self, kind: str = "bootseal") -> dict:
        """The one token of a type."""
        (token,) = self.tokens(kind).values()
        return token

    def put_token(self, token: dict, number: int = None) -> None:
        """Put a token into the header; without a NUMBER in the place of the one of its type."""
        if number is None:
            (number,) = self.tokens(token["type"])
        self.edit(lambda metadata: metadata["tokens"].update({str(number): token}))

    def edit_token(self, change, kind: str = "bootseal") -> None:
        """Let CHANGE change the one token of a type."""
        ((number, token),) = self.tokens(kind).items()
        change(token)
        self.put_token(token, number)

    def keyslots(self) -> set:
        """The keyslots in use."""
        return {int(number) for number in self.metadata()["keyslots"]}

    def opens_with(self, passphrase: str) -> bool:
        """Whether a passphrase opens a keyslot."""
        return _cryptsetup("open", "--test-passphrase", "--key-file=-", self.path, stdin=passphrase.encode(),
                           check=False).returncode == 0

    def add_passphrase(self, passphrase: str) -> None:
        """Put another passphrase beside the first."""
        with tempfile.NamedTemporaryFile() as file:
            file.write(passphrase.encode())
            file.flush()
            _cryptsetup("luksAddKey", "--pbkdf=pbkdf2", "--pbkdf-force-iterations=1000", "--key-file=-", self.path,
                        file.name, stdin=PASSPHRASE.encode())

    def convert_passphrase(self) -> None:
        """Give PASSPHRASE's keyslot a cost that bootseal gives none of its own, as the installer of a system would."""
        _cryptsetup("luksConvertKey", "--key-slot=0", "--pbkdf=pbkdf2", "--pbkdf-force-iterations=2000", "--key-file=-",
                    self.path, stdin=PASSPHRASE.encode())

    def put_recovery_key(self, text="a recovery key", **fields) -> int:
        """Put a recovery key's keyslot and token into the header; FIELDS change the token. Its keyslot."""
        before = self.keyslots()
        self.add_passphrase(text)
        (keyslot,) = self.keyslots() - before
        number = next(i for i in range(32) if str(i) not in self.metadata()["tokens"])
        self.put_token({"type": "bootseal-recovery", "keyslots": [str(keyslot)], "version": 1, "id": "1a2b3c4d",
                        "created": "2026-11-21T20:00:00Z", "escrow": None, **fields}, number)
        return keyslot

    def remove_passphrase(self, passphrase: str = PASSPHRASE) -> None:
        """Take a passphrase away."""
        _cryptsetup("luksRemoveKey", self.path, "--key-file=-", stdin=passphrase.encode())

    def volume_key(self) -> bytes:
        """The key that all this is about."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "key"
            _cryptsetup("luksDump", "--dump-volume-key", f"--volume-key-file={path}", "--key-file=-", self.path,
                        stdin=PASSPHRASE.encode())
            return path.read_bytes()

    def header(self) -> bytes:
        """A copy of everything before the data: both headers and the keyslots."""
        with open(self.path, "rb") as file:
            return file.read(int(self.metadata()["segments"]["0"]["offset"]))

    def put_header(self, header: bytes) -> None:
        """Copy such a copy back."""
        with open(self.path, "r+b") as file:
            file.write(header)


class Bench:
    """One machine: its TPM (`tpm`), its state folder (`state`), its volumes, and the programs."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.state = self.folder / "state"
        self.report = self.folder / "report.json"
        self.policy = self.folder / "policy.json"
        self.banks = ("sha256",)
        self.tpm = SoftwareTpm(self.folder / "tpm")
        self.volumes = []
        self._record = None
        self.set_policy()

    def __enter__(self):
        self.tpm.start()
        return self

    def __exit__(self, *exception):
        self.tpm.stop()

    # ---- the machine ----

    def set_policy(self, **changes) -> None:
        """Write the policy document: POLICY with some keys changed."""
        self.policy.write_text(json.dumps({**POLICY, **changes}), encoding="utf-8")

    def volume(self, name=None) -> Volume:
        """Another volume of this machine, with a volume key that none of the others has."""
        path = self.folder / (name or f"volume-{len(self.volumes)}.img")
        self.volumes.append(Volume(path, _template(len(self.volumes)), str(uuid.uuid4())))
        return self.volumes[-1]

    def become(self, model) -> None:
        """Make this machine a copy of another one that is switched off, whatever it was before.

        What is copied works here: the pins name the volumes of this machine.  The TPM is on afterwards.
        """
        self.tpm.stop()
        for folder, copy in ((model.tpm.state_dir, self.tpm.state_dir), (model.state, self.state)):
            shutil.rmtree(copy, ignore_errors=True)
            if folder.exists():
                shutil.copytree(folder, copy)
        pins = self.state / "pins.json"
        if pins.exists():
            pins.write_bytes(pins.read_bytes().replace(bytes(model.folder) + b"/", bytes(self.folder) + b"/"))
        self.volumes = [Volume(self.folder / volume.path.name, volume.path, volume.uuid) for volume in model.volumes]
        self.tpm.start()

    def boot(self, changed=None) -> None:
        """Reset the TPM and measure a boot; CHANGED has what differs from MEASURED, None for what is not measured."""
        self.report.unlink(missing_ok=True)  # as /run is empty in each boot
        self.tpm.reboot()
        self.measure({**MEASURED, **(changed or {})})

    def measure(self, events: dict) -> None:
        """Extend each PCR by its event, in the active banks."""
        extensions = [f"{pcr}:" + ",".join(f"{bank}={hashlib.new(bank, event).hexdigest()}" for bank in self.banks)
                      for pcr, event in events.items() if event is not None]
        if extensions:
            self.tpm.tool("tpm2_pcrextend", *extensions)

    def recorded(self) -> list:
        """The TPM commands recorded so far."""
        return pcap.read_commands(self._record)

    @contextlib.contextmanager
    def recording(self):
        """A list that holds the TPM commands of the programs run meanwhile, filled when the block ends."""
        commands = []
        with tempfile.TemporaryDirectory(dir=self.folder) as folder:
            self._record = Path(folder) / "record"
            try:
                yield commands
                commands += self.recorded()
            finally:
                self._record = None

    @property
    def tcti(self) -> str:
        """The TCTI string for the programs."""
        return f"pcap:{self.tpm.plain_tcti}" if self._record else self.tpm.plain_tcti

    def environment(self, **more) -> dict:
        """The environment of the programs."""
        recording = {"TCTI_PCAP_FILE": str(self._record)} if self._record else {}
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("BOOTSEAL_", "TCTI_"))}
        return {**kept, "LC_ALL": "C.UTF-8", "TSS2_LOG": "all+none", "BOOTSEAL_TCTI": self.tcti,
                "BOOTSEAL_STATE_DIR": str(self.state), **recording, **more}

    # ---- bootseal ----

    def secret_file(self, secret, name: str) -> Path:
        """A file of root's alone that holds a secret."""
        path = self.folder / name
        path.touch(mode=0o600)
        path.write_bytes(secret if isinstance(secret, bytes) else secret.encode())
        return path

    def arguments(self, verb, *arguments, pin=None, key=None) -> list:
        """A call of bootseal, with PIN and existing passphrase in files."""
        argv = [str(PROGRAM), str(verb), "--report", str(self.report)]
        if pin is not None:
            argv += ["--pin-file", str(self.secret_file(pin, "pin"))]
        if key is not None:
            argv += ["--unlock-key-file", str(self.secret_file(key, "key"))]
        return argv + [str(argument.path if isinstance(argument, Volume) else argument) for argument in arguments]

    def bootseal(self, verb, *arguments, pin=None, key=None, stdin=None, environment=None) -> Result:
        """Run bootseal without a terminal; STDIN (bytes) is closed when there is none."""
        return self.run(self.arguments(verb, *arguments, pin=pin, key=key), stdin=stdin, environment=environment)

    def run(self, argv, stdin=None, environment=None) -> Result:
        """Run any program on this bench without a terminal.  What bootseal writes with --json must fit its schema."""
        source = {"input": stdin} if stdin is not None else {"stdin": subprocess.DEVNULL}
        done = subprocess.run(list(map(str, argv)), **source, capture_output=True, timeout=PATIENCE_S, check=False,
                              env=self.environment(**(environment or {})), start_new_session=True)
        result = Result(done.returncode, done.stdout.decode(), done.stderr.decode())
        _check_output(list(map(str, argv)), result)
        return result

    @property
    def enroll_options(self) -> list:
        """What enroll needs on a bench: there is no encrypted root, nor a report unless unlock_all() has run.

        Nor is there a recovery key, unless the test is about them.
        """
        return ["--policy", str(self.policy), "--current-values", "--allow-unencrypted-state", "--no-recovery-key"]

    def try_enroll(self, volume, *options, pin=PIN, key=PASSPHRASE, stdin=None) -> Result:
        """Enroll a volume, whatever comes of it."""
        return self.bootseal("enroll", *self.enroll_options, *options, volume, pin=pin, key=key, stdin=stdin)

    def enroll(self, volume, *options, pin=PIN) -> dict:
        """Enroll a volume with a PIN, or with pin=None and "--no-pin" without one; the result's JSON."""
        result = self.try_enroll(volume, "--json", *options, pin=pin)
        assert result.rc == 0, result
        return result.json

    def unlock(self, volume, *options, pin=PIN) -> Result:
        """Whether a volume would open."""
        return self.bootseal("unlock", "--test", *options, volume, pin=pin)

    def change_pin(self, *arguments, pin=PIN, new=NEW_PIN, key=None) -> Result:
        """Change the PIN, by the old one or by an existing passphrase."""
        secrets = ["--new-pin-file", self.secret_file(new, "new-pin")] if new is not None else []
        return self.bootseal("change-pin", "--policy", self.policy, *secrets, *arguments,
                             pin=pin if key is None else None, key=key)

    def reseal(self, *options) -> Result:
        """Approve the boot state as it is."""
        return self.bootseal("reseal", "--current", "--current-values", *options)

    def provision(self, *options) -> Result:
        """Prepare the TPM."""
        return self.bootseal("provision", "--policy", self.policy, "--allow-unencrypted-state", *options)

    def status(self) -> dict:
        """`bootseal status --json`."""
        result = self.bootseal("status", "--json")
        assert result.rc == 0, result
        return result.json

    # ---- on a terminal ----

    def on_terminal(self, argv, *dialogue, prompt=None) -> Dialogue:
        """Run a program on a terminal of its own.

        DIALOGUE is (regular expression, what is typed then) in order; a function instead of a text is called, and
        types what it returns.  A PROMPT after that would wait for ever, and so is an error.
        """
        child = pexpect.spawn(argv[0], argv[1:], env=self.environment(), timeout=PATIENCE_S, encoding="utf-8",
                              codec_errors="replace")
        child.delaybeforesend = None
        screen, prompts = "", []
        try:
            for expected, typed in dialogue:
                child.expect(expected)
                screen += child.before + child.after
                prompts.append(child.after)
                child.sendline(typed() if callable(typed) else typed)
            end = child.expect([pexpect.EOF] + ([prompt] if prompt else []))
            screen += child.before
            assert end == 0, f"asked once more: {screen}{child.after}"
            child.wait()
        except pexpect.ExceptionPexpect as exception:
            raise AssertionError(f"{argv}: expected something else than {screen + str(child.before)!r}") from exception
        finally:
            child.ptyproc.delayafterclose = 0
            child.close(force=True)
        assert child.signalstatus is None, f"{argv}: ended by signal {child.signalstatus}: {screen}"
        return Dialogue(child.exitstatus, screen, tuple(prompts))

    def unlock_all_arguments(self, *options, pins_path=None, tcti=None) -> list:
        """The initramfs' call of bootseal-unlock, but that it asks on a terminal and activates nothing."""
        return [str(UNLOCK_PROGRAM), "--all", "--test", "--terminal", "--wait", "0", "--tcti", tcti or self.tcti,
                "--pins", str(pins_path or self.state / "pins.json"), "--report", str(self.report), *options]

    def unlock_all(self, *pins, pins_path=None, tcti=None) -> Boot:
        """What the initramfs does but for activating the volumes, with these PINs typed at its prompts."""
        argv = self.unlock_all_arguments(pins_path=pins_path, tcti=tcti)
        self.report.unlink(missing_ok=True)
        done = self.on_terminal(argv, *((PROMPT, pin) for pin in pins), prompt=PROMPT)
        report = json.loads(self.report.read_text(encoding="utf-8")) if self.report.exists() else {}
        if report:
            check_schema(report, "report")
        return Boot(done.rc, done.screen, done.prompts, report)

    def cap(self) -> Result:
        """End this boot's right to unseal."""
        return self.run([UNLOCK_PROGRAM, "--cap", "--tcti", self.tcti])


def tries_left(prompt: str) -> int:
    """The number in a prompt."""
    return int(re.search(r"\((\d+) tr(?:y|ies) left\)", prompt).group(1))


def _check_output(argv, result) -> None:
    """Check what a verb wrote with --json, whatever its exit status."""
    words = argv[argv.index(str(PROGRAM)) + 1:] if str(PROGRAM) in argv else []
    if "--json" in words and "--help" not in words and result.stdout:
        check_schema(result.json, words[0])


@functools.lru_cache(maxsize=None)
def _validator(name: str):
    """The validator of tests/schema/NAME.json."""
    schema = json.loads((SCHEMAS / f"{name}.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def check_schema(document, name: str) -> None:
    """Check a JSON result against tests/schema/NAME.json."""
    _validator(name).validate(document)
