"""LSTM, GRU and RNN by the operators' equations, one sequence at a time in float64."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}
FUNCTIONS = {"RNN": ["Tanh"], "GRU": ["Sigmoid", "Tanh"], "LSTM": ["Sigmoid", "Tanh", "Tanh"]}
INPUTS = ["X", "W", "R", "B", "sequence_lens", "initial_h", "initial_c", "P"]

# Activation: function of (x, alpha, beta), and the defaults of those that it has.
ACTIVATIONS: dict[
    str, tuple[Callable[[Array, float, float], Array], float | None, float | None]
] = {
    "Sigmoid": (lambda x, a, b: 1 / (1 + np.exp(-x)), None, None),
    "Tanh": (lambda x, a, b: np.tanh(x), None, None),
    "Relu": (lambda x, a, b: np.maximum(x, 0), None, None),
    "Affine": (lambda x, a, b: a * x + b, 1.0, 0.0),
    "LeakyRelu": (lambda x, a, b: np.where(x < 0, a * x, x), 0.01, None),
    "ThresholdedRelu": (lambda x, a, b: np.where(x < a, 0, x), 1.0, None),
    "ScaledTanh": (lambda x, a, b: a * np.tanh(b * x), 1.0, 1.0),
    "HardSigmoid": (lambda x, a, b: np.clip(a * x + b, 0, 1), 0.2, 0.5),
    "Elu": (lambda x, a, b: np.where(x < 0, a * np.expm1(np.minimum(x, 0)), x), 1.0, None),
    "Softsign": (lambda x, a, b: x / (1 + np.abs(x)), None, None),
    "Softplus": (lambda x, a, b: np.logaddexp(x, 0), None, None),
}


@dataclass
class Case:
    """A node: operator, arrays by input name (batch second), attributes."""

    op: str
    arrays: dict[str, Array]
    attributes: dict[str, Any] = field(default_factory=dict)

    @property
    def directions(self) -> int:
        """Two when bidirectional."""
        return int(self.arrays["W"].shape[0])


def make_case(
    op: str,
    steps: int = 4,
    batch: int = 3,
    inputs: int = 5,
    hidden: int = 7,
    optional: Sequence[str] = ("B", "initial_h", "initial_c"),
    dtype: str = "float32",
    seed: int = 1,
    **attributes: Any,
) -> Case:
    """Seeded arrays; weights shrink with their fan-in so that gates stay in their curved range."""
    rng = np.random.default_rng(seed)
    d = 2 if attributes.get("direction") == "bidirectional" else 1
    n = GATES[op] * hidden
    spread = 1 / np.sqrt(max(1, hidden))
    arrays = {
        "X": rng.standard_normal((steps, batch, inputs)),
        "W": rng.standard_normal((d, n, inputs)) / np.sqrt(max(1, inputs)),
        "R": rng.standard_normal((d, n, hidden)) * spread,
        "B": rng.standard_normal((d, 2 * n)),
        "initial_h": rng.standard_normal((d, batch, hidden)),
        "initial_c": rng.standard_normal((d, batch, hidden)),
        "P": rng.standard_normal((d, 3 * hidden)),
        "sequence_lens": rng.integers(0, steps + 1, batch),
    }
    wanted = ["X", "W", "R", *optional]
    if op != "LSTM":
        wanted = [name for name in wanted if name not in ("initial_c", "P")]
    kept = {
        name: arrays[name].astype("int32" if name == "sequence_lens" else dtype)
        for name in INPUTS
        if name in wanted
    }
    return Case(op, kept, {"hidden_size": hidden, **attributes})


def functions_of(case: Case) -> list[list[Callable[[Array], Array]]]:
    """The activations of each direction; parameters are taken in order by those that have them."""
    names = case.attributes.get("activations") or FUNCTIONS[case.op] * case.directions
    alphas = list(case.attributes.get("activation_alpha", []))
    betas = list(case.attributes.get("activation_beta", []))
    clip = case.attributes.get("clip", np.inf)

    def bound(
        function: Callable[[Array, float, float], Array], a: float, b: float
    ) -> Callable[[Array], Array]:
        a, b = float(np.float32(a)), float(np.float32(b))  # ONNX's attributes are float32
        return lambda x: function(np.clip(x, -clip, clip), a, b)

    result = []
    for name in names:
        function, alpha, beta = ACTIVATIONS[name]
        a = alphas.pop(0) if alpha is not None and alphas else (alpha or 0.0)
        b = betas.pop(0) if beta is not None and betas else (beta or 0.0)
        result.append(bound(function, a, b))
    size = len(FUNCTIONS[case.op])
    return [result[i * size : (i + 1) * size] for i in range(case.directions)]


def step(case: Case, d: int, x: Array, h: Array, c: Array) -> tuple[Array, Array]:
    """One step of one sequence: the equations of the operator's documentation."""
    a = {name: v[d].astype(np.float64) for name, v in case.arrays.items() if name in "WRBP"}
    n = h.size
    gates = GATES[case.op]
    wx = (a["W"] @ x).reshape(gates, n)
    bias = a.get("B", np.zeros(2 * gates * n)).reshape(2, gates, n)
    functions = functions_of(case)[d]
    r = a["R"].reshape(gates, n, n)
    if case.op == "RNN":
        return functions[0](wx[0] + r[0] @ h + bias[0, 0] + bias[1, 0]), c
    f, g = functions[0], functions[1]
    sums = wx + r @ h + bias[0] + bias[1]
    if case.op == "GRU":
        z, reset = f(sums[0]), f(sums[1])
        if case.attributes.get("linear_before_reset"):
            new = g(wx[2] + reset * (r[2] @ h + bias[1, 2]) + bias[0, 2])
        else:
            new = g(wx[2] + r[2] @ (reset * h) + bias[0, 2] + bias[1, 2])
        return (1 - z) * new + z * h, c
    p = a.get("P", np.zeros(3 * n)).reshape(3, n)
    i = f(sums[0] + p[0] * c)
    forget = 1 - i if case.attributes.get("input_forget") else f(sums[2] + p[2] * c)
    c = forget * c + i * g(sums[3])
    o = f(sums[1] + p[1] * c)
    name = (case.attributes.get("activations") or FUNCTIONS["LSTM"] * 2)[3 * d + 2]
    if "clip" not in case.attributes:
        return o * functions[2](c), c
    assert ACTIVATIONS[name][1] is None  # the cell is not clipped, unlike the sums of gates
    return o * ACTIVATIONS[name][0](c, 0.0, 0.0), c


def reference(case: Case) -> list[Array]:
    """Y, Y_h and Y_c in float64, in layout 0."""
    x = case.arrays["X"].astype(np.float64)
    steps, batch, _ = x.shape
    hidden = case.arrays["R"].shape[2]
    d = case.directions
    lengths = case.arrays.get("sequence_lens", np.full(batch, steps))
    state = np.zeros((d, batch, hidden))
    h = case.arrays.get("initial_h", state).astype(np.float64)
    c = case.arrays.get("initial_c", state).astype(np.float64)
    y = np.zeros((steps, d, batch, hidden))
    y_h, y_c = state.copy(), state.copy()
    for k in range(d):
        backwards = k == 1 or case.attributes.get("direction") == "reverse"
        for b in range(batch):
            hb, cb = h[k, b], c[k, b]
            times = range(lengths[b])
            for t in reversed(times) if backwards else times:
                hb, cb = step(case, k, x[t, b], hb, cb)
                y[t, k, b] = hb
            if lengths[b] > 0:  # the states of an empty sequence are zero, as ONNX Runtime's
                y_h[k, b], y_c[k, b] = hb, cb
    return [y, y_h, y_c][: 3 if case.op == "LSTM" else 2]
