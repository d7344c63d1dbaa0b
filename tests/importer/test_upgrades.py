"""Operators of older opsets against NumPy: each rewrite of the importer, on shapes that the file
declares and on shapes that it leaves open."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import pytest
from onnx import helper

import lanewise as lw
from tests.importer.models import make_model

Array: TypeAlias = Any  # an ndarray


@dataclass
class Case:
    """One node of an old opset.

    Attributes:
        op: the operator.
        opset: version of ai.onnx.
        inputs: arrays in order, None for an input that is left out.
        expected: what the outputs must be.
        attrs: attributes of the node.
        fixed: positions of inputs that are initialisers instead of graph inputs.
    """

    op: str
    opset: int
    inputs: list[Array | None]
    expected: list[Array]
    attrs: dict[str, Any] = field(default_factory=dict)
    fixed: tuple[int, ...] = ()


RNG = np.random.default_rng(2015)


def f(*shape: int) -> Array:
    """Seeded float32 numbers in [-1, 1)."""
    return RNG.uniform(-1, 1, shape).astype(np.float32)


def ints(*values: int) -> Array:
    """An int64 vector."""
    return np.array(values, np.int64)


def softmax_2d(x: Array, axis: int) -> Array:
    """Softmax over all dimensions from `axis` on, as before opset 13."""
    rows = x.reshape(int(np.prod(x.shape[:axis])), -1)
    e = np.exp(rows - rows.max(1, keepdims=True))
    return (e / e.sum(1, keepdims=True)).reshape(x.shape)


def hardmax_2d(x: Array) -> Array:
    """Ones at the largest of each sample, as before opset 13 with axis 1."""
    rows = x.reshape(x.shape[0], -1)
    return np.eye(rows.shape[1], dtype=x.dtype)[rows.argmax(1)].reshape(x.shape)


def group_norm(x: Array, scale: Array, bias: Array, groups: int) -> Array:
    """Group normalisation with scale and bias per group (Wu and He 2018, as in opset 18)."""
    rows = x.astype(np.float64).reshape(x.shape[0], groups, -1)
    rows = (rows - rows.mean(2, keepdims=True)) / np.sqrt(rows.var(2, keepdims=True) + 1e-5)
    return (rows * scale[:, None] + bias[:, None]).reshape(x.shape)


def lstm(x: Array, w: Array, r: Array) -> tuple[Array, Array, Array]:
    """One direction, no bias, zero states; x is [time, batch, features], gates are i, o, f, c."""

    def sigmoid(v: Array) -> Array:
        return 1 / (1 + np.exp(-v))

    h = c = np.zeros((x.shape[1], r.shape[2]))
    ys = []
    for step in x.astype(np.float64):
        i, o, forget, g = np.split(step @ w[0].T + h @ r[0].T, 4, 1)
        c = sigmoid(forget) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        ys.append(h)
    return np.stack(ys)[:, None], h[None], c[None]


def make_cases() -> dict[str, Case]:
    """All cases by name."""
    x, cases = f(2, 3, 4, 5), {}
    cases["reshape_1"] = Case("Reshape", 4, [x], [x.reshape(6, 20)], {"shape": [6, -1]})
    one = f(1, 3, 1, 4)
    cases["squeeze_1"] = Case("Squeeze", 9, [one], [one[:, :, 0]], {"axes": [2]})
    cases["squeeze_1_all"] = Case("Squeeze", 9, [one], [one.squeeze()])
    cases["squeeze_11"] = Case("Squeeze", 11, [one], [one[:, :, 0]], {"axes": [-2]})
    cases["unsqueeze_1"] = Case("Unsqueeze", 8, [x], [x[:, None, :, :, :, None]], {"axes": [1, 5]})
    cases["concat_1"] = Case("Concat", 3, [x, x], [np.concatenate([x, x], 1)])
    cases["split_2"] = Case("Split", 11, [x], [x[:, :1], x[:, 1:]], {"axis": 1, "split": [1, 2]})
    cases["split_2_equal"] = Case("Split", 2, [x], [x[:1], x[1:]])
    cases["split_13_equal"] = Case("Split", 13, [x], [x[:, :, :2], x[:, :, 2:]], {"axis": 2})
    cases["slice_1"] = Case(
        "Slice", 9, [x], [x[:, 1:3, :, 2:]], {"starts": [1, 2], "ends": [3, 1000], "axes": [1, 3]}
    )
    cases["slice_1_no_axes"] = Case(
        "Slice", 1, [x], [x[1:, :-1]], {"starts": [1, 0], "ends": [9, -1]}
    )
    padded = np.pad(x, [(0, 0), (0, 0), (1, 2), (0, 3)], constant_values=1.5)
    cases["pad_1"] = Case(
        "Pad", 1, [x], [padded], {"paddings": [0, 0, 1, 0, 0, 0, 2, 3], "value": 1.5}
    )
    cases["pad_2"] = Case(
        "Pad", 10, [x], [padded], {"pads": [0, 0, 1, 0, 0, 0, 2, 3], "value": 1.5}
    )
    cases["pad_2_reflect"] = Case(
        "Pad",
        2,
        [x],
        [np.pad(x, [(0, 0), (0, 0), (1, 2), (0, 0)], "reflect")],
        {"pads": [0, 0, 1, 0, 0, 0, 2, 0], "mode": "reflect"},
    )
    cases["tile_1"] = Case(
        "Tile",
        5,
        [x, np.array(3.0, np.float32), np.array(1.0, np.float32)],
        [np.tile(x, (1, 3, 1, 1))],
        fixed=(1, 2),
    )
    order = np.argsort(-x, axis=1, kind="stable")[:, :2]
    top = [np.take_along_axis(x, order, 1), order]
    cases["topk_1"] = Case("TopK", 9, [x], top, {"k": 2, "axis": 1})
    cases["topk_10"] = Case("TopK", 10, [x, ints(2)], top, {"axis": 1}, fixed=(1,))
    where = RNG.permuted(np.tile(np.arange(3), (2, 5, 4, 1)), axis=-1).transpose(0, 3, 2, 1)[:, :2]
    updates, scattered = f(*where.shape), x.copy()
    np.put_along_axis(scattered, where, updates, 1)
    cases["scatter_9"] = Case("Scatter", 9, [x, where, updates], [scattered], {"axis": 1})
    cases["cast_1"] = Case("Cast", 5, [x], [x.astype(np.float64)], {"to": "DOUBLE"})
    add_reductions(cases, x)
    add_arithmetic(cases, x)
    add_networks(cases, x)
    add_resampling(cases)
    return cases


def add_reductions(cases: dict[str, Case], x: Array) -> None:
    """Reductions with axes as an attribute, and Softmax over a matrix."""
    reductions: dict[str, Callable[..., Array]] = {
        "ReduceSum": np.sum,
        "ReduceMean": np.mean,
        "ReduceMax": np.max,
        "ReduceMin": np.min,
        "ReduceProd": np.prod,
        "ReduceL1": lambda v, axis, keepdims: np.abs(v).sum(axis, keepdims=keepdims),
        "ReduceL2": lambda v, axis, keepdims: np.sqrt((v * v).sum(axis, keepdims=keepdims)),
        "ReduceSumSquare": lambda v, axis, keepdims: (v * v).sum(axis, keepdims=keepdims),
        "ReduceLogSum": lambda v, axis, keepdims: np.log(v.sum(axis, keepdims=keepdims)),
        "ReduceLogSumExp": lambda v, axis, keepdims: np.log(np.exp(v).sum(axis, keepdims=keepdims)),
    }
    positive = np.abs(x) + np.float32(0.1)
    for op, function in reductions.items():
        opset = 12 if op == "ReduceSum" else 17
        expected = function(positive, axis=(1, 3), keepdims=False)
        cases[op.lower()] = Case(op, opset, [positive], [expected], {"axes": [1, 3], "keepdims": 0})
    everything = x.mean(keepdims=True)
    cases["reducemean_all"] = Case("ReduceMean", 1, [x], [everything])
    cases["softmax_1"] = Case("Softmax", 11, [x], [softmax_2d(x, 1)])
    cases["softmax_1_axis"] = Case("Softmax", 8, [x], [softmax_2d(x, 2)], {"axis": 2})
    cases["softmax_1_last"] = Case("Softmax", 1, [x], [softmax_2d(x, 3)], {"axis": 3})
    cases["logsoftmax_1"] = Case("LogSoftmax", 11, [x], [np.log(softmax_2d(x, 1))])
    cases["hardmax_1"] = Case("Hardmax", 11, [x], [hardmax_2d(x)])


def add_arithmetic(cases: dict[str, Case], x: Array) -> None:
    """Broadcasting by attribute, bounds as attributes, constants of first schemas."""
    b = np.abs(f(3, 4)) + np.float32(0.5)
    middle = b[:, :, None]
    legacy = {"broadcast": 1, "axis": 1}
    cases["add_6"] = Case("Add", 6, [x, b], [x + middle], legacy)
    cases["add_1_consumed"] = Case(
        "Add", 1, [x, b], [x + middle], {**legacy, "consumed_inputs": [0, 0]}
    )
    cases["add_6_fixed"] = Case("Add", 6, [x, b], [x + middle], legacy, fixed=(1,))
    cases["add_6_negative"] = Case("Add", 6, [x, b], [x + middle], {"broadcast": 1, "axis": -3})
    cases["add_6_suffix"] = Case("Add", 6, [x, x[0, 0]], [x + x[0, 0]], {"broadcast": 1})
    cases["add_6_same"] = Case("Add", 6, [x, x], [x + x])
    cases["sub_6"] = Case("Sub", 6, [x, b], [x - middle], legacy)
    cases["mul_6"] = Case("Mul", 6, [x, b], [x * middle], legacy)
    cases["div_6"] = Case("Div", 6, [x, b], [x / middle], legacy)
    cases["pow_1"] = Case("Pow", 6, [np.abs(x), b], [np.abs(x) ** middle], legacy)
    p, q = x > 0, b > 1
    cases["and_1"] = Case("And", 6, [p, q], [p & q[:, :, None]], legacy)
    cases["or_1"] = Case("Or", 6, [p, q], [p | q[:, :, None]], legacy)
    cases["xor_1"] = Case("Xor", 6, [p, q], [p ^ q[:, :, None]], legacy)
    i, j = RNG.integers(0, 3, (2, 3, 4)), RNG.integers(0, 3, 3)
    cases["equal_1"] = Case("Equal", 6, [i, j], [i == j[:, None]], legacy)
    cases["greater_1"] = Case("Greater", 6, [x, b], [x > middle], legacy)
    cases["less_1"] = Case("Less", 6, [x, b], [x < middle], legacy)
    a, w, c = f(3, 4), f(4, 5), f(5)
    cases["gemm_6"] = Case("Gemm", 6, [a, w, c], [a @ w + c], {"broadcast": 1})
    slope = f(3)
    bent = np.where(x < 0, x * slope[:, None, None], x)
    cases["prelu_6"] = Case("PRelu", 6, [x, slope], [bent])
    cases["prelu_6_fixed"] = Case("PRelu", 6, [x, slope], [bent], fixed=(1,))
    cases["prelu_6_shared"] = Case(
        "PRelu", 6, [x, slope[:1]], [np.where(x < 0, x * slope[0], x)], fixed=(1,)
    )
    cases["clip_6"] = Case("Clip", 6, [x], [x.clip(-0.25, 0.5)], {"min": -0.25, "max": 0.5})
    cases["clip_6_min"] = Case("Clip", 10, [x], [x.clip(0)], {"min": 0.0})
    cases["clip_6_none"] = Case("Clip", 10, [x], [x])
    half = x.astype(np.float16)
    cases["clip_6_half"] = Case(
        "Clip", 6, [half], [half.clip(-0.25, 0.5)], {"min": -0.25, "max": 0.5}
    )
    alpha, gamma = np.float32(1.6732), np.float32(1.0507)
    cases["selu_1"] = Case(
        "Selu", 5, [x], [np.where(x > 0, gamma * x, gamma * alpha * np.expm1(x))]
    )
    cases["relu_1_consumed"] = Case("Relu", 1, [x], [np.maximum(x, 0)], {"consumed_inputs": [0]})
    cases["imagescaler"] = Case(
        "ImageScaler",
        7,
        [x],
        [x * 2 + np.array([1, 2, 3], np.float32)[:, None, None]],
        {"scale": 2.0, "bias": [1.0, 2.0, 3.0]},
    )
    cases["affine"] = Case("Affine", 7, [x], [x * 2 - 1], {"alpha": 2.0, "beta": -1.0})
    cases["crop"] = Case("Crop", 7, [x], [x[:, :, 1:-1, 2:]], {"border": [2, 1, 0, 1]})
    cases["crop_scale"] = Case(
        "Crop", 7, [x], [x[:, :, 1:3, 2:4]], {"border": [2, 1, 0, 0], "scale": [2, 2]}
    )
    cases["scaledtanh"] = Case(
        "ScaledTanh", 1, [x], [1.5 * np.tanh(0.5 * x)], {"alpha": 1.5, "beta": 0.5}
    )
    cases["parametricsoftplus"] = Case(
        "ParametricSoftplus", 1, [x], [1.5 * np.log1p(np.exp(0.5 * x))], {"alpha": 1.5, "beta": 0.5}
    )


def add_networks(cases: dict[str, Case], x: Array) -> None:
    """Normalisation, dropout, recurrent and pooling operators."""
    scale, bias, mean, var = f(3), f(3), f(3), np.abs(f(3)) + np.float32(0.5)
    normal = (x - mean[:, None, None]) / np.sqrt(var[:, None, None] + 1e-5)
    normal = normal * scale[:, None, None] + bias[:, None, None]
    statistics: list[Array | None] = [x, scale, bias, mean, var]
    cases["batchnorm_1"] = Case(
        "BatchNormalization", 1, statistics, [normal], {"is_test": 1, "consumed_inputs": [0] * 5}
    )
    cases["batchnorm_7"] = Case("BatchNormalization", 7, statistics, [normal], {"spatial": 1})
    cases["batchnorm_9"] = Case("BatchNormalization", 9, statistics, [normal])
    each: list[Array | None] = [
        x,
        f(3, 4, 5),
        f(3, 4, 5),
        f(3, 4, 5),
        np.abs(f(3, 4, 5)) + np.float32(0.5),
    ]
    _, s, b, m, v = each
    expected = (x - m) / np.sqrt(v + np.float32(1e-3)) * s + b
    cases["batchnorm_7_per_element"] = Case(
        "BatchNormalization", 7, each, [expected], {"spatial": 0, "epsilon": 1e-3}
    )
    wide, group_scale, group_bias = f(2, 6, 4, 3), f(2), f(2)
    cases["groupnorm_18"] = Case(
        "GroupNormalization",
        18,
        [wide, group_scale, group_bias],
        [group_norm(wide, group_scale, group_bias, 2)],
        {"num_groups": 2},
    )
    ones = np.ones(x.shape, np.float32)
    cases["dropout_1"] = Case(
        "Dropout", 1, [x], [x], {"is_test": 1, "ratio": 0.3, "consumed_inputs": [0]}
    )
    cases["dropout_7_mask"] = Case("Dropout", 7, [x], [x, ones], {"ratio": 0.3})
    cases["dropout_10_mask"] = Case("Dropout", 10, [x], [x, ones > 0], {"ratio": 0.3})
    cases["dropout_12"] = Case(
        "Dropout", 12, [x, np.array(0.3, np.float32)], [x, ones > 0], fixed=(1,)
    )
    no, never = np.array(False), np.array(0.0, np.float32)
    cases["dropout_13_no_training"] = Case("Dropout", 13, [x, None, no], [x], fixed=(2,))
    cases["dropout_13_zero_ratio"] = Case("Dropout", 13, [x, never, ~no], [x, ones > 0])
    sequence, w, r = f(4, 2, 3), f(1, 20, 3), f(1, 20, 5)
    y, h, c = lstm(sequence, w, r)
    cases["lstm_1"] = Case(
        "LSTM", 6, [sequence, w, r], [y, h, c], {"hidden_size": 5, "output_sequence": 1}
    )
    powers = np.abs(x) ** 3
    cases["globallppool_1"] = Case(
        "GlobalLpPool", 1, [x], [powers.sum((2, 3), keepdims=True) ** np.float32(1 / 3)], {"p": 3.0}
    )


def add_resampling(cases: dict[str, Case]) -> None:
    """Upsample, and Resize before it had coordinate modes."""
    x = f(1, 2, 2, 3)
    nearest = x.repeat(2, 2).repeat(3, 3)
    scales = np.array([1, 1, 2, 3], np.float32)
    cases["upsample_1"] = Case(
        "Upsample", 6, [x], [nearest], {"height_scale": 2.0, "width_scale": 3.0}
    )
    cases["upsample_7"] = Case("Upsample", 7, [x], [nearest], {"scales": [1.0, 1.0, 2.0, 3.0]})
    cases["upsample_9"] = Case("Upsample", 9, [x, scales], [nearest], fixed=(1,))
    cases["upsample_10"] = Case("Upsample", 10, [x, scales], [nearest], fixed=(1,))
    cases["resize_10"] = Case("Resize", 10, [x, scales], [nearest], fixed=(1,))
    square = np.array([[[[1, 2], [3, 4]]]], np.float32)
    linear = np.array([[1, 1.5, 2, 2], [2, 2.5, 3, 3], [3, 3.5, 4, 4], [3, 3.5, 4, 4]], np.float32)
    twice = np.array([1, 1, 2, 2], np.float32)
    cases["upsample_1_bilinear"] = Case(
        "Upsample",
        6,
        [square],
        [linear[None, None]],
        {"height_scale": 2.0, "width_scale": 2.0, "mode": "bilinear"},
    )
    cases["upsample_9_linear"] = Case(
        "Upsample", 9, [square, twice], [linear[None, None]], {"mode": "linear"}, fixed=(1,)
    )
    cases["resize_10_linear"] = Case(
        "Resize", 10, [square, twice], [linear[None, None]], {"mode": "linear"}, fixed=(1,)
    )
    # The values of ONNX's own test of Resize-10: shrinking takes the next element.
    eight = np.arange(1, 9, dtype=np.float32).reshape(1, 1, 2, 4)
    shrink = np.array([1, 1, 0.6, 0.6], np.float32)
    cases["resize_10_shrink"] = Case(
        "Resize", 10, [eight, shrink], [np.array([[[[1, 3]]]], np.float32)], fixed=(1,)
    )


CASES = make_cases()


@pytest.mark.parametrize("symbolic", [False, True], ids=["declared", "open"])
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_old_opset(case: Case, symbolic: bool) -> None:
    """The rewritten node computes what its own opset says."""
    names = ["" if a is None else f"in{i}" for i, a in enumerate(case.inputs)]
    arrays = {n: a for n, a in zip(names, case.inputs, strict=True) if a is not None}
    fixed = {f"in{i}": arrays.pop(f"in{i}") for i in case.fixed}
    outputs = [f"out{i}" for i in range(len(case.expected))]
    node = helper.make_node(case.op, names, outputs, **case.attrs)
    ir_version = 3 if case.opset < 9 else 8
    model = make_model(
        [node],
        arrays,
        outputs,
        opset=case.opset,
        constants=fixed,
        symbolic=symbolic,
        ir_version=ir_version,
    )
    results = lw.load(model).run(arrays)
    for name, expected in zip(outputs, case.expected, strict=True):
        assert results[name].shape == expected.shape
        if expected.dtype.kind in "bi":
            assert results[name].dtype == expected.dtype
            np.testing.assert_array_equal(results[name], expected)
        else:
            tolerance = 2e-3 if results[name].dtype == np.float16 else 2e-6
            np.testing.assert_allclose(results[name], expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
def test_dropout_in_training_draws_a_mask(dtype: str) -> None:
    x, ratio = f(40, 25).astype(dtype), np.array(0.25, np.float32)
    given = {"x": x, "r": ratio, "t": np.array(True)}
    node = helper.make_node("Dropout", ["x", "r", "t"], ["y", "mask"], name="drop", seed=7)
    model = lw.load(make_model([node], given, ["y", "mask"]))
    y, mask = model.run(given).values()
    np.testing.assert_array_equal(mask, np.random.RandomState(7).uniform(size=x.shape) >= 0.25)
    np.testing.assert_allclose(y, np.where(mask, x / np.float64(0.75), 0), rtol=1e-3)
    y, mask = model.run({**given, "t": np.array(False)}).values()
    np.testing.assert_array_equal(y, x)
    assert mask.all()
    with pytest.raises(lw.ModelError, match=r"'drop' \(Dropout\): the ratio is 1"):
        model.run({**given, "r": np.array(1, np.float32)})
    node.attribute.clear()
    free = lw.load(make_model([node], given, ["y", "mask"]))
    assert (free.run(given)["mask"] != free.run(given)["mask"]).any()


def test_scan_of_opset_8_takes_each_sample_by_itself() -> None:
    body = helper.make_graph(
        [helper.make_node("Add", ["s", "i"], ["t"]), helper.make_node("Neg", ["t"], ["o"])],
        "body",
        [helper.make_empty_tensor_value_info(name) for name in ("s", "i")],
        [helper.make_empty_tensor_value_info(name) for name in ("t", "o")],
    )
    given = {"num_scan_inputs": 1, "directions": [1], "body": body}
    x, start = f(2, 3, 4), f(2, 4)
    node = helper.make_node("Scan", ["", "start", "x"], ["end", "y"], name="loop", **given)
    feeds = {"start": start, "x": x}
    end, y = lw.load(make_model([node], feeds, ["end", "y"], opset=8)).run(feeds).values()
    sums = start[:, None] + np.cumsum(x[:, ::-1], axis=1)
    np.testing.assert_allclose(end, sums[:, -1], rtol=1e-6)
    np.testing.assert_allclose(y, -sums, rtol=1e-6)
