"""Each operator family gives the same bits with 1, 2, 3 and 8 threads at every numerics level.

At numerics="reproducible" it does so for a sample alone and anywhere in its batch, too. Sizes are
odd and large enough that work is split; another order of a sum shows in the numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from one_node import Array, model

import lanewise as lw

LEVELS = ["fast", "reproducible", "strict"]
THREADS = [2, 3, 8]


@dataclass
class Case:
    """One node. Shapes name float32 inputs; arrays are inputs of their own."""

    op: str
    inputs: Sequence[Any]
    attributes: dict[str, Any] = field(default_factory=dict)
    constants: Sequence[int] = ()
    outputs: int = 1
    batch: int | None = 0  # the axis of the first input and output; None: there is none
    batched: Sequence[int] = (0,)  # inputs that have it

    def arrays(self) -> list[Array | None]:
        rng = np.random.default_rng(5)
        return [
            rng.standard_normal(given).astype(np.float32) if isinstance(given, tuple) else given
            for given in self.inputs
        ]


def bytes_of(*shape: int, low: int = 0, high: int = 255) -> Array:
    return np.random.default_rng(6).integers(low, high, shape).astype(np.uint8)


def scale(value: float = 0.02) -> Array:
    return np.float32(value).reshape(())


def zero(value: int = 7) -> Array:
    return np.uint8(value).reshape(())


IMAGE = (5, 33, 29, 31)
PADS = [1, 1, 1, 1]
ROWS = (5, 67, 131)
SEQUENCE = (9, 5, 37)
HEADS = (5, 3, 301, 40)
INDICES = np.random.default_rng(7).integers(0, 67, (5, 67, 131))

CASES = {
    "Conv 1x1": Case("Conv", [IMAGE, (70, 33, 1, 1), (70,)], constants=[1, 2]),
    "Conv 3x3": Case("Conv", [IMAGE, (70, 33, 3, 3), (70,)], {"pads": PADS}, [1, 2]),
    "Conv 3x3, few pixels": Case("Conv", [(5, 130, 5, 7), (65, 130, 3, 3)], {"pads": PADS}, [1]),
    "Conv 5x5, stride 2": Case("Conv", [IMAGE, (40, 33, 5, 5)], {"strides": [2, 2]}, [1]),
    "Conv, first layer": Case("Conv", [(5, 3, 61, 59), (32, 3, 3, 3)], {"strides": [2, 2]}, [1]),
    "Conv, depthwise": Case("Conv", [IMAGE, (33, 1, 3, 3)], {"group": 33, "pads": PADS}, [1]),
    "Conv, groups": Case("Conv", [(5, 64, 29, 31), (64, 4, 3, 3)], {"group": 16}, [1]),
    "Conv, computed weights": Case("Conv", [IMAGE, (40, 33, 3, 3)]),
    "Conv, 3 axes": Case("Conv", [(5, 9, 7, 15, 17), (24, 9, 3, 3, 3)], {}, [1]),
    "ConvTranspose": Case("ConvTranspose", [(5, 33, 15, 17), (33, 20, 4, 4)], {"strides": [2, 2]}),
    "MatMul": Case("MatMul", [(5, 67, 131), (131, 90)], {}, [1]),
    "MatMul, computed": Case("MatMul", [(5, 67, 131), (5, 131, 90)], batched=(0, 1)),
    "MatMul, one row": Case("MatMul", [(5, 1, 1031), (1031, 900)], {}, [1]),
    "Gemm": Case("Gemm", [(5, 1031), (900, 1031), (900,)], {"transB": 1}, [1, 2]),
    "Gemm, computed": Case("Gemm", [(5, 1031), (1031, 900)]),
    "Einsum": Case("Einsum", [ROWS, (5, 131, 67)], {"equation": "bij,bjk->bik"}, batched=(0, 1)),
    "MaxPool": Case("MaxPool", [IMAGE], {"kernel_shape": [3, 3], "strides": [2, 2]}),
    "AveragePool": Case("AveragePool", [IMAGE], {"kernel_shape": [3, 3], "pads": PADS}),
    "LpPool": Case("LpPool", [IMAGE], {"kernel_shape": [3, 3]}),
    "GlobalAveragePool": Case("GlobalAveragePool", [IMAGE]),
    "GlobalMaxPool": Case("GlobalMaxPool", [IMAGE]),
    "LRN": Case("LRN", [IMAGE], {"size": 5}),
    "BatchNormalization": Case(
        "BatchNormalization",
        [IMAGE, *[np.linspace(0.5, 2, 33, dtype=np.float32)] * 4],
        constants=[1, 2, 3, 4],
    ),
    "InstanceNormalization": Case("InstanceNormalization", [IMAGE, (33,), (33,)]),
    "GroupNormalization": Case("GroupNormalization", [IMAGE, (33,), (33,)], {"num_groups": 11}),
    "LayerNormalization": Case("LayerNormalization", [ROWS, (131,), (131,)]),
    "LpNormalization": Case("LpNormalization", [ROWS], {"axis": 1}),
    "MeanVarianceNormalization": Case(
        "MeanVarianceNormalization", [IMAGE], {"axes": [0, 2, 3]}, batch=None
    ),
    "Softmax": Case("Softmax", [ROWS], {"axis": -1}),
    "LogSoftmax": Case("LogSoftmax", [ROWS], {"axis": 1}),
    "ReduceSum, rows": Case("ReduceSum", [(5, 40000), np.array([1])], {}, [1]),
    "ReduceSum, columns": Case("ReduceSum", [IMAGE, np.array([2, 3])], {}, [1]),
    "ReduceSum, all": Case("ReduceSum", [(9, 40001)], batch=None),
    "ReduceMean": Case("ReduceMean", [IMAGE, np.array([1])], {}, [1]),
    "ReduceL2": Case("ReduceL2", [IMAGE, np.array([0, 2])], {}, [1], batch=None),
    "ReduceLogSumExp": Case("ReduceLogSumExp", [IMAGE, np.array([1, 2])], {}, [1]),
    "ReduceProd": Case("ReduceProd", [IMAGE, np.array([3])], {}, [1]),
    "ArgMax": Case("ArgMax", [ROWS], {"axis": 1}),
    "CumSum": Case("CumSum", [ROWS, np.int64(1).reshape(())], {}, [1]),
    "TopK": Case("TopK", [ROWS, np.array([9])], {}, [1], outputs=2),
    "Resize": Case(
        "Resize",
        [IMAGE, None, np.array([1, 1, 1.7, 2.3], np.float32)],
        {"mode": "cubic"},
        [2],
    ),
    "GridSample": Case("GridSample", [IMAGE, (5, 20, 21, 2)], batched=(0, 1)),
    "Add": Case("Add", [IMAGE, (33, 1, 1)]),
    "Div, both broadcast": Case("Div", [(5, 67, 1), (1, 67, 131)]),
    "Pow": Case("Pow", [np.abs(np.random.default_rng(1).standard_normal(ROWS)), ROWS], batch=None),
    "Tanh": Case("Tanh", [IMAGE]),
    "Gelu": Case("Gelu", [IMAGE]),
    "PRelu": Case("PRelu", [IMAGE, (33, 1, 1)]),
    "Sum": Case("Sum", [ROWS, ROWS, ROWS], batched=(0, 1, 2)),
    "Where": Case(
        "Where", [np.arange(5 * 67 * 131).reshape(ROWS) % 3 == 0, ROWS, ROWS], batch=None
    ),
    "Cast": Case("Cast", [IMAGE], {"to": 10}),
    "Transpose": Case("Transpose", [IMAGE], {"perm": [0, 3, 1, 2]}),
    "Concat": Case("Concat", [ROWS, ROWS], {"axis": 1}, batched=(0, 1)),
    "Pad": Case("Pad", [IMAGE, np.array([0, 0, 2, 3, 0, 0, 1, 4])], {"mode": "reflect"}, [1]),
    "GatherElements": Case("GatherElements", [ROWS, INDICES], {"axis": 1}, batched=(0, 1)),
    "ScatterElements": Case(
        "ScatterElements",
        [ROWS, INDICES, ROWS],
        {"axis": 1, "reduction": "add"},
        batched=(0, 1, 2),
    ),
    "ScatterND": Case(
        "ScatterND", [(67, 131), INDICES[0, :, :1], (67, 131)], {"reduction": "add"}, batch=None
    ),
    "DepthToSpace": Case("DepthToSpace", [(5, 36, 29, 31)], {"blocksize": 2}),
    "Col2Im": Case(
        "Col2Im",
        [(5, 33 * 9, 27 * 29), np.array([29, 31]), np.array([3, 3])],
        {},
        [1, 2],
    ),
    "LSTM": Case(
        "LSTM", [SEQUENCE, (1, 164, 37), (1, 164, 41)], {"hidden_size": 41}, [1, 2], 1, None
    ),
    "GRU": Case(
        "GRU", [SEQUENCE, (1, 123, 37), (1, 123, 41)], {"hidden_size": 41}, [1, 2], 1, None
    ),
    "RNN": Case("RNN", [SEQUENCE, (1, 41, 37), (1, 41, 41)], {"hidden_size": 41}, [1, 2], 1, None),
    "Attention": Case("Attention", [HEADS] * 3, {"is_causal": 1}, batched=(0, 1, 2)),
    "Attention, one query": Case(
        "Attention", [(5, 4, 1, 40), (5, 2, 301, 40), (5, 2, 301, 40)], batched=(0, 1, 2)
    ),
    "LinearAttention": Case(
        "LinearAttention",
        [(5, 9, 62), (5, 9, 62), (5, 9, 300)],
        {"update_rule": "linear", "q_num_heads": 2, "kv_num_heads": 2},
        outputs=2,
        batched=(0, 1, 2),
    ),
    "CausalConvWithState": Case(
        "CausalConvWithState", [(5, 67, 131), (67, 1, 4)], {"activation": "silu"}, [1], 2
    ),
    "QuantizeLinear": Case("QuantizeLinear", [IMAGE, scale(), zero()]),
    "DequantizeLinear": Case("DequantizeLinear", [bytes_of(*IMAGE), scale(), zero()]),
    "DynamicQuantizeLinear": Case("DynamicQuantizeLinear", [ROWS], outputs=3, batch=None),
    "MatMulInteger": Case("MatMulInteger", [bytes_of(5, 67, 131), bytes_of(131, 90)], {}, [1]),
    "QLinearConv": Case(
        "QLinearConv",
        [
            bytes_of(*IMAGE),
            scale(),
            zero(),
            bytes_of(40, 33, 3, 3),
            scale(),
            zero(),
            scale(9),
            zero(),
        ],
        {"pads": PADS},
        [3],
    ),
    "QLinearMatMul": Case(
        "QLinearMatMul",
        [
            bytes_of(5, 67, 131),
            scale(),
            zero(),
            bytes_of(131, 90),
            scale(),
            zero(),
            scale(9),
            zero(),
        ],
        {},
        [3],
    ),
}


def results(case: Case, arrays: list[Array | None], **options: Any) -> list[Array]:
    proto = model(
        case.op, arrays, outputs=case.outputs, constants=case.constants, **case.attributes
    )
    loaded = lw.load(proto, **options)
    feeds = {f"x{i}": x for i, x in enumerate(arrays) if x is not None and i not in case.constants}
    return list(loaded.run(feeds).values())


@pytest.mark.parametrize("numerics", LEVELS)
@pytest.mark.parametrize("name", CASES)
def test_threads_do_not_show(name: str, numerics: str) -> None:
    case = CASES[name]
    arrays = case.arrays()
    wanted = results(case, arrays, threads=1, numerics=numerics)
    for threads in THREADS:
        got = results(case, arrays, threads=threads, numerics=numerics)
        for one, other in zip(wanted, got, strict=True):
            assert one.tobytes() == other.tobytes(), f"{threads} threads"


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.batch is not None])
def test_a_sample_does_not_see_its_batch(name: str) -> None:
    case = CASES[name]
    arrays = case.arrays()
    together = results(case, arrays, threads=2, numerics="reproducible")
    for order in ([3], [4, 0]):
        part = [
            x[order] if x is not None and i in case.batched else x for i, x in enumerate(arrays)
        ]
        got = results(case, part, threads=2, numerics="reproducible")
        for one, other in zip(together, got, strict=True):
            assert one[order].tobytes() == other.tobytes(), f"samples {order}"
