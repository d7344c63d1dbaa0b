"""No function compiled for one ISA can stand in for another's.

A kernel's object file may define weak symbols (inline functions, template instances) only inside
its ISA's namespace: the linker keeps one copy of each, and a copy with AVX-512 instructions would
run on every machine.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ISAS = ("baseline", "avx2", "avx512", "avx512_vnni", "amx")


def objects(isa: str) -> list[Path]:
    """Object files of that ISA in the newest build folder."""
    folders = sorted(
        ROOT.glob(f"build/*/CMakeFiles/lanewise_kernels_{isa}.dir"), key=lambda p: p.stat().st_mtime
    )
    return sorted(folders[-1].rglob("*.o")) if folders else []


@pytest.mark.parametrize("isa", ISAS)
def test_weak_symbols_stay_in_their_isa(isa: str) -> None:
    if shutil.which("nm") is None:
        pytest.skip("nm is not there")
    files = objects(isa)
    if not files:
        pytest.skip("no build folder is there")
    wrong = []
    for file in files:
        lines = subprocess.run(
            ["nm", "-C", "--defined-only", str(file)], capture_output=True, text=True, check=True
        ).stdout.splitlines()
        for line in lines:
            kind, name = line.split(maxsplit=2)[1:3]
            if kind.upper() in {"W", "V", "U"} and f"lanewise::{isa}::" not in name:
                wrong.append(f"{file.name}: {name}")
    assert wrong == []
