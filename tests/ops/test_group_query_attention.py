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


@pytest.mark.parametrize(("batch", "rows", "past"), [(2, 7, 0), (2, 1, 9)])
@pytest.mark.parametrize("sinks", [False, True])
def test_sinks(batch: int, rows: int, past: int, sinks: bool) -> None:
    inputs = operands(batch, rows, past, False, True)
    if sinks:
        inputs += [None, None, normal(np.random.default_rng(3), N)]
    check(inputs, do_rotary=1, smooth_softmax=0 if sinks else 1, local_window_size=4)


@pytest.mark.parametrize("show", [1, 2])
@pytest.mark.parametrize("window", [-1, 3])
@pytest.mark.parametrize(("batch", "rows", "past"), [(2, 7, 0), (2, 1, 9), (1, 3, 8)])
def test_scores_are_shown(show: int, window: int, batch: int, rows: int, past: int) -> None:
    inputs = operands(batch, rows, past, False, False)
    added = normal(np.random.default_rng(5), 1, N, rows, rows + past)
    compare("GroupQueryAttention", [*inputs, None, None, None, added], outputs=4, num_heads=N,
            kv_num_heads=G, qk_output=show, local_window_size=window, softcap=1.5)  # fmt: skip


@pytest.mark.parametrize("bits", [8, 4])
@pytest.mark.parametrize("mode", ["PER_TENSOR", "PER_CHANNEL"])
@pytest.mark.parametrize(("batch", "rows", "past"), [(1, 5, 0), (2, 1, 6), (1, 3, 4)])
def test_quantised_caches(bits: int, mode: str, batch: int, rows: int, past: int) -> None:
    inputs = operands(batch, rows, past, False, True)
    rng = np.random.default_rng(bits)
    kind, width = (np.int8, H) if bits == 8 else (np.uint8, H // 2)
    low, high = (-128, 128) if bits == 8 else (0, 256)
    for i in (3, 4):
        inputs[i] = rng.integers(low, high, (batch, G, past, width)).astype(kind)
    shape = (1,) if mode == "PER_TENSOR" else (1, G, 1, H)
    scales = [rng.uniform(0.02, 0.04, shape).astype(np.float32) * (1 if bits == 8 else 10)
              for _ in range(2)]  # fmt: skip
    check([*inputs, None, None, None, *scales], do_rotary=1, kv_cache_bit_width=bits,
          k_quant_type=mode, v_quant_type=mode)  # fmt: skip


@pytest.mark.parametrize("capacity", [3, 5, 8])
@pytest.mark.parametrize("biased", [False, True])
def test_windowed_caches(capacity: int, biased: bool) -> None:
    """A prompt and steps of one and more tokens, each from the caches that the last one gave."""
    rng = np.random.default_rng(capacity)
    cache = [np.zeros((1, G, capacity, H), np.float32)] * 2
    tables = operands(1, 1, 0, False, True)[7:9]
    total = 0
    for rows in (4, 1, 1, 2, 1, 6, 1, 1):
        total += rows
        fresh = [normal(rng, 1, rows, width) for width in (N * H, G * H, G * H)]
        inputs = [*fresh, *cache, np.array([total - 1], np.int32), np.array(total, np.int32),
                  *tables, None, normal(rng, 1, 1, rows, total) if biased else None]  # fmt: skip
        options = {"num_heads": N, "kv_num_heads": G, "do_rotary": 1, "local_window_size": 3,
                   "sliding_window_cache": 1}  # fmt: skip
        model = model_of("GroupQueryAttention", inputs, 3, (), **options)
        feeds = {f"x{i}": x for i, x in enumerate(inputs) if x is not None}
        want = ort.InferenceSession(model.SerializeToString()).run(None, feeds)
        got = list(lw.load(model).run(feeds).values())
        freed = capacity - 2
        over = max(0, -(-(total - capacity) // freed))
        held = total - over * freed  # rows past these are not defined
        np.testing.assert_allclose(got[0], want[0], rtol=0, atol=1e-5)
        for i in (1, 2):
            np.testing.assert_allclose(got[i][:, :, :held], want[i][:, :, :held], atol=1e-6)
        cache = got[1:]


def test_normalised_heads() -> None:
    """Heads divided by their root mean square give what normalised inputs do."""
    inputs = operands(2, 3, 0, False, True)
    rng = np.random.default_rng(4)
    weights = [rng.uniform(0.5, 1.5, H).astype(np.float32) for _ in range(2)]

    def run(given: list[Array | None], **more: Any) -> list[Array]:
        options = {"num_heads": N, "kv_num_heads": G, "do_rotary": 1} | more
        model = model_of("GroupQueryAttention", given, 3, (), **options)
        feeds = {f"x{i}": x for i, x in enumerate(given) if x is not None}
        return list(lw.load(model).run(feeds).values())

    got = run([*inputs, *[None] * 5, *weights], qk_norm_epsilon=1e-3)
    for i, weight in enumerate(weights):
        x = inputs[i]
        assert x is not None
        heads = x.reshape(2, 3, -1, H)
        root = np.sqrt((heads.astype(np.float64) ** 2).mean(-1, keepdims=True) + 1e-3)
        inputs[i] = (heads / root * weight).astype(np.float32).reshape(x.shape)
    for a, b in zip(got, run(inputs), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


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
    fails(step, lw.ModelError, "'qk_output' is 3", qk_output=3)
    odd = {"k_quant_type": "ODD", "v_quant_type": "ODD"}
    fails(step, lw.ModelError, "expected NONE, PER_TENSOR", **odd)
    fails(step, lw.ModelError, "must both be NONE", v_quant_type="NONE", k_quant_type="PER_TENSOR")
    fails(step, lw.ModelError, "local_window_size of 1 or more", sliding_window_cache=1)
    norms = [*step, *[None] * 7, np.ones(H, np.float32)]
    fails(norms, lw.ModelError, "q_norm_weight and k_norm_weight")
    fails([*step[:5], np.array([7, 4], np.int32), step[6]], lw.ModelError, "seqlens_k has 7")
    fails([*step[:6], np.array(0, np.int32)], lw.ModelError, "total_sequence_length is 0")
    fails([step[0], None, *step[2:]], lw.ModelError, "together")
