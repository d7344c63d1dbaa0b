"""Sequences and optionals as values: operators, borders, control flow, and what is refused."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import lanewise as lw
from tests.ops.one_node import fails
from tests.ops.values import (
    BOOL,
    FLOAT,
    INT64,
    STRING,
    graph,
    load,
    mapping,
    optional,
    same,
    sequence,
    tensor,
)  # fmt: skip

node = helper.make_node
RNG = np.random.default_rng(5)
A, B = np.arange(3, dtype=np.float32), np.ones((2, 2), np.float32)


@pytest.mark.parametrize("items", [[], [A], [A, B, np.zeros((0, 4), np.float32)]])
def test_a_sequence_goes_through_unchanged_in_memory_of_its_own(items: list[Any]) -> None:
    model = load([node("Identity", ["s"], ["t"])], {"s": sequence()}, {"t": sequence()})
    got = model(items)
    same(got, items)
    for left, right in zip(got, items, strict=True):
        assert not np.shares_memory(left, right)
    assert model.inputs[0].dtype == "sequence(float32)"
    assert model.inputs[0].shape is None


@pytest.mark.parametrize("value", [None, [A, B]])
def test_an_optional_is_none_or_the_value(value: Any) -> None:
    type_ = optional(sequence())
    model = load([node("Identity", ["s"], ["t"])], {"s": type_}, {"t": type_})
    same(model(value), value)
    assert model.outputs[0].dtype == "optional(sequence(float32))"
    has = load([node("OptionalHasElement", ["s"], ["t"])], {"s": type_}, {"t": tensor(BOOL)})
    assert bool(has(value)) == (value is not None)


def test_a_map_is_a_dict() -> None:
    for key, value, content in (
        (INT64, FLOAT, {3: 0.5, -1: 2.0}),
        (STRING, INT64, {"a": 7, "é": -2}),
        (STRING, FLOAT, {}),
    ):
        type_ = mapping(key, tensor(value))
        model = load([node("Identity", ["m"], ["n"])], {"m": type_}, {"n": type_})
        assert model(content) == content
    with pytest.raises(lw.InputError, match="give a dict"):
        model([1.0])


@pytest.mark.parametrize("dtype", ["float32", "float16", "int8", "bool", "complex64", "object"])
@pytest.mark.parametrize(("at", "index"), [(0, 0), (1, 1), (-1, 2), (-3, 0)])
def test_construct_and_at(dtype: str, at: int, index: int) -> None:
    arrays = [np.arange(n).astype(dtype) for n in (0, 3, 5)]
    if dtype == "object":
        arrays = [np.array([f"t{i}" for i in range(n)], dtype=object) for n in (0, 3, 5)]
    code = STRING if dtype == "object" else helper.np_dtype_to_tensor_dtype(arrays[0].dtype)
    model = load(
        [node("SequenceConstruct", ["a", "b", "c"], ["s"]), node("SequenceAt", ["s", "i"], ["y"])],
        {"a": tensor(code), "b": tensor(code), "c": tensor(code), "i": tensor(INT64)},
        {"y": tensor(code), "s": sequence(tensor(code))},
    )
    y, s = model(*arrays, np.array(at))
    same(y, arrays[index])
    same(s, arrays)


@pytest.mark.parametrize("at", [None, 0, 1, 2, -1, -2])
def test_insert_and_erase(at: int | None) -> None:
    names = ["i"] if at is not None else []
    types = {"i": tensor(INT64)} if at is not None else {}
    given = [np.array(at)] if at is not None else []
    model = load(
        [
            node("SequenceInsert", ["s", "x", *names], ["t"]),
            node("SequenceErase", ["t", *names], ["u"]),
            node("SequenceLength", ["t"], ["n"]),
        ],
        {"s": sequence(), "x": tensor(), **types},
        {"t": sequence(), "u": sequence(), "n": tensor(INT64)},
    )
    start = [A, A + 1]
    t, u, n = model(start, B, *given)
    wanted = list(start)
    wanted.insert(len(start) if at is None else at, B)
    same(t, wanted)
    del wanted[-1 if at is None else at]
    same(u, wanted)
    assert n == 3


@pytest.mark.parametrize("shape", [(6,), (6, 4), (2, 6, 3), (6, 0)])
@pytest.mark.parametrize("split", [None, 4, [1, 0, 5]])
@pytest.mark.parametrize("keepdims", [0, 1])
def test_split_and_concat_again(shape: tuple[int, ...], split: Any, keepdims: int) -> None:
    axis = shape.index(6)
    x = RNG.normal(size=shape).astype(np.float32)
    names = [] if split is None else ["n"]
    given = [] if split is None else [np.array(split)]
    types = {} if split is None else {"n": tensor(INT64)}
    new_axis = int(split is None and keepdims == 0)
    model = load(
        [
            node("SplitToSequence", ["x", *names], ["s"], axis=axis, keepdims=keepdims),
            node("ConcatFromSequence", ["s"], ["y"], axis=axis, new_axis=new_axis),
        ],
        {"x": tensor(), **types},
        {"s": sequence(), "y": tensor()},
    )
    s, y = model(x, *given)
    if split is None:
        parts = [np.take(x, [i], axis) for i in range(6)]
        parts = [p if keepdims else p.squeeze(axis) for p in parts]
    else:
        parts = np.split(x, [4] if split == 4 else np.cumsum(split)[:-1], axis)
    same(s, parts)
    same(y, x)


def test_split_and_concat_strings() -> None:
    x = np.array([["a", "b"], ["long enough to be on the heap", ""]], dtype=object)
    model = load(
        [
            node("SplitToSequence", ["x"], ["s"], axis=1, keepdims=0),
            node("ConcatFromSequence", ["s"], ["y"], axis=-1, new_axis=1),
        ],
        {"x": tensor(STRING)},
        {"y": tensor(STRING)},
    )
    same(model(x), x)


def test_map_calls_the_body_for_each_item() -> None:
    body = graph(
        [node("Add", ["a", "b"], ["c"]), node("Shape", ["c"], ["d"])],
        {"a": tensor(), "b": tensor()},
        {"c": tensor(), "d": tensor(INT64)},
    )
    model = load(
        [node("SequenceMap", ["s", "x"], ["t", "u"], body=body)],
        {"s": sequence(), "x": tensor(FLOAT, [])},
        {"t": sequence(), "u": sequence(tensor(INT64))},
    )
    t, u = model([A, B], np.float32(2))
    same(t, [A + 2, B + 2])
    same(u, [np.array([3]), np.array([2, 2])])
    same(model([], np.float32(2)), ([], []))


def grown() -> lw.Model:
    """A loop that inserts its index, as float, into a sequence; If chooses what it starts from."""
    body = graph(
        [
            node("Identity", ["go"], ["go_on"]),
            node("Cast", ["i"], ["f"], to=FLOAT),
            node("SequenceInsert", ["s", "f"], ["t"]),
        ],
        {"i": tensor(INT64, []), "go": tensor(BOOL, []), "s": sequence()},
        {"go_on": tensor(BOOL, []), "t": sequence()},
    )
    given = graph([node("OptionalGetElement", ["o"], ["a"])], {}, {"a": sequence()})
    empty = graph([node("SequenceEmpty", [], ["b"])], {}, {"b": sequence()})
    return load(
        [
            node("OptionalHasElement", ["o"], ["has"]),
            node("If", ["has"], ["start"], then_branch=given, else_branch=empty),
            node("Loop", ["n", "", "start"], ["end"], body=body),
        ],
        {"o": optional(sequence()), "n": tensor(INT64, [])},
        {"end": sequence()},
    )


@pytest.mark.parametrize("start", [None, [], [A]])
@pytest.mark.parametrize("count", [0, 3])
def test_sequences_through_if_and_loop(start: Any, count: int) -> None:
    wanted = (start or []) + [np.array(i, np.float32) for i in range(count)]
    same(grown()(start, np.array(count)), wanted)


def test_one_model_serves_threads() -> None:
    model, wrong = grown(), []

    def work(number: int) -> None:
        for count in range(4):
            got = model([A + number], np.array(count))
            if len(got) != count + 1 or not np.array_equal(got[0], A + number):
                wrong.append((number, count))

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_optional_of_a_type_is_empty() -> None:
    type_ = optional(tensor())
    model = load([node("Optional", [], ["o"], type=tensor())], {}, {"o": type_})
    assert model() is None
    full = load([node("Optional", ["x"], ["o"])], {"x": tensor()}, {"o": type_})
    same(full(A), A)


def test_strings_between_operators() -> None:
    """Inner values of strings are objects: no arena may hold them."""
    long = "longer than a string that is kept in place"
    model = load(
        [
            node("Where", ["c", "a", "b"], ["w"]),
            node("Concat", ["w", "a"], ["j"], axis=0),
            node("Where", ["e", "j", "j"], ["y"]),
        ],
        {"c": tensor(BOOL), "e": tensor(BOOL), "a": tensor(STRING), "b": tensor(STRING)},
        {"y": tensor(STRING)},
    )
    a, b = np.array(["x", long], dtype=object), np.array([long + "!", "y"], dtype=object)
    got = model(np.array([True, False]), np.array([True] * 4), a, b)
    assert got.tolist() == ["x", "y", "x", long]


REFUSED = [
    ([node("Abs", ["s"], ["y"])], "input 0 must be a tensor, found a sequence"),
    ([node("SequenceLength", ["x"], ["y"])], "must be a sequence, found a tensor of float32"),
    ([node("SequenceInsert", ["s", "s"], ["y"])], "input 1 must be a tensor, found sequence"),
    ([node("SequenceAt", ["s", "x"], ["y"])], "must be of int32, int64, found float32"),
    ([node("SequenceConstruct", ["x", "k"], ["y"])], "must have one type, found float32 and int64"),
    ([node("ConcatFromSequence", ["s"], ["y"], axis=0, new_axis=2)], "expected 0 or 1"),
    ([node("SequenceEmpty", [], ["y"], dtype=99)], "expected an ONNX element type"),
    ([node("Optional", [], ["y"])], "neither an input nor the attribute"),
    ([node("SplitToSequence", ["x"], ["y"], axis=4)], "expected -1 to 0"),
]


@pytest.mark.parametrize(("nodes", "match"), REFUSED, ids=[n[0].op_type for n, _ in REFUSED])
def test_wrong_kinds_are_refused_when_the_model_is_loaded(
    nodes: list[onnx.NodeProto], match: str
) -> None:
    inputs = {"s": sequence(), "x": tensor(FLOAT, [3]), "k": tensor(INT64, [1])}
    with pytest.raises(lw.ModelError, match=match):
        load(nodes, inputs, {"y": tensor()})


FAULTS: list[tuple[list[onnx.NodeProto], list[Any], str]] = [
    ([node("SequenceAt", ["s", "i"], ["y"])], [[A], 1], "position 1 is outside a sequence of 1"),
    ([node("SequenceAt", ["s", "i"], ["y"])], [[], 0], "outside a sequence of 0 items"),
    ([node("SequenceErase", ["s", "i"], ["y"])], [[A], -2], "position -2 is outside"),
    ([node("SequenceInsert", ["s", "i"], ["y"])], [[A], 0], "item of float32, found int64"),
    ([node("ConcatFromSequence", ["s"], ["y"], axis=0)], [[], 0], "empty sequence"),
    ([node("ConcatFromSequence", ["s"], ["y"], axis=0)], [[A, B], 0], "only along the axis"),
    ([node("ConcatFromSequence", ["s"], ["y"], axis=2)], [[A], 0], "expected -1 to 0"),
    (
        [node("ConcatFromSequence", ["s"], ["y"], axis=0, new_axis=1)],
        [[A, A[:1]], 0],
        "must have one shape",
    ),
    ([node("SplitToSequence", ["i", "i"], ["y"])], [[], 0], "scalar, expected rank 1"),
]


@pytest.mark.parametrize(("nodes", "given", "match"), FAULTS)
def test_faults_in_the_data_name_the_node(
    nodes: list[onnx.NodeProto], given: list[Any], match: str
) -> None:
    with pytest.raises(lw.ModelError, match=match) as error:
        model = load(nodes, {"s": sequence(), "i": tensor(INT64, [])}, {"y": tensor()})
        model(given[0], np.array(given[1]))
    assert nodes[0].op_type in str(error.value)


def test_splits_that_do_not_fit() -> None:
    x = np.zeros((4, 2), np.float32)
    for sizes in ([1, 2], [5, -1], [4, 1]):
        fails("SplitToSequence", [x, np.array(sizes)], "whose sum is 4")
    fails("SplitToSequence", [x, np.array(0)], "expected 1 or more")
    huge = np.zeros((2**40, 0), np.float32)
    fails("SplitToSequence", [huge], "parts")


def test_an_empty_optional_cannot_be_opened() -> None:
    model = load(
        [node("OptionalGetElement", ["o"], ["y"])], {"o": optional(tensor())}, {"y": tensor()}
    )
    same(model(A), A)
    with pytest.raises(lw.ModelError, match="the optional is empty"):
        model(None)


def test_inputs_of_the_wrong_kind() -> None:
    model = load([node("SequenceLength", ["s"], ["n"])], {"s": sequence()}, {"n": tensor(INT64)})
    with pytest.raises(lw.InputError, match=r"expected sequence\(float32\), got ndarray"):
        model(A)
    with pytest.raises(lw.InputError, match="item 1 is int64"):
        model([A, np.arange(2)])
    with pytest.raises(lw.InputError, match="'s' is missing"):
        model.run({})
    plain = load([node("Abs", ["x"], ["y"])], {"x": tensor()}, {"y": tensor()})
    with pytest.raises(lw.LanewiseError):
        plain([A, B])
    with pytest.raises(lw.InputError, match="cannot be made up"):
        model.explain()


def test_loops_do_not_stack_sequences() -> None:
    body = graph(
        [node("Identity", ["go"], ["go_on"]), node("SequenceEmpty", [], ["s"])],
        {"i": tensor(INT64, []), "go": tensor(BOOL, [])},
        {"go_on": tensor(BOOL, []), "s": sequence()},
    )
    with pytest.raises(lw.ModelError, match="stacks results of the body, which must be tensors"):
        load(
            [node("Loop", ["n", ""], ["y"], body=body)],
            {"n": tensor(INT64, [])},
            {"y": tensor()},
        )


def test_mapped_sequences_must_have_one_length() -> None:
    body = graph([node("Add", ["a", "b"], ["c"])], {"a": tensor(), "b": tensor()}, {"c": tensor()})
    model = load(
        [node("SequenceMap", ["s", "t"], ["u"], body=body)],
        {"s": sequence(), "t": sequence()},
        {"u": sequence()},
    )
    with pytest.raises(lw.ModelError, match="must have one length, found 1 and 2"):
        model([A], [A, A])


def test_foreign_types_are_reported() -> None:
    sparse = onnx.TypeProto()
    sparse.sparse_tensor_type.elem_type = TensorProto.FLOAT
    with pytest.raises(lw.UnsupportedError, match="'s': a sparse tensor"):
        load([node("Abs", ["s"], ["y"])], {"s": sparse}, {"y": tensor()})
    broken = sequence(tensor(99))
    with pytest.raises(lw.ModelError, match="unknown element type 99"):
        load([node("SequenceLength", ["s"], ["y"])], {"s": broken}, {"y": tensor(INT64)})
