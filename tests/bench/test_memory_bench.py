"""The memory bench measures fresh processes and says what went wrong in one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.memory.__main__ import main


def test_prints_what_a_process_took(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    arguments = ["lenet5", "--peers", "lanewise", "--rounds", "1", "--json", "--cache"]
    assert main([*arguments, str(tmp_path)]) == 0
    figures = json.loads(capsys.readouterr().out)["lenet5"]["lanewise"]
    assert 10 < figures["peak_mb"] < 500
    assert all(figures[key] > 0 for key in ("import_ms", "load_ms", "first_ms"))


def test_says_which_engine_failed(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main([str(tmp_path / "none.onnx"), "--peers", "lanewise"]) == 1
    assert "none.onnx" in capsys.readouterr().err
    assert main(["lenet5", "--peers", "caffe"]) == 2
    assert "'caffe'" in capsys.readouterr().err
    assert main(["lenet9", "--peers", "lanewise"]) == 1
    assert "lenet9" in capsys.readouterr().err
