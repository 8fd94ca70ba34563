"""Each verb that changes something is stopped dead at each change of the disk and at each TPM command.

Afterwards there is a way in, the verb can be run again, `doctor --fix` leaves nothing (before that run or after it, by
turns), and the TPM has counted no wrong PIN but that of an Unseal that was cut.  The points are counted in a run that
is not cut, and each has a run of its own; of points between which nothing lasting happens, the first is looked at in
full, and the others must leave the same behind.  Every run tries some points of each verb, `tests/run full` all.  The
verbs themselves are in tests/lib/cut_verbs.py.
"""

import contextlib
import subprocess

import pytest

import cut_writes
import every_cut
from bootseal import MEASURED, PROGRAM, Bench
from cut_verbs import VERBS, forget_the_boot

# What doctor calls what a cut may leave.
REPAIRABLE = {"enrolment-cut", "approval-cut", "approval-token", "approval-stale"}  # before the verb is run again
LEFTOVERS = REPAIRABLE | {"keyslot-unnamed", "removal-cut", "index-missing", "index-foreign", "srk-missing",
                          "srk-foreign", "lockout-auth-empty", "lockout-auth-unknown", "limits-loose",
                          "state-damaged", "authority-missing", "pins-differ", "protector-damaged",
                          "protector-missing", "volume-unreadable", "rotation-cut"}

SAMPLE = 3  # points of each verb in every run


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
