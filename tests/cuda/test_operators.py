"""Operators on a stand-in of the GPU, against the CPU path, in both layouts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import lanewise as lw
from tests.cuda.standin import StandIn
from tests.ops.one_node import Array, model

F32 = np.float32


def drawn(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).normal(size=shape).astype(F32)


def positive(*shape: int) -> Array:
    return np.abs(drawn(*shape)) + F32(0.5)


def ints(*values: Any) -> Array:
    return np.array(values, np.int64)


def check(
    standin: StandIn,
    op: str,
    inputs: list[Array | None],
    *,
    bound: float = 2e-6,
    **options: Any,
) -> None:
    """Runs a node on both devices; the node must run on the GPU, and twice: enqueued, captured."""
    proto = model(op, inputs, **options)
    constants = options.get("constants", ())
    feeds = {f"x{i}": x for i, x in enumerate(inputs) if x is not None and i not in constants}
    on_gpu, on_cpu = lw.load(proto, device="cuda"), lw.load(proto)
    plan = on_gpu.describe({name: x.shape for name, x in feeds.items()})
    stayed = [(layer.op, layer.refused) for layer in plan.layers if layer.device == "cpu"]
    assert stayed == []
    wanted = on_cpu.run(feeds)
    for _ in range(3):
        for name, value in on_gpu.run(feeds).items():
            want = wanted[name]
            assert value.dtype == want.dtype and value.shape == want.shape
            if want.dtype.kind == "f":
                scale = max(1.0, float(np.max(np.abs(want[np.isfinite(want)]), initial=0)))
                np.testing.assert_allclose(value, want, rtol=bound, atol=bound * scale)
            else:
                np.testing.assert_array_equal(value, want)


UNARY = [
    "Relu", "LeakyRelu", "Elu", "Selu", "Celu", "Sigmoid", "Tanh", "HardSigmoid", "HardSwish",
    "Softplus", "Softsign", "Gelu", "Mish", "ThresholdedRelu", "Shrink", "Abs", "Neg", "Sign",
    "Erf", "Exp", "Floor", "Ceil", "Round", "Sin", "Cos", "Tan", "Atan", "Sinh", "Cosh", "Asinh",
    "IsNaN",
]  # fmt: skip


@pytest.mark.parametrize("op", UNARY)
def test_functions_of_one_operand(standin: StandIn, op: str) -> None:
    x = drawn(2, 5, 3, 7) * F32(2)
    x[0, 0, 0, :3] = [0.0, np.inf, -np.inf]
    if op in ("Sin", "Cos", "Tan"):
        x = drawn(2, 5, 3, 7)
    check(standin, op, [x], channels_last=True)


@pytest.mark.parametrize("op", ["Sqrt", "Log", "Reciprocal", "Acosh"])
def test_functions_of_positive_numbers(standin: StandIn, op: str) -> None:
    check(standin, op, [positive(3, 5) + F32(op == "Acosh")])


@pytest.mark.parametrize("op", ["Asin", "Acos", "Atanh"])
def test_functions_of_fractions(standin: StandIn, op: str) -> None:
    check(standin, op, [np.tanh(drawn(3, 5)) * F32(0.9)])


def test_gelu_by_tanh(standin: StandIn) -> None:
    check(standin, "Gelu", [drawn(5, 7)], approximate="tanh")


def test_infinities(standin: StandIn) -> None:
    x = np.tile(np.array([1.0, np.inf, -np.inf, np.nan], F32), 1100)
    for positive_ones, negative_ones in ((1, 1), (1, 0), (0, 1)):
        attributes = {"detect_positive": positive_ones, "detect_negative": negative_ones}
        check(standin, "IsInf", [x], **attributes)


PAIRS = [((2, 5, 3, 4), (2, 5, 3, 4)), ((2, 5, 3, 4), (5, 1, 1)), ((5, 1, 4), (2, 5, 3, 1)),
         ((2, 5, 3, 4), (1,)), ((7,), (7,)), ((2, 1, 3, 1), (1, 5, 1, 4))]  # fmt: skip


@pytest.mark.parametrize("shapes", PAIRS)
@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("op", ["Add", "Sub", "Mul", "Div", "Max", "PRelu", "Mod"])
def test_functions_of_two(
    standin: StandIn, op: str, shapes: tuple[tuple[int, ...], ...], channels_last: bool
) -> None:
    a, b = drawn(*shapes[0]), positive(*shapes[1])
    attributes = {"fmod": 1} if op == "Mod" else {}
    if op == "PRelu" and np.broadcast_shapes(*shapes) != shapes[0]:
        pytest.skip("a slope does not enlarge its input")
    check(standin, op, [a, b], channels_last=channels_last, bound=1e-5, **attributes)


def test_comparisons(standin: StandIn) -> None:
    for op in ("Equal", "Greater", "Less", "GreaterOrEqual", "LessOrEqual"):
        a, b = np.round(drawn(2, 50, 9, 8) * 2), np.round(drawn(50, 1, 8, seed=1) * 2)
        check(standin, op, [a, b], channels_last=True)
        check(standin, op, [a.astype(np.int64), b.astype(np.int64)])


def test_powers(standin: StandIn) -> None:
    for power in (2.0, 0.5, 3.0, 1.7):
        check(standin, "Pow", [positive(3, 5), np.array(power, F32)], constants=[1])
    check(standin, "Pow", [drawn(3, 5), ints(3)], constants=[1])


def test_integers_and_bools(standin: StandIn) -> None:
    rng = np.random.default_rng(0)
    a = rng.integers(-9, 9, (90, 50)).astype(np.int64)
    b = rng.integers(1, 9, (50,)).astype(np.int64)
    for op in ("Add", "Sub", "Mul", "Div", "Mod", "Equal", "Less", "Max", "Min"):
        check(standin, op, [a.astype(np.int32), b.astype(np.int32)])
        check(standin, op, [a, b])
    for op in ("And", "Or", "Xor"):
        check(standin, op, [a > 0, b > 4])
    check(standin, "Not", [a > 0])


@pytest.mark.parametrize("op", ["Sum", "Max", "Min", "Mean"])
def test_many_operands(standin: StandIn, op: str) -> None:
    arrays: list[Array | None] = [drawn(2, 3, 4, 5), drawn(3, 1, 1, seed=1), drawn(5, seed=2)]
    check(standin, op, arrays, channels_last=True)


def test_where_clip_cast(standin: StandIn) -> None:
    x = drawn(2, 3, 40, 50)
    check(standin, "Where", [x > 0, x, drawn(3, 1, 1, seed=1)])
    check(standin, "Clip", [x, np.array(-0.5, F32), np.array(0.7, F32)], constants=[1, 2])
    check(standin, "Clip", [x, None, np.array(0.7, F32)])
    for to in (np.int32, np.int64, np.uint8, np.bool_, np.float64, np.float16):
        code = {np.int32: 6, np.int64: 7, np.uint8: 2, np.bool_: 9, np.float64: 11, np.float16: 10}
        check(standin, "Cast", [np.abs(x) * F32(9)], to=code[to])
    check(standin, "Cast", [(x * 100).astype(np.int64)], to=1)


MOVES: list[tuple[str, list[Array | None], dict[str, Any]]] = [
    ("Transpose", [drawn(2, 37, 45)], {"perm": [0, 2, 1]}),
    ("Transpose", [drawn(3, 4, 5, 6)], {"perm": [3, 1, 0, 2]}),
    ("Transpose", [drawn(33, 70)], {}),
    ("Concat", [drawn(2, 3, 4, 5), drawn(2, 1, 4, 5), drawn(2, 6, 4, 5)], {"axis": 1}),
    ("Concat", [drawn(2, 3, 4), drawn(2, 3, 2)], {"axis": -1}),
    ("Slice", [drawn(4, 9, 8, 7), ints(1, 5, 6), ints(3, 0, -8), ints(0, 1, 3), ints(1, -2, -1)],
     {"constants": [1, 2, 3, 4]}),
    ("Expand", [drawn(3, 1, 5), ints(2, 3, 4, 5)], {"constants": [1]}),
    ("Tile", [drawn(2, 3, 4, 2), ints(2, 1, 3, 2)], {"constants": [1]}),
    ("DepthToSpace", [drawn(2, 12, 3, 5)], {"blocksize": 2}),
    ("DepthToSpace", [drawn(2, 12, 3, 5)], {"blocksize": 2, "mode": "CRD"}),
    ("SpaceToDepth", [drawn(2, 3, 4, 6)], {"blocksize": 2}),
    ("Pad", [drawn(2, 3, 4, 5), ints(0, 1, 2, 0, 0, 0, 1, 3), np.array(1.5, F32)],
     {"constants": [1, 2]}),
    ("Pad", [drawn(2, 3, 4, 5), ints(0, 0, 2, 3, 0, 0, 1, 3)],
     {"constants": [1], "mode": "reflect"}),
    ("Pad", [drawn(2, 3, 4, 5), ints(0, 0, 2, -3, 0, 0, 1, 3)], {"constants": [1], "mode": "edge"}),
    ("Resize", [drawn(1, 3, 5, 4), None, np.array([1, 1, 2, 3], F32)],
     {"constants": [2], "mode": "nearest"}),
    ("Resize", [drawn(2, 3, 5, 4), None, None, ints(2, 3, 9, 3)],
     {"constants": [3], "mode": "linear"}),
    ("Resize", [drawn(2, 3, 6, 7), None, np.array([1, 1, 1.6, 0.7], F32)],
     {"constants": [2], "mode": "cubic"}),
]  # fmt: skip


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize(("op", "inputs", "attributes"), MOVES)
def test_moves(
    standin: StandIn,
    op: str,
    inputs: list[Array | None],
    attributes: dict[str, Any],
    channels_last: bool,
) -> None:
    check(standin, op, inputs, channels_last=channels_last, **attributes)


def test_moves_of_other_types(standin: StandIn) -> None:
    for dtype in (np.uint8, np.float16, np.int64, np.bool_):
        x = (drawn(3, 70, 41) * 9).astype(dtype)
        check(standin, "Transpose", [x], perm=[0, 2, 1])
        check(standin, "Transpose", [x], perm=[1, 0, 2])


def test_split(standin: StandIn) -> None:
    check(standin, "Split", [drawn(2, 7, 3, 4), ints(3, 1, 3)], constants=[1], outputs=3, axis=1)
    check(standin, "Split", [drawn(2, 7, 3)], outputs=3, axis=1, num_outputs=3)


POOLS: list[dict[str, Any]] = [
    {"kernel_shape": [3, 2], "strides": [2, 1], "pads": [1, 0, 1, 1]},
    {"kernel_shape": [2, 2], "strides": [3, 3], "ceil_mode": 1},
    {"kernel_shape": [2, 3], "dilations": [2, 1], "auto_pad": "SAME_UPPER"},
]


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("attributes", POOLS)
@pytest.mark.parametrize("op", ["MaxPool", "AveragePool", "LpPool"])
def test_pooling(
    standin: StandIn, op: str, attributes: dict[str, Any], channels_last: bool
) -> None:
    x = drawn(2, 37, 9, 8)
    check(standin, op, [x], channels_last=channels_last, **attributes)
    if op == "AveragePool":
        check(standin, op, [x], count_include_pad=1, **attributes)


def test_pooling_of_one_and_three_axes(standin: StandIn) -> None:
    check(standin, "MaxPool", [drawn(2, 3, 11)], kernel_shape=[3], strides=[2])
    check(standin, "AveragePool", [drawn(1, 5, 4, 6, 7)], kernel_shape=[2, 3, 2], pads=[1] * 6)


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("shape", [(2, 70, 5, 7), (1, 3, 40, 33), (3, 5, 9)])
@pytest.mark.parametrize("op", ["GlobalAveragePool", "GlobalMaxPool"])
def test_global_pooling(
    standin: StandIn, op: str, shape: tuple[int, ...], channels_last: bool
) -> None:
    check(standin, op, [drawn(*shape)], channels_last=channels_last)


REDUCTIONS = ["Sum", "Mean", "Max", "Min", "Prod", "L1", "L2", "LogSum", "LogSumExp", "SumSquare"]


@pytest.mark.parametrize("axes", [[1], [0, 2], [2, 3], [-1], [0, 1, 2, 3]])
@pytest.mark.parametrize("name", REDUCTIONS)
def test_reductions(standin: StandIn, name: str, axes: list[int]) -> None:
    x = positive(3, 5, 4, 7)
    options: dict[str, Any] = {"constants": [1], "bound": 2e-5}
    check(standin, f"Reduce{name}", [x, ints(*axes)], channels_last=True, **options)
    check(standin, f"Reduce{name}", [x, ints(*axes)], keepdims=0, **options)


def test_long_reductions(standin: StandIn) -> None:
    x = drawn(3, 2, 4001)
    check(standin, "ReduceMax", [x, ints(-1)], constants=[1])
    check(standin, "ReduceLogSumExp", [x, ints(2)], constants=[1])
    check(standin, "ReduceSumSquare", [x, ints(0, 1)], constants=[1])


@pytest.mark.parametrize("op", ["ArgMax", "ArgMin"])
def test_places_of_extremes(standin: StandIn, op: str) -> None:
    x = np.round(drawn(70, 61, 80) * 3).astype(F32)  # with ties
    for axis in (0, 1, 2):
        check(standin, op, [x], axis=axis)
        check(standin, op, [x], axis=axis, select_last_index=1, keepdims=0)


@pytest.mark.parametrize("op", ["Softmax", "LogSoftmax"])
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_softmax(standin: StandIn, op: str, axis: int) -> None:
    check(standin, op, [drawn(3, 37, 4, 5)], axis=axis, channels_last=True)
    check(standin, op, [drawn(3, 1001) * F32(20)], axis=axis, bound=2e-5)


def test_row_norms(standin: StandIn) -> None:
    x, scale, bias = drawn(3, 7, 35), positive(35), drawn(35, seed=1)
    check(standin, "LayerNormalization", [x, scale, bias], bound=2e-5, outputs=3)
    check(standin, "LayerNormalization", [x + F32(50), positive(7, 35)], axis=1, bound=2e-4)
    check(standin, "RMSNormalization", [x, scale], bound=2e-5)


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("shape", [(2, 6, 5, 7), (1, 36, 40, 41), (2, 4, 3)])
def test_channel_norms(standin: StandIn, shape: tuple[int, ...], channels_last: bool) -> None:
    x, scale, bias = drawn(*shape) + F32(3), positive(shape[1]), drawn(shape[1], seed=1)
    options: dict[str, Any] = {"channels_last": channels_last, "bound": 2e-5}
    check(standin, "InstanceNormalization", [x, scale, bias], **options)
    check(standin, "GroupNormalization", [x, scale, bias], num_groups=2, **options)
    statistics: list[Array | None] = [x, scale, bias, drawn(shape[1], seed=2), positive(shape[1])]
    check(standin, "BatchNormalization", statistics, constants=[1, 2, 3, 4], **options)
    if len(shape) == 4:
        check(standin, "LRN", [x], size=4, alpha=0.3, bias=1.5, **options)
        check(standin, "LRN", [x], size=5, alpha=0.3, beta=0.6, **options)


def test_gathering(standin: StandIn) -> None:
    x = drawn(5, 6, 7)
    check(standin, "Gather", [x, ints([0, -1], [3, 2])], axis=1)
    check(standin, "Gather", [x, ints(4).astype(np.int32)], axis=0)
    index = np.random.default_rng(0).integers(-6, 6, (5, 4, 7))
    check(standin, "GatherElements", [x, index], axis=1)
    check(standin, "GatherND", [x, ints([0, 1], [-1, 2])])
    check(standin, "GatherND", [x, ints([1], [2], [0], [5], [-6])], batch_dims=1)
    check(standin, "ScatterND", [x, ints([0, 1], [-1, 2]), drawn(2, 7, seed=1)])
    check(standin, "ScatterElements", [x, index[:, :1], drawn(5, 1, 7, seed=1)], axis=1)


def test_an_index_outside_is_told(standin: StandIn) -> None:
    proto = model("Gather", [drawn(5, 6), ints(0)], axis=1)
    net = lw.load(proto, device="cuda")
    for _ in range(3):
        with pytest.raises(lw.ModelError, match=r"under test.*outside the input of shape"):
            net.run({"x0": drawn(5, 6), "x1": ints(6)})
        net.run({"x0": drawn(5, 6), "x1": ints(-6)})


TRANSPOSED: list[tuple[tuple[int, ...], tuple[int, ...], dict[str, Any]]] = [
    ((2, 6, 5, 4), (6, 5, 3, 3), {"strides": [2, 2], "pads": [1, 1, 1, 1]}),
    ((1, 6, 5, 4), (6, 4, 2, 3), {"group": 3, "strides": [3, 1], "output_padding": [1, 0]}),
    ((1, 4, 7), (4, 3, 4), {"dilations": [2]}),
    ((1, 2, 3, 4, 3), (2, 3, 2, 2, 2), {"strides": [2, 2, 2]}),
]


@pytest.mark.parametrize(("x", "w", "attributes"), TRANSPOSED)
def test_transposed_convolution(
    standin: StandIn, x: tuple[int, ...], w: tuple[int, ...], attributes: dict[str, Any]
) -> None:
    bias = drawn(w[1] * attributes.get("group", 1), seed=2)
    arrays: list[Array | None] = [drawn(*x), drawn(*w, seed=1), bias]
    check(standin, "ConvTranspose", arrays, constants=[1, 2], bound=1e-5, **attributes)


@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
@pytest.mark.parametrize(("op", "gates"), [("LSTM", 4), ("GRU", 3), ("RNN", 1)])
def test_recurrent(standin: StandIn, op: str, gates: int, direction: str) -> None:
    steps, batch, size, hidden = 5, 3, 6, 37
    d = 2 if direction == "bidirectional" else 1
    arrays: list[Array | None] = [
        drawn(steps, batch, size), drawn(d, gates * hidden, size, seed=1) * F32(0.3),
        drawn(d, gates * hidden, hidden, seed=2) * F32(0.3), drawn(d, 2 * gates * hidden, seed=3),
        None, drawn(d, batch, hidden, seed=4),
    ]  # fmt: skip
    if op == "LSTM":
        arrays.append(drawn(d, batch, hidden, seed=5))
    options: dict[str, Any] = {"constants": [1, 2, 3], "bound": 1e-5, "direction": direction,
                               "hidden_size": hidden}  # fmt: skip
    check(standin, op, arrays, outputs=3 if op == "LSTM" else 2, **options)
    check(standin, op, arrays[:4], outputs=1, **options)
    if op == "GRU":
        check(standin, op, arrays, outputs=2, linear_before_reset=1, **options)


def test_peepholes(standin: StandIn) -> None:
    x, w, r = drawn(4, 2, 5), drawn(1, 24, 5, seed=1), drawn(1, 24, 6, seed=2)
    arrays: list[Array | None] = [x, w, r, None, None, None, None, drawn(1, 18, seed=3)]
    check(standin, "LSTM", arrays, constants=[1, 2, 7], hidden_size=6, outputs=3, bound=1e-5)


def test_quantisation(standin: StandIn) -> None:
    x, scale = drawn(2, 9, 30, 20) * F32(40), positive(9)
    for dtype in (np.uint8, np.int8):
        zeros = np.arange(9).astype(dtype)
        for s, z in ((scale[:1].reshape(()), zeros[3:4].reshape(())), (scale, zeros)):
            check(standin, "QuantizeLinear", [x, s, z], constants=[1, 2], axis=1)
            codes = np.clip(x, 0, 100).astype(dtype)
            check(standin, "DequantizeLinear", [codes, s, z], constants=[1, 2], axis=1)
    check(standin, "QuantizeLinear", [x, scale[0]], constants=[1])


def test_regions(standin: StandIn) -> None:
    rois = np.array([[0, 1, 1, 9, 7], [1, 0, 0, 4, 12], [0, 6, 3, 6, 3]], F32)
    for channels_last in (False, True):
        arrays: list[Array | None] = [drawn(2, 35, 9, 11), rois]
        options: dict[str, Any] = {"pooled_shape": [3, 2], "spatial_scale": 0.7}
        check(standin, "MaxRoiPool", arrays, channels_last=channels_last, **options)
