"""Demo: a convolutional autoencoder takes the noise out of parts of a photo it never saw."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from rich.console import Console

import lanewise as lw

from . import pictures, report

GAIN_GOAL = 3.0  # dB: half of the noise's power
PICTURE = "denoise.png"
SHOWN = 4
ZOOM = 3


def run(output_dir: Path, threads: int | None = None) -> report.Result:
    """Denoises the held-out squares.

    Args:
        output_dir: an existing folder, gets PICTURE.
        threads: threads of the engine; None lets it choose.

    Returns:
        Figures `samples`, `psnr_noisy`, `psnr_denoised` and `gain` in dB over all squares,
        and `gain_of_each`.
    """
    with np.load(report.data_path("denoiser_test.npz")) as samples:
        clean: NDArray[np.uint8] = samples["clean"]
        noisy: NDArray[np.uint8] = samples["noisy"]
    model = lw.load(report.data_path("denoiser.onnx"), threads=threads)
    x = noisy.astype(np.float32)[:, None] / np.float32(255)
    denoised = np.rint(np.clip(report.apply(model, x)[:, 0], 0, 1) * 255).astype(np.uint8)
    before = report.psnr(clean, noisy, peak=255)
    after = report.psnr(clean, denoised, peak=255)
    each = [
        report.psnr(c, d, peak=255) - report.psnr(c, n, peak=255)
        for c, n, d in zip(clean, noisy, denoised, strict=True)
    ]
    path = output_dir / PICTURE
    labels = ["noisy", "denoised: Lanewise", "the photo"]
    rows = [
        [pictures.enlarge(Image.fromarray(plane), ZOOM) for plane in planes]
        for planes in zip(noisy[:SHOWN], denoised[:SHOWN], clean[:SHOWN], strict=True)
    ]
    pictures.sheet(labels, rows).save(path)
    figures = {
        "samples": len(clean),
        "psnr_noisy": before,
        "psnr_denoised": after,
        "gain": after - before,
        "gain_of_each": each,
    }
    goals = [report.Goal("gain over the noisy image", after - before, GAIN_GOAL, "dB")]
    speed = report.measure(model, x[:1])
    title = "Denoising: a convolutional autoencoder"
    return report.Result(title, figures, goals, speed, [path])


def show(result: report.Result, console: Console) -> None:
    """Prints PSNR before and after."""
    figures = result.figures
    console.print(
        f"{figures['samples']} squares of a held-out photo: "
        f"{figures['psnr_noisy']:.2f} dB noisy, {figures['psnr_denoised']:.2f} dB denoised "
        f"({figures['gain']:+.2f} dB; worst square {min(figures['gain_of_each']):+.2f} dB)",
        soft_wrap=True,
    )
