"""Operators in Python: attributes, shapes that depend on data, threads, and wrong functions."""

from __future__ import annotations

import gc
import io
import sys
import threading
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import lanewise as lw

FLOAT = TensorProto.FLOAT
X = np.array([[1.0, -2.0], [3.0, 0.0]], np.float32)


def same_form(inputs: Any, attributes: Any) -> Any:
    return [(inputs[0].dtype, inputs[0].shape)]


def model_of(
    op: str, outputs: int = 1, around: bool = False, domain: str = "test", **attributes: Any
) -> onnx.ModelProto:
    """The operator on x, between two negations if `around`."""
    names = [f"y{i}" for i in range(outputs)]
    nodes = [helper.make_node(op, ["n" if around else "x"], names, domain=domain, name="mine")]
    nodes[0].attribute.extend(helper.make_attribute(k, v) for k, v in attributes.items())
    if around:
        nodes.insert(0, helper.make_node("Neg", ["x"], ["n"]))
        nodes.append(helper.make_node("Neg", ["y0"], ["z"]))
    results = ["z"] if around else names
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", FLOAT, None)],
        [helper.make_empty_tensor_value_info(name) for name in results],
    )
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid("test", 1)]
    return helper.make_model(graph, opset_imports=opsets)


def load(op: str, infer: Any, run: Any, **options: Any) -> lw.Model:
    lw.register_op("test", op, infer, run)
    return lw.load(model_of(op, **options))


def test_between_other_operators() -> None:
    model = load("Double", same_form, lambda inputs, attributes: inputs[0] * 2, around=True)
    for shape in ((3,), (2, 5), (0, 4), ()):
        x = np.random.default_rng(1).normal(size=shape).astype(np.float32)
        np.testing.assert_array_equal(model(x), x * 2)


def test_attributes_arrive_in_their_types() -> None:
    seen = {}

    def run(inputs: Any, attributes: Any) -> Any:
        seen.update(attributes)
        return inputs[0]

    table = np.arange(4, dtype=np.int64).reshape(2, 2)
    load(
        "Attributes",
        same_form,
        run,
        i=3,
        f=0.5,
        s="text",
        ints=[1, 2],
        floats=[0.5],
        strings=["a", "b"],
        t=numpy_helper.from_array(table),
    )(X)
    np.testing.assert_array_equal(seen.pop("t"), table)
    assert seen == {
        "i": 3, "f": 0.5, "s": "text", "ints": [1, 2], "floats": [0.5], "strings": ["a", "b"],
    }  # fmt: skip


def test_sizes_that_depend_on_data_and_several_outputs() -> None:
    def infer(inputs: Any, attributes: Any) -> Any:
        return [(inputs[0].dtype, [None]), (np.int64, [None, inputs[0].shape[-1]]), ("string", [])]

    def run(inputs: Any, attributes: Any) -> Any:
        kept = inputs[0][inputs[0] > 0]
        return kept, np.zeros((len(kept), 2), np.int64), np.array("ok", dtype=object)

    kept, zeros, text = load("Positive", infer, run, outputs=3)(X)
    np.testing.assert_array_equal(kept, [1, 3])
    assert zeros.shape == (2, 2)
    assert text.tolist() == "ok"


def test_a_function_may_keep_what_it_gets_and_return_what_it_keeps() -> None:
    kept: list[Any] = []

    def run(inputs: Any, attributes: Any) -> Any:
        kept.append(inputs[0])
        return kept[0]

    model = load("Keep", same_form, run, around=True)
    first = model(X)
    model(X + 1)
    gc.collect()
    np.testing.assert_array_equal(kept[0], -X)
    np.testing.assert_array_equal(kept[1], -X - 1)
    first[:] = 7
    np.testing.assert_array_equal(kept[0], -X)


def test_a_left_out_input_is_none() -> None:
    seen: list[Any] = []

    def infer(inputs: Any, attributes: Any) -> Any:
        seen.append([form and form.shape for form in inputs])
        return [("float32", inputs[1].shape)]

    lw.register_op("test", "Optional", infer, lambda inputs, attributes: inputs[1])
    proto = model_of("Optional")
    proto.graph.node[0].input[:] = ["", "x"]
    np.testing.assert_array_equal(lw.load(proto)(X), X)
    assert seen == [[None, (2, 2)]]


def test_registering_again_replaces_for_later_loads() -> None:
    old = load("Version", same_form, lambda inputs, attributes: inputs[0] + 1)
    new = load("Version", same_form, lambda inputs, attributes: inputs[0] + 2)
    np.testing.assert_array_equal(old(X), X + 1)
    np.testing.assert_array_equal(new(X), X + 2)


def test_exceptions_reach_the_caller_as_they_are() -> None:
    def broken(inputs: Any, attributes: Any) -> Any:
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        load("BrokenRun", same_form, broken)(X)
    with pytest.raises(KeyError, match="mine"):
        load("BrokenInfer", broken, broken)(X)


@pytest.mark.parametrize(
    ("form", "match"),
    [
        (None, "must return a list"),
        ([], "gave 0 forms, the node has 1 outputs"),
        ([("float32",)], r"expected \(type, shape\)"),
        ([("no type", [2])], r"expected \(type, shape\)"),
        ([("float32", ["a"])], r"expected \(type, shape\)"),
        ([("float32", [-2])], "negative size"),
        ([("float32", [2**70])], "beyond 63 bits"),
        ([("float32", 3)], r"expected \(type, shape\)"),
    ],
)
def test_wrong_results_of_infer(form: Any, match: str) -> None:
    model = load("WrongInfer", lambda i, a: form, lambda inputs, a: inputs[0])
    with pytest.raises(lw.ModelError, match=match) as error:
        model(X)
    assert "node 'mine' (test:WrongInfer)" in str(error.value)


@pytest.mark.parametrize(
    ("result", "match"),
    [
        (None, "gave NoneType"),
        ([], "gave 0 arrays"),
        (X.astype(np.float64), r"gave float64 \[2, 2\] for output 0, where infer said float32"),
        (X[0], r"gave float32 \[2\]"),
        ([[1.0]], "gave list"),
    ],
)
def test_wrong_results_of_run(result: Any, match: str) -> None:
    model = load("WrongRun", same_form, lambda inputs, attributes: result)
    with pytest.raises(lw.ModelError, match=match) as error:
        model(X)
    assert "node 'mine' (test:WrongRun)" in str(error.value)


def test_wrong_registrations() -> None:
    def function(inputs: Any, attributes: Any) -> Any:
        return inputs

    wrong: list[tuple[Any, ...]] = [
        ("", "Conv", function, function),
        ("ai.onnx", "Relu", function, function),
        ("test", "", function, function),
        (3, "A", function, function),
        ("test", "A", None, function),
        ("test", "A", function, "run"),
    ]
    for arguments in wrong:
        with pytest.raises(lw.InputError):
            lw.register_op(*arguments)


def test_threads_and_other_models_inside_run() -> None:
    inner = load("Inner", same_form, lambda inputs, attributes: inputs[0] + 1)
    outer = load("Outer", same_form, lambda inputs, attributes: inner(inputs[0]) * 2, around=True)
    wrong = []

    def work(number: int) -> None:
        for size in range(1, 20):
            x = np.full((size, number + 1), number, np.float32)
            if not np.array_equal(outer(x), -((-x + 1) * 2)):
                wrong.append((number, size))

    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def png(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    from PIL import Image

    stream = io.BytesIO()
    Image.fromarray(array).save(stream, "PNG")
    return np.frombuffer(stream.getvalue(), np.uint8)


def decoder(pixel_format: str = "RGB") -> lw.Model:
    proto = model_of("ImageDecoder", domain="", pixel_format=pixel_format)
    proto.graph.input[0].type.tensor_type.elem_type = TensorProto.UINT8
    return lw.load(proto)


def test_image_decoder() -> None:
    picture = np.random.default_rng(2).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    np.testing.assert_array_equal(decoder()(png(picture)), picture)
    np.testing.assert_array_equal(decoder("BGR")(png(picture)), picture[:, :, ::-1])
    assert decoder("Grayscale")(png(picture)).shape == (5, 7, 1)
    for wrong in (np.zeros(0, np.uint8), np.arange(100, dtype=np.uint8), png(picture)[:40]):
        with pytest.raises(lw.ModelError, match="no whole picture"):
            decoder()(wrong)
    with pytest.raises(lw.ModelError, match="pixel_format is 'CMYK'"):
        decoder("CMYK")(png(picture))
    with pytest.raises(lw.ModelError, match=r"found uint8 \[1, 2\]"):
        decoder()(np.zeros((1, 2), np.uint8))


def test_image_decoder_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    model = decoder()
    stream = png(np.zeros((2, 2, 3), np.uint8))
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(lw.UnsupportedError, match="pip install pillow"):
        model(stream)
