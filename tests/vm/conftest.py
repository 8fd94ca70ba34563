"""What the tests in virtual machines share: one image, made once per run, and machines to boot it.

With `pytest -s` the machines' consoles are shown as the tests read them.
"""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "lib"))

import debian  # noqa: E402
from image import Layout, make_image  # noqa: E402
from machine import Machine  # noqa: E402


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
