"""Means and variances of activations, carried along while a graph is built.

They stand in for a training set: the running statistics of BatchNormalization are what these
moments say, so activations keep their range through any depth. First order only: inputs count as
independent Gaussians.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Moments:
    """Mean and variance of each channel of one tensor, both float32 of shape [channels]."""

    mean: Array
    var: Array

    @staticmethod
    def standard(channels: int) -> Moments:
        """Moments of a normalised input: mean 0 and variance 1 in each channel."""
        return Moments(np.zeros(channels, np.float32), np.ones(channels, np.float32))

    @staticmethod
    def joined(parts: list[Moments]) -> Moments:
        """Moments after Concat along the channels."""
        means, variances = [p.mean for p in parts], [p.var for p in parts]
        return Moments(np.concatenate(means), np.concatenate(variances))

    def __add__(self, other: Moments) -> Moments:
        """Moments of the sum of two independent tensors."""
        return Moments(self.mean + other.mean, self.var + other.var)

    def picked(self, channels: slice | npt.NDArray[np.int64]) -> Moments:
        """Moments of some of the channels, or of all of them in another order."""
        return Moments(self.mean[channels], self.var[channels])

    def repeated(self, features: int) -> Moments:
        """Moments of the `features` that flattening the positions of each channel makes."""
        each = features // len(self.mean)
        return Moments(np.repeat(self.mean, each), np.repeat(self.var, each))

    def filtered(self, weight: Array, groups: int) -> Moments:
        """Moments after a convolution with `weight` of shape [out, in / groups, ...]."""
        out = weight.shape[0]
        taps = weight.reshape(groups, out // groups, weight.shape[1], -1)
        mean = np.einsum("goit,gi->go", taps, self.mean.reshape(groups, -1), optimize=True)
        power = np.einsum("goit,goit->goi", taps, taps)
        var = np.einsum("goi,gi->go", power, self.var.reshape(groups, -1))
        return Moments(mean.reshape(out), var.reshape(out))

    def rectified(self) -> Moments:
        """Moments of max(x, 0) for Gaussian x."""
        std = np.sqrt(self.var) + np.float32(1e-12)
        z = self.mean / std
        above = np.array([0.5 * (1 + math.erf(v / math.sqrt(2))) for v in z], np.float32)
        density = np.exp(-0.5 * z * z) / np.float32(math.sqrt(2 * math.pi))
        mean = self.mean * above + std * density
        square = (self.mean**2 + self.var) * above + self.mean * std * density
        return Moments(mean, np.maximum(square - mean**2, 0))

    def pooled(self) -> Moments:
        """Moments after max pooling; as neighbours are alike, a window counts as two values."""
        mean = self.mean + np.sqrt(self.var / np.float32(math.pi))
        return Moments(mean, self.var * np.float32(1 - 1 / math.pi))

    def power(self) -> float:
        """The mean of x squared over all channels."""
        return float(np.mean(self.mean**2 + self.var))
