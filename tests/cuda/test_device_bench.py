"""`lanewise bench` on a stand-in of the GPU: the whole way from options to verdict."""

from __future__ import annotations

from pathlib import Path

import pytest

from lanewise.benchmark.cases import Case
from lanewise.benchmark.engines import ENGINES, Setup
from tests.cli.helpers import call
from tests.cuda.standin import StandIn
from tests.cuda.test_device import image, small_network

QUICK = ("--runs", 2, "--warmup", 1, "--threads", 1)


def test_a_model_on_both_devices(
    tmp_path: Path, standin: StandIn, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "small.onnx"
    file.write_bytes(small_network(batch="N"))
    found = call(
        capsys, "bench", file, *QUICK, "--device", "cpu,cuda", "--batch", "1,4", "--json"
    ).json
    (model,) = found["models"]
    assert [(row["device"], row["batch"]) for row in model["rows"]] == [
        ("cpu", 1),
        ("cuda", 1),
        ("cpu", 4),
        ("cuda", 4),
    ]
    for row in model["rows"]:
        assert 0 <= row["error"] < 1e-4 and row["flops"] > 0
        on_gpu = row["device"] == "cuda"
        assert (row["resident_ms"] is not None) == on_gpu
        if on_gpu:
            assert 0 <= row["resident_ms"] < row["ms"]["p50"]
    assert [verdict["precision"] for verdict in model["verdicts"]] == ["float32"]
    assert found["context"]["gpu_start_ms"] > 0 and found["context"]["gpu"]
    assert standin.read("graph_launches") > 0


def test_a_gpu_without_nvml_is_a_gpu(
    tmp_path: Path,
    standin: StandIn,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("lanewise.benchmark.nvml.LIBRARY", "libnone-such.so.1")
    file = tmp_path / "small.onnx"
    file.write_bytes(small_network())
    finished = call(capsys, "bench", file, *QUICK, "--device", "cuda,cpu")
    assert "a GPU without a name (libnone-such.so.1" in finished.out
    assert "no energy of the GPU: libnone-such.so.1" in finished.err
    assert "cuda in float32 is" in finished.out


def test_copies_are_a_part_of_a_run(tmp_path: Path, standin: StandIn) -> None:
    file = tmp_path / "small.onnx"
    file.write_bytes(small_network())
    case = Case(ENGINES["lanewise"], Setup(None, "cuda"))
    loaded = case.engine.load(file, {}, case.setup)
    assert loaded.model.device == "cuda:0" and loaded.copies_ms is not None
    assert loaded.copies_ms({"x": image(0)}) > 0
