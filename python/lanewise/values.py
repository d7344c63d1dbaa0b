"""Values of a model in Python: arrays, and lists, dicts and None for containers.

A sequence is a list of values, an optional is None or the value, a map is a dict. Arrays themselves
are converted in `lanewise.dtypes`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np

from lanewise.dtypes import NAMES, numpy_dtype, pack, unpack
from lanewise.errors import InputError

__all__ = ["Value", "flatten", "is_container", "pack_value", "type_name", "unpack_value"]

#: An array; a list, a dict or None where the model has a sequence, a map or an empty optional.
Value: TypeAlias = Any

# The core's codes for what holds other values; those below are ONNX's element types.
_SEQUENCE, _OPTIONAL, _MAP = 64, 65, 66
_KINDS = {_SEQUENCE: "sequence", _OPTIONAL: "optional", _MAP: "map"}


def is_container(code: int) -> bool:
    """Whether the core's code is that of a sequence, an optional or a map."""
    return code in _KINDS


def type_name(codes: Sequence[int]) -> str:
    """Name of a type.

    Args:
        codes: the kind, then what it holds, outermost first.

    Returns:
        "float32", "sequence(float32)", "map(int64, float32)" and the like.
    """
    return _type_name(list(codes))


def _type_name(rest: list[int]) -> str:
    code = rest.pop(0) if rest else 0
    if not is_container(code):
        return NAMES.get(code, "undefined")
    inner = [_type_name(rest) for _ in range(2 if code == _MAP else 1)]
    return f"{_KINDS[code]}({', '.join(inner)})"


def pack_value(name: str, value: Value, codes: Sequence[int]) -> tuple[str, Any, int]:
    """An input as the core takes it: (name, content, code).

    Args:
        name: the input, for messages.
        value: what the caller gives.
        codes: the declared type, as for `type_name`.

    Raises:
        InputError: the value is not of that form.
    """
    kind, holds = codes[0], list(codes[1:])
    items: list[tuple[Any, int]]
    if kind == _SEQUENCE:
        if not isinstance(value, list | tuple):
            raise _unfit(name, value, codes, "give a list of values")
        items = [_item(f"{name}[{i}]", item, holds) for i, item in enumerate(value)]
    elif kind == _OPTIONAL:
        items = [] if value is None else [_item(name, value, holds)]
    elif kind == _MAP:
        if not isinstance(value, dict):
            raise _unfit(name, value, codes, "give a dict")
        items = [
            _column(f"{name}: keys", list(value.keys()), holds[:1]),
            _column(f"{name}: values", list(value.values()), holds[1:]),
        ]
    else:
        return pack(name, value)
    return name, (holds, items), kind


def _item(name: str, value: Value, codes: Sequence[int]) -> tuple[Any, int]:
    _, content, code = pack_value(name, value, codes or [0])
    return content, code


def _column(name: str, entries: list[Any], codes: Sequence[int]) -> tuple[Any, int]:
    """A map's keys or values as one array of the declared type."""
    code = codes[0] if codes else 0
    if is_container(code):
        raise InputError(f"input '{name}': maps of {type_name(codes)} are not supported", name)
    try:
        array = np.array(entries, dtype=numpy_dtype(code) if code else None)
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(
            f"input '{name}': expected {type_name(codes)} ({error})", name, type_name(codes)
        ) from error
    _, content, given = pack(name, array.reshape(len(entries)))
    return content, given


def _unfit(name: str, value: Value, codes: Sequence[int], hint: str) -> InputError:
    expected, got = type_name(codes), type(value).__name__
    message = f"input '{name}': expected {expected}, got {got}; {hint}"
    return InputError(message, name, expected, got)


def unpack_value(content: Any, code: int) -> Value:
    """An output of the core in Python's form."""
    if not is_container(code):
        return unpack(content, code)
    if code == _MAP:
        keys, values = (unpack(*column).tolist() for column in content)
        return dict(zip(keys, values, strict=True))
    items = [unpack_value(*item) for item in content]
    if code == _SEQUENCE:
        return items
    return items[0] if items else None


def flatten(name: str, value: Value) -> dict[str, Any]:
    """The arrays in a value by names such as "y", "y[0]" or "y['cat']"."""
    if value is None:
        return {}
    if isinstance(value, list):
        entries = [flatten(f"{name}[{i}]", item) for i, item in enumerate(value)]
    elif isinstance(value, dict):
        entries = [flatten(f"{name}[{key!r}]", item) for key, item in value.items()]
    else:
        return {name: np.asarray(value)}
    return {key: array for entry in entries for key, array in entry.items()}
