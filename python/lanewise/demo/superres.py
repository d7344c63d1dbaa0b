"""Demo: a sub-pixel convolution network enlarges a photograph that it was not trained on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from rich.console import Console

import lanewise as lw

from . import pictures, report

GAIN_GOAL = 0.5  # dB over bicubic
FACTOR = 3
DETAIL = (300, 195, 500, 328)  # left, top, right, bottom; shown enlarged
PICTURE = "superres.png"


def enlarge(model: lw.Model, low: Image.Image) -> Image.Image:
    """Makes an RGB image FACTOR times larger each way.

    The network makes the luma; chroma, where the eye sees little detail, is bicubic
    (Shi et al., CVPR 2016, section 3.2).
    """
    luma, *chroma = low.convert("YCbCr").split()
    y = report.apply(model, _batch(luma))[0, 0]
    planes = [Image.fromarray(np.rint(np.clip(y, 0, 1) * 255).astype(np.uint8))]
    planes += [plane.resize(planes[0].size, Image.Resampling.BICUBIC) for plane in chroma]
    return Image.merge("YCbCr", planes).convert("RGB")


def quality(truth: Image.Image, estimate: Image.Image) -> float:
    """PSNR in dB on luma, without a border of FACTOR pixels, as the paper measures."""
    inside = (slice(FACTOR, -FACTOR), slice(FACTOR, -FACTOR))
    return report.psnr(_luma(truth)[inside], _luma(estimate)[inside], peak=255)


def _batch(luma: Image.Image) -> NDArray[np.float32]:
    batch: NDArray[np.float32] = np.asarray(luma, np.float32)[None, None] / np.float32(255)
    return batch


def _luma(image: Image.Image) -> NDArray[np.uint8]:
    plane: NDArray[np.uint8] = np.asarray(image.convert("YCbCr").getchannel(0))
    return plane


def run(output_dir: Path, threads: int | None = None) -> report.Result:
    """Shrinks the held-out photo with Pillow's bicubic filter and enlarges it three ways.

    Args:
        output_dir: an existing folder, gets PICTURE.
        threads: threads of the engine; None lets it choose.

    Returns:
        Figures `psnr_low_resolution` (pixels repeated), `psnr_bicubic`, `psnr_network`
        and `gain_over_bicubic`, in dB, and the two sizes.
    """
    with Image.open(report.data_path("coffee.png")) as file:
        photo = file.convert("RGB")
    small = (photo.width // FACTOR, photo.height // FACTOR)
    low = photo.resize(small, Image.Resampling.BICUBIC)
    model = lw.load(report.data_path("superres.onnx"), threads=threads)
    before = pictures.enlarge(low, FACTOR)
    bicubic = low.resize(photo.size, Image.Resampling.BICUBIC)
    after = enlarge(model, low)
    psnr = [quality(photo, image) for image in (before, bicubic, after)]
    gain = psnr[2] - psnr[1]
    path = output_dir / PICTURE
    _picture(small, psnr, [before, bicubic, after]).save(path)
    figures = {
        "low_resolution": list(small),
        "high_resolution": list(photo.size),
        "psnr_low_resolution": psnr[0],
        "psnr_bicubic": psnr[1],
        "psnr_network": psnr[2],
        "gain_over_bicubic": gain,
    }
    goals = [report.Goal("gain over bicubic", gain, GAIN_GOAL, "dB")]
    speed = report.measure(model, _batch(low.convert("YCbCr").getchannel(0)))
    title = f"Super-resolution: a photo {FACTOR} times larger each way"
    return report.Result(title, figures, goals, speed, [path])


def _picture(small: tuple[int, int], psnr: list[float], images: list[Image.Image]) -> Image.Image:
    names = (f"before: {small[0]} x {small[1]} pixels", "bicubic", "after: Lanewise")
    labels = [f"{name}, {value:.2f} dB" for name, value in zip(names, psnr, strict=True)]
    details = [pictures.enlarge(image.crop(DETAIL), FACTOR) for image in images]
    return pictures.sheet(labels, [images, details])


def show(result: report.Result, console: Console) -> None:
    """Prints the sizes and the three PSNR figures."""
    figures = result.figures
    low, high = figures["low_resolution"], figures["high_resolution"]
    console.print(f"{low[0]} x {low[1]} pixels to {high[0]} x {high[1]}; PSNR of the luma:")
    for name, key in (
        ("low resolution, pixels repeated", "psnr_low_resolution"),
        ("bicubic (Pillow)", "psnr_bicubic"),
        ("network", "psnr_network"),
    ):
        console.print(f"  {name:32} {figures[key]:6.2f} dB")
    console.print(f"  {'gain over bicubic':32} {figures['gain_over_bicubic']:+6.2f} dB")
