"""Small valid models that together use most of what a file can hold: what mutations start from."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tests.fuzz.seeds_cases import case_seeds
from tests.fuzz.seeds_values import classical, containers, texts

Array = np.ndarray[Any, Any]
Node = helper.make_node


def _model(
    nodes: list[onnx.NodeProto],
    inputs: list[onnx.ValueInfoProto],
    outputs: list[str],
    constants: dict[str, Array],
    opset: int,
    **extra: Any,
) -> onnx.ModelProto:
    graph = helper.make_graph(
        nodes,
        "g",
        inputs,
        [helper.make_empty_tensor_value_info(name) for name in outputs],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    imports = [helper.make_opsetid("", opset), *extra.pop("opset_imports", [])]
    return helper.make_model(graph, opset_imports=imports, ir_version=8, **extra)


def _f(*shape: int) -> Array:
    return np.random.default_rng(len(shape)).standard_normal(shape).astype(np.float32)


def _i(*values: int) -> Array:
    return np.array(values, np.int64)


def _x(*shape: int | str) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)


def convolutional() -> onnx.ModelProto:
    """Convolutions, normalisation, pooling, a residual, a classifier."""
    nodes = [
        Node("Conv", ["x", "w0", "b0"], ["c0"], pads=[1, 1, 1, 1], strides=[2, 2]),
        Node("BatchNormalization", ["c0", "s", "b0", "m", "v"], ["n"]),
        Node("Relu", ["n"], ["r"]),
        Node("Conv", ["r", "w1"], ["c1"], pads=[1, 1, 1, 1], group=4),
        Node("Add", ["c1", "r"], ["a"]),
        Node("MaxPool", ["a"], ["p"], kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1),
        Node("AveragePool", ["p"], ["q"], kernel_shape=[2, 2], auto_pad="SAME_UPPER"),
        Node("Concat", ["p", "q"], ["k"], axis=1),
        Node("GlobalAveragePool", ["k"], ["gap"]),
        Node("Flatten", ["gap"], ["flat"]),
        Node("Gemm", ["flat", "fc", "fb"], ["logits"], transB=1),
        Node("Softmax", ["logits"], ["y"]),
    ]
    one = np.ones(4, np.float32)
    constants = {
        "w0": _f(4, 3, 3, 3),
        "b0": _f(4),
        "w1": _f(4, 1, 3, 3),
        "s": one,
        "m": one * 0,
        "v": one,
        "fc": _f(5, 8),
        "fb": _f(5),
    }
    return _model(nodes, [_x("n", 3, 9, 9)], ["y"], constants, 17)


def shapes() -> onnx.ModelProto:
    """Shape arithmetic and movement of elements."""
    nodes = [
        Node("Shape", ["x"], ["s"]),
        Node("Gather", ["s", "zero"], ["n"], axis=0),
        Node("Unsqueeze", ["n", "axis0"], ["n1"]),
        Node("Concat", ["n1", "minus1"], ["to"], axis=0),
        Node("Reshape", ["x", "to"], ["r"]),
        Node("Transpose", ["r"], ["t"], perm=[1, 0]),
        Node("Slice", ["t", "zeros", "ends", "axes", "steps"], ["sl"]),
        Node("Split", ["t"], ["p0", "p1"], axis=0, num_outputs=2),
        Node("Pad", ["p0", "pads", "fill"], ["pad"]),
        Node("Expand", ["zero_f", "to3"], ["e"]),
        Node("Tile", ["sl", "repeats"], ["tile"]),
        Node("ReduceMean", ["tile", "axes"], ["mean"], keepdims=1),
        Node("TopK", ["p1", "k"], ["top", "index"], axis=0),
        Node("Where", ["mask", "one_f", "zero_f"], ["w"]),
    ]
    constants = {
        "zero": np.array(0, np.int64),
        "axis0": _i(0),
        "minus1": _i(-1),
        "zeros": _i(0),
        "ends": _i(5),
        "axes": _i(0),
        "steps": _i(2),
        "pads": _i(0, 1, 1, 0),
        "fill": np.array(0.5, np.float32),
        "zero_f": np.array(0, np.float32),
        "one_f": np.ones(2, np.float32),
        "to3": _i(2, 3),
        "repeats": _i(2, 2),
        "k": _i(1),
        "mask": np.array([True, False]),
    }
    return _model(nodes, [_x("n", 2, 4)], ["mean", "pad", "e", "top", "index", "w"], constants, 18)


def old() -> onnx.ModelProto:
    """Opset 7: attributes where inputs are now."""
    nodes = [
        Node("Clip", ["x"], ["c"], min=-1.0, max=1.0),
        Node("Upsample", ["c"], ["u"], scales=[1.0, 1.0, 2.0, 2.0], mode="nearest"),
        Node("Pad", ["u"], ["p"], pads=[0, 0, 1, 1, 0, 0, 1, 1], value=0.5),
        Node("Slice", ["p"], ["s"], starts=[1, 1], ends=[5, 5], axes=[2, 3]),
        Node("Dropout", ["s"], ["d", "mask"], ratio=0.5),
        Node("ReduceMean", ["d"], ["m"], axes=[2, 3], keepdims=0),
        Node("Softmax", ["m"], ["y"], axis=1),
        Node("TopK", ["y"], ["top", "i"], k=1),
        Node("Squeeze", ["top"], ["z"], axes=[1]),
        Node("Unsqueeze", ["z"], ["zz"], axes=[0]),
    ]
    return _model(nodes, [_x(1, 2, 3, 3)], ["zz", "i"], {}, 7)


def structured() -> onnx.ModelProto:
    """Bodies, functions, Constant nodes, a sparse initialiser, one that is also an input."""
    imports = [helper.make_opsetid("", 18), helper.make_opsetid("local", 1)]
    value = [helper.make_empty_tensor_value_info("v")]
    bodies = [helper.make_graph([Node(op, ["t"], ["v"])], op, [], value) for op in ("Neg", "Abs")]
    inner = [Node("Constant", [], ["k"], value_float=2.0), Node("Mul", ["v", "k"], ["out"])]
    function = helper.make_function("local", "f", ["v"], ["out"], inner, imports[:1])
    nodes = [
        Node("f", ["x"], ["t"], domain="local"),
        Node("Constant", [], ["cond"], value=numpy_helper.from_array(np.array(True))),
        Node("If", ["cond"], ["i"], then_branch=bodies[0], else_branch=bodies[1]),
        Node("Add", ["i", "w"], ["a"]),
        Node("MatMul", ["a", "sparse"], ["y"]),
    ]
    inputs = [_x(2, 3), helper.make_tensor_value_info("w", TensorProto.FLOAT, [3])]
    extra = {"functions": [function], "opset_imports": imports[1:]}
    model = _model(nodes, inputs, ["y"], {"w": _f(3)}, 18, **extra)
    values = helper.make_tensor("sparse", TensorProto.FLOAT, [2], [1.0, 2.0])
    indices = helper.make_tensor("at", TensorProto.INT64, [2], [1, 5])
    model.graph.sparse_initializer.append(helper.make_sparse_tensor(values, indices, [3, 2]))
    return model


def recurrent() -> onnx.ModelProto:
    """An LSTM both ways over vectors gathered from a table."""
    nodes = [
        Node("Gather", ["table", "x"], ["e"]),
        Node("LSTM", ["e", "W", "R"], ["h", "last"], hidden_size=3, direction="bidirectional"),
        Node("Transpose", ["last"], ["lt"], perm=[1, 0, 2]),
        Node("Reshape", ["lt", "shape"], ["y"]),
    ]
    constants = {"table": _f(7, 4), "W": _f(2, 12, 4), "R": _f(2, 12, 3), "shape": _i(0, -1)}
    x = helper.make_tensor_value_info("x", TensorProto.INT64, ["time", "batch"])
    return _model(nodes, [x], ["y"], constants, 14)


def resampling() -> onnx.ModelProto:
    """Transposed convolution, resizing, local normalisation, boxes, results of open size."""
    up: dict[str, Any] = {"strides": [2, 2], "pads": [1, 1, 1, 1], "output_padding": [1, 1]}
    nodes = [
        Node("ConvTranspose", ["x", "w"], ["c"], **up),
        Node("InstanceNormalization", ["c", "s", "b"], ["n"]),
        Node("DepthToSpace", ["n"], ["d"], blocksize=2),
        Node("Resize", ["d", "", "scales"], ["r"], mode="linear"),
        Node("LRN", ["r"], ["l"], size=3),
        Node("Sigmoid", ["l"], ["y"]),
        Node("NonMaxSuppression", ["boxes", "scores", "most", "iou"], ["kept"]),
        Node("NonZero", ["y"], ["where"]),
    ]
    constants = {
        "w": _f(2, 4, 3, 3),
        "s": _f(4),
        "b": _f(4),
        "scales": np.array([1, 1, 0.5, 2], np.float32),
        "boxes": np.abs(_f(1, 5, 4)),
        "scores": np.abs(_f(1, 2, 5)),
        "most": _i(3),
        "iou": np.array([0.5], np.float32),
    }
    return _model(nodes, [_x(1, 2, 3, 3)], ["y", "kept", "where"], constants, 19)


def decoding() -> onnx.ModelProto:
    """Attention of several kinds with caches, and com.microsoft's forms."""
    heads: dict[str, Any] = {"q_num_heads": 2, "kv_num_heads": 1}
    ms: dict[str, Any] = {"domain": "com.microsoft"}
    bits: dict[str, Any] = {"K": 16, "N": 4, "bits": 4, "block_size": 16, **ms}
    nodes = [
        Node("MatMul", ["x", "wq"], ["q"]),
        Node("MatMul", ["x", "wk"], ["k"]),
        Node("RotaryEmbedding", ["q", "cos", "sin", "at"], ["qr"], num_heads=2),
        Node("Attention", ["qr", "k", "k", "mask", "old", "old"], ["a", "keys", "values"],
             is_causal=1, left_window_size=2, softcap=3.0, **heads),
        Node("LinearAttention", ["a", "k", "k", "", "k", "beta"], ["l", "state"], **heads),
        Node("Transpose", ["l"], ["t"], perm=[0, 2, 1]),
        Node("CausalConvWithState", ["t", "taps"], ["c", "carry"], activation="silu"),
        Node("TensorScatter", ["cache", "c", "start"], ["present"], axis=2, mode="circular"),
        Node("Attention", ["x", "w3", "", "lengths"], ["m"], num_heads=2, unidirectional=1, **ms),
        Node("SkipLayerNormalization", ["x", "m", "g"], ["s"], **ms),
        Node("FusedMatMul", ["s", "s"], ["f"], transB=1, alpha=0.5, **ms),
        Node("MatMulNBits", ["wide", "packed", "scales"], ["b"], **bits),
    ]  # fmt: skip
    constants = {
        "wq": _f(4, 8), "wk": _f(4, 4), "cos": _f(5, 2), "sin": _f(5, 2), "at": _i(0, 1, 2)[None],
        "mask": np.ones((3, 5), bool), "old": _f(1, 1, 2, 4), "beta": _f(1, 3, 1),
        "taps": _f(8, 1, 3), "cache": _f(1, 8, 6), "start": _i(4), "w3": _f(4, 12),
        "lengths": np.array([2], np.int32), "g": _f(4), "wide": _f(2, 16),
        "packed": np.arange(32, dtype=np.uint8).reshape(4, 1, 8), "scales": _f(4, 1),
    }  # fmt: skip
    outputs = ["keys", "values", "state", "carry", "present", "f", "b"]
    imports = [helper.make_opsetid("com.microsoft", 1)]
    return _model(nodes, [_x(1, 3, 4)], outputs, constants, 27, opset_imports=imports)


def all_seeds() -> dict[str, onnx.ModelProto]:
    """Every seed model by name: first those of several nodes, then one for each operator."""
    return composed_seeds() | case_seeds()


def composed_seeds() -> dict[str, onnx.ModelProto]:
    """Seeds of several nodes."""
    makers = (
        convolutional, shapes, old, structured, recurrent, resampling, decoding,
        containers, texts, classical,
    )  # fmt: skip
    return {maker.__name__: maker() for maker in makers}
