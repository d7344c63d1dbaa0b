"""More nodes of random graphs: what makes tensors from sizes, and less common functions."""

from __future__ import annotations

import numpy as np

from tests.graphs.generate import BOOL, FLOATS, INTEGERS, STRING, Builder, Choice, element_type
from tests.graphs.operands import Maker, anything, ints, is_float, is_number


def clip(b: Builder) -> Choice | None:
    x = b.choose(is_number)
    if x is None:
        return None
    low, high = (np.asarray(v).astype(x.dtype) for v in (1, 2))
    bounds = [low if b.chance(0.7) else None, high if b.chance(0.7) else None]
    return Choice("Clip", [x, *bounds], exact=True)


def slopes(b: Builder) -> Choice | None:
    x = b.choose(is_float)
    return x and Choice("PRelu", [x, b.like(x, broadcast=True)])


def one_hot(b: Builder) -> Choice | None:
    x = b.choose(lambda v: v.dtype == np.int64 and v.rank < 4)
    if x is None:
        return None
    values = b.draw([2], b.pick([FLOATS[0], INTEGERS[2], BOOL]))
    axis = b.integer(-x.rank - 1, x.rank)
    return Choice("OneHot", [x, ints(b.integer(1, 5)), values], {"axis": axis})


def eye(b: Builder) -> Choice | None:
    x = b.choose(lambda v: v.rank == 2 and v.dtype != STRING)
    if x is None:
        return None
    return Choice(
        "EyeLike", [x], {"k": b.integer(-2, 2), "dtype": element_type(FLOATS[0])}, exact=True
    )


def filled(b: Builder) -> Choice | None:
    if b.chance(0.5):
        start, count = b.integer(-5, 5), b.integer(0, 9)
        step = b.pick([-2, -1, 1, 3])
        limits = (start, start + count * step, step)
        dtype = b.pick([np.float32, np.int32, np.int64])
        return Choice("Range", [np.array(v, dtype) for v in limits], exact=True)
    return Choice("ConstantOfShape", [ints(b.shape())], exact=True)


def shifts(b: Builder) -> Choice | None:
    x = b.choose(lambda v: v.dtype.kind == "u")
    if x is None:
        return None
    amount = np.asarray(b.rng.integers(0, 4, x.shape)).astype(x.dtype)
    return Choice("BitShift", [x, amount], {"direction": b.pick(["LEFT", "RIGHT"])})


def questions(b: Builder) -> Choice | None:
    x = b.choose(lambda v: v.dtype in FLOATS[:2])
    return x and Choice(b.pick(["IsNaN", "IsInf"]), [x])


def reverse(b: Builder) -> Choice | None:
    x = b.choose(lambda v: v.rank >= 2 and v.dtype != STRING and min(v.shape) > 0)
    if x is None:
        return None
    lengths = b.rng.integers(1, x.shape[0] + 1, x.shape[1])
    attributes = {"time_axis": 0, "batch_axis": 1}
    return Choice("ReverseSequence", [x, ints(lengths)], attributes, exact=True)


def gather_nd(b: Builder) -> Choice | None:
    x = b.choose(lambda v: v.rank > 0 and min(v.shape) > 0)
    if x is None:
        return None
    depth = b.integer(1, x.rank)
    tuples = [b.rng.integers(-d, d, b.integer(0, 1) + 2) for d in x.shape[:depth]]
    count = min(map(len, tuples))
    return Choice("GatherND", [x, ints([t[:count] for t in tuples]).T], exact=True)


def einsum(b: Builder) -> Choice | None:
    x = b.choose(lambda v: v.dtype in FLOATS[:2] and v.rank == 2)
    if x is None:
        return None
    equation = b.pick(["ij,kj->ik", "ij,kj->ki", "ij,kj->i", "ij,kj->ijk", "ij,kj->"])
    other = b.draw([b.integer(1, 4), x.shape[1]], x.dtype)
    return Choice("Einsum", [x, other], {"equation": equation})


def hardmax(b: Builder) -> Choice | None:
    x = b.choose(lambda v: is_float(v) and v.exact and v.rank > 0 and min(v.shape) > 0)
    return x and Choice("Hardmax", [x], {"axis": b.integer(-x.rank, x.rank - 1)}, exact=True)


def norms(b: Builder) -> Choice | None:
    x = b.choose(lambda v: v.exact and v.dtype in FLOATS[:2] and v.rank == 4 and min(v.shape) > 0)
    if x is None:
        return None
    # With p = 1 the reference sums without magnitudes.
    return Choice("LpNormalization", [x], {"axis": b.integer(0, 3), "p": 2})


def alike(b: Builder) -> Choice | None:
    x = b.choose(lambda v: v.exact and v.dtype in FLOATS)
    y = b.choose(lambda v: v.dtype in FLOATS)
    return Choice("CastLike", [x, y]) if x is not None and y is not None else None


def flatten(b: Builder) -> Choice | None:
    x = b.choose(anything)
    return x and Choice("Flatten", [x], {"axis": b.integer(-x.rank, x.rank)}, exact=True)


MORE: tuple[Maker, ...] = (
    clip, slopes, one_hot, eye, filled, shifts, questions, reverse, gather_nd, einsum, hardmax,
    norms, alike, flatten,
)  # fmt: skip
