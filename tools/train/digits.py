"""Trains the digit classifier of `lanewise demo`: `python -m tools.train.digits`.

Data: the 1,797 handwritten digits (8x8, 0..16) that scikit-learn ships, the test part of
"Optical Recognition of Handwritten Digits" (Alpaydin and Kaynak, UCI repository, 1998).
A quarter is held out; the number of epochs is chosen on a part of the rest, and the
network that is saved is then trained on all of the rest. The held-out quarter is used once.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn

from tools.train import common, export

SEED = 20
BATCH = 64
EPOCHS = (20, 40, 80)
TEST_SHARE = 0.25
VALIDATION_SHARE = 0.2

Images = NDArray[np.float32]
Labels = NDArray[np.int64]


def network() -> export.Network:
    """Three convolutions with batch normalisation, two poolings, one dense layer: 10 classes."""

    def block(source: int, target: int) -> list[nn.Module]:
        conv = nn.Conv2d(source, target, 3, padding=1, bias=False)
        return [conv, nn.BatchNorm2d(target), nn.ReLU()]

    body = nn.Sequential(
        *block(1, 32),
        *block(32, 64),
        nn.MaxPool2d(2),
        *block(64, 96),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Dropout(0.3),
        nn.Linear(96 * 2 * 2, 10),
    )
    return export.Network(body, nn.Sequential(nn.Softmax(dim=1)))


def distorted(images: Images, rng: np.random.Generator) -> torch.Tensor:
    """Turns, slants, scales and moves each image of (N, 1, 8, 8) a little, bilinearly.

    Spreads: 8 degrees, 0.08 of slant, 7 % of size, half a pixel. Four-fold cross-validation
    on the training part halved the log loss against shifts by whole pixels.
    """
    count = len(images)
    angle = rng.normal(0, np.radians(8), count)
    slant = rng.normal(0, 0.08, count)
    width, height = np.exp(rng.normal(0, 0.07, (2, count)))
    right, down = rng.normal(0, 0.125, (2, count))  # half the width is 1
    rows = (
        [width * np.cos(angle), slant - np.sin(angle), right],
        [np.sin(angle), height * np.cos(angle), down],
    )
    matrix = torch.from_numpy(np.array(rows, np.float32).transpose(2, 0, 1).copy())
    grid = nn.functional.affine_grid(matrix, [count, 1, 8, 8], align_corners=False)
    return nn.functional.grid_sample(torch.from_numpy(images), grid, align_corners=False)


def fit(images: Images, labels: Labels, epochs: int) -> export.Network:
    """Trains a fresh network on images (N, 1, 8, 8) in 0..1 and labels (N,)."""
    rng = common.fix_seeds(SEED)
    net = network()

    def loss_of_batch() -> torch.Tensor:
        chosen = rng.choice(len(images), size=BATCH, replace=False)
        scores = net.body(distorted(images[chosen], rng))
        target = torch.from_numpy(labels[chosen])
        return nn.functional.cross_entropy(scores, target, label_smoothing=0.05)

    steps = epochs * len(images) // BATCH
    common.optimise(net.body, loss_of_batch, steps=steps, rate=3e-3, decay=1e-2)
    return net


def accuracy(net: export.Network, images: Images, labels: Labels) -> float:
    """Share of `images` whose most probable class is the label."""
    return float(np.mean(net.predict(images).argmax(axis=1) == labels))


def log_loss(net: export.Network, images: Images, labels: Labels) -> float:
    """Mean negative log probability of the label, in nats."""
    chosen = net.predict(images)[np.arange(len(labels)), labels]
    return float(-np.mean(np.log(np.maximum(chosen, 1e-12))))


def main() -> None:
    """Chooses the epochs, trains, writes digits.onnx and digits_test.npz."""
    folder = common.output_dir(__doc__)
    raw = load_digits()
    pixels = raw.images.astype(np.uint8)[:, None]
    labels = raw.target.astype(np.int64)
    rest, test = train_test_split(
        np.arange(len(labels)), test_size=TEST_SHARE, stratify=labels, random_state=SEED
    )
    images = pixels.astype(np.float32) / 16
    part, validation = train_test_split(
        rest, test_size=VALIDATION_SHARE, stratify=labels[rest], random_state=SEED
    )
    losses: dict[int, float] = {}
    for epochs in EPOCHS:
        net = fit(images[part], labels[part], epochs)
        losses[epochs] = log_loss(net, images[validation], labels[validation])
        share = accuracy(net, images[validation], labels[validation])
        print(f"{epochs:3} epochs: validation loss {losses[epochs]:.4f}, accuracy {share:.4f}")
    best = min(losses, key=lambda e: losses[e])
    net = fit(images[rest], labels[rest], best)
    model = export.to_onnx(
        net,
        "digits",
        ("image", ["N", 1, 8, 8]),
        ("probabilities", ["N", 10]),
        "Handwritten digits: pixels 0..16 divided by 16, to the probability of each digit.",
    )
    difference = export.save(net, model, folder / "digits.onnx", images[rest[:8]])
    np.savez_compressed(
        folder / "digits_test.npz", images=pixels[test, 0], labels=labels[test].astype(np.uint8)
    )
    share = accuracy(net, images[test], labels[test])
    print(f"{best} epochs, {len(rest)} images; {len(test)} held out: accuracy {share:.4f}")
    print(f"ONNX against PyTorch: {difference:.2g}")


if __name__ == "__main__":
    main()
