"""Builds what tests run beside the extension and is not part of an ordinary build."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import lanewise

ROOT = Path(__file__).resolve().parents[1]


def build_target(target: str) -> Path:
    """Builds a target by the preset that made the extension, else by `dev`.

    Returns:
        The build folder. Skips the test where there are no tools to build with.
    """
    package = Path(lanewise.__file__).parent
    builds = ROOT / "build"
    preset = package.relative_to(builds).parts[0] if package.is_relative_to(builds) else "dev"
    # pytest may run by its interpreter's path alone: cmake and ninja are beside that.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    for tool in ("cmake", "ninja", "c++"):
        if shutil.which(tool, path=path) is None:
            pytest.skip(f"{tool} is not there to build {target}")

    def run(*command: str) -> None:
        # A sanitizer's runtime is for the interpreter of the tests, not for compilers.
        environment = {k: v for k, v in os.environ.items() if k != "LD_PRELOAD"} | {"PATH": path}
        result = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
        assert result.returncode == 0, result.stdout[-4000:] + result.stderr[-4000:]

    if not (builds / preset / "CMakeCache.txt").exists():
        run("cmake", "--preset", preset, f"-DPython_EXECUTABLE={sys.executable}")
    run("cmake", "--build", "--preset", preset, "--target", target)
    return builds / preset
