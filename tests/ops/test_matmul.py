"""MatMul, Gemm and lanewise:FusedGemm: exact sums of small integers in every type, every ISA."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import helper, numpy_helper

import lanewise as lw
from lanewise import _core

Array = NDArray[Any]
ISAS = _core.isas()


def integers(rng: np.random.Generator, shape: Sequence[int], dtype: str = "float32") -> Array:
    """Small integers: sums of their products are exact in every type."""
    low = 0 if dtype.startswith("u") else -4
    return rng.integers(low, 5, list(shape)).astype(dtype)


def model_of(
    op: str, arrays: dict[str, Array], constants: Sequence[str] = (), then: str = "", **options: Any
) -> onnx.ModelProto:
    """One node over the arrays, in order; those in `constants` are initialisers."""
    inputs = [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(a.dtype), a.shape)
        for name, a in arrays.items()
        if name not in constants
    ]
    nodes = [helper.make_node(op, list(arrays), ["t" if then else "y"], **options)]
    if then:
        nodes.append(helper.make_node(then, ["t"], ["y"]))
    dtype = helper.np_dtype_to_tensor_dtype(arrays["a"].dtype)
    y = helper.make_tensor_value_info("y", dtype, None)
    weights = [numpy_helper.from_array(arrays[name], name) for name in constants]
    graph = helper.make_graph(nodes, "matmul", inputs, [y], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])


def check(
    model: onnx.ModelProto, arrays: dict[str, Array], expected: Array, isas: Sequence[str] = ISAS
) -> None:
    """Equal bits on the ISAS with one and two threads."""
    for isa in isas:
        for threads in (1, 2):
            loaded = lw.load(model, isa=isa, threads=threads)
            got = loaded.run({info.name: arrays[info.name] for info in loaded.inputs})["y"]
            assert got.dtype == expected.dtype
            np.testing.assert_array_equal(got, expected, f"isa {isa}, {threads} threads")


SHAPES = [
    ((5,), (5,)),
    ((5,), (5, 3)),
    ((4, 5), (5,)),
    ((1, 1), (1, 1)),
    ((1, 300), (300, 130)),
    ((7, 9), (9, 17)),
    ((13, 64), (64, 65)),
    ((200, 33), (33, 24)),
    ((50, 1500), (1500, 100)),
    ((2, 3, 4, 5), (5, 6)),
    ((2, 3, 4, 5), (3, 5, 6)),
    ((3, 4, 5), (2, 1, 5, 6)),
    ((2, 1, 4, 5), (1, 3, 5, 7)),
    ((4, 5), (2, 5, 6)),
    ((5,), (2, 5, 6)),
    ((2, 4, 5), (5,)),
    ((3, 0), (0, 4)),
    ((0, 3), (3, 4)),
    ((2, 3, 4), (4, 0)),
    ((0, 2, 3), (3, 4)),
]


@pytest.mark.parametrize("constant", [True, False], ids=["packed once", "packed each run"])
@pytest.mark.parametrize(("a", "b"), SHAPES, ids=str)
def test_matmul(a: Sequence[int], b: Sequence[int], constant: bool) -> None:
    rng = np.random.default_rng(1)
    arrays = {"a": integers(rng, a), "b": integers(rng, b)}
    model = model_of("MatMul", arrays, ["b"] if constant else [])
    check(model, arrays, np.matmul(arrays["a"], arrays["b"]))


@pytest.mark.parametrize("dtype", ["float64", "int32", "int64", "uint32", "uint64"])
def test_matmul_types(dtype: str) -> None:
    rng = np.random.default_rng(2)
    for a, b in SHAPES:
        arrays = {"a": integers(rng, a, dtype), "b": integers(rng, b, dtype)}
        expected = np.asarray(np.matmul(arrays["a"], arrays["b"]))
        check(model_of("MatMul", arrays), arrays, expected, ISAS[:1])


def test_integers_wrap() -> None:
    arrays = {"a": np.full((1, 2), 2**30, np.int32), "b": np.full((2, 1), 2, np.int32)}
    check(model_of("MatMul", arrays), arrays, np.zeros((1, 1), np.int32), ISAS[:1])


@pytest.mark.parametrize("seed", range(20))
def test_matmul_random(seed: int) -> None:
    rng = np.random.default_rng(seed)
    m, k, n = (int(v) for v in rng.integers(1, [220, 400, 150]))
    arrays = {"a": integers(rng, (m, k)), "b": integers(rng, (k, n))}
    check(model_of("MatMul", arrays, ["b"]), arrays, arrays["a"] @ arrays["b"])


@pytest.mark.parametrize("c", [None, (), (1,), (17,), (1, 17), (9, 1), (9, 17), (1, 1)], ids=str)
@pytest.mark.parametrize(("alpha", "beta"), [(1.0, 1.0), (0.5, 2.0), (2.0, 0.0)])
def test_gemm(c: Sequence[int] | None, alpha: float, beta: float) -> None:
    rng = np.random.default_rng(3)
    for ta, tb in ((0, 0), (0, 1), (1, 0), (1, 1)):
        arrays = {
            "a": integers(rng, (30, 9) if ta else (9, 30)),
            "b": integers(rng, (17, 30) if tb else (30, 17)),
        }
        a, b = (arrays["a"].T if ta else arrays["a"]), (arrays["b"].T if tb else arrays["b"])
        expected = np.float32(alpha) * (a @ b)
        if c is not None:
            arrays["c"] = integers(rng, c)
            expected = expected + np.float32(beta) * arrays["c"]
        options: dict[str, Any] = {"transA": ta, "transB": tb, "alpha": alpha, "beta": beta}
        for constants in ([], ["b"]):
            model = model_of("Gemm", arrays, constants, **options)
            check(model, arrays, expected.astype(np.float32))


@pytest.mark.parametrize("dtype", ["float64", "int32", "uint64"])
def test_gemm_types(dtype: str) -> None:
    rng = np.random.default_rng(4)
    arrays = {n: integers(rng, s, dtype) for n, s in (("a", (6, 4)), ("b", (5, 6)), ("c", (5,)))}
    expected = (2 * (arrays["a"].T @ arrays["b"].T) + 3 * arrays["c"]).astype(dtype)
    options: dict[str, Any] = {"transA": 1, "transB": 1, "alpha": 2.0, "beta": 3.0}
    check(model_of("Gemm", arrays, **options), arrays, expected, ISAS[:1])


def test_fused() -> None:
    rng = np.random.default_rng(5)
    arrays = {n: integers(rng, s) for n, s in (("a", (3, 70)), ("b", (70, 90)), ("c", (90,)))}
    expected = np.maximum(arrays["a"] @ arrays["b"] + arrays["c"], 0)
    check(model_of("Gemm", arrays, ["b", "c"], then="Relu"), arrays, expected)


def test_rounding_is_bounded() -> None:
    """gamma_k sum |a||b| (Higham, Accuracy and Stability of Numerical Algorithms, section 3.1)."""
    rng = np.random.default_rng(6)
    a = rng.standard_normal((37, 2000)).astype(np.float32)
    b = rng.standard_normal((2000, 75)).astype(np.float32)
    exact = a.astype(np.float64) @ b.astype(np.float64)
    bound = 2001 * 2.0**-24 * (np.abs(a).astype(np.float64) @ np.abs(b))
    for isa in ISAS:
        got = lw.load(model_of("MatMul", {"a": a, "b": b}, ["b"]), isa=isa)(a)
        assert np.all(np.abs(got - exact) <= bound)


@pytest.mark.parametrize(
    ("op", "a", "b", "options", "message"),
    [
        ("MatMul", (2, 3), (4, 5), {}, "cannot multiply"),
        ("MatMul", (2, 2, 3), (3, 3, 5), {}, "broadcast"),
        ("MatMul", (), (3, 3), {}, "rank"),
        ("Gemm", (2, 3), (4, 5), {"transB": 1}, "transposed"),
        ("Gemm", (2, 3, 4), (4, 5), {}, "rank"),
    ],
)
def test_messages(
    op: str, a: Sequence[int], b: Sequence[int], options: dict[str, Any], message: str
) -> None:
    arrays = {"a": np.zeros(a, np.float32), "b": np.zeros(b, np.float32)}
    with pytest.raises(lw.ModelError, match=message):
        lw.load(model_of(op, arrays, **options))(arrays["a"], arrays["b"])
