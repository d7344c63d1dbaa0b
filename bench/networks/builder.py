"""GraphBuilder: the layers that the networks are written in, each one method that adds its ONNX
nodes.

A tensor is its name. Shapes come from ONNX's own inference, node by node, so no layer computes one
itself. Which networks exist is in registry.py; what they look like is in the module of each.
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


class GraphBuilder:
    """Adds nodes to a model that is a valid ONNX graph at every moment.

    Args:
        name: Name of the network; with `seed` it determines every weight.
        batch: Number of samples, or a name that makes the batch dimension symbolic.
        seed: Seed of the weights; None leaves them without data, enough for shapes and counts.
    """

    def __init__(self, name: str, batch: Dim = 1, seed: int | None = 0) -> None:
        self.batch = batch
        self.model = onnx.ModelProto(ir_version=IR_VERSION, producer_name="bench.networks")
        self.model.opset_import.append(helper.make_opsetid("", OPSET))
        self.model.graph.name = name
        self._rng = (
            None if seed is None else np.random.default_rng([seed, zlib.crc32(name.encode())])
        )
        self._types: dict[str, onnx.TypeProto] = {}
        self._constants: dict[str, TensorProto] = {}
        self._moments: dict[str, Moments] = {}
        self._scope: list[str] = []
        self._counters: dict[str, int] = {}

    # Graph

    def input(self, name: str, shape: Sequence[Dim], dtype: npt.DTypeLike = np.float32) -> str:
        """A graph input; the dimension "N" becomes the batch."""
        dims = [self.batch if d == BATCH_AXIS else d for d in shape]
        info = helper.make_tensor_value_info(
            name, helper.np_dtype_to_tensor_dtype(np.dtype(dtype)), dims
        )
        self.model.graph.input.append(info)
        self._types[name] = info.type
        if len(dims) > 1 and isinstance(dims[1], int) and np.dtype(dtype) == np.float32:
            self._moments[name] = Moments.standard(dims[1])
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
        before = self._moments.get(inputs[0]) if inputs else None
        for y in names:
            if before is not None and self.shape(y)[1:2] == [len(before.mean)]:
                self._moments[y] = before
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

    # Layers with parameters. Weights follow He et al., "Delving deep into rectifiers",
    # arXiv:1502.01852: variance gain / fan_in, where gain 2 suits a rectifier and 1 a linear
    # output.

    def conv(
        self,
        x: str,
        out: int,
        kernel: int | Sequence[int],
        stride: int | Sequence[int] = 1,
        pad: int | Sequence[int] | None = None,
        groups: int = 1,
        bias: bool = True,
        gain: float = 2.0,
    ) -> str:
        """Convolution over all spatial axes; `pad` defaults to kernel // 2 on each side."""
        rank = len(self.shape(x)) - 2
        kernels = _each(kernel, rank)
        pads = [k // 2 for k in kernels] if pad is None else _each(pad, rank)
        fan_in = self.size(x, 1) // groups * int(np.prod(kernels))
        values = self.normal([out, self.size(x, 1) // groups, *kernels], (gain / fan_in) ** 0.5)
        params = [self.weight("weight", values)] + ([self._bias(out)] if bias else [])
        y = self.op(
            "Conv",
            x,
            *params,
            kernel_shape=kernels,
            strides=_each(stride, rank),
            pads=pads * 2,
            group=groups,
        )
        if x in self._moments:
            self._moments[y] = self._moments[x].filtered(values, groups)
        return y

    def deconv(
        self, x: str, out: int, kernel: int, stride: int, pad: int, bias: bool = True
    ) -> str:
        """Transposed convolution (ConvTranspose) over all spatial axes."""
        rank = len(self.shape(x)) - 2
        # Each output sees kernel / stride inputs along each axis.
        fan_in = self.size(x, 1) * (kernel / stride) ** rank
        values = self.normal([self.size(x, 1), out, *[kernel] * rank], (2 / fan_in) ** 0.5)
        params = [self.weight("weight", values)] + ([self._bias(out)] if bias else [])
        shape = {
            "kernel_shape": [kernel] * rank,
            "strides": [stride] * rank,
            "pads": [pad] * 2 * rank,
        }
        y = self.op("ConvTranspose", x, *params, **shape)
        self._moments.pop(y, None)
        return y

    def bn(self, x: str, gamma: float = 1.0) -> str:
        """BatchNormalization; `gamma` is its typical scale, small where a residual branch ends."""
        channels = self.size(x, 1)
        before = self._moments.get(x, Moments.standard(channels))
        scale = self.positive(channels, 0.6 * gamma, 1.4 * gamma)
        shift = self.normal([channels], 0.2 * gamma)
        # About what a training set would have measured. The variance lies above it on the whole:
        # where it is too small the rectifiers that follow shift by more than their expected mean,
        # and the error grows with depth.
        mean = before.mean + self.normal([channels], 0.05) * np.sqrt(before.var)
        var = before.var * self.positive(channels, 1.0, 1.5)
        params = [("scale", scale), ("shift", shift), ("mean", mean), ("var", var)]
        y = self.op("BatchNormalization", x, *[self.weight(n, v) for n, v in params], epsilon=1e-5)
        self._moments[y] = Moments(shift, scale**2)
        return y

    def instance_norm(self, x: str) -> str:
        """InstanceNormalization with a learnt scale and shift."""
        channels = self.size(x, 1)
        scale = self.weight("scale", self.positive(channels, 0.6, 1.4))
        return self.op("InstanceNormalization", x, scale, self._bias(channels), epsilon=1e-5)

    def dense(self, x: str, out: int, gain: float = 2.0) -> str:
        """Fully connected layer (Gemm) on [batch, features]."""
        features = self.size(x, 1)
        weight = self.weight("weight", self.normal([out, features], (gain / features) ** 0.5))
        y = self.op("Gemm", x, weight, self._bias(out), transB=1)
        if x in self._moments:
            power = np.full(out, gain * self._moments[x].power(), np.float32)
            self._moments[y] = Moments(np.zeros(out, np.float32), power)
        return y

    def matmul(self, x: str, out: int) -> str:
        """Linear layer with a bias over the last axis of an input of any rank."""
        features = self.size(x, -1)
        weight = self.weight("weight", self.normal([features, out], features**-0.5))
        return self.op("Add", self.op("MatMul", x, weight), self._bias(out))

    def lstm(self, x: str, hidden: int, bidirectional: bool = False, peephole: bool = False) -> str:
        """LSTM over [time, batch, features]; returns [time, batch, directions * hidden]."""
        ways, features = 2 if bidirectional else 1, self.size(x, 2)
        params = [
            self.weight("weight", self.normal([ways, 4 * hidden, features], features**-0.5)),
            self.weight("recurrence", self.normal([ways, 4 * hidden, hidden], hidden**-0.5)),
            self.weight("bias", self.normal([ways, 8 * hidden], 0.1)),
        ]
        if peephole:
            params += ["", "", "", self.weight("peephole", self.normal([ways, 3 * hidden], 0.1))]
        direction = "bidirectional" if bidirectional else "forward"
        y = self.op("LSTM", x, *params, hidden_size=hidden, direction=direction)
        return self.reshape(self.op("Transpose", y, perm=[0, 2, 1, 3]), 0, 0, -1)

    def prelu(self, x: str) -> str:
        """PRelu with one learnt slope per channel."""
        shape = [self.size(x, 1)] + [1] * (len(self.shape(x)) - 2)
        return self.op("PRelu", x, self.weight("slope", self.normal(shape, 0.05, mean=0.25)))

    def _bias(self, count: int) -> str:
        return self.weight("bias", self.normal([count], 0.05))

    # Layers without parameters

    def relu(self, x: str) -> str:
        return self._rectified(x, self.op("Relu", x))

    def relu6(self, x: str) -> str:
        return self._rectified(x, self.op("Clip", x, self.const(0), self.const(6)))

    def _rectified(self, x: str, y: str) -> str:
        if x in self._moments:
            self._moments[y] = self._moments[x].rectified()
        return y

    def lrn(self, x: str, bias: float = 1.0) -> str:
        """Local response normalisation over 5 channels, with the constants of AlexNet."""
        return self.op("LRN", x, size=5, alpha=1e-4, beta=0.75, bias=bias)

    def max_pool(
        self,
        x: str,
        kernel: int | Sequence[int],
        stride: int | Sequence[int],
        pad: int | Sequence[int] = 0,
        ceil: bool = False,
    ) -> str:
        rank = len(self.shape(x)) - 2
        kernels, strides, pads = _each(kernel, rank), _each(stride, rank), _each(pad, rank) * 2
        y = self.op(
            "MaxPool", x, kernel_shape=kernels, strides=strides, pads=pads, ceil_mode=int(ceil)
        )
        if x in self._moments:
            self._moments[y] = self._moments[x].pooled()
        return y

    def avg_pool(self, x: str, kernel: int, stride: int, pad: int = 0) -> str:
        """Average pooling whose padding counts as zeros."""
        window = {"kernel_shape": [kernel] * 2, "strides": [stride] * 2, "pads": [pad] * 4}
        return self.op("AveragePool", x, **window, count_include_pad=1)

    def global_pool(self, x: str) -> str:
        """Mean over all positions: [batch, channels]."""
        return self.flatten(self.op("GlobalAveragePool", x))

    def flatten(self, x: str) -> str:
        y = self.op("Flatten", x, axis=1)
        if x in self._moments:
            self._moments[y] = self._moments[x].repeated(self.size(y, 1))
        return y

    def softmax(self, x: str, axis: int = -1) -> str:
        return self.op("Softmax", x, axis=axis)

    def add(self, a: str, b: str) -> str:
        y = self.op("Add", a, b)
        if a in self._moments and b in self._moments:
            self._moments[y] = self._moments[a] + self._moments[b]
        return y

    def concat(self, *parts: str, axis: int = 1) -> str:
        y = self.op("Concat", *parts, axis=axis)
        self._moments.pop(y, None)
        if axis == 1 and all(p in self._moments for p in parts):
            self._moments[y] = Moments.joined([self._moments[p] for p in parts])
        return y

    def halves(self, x: str) -> list[str]:
        """The first and the second half of the channels."""
        half = self.size(x, 1) // 2
        parts = self.ops("Split", 2, x, self.ints(half, half), axis=1)
        if x in self._moments:
            self._moments[parts[0]] = self._moments[x].picked(slice(half))
            self._moments[parts[1]] = self._moments[x].picked(slice(half, None))
        return parts

    def shuffle(self, x: str, groups: int) -> str:
        """Channel shuffle of ShuffleNet: channel i of group g becomes channel g of group i."""
        channels, height, width = (self.size(x, axis) for axis in (1, 2, 3))
        grouped = self.reshape(x, 0, groups, channels // groups, height, width)
        turned = self.op("Transpose", grouped, perm=[0, 2, 1, 3, 4])
        y = self.reshape(turned, 0, channels, height, width)
        if x in self._moments:
            order = np.arange(channels).reshape(groups, -1).T.reshape(-1)
            self._moments[y] = self._moments[x].picked(order)
        return y

    def reshape(self, x: str, *dims: int) -> str:
        """Reshape, where 0 keeps a dimension and -1 takes the rest."""
        return self.op("Reshape", x, self.ints(*dims))

    def slice(self, x: str, axis: int, start: int, end: int) -> str:
        return self.op("Slice", x, self.ints(start), self.ints(end), self.ints(axis))

    def reflect_pad(self, x: str, pad: int) -> str:
        """Mirrors `pad` rows and columns at each edge of an image."""
        return self.op("Pad", x, self.ints(0, 0, pad, pad, 0, 0, pad, pad), mode="reflect")

    def upsample(self, x: str, scale: int) -> str:
        """Nearest-neighbour enlargement of an image."""
        scales = self.const([1, 1, scale, scale])
        exact = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
        return self.op("Resize", x, "", scales, mode="nearest", **exact)

    # Layers that come together

    def conv_relu(self, x: str, out: int, kernel: int | Sequence[int], stride: int = 1) -> str:
        return self.relu(self.conv(x, out, kernel, stride))

    def conv_bn(
        self, x: str, out: int, kernel: int, stride: int = 1, groups: int = 1, gamma: float = 1.0
    ) -> str:
        return self.bn(self.conv(x, out, kernel, stride, groups=groups, bias=False), gamma)

    def conv_bn_relu(self, x: str, out: int, kernel: int, stride: int = 1, groups: int = 1) -> str:
        return self.relu(self.conv_bn(x, out, kernel, stride, groups))

    def classifier(self, x: str, classes: int) -> str:
        """The last layer of a classifier: logits of about unit variance, then softmax."""
        power = self._moments[x].power() if x in self._moments else 1.0
        return self.softmax(self.dense(x, classes, gain=1.0 / max(power, 1e-6)))

    def _fresh(self, kind: str) -> str:
        stem = "/".join([*self._scope, kind])
        count = self._counters.get(stem, 0)
        self._counters[stem] = count + 1
        return f"{stem}_{count}"


def _each(value: int | Sequence[int], rank: int) -> list[int]:
    return [value] * rank if isinstance(value, int) else list(value)
