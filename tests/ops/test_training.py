"""The optimisers of ai.onnx.preview.training against onnx.reference's formulas in float64."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.ops.one_node import fails, run

Array = NDArray[Any]
DOMAIN = "ai.onnx.preview.training"
NORM = 0.01


def momentum(r: float, t: int, x: Array, g: Array, v: Array, nesterov: bool) -> list[Array]:
    g = NORM * x + g
    v = 0.9 * v + (0.5 if t > 0 else 1.0) * g
    return [x - r * (g + 0.9 * v if nesterov else v), v]


def adagrad(r: float, t: int, x: Array, g: Array, h: Array) -> list[Array]:
    g = NORM * x + g
    h = h + g * g
    return [x - r / (1 + t * 0.1) * g / (np.sqrt(h) + 1e-3), h]


def adam(r: float, t: int, x: Array, g: Array, v: Array, h: Array) -> list[Array]:
    g = NORM * x + g
    v, h = 0.9 * v + 0.1 * g, 0.99 * h + 0.01 * g * g
    rate = r * np.sqrt(1 - 0.99**t) / (1 - 0.9**t) if t > 0 else r
    return [(1 - 0.02) * (x - rate * v / (np.sqrt(h) + 1e-3)), v, h]


@pytest.mark.parametrize("count", [0, 3])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("op", ["standard", "nesterov", "Adagrad", "Adam"])
def test_updates(op: str, dtype: Any, count: int) -> None:
    rng = np.random.default_rng(0)
    shapes = [(4, 3), (), (0, 2)]
    lists = 4 if op == "Adam" else 3
    tensors = [[np.asarray(rng.uniform(0.1, 1, s), dtype) for s in shapes] for _ in range(lists)]
    rate, time = np.array(0.1, dtype), np.array(count, np.int64)
    attributes: dict[str, Any] = {"norm_coefficient": NORM}
    name = op
    if op == "Adam":
        attributes |= {"alpha": 0.9, "beta": 0.99, "epsilon": 1e-3, "norm_coefficient_post": 0.02}
    elif op == "Adagrad":
        attributes |= {"decay_factor": 0.1, "epsilon": 1e-3}
    else:
        attributes |= {"alpha": 0.9, "beta": 0.5, "mode": op}
        name = "Momentum"
    flat = [t for group in tensors for t in group]
    got = run(name, [rate, time, *flat], outputs=(lists - 1) * len(shapes), domain=DOMAIN,
              **attributes)  # fmt: skip
    for i in range(len(shapes)):
        state = [group[i].astype(np.float64) for group in tensors]
        if name == "Momentum":
            wanted = momentum(0.1, count, *state, nesterov=op == "nesterov")
        else:
            wanted = (adam if op == "Adam" else adagrad)(0.1, count, *state)
        for k, exact in enumerate(wanted):
            result = got[k * len(shapes) + i]
            assert result.dtype == dtype and result.shape == shapes[i]
            # Attributes are float32 whatever the tensors are.
            np.testing.assert_allclose(result, exact, rtol=3e-6)


def test_faults_are_named() -> None:
    x, rate, time = np.zeros(3, np.float32), np.array(0.1, np.float32), np.array(0)
    fails("Adam", [rate, time, x, x, x, x[:2]], "input 5 must have the shape [3]", domain=DOMAIN)
    fails("Adam", [rate, time, x, x, x, x, x], "4 inputs for each", domain=DOMAIN)
    fails("Adagrad", [x, time, x, x, x], "input 0 must be a scalar", domain=DOMAIN)
    fails("Momentum", [rate, time, x, x, x], "'mode' is 'other'", domain=DOMAIN, mode="other",
          alpha=0.1, beta=0.1, norm_coefficient=0.0)  # fmt: skip
