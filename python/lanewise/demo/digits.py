"""Demo: a convolutional network reads handwritten digits that it was not trained on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

import lanewise as lw

from . import report

ACCURACY_GOAL = 0.99
CLASSES = 10


def confusion_matrix(
    labels: NDArray[np.int64], guesses: NDArray[np.int64], classes: int
) -> NDArray[np.int64]:
    """Counts pairs of label and guess.

    Args:
        labels: true classes, shape (N,).
        guesses: classes found, shape (N,).
        classes: number of classes.

    Returns:
        Shape (classes, classes), row is the label, column the guess.
    """
    counts = np.zeros((classes, classes), np.int64)
    np.add.at(counts, (labels, guesses), 1)
    return counts


def run(output_dir: Path, threads: int | None = None) -> report.Result:
    """Classifies all held-out digits; writes no file.

    Args:
        output_dir: unused, the same for every demo.
        threads: threads of the engine; None lets it choose.

    Returns:
        Figures `samples`, `accuracy`, `confusions` (10 x 10) and `mistakes`.
    """
    del output_dir
    with np.load(report.data_path("digits_test.npz")) as samples:
        images = samples["images"].astype(np.float32)[:, None] / np.float32(16)
        labels = samples["labels"].astype(np.int64)
    model = lw.load(report.data_path("digits.onnx"), threads=threads)
    probabilities = report.apply(model, images)
    guesses = probabilities.argmax(axis=1)
    accuracy = float(np.mean(guesses == labels))
    mistakes = [
        {
            "sample": int(i),
            "label": int(labels[i]),
            "guess": int(guesses[i]),
            "probability": float(probabilities[i, guesses[i]]),
            "pixels": images[i, 0].tolist(),
        }
        for i in np.flatnonzero(guesses != labels)
    ]
    figures = {
        "samples": len(labels),
        "accuracy": accuracy,
        "confusions": confusion_matrix(labels, guesses, CLASSES).tolist(),
        "mistakes": mistakes,
    }
    goals = [report.Goal("accuracy on held-out digits", accuracy, ACCURACY_GOAL, "")]
    speed = report.measure(model, images[:1])
    return report.Result("Handwritten digits: a small CNN", figures, goals, speed)


def show(result: report.Result, console: Console) -> None:
    """Prints accuracy, the confusion matrix and each mistake with its pixels."""
    figures = result.figures
    right = figures["samples"] - len(figures["mistakes"])
    console.print(
        f"{right} of {figures['samples']} held-out digits right: {figures['accuracy']:.2%}"
    )
    console.print("Confusions (rows: the digit, columns: what the network read)")
    table = Table(box=None, pad_edge=False)
    table.add_column("")
    for digit in range(CLASSES):
        table.add_column(str(digit), justify="right")
    for digit, counts in enumerate(figures["confusions"]):
        cells = [_cell(count, digit == guess) for guess, count in enumerate(counts)]
        table.add_row(f"[bold]{digit}[/]", *cells)
    console.print(table)
    for mistake in figures["mistakes"]:
        console.print(
            f"Sample {mistake['sample']}: a {mistake['label']}, "
            f"read as {mistake['guess']} (probability {mistake['probability']:.2f})"
        )
        for row in mistake["pixels"]:
            console.print("  " + "".join(" ░▒▓█"[round(value * 4)] * 2 for value in row))


def _cell(count: int, diagonal: bool) -> str:
    if count == 0:
        return "[dim]·[/]"
    return str(count) if diagonal else f"[bold red]{count}[/]"
