"""Hostile files: mutated models load and run, or raise the library's errors; nothing else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import lanewise as lw
from tests.fuzz.seeds import all_seeds


@pytest.mark.parametrize("name", all_seeds())
def test_seeds_run(name: str) -> None:
    """What mutations start from is valid, or they would end at one and the same fault."""
    model = lw.load(all_seeds()[name])
    feeds = {
        info.name: np.ones([d if isinstance(d, int) else 2 for d in info.shape or ()], info.dtype)
        for info in model.inputs
        if not info.optional
    }
    assert model.run(feeds)


def test_mutations(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """Seeded mutations in a process of their own, with 1 GiB to spend."""
    count = request.config.getoption("--fuzz-cases")
    first = request.config.getoption("--fuzz-seed")
    progress = tmp_path / "progress"
    command = [sys.executable, "-m", "tests.fuzz.mutate", str(first), str(count), str(progress)]
    root = Path(__file__).parents[2]
    result = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=60 + count)
    reached = progress.read_text().strip() if progress.exists() else "none"
    assert result.returncode == 0, (
        f"mutation {reached} ended the process with {result.returncode}; replay it with "
        f"--fuzz-seed {reached} --fuzz-cases 1\n{result.stdout}\n{result.stderr[-4000:]}"
    )
    if count >= 100:
        assert "ran" in result.stdout
        assert "ModelError" in result.stdout
