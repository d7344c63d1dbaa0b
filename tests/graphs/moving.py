"""Nodes of random graphs that move elements, pick them, or give them another type or shape."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.graphs.generate import BOOL, FLOATS, INTEGERS, STRING, Builder, Choice, element_type
from tests.graphs.operands import Maker, anything, ints, is_number


def reshape(b: Builder) -> Choice | None:
    x = b.choose(anything)
    if x is None:
        return None
    dims = list(x.shape)
    if b.chance(0.5):
        b.rng.shuffle(dims)
    while len(dims) > 1 and b.chance(0.5):
        dims[:2] = [dims[0] * dims[1]]
    if b.chance(0.3) and x.array.size:
        dims[:0] = [1]
    if dims and b.chance(0.4) and x.array.size:
        dims[b.integer(0, len(dims) - 1)] = -1
    return Choice("Reshape", [x, ints(dims)], {"allowzero": 1}, exact=True)


def transpose(b: Builder) -> Choice | None:
    x = b.choose(anything)
    if x is None:
        return None
    attributes = {"perm": [int(i) for i in b.rng.permutation(x.rank)]} if x.rank else {}
    return Choice("Transpose", [x], attributes, exact=True)


def concat(b: Builder) -> Choice | None:
    x = b.choose(lambda v: v.rank > 0)
    if x is None:
        return None
    axis = b.integer(0, x.rank - 1)
    shape = list(x.shape)
    shape[axis] = b.integer(0, 4)
    operands: list[Any] = [x, b.draw(shape, x.dtype), *([x] if b.chance(0.3) else [])]
    return Choice("Concat", operands, {"axis": axis - b.pick([0, x.rank])}, exact=True)


def split(b: Builder) -> Choice | None:
    x = b.choose(lambda v: v.rank > 0)
    if x is None:
        return None
    axis = b.integer(0, x.rank - 1)
    first = b.integer(0, x.shape[axis])
    parts = ints([first, x.shape[axis] - first])
    return Choice("Split", [x, parts], {"axis": axis}, outputs=2, exact=True)


def slices(b: Builder) -> Choice | None:
    x = b.choose(lambda v: v.rank > 0)
    if x is None:
        return None
    axes = [a for a in range(x.rank) if b.chance(0.6)] or [0]
    bounds = [(b.integer(-8, 8), b.integer(-8, 8), b.pick([1, 1, 2, 3, -1, -2])) for _ in axes]
    start, end, step = (ints(column) for column in zip(*bounds, strict=True))
    return Choice("Slice", [x, start, end, ints(axes), step], exact=True)


def squeeze(b: Builder) -> Choice | None:
    x = b.choose(lambda v: 1 in v.shape)
    if x is not None and b.chance(0.5):
        axes = [a for a, d in enumerate(x.shape) if d == 1 and b.chance(0.7)]
        return Choice("Squeeze", [x, ints(axes)] if axes else [x], exact=True)
    x = b.choose(lambda v: v.rank < 6)
    if x is None:
        return None
    return Choice("Unsqueeze", [x, ints([b.integer(-x.rank - 1, x.rank)])], exact=True)


def expand(b: Builder) -> Choice | None:
    x = b.choose(lambda v: v.rank <= 4)
    if x is None:
        return None
    if b.chance(0.5):
        repeats = [b.pick([0, 1, 1, 2, 3]) if b.chance(0.5) else 1 for _ in range(x.rank)]
        return Choice("Tile", [x, ints(repeats)], exact=True)
    shape = [b.integer(1, 3) if d == 1 else d for d in x.shape]
    return Choice("Expand", [x, ints([b.integer(1, 2), *shape])], exact=True)


def pad(b: Builder) -> Choice | None:
    x = b.choose(lambda v: v.rank > 0 and v.dtype != STRING and min(v.shape) > 0)
    if x is None:
        return None
    mode = b.pick(["constant", "reflect", "edge", "wrap"])
    most = [max(0, min(3, d - 1)) for d in x.shape] * 2
    amounts = [b.integer(0, m) for m in most]
    inputs: list[Any] = [x, ints(amounts)]
    if mode == "constant" and b.chance(0.5):
        inputs.append(b.draw((), x.dtype))
    return Choice("Pad", inputs, {"mode": mode}, exact=True)


def gather(b: Builder) -> Choice | None:
    x = b.choose(lambda v: v.rank > 0 and min(v.shape) > 0)
    if x is None:
        return None
    axis = b.integer(0, x.rank - 1)
    size = x.shape[axis]
    if b.chance(0.5):
        shape = [b.integer(0, 3) for _ in range(b.integer(0, 2))]
        where_ = b.rng.integers(-size, size, shape)
        return Choice("Gather", [x, np.asarray(where_, np.int64)], {"axis": axis}, exact=True)
    shape = [b.integer(1, d) for d in x.shape]
    where_ = b.rng.integers(-size, size, shape)
    return Choice("GatherElements", [x, where_], {"axis": axis}, exact=True)


def scatter(b: Builder) -> Choice | None:
    x = b.choose(lambda v: v.rank > 0 and min(v.shape) > 0)
    if x is None:
        return None
    axis = b.integer(0, x.rank - 1)
    if b.chance(0.5):
        shape = list(x.shape)
        shape[axis] = b.integer(1, x.shape[axis])
        places = b.rng.permutation(x.shape[axis])[: shape[axis]]
        where_ = np.broadcast_to(
            places.reshape([-1 if a == axis else 1 for a in range(x.rank)]), shape
        )
        return Choice(
            "ScatterElements", [x, ints(where_), b.draw(shape, x.dtype)], {"axis": axis}, exact=True
        )
    rows = b.rng.permutation(x.shape[0])[: b.integer(0, x.shape[0])].reshape(-1, 1)
    updates = b.draw([len(rows), *x.shape[1:]], x.dtype)
    return Choice("ScatterND", [x, ints(rows), updates], exact=True)


def cast(b: Builder) -> Choice | None:
    x = b.choose(lambda v: v.dtype != STRING and v.exact)
    if x is None:
        return None
    targets = [*FLOATS, *(t for t in INTEGERS if t.kind == "i"), BOOL]
    if x.dtype in FLOATS and x.array.size and np.abs(x.array.astype(np.float64)).max() > 100:
        targets = FLOATS
    return Choice("Cast", [x], {"to": element_type(b.pick(targets))})


def blocks(b: Builder) -> Choice | None:
    x = b.choose(lambda v: v.rank == 4 and v.dtype != STRING and v.array.size > 0)
    if x is None:
        return None
    if x.shape[1] % 4 == 0 and b.chance(0.5):
        return Choice(
            "DepthToSpace", [x], {"blocksize": 2, "mode": b.pick(["DCR", "CRD"])}, exact=True
        )
    return Choice("SpaceToDepth", [x], {"blocksize": b.integer(1, 2)}, exact=True)


def triangle(b: Builder) -> Choice | None:
    x = b.choose(lambda v: v.rank >= 2 and v.dtype != STRING)
    return x and Choice(
        "Trilu", [x, ints(b.integer(-3, 3))], {"upper": b.integer(0, 1)}, exact=True
    )


def largest(b: Builder) -> Choice | None:
    x = b.choose(lambda v: is_number(v) and v.exact and v.rank > 0 and min(v.shape) > 0)
    if x is None:
        return None
    axis = b.integer(0, x.rank - 1)
    k = ints([b.integer(1, x.shape[axis])])
    return Choice("TopK", [x, k], {"axis": axis, "largest": b.integer(0, 1)}, outputs=2, exact=True)


def found(b: Builder) -> Choice | None:
    x = b.choose(lambda v: v.exact and v.dtype != STRING and v.rank > 0)
    return x and Choice("NonZero", [x])


def compress(b: Builder) -> Choice | None:
    x = b.choose(lambda v: v.rank > 0)
    if x is None:
        return None
    axis = b.integer(0, x.rank - 1)
    return Choice("Compress", [x, b.draw([x.shape[axis]], BOOL)], {"axis": axis}, exact=True)


def facts(b: Builder) -> Choice | None:
    x = b.choose(anything)
    return x and Choice(b.pick(["Shape", "Size", "Identity"]), [x], exact=True)


MOVING: tuple[Maker, ...] = (
    reshape, transpose, transpose, concat, split, slices, squeeze, expand, pad, gather, scatter,
    cast, blocks, triangle, largest, found, compress, facts,
)  # fmt: skip
