"""16-bit values on a stand-in of the GPU: placed there, and as exact as 16 bits allow."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import lanewise as lw
from bench import networks
from tests.cuda.standin import StandIn
from tests.ops.one_node import Array, model

F32 = np.float32
# Half an ulp of 1 in each type.
UNITS = {"float16": 2.0**-11, "bfloat16": 2.0**-9}


def drawn(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).normal(size=shape).astype(F32)


CASES: list[tuple[str, list[Array | None], dict[str, Any]]] = [
    ("Sigmoid", [drawn(3, 5, 7)], {}),
    ("Add", [drawn(2, 5, 3, 4), drawn(5, 1, 1, seed=1)], {}),
    ("Transpose", [drawn(2, 37, 45)], {"perm": [0, 2, 1]}),
    ("Pad", [drawn(2, 3, 5), np.array([0, 1, 2, 0, 0, 1])], {"constants": [1]}),
    ("MaxPool", [drawn(2, 5, 9, 8)], {"kernel_shape": [3, 3]}),
    ("AveragePool", [drawn(2, 5, 9, 8)], {"kernel_shape": [3, 3]}),
    ("ReduceMean", [drawn(4, 5, 60), np.array([1, 2])], {"constants": [1]}),
    ("ReduceMax", [drawn(4, 5, 60), np.array([0])], {"constants": [1]}),
    ("Softmax", [drawn(5, 70)], {}),
    ("LayerNormalization", [drawn(6, 40), drawn(40, seed=1), drawn(40, seed=2)], {}),
    ("InstanceNormalization", [drawn(2, 5, 9, 8), drawn(5, seed=1), drawn(5, seed=2)], {}),
    ("LRN", [drawn(2, 7, 4, 3)], {"size": 5}),
    ("Gather", [drawn(5, 6), np.array([3, 0, -1])], {"axis": 1}),
    ("Resize", [drawn(1, 3, 5, 4), None, np.array([1, 1, 2, 3], F32)],
     {"constants": [2], "mode": "linear"}),
    ("Conv", [drawn(1, 6, 9, 8), drawn(4, 6, 3, 3, seed=1) / F32(7), drawn(4, seed=2)],
     {"constants": [1, 2]}),
    ("Conv", [drawn(1, 6, 9, 8), drawn(6, 1, 3, 3, seed=1) / F32(3), drawn(6, seed=2)],
     {"constants": [1, 2], "group": 6}),
    ("ConvTranspose", [drawn(1, 6, 5, 4), drawn(6, 3, 3, 3, seed=1) / F32(5)],
     {"constants": [1], "strides": [2, 2]}),
    ("Gemm", [drawn(5, 30), drawn(30, 7, seed=1) / F32(5), drawn(7, seed=2)],
     {"constants": [1, 2], "alpha": 0.5, "beta": 2.0}),
    ("LSTM", [drawn(4, 2, 5), drawn(1, 24, 5, seed=1), drawn(1, 24, 6, seed=2)],
     {"constants": [1, 2], "hidden_size": 6}),
]  # fmt: skip


@pytest.mark.parametrize("precision", sorted(UNITS))
@pytest.mark.parametrize(("op", "inputs", "options"), CASES)
def test_operators(
    standin: StandIn,
    op: str,
    inputs: list[Array | None],
    options: dict[str, Any],
    precision: str,
) -> None:
    """Inputs, results and what is stored between steps are each rounded once."""
    proto = model(op, inputs, **options)
    constants = options.get("constants", ())
    feeds = {f"x{i}": x for i, x in enumerate(inputs) if x is not None and i not in constants}
    net = lw.load(proto, device="cuda", precision=precision)
    layers = net.describe({name: x.shape for name, x in feeds.items()}).layers
    assert [layer.refused for layer in layers if layer.device == "cpu"] == []
    wanted = lw.load(proto).run(feeds)
    for _ in range(3):
        for name, value in net.run(feeds).items():
            want = wanted[name]
            assert value.dtype == want.dtype and value.shape == want.shape
            error = np.abs(value.astype(np.float64) - want).max()
            assert error <= 12 * UNITS[precision] * max(1.0, float(np.abs(want).max()))


@pytest.mark.parametrize("precision", sorted(UNITS))
def test_a_network(standin: StandIn, precision: str) -> None:
    data, feed = networks.build("lenet5").SerializeToString(), networks.inputs("lenet5")
    net = lw.load(data, device="cuda", precision=precision)
    for key, want in lw.load(data).run(feed).items():
        error = np.abs(net.run(feed)[key] - want).max()
        assert error <= 20 * UNITS[precision] * np.abs(want).max()
