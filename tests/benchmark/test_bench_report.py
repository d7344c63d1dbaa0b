"""Tables, CSV, JSON and plots of a run that was made up."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from lanewise.benchmark import plots, report
from lanewise.benchmark.rows import ModelReport
from lanewise.benchmark.run import Document
from lanewise.cli import output
from tests.benchmark.helpers import row


def sample(gpu: bool = True, cpu_price: float | None = None) -> Document:
    rows = [row(batch, 10.0 * batch, error=0.0) for batch in (1, 4, 16)]
    if gpu:
        more = {"resident_ms": 15.0, "error": 1e-3, "joules_per_sample": {"gpu": 0.5}}
        rows += [row(batch, 20.0, "cuda", percent_of_peak=12.3, **more) for batch in (1, 4, 16)]
    left_out = [("onnxruntime cpu, 1 thread", 4, "disagrees")]
    context = {
        "date": "2026-01-02",
        "cpu": "a CPU",
        "gpu": "a GPU, driver 1" if gpu else None,
        "gpu_start_ms": 900.0 if gpu else None,
        "data": "random, seed 0",
        "rounds": 2,
        "runs": 4,
        "seconds": None,
        "prices": {"cpu": cpu_price, "gpu": None},
        "engines": {"lanewise": {"version": "1", "settings": "defaults"}},
        "cpu_peak_gflops": {"1": 200.0},
    }
    model = ModelReport("net", rows, ["a note"], left_out)
    return Document(context, [model], [("bad.onnx", "is broken")], ["a remark"])


def printed(document: Document) -> str:
    console = Console(width=250, file=io.StringIO())
    console.print(report.table(document.models[0]))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_table_shows_the_columns_that_have_figures() -> None:
    lines = printed(sample()).splitlines()
    for heading in ("p99", "p50 without copies", "% of peak", "error", "J/sample gpu"):
        assert heading in lines[0]
    assert " ".join(lines[1].split()) == (
        "1 lanewise cpu, 1 thread 10.000 10.000 10.000 100.0 100.0 0.0e+00"
    )
    assert " ".join(lines[5].split()) == (
        "4 lanewise cuda float32 20.000 20.000 20.000 200.0 100.0 15.000 12.3 1.0e-03 0.5"
    )
    heading = printed(sample(gpu=False)).splitlines()[0]
    assert "copies" not in heading and "peak" not in heading and "J/sample" not in heading


def test_heading_names_machine_settings_and_start() -> None:
    text = "\n".join(report.heading(sample()))
    for part in ("a CPU, a GPU, driver 1, 2026-01-02", "4 runs of each in 2 rounds", "900 ms"):
        assert part in text
    assert "no GPU" in report.heading(sample(gpu=False))[0]


def test_verdict_of_a_run_with_and_without_a_gpu() -> None:
    document = sample()
    lines = report.verdict_lines(document.models[0], document)
    assert lines[0].startswith("cuda in float32 is faster from batch 4 on (the lines meet at 2)")
    # The GPU's own start counts: 900 ms more, at 8.75 ms gained by each sample.
    assert "start-up included, it is ahead after 103 samples" in lines
    document = sample(gpu=False, cpu_price=0.36)
    lines = report.verdict_lines(document.models[0], document)
    assert lines == [
        "no GPU was measured; best throughput on the CPU: 100.0 samples/s (batch 1, 1 thread)",
        "a million samples cost 1 at 0.36 an hour",
    ]


def test_remarks_say_what_is_missing() -> None:
    document = sample()
    document.interrupted = True
    assert report.remarks(document) == [
        "a remark",
        "bad.onnx could not be run: is broken",
        "net: onnxruntime cpu, 1 thread at batch 4 left out, disagrees",
        "interrupted: what follows was measured until then",
    ]


def test_a_machine_that_was_shared_is_reported() -> None:
    document = sample()
    assert report.had_cpu(document) == 1.0
    document.models[0].rows = [row(1, 10.0, had_cpu=part) for part in (0.25, 0.3, 1.0)]
    document.models[0].rows += [row(1, 10.0, threads=2, had_cpu=0.1), row(1, 1.0, "cuda")]
    assert report.had_cpu(document) == pytest.approx(0.3)
    assert any("had it for 30% of their time" in line for line in report.heading(document))
    document.models[0].rows = [row(1, 0.2, had_cpu=0.3)]  # over after 0.08 s
    assert report.had_cpu(document) == 1.0 and report.sharing(document) == []


def test_json_can_be_read_back() -> None:
    document = sample()
    values = json.loads(output.json_text(report.as_values(document)))
    assert values["models"][0]["verdicts"][0]["crossing"] == {"batch": 4, "meets": 2.0}
    again = Document.from_dict(values)
    assert again == document
    assert report.as_values(again) == report.as_values(document)


def test_csv_has_a_line_per_row() -> None:
    rows = list(csv.DictReader(io.StringIO(report.to_csv(sample().models))))
    assert len(rows) == 6
    assert rows[5]["model"] == "net" and rows[5]["device"] == "cuda" and rows[5]["batch"] == "16"
    assert float(rows[5]["p50_ms"]) == 20.0 and float(rows[5]["samples_per_s"]) == 800.0
    assert json.loads(rows[5]["joules_per_sample"]) == {"gpu": 0.5}
    assert rows[0]["joules_per_sample"] == "" and rows[0]["threads"] == "1"


def test_plots_mark_the_crossing(tmp_path: Path) -> None:
    figures = pytest.importorskip("matplotlib.figure")
    document = sample()
    axes = figures.Figure().add_subplot()
    plots._fill(axes, document.models[0], "throughput")
    lines = {line.get_label(): line for line in axes.get_lines()}
    assert list(lines["lanewise cuda float32"].get_ydata()) == [50.0, 200.0, 800.0]
    marks = [line for label, line in lines.items() if label.startswith("_")]
    assert [list(line.get_xdata()) for line in marks] == [[2.0, 2.0]]
    assert [text.get_text() for text in axes.texts] == ["float32: GPU faster from 4"]
    plots.draw(document.models[0], tmp_path / "one.png")
    plots.draw_many(document.models * 5, "latency", tmp_path / "many.svg")
    assert (tmp_path / "one.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "many.svg").read_text().count("net") >= 5


def test_plots_of_a_shared_machine_show_processor_time() -> None:
    figures = pytest.importorskip("matplotlib.figure")
    rows = [row(batch, 10.0 * batch, had_cpu=0.25) for batch in (1, 4)]
    axes = figures.Figure().add_subplot()
    plots._fill(axes, ModelReport("net", rows), "throughput")
    lines = {line.get_label(): list(line.get_ydata()) for line in axes.get_lines()}
    assert lines == {
        "lanewise cpu, 1 thread": [100.0, 100.0],
        "lanewise cpu, 1 thread, CPU time alone": [400.0, 400.0],
    }
    low, high = axes.get_ylim()
    assert high / low >= 10 * (1 - 1e-9) and low < 100 < 400 < high


def test_plots_without_matplotlib(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.figure", None)
    assert "pip install 'lanewise[plot]'" in str(plots.missing())
