"""External data: found beside the model, and nowhere else."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

import lanewise as lw
from tests.importer.models import external_model, make_model

W = np.arange(6, dtype=np.float32)


@pytest.fixture()
def folder(tmp_path: Path) -> Path:
    """A model's folder with its data, and a secret beside the folder."""
    inside = tmp_path / "model"
    inside.mkdir()
    (inside / "w.bin").write_bytes(W.tobytes())
    (tmp_path / "secret.bin").write_bytes(W.tobytes())
    return inside


def load(folder: Path, model: onnx.ModelProto) -> lw.Model:
    """Loads the model from a file in the folder."""
    path = folder / "model.onnx"
    path.write_bytes(model.SerializeToString())
    return lw.load(path)


def test_beside_the_model(folder: Path) -> None:
    """The plain case, and with offset and length."""
    np.testing.assert_array_equal(load(folder, external_model("w.bin"))(), W)
    part = external_model("w.bin", {"offset": "8", "length": "8"}, elements=2)
    np.testing.assert_array_equal(load(folder, part)(), W[2:4])


def test_in_a_folder_below(folder: Path) -> None:
    """Below the model's folder is inside it."""
    (folder / "data").mkdir()
    (folder / "w.bin").rename(folder / "data" / "w.bin")
    np.testing.assert_array_equal(load(folder, external_model("./data/w.bin"))(), W)


def test_relative_path_of_the_model(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bare file name has a folder too."""
    load(folder, external_model("w.bin"))
    monkeypatch.chdir(folder)
    np.testing.assert_array_equal(lw.load("model.onnx")(), W)


def test_offset_that_is_not_aligned(folder: Path) -> None:
    """Floats at an odd offset are copied to where they can be read."""
    (folder / "w.bin").write_bytes(b"x" + W.tobytes())
    model = load(folder, external_model("w.bin", {"offset": "1", "length": "24"}))
    np.testing.assert_array_equal(model(), W)


def test_saved_by_onnx(folder: Path) -> None:
    """What the onnx package writes can be read."""
    rng = np.random.default_rng(0)
    weights = {f"w{i}": rng.standard_normal((64, 32)).astype(np.float32) for i in range(3)}
    nodes = [helper.make_node("Concat", list(weights), ["y"], axis=0)]
    model = make_model(nodes, {}, ["y"], constants=weights)
    onnx.save(model, folder / "saved.onnx", save_as_external_data=True, size_threshold=0)
    assert numpy_helper.to_array(model.graph.initializer[0], str(folder)).shape == (64, 32)
    np.testing.assert_array_equal(
        lw.load(folder / "saved.onnx")(), np.concatenate([*weights.values()])
    )


def test_zero_elements_need_no_file(folder: Path) -> None:
    """An empty tensor reads nothing."""
    np.testing.assert_array_equal(load(folder, external_model("absent.bin", elements=0))(), W[:0])


def refused(folder: Path, model: onnx.ModelProto, message: str) -> None:
    """Checks the error, which also names the tensor."""
    with pytest.raises(lw.ModelError, match=message) as caught:
        load(folder, model)
    assert "tensor 'w'" in str(caught.value)


def test_absolute_path(folder: Path) -> None:
    """Even to a file inside the folder."""
    refused(folder, external_model(str(folder / "w.bin")), "absolute path")


@pytest.mark.parametrize(
    "location", ["../secret.bin", "data/../../secret.bin", "./../secret.bin", "data/../w.bin", ".."]
)
def test_parent_folder(folder: Path, location: str) -> None:
    """No way out through '..', nor back in."""
    (folder / "data").mkdir()
    refused(folder, external_model(location), r"through '\.\.'")


def test_symbolic_link(folder: Path) -> None:
    """A link may lead anywhere."""
    (folder / "link.bin").symlink_to(folder.parent / "secret.bin")
    refused(folder, external_model("link.bin"), "'link.bin' is a symbolic link")


def test_symbolic_link_to_a_folder(folder: Path) -> None:
    """Also on the way."""
    (folder / "up").symlink_to(folder.parent)
    refused(folder, external_model("up/secret.bin"), "'up' is a symbolic link")


def test_hard_link(folder: Path) -> None:
    """A hard link shows only by its count."""
    os.link(folder.parent / "secret.bin", folder / "hard.bin")
    refused(folder, external_model("hard.bin"), "hard link")


def test_not_a_regular_file(folder: Path) -> None:
    """Folders and pipes, the latter without waiting for a writer."""
    (folder / "sub").mkdir()
    os.mkfifo(folder / "pipe")
    refused(folder, external_model("sub"), "not a regular file")
    refused(folder, external_model("sub/"), "names a folder")
    refused(folder, external_model("pipe"), "not a regular file")


def test_missing_data(folder: Path) -> None:
    """The system's reason is given."""
    refused(folder, external_model("absent.bin"), "No such file")


def test_empty_location(folder: Path) -> None:
    """A tensor that says where but not what."""
    refused(folder, external_model(""), "location is empty")


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"offset": "20", "length": "24"}, "24 bytes at offset 20 are not in a file of 24 bytes"),
        ({"offset": "25", "length": "0"}, "0 bytes at offset 25"),
        ({"offset": "18446744073709551615", "length": "24"}, "are not in a file"),
        ({"length": "20"}, "needs 24 bytes, found 20"),
        ({"length": "999999999999"}, "are not in a file"),
        ({"offset": "-4"}, "offset '-4', expected a whole number"),
        ({"offset": "four"}, "offset 'four', expected a whole number"),
        ({"offset": "99999999999999999999999"}, "expected a whole number"),
    ],
)
def test_offset_and_length(folder: Path, entries: dict[str, str], message: str) -> None:
    """The region must lie in the file and fit the tensor."""
    refused(folder, external_model("w.bin", entries), message)


def test_model_from_bytes() -> None:
    """Bytes have no folder."""
    with pytest.raises(lw.ModelError, match="load the model by its path"):
        lw.load(external_model("w.bin").SerializeToString())
