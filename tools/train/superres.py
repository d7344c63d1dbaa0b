"""Trains the super-resolution network of `lanewise demo`: `python -m tools.train.superres`.

Sub-pixel convolution, "Real-Time Single Image and Video Super-Resolution Using an Efficient
Sub-Pixel Convolutional Neural Network" (Shi et al., CVPR 2016): all work is done at low
resolution, and the last layer's channels are rearranged to pixels. Two changes: the low-res
pixel is added to each of its high-res pixels, so that the network only learns the detail, and
two more layers of 32 maps stand in the middle, where they cost little.
"""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image
from torch import nn

from tools.train import common, export, photos

SEED = 3
FACTOR = 3
PATCH = 24  # low-resolution pixels
BATCH = 16
STEPS = 4000
CHECK_EVERY = 400


def network() -> export.Network:
    """5x5 to 64 maps, three times 3x3 to 32, 3x3 to FACTOR^2, then depth to space."""
    body = nn.Sequential(
        nn.Conv2d(1, 64, 5, padding=2),
        nn.ReLU(),
        nn.Conv2d(64, 32, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(32, 32, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(32, 32, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(32, FACTOR**2, 3, padding=1),
    )
    return export.Network(body, nn.Sequential(nn.PixelShuffle(FACTOR)), skip=True)


def pair(image: Image.Image) -> tuple[photos.Plane, photos.Plane]:
    """Low- and high-resolution luma of `image`: (h, w) and (FACTOR * h, FACTOR * w)."""
    large = photos.crop(image, FACTOR)
    return photos.luma(photos.shrink(large, FACTOR)), photos.luma(large)


def draw(
    pairs: list[tuple[photos.Plane, photos.Plane]], rng: np.random.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Draws BATCH patches: (BATCH, 1, PATCH, PATCH) and FACTOR times that size."""
    areas = np.array([low.size for low, _ in pairs], dtype=np.float64)
    lows, highs = [], []
    for index in rng.choice(len(pairs), size=BATCH, p=areas / areas.sum()):
        low, high = pairs[index]
        top, left = (int(rng.integers(extent - PATCH + 1)) for extent in low.shape)
        inner = low[top : top + PATCH, left : left + PATCH]
        top, left, size = top * FACTOR, left * FACTOR, PATCH * FACTOR
        outer = high[top : top + size, left : left + size]
        inner, outer = photos.random_symmetry([inner, outer], rng)
        lows.append(inner)
        highs.append(outer)
    return torch.from_numpy(np.stack(lows)[:, None]), torch.from_numpy(np.stack(highs)[:, None])


def gain(net: export.Network, image: Image.Image) -> tuple[float, float]:
    """PSNR of the network and of Pillow's bicubic on the luma of `image`, borders left out."""
    low, high = pair(image)
    size = (low.shape[1] * FACTOR, low.shape[0] * FACTOR)
    small = Image.fromarray(np.rint(low * 255).astype(np.uint8))
    bicubic = photos.luma(small.resize(size, Image.Resampling.BICUBIC))
    result = np.clip(net.predict(low[None, None])[0, 0], 0, 1)
    inside = (slice(FACTOR, -FACTOR), slice(FACTOR, -FACTOR))
    return (
        common.psnr(high[inside], result[inside]),
        common.psnr(high[inside], bicubic[inside]),
    )


def train() -> export.Network:
    """Trains, and returns the network as it was at the best check on the validation photo."""
    rng = common.fix_seeds(SEED)
    net = network()
    pairs = [pair(image) for image in photos.training_photos()]
    validation = photos.photo(photos.VALIDATION)
    best: tuple[float, dict[str, torch.Tensor]] = (0.0, {})

    def loss_of_batch() -> torch.Tensor:
        low, high = draw(pairs, rng)
        return nn.functional.mse_loss(net(low), high)

    def check(step: int, loss: float) -> None:
        nonlocal best
        if step % CHECK_EVERY:
            return
        value, bicubic = gain(net, validation)
        print(f"{step:5} steps: loss {loss:.5f}, validation {value:.2f} dB, bicubic {bicubic:.2f}")
        if value > best[0]:
            best = (value, {k: v.clone() for k, v in net.body.state_dict().items()})

    common.optimise(net.body, loss_of_batch, steps=STEPS, rate=2e-3, after_step=check)
    net.body.load_state_dict(best[1])
    return net


def main() -> None:
    """Trains, writes superres.onnx and the held-out photograph."""
    folder = common.output_dir(__doc__)
    net = train()
    held_out = photos.crop(photos.photo(photos.HELD_OUT), FACTOR)
    model = export.to_onnx(
        net,
        "superres",
        ("luma_low", ["N", 1, "H", "W"]),
        ("luma_high", ["N", 1, "H_high", "W_high"]),
        f"Luma in 0..1, made {FACTOR} times larger each way (Shi et al. 2016).",
    )
    sample = photos.luma(photos.shrink(held_out, FACTOR))[None, None, :40, :56]
    difference = export.save(net, model, folder / "superres.onnx", sample)
    held_out.save(folder / f"{photos.HELD_OUT}.png", optimize=True)
    value, bicubic = gain(net, held_out)
    print(f"held out: {value:.2f} dB, bicubic {bicubic:.2f} dB, gain {value - bicubic:+.2f} dB")
    print(f"ONNX against PyTorch: {difference:.2g}")


if __name__ == "__main__":
    main()
