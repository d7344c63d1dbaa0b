"""The photographs that scikit-image carries inside its wheel, and how they are divided.

Only photographs that their makers gave to the public domain or under CC0 are used.
One is kept for choosing the number of steps, one is held out and never trained on.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from skimage import data

TRAINING = ("astronaut", "camera", "rocket", "coins", "brick", "grass", "gravel")
VALIDATION = "chelsea"
HELD_OUT = "coffee"

Plane = NDArray[np.float32]


def photo(name: str) -> Image.Image:
    """The photograph `name` of `skimage.data` as it is shipped, grey or RGB."""
    return Image.fromarray(getattr(data, name)())


def luma(image: Image.Image) -> Plane:
    """ITU-R BT.601 luma of `image` in 0..1, shape (H, W)."""
    plane: Plane = np.asarray(image.convert("YCbCr" if image.mode == "RGB" else "L"), np.float32)
    result: Plane = (plane[..., 0] if plane.ndim == 3 else plane) / np.float32(255)
    return result


def crop(image: Image.Image, multiple: int) -> Image.Image:
    """`image` without the last rows and columns that do not fill a block of `multiple`."""
    width, height = (side // multiple * multiple for side in image.size)
    return image.crop((0, 0, width, height))


def shrink(image: Image.Image, factor: int) -> Image.Image:
    """`image` smaller by `factor`, with Pillow's bicubic filter (which averages as it shrinks)."""
    size = (image.width // factor, image.height // factor)
    return image.resize(size, Image.Resampling.BICUBIC)


def training_photos() -> list[Image.Image]:
    """The training photographs in grey, each also at 3/4 and 1/2 of its size for finer detail."""
    result = []
    for name in TRAINING:
        whole = photo(name).convert("L")
        for share in (1.0, 0.75, 0.5):
            size = (round(whole.width * share), round(whole.height * share))
            result.append(whole.resize(size, Image.Resampling.BICUBIC))
    return result


def random_symmetry(planes: list[Plane], rng: np.random.Generator) -> list[Plane]:
    """Turns and mirrors all `planes` (H, W) in the same, random one of the eight ways."""
    turns, mirror = int(rng.integers(4)), bool(rng.integers(2))
    turned = [np.rot90(p, turns) for p in planes]
    return [np.fliplr(p) if mirror else p for p in turned]
