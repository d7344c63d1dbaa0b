"""The page about CPU and GPU: from runs with and without a GPU, and the anchors' arithmetic."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bench.suite import __main__ as command
from bench.suite.anchors import ANCHORS
from bench.suite.page import render
from lanewise.benchmark.engines import ENGINES
from lanewise.benchmark.rows import ModelReport
from lanewise.benchmark.run import Document
from tests.benchmark.helpers import row, simulated_lanewise

RESNET_FLOPS = 8.2e9


def run(
    gpu: bool, prices: tuple[float | None, float | None] = (None, None), had_cpu: float = 1.0
) -> Document:
    more: dict[str, Any] = {"percent_of_peak": 50.0, "had_cpu": had_cpu}
    models = []
    for name in ("alexnet", "resnet50"):
        rows = [row(batch, 20.0 * batch, error=0.0, **more) for batch in (1, 16)]
        rows += [
            row(batch, 30.0 * batch, engine="onnxruntime", had_cpu=had_cpu) for batch in (1, 16)
        ]
        if gpu:
            rows += [
                row(batch, 40.0, "cuda", resident_ms=10.0, percent_of_peak=7.0) for batch in (1, 16)
            ]
        models.append(ModelReport(name, rows))
    models[0].notes.append("the file fixes its batch")
    context = {
        "command": "python -m bench.suite --made-up",
        "note": "Nothing was measured.",
        "date": "2026-01-02",
        "cpu": "a CPU",
        "gpu": "a GPU, driver 1" if gpu else None,
        "gpu_start_ms": 900.0 if gpu else None,
        "devices": ["cpu", "cuda"],
        "data": "made up",
        "rounds": 2,
        "runs": 4,
        "seconds": None,
        "prices": {"cpu": prices[0], "gpu": prices[1]},
        "engines": {"lanewise": {"version": "1", "settings": "defaults"}},
        "cpu_peak_gflops": {"1": 200.0},
    }
    remarks = [] if gpu else ["cuda is left out: libcuda.so.1 was not found:\n  in /some/folder"]
    return Document(context, models, remarks=remarks)


def cells(page: str, start: str) -> list[str]:
    """The cells of the table line that begins so."""
    line = next(line for line in page.splitlines() if line.startswith(f"| {start} |"))
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_a_run_without_a_gpu_claims_nothing_about_one() -> None:
    page = render(run(gpu=False), ["a.png", "b.png"])
    assert "**No GPU took part in this run** (cuda is left out: libcuda.so.1 was not found)" in page
    assert "    python -m bench.suite --made-up" in page and "/some/folder" not in page
    assert "2026-01-02, a CPU, 1 thread, batches 1, 16; 4 runs of each in 2 rounds" in page
    assert "200 GFLOP/s measured with 1 thread" in page and "Nothing was measured." in page
    assert "verdict, network by network" not in page and "this GPU" not in page
    assert "![Latency against batch](a.png)" in page
    assert "- alexnet: the file fixes its batch" in page
    assert cells(page, "resnet50 | Lanewise on this CPU, 1 thread")[2:5] == ["16", "20.00", "50"]


def test_a_run_that_did_not_ask_for_a_gpu() -> None:
    document = run(gpu=False)
    document.context["devices"] = ["cpu"]
    document.remarks = []
    assert "(the run did not ask for one)" in render(document)


def test_the_table_of_the_cpu() -> None:
    page = render(run(gpu=False))
    network = cells(page, "alexnet | 0.00")
    # GFLOP, two medians, throughput, share, start, two ratios.
    assert network[2:] == ["20.00", "320.00", "50.0", "50", "100", "1.50", "1.50"]
    assert cells(page, "geometric mean")[-2:] == ["1.50", "1.50"]


def test_a_machine_that_was_shared_shows_processor_time() -> None:
    page = render(run(gpu=False, had_cpu=0.25))
    assert cells(page, "alexnet | 0.00")[-3:] == ["5.00", "80.00", "200"]
    assert "had it for 25% of their time" in page
    line = cells(page, "resnet50 | Lanewise on this CPU, 1 thread, CPU time alone")
    assert line[2:5] == ["16", "5.00", "200"]
    assert "CPU ms" not in render(run(gpu=False)) and "CPU time" not in render(run(gpu=False))


def test_a_run_with_a_gpu_has_a_verdict() -> None:
    page = render(run(gpu=True, prices=(0.36, 0.72)))
    assert "GPU: a GPU, driver 1; it takes 900 ms" in page
    assert "No GPU took part" not in page
    assert cells(page, "resnet50 | Lanewise on this GPU, float32")[2:5] == ["16", "2.50", "7"]
    verdict = cells(page, "alexnet | float32")
    # Throughputs and their ratio; batches from which on; samples; rate; start; energy; costs.
    assert verdict[2:8] == ["400.0", "7", "50.0", "8.00", "16", "1"]
    assert verdict[8:12] == ["51", "100.0", "100", ""]
    assert verdict[12:] == ["16", "2", "0.5"]
    assert "0.36 for the CPU's machine, 0.72 for the GPU's" in page


def test_prices_without_a_gpu() -> None:
    page = render(run(gpu=False, prices=(0.36, None)))
    assert cells(page, "alexnet | 2") == ["alexnet", "2"]
    assert "cost of a million samples at 0.36 an hour" in page


def test_shares_of_the_anchors() -> None:
    """The issue says that the old CPU code ran at 4 % of its peak: the arithmetic must agree."""
    torch, titan = (anchor for anchor in ANCHORS if anchor.network == "resnet50")
    assert torch.peak_gflops == pytest.approx(1228.8)
    share = torch.share(RESNET_FLOPS)
    assert share is not None and round(100 * share) == 4
    assert torch.ms_per_image * 16 == 2478 and titan.ms_per_image * 16 == 35
    best = titan.share(RESNET_FLOPS)
    assert best is not None and 0.3 < best < 0.4
    assert all(anchor.share(1e9) is None for anchor in ANCHORS if anchor.network == "alexnet")


def test_the_command_line_is_shown_without_folders() -> None:
    given = ["lenet5", "--out", "/x", "--json=/y", "--note", "some words", "--batch", "1,2"]
    assert command.described(given) == "python -m bench.suite lenet5 --batch 1,2"


def test_the_command_measures_and_writes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib")
    options = ["--batch", "1,2", "--runs", "2", "--warmup", "0", "--threads", "1"]
    files = ["--out", str(tmp_path), "--json", str(tmp_path / "figures.json"), "--device", "cpu"]
    assert command.main(["lenet5", *options, *files]) == 0
    page = (tmp_path / "cpu-vs-gpu.md").read_text()
    assert "| lenet5 |" in page and "did not ask for one" in page
    for kind in ("latency", "throughput"):
        assert (tmp_path / f"cpu-vs-gpu-{kind}.png").read_bytes().startswith(b"\x89PNG")
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert [r["batch"] for r in figures["models"][0]["rows"]] == [1, 2]
    (tmp_path / "cpu-vs-gpu.md").unlink()
    again = ["--from", str(tmp_path / "figures.json"), "--out", str(tmp_path)]
    assert command.main(again) == 0
    assert (tmp_path / "cpu-vs-gpu.md").read_text() == page
    assert command.main(["lenet9", *options, *files]) == 1
    assert "no network is called 'lenet9'" in capsys.readouterr().err


def test_the_command_with_a_simulated_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ENGINES, "lanewise", simulated_lanewise(seconds=0.001))
    options = ["--batch", "1,2", "--runs", "1", "--warmup", "0", "--threads", "1"]
    assert command.main(["lenet5", *options, "--out", str(tmp_path)]) == 0
    page = (tmp_path / "cpu-vs-gpu.md").read_text()
    assert "The verdict, network by network" in page and "No GPU took part" not in page
