"""What the training scripts share: seeds, the step schedule, the command line, file output.

No network and no data set lives here.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

DATA_DIR = Path(__file__).resolve().parents[2] / "python" / "lanewise" / "demo" / "data"


def fix_seeds(seed: int) -> np.random.Generator:
    """Makes a run repeatable: one thread, deterministic kernels, seeded generators.

    Args:
        seed: seed of PyTorch's generator and of the returned one.

    Returns:
        A NumPy generator for shuffles, crops and noise.
    """
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    torch.use_deterministic_algorithms(True)
    return np.random.default_rng(seed)


def optimise(
    module: nn.Module,
    loss_of_batch: Callable[[], torch.Tensor],
    *,
    steps: int,
    rate: float,
    decay: float = 0.0,
    after_step: Callable[[int, float], None] | None = None,
) -> None:
    """Adam (Kingma and Ba 2015, decoupled decay) with a short warm-up and a cosine to zero.

    Args:
        module: what is trained, in place.
        loss_of_batch: draws one batch and returns its scalar loss.
        steps: number of updates.
        rate: the highest learning rate.
        decay: weight decay per unit of learning rate.
        after_step: called with the step (from 1) and the loss of that step.
    """
    warm_up = max(1, steps // 50)

    def scale(step: int) -> float:
        if step < warm_up:
            return (step + 1) / warm_up
        return 0.5 * (1 + math.cos(math.pi * (step - warm_up) / max(1, steps - warm_up)))

    optimiser = torch.optim.AdamW(module.parameters(), lr=rate, weight_decay=decay)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, scale)
    for step in range(1, steps + 1):
        module.train()
        optimiser.zero_grad()
        loss = loss_of_batch()
        loss.backward()  # type: ignore[no-untyped-call, unused-ignore]
        optimiser.step()
        schedule.step()
        if after_step is not None:
            after_step(step, float(loss.detach()))


def psnr(truth: NDArray[np.float32], estimate: NDArray[np.float32]) -> float:
    """Peak signal-to-noise ratio in dB of images whose peak value is 1; shapes must agree."""
    error = truth.astype(np.float64) - estimate.astype(np.float64)
    return -10.0 * math.log10(float(np.mean(np.square(error))))


def output_dir(description: str | None) -> Path:
    """Reads the command line that all scripts share and returns the folder to write to."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument(
        "--output", type=Path, default=DATA_DIR, help="folder for the results (default: the demo's)"
    )
    folder: Path = parser.parse_args().output
    folder.mkdir(parents=True, exist_ok=True)
    return folder
