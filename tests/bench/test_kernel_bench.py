"""The shapes that are timed, and the judgement of the times."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.kernels.shapes import FOLDER, Shape, losses, read


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.txt")), ids=lambda path: path.stem)
def test_the_shapes_are_layers(path: Path) -> None:
    shapes = read(path)
    assert len({shape.name for shape in shapes}) == len(shapes) > 0
    for shape in shapes:
        assert shape.channels % shape.group == shape.outputs % shape.group == 0, shape
        assert shape.size + 2 * shape.pad >= shape.kernel >= 1 <= shape.stride, shape


def test_read(tmp_path: Path) -> None:
    file = tmp_path / "some.txt"
    file.write_text("# a comment\n\nconv1 3 224 64 7 2 3 1 4\n")
    assert read(file) == [Shape("conv1", 3, 224, 64, 7, 2, 3, 1, 4)]


@pytest.mark.parametrize("line", ["conv1 3 224 64 7 2 3 1", "conv1 3 224 64 7 2 -3 1 4", "conv1"])
def test_read_names_the_line(tmp_path: Path, line: str) -> None:
    file = tmp_path / "some.txt"
    file.write_text(f"# a comment\n{line}\n")
    with pytest.raises(ValueError, match=r"some\.txt:2: expected a name and 8 numbers"):
        read(file)


def test_losses() -> None:
    seconds = {
        "fine": {"a": 1.0, "b": 0.95},
        "lost": {"a": 3.0, "b": 2.0, "c": 1.5},
        "won": {"a": 1.0, "b": 7.0},
    }
    (loss,) = losses(seconds, dict.fromkeys(seconds, "a"))
    assert str(loss) == "lost: a was taken, c is 2.00 times as fast"
    assert [loss.layer for loss in losses(seconds, dict.fromkeys(seconds, "a"), 1.01)] == [
        "fine",
        "lost",
    ]
