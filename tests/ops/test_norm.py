"""Normalisations against their definitions in float64, both layouts, every ISA and thread count."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import helper

import lanewise as lw
from tests.ops.one_node import ISAS, fails, model, run

Array = NDArray[Any]
EPS = float(np.finfo(np.float32).eps)
SHAPES = [(2, 5), (2, 3, 7), (1, 37, 5, 6), (3, 64, 2, 2), (2, 6, 130, 90), (1, 16, 3, 4, 5)]


def per_channel(v: Array, rank: int) -> Array:
    return v.astype(np.float64).reshape(-1, *[1] * (rank - 2))


def normalised(
    x: Array,
    axes: Sequence[int],
    scale: Array,
    bias: Array,
    epsilon: float = 1e-5,
    added: float = 0,
) -> tuple[Array, Array]:
    """The result in float64, and the error that float32 may make.

    The difference from a mean rounded to float32 errs by an ulp of the mean; difference, product
    and sum round once each, the factor once or twice.
    """
    x = x.astype(np.float64)
    mean = x.mean(tuple(axes), keepdims=True)
    deviation = np.sqrt(x.var(tuple(axes), keepdims=True) + epsilon) + added
    y = (x - mean) / deviation * scale
    bound = 4 * EPS * (np.abs(y) + np.abs(bias) + np.abs(mean / deviation * scale)) + 1e-30
    # Statistics: chunks of 64 float32 additions; their error moves all results of a group alike.
    spread = np.abs(x - mean).mean(tuple(axes), keepdims=True) + np.abs(mean)
    return y + bias, bound + 70 * EPS * (np.abs(y) + spread / deviation * np.abs(scale))


def check(
    op: str, inputs: list[Array], expected: Array, bound: Array, isa: str, **options: Any
) -> None:
    """float32 within the bound in both layouts, equal bits for any threads; float64 closely."""
    for channels_last in (False, True):
        results = [
            run(op, inputs, isa=isa, threads=threads, channels_last=channels_last, **options)
            for threads in (1, 2, 3)
        ]
        for result in results[1:]:
            np.testing.assert_array_equal(results[0], result)
        error = np.abs(results[0] - expected)
        assert np.all(error <= bound), f"{op}: error {error.max()}"
    wide = run(op, [v.astype(np.float64) for v in inputs], isa=isa, **options)
    np.testing.assert_allclose(wide, expected, rtol=1e-11, atol=1e-11)


def samples(seed: int, shape: Sequence[int]) -> tuple[Array, Array, Array]:
    """Channels of different mean and spread, scale and bias."""
    rng = np.random.default_rng(seed)
    channels = shape[1]
    mean, spread = rng.normal(0, 5, channels), rng.uniform(0.5, 2, channels)
    x = rng.normal(0, 1, shape) * per_channel(spread, len(shape)) + per_channel(mean, len(shape))
    scale, bias = rng.normal(1, 0.5, channels), rng.normal(0, 1, channels)
    return x.astype(np.float32), scale.astype(np.float32), bias.astype(np.float32)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("shape", SHAPES[1:])
def test_instance(shape: Sequence[int], isa: str) -> None:
    x, scale, bias = samples(1, shape)
    rank = len(shape)
    y, bound = normalised(x, range(2, rank), per_channel(scale, rank), per_channel(bias, rank))
    check("InstanceNormalization", [x, scale, bias], y, bound, isa)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("groups", [1, 2, 32])
def test_group(groups: int, isa: str) -> None:
    for shape in [(2, 64, 5, 3), (1, 32, 40, 33), (2, 96, 4)]:
        x, scale, bias = samples(2, shape)
        rank = len(shape)
        parts = [scale, bias]
        split = (shape[0], groups, -1)
        zero, one = np.zeros(1), np.ones(1)
        plain, _ = normalised(x.reshape(split), [2], one, zero)
        y = plain.reshape(shape) * per_channel(scale, rank) + per_channel(bias, rank)
        wide_scale = np.broadcast_to(per_channel(scale, rank), shape).reshape(split)
        wide_bias = np.broadcast_to(per_channel(bias, rank), shape).reshape(split)
        _, bound = normalised(x.reshape(split), [2], wide_scale, wide_bias)
        check("GroupNormalization", [x, *parts], y, bound.reshape(shape), isa, num_groups=groups)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("constants", [(), (1, 2, 3, 4)])
def test_batch(constants: Sequence[int], shape: Sequence[int], isa: str) -> None:
    x, scale, bias = samples(3, shape)
    rng = np.random.default_rng(4)
    mean = rng.normal(0, 5, shape[1]).astype(np.float32)
    variance = rng.uniform(0.1, 4, shape[1]).astype(np.float32)
    rank = len(shape)
    m, a, b = (per_channel(v, rank) for v in (mean, scale, bias))
    deviation = np.sqrt(per_channel(variance, rank) + float(np.float32(1e-3)))
    difference = (x.astype(np.float64) - m) / deviation * a
    bound = 3 * EPS * (np.abs(difference) + np.abs(b))
    check(
        "BatchNormalization", [x, scale, bias, mean, variance], difference + b, bound, isa,
        epsilon=1e-3, constants=constants,
    )  # fmt: skip


@pytest.mark.parametrize("isa", ISAS)
def test_batch_in_training(isa: str) -> None:
    for shape in [(4, 5), (3, 19, 6, 5), (8, 20, 30)]:
        x, scale, bias = samples(5, shape)
        mean, variance = np.full_like(scale, 2), np.full_like(scale, 3)
        rank = len(shape)
        axes = [0, *range(2, rank)]
        y, bound = normalised(x, axes, per_channel(scale, rank), per_channel(bias, rank))
        for channels_last in (False, True):
            got, new_mean, new_variance = run(
                "BatchNormalization", [x, scale, bias, mean, variance], outputs=3, isa=isa,
                training_mode=1, momentum=0.75, channels_last=channels_last,
            )  # fmt: skip
            assert np.all(np.abs(got - y) <= bound)
            wide = x.astype(np.float64)
            np.testing.assert_allclose(new_mean, 1.5 + 0.25 * wide.mean(tuple(axes)), rtol=1e-5)
            np.testing.assert_allclose(new_variance, 2.25 + 0.25 * wide.var(tuple(axes)), rtol=1e-5)


def test_mean_variance() -> None:
    x, _, _ = samples(6, (2, 5, 6, 7))
    one, zero = np.ones(1), np.zeros(1)
    for axes in ([0, 2, 3], [2, 3], [1, 2, 3], [0, 1, 2, 3], [0, 1], [-1]):
        y, bound = normalised(x, axes, one, zero, 0.0, 1e-9)
        check("MeanVarianceNormalization", [x], y, bound, ISAS[-1], axes=axes)
    y, bound = normalised(x, [0, 2, 3], one, zero, 0.0, 1e-9)
    check("MeanVarianceNormalization", [x], y, bound, ISAS[-1])


def test_variance_beside_a_large_mean() -> None:
    """One pass (mean of squares minus square of mean) would lose every digit here."""
    rng = np.random.default_rng(7)
    x = (rng.normal(0, 1, (1, 3, 64, 64)) + 30000).astype(np.float32)
    y, bound = normalised(x, [2, 3], np.ones(1), np.zeros(1))
    assert bound.max() < 0.6
    got = run("InstanceNormalization", [x, np.ones(3, np.float32), np.zeros(3, np.float32)])
    assert np.abs(got - y).max() < 0.004  # half an ulp of the mean


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("axis", [-1, 1, 0])
def test_layer(axis: int, isa: str) -> None:
    rng = np.random.default_rng(8)
    for shape in [(3, 5, 37), (2, 4, 768), (1, 1, 1)]:
        x = rng.normal(3, 2, shape).astype(np.float32)
        tail = shape[axis:]
        scale, bias = rng.normal(1, 1, (2, *tail)).astype(np.float32)
        axes = list(range(axis % 3, 3))
        y, bound = normalised(x, axes, scale.astype(np.float64), bias.astype(np.float64))
        wide = x.astype(np.float64)
        for threads in (1, 2):
            got, mean, inverse = run(
                "LayerNormalization",
                [x, scale, bias],
                outputs=3,
                isa=isa,
                threads=threads,
                axis=axis,
            )
            assert np.all(np.abs(got - y) <= bound)
            np.testing.assert_allclose(mean, wide.mean(tuple(axes), keepdims=True), rtol=1e-5)
            deviation = np.sqrt(wide.var(tuple(axes), keepdims=True) + 1e-5)
            np.testing.assert_allclose(inverse, 1 / deviation, rtol=1e-5)
        got = run("LayerNormalization", [x, scale], isa=isa, axis=axis)
        assert np.all(np.abs(got - (y - bias)) <= bound)
        got = run("LayerNormalization", [wide, scale.astype(np.float64)], isa=isa, axis=axis)
        np.testing.assert_allclose(got, y - bias, rtol=1e-11, atol=1e-11)


def test_layer_parameters_that_are_broadcast() -> None:
    rng = np.random.default_rng(9)
    x = rng.normal(0, 1, (2, 3, 4)).astype(np.float32)
    for shape in [(1,), (2, 1, 1), (3, 1), (2, 3, 4), (1, 1, 4), ()]:
        scale = rng.normal(1, 1, shape).astype(np.float32)
        bias = rng.normal(1, 1, (3, 1)).astype(np.float32)
        y, bound = normalised(x, [2], scale.astype(np.float64), bias.astype(np.float64))
        got = run("LayerNormalization", [x, scale, bias])
        assert np.all(np.abs(got - y) <= bound), shape


@pytest.mark.parametrize("isa", ISAS)
def test_rms(isa: str) -> None:
    rng = np.random.default_rng(10)
    for axis, tail in [(-1, (50,)), (1, (7, 50))]:
        x = rng.normal(1, 2, (3, 7, 50)).astype(np.float32)
        scale = rng.normal(1, 1, tail).astype(np.float32)
        wide = x.astype(np.float64)
        axes = tuple(range(axis % 3, 3))
        y = wide / np.sqrt((wide**2).mean(axes, keepdims=True) + 1e-5) * scale
        got = run("RMSNormalization", [x, scale], isa=isa, axis=axis)
        assert np.all(np.abs(got - y) <= 40 * EPS * np.abs(y))


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("p", [1, 2])
def test_lp_norm(p: int, isa: str) -> None:
    rng = np.random.default_rng(11)
    for shape, axis in [((3, 40), -1), ((3, 40), 0), ((2, 5, 21), 1), ((300, 70), 0)]:
        x = rng.normal(0, 1, shape).astype(np.float32)
        x[..., 0] = 0
        wide = x.astype(np.float64)
        norm = (np.abs(wide) ** p).sum(axis, keepdims=True) ** (1 / p)
        y = np.divide(wide, norm, out=np.zeros_like(wide), where=norm != 0)
        check("LpNormalization", [x], y, 70 * EPS * np.abs(y), isa, p=p, axis=axis)


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("beta", [0.75, 0.5, 1.0, 0.6])
def test_lrn(beta: float, isa: str) -> None:
    rng = np.random.default_rng(12)
    for shape, size in [((2, 37, 5, 6), 5), ((1, 3, 4), 7), ((1, 96, 9, 9), 4), ((5, 20), 1)]:
        x = rng.normal(0, 20, shape).astype(np.float32)
        padded = np.zeros((shape[0], shape[1] + size - 1, *shape[2:]))
        padded[:, (size - 1) // 2 : (size - 1) // 2 + shape[1]] = x.astype(np.float64) ** 2
        total = sum(padded[:, i : i + shape[1]] for i in range(size))
        base = 2.0 + float(np.float32(1e-2)) / size * total
        y = x / base**beta
        # The sum errs by `size` roundings; x^-beta by exp and log, a few ulps times beta log(x).
        bound = (size + 20) * EPS * np.abs(y)
        options: dict[str, Any] = {"size": size, "alpha": 1e-2, "beta": beta, "bias": 2.0}
        for channels_last in (False, True):
            results = [
                run("LRN", [x], isa=isa, threads=t, channels_last=channels_last, **options)
                for t in (1, 2)
            ]
            np.testing.assert_array_equal(results[0], results[1])
            assert np.all(np.abs(results[0] - y) <= bound)
        wide_beta = float(np.float32(beta))
        got = run("LRN", [x.astype(np.float64)], isa=isa, **options)
        np.testing.assert_allclose(got, x / base**wide_beta, rtol=1e-6)


def test_sizes_of_zero() -> None:
    x, v, none = np.zeros((0, 4, 5), np.float32), np.ones(4, np.float32), np.ones(0, np.float32)
    cases: list[tuple[str, list[Array], dict[str, Any]]] = [
        ("InstanceNormalization", [x, v, v], {}),
        ("GroupNormalization", [x, v, v], {"num_groups": 2}),
        ("BatchNormalization", [x, v, v, v, v], {}),
        ("BatchNormalization", [x.reshape(5, 0, 4), none, none, none, none], {}),
        ("InstanceNormalization", [x.reshape(5, 0, 4), none, none], {}),
        ("InstanceNormalization", [x.reshape(5, 4, 0), v, v], {}),
        ("LayerNormalization", [x, np.ones(5, np.float32)], {}),
        ("LayerNormalization", [x.reshape(5, 4, 0), none], {}),
        ("LpNormalization", [x], {}),
        ("LpNormalization", [x.reshape(4, 5, 0)], {"axis": 1}),
        ("MeanVarianceNormalization", [x], {"axes": [0, 2]}),
        ("MeanVarianceNormalization", [x], {"axes": [1]}),
        ("LRN", [x], {"size": 3}),
        ("LRN", [x.reshape(4, 0, 5)], {"size": 3}),
    ]
    for op, inputs, options in cases:
        assert run(op, inputs, **options).shape == inputs[0].shape, op


def test_messages() -> None:
    x, v = np.zeros((1, 4, 5, 5), np.float32), np.ones(4, np.float32)
    fails("BatchNormalization", [x, v, v, v, v[:3]], "input 4 has shape [3], expected [4]")
    fails("BatchNormalization", [x, v, v, v, v], "in training mode only", outputs=3)
    fails("InstanceNormalization", [x, v[:2], v], "input 1 has shape [2], expected [4]")
    fails("GroupNormalization", [x, v, v], "'num_groups' is 3, expected a divisor", num_groups=3)
    fails("LayerNormalization", [x, v], "cannot be broadcast to input 0")
    fails("LayerNormalization", [x, v[:1]], "'axis' is 4", axis=4)
    fails("LpNormalization", [x], "'p' is 3, expected 1 or 2", p=3)
    fails("LRN", [x], "'size' is 0", size=0)
    fails("MeanVarianceNormalization", [x], "'axes' has 4, outside", axes=[4])
    fails("LRN", [x.astype(np.int32)], "must be of float32", size=3)


ACTIVATIONS: dict[str, Any] = {
    "Relu": lambda x: np.maximum(x, 0),
    "LeakyRelu": lambda x: np.where(x < 0, x * np.float32(0.01), x),
    "Sigmoid": lambda x: 1 / (1 + np.exp(-x.astype(np.float64))),
    "HardSwish": lambda x: x * np.clip(x.astype(np.float64) / 6 + 0.5, 0, 1),
}


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("op", ["BatchNormalization", "InstanceNormalization"])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_fused_activation(activation: str, op: str, channels_last: bool, isa: str) -> None:
    """The activation is that of the value that the normalisation alone gives."""
    for seed, shape in enumerate(SHAPES[1:]):
        x, scale, bias = samples(seed, shape)
        parameters = [scale, bias]
        if op == "BatchNormalization":
            parameters += [bias, np.abs(scale) + np.float32(0.1)]
        inputs = [x, *parameters]
        proto = model(op, inputs, constants=range(1, len(inputs)), channels_last=channels_last)
        proto.graph.node.append(helper.make_node(activation, ["y0"], ["z"]))
        proto.graph.output[0].name = "z"
        session = lw.load(proto, isa=isa, threads=2)
        layers = [layer.op for layer in session.profile({"x0": x}, 1).layers]
        assert f"lanewise:Fused{op}" in layers
        assert activation not in layers
        inner = session.run({"x0": x}, outputs=["y0"])["y0"]
        expected = ACTIVATIONS[activation](inner)
        np.testing.assert_allclose(session.run({"x0": x})["z"], expected, rtol=1e-5, atol=1e-6)


def test_training_is_not_fused() -> None:
    x, scale, bias = samples(3, (2, 6, 5, 4))
    attributes = {"training_mode": 1}
    proto = model("BatchNormalization", [x, scale, bias, bias, np.abs(scale)], **attributes)
    proto.graph.node.append(helper.make_node("Relu", ["y0"], ["z"]))
    proto.graph.output[0].name = "z"
    feeds = {f"x{i}": a for i, a in enumerate([x, scale, bias, bias, np.abs(scale)])}
    session = lw.load(proto)
    both = session.run(feeds, outputs=["y0", "z"])
    np.testing.assert_array_equal(session.run(feeds)["z"], np.maximum(both["y0"], 0))


def test_fused_activation_messages() -> None:
    x, scale, bias = samples(0, (1, 4, 3, 3))
    fails("FusedInstanceNormalization", [x, scale, bias], "'activation' is 'Sine'",
          domain="lanewise", activation="Sine")  # fmt: skip
