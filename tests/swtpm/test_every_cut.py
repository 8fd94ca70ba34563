"""Each verb that changes something is stopped dead at each change of the disk and at each TPM command.

Afterwards there is a way in, the verb can be run again, `doctor --fix` leaves nothing (before that run or after it, by
turns), and the TPM has counted no wrong PIN but that of an Unseal that was cut.  The points are counted in a run that
is not cut, and each has a run of its own; of points between which nothing lasting happens, the first is looked at in
full, and the others must leave the same behind.  Every run tries some points of each verb, `tests/run full` all.
"""

import contextlib
import json
import re
import subprocess

import pytest

import cut_writes
import eventlog
import every_cut
import recovery
from bootseal import MEASURED, NEW_PIN, PASSPHRASE, PIN, PROGRAM, Bench
from suspension import CHANGED, left

SECOND_PIN, THIRD_PIN = "9085746321", "481526"
OTHER_BOOT = {9: b"another initrd"}
WRONG_PIN = "1111111111"

# What doctor calls what a cut may leave.
REPAIRABLE = {"enrolment-cut", "approval-cut", "approval-token", "approval-stale"}  # before the verb is run again
LEFTOVERS = REPAIRABLE | {"keyslot-unnamed", "removal-cut", "index-missing", "index-foreign", "srk-missing",
                          "srk-foreign", "lockout-auth-empty", "lockout-auth-unknown", "limits-loose",
                          "state-damaged", "authority-missing", "pins-differ", "protector-damaged",
                          "protector-missing", "volume-unreadable", "rotation-cut"}

SAMPLE = 3  # points of each verb in every run


class Verb:
    """A verb on a machine.  The methods are called in their order; `prepare` once, on the machine that is copied."""

    boot = {}  # what differs from MEASURED in the boot in which it runs
    uses_tpm = True
    wrong = 0  # PINs that were typed before it runs
    others = {0}  # keyslots that are no protector's or recovery key's
    indices = 1  # that the TPM has in the end

    def prepare(self, bench) -> dict:
        """The machine before the verb; what the other methods are to know of it."""
        bench.enroll(installed(bench))
        return {}

    def start(self, bench, facts) -> dict:
        """The boot in which it runs; the TPM has just been switched on. What the program's environment has."""
        bench.measure({**MEASURED, **self.boot})
        return {}

    def argv(self, bench, facts) -> list:
        """The call."""
        raise NotImplementedError

    def opens(self, bench, facts, cut) -> object:
        """There is a way in, in the boot after the cut; CUT is how the program ended. What `again` needs to know."""
        assert opens_at_boot(bench, bench.volumes[0])

    def again(self, bench, facts, found) -> None:
        """The next run of the verb."""
        result = bench.run(self.argv(bench, facts))
        assert result.rc == 0, result

    def check(self, bench, facts) -> None:
        """In the end."""
        assert opens_at_boot(bench, bench.volumes[0])


def installed(bench):
    """A volume whose passphrase nobody takes for a key of bootseal's."""
    volume = bench.volume()
    volume.convert_passphrase()
    return volume


def opens_at_boot(bench, volume, *typed, changed=None) -> bool:
    """Whether the initramfs opens the volume in a boot of its own, which then is the one that runs."""
    reboot(bench, changed)
    done = bench.unlock_all(*(typed or (PIN,)))
    return done.rc == 0 and done.volume(volume.name)["opened"]


def is_open_to(bench, volume, *, pin=PIN, changed=None) -> bool:
    """Whether the volume would open in a boot of its own; refused is a boot state that is not approved."""
    reboot(bench, changed)
    result = bench.unlock(volume, pin=pin)
    assert result.rc in (0, 3), result
    return result.rc == 0


def forget_the_boot(bench) -> None:
    """/run is empty in the next one."""
    for path in bench.folder.glob("report.json*"):
        path.unlink()


def reboot(bench, changed=None) -> None:
    """Another boot."""
    forget_the_boot(bench)
    bench.tpm.reboot()
    bench.measure({**MEASURED, **(changed or {})})


# ---- enroll ----

class Enroll(Verb):
    """The first protector of a machine."""

    options = ()

    def prepare(self, bench):
        installed(bench)
        return {}

    def argv(self, bench, facts):
        options = [*bench.enroll_options, "--operator", "1", *self.options]
        return bench.arguments("enroll", *options, bench.volumes[0], pin=PIN, key=PASSPHRASE)

    def opens(self, bench, facts, cut):
        assert bench.volumes[0].opens_with(PASSPHRASE)

    def again(self, bench, facts, found):
        result = bench.run(self.argv(bench, facts))
        done = bench.volumes[0].tokens("bootseal")
        assert result.rc == 0 or (result.rc == 10 and "already has a PIN of operator 1" in result.stderr), result
        assert len(done) == 1


class EnrollVolumeKey(Enroll):
    """The same with the volume key itself sealed."""

    options = ("--payload", "volume-key")


class EnrollOperator(Verb):
    """Another PIN for a volume that has one: number 1 opens all the time."""

    def argv(self, bench, facts):
        options = [*bench.enroll_options, "--operator", "2"]
        return bench.arguments("enroll", *options, bench.volumes[0], pin=SECOND_PIN, key=PASSPHRASE)

    def opens(self, bench, facts, cut):
        both = len(bench.volumes[0].tokens("bootseal")) == 2
        assert opens_at_boot(bench, bench.volumes[0], *["1"] * both, PIN)

    def again(self, bench, facts, found):
        result = bench.run(self.argv(bench, facts))
        assert result.rc == 0 or (result.rc == 10 and "already has a PIN of operator 2" in result.stderr), result

    def check(self, bench, facts):
        for operator, pin in (("1", PIN), ("2", SECOND_PIN)):
            assert opens_at_boot(bench, bench.volumes[0], operator, pin)


# ---- change-pin ----

class ChangePin(Verb):
    """By the old PIN: one of the two opens, never both, and never none."""

    by = {"pin": PIN}

    def argv(self, bench, facts):
        new = bench.secret_file(NEW_PIN, "new-pin")
        options = ["--policy", bench.policy, "--new-pin-file", new]
        return bench.arguments("change-pin", *options, bench.volumes[0], **self.by)

    def opens(self, bench, facts, cut):
        good = [pin for pin in (PIN, NEW_PIN) if bench.unlock(bench.volumes[0], pin=pin).rc == 0]
        assert len(good) == 1, good
        assert opens_at_boot(bench, bench.volumes[0], *good)
        return good[0]

    def again(self, bench, facts, found):
        by = self.by if "key" in self.by else {"pin": found}
        result = bench.change_pin(bench.volumes[0], new=THIRD_PIN, **by)
        assert result.rc == 0, result

    def check(self, bench, facts):
        assert opens_at_boot(bench, bench.volumes[0], THIRD_PIN)


class ChangePinForgotten(ChangePin):
    """By a passphrase, which opens throughout."""

    by = {"key": PASSPHRASE}

    def opens(self, bench, facts, cut):
        assert bench.volumes[0].opens_with(PASSPHRASE)
        return super().opens(bench, facts, cut)


# ---- reseal ----

class Reseal(Verb):
    """The running boot in the place of the approved one: one of the two opens, and neither both nor none."""

    boot = OTHER_BOOT
    options = ("--current",)

    def argv(self, bench, facts):
        return bench.arguments("reseal", *self.options, "--current-values")

    def opens(self, bench, facts, cut):
        assert is_open_to(bench, bench.volumes[0]) != is_open_to(bench, bench.volumes[0], changed=OTHER_BOOT)

    def again(self, bench, facts, found):
        reboot(bench, OTHER_BOOT)
        super().again(bench, facts, found)

    def check(self, bench, facts):
        assert opens_at_boot(bench, bench.volumes[0], changed=OTHER_BOOT)
        assert not is_open_to(bench, bench.volumes[0])


class ResealKeep(Reseal):
    """Beside it: what was approved opens all the time."""

    options = ("--current", "--keep")

    def opens(self, bench, facts, cut):
        assert opens_at_boot(bench, bench.volumes[0])

    def check(self, bench, facts):
        assert opens_at_boot(bench, bench.volumes[0], changed=OTHER_BOOT)
        assert is_open_to(bench, bench.volumes[0])


def approved_long_ago(bench) -> None:
    """As if all boot states had been approved in an earlier boot, and none by hand to stay."""
    path = bench.state / "approval.json"
    approval = json.loads(path.read_text(encoding="utf-8"))
    for branch in approval["branches"]:
        if branch["kind"] == "boot":
            branch.update(approved_in="00000000", kept=False)
    path.write_text(json.dumps(approval), encoding="utf-8")


class ResealCommit(Reseal):
    """What the running boot has outlived goes; the running one opens all the time."""

    options = ("--commit",)

    def prepare(self, bench):
        super().prepare(bench)
        bench.boot(OTHER_BOOT)
        assert bench.reseal("--keep").rc == 0
        approved_long_ago(bench)
        return {}

    def opens(self, bench, facts, cut):
        assert opens_at_boot(bench, bench.volumes[0], changed=OTHER_BOOT)


# ---- suspend, resume ----

class Suspend(Verb):
    """The approved boot opens all the time; when it is done the next one does, whatever it measures."""

    options = ()
    typed = (PIN,)

    def argv(self, bench, facts):
        return bench.arguments("suspend", "--reboots", "2", *self.options)

    def opens(self, bench, facts, cut):
        reboot(bench)
        assert bench.unlock_all(*self.typed).rc == 0

    def check(self, bench, facts):
        self.opens(bench, facts, None)
        reboot(bench, CHANGED)
        done = bench.unlock_all(*self.typed)
        assert done.rc == 0 and done.volume(bench.volumes[0].name)["suspended"]


class SuspendNoPin(Suspend):
    """Over a volume without a PIN."""

    options = ("--allow-no-pin",)
    typed = ()

    def prepare(self, bench):
        bench.enroll(installed(bench), "--no-pin", pin=None)
        return {}


class Resume(Suspend):
    """The approved boot opens all the time; when it is done, no other does."""

    def prepare(self, bench):
        super().prepare(bench)
        result = bench.bootseal("suspend", "--reboots", "15", *self.options)
        assert result.rc == 0, result
        return {}

    def argv(self, bench, facts):
        return bench.arguments("resume")

    def check(self, bench, facts):
        self.opens(bench, facts, None)
        reboot(bench, CHANGED)
        assert bench.unlock_all().rc == 3


class ResumeNoPin(Resume, SuspendNoPin):
    """With another secret in the place of what a suspended boot may have given away."""

    def prepare(self, bench):
        super().prepare(bench)
        return {"exposed": bench.volumes[0].header(), "id": bench.volumes[0].token()["id"]}

    def check(self, bench, facts):
        super().check(bench, facts)
        (volume,) = bench.volumes
        assert volume.token()["id"] != facts["id"]
        kept = volume.header()
        volume.put_header(facts["exposed"])
        reboot(bench)
        done = bench.unlock_all()
        assert done.rc in (3, 9) and not done.volume(volume.name)["opened"]
        volume.put_header(kept)


# ---- recovery-key ----

def shown_key(result) -> str:
    """The recovery key that was on stdout; empty without one."""
    match = re.search(recovery.KEY, result.stdout)
    return match.group() if match else ""


class RecoveryAdd(Verb):
    """By the PIN: the PIN opens all the time, and a key counts only when it was shown."""

    def argv(self, bench, facts):
        return bench.arguments("recovery-key", "--yes", "add", bench.volumes[0], pin=PIN)

    def opens(self, bench, facts, cut):
        counted = recovery.listed(bench, bench.volumes[0])
        assert not counted or recovery.check(bench, bench.volumes[0], shown_key(cut)).rc == 0
        super().opens(bench, facts, cut)
        return len(counted)

    def again(self, bench, facts, found):
        super().again(bench, facts, found)
        assert len(recovery.listed(bench, bench.volumes[0])) == found + 1


class RecoveryRotate(Verb):
    """With no passphrase left: the old key opens, or the new one that was shown."""

    uses_tpm = False
    others = set()

    def prepare(self, bench):
        super().prepare(bench)
        made = recovery.add(bench, bench.volumes[0])
        bench.volumes[0].remove_passphrase()
        return {"key": made["key"]}

    def argv(self, bench, facts):
        return bench.arguments("recovery-key", "--yes", "rotate", bench.volumes[0], key=facts["key"])

    def opens(self, bench, facts, cut):
        super().opens(bench, facts, cut)
        (volume,) = bench.volumes
        good = [key for key in (facts["key"], shown_key(cut)) if key and recovery.check(bench, volume, key).rc == 0]
        assert good
        return good[0]

    def again(self, bench, facts, found):
        (volume,) = bench.volumes
        before = {each["id"] for each in recovery.listed(bench, volume) if each["keyslot"] is not None}
        result = bench.bootseal("recovery-key", "--yes", "--json", "rotate", volume, key=found)
        assert result.rc == 0, result
        after = {token["id"] for token in volume.tokens("bootseal-recovery").values()}
        assert after == before - {result.json["replaced"]} | {result.json["recovery_key"]["id"]}
        assert volume.opens_with(result.json["recovery_key"]["key"])


# ---- remove ----

class RemoveAll(Verb):
    """The only protector of the machine: the passphrase opens, and nothing of it is left."""

    indices = 0

    def argv(self, bench, facts):
        return bench.arguments("remove", bench.volumes[0])

    def opens(self, bench, facts, cut):
        assert bench.volumes[0].opens_with(PASSPHRASE)

    def again(self, bench, facts, found):
        result = bench.run(self.argv(bench, facts))
        assert result.rc in (0, 7), result

    def check(self, bench, facts):
        assert bench.volumes[0].metadata()["tokens"] == {}
        assert json.loads((bench.state / "pins.json").read_text(encoding="utf-8"))["volumes"] == []
        assert not (bench.state / "approval.json").exists()


class RemoveVolume(RemoveAll):
    """Of two volumes: the other one opens all the time."""

    indices = 1

    def prepare(self, bench):
        bench.enroll(installed(bench))
        bench.enroll(installed(bench), pin=SECOND_PIN)
        return {}

    def opens(self, bench, facts, cut):
        super().opens(bench, facts, cut)
        assert is_open_to(bench, bench.volumes[1], pin=SECOND_PIN)

    def check(self, bench, facts):
        assert bench.volumes[0].metadata()["tokens"] == {}
        pins = json.loads((bench.state / "pins.json").read_text(encoding="utf-8"))
        assert [pin["uuid"] for pin in pins["volumes"]] == [bench.volumes[1].uuid]
        assert opens_at_boot(bench, bench.volumes[1], SECOND_PIN)


class RemoveProtector(Verb):
    """One of two operators: the other one opens all the time."""

    def prepare(self, bench):
        bench.enroll(installed(bench))
        made = bench.enroll(bench.volumes[0], "--operator", "2", pin=SECOND_PIN)
        return {"id": made["protector"]}

    def argv(self, bench, facts):
        return bench.arguments("remove", "--protector", facts["id"], bench.volumes[0])

    def opens(self, bench, facts, cut):
        reboot(bench)
        result = bench.unlock(bench.volumes[0], "--operator", "1")
        assert result.rc == 0, result

    def again(self, bench, facts, found):
        result = bench.run(self.argv(bench, facts))
        assert result.rc in (0, 7), result


# ---- provision ----

class Provision(Verb):
    """The first one: the lockout authorisation on disk is the TPM's."""

    def prepare(self, bench):
        return {}

    def argv(self, bench, facts):
        return bench.arguments("provision", "--policy", bench.policy, "--allow-unencrypted-state")

    def opens(self, bench, facts, cut):
        if bench.tpm.properties()["lockoutAuthSet"]:
            self.check(bench, facts)

    def check(self, bench, facts):
        auth = (bench.state / "lockout-auth").read_bytes().hex()
        bench.tpm.tool("tpm2_dictionarylockout", "--clear-lockout", "-p", f"hex:{auth}")


# ---- boot-ok ----

class BootOk(Verb):
    """After a good boot: a boot state that it has outlived goes, and the boot is kept."""

    booted = {"initrd": b"updated"}

    def prepare(self, bench):
        eventlog.boot(bench)
        bench.enroll(installed(bench))
        eventlog.boot(bench, **self.booted)
        assert bench.reseal("--keep").rc == 0
        approved_long_ago(bench)
        return {}

    def typed(self, facts) -> tuple:
        """What is typed in that boot."""
        return (PIN,)

    def start(self, bench, facts):
        forget_the_boot(bench)
        environment = eventlog.boot(bench, **self.booted)
        assert bench.unlock_all(*self.typed(facts)).rc == 0
        return environment

    def argv(self, bench, facts):
        return bench.arguments("boot-ok", "--stderr", "--policy", bench.policy)

    def opens(self, bench, facts, cut):
        self.start(bench, facts)

    def again(self, bench, facts, found):
        result = bench.run(self.argv(bench, facts), environment=self.start(bench, facts))
        assert result.rc == 0, result

    def check(self, bench, facts):
        self.start(bench, facts)
        assert self.boot_states(bench) == 1
        kept = {boot["log"] for boot in json.loads((bench.state / "golden-log.json").read_text())["boots"]}
        assert {path.name for path in bench.state.glob("golden-log-*")} == kept

    @staticmethod
    def boot_states(bench) -> int:
        """How many are approved."""
        return sum(branch["kind"] == "boot" for branch in bench.volumes[0].token("bootseal-approval")["branches"])


class BootOkSuspended(BootOk):
    """After a suspended boot that was to be resealed: it is approved beside the others, and the suspension is over."""

    def prepare(self, bench):
        eventlog.boot(bench)
        bench.enroll(installed(bench))
        assert bench.bootseal("suspend", "--reboots", "15", "--then-reseal").rc == 0
        return {}

    def check(self, bench, facts):
        self.start(bench, facts)
        assert self.boot_states(bench) == 2 and left(bench) is None
        eventlog.boot(bench)
        assert bench.unlock_all(PIN).rc == 0


class BootOkRecovery(BootOk):
    """After a boot by recovery key: the key is marked."""

    uses_tpm = False
    booted = {"initrd": b"initrd"}

    def prepare(self, bench):
        eventlog.boot(bench)
        bench.enroll(installed(bench))
        return {"key": recovery.add(bench, bench.volumes[0])["key"]}

    def typed(self, facts):
        return (facts["key"],)

    def check(self, bench, facts):
        assert bench.volumes[0].token("bootseal-recovery").get("used")
        eventlog.boot(bench)
        assert bench.unlock_all(PIN).rc == 0


class BootOkCounter(BootOkRecovery):
    """After a boot with a wrong PIN before the right one: the counter goes back to 0."""

    uses_tpm = True
    wrong = 1

    def typed(self, facts):
        return (WRONG_PIN, PIN)

    def check(self, bench, facts):
        assert bench.tpm.lockout_counter() == 0
        eventlog.boot(bench)
        assert bench.unlock_all(PIN).rc == 0


# ---- the harness ----

VERBS = {
    "enroll": Enroll(), "enroll-volume-key": EnrollVolumeKey(), "enroll-operator": EnrollOperator(),
    "change-pin": ChangePin(), "change-pin-forgotten": ChangePinForgotten(),
    "reseal": Reseal(), "reseal-keep": ResealKeep(), "reseal-commit": ResealCommit(),
    "suspend": Suspend(), "suspend-no-pin": SuspendNoPin(), "resume": Resume(), "resume-no-pin": ResumeNoPin(),
    "recovery-key-add": RecoveryAdd(), "recovery-key-rotate": RecoveryRotate(),
    "remove": RemoveAll(), "remove-volume": RemoveVolume(), "remove-protector": RemoveProtector(),
    "provision": Provision(),
    "boot-ok": BootOk(), "boot-ok-suspended": BootOkSuspended(), "boot-ok-recovery": BootOkRecovery(),
    "boot-ok-counter": BootOkCounter(),
}


class Model:
    """The machine before a verb, switched off, and the points of the verb on a copy of it."""

    def __init__(self, verb, folder):
        self._verb = verb
        (folder / "model").mkdir()
        with Bench(folder / "model") as self._bench:
            self._bench.measure(MEASURED)
            self._facts = verb.prepare(self._bench)
        (folder / "copy").mkdir()
        with Bench(folder / "copy") as bench:
            self.run = every_cut.record(bench, *self.ready(bench))
        self.points = self.run.points

    def ready(self, bench) -> tuple:
        """Make the bench a copy, in the boot in which the verb runs; the call and what its environment has."""
        bench.become(self._bench)
        environment = self._verb.start(bench, self._facts)
        return self._verb.argv(bench, self._facts), environment

    def cut(self, bench, point):
        """Run the verb on a copy until the point; how it ended.  The power is back then."""
        argv, environment = self.ready(bench)
        result = every_cut.cut(bench, argv, point, environment)
        forget_the_boot(bench)
        bench.tpm.start()
        return result

    def look(self, bench, point, result) -> None:
        """All that must hold after the cut."""
        verb, facts = self._verb, self._facts
        assert bench.tpm.lockout_counter() <= point.pin_in_use + verb.wrong
        bench.measure({**MEASURED, **verb.boot})
        found = verb.opens(bench, facts, result)
        if point.number % 2:
            verb.again(bench, facts, found)
            assert_repaired(bench, LEFTOVERS)
        else:
            assert_repaired(bench, REPAIRABLE)
            verb.again(bench, facts, found)
        verb.check(bench, facts)
        assert_clean(bench, verb)


def assert_repaired(bench, kinds) -> None:
    """`doctor --fix` leaves no finding of these kinds."""
    result = bench.bootseal("doctor", "--fix", "--json")
    assert result.rc in (0, 1) and result.stdout, result
    found = {finding["kind"]: finding["not_fixed"] or finding["text"] for finding in result.json["findings"]
             if finding["kind"] in kinds and not finding["fixed"]}
    assert found == {}


def assert_clean(bench, verb) -> None:
    """Protectors, recovery keys, what was there before, and nothing else."""
    objects = sum(len(volume.tokens("bootseal")) for volume in bench.volumes)
    for volume in bench.volumes:
        named = {int(number) for kind in ("bootseal", "bootseal-recovery") for token in volume.tokens(kind).values()
                 for number in token["keyslots"]}
        assert volume.keyslots() == named | verb.others
        assert volume.tokens("bootseal-pending") == {}
        for approval in volume.tokens("bootseal-approval").values():
            assert len(approval["objects"]) == objects and approval["next"] is None
    assert [path.name for path in bench.state.glob("**/*.new")] == []
    assert len(indices(bench)) == verb.indices


def indices(bench) -> list:
    """The approval indices that the TPM has."""
    text = bench.tpm.tool("tpm2_getcap", "handles-nv-index").decode()
    return [line for line in text.splitlines() if "18B5EA" in line.upper()]


def shape(bench) -> list:
    """What a cut has left, but for all that is random."""
    return [indices(bench), sorted(path.name for path in bench.state.glob("**/*")),
            *([sorted(volume.keyslots()), [(token["type"], token["keyslots"], len(token))
                                           for token in volume.metadata()["tokens"].values()]]
              for volume in bench.volumes)]


def new_ones(points) -> list:
    """The first point of each state."""
    return list({point.state: point for point in reversed(points)}.values())[::-1]


def sample(points) -> list:
    """Some points of all kinds, evenly over those that leave something different; other ones for each verb."""
    new = [point for kind in every_cut.KINDS for point in new_ones(points[kind])]
    step = max(1, len(new) // SAMPLE)
    return new[len(new) % step::step]


@pytest.fixture(name="models", scope="module")
def make_models(tmp_path_factory):
    """The models that were made so far."""
    models = {}

    def model(name):
        if name not in models:
            models[name] = Model(VERBS[name], tmp_path_factory.mktemp(name))
        return models[name]

    return model


@contextlib.contextmanager
def named(*words):
    """Puts the words before what an assertion says."""
    try:
        yield
    except Exception as exception:
        raise AssertionError(": ".join(map(str, words))) from exception


def tell(capsys, record_property, name, tried, points) -> None:
    """The number of points that were tried."""
    assert points[every_cut.DISK] and bool(points[every_cut.BEFORE]) == VERBS[name.partition(" ")[0]].uses_tpm
    counted = ", ".join(f"{kind} {len(points[kind])}" for kind in every_cut.KINDS)
    record_property("points", f"{name}: {tried} tried; there are {counted}")
    with capsys.disabled():
        print(f"\n{name}: {tried} points tried (there are {counted})", end=" ")


CHANGING_CALLS = {
    "chmod", "chown", "copy_file_range", "creat", "creat64", "fallocate", "fallocate64", "fchmod", "fchmodat", "fchown",
    "fdatasync", "fsync", "ftruncate", "ftruncate64", "lchown", "link", "linkat", "mkdir", "mkdirat", "mknod", "open",
    "open64", "posix_fallocate", "posix_fallocate64", "pwrite", "pwrite64", "pwritev", "pwritev64", "remove", "rename",
    "renameat", "renameat2", "rmdir", "sendfile", "sendfile64", "symlink", "symlinkat", "sync", "sync_file_range",
    "syncfs", "truncate", "truncate64", "unlink", "unlinkat", "write", "writev",
}


def symbols(path, kind) -> set:
    """The dynamic symbols of a program or library."""
    done = subprocess.run(["nm", "-D", kind, path], stdout=subprocess.PIPE, text=True, check=True)
    return {line.split()[-1].partition("@")[0] for line in done.stdout.splitlines()}


def test_every_call_is_counted():
    """Whatever of the C library the program changes the disk by."""
    used = symbols(PROGRAM, "--undefined-only") & CHANGING_CALLS
    assert {"write", "fsync", "rename"} <= used <= symbols(cut_writes.LIBRARY, "--defined-only")


@pytest.mark.parametrize("name", VERBS)
def test_threat_16_synced(models, name):
    """All is on the disk before the TPM is changed, and when the verb ends: what is not synced may be lost."""
    assert models(name).run.unsynced == []


@pytest.mark.parametrize("name", VERBS)
def test_threat_16_sample(bench, models, capsys, record_property, name):
    """Some points of each verb."""
    model = models(name)
    points = sample(model.points)
    for point in points:
        with named(name, point):
            model.look(bench, point, model.cut(bench, point))
    assert points
    tell(capsys, record_property, name, len(points), model.points)


@pytest.mark.full
@pytest.mark.parametrize("kind", every_cut.KINDS)
@pytest.mark.parametrize("name", VERBS)
def test_threat_16_every_point(bench, models, capsys, record_property, name, kind):
    """All others: the first of each state is looked at, the others leave the same."""
    model = models(name)
    done, shapes, tried = sample(model.points), {}, 0
    for point in model.points[kind]:
        if point in done:
            continue
        with named(name, point):
            result = model.cut(bench, point)
            tried += 1
            if point.state in shapes:
                assert shape(bench) == shapes[point.state]
                continue
            if point.kind != every_cut.TORN:
                shapes[point.state] = shape(bench)
            model.look(bench, point, result)
    if model.points[kind]:
        tell(capsys, record_property, f"{name} {kind}", tried, model.points)
