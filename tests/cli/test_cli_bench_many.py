"""`lanewise bench` over lists: engines, devices, threads, batches, files, interruption."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

import lanewise as lw
from lanewise.benchmark.engines import ENGINES, Setup
from lanewise.benchmark.turns import Turns
from tests.benchmark.helpers import Nvml, simulated_lanewise
from tests.cli.helpers import DIGITS, call, failure, identity

QUICK = ("--runs", 2, "--warmup", 0)


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Nvml:
    """A simulated GPU, and a library that describes one."""
    library = Nvml()
    # Long beside what a busy machine adds to the CPU's runs.
    monkeypatch.setitem(ENGINES, "lanewise", simulated_lanewise(seconds=0.1))
    monkeypatch.setattr("lanewise.benchmark.nvml.ctypes.CDLL", lambda name: library)
    return library


def test_several_batches_and_threads(capsys: pytest.CaptureFixture[str]) -> None:
    finished = call(capsys, "bench", DIGITS, *QUICK, "--batch", "1,4", "--threads", "1,2")
    assert finished.status == 0
    lines = [line.split() for line in finished.out.splitlines()]
    cases = [(line[0], line[3]) for line in lines if line[1:3] == ["lanewise", "cpu,"]]
    assert cases == [("1", "1"), ("1", "2"), ("4", "1"), ("4", "2")]
    assert "no GPU was measured; best throughput on the CPU" in finished.out
    assert "2 runs of each in 2 rounds" in finished.out


def test_against_another_engine(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("onnxruntime")
    found = call(
        capsys, "bench", DIGITS, *QUICK, "--threads", 1, "--against", "onnxruntime", "--json"
    ).json
    rows = found["models"][0]["rows"]
    assert [row["engine"] for row in rows] == ["lanewise", "onnxruntime"]
    assert rows[1]["error"] == 0.0 and 0 < rows[0]["error"] < 1e-4
    assert rows[0]["percent_of_peak"] > 0
    assert found["context"]["engines"]["onnxruntime"]["version"]
    assert found["context"]["cpu_peak_gflops"]["1"] > 0


def test_a_gpu_beside_the_cpu(capsys: pytest.CaptureFixture[str], gpu: Nvml) -> None:
    options = ("--device", "cpu,cuda", "--batch", "1,4", "--precision", "float32,float16")
    prices = ("--cpu-price", 1, "--gpu-price", 2)
    found = call(capsys, "bench", DIGITS, *QUICK, "--threads", 1, *options, *prices, "--json").json
    (model,) = found["models"]
    assert [(row["device"], row["precision"]) for row in model["rows"][:3]] == [
        ("cpu", "float32"),
        ("cuda", "float32"),
        ("cuda", "float16"),
    ]
    slow = model["rows"][1]
    assert slow["ms"]["p50"] > 100.0 > slow["resident_ms"]
    assert slow["joules_per_sample"]["gpu"] > 0
    assert slow["percent_of_peak"] == pytest.approx(100 * slow["gflops_per_s"] / 66_908, rel=1e-3)
    assert [verdict["precision"] for verdict in model["verdicts"]] == ["float32", "float16"]
    assert model["verdicts"][0]["crossing"] is None  # it sleeps longer than the CPU works
    assert found["context"]["gpu"] == "NVIDIA H100, driver 580.1"
    assert found["context"]["gpu_start_ms"] > 100.0
    text = call(capsys, "bench", DIGITS, *QUICK, *options).out
    for part in ("p50 without copies", "J/sample gpu", "cuda in float16 is", "Start of the GPU"):
        assert part in text


def test_a_gpu_alone(capsys: pytest.CaptureFixture[str], gpu: Nvml) -> None:
    finished = call(capsys, "bench", DIGITS, *QUICK, "--device", "cuda", "--precision", "tf32")
    assert "digits.onnx on NVIDIA H100, driver 580.1, tf32" in finished.out


def test_a_gpu_that_is_not_there(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(setup: Setup) -> None:
        raise lw.DeviceError("libcuda.so.1 was looked for and not found")

    monkeypatch.setitem(ENGINES, "lanewise", simulated_lanewise(start=refuse))
    finished = call(capsys, "bench", DIGITS, *QUICK, "--device", "cpu,cuda")
    assert finished.status == 0
    assert "cuda is left out: libcuda.so.1 was looked for and not found" in finished.err
    assert "no GPU was measured" in finished.out
    text = failure(capsys, "bench", DIGITS, *QUICK, "--device", "cuda")
    assert "libcuda.so.1 was looked for" in text


def test_files_of_a_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib")
    out = tmp_path / "made" / "here"
    finished = call(capsys, "bench", DIGITS, DIGITS, *QUICK, "--batch", "1,2", "--out", out)
    assert finished.status == 0 and f"wrote {out / 'bench.csv'}" in finished.err
    assert len(json.loads((out / "bench.json").read_text())["models"]) == 2
    rows = list(csv.DictReader((out / "bench.csv").read_text().splitlines()))
    assert [row["batch"] for row in rows] == ["1", "2"] * 2
    for name in ("digits.png", "digits_2.png"):
        assert (out / name).read_bytes().startswith(b"\x89PNG")


def test_files_without_matplotlib(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lanewise.benchmark.plots.missing", lambda: "no plots: why")
    finished = call(capsys, "bench", DIGITS, *QUICK, "--out", tmp_path)
    assert "no plots: why" in finished.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bench.csv", "bench.json"]


def test_a_fixed_batch_is_said_and_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = identity(tmp_path / "fixed.onnx", ("x", [5, 3, 2, 2]))
    finished = call(capsys, "bench", model, *QUICK, "--batch", "1,4", "--json")
    (report,) = finished.json["models"]
    assert [row["batch"] for row in report["rows"]] == [5]
    assert "the file fixes its batch (x [5, 3, 2, 2])" in report["notes"][0]
    text = call(capsys, "bench", model, *QUICK, "--batch", 4).out
    assert "Note: the file fixes its batch" in text and "Batch 5" in text


def test_a_broken_model_among_others(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "text.onnx").write_text("no model at all")
    finished = call(capsys, "bench", tmp_path / "text.onnx", DIGITS, *QUICK)
    assert finished.status == 1
    assert "text.onnx could not be run" in finished.err
    assert "lanewise cpu" in finished.out


def test_ctrl_c_shows_what_was_measured(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from lanewise.benchmark import session

    take = session.take_turns
    taken: list[Turns] = []

    def interrupted(*arguments: object) -> Turns:
        if taken:
            raise KeyboardInterrupt
        taken.append(take(*arguments))  # type: ignore[arg-type]
        return taken[-1]

    monkeypatch.setattr(session, "take_turns", interrupted)
    finished = call(capsys, "bench", DIGITS, *QUICK, "--batch", "1,4")
    assert finished.status == 130
    assert "interrupted: what follows was measured until then" in finished.err
    assert [line.split()[0] for line in finished.out.splitlines() if "lanewise cpu" in line] == [
        "1"
    ]
    finished = call(capsys, "bench", DIGITS, *QUICK, "--batch", "1,4")
    assert finished.status == 130 and finished.out == ""
    assert finished.err.strip().endswith("interrupted")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--device", "tpu"), "expected cpu, cuda or cuda:N, got 'tpu'"),
        (("--threads", "1,none"), "expected a positive number, got 'none'"),
        (("--batch", "1,0"), "expected a positive number, got '0'"),
        (("--precision", "int8"), "expected one of float32, tf32, float16, bfloat16"),
        (("--against", "tensorzip"), "expected one of lanewise, onnxruntime"),
        (("--gpu-price", "-1"), "expected a positive number"),
    ],
)
def test_wrong_options(
    arguments: tuple[str, str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        call(capsys, "bench", DIGITS, *arguments)
    assert stop.value.code == 2
    assert message in capsys.readouterr().err
