"""If, Loop and Scan: results, captured values, shapes that change, and what bodies must be."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

import lanewise as lw

Array = NDArray[Any]
FLOAT, INT64, BOOL = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL
Form = tuple[str, int, Sequence[int | str | None] | None]


def infos(forms: Sequence[Form]) -> list[onnx.ValueInfoProto]:
    """Value infos from (name, type, shape)."""
    return [helper.make_tensor_value_info(*form) for form in forms]


def graph_of(
    nodes: Sequence[onnx.NodeProto],
    inputs: Sequence[Form],
    outputs: Sequence[Form],
    **constants: Array,
) -> onnx.GraphProto:
    """A graph with constants by name."""
    weights = [numpy_helper.from_array(np.asarray(a), n) for n, a in constants.items()]
    return helper.make_graph(nodes, "g", infos(inputs), infos(outputs), weights)


def run(graph: onnx.GraphProto, **arrays: Array) -> list[Array]:
    """The graph's outputs in order."""
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])
    return list(lw.load(model).run({n: np.asarray(a) for n, a in arrays.items()}).values())


def if_graph() -> onnx.GraphProto:
    """x * 2 stacked on itself, or the captured x alone and a constant."""
    doubled = graph_of(
        [
            helper.make_node("Concat", ["x", "x"], ["t"], axis=0),
            helper.make_node("Neg", ["x"], ["u"]),
        ],
        [],
        [("t", FLOAT, None), ("u", FLOAT, None)],
    )
    same = graph_of(
        [helper.make_node("Identity", ["x"], ["v"]), helper.make_node("Identity", ["k"], ["w"])],
        [],
        [("v", FLOAT, None), ("w", FLOAT, None)],
        k=np.array([7.0], np.float32),
    )
    node = helper.make_node("If", ["c"], ["y", "z"], then_branch=doubled, else_branch=same)
    after = helper.make_node("Abs", ["y"], ["a"])
    return graph_of(
        [node, after],
        [("c", BOOL, []), ("x", FLOAT, ["n"])],
        [("y", FLOAT, None), ("z", FLOAT, None), ("a", FLOAT, None)],
    )


@pytest.mark.parametrize("n", [0, 1, 3])
def test_if_takes_the_branch_and_its_shapes(n: int) -> None:
    x = -np.arange(n, dtype=np.float32)
    y, z, a = run(if_graph(), c=np.array(True), x=x)
    np.testing.assert_array_equal(y, np.concatenate([x, x]))
    np.testing.assert_array_equal(z, -x)
    np.testing.assert_array_equal(a, np.abs(np.concatenate([x, x])))
    y, z, a = run(if_graph(), c=np.array(False), x=x)
    np.testing.assert_array_equal(y, x)
    np.testing.assert_array_equal(z, [7.0])
    np.testing.assert_array_equal(a, np.abs(x))


def test_one_model_takes_either_branch_in_turn() -> None:
    model = lw.load(helper.make_model(if_graph(), opset_imports=[helper.make_opsetid("", 18)]))
    x = np.arange(4, dtype=np.float32)
    for condition in (True, False, True, True, False):
        y = model.run({"c": np.array(condition), "x": x})["y"]
        assert y.shape == ((8,) if condition else (4,))


def test_a_result_does_not_alias_memory_that_a_later_run_reuses() -> None:
    model = lw.load(helper.make_model(if_graph(), opset_imports=[helper.make_opsetid("", 18)]))
    first = model.run({"c": np.array(False), "x": np.array([1.0, 2.0], np.float32)})["y"]
    model.run({"c": np.array(False), "x": np.array([3.0, 4.0], np.float32)})
    np.testing.assert_array_equal(first, [1.0, 2.0])


def test_if_within_if_reads_values_two_graphs_out() -> None:
    inner_then = graph_of([helper.make_node("Neg", ["x"], ["p"])], [], [("p", FLOAT, None)])
    inner_else = graph_of([helper.make_node("Abs", ["x"], ["q"])], [], [("q", FLOAT, None)])
    inner = helper.make_node("If", ["d"], ["r"], then_branch=inner_then, else_branch=inner_else)
    outer_then = graph_of([inner], [], [("r", FLOAT, None)])
    outer_else = graph_of([helper.make_node("Identity", ["x"], ["s"])], [], [("s", FLOAT, None)])
    graph = graph_of(
        [helper.make_node("If", ["c"], ["y"], then_branch=outer_then, else_branch=outer_else)],
        [("c", BOOL, []), ("d", BOOL, [1]), ("x", FLOAT, [2])],
        [("y", FLOAT, None)],
    )
    x = np.array([-1.0, 2.0], np.float32)
    for c, d, expected in ((True, True, -x), (True, False, np.abs(x)), (False, True, x)):
        (y,) = run(graph, c=np.array(c), d=np.array([d]), x=x)
        np.testing.assert_array_equal(y, expected)


def loop_graph(trips: str = "M", condition: str = "c") -> onnx.GraphProto:
    """Grows `v` by the captured `x` while its length is below a limit; stacks negatives of x."""
    body = graph_of(
        [
            helper.make_node("Concat", ["v", "x"], ["v_out"], axis=0),
            helper.make_node("Size", ["v_out"], ["size"]),
            helper.make_node("Less", ["size", "limit"], ["go_on"]),
            helper.make_node("Neg", ["x"], ["scan"]),
            helper.make_node("Identity", ["i"], ["number"]),
        ],
        [("i", INT64, []), ("go", BOOL, []), ("v", FLOAT, ["m"])],
        [("go_on", BOOL, []), ("v_out", FLOAT, ["k"]), ("scan", FLOAT, [2]), ("number", INT64, [])],
        limit=np.array(7, np.int64),
    )
    node = helper.make_node(
        "Loop", [trips, condition, "v0"], ["v_last", "scans", "numbers"], body=body
    )
    inputs: list[Form] = [("v0", FLOAT, ["n"]), ("x", FLOAT, [2])]
    if trips:
        inputs.append(("M", INT64, []))
    if condition:
        inputs.append(("c", BOOL, []))
    outputs: list[Form] = [
        ("v_last", FLOAT, None),
        ("scans", FLOAT, None),
        ("numbers", INT64, None),
    ]
    return graph_of([node], inputs, outputs)


@pytest.mark.parametrize(
    ("trips", "start", "expected"), [(0, True, 0), (2, True, 2), (9, True, 3), (9, False, 0)]
)
def test_loop_stops_by_count_or_condition(trips: int, start: bool, expected: int) -> None:
    x = np.array([1.0, -2.0], np.float32)
    v0 = np.array([5.0], np.float32)
    v, scans, numbers = run(loop_graph(), M=np.array(trips), c=np.array(start), v0=v0, x=x)
    np.testing.assert_array_equal(v, np.concatenate([v0] + [x] * expected))
    np.testing.assert_array_equal(scans, np.tile(-x, (expected, 1)))
    np.testing.assert_array_equal(numbers, np.arange(expected))
    assert scans.dtype == np.float32 and numbers.dtype == np.int64


def test_loop_without_count_or_without_condition() -> None:
    x, v0 = np.ones(2, np.float32), np.ones(1, np.float32)
    for graph, arrays in (
        (loop_graph(trips=""), {"c": np.array(True)}),
        (loop_graph(condition=""), {"M": np.array(100)}),
        (loop_graph("", ""), {}),
    ):
        v, scans, _ = run(graph, v0=v0, x=x, **arrays)
        assert v.shape == (7,) and scans.shape == (3, 2)


def test_many_iterations_stack_in_order() -> None:
    _, _, numbers = run(
        counting_graph(), M=np.array(1000), c=np.array(True), v0=np.zeros(1, np.float32)
    )
    np.testing.assert_array_equal(numbers, np.arange(1000))


def counting_graph() -> onnx.GraphProto:
    """A loop that carries v unchanged and stacks the iterations' numbers."""
    body = graph_of(
        [
            helper.make_node("Identity", ["go"], ["go_on"]),
            helper.make_node("Identity", ["v"], ["v_out"]),
            helper.make_node("Identity", ["v"], ["copy"]),
            helper.make_node("Identity", ["i"], ["number"]),
        ],
        [("i", INT64, []), ("go", BOOL, []), ("v", FLOAT, None)],
        [("go_on", BOOL, []), ("v_out", FLOAT, None), ("copy", FLOAT, None), ("number", INT64, [])],
    )
    return graph_of(
        [helper.make_node("Loop", ["M", "c", "v0"], ["v_last", "copies", "numbers"], body=body)],
        [("M", INT64, []), ("c", BOOL, []), ("v0", FLOAT, [1])],
        [("v_last", FLOAT, None), ("copies", FLOAT, None), ("numbers", INT64, None)],
    )


def test_a_carried_value_may_pass_unchanged() -> None:
    v0 = np.array([4.0], np.float32)
    for trips in (0, 1, 3):
        v, copies, _ = run(counting_graph(), M=np.array(trips), c=np.array(True), v0=v0)
        np.testing.assert_array_equal(v, v0)
        if trips:
            np.testing.assert_array_equal(copies, np.tile(v0, (trips, 1)))


def test_scan_outputs_of_unlike_shapes_are_refused() -> None:
    body = graph_of(
        [
            helper.make_node("Identity", ["go"], ["go_on"]),
            helper.make_node("Concat", ["v", "v"], ["v_out"], axis=0),
            helper.make_node("Identity", ["v"], ["scan"]),
        ],
        [("i", INT64, []), ("go", BOOL, []), ("v", FLOAT, ["m"])],
        [("go_on", BOOL, []), ("v_out", FLOAT, ["k"]), ("scan", FLOAT, ["m"])],
    )
    graph = graph_of(
        [helper.make_node("Loop", ["M", "", "v0"], ["v_last", "scans"], body=body)],
        [("M", INT64, []), ("v0", FLOAT, [1])],
        [("v_last", FLOAT, None), ("scans", FLOAT, None)],
    )
    with pytest.raises(
        lw.ModelError, match=r"scan output of float32 \[2\], those before gave float32 \[1\]"
    ):
        run(graph, M=np.array(3), v0=np.ones(1, np.float32))


def scan_graph(**attributes: Any) -> onnx.GraphProto:
    """Running maximum of slices of x, with the negatives of slices of z and the captured k."""
    body = graph_of(
        [
            helper.make_node("Max", ["s", "xi"], ["s_out"]),
            helper.make_node("Identity", ["s_out"], ["best"]),
            helper.make_node("Neg", ["zi"], ["negative"]),
            helper.make_node("Identity", ["k"], ["constant"]),
        ],
        [("s", FLOAT, [3]), ("xi", FLOAT, [3]), ("zi", FLOAT, [2, 4])],
        [
            ("s_out", FLOAT, [3]),
            ("best", FLOAT, [3]),
            ("negative", FLOAT, [2, 4]),
            ("constant", INT64, [1]),
        ],
    )
    node = helper.make_node(
        "Scan",
        ["s0", "x", "z"],
        ["last", "bests", "negatives", "constants"],
        body=body,
        num_scan_inputs=2,
        **attributes,
    )
    return graph_of(
        [node],
        [("s0", FLOAT, [3]), ("x", FLOAT, None), ("z", FLOAT, None), ("k", INT64, [1])],
        [
            ("last", FLOAT, None),
            ("bests", FLOAT, None),
            ("negatives", FLOAT, None),
            ("constants", INT64, None),
        ],
    )


@pytest.mark.parametrize("steps", [1, 5])
@pytest.mark.parametrize("axes", [(0, 0), (1, 2), (-1, -2)])
@pytest.mark.parametrize("directions", [(0, 0), (1, 0), (0, 1)])
@pytest.mark.parametrize(
    ("out_axes", "out_directions"),
    [((0, 0, 0), (0, 0, 0)), ((1, 2, -1), (1, 1, 0)), ((0, -2, 1), (1, 0, 1))],
)
def test_scan(
    steps: int,
    axes: tuple[int, int],
    directions: tuple[int, int],
    out_axes: tuple[int, int, int],
    out_directions: tuple[int, int, int],
) -> None:
    rng = np.random.default_rng(2)
    x = rng.standard_normal((steps, 3)).astype(np.float32)
    z = rng.standard_normal((steps, 2, 4)).astype(np.float32)
    s0, k = np.zeros(3, np.float32), np.array([9])
    graph = scan_graph(
        scan_input_axes=axes,
        scan_input_directions=directions,
        scan_output_axes=out_axes,
        scan_output_directions=out_directions,
    )
    given = [
        np.ascontiguousarray(np.moveaxis(a, 0, axis)) for a, axis in zip((x, z), axes, strict=True)
    ]
    last, *stacks = run(graph, s0=s0, x=given[0], z=given[1], k=k)
    xs, zs = (a[::-1] if d else a for a, d in zip((x, z), directions, strict=True))
    bests = np.maximum.accumulate(np.maximum(xs, s0))
    np.testing.assert_array_equal(last, bests[-1])
    expected = [bests, -zs, np.full((steps, 1), 9)]
    for got, stack, axis, d in zip(stacks, expected, out_axes, out_directions, strict=True):
        np.testing.assert_array_equal(got, np.moveaxis(stack[::-1] if d else stack, 0, axis))


def test_scan_over_nothing() -> None:
    s0 = np.array([1.0, 2.0, 3.0], np.float32)
    last, bests, negatives, constants = run(
        scan_graph(),
        s0=s0,
        x=np.zeros((0, 3), np.float32),
        z=np.zeros((0, 2, 4), np.float32),
        k=np.array([9]),
    )
    np.testing.assert_array_equal(last, s0)
    assert (bests.shape, negatives.shape, constants.shape) == ((0, 3), (0, 2, 4), (0, 1))
    assert constants.dtype == np.int64


@pytest.mark.parametrize(
    ("attributes", "x", "message"),
    [
        ({}, np.zeros((4, 3), np.float32), "one size along their axes, found 4 and 5"),
        ({"scan_input_axes": [2, 0]}, np.zeros((5, 3), np.float32), "scan axis 2 is outside"),
        ({"scan_input_directions": [2, 0]}, np.zeros((5, 3), np.float32), "has 2, expected 0 or 1"),
        ({"scan_input_axes": [0]}, np.zeros((5, 3), np.float32), "must have 2 entries, found 1"),
        ({"scan_output_axes": [7, 0, 0]}, np.zeros((5, 3), np.float32), "output axis 7 is outside"),
    ],
)
def test_scan_errors(attributes: dict[str, Any], x: Array, message: str) -> None:
    with pytest.raises(lw.ModelError, match=message):
        run(
            scan_graph(**attributes),
            s0=np.zeros(3, np.float32),
            x=x,
            z=np.zeros((5, 2, 4), np.float32),
            k=np.array([9]),
        )


def test_bodies_with_the_wrong_number_of_inputs_or_outputs_are_refused() -> None:
    body = graph_of(
        [helper.make_node("Identity", ["go"], ["go_on"])],
        [("i", INT64, []), ("go", BOOL, [])],
        [("go_on", BOOL, [])],
    )
    graph = graph_of(
        [helper.make_node("Loop", ["M", "", "v0"], ["v"], body=body)],
        [("M", INT64, []), ("v0", FLOAT, [1])],
        [("v", FLOAT, None)],
    )
    with pytest.raises(lw.ModelError, match="must have 3 inputs, found 2"):
        run(graph, M=np.array(3), v0=np.ones(1, np.float32))
    branch = graph_of([helper.make_node("Identity", ["c"], ["t"])], [], [("t", BOOL, [])])
    graph = graph_of(
        [helper.make_node("If", ["c"], ["y", "z"], then_branch=branch, else_branch=branch)],
        [("c", BOOL, [])],
        [("y", BOOL, None), ("z", BOOL, None)],
    )
    with pytest.raises(lw.ModelError, match="must have 2 outputs, found 1"):
        run(graph, c=np.array(True))


def test_the_condition_must_be_one_bool() -> None:
    branch = graph_of([helper.make_node("Identity", ["x"], ["t"])], [], [("t", FLOAT, None)])
    graph = graph_of(
        [helper.make_node("If", ["c"], ["y"], then_branch=branch, else_branch=branch)],
        [("c", BOOL, None), ("x", FLOAT, [1])],
        [("y", FLOAT, None)],
    )
    with pytest.raises(lw.ModelError, match=r"input 0 must be one value, found \[2\]"):
        run(graph, c=np.array([True, False]), x=np.ones(1, np.float32))
