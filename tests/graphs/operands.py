"""What the nodes of random graphs take as operands."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tests.graphs.generate import FLOATS, INTEGERS, Builder, Choice, Value

Maker = Callable[[Builder], Choice | None]


def is_float(value: Value) -> bool:
    return value.dtype in FLOATS


def is_wide(value: Value) -> bool:
    """float32, float64 and the integers for which ONNX has sums."""
    return value.dtype in FLOATS or value.dtype.name in ("int32", "int64", "uint32", "uint64")


def is_number(value: Value) -> bool:
    return value.dtype in FLOATS or value.dtype in INTEGERS


def anything(value: Value) -> bool:
    return value.rank <= 6


def ints(values: Any) -> Any:
    return np.array(values, np.int64)
