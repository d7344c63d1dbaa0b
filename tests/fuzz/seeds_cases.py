"""A seed for each operator: ONNX's own smallest case of it, or one written here."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

import lanewise as lw
from tools.operators import templates

Array = np.ndarray[Any, Any]
MS, ML, OWN = "com.microsoft", "ai.onnx.ml", "lanewise"


def _f(*shape: int) -> Array:
    return np.random.default_rng(len(shape)).standard_normal(shape).astype(np.float32)


def seed_of(node: onnx.NodeProto, arrays: list[Array], opset: int) -> onnx.ModelProto:
    """The node over operands that are known when the model runs, not when it is loaded.

    The only input of the model is a flag that chooses between the operands and themselves.
    """
    names = [name for name in node.input if name]
    nodes, constants = [], []
    copy = onnx.NodeProto()
    copy.CopyFrom(node)
    for name, array in zip(names, arrays, strict=True):
        constants.append(numpy_helper.from_array(np.asarray(array), f"{name}/given"))
        nodes.append(helper.make_node("Where", ["flag"] + [f"{name}/given"] * 2, [name]))
    graph = helper.make_graph(
        [*nodes, copy],
        "g",
        [helper.make_tensor_value_info("flag", TensorProto.BOOL, [1])],
        [helper.make_empty_tensor_value_info(name) for name in node.output if name],
        constants,
    )
    domain = node.domain
    version = opset if domain in ("", "ai.onnx") else onnx.defs.onnx_opset_version()
    imports = [helper.make_opsetid("", version)]
    if domain not in ("", "ai.onnx"):
        imports.append(helper.make_opsetid(domain, opset))
    return helper.make_model(graph, opset_imports=imports, ir_version=10)


def _written() -> Iterator[tuple[str, list[Array | None], int, dict[str, Any], str]]:
    """Operator, operands, opset, attributes and domain of what the suite has no case of."""
    image = _f(1, 4, 5, 5)
    window = {"kernel_shape": [2, 2], "strides": [2, 1], "pads": [1, 0, 0, 1]}
    yield "Affine", [image], 1, {"alpha": 2.0, "beta": 1.0}, ""
    yield "Crop", [image], 1, {"border": [1, 1, 1, 1]}, ""
    yield "ImageScaler", [image], 1, {"bias": [1.0] * 4, "scale": 2.0}, ""
    yield "MaxRoiPool", [image, np.array([[0, 0, 0, 3, 3]], "f4")], 1, {"pooled_shape": [2, 2]}, ""
    texts = np.array(["a", "c"], object)
    cats: dict[str, Any] = {"cats_strings": ["a", "b"], "cats_int64s": [1, 2]}
    yield "CategoryMapper", [texts], 1, cats, ML
    yield "LinearRegressor", [_f(2, 3)], 1, {"coefficients": [1.0, 2.0, 3.0], "targets": 1}, ML
    yield "Inverse", [_f(3, 3)], 1, {}, MS
    byte = np.arange(100, dtype=np.uint8).reshape(1, 4, 5, 5)
    scale, zero = np.array(0.1, "f4"), np.array(3, np.uint8)
    quantised = [byte, scale, zero]
    for op in ("QLinearAdd", "QLinearMul"):
        yield op, [*quantised, byte[:, :, :1], scale, zero, scale, zero], 1, {}, MS
    for op in ("QLinearLeakyRelu", "QLinearSigmoid"):
        yield op, [*quantised, scale, zero], 1, {}, MS
    yield "QLinearSoftmax", [*quantised, scale, zero], 1, {"opset": 13, "axis": 1}, MS
    yield "QLinearConcat", [scale, zero, *quantised, byte, scale, zero], 1, {"axis": 1}, MS
    yield "QLinearAveragePool", [*quantised, scale, zero], 1, window, MS
    yield "QLinearGlobalAveragePool", [*quantised, scale, zero], 1, {}, MS
    rows = [_f(1, 3, 8)] * 3
    yield "MultiHeadAttention", [*rows, _f(24)], 1, {"num_heads": 2}, MS
    angles = [np.array([0]), np.ones((4, 2), "f4"), np.ones((4, 2), "f4")]
    yield "RotaryEmbedding", [_f(1, 3, 8), *angles], 1, {"num_heads": 2}, MS
    caches = [_f(1, 2, 4, 4), _f(1, 2, 4, 4), np.array([4], np.int32), np.array(5, np.int32)]
    heads: dict[str, Any] = {"num_heads": 2, "kv_num_heads": 2, "smooth_softmax": 1}
    fresh = [_f(1, 1, 8)] * 3
    yield "GroupQueryAttention", [*fresh, *caches], 1, heads, MS
    codes = [np.ones((1, 2, 4, 4), np.int8)] * 2
    coded = [*fresh, *codes, *caches[2:], *[None] * 5, np.ones(1, "f4"), np.ones(1, "f4")]
    modes = {"k_quant_type": "PER_TENSOR", "v_quant_type": "PER_TENSOR"}
    yield "GroupQueryAttention", coded, 1, heads | modes, MS
    yield from _own(image, window)


def _own(image: Array, window: dict[str, Any]) -> Iterator[Any]:
    """Operators that the engine puts into graphs itself."""
    weights = _f(6, 2, 2, 2)
    conv = {"group": 2, **window}
    relu = {"activation": "Relu"}
    result = _f(1, 6, 3, 5)
    yield "FusedConv", [image, weights, _f(6), result], 1, conv | relu, OWN
    yield "ConvInputGradient", [image, weights, result], 1, conv, OWN
    yield "ConvWeightGradient", [image, weights, result], 1, conv, OWN
    yield "AveragePoolGradient", [image, _f(1, 4, 3, 5)], 1, window, OWN
    up = {"strides": [2, 2], "group": 2}
    yield "FusedConvTranspose", [image, _f(4, 2, 2, 2)], 1, up | relu, OWN
    yield "FusedGemm", [_f(2, 3), _f(3, 4), _f(4)], 1, relu, OWN
    four = [np.ones(4, "f4")] * 4
    yield "FusedBatchNormalization", [image, *four], 1, relu, OWN
    yield "FusedInstanceNormalization", [image, *four[:2]], 1, relu, OWN
    scale, zero = np.array(0.1, "f4"), np.array(3, np.uint8)
    bound = {"low": 3, "high": 200}
    filters = np.arange(-24, 24, dtype=np.int8).reshape(6, 2, 2, 2)
    byte = np.arange(100, dtype=np.uint8).reshape(1, 4, 5, 5)
    by_filter = [filters, np.ones(6, "f4"), np.zeros(6, np.int8)]
    operands = [byte, scale, zero, *by_filter, scale, zero, np.arange(6, dtype=np.int32)]
    yield "FusedQLinearConv", operands, 1, conv | bound, OWN
    columns = [filters.reshape(6, 8), np.ones(6, "f4"), np.zeros(6, np.int8)]
    operands = [byte.reshape(-1)[:80].reshape(10, 8), scale, zero, *columns, scale, zero, _f(6)]
    yield "FusedQLinearMatMul", operands, 1, bound | {"transB": 1}, OWN
    yield "ChannelShuffle", [image], 1, {"groups": 2}, OWN
    yield "ToLayout", [image], 1, {}, OWN
    yield "Reinterpret", [image], 1, {}, OWN


def _loads(seed: onnx.ModelProto) -> bool:
    try:
        lw.load(seed, threads=1)
    except lw.LanewiseError:
        return False
    return True


def case_seeds() -> dict[str, onnx.ModelProto]:
    """Seeds by the name of their operator."""
    seeds: dict[str, onnx.ModelProto] = {}
    for (domain, op), cases in templates().items():
        for case in cases:
            if case.model.graph.initializer:
                continue
            version = {o.domain: o.version for o in case.model.opset_import}[domain]
            given = dict(zip((i.name for i in case.model.graph.input), case.arrays, strict=True))
            seed = seed_of(case.node, [given[name] for name in case.node.input if name], version)
            if _loads(seed):  # the suite's older cases are of other opsets
                seeds[f"{domain}:{op}" if domain else op] = seed
                break
    for op, arrays, opset, attributes, domain in _written():
        names = ["" if a is None else f"i{k}" for k, a in enumerate(arrays)]
        node = helper.make_node(op, names, ["y"], domain=domain, **attributes)
        name = f"{domain}:{op}" if domain else op
        seeds[name if name not in seeds else f"{name} 2"] = seed_of(
            node, [a for a in arrays if a is not None], opset
        )
    return seeds
