"""The verbs that are cut, each on a machine of its own, with what must hold after the cut and in the end.

A new verb, or a new form of one, is a class here and a name in VERBS; tests/swtpm/test_every_cut.py does the rest.
"""

import json

import eventlog
import recovery
from bootseal import MEASURED, NEW_PIN, PASSPHRASE, PIN
from suspension import CHANGED, left

SECOND_PIN, THIRD_PIN = "9085746321", "481526"
OTHER_BOOT = {9: b"another initrd"}
WRONG_PIN = "1111111111"


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
        assert left(bench) is None
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

class RecoveryAdd(Verb):
    """By the PIN: the PIN opens all the time, and a key counts only when it was shown."""

    def argv(self, bench, facts):
        return bench.arguments("recovery-key", "--yes", "add", bench.volumes[0], pin=PIN)

    def opens(self, bench, facts, cut):
        counted = recovery.listed(bench, bench.volumes[0])
        assert not counted or recovery.check(bench, bench.volumes[0], recovery.shown_key(cut)).rc == 0
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
        known = filter(None, (facts["key"], recovery.shown_key(cut)))
        good = [key for key in known if recovery.check(bench, volume, key).rc == 0]
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
