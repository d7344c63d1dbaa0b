"""The stand-ins for NVIDIA's libraries, built once and clean before and after each test."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest

from lanewise import devices
from tests.built import build_target
from tests.cuda.standin import StandIn


@pytest.fixture(scope="session")
def standin_folder() -> Path:
    """Where the four libraries lie."""
    return build_target("cuda_standin") / "tests" / "cuda" / "lib"


@pytest.fixture
def standin(standin_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StandIn]:
    """A GPU that is none; afterwards nothing may have been misused."""
    gc.collect()
    found = StandIn(standin_folder)
    found.reset()
    monkeypatch.setattr(devices, "library_folders", lambda: [str(standin_folder)])
    yield found
    gc.collect()
    misuse = found.misuse
    found.reset()
    assert misuse == ""
