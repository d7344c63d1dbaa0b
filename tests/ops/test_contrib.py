"""com.microsoft's float operators against ONNX Runtime, whose they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import helper

import lanewise as lw
from lanewise import _core
from tests.ops.one_node import Array

ort = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")

MS = "com.microsoft"
Float = NDArray[np.float32]


def model_of(
    op: str,
    inputs: Sequence[Array | None],
    outputs: int,
    constants: tuple[int, ...],
    **attributes: Any,
) -> onnx.ModelProto:
    """One node over x0, x1, ... with results y0, y1, ..."""
    names = ["" if x is None else f"x{i}" for i, x in enumerate(inputs)]
    domain = attributes.pop("domain", MS)
    node = helper.make_node(
        op, names, [f"y{i}" for i in range(outputs)], "under test", domain=domain, **attributes
    )
    formal = [
        helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(x.dtype), x.shape)
        for i, (n, x) in enumerate(zip(names, inputs, strict=True))
        if x is not None and i not in constants
    ]
    weights = [onnx.numpy_helper.from_array(x, names[i]) for i, x in enumerate(inputs)
               if x is not None and i in constants]  # fmt: skip
    graph = helper.make_graph(
        [node], "g", formal, [helper.make_empty_tensor_value_info(y) for y in node.output], weights
    )
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid(MS, 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=9)


def compare(
    op: str,
    inputs: Sequence[Array | None],
    *,
    outputs: int = 1,
    constants: tuple[int, ...] = (),
    atol: float = 2e-5,
    **attributes: Any,
) -> None:
    """Every result agrees with ONNX Runtime's, on the widest ISA with 1 and 2 threads."""
    model = model_of(op, inputs, outputs, constants, **attributes)
    feeds = {f"x{i}": x for i, x in enumerate(inputs) if x is not None and i not in constants}
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    expected = session.run(None, feeds)
    results = [lw.load(model, threads=threads).run(feeds) for threads in (1, 2)]
    for i, want in enumerate(expected):
        got = results[0][f"y{i}"]
        assert got.dtype == want.dtype and got.shape == want.shape, f"output {i}"
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=atol, err_msg=f"output {i}")
        assert got.tobytes() == results[1][f"y{i}"].tobytes(), f"output {i} depends on threads"


def normal(rng: np.random.Generator, *shape: int, size: float = 1.0) -> Float:
    return rng.normal(0, size, shape).astype(np.float32)


@pytest.mark.parametrize("shape", [(1,), (7, 33), (2, 3, 64)])
def test_gelus(shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(len(shape))
    x, bias = normal(rng, *shape, size=3), normal(rng, shape[-1])
    compare("Gelu", [x])
    compare("BiasGelu", [x, bias])
    compare("FastGelu", [x])
    compare("FastGelu", [x, bias])
    compare("QuickGelu", [x])
    compare("QuickGelu", [x], alpha=1.0)


@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 5, 33), (3, 64)])
@pytest.mark.parametrize("bias", [False, True])
def test_skip_layer_norms(shape: tuple[int, ...], bias: bool) -> None:
    rng = np.random.default_rng(len(shape))
    x, skip = normal(rng, *shape), normal(rng, *shape)
    gamma, beta, extra = (normal(rng, shape[-1]) for _ in range(3))
    for op, inputs in (
        ("SkipLayerNormalization", [x, skip, gamma, beta]),
        ("SkipSimplifiedLayerNormalization", [x, skip, gamma]),
    ):
        compare(op, [*inputs, extra] if bias else inputs, epsilon=1e-5)


def test_skip_layer_norm_gives_the_sum() -> None:
    rng = np.random.default_rng(1)
    x, skip, gamma = normal(rng, 2, 3, 16), normal(rng, 2, 3, 16), normal(rng, 16)
    for op in ("SkipLayerNormalization", "SkipSimplifiedLayerNormalization"):
        model = model_of(op, [x, skip, gamma], 4, ())
        model.graph.node[0].output[1:3] = ["", ""]
        del model.graph.output[1:3]
        feeds = {"x0": x, "x1": skip, "x2": gamma}
        session = ort.InferenceSession(model.SerializeToString())
        for got, want in zip(
            lw.load(model).run(feeds).values(), session.run(None, feeds), strict=True
        ):
            np.testing.assert_allclose(got, want, rtol=0, atol=1e-5)


@pytest.mark.parametrize("outputs", [1, 2])
def test_simplified_layer_norm(outputs: int) -> None:
    rng = np.random.default_rng(2)
    compare("SimplifiedLayerNormalization", [normal(rng, 4, 6, 40), normal(rng, 40)],
            outputs=outputs, domain="", axis=-1, epsilon=1e-6, stash_type=1)  # fmt: skip


@pytest.mark.parametrize("segments", [False, True])
@pytest.mark.parametrize("mask", [False, True])
def test_embed_layer_norm(segments: bool, mask: bool) -> None:
    rng = np.random.default_rng(3)
    ids = rng.integers(0, 20, (2, 7)).astype(np.int32)
    parts = rng.integers(0, 2, (2, 7)).astype(np.int32) if segments else None
    keep = (np.arange(7) < np.array([[4], [7]])).astype(np.int32) if mask else None
    compare(
        "EmbedLayerNormalization",
        [ids, parts, normal(rng, 20, 16), normal(rng, 9, 16),
         normal(rng, 2, 16) if segments else None, normal(rng, 16), normal(rng, 16), keep],
        outputs=3, epsilon=1e-5,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("activation", "parameters"),
    [("Relu", []), ("LeakyRelu", [0.2]), ("Clip", [-0.5, 0.5]), ("Sigmoid", []), ("Tanh", [])],
)
@pytest.mark.parametrize("residual", [False, True])
def test_fused_conv(activation: str, parameters: list[float], residual: bool) -> None:
    rng = np.random.default_rng(4)
    x, w, b = normal(rng, 2, 6, 9, 8), normal(rng, 12, 3, 3, 3, size=0.2), normal(rng, 12)
    z = normal(rng, 2, 12, 9, 8) if residual else None
    options: Any = {"activation_params": parameters} if parameters else {}
    compare("FusedConv", [x, w, b, z], activation=activation, group=2, pads=[1, 1, 1, 1],
            kernel_shape=[3, 3], **options)  # fmt: skip


def test_fused_gemm() -> None:
    rng = np.random.default_rng(5)
    compare("FusedGemm", [normal(rng, 5, 7), normal(rng, 9, 7), normal(rng, 9)], transB=1,
            alpha=0.5, activation="LeakyRelu", activation_alpha=0.3)  # fmt: skip


@pytest.mark.parametrize("trans_a", [0, 1])
@pytest.mark.parametrize("trans_b", [0, 1])
@pytest.mark.parametrize("batch", [(), (3,), (2, 1)])
def test_fused_matmul(trans_a: int, trans_b: int, batch: tuple[int, ...]) -> None:
    rng = np.random.default_rng(6)
    a = normal(rng, *batch, *((9, 70) if trans_a else (70, 9)))
    for shape in ((), batch):
        b = normal(rng, *shape, *((33, 9) if trans_b else (9, 33)))
        compare("FusedMatMul", [a, b], transA=trans_a, transB=trans_b, alpha=0.25)


def test_fused_matmul_moves_batches() -> None:
    rng = np.random.default_rng(7)
    a, b = normal(rng, 5, 3, 8), normal(rng, 8, 3, 6)
    compare("FusedMatMul", [a, b], transBatchA=1, transBatchB=1)
    compare("FusedMatMul", [a, normal(rng, 6, 3, 8)], transBatchA=1, transBatchB=1, transB=1)


@pytest.mark.parametrize("dtype", ["uint8", "int8"])
def test_nhwc_max_pool(dtype: str) -> None:
    rng = np.random.default_rng(8)
    x = rng.integers(-100, 100, (2, 9, 10, 5)).astype(dtype)
    compare("NhwcMaxPool", [x], kernel_shape=[3, 2], strides=[2, 1], pads=[1, 0, 1, 1])


@pytest.mark.parametrize("dtype", ["uint8", "int8"])
@pytest.mark.parametrize("columns", [False, True])
@pytest.mark.parametrize("bias", [False, True])
def test_dynamic_quantize_matmul(dtype: str, columns: bool, bias: bool) -> None:
    rng = np.random.default_rng(9)
    b = rng.integers(-100, 100, (24, 17)).astype(dtype)
    count = (17,) if columns else ()
    scale = rng.uniform(0.001, 0.01, count).astype(np.float32)
    zero = rng.integers(0, 20, count).astype(dtype)
    extra = normal(rng, 17) if bias else None
    compare("DynamicQuantizeMatMul", [normal(rng, 6, 24), b, scale, zero, extra],
            constants=(1, 2, 3), atol=1e-4)  # fmt: skip


def test_matmul_integer_to_float() -> None:
    rng = np.random.default_rng(10)
    a = rng.integers(0, 255, (4, 16)).astype(np.uint8)
    b = rng.integers(-99, 99, (16, 9)).astype(np.int8)
    scale = np.array(0.02, np.float32)
    a_zero, b_zero = np.array(120, np.uint8), np.array(3, np.int8)
    compare("MatMulIntegerToFloat", [a, b, scale, scale, a_zero, b_zero, normal(rng, 9)])


@pytest.mark.parametrize("bits", [2, 4, 8])
@pytest.mark.parametrize("zeros", [False, True])
@pytest.mark.parametrize(("k", "block"), [(32, 16), (70, 32)])
def test_matmul_n_bits(bits: int, zeros: bool, k: int, block: int) -> None:
    rng = np.random.default_rng(bits)
    n, blocks = 12, -(-k // block)
    b = rng.integers(0, 256, (n, blocks, block * bits // 8)).astype(np.uint8)
    scales = rng.uniform(0.01, 0.1, (n, blocks)).astype(np.float32)
    zero = rng.integers(0, 256, (n, -(-blocks * bits // 8))).astype(np.uint8) if zeros else None
    inputs: Sequence[Array | None] = [normal(rng, 3, k), b, scales, zero]
    compare("MatMulNBits", inputs, constants=(1, 2, 3), K=k, N=n, bits=bits, block_size=block,
            accuracy_level=1, atol=2e-4)  # fmt: skip


@pytest.mark.parametrize("bits", [2, 4, 8])
@pytest.mark.parametrize("zeros", ["none", "packed", "real", "given"])
@pytest.mark.parametrize("rows", [0, 1, 4, 7, 40, 41, 200])
def test_matmul_n_bits_rows(bits: int, zeros: str, rows: int) -> None:
    """Few rows and many; zero points of both forms; weights and zero points that the caller gives;
    a bias. Against float64, bounded by gamma_k sum |a| |b| (Higham section 3.1)."""
    rng = np.random.default_rng(bits + rows)
    n, k, block = 70, 150, 16
    blocks = -(-k // block)
    q = rng.integers(0, 2**bits, (n, blocks * block))
    parts = 8 // bits
    shifts = (np.arange(parts) * bits).astype(np.uint8)
    packed = (q.reshape(n, blocks, -1, parts).astype(np.uint8) << shifts).sum(-1).astype(np.uint8)
    scales = rng.uniform(0.01, 0.1, (n, blocks)).astype(np.float32)
    zero = np.full((n, blocks), 2.0 ** (bits - 1), np.float32)
    given: Array | None = None
    if zeros == "real":
        given = zero = rng.uniform(0, 2**bits, (n, blocks)).astype(np.float32)
    elif zeros != "none":
        values = rng.integers(0, 2**bits, (n, -(-blocks // parts) * parts))
        zero = values[:, :blocks].astype(np.float32)
        given = (values.reshape(n, -1, parts).astype(np.uint8) << shifts).sum(-1).astype(np.uint8)
    a, bias = normal(rng, rows, k), normal(rng, n)
    weights = (q.reshape(n, blocks, block).astype(np.float32) - zero[..., None]) * scales[..., None]
    weights = weights.reshape(n, -1)[:, :k].astype(np.float64)
    want = a.astype(np.float64) @ weights.T + bias
    size = np.abs(a.astype(np.float64)) @ np.abs(weights.T) + np.abs(bias)
    bound = 2.0**-24 * (k + 20) * size
    inputs = [a, packed, scales, given, None, bias]
    constants = () if zeros == "given" else (1, 2, 3)
    model = model_of("MatMulNBits", inputs, 1, constants, K=k, N=n, bits=bits, block_size=block)
    for isa in _core.isas():
        loaded = lw.load(model, isa=isa, threads=2)
        feed = {i.name: inputs[int(i.name[1:])] for i in loaded.inputs}
        got = loaded.run(feed)[loaded.outputs[0].name]
        assert got.shape == want.shape
        assert np.all(np.abs(got - want) <= bound)


def test_matmul_n_bits_in_another_order() -> None:
    """Blocks that g_idx permutes: expanded when the file is read."""
    rng = np.random.default_rng(4)
    a, b = normal(rng, 3, 64), rng.integers(0, 256, (6, 4, 8)).astype(np.uint8)
    scales = rng.uniform(0.01, 0.1, (6, 4)).astype(np.float32)
    order = rng.integers(0, 4, 64).astype(np.int32)
    inputs = [a, b, scales, None, order]
    model = model_of("MatMulNBits", inputs, 1, (1, 2, 4), K=64, N=6, bits=4, block_size=16)
    q = np.stack([b & 15, b >> 4], -1).reshape(6, 64).astype(np.float64)
    want = a @ ((q - 8) * scales[:, order]).T
    loaded = lw.load(model)
    got = loaded.run({loaded.inputs[0].name: a})[loaded.outputs[0].name]
    np.testing.assert_allclose(got, want, atol=1e-4)
    model = model_of("MatMulNBits", inputs, 1, (2, 4), K=64, N=6, bits=4, block_size=16)
    with pytest.raises(lw.UnsupportedError, match="'B' that is not a constant"):
        lw.load(model)


def test_matmul_n_bits_mistakes() -> None:
    a, b = np.zeros((1, 16), np.float32), np.zeros((4, 1, 8), np.uint8)
    scales = np.ones((4, 1), np.float32)
    feed = {"x0": a}
    for attributes, message in [
        ({"K": 32, "N": 4, "bits": 4, "block_size": 16}, "last dimension of K = 32"),
        ({"K": 16, "N": 5, "bits": 4, "block_size": 16}, "input 1 must have 40 elements"),
        ({"K": 16, "N": 4, "bits": 4, "block_size": 24}, "must be positive|must have"),
        ({"K": 16, "N": 4, "bits": 3, "block_size": 16}, "bits = 3"),
    ]:
        model = model_of("MatMulNBits", [a, b, scales], 1, (1, 2), **attributes)
        with pytest.raises(lw.LanewiseError, match=message):
            lw.load(model).run(feed)


@pytest.mark.parametrize("shape", [(1, 1), (4, 4), (2, 3, 7, 7)])
def test_inverse(shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(11)
    compare("Inverse", [normal(rng, *shape) + 3 * np.eye(shape[-1], dtype=np.float32)])
    model = model_of("Inverse", [np.zeros((2, 3), np.float32)], 1, ())
    with pytest.raises(lw.ModelError, match="square matrices"):
        lw.load(model).run({"x0": np.zeros((2, 3), np.float32)})
