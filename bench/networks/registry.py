"""The networks by name: `@network` in any module of this package adds one, no list to edit."""

from __future__ import annotations

import hashlib
import importlib
import inspect
import os
import pkgutil
import tempfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx

from .builder import GraphBuilder
from .graph import Dim
from .inputs import Input, Tensor

# A builder gets the graph and the names of the inputs that it declared.
Build = Callable[..., None]


class UnknownNetworkError(KeyError):
    """No network has this name. `str(error)` says which there are."""

    def __str__(self) -> str:
        """The message itself, where KeyError would quote it."""
        return str(self.args[0])


@dataclass(frozen=True)
class Network:
    """One registered network."""

    name: str
    inputs: tuple[Input, ...]
    build: Build
    paper: str


_registry: dict[str, Network] = {}


def network(name: str, *inputs: Input) -> Callable[[Build], Build]:
    """Registers the decorated function as the builder of `name`.

    The paragraph "Paper: ..." of its module's docstring says where it was published.
    """

    def register(build: Build) -> Build:
        if name in _registry:
            raise ValueError(f"two networks are called {name!r}")
        text = inspect.getdoc(inspect.getmodule(build)) or ""
        paper = text.partition("Paper: ")[2].partition("\n\n")[0]
        _registry[name] = Network(name, inputs, build, " ".join(paper.split()))
        return build

    return register


def names() -> list[str]:
    """Names of all networks, sorted."""
    return sorted(_scanned())


def get(name: str) -> Network:
    """The network called `name`.

    Raises:
        UnknownNetworkError: There is none.
    """
    found = _scanned()
    if name not in found:
        raise UnknownNetworkError(
            f"no network is called {name!r}; there are: {', '.join(sorted(found))}"
        )
    return found[name]


def build(name: str, batch: Dim = 1, seed: int | None = 0) -> onnx.ModelProto:
    """Builds a network; equal arguments give equal bytes.

    Args:
        name: One of `names()`.
        batch: Samples per run, or a string such as "N" that leaves the batch dimension symbolic.
        seed: Seed of the weights; None leaves them without data, enough for shapes and counts.

    Raises:
        UnknownNetworkError: There is no such network.
    """
    spec = get(name)
    graph = GraphBuilder(name, batch, seed)
    spec.build(graph, *[graph.input(i.name, i.shape, i.dtype) for i in spec.inputs])
    return graph.model


def inputs(name: str, batch: int = 1, seed: int = 0) -> dict[str, Tensor]:
    """Seeded sample inputs for a network, by input name.

    Raises:
        UnknownNetworkError: There is no such network.
    """
    rng = np.random.default_rng([seed, zlib.crc32(name.encode()), 1])
    return {i.name: i.draw(rng, batch) for i in get(name).inputs}


def path(name: str, cache: str | os.PathLike[str], batch: Dim = 1, seed: int = 0) -> Path:
    """Path of the network's .onnx file in the folder `cache`, written there when missing.

    The file's name holds a digest of this package's source: a changed builder never meets an old
    file.
    """
    folder = Path(cache)
    target = folder / f"{name}-b{batch}-s{seed}-{_digest()}.onnx"
    if not target.exists():
        model = build(name, batch, seed)
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            onnx.save(model, part := Path(scratch, target.name))
            part.replace(target)
    return target


def _scanned() -> dict[str, Network]:
    package = importlib.import_module(__package__)
    for module in pkgutil.iter_modules(package.__path__):
        if not module.name.startswith("__"):
            importlib.import_module(f"{__package__}.{module.name}")
    return _registry


def _digest() -> str:
    sources = sorted(Path(__file__).parent.glob("*.py"))
    return hashlib.sha256(b"".join(s.read_bytes() for s in sources)).hexdigest()[:8]
