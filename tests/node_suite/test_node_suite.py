"""ONNX's node suite: every case passes, but for those that exceptions.txt names."""

from __future__ import annotations

import numpy as np
import pytest

import lanewise
from tests.node_suite.cases import (
    KINDS,
    cases,
    check,
    data_sets,
    exceptions,
    model_of,
    random_cases,
)

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


def test_values_between_float16_nodes_may_be_finer() -> None:
    """The case whose stored result was rounded after each node: ours is as near to the exact one.

    Both lie within the case's tolerance of it, and not of each other.
    """
    case = cases("node")["test_attention_4d_causal_fp16_expanded"]
    model = model_of(case)
    [(given, [stored])] = data_sets(case, model)
    feeds = dict(zip((i.name for i in model.graph.input), given, strict=True))
    [got] = lanewise.load(model).run(feeds).values()
    q, k, v = (x.astype(np.float64) for x in given)
    scores = q @ k.swapaxes(-1, -2) / np.sqrt(q.shape[-1])
    scores = np.where(np.tril(np.ones(scores.shape[-2:], bool)), scores, -np.inf)
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    exact = weights / weights.sum(-1, keepdims=True) @ v
    for result in (got, stored):
        np.testing.assert_allclose(result, exact, rtol=case.rtol, atol=case.atol)
    assert np.abs(got - exact).max() <= np.abs(stored - exact).max()
