"""Files that are not ONNX models, or damaged ones: a typed error, and the process goes on."""

from __future__ import annotations

import itertools
import os
import re
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import lanewise as lw
from tests.importer.models import make_model, relu_model


def test_missing_file(tmp_path: Path) -> None:
    """A path that does not exist is named."""
    with pytest.raises(FileNotFoundError, match=r"absent\.onnx"):
        lw.load(tmp_path / "absent.onnx")


def test_folder(tmp_path: Path) -> None:
    """A folder is not a file."""
    with pytest.raises(lw.ModelError, match="folder"):
        lw.load(tmp_path)


def test_empty_file(tmp_path: Path) -> None:
    """An empty file is called empty, not damaged."""
    path = tmp_path / "empty.onnx"
    path.touch()
    with pytest.raises(lw.ModelError, match="empty"):
        lw.load(path)


def test_empty_bytes() -> None:
    """No bytes at all."""
    with pytest.raises(lw.ModelError, match="empty"):
        lw.load(b"")


def test_named_pipe_does_not_block(tmp_path: Path) -> None:
    """A pipe is refused instead of waited for."""
    path = tmp_path / "pipe.onnx"
    os.mkfifo(path)
    with pytest.raises(lw.ModelError, match="not a regular file"):
        lw.load(path)


@pytest.mark.parametrize(
    "content",
    [
        b"this is a text file, not a model\n",
        b"\x89PNG\r\n\x1a\n" + bytes(64),
        b"PK\x03\x04" + bytes(64),
        bytes(range(256)),
        b"\xff" * 100,
        b"\x00" * 100,
    ],
    ids=["text", "png", "zip", "bytes", "ff", "zeros"],
)
def test_not_onnx(content: bytes, tmp_path: Path) -> None:
    """Other files, by path and as bytes."""
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    for source in (path, content):
        with pytest.raises(lw.ModelError, match="not an ONNX model, or a damaged one"):
            lw.load(source)


def test_every_truncation_fails() -> None:
    """A model cut anywhere inside the graph is refused, and the whole one still loads."""
    content = relu_model().SerializeToString()
    model = lw.load(content)
    graph_end = content.index(b"graph") + len(b"graph")
    for size in range(1, graph_end):
        with pytest.raises(lw.LanewiseError):
            lw.load(content[:size])
    with pytest.raises(lw.ModelError, match=r"needs \d+ bytes and only \d+ are left"):
        lw.load(content[: graph_end - 1])
    assert np.max(model(np.full((2, 3), -1, np.float32))) == 0


def test_no_graph() -> None:
    """Only a header."""
    with pytest.raises(lw.ModelError, match="no graph was found"):
        lw.load(onnx.ModelProto(ir_version=8, producer_name="nobody").SerializeToString())


def test_no_opset() -> None:
    """The meaning of operators is undefined without one."""
    model = relu_model()
    del model.opset_import[:]
    with pytest.raises(lw.ModelError, match="imports no opset"):
        lw.load(model)


def test_opset_of_the_future() -> None:
    """Newer than this version knows: unsupported, not broken."""
    with pytest.raises(lw.UnsupportedError, match="opset 1000 of ai") as caught:
        lw.load(relu_model(opset=1000))
    assert len(caught.value.ops) == 1


def test_name_that_is_not_text() -> None:
    """Names become Python strings, so they must be UTF-8."""
    content = relu_model().SerializeToString().replace(b"relu", b"re\xffu")
    with pytest.raises(lw.ModelError, match="not UTF-8"):
        lw.load(content)


def test_graphs_nested_too_deeply() -> None:
    """Nesting costs stack; it is bounded. Written by hand: protocol buffers refuse to as well."""

    def field(number: int, content: bytes) -> bytes:
        size = len(content)
        length = bytes([size & 0x7F | 0x80, size >> 7 & 0x7F | 0x80, size >> 14])
        return bytes([number << 3 | 2]) + length + content

    graph = b""
    for _ in range(100):
        graph = field(1, field(4, b"If") + field(5, field(1, b"then_branch") + field(6, graph)))
    with pytest.raises(lw.ModelError, match="nested deeper than 64 levels"):
        lw.load(b"\x08\x08" + field(7, graph))


def _with_tensor(tensor: TensorProto) -> onnx.ModelProto:
    model = make_model([helper.make_node("Identity", ["w"], ["y"])], {}, ["y"])
    model.graph.initializer.append(tensor)
    return model


@pytest.mark.parametrize(
    ("tensor", "message"),
    [
        ({"data_type": 1, "dims": [3], "raw_data": b"1234"}, "needs 12 bytes, found 4"),
        ({"data_type": 1, "dims": [3], "float_data": [1.0]}, "needs 12 bytes, found 4"),
        ({"data_type": 7, "dims": [3], "int64_data": [1, 2]}, "needs 3 values, found 2"),
        ({"data_type": 8, "dims": [2], "string_data": [b"one"]}, "needs 2 strings, found 1"),
        ({"data_type": 8, "dims": [1], "string_data": [b"\xff"]}, "string 0 is not UTF-8 text"),
        ({"data_type": 1, "dims": [2]}, "needs 8 bytes, found 0"),
        ({"data_type": 1, "dims": [-2], "raw_data": b"12345678"}, "negative dimension -2"),
        ({"data_type": 99, "dims": [1], "raw_data": b"1"}, "unknown element type 99"),
        ({"data_type": 0, "dims": [1], "raw_data": b"1"}, "unknown element type 0"),
        (
            {"data_type": 1, "dims": [1 << 40, 1 << 40], "raw_data": b""},
            "more elements than any file",
        ),
        ({"data_type": 1, "dims": [1 << 40], "raw_data": b""}, "bytes, found 0"),
        ({"data_type": 1, "dims": [1] * 65, "raw_data": b"1234"}, "65 dimensions, at most 64"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_tensor_that_does_not_fit_its_data(tensor: dict[str, object], message: str) -> None:
    """Type, dimensions and data of an initialiser must agree; nothing is allocated before."""
    with pytest.raises(lw.ModelError, match=re.escape(message)) as caught:
        lw.load(_with_tensor(TensorProto(name="w", **tensor)))  # type: ignore[arg-type]
    assert "tensor 'w'" in str(caught.value)


def test_sparse_tensor_far_larger_than_the_file() -> None:
    """The dense form of a sparse tensor may not exceed what the file's size explains."""
    values = helper.make_tensor("w", TensorProto.FLOAT, [1], [1.0])
    indices = helper.make_tensor("i", TensorProto.INT64, [1], [0])
    model = make_model([helper.make_node("Identity", ["w"], ["y"])], {}, ["y"])
    model.graph.sparse_initializer.append(helper.make_sparse_tensor(values, indices, [1 << 40]))
    with pytest.raises(lw.ResourceError, match="far more memory than its size explains"):
        lw.load(model)


def test_functions_that_expand_without_end() -> None:
    """Each function calls the one before ten times: 10^12 nodes from a file of a few kB."""
    model = make_model(
        [helper.make_node("f12", ["x"], ["y"], domain="local")],
        {"x": np.zeros(1, np.float32)},
        ["y"],
        opset_imports=[helper.make_opsetid("local", 1)],
    )
    imports = [helper.make_opsetid("", 21), helper.make_opsetid("local", 1)]
    for level in range(13):
        op, domain = ("Relu", "") if level == 0 else (f"f{level - 1}", "local")
        names = ["x", *[f"v{i}" for i in range(9)], "y"]
        nodes = [
            helper.make_node(op, [a], [b], domain=domain) for a, b in itertools.pairwise(names)
        ]
        function = helper.make_function("local", f"f{level}", ["x"], ["y"], nodes, imports)
        model.functions.append(function)
    with pytest.raises(lw.ResourceError, match="calls of functions"):
        lw.load(model)
