"""What a caller can get wrong: each mistake raises its own error, and the model goes on working."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lanewise as lw
from tests.api.test_api import B, X, reference, two_layer_model


@pytest.fixture
def model() -> lw.Model:
    return lw.load(two_layer_model())


def check_still_works(model: lw.Model) -> None:
    np.testing.assert_array_equal(model(X), reference(X, B))


@pytest.mark.parametrize(
    ("inputs", "message", "name"),
    [
        ({}, r"input 'x' is missing; expected float32 \[N, 3\]", "x"),
        ({"x": X.astype(np.float64)}, r"expected float32 \[N, 3\], got float64 \[2, 3\]", "x"),
        ({"x": X[0]}, r"expected float32 \[N, 3\], got float32 \[3\]", "x"),
        ({"x": X[:, :2]}, r"got float32 \[2, 2\]; give it that shape", "x"),
        (
            {"x": X, "z": X},
            r"'z' is not an input of this model; its inputs are 'x', 'b'",
            "z",
        ),
        ({"x": X, "b": B[:3]}, r"input 'b': expected float32 \[4\], got float32 \[3\]", "b"),
        ({"x": object()}, "an array of objects must hold str", "x"),
        ({"x": [[1.0, 2.0, 3.0], [4.0]]}, "cannot make an array of it", "x"),
    ],
)
def test_inputs(model: lw.Model, inputs: dict[str, Any], message: str, name: str) -> None:
    with pytest.raises(lw.InputError, match=message) as caught:
        model.run(inputs)
    assert caught.value.name == name
    assert isinstance(caught.value, ValueError)
    check_still_works(model)


def test_error_tells_what_it_expected_and_got(model: lw.Model) -> None:
    with pytest.raises(lw.InputError) as caught:
        model.run({"x": X.astype(np.int64)})
    assert caught.value.expected == "float32 [N, 3]"
    assert caught.value.got == "int64 [2, 3]"


def test_number_of_arrays(model: lw.Model) -> None:
    with pytest.raises(lw.InputError, match=r"expected 1 arrays \(x\), got 2"):
        model(X, X)
    check_still_works(model)


def test_unknown_output(model: lw.Model) -> None:
    with pytest.raises(lw.InputError, match="'q' is no tensor of this model; its outputs are 'y'"):
        model.run({"x": X}, outputs=["q"])
    check_still_works(model)


def test_outputs_as_one_str(model: lw.Model) -> None:
    with pytest.raises(lw.InputError, match=r"write outputs=\['y'\]"):
        model.run({"x": X}, outputs="y")


def test_inputs_not_a_dict(model: lw.Model) -> None:
    with pytest.raises(lw.InputError, match="expected a dict from name to array"):
        model.run([X])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"threads": 0}, "threads: expected a positive int, got 0"),
        ({"threads": 1.5}, "threads: expected a positive int, got 1.5"),
        ({"threads": 10**6}, "threads: expected 1 to 1024"),
        ({"isa": "sse9"}, "isa: expected one of auto, baseline"),
        (
            {"numerics": "exact"},
            "numerics: expected 'fast', 'reproducible' or 'strict', got",
        ),
    ],
)
def test_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises(lw.InputError, match=message):
        lw.load(two_layer_model(), **options)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no such model file"):
        lw.load(tmp_path / "none.onnx")


def test_folder(tmp_path: Path) -> None:
    with pytest.raises(lw.ModelError, match="is a folder"):
        lw.load(tmp_path)


def test_no_model_at_all() -> None:
    with pytest.raises(lw.InputError, match=r"a path, bytes or an onnx.ModelProto, got int"):
        lw.load(3)


def test_too_large_an_input_is_a_resource_error() -> None:
    """A shape whose arena cannot be allocated raises before any work."""
    from onnx import TensorProto, helper, numpy_helper

    repeats = numpy_helper.from_array(np.array([2**20, 2**20], np.int64), "repeats")
    nodes = [
        helper.make_node("Tile", ["x", "repeats"], ["big"]),
        helper.make_node("ReduceSum", ["big"], ["y"], keepdims=0),
    ]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, 2])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [])
    proto = helper.make_model(
        helper.make_graph(nodes, "big", [x], [y], [repeats]),
        opset_imports=[helper.make_opsetid("", 17)],
    )
    with pytest.raises(lw.ResourceError) as caught:
        lw.load(proto)(np.ones((2, 2), np.float32))
    assert isinstance(caught.value, MemoryError)


def test_hierarchy() -> None:
    for error, builtin in (
        (lw.ModelError, ValueError),
        (lw.UnsupportedError, NotImplementedError),
        (lw.InputError, ValueError),
        (lw.ResourceError, MemoryError),
        (lw.DeviceError, RuntimeError),
    ):
        assert issubclass(error, lw.LanewiseError)
        assert issubclass(error, builtin)
