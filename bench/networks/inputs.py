"""What the networks read: declared inputs, and seeded samples that look like real ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .graph import BATCH_AXIS

Tensor = npt.NDArray[np.float32] | npt.NDArray[np.int64]
Sampler = Callable[[np.random.Generator, tuple[int, ...]], Tensor]


@dataclass(frozen=True)
class Input:
    """One declared input: name, shape ("N" stands for the batch), and how to draw a sample."""

    name: str
    shape: tuple[int | str, ...]
    sample: Sampler
    dtype: type[np.float32 | np.int64] = np.float32

    def draw(self, rng: np.random.Generator, batch: int) -> Tensor:
        """One array of this input's dtype and shape, for `batch` samples."""
        shape = tuple(batch if d == BATCH_AXIS else int(d) for d in self.shape)
        return self.sample(rng, shape)


def images(*shape: int, name: str = "data") -> Input:
    """A batch of normalised images [channels, height, width], or clips [channels, time, ...]."""
    return Input(name, (BATCH_AXIS, *shape), natural)


def natural(rng: np.random.Generator, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
    """Noise with the 1/f amplitude spectrum of photographs (D. J. Field, JOSA A 1987).

    Each channel has mean 0 and variance 1.
    """
    axes = tuple(range(2, len(shape)))
    spectrum = np.fft.rfftn(rng.standard_normal(shape, np.float32), axes=axes)
    grids = [np.fft.fftfreq(n) for n in shape[2:-1]] + [np.fft.rfftfreq(shape[-1])]
    squares = sum(np.square(g) for g in np.meshgrid(*grids, indexing="ij"))
    frequency = np.sqrt(np.asarray(squares))
    frequency[(0,) * len(axes)] = np.inf
    values = np.fft.irfftn(spectrum / frequency, shape[2:], axes=axes)
    values /= values.std(axis=axes, keepdims=True)
    return values.astype(np.float32)


def words(vocabulary: int) -> Sampler:
    """Token numbers whose frequencies follow Zipf's law."""

    def draw(rng: np.random.Generator, shape: tuple[int, ...]) -> npt.NDArray[np.int64]:
        weights = 1.0 / np.arange(1, vocabulary + 1)
        return rng.choice(vocabulary, shape, p=weights / weights.sum()).astype(np.int64)

    return draw


def speech(rng: np.random.Generator, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
    """Normalised frames [time, batch, features], each correlated with the one before by 0.9."""
    frames = rng.standard_normal(shape, np.float32)
    for t in range(1, shape[0]):
        frames[t] = 0.9 * frames[t - 1] + 0.19**0.5 * frames[t]
    return frames


def regions(height: int, width: int) -> Sampler:
    """Regions of interest [count, 5] in an image: its number 0, then x1, y1, x2, y2 in pixels."""

    def draw(rng: np.random.Generator, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
        size = rng.uniform(0.1, 0.6, (shape[0], 2)) * (width, height)
        corner = rng.uniform(0, 1, (shape[0], 2)) * ((width - 1, height - 1) - size)
        image = np.zeros((shape[0], 1))
        return np.concatenate([image, corner, corner + size], axis=1).astype(np.float32)

    return draw
