"""One-node models of quantised operators, and what their tests compare with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

import lanewise as lw
from lanewise import _core

Array = NDArray[Any]
Arrays = dict[str, Any]  # arrays by name; None for an input that is left out
ISAS = _core.isas()
MS = "com.microsoft"


def model_of(
    op: str,
    arrays: Arrays,
    dtype: Any,
    constants: Sequence[str] = (),
    domain: str = "",
    **attributes: Any,
) -> onnx.ModelProto:
    """One node over the arrays in order; None stands for an input that is left out."""
    names = [name if array is not None else "" for name, array in arrays.items()]
    while names and not names[-1]:
        names.pop()
    node = helper.make_node(op, names, ["y"], domain=domain, **attributes)
    inputs = [
        helper.make_tensor_value_info(
            n, helper.np_dtype_to_tensor_dtype(arrays[n].dtype), arrays[n].shape
        )
        for n in names
        if n and n not in constants
    ]
    y = helper.make_tensor_value_info("y", helper.np_dtype_to_tensor_dtype(np.dtype(dtype)), None)
    weights = [numpy_helper.from_array(arrays[n], n) for n in constants]
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid(MS, 1)]
    return helper.make_model(
        helper.make_graph([node], op, inputs, [y], weights), opset_imports=opsets, ir_version=10
    )


def run(model: onnx.ModelProto, arrays: Arrays, **options: Any) -> Array:
    """Output y."""
    loaded = lw.load(model, **options)
    return loaded.run({info.name: arrays[info.name] for info in loaded.inputs})["y"]


def check_everywhere(
    model: onnx.ModelProto, arrays: Arrays, expected: Array, steps: int = 0
) -> None:
    """Every ISA with one and two threads gives one result, at most `steps` from the expected."""
    first: Array | None = None
    for isa in ISAS:
        for threads in (1, 2):
            got = run(model, arrays, isa=isa, threads=threads)
            assert got.dtype == expected.dtype and got.shape == expected.shape
            first = got if first is None else first
            np.testing.assert_array_equal(got, first, f"isa {isa}, {threads} threads")
    assert first is not None
    off = np.abs(first.astype(np.int64) - expected.astype(np.int64))
    assert off.max(initial=0) <= steps


def bytes_of(rng: np.random.Generator, shape: Sequence[int], dtype: str) -> Array:
    """Every value of the type is as likely."""
    info = np.iinfo(dtype)
    return rng.integers(info.min, info.max + 1, list(shape)).astype(dtype)


def scale(value: float | Sequence[float]) -> Array:
    """float32, a scalar or a vector."""
    return np.array(value, np.float32)


def quantized(values: Array, y_scale: Array, zero: Array, dtype: str) -> Array:
    """clamp(round(values / scale) + zero) in float32, halves to even."""
    info = np.iinfo(dtype)
    rounded = np.rint(np.asarray(values, np.float32) / y_scale).astype(np.int64) + zero.astype(
        np.int64
    )
    return np.clip(rounded, info.min, info.max).astype(dtype)
