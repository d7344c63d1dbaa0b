"""Shapes and arrays for models that are to be planned or timed without real data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeGuard

import numpy as np

from lanewise.dtypes import Array, numpy_dtype_named
from lanewise.errors import InputError
from lanewise.model import TensorInfo

__all__ = ["batch_of", "concrete_shapes", "has_open_batch", "random_inputs", "shape_text"]

Shape = tuple[int, ...]


def concrete_shapes(
    inputs: Sequence[TensorInfo],
    batch: int | None = None,
    shapes: Mapping[str, Sequence[int]] | None = None,
) -> dict[str, Shape]:
    """A shape for each required input, with open dimensions filled in.

    An open first dimension, and every dimension of the same name, is taken as the batch. Another
    open dimension cannot be guessed.

    Args:
        inputs: the model's inputs.
        batch: size of the batch; by default 1 where it is open.
        shapes: whole shapes by input name, which come before all else.

    Returns:
        Sizes by input name.

    Raises:
        InputError: a dimension stays open, a name is no input, or no input has an open batch.
    """
    given = dict(shapes or {})
    names = [info.name for info in inputs]
    required = [info for info in inputs if not info.optional]
    for name in given:
        if name not in names:
            raise InputError(
                f"shape of '{name}': no such input; the model's are {_joined(names)}",
                name,
                _joined(names),
                name,
            )
    if batch is not None and not has_open_batch(inputs):
        declared = "; ".join(f"{info.name} {shape_text(info.shape)}" for info in required)
        raise InputError(
            f"batch {batch}: no input has an open first dimension ({declared}); "
            "leave the option out",
            "batch",
            "a model with an open batch dimension",
            str(batch),
        )
    sizes = _known_sizes(inputs, given, batch or 1)
    result = {name: tuple(shape) for name, shape in given.items()}
    for info in required:
        if info.name not in given:
            result[info.name] = _concrete(info, batch or 1, sizes)
    return result


def has_open_batch(inputs: Sequence[TensorInfo]) -> bool:
    """Whether a required input leaves its first dimension open."""
    return any(_first_is_open(info) for info in inputs if not info.optional)


def batch_of(inputs: Sequence[TensorInfo], given: Mapping[str, Array]) -> int:
    """Samples in one run: the first dimension that the model leaves open or that images have.

    Args:
        inputs: the model's inputs.
        given: arrays by name.

    Returns:
        The size of the first open first dimension; where there is none, of that of an input with
        four dimensions or more, which is the batch by convention; else 1.
    """
    required = [info for info in inputs if info.name in given]
    for info in required:
        if _first_is_open(info):
            return int(given[info.name].shape[0])
    for info in required:
        if given[info.name].ndim >= 4:
            return int(given[info.name].shape[0])
    return 1


def _first_is_open(info: TensorInfo) -> bool:
    return info.shape is not None and info.shape[:1] != () and not isinstance(info.shape[0], int)


def _known_sizes(
    inputs: Sequence[TensorInfo], given: Mapping[str, Sequence[int]], batch: int
) -> dict[str, int]:
    """Sizes of named dimensions: those that given shapes tell, and first dimensions."""
    sizes: dict[str, int] = {}
    for info in inputs:
        for dim, size in zip(info.shape or (), given.get(info.name, ()), strict=False):
            if _is_symbol(dim):
                sizes[dim] = size
    for info in inputs:
        first = info.shape[0] if info.shape else None
        if _is_symbol(first):
            sizes.setdefault(first, batch)
    return sizes


def _concrete(info: TensorInfo, batch: int, sizes: Mapping[str, int]) -> Shape:
    """The input's shape with its open dimensions filled in."""
    if not info.is_tensor:
        raise InputError(
            f"input '{info.name}' is a {info.dtype}, which cannot be made up; give its value",
            info.name,
            info.dtype,
            "nothing",
        )
    if info.shape is None:
        raise _open_dimension(info, "its rank is not in the file")
    return tuple(_size(info, axis, dim, batch, sizes) for axis, dim in enumerate(info.shape))


def _size(
    info: TensorInfo, axis: int, dim: int | str | None, batch: int, sizes: Mapping[str, int]
) -> int:
    if isinstance(dim, int):
        return dim
    if _is_symbol(dim) and dim in sizes:
        return sizes[dim]
    if axis == 0:
        return batch
    name = f"'{dim}'" if _is_symbol(dim) else "unnamed"
    raise _open_dimension(info, f"dimension {axis} ({name}) has no size in the file")


def _is_symbol(dim: int | str | None) -> TypeGuard[str]:
    """Whether a dimension has a name; exporters also write "?" or "None" for no name."""
    return isinstance(dim, str) and dim not in ("", "?", "None")


def _open_dimension(info: TensorInfo, what: str) -> InputError:
    found = shape_text(info.shape)
    sizes = "?" if info.shape is None else ",".join(_digits(dim) for dim in info.shape)
    return InputError(
        f"input '{info.name}' {found}: {what}; give an array, or its whole shape "
        f"(on the command line --shape {info.name}={sizes}, numbers in place of '?')",
        info.name,
        "a shape without open dimensions",
        found,
    )


def _digits(dim: int | str | None) -> str:
    return str(dim) if isinstance(dim, int) else "?"


def shape_text(shape: Sequence[int | str | None] | None) -> str:
    """A declared shape for people, "[N, 3, 224, 224]"; open dimensions without name as "?"."""
    if shape is None:
        return "[any shape]"
    return "[" + ", ".join("?" if dim is None else str(dim) for dim in shape) + "]"


def _joined(names: Sequence[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)


def random_inputs(
    inputs: Sequence[TensorInfo], shapes: Mapping[str, Shape], seed: int = 0
) -> dict[str, Array]:
    """Seeded arrays of the given shapes.

    Floats are uniform in [0, 1), like an image's; bytes span their range; other integers and
    booleans are 0 or 1, which are valid as small indices, lengths and flags; strings are empty.

    Args:
        inputs: the model's inputs.
        shapes: sizes by input name (see `concrete_shapes`).
        seed: of the generator.

    Returns:
        Arrays by input name.
    """
    generator = np.random.default_rng(seed)
    types = {info.name: info.dtype for info in inputs}
    return {name: _draw(generator, types[name], shape) for name, shape in shapes.items()}


def _draw(generator: np.random.Generator, dtype: str, shape: Shape) -> Array:
    if dtype == "string":
        return np.full(shape, "", dtype=object)
    if dtype == "uint8":
        return generator.integers(0, 256, shape, dtype=np.uint8)
    if dtype == "bool" or "int" in dtype:
        return generator.integers(0, 2, shape).astype(numpy_dtype_named(dtype))
    if dtype == "undefined":
        dtype = "float32"
    return generator.random(shape, dtype=np.float32).astype(numpy_dtype_named(dtype))
