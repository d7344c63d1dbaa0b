"""LSTM, GRU and RNN against the operator's equations in float64, and against ONNX Runtime."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

import lanewise as lw
from lanewise import _core
from tests.ops.recurrent_reference import (
    ACTIVATIONS,
    FUNCTIONS,
    GATES,
    INPUTS,
    Array,
    Case,
    make_case,
    reference,
)


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
@pytest.mark.parametrize("layout", [0, 1])
@pytest.mark.parametrize("lengths", [False, True])
def test_many_steps_are_projected_at_once(op: str, layout: int, lengths: bool) -> None:
    optional = ["B", "initial_h", "initial_c", *(["sequence_lens"] if lengths else [])]
    case = make_case(
        op, steps=37, batch=3, inputs=70, hidden=33, optional=optional, direction="bidirectional"
    )
    for isa in _core.isas():
        check(case, layout=layout, isa=isa, threads=2)


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
