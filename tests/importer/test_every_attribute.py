"""Every attribute of every operator in every opset of ONNX's schemas is known to the reader."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import AttributeProto, TensorProto, helper, numpy_helper

import lanewise as lw

DOMAINS = ("", "ai.onnx.ml", "ai.onnx.preview", "ai.onnx.preview.training")
NAMED = frozenset(TensorProto.DataType.keys())
VALUES: dict[int, Any] = {
    AttributeProto.INT: 1,
    AttributeProto.FLOAT: 1.0,
    AttributeProto.STRING: "a",
    AttributeProto.INTS: [1],
    AttributeProto.FLOATS: [1.0],
    AttributeProto.STRINGS: ["a"],
    AttributeProto.TENSOR: numpy_helper.from_array(np.ones(1, np.float32)),
    AttributeProto.TYPE_PROTO: helper.make_tensor_type_proto(TensorProto.FLOAT, [1]),
}


def schemas() -> list[Any]:
    """All forms of all operators, but those that were withdrawn in that very version."""
    every = onnx.defs.get_all_schemas_with_history()
    return [s for s in every if s.domain in DOMAINS and not s.deprecated]


def attribute(name: str, kind: int) -> AttributeProto:
    """Some value of the type."""
    if kind == AttributeProto.GRAPH:
        info = helper.make_tensor_value_info("z", TensorProto.FLOAT, [1])
        constant = helper.make_node("Constant", [], ["z"], value=VALUES[AttributeProto.TENSOR])
        return helper.make_attribute(name, helper.make_graph([constant], "b", [], [info]))
    if kind == AttributeProto.SPARSE_TENSOR:
        index = helper.make_tensor("i", TensorProto.INT64, [1], [0])
        sparse = helper.make_sparse_tensor(VALUES[AttributeProto.TENSOR], index, [1])
        return helper.make_attribute(name, sparse)
    return helper.make_attribute(name, VALUES[kind], attr_type=kind)


def input_infos(schema: Any) -> Iterator[onnx.ValueInfoProto]:
    """A tensor of unknown shape for each input that must be given, of a type that it may have."""
    for i in range(schema.min_input):
        formal = schema.inputs[min(i, len(schema.inputs) - 1)]
        text = next((t for t in sorted(formal.types) if t.startswith("tensor(")), "tensor(float)")
        kind = text.removeprefix("tensor(").removesuffix(")").upper()
        code = TensorProto.DataType.Value(kind if kind in NAMED else "FLOAT")
        yield helper.make_tensor_value_info(f"x{i}", code, None)


def complaint(schema: Any, names: list[str]) -> str:
    """What the reader says of a node of that form with these attributes."""
    infos = list(input_infos(schema))
    outputs = [f"y{i}" for i in range(max(1, schema.min_output))]
    node = helper.make_node(schema.name, [i.name for i in infos], outputs, domain=schema.domain)
    for name in names:
        node.attribute.append(attribute(name, schema.attributes[name].type.value))
    results = [helper.make_empty_tensor_value_info(y) for y in outputs]
    graph = helper.make_graph([node], "g", infos, results)
    imports = [helper.make_opsetid(schema.domain, schema.since_version)]
    if schema.domain:
        imports.append(helper.make_opsetid("", onnx.defs.onnx_opset_version()))
    try:
        lw.load(helper.make_model(graph, opset_imports=imports))
    except (lw.LanewiseError, ValueError) as error:
        return str(error)
    return ""


def ids(schema: Any) -> str:
    return f"{schema.domain or 'onnx'}-{schema.name}-{schema.since_version}"


@pytest.mark.parametrize("schema", schemas(), ids=ids)
def test_every_attribute_is_known(schema: Any) -> None:
    required = [name for name, a in schema.attributes.items() if a.required]
    for name in schema.attributes:
        text = complaint(schema, sorted({*required, name}))
        assert f"unknown attribute '{name}'" not in text, text
        assert f"attribute '{name}' must be" not in text, text
        assert f"attribute {name} is of the wrong type" not in text, text
        assert "no operator" not in text and "not supported" not in text, text
