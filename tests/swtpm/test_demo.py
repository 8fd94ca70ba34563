"""What the README shows first works: `tests/demo` checks each of its steps itself."""

import os
import subprocess
from pathlib import Path

import pytest

DEMO = Path(__file__).resolve().parents[1] / "demo"


@pytest.mark.unsanitized
def test_demo(tmp_path):
    """It builds, shows the main job, and says that all steps did what they showed."""
    done = subprocess.run([DEMO], env={**os.environ, "BOOTSEAL_BUILD": str(tmp_path / "build")}, capture_output=True,
                          text=True, check=False, stdin=subprocess.DEVNULL, timeout=900)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert "All steps did what they showed" in done.stdout
