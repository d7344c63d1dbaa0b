"""`lanewise ops`: the table of operators."""

from __future__ import annotations

import pytest

from lanewise import _core
from tests.cli.helpers import call, failure


def test_all_operators_are_there(capsys: pytest.CaptureFixture[str]) -> None:
    rows = call(capsys, "ops", "--json").json
    names = {row["name"] for row in rows}
    # The registry's own, and those that are rewritten when a file is read.
    own = {f"{domain}:{name}" if domain else name for domain, name, _ in _core.operators()}
    assert own | {"SoftmaxCrossEntropyLoss", "Constant"} <= names


def test_one_operator(capsys: pytest.CaptureFixture[str]) -> None:
    (row,) = call(capsys, "ops", "matmul", "--json").json
    assert row["name"] == "MatMul"
    assert row["opsets"] == [1, 9, 13]
    assert {"float16", "bfloat16", "float32", "float64", "int32"} <= set(row["types"]["T"])
    text = call(capsys, "ops", "MatMul", "Concat").out.splitlines()
    assert text[0].split() == ["operator", "opsets", "types"]
    assert text[1].startswith("MatMul") and "1, 9, 13" in text[1] and "float16..64" in text[1]
    assert text[2].startswith("Concat") and "string" in text[2]


def test_an_unknown_operator(capsys: pytest.CaptureFixture[str]) -> None:
    assert "'Foo': no such operator" in failure(capsys, "ops", "Foo")
