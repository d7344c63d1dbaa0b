"""ONNX's own test cases (``onnx.backend.test``), run through lanewise.backend."""

from __future__ import annotations

import warnings
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper
from onnx.backend.test.loader import load_model_tests
from onnx.backend.test.runner import Runner

EXCEPTIONS = Path(__file__).with_name("exceptions.txt")
KINDS = ("node", "simple", "pytorch-operator", "pytorch-converted")


@lru_cache
def cases(kind: str) -> dict[str, Any]:
    """The cases of one part of the suite, by name."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {case.name: case for case in load_model_tests(kind=kind)}


@lru_cache
def exceptions() -> frozenset[str]:
    """Names of the cases that do not pass yet; the file may only shrink."""
    lines = EXCEPTIONS.read_text(encoding="utf-8").splitlines()
    return frozenset(line.split()[0] for line in lines if line and not line.startswith("#"))


@lru_cache
def random_cases() -> frozenset[str]:
    """Those of them whose results are drawn, and so may agree once in a while."""
    lines = EXCEPTIONS.read_text(encoding="utf-8").splitlines()
    return frozenset(line.split()[0] for line in lines if "# random:" in line)


def _read(path: Path, value_type: Any) -> Any:
    """One stored input or output."""
    content = path.read_bytes()
    form = value_type.WhichOneof("value")
    if form == "tensor_type":
        return numpy_helper.to_array(onnx.TensorProto.FromString(content))
    if form == "sequence_type":
        return numpy_helper.to_list(onnx.SequenceProto.FromString(content))
    return numpy_helper.to_optional(onnx.OptionalProto.FromString(content))


def _array(value: Any) -> Any:
    """A value of a case that is held in memory."""
    return numpy_helper.to_array(value) if isinstance(value, onnx.TensorProto) else value


def data_sets(case: Any, model: onnx.ModelProto) -> list[tuple[list[Any], list[Any]]]:
    """(inputs, outputs) pairs of a case, from memory or from its files."""
    if case.data_sets is not None:
        return [([_array(v) for v in i], [_array(v) for v in o]) for i, o in case.data_sets]
    initialised = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in initialised]
    sets = []
    for folder in sorted(Path(case.model_dir).glob("test_data_set_*")):
        given = [_read(folder / f"input_{i}.pb", v.type) for i, v in enumerate(inputs)]
        wanted = [
            _read(folder / f"output_{i}.pb", v.type) for i, v in enumerate(model.graph.output)
        ]
        sets.append((given, wanted))
    return sets


def model_of(case: Any) -> onnx.ModelProto:
    """The case's model."""
    if case.model is not None:
        return case.model
    return onnx.load(Path(case.model_dir) / "model.onnx")


def flat(values: Any) -> list[Any]:
    """The values with sequences opened, each after its length."""
    result: list[Any] = []
    for value in values:
        if isinstance(value, list):
            result += [np.array(len(value)), *flat(value)]
        else:
            result.append(value)
    return result


def check(case: Any, isa: str | None = None) -> None:
    """Runs a case on all its data; raises when a result differs as the suite judges it."""
    from lanewise.backend import prepare

    model = model_of(case)
    prepared = prepare(model, threads=2, isa=isa)
    for given, wanted in data_sets(case, model):
        got = prepared.run([np.asarray(v) if isinstance(v, np.generic) else v for v in given])
        # The suite's own comparison of sequences fails on items without dimensions.
        Runner.assert_similar_outputs(flat(wanted), flat(got), rtol=case.rtol, atol=case.atol)
