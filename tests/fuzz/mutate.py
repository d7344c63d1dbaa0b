"""Loads and runs mutated models; started by test_mutations.py as a process of its own.

Usage: python -m tests.fuzz.mutate FIRST COUNT PROGRESS. Mutation i depends on i alone. The file
PROGRESS always holds the number of the mutation under way, so that a crash can be replayed.
"""

from __future__ import annotations

import random
import resource
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import onnx

import lanewise as lw
from tests.fuzz.seeds import all_seeds, composed_seeds

GIB = 1 << 30
COMPOSED = len(composed_seeds())  # which come first
NUMBERS = [-(1 << 63), -(1 << 31), -1000, -2, -1, 0, 1, 2, 3, 7, 1000, 1 << 31, (1 << 63) - 1]


def mutate_bytes(content: bytes, others: list[bytes], rng: random.Random) -> bytes:
    """One to four bit flips, new bytes, truncations, splices, deletions."""
    data = bytearray(content)
    for _ in range(rng.randint(1, 4)):
        if not data:
            break
        at = rng.randrange(len(data))
        kind = rng.random()
        if kind < 0.4:
            data[at] ^= 1 << rng.randrange(8)
        elif kind < 0.7:
            data[at] = rng.choice([0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)])
        elif kind < 0.8:
            del data[at:]
        elif kind < 0.9:
            other = rng.choice(others)
            start = rng.randrange(len(other))
            data[at:at] = other[start : start + rng.randrange(64)]
        else:
            del data[at : at + rng.randrange(16)]
    return bytes(data)


def mutate_attribute(attribute: onnx.AttributeProto, rng: random.Random) -> None:
    """Another number, or a shorter list."""
    kind = rng.randrange(3)
    if kind == 0 and attribute.ints:
        attribute.ints[rng.randrange(len(attribute.ints))] = rng.choice(NUMBERS)
    elif kind == 1 and attribute.ints:
        del attribute.ints[rng.randrange(len(attribute.ints)) :]
    elif attribute.type == onnx.AttributeProto.FLOAT:
        attribute.f = rng.choice([0.0, -1.0, 1e38, float("nan"), float("inf")])
    else:
        attribute.i = rng.choice(NUMBERS)


def mutate_tensor(tensor: onnx.TensorProto, rng: random.Random) -> None:
    """Other indices, dimensions in another order, another element type."""
    kind = rng.randrange(4)
    whole = tensor.raw_data and len(tensor.raw_data) % 8 == 0
    if kind < 2 and tensor.data_type == onnx.TensorProto.INT64 and whole:
        values = np.frombuffer(tensor.raw_data, np.int64).copy()
        values[rng.randrange(values.size)] = rng.choice(NUMBERS)
        tensor.raw_data = values.tobytes()
    elif kind < 3:
        dims = list(tensor.dims)
        rng.shuffle(dims)
        tensor.dims[:] = dims
    else:
        tensor.data_type = rng.choice([1, 6, 7, 10, 11, 16])


def mutate_fields(model: onnx.ModelProto, rng: random.Random) -> bytes:
    """Changes that keep the file well formed: numbers, operators, wires between nodes."""
    graph = model.graph
    for _ in range(rng.randint(1, 3)):
        node = rng.choice(graph.node)
        kind = rng.randrange(6)
        if kind <= 1 and node.attribute:
            mutate_attribute(rng.choice(node.attribute), rng)
        elif kind == 2 and node.input:
            names = [name for other in graph.node for name in [*other.input, *other.output]]
            node.input[rng.randrange(len(node.input))] = rng.choice(names)
        elif kind == 3:
            node.op_type = rng.choice(graph.node).op_type
        elif kind == 4 and graph.initializer:
            mutate_tensor(rng.choice(graph.initializer), rng)
        else:
            dims = graph.input[0].type.tensor_type.shape.dim
            dims[rng.randrange(len(dims))].dim_value = rng.choice([0, 1, 2, 5])
    content: bytes = model.SerializeToString()
    return content


def make_case(number: int, seeds: list[onnx.ModelProto], contents: list[bytes]) -> bytes:
    """The mutated file of that number: every other one is of several nodes."""
    rng = random.Random(number)
    pick = rng.randrange(COMPOSED if rng.random() < 0.5 else len(seeds))
    if number % 2 == 0:
        return mutate_bytes(contents[pick], contents, rng)
    model = onnx.ModelProto()
    model.CopyFrom(seeds[pick])
    return mutate_fields(model, rng)


def load_and_run(content: bytes) -> str:
    """Loads the model and, when its inputs are small, runs it; names what happened."""
    try:
        model = lw.load(content, threads=1)
        feeds = {}
        for info in model.inputs:
            shape = [dim if isinstance(dim, int) else 2 for dim in info.shape or ()]
            if info.optional:
                continue
            if np.prod([float(dim) for dim in shape]) > 1e5 or info.dtype not in np.sctypeDict:
                return "too large to run"
            feeds[info.name] = np.ones(shape, np.dtype(info.dtype))
        model.run(feeds)
    except lw.LanewiseError as error:
        assert str(error), "an error without a message"
        return type(error).__name__
    return "ran"


def limit_memory() -> None:
    """At most 1 GiB above what the process has now, unless a sanitiser's shadow forbids a limit."""
    if "libasan" in Path("/proc/self/maps").read_text():
        return
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    size = pages * resource.getpagesize() + GIB
    resource.setrlimit(resource.RLIMIT_AS, (size, size))


def peak_bytes() -> int:
    """Largest resident size so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main(first: int, count: int, progress: Path) -> None:
    """Runs the mutations; an exception other than the library's own ends the process."""
    seeds = list(all_seeds().values())
    contents = [seed.SerializeToString() for seed in seeds]
    outcomes: Counter[str] = Counter()
    limit_memory()
    before = peak_bytes()
    with progress.open("w") as file:
        for number in range(first, first + count):
            file.seek(0)
            file.write(f"{number}\n")
            file.flush()
            outcomes[load_and_run(make_case(number, seeds, contents))] += 1
    grown = peak_bytes() - before
    print(dict(outcomes), f"memory grew by {grown >> 20} MiB")
    if grown > GIB:
        sys.exit(f"memory grew by {grown} bytes, more than 1 GiB")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
