"""What is measured: a network of bench.networks or an ONNX file, with inputs for it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import helper

from bench import networks
from lanewise.benchmark.engines import Array, Feed


@dataclass(frozen=True)
class Subject:
    """A model file and what to feed it."""

    name: str
    file: Path
    feed: Feed


def find(name: str, cache: Path, batch: int, seed: int) -> Subject:
    """The subject called `name`: a path that ends in .onnx, or else a network.

    The network's file is written to `cache`. The inputs of a file `model.onnx` are those of
    `model.io.npz` beside it, under `in:<input name>`; without it they are drawn, where an open
    dimension becomes 1, or `batch` if it is the first.

    Raises:
        UnknownNetworkError: There is no such network.
        OSError: The file cannot be read.
        ValueError: The file is no ONNX model, or its .io.npz lacks an input.
    """
    if not name.endswith(".onnx"):
        feed: Feed = dict(networks.inputs(name, batch, seed))
        return Subject(name, networks.path(name, cache, batch, seed), feed)
    file = Path(name)
    try:
        model = onnx.load(file, load_external_data=False)
    except OSError:
        raise
    except Exception as error:  # protobuf's own exception type is not public
        raise ValueError(f"{file} is not an ONNX model: {error}") from error
    weights = {tensor.name for tensor in model.graph.initializer}
    declared = [value for value in model.graph.input if value.name not in weights]
    stored = file.with_suffix(".io.npz")
    if stored.exists():
        with np.load(stored) as arrays:
            known = {key[3:]: arrays[key] for key in arrays.files if key.startswith("in:")}
        if lacking := [value.name for value in declared if value.name not in known]:
            raise ValueError(f"{stored} has no array for: {', '.join(lacking)}")
        return Subject(file.stem, file, {v.name: _cast(v, known[v.name]) for v in declared})
    rng = np.random.default_rng(seed)
    return Subject(file.stem, file, {v.name: _draw(v, rng, batch) for v in declared})


def _dtype(value: onnx.ValueInfoProto) -> np.dtype[np.generic]:
    return np.dtype(helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type))


def _cast(value: onnx.ValueInfoProto, array: Array) -> Array:
    # Images are stored as bytes to keep files small, also where the model wants floats.
    return np.ascontiguousarray(array.astype(_dtype(value), copy=False))


def _draw(value: onnx.ValueInfoProto, rng: np.random.Generator, batch: int) -> Array:
    dims = value.type.tensor_type.shape.dim
    shape = [d.dim_value or (batch if axis == 0 else 1) for axis, d in enumerate(dims)]
    dtype = _dtype(value)
    if np.issubdtype(dtype, np.floating):
        return rng.standard_normal(shape).astype(dtype)
    return np.zeros(shape, dtype)
