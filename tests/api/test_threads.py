"""Many threads on one model, the GIL, fork, and equal bits for any number of threads."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import lanewise as lw
from lanewise.demo.report import data_path


def batch(seed: int, size: int = 3) -> np.ndarray:
    return np.random.default_rng(seed).random((size, 1, 8, 8), dtype=np.float32)


@pytest.mark.parametrize("threads", [1, 2])
def test_run_is_safe_from_many_threads(threads: int) -> None:
    model = lw.load(data_path("digits.onnx"), threads=threads)
    inputs = [batch(seed, 1 + seed % 5) for seed in range(40)]
    wanted = [model(x) for x in inputs]
    fresh = lw.load(data_path("digits.onnx"), threads=threads)  # plans are made under contention
    with ThreadPoolExecutor(8) as pool:
        got = list(pool.map(fresh, inputs * 4))
    for array, want in zip(got, wanted * 4, strict=True):
        np.testing.assert_array_equal(array, want)


def test_same_bits_for_any_number_of_threads() -> None:
    x = np.random.default_rng(1).random((1, 3, 60, 52), dtype=np.float32)
    results = []
    for threads in (1, 2, 3, 8):
        model = lw.load(data_path("superres.onnx"), threads=threads)
        given = model.inputs[0]
        channels = given.shape[1] if given.shape else 1
        results.append(model(x[:, :channels]))  # type: ignore[misc]
    for result in results[1:]:
        np.testing.assert_array_equal(result, results[0])


def test_other_python_threads_run_meanwhile() -> None:
    model = lw.load(data_path("digits.onnx"), threads=1)
    x = batch(0, 2000)
    count = 0
    done = threading.Event()

    def tick() -> None:
        nonlocal count
        while not done.is_set():
            count += 1

    ticker = threading.Thread(target=tick)
    ticker.start()
    for _ in range(5):
        model(x)
    done.set()
    ticker.join()
    assert count > 100


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.skipif(
    "libtsan" in os.environ.get("LD_PRELOAD", ""),
    reason="ThreadSanitizer cannot start threads after a fork",
)
@pytest.mark.filterwarnings("ignore:.*fork.*")
def test_works_after_fork() -> None:
    model = lw.load(data_path("digits.onnx"), threads=2)
    x = batch(7, 64)
    want = model(x)
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        ok = np.array_equal(model(x), want)
        os.write(write, b"y" if ok else b"n")
        os._exit(0)
    os.close(write)
    assert os.read(read, 1) == b"y"
    assert os.waitpid(child, 0)[1] == 0
    np.testing.assert_array_equal(model(x), want)
