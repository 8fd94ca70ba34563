"""What the tests in virtual machines share: one image, made once per run, and machines to boot it.

With `pytest -s` the machines' consoles are shown as the tests read them.
"""

import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "lib"))

import debian  # noqa: E402
import layouts  # noqa: E402
from image import Layout, make_image  # noqa: E402
from machine import Machine  # noqa: E402
from sealed import install  # noqa: E402

BUILD = Path(os.environ.get("BOOTSEAL_BUILD", Path(__file__).resolve().parents[2] / "build"))


@pytest.fixture(scope="session", autouse=True)
def progress(pytestconfig):
    """Show at once, past pytest's capture, what takes long; the function to do so."""
    capture = pytestconfig.pluginmanager.getplugin("capturemanager")

    def show(line):
        with capture.global_and_fixture_disabled():
            print(f"\n{line}", file=sys.stderr, flush=True)

    debian.progress.append(show)
    yield debian.say
    debian.progress.pop()


@pytest.fixture(scope="session")
def layout():
    """How the images are laid out."""
    return Layout()


@pytest.fixture(scope="session")
def debian_image(tmp_path_factory, layout, progress):
    """Debian as it comes, without bootseal.  Boot a copy of it."""
    image = make_image(tmp_path_factory.mktemp("debian") / "disk.img", layout)
    yield image
    image.path.unlink()


@pytest.fixture
def copy_image(tmp_path):
    """copy_image(image): a copy to boot and to tamper with.  It goes with the test: pytest keeps its folders."""
    copies = []

    def copy(image):
        copies.append(image.clone(tmp_path / f"disk-{len(copies)}.img"))
        return copies[-1]

    yield copy
    for image in copies:
        image.path.unlink()


@pytest.fixture
def make_machine(tmp_path, pytestconfig):
    """make_machine(image, **options): a machine with a new TPM, switched off hard at the end of the test."""
    machines = []

    def make(image, **options):
        options.setdefault("echo", pytestconfig.getoption("capture") == "no")
        machine = Machine(tmp_path / f"machine-{len(machines)}", [image.path], **options)
        machines.append(machine)
        return machine

    yield make
    for machine in machines:
        machine.kill()


@pytest.fixture(scope="session")
def sealed_layout(tmp_path_factory, progress):
    """sealed_layout(plan): the machine of a layout, see layouts.py; made once per run and never changed."""
    folder = tmp_path_factory.mktemp("layouts")
    systems, sealed = {}, {}

    def get(plan):
        if plan.packages not in systems:
            system = layouts.SystemTree(folder / f"system-{len(systems)}", install(BUILD), plan.packages)
            systems[plan.packages] = system.__enter__()
        if plan.name not in sealed:
            sealed[plan.name] = layouts.seal(plan, systems[plan.packages], folder / plan.name)
        if sealed[plan.name].plan != plan:
            raise ValueError(f"two layouts have the name {plan.name}")
        return sealed[plan.name]

    yield get
    for layout in sealed.values():
        layout.remove()
    for system in systems.values():
        system.__exit__(None, None, None)


@pytest.fixture
def layout_machine(tmp_path, pytestconfig):
    """layout_machine(sealed, **options): a machine like a sealed one, with that one's TPM and, unless told otherwise,
    its disks, on which nothing is kept."""
    machines = []

    def make(sealed, disks=None, boot=None, **options):
        options = {"echo": pytestconfig.getoption("capture") == "no", "keep_disks": False, **options}
        number = len(machines)
        machines.append(Machine(tmp_path / f"machine-{number}", sealed.disks if disks is None else disks,
                                sealed.copy_tpm(tmp_path / f"tpm-{number}"), direct=boot or sealed.boot, **options))
        return machines[-1]

    yield make
    for machine in machines:
        machine.kill()
