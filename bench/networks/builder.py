"""GraphBuilder: the layers that networks are written in, each a method that adds ONNX nodes.

Which networks exist is in registry.py; what they look like is in the module of each. Weights follow
He et al., "Delving deep into rectifiers", arXiv:1502.01852: variance gain / fan_in, where gain 2
suits a rectifier and 1 a linear output.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .graph import Graph
from .moments import Moments


class GraphBuilder(Graph):
    """A graph with methods for the usual layers. They keep the moments of activations."""

    # Layers with parameters

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
        if x in self.moments:
            self.moments[y] = self.moments[x].filtered(values, groups)
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
        self.moments.pop(y, None)
        return y

    def bn(self, x: str, gamma: float = 1.0) -> str:
        """BatchNormalization; `gamma` is its typical scale, small where a residual branch ends."""
        channels = self.size(x, 1)
        before = self.moments.get(x, Moments.standard(channels))
        scale = self.positive(channels, 0.6 * gamma, 1.4 * gamma)
        shift = self.normal([channels], 0.2 * gamma)
        # About what a training set would have measured. The variance lies above it on the whole:
        # where it is too small the rectifiers that follow shift by more than their expected mean,
        # and the error grows with depth.
        mean = before.mean + self.normal([channels], 0.05) * np.sqrt(before.var)
        var = before.var * self.positive(channels, 1.0, 1.5)
        params = [("scale", scale), ("shift", shift), ("mean", mean), ("var", var)]
        y = self.op("BatchNormalization", x, *[self.weight(n, v) for n, v in params], epsilon=1e-5)
        self.moments[y] = Moments(shift, scale**2)
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
        if x in self.moments:
            power = np.full(out, gain * self.moments[x].power(), np.float32)
            self.moments[y] = Moments(np.zeros(out, np.float32), power)
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
        """max(x, 0)."""
        return self._rectified(x, self.op("Relu", x))

    def relu6(self, x: str) -> str:
        """x, limited to 0 to 6."""
        return self._rectified(x, self.op("Clip", x, self.const(0), self.const(6)))

    def _rectified(self, x: str, y: str) -> str:
        if x in self.moments:
            self.moments[y] = self.moments[x].rectified()
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
        """Maximum over windows; `ceil` lets the last window reach over the edge."""
        rank = len(self.shape(x)) - 2
        kernels, strides, pads = _each(kernel, rank), _each(stride, rank), _each(pad, rank) * 2
        y = self.op(
            "MaxPool", x, kernel_shape=kernels, strides=strides, pads=pads, ceil_mode=int(ceil)
        )
        if x in self.moments:
            self.moments[y] = self.moments[x].pooled()
        return y

    def avg_pool(self, x: str, kernel: int, stride: int, pad: int = 0) -> str:
        """Average pooling whose padding counts as zeros."""
        window = {"kernel_shape": [kernel] * 2, "strides": [stride] * 2, "pads": [pad] * 4}
        return self.op("AveragePool", x, **window, count_include_pad=1)

    def global_pool(self, x: str) -> str:
        """Mean over all positions: [batch, channels]."""
        return self.flatten(self.op("GlobalAveragePool", x))

    def flatten(self, x: str) -> str:
        """Everything but the batch becomes one axis."""
        y = self.op("Flatten", x, axis=1)
        if x in self.moments:
            self.moments[y] = self.moments[x].repeated(self.size(y, 1))
        return y

    def softmax(self, x: str, axis: int = -1) -> str:
        """Probabilities along `axis`."""
        return self.op("Softmax", x, axis=axis)

    def add(self, a: str, b: str) -> str:
        """Element-wise sum."""
        y = self.op("Add", a, b)
        if a in self.moments and b in self.moments:
            self.moments[y] = self.moments[a] + self.moments[b]
        return y

    def concat(self, *parts: str, axis: int = 1) -> str:
        """Concatenation along `axis`, by default the channels."""
        y = self.op("Concat", *parts, axis=axis)
        self.moments.pop(y, None)
        if axis == 1 and all(p in self.moments for p in parts):
            self.moments[y] = Moments.joined([self.moments[p] for p in parts])
        return y

    def halves(self, x: str) -> list[str]:
        """The first and the second half of the channels."""
        half = self.size(x, 1) // 2
        parts = self.ops("Split", 2, x, self.ints(half, half), axis=1)
        if x in self.moments:
            self.moments[parts[0]] = self.moments[x].picked(slice(half))
            self.moments[parts[1]] = self.moments[x].picked(slice(half, None))
        return parts

    def shuffle(self, x: str, groups: int) -> str:
        """Channel shuffle of ShuffleNet: channel i of group g becomes channel g of group i."""
        channels, height, width = (self.size(x, axis) for axis in (1, 2, 3))
        grouped = self.reshape(x, 0, groups, channels // groups, height, width)
        turned = self.op("Transpose", grouped, perm=[0, 2, 1, 3, 4])
        y = self.reshape(turned, 0, channels, height, width)
        if x in self.moments:
            order = np.arange(channels).reshape(groups, -1).T.reshape(-1)
            self.moments[y] = self.moments[x].picked(order)
        return y

    def reshape(self, x: str, *dims: int) -> str:
        """Reshape, where 0 keeps a dimension and -1 takes the rest."""
        return self.op("Reshape", x, self.ints(*dims))

    def slice(self, x: str, axis: int, start: int, end: int) -> str:
        """Positions `start` to `end` (not included) along `axis`."""
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
        """Convolution and rectifier."""
        return self.relu(self.conv(x, out, kernel, stride))

    def conv_bn(
        self, x: str, out: int, kernel: int, stride: int = 1, groups: int = 1, gamma: float = 1.0
    ) -> str:
        """Convolution without a bias and normalisation."""
        return self.bn(self.conv(x, out, kernel, stride, groups=groups, bias=False), gamma)

    def conv_bn_relu(self, x: str, out: int, kernel: int, stride: int = 1, groups: int = 1) -> str:
        """Convolution, normalisation and rectifier."""
        return self.relu(self.conv_bn(x, out, kernel, stride, groups))

    def classifier(self, x: str, classes: int) -> str:
        """The last layer of a classifier: logits of about unit variance, then softmax."""
        power = self.moments[x].power() if x in self.moments else 1.0
        return self.softmax(self.dense(x, classes, gain=1.0 / max(power, 1e-6)))


def _each(value: int | Sequence[int], rank: int) -> list[int]:
    return [value] * rank if isinstance(value, int) else list(value)
