"""`lanewise run`: arrays from files, pictures, classes, and what is written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

import lanewise as lw
from lanewise.demo.report import data_path
from tests.cli.helpers import DIGITS, SUPERRES, call, failure, identity, picture, write


@pytest.fixture(scope="module")
def digits() -> tuple[Any, Any]:
    with np.load(data_path("digits_test.npz")) as samples:
        return samples["images"][:4].astype(np.float32)[:, None] / 16, samples["labels"][:4]


def ran(capsys: pytest.CaptureFixture[str], *arguments: object) -> Any:
    return call(capsys, "run", *arguments, "--json").json


def test_classes_of_digits(
    digits: tuple[Any, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images, labels = digits
    np.save(tmp_path / "x.npy", images)
    names = tmp_path / "names.txt"
    names.write_text("\n".join(f"digit {i}" for i in range(10)))
    result = ran(capsys, DIGITS, "--input", tmp_path / "x.npy", "--labels", names, "--top", 3)
    (classes,) = result["classes"]
    assert not classes["softmax_applied"]
    assert [sample[0]["index"] for sample in classes["samples"]] == labels.tolist()
    assert [sample[0]["label"] for sample in classes["samples"]] == [f"digit {i}" for i in labels]
    assert all(len(sample) == 3 for sample in classes["samples"])
    text = call(
        capsys, "run", DIGITS, "--input", f"image={tmp_path / 'x.npy'}", "--labels", names
    ).out
    assert "Top 5 of 'probabilities', sample 3 (already probabilities):" in text
    assert f"digit {labels[3]}" in text


def test_softmax_is_taken_of_scores_and_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = identity(tmp_path / "m.onnx", ("x", [1, 4, 1, 1]))
    scores = np.array([1.0, 5.0, -2.0, 5.5], np.float32).reshape(1, 4, 1, 1)
    np.save(tmp_path / "x.npy", scores)
    result = ran(capsys, path, "--input", tmp_path / "x.npy", "--top", 2)
    (classes,) = result["classes"]
    assert classes["softmax_applied"]
    expected = np.exp(scores.ravel()) / np.exp(scores).sum()
    (sample,) = classes["samples"]
    assert [guess["index"] for guess in sample] == [3, 1]
    assert [guess["probability"] for guess in sample] == pytest.approx([expected[3], expected[1]])
    text = call(capsys, "run", path, "--input", tmp_path / "x.npy", "--top", 2).out
    assert "Top 2 of 'out_x' (softmax applied):" in text


def test_arrays_are_written_and_inner_tensors_are_given(
    digits: tuple[Any, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    images, _ = digits
    np.savez(tmp_path / "x.npz", picture=images)
    model = lw.load(DIGITS)
    inner = model.tensor_names[3]
    result = ran(
        capsys, DIGITS, "--input", f"image={tmp_path / 'x.npz'}:picture", "--outputs",
        "probabilities", inner, "--output", tmp_path / "new" / "folder",
    )  # fmt: skip
    expected = model.run({"image": images}, ["probabilities", inner])
    assert [each["name"] for each in result["outputs"]] == ["probabilities", inner]
    for each in result["outputs"]:
        (file,) = each["files"]
        written = np.load(file)
        np.testing.assert_array_equal(written, expected[each["name"]])
        assert each["shape"] == list(written.shape)
        assert each["max"] == written.max()


def test_file_names_of_odd_tensors(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = identity(tmp_path / "m.onnx", ("../a/b:0", [1]), ("..:a:b:0", [2]))
    arrays: dict[str, Any] = {"../a/b:0": np.zeros(1, "f"), "..:a:b:0": np.ones(2, "f")}
    np.savez(tmp_path / "in.npz", **arrays)
    folder = tmp_path / "out"
    result = ran(capsys, path, "--input", tmp_path / "in.npz", "--output", folder)
    files = [each["files"][0] for each in result["outputs"]]
    assert sorted(path.name for path in folder.iterdir()) == [
        "out_.._a_b_0.npy",
        "out_.._a_b_0_2.npy",
    ]
    assert [np.load(file).tolist() for file in files] == [[0.0], [1.0, 1.0]]


def test_one_npz_for_several_inputs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = identity(tmp_path / "m.onnx", ("a", [1]), ("b", [1]))
    one, two, other = (np.full(1, value, np.float32) for value in (1, 2, 3))
    arrays: dict[str, Any] = {"a": one, "in:b": two, "out:b": other}
    np.savez(tmp_path / "x.npz", **arrays)
    result = ran(capsys, path, "--input", tmp_path / "x.npz")
    assert [each["values"] for each in result["outputs"]] == [[1.0], [2.0]]
    result = ran(capsys, path, "--input", *(f"{name}={tmp_path / 'x.npz'}" for name in "ab"))
    assert [each["values"] for each in result["outputs"]] == [[1.0], [2.0]]
    np.savez(tmp_path / "y.npz", c=one, d=two)
    message = failure(capsys, "run", path, "--input", tmp_path / "y.npz")
    assert "expected a, b, got c, d; its names match none" in message


@pytest.mark.parametrize(
    ("given", "dtype", "note"),
    [
        (np.array([0.1, 2.5]), TensorProto.FLOAT, "converted from float64"),
        (np.array([3, 250]), TensorProto.UINT8, "converted from int64"),
        (np.array([3, 250]), TensorProto.FLOAT, "converted from int64"),
        (np.array([1.5, 2.0], np.float32), TensorProto.FLOAT, "float32 [2]"),
    ],
)
def test_conversions_are_told(
    given: Any, dtype: int, note: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = identity(tmp_path / "m.onnx", ("x", [2]), dtype=dtype)
    np.save(tmp_path / "x.npy", given)
    result = ran(capsys, path, "--input", tmp_path / "x.npy")
    assert note in result["inputs"][0]["notes"][0]
    assert result["outputs"][0]["values"] == pytest.approx(given.tolist(), rel=1e-6)


@pytest.mark.parametrize(
    ("given", "dtype"),
    [
        (np.array([3, 300]), TensorProto.UINT8),
        (np.array([0.5, 1.0]), TensorProto.INT64),
        (np.array([1j, 2]), TensorProto.FLOAT),
    ],
)
def test_lossy_conversions_are_refused(
    given: Any, dtype: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = identity(tmp_path / "m.onnx", ("x", [2]), dtype=dtype)
    np.save(tmp_path / "x.npy", given)
    message = failure(capsys, "run", path, "--input", tmp_path / "x.npy")
    assert "'x': expected" in message and "convert it with .astype" in message


def test_an_image_becomes_the_array_that_it_should(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = picture(tmp_path / "x.png", 5, 4)
    pixels = np.asarray(Image.open(file)).astype(np.float64)
    mean, std = np.array([0.5, 0.25, 0.125]), np.array([0.5, 2.0, 4.0])
    wanted = {
        (): pixels / 255,
        ("--bgr",): pixels[:, :, ::-1] / 255,
        ("--scale", "1/127.5", "--mean", "1"): pixels / 127.5 - 1,
        ("--mean", "0.5,0.25,0.125", "--std", "0.5,2,4"): (pixels / 255 - mean) / std,
        ("--scale", "1"): pixels,
    }
    nchw = identity(tmp_path / "nchw.onnx", ("x", ["N", 3, 4, 5]))
    nhwc = identity(tmp_path / "nhwc.onnx", ("x", [1, 4, 5, 3]))
    open_ = identity(tmp_path / "open.onnx", ("x", None))
    for arguments, expected in wanted.items():
        planes = expected.transpose(2, 0, 1)[None]
        for path, extra, layout in (
            (nchw, [], planes),
            (nhwc, [], expected[None]),
            (open_, ["--layout", "NCHW"], planes),
        ):
            folder = tmp_path / "out"
            call(capsys, "run", path, "--input", file, *arguments, *extra, "--output", folder)
            found = np.load(folder / "out_x.npy")
            assert found.dtype == np.float32
            np.testing.assert_allclose(found, layout, rtol=1e-5, atol=1e-5)


def test_what_was_done_to_an_image_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = identity(tmp_path / "m.onnx", ("x", [1, 3, 8, 8]))
    file = picture(tmp_path / "x.png", 20, 10)
    options = ["--mean", "0.5", "--std", "0.1,0.2,0.3", "--bgr"]
    for resize, words in (
        ("stretch", "stretched to 8x8 (bilinear)"),
        ("crop", "cropped and resized to 8x8 (bilinear)"),
        ("pad", "resized and padded to 8x8 (bilinear)"),
    ):
        text = call(capsys, "run", path, "--input", file, "--resize", resize, *options).out
        form = "(pixels / 255 - 0.5) / [0.1, 0.2, 0.3], NCHW float32"
        assert f"x.png: 20x10 RGB, {words}, BGR, {form}" in text


def test_the_three_ways_to_resize(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A picture twice as wide as high: left half black, right half white, red in the middle."""
    pixels = np.zeros((8, 16, 3), np.uint8)
    pixels[:, 8:] = 255
    Image.fromarray(pixels).save(tmp_path / "x.png")
    path = identity(tmp_path / "m.onnx", ("x", [1, 3, 4, 4]))
    rows = {}
    for resize in ("stretch", "crop", "pad"):
        call(
            capsys, "run", path, "--input", tmp_path / "x.png", "--resize", resize,
            "--output", tmp_path,
        )  # fmt: skip
        rows[resize] = np.load(tmp_path / "out_x.npy")[0, 0]
    for resize in ("stretch", "crop"):
        assert (rows[resize][:, 0] < 0.1).all() and (rows[resize][:, 3] > 0.9).all()
    assert (rows["pad"][[0, 3]] == 0).all()
    assert (rows["pad"][1:3, 3] > 0.9).all()


def test_pictures_become_a_batch(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = identity(tmp_path / "m.onnx", ("x", ["N", 1, 6, 6]), dtype=TensorProto.UINT8)
    files = [picture(tmp_path / f"{seed}.png", 6, 6, "L", seed) for seed in range(3)]
    ran(capsys, path, "--input", *files, "--output", tmp_path)
    found = np.load(tmp_path / "out_x.npy")
    expected = np.stack([np.asarray(Image.open(file))[None] for file in files])
    np.testing.assert_array_equal(found, expected)


def test_open_sizes_keep_the_picture_s(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = picture(tmp_path / "x.png", 30, 20)
    text = call(capsys, "run", SUPERRES, "--input", file).out
    assert "30x20 RGB, not resized, grey, pixels / 255, NCHW float32" in text
    assert "[1, 1, 60, 90]" in text
    small = ran(capsys, SUPERRES, "--input", file, "--size", "6x7")
    assert small["inputs"][0]["shape"] == [1, 1, 6, 7]


@pytest.mark.parametrize(
    ("values", "expected"), [((0.0, 1.0), "0, white is 1"), ((-1.0, 1.0), "-1, white is 1")]
)
def test_pictures_are_saved(
    values: tuple[float, float],
    expected: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    low, high = values
    path = identity(tmp_path / "m.onnx", ("x", [2, 3, 5, 4]))
    pixels = np.random.default_rng(0).integers(0, 256, (2, 5, 4, 3), np.uint8)
    pixels[0, 0, 0] = (0, 255, 0)
    images = (pixels / 255 * (high - low) + low).astype(np.float32).transpose(0, 3, 1, 2)
    np.save(tmp_path / "x.npy", images)
    result = ran(capsys, path, "--input", tmp_path / "x.npy", "--output", tmp_path, "--save-images")
    assert expected in result["outputs"][0]["files"][1]
    for number in range(2):
        found = np.asarray(Image.open(tmp_path / f"out_x_{number}.png"))
        np.testing.assert_array_equal(found, pixels[number])


def test_image_range_and_order_of_saved_pictures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = identity(tmp_path / "m.onnx", ("x", [1, 2, 2, 3]))
    np.save(tmp_path / "x.npy", np.full((1, 2, 2, 3), [0.0, 5.0, 20.0], np.float32))
    ran(
        capsys, path, "--input", tmp_path / "x.npy", "--output", tmp_path, "--save-images",
        "--image-range", "0,10", "--bgr",
    )  # fmt: skip
    found = np.asarray(Image.open(tmp_path / "out_x.png"))
    np.testing.assert_array_equal(found, np.full((2, 2, 3), [255, 128, 0]))


def test_text_outputs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    texts = numpy_helper.from_array(np.array(["red", "blue"], dtype=object))
    nodes = [
        helper.make_node("Constant", [], ["colours"], value=texts),
        helper.make_node("Identity", ["x"], ["y"]),
    ]
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "texts",
        [value("x", TensorProto.FLOAT, [1])],
        [value("colours", TensorProto.STRING, [2]), value("y", TensorProto.FLOAT, [1])],
    )
    path = write(tmp_path / "m.onnx", graph)
    np.save(tmp_path / "x.npy", np.full(1, np.nan, np.float32))
    result = ran(capsys, path, "--input", tmp_path / "x.npy", "--output", tmp_path)
    colours, y = result["outputs"]
    assert colours["values"] == ["red", "blue"]
    assert np.load(tmp_path / "colours.npy").tolist() == ["red", "blue"]
    assert y["values"] == [None] and y["not_finite"] == 1


def bad_files(folder: Path) -> dict[str, Path]:
    files = {name: folder / name for name in ("t.png", "t.npy", "t.npz", "p.npy", "two.npz")}
    for name in ("t.png", "t.npy", "t.npz"):
        files[name].write_text("no such thing")
    np.save(files["p.npy"], np.array([{}], dtype=object), allow_pickle=True)
    np.savez(files["two.npz"], a=np.zeros(1), b=np.zeros(1))
    files["cut.png"] = picture(folder / "cut.png", 50, 50)
    files["cut.png"].write_bytes(files["cut.png"].read_bytes()[:3000])
    files["gone.npy"] = folder / "gone.npy"
    files["gone.png"] = folder / "gone.png"
    return files


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("t.png", "t.png: cannot be read as a picture"),
        ("cut.png", "cut.png: cannot be read as a picture"),
        ("t.npy", "t.npy: cannot be read as a NumPy file"),
        ("t.npz", "t.npz: cannot be read as a NumPy file"),
        ("p.npy", "p.npy: cannot be read as a NumPy file"),
        ("two.npz", "expected an array 'image', got a, b; write image="),
        ("gone.npy", "gone.npy: No such file"),
        ("gone.png", "no such input file: "),
    ],
)
def test_bad_files_are_named(
    name: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = bad_files(tmp_path)[name]
    assert message in failure(capsys, "run", DIGITS, "--input", f"image={file}")


def test_inputs_that_do_not_fit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good, bad = tmp_path / "good.npy", tmp_path / "bad.npy"
    np.save(good, np.zeros((1, 1, 8, 8), np.float32))
    np.save(bad, np.zeros((1, 1, 8, 9), np.float32))
    file = picture(tmp_path / "x.png", 8, 8)
    two = identity(tmp_path / "two.onnx", ("a", [1, 1, 8, 8]), ("b", [2]))
    flat = identity(tmp_path / "flat.onnx", ("x", [1, 64]))
    wide = identity(tmp_path / "wide.onnx", ("x", [1, 7, 8, 8]))
    cases: list[tuple[list[object], str]] = [
        ([DIGITS], "input 'image' is missing; expected float32 [N, 1, 8, 8]"),
        ([DIGITS, "--input", bad], "expected float32 [N, 1, 8, 8], got float32 [1, 1, 8, 9]"),
        ([DIGITS, "--input", f"photo={good}"], "input 'photo' is not an input of this model"),
        ([DIGITS, "--input", good, good], "only pictures can be given several times"),
        ([DIGITS, "--input", file, good], "give either pictures or an array"),
        ([DIGITS, "--input", good, "--outputs", "nothing"], "output 'nothing' is no tensor"),
        ([DIGITS, "--input", file, "--bgr"], "--bgr needs 3 channels"),
        ([DIGITS, "--input", file, "--mean", "1,2,3"], "--mean has 3 numbers; give 1 or 1"),
        ([DIGITS, "--input", file, "--std", "0"], "--std must not be 0"),
        ([DIGITS, "--input", good, "--save-images"], "--save-images needs --output DIR"),
        ([DIGITS, "--input", good, "--save-images", "--output", tmp_path], "shape of a picture"),
        ([two, "--input", good], "the model has 2 inputs ('a', 'b'); write NAME="),
        ([two, "--input", f"a={good}"], "input 'b' is missing"),
        ([flat, "--input", file], "a picture needs an input with 3 or 4 dimensions"),
        ([wide, "--input", file], "add --layout NCHW or NHWC"),
        ([wide, "--input", file, "--layout", "NCHW"], "7 channels do not make a picture"),
    ]
    for arguments, message in cases:
        assert message in failure(capsys, "run", *arguments)


def test_labels_that_do_not_fit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.save(tmp_path / "x.npy", np.zeros((1, 1, 8, 8), np.float32))
    names = tmp_path / "names.txt"
    names.write_text("one\ntwo\n")
    arguments = ["run", DIGITS, "--input", tmp_path / "x.npy", "--labels"]
    message = failure(capsys, *arguments, names)
    assert "no output has one score for each of 2 classes" in message
    assert "'probabilities' [1, 10]" in message
    assert f"{tmp_path / 'gone'}: No such file" in failure(capsys, *arguments, tmp_path / "gone")
    names.write_bytes(b"\xff\xfe\x00")
    assert "no file of labels" in failure(capsys, *arguments, names)
    names.write_text("{0: 'a', 1: open('x')}")
    assert "no file of labels" in failure(capsys, *arguments, names)
