"""Channel shuffles spelled as Reshape, Transpose, Reshape: the pass finds them, the operator moves
the same elements in both layouts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

import lanewise as lw
from tests.ops.one_node import ISAS, Array, fails, run


@dataclass
class Case:
    """`inputs` arrays of `channels` channels, joined, shuffled, and split into `outputs`."""

    channels: int
    groups: int
    space: tuple[int, ...] = (5, 3)
    inputs: int = 1
    outputs: int = 1
    batch: int = 2
    channels_last: bool = True
    perm: tuple[int, ...] = ()

    def arrays(self, dtype: type) -> list[Array]:
        rng = np.random.default_rng(self.channels)
        shape = (self.batch, self.channels, *self.space)
        return [rng.integers(0, 100, shape).astype(dtype) for _ in range(self.inputs)]

    def order(self) -> list[int]:
        return list(self.perm) or [0, 2, 1, *range(3, 3 + len(self.space))]

    def expected(self, arrays: list[Array]) -> list[Array]:
        x = np.concatenate(arrays, 1)
        split = x.reshape(self.batch, self.groups, -1, *self.space)
        return np.split(split.transpose(self.order()).reshape(x.shape), self.outputs, 1)


def model(case: Case, dtype: type) -> onnx.ModelProto:
    """The nodes that files have, after a MaxPool that makes the engine hold channels last."""
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    total = case.channels * case.inputs
    formal, nodes = [], []
    names = [f"x{i}" for i in range(case.inputs)]
    for i, name in enumerate(names):
        shape = [case.batch, case.channels, *case.space]
        formal.append(helper.make_tensor_value_info(name, kind, shape))
        if case.channels_last:
            window = [1] * len(case.space)
            nodes.append(helper.make_node("MaxPool", [name], [f"p{i}"], kernel_shape=window))
            names[i] = f"p{i}"
    if case.inputs > 1:
        nodes.append(helper.make_node("Concat", names, ["joined"], axis=1))
    middle = np.array([0, case.groups, total // case.groups, *case.space])
    back = np.array([case.batch, -1, *case.space])
    results = [f"y{i}" for i in range(case.outputs)]
    last = "shuffled" if case.outputs > 1 else "y0"
    nodes += [
        helper.make_node("Reshape", ["joined" if case.inputs > 1 else names[0], "middle"], ["r"]),
        helper.make_node("Transpose", ["r"], ["t"], perm=case.order(), name="swap"),
        helper.make_node("Reshape", ["t", "back"], [last]),
    ]
    if case.outputs > 1:
        sizes = np.full(case.outputs, total // case.outputs)
        nodes.append(helper.make_node("Split", [last, "sizes"], results, axis=1))
    constants = {"middle": middle, "back": back}
    constants |= {"sizes": sizes} if case.outputs > 1 else {}
    graph = helper.make_graph(
        nodes,
        "g",
        formal,
        [helper.make_empty_tensor_value_info(y) for y in results],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    opsets = [helper.make_opsetid("", onnx.defs.onnx_opset_version())]
    return helper.make_model(graph, opset_imports=opsets)


def operators(case: Case) -> list[str]:
    arrays = {f"x{i}": x for i, x in enumerate(case.arrays(np.float32))}
    return [layer.op for layer in lw.load(model(case, np.float32)).profile(arrays, 1).layers]


CASES = {
    "two groups": Case(58 * 2, 2),
    "three groups": Case(60, 3),
    "four groups": Case(4 * 17, 4),
    "five groups": Case(5 * 16, 5),
    "eight groups": Case(8 * 33, 8),
    "more groups than the kernel takes": Case(36, 12),
    "few channels": Case(6, 3),
    "a group of one": Case(7, 7),
    "one axis": Case(40, 2, (9,)),
    "three axes": Case(40, 2, (2, 3, 2)),
    "row-major": Case(58, 2, channels_last=False),
    "joined": Case(29, 2, inputs=2),
    "joined and split": Case(58, 2, inputs=2, outputs=2),
    "joined, split, row-major": Case(6, 3, inputs=3, outputs=2, channels_last=False),
    "split": Case(120, 3, outputs=4),
    "split across groups": Case(30, 2, outputs=6),  # 15 channels a group, not a multiple of 6
    "not the groups joined": Case(30, 3, inputs=2),
    "many rows": Case(58, 2, (40, 30), inputs=2, outputs=2),
    "another transpose": Case(24, 4, perm=(0, 2, 1, 4, 3), space=(3, 3)),
}  # fmt: skip


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("name", CASES)
def test_shuffle(name: str, isa: str) -> None:
    case = CASES[name]
    for dtype in (np.float32, np.int8, np.float16, np.int64):
        if case.channels_last and dtype in (np.float16, np.int64):
            continue  # MaxPool takes no int64, and float16 would be widened
        arrays = case.arrays(dtype)
        feeds = {f"x{i}": x for i, x in enumerate(arrays)}
        got = lw.load(model(case, dtype), isa=isa, threads=2).run(feeds)
        for y, wanted in zip(got.values(), case.expected(arrays), strict=True):
            np.testing.assert_array_equal(y, wanted, f"{case} {dtype}")


def test_what_is_found() -> None:
    joined = operators(CASES["joined and split"])
    assert "lanewise:ChannelShuffle" in joined
    assert not {"Concat", "Transpose", "Split"} & set(joined)
    assert joined.count("lanewise:ToLayout") == 4  # of inputs and outputs alone
    assert "Split" in operators(CASES["split across groups"])
    assert "Concat" in operators(CASES["not the groups joined"])
    assert "lanewise:ChannelShuffle" not in operators(CASES["another transpose"])


def test_inner_values_stay() -> None:
    case = CASES["joined and split"]
    arrays = case.arrays(np.float32)
    feeds = {f"x{i}": x for i, x in enumerate(arrays)}
    session = lw.load(model(case, np.float32))
    got = session.run(feeds, outputs=["joined", "shuffled"])
    np.testing.assert_array_equal(got["joined"], np.concatenate(arrays, 1))
    np.testing.assert_array_equal(got["shuffled"], np.concatenate(case.expected(arrays), 1))


def test_errors() -> None:
    x = np.zeros((1, 6, 2, 2), np.float32)
    fails("ChannelShuffle", [x], "'groups' is 4", domain="lanewise", groups=4)
    fails("ChannelShuffle", [x, x], "there are 2 inputs", domain="lanewise", groups=3)
    fails("ChannelShuffle", [x, x[:, :3]], "input 1 has shape", domain="lanewise", groups=2)
    y = run("ChannelShuffle", [x + np.arange(6)[:, None, None].astype(np.float32)],
            domain="lanewise", groups=3)  # fmt: skip
    np.testing.assert_array_equal(y[0, :, 0, 0], [0, 2, 4, 1, 3, 5])
