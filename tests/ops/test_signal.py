"""DFT, STFT and window functions against NumPy in float64."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.ops.one_node import ISAS, fails, reference, run

Array = NDArray[Any]
LENGTHS = [1, 2, 3, 4, 5, 6, 7, 11, 13, 16, 17, 31, 32, 33, 60, 64, 97, 100, 143, 256, 360, 1001,
           1009, 1024, 2310, 4099, 16384]  # fmt: skip


def complex_of(x: Array) -> Array:
    """The last dimension's pairs as complex128."""
    wide = x.astype(np.float64)
    return np.asarray(wide[..., 0] + (1j * wide[..., 1] if x.shape[-1] == 2 else 0))


def check(got: Array, exact: Array, length: int) -> None:
    """Each line's error is within c * eps * log2(n) of its norm (Higham, section 24.1)."""
    dtype = got.dtype
    error = np.linalg.norm(complex_of(got) - exact, axis=-1)
    bound = 4 * np.finfo(dtype).eps * (1 + np.log2(length)) * np.linalg.norm(exact, axis=-1)
    assert np.all(error <= bound + 1e-300), float((error / (bound + 1e-300)).max())


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("n", LENGTHS)
def test_every_length(n: int, isa: str) -> None:
    rng = np.random.default_rng(n)
    for dtype in (np.float32, np.float64):
        for lines in (1, 19):  # alone, and side by side with a rest
            x = rng.normal(size=(lines, n, 2)).astype(dtype)
            exact = np.fft.fft(complex_of(x), axis=1)
            check(run("DFT", [x], isa=isa), exact, n)
            back = run("DFT", [x], isa=isa, inverse=1)
            check(back, np.fft.ifft(complex_of(x), axis=1), n)


@pytest.mark.parametrize("axis", [0, 1, 2, -2, -4])
@pytest.mark.parametrize("length", [None, 5, 12, 40])
@pytest.mark.parametrize("onesided", [0, 1])
def test_axes_lengths_and_real_signals(axis: int, length: int | None, onesided: int) -> None:
    rng = np.random.default_rng(3)
    x = rng.normal(size=(9, 6, 20, 1)).astype(np.float32)
    size = None if length is None else np.array(length, np.int64)
    inputs = [x, size, np.array(axis, np.int64)]
    got = run("DFT", inputs, onesided=onesided)
    at = axis % 4
    exact = np.fft.fft(complex_of(x), n=length, axis=at)
    if onesided:
        exact = np.take(exact, np.arange(exact.shape[at] // 2 + 1), axis=at)
    assert got.shape == (*exact.shape, 2)
    np.testing.assert_allclose(complex_of(got), exact, rtol=0, atol=2e-5)


@pytest.mark.parametrize("length", [None, 2, 7, 8, 30, 64])
def test_inverse_of_a_one_sided_transform_is_real(length: int | None) -> None:
    rng = np.random.default_rng(4)
    x = rng.normal(size=(3, 17, 2)).astype(np.float64)
    got = run("DFT", [x, None if length is None else np.array(length)], inverse=1, onesided=1)
    exact = np.fft.irfft(complex_of(x), n=length, axis=1)
    assert got.shape == (*exact.shape, 1)
    np.testing.assert_allclose(got[..., 0], exact, rtol=0, atol=1e-14)


def test_threads_and_neighbours_change_no_bit() -> None:
    rng = np.random.default_rng(5)
    x = rng.normal(size=(40, 120, 2)).astype(np.float32)
    whole = run("DFT", [x], threads=1)
    np.testing.assert_array_equal(run("DFT", [x], threads=3), whole)
    np.testing.assert_array_equal(run("DFT", [x[7:8]]), whole[7:8])


def test_opset_17_had_the_axis_as_an_attribute() -> None:
    x = np.random.default_rng(6).normal(size=(2, 5, 3, 1)).astype(np.float32)
    got = run("DFT", [x], opset=17, axis=2)
    np.testing.assert_allclose(complex_of(got), np.fft.fft(x[..., 0], axis=2), atol=1e-5)


@pytest.mark.parametrize("complex_signal", [False, True])
@pytest.mark.parametrize("windowed", [False, True])
@pytest.mark.parametrize(("length", "step"), [(16, 4), (25, 10), (128, 128), (1, 1)])
def test_stft(complex_signal: bool, windowed: bool, length: int, step: int) -> None:
    rng = np.random.default_rng(8)
    for dtype in (np.float32, np.float64):
        x = rng.normal(size=(3, 128, 2 if complex_signal else 1)).astype(dtype)
        window = rng.uniform(0.1, 1, length).astype(dtype) if windowed else None
        got = run("STFT", [x, np.array(step), window, np.array(length)],
                  onesided=0 if complex_signal else 1)  # fmt: skip
        starts = np.arange(0, 128 - length + 1, step)
        frames = complex_of(x)[:, starts[:, None] + np.arange(length)]
        if window is not None:
            frames = frames * window.astype(np.float64)
        exact = np.fft.fft(frames, axis=-1)[..., : None if complex_signal else length // 2 + 1]
        np.testing.assert_allclose(complex_of(got), exact, rtol=0, atol=60 * np.finfo(dtype).eps)


@pytest.mark.parametrize("op", ["HannWindow", "HammingWindow", "BlackmanWindow"])
@pytest.mark.parametrize("periodic", [0, 1])
@pytest.mark.parametrize("code", [1, 10, 11, 16])
def test_windows(op: str, periodic: int, code: int) -> None:
    for size in (0, 1, 2, 9, 64):
        count = np.array(size, np.int32)
        got = run(op, [count], periodic=periodic, output_datatype=code)
        assert got.shape == (size,)
        if size > 1:
            exact = reference(op, [count], periodic=periodic, output_datatype=11)
            eps = {1: 2e-7, 10: 1e-3, 11: 1e-15, 16: 8e-3}[code]
            np.testing.assert_allclose(got.astype(np.float64), exact, rtol=eps, atol=eps / 8)


@pytest.mark.parametrize(("bands", "length", "rate"), [(8, 16, 8192), (40, 512, 16000), (1, 2, 2)])
def test_mel_weights(bands: int, length: int, rate: int) -> None:
    inputs = [np.array(bands), np.array(length), np.array(rate),
              np.array(0, np.float32), np.array(rate / 2, np.float32)]  # fmt: skip
    np.testing.assert_allclose(run("MelWeightMatrix", inputs), reference("MelWeightMatrix", inputs))


def test_zero_sizes() -> None:
    assert run("DFT", [np.zeros((0, 8, 1), np.float32)]).shape == (0, 8, 2)
    assert run("STFT", [np.zeros((0, 8, 1), np.float32), np.array(2)]).shape == (0, 1, 5, 2)


def test_faults_are_named() -> None:
    x = np.zeros((2, 4, 1), np.float32)
    fails("DFT", [x[..., 0]], "[..., 1] (real) or [..., 2]")
    fails("DFT", [x, np.array(0)], "the DFT length is 0")
    fails("DFT", [x, None, np.array(2)], "axis 2 is outside the signal's dimensions")
    fails("DFT", [x], "needs a complex input", inverse=1, onesided=1)
    fails("STFT", [x, np.array(0)], "the frame step is 0")
    fails("STFT", [x, np.array(1), None, np.array(5)], "do not fit a signal of 4")
    fails("STFT", [x, np.array(1), np.zeros(3, np.float32), np.array(4)], "the window has 3")
    fails("HannWindow", [np.array(-1)], "input 0 is -1")
    fails("HannWindow", [np.array(3)], "output_datatype", output_datatype=8)
