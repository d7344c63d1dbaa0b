"""The Python API: ways in, feature extraction, arrays without copies."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import lanewise as lw


def two_layer_model() -> onnx.ModelProto:
    """y = relu(x @ w + b) with the sum and the product as inner tensors."""
    w = numpy_helper.from_array(np.arange(12, dtype=np.float32).reshape(3, 4) - 5, "w")
    b = numpy_helper.from_array(np.array([1, -1, 2, -2], np.float32), "b")
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["product"]),
        helper.make_node("Add", ["product", "b"], ["sum"]),
        helper.make_node("Relu", ["sum"], ["y"]),
    ]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 4])
    b_info = helper.make_tensor_value_info("b", TensorProto.FLOAT, [4])
    graph = helper.make_graph(nodes, "two layers", [x, b_info], [y], [w, b])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.producer_name = "a test"
    return model


def reference(x: np.ndarray, b: np.ndarray) -> np.ndarray:
    w = np.arange(12, dtype=np.float32).reshape(3, 4) - 5
    return np.maximum(x @ w + b, 0)


B = np.array([1, -1, 2, -2], np.float32)
X = np.arange(6, dtype=np.float32).reshape(2, 3)


def test_loads_from_everything(tmp_path: Path) -> None:
    proto = two_layer_model()
    path = tmp_path / "model.onnx"
    path.write_bytes(proto.SerializeToString())
    content = proto.SerializeToString()
    for source in (str(path), path, content, bytearray(content), memoryview(content), proto):
        np.testing.assert_array_equal(lw.load(source)(X), reference(X, B))


def test_describes_itself() -> None:
    model = lw.load(two_layer_model(), threads=2, isa="baseline")
    assert model.inputs == [
        lw.TensorInfo("x", "float32", ("N", 3)),
        lw.TensorInfo("b", "float32", (4,), optional=True),
    ]
    assert model.outputs == [lw.TensorInfo("y", "float32", ("N", 4))]
    assert model.isa == "baseline"
    assert model.threads == 2
    assert model.parameters == 16
    assert "a test" in model.metadata.values()
    assert {"product", "sum", "y"} <= set(model.tensor_names)


def test_initialiser_that_is_an_input_can_be_replaced() -> None:
    model = lw.load(two_layer_model())
    other = np.array([10, 20, 30, 40], np.float32)
    np.testing.assert_array_equal(model.run({"x": X, "b": other})["y"], reference(X, other))
    np.testing.assert_array_equal(model.run({"x": X})["y"], reference(X, B))


def test_returns_any_inner_tensor() -> None:
    model = lw.load(two_layer_model())
    got = model.run({"x": X}, outputs=["y", "product", "x", "w"])
    assert list(got) == ["y", "product", "x", "w"]
    np.testing.assert_array_equal(got["product"], X @ got["w"])
    np.testing.assert_array_equal(got["y"], reference(X, B))
    np.testing.assert_array_equal(got["x"], X)


def test_results_are_the_callers_own() -> None:
    model = lw.load(two_layer_model())
    x = X.copy()
    got = model.run({"x": x}, outputs=["x", "w", "y"])
    for array in got.values():
        array[...] = 7
    np.testing.assert_array_equal(x, X)
    np.testing.assert_array_equal(model(X), reference(X, B))


def test_batches_of_other_sizes() -> None:
    model = lw.load(two_layer_model())
    for n in (1, 5, 0, 2):
        x = np.ones((n, 3), np.float32)
        assert model(x).shape == (n, 4)


def test_strided_and_foreign_arrays() -> None:
    model = lw.load(two_layer_model())
    want = reference(X, B)
    np.testing.assert_array_equal(model(np.asfortranarray(X)), want)
    np.testing.assert_array_equal(model(np.stack([X, X], -1)[..., 0]), want)
    np.testing.assert_array_equal(model(X.astype(">f4")), want)

    class Tensor:
        """Speaks DLPack only, as tensors of other libraries do."""

        def __dlpack__(self, **options: object) -> object:
            return X.__dlpack__()

        def __dlpack_device__(self) -> tuple[int, int]:
            return X.__dlpack_device__()

    np.testing.assert_array_equal(model(Tensor()), want)


def test_read_only_input() -> None:
    x = X.copy()
    x.flags.writeable = False
    np.testing.assert_array_equal(lw.load(two_layer_model())(x), reference(X, B))


def test_file_may_change_after_its_arrays_are_gone(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(two_layer_model().SerializeToString())
    model = lw.load(path)
    os.unlink(path)
    np.testing.assert_array_equal(model(X), reference(X, B))


def test_profile_and_explain() -> None:
    model = lw.load(two_layer_model())
    profile = model.profile({"x": X}, runs=3)
    assert profile.total_ms > 0
    assert all(layer.ms >= 0 and layer.algorithm for layer in profile.layers)
    assert "MatMul" in model.explain({"x": X})


@pytest.mark.parametrize("numerics", ["fast", "reproducible", "strict"])
def test_numerics_levels(numerics: str) -> None:
    model = lw.load(two_layer_model(), numerics=numerics)  # type: ignore[arg-type]
    np.testing.assert_array_equal(model(X), reference(X, B))
