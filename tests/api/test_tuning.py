"""Algorithms chosen by time: kept, read again, right, and refused where they cannot be."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import lanewise as lw
from lanewise.tuning import choose, key_of
from tests.ops.one_node import model

Array = NDArray[np.float32]


def conv() -> tuple[bytes, Array]:
    """A convolution for which several algorithms compete."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((1, 16, 14, 14)).astype(np.float32)
    w = rng.standard_normal((24, 16, 3, 3)).astype(np.float32)
    proto = model("Conv", [x, w], constants=[1], channels_last=True, pads=[1, 1, 1, 1])
    return proto.SerializeToString(), x


def algorithm(loaded: lw.Model, x: Array) -> str:
    layers = loaded.describe({"x0": x.shape}).layers
    return next(layer.algorithm for layer in layers if "Conv" in layer.op)


def test_choices_are_kept_and_obeyed(tmp_path: Path) -> None:
    content, x = conv()
    plain = lw.load(content, threads=1)
    tuned = lw.load(content, threads=1, tune=tmp_path)
    np.testing.assert_allclose(np.asarray(tuned(x)), np.asarray(plain(x)), atol=1e-4)
    (kept,) = tmp_path.iterdir()
    name = next(
        layer.name for layer in plain.describe({"x0": x.shape}).layers if "Conv" in layer.op
    )
    other = "winograd 2x2" if algorithm(plain, x) != "winograd 2x2" else "direct"
    kept.write_text(json.dumps({"choices": {name: other}}))
    assert algorithm(lw.load(content, threads=1, tune=tmp_path), x) == other
    assert algorithm(plain, x) != other


@pytest.mark.parametrize("text", ["", "{", "[]", '{"choices": 3}', '{"choices": {"a": 1}}'])
def test_a_damaged_file_is_written_anew(tmp_path: Path, text: str) -> None:
    content, _ = conv()
    lw.load(content, threads=1, tune=tmp_path)
    (kept,) = tmp_path.iterdir()
    kept.write_text(text)
    lw.load(content, threads=1, tune=tmp_path)
    assert isinstance(json.loads(kept.read_text())["choices"], dict)


def test_a_choice_that_is_no_algorithm_changes_nothing(tmp_path: Path) -> None:
    content, x = conv()
    lw.load(content, threads=1, tune=tmp_path)
    (kept,) = tmp_path.iterdir()
    kept.write_text(json.dumps({"choices": {"n": "by hand", "": "none"}}))
    tuned = lw.load(content, threads=1, tune=tmp_path)
    assert algorithm(tuned, x) == algorithm(lw.load(content, threads=1), x)


def test_what_cannot_be_tuned_says_why(tmp_path: Path) -> None:
    content, _ = conv()
    with pytest.raises(lw.InputError, match="numerics 'fast' on the CPU, got numerics 'strict'"):
        lw.load(content, tune=tmp_path, numerics="strict")
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(lw.InputError, match="cannot keep the choices"):
        lw.load(content, threads=1, tune=file)


def test_choices_belong_to_one_isa_and_number_of_threads() -> None:
    keys = {key_of([b"m"], isa, threads) for isa in ("avx2", "avx512") for threads in (1, 2)}
    assert len(keys) == 4


def test_only_clearly_faster_algorithms_are_chosen() -> None:
    estimated = {"a": "x", "b": "x", "c": "x"}
    times = {
        "a": {"x": [1.0, 2.0], "y": [0.97]},
        "b": {"x": [1.0], "y": [0.9, 3.0], "z": [0.8]},
        "c": {"y": [0.1]},
    }
    assert choose(estimated, times) == {"b": "z"}
