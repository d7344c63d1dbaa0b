"""Every kernel on every ISA of this machine, between guard pages.

The cases are C++: `<name>.cc` here tests `engine/kernels/<family>/<name>.cc`. The target
`kernel_tests` is built first; a failure prints its seed, and `kernel_tests NAME ISA SEED 1` runs it
again.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from lanewise import machine
from tests.built import build_target

ROOT = Path(__file__).resolve().parents[2]
KERNELS = sorted((ROOT / "engine" / "kernels").glob("*/*.cc"))
CASES = 400


def versions() -> list[tuple[str, str]]:
    """(kernel, ISA) of everything that was built, as the first lines say."""
    return [
        (path.stem, isa)
        for path in KERNELS
        for isa in path.read_text(encoding="utf-8").splitlines()[0].removeprefix("// isas:").split()
    ]


@pytest.fixture(scope="session")
def binary() -> Path:
    """The test executable."""
    return build_target("kernel_tests") / "tests" / "kernels" / "kernel_tests"


def run_binary(binary: Path, *arguments: str) -> tuple[int, str]:
    environment = {k: v for k, v in os.environ.items() if k != "LD_PRELOAD"}
    result = subprocess.run(
        [str(binary), *arguments], env=environment, capture_output=True, text=True, timeout=600
    )
    return result.returncode, result.stdout + result.stderr


@pytest.mark.parametrize(("kernel", "isa"), versions())
def test_kernel(binary: Path, kernel: str, isa: str) -> None:
    if isa not in machine.isas():
        pytest.skip(f"this machine has no {isa}")
    code, output = run_binary(binary, kernel, isa, "0", str(CASES))
    assert code == 0, output


def test_the_binary_has_every_version(binary: Path) -> None:
    code, output = run_binary(binary, "list")
    assert code == 0
    assert sorted(output.split("\n")[:-1]) == sorted(" ".join(v) for v in versions())
