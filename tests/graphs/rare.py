"""Nodes of random graphs that rarely find operands by chance: they bring inputs of their own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from onnx import helper, numpy_helper

from tests.graphs.generate import (
    BOOL,
    FLOATS,
    INTEGERS,
    STRING,
    Builder,
    Choice,
    Value,
    element_type,
)
from tests.graphs.operands import Maker, ints, is_float

SINGLE, DOUBLE = FLOATS[:2]
INT8, INT64, UINT8 = INTEGERS[0], INTEGERS[3], INTEGERS[4]


def fresh(b: Builder, shape: Sequence[int], dtype: Any = SINGLE) -> Value:
    """A further input of the graph."""
    return b.bring(b.draw(shape, np.dtype(dtype)))


def wide(b: Builder) -> Any:
    return b.pick([SINGLE, SINGLE, DOUBLE])


def image(b: Builder, channels: int, dtype: Any = SINGLE) -> Value:
    return fresh(b, (b.integer(0, 2), channels, b.integer(3, 6), b.integer(3, 6)), dtype)


def kinked(b: Builder) -> Choice | None:
    """Functions with poles or narrow domains: of exact operands alone."""
    x = b.choose(lambda v: is_float(v) and v.exact)
    ops = ["Acos", "Acosh", "Asin", "Atanh", "Cosh", "Log", "Tan", "Shrink", "Swish"]
    return x and Choice(b.pick(ops), [x])


def powers(b: Builder) -> Choice | None:
    x = b.choose(lambda v: v.dtype in FLOATS[:2])
    return x and Choice("Pow", [x, np.array(b.integer(0, 3), b.pick([np.float32, np.int64]))])


def windows(b: Builder) -> Choice:
    size = np.array(b.integer(1, 9))
    periodic = {"periodic": b.integer(0, 1)}
    return Choice(b.pick(["BlackmanWindow", "HammingWindow", "HannWindow"]), [size], periodic)


def mel(b: Builder) -> Choice:
    bounds = [np.array(v, np.float32) for v in (0.0, 4000.0)]
    return Choice("MelWeightMatrix", [*map(np.array, (b.integer(1, 6), 16, 8192)), *bounds])


def spectra(b: Builder) -> Choice:
    if b.chance(0.5):
        x = fresh(b, (b.integer(1, 3), b.integer(1, 9), b.integer(1, 2)), wide(b))
        return Choice("DFT", [x, None, np.array(1)], {"inverse": b.integer(0, 1)})
    frame = b.integer(2, 6)
    signal = fresh(b, (b.integer(1, 2), b.integer(8, 14), 1))
    step, window = np.array(b.integer(1, 4)), b.draw([frame], SINGLE)
    return Choice("STFT", [signal, step, window, np.array(frame)], {"onesided": b.integer(0, 1)})


def sampling(b: Builder) -> Choice:
    if b.chance(0.3):
        theta, size = fresh(b, (2, 2, 3)), ints([2, 1, b.integer(1, 4), b.integer(1, 4)])
        return Choice("AffineGrid", [theta, size], {"align_corners": b.integer(0, 1)})
    x = image(b, b.integer(1, 3))
    if b.chance(0.5):
        grid = b.bring(b.rng.uniform(-0.95, 0.95, (x.shape[0], 2, 3, 2)).astype(np.float32))
        return Choice("GridSample", [x, grid], {"mode": b.pick(["linear", "cubic"])})
    sizes = ints([*x.shape[:2], b.integer(1, 8), b.integer(1, 8)])
    mode = b.pick(["linear", "cubic", "nearest"])
    attributes = {"mode": mode, "coordinate_transformation_mode": "half_pixel"}
    return Choice("Resize", [x, None, None, sizes], attributes)


def regions(b: Builder) -> Choice:
    x = fresh(b, (2, b.integer(1, 3), 6, 6))
    boxes = np.array([[0, 0, 3, 3], [1, 2, 5, 4]], np.float32)
    if b.chance(0.5):
        return Choice("RoiAlign", [x, boxes, ints([0, 1])], {"output_height": 2, "output_width": 3,
                                                           "sampling_ratio": 2})  # fmt: skip
    low, high = b.rng.uniform(0, 4, (2, 2, b.integer(1, 6), 2)).astype(np.float32)
    scores = b.rng.permutation(low.shape[1] * 4).reshape(2, 2, -1) / 64
    limits = [np.array([b.integer(1, 4)]), np.array([0.4], np.float32)]
    corners = b.bring(np.concatenate([low, low + high + 1], -1))
    return Choice("NonMaxSuppression", [corners, b.bring(scores.astype(np.float32)), *limits])


def layers(b: Builder) -> Choice:
    """Of images."""
    x = image(b, 4)
    scale, bias = b.draw([4], SINGLE), b.draw([4], SINGLE)
    window = {"kernel_shape": [2, 2], "strides": [b.integer(1, 2)] * 2}
    blocks = fresh(b, (b.integer(1, 2), 8, 6))
    return b.pick([
        Choice("GroupNormalization", [x, scale, bias], {"num_groups": 2, "epsilon": 0.1}),
        Choice("MeanVarianceNormalization", [x]),
        Choice("GlobalLpPool", [x], {"p": 2}),
        Choice("LpPool", [x], {"p": b.integer(1, 2), **window}),
        Choice("Col2Im", [blocks, ints([3, 4]), ints([2, 2])]),
        Choice("DeformConv", [x, b.draw([2, 4, 2, 2], SINGLE), b.bring(np.zeros(
            (x.shape[0], 8, x.shape[2] - 1, x.shape[3] - 1), np.float32) + np.float32(0.25))]),
        Choice("CenterCropPad", [x, ints([b.integer(1, 8)] * 2)], {"axes": [2, 3]}, exact=True),
        Choice("Det", [fresh(b, (b.integer(0, 3), 3, 3), wide(b))]),
    ])  # fmt: skip


def integers(b: Builder) -> Choice:
    """Integer products; scales are powers of two, so that rounding has no ties to miss."""
    x, w = image(b, 2, UINT8), b.draw([3, 2, 2, 2], INT8)
    zero, weight_zero = np.array(2, np.uint8), np.array(1, np.int8)
    one = np.array(1.0, np.float32)
    a, c = fresh(b, (b.integer(0, 4), 5), UINT8), b.draw([5, b.integer(1, 4)], INT8)
    return b.pick([
        Choice("ConvInteger", [x, w, zero, weight_zero]),
        Choice("QLinearConv", [x, one, zero, w, one, weight_zero, one, zero]),
        Choice("MatMulInteger", [a, c, zero, weight_zero]),
        Choice("QLinearMatMul", [a, one, zero, c, one, weight_zero, one, zero]),
        Choice("DynamicQuantizeLinear", [fresh(b, (4, b.integer(1, 5)))], outputs=3),
    ])  # fmt: skip


def losses(b: Builder) -> Choice:
    x = fresh(b, (b.integer(1, 4), 5, b.integer(1, 3)), wide(b))
    target = b.rng.integers(0, 5, (x.shape[0], x.shape[2]))
    op = b.pick(["NegativeLogLikelihoodLoss", "SoftmaxCrossEntropyLoss"])
    return Choice(op, [x, target], {"reduction": b.pick(["mean", "sum", "none"])})


def recurrent(b: Builder) -> Choice:
    op, gates = b.pick([("RNN", 1), ("GRU", 3), ("LSTM", 4)])
    x = fresh(b, (b.integer(1, 4), b.integer(1, 3), 3))
    weights = [b.draw((1, gates * 2, n), SINGLE) / 4 for n in (3, 2)]
    return Choice(op, [x, *weights], {"hidden_size": 2}, outputs=2)


def texts(b: Builder) -> Choice:
    x = fresh(b, [b.integer(0, 6)], STRING)
    plain = b.bring(np.array(["a", "b", "zz", "a"], object))  # the reference drops accents
    words = {"case_change_action": b.pick(["NONE", "UPPER"]), "stopwords": ["a"]}
    grams: dict[str, Any] = {
        "mode": "TF", "min_gram_length": 1, "max_gram_length": 2, "max_skip_count": 1,
        "ngram_counts": [0, 2], "ngram_indexes": [0, 1, 2], "pool_int64s": [1, 2, 1, 2],
    }  # fmt: skip
    return b.pick([
        Choice("StringConcat", [x, fresh(b, x.shape, STRING)]),
        Choice("StringNormalizer", [plain], words),
        Choice("StringSplit", [fresh(b, [3], STRING)], {"delimiter": "z"}, outputs=2),
        Choice("RegexFullMatch", [x], {"pattern": "[a-z]*"}),
        Choice("TfIdfVectorizer", [b.bring(b.rng.integers(0, 4, 8))], grams),
    ])  # fmt: skip


def distinct(b: Builder) -> Choice | None:
    x = b.choose(
        lambda v: (
            v.exact and v.rank > 0 and v.array.size and v.dtype in (*FLOATS[:2], INT64, STRING)
        )
    )
    return x and Choice("Unique", [x], {"sorted": b.integer(0, 1)}, outputs=4, exact=True)


def still(b: Builder) -> Choice | None:
    if b.chance(0.5):
        array = b.draw(b.shape(), b.pick([SINGLE, INT64, BOOL]))
        return Choice("Constant", [], {"value": numpy_helper.from_array(array)}, exact=True)
    x = b.choose(is_float)
    return x and Choice("Dropout", [x], exact=True)


def sums_of_logs(b: Builder) -> Choice:
    x = b.bring(b.rng.uniform(0.5, 4, (3, b.integer(1, 4))).astype(wide(b)))
    return Choice("ReduceLogSum", [x, ints([b.integer(0, 1)])], {"keepdims": b.integer(0, 1)})


def heads(b: Builder) -> Choice:
    """Attention and what stands beside it."""
    rows, keys = b.integer(1, 4), b.integer(1, 4)
    q, k, v = (fresh(b, (2, 2, n, 4)) for n in (rows, keys, keys))
    angles = [b.draw((2, rows, 2), SINGLE) / 4 for _ in range(2)]
    x = fresh(b, (b.integer(0, 3), 5))
    flat, signal = fresh(b, (2, rows, 4)), fresh(b, (2, 3, b.integer(1, 5)))
    linear = {"q_num_heads": 2, "kv_num_heads": 2, "update_rule": "linear", "scale": 0.125}
    return b.pick([
        Choice("Attention", [q, k, v], {"scale": 0.25, "is_causal": b.integer(0, 1)}),
        Choice("RotaryEmbedding", [q, *angles], {"interleaved": b.integer(0, 1)}),
        Choice("RMSNormalization", [x, b.draw([5], SINGLE)], {"epsilon": 0.1}),
        Choice("TensorScatter", [k, v, ints([0, 0])], exact=True),
        Choice("CumProd", [x, np.array(1)]),
        Choice("SwiGLU", [x, fresh(b, x.shape)]),
        Choice("LinearAttention", [flat, flat, flat], linear, outputs=2),
        Choice("CausalConvWithState", [signal, b.draw((3, 1, 2), SINGLE)], outputs=2),
        Choice("BitCast", [x], {"to": 6}, exact=True),
    ])  # fmt: skip


def sequences(b: Builder) -> Choice:
    """Sequences and optionals, from tensors to tensors."""
    dtype = b.pick([SINGLE, INT64, STRING])
    rows = fresh(b, (b.integer(1, 3), 3), dtype)
    other = fresh(b, (b.integer(1, 3), 3), dtype)
    at = np.array(b.integer(-1, 1))
    node = helper.make_node
    joined = [
        ("SequenceConstruct", "xy", "s", {}),
        ("SequenceInsert", "syz", "t", {}),
        ("SequenceErase", "tz", "u", {}),
        ("ConcatFromSequence", "u", "r", {"axis": 0}),
    ]
    counted = [
        ("SplitToSequence", "x", "s", {"axis": 0}),
        ("SequenceInsert", "sy", "t", {}),
        ("SequenceLength", "t", "r", {}),
    ]
    taken = [("SequenceConstruct", "yx", "s", {}), ("SequenceAt", "sz", "r", {})]
    # The reference opens optionals that were just made as if they were sequences.
    opened = [("OptionalGetElement", "x", "r", {})]
    asked = [("Optional", "x", "o", {}), ("OptionalHasElement", "o", "r", {})]
    begun = [
        ("SequenceEmpty", "", "s", {"dtype": element_type(dtype)}),
        ("SequenceInsert", "sx", "t", {}),
        ("SequenceAt", "tz", "r", {}),
    ]
    steps = b.pick([joined, counted, taken, opened, asked, begun])
    nodes = [node(op, list(read), [made], **more) for op, read, made, more in steps]
    return Choice("", [rows, other, at], exact=True, chain=nodes)


def mapped(b: Builder) -> Choice:
    """A body over each row, and pooling undone."""
    node = helper.make_node
    if b.chance(0.5):
        pool = {"kernel_shape": [2, 2], "strides": [2, 2]}
        chain = [node("MaxPool", ["x"], ["p", "at"], **pool),
                 node("MaxUnpool", ["p", "at"], ["r"], **pool)]  # fmt: skip
        return Choice("", [fresh(b, (1, 2, 4, 6))], exact=True, chain=chain)
    infos = [helper.make_tensor_value_info(name, 1, None) for name in ("v", "w")]
    body = helper.make_graph([node("Neg", ["v"], ["w"])], "body", infos[:1], infos[1:])
    chain = [node("SplitToSequence", ["x"], ["s"], axis=0),
             node("SequenceMap", ["s"], ["t"], body=body),
             node("ConcatFromSequence", ["t"], ["r"], axis=0)]  # fmt: skip
    return Choice("", [fresh(b, (b.integer(1, 3), 3))], exact=True, chain=chain)


def bodies(b: Builder) -> Choice:
    """If, Loop and Scan."""
    node, info = helper.make_node, helper.make_tensor_value_info
    x, flag = fresh(b, (3, 2)), b.bring(np.array(b.chance(0.5)))
    kind = b.pick(["If", "Loop", "Scan"])
    if kind == "If":
        made = info("v", 1, [3, 2])
        branches = [helper.make_graph([node(op, ["x"], ["v"])], op, [], [made])
                    for op in ("Neg", "Abs")]  # fmt: skip
        chain = [node("If", ["y"], ["r"], then_branch=branches[0], else_branch=branches[1])]
        return Choice("", [x, flag], exact=True, chain=chain)
    if kind == "Loop":
        inner = [node("Identity", ["go"], ["on"]), node("Add", ["v", "x"], ["w"]),
                 node("Identity", ["w"], ["scan"])]  # fmt: skip
        body = helper.make_graph(
            inner, "body", [info("i", 7, []), info("go", 9, []), info("v", 1, [3, 2])],
            [info("on", 9, []), info("w", 1, [3, 2]), info("scan", 1, [3, 2])],
        )  # fmt: skip
        chain = [node("Loop", ["z", "", "x"], ["last", "r"], body=body)]
        return Choice("", [x, flag, np.array(b.integer(0, 3))], exact=True, chain=chain)
    inner = [node("Add", ["s", "row"], ["t"]), node("Identity", ["t"], ["out"])]
    body = helper.make_graph(
        inner, "body", [info("s", 1, [2]), info("row", 1, [2])],
        [info("t", 1, [2]), info("out", 1, [2])],
    )  # fmt: skip
    start = np.zeros(2, np.float32)
    chain = [node("Scan", ["y", "x"], ["last", "r"], body=body, num_scan_inputs=1)]
    return Choice("", [x, start], exact=True, chain=chain)


RARE: tuple[Maker, ...] = (
    kinked, powers, windows, mel, spectra, sampling, regions, layers, layers, integers, integers,
    losses, recurrent, texts, texts, distinct, still, sums_of_logs, heads, heads, sequences,
    sequences, mapped, bodies,
)  # fmt: skip
