"""Makes the `bench` package of this repository importable, and names the marker of slow cases."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", 'slow: takes seconds each; leave out with -m "not slow"')
