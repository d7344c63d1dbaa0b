"""LSTM, GRU and RNN against the operator's equations in float64, and against ONNX Runtime."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import helper, numpy_helper

import lanewise as lw
from lanewise import _core

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


def model_of(
    case: Case, constants: Sequence[str] = ("W", "R", "B", "P"), layout: int = 0
) -> onnx.ModelProto:
    """The node alone; with layout 1 the arrays are given batch first."""
    names = [name if name in case.arrays else "" for name in INPUTS]
    while names and not names[-1]:
        names.pop()
    outputs = ["Y", "Y_h", "Y_c"][: 3 if case.op == "LSTM" else 2]
    attributes = dict(case.attributes) | ({"layout": layout} if layout else {})
    node = helper.make_node(case.op, names, outputs, **attributes)
    arrays = batch_first(case.arrays) if layout else case.arrays
    inputs = [
        helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(a.dtype), a.shape)
        for n, a in arrays.items()
        if n not in constants
    ]
    dtype = helper.np_dtype_to_tensor_dtype(case.arrays["X"].dtype)
    results = [helper.make_tensor_value_info(n, dtype, None) for n in outputs]
    weights = [numpy_helper.from_array(a, n) for n, a in arrays.items() if n in constants]
    graph = helper.make_graph([node], case.op, inputs, results, weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8)


def batch_first(arrays: dict[str, Array]) -> dict[str, Array]:
    """X and the states with the batch as their first dimension."""
    swapped = ("X", "initial_h", "initial_c")
    return {
        n: np.ascontiguousarray(np.swapaxes(a, 0, 1)) if n in swapped else a
        for n, a in arrays.items()
    }


def run(
    case: Case, layout: int = 0, constants: Sequence[str] = ("W", "R", "B", "P"), **options: Any
) -> list[Array]:
    """Y, Y_h and Y_c in layout 0."""
    model = lw.load(model_of(case, constants, layout), **options)
    arrays = batch_first(case.arrays) if layout else case.arrays
    results = list(model.run({info.name: arrays[info.name] for info in model.inputs}).values())
    if not layout:
        return results
    # [batch, steps, directions, hidden] and [batch, directions, hidden]
    return [np.moveaxis(results[0], 0, 2), *(np.swapaxes(s, 0, 1) for s in results[1:])]


def check(case: Case, bound: float = 2e-5, **options: Any) -> None:
    """Agreement with the equations. Gates are contractions: errors do not grow with the steps."""
    for got, expected in zip(run(case, **options), reference(case), strict=True):
        assert got.dtype == case.arrays["X"].dtype
        assert got.shape == expected.shape
        np.testing.assert_allclose(got, expected, rtol=bound, atol=bound)


@pytest.mark.parametrize("op", GATES)
@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
@pytest.mark.parametrize("layout", [0, 1])
@pytest.mark.parametrize("lengths", [False, True])
def test_direction_layout_and_lengths(op: str, direction: str, layout: int, lengths: bool) -> None:
    optional = ["B", "initial_h", "initial_c", *(["sequence_lens"] if lengths else [])]
    for isa in _core.isas():
        check(
            make_case(op, batch=5, optional=optional, direction=direction), layout=layout, isa=isa
        )


@pytest.mark.parametrize("op", GATES)
@pytest.mark.parametrize("batch", [1, 2, 6, 13])
@pytest.mark.parametrize("hidden", [1, 5, 16, 33, 70])
def test_sizes(op: str, batch: int, hidden: int) -> None:
    for isa in _core.isas():
        check(make_case(op, steps=3, batch=batch, inputs=hidden + 2, hidden=hidden), isa=isa)


@pytest.mark.parametrize("op", GATES)
@pytest.mark.parametrize(
    "optional", [[], ["B"], ["initial_h"], ["initial_c", "P"], ["sequence_lens"]]
)
def test_optional_inputs(op: str, optional: list[str]) -> None:
    check(make_case(op, optional=optional))


@pytest.mark.parametrize("op", GATES)
def test_float64_is_as_exact_as_numpy(op: str) -> None:
    optional = ["B", "initial_h", "initial_c", "P", "sequence_lens"]
    case = make_case(
        op, steps=9, batch=6, optional=optional, dtype="float64", direction="bidirectional"
    )
    check(case, bound=1e-12)
    check(case, bound=1e-12, layout=1)


@pytest.mark.parametrize("op", GATES)
def test_float16_is_computed_in_float32(op: str) -> None:
    check(make_case(op, dtype="float16"), bound=1e-3)


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("op", GATES)
def test_activations(op: str, name: str) -> None:
    names = [name] * len(FUNCTIONS[op])
    check(make_case(op, steps=2, activations=names), bound=1e-4)
    alphas, betas = [0.7, 0.6, 0.8], [0.3, 0.2, 0.1]
    check(
        make_case(op, steps=2, activations=names, activation_alpha=alphas, activation_beta=betas),
        bound=1e-4,
    )
    check(make_case(op, steps=2, activations=names, dtype="float64"), bound=1e-11)


def test_activations_of_two_directions_share_the_lists_of_parameters() -> None:
    names = ["HardSigmoid", "Tanh", "LeakyRelu", "Sigmoid", "Elu", "ScaledTanh"]
    case = make_case(
        "LSTM",
        direction="bidirectional",
        activations=names,
        activation_alpha=[0.3, 0.2, 0.5, 0.9],
        activation_beta=[0.4, 0.7],
    )
    check(case)


@pytest.mark.parametrize("op", GATES)
@pytest.mark.parametrize("clip", [0.0, 0.4])
def test_clip(op: str, clip: float) -> None:
    check(make_case(op, clip=clip))


@pytest.mark.parametrize("lengths", [False, True])
def test_linear_before_reset(lengths: bool) -> None:
    for batch in (1, 7):
        optional = ["B", "initial_h", *(["sequence_lens"] if lengths else [])]
        check(
            make_case(
                "GRU",
                batch=batch,
                optional=optional,
                linear_before_reset=1,
                direction="bidirectional",
            )
        )


@pytest.mark.parametrize("coupled", [0, 1])
def test_coupled_gates_and_peepholes(coupled: int) -> None:
    check(make_case("LSTM", optional=["B", "P", "initial_c"], input_forget=coupled))


@pytest.mark.parametrize("op", GATES)
@pytest.mark.parametrize("sizes", [(0, 3, 5), (4, 0, 5), (4, 3, 0)])
def test_empty_dimensions(op: str, sizes: tuple[int, int, int]) -> None:
    steps, batch, inputs = sizes
    check(make_case(op, steps=steps, batch=batch, inputs=inputs))


@pytest.mark.parametrize("op", GATES)
def test_weights_may_be_inputs(op: str) -> None:
    case = make_case(op, direction="bidirectional", optional=["B", "P"])
    for variable, constant in zip(run(case, constants=()), run(case), strict=True):
        np.testing.assert_array_equal(variable, constant)


@pytest.mark.parametrize("op", GATES)
@pytest.mark.parametrize("batch", [1, 9])
def test_bits_depend_neither_on_threads_nor_on_the_batch(op: str, batch: int) -> None:
    case = make_case(op, steps=40, batch=batch, inputs=120, hidden=130, direction="forward")
    whole = run(case, threads=1)
    for other in (run(case, threads=2), run(case, threads=3)):
        for got, expected in zip(other, whole, strict=True):
            np.testing.assert_array_equal(got, expected)
    last = batch - 1
    alone = {
        n: a[:, last:] if n in ("X", "initial_h", "initial_c") else a
        for n, a in case.arrays.items()
    }
    y = run(Case(op, {n: np.ascontiguousarray(a) for n, a in alone.items()}, case.attributes))[0]
    np.testing.assert_array_equal(y[:, :, 0], whole[0][:, :, last])


def test_unnamed_outputs_are_left_out() -> None:
    case = make_case("LSTM")
    model = model_of(case)
    model.graph.node[0].output[0] = ""
    model.graph.node[0].output[1] = ""
    del model.graph.output[:2]
    loaded = lw.load(model)
    got = loaded.run({info.name: case.arrays[info.name] for info in loaded.inputs})["Y_c"]
    np.testing.assert_allclose(got, reference(case)[2], rtol=2e-5, atol=2e-5)


OPTIONS: list[dict[str, Any]] = [
    {},
    {"direction": "reverse", "optional": ["B", "sequence_lens"]},
    {"direction": "bidirectional", "optional": ["B", "initial_h", "initial_c", "sequence_lens"]},
    {"clip": 0.5},
]


@pytest.mark.parametrize("op", GATES)
@pytest.mark.parametrize("options", OPTIONS)
def test_agrees_with_onnx_runtime(op: str, options: dict[str, Any]) -> None:
    ort = pytest.importorskip("onnxruntime")
    extra = {"GRU": {"linear_before_reset": 1}, "LSTM": {"input_forget": 1}}.get(op, {})
    for attributes in ({}, extra):
        case = make_case(op, **{**options, **attributes})
        session = ort.InferenceSession(model_of(case).SerializeToString())
        names = [i.name for i in session.get_inputs()]
        expected = session.run(None, {n: case.arrays[n] for n in names})
        for got, other in zip(run(case), expected, strict=True):
            np.testing.assert_allclose(got, other, rtol=2e-5, atol=2e-5)


def broken(**changes: Any) -> onnx.ModelProto:
    """An LSTM with arrays replaced and attributes changed."""
    case = make_case("LSTM", steps=3, batch=2, inputs=4, hidden=5)
    arrays = case.arrays | {n: a for n, a in changes.items() if n in INPUTS}
    attributes = case.attributes | {n: v for n, v in changes.items() if n not in INPUTS}
    return model_of(Case("LSTM", {n: arrays[n] for n in INPUTS if n in arrays}, attributes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"direction": "sideways"}, "'direction' is 'sideways'"),
        ({"layout": 2}, "'layout' is 2"),
        ({"hidden_size": 6}, "'hidden_size' is 6"),
        ({"clip": -1.0}, "'clip' must not be negative"),
        ({"activations": ["Tanh"]}, "must name 3 functions"),
        ({"activations": ["Tanh", "Tanh", "Swish"]}, "'Swish'; expected Sigmoid"),
        ({"W": np.zeros((1, 20, 3), np.float32)}, r"input 1 must have shape \[1, 20, 4\]"),
        ({"B": np.zeros((1, 20), np.float32)}, r"input 3 must have shape \[1, 40\]"),
        ({"initial_h": np.zeros((2, 1, 5), np.float32)}, "directions, batch, hidden"),
        ({"P": np.zeros((1, 15), np.float64)}, "one type"),
        ({"sequence_lens": np.zeros(3, np.int32)}, r"input 4 must have shape \[2\]"),
    ],
)
def test_errors_name_what_is_wrong(changes: dict[str, Any], message: str) -> None:
    case = make_case("LSTM", steps=3, batch=2, inputs=4, hidden=5)
    with pytest.raises(lw.ModelError, match=message):
        model = lw.load(broken(**changes))
        model.run({i.name: changes.get(i.name, case.arrays.get(i.name)) for i in model.inputs})


@pytest.mark.parametrize("length", [-1, 5])
def test_lengths_outside_the_steps_are_refused(length: int) -> None:
    case = make_case("GRU", steps=4, batch=2, optional=["sequence_lens"])
    case.arrays["sequence_lens"][1] = length
    with pytest.raises(lw.ModelError, match=rf"sequence_lens\[1\] is {length}, expected 0 to"):
        run(case)
