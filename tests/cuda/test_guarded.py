"""Kernels of the GPU, compiled for the CPU, between guard pages (emulation/guarded.cc)."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.built import build_target

KERNELS = ["division", "eltwise", "transpose", "copy", "pool", "reduce", "softmax", "row_norm",
           "moments", "gather", "recurrent"]  # fmt: skip
CASES = 60


@pytest.fixture(scope="module")
def binary() -> Path:
    return build_target("cuda_guarded") / "tests" / "cuda" / "emulation" / "cuda_guarded"


@pytest.mark.parametrize("kernel", KERNELS)
def test_kernel(binary: Path, kernel: str) -> None:
    command = [str(binary), kernel, "baseline", "0", str(CASES)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stdout + result.stderr


def test_every_case_is_run(binary: Path) -> None:
    result = subprocess.run([str(binary), "list"], capture_output=True, text=True, timeout=60)
    assert [line.split()[0] for line in result.stdout.splitlines()] == KERNELS
