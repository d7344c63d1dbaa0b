"""Choosing each convolution's algorithm by time, within the model where it stands."""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from lanewise import _core
from lanewise.errors import InputError
from lanewise.feeds import concrete_shapes, random_inputs
from lanewise.layers import LayerTime
from lanewise.model import Model

__all__ = ["choose", "default_folder", "key_of", "tuned_choices"]

#: An algorithm replaces the estimated one when it takes at most this part of its time: smaller
#: differences come and go.
CLEARLY = 0.95
ROUNDS, RUNS = 3, 5
#: The reason that a plan gives for an algorithm that could run, and seemed to take longer.
SLOWER = "slower here"

#: Loads the model with that algorithm wherever it can run; "" for the estimate's choice.
Forced = Callable[[str], Model]


def default_folder() -> Path:
    """Where choices are kept unless a folder is given: ``~/.cache/lanewise/tuning``."""
    return Path(os.path.expanduser("~"), ".cache", "lanewise", "tuning")


def key_of(content: Iterable[bytes], isa: str, threads: int) -> str:
    """Names the choices of a model on this processor.

    Args:
        content: the model's bytes, in pieces. External data is left out: no time depends on it.
        isa: the instruction set in use.
        threads: the most threads that a run uses.

    Example:
        >>> from lanewise.tuning import key_of
        >>> key_of([b"model"], "avx2", 1) == key_of([b"mod", b"el"], "avx2", 1)
        True
    """
    digest = hashlib.blake2b(digest_size=16)
    for piece in content:
        digest.update(piece)
    digest.update("\0".join((_core.cpu_name(), isa, str(threads), _core.__version__)).encode())
    return digest.hexdigest()


def tuned_choices(load: Forced, content: Iterable[bytes], folder: Path) -> dict[str, str]:
    """The algorithm for each layer whose estimate was wrong, from the folder or timed now.

    Args:
        load: loads the model.
        content: the model's bytes, in pieces.
        folder: where choices are kept; made when it is missing.

    Returns:
        Algorithms by the layer's name.

    Raises:
        InputError: an input leaves a dimension open that cannot be guessed, or the folder cannot
            be written.
    """
    estimated = load("")
    path = folder / f"{key_of(content, estimated.isa, estimated.threads)}.json"
    kept = _read(path)
    if kept is not None:
        return kept
    choices = _time(load, estimated)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        fresh = path.with_suffix(f".{os.getpid()}")
        fresh.write_text(json.dumps({"cpu": _core.cpu_name(), "choices": choices}, indent=1))
        os.replace(fresh, path)
    except OSError as error:
        raise InputError(
            f"tune: cannot keep the choices in '{folder}' ({error}); give another folder",
            "tune",
            "a folder that can be written",
            str(folder),
        ) from error
    return choices


def _read(path: Path) -> dict[str, str] | None:
    """The choices in a file; None where it is missing or is no such file."""
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))["choices"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if isinstance(kept, dict) and all(isinstance(value, str) for value in kept.values()):
        return {str(name): value for name, value in kept.items()}
    return None


def _time(load: Forced, estimated: Model) -> dict[str, str]:
    inputs = random_inputs(estimated.inputs, concrete_shapes(estimated.inputs))
    layers = estimated.profile(inputs, 1).layers
    rivals = sorted({name for layer in layers for name, why in layer.refused if why == SLOWER})
    times: dict[str, dict[str, list[float]]] = {}
    for rival in rivals:
        forced = load(rival)
        for _ in range(ROUNDS):
            for model in (estimated, forced):
                _add(times, model.profile(inputs, RUNS).layers)
    repeated = {
        name for name, count in Counter(layer.name for layer in layers).items() if count > 1
    }
    return choose(
        {layer.name: layer.algorithm for layer in layers if layer.name not in repeated}, times
    )


def _add(times: dict[str, dict[str, list[float]]], layers: Iterable[LayerTime]) -> None:
    for layer in layers:
        times.setdefault(layer.name, {}).setdefault(layer.algorithm, []).append(layer.ms)


def choose(
    estimated: Mapping[str, str], times: Mapping[str, Mapping[str, list[float]]]
) -> dict[str, str]:
    """The layers for which another algorithm is clearly faster than the estimated one.

    Args:
        estimated: algorithm of each layer by name.
        times: milliseconds by layer and algorithm; the least of each counts.

    Returns:
        The faster algorithm of each such layer.

    Example:
        >>> from lanewise.tuning import choose
        >>> choose({"a": "x", "b": "x"}, {"a": {"x": [2, 3], "y": [1]}, "b": {"x": [1], "y": [9]}})
        {'a': 'y'}
    """
    choices = {}
    for name, algorithm in estimated.items():
        least = {rival: min(values) for rival, values in times.get(name, {}).items()}
        if algorithm not in least:
            continue
        best = min(least, key=lambda rival: least[rival])
        if least[best] < CLEARLY * least[algorithm]:
            choices[name] = best
    return choices
