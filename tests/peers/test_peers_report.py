"""The figures and texts of bench.peers, on times that were made up."""

from __future__ import annotations

import csv
import io
import json
import math
from pathlib import Path

import pytest
from rich.console import Console

from bench.peers import report
from bench.peers.measure import Result

PEERS = ("lanewise", "onnxruntime", "openvino")


def sample() -> list[Result]:
    first = Result(
        "net_a",
        {"lanewise": [1.0, 2.0, 4.0], "onnxruntime": [2.0, 4.0, 8.0], "openvino": [1.5, 3.0, 6.0]},
        {"lanewise": 1e-6, "onnxruntime": 0.0, "openvino": 2e-6},
    )
    second = Result(
        "net_b",
        {"lanewise": [1.0, 1.0, 1.0], "onnxruntime": [0.5, 0.5, 9.0]},
        {"lanewise": 1e-6, "onnxruntime": 0.0, "openvino": math.inf},
        {"openvino": "disagrees: relative error inf"},
    )
    return [first, second]


def printed(results: list[Result], peers: tuple[str, ...] = PEERS) -> str:
    console = Console(width=200, file=io.StringIO())
    console.print(report.table(results, peers))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_ratio_pairs_the_times_of_a_round() -> None:
    """A machine that slows down for all engines alike changes times and not ratios."""
    result = sample()[0]
    assert report.ratio(result, "onnxruntime") == 2.0
    assert report.ratio(result, "openvino") == 1.5
    assert report.ratio(result, "absent") is None
    assert report.ratio(Result("x", {"onnxruntime": [1.0]}), "onnxruntime") is None


def test_best_peer_is_the_fastest_one() -> None:
    first, second = sample()
    assert report.best_ratio(first) == ("openvino", 1.5)
    assert report.best_ratio(second) == ("onnxruntime", 0.5)
    assert report.best_ratio(Result("x", {"lanewise": [1.0]})) is None


def test_mean_ratios_skip_what_was_left_out() -> None:
    means = report.mean_ratios(sample(), PEERS)
    assert means == pytest.approx({"onnxruntime": 1.0, "openvino": 1.5, "best": 0.75**0.5})


def test_table_shows_times_ratios_and_mean() -> None:
    lines = printed(sample()).splitlines()
    row = next(line for line in lines if line.startswith("net_a"))
    assert row.split() == [
        *("net_a", "2000.00", "±50%", "4000.00", "±50%", "3000.00", "±50%"),
        *("2.00", "1.50", "1.50", "(openvino)"),
    ]
    row = next(line for line in lines if line.startswith("net_b"))
    assert row.split()[-4:] == ["0.50", "-", "0.50", "(onnxruntime)"]
    assert lines[-1].split() == ["geometric", "mean", "1.00", "1.50", "0.87"]


def test_table_without_lanewise_has_no_ratios() -> None:
    text = printed(sample(), ("onnxruntime", "openvino"))
    assert "4000.00" in text
    assert "lanewise" not in text
    assert "geometric" not in text


def test_remarks_give_reasons() -> None:
    assert report.remarks(sample()) == ["net_b: openvino left out, disagrees: relative error inf"]


def test_json_holds_everything() -> None:
    document = json.loads(report.to_json(sample(), PEERS, {"threads": 2}))
    assert document["context"] == {"threads": 2}
    first, second = document["results"]
    assert first["seconds"]["openvino"] == [1.5, 3.0, 6.0]
    assert first["median_seconds"]["openvino"] == 3.0
    assert first["best"] == ["openvino", 1.5]
    assert second["error"]["openvino"] is None
    assert second["left_out"] == {"openvino": "disagrees: relative error inf"}
    assert document["geometric_mean"]["openvino"] == pytest.approx(1.5)


def test_csv_has_a_line_per_engine() -> None:
    rows = list(csv.DictReader(io.StringIO(report.to_csv(sample()))))
    assert [(r["network"], r["engine"]) for r in rows] == [
        *(("net_a", "lanewise"), ("net_a", "onnxruntime"), ("net_a", "openvino")),
        *(("net_b", "lanewise"), ("net_b", "onnxruntime"), ("net_b", "openvino")),
    ]
    assert float(rows[2]["median_ms"]) == 3000.0
    assert float(rows[2]["ratio"]) == 1.5
    assert rows[5]["median_ms"] == ""
    assert rows[5]["left_out"].startswith("disagrees")


def test_plot(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    report.plot(sample(), PEERS, tmp_path / "ratios.png")
    assert (tmp_path / "ratios.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(ValueError, match="nothing to plot"):
        report.plot([Result("x", {"onnxruntime": [1.0]})], PEERS, tmp_path / "none.png")
