"""Seeded random graphs: nodes picked one by one, each evaluated by onnx.reference as it is added.

A node whose reference fails, or gives values that are not tame, is left out again. Which nodes
there may be stands in `nodes.py`.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import ml_dtypes
import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

Array = NDArray[Any]

FLOATS = [np.dtype(t) for t in (np.float32, np.float64, np.float16, ml_dtypes.bfloat16)]
INTEGERS = [
    np.dtype(t)
    for t in (np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint16, np.uint32, np.uint64)
]
BOOL = np.dtype(np.bool_)
STRING = np.dtype(object)
LARGEST = 1e4  # of values that go into further nodes
OPSET = onnx.defs.onnx_opset_version()


@dataclass
class Value:
    """A tensor of the graph.

    Attributes:
        exact: no rounding went into it, so that functions with jumps may follow.
    """

    name: str
    array: Array
    exact: bool

    @property
    def dtype(self) -> np.dtype[Any]:
        """The element type."""
        return self.array.dtype

    @property
    def shape(self) -> tuple[int, ...]:
        """The dimensions."""
        return self.array.shape

    @property
    def rank(self) -> int:
        """The number of dimensions."""
        return self.array.ndim


@dataclass
class Choice:
    """A node that could be added: its inputs are values of the graph or new constants."""

    op: str
    inputs: Sequence[Value | Array | None]
    attributes: dict[str, Any] = field(default_factory=dict)
    outputs: int = 1
    exact: bool = False  # the node rounds nothing
    #: In place of one node, several: they read the inputs as x, y and z, and make r.
    chain: Sequence[onnx.NodeProto] = ()


class Builder:
    """A graph while it grows."""

    def __init__(self, seed: int) -> None:
        """Starts with a few inputs."""
        self.rng = np.random.default_rng(seed)
        self.values: list[Value] = []
        self.inputs: list[Value] = []
        self.results: list[Value] = []
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        for _ in range(int(self.rng.integers(1, 4))):
            self.add_input()

    def pick(self, options: Sequence[Any]) -> Any:
        """One of the options."""
        return options[int(self.rng.integers(len(options)))]

    def integer(self, low: int, high: int) -> int:
        """Uniform, both ends included."""
        return int(self.rng.integers(low, high + 1))

    def chance(self, probability: float) -> bool:
        """True with this probability."""
        return bool(self.rng.random() < probability)

    def shape(self) -> tuple[int, ...]:
        """Rank 0 to 6, few elements, now and then none."""
        rank = self.pick([0, 1, 1, 2, 2, 2, 3, 3, 4, 4, 4, 5, 6])
        most = {0: 1, 1: 40, 2: 12, 3: 7, 4: 6}.get(rank, 3)
        dims = [self.integer(1, most) for _ in range(rank)]
        if rank and self.chance(0.06):
            dims[self.integer(0, rank - 1)] = 0
        return tuple(dims)

    def draw(self, shape: Sequence[int], dtype: np.dtype[Any]) -> Array:
        """Values that are exact in every type: multiples of 1/8, small integers, short words."""
        shape = tuple(shape)
        if dtype == STRING:
            words = np.array(["a", "b", "", "zz", "\u00e9t\u00e9"], object)
            return np.array(words[self.rng.integers(0, len(words), shape)], object)
        if dtype == BOOL:
            return np.asarray(self.rng.integers(0, 2, shape), bool)
        if dtype in FLOATS:
            return np.asarray(self.rng.integers(-24, 25, shape) / 8).astype(dtype)
        low = 0 if dtype.kind == "u" else -9
        return np.asarray(self.rng.integers(low, 10, shape)).astype(dtype)

    def add_input(self) -> None:
        """Another input of a random type and shape."""
        dtype = self.pick([*FLOATS, FLOATS[0], FLOATS[0], FLOATS[0], *INTEGERS, BOOL, STRING])
        self.bring(self.draw(self.shape(), dtype))

    def bring(self, array: Array) -> Value:
        """Another input, of that value."""
        value = Value(f"x{len(self.inputs)}", np.asarray(array), True)
        self.inputs.append(value)
        self.values.append(value)
        return value

    def choose(self, wanted: Any) -> Value | None:
        """A value for which `wanted` holds, recent ones more often; None when there is none."""
        found = [value for value in self.values if wanted(value)]
        if not found:
            return None
        return found[max(self.integer(0, len(found) - 1), self.integer(0, len(found) - 1))]

    def like(self, value: Value, *, broadcast: bool = False) -> Value | Array:
        """Another operand: a value of the same type and shape, or a new constant."""
        other = self.choose(lambda v: v.dtype == value.dtype and v.shape == value.shape)
        if other is not None and self.chance(0.5):
            return other
        shape = list(value.shape)
        if broadcast:
            shape = [1 if self.chance(0.3) else d for d in shape][self.integer(0, len(shape)) :]
        return self.draw(shape, value.dtype)

    def add(self, choice: Choice) -> bool:
        """Adds the node when onnx.reference can run it and the results are tame."""
        names: list[str] = []
        feeds: dict[str, Array] = {}
        constants = []
        exact = choice.exact
        for operand in choice.inputs:
            if operand is None:
                names.append("")
            elif isinstance(operand, Value):
                names.append(operand.name)
                feeds[operand.name] = operand.array
                exact = exact and operand.exact
            else:
                name = f"c{len(self.constants) + len(constants)}"
                constants.append(numpy_helper.from_array(np.asarray(operand), name))
                names.append(name)
                feeds[name] = np.asarray(operand)
        number = len(self.nodes)
        outputs = [f"v{number}_{i}" for i in range(choice.outputs)]
        if choice.chain:
            nodes = linked(choice.chain, dict(zip("xyz", names, strict=False)), outputs[0])
        else:
            nodes = [
                helper.make_node(
                    choice.op, names, outputs, name=f"{choice.op}{number}", **choice.attributes
                )
            ]
        try:
            results = evaluate(nodes, outputs, feeds)
        except Exception:  # the reference has limits of its own
            return False
        if not all(tame(result) for result in results):
            return False
        # NumPy's sums of scalars are wider than what ONNX says.
        if choice.op.startswith("Reduce") and results[0].dtype != choice.inputs[0].dtype:
            return False
        self.nodes += nodes
        self.constants += constants
        for name, result in zip(outputs, results, strict=True):
            is_exact = exact or result.dtype.kind in "biuO"
            self.values.append(Value(name, result, is_exact))
            self.results.append(self.values[-1])
        return True

    def model(self) -> onnx.ModelProto:
        """The graph with every result as an output."""
        empty = [helper.make_empty_tensor_value_info(value.name) for value in self.results]
        inputs = [
            helper.make_tensor_value_info(v.name, element_type(v.dtype), self.declared(v))
            for v in self.inputs
        ]
        graph = helper.make_graph(self.nodes, "random", inputs, empty, self.constants)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)])

    def declared(self, value: Value) -> list[int | str]:
        """The shape, some of whose dimensions are left open."""
        return [f"{value.name}_{i}" if i % 3 == 1 else d for i, d in enumerate(value.shape)]


def element_type(dtype: np.dtype[Any]) -> int:
    """ONNX's code of a NumPy type."""
    if dtype == STRING:
        return int(onnx.TensorProto.STRING)
    return int(helper.np_dtype_to_tensor_dtype(dtype))


def linked(
    chain: Sequence[onnx.NodeProto], operands: dict[str, str], result: str
) -> list[onnx.NodeProto]:
    """The nodes of a chain, over the names of its operands and with names of their own."""

    def rename(name: str) -> str:
        return operands.get(name, result if name == "r" else f"{result}/{name}" if name else "")

    def place(node: onnx.NodeProto, local: frozenset[str]) -> None:
        for names in (node.input, node.output):
            names[:] = [name if name in local else rename(name) for name in names]
        for attribute in node.attribute:
            body = attribute.g
            own = {info.name for info in (*body.input, *body.output)}
            inside = local | own | {name for inner in body.node for name in inner.output}
            for inner in body.node:
                place(inner, frozenset(inside))

    nodes = []
    for given in chain:
        node = onnx.NodeProto()
        node.CopyFrom(given)
        place(node, frozenset())
        node.name = f"{node.op_type} of {result}"
        nodes.append(node)
    return nodes


def evaluate(
    nodes: Sequence[onnx.NodeProto], outputs: Sequence[str], feeds: dict[str, Array]
) -> list[Array]:
    """The nodes' results in onnx.reference."""
    inputs = [
        helper.make_tensor_value_info(name, element_type(array.dtype), array.shape)
        for name, array in feeds.items()
    ]
    empty = [helper.make_empty_tensor_value_info(name) for name in outputs]
    graph = helper.make_graph(nodes, "g", inputs, empty)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)])
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        results: Any = ReferenceEvaluator(model).run(None, feeds)
    arrays = [np.asarray(result) for result in results]
    # Text comes back in types of fixed width.
    return [a.astype(object) if a.dtype.kind in "US" else a for a in arrays]


def tame(array: Array) -> bool:
    """Neither large nor long, and all of it numbers."""
    if array.size > 20000 or array.ndim > 8:
        return False
    if array.dtype.kind in "bO" or array.size == 0:
        return True
    wide = array.astype(np.float64)
    return bool(np.all(np.isfinite(wide)) and np.abs(wide).max() < LARGEST)
