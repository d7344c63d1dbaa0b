"""LinearAttention, CausalConvWithState, RotaryEmbedding, TensorScatter and SwiGLU."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.ops.one_node import ISAS, Array, fails, reference, run

F64 = NDArray[np.float64]


def normal(rng: np.random.Generator, *shape: int) -> NDArray[np.float32]:
    return rng.normal(0, 0.5, shape).astype(np.float32)


def linear_attention(inputs: list[Array | None], q_heads: int, heads: int) -> tuple[F64, F64]:
    """The recurrence of the specification, one token after the other, in float64."""
    wide: list[Any] = [None if x is None else x.astype(np.float64) for x in inputs]
    q, k, v, past, decay, beta = wide + [None] * (6 - len(wide))
    batches, tokens, _ = q.shape
    q = q.reshape(batches, tokens, q_heads, -1)
    k = k.reshape(batches, tokens, heads, -1)
    v = v.reshape(batches, tokens, heads, -1)
    state = np.zeros((batches, heads, k.shape[3], v.shape[3])) if past is None else past.copy()
    out = np.zeros((batches, tokens, q_heads, v.shape[3]))
    for t in range(tokens):
        if decay is not None:
            state = state * np.exp(decay[:, t].reshape(batches, heads, -1, 1))
        update = v[:, t]
        if beta is not None:
            seen = np.einsum("bhdm,bhd->bhm", state, k[:, t])
            update = beta[:, t][..., None] * (update - seen)
        state = state + k[:, t][..., None] * update[:, :, None, :]
        read = np.repeat(state, q_heads // heads, axis=1)
        out[:, t] = np.einsum("bhd,bhdm->bhm", q[:, t], read) / np.sqrt(k.shape[3])
    return out.reshape(batches, tokens, -1), state


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize(
    ("rule", "q_heads", "heads", "size", "value_size", "tokens"),
    [
        ("linear", 2, 2, 5, 3, 4),
        ("gated", 4, 2, 16, 64, 9),
        ("delta", 3, 1, 8, 83, 6),
        ("gated_delta", 2, 2, 32, 150, 5),
        ("gated_delta", 1, 1, 1, 1, 1),
    ],
)
@pytest.mark.parametrize("past", [False, True])
def test_linear_attention(
    isa: str, rule: str, q_heads: int, heads: int, size: int, value_size: int, tokens: int,
    past: bool,
) -> None:  # fmt: skip
    rng = np.random.default_rng(tokens)
    inputs: list[Array | None] = [
        normal(rng, 2, tokens, q_heads * size),
        normal(rng, 2, tokens, heads * size),
        normal(rng, 2, tokens, heads * value_size),
        normal(rng, 2, heads, size, value_size) if past else None,
        -np.abs(normal(rng, 2, tokens, heads * (size if past else 1))) if "gated" in rule else None,
        rng.random((2, tokens, heads if past else 1)).astype(np.float32)
        if "delta" in rule
        else None,
    ]
    options: Any = {"update_rule": rule, "q_num_heads": q_heads, "kv_num_heads": heads}
    y, state = run("LinearAttention", inputs, isa=isa, outputs=2, **options)
    expected, expected_state = linear_attention(inputs, q_heads, heads)
    np.testing.assert_allclose(y, expected, rtol=0, atol=2e-5)
    np.testing.assert_allclose(state, expected_state, rtol=0, atol=2e-5)
    again = run("LinearAttention", inputs, isa=isa, outputs=2, threads=3, **options)
    assert again[0].tobytes() == y.tobytes()


def test_linear_attention_keeps_the_state_in_its_own_type() -> None:
    rng = np.random.default_rng(1)
    q, k, v = (normal(rng, 1, 3, 8).astype(np.float16) for _ in range(3))
    options: Any = {"update_rule": "linear", "q_num_heads": 2, "kv_num_heads": 2}
    y, state = run("LinearAttention", [q, k, v, normal(rng, 1, 2, 4, 4)], outputs=2, **options)
    assert (y.dtype, state.dtype) == (np.float16, np.float32)


def test_linear_attention_errors() -> None:
    x = np.zeros((1, 2, 8), np.float32)
    heads: Any = {"q_num_heads": 2, "kv_num_heads": 2}
    fails("LinearAttention", [x, x, x], "'decay' must be given", outputs=2, **heads)
    fails("LinearAttention", [x, x, x], "'update_rule' is 'other'", outputs=2,
          update_rule="other", **heads)  # fmt: skip
    fails("LinearAttention", [x, x, x], "a multiple of the second", outputs=2,
          q_num_heads=2, kv_num_heads=3)  # fmt: skip


@pytest.mark.parametrize("length", [0, 1, 2, 5, 40])
@pytest.mark.parametrize("taps", [1, 2, 4])
@pytest.mark.parametrize("past", [False, True])
def test_causal_conv(length: int, taps: int, past: bool) -> None:
    rng = np.random.default_rng(length)
    x, w, b = normal(rng, 2, 7, length), normal(rng, 7, 1, taps), normal(rng, 7)
    old = normal(rng, 2, 7, taps - 1) if past else np.zeros((2, 7, taps - 1), np.float32)
    y, state = run("CausalConvWithState", [x, w, b, old if past else None], outputs=2,
                   activation="silu")  # fmt: skip
    padded = np.concatenate([old, x], axis=2).astype(np.float64)
    exact = b[None, :, None].astype(np.float64)
    for i in range(taps):
        exact = exact + w[None, :, 0, i, None] * padded[:, :, i : i + length]
    np.testing.assert_allclose(y, exact / (1 + np.exp(-exact)), rtol=0, atol=2e-6)
    np.testing.assert_array_equal(state, padded[:, :, length:].astype(np.float32))


def test_causal_conv_errors() -> None:
    x, w = np.zeros((1, 3, 4), np.float32), np.zeros((3, 1, 2), np.float32)
    fails("CausalConvWithState", [x, w], "expected 'none', 'silu'", activation="relu", outputs=2)
    fails("CausalConvWithState", [x, w[:2]], "must have shape [3, 1, 2]", outputs=2)
    fails("CausalConvWithState", [x, w, None, x], "must have shape [1, 3, 1]", outputs=2)


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("interleaved", [0, 1])
@pytest.mark.parametrize("turned", [0, 6])
@pytest.mark.parametrize("rank", [3, 4])
def test_rotary_embedding(dtype: str, interleaved: int, turned: int, rank: int) -> None:
    rng = np.random.default_rng(rank)
    x = normal(rng, 2, 3, 5, 10) if rank == 4 else normal(rng, 2, 5, 30)
    angles = rng.uniform(-3, 3, (12, (turned or 10) // 2))
    cosine, sine = np.cos(angles).astype(dtype), np.sin(angles).astype(dtype)
    positions = rng.integers(0, 12, (2, 5))
    options: Any = {"interleaved": interleaved, "rotary_embedding_dim": turned}
    if rank == 3:
        options["num_heads"] = 3
    tolerance = 1e-6 if dtype == "float32" else 2e-3
    x = x.astype(dtype)
    for inputs in ([x, cosine, sine, positions], [x, cosine[positions], sine[positions]]):
        expected = reference("RotaryEmbedding", inputs, **options)
        got = run("RotaryEmbedding", inputs, threads=2, **options)
        assert got.dtype == expected.dtype
        np.testing.assert_allclose(got, expected, rtol=0, atol=tolerance)


def test_rotary_embedding_errors() -> None:
    x, cache = np.zeros((1, 2, 3, 8), np.float32), np.zeros((5, 4), np.float32)
    positions = np.array([[0, 5, 1]])
    fails("RotaryEmbedding", [x, cache, cache, positions], "expected 0 to 4, the rows")
    fails("RotaryEmbedding", [x, cache, cache], "must have shape [1, 3, 4]")
    fails("RotaryEmbedding", [x[0], cache, cache], "'num_heads' is 0")
    fails("RotaryEmbedding", [x, cache, cache], "an even number", rotary_embedding_dim=3)


@pytest.mark.parametrize("dtype", ["float32", "int8", "float64", "str"])
@pytest.mark.parametrize("mode", ["linear", "circular"])
@pytest.mark.parametrize("axis", [1, -2])
def test_tensor_scatter(dtype: str, mode: str, axis: int) -> None:
    rng = np.random.default_rng(3)
    cache = rng.integers(-50, 50, (3, 6, 7, 2)).astype(dtype)
    shape = list(cache.shape)
    shape[axis] = 4
    update = rng.integers(-50, 50, shape).astype(dtype)
    starts = np.array([0, 2, 1 if mode == "linear" else 5])
    if dtype == "str":
        cache, update = cache.astype(object), update.astype(object)
    expected = cache.copy()
    for b, start in enumerate(starts):
        for i in range(4):
            to: list[Any] = [b, slice(None), slice(None), slice(None)]
            of = list(to)
            to[axis], of[axis] = (start + i) % cache.shape[axis], i
            expected[tuple(to)] = update[tuple(of)]
    got = run("TensorScatter", [cache, update, starts], mode=mode, axis=axis)
    np.testing.assert_array_equal(got, expected)


def test_tensor_scatter_errors() -> None:
    cache, update = np.zeros((2, 5, 3), np.float32), np.zeros((2, 2, 3), np.float32)
    fails("TensorScatter", [cache, update, np.array([0, 4])], "write_indices has 4")
    fails("TensorScatter", [cache, update], "'mode' is 'other'", mode="other")
    fails("TensorScatter", [cache, update], "must not be 0", axis=0)
    fails("TensorScatter", [update, cache], "does not fit the cache")


@pytest.mark.parametrize("alpha", [1.0, 1.702])
def test_swiglu(alpha: float) -> None:
    rng = np.random.default_rng(4)
    gate, x = normal(rng, 3, 17) * 8, normal(rng, 3, 17)
    wide = gate.astype(np.float64)
    exact = wide / (1 + np.exp(-alpha * wide)) * x
    np.testing.assert_allclose(run("SwiGLU", [gate, x], alpha=alpha), exact, rtol=2e-6, atol=1e-30)
