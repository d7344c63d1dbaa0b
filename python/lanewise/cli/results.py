"""A run's outputs: in numbers, as .npy files, and as PNG files where they are pictures."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from lanewise.cli import output
from lanewise.dtypes import Array
from lanewise.errors import InputError

__all__ = ["save", "save_pictures", "summary", "value_range"]

FEW = 10
Range = tuple[float, float]


def value_range(text: str) -> Range:
    """An argparse type: LO,HI."""
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError:
        low = high = 0.0
    if low >= high:
        raise argparse.ArgumentTypeError(f"expected LO,HI such as 0,1, got '{text}'")
    return low, high


def summary(name: str, array: Array) -> dict[str, Any]:
    """Name, type and shape; the values where there are few, else what can be said of numbers."""
    facts: dict[str, Any] = {"name": name, "dtype": str(array.dtype), "shape": list(array.shape)}
    if array.dtype.kind == "O":
        facts["dtype"] = "string"
    numbers = array.astype(np.float64) if array.dtype.kind in "fiuV" else None
    if array.size <= FEW and array.dtype.kind != "c":
        facts["values"] = (array if array.dtype.kind != "V" else array.astype(np.float64)).tolist()
    if numbers is not None and array.size > 0:
        facts["min"], facts["max"] = float(numbers.min()), float(numbers.max())
        facts["mean"] = float(numbers.mean())
        facts["not_finite"] = int(np.size(numbers) - np.isfinite(numbers).sum())
    return facts


def save(found: Mapping[str, Array], folder: Path) -> dict[str, list[str]]:
    """Writes each output as an .npy file; types that NumPy lacks as float32, texts as str.

    Returns:
        The files by output.

    Raises:
        OSError: a file cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files: dict[str, list[str]] = {}
    for (name, array), stem in zip(found.items(), output.stems(found), strict=True):
        path = folder / f"{stem}.npy"
        if array.dtype.kind == "V":
            array = array.astype(np.float32)
        np.save(path, array.astype(str) if array.dtype.kind == "O" else array, allow_pickle=False)
        files[name] = [str(path)]
    return files


def save_pictures(
    found: Mapping[str, Array], folder: Path, span: Range | None, bgr: bool
) -> dict[str, list[str]]:
    """Writes the outputs that have the shape of pictures as PNG files, one per sample.

    Args:
        found: outputs by name.
        folder: where to.
        span: values of black and white; None to choose by the values.
        bgr: whether blue comes first.

    Returns:
        The files by output, with the span that was used.

    Raises:
        InputError: no output has the shape of a picture.
        OSError: a file cannot be written.
    """
    from PIL import Image

    files: dict[str, list[str]] = {}
    for (name, array), stem in zip(found.items(), output.stems(found), strict=True):
        samples = _pictures(array)
        if samples is None:
            continue
        low, high = span or _span(samples)
        # NaN is black; infinities are clipped like every value outside the span.
        scaled = np.nan_to_num((samples.astype(np.float64) - low) / (high - low) * 255, nan=0.0)
        pixels = np.clip(np.rint(scaled), 0, 255).astype(np.uint8)
        if bgr and pixels.shape[3] == 3:
            pixels = pixels[..., ::-1]
        files[name] = []
        for number, sample in enumerate(pixels):
            path = folder / (f"{stem}_{number}.png" if len(pixels) > 1 else f"{stem}.png")
            Image.fromarray(sample[..., 0] if sample.shape[2] == 1 else sample).save(path)
            files[name].append(f"{path} (black is {low:g}, white is {high:g})")
    if not files:
        shapes = ", ".join(f"'{name}' {list(array.shape)}" for name, array in found.items())
        raise InputError(
            f"--save-images: no output has the shape of a picture, (N, 3 or 1, H, W) or "
            f"(N, H, W, 3 or 1); the outputs are {shapes}",
            "--save-images",
            "a picture",
            shapes,
        )
    return files


def _pictures(array: Array) -> Array | None:
    """The array as (N, H, W, channels); None when it has no such shape."""
    if array.dtype.kind not in "fiuV" or array.ndim not in (3, 4) or array.size == 0:
        return None
    batch = array if array.ndim == 4 else array[None]
    _, first, second, last = batch.shape
    if first in (1, 3) and min(second, last) > 1:
        return np.moveaxis(batch, 1, 3)
    if last in (1, 3) and min(first, second) > 1:
        return batch
    return None


def _span(samples: Array) -> Range:
    """Black and white by the values; networks overshoot a little."""
    if samples.dtype == np.uint8:
        return 0.0, 255.0
    values = samples.astype(np.float64)
    low, high = float(values.min()), float(values.max())
    if low >= -0.25 and high <= 1.25:
        return 0.0, 1.0
    if low >= -1.25 and high <= 1.25:
        return -1.0, 1.0
    return 0.0, 255.0
