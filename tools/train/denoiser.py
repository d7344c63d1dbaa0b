"""Trains the denoiser of `lanewise demo`: `python -m tools.train.denoiser`.

A convolutional autoencoder on grey photographs: two strided convolutions down, two transposed
ones up. As in "Beyond a Gaussian Denoiser" (Zhang et al., 2017) it predicts the noise, with its
sign turned, and the input is added to that: what is not noise need not pass the narrow middle.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from tools.train import common, export, photos

SEED = 5
SIGMA = 25.0  # of 255
PATCH = 48
BATCH = 12
STEPS = 3000
CHECK_EVERY = 300
SAMPLES = 8
SAMPLE_SIZE = 96


def network() -> export.Network:
    """Grey (N, 1, H, W) to the same shape; H and W must be multiples of 4."""

    def block(convolution: nn.Module, channels: int) -> list[nn.Module]:
        return [convolution, nn.BatchNorm2d(channels), nn.ReLU()]

    def conv(source: int, target: int, stride: int = 1) -> nn.Module:
        return nn.Conv2d(source, target, 3, stride=stride, padding=1, bias=False)

    def up(source: int, target: int) -> nn.Module:
        return nn.ConvTranspose2d(source, target, 4, stride=2, padding=1, bias=False)

    body = nn.Sequential(
        nn.Conv2d(1, 24, 3, padding=1),
        nn.ReLU(),
        *block(conv(24, 48, stride=2), 48),
        *block(conv(48, 48), 48),
        *block(conv(48, 64, stride=2), 64),
        *block(conv(64, 64), 64),
        *block(up(64, 48), 48),
        *block(up(48, 24), 24),
        nn.Conv2d(24, 1, 3, padding=1),
    )
    return export.Network(body, skip=True)


def noisy(clean: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Adds normal noise of SIGMA to `clean` (0..1), then rounds and clips as a sensor would."""
    values = clean * 255 + rng.normal(0, SIGMA, clean.shape)
    return (np.clip(np.rint(values), 0, 255) / 255).astype(np.float32)


def draw(planes: list[photos.Plane], rng: np.random.Generator) -> NDArray[np.float32]:
    """Draws BATCH clean patches, (BATCH, 1, PATCH, PATCH)."""
    areas = np.array([plane.size for plane in planes], dtype=np.float64)
    patches = []
    for index in rng.choice(len(planes), size=BATCH, p=areas / areas.sum()):
        plane = planes[index]
        top, left = (int(rng.integers(extent - PATCH + 1)) for extent in plane.shape)
        patches += photos.random_symmetry([plane[top : top + PATCH, left : left + PATCH]], rng)
    return np.stack(patches)[:, None]


def samples(name: str, rng: np.random.Generator) -> NDArray[np.float32]:
    """SAMPLES clean squares of the photograph `name`, (SAMPLES, 1, SAMPLE_SIZE, SAMPLE_SIZE)."""
    plane = photos.luma(photos.photo(name).convert("L"))
    squares = [
        plane[top : top + SAMPLE_SIZE, left : left + SAMPLE_SIZE]
        for top in range(0, plane.shape[0] - SAMPLE_SIZE + 1, SAMPLE_SIZE)
        for left in range(0, plane.shape[1] - SAMPLE_SIZE + 1, SAMPLE_SIZE)
    ]
    chosen = rng.choice(len(squares), size=SAMPLES, replace=False)
    return np.stack([squares[i] for i in chosen])[:, None]


def quality(
    net: export.Network, clean: NDArray[np.float32], grainy: NDArray[np.float32]
) -> tuple[float, float]:
    """PSNR in dB of the noisy images, and of what the network makes of them."""
    return common.psnr(clean, grainy), common.psnr(clean, np.clip(net.predict(grainy), 0, 1))


def train() -> export.Network:
    """Trains, and returns the network as it was at the best check on the validation photo."""
    rng = common.fix_seeds(SEED)
    net = network()
    planes = [photos.luma(image) for image in photos.training_photos()]
    clean = samples(photos.VALIDATION, rng)
    grainy = noisy(clean, rng)
    best: tuple[float, dict[str, torch.Tensor]] = (0.0, {})

    def loss_of_batch() -> torch.Tensor:
        patches = draw(planes, rng)
        result = net(torch.from_numpy(noisy(patches, rng)))
        return nn.functional.mse_loss(result, torch.from_numpy(patches))

    def check(step: int, loss: float) -> None:
        nonlocal best
        if step % CHECK_EVERY:
            return
        before, after = quality(net, clean, grainy)
        print(f"{step:5} steps: loss {loss:.5f}, validation {before:.2f} -> {after:.2f} dB")
        if after > best[0]:
            best = (after, {k: v.clone() for k, v in net.body.state_dict().items()})

    common.optimise(net.body, loss_of_batch, steps=STEPS, rate=3e-3, after_step=check)
    net.body.load_state_dict(best[1])
    return net


def main() -> None:
    """Trains, writes denoiser.onnx and denoiser_test.npz."""
    folder = common.output_dir(__doc__)
    net = train()
    rng = np.random.default_rng(SEED + 1)
    clean = samples(photos.HELD_OUT, rng)
    grainy = noisy(clean, rng)
    model = export.to_onnx(
        net,
        "denoiser",
        ("noisy", ["N", 1, "H", "W"]),
        ("denoised", ["N", 1, "H", "W"]),
        "Grey images in 0..1 without their noise; H and W are multiples of 4.",
    )
    difference = export.save(net, model, folder / "denoiser.onnx", grainy[:1])
    np.savez_compressed(
        folder / "denoiser_test.npz",
        clean=np.rint(clean[:, 0] * 255).astype(np.uint8),
        noisy=np.rint(grainy[:, 0] * 255).astype(np.uint8),
    )
    before, after = quality(net, clean, grainy)
    print(f"{SAMPLES} squares of a held-out photo: {before:.2f} -> {after:.2f} dB")
    print(f"ONNX against PyTorch: {difference:.2g}")


if __name__ == "__main__":
    main()
