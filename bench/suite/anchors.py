"""Figures of the past that today's stand beside, and the arithmetic of what they reached."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ANCHORS", "Anchor"]

# Torch on CPUs and GPUs: J. Johnson's cnn-benchmarks, README of 2016.
_JOHNSON = "J. Johnson, cnn-benchmarks (2016)"


@dataclass(frozen=True)
class Anchor:
    """One published figure.

    Attributes:
        network: the name in bench.networks.
        batch: samples per run; None where the source says "in batch mode" alone.
        ms_per_image: of a forward pass.
        where: software and device.
        source: who published it.
        peak_gflops: of the device in float32, by its data sheet; None where it is not named.
    """

    network: str
    batch: int | None
    ms_per_image: float
    where: str
    source: str
    peak_gflops: float | None = None

    def share(self, flops_per_image: float) -> float | None:
        """The part of the device's peak that was reached, 0..1."""
        if self.peak_gflops is None:
            return None
        return flops_per_image / self.ms_per_image / 1e6 / self.peak_gflops


ANCHORS = (
    Anchor(
        "alexnet",
        None,
        5.0,
        "Caffe on a GPU of 2013, batch mode",
        "as quoted of Caffe's pages; that of 2013 was not found again",
    ),
    Anchor(
        "alexnet",
        None,
        2.5,
        "Caffe on a Tesla K40 or Titan",
        "Y. Jia and others, Caffe (2014), arXiv 1408.5093",
    ),
    Anchor(
        "resnet50",
        16,
        2478 / 16,
        "Torch on two Xeon E5-2630 v3",
        _JOHNSON,
        # Sockets, cores, GHz, and two multiply-adds of eight lanes per clock.
        2 * 8 * 2.4 * 32,
    ),
    Anchor(
        "resnet50",
        16,
        35 / 16,
        "Torch with cuDNN 5.1 on a Pascal Titan X",
        _JOHNSON,
        # Lanes, a multiply-add each per clock, GHz in boost.
        3584 * 2 * 1.531,
    ),
)
