"""com.microsoft's GroupQueryAttention and RotaryEmbedding against ONNX Runtime."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import lanewise as lw
from tests.ops.one_node import Array

pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")

from tests.ops.test_contrib import compare, model_of, normal, ort

N, G, H = 6, 2, 16  # heads of queries, heads of keys, head size


def operands(batch: int, rows: int, past: int, packed: bool, rotary: bool) -> list[Array | None]:
    """Of a step whose samples all have `past` rows in their caches."""
    rng = np.random.default_rng(rows)
    widths = [N * H, G * H, G * H]
    fresh: list[Array | None] = (
        [normal(rng, batch, rows, sum(widths)), None, None]
        if packed
        else [normal(rng, batch, rows, w) for w in widths]
    )
    angles = rng.uniform(-3, 3, (40, H // 2))
    tables = [np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)]
    caches = [normal(rng, batch, G, past, H) for _ in range(2)]
    total = past + rows
    return [
        *fresh, *(caches if past else (None, None)),
        np.full(batch, total - 1, np.int32), np.array(total, np.int32),
        *(tables if rotary else ()),
    ]  # fmt: skip


def check(inputs: list[Array | None], **attributes: Any) -> None:
    compare("GroupQueryAttention", inputs, outputs=3, num_heads=N, kv_num_heads=G, **attributes)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("rotary", [False, True])
@pytest.mark.parametrize(("batch", "rows", "past"), [(2, 7, 0), (2, 1, 9), (1, 3, 8), (1, 1, 0)])
def test_steps(packed: bool, rotary: bool, batch: int, rows: int, past: int) -> None:
    check(operands(batch, rows, past, packed, rotary), do_rotary=int(rotary))


@pytest.mark.parametrize("window", [1, 3, 20])
@pytest.mark.parametrize("past", [0, 6])
def test_windows(window: int, past: int) -> None:
    check(operands(1, 5, past, False, True), do_rotary=1, rotary_interleaved=1,
          local_window_size=window, softcap=2.0, scale=0.3)  # fmt: skip


def test_samples_of_different_lengths() -> None:
    inputs = operands(2, 1, 9, False, True)
    inputs[5] = np.array([4, 9], np.int32)
    model = model_of("GroupQueryAttention", inputs, 3, (), num_heads=N, kv_num_heads=G, do_rotary=1)
    feeds = {f"x{i}": x for i, x in enumerate(inputs) if x is not None}
    want = ort.InferenceSession(model.SerializeToString()).run(None, feeds)
    got = lw.load(model).run(feeds)
    np.testing.assert_allclose(got["y0"], want[0], rtol=0, atol=1e-5)
    for i in (1, 2):
        for sample, length in enumerate((5, 10)):
            np.testing.assert_allclose(
                got[f"y{i}"][sample, :, :length], want[i][sample, :, :length], rtol=0, atol=1e-6
            )


def test_scores_with_a_bias() -> None:
    inputs = operands(2, 4, 0, False, False)
    rng = np.random.default_rng(9)
    check([*inputs, None, None, None, normal(rng, 1, N, 4, 4)])


@pytest.mark.parametrize("interleaved", [0, 1])
@pytest.mark.parametrize("first", [False, True])
def test_rotary_embedding(interleaved: int, first: bool) -> None:
    rng = np.random.default_rng(1)
    angles = rng.uniform(-3, 3, (12, 4))
    tables = [np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)]
    positions = np.array([3]) if first else rng.integers(0, 12, (2, 5))
    for x in (normal(rng, 2, 5, 24), normal(rng, 2, 3, 5, 8)):
        compare("RotaryEmbedding", [x, positions, *tables], interleaved=interleaved)


def test_errors() -> None:
    def fails(inputs: list[Array | None], error: type[Exception], match: str, **more: Any) -> None:
        options = {"num_heads": N, "kv_num_heads": G} | more
        model = model_of("GroupQueryAttention", inputs, 3, (), **options)
        with pytest.raises(error, match=match):
            lw.load(model).run({f"x{i}": x for i, x in enumerate(inputs) if x is not None})

    step = operands(2, 1, 4, False, False)
    fails(step, lw.ModelError, "a multiple of the second", num_heads=5)
    fails(step, lw.ModelError, "needs cos_cache", do_rotary=1)
    fails(step, lw.UnsupportedError, "smooth_softmax", smooth_softmax=1)
    fails([*step[:5], np.array([7, 4], np.int32), step[6]], lw.ModelError, "seqlens_k has 7")
    fails([*step[:6], np.array(0, np.int32)], lw.ModelError, "total_sequence_length is 0")
    fails([step[0], None, *step[2:]], lw.ModelError, "together")
