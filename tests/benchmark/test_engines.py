"""What engines refuse, and how they are asked for a GPU, without one."""

from __future__ import annotations

import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lanewise as lw
from lanewise.benchmark import engines
from lanewise.benchmark.cases import ALL_THREADS, combine, thread_counts
from lanewise.benchmark.engines import ENGINES, Feed, Setup, difference
from lanewise.demo.report import data_path
from lanewise.machine import default_threads

DIGITS = Path(data_path("digits.onnx"))
FEED: Feed = {"image": np.random.default_rng(0).random((3, 1, 8, 8), np.float32)}


@pytest.mark.parametrize(
    ("name", "device", "precision", "reason"),
    [
        ("lanewise", "cpu", "float32", None),
        ("lanewise", "cuda", "bfloat16", None),
        ("lanewise", "cpu", "float16", "lanewise runs on cpu in float32 only"),
        ("onnxruntime", "cuda:1", "tf32", None),
        ("onnxruntime", "cuda", "float16", "onnxruntime runs on cuda in float32, tf32 only"),
        ("openvino", "cuda", "float32", "openvino has no form for cuda here"),
        ("torch", "cuda", "float16", None),
    ],
)
def test_refusals(name: str, device: str, precision: str, reason: str | None) -> None:
    assert ENGINES[name].refusal(Setup(1, device, precision)) == reason


def test_combinations() -> None:
    pytest.importorskip("onnxruntime")
    cases, remarks = combine(
        ["cpu", "cuda"], [1, 2], ["float32", "float16"], ["onnxruntime"], [("isa", None)]
    )
    assert [case.label for case in cases] == [
        "lanewise cpu, 1 thread",
        "lanewise cpu, 2 threads",
        "lanewise cuda float32",
        "lanewise cuda float16",
        "onnxruntime cpu, 1 thread",
        "onnxruntime cpu, 2 threads",
        "onnxruntime cuda float32",
    ]
    assert remarks == ["onnxruntime is left out: onnxruntime runs on cuda in float32, tf32 only"]
    assert {case.setup.options for case in cases} == {(("isa", None),)}
    with pytest.raises(lw.InputError, match="no engine is called 'tensorzip'"):
        combine(["cpu"], [1], ["float32"], ["tensorzip"])


def test_thread_counts_are_not_repeated() -> None:
    every = default_threads()
    assert thread_counts(None) == [every]
    assert thread_counts([every, ALL_THREADS]) == [every]
    assert thread_counts([every + 1, ALL_THREADS]) == [every + 1, every]


def fake_onnxruntime(providers: list[str], opened: list[str]) -> tuple[Any, list[Any]]:
    """A module that has some providers and opens some; and the requests it got."""
    asked: list[Any] = []

    def session(file: str, options: Any, providers: list[Any]) -> Any:
        asked.append(providers)
        return types.SimpleNamespace(get_providers=lambda: opened, get_outputs=list)

    levels = types.SimpleNamespace(ORT_ENABLE_ALL=99, ORT_SEQUENTIAL=0)
    return types.SimpleNamespace(
        SessionOptions=types.SimpleNamespace,
        GraphOptimizationLevel=levels,
        ExecutionMode=levels,
        InferenceSession=session,
        get_available_providers=lambda: providers,
    ), asked


@pytest.mark.parametrize(("precision", "tf32"), [("float32", "0"), ("tf32", "1")])
def test_onnxruntime_is_asked_for_the_gpu(
    precision: str, tf32: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    module, asked = fake_onnxruntime(both, both)
    monkeypatch.setattr(engines.importlib, "import_module", lambda name: module)
    loaded = ENGINES["onnxruntime"].load(DIGITS, FEED, Setup(None, "cuda:1", precision))
    assert loaded.resident is not None
    (name, options), fallback = asked[0]
    assert (name, fallback) == tuple(both)
    assert options["device_id"] == "1" and options["use_tf32"] == tf32


def test_onnxruntime_never_falls_back_in_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    only = ["CPUExecutionProvider"]
    for has, opens, why in [
        (only, only, "this onnxruntime has no CUDA"),
        (["CUDAExecutionProvider", *only], only, "could not open its CUDA provider"),
    ]:
        module, _ = fake_onnxruntime(has, opens)
        monkeypatch.setattr(engines.importlib, "import_module", lambda name, m=module: m)
        with pytest.raises(RuntimeError, match=why):
            ENGINES["onnxruntime"].load(DIGITS, FEED, Setup(None, "cuda"))


def test_bound_calls_of_onnxruntime_run() -> None:
    """On the CPU, where the call that keeps data on a device can be run as well."""
    ort = pytest.importorskip("onnxruntime")
    session = ort.InferenceSession(str(DIGITS), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    binding: list[Any] = []
    original = session.run_with_iobinding
    session.run_with_iobinding = lambda b: (binding.append(b), original(b))
    engines.bound(session, names, "cpu", FEED)()
    found = dict(zip(names, binding[0].copy_outputs_to_cpu(), strict=True))
    want = dict(zip(names, session.run(names, FEED), strict=True))
    assert difference(found, want) == 0.0


def test_openvino_and_lanewise_agree() -> None:
    pytest.importorskip("openvino")
    found, want = (
        ENGINES[name].load(DIGITS, FEED, Setup(1)).run(FEED) for name in ("openvino", "lanewise")
    )
    assert 0 <= difference(found, want) < 1e-4
