"""Fixtures for the tests of the command line."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lib"))

from bench_fixtures import make_bench, make_enrolled, make_model, make_volume  # noqa: E402, F401
