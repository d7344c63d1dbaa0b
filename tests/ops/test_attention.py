"""Attention and its kin against float64 formulas written here, and onnx.reference."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper

import lanewise as lw
from tests.ops.one_node import ISAS, Array, fails, run

F64 = NDArray[np.float64]


def normal(rng: np.random.Generator, *shape: int, dtype: str = "float32") -> Array:
    return rng.normal(0, 1, shape).astype(dtype)


def softmax(scores: F64) -> F64:
    """Along the last axis; rows of minus infinity give zeros."""
    most = scores.max(axis=-1, keepdims=True, initial=-np.inf)
    e = np.exp(scores - np.where(np.isneginf(most), 0, most))
    total = e.sum(axis=-1, keepdims=True)
    return np.asarray(e / np.where(total == 0, 1, total))


def attention(q: Array, k: Array, v: Array, bias: Any = 0.0, scale: float | None = None) -> F64:
    """Of arrays [batch, head, row, element]; `bias` is added to the scores."""
    group = q.shape[1] // k.shape[1]
    scale = 1 / np.sqrt(q.shape[3]) if scale is None else scale
    keys = np.repeat(k, group, axis=1).astype(np.float64)
    scores = scale * q.astype(np.float64) @ keys.swapaxes(2, 3) + bias
    return softmax(scores) @ np.repeat(v, group, axis=1).astype(np.float64)


def seen(queries: int, keys: int, offset: int, left: int = -1, right: int = -1) -> F64:
    """0 where a query sees a key, else minus infinity."""
    distance = np.arange(keys)[None, :] - (np.arange(queries)[:, None] + offset)
    hidden = np.zeros_like(distance, dtype=bool)
    if left >= 0:
        hidden |= distance < -left
    if right >= 0:
        hidden |= distance > right
    return np.where(hidden, -np.inf, 0.0)


def close(got: Array, expected: F64) -> None:
    """Weights sum to 1 and values stay below 6: errors are some units of 6 in float32."""
    np.testing.assert_allclose(got, expected, rtol=0, atol=5e-6)


# batch, query heads, heads of keys, queries, keys, head size, value size
SHAPES = [
    (1, 1, 1, 1, 1, 1, 1),
    (2, 4, 2, 7, 13, 8, 5),
    (1, 6, 1, 33, 70, 17, 65),
    (2, 3, 3, 130, 200, 64, 64),
    (1, 2, 1, 1, 300, 32, 100),
    (1, 2, 2, 300, 20, 16, 16),
]


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("shape", SHAPES)
def test_shapes(isa: str, shape: tuple[int, ...]) -> None:
    b, hq, hk, n, m, d, e = shape
    rng = np.random.default_rng(sum(shape))
    q, k, v = normal(rng, b, hq, n, d), normal(rng, b, hk, m, d), normal(rng, b, hk, m, e)
    for causal in (0, 1):
        bias = seen(n, m, 0, right=0 if causal else -1)
        got = run("Attention", [q, k, v], isa=isa, is_causal=causal)
        close(got, attention(q, k, v, bias))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_rank_3_is_rank_4_transposed(dtype: str) -> None:
    rng = np.random.default_rng(1)
    q, k, v = (normal(rng, 2, h, 9, 6, dtype=dtype) for h in (6, 2, 2))
    packed = [x.transpose(0, 2, 1, 3).reshape(2, 9, -1).copy() for x in (q, k, v)]
    got = run("Attention", packed, q_num_heads=6, kv_num_heads=2)
    expected = attention(q, k, v).transpose(0, 2, 1, 3).reshape(2, 9, -1)
    np.testing.assert_allclose(got, expected, rtol=0, atol=5e-6 if dtype == "float32" else 1e-14)


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_threads_give_the_same_bits(threads: int) -> None:
    rng = np.random.default_rng(2)
    q, k, v = (normal(rng, 1, h, 150, 48) for h in (4, 2, 2))
    mask = rng.random((150, 150)) < 0.7
    got = [run("Attention", [q, k, v, mask], threads=t, is_causal=1) for t in (1, threads)]
    assert got[0].tobytes() == got[1].tobytes()


@pytest.mark.parametrize(("left", "right"), [(0, -1), (3, 0), (5, 2), (-1, 4), (1000, 1000)])
def test_windows(left: int, right: int) -> None:
    rng = np.random.default_rng(3)
    q, k, v = normal(rng, 1, 2, 21, 8), normal(rng, 1, 2, 21, 8), normal(rng, 1, 2, 21, 8)
    got = run("Attention", [q, k, v], left_window_size=left, right_window_size=right)
    close(got, attention(q, k, v, seen(21, 21, 0, left, right)))


def test_past_and_present() -> None:
    rng = np.random.default_rng(4)
    q, k, v = normal(rng, 2, 4, 3, 8), normal(rng, 2, 2, 3, 8), normal(rng, 2, 2, 3, 5)
    old_k, old_v = normal(rng, 2, 2, 6, 8), normal(rng, 2, 2, 6, 5)
    y, keys, values = run("Attention", [q, k, v, None, old_k, old_v], outputs=3, is_causal=1)
    np.testing.assert_array_equal(keys, np.concatenate([old_k, k], axis=2))
    np.testing.assert_array_equal(values, np.concatenate([old_v, v], axis=2))
    close(y, attention(q, keys, values, seen(3, 9, 6, right=0)))


def test_lengths() -> None:
    rng = np.random.default_rng(5)
    q, k, v = normal(rng, 3, 2, 4, 8), normal(rng, 3, 2, 11, 8), normal(rng, 3, 2, 11, 8)
    lengths = np.array([11, 2, 0], np.int64)
    got = run("Attention", [q, k, v, None, None, None, lengths], is_causal=1)
    for b, length in enumerate(lengths):
        bias = np.where(np.arange(11) < length, seen(4, 11, length - 4, right=0), -np.inf)
        expected = attention(q[b : b + 1], k[b : b + 1], v[b : b + 1], bias)
        close(got[b : b + 1], expected)
    assert np.all(got[2] == 0)  # no key at all


@pytest.mark.parametrize("shape", [(9,), (5, 9), (4, 1, 9), (2, 1, 5, 9), (1, 4, 1, 9), (5, 6)])
@pytest.mark.parametrize("dtype", ["bool", "float32", "float64", "int32"])
def test_masks(shape: tuple[int, ...], dtype: str) -> None:
    rng = np.random.default_rng(6)
    q, k, v = normal(rng, 2, 4, 5, 8), normal(rng, 2, 4, 9, 8), normal(rng, 2, 4, 9, 8)
    mask: Array = rng.random(shape) < 0.6 if dtype == "bool" else normal(rng, *shape) * 3
    mask = mask.astype(dtype)
    bias = np.where(mask, 0.0, -np.inf) if dtype == "bool" else mask.astype(np.float64)
    padding = [(0, 0)] * (mask.ndim - 1) + [(0, 9 - shape[-1])]
    expected = attention(q, k, v, np.pad(bias, padding, constant_values=-np.inf))
    close(run("Attention", [q, k, v, mask], threads=2), expected)


def test_a_masked_key_may_hold_anything() -> None:
    rng = np.random.default_rng(7)
    q, k, v = normal(rng, 1, 1, 3, 4), normal(rng, 1, 1, 5, 4), normal(rng, 1, 1, 5, 4)
    mask = np.array([True, True, True, False, False])
    expected = run("Attention", [q, k, v, mask])
    k[:, :, 3:] = np.nan
    np.testing.assert_array_equal(run("Attention", [q, k, v, mask]), expected)
    assert np.all(run("Attention", [q, k, v, ~mask & False]) == 0)


def test_score_outputs() -> None:
    rng = np.random.default_rng(8)
    q, k, v = normal(rng, 1, 2, 6, 8), normal(rng, 1, 2, 6, 8), normal(rng, 1, 2, 6, 8)
    scores = q.astype(np.float64) @ k.swapaxes(2, 3) / np.sqrt(8)
    capped = 2 * np.tanh(scores / 2)
    masked = capped + seen(6, 6, 0, right=0)
    for mode, expected in enumerate([scores, capped, masked, softmax(masked)]):
        _, _, _, got = run(
            "Attention", [q, k, v], outputs=4, is_causal=1, softcap=2.0, qk_matmul_output_mode=mode
        )
        close(got, expected)


@pytest.mark.parametrize("precision", [TensorProto.FLOAT16, TensorProto.BFLOAT16])
def test_softmax_precision_rounds(precision: int) -> None:
    rng = np.random.default_rng(9)
    q, k, v = (normal(rng, 1, 1, 4, 8) for _ in range(3))
    *_, got = run("Attention", [q, k, v], outputs=4, softmax_precision=precision,
                  qk_matmul_output_mode=3)  # fmt: skip
    dtype = helper.tensor_dtype_to_np_dtype(precision)
    np.testing.assert_array_equal(got, got.astype(dtype).astype(np.float32))
    exact = softmax(q.astype(np.float64) @ k.swapaxes(2, 3) / np.sqrt(8))
    np.testing.assert_allclose(got, exact, rtol=0.03)


def test_types_that_differ() -> None:
    rng = np.random.default_rng(10)
    q, k = normal(rng, 1, 2, 5, 8), normal(rng, 1, 2, 7, 8)
    v = normal(rng, 1, 2, 7, 8, dtype="float16")
    y, keys, values = run("Attention", [q, k, v], outputs=3)
    assert (y.dtype, keys.dtype, values.dtype) == (np.float32, np.float32, np.float16)
    close(y, attention(q, k, v))


@pytest.mark.parametrize("queries", [3, 40])
def test_nothing_to_do(queries: int) -> None:
    def ones(*shape: int) -> Array:
        return np.ones(shape, np.float32)

    def shapes(b: int, h: int, n: int, m: int, d: int, e: int) -> list[Array]:
        arrays = [ones(b, h, n, d), ones(b, h, m, d), ones(b, h, m, e)]
        results = run("Attention", arrays, outputs=4, qk_matmul_output_mode=3)
        assert [r.shape for r in results] == [
            (b, h, n, e),
            (b, h, m, d),
            (b, h, m, e),
            (b, h, n, m),
        ]
        return results

    n = queries
    shapes(0, 2, n, 5, 4, 4)
    shapes(1, 0, n, 5, 4, 4)
    shapes(1, 2, 0, 5, 4, 4)
    np.testing.assert_array_equal(shapes(1, 2, n, 0, 4, 6)[0], np.zeros((1, 2, n, 6)))
    np.testing.assert_allclose(shapes(1, 2, n, 5, 4, 0)[3], np.full((1, 2, n, 5), 0.2), rtol=1e-6)
    np.testing.assert_allclose(shapes(1, 2, n, 5, 0, 6)[0], np.ones((1, 2, n, 6)), rtol=1e-6)


def test_errors() -> None:
    def x(*shape: int) -> Array:
        return np.zeros(shape, np.float32)

    q = x(1, 4, 3, 8)
    fails("Attention", [q, x(1, 3, 3, 8), x(1, 3, 3, 8)], "cannot share 3 heads")
    fails("Attention", [q, x(1, 2, 3, 9), x(1, 2, 3, 8)], "do not fit")
    fails("Attention", [x(1, 3, 8)] * 3, "'q_num_heads' and 'kv_num_heads' must be given")
    fails("Attention", [x(1, 3, 8)] * 3, "into 3 heads", q_num_heads=3, kv_num_heads=3)
    fails("Attention", [q, q, q, x(2, 3, 3)], "does not broadcast")
    fails("Attention", [q, q, q, None, q], "must be given together")
    fails("Attention", [q, q, q], "softmax_precision", softmax_precision=6)
    fails("Attention", [q, q, q], "expected 0 to 3", qk_matmul_output_mode=4)
    fails("Attention", [q, q, q], "expected -1", left_window_size=-2)
    lengths = np.array([4], np.int64)
    fails("Attention", [q, q, q, None, None, None, lengths], "expected 0 to the number of keys, 3")


def flex(arrays: list[Array], score: Sequence[Any] = (), weight: Sequence[Any] = ()) -> Array:
    """Runs FlexAttention with the nodes of its graphs, which read x and write z."""
    element = helper.np_dtype_to_tensor_dtype(arrays[0].dtype)
    scores = TensorProto.FLOAT if element != TensorProto.DOUBLE else element
    node = helper.make_node(
        "FlexAttention", ["q", "k", "v"], ["y"], name="under test", domain="ai.onnx.preview"
    )
    for name, nodes in (("score_mod", score), ("prob_mod", weight)):
        if nodes:
            ends = [helper.make_tensor_value_info(n, scores, [None] * 4) for n in "xz"]
            graph = helper.make_graph(nodes, name, ends[:1], ends[1:])
            node.attribute.append(helper.make_attribute(name, graph))
    formal = [
        helper.make_tensor_value_info(n, element, a.shape)
        for n, a in zip("qkv", arrays, strict=True)
    ]
    result = [helper.make_empty_tensor_value_info("y")]
    opsets = [helper.make_opsetid("", onnx.defs.onnx_opset_version()),
              helper.make_opsetid("ai.onnx.preview", 1)]  # fmt: skip
    model = helper.make_model(helper.make_graph([node], "g", formal, result), opset_imports=opsets)
    y: Array = lw.load(model).run(dict(zip("qkv", arrays, strict=True)))["y"]
    return y


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
def test_flex_graphs(dtype: str) -> None:
    rng = np.random.default_rng(11)
    arrays = [normal(rng, 2, h, n, 8, dtype=dtype) for h, n in ((4, 30), (2, 17), (2, 17))]
    tolerance = {"float32": 1e-5, "float64": 1e-12, "float16": 2e-3}[dtype]
    q, k, v = arrays
    got = flex(arrays)
    assert got.dtype == q.dtype
    np.testing.assert_allclose(got, attention(q, k, v), rtol=tolerance, atol=tolerance)
    got = flex(arrays, score=[helper.make_node("Neg", ["x"], ["z"])])
    expected = attention(q, -k, v)
    np.testing.assert_allclose(got, expected, rtol=tolerance, atol=tolerance)
    got = flex(arrays, weight=[helper.make_node("Add", ["x", "x"], ["z"])])
    np.testing.assert_allclose(got, 2 * attention(q, k, v), rtol=tolerance, atol=tolerance)


def test_flex_graph_of_another_shape() -> None:
    arrays = [np.ones((1, 1, 2, 4), np.float32)] * 3
    with pytest.raises(lw.ModelError, match="'score_mod' must give float32"):
        flex(arrays, score=[helper.make_node("Flatten", ["x"], ["z"])])
