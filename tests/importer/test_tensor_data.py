"""Initialisers of every element type, in every form that TensorProto has."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

import lanewise as lw
from tests.importer.models import make_model

NUMPY = [
    "float32",
    "float64",
    "float16",
    "int8",
    "int16",
    "int32",
    "int64",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "bool",
    "complex64",
    "complex128",
]


def load_tensor(tensor: TensorProto) -> np.ndarray[Any, Any]:
    """The content of an initialiser, as the model returns it."""
    model = make_model([helper.make_node("Identity", ["w"], ["y"])], {}, ["y"])
    model.graph.initializer.append(tensor)
    result = lw.load(model)()
    assert isinstance(result, np.ndarray)
    return result


def sample(dtype: Any) -> np.ndarray[Any, Any]:
    """Numbers that show sign and width, 15 of them."""
    values = (
        np.linspace(-100, 100, 15) if np.dtype(dtype).kind not in "ub" else np.arange(15.0) * 15
    )
    if np.dtype(dtype).kind == "c":
        return (values + 1j * values[::-1]).astype(dtype).reshape(3, 5)
    return values.astype(dtype).reshape(3, 5)


@pytest.mark.parametrize("dtype", NUMPY)
def test_raw_and_typed(dtype: str) -> None:
    """Raw bytes, and the field that the type has for single values."""
    values = sample(dtype)
    raw = numpy_helper.from_array(values, "w")
    typed = helper.make_tensor("w", raw.data_type, values.shape, values.flatten())
    for tensor in (raw, typed):
        result = load_tensor(tensor)
        assert result.dtype == values.dtype
        np.testing.assert_array_equal(result, values)


@pytest.mark.parametrize("raw", [True, False], ids=["raw", "typed"])
def test_bfloat16(raw: bool) -> None:
    """bfloat16 comes out as ml_dtypes has it."""
    values = sample(np.float32).astype(ml_dtypes.bfloat16)
    content = values.tobytes() if raw else values.astype(np.float32).flatten()
    tensor = helper.make_tensor("w", TensorProto.BFLOAT16, values.shape, content, raw=raw)
    np.testing.assert_array_equal(load_tensor(tensor).astype(np.float32), values.astype(np.float32))


@pytest.mark.parametrize("raw", [True, False], ids=["raw", "typed"])
@pytest.mark.parametrize(
    ("code", "values"),
    [
        (TensorProto.UINT4, [0, 1, 7, 8, 15]),
        (TensorProto.INT4, [0, 1, 7, -8, -1]),
    ],
    ids=["uint4", "int4"],
)
def test_four_bits(code: int, values: list[int], raw: bool) -> None:
    """Two elements to a byte in the file, an odd number of them; cast to int32 to look at them."""
    packed = helper.make_tensor("w", code, [5], np.array(values))
    if raw:
        content = bytes(v & 0xFF for v in packed.int32_data) or packed.raw_data
        packed = TensorProto(name="w", data_type=code, dims=[5], raw_data=content)
    node = helper.make_node("Cast", ["w"], ["y"], to=TensorProto.INT32)
    model = make_model([node], {}, ["y"])
    model.graph.initializer.append(packed)
    np.testing.assert_array_equal(lw.load(model)(), values)


def test_strings() -> None:
    """Strings, empty and not ASCII."""
    words = np.array(["", "one", "größer"], object)
    assert list(load_tensor(numpy_helper.from_array(words, "w"))) == list(words)


def test_unpacked_fields() -> None:
    """Repeated numbers written one by one, as old writers do, and two chunks of packed ones."""
    field_float, field_int64 = b"\x25", b"\x38"  # fields 4 and 7, unpacked
    floats = b"".join(field_float + np.float32(v).tobytes() for v in (1.5, -2.5))
    packed = b"\x22\x04" + np.float32(3.5).tobytes()
    tensor = TensorProto.FromString(b"")
    tensor.name, tensor.data_type = "w", TensorProto.FLOAT
    tensor.dims.append(3)
    model = make_model([helper.make_node("Identity", ["w"], ["y"])], {}, ["y"])
    np.testing.assert_array_equal(
        lw.load(
            _append_tensor(model.SerializeToString(), tensor.SerializeToString() + floats + packed)
        )(),
        np.array([1.5, -2.5, 3.5], np.float32),
    )
    tensor.data_type = TensorProto.INT64
    ints = field_int64 + b"\x05" + field_int64 + b"\xff" * 9 + b"\x01" + field_int64 + b"\x80\x01"
    np.testing.assert_array_equal(
        lw.load(_append_tensor(model.SerializeToString(), tensor.SerializeToString() + ints))(),
        np.array([5, -1, 128]),
    )


def _append_tensor(model: bytes, tensor: bytes) -> bytes:
    """The model with a second part of its graph (field 7), which holds an initialiser (field 5)."""
    graph = b"\x2a" + bytes([len(tensor)]) + tensor
    return model + b"\x3a" + bytes([len(graph)]) + graph


def test_unknown_fields_and_groups_are_skipped() -> None:
    """Fields of later versions, and groups, which no version of ONNX has."""
    from tests.importer.models import relu_model

    unknown = b"\xa2\x06\x03abc" + b"\xab\x06\x08\x01\x13\x09" + bytes(8) + b"\x14\xac\x06"
    content = unknown + relu_model().SerializeToString() + unknown
    x = np.full((2, 3), -1, np.float32)
    np.testing.assert_array_equal(lw.load(content)(x), np.zeros((2, 3)))
