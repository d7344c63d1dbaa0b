"""Whole networks give the same bits with any number of threads.

At numerics="reproducible" they do so for a sample alone and anywhere in a batch, too; a batch of
none gives results of none.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
import onnx
import pytest

import lanewise as lw
from bench.networks.builder import GraphBuilder
from bench.networks.inputs import Input
from bench.networks.registry import get

# Every kind of layer that the published networks have, at a quarter of their size along each axis.
NETWORKS = [
    "acoustic_lstm",
    "densenet121",
    "googlenet",
    "mobilenet_v1",
    "mobilenet_v2",
    "resnet18",
    "resnet50",
    "shufflenet_v1_g3",
    "shufflenet_v2_x1.0",
    "squeezenet1.1",
    "srgan_generator",
    "style_transfer",
]
LEVELS = ["fast", "reproducible", "strict"]
THREADS = [2, 3, 8]

Arrays = dict[str, np.ndarray[Any, Any]]


def smaller(given: Input) -> Input:
    """The same input with a quarter of each spatial size."""
    shape = tuple(
        max(32, size // 4) if isinstance(size, int) and axis >= 2 and size >= 64 else size
        for axis, size in enumerate(given.shape)
    )
    return replace(given, shape=shape)


@lru_cache(maxsize=1)
def network(name: str) -> tuple[onnx.ModelProto, tuple[Input, ...]]:
    spec = get(name)
    graph = GraphBuilder(name, "N", 0)
    inputs = tuple(smaller(given) for given in spec.inputs)
    spec.build(graph, *[graph.input(i.name, i.shape, i.dtype) for i in inputs])
    return graph.model, inputs


def draw(inputs: tuple[Input, ...], batch: int) -> Arrays:
    rng = np.random.default_rng(17)
    return {given.name: given.draw(rng, batch) for given in inputs}


def assert_same_bits(got: Arrays, wanted: Arrays, what: str) -> None:
    for name, want in wanted.items():
        assert got[name].tobytes() == want.tobytes(), f"{name} differs with {what}"


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("numerics", LEVELS)
def test_threads_do_not_show(name: str, numerics: str) -> None:
    model, inputs = network(name)
    feeds = draw(inputs, 2)
    wanted = lw.load(model, threads=1, numerics=numerics).run(feeds)
    for threads in THREADS:
        got = lw.load(model, threads=threads, numerics=numerics).run(feeds)
        assert_same_bits(got, wanted, f"{threads} threads")


@pytest.mark.parametrize("name", NETWORKS)
def test_a_sample_does_not_see_its_batch(name: str) -> None:
    model, inputs = network(name)
    loaded = lw.load(model, threads=2, numerics="reproducible")
    feeds = draw(inputs, 5)
    together = loaded.run(feeds)
    axes = {given.name: given.shape.index("N") for given in inputs}
    results = {key: value.shape.index(5) for key, value in together.items()}
    for order in ([3], [4, 0], [2, 1, 0]):
        got = loaded.run({key: x.take(order, axes[key]) for key, x in feeds.items()})
        wanted = {key: y.take(order, results[key]) for key, y in together.items()}
        assert_same_bits(got, wanted, f"samples {order} of the batch")


# The LSTM network's Reshape asks for -1 beside the batch: of nothing, that could be any number.
@pytest.mark.parametrize("name", NETWORKS[1:])
def test_an_empty_batch(name: str) -> None:
    model, inputs = network(name)
    loaded = lw.load(model, threads=2)
    (one,) = loaded.run(draw(inputs, 1)).values()
    axes = {given.name: given.shape.index("N") for given in inputs}
    feeds = {key: x.take([], axes[key]) for key, x in draw(inputs, 1).items()}
    (none,) = loaded.run(feeds).values()
    assert none.size == 0
    assert sum(a != b for a, b in zip(none.shape, one.shape, strict=True)) == 1
