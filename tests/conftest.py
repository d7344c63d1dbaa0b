"""Options shared by all tests."""

from __future__ import annotations

import pytest

import lanewise
from lanewise import devices
from tests.built import build_target


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds seeds, and the lengths of tests that sanitisers make slow."""
    parser.addoption(
        "--fuzz-cases",
        type=int,
        default=2000,
        metavar="N",
        help="mutated models that tests/fuzz loads and runs (default: 2000)",
    )
    parser.addoption(
        "--fuzz-seed",
        type=int,
        default=0,
        metavar="S",
        help="number of the first mutation, to replay or to go on from (default: 0)",
    )
    parser.addoption(
        "--graph-count",
        type=int,
        default=500,
        metavar="N",
        help="random graphs that tests/graphs runs (default: 500)",
    )
    parser.addoption(
        "--graph-seed",
        type=int,
        default=0,
        metavar="S",
        help="seed of the first random graph, to replay or to go on from (default: 0)",
    )
    parser.addoption(
        "--device",
        choices=("cpu", "cuda", "standin"),
        default="cpu",
        help="where models are loaded that say nothing else; standin: tests/cuda's (default: cpu)",
    )


@pytest.fixture(scope="session", autouse=True)
def _default_device(request: pytest.FixtureRequest) -> None:
    """Makes --device the default of `lanewise.load`."""
    device = request.config.getoption("--device")
    if device == "cpu":
        return
    if device == "standin":
        folder = str(build_target("cuda_standin") / "tests" / "cuda" / "lib")
        devices.library_folders = lambda: [folder]
    lanewise.load.__kwdefaults__["device"] = "cuda"
