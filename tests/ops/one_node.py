"""Models of one node for the operator tests."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

import lanewise as lw
from lanewise import _core

Array = NDArray[Any]
ISAS = _core.isas()


def model(
    op: str,
    inputs: Sequence[Array | None],
    *,
    outputs: int = 1,
    constants: Sequence[int] = (),
    channels_last: bool = False,
    opset: int | None = None,
    domain: str = "",
    **attributes: Any,
) -> onnx.ModelProto:
    """One node over inputs x0, x1, ... (None: left out) with results y0, y1, ...

    Args:
        inputs: arrays, whose types and shapes the model takes.
        constants: positions of the inputs that are initialisers.
        channels_last: puts MaxPool with a 1x1 window, which changes nothing, before each full-rank
            float32 input, so that the engine holds it channels-last.
    """
    names = [f"x{i}" if x is not None else "" for i, x in enumerate(inputs)]
    formal, initializers, nodes = [], [], []
    rank = max((x.ndim for x in inputs if x is not None), default=0)
    for i, x in enumerate(inputs):
        if x is None:
            continue
        if i in constants:
            initializers.append(numpy_helper.from_array(x, names[i]))
        else:
            dtype = helper.np_dtype_to_tensor_dtype(x.dtype)
            formal.append(helper.make_tensor_value_info(names[i], dtype, x.shape))
        if channels_last and x.dtype == np.float32 and x.ndim == rank >= 3 and x.size:
            window = [1] * (rank - 2)
            nodes.append(helper.make_node("MaxPool", [names[i]], [f"p{i}"], kernel_shape=window))
            names[i] = f"p{i}"
    results = [f"y{i}" for i in range(outputs)]
    nodes.append(
        helper.make_node(op, names, results, name="under test", domain=domain, **attributes)
    )
    graph = helper.make_graph(
        nodes, "g", formal, [helper.make_empty_tensor_value_info(y) for y in results], initializers
    )
    opsets = [helper.make_opsetid("", opset or onnx.defs.onnx_opset_version())]
    if domain:
        opsets.append(helper.make_opsetid(domain, 1))
    return helper.make_model(graph, opset_imports=opsets)


def run(
    op: str,
    inputs: Sequence[Array | None],
    *,
    isa: str | None = None,
    threads: int | None = None,
    constants: Sequence[int] = (),
    **options: Any,
) -> Any:
    """Runs one node; returns its result, or the list of results when there are several."""
    proto = model(op, inputs, constants=constants, **options)
    feeds = {f"x{i}": x for i, x in enumerate(inputs) if x is not None and i not in constants}
    results = list(lw.load(proto, isa=isa, threads=threads).run(feeds).values())
    return results[0] if len(results) == 1 else results


def reference(op: str, inputs: Sequence[Array | None], **options: Any) -> Any:
    """The first result of the node in onnx.reference."""
    feeds: Any = {f"x{i}": x for i, x in enumerate(inputs) if x is not None}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        results: Any = ReferenceEvaluator(model(op, inputs, **options)).run(None, feeds)
    return results[0]


def fails(op: str, inputs: Sequence[Array | None], match: str, **options: Any) -> None:
    """Asserts that the node is refused with a message that names it and matches."""
    try:
        run(op, inputs, **options)
    except lw.LanewiseError as error:
        text = str(error)
        assert "under test" in text, text
        assert match in text, text
    else:
        raise AssertionError(f"{op} was accepted")


def ulps(got: Array, exact: NDArray[np.float64]) -> float:
    """The largest error in units of the last place of the float32 next to the exact value.

    Infinities and NaNs must stand where the exact value, rounded to float32, has them.
    """
    with np.errstate(over="ignore", under="ignore"):
        rounded = exact.astype(np.float32)
    np.testing.assert_array_equal(np.isnan(got), np.isnan(rounded))
    special = ~np.isfinite(rounded) | ~np.isfinite(got)
    # One unit beyond the largest float32 may round either way.
    biggest = np.finfo(np.float32).max
    clipped = np.clip(got[special], -biggest, biggest), np.clip(rounded[special], -biggest, biggest)
    np.testing.assert_array_equal(*clipped)
    if np.all(special):
        return 0.0
    with np.errstate(over="ignore"):
        unit = np.spacing(np.maximum(np.abs(rounded[~special]), np.finfo(np.float32).tiny))
    error = np.abs(got[~special].astype(np.float64) - exact[~special]) / unit.astype(np.float64)
    return float(error.max())


def float32_samples(rng: np.random.Generator, count: int) -> NDArray[np.float32]:
    """Bit patterns over all float32, half of them of moderate size, and every special value."""
    bits = rng.integers(0, 2**32, count // 2, dtype=np.uint64).astype(np.uint32)
    moderate = rng.normal(0, 8, count - count // 2).astype(np.float32)
    tiny = np.finfo(np.float32).smallest_subnormal
    special = np.array(
        [0, -0.0, 1, -1, 0.5, -0.5, 1.5, 2.5, -2.5, np.inf, -np.inf, np.nan, tiny, -tiny,
         np.finfo(np.float32).max, np.finfo(np.float32).min, np.finfo(np.float32).tiny,
         88.72284, 88.7229, -87.3, -103.9, -104.1, 1e-30, 16777216, 8388609, -8388607.5],
        np.float32,
    )  # fmt: skip
    return np.concatenate([special, bits.view(np.float32), moderate])
