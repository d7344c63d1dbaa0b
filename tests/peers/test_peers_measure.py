"""How bench.peers finds models, compares outputs, takes turns, and answers on the command line."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from bench import networks
from bench.peers import __main__ as command
from bench.peers import quantise, subject
from bench.peers.measure import Settings, measure
from bench.peers.subject import Subject
from lanewise.benchmark.engines import ENGINES, Array, Engine, Feed, Loaded, Run, Setup, difference

FEED: Feed = {"x": np.arange(4, dtype=np.float32)}
QUICK = Settings(rounds=3, turn_seconds=0.0)


def engine(name: str, run: Run, packages: tuple[str, ...] = ("numpy",)) -> Engine:
    return Engine(name, packages, "made up", lambda file, feed, setup: Loaded(run))


def scaled(factor: float, called: Callable[[], None] = lambda: None) -> Run:
    def run(feed: Feed) -> dict[str, Array]:
        called()
        return {"y": feed["x"] * np.float32(factor)}

    return run


def failing(feed: Feed) -> dict[str, Array]:
    raise RuntimeError("no kernel for Foo\nsecond line")


@pytest.mark.parametrize(
    ("found", "want", "error"),
    [
        ([1.0, 2.0], [1.0, 2.0], 0.0),
        ([1.0, 2.5], [1.0, 2.0], 0.25),
        ([1.0, np.nan], [1.0, 2.0], np.inf),
        ([[1.0, 2.0]], [1.0, 2.0], np.inf),
        ([0.0, 0.0], [0.0, 0.0], 0.0),
    ],
)
def test_difference_of_floats(found: list[float], want: list[float], error: float) -> None:
    arrays = np.array(found, np.float32), np.array(want, np.float32)
    assert difference({"y": arrays[0]}, {"y": arrays[1]}) == error


def test_difference_of_integers_and_names() -> None:
    one, other = np.array([1, 2]), np.array([1, 3])
    assert difference({"y": one}, {"y": one}) == 0.0
    assert difference({"y": other}, {"y": one}) == np.inf
    assert difference({"z": one}, {"y": one}) == np.inf
    assert difference({"y": np.zeros(0)}, {"y": np.zeros(0)}) == 0.0


def test_turns_are_interleaved_and_the_first_changes() -> None:
    log: list[str] = []
    engines = [engine(name, scaled(1, lambda n=name: log.append(n))) for name in "abc"]  # type: ignore[misc]
    result = measure(Subject("s", Path(), FEED), engines, QUICK)
    assert {name: len(times) for name, times in result.times.items()} == {"a": 3, "b": 3, "c": 3}
    assert all(seconds > 0 for times in result.times.values() for seconds in times)
    # One call to compare, three to warm up; then one to wake and one that counts, in each turn.
    assert "".join(log) == "abc" + "aaabbbccc" + "aabbcc" + "bbccaa" + "ccaabb"


def test_a_slower_engine_takes_longer() -> None:
    engines = [
        engine("fast", scaled(1)),
        engine("slow", scaled(1, lambda: time.sleep(0.002))),
    ]
    result = measure(Subject("s", Path(), FEED), engines, QUICK)
    assert min(result.times["slow"]) > max(0.002, min(result.times["fast"]))


def test_engines_that_fail_or_disagree_are_left_out() -> None:
    engines = [
        engine("wrong", scaled(1.01)),
        engine("broken", failing),
        engine("close", scaled(1.0001)),
        engine("onnxruntime", scaled(1)),
    ]
    result = measure(Subject("s", Path(), FEED), engines, QUICK)
    assert set(result.times) == {"close", "onnxruntime"}
    assert result.left_out["broken"] == "cannot run: no kernel for Foo"
    assert result.left_out["wrong"] == "disagrees: relative error 0.01"
    assert result.errors["onnxruntime"] == 0.0


def test_subject_from_a_network(tmp_path: Path) -> None:
    found = subject.find("squeezenet1.1", tmp_path, batch=2, seed=3)
    assert found.file.parent == tmp_path
    np.testing.assert_array_equal(
        found.feed["data"], networks.inputs("squeezenet1.1", 2, 3)["data"]
    )


def test_subject_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "mine.onnx"
    onnx.save(networks.build("squeezenet1.1", "N"), file)
    drawn = subject.find(str(file), tmp_path, batch=2, seed=0)
    assert drawn.name == "mine"
    assert {k: v.shape for k, v in drawn.feed.items()} == {"data": (2, 3, 224, 224)}
    pixels = np.full((1, 3, 224, 224), 7, np.uint8)
    arrays: dict[str, Any] = {"in:data": pixels, "out:prob": pixels}
    np.savez(tmp_path / "mine.io.npz", **arrays)
    stored = subject.find(str(file), tmp_path, batch=2, seed=0)
    assert stored.feed["data"].dtype == np.float32
    assert stored.feed["data"].shape == pixels.shape
    assert (stored.feed["data"] == 7).all()
    arrays = {"in:other": pixels}
    np.savez(tmp_path / "mine.io.npz", **arrays)
    with pytest.raises(ValueError, match="has no array for: data"):
        subject.find(str(file), tmp_path, batch=1, seed=0)


def test_subjects_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(networks.UnknownNetworkError):
        subject.find("lenet9", tmp_path, 1, 0)
    with pytest.raises(OSError, match="absent"):
        subject.find(str(tmp_path / "absent.onnx"), tmp_path, 1, 0)
    (tmp_path / "text.onnx").write_text("no model at all")
    with pytest.raises(ValueError, match="is not an ONNX model"):
        subject.find(str(tmp_path / "text.onnx"), tmp_path, 1, 0)


@pytest.mark.parametrize("name", ["lanewise", "onnxruntime", "openvino"])
def test_engines_agree_on_a_small_network(name: str, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    pytest.importorskip(name)
    file = tmp_path / "open.onnx"
    onnx.save(networks.build("squeezenet1.1", "N"), file)
    feed: Feed = dict(networks.inputs("squeezenet1.1", 2))
    found, want = (ENGINES[n].load(file, feed, Setup(1)).run(feed) for n in (name, "onnxruntime"))
    assert set(want) == {"prob"}
    assert difference(found, want) < 1e-4


def test_command_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    quick = ["squeezenet1.1", "--rounds", "1", "--turn", "0", "--peers", "onnxruntime"]
    assert command.main([*quick, "--threads", "2", "--csv", str(tmp_path / "a.csv")]) == 0
    text = capsys.readouterr().out
    for part in ("2 thread(s)", "1 rounds", "warm-up", "onnxruntime", "squeezenet1.1"):
        assert part in text
    assert "squeezenet1.1,onnxruntime," in (tmp_path / "a.csv").read_text()
    assert command.main([*quick, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["context"]["engines"]["onnxruntime"]["settings"].startswith("all optimis")
    assert len(document["results"][0]["seconds"]["onnxruntime"]) == 1


def test_command_line_says_what_is_wrong(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert command.main(["--peers", "tensorzip"]) == 1
    assert "no engine is called 'tensorzip'" in capsys.readouterr().err
    monkeypatch.setitem(ENGINES, "gone", engine("gone", failing, ("no_such_package",)))
    assert command.main(["--peers", "gone"]) == 1
    told = capsys.readouterr().err
    assert "gone is left out" in told
    assert "none of the engines is installed" in told
    monkeypatch.setitem(ENGINES, "here", engine("here", scaled(1)))
    assert command.main(["lenet9", "--peers", "here"]) == 1
    assert "no network is called 'lenet9'" in capsys.readouterr().err


def test_a_lanewise_that_fails_is_a_failure(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fixed(feed: Feed) -> dict[str, Array]:
        return {"prob": np.ones(3, np.float32)}

    monkeypatch.setitem(ENGINES, "onnxruntime", engine("onnxruntime", fixed))
    monkeypatch.setitem(ENGINES, "lanewise", engine("lanewise", failing))
    arguments = ["squeezenet1.1", "--rounds", "1", "--peers", "lanewise,onnxruntime"]
    assert command.main(arguments) == 1
    assert "lanewise left out, cannot run: no kernel for Foo" in capsys.readouterr().err


@pytest.mark.parametrize("form", quantise.FORMS)
def test_quantised_subject(tmp_path: Path, form: str) -> None:
    pytest.importorskip("onnxruntime.quantization", reason="the quantiser is not installed")
    whole = subject.find("lenet5", tmp_path, 1, 0)
    small = quantise.quantised(whole, form, tmp_path, 0)
    operators = {node.op_type for node in onnx.load(small.file).graph.node}
    assert "Softmax" in operators
    assert {"QDQ": "DequantizeLinear", "QOperator": "QLinearConv"}[form] in operators
    peers = [ENGINES[name] for name in ("lanewise", "onnxruntime")]
    settings = Settings(rounds=1, turn_seconds=0.0, tolerance=quantise.TOLERANCE)
    result = measure(small, peers, settings)
    assert result.name == f"lenet5 {form}" and set(result.times) == {"lanewise", "onnxruntime"}


def test_quantised_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("onnxruntime.quantization", reason="the quantiser is not installed")
    options = ["lenet5", "--peers", "lanewise", "--rounds", "1", "--turn", "0", "--json"]
    assert command.main([*options, "--quantise", "QDQ", "--cache", str(tmp_path)]) == 0
    found = json.loads(capsys.readouterr().out)
    assert "8 bits, QDQ" in json.dumps(found) and "lenet5 QDQ" in json.dumps(found)
