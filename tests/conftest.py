"""Options shared by all tests."""

from __future__ import annotations

import pytest


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
