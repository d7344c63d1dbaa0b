"""`lanewise info` and `lanewise check`."""

from __future__ import annotations

import json
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

import lanewise as lw
from tests.cli.helpers import DIGITS, call, failure, identity, write


def conv_flops(channels: int, outputs: int, kernel: int, size: int) -> int:
    return 2 * channels * outputs * kernel * kernel * size * size


def test_info_of_a_model(capsys: pytest.CaptureFixture[str]) -> None:
    facts = call(capsys, "info", DIGITS, "--json").json
    assert facts["inputs"] == [{"name": "image", "dtype": "float32", "shape": ["N", 1, 8, 8]}]
    assert facts["outputs"] == [{"name": "probabilities", "dtype": "float32", "shape": ["N", 10]}]
    assert facts["operators"]["Conv"] == 3
    assert sum(facts["operators"].values()) == facts["nodes"]
    file = onnx.load(DIGITS)
    floats = [t for t in file.graph.initializer if t.data_type == TensorProto.FLOAT]
    sizes = [int(onnx.numpy_helper.to_array(t).size) for t in floats]
    assert facts["parameters"] == sum(sizes)
    assert facts["metadata"]["opset"] == "ai.onnx 17"
    assert facts["file_bytes"] == DIGITS.stat().st_size


def test_flops_are_those_of_the_layers(capsys: pytest.CaptureFixture[str]) -> None:
    one = call(capsys, "info", DIGITS, "--json").json["plan"]
    assert one["shapes"] == {"image": [1, 1, 8, 8]}
    exact = conv_flops(1, 32, 3, 8) + conv_flops(32, 64, 3, 8) + conv_flops(64, 96, 3, 4)
    assert exact <= one["flops"] <= 1.05 * exact
    assert one["complete"]
    four = call(capsys, "info", DIGITS, "--json", "--batch", 4).json["plan"]
    assert four["shapes"] == {"image": [4, 1, 8, 8]}
    assert four["flops"] == 4 * one["flops"]
    shaped = call(capsys, "info", DIGITS, "--json", "--shape", "image=4,1,8,8").json["plan"]
    assert shaped == four
    assert call(capsys, "info", DIGITS, "--json", "--shape", "4x1x8x8").json["plan"] == four


def test_info_prints_everything(capsys: pytest.CaptureFixture[str]) -> None:
    text = call(capsys, "info", DIGITS).out
    for part in ("digits.onnx", "opset: ai.onnx 17", "Conv", "Parameters  ", "FLOPs  ", "Memory"):
        assert part in text


def test_info_says_which_shape_it_needs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = identity(tmp_path / "m.onnx", ("x", [None, 3, "H", "W"]))
    plan = call(capsys, "info", path, "--json").json["plan"]
    assert set(plan) == {"note"}
    assert "dimension 2 ('H') has no size" in plan["note"]
    assert "--shape x=?,3,?,?" in plan["note"]
    assert "Not counted: input 'x'" in call(capsys, "info", path).out
    plan = call(capsys, "info", path, "--json", "--shape", "x=2,3,5,7").json["plan"]
    assert plan["shapes"] == {"x": [2, 3, 5, 7]}
    assert plan["flops"] == 0


def test_parameters_of_bodies_count(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    value = helper.make_tensor_value_info

    def body(size: int) -> onnx.GraphProto:
        weights = helper.make_tensor("w", TensorProto.FLOAT, [size], [0.5] * size)
        node = helper.make_node("ReduceSum", ["w"], ["total"], keepdims=0)
        return helper.make_graph(
            [node], "body", [], [value("total", TensorProto.FLOAT, [])], initializer=[weights]
        )

    choice = helper.make_node("If", ["c"], ["y"], then_branch=body(3), else_branch=body(4))
    graph = helper.make_graph(
        [choice],
        "choice",
        [value("c", TensorProto.BOOL, [])],
        [value("y", TensorProto.FLOAT, [])],
    )
    path = write(tmp_path / "m.onnx", graph)
    assert call(capsys, "info", path, "--json").json["parameters"] == 7


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--shape", "y=1,2"], "no such input; the model's are 'a', 'b'"),
        (["--shape", "1,2"], "the model has 2 inputs"),
        (["--shape", "a=1,2,3", "--shape", "b=4,2"], "expected float32 [1, 2], got float32"),
        (["--batch", "3"], "no input has an open first dimension (a [1, 2]; b [4, 2])"),
    ],
)
def test_shapes_that_do_not_fit(
    options: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = identity(tmp_path / "m.onnx", ("a", [1, 2]), ("b", [4, 2]))
    # `bench` measures a fixed batch and says so.
    commands = ("info", "check", "explain", *(["bench"] if "--batch" not in options else []))
    for command in commands:
        assert message in failure(capsys, command, path, *options)


def test_flops_up_to_where_steps_depend_on_data(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [
            helper.make_node("Gemm", ["x", "x"], ["y"]),
            helper.make_node("NonZero", ["y"], ["places"]),
            helper.make_node("Cast", ["places"], ["p"], to=TensorProto.FLOAT),
            helper.make_node("Sqrt", ["p"], ["q"]),
        ],
        "data",
        [value("x", TensorProto.FLOAT, [8, 8])],
        [value("q", TensorProto.FLOAT, [2, None])],
    )
    path = write(tmp_path / "m.onnx", graph)
    plan = call(capsys, "info", path, "--json").json["plan"]
    assert not plan["complete"]
    assert plan["flops"] >= 2 * 8**3
    assert "depend on data" in plan["note"]
    assert "FLOPs       at least " in call(capsys, "info", path).out
    assert "up to where the steps depend on data" in call(capsys, "check", path).out


def test_describe_refuses_what_run_refuses() -> None:
    model = lw.load(DIGITS)
    with pytest.raises(lw.InputError, match="'image' is missing"):
        model.describe({})
    with pytest.raises(lw.InputError, match="'picture' is not an input of this model"):
        model.describe({"image": (1, 1, 8, 8), "picture": (1,)})
    with pytest.raises(lw.InputError, match="no negative sizes"):
        model.describe({"image": (-1, 1, 8, 8)})
    assert model.describe({"image": (2, 1, 8, 8)}).flops > 0


def test_check_of_a_good_model(capsys: pytest.CaptureFixture[str]) -> None:
    assert f"{DIGITS}: ok, planned for image [1, 1, 8, 8]" in call(capsys, "check", DIGITS).out
    result = call(capsys, "check", DIGITS, "--json", "--batch", 3).json
    assert result["ok"] and result["problems"] == []
    assert result["note"] == "planned for image [3, 1, 8, 8]"


def test_check_names_all_problems(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [
            helper.make_node("Levitate", ["x"], ["a"], name="first"),
            helper.make_node("Relu", ["nowhere"], ["b"], name="second"),
        ],
        "bad",
        [value("x", TensorProto.FLOAT, [1])],
        [value("a", TensorProto.FLOAT, [1]), value("b", TensorProto.FLOAT, [1])],
    )
    path = write(tmp_path / "bad.onnx", graph)
    finished = call(capsys, "check", path)
    assert finished.status == 1
    assert f"{path}: 2 problems" in finished.out
    assert "Levitate" in finished.out and "nowhere" in finished.out
    finished = call(capsys, "check", path, "--json")
    assert finished.status == 1
    result = json.loads(finished.out)
    assert not result["ok"]
    assert len(result["problems"]) == 2


def test_check_finds_what_only_a_plan_shows(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "y"], ["z"], name="product")],
        "ranks",
        [value("x", TensorProto.FLOAT, ["N", 3]), value("y", TensorProto.FLOAT, [4, 5])],
        [value("z", TensorProto.FLOAT, None)],
    )
    finished = call(capsys, "check", write(tmp_path / "m.onnx", graph))
    assert finished.status == 1
    assert "1 problem" in finished.out and "product" in finished.out


def test_check_of_a_file_that_is_no_model(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "text.onnx"
    path.write_text("this is no model")
    finished = call(capsys, "check", path)
    assert finished.status == 1
    assert f"{path}: 1 problem" in finished.out


def test_check_of_open_dimensions(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = identity(tmp_path / "m.onnx", ("x", [1, None]))
    assert "ok, not planned: input 'x' [1, ?]" in call(capsys, "check", path).out
