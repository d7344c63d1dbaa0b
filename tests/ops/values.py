"""Models whose values are sequences, optionals and maps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper

import lanewise as lw

FLOAT, INT64, STRING, BOOL = (
    TensorProto.FLOAT,
    TensorProto.INT64,
    TensorProto.STRING,
    TensorProto.BOOL,
)


def tensor(code: int = FLOAT, shape: Sequence[int | str] | None = None) -> onnx.TypeProto:
    return helper.make_tensor_type_proto(code, shape)


def sequence(inner: onnx.TypeProto | None = None) -> onnx.TypeProto:
    return helper.make_sequence_type_proto(inner or tensor())


def optional(inner: onnx.TypeProto) -> onnx.TypeProto:
    return helper.make_optional_type_proto(inner)


def mapping(key: int, inner: onnx.TypeProto) -> onnx.TypeProto:
    return helper.make_map_type_proto(key, inner)


Named = dict[str, onnx.TypeProto]


def infos(types: Named) -> list[onnx.ValueInfoProto]:
    return [helper.make_value_info(name, type_) for name, type_ in types.items()]


def graph(nodes: Sequence[onnx.NodeProto], inputs: Named, outputs: Named) -> onnx.GraphProto:
    return helper.make_graph(nodes, "g", infos(inputs), infos(outputs))


def model(
    nodes: Sequence[onnx.NodeProto], inputs: Named, outputs: Named, opset: int = 21
) -> onnx.ModelProto:
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid("ai.onnx.ml", 5)]
    return helper.make_model(graph(nodes, inputs, outputs), opset_imports=opsets)


def load(nodes: Sequence[onnx.NodeProto], inputs: Named, outputs: Named) -> lw.Model:
    return lw.load(model(nodes, inputs, outputs))


def same(got: Any, wanted: Any) -> None:
    """Asserts that two values are alike, containers item for item."""
    if isinstance(wanted, list | tuple):
        assert isinstance(got, type(wanted))
        assert len(got) == len(wanted)
        for left, right in zip(got, wanted, strict=True):
            same(left, right)
    elif wanted is None:
        assert got is None
    elif isinstance(wanted, dict):
        assert got == wanted
    else:
        assert got.dtype == wanted.dtype
        np.testing.assert_array_equal(got, wanted)
