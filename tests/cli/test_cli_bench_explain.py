"""`lanewise bench`, `lanewise explain`, `Model.explain` and the peaks they compare with."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

import lanewise as lw
from lanewise import explanation, machine
from tests.cli.helpers import DIGITS, SUPERRES, call, failure, picture


def test_bench_of_a_model(capsys: pytest.CaptureFixture[str]) -> None:
    report = call(
        capsys, "bench", DIGITS, "--runs", 30, "--batch", 4, "--threads", 1, "--json"
    ).json
    assert report["runs"] == 30
    assert report["warmup_runs"] == 6
    assert report["batch"] == 4
    assert report["threads"] == 1
    assert report["inputs"] == {"image": [4, 1, 8, 8]}
    ms = report["ms"]
    assert 0 < ms["min"] <= ms["p50"] <= ms["p90"] <= ms["p99"] <= ms["max"]
    assert ms["min"] <= ms["mean"] <= ms["max"]
    assert report["samples_per_s"] == pytest.approx(4000 / ms["mean"], rel=1e-6)
    assert report["gflops_per_s"] == pytest.approx(report["flops"] / ms["p50"] / 1e6)


def test_bench_text(capsys: pytest.CaptureFixture[str]) -> None:
    isa = lw.isas()[0]
    finished = call(capsys, "bench", DIGITS, "--runs", 3, "--isa", isa, "--threads", 1)
    assert finished.err == ""
    for part in (f", {isa}, 1 thread", "Batch 1: image [1, 1, 8, 8] (random, seed 0)", "p99"):
        assert part in finished.out
    assert "samples per second" in finished.out


def test_bench_of_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.save(tmp_path / "x.npy", np.zeros((2, 1, 8, 8), np.float32))
    arguments = ["bench", DIGITS, "--runs", 1, "--input", tmp_path / "x.npy"]
    report = call(capsys, *arguments, "--json").json
    assert report["batch"] == 2 and report["data"] == "files"
    assert "are for random inputs" in failure(capsys, *arguments, "--batch", 2)
    file = picture(tmp_path / "x.png", 12, 9)
    report = call(capsys, "bench", SUPERRES, "--runs", 1, "--input", file, "--json").json
    assert report["inputs"] == {"luma_low": [1, 1, 9, 12]}


def test_explain_of_a_model(capsys: pytest.CaptureFixture[str]) -> None:
    found = call(capsys, "explain", DIGITS, "--threads", 1, "--runs", 3, "--json").json
    layers, total = found["layers"], found["total"]
    assert found["peak"]["gflops_per_s"] > 0.1 and found["peak"]["gbytes_per_s"] > 0.01
    assert sum(layer["share"] for layer in layers) == pytest.approx(1)
    assert total["flops"] == sum(layer["flops"] for layer in layers)
    assert total["layers_ms"] == pytest.approx(sum(layer["ms"] for layer in layers))
    conv = next(layer for layer in layers if layer["name"] == "conv2")
    assert conv["flops"] >= 2 * 32 * 64 * 9 * 64
    assert conv["gflops_per_s"] == pytest.approx(conv["flops"] / conv["ms"] / 1e6)
    peak = found["peak"]["gflops_per_s"]
    assert conv["percent_of_peak"] == pytest.approx(100 * conv["gflops_per_s"] / peak)
    assert conv["algorithm"] and conv["refused"]
    assert all(set(each) == {"algorithm", "reason"} for each in conv["refused"])


def test_explain_text(capsys: pytest.CaptureFixture[str]) -> None:
    short = call(capsys, "explain", DIGITS, "--threads", 1, "--runs", 1).out
    verbose = call(capsys, "explain", DIGITS, "--threads", 1, "--runs", 1, "--verbose").out
    for part in ("layer", "algorithm", "% peak", "conv3", "whole run (", "Peak measured in this"):
        assert part in short
    assert "could not be taken" not in short
    assert "Algorithms that could not be taken:" in verbose
    assert "  conv2: " in verbose


def test_explain_says_which_rates_are_effective() -> None:
    plain = lw.load(DIGITS, threads=1, numerics="strict").explain()
    assert "are effective" not in plain
    forced = lw.load(DIGITS, threads=1, _force="winograd 2x2").explain()
    assert "winograd 2x2" in forced and "are effective" in forced


def test_explain_keeps_to_one_line_per_layer_on_a_narrow_terminal() -> None:
    model = lw.load(DIGITS, threads=1)
    found = explanation.explain(model, {"image": np.zeros((1, 1, 8, 8), np.float32)}, runs=1)
    file = io.StringIO()
    Console(file=file, width=72).print(found.render())
    lines = file.getvalue().splitlines()
    end = next(i for i, line in enumerate(lines) if not line.strip())
    assert end == len(found.profile.layers) + 2
    assert all(len(line) <= 72 for line in lines)
    assert all(f"{layer.ms:.4f}" in "".join(lines) for layer in found.profile.layers)


def test_model_explain_is_the_same_table() -> None:
    model = lw.load(DIGITS, threads=1)
    text = model.explain(runs=1)
    lines = text.splitlines()
    assert lines[0].split()[:4] == ["layer", "operator", "algorithm", "output"]
    assert lines[1].startswith("conv1 ")
    assert "1 thread: " in text
    given = {"image": np.zeros((3, 1, 8, 8), np.float32)}
    assert "[3, 10]" in model.explain(given, runs=1)
    assert "could not be taken" in model.explain(given, runs=1, verbose=True)
    with pytest.raises(lw.InputError, match="has no size in the file; give an array"):
        lw.load(SUPERRES).explain()


def test_peak_rises_with_the_instruction_set() -> None:
    isas = machine.isas()
    assert isas == lw.isas()
    narrow = machine.measure_peak(isas[0], 1)
    wide = machine.measure_peak(threads=1)
    assert narrow.gflops > 0.1 and narrow.gbytes_per_s > 0.01
    if len(isas) > 1:
        assert wide.gflops > 1.3 * narrow.gflops
    with pytest.raises(lw.InputError, match="isa"):
        machine.measure_peak("mmx")
    with pytest.raises(lw.InputError, match="threads"):
        machine.measure_peak(threads=-1)
    assert machine.default_threads() >= 1
    assert machine.cpu_name()
