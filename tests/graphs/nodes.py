"""The nodes of random graphs: each function looks for operands and gives a node, or None."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.graphs.generate import BOOL, FLOATS, INTEGERS, Builder, Choice
from tests.graphs.more_nodes import MORE
from tests.graphs.moving import MOVING
from tests.graphs.operands import Maker, anything, ints, is_float, is_number, is_wide
from tests.graphs.rare import RARE

# fmt: off
SMOOTH = [
    "Exp", "Tanh", "Sigmoid", "Softplus", "Softsign", "Erf", "Sin", "Cos", "Atan", "Sinh", "Asinh",
    "Gelu", "Mish", "Elu", "Selu", "Celu", "LeakyRelu", "Relu", "HardSwish", "HardSigmoid", "Sqrt",
    "Reciprocal",
]
JUMPS = ["Floor", "Ceil", "Round", "Sign", "ThresholdedRelu"]
REDUCE = [
    "ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1", "ReduceL2",
    "ReduceSumSquare", "ReduceLogSumExp",
]
# fmt: on


def smooth(b: Builder) -> Choice | None:
    x = b.choose(is_float)
    return x and Choice(b.pick(SMOOTH), [x])


def jumps(b: Builder) -> Choice | None:
    x = b.choose(lambda v: is_float(v) and v.exact)
    return x and Choice(b.pick(JUMPS), [x], exact=True)


def signs(b: Builder) -> Choice | None:
    x = b.choose(lambda v: is_number(v) and v.dtype.kind != "u")
    return x and Choice(b.pick(["Abs", "Neg"]), [x], exact=True)


def logic(b: Builder) -> Choice | None:
    x = b.choose(lambda v: v.dtype == BOOL)
    if x is None:
        return None
    if b.chance(0.2):
        return Choice("Not", [x])
    return Choice(b.pick(["And", "Or", "Xor"]), [x, b.like(x, broadcast=True)])


def bits(b: Builder) -> Choice | None:
    x = b.choose(lambda v: v.dtype in INTEGERS)
    if x is None:
        return None
    if b.chance(0.2):
        return Choice("BitwiseNot", [x])
    return Choice(b.pick(["BitwiseAnd", "BitwiseOr", "BitwiseXor"]), [x, b.like(x, broadcast=True)])


def binary(b: Builder) -> Choice | None:
    x = b.choose(is_number)
    if x is None:
        return None
    operands = [x, b.like(x, broadcast=True)]
    if b.chance(0.4):
        operands.reverse()
    return Choice(b.pick(["Add", "Sub", "Mul"]), operands)


def quotient(b: Builder) -> Choice | None:
    x = b.choose(is_number)
    if x is None:
        return None
    y = b.draw(x.shape, x.dtype)
    y = np.where(y == 0, np.ones_like(y), y)
    if x.dtype.kind in "iu" and b.chance(0.3):
        return Choice("Mod", [x, y])
    return Choice("Div", [x, y])


def variadic(b: Builder) -> Choice | None:
    op = b.pick(["Max", "Min", "Sum", "Mean"])
    x = b.choose(is_number if op in ("Max", "Min") else is_float)
    if x is None:
        return None
    others = [b.like(x, broadcast=True) for _ in range(b.integer(0, 2))]
    return Choice(op, [x, *others], exact=op in ("Max", "Min"))


def compare(b: Builder) -> Choice | None:
    x = b.choose(lambda v: is_number(v) and v.exact)
    if x is None:
        return None
    op = b.pick(["Equal", "Greater", "Less", "GreaterOrEqual", "LessOrEqual"])
    return Choice(op, [x, b.draw(x.shape, x.dtype)])


def where(b: Builder) -> Choice | None:
    x = b.choose(anything)
    if x is None:
        return None
    return Choice("Where", [b.draw(x.shape, BOOL), x, b.like(x, broadcast=True)], exact=True)


def reduction(b: Builder) -> Choice | None:
    op = b.pick(REDUCE)
    exact = op in ("ReduceMax", "ReduceMin")
    x = b.choose(is_number if exact else is_wide if op != "ReduceLogSumExp" else is_float)
    if x is None:
        return None
    axes = [a for a in range(x.rank) if b.chance(0.5)]
    axes = [a - x.rank if b.chance(0.3) else a for a in axes]
    attributes = {"keepdims": b.integer(0, 1), "noop_with_empty_axes": b.integer(0, 1)}
    return Choice(op, [x, ints(axes)] if axes or b.chance(0.3) else [x], attributes, exact=exact)


def extremes(b: Builder) -> Choice | None:
    x = b.choose(lambda v: is_number(v) and v.exact and v.rank > 0)
    if x is None:
        return None
    attributes = {
        "axis": b.integer(-x.rank, x.rank - 1),
        "keepdims": b.integer(0, 1),
        "select_last_index": b.integer(0, 1),
    }
    return Choice(b.pick(["ArgMax", "ArgMin"]), [x], attributes)


def cumulate(b: Builder) -> Choice | None:
    x = b.choose(lambda v: is_wide(v) and v.rank > 0)
    if x is None:
        return None
    attributes = {"exclusive": b.integer(0, 1), "reverse": b.integer(0, 1)}
    return Choice("CumSum", [x, ints(b.integer(-x.rank, x.rank - 1))], attributes)


def matmul(b: Builder) -> Choice | None:
    x = b.choose(lambda v: is_wide(v) and 1 <= v.rank <= 4)
    if x is None:
        return None
    k, n = x.shape[-1], b.integer(1, 9)
    batch = [d if b.chance(0.5) else 1 for d in x.shape[:-2]]
    other = b.draw([*batch, k, n] if b.chance(0.6) else [k, n], x.dtype)
    return Choice("MatMul", [x, other])


def gemm(b: Builder) -> Choice | None:
    x = b.choose(lambda v: is_wide(v) and v.rank == 2)
    if x is None:
        return None
    turn_a, turn_b = b.integer(0, 1), b.integer(0, 1)
    m, k = x.shape[::-1] if turn_a else x.shape
    n = b.integer(1, 20)
    inputs: list[Any] = [x, b.draw([n, k] if turn_b else [k, n], x.dtype)]
    if b.chance(0.6):
        inputs.append(b.draw(b.pick([(n,), (m, n), (m, 1), ()]), x.dtype))
    attributes = {"transA": turn_a, "transB": turn_b}
    if x.dtype in FLOATS:
        attributes |= {"alpha": 0.5, "beta": 0.25}
    return Choice("Gemm", inputs, attributes)


def normal(b: Builder) -> Choice | None:
    x = b.choose(lambda v: is_float(v) and v.rank > 0 and min(v.shape) > 0)
    if x is None:
        return None
    axis = b.integer(-x.rank, x.rank - 1)
    if b.chance(0.6):
        return Choice(b.pick(["Softmax", "LogSoftmax"]), [x], {"axis": axis})
    if x.array.size < 2 or x.shape[-1] < 2:
        return None
    scale = b.draw([x.shape[-1]], x.dtype)
    return Choice(
        "LayerNormalization", [x, scale, b.draw([x.shape[-1]], x.dtype)], {"epsilon": 0.1}
    )


def conv(b: Builder) -> Choice | None:
    x = b.choose(lambda v: v.dtype in FLOATS[:2] and v.rank in (3, 4) and min(v.shape) > 0)
    if x is None:
        return None
    spatial = x.rank - 2
    kernel = [b.integer(1, min(3, d)) for d in x.shape[2:]]
    attributes = {
        "pads": [b.integer(0, 1) for _ in range(2 * spatial)],
        "strides": [b.integer(1, 2) for _ in range(spatial)],
    }
    group = b.pick([g for g in range(1, x.shape[1] + 1) if x.shape[1] % g == 0])
    outputs = group * b.integer(1, 4)
    if b.chance(0.3):
        w = b.draw([x.shape[1], b.integer(1, 3), *kernel], x.dtype)
        del attributes["pads"]  # they might leave nothing
        return Choice("ConvTranspose", [x, w], attributes)
    w = b.draw([outputs, x.shape[1] // group, *kernel], x.dtype)
    bias = [b.draw([outputs], x.dtype)] if b.chance(0.5) else []
    return Choice("Conv", [x, w, *bias], attributes | {"group": group})


def pool(b: Builder) -> Choice | None:
    x = b.choose(lambda v: v.dtype in FLOATS[:2] and v.rank in (3, 4) and min(v.shape) > 0)
    if x is None:
        return None
    if b.chance(0.3):
        # The reference drops dimensions of the maximum where there is one spatial axis.
        op = b.pick(["GlobalAveragePool", "GlobalMaxPool"][: x.rank - 2])
        return Choice(op, [x], exact=op == "GlobalMaxPool")
    spatial = x.rank - 2
    kernel = [b.integer(1, min(3, d)) for d in x.shape[2:]]
    attributes: dict[str, Any] = {"kernel_shape": kernel, "strides": [b.integer(1, 2)] * spatial}
    op = b.pick(["MaxPool", "AveragePool"])
    if op == "AveragePool":
        attributes["count_include_pad"] = b.integer(0, 1)
    return Choice(op, [x], attributes, exact=op == "MaxPool")


def channels(b: Builder) -> Choice | None:
    x = b.choose(lambda v: v.dtype in FLOATS[:2] and v.rank in (3, 4) and min(v.shape) > 0)
    if x is None:
        return None
    c = [x.shape[1]]
    scale, bias, mean = (b.draw(c, x.dtype) for _ in range(3))
    if b.chance(0.5):
        return Choice("BatchNormalization", [x, scale, bias, mean, np.abs(b.draw(c, x.dtype)) + 1])
    return Choice("InstanceNormalization", [x, scale, bias], {"epsilon": 0.1})


def quantize(b: Builder) -> Choice | None:
    x = b.choose(lambda v: v.dtype == FLOATS[0] and v.exact)
    if x is not None and b.chance(0.5):
        zero = b.draw((), b.pick([INTEGERS[0], INTEGERS[4]]))
        return Choice("QuantizeLinear", [x, np.array(0.125, np.float32), zero])
    x = b.choose(lambda v: v.dtype in (INTEGERS[0], INTEGERS[4]))
    if x is None:
        return None
    return Choice("DequantizeLinear", [x, np.array(0.5, np.float32), b.draw((), x.dtype)])


MAKERS: tuple[Maker, ...] = (
    smooth, smooth, jumps, signs, logic, bits, binary, binary, quotient, variadic, compare, where,
    reduction, reduction, extremes, cumulate, matmul, gemm, normal, conv, conv, pool, channels,
    quantize, *MOVING, *MORE, *RARE,
)  # fmt: skip
