"""Options shared by all tests."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds the length of the mutation test, which sanitisers make slow."""
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
