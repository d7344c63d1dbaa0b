"""Pictures into a network and out of it. Every step is an option, and told in words."""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lanewise.dtypes import Array, numpy_dtype_named
from lanewise.errors import InputError
from lanewise.model import TensorInfo

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["ImageOptions", "add_options", "of_arguments", "read_image"]

MODES = {1: "L", 3: "RGB", 4: "RGBA"}


@dataclass(frozen=True)
class ImageOptions:
    """How pictures are prepared.

    Attributes:
        size: (height, width); by default the input's, else the picture's own.
        resize: "stretch" to the size, "crop" the middle after filling it, or "pad" with zeros
            around what fits into it.
        scale: factor of pixels 0..255; by default 1/255 for floats and 1 for integers.
        mean: subtracted after scaling, one for all channels or one each.
        std: divided by after that.
        bgr: blue first.
        layout: "NCHW" or "NHWC"; by default as the input's shape says.
    """

    size: tuple[int, int] | None = None
    resize: str = "stretch"
    scale: float | None = None
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    bgr: bool = False
    layout: str | None = None


def _size(text: str) -> tuple[int, int]:
    try:
        height, width = (int(part) for part in text.lower().split("x"))
    except ValueError:
        height = width = 0
    if height < 1 or width < 1:
        raise argparse.ArgumentTypeError(f"expected HEIGHTxWIDTH such as 224x224, got '{text}'")
    return height, width


def _number(text: str) -> float:
    above, _, below = text.partition("/")
    try:
        value = float(above) / float(below or 1)
    except (ValueError, ZeroDivisionError):
        value = math.nan
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"expected a number or a fraction, got '{text}'")
    return value


def _numbers(text: str) -> tuple[float, ...]:
    return tuple(_number(part) for part in text.split(","))


def add_options(parser: argparse.ArgumentParser) -> None:
    """How pictures become arrays."""
    group = parser.add_argument_group(
        "pictures", "value = (pixel * scale - mean) / std, with pixels 0..255"
    )
    group.add_argument(
        "--resize", choices=("stretch", "crop", "pad"), default="stretch", help="default: stretch"
    )
    group.add_argument(
        "--size", type=_size, metavar="HxW", help="default: the input's, else the picture's own"
    )
    group.add_argument(
        "--scale", type=_number, metavar="S", help="default: 1/255, or 1 for an integer input"
    )
    group.add_argument("--mean", type=_numbers, metavar="M,M,M", default=(), help="default: 0")
    group.add_argument("--std", type=_numbers, metavar="S,S,S", default=(), help="default: 1")
    order = group.add_mutually_exclusive_group()
    order.add_argument("--rgb", action="store_true", help="red first (default)")
    order.add_argument("--bgr", action="store_true", help="blue first")
    group.add_argument(
        "--layout", choices=("NCHW", "NHWC"), help="default: as the input's shape says"
    )


def of_arguments(args: argparse.Namespace) -> ImageOptions:
    """The options of `add_options` as given."""
    return ImageOptions(
        args.size, args.resize, args.scale, args.mean, args.std, args.bgr, args.layout
    )


@dataclass(frozen=True)
class _Target:
    """What an input wants of a picture; None is free."""

    layout: str
    channels: int
    height: int | None
    width: int | None


def _target(info: TensorInfo, options: ImageOptions) -> _Target:
    shape = info.shape if info.shape is not None else (None,) * 4
    if len(shape) not in (3, 4):
        raise _refused(info, "a picture needs an input with 3 or 4 dimensions; give an .npy file")
    dims = [dim if isinstance(dim, int) else None for dim in shape[-3:]]
    layout = options.layout
    if layout is None:
        # Colour comes first: 4 may also be a height.
        axes = (("NCHW", 0), ("NHWC", 2))
        found = [name for count in (3, 1, 4) for name, at in axes if dims[at] == count]
        if not found:
            raise _refused(info, "where its channels are cannot be seen; add --layout NCHW or NHWC")
        layout = found[0]
    channels, height, width = dims if layout == "NCHW" else (dims[2], dims[0], dims[1])
    if channels is not None and channels not in MODES:
        raise _refused(info, f"{channels} channels do not make a picture; give an .npy file")
    if options.size is not None:
        return _Target(layout, channels or 3, *options.size)
    return _Target(layout, channels or 3, height, width)


def _refused(info: TensorInfo, what: str) -> InputError:
    form = f"{info.dtype} {list(info.shape) if info.shape is not None else 'of any shape'}"
    return InputError(f"input '{info.name}' ({form}): {what}", info.name, form, "a picture")


def read_image(path: Path, info: TensorInfo, options: ImageOptions) -> tuple[Array, str]:
    """A picture as an input wants it.

    Args:
        path: any format that Pillow reads; turned upright as its EXIF entry says.
        info: the input.
        options: what to do.

    Returns:
        An array of the input's dtype, shape (C, H, W) or (H, W, C), and what was done, in words.

    Raises:
        InputError: the file is no picture, or the input cannot take one.
        FileNotFoundError: there is no such file.
    """
    target = _target(info, options)
    image, note = _pixels(path, target.channels)
    image, fitted = _fit(image, target, options.resize)
    pixels = np.asarray(image).reshape(image.height, image.width, target.channels)
    if options.bgr:
        if target.channels != 3:
            raise _refused(info, f"--bgr needs 3 channels, not {target.channels}")
        pixels = pixels[:, :, ::-1]
    values, scaled = _normalised(pixels, info, options)
    if target.layout == "NCHW":
        values = values.transpose(2, 0, 1)
    order = {1: "grey", 3: "BGR" if options.bgr else "RGB", 4: "RGBA"}[target.channels]
    words = f"{note}, {fitted}, {order}, {scaled}, {target.layout} {values.dtype}"
    return np.ascontiguousarray(values), words


def _pixels(path: Path, channels: int) -> tuple[Image.Image, str]:
    from PIL import Image, ImageOps

    if not path.exists():
        raise FileNotFoundError(f"no such input file: {path}")
    try:
        with Image.open(path) as file:
            upright = ImageOps.exif_transpose(file)
            form = f"{upright.width}x{upright.height} {upright.mode}"
            if upright.mode.startswith("I") or upright.mode == "F":
                raise ValueError(f"pixels of type {upright.mode} have no range 0..255")
            return upright.convert(MODES[channels]), form
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise InputError(
            f"{path}: cannot be read as a picture ({error}); give a picture, .npy or .npz file",
            str(path),
            "a picture",
            str(error),
        ) from error


def _fit(image: Image.Image, target: _Target, resize: str) -> tuple[Image.Image, str]:
    from PIL import Image, ImageOps

    size = (target.width or image.width, target.height or image.height)
    if size == image.size:
        return image, "not resized"
    form = f"{size[0]}x{size[1]} (bilinear)"
    filtering = Image.Resampling.BILINEAR
    if resize == "crop":
        return ImageOps.fit(image, size, filtering), f"cropped and resized to {form}"
    if resize == "pad":
        return ImageOps.pad(image, size, filtering, color=0), f"resized and padded to {form}"
    return image.resize(size, filtering), f"stretched to {form}"


def _normalised(pixels: Array, info: TensorInfo, options: ImageOptions) -> tuple[Array, str]:
    """(pixel * scale - mean) / std in the input's type, and the formula."""
    wanted = numpy_dtype_named("float32" if info.dtype == "undefined" else info.dtype)
    if wanted.kind in "OSUbc":
        raise _refused(info, "its type holds no pixels")
    whole = wanted.kind in "iu"
    scale = options.scale if options.scale is not None else 1.0 if whole else 1 / 255
    for name, numbers in (("mean", options.mean), ("std", options.std)):
        if len(numbers) not in (0, 1, pixels.shape[2]):
            raise _refused(
                info, f"--{name} has {len(numbers)} numbers; give 1 or {pixels.shape[2]}"
            )
    if 0.0 in options.std:
        raise _refused(info, "--std must not be 0")
    values = pixels.astype(np.float32) * np.float32(scale)
    words = (
        "pixels / 255" if scale == 1 / 255 else "pixels" if scale == 1 else f"pixels * {scale:g}"
    )
    if options.mean:
        values = values - np.asarray(options.mean, np.float32)
        words = f"({words} - {_listed(options.mean)})"
    if options.std:
        values = values / np.asarray(options.std, np.float32)
        words = f"{words} / {_listed(options.std)}"
    if whole:
        limits = np.iinfo(wanted)
        values = np.clip(np.rint(values), limits.min, limits.max)
    return values.astype(wanted), words


def _listed(numbers: tuple[float, ...]) -> str:
    texts = [f"{number:g}" for number in numbers]
    return texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
