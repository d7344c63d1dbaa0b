"""The rules that keep the code's shape: layers, pragmas, environment, file sizes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ENGINE = ROOT / "engine"

# Level of each folder; an #include may point to the same level or below.
LEVELS = {
    "base": 0,
    "simd": 1,
    "kernels": 2,
    "graph": 3,
    "onnx": 3,
    "cpu": 4,
    "cuda": 4,
    "ops": 4,
    "passes": 5,
    "runtime": 6,
}
# Plain data that kernels and vector functions share.
SHARED = "engine/kernels/epilogue.h"
TAPS = "engine/kernels/taps.h"
# Folders of one level that may not see each other.
FORBIDDEN = {("graph", "onnx"), ("cpu", "ops"), ("graph", "kernels"), ("onnx", "kernels")}
# The runtime knows devices by engine/graph/backend.h alone, and operators know none.
FORBIDDEN |= {("runtime", "cuda"), ("passes", "cuda"), ("ops", "cuda"), ("cpu", "cuda")}
MOST_LINES = 400


def sources() -> list[Path]:
    return sorted([*ENGINE.rglob("*.cc"), *ENGINE.rglob("*.h"), *ENGINE.rglob("*.inl")])


def includes(path: Path) -> list[str]:
    return re.findall(r'#include "([^"]+)"', path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("folder", sorted(LEVELS))
def test_includes_point_down(folder: str) -> None:
    wrong = []
    for path in sources():
        if path.relative_to(ENGINE).parts[0] != folder:
            continue
        for include in includes(path):
            parts = Path(include).parts
            assert parts[0] == "engine", f"{path}: include {include} by its path from the root"
            if include == SHARED:
                continue
            target = parts[1]
            if LEVELS[target] > LEVELS[folder] or (folder, target) in FORBIDDEN:
                wrong.append(f"{path.relative_to(ROOT)} includes {include}")
    assert wrong == []


def test_kernels_include_little() -> None:
    wrong = []
    for path in (ENGINE / "kernels").rglob("*.cc"):
        family = path.parent.relative_to(ROOT).as_posix()
        for include in includes(path):
            if not include.startswith((family, "engine/simd/", SHARED, TAPS)):
                wrong.append(f"{path.relative_to(ROOT)} includes {include}")
    assert wrong == []


def test_kernel_files_name_their_isas() -> None:
    for path in (ENGINE / "kernels").rglob("*.cc"):
        assert path.read_text(encoding="utf-8").startswith("// isas: baseline"), path


@pytest.mark.parametrize("folder", ["tests", "bench"])
def test_every_kernel_file_has_its_test_and_bench(folder: str) -> None:
    names = {path.stem for path in (ENGINE / "kernels").rglob("*.cc")}
    there = {path.stem for path in (ROOT / folder / "kernels").glob("*.cc")}
    assert names - there == set()


def test_only_parallel_has_pragma_omp() -> None:
    found = [p for p in sources() if re.search(r"^\s*#pragma omp", p.read_text(), re.MULTILINE)]
    assert [p.relative_to(ENGINE).as_posix() for p in found] == ["base/parallel.cc"]


def test_only_knobs_reads_the_environment() -> None:
    found = [p for p in sources() if "getenv(" in p.read_text()]
    assert [p.relative_to(ENGINE).as_posix() for p in found] == ["base/knobs.cc"]


def test_library_does_not_print_or_abort() -> None:
    words = re.compile(r"\b(std::cout|std::cerr|printf\(|puts\(|abort\(|std::exit\(|terminate\()")
    found = [p for p in sources() if words.search(p.read_text())]
    assert found == []


def test_x86_intrinsics_stay_in_simd_and_kernels() -> None:
    words = re.compile(r"immintrin\.h|\b_mm(256|512)?_")
    allowed = {"simd", "kernels"}
    found = [p for p in sources() if words.search(p.read_text())]
    assert [p for p in found if p.relative_to(ENGINE).parts[0] not in allowed] == []


def code_files() -> list[Path]:
    found = [*sources(), *(ENGINE / "cuda" / "kernels").iterdir()]
    for folder in ("python", "tools", "bench", "tests", "cmake"):
        for pattern in ("*.py", "*.cc", "*.h"):
            found += (ROOT / folder).rglob(pattern)
    return found


def test_files_are_short() -> None:
    long = []
    for path in code_files():
        lines = path.read_text(encoding="utf-8").count("\n")
        if lines > MOST_LINES:
            long.append(f"{path.relative_to(ROOT)}: {lines} lines")
    assert long == []
