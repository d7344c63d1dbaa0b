"""The numerics bench compares levels round by round and says what it cannot find."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.numerics.__main__ import costs, main


def test_prints_a_row_for_each_network(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["lenet5", "--rounds", "1", "--cache", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "lenet5" in out and "reproducible / fast" in out and "geometric mean" in out


def test_a_slow_round_does_not_change_the_cost() -> None:
    assert costs([[1.0, 4.0, 1.0], [2.0, 8.0, 7.0], [1.0, 1.0, 1.0]]) == [1.0, 2.0, 1.0]


def test_says_which_network_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lenet9"]) == 1
    assert "lenet9" in capsys.readouterr().err
