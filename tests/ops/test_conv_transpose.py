"""ConvTranspose by sums that are exact in float32: shapes, phases, groups, every ISA."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import helper

import lanewise as lw
from tests.ops.one_node import ISAS, fails, model, run

Array = NDArray[Any]
Ints = Sequence[int]


@dataclass
class Case:
    """Shapes in ONNX order; `pads` are what the options amount to."""

    x: Ints
    w: Ints
    strides: Ints = ()
    dilations: Ints = ()
    pads: Ints = ()
    group: int = 1
    added: Ints = ()
    bias: bool = True
    options: dict[str, Any] = field(default_factory=dict)

    def attributes(self) -> dict[str, Any]:
        given = {"strides": self.strides, "dilations": self.dilations, "output_padding": self.added}
        if not self.options:
            given["pads"] = self.pads
        return {k: list(v) for k, v in given.items() if v} | {"group": self.group} | self.options


def scattered(case: Case, x: Array, w: Array) -> Array:
    """Each input adds its multiple of the kernel to the output; then the pads are cut off."""
    n = len(case.x) - 2
    strides, dilations = list(case.strides) or [1] * n, list(case.dilations) or [1] * n
    pads, added = list(case.pads) or [0] * (2 * n), list(case.added) or [0] * n
    kernel = case.w[2:]
    full = [
        (case.x[2 + i] - 1) * strides[i] + (kernel[i] - 1) * dilations[i] + 1 + added[i]
        for i in range(n)
    ]
    parts = []
    groups = np.split(x.astype(np.float64), case.group, 1)
    for part, bank in zip(groups, np.split(w.astype(np.float64), case.group, 0), strict=True):
        y = np.zeros((x.shape[0], bank.shape[1], *full))
        for tap in np.ndindex(*kernel):
            at = tuple(
                slice(t * d, t * d + (size - 1) * s + 1, s)
                for t, d, s, size in zip(tap, dilations, strides, case.x[2:], strict=True)
            )
            filters: Any = (..., *tap)
            places: Any = (slice(None), slice(None), *at)
            y[places] += np.einsum("nc...,co->no...", part, bank[filters])
        parts.append(y)
    cut: Any = [slice(None)] * 2 + [slice(pads[i], full[i] - pads[n + i]) for i in range(n)]
    result: Array = np.concatenate(parts, 1)[tuple(cut)]
    return result


def check(case: Case, seed: int = 0, isas: Sequence[str] = ISAS) -> None:
    rng = np.random.default_rng(seed)
    x, w = (rng.integers(-4, 5, list(shape)).astype(np.float32) for shape in (case.x, case.w))
    b = rng.integers(-9, 9, case.w[1] * case.group).astype(np.float32)
    expected = scattered(case, x, w)
    if case.bias:
        expected = expected + b.reshape(-1, *[1] * (len(case.x) - 2))
    for dtype in ("float32", "float64"):
        inputs = [a.astype(dtype) for a in ([x, w, b] if case.bias else [x, w])]
        for isa in isas:
            for threads, constants in ((1, [1]), (2, [])):
                y = run(
                    "ConvTranspose",
                    inputs,
                    isa=isa,
                    threads=threads,
                    constants=constants,
                    **case.attributes(),
                )
                np.testing.assert_array_equal(y, expected, f"{case} {dtype} {isa} x {threads}")


CASES = {
    "one pixel": Case([1, 5, 1, 1], [5, 7, 3, 3]),
    "stride 1": Case([2, 17, 6, 5], [17, 20, 3, 3], pads=[1, 1, 1, 1]),
    "pix2pix": Case([1, 40, 4, 4], [40, 33, 4, 4], strides=[2, 2], pads=[1, 1, 1, 1]),
    "last layer": Case([1, 64, 9, 9], [64, 3, 4, 4], strides=[2, 2], pads=[1, 1, 1, 1]),
    "unet": Case([1, 32, 7, 7], [32, 16, 2, 2], strides=[2, 2]),
    "stride beyond the kernel": Case([1, 3, 4, 3], [3, 8, 2, 1], strides=[3, 4]),
    "output padding": Case([1, 6, 5, 5], [6, 9, 3, 3], [2, 3], pads=[1, 0, 1, 2], added=[1, 2]),
    "dilation": Case([1, 4, 5, 6], [4, 6, 3, 2], strides=[2, 3], dilations=[2, 3]),
    "dilation of the stride": Case([1, 4, 5, 5], [4, 6, 3, 3], strides=[2, 2], dilations=[2, 2]),
    "groups": Case([2, 12, 5, 5], [12, 4, 3, 3], strides=[2, 2], group=3, pads=[1, 1, 1, 1]),
    "depthwise": Case([1, 21, 5, 5], [21, 1, 4, 4], strides=[2, 2], group=21, pads=[1, 1, 1, 1]),
    "one axis": Case([2, 10, 13], [10, 18, 5], strides=[3], pads=[2, 1], bias=False),
    "three axes": Case([1, 5, 3, 4, 3], [5, 6, 2, 3, 2], [2, 1, 2], pads=[0, 1, 0, 1, 1, 1]),
    "many rows": Case([2, 8, 40, 30], [8, 16, 3, 3], strides=[2, 2], pads=[1, 1, 1, 1]),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_exact(name: str) -> None:
    check(CASES[name])


@pytest.mark.parametrize("seed", range(20))
def test_random(seed: int) -> None:
    rng = np.random.default_rng(seed)
    axes, group = 1 + seed % 3, int(rng.choice([1, 1, 2, 5]))
    kernel, dilations, strides = (rng.integers(1, most, axes) for most in (5, 3, 4))
    size = rng.integers(1, [40, 9, 5][axes - 1], axes)
    full = (size - 1) * strides + (kernel - 1) * dilations + 1
    begin = rng.integers(0, (full + 1) // 2)
    end = rng.integers(0, (full + 1) // 2)
    added = rng.integers(0, np.maximum(strides, dilations))
    channels, outputs = int(rng.integers(1, 20)), int(rng.integers(1, 40))
    lists = [list(map(int, v)) for v in (size, kernel, strides, dilations, [*begin, *end], added)]
    case = Case(
        [int(rng.integers(1, 4)), channels * group, *lists[0]],
        [channels * group, outputs, *lists[1]],
        lists[2], lists[3], lists[4], group, lists[5], bias=bool(rng.integers(0, 2)),
    )  # fmt: skip
    check(case, seed)


def test_output_shape_and_auto_pad() -> None:
    shapes: dict[str, Any] = {"x": [1, 3, 5, 5], "w": [3, 4, 3, 3], "strides": [2, 2]}
    # The natural output is 11 x 11.
    check(Case(**shapes, pads=[1, 0, 0, 0], options={"output_shape": [10, 11]}))
    check(Case(**shapes, pads=[2, 2, 1, 1], options={"output_shape": [8, 8]}))
    upper = {"output_shape": [8, 8], "auto_pad": "SAME_UPPER"}
    check(Case(**shapes, pads=[1, 1, 2, 2], options=upper))
    check(Case(**shapes, pads=[0, 0, 1, 1], options={"auto_pad": "SAME_UPPER"}))
    check(Case(**shapes, pads=[1, 1, 0, 0], options={"auto_pad": "SAME_LOWER"}))
    check(Case(**shapes, options={"auto_pad": "VALID"}))


def test_output_beyond_the_kernel_is_bias() -> None:
    x, w = np.ones((1, 1, 2, 2), np.float32), np.ones((1, 1, 1, 1), np.float32)
    b = np.array([7], np.float32)
    y = run("ConvTranspose", [x, w, b], strides=[2, 2], output_shape=[4, 5])
    expected = np.full((1, 1, 4, 5), 7, np.float32)
    expected[0, 0, 0:3:2, 0:3:2] = 8
    np.testing.assert_array_equal(y, expected)


def test_sizes_of_zero() -> None:
    w = np.zeros((2, 3, 2, 2), np.float32)
    assert run("ConvTranspose", [np.zeros((0, 2, 4, 4), np.float32), w]).shape == (0, 3, 5, 5)
    assert run("ConvTranspose", [np.zeros((1, 2, 0, 4), np.float32), w]).shape == (1, 3, 0, 5)
    none = run("ConvTranspose", [np.zeros((1, 0, 4, 4), np.float32), w[:0], np.ones(3, np.float32)])
    np.testing.assert_array_equal(none, np.ones((1, 3, 5, 5)))


def test_messages() -> None:
    x, w = np.zeros((1, 4, 5, 5), np.float32), np.zeros((4, 3, 3, 3), np.float32)
    op = "ConvTranspose"
    fails(op, [x, w[:2]], "are for 2 channels, but input 0 has shape [1, 4, 5, 5]")
    fails(op, [x, w], "'group' is 3, expected a divisor of the 4 channels", group=3)
    fails(op, [x, w, np.zeros(4, np.float32)], "the bias (input 2) has shape [4], expected [3]")
    fails(op, [x, w], "'kernel_shape' is [2, 2]", kernel_shape=[2, 2])
    fails(op, [x, w], "'output_padding' is [1, 0]", output_padding=[1, 0])
    fails(op, [x, w], "pads leave nothing", pads=[4, 0, 4, 0])
    fails(op, [x, w], "'auto_pad' is 'FULL'", auto_pad="FULL")
    fails(op, [x, w.astype(np.float64)], "must have one type")
    fails(op, [x.reshape(1, 4, 25), w], "must have rank 3")


def algorithms(
    case: Case, seed: int, force: str = "", activation: str = "", **options: Any
) -> set[str]:
    """Checks a case with constant weights on every ISA; returns the algorithms taken."""
    rng = np.random.default_rng(seed)
    x, w = (rng.integers(-4, 5, list(shape)).astype(np.float32) for shape in (case.x, case.w))
    b = rng.integers(-9, 9, case.w[1] * case.group).astype(np.float32)
    expected = scattered(case, x, w) + b.reshape(-1, *[1] * (len(case.x) - 2))
    proto = model("ConvTranspose", [x, w, b], constants=[1, 2], **case.attributes())
    if activation:
        proto.graph.node.append(helper.make_node(activation, ["y0"], ["z"]))
        proto.graph.output[0].name = "z"
        expected = np.maximum(
            expected, expected * {"Relu": 0, "LeakyRelu": np.float32(0.01)}[activation]
        )
    taken = set()
    for isa in ISAS:
        for threads in (1, 2):
            loaded = lw.load(proto, isa=isa, threads=threads, _force=force, **options)
            (y,) = loaded.run({"x0": x}).values()
            np.testing.assert_array_equal(y, expected.astype(np.float32), f"{case} {isa}")
            layers = loaded.profile({"x0": x}, 1).layers
            if activation:
                assert activation not in [layer.op for layer in layers]
            taken |= {layer.algorithm for layer in layers if "ConvTranspose" in layer.op}
    return taken


TAPS = {
    "pix2pix": Case([1, 32, 9, 9], [32, 3, 4, 4], strides=[2, 2], pads=[1, 1, 1, 1]),
    "stride 1": Case([2, 17, 6, 5], [17, 2, 3, 3], pads=[1, 1, 1, 1]),
    "stride beyond the kernel": Case([1, 3, 4, 3], [3, 1, 2, 1], strides=[3, 4]),
    "output padding": Case([1, 6, 5, 5], [6, 4, 3, 3], [2, 3], pads=[1, 0, 1, 2], added=[1, 2]),
    "dilation": Case([1, 4, 5, 6], [4, 3, 3, 2], strides=[2, 3], dilations=[2, 3]),
    "dilation of the stride": Case([1, 4, 9, 9], [4, 2, 3, 3], strides=[2, 2], dilations=[2, 2]),
    "one axis": Case([2, 10, 13], [10, 3, 5], strides=[3], pads=[2, 1]),
    "flat third axis": Case([1, 5, 3, 4, 3], [5, 2, 1, 3, 2], [1, 1, 2], pads=[0, 1, 0, 0, 1, 1]),
    "many blocks": Case([2, 8, 70, 60], [8, 3, 5, 5], strides=[2, 2], pads=[2, 2, 2, 2]),
    "cut to the middle": Case([1, 4, 6, 6], [4, 2, 3, 3], strides=[2, 2], pads=[5, 3, 4, 6]),
}  # fmt: skip


@pytest.mark.parametrize("name", TAPS)
def test_taps_as_outputs(name: str) -> None:
    for seed, activation in enumerate(["", "Relu", "LeakyRelu"]):
        assert algorithms(TAPS[name], seed, "taps as outputs", activation) == {"taps as outputs"}


def test_taps_as_outputs_is_chosen() -> None:
    case = Case([1, 64, 32, 32], [64, 3, 4, 4], strides=[2, 2], pads=[1, 1, 1, 1])
    assert algorithms(case, 0) == {"taps as outputs"}
    assert algorithms(case, 0, numerics="strict") == {"phases"}
    many = Case([1, 64, 8, 8], [64, 64, 4, 4], strides=[2, 2], pads=[1, 1, 1, 1])
    assert algorithms(many, 0, activation="Relu") == {"phases"}


def test_fused_activation_of_bias_and_plain_loops() -> None:
    """Outputs beyond the kernel hold the activated bias; the plain loops activate as well."""
    sparse = Case([1, 3, 4, 3], [3, 8, 2, 1], strides=[3, 4])
    for force, taken in (("phases", "phases"), ("generic", "generic")):
        assert algorithms(sparse, 1, force, "LeakyRelu") == {taken}
