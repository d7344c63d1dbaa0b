"""com.microsoft's Attention and MultiHeadAttention against ONNX Runtime."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import lanewise as lw
from tests.ops.one_node import Array

pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")

from tests.ops.test_contrib import compare, model_of, normal, ort

B, S, T, N, H = 2, 5, 9, 3, 8


def padding(form: str, keys: int, rng: np.random.Generator) -> Array | None:
    lengths = np.array([keys - 3, keys], np.int32)
    if form == "lengths":
        return lengths
    if form == "ends and begins":
        return np.concatenate([lengths, np.array([1, 2], np.int32)])
    if form == "keys":
        return (np.arange(keys) < lengths[:, None]).astype(np.int32)
    if form == "queries and keys":
        return (rng.random((B, S, keys)) < 0.7).astype(np.int32)
    return None


@pytest.mark.parametrize("form", ["none", "lengths", "ends and begins", "keys", "queries and keys"])
@pytest.mark.parametrize("causal", [0, 1])
def test_attention(form: str, causal: int) -> None:
    rng = np.random.default_rng(1)
    inputs = [normal(rng, B, S, 12), normal(rng, 12, 3 * N * H, size=0.3), normal(rng, 3 * N * H),
              padding(form, S, rng)]  # fmt: skip
    compare("Attention", inputs, num_heads=N, unidirectional=causal)


def test_attention_with_past() -> None:
    rng = np.random.default_rng(2)
    inputs: list[Array | None] = [
        normal(rng, B, S, 12), normal(rng, 12, 3 * N * H, size=0.3), normal(rng, 3 * N * H),
        padding("keys", S + 4, rng), normal(rng, 2, B, N, 4, H),
    ]  # fmt: skip
    compare("Attention", inputs, outputs=2, num_heads=N, unidirectional=1)


def test_attention_with_sizes_and_bias() -> None:
    rng = np.random.default_rng(3)
    inputs: list[Array | None] = [
        normal(rng, B, S, 12), normal(rng, 12, 2 * N * H + N * 4, size=0.3),
        normal(rng, 2 * N * H + N * 4), None, None, normal(rng, B, N, S, S),
    ]  # fmt: skip
    compare("Attention", inputs, num_heads=N, qkv_hidden_sizes=[N * H, N * H, N * 4], scale=0.2)


@pytest.mark.parametrize("form", ["none", "lengths", "keys", "queries and keys"])
@pytest.mark.parametrize("added", [None, (B, N, S, T), (1, N, S, T), (B, 1, S, T)])
@pytest.mark.parametrize("bias", [False, True])
def test_multi_head_attention(form: str, added: tuple[int, ...] | None, bias: bool) -> None:
    rng = np.random.default_rng(4)
    inputs: list[Array | None] = [
        normal(rng, B, S, N * H), normal(rng, B, T, N * H), normal(rng, B, T, N * 6),
        normal(rng, N * (2 * H + 6)) if bias else None,
        padding(form, T, rng), normal(rng, *added) if added else None,
    ]  # fmt: skip
    compare("MultiHeadAttention", inputs, num_heads=N, mask_filter_value=-1e4)


def test_multi_head_attention_with_past() -> None:
    rng = np.random.default_rng(5)
    inputs: list[Array | None] = [
        *(normal(rng, B, S, N * H) for _ in range(3)), normal(rng, 3 * N * H), None, None,
        normal(rng, B, N, 4, H), normal(rng, B, N, 4, H),
    ]  # fmt: skip
    compare("MultiHeadAttention", inputs, outputs=3, num_heads=N, unidirectional=1)


@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize("causal", [0, 1])
def test_caches_of_fixed_size(rows: int, causal: int) -> None:
    """Rows past those that are used are as the caller's in ONNX Runtime, and zero here."""
    rng = np.random.default_rng(8)
    size, used = 10, 4
    fresh = [normal(rng, B, rows, N * H) for _ in range(3)]
    caches = [normal(rng, B, N, size, H) for _ in range(2)]
    for cache in caches:
        cache[:, :, used:] = 0
    inputs: list[Array | None] = [
        *fresh, None, None, None, *caches, np.array([used], np.int32)
    ]  # fmt: skip
    compare("MultiHeadAttention", inputs, outputs=3, num_heads=N, unidirectional=causal)
    inputs[8] = np.array([8 if rows == 3 else 10], np.int32)
    model = model_of("MultiHeadAttention", inputs, 3, (), num_heads=N)
    with pytest.raises(lw.ModelError, match="does not fit a cache of 10"):
        lw.load(model).run({f"x{i}": x for i, x in enumerate(inputs) if x is not None})


def test_attention_with_a_cache_of_fixed_size() -> None:
    rng = np.random.default_rng(9)
    inputs: list[Array | None] = [
        normal(rng, B, 2, 12), normal(rng, 12, 3 * N * H, size=0.3), normal(rng, 3 * N * H),
        None, normal(rng, 2, B, N, 3, H), None, np.array([3], np.int32),
    ]  # fmt: skip
    plain = model_of("Attention", inputs[:5], 2, (), num_heads=N, unidirectional=1)
    wide = np.zeros((2, B, N, 8, H), np.float32)
    assert inputs[4] is not None
    wide[:, :, :, :3] = inputs[4]
    shared = model_of("Attention", [*inputs[:4], wide, *inputs[5:]], 2, (), num_heads=N,
                      unidirectional=1, past_present_share_buffer=1)  # fmt: skip
    feeds = {f"x{i}": x for i, x in enumerate(inputs) if x is not None}
    want = lw.load(plain).run({k: v for k, v in feeds.items() if k != "x6"})
    got = lw.load(shared).run({**feeds, "x4": wide})
    np.testing.assert_array_equal(got["y0"], want["y0"])
    np.testing.assert_array_equal(got["y1"][:, :, :, :5], want["y1"])
    assert not got["y1"][:, :, :, 5:].any()


@pytest.mark.parametrize("causal", [0, 1])
def test_scores_are_shown(causal: int) -> None:
    rng = np.random.default_rng(10)
    inputs: list[Array | None] = [
        *(normal(rng, B, S, N * H) for _ in range(3)), None, None, normal(rng, B, N, S, S)
    ]  # fmt: skip
    model = model_of("MultiHeadAttention", inputs, 4, (), num_heads=N, unidirectional=causal)
    for output in model.graph.output:  # whose type ONNX Runtime does not infer
        output.type.tensor_type.elem_type = 1
    feeds = {f"x{i}": x for i, x in enumerate(inputs) if x is not None}
    want = ort.InferenceSession(model.SerializeToString()).run(None, feeds)
    got = lw.load(model).run(feeds)
    for i, expected in enumerate(want):
        np.testing.assert_allclose(got[f"y{i}"], expected, rtol=1e-5, atol=2e-5)


def test_packed_forms_are_the_plain_one() -> None:
    rng = np.random.default_rng(6)
    q, k, v = (normal(rng, B, S, N, H) for _ in range(3))

    def run(*inputs: Array) -> Any:
        model = model_of("MultiHeadAttention", list(inputs), 1, (), num_heads=N)
        return lw.load(model).run({f"x{i}": x for i, x in enumerate(inputs)})["y0"]

    plain = [x.reshape(B, S, N * H) for x in (q, k, v)]
    expected = run(*plain)
    assert np.array_equal(run(np.stack([q, k, v], axis=3)), expected)
    assert np.array_equal(run(plain[0], np.stack([k, v], axis=3)), expected)
    heads = [np.ascontiguousarray(x.transpose(0, 2, 1, 3)) for x in (k, v)]
    assert np.array_equal(run(plain[0], *heads), expected)


def test_errors() -> None:
    x = np.zeros((B, S, 24), np.float32)
    for inputs, match, heads in (
        ([x, x, x], "does not divide into 5 heads", 5),
        ([x, x, x[:1]], "have shapes", 3),
        ([x], "have shapes", 3),
        ([x, x, x, None, np.zeros((B, 2), np.int32)], "must have shape", 3),
        ([x, x, x, None, None, np.zeros((B, 2, S, S), np.float32)], "must have shape", 3),
    ):
        model = model_of("MultiHeadAttention", list(inputs), 1, (), num_heads=heads)
        with pytest.raises(lw.ModelError, match=match):
            lw.load(model).run({f"x{i}": a for i, a in enumerate(inputs) if a is not None})


@pytest.mark.parametrize("op", ["MultiHeadAttention", "SkipLayerNormalization", "FusedMatMul"])
def test_half_precision_rounds_once(op: str) -> None:
    rng = np.random.default_rng(7)
    x = [normal(rng, B, 24, 24).astype(np.float16) for _ in range(3)]
    inputs: list[Array] = x[:2] if op == "FusedMatMul" else x
    if op == "SkipLayerNormalization":
        inputs[2] = normal(rng, 24).astype(np.float16)
    options: Any = {"num_heads": N} if op == "MultiHeadAttention" else {}

    def run(dtype: Any) -> Array:
        given = [a.astype(dtype) for a in inputs]
        model = model_of(op, given, 1, (), **options)
        y: Array = lw.load(model).run({f"x{i}": a for i, a in enumerate(given)})["y0"]
        assert y.dtype == dtype
        return y

    np.testing.assert_array_equal(run(np.float16), run(np.float32).astype(np.float16))
