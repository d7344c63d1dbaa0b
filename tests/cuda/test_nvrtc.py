"""Every device source compiles for every architecture that is supported; no GPU is needed."""

from __future__ import annotations

import ctypes
import importlib.util
from pathlib import Path

import pytest

KERNELS = Path(__file__).resolve().parents[2] / "engine" / "cuda" / "kernels"
SOURCES = sorted(path.name for path in KERNELS.glob("*.cu"))
ARCHITECTURES = ("sm_75", "sm_80", "sm_90a", "sm_120")


def library() -> Path | None:
    """The compiler in the wheel nvidia-cuda-nvrtc, if that is installed."""
    found = importlib.util.find_spec("nvidia")
    for folder in (found.submodule_search_locations or []) if found else []:
        for path in sorted(Path(folder).glob("*/lib/libnvrtc.so.*")):
            return path
    return None


@pytest.fixture(scope="module")
def nvrtc() -> ctypes.CDLL:
    path = library()
    if path is None:
        pytest.skip("the wheel nvidia-cuda-nvrtc is not installed")
    return ctypes.CDLL(str(path))


def compile_source(nvrtc: ctypes.CDLL, name: str, text: str, architecture: str) -> str:
    """Machine code is made and thrown away; returns the compiler's log, empty when it is content.

    Headers are given by name, as the engine gives them: no folder is searched.
    """
    headers = sorted(KERNELS.glob("*.cuh"))
    texts = (ctypes.c_char_p * len(headers))(*(path.read_bytes() for path in headers))
    names = (ctypes.c_char_p * len(headers))(*(path.name.encode() for path in headers))
    program = ctypes.c_void_p()
    result = nvrtc.nvrtcCreateProgram(
        ctypes.byref(program), text.encode(), name.encode(), len(headers), texts, names
    )
    assert result == 0, f"nvrtcCreateProgram gives {result}"
    arguments = [f"--gpu-architecture={architecture}", "--std=c++17"]
    options = (ctypes.c_char_p * len(arguments))(*(text.encode() for text in arguments))
    result = nvrtc.nvrtcCompileProgram(program, len(arguments), options)
    size = ctypes.c_size_t()
    nvrtc.nvrtcGetProgramLogSize(program, ctypes.byref(size))
    log = ctypes.create_string_buffer(size.value + 1)
    nvrtc.nvrtcGetProgramLog(program, log)
    if result == 0:
        nvrtc.nvrtcGetCUBINSize(program, ctypes.byref(size))
        assert size.value > 0, "there is no machine code"
    nvrtc.nvrtcDestroyProgram(ctypes.byref(program))
    said = log.value.decode()
    return said if result == 0 else said or f"nvrtcCompileProgram gives {result}"


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("source", SOURCES)
def test_source_compiles_without_warnings(
    nvrtc: ctypes.CDLL, source: str, architecture: str
) -> None:
    text = (KERNELS / source).read_text(encoding="utf-8")
    assert compile_source(nvrtc, source, text, architecture) == ""


def test_a_fault_is_told(nvrtc: ctypes.CDLL) -> None:
    text = 'extern "C" __global__ void broken(float* x) { *x = undeclared; }'
    assert "undeclared" in compile_source(nvrtc, "broken.cu", text, "sm_90a")
