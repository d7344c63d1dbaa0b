"""Graph: an ONNX model under construction, with its shapes, names, constants and seeded weights.

A tensor is its name. Shapes come from ONNX's own inference, node by node, so nothing here or in
the layers of builder.py computes one itself.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper, shape_inference

from .moments import Array, Moments

OPSET = 17
IR_VERSION = 8
BATCH_AXIS = "N"

Attribute = int | float | str | Sequence[int] | TensorProto
Dim = int | str


class Graph:
    """Adds nodes to a model that is a valid ONNX graph at every moment."""

    def __init__(self, name: str, batch: Dim = 1, seed: int | None = 0) -> None:
        """Starts an empty model.

        Args:
            name: Name of the network; with `seed` it determines every weight.
            batch: Number of samples, or a name that makes the batch dimension symbolic.
            seed: Seed of the weights; None leaves them without data, enough for shapes and counts.
        """
        self.batch = batch
        self.model = onnx.ModelProto(ir_version=IR_VERSION, producer_name="bench.networks")
        self.model.opset_import.append(helper.make_opsetid("", OPSET))
        self.model.graph.name = name
        self._rng = (
            None if seed is None else np.random.default_rng([seed, zlib.crc32(name.encode())])
        )
        self._types: dict[str, onnx.TypeProto] = {}
        self._constants: dict[str, TensorProto] = {}
        self.moments: dict[str, Moments] = {}
        self._scope: list[str] = []
        self._counters: dict[str, int] = {}

    def input(self, name: str, shape: Sequence[Dim], dtype: npt.DTypeLike = np.float32) -> str:
        """A graph input; the dimension "N" becomes the batch."""
        dims = [self.batch if d == BATCH_AXIS else d for d in shape]
        info = helper.make_tensor_value_info(
            name, helper.np_dtype_to_tensor_dtype(np.dtype(dtype)), dims
        )
        self.model.graph.input.append(info)
        self._types[name] = info.type
        if len(dims) > 1 and isinstance(dims[1], int) and np.dtype(dtype) == np.float32:
            self.moments[name] = Moments.standard(dims[1])
        return name

    def output(self, name: str, x: str) -> None:
        """Makes the tensor `x` the graph output `name`."""
        self.model.graph.node.append(
            helper.make_node("Identity", [x], [name], name=f"output_{name}")
        )
        self.model.graph.output.append(onnx.ValueInfoProto(name=name, type=self._types[x]))

    @contextmanager
    def scope(self, name: str) -> Iterator[None]:
        """Puts `name/` in front of the names of all nodes and weights added inside."""
        self._scope.append(name)
        try:
            yield
        finally:
            self._scope.pop()

    def shape(self, x: str) -> list[Dim]:
        """Dimensions of `x`: an int each, or the name of a symbolic one."""
        dims = self._types[x].tensor_type.shape.dim
        return [d.dim_param if d.HasField("dim_param") else d.dim_value for d in dims]

    def size(self, x: str, axis: int) -> int:
        """The dimension `axis` of `x`, which must be known."""
        dim = self.shape(x)[axis]
        if not isinstance(dim, int) or dim < 1:
            raise ValueError(f"dimension {axis} of {x} is {dim!r}, and a number is needed")
        return dim

    def op(self, kind: str, *inputs: str, **attributes: Attribute) -> str:
        """Adds a node with one output and returns its name; "" stands for an input left out."""
        return self.ops(kind, 1, *inputs, **attributes)[0]

    def ops(self, kind: str, outputs: int, *inputs: str, **attributes: Attribute) -> list[str]:
        """Adds a node with several outputs.

        The moments of the first input pass to each output that has as many channels.
        """
        name = self._fresh(kind.lower())
        names = [name] if outputs == 1 else [f"{name}_{i}" for i in range(outputs)]
        node = helper.make_node(kind, inputs, names, name=name)
        node.attribute.extend(helper.make_attribute(k, v) for k, v in attributes.items())
        self.model.graph.node.append(node)
        self._types.update(
            shape_inference.infer_node_outputs(
                onnx.defs.get_schema(kind, OPSET),
                node,
                {i: self._types[i] for i in inputs if i},
                {i: self._constants[i] for i in inputs if i in self._constants},
                opset_imports=list(self.model.opset_import),
                ir_version=IR_VERSION,
            )
        )
        before = self.moments.get(inputs[0]) if inputs else None
        for y in names:
            if before is not None and self.shape(y)[1:2] == [len(before.mean)]:
                self.moments[y] = before
        return names

    def const(self, values: npt.ArrayLike, dtype: npt.DTypeLike = np.float32) -> str:
        """A Constant node: a number that the architecture fixes, not a parameter."""
        tensor = numpy_helper.from_array(np.asarray(values, dtype))
        name = self.op("Constant", value=tensor)
        self._constants[name] = tensor
        return name

    def ints(self, *values: int) -> str:
        """A Constant node of int64, for shapes, axes and indices."""
        return self.const(values, np.int64)

    def weight(self, name: str, values: Array) -> str:
        """An initializer: a parameter that training would have set, or a running statistic."""
        name = self._fresh(name)
        tensor = self.model.graph.initializer.add()
        tensor.name, tensor.data_type = name, TensorProto.FLOAT
        tensor.dims.extend(values.shape)
        if self._rng is not None:
            tensor.raw_data = np.ascontiguousarray(values).tobytes()
        self._types[name] = helper.make_tensor_type_proto(TensorProto.FLOAT, values.shape)
        return name

    def normal(self, shape: Sequence[int], std: float, mean: float = 0.0) -> Array:
        """Gaussian float32 numbers from the network's generator; zeros when there is no seed."""
        if self._rng is None:
            return np.broadcast_to(np.float32(0), tuple(shape))
        values = self._rng.standard_normal(tuple(shape), np.float32)
        values *= np.float32(std)
        if mean:
            values += np.float32(mean)
        return values

    def positive(self, count: int, low: float, high: float) -> Array:
        """Uniform float32 numbers between `low` and `high`; ones when there is no seed."""
        if self._rng is None:
            return np.ones(count, np.float32)
        return self._rng.uniform(low, high, count).astype(np.float32)

    def _fresh(self, kind: str) -> str:
        stem = "/".join([*self._scope, kind])
        count = self._counters.get(stem, 0)
        self._counters[stem] = count + 1
        return f"{stem}_{count}"
