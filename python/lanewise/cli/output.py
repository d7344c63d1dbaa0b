"""Printing: tables, JSON, and texts from files that reach a terminal."""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Iterable
from typing import Any

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from lanewise.explanation import UNLIMITED, printable

__all__ = [
    "cell",
    "json_text",
    "megabytes",
    "print_json",
    "printable_lines",
    "say",
    "show",
    "stems",
    "table",
]


def show(what: RenderableType) -> None:
    """Prints a table: as wide as its lines where standard output is no terminal."""
    width = None if sys.stdout.isatty() else UNLIMITED
    Console(width=width, highlight=False, markup=False, emoji=False).print(what)


def say(text: str = "") -> None:
    """Prints lines of text, with control characters escaped."""
    print(printable_lines(text))


def table(left: tuple[str, ...], right: tuple[str, ...] = ()) -> Table:
    """An empty table with columns of text and columns of numbers."""
    result = Table(box=None, pad_edge=False, header_style="bold")
    for heading in left:
        result.add_column(heading)
    for heading in right:
        result.add_column(heading, justify="right", no_wrap=True)
    return result


def cell(value: object) -> Text:
    """One cell, with control characters escaped and no markup."""
    return Text(printable(str(value)))


def printable_lines(text: str) -> str:
    """`printable`, with line ends kept."""
    return "\n".join(printable(line) for line in text.split("\n"))


def print_json(value: Any) -> None:
    """Prints one JSON value."""
    sys.stdout.write(json_text(value))


def json_text(value: Any) -> str:
    """One JSON value; NaN and infinities, which JSON lacks, become null."""
    return json.dumps(_finite(value), indent=2, allow_nan=False) + "\n"


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return value


def megabytes(count: float) -> str:
    """A number of bytes for people."""
    return f"{count / 1e6:.2f} MB" if count >= 1e4 else f"{count:.0f} bytes"


def stems(names: Iterable[str]) -> list[str]:
    """A file name, without an ending, for each name: tensors may be called "a/b:0", files not."""
    found: list[str] = []
    for name in names:
        plain = re.sub(r"[^A-Za-z0-9._-]+", "_", name).strip("._")[:100] or "output"
        stem, number = plain, 2
        while stem in found:
            stem, number = f"{plain}_{number}", number + 1
        found.append(stem)
    return found
