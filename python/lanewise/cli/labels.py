"""Names of classes, and the most likely ones of a classifier's output."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lanewise.dtypes import Array
from lanewise.errors import InputError

__all__ = ["Guess", "class_scores", "probabilities", "read_labels", "top"]


def read_labels(path: Path) -> dict[int, str]:
    """Reads the names of classes.

    Args:
        path: a text file with one name per line, or lines "7: name", or a Python or JSON dict or
            list (where an entry is a list, its last text counts).

    Returns:
        Names by class.

    Raises:
        InputError: the file holds none of these.
        OSError: it cannot be read.
    """
    try:
        text = path.read_text(encoding="utf-8-sig").strip()
    except UnicodeDecodeError as error:
        raise _broken(path, str(error)) from error
    if text[:1] in ("{", "["):
        return _literal(path, text)
    lines = [line.strip() for line in text.splitlines()]
    numbered = [re.fullmatch(r"(\d+)\s*:\s*(.+)", line) for line in lines if line]
    if numbered and all(numbered):
        return {int(match[1]): match[2] for match in numbered if match}
    if not any(lines):
        raise _broken(path, "it is empty")
    return dict(enumerate(lines))


def _literal(path: Path, text: str) -> dict[int, str]:
    try:
        value = ast.literal_eval(text)
        items = value.items() if isinstance(value, dict) else enumerate(value)
        return {int(key): str(name[-1] if isinstance(name, list) else name) for key, name in items}
    except (ValueError, SyntaxError, TypeError, IndexError, RecursionError, MemoryError) as error:
        raise _broken(path, f"a dict or list that cannot be read: {error}") from error


def _broken(path: Path, what: str) -> InputError:
    return InputError(
        f"{path}: no file of labels ({what}); give one name per line, or lines '7: name'",
        str(path),
        "labels",
        what,
    )


@dataclass(frozen=True)
class Guess:
    """One class: its number, probability in 0..1 and name (empty without labels)."""

    index: int
    probability: float
    label: str


def class_scores(output: Array) -> Array | None:
    """A classifier's output as (samples, classes); None when it has another form.

    A first dimension is the samples'; of the others only one may be above 1. A single one is the
    classes'.
    """
    if output.dtype.kind != "f" or output.size < 2:
        return None
    if output.ndim == 1:
        return output[None]
    classes = [size for size in output.shape[1:] if size != 1]
    return output.reshape(output.shape[0], -1) if len(classes) == 1 and output.shape[0] else None


def probabilities(scores: Array) -> tuple[Array, bool]:
    """Rows that sum to 1, in float64.

    Args:
        scores: (samples, classes).

    Returns:
        The scores where they are probabilities already, else their softmax; and whether softmax
        was taken.
    """
    values = scores.astype(np.float64)
    sums = values.sum(axis=1)
    if values.min() >= -1e-6 and values.max() <= 1 + 1e-6 and np.allclose(sums, 1, atol=1e-2):
        return values, False
    powers = np.exp(values - values.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True), True


def top(row: Array, count: int, labels: dict[int, str]) -> list[Guess]:
    """The `count` most likely classes of one sample, the likeliest first."""
    order = np.argsort(-row, kind="stable")[:count]
    return [Guess(int(i), float(row[i]), labels.get(int(i), "")) for i in order]
