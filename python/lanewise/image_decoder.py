"""ImageDecoder through Pillow: an operator whose work is in a library that the core lacks."""

from __future__ import annotations

import io
from typing import Any

import numpy as np

from lanewise.custom import TensorForm, register_op
from lanewise.dtypes import Array
from lanewise.errors import ModelError, UnsupportedError

__all__ = ["register"]

# Those that the operator's specification names; Pillow knows others.
_FORMATS = ("BMP", "JPEG", "JPEG2000", "TIFF", "PNG", "WEBP", "PPM")
_CHANNELS = {"RGB": 3, "BGR": 3, "Grayscale": 1}


def register() -> None:
    """Makes the operator known; Pillow is looked for when it runs."""
    register_op("", "ImageDecoder", _infer, _run)


def _infer(
    inputs: list[TensorForm | None], attributes: dict[str, Any]
) -> list[tuple[str, tuple[int | None, ...]]]:
    stream = inputs[0] if len(inputs) == 1 else None
    if stream is None or stream.dtype != "uint8" or len(stream.shape) != 1:
        found = "nothing" if stream is None else f"{stream.dtype} {list(stream.shape)}"
        raise ModelError(f"ImageDecoder: expected the bytes of a file, uint8 [n], found {found}")
    pixels = attributes.get("pixel_format", "RGB")
    if pixels not in _CHANNELS:
        choices = ", ".join(_CHANNELS)
        raise ModelError(f"ImageDecoder: pixel_format is {pixels!r}, expected one of {choices}")
    return [("uint8", (None, None, _CHANNELS[pixels]))]


def _run(inputs: list[Array | None], attributes: dict[str, Any]) -> Array:
    try:
        from PIL import Image, UnidentifiedImageError
    except ImportError as error:
        text = "ImageDecoder needs Pillow, which is not installed; run: pip install pillow"
        raise UnsupportedError(text, [text]) from error
    assert inputs[0] is not None  # infer saw to it
    pixels = attributes.get("pixel_format", "RGB")
    try:
        with Image.open(io.BytesIO(inputs[0].tobytes()), formats=_FORMATS) as image:
            decoded = np.asarray(image.convert("L" if pixels == "Grayscale" else "RGB"))
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, ValueError) as error:
        raise ModelError(
            f"ImageDecoder: the bytes are no whole picture of {', '.join(_FORMATS)} ({error})"
        ) from error
    if pixels == "Grayscale":
        return decoded[:, :, None]
    return decoded[:, :, ::-1] if pixels == "BGR" else decoded
