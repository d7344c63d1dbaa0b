"""Random graphs agree with onnx.reference; a failure names the seed that makes it again."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

import lanewise as lw
from tests.graphs.generate import FLOATS, Builder, Choice, Value
from tests.graphs.nodes import MAKERS

Array = NDArray[Any]
CHUNKS = 10
#: Relative to the largest element: what a few layers lose in each type. ONNX's attributes, and so
#: constants of the reference like 1/6, are float32 even where the elements are float64.
TOLERANCE = dict(zip(FLOATS, (1e-4, 1e-6, 3e-2, 2e-1), strict=True))


def build(seed: int) -> Builder:
    """A graph of up to nine nodes; seeds that follow each other begin with other makers."""
    b = Builder(seed)
    for i in range(b.integer(1, 9) * 2):
        maker = MAKERS[seed % len(MAKERS)] if i == 0 else b.pick(MAKERS)
        choice = maker(b)
        if choice is not None and len(b.nodes) < 9:
            b.add(choice)
    return b


def check(seed: int) -> int:
    """Runs the graph of a seed whole and compares each result; returns how many nodes it has."""
    b = build(seed)
    if not b.nodes:
        return 0
    feeds = {value.name: value.array for value in b.inputs}
    listing = "\n".join(
        f"  {node.name}({', '.join(node.input)}) -> {', '.join(node.output)}" for node in b.nodes
    )
    where = f"seed {seed} (--graph-seed {seed} --graph-count 1):\n{listing}\n"
    try:
        session = lw.load(b.model(), threads=2)
        got = session.run(feeds)
    except lw.LanewiseError as error:
        raise AssertionError(f"{where}{error}") from error
    for value in b.results:
        compare(value, got[value.name], where)
    # Without inner results, nodes fuse and memory is shared.
    last = b.results[-1]
    compare(last, session.run(feeds, [last.name])[last.name], where + "alone, ")
    return len(b.nodes)


def compare(value: Value, got: Array, where: str) -> None:
    """Exact results bit by bit, others within the type's tolerance."""
    wanted = value.array
    what = f"{where}{value.name}: "
    assert got.dtype == wanted.dtype, f"{what}{got.dtype}, the reference gives {wanted.dtype}"
    assert got.shape == wanted.shape, f"{what}{got.shape}, the reference gives {wanted.shape}"
    if value.exact or got.dtype.kind in "biuO":
        assert np.array_equal(got, wanted), f"{what}{got!r}, the reference gives {wanted!r}"
        return
    a, e = got.astype(np.float64), wanted.astype(np.float64)
    bound = TOLERANCE[got.dtype] * max(1.0, np.abs(e).max(initial=0.0))
    error = np.abs(a - e).max(initial=0.0)
    assert error <= bound, f"{what}off by {error} with bound {bound}\n{got!r}\n{wanted!r}"


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_random_graphs(chunk: int, request: pytest.FixtureRequest) -> None:
    first = request.config.getoption("--graph-seed")
    count = request.config.getoption("--graph-count")
    nodes = sum(check(seed) for seed in range(first + chunk, first + count, CHUNKS))
    assert nodes > 0 or count < 100


#: Operators that the generator does not make, and why.
LEFT_OUT = {
    "LRN": "the reference scales as many channels as there are samples",
    "MaxRoiPool": "the reference does not have it",
    "ImageDecoder": "its results are Pillow's",
    **dict.fromkeys(
        ("Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform",
         "RandomUniformLike"),
        "its results are drawn",
    ),
}  # fmt: skip


def offered(choice: Choice) -> set[str]:
    """The operators of a choice, bodies included."""
    if not choice.chain:
        return {choice.op}
    found, nodes = set(), list(choice.chain)
    while nodes:
        node = nodes.pop()
        found.add(node.op_type)
        nodes += [inner for attribute in node.attribute for inner in attribute.g.node]
    return found


def test_every_operator_may_come_up() -> None:
    found: set[str] = set()
    for seed in range(150):
        for maker in MAKERS:
            choice = maker(Builder(1000 * seed + 7))
            found |= offered(choice) if choice is not None else set()
    names = {s.name for s in onnx.defs.get_all_schemas() if not s.domain and not s.deprecated}
    assert names - found == LEFT_OUT.keys()


@pytest.mark.parametrize("kind", ["float32", "string"])
def test_a_view_of_a_result_outlives_it(kind: str) -> None:
    """Inner strings are results of their step; one that is a view was made from freed memory."""
    b = Builder(0)
    array = b.draw((3, 50), np.dtype(object) if kind == "string" else np.dtype(np.float32))
    x = b.inputs[0] = b.values[0] = Value("x0", array, True)
    assert b.add(Choice("Transpose", [x], {"perm": [1, 0]}, exact=True))
    assert b.add(Choice("Unsqueeze", [b.results[-1], np.array([0])], exact=True))
    last = b.results[-1]
    feeds = {value.name: value.array for value in b.inputs}
    session = lw.load(b.model())
    for names in ([last.name], [last.name, b.results[0].name]):
        compare(last, session.run(feeds, names)[last.name], "")
