"""Models as ONNX Runtime's quantiser writes them, before and after its optimiser."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import helper, numpy_helper

import lanewise as lw
from tests.models.test_optimised_files import convolutions, encoder, ort

quantization = pytest.importorskip("onnxruntime.quantization", reason="its quantiser is missing")


class Samples(quantization.CalibrationDataReader):  # type: ignore[misc, name-defined]
    """Random inputs to find the ranges of values with."""

    def __init__(self, shape: list[int]) -> None:
        rng = np.random.default_rng(0)
        self.samples = [rng.normal(0, 1, shape).astype(np.float32) for _ in range(8)]

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        return {"x": self.samples.pop()} if self.samples else None


def classifier() -> onnx.ModelProto:
    """Convolutions, pooling and a fully connected layer."""
    model = convolutions()
    rng = np.random.default_rng(3)
    model.graph.node[-1].output[0] = "z"
    model.graph.node.extend(
        [
            helper.make_node("MaxPool", ["z"], ["p"], kernel_shape=[2, 2], strides=[2, 2]),
            helper.make_node("GlobalAveragePool", ["p"], ["g"]),
            helper.make_node("Flatten", ["g"], ["flat"]),
            helper.make_node("Gemm", ["flat", "fw", "fb"], ["y"], transB=1),
        ]
    )
    for name, shape in (("fw", (5, 8)), ("fb", (5,))):
        value = rng.normal(0, 0.3, shape).astype(np.float32)
        model.graph.initializer.append(numpy_helper.from_array(value, name))
    return model


@pytest.mark.parametrize("form", ["QOperator", "QDQ", "dynamic"])
@pytest.mark.parametrize("make", [classifier, encoder])
def test_quantised(make: Any, form: str, tmp_path: Path) -> None:
    model = make()
    shape = [d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim]
    source, target, optimised = (tmp_path / f"{name}.onnx" for name in ("f", "q", "o"))
    onnx.save(model, source)
    # Signed weights saturate in ONNX Runtime on processors without dot products of bytes.
    integers = quantization.QuantType.QUInt8
    if form == "dynamic":
        quantization.quantize_dynamic(source, target, weight_type=integers)
    else:
        quantization.quantize_static(
            source, target, Samples(shape), activation_type=integers, weight_type=integers,
            quant_format=quantization.QuantFormat[form],
        )  # fmt: skip
    x = np.random.default_rng(5).normal(0, 1, shape).astype(np.float32)
    for level in ("ORT_DISABLE_ALL", "ORT_ENABLE_EXTENDED"):
        options = ort.SessionOptions()
        options.graph_optimization_level = getattr(ort.GraphOptimizationLevel, level)
        options.optimized_model_filepath = str(optimised)
        want = ort.InferenceSession(str(target), options).run(None, {"x": x})[0]
        off = np.abs(lw.load(optimised)(x) - want)
        # Its QLinearSoftmax is up to one step of 8 bits from the exact weights, ours up to a half;
        # what follows moves by some steps.
        assert off.mean() < 0.01 * np.abs(want).max()
        assert off.max() < 0.05 * np.abs(want).max()
