"""What the tests on a software TPM start from; imported by their conftest.py."""

import pytest

from bootseal import MEASURED, Bench


@pytest.fixture(name="bench")
def make_bench(tmp_path):
    """A machine with nothing enrolled, booted into the state that the tests approve."""
    with Bench(tmp_path) as bench:
        bench.measure(MEASURED)  # its TPM has just been switched on
        yield bench
    for image in tmp_path.glob("**/*.img"):  # pytest keeps the folder
        image.unlink()


@pytest.fixture(name="volume")
def make_volume(bench):
    """A volume with nothing but its passphrase."""
    return bench.volume()


@pytest.fixture(name="model", scope="session")
def make_model(tmp_path_factory):
    """A machine with one enrolled volume, switched off: to be copied, since enrolling takes longest of all."""
    with Bench(tmp_path_factory.mktemp("model")) as model:
        model.measure(MEASURED)
        model.enroll(model.volume())
    return model


@pytest.fixture(name="enrolled")
def make_enrolled(bench, model):
    """A volume that opens by boot state and PIN."""
    bench.become(model)
    bench.measure(MEASURED)
    return bench.volumes[0]
