"""`lanewise demo` through its Python entry: goals, pictures, printed figures, exit status."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lanewise import demo
from lanewise.demo import pictures, report


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo") / "not" / "there" / "yet"


@pytest.fixture(scope="module")
def results(folder: Path) -> dict[str, report.Result]:
    return demo.measure(folder, threads=1)


def test_digits_are_read(results: dict[str, report.Result]) -> None:
    figures = results["digits"].figures
    counts = np.array(figures["confusions"])
    assert figures["accuracy"] >= 0.99
    assert counts.sum() == figures["samples"] == 450
    assert np.trace(counts) == round(figures["accuracy"] * figures["samples"])
    assert len(figures["mistakes"]) == counts.sum() - np.trace(counts)
    for mistake in figures["mistakes"]:
        assert counts[mistake["label"], mistake["guess"]] > 0


def test_super_resolution_beats_bicubic(results: dict[str, report.Result]) -> None:
    figures = results["superres"].figures
    assert figures["psnr_network"] - figures["psnr_bicubic"] >= 0.5
    assert figures["psnr_bicubic"] > figures["psnr_low_resolution"]


def test_denoiser_halves_the_noise(results: dict[str, report.Result]) -> None:
    figures = results["denoise"].figures
    assert figures["psnr_denoised"] - figures["psnr_noisy"] >= 3.0
    assert len(figures["gain_of_each"]) == figures["samples"]


@pytest.mark.parametrize(("name", "size"), [("superres", (1848, 868)), ("denoise", (912, 1246))])
def test_pictures_are_readable(
    name: str, size: tuple[int, int], results: dict[str, report.Result]
) -> None:
    (path,) = results[name].files
    with Image.open(path) as picture:
        assert picture.format == "PNG"
        assert picture.size == size
        pixels = np.asarray(picture.convert("L"))
    assert pixels.std() > 20


def test_columns_of_the_super_resolution_picture_differ(
    results: dict[str, report.Result],
) -> None:
    (path,) = results["superres"].files
    with Image.open(path) as picture:
        top = pictures.LABEL_HEIGHT + pictures.GAP
        columns = [
            np.asarray(picture.crop((left, top, left + 600, top + 399)), np.float64)
            for left in (pictures.GAP, 2 * pictures.GAP + 600, 3 * pictures.GAP + 1200)
        ]
    assert np.abs(columns[0] - columns[1]).mean() > 1
    assert np.abs(columns[1] - columns[2]).mean() > 1


@pytest.mark.parametrize("name", sorted(demo.DEMOS))
def test_speed_is_measured(name: str, results: dict[str, report.Result]) -> None:
    speed = results[name].speed
    assert speed.latency_ms > 0
    assert speed.runs >= report.MIN_RUNS
    assert 0 < len(speed.top_layers) <= report.TOP_LAYERS
    shares = [layer.share for layer in speed.top_layers]
    assert shares == sorted(shares, reverse=True)
    assert 0 < sum(shares) <= 1 + 1e-6


def test_text_names_figures_and_goals(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert demo.run(tmp_path) == 0
    text = capsys.readouterr().out
    assert text.count("Goal reached") == len(demo.DEMOS)
    for part in ("held-out digits right", "bicubic (Pillow)", "dB denoised", "Latency: "):
        assert part in text


def test_json_is_one_object(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert demo.run(tmp_path, json_output=True) == 0
    printed = json.loads(capsys.readouterr().out)
    assert set(printed) == set(demo.DEMOS)
    for result in printed.values():
        assert result["passed"]
        assert all(goal["met"] for goal in result["goals"])


@pytest.mark.parametrize("json_output", [False, True])
def test_a_missed_goal_is_told_and_fails(
    json_output: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(demo.digits, "ACCURACY_GOAL", 1.01)
    assert demo.run(tmp_path, json_output=json_output) == 1
    printed = capsys.readouterr().out
    if json_output:
        assert json.loads(printed)["digits"]["passed"] is False
    else:
        assert "Goal MISSED: accuracy on held-out digits" in printed


def test_accuracy_comes_from_the_samples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with np.load(report.DATA_DIR / "digits_test.npz") as samples:
        images, labels = samples["images"], samples["labels"]
    np.savez(tmp_path / "digits_test.npz", images=images, labels=(labels + 1) % 10)
    model = (report.DATA_DIR / "digits.onnx").read_bytes()
    (tmp_path / "digits.onnx").write_bytes(model)
    monkeypatch.setattr(report, "DATA_DIR", tmp_path)
    result = demo.digits.run(tmp_path)
    assert result.figures["accuracy"] < 0.1
    assert not result.passed


def test_psnr_by_hand() -> None:
    truth = np.zeros((4, 5), np.uint8)
    assert report.psnr(truth, truth + np.uint8(51), peak=255) == pytest.approx(13.9794, abs=1e-4)
    assert report.psnr(truth, truth, peak=255) == float("inf")


def test_a_nan_misses_its_goal() -> None:
    assert not report.Goal("x", float("nan"), 0.0, "dB").met
