"""ONNX's node suite: every case passes, but for those that exceptions.txt names."""

from __future__ import annotations

import pytest

import lanewise
from tests.node_suite.cases import KINDS, cases, check, exceptions, random_cases

WIDEST = lanewise.isas()[-1]


def _names() -> list[tuple[str, str]]:
    return [(kind, name) for kind in KINDS for name in cases(kind) if name not in exceptions()]


@pytest.mark.parametrize(("kind", "name"), _names(), ids=lambda value: value)
def test_case(kind: str, name: str) -> None:
    check(cases(kind)[name], WIDEST)


@pytest.mark.parametrize(
    ("kind", "name"),
    [(kind, name) for kind, name in _names() if "conv" in name or "pool" in name or "mat" in name],
    ids=lambda value: value,
)
def test_case_on_baseline(kind: str, name: str) -> None:
    check(cases(kind)[name], "baseline")


def test_exceptions_are_cases() -> None:
    names = {name for kind in KINDS for name in cases(kind)}
    assert exceptions() <= names


def test_exceptions_still_fail() -> None:
    """A case that passes now must leave the list."""
    passing = []
    for kind in KINDS:
        for name in (exceptions() - random_cases()) & cases(kind).keys():
            try:
                check(cases(kind)[name], WIDEST)
            except Exception:
                continue
            passing.append(name)
    assert passing == [], f"take these out of exceptions.txt: {passing}"
