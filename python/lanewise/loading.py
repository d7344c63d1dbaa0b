"""Loading a model: options, and where its bytes come from."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from lanewise import _core, devices
from lanewise.errors import InputError, ModelError
from lanewise.model import Model

__all__ = ["load"]

Numerics = Literal["fast", "reproducible", "strict"]
Precision = Literal["float32", "tf32", "float16", "bfloat16"]


def load(
    model: str | os.PathLike[str] | bytes | bytearray | memoryview | Any,
    *,
    threads: int | None = None,
    isa: str | None = None,
    numerics: Numerics = "fast",
    time_limit: float | None = None,
    device: str = "cpu",
    precision: Precision = "float32",
    tune: bool | str | os.PathLike[str] = False,
    _fuse: bool = True,
    _force: str = "",
) -> Model:
    """Loads a trained model.

    Args:
        model: path of an ONNX file, its bytes, or an ``onnx.ModelProto``. External data is found
            beside the file, and only there.
        threads: the most threads a run may use; by default the physical cores that this process
            may use (affinity and cgroup quota heeded).
        isa: instruction set to use ("baseline", "avx2", "avx512", "avx512_vnni", "amx");
            by default the widest.
        numerics: "fast" (default) may reassociate sums within a stated bound; "reproducible" also
            gives the same bits for a sample alone or in any batch; "strict" never reassociates
            beyond the order of direct convolution.
        time_limit: seconds that the load, and afterwards each run, may take; by default any.
            Asked for between steps and iterations, it ends a loop that would not.
        device: "cpu", or "cuda" or "cuda:<number>" for an NVIDIA GPU. Operators that have no form
            for the GPU run on the CPU; `Model.describe` tells which, and why.
        precision: what the GPU computes in: "float32", "tf32" (float32 whose products round their
            factors to 11 bits), "float16" or "bfloat16". Inputs and outputs keep their types.

        tune: times the algorithms of each convolution on random inputs, within the model, where
            the engine else estimates them. This takes some tens of runs; choices are kept in
            ``~/.cache/lanewise/tuning``, or the folder given, for this model, processor,
            instruction set and number of threads. Results have the same bits as long as the
            choices are the same. Needs numerics "fast" and the CPU.

    Returns:
        The model, ready to run.

    Raises:
        FileNotFoundError: there is no such file.
        ModelError: the file is not a valid model.
        UnsupportedError: it is valid, and uses something that this build lacks.
        InputError: an option is out of range.
        ResourceError: memory or the time limit does not suffice.
        DeviceError: the device, or a library that it needs, is not there.
    """
    options: dict[str, Any] = {
        "isa": isa or "",
        "threads": _threads(threads),
        "numerics": numerics,
        "time_limit": _seconds(time_limit),
        "fuse": _fuse,
        "force": _force,
        "choices": {},
        "device": device,
        "precision": precision,
        "libraries": [] if device == "cpu" else devices.library_folders(),
    }
    source = _source(model)
    if tune is not False:
        _check_tunable(numerics, device)
        from lanewise import tuning  # brings in what running a model does not need

        options["choices"] = tuning.tuned_choices(
            lambda force: _open(source, {**options, "force": force}),
            _pieces(source),
            tuning.default_folder() if tune is True else Path(tune),
        )
    return _open(source, options)


def _source(model: object) -> str | bytes:
    """The path of a model, or its bytes."""
    if isinstance(model, bytes | bytearray | memoryview):
        return bytes(model)
    if isinstance(model, str | os.PathLike):
        path = os.fspath(model)
        if not os.path.exists(path):
            raise FileNotFoundError(f"no such model file: {path}")
        if os.path.isdir(path):
            raise ModelError(f"'{path}' is a folder; give the path of an ONNX file in it")
        return path
    serialize = getattr(model, "SerializeToString", None)
    if serialize is None:
        raise InputError(
            f"model: expected a path, bytes or an onnx.ModelProto, got {type(model).__name__}",
            "model",
            "a path, bytes or an onnx.ModelProto",
            type(model).__name__,
        )
    content: bytes = serialize()
    return content


def _open(source: str | bytes, options: dict[str, Any]) -> Model:
    if isinstance(source, bytes):
        return Model(_core.load_bytes(source, "", options))
    return Model(_core.load_file(source, options))


def _pieces(source: str | bytes) -> Iterator[bytes]:
    """The bytes of a model, a few at a time."""
    if isinstance(source, bytes):
        yield source
        return
    with open(source, "rb") as file:
        while piece := file.read(1 << 20):
            yield piece


def _check_tunable(numerics: str, device: str) -> None:
    if numerics != "fast" or device != "cpu":
        raise InputError(
            f"tune: choices by time need numerics 'fast' on the CPU, got numerics '{numerics}' "
            f"on '{device}'; leave tune out",
            "tune",
            "numerics 'fast' on the CPU",
            f"numerics '{numerics}' on '{device}'",
        )


def _seconds(time_limit: float | None) -> float:
    """The option as the core takes it, 0 for no limit."""
    if time_limit is None:
        return 0.0
    if (
        isinstance(time_limit, bool)
        or not isinstance(time_limit, int | float)
        or not time_limit > 0
    ):
        raise InputError(
            f"time_limit: expected a positive number of seconds, got {time_limit!r}; "
            "leave it out for no limit",
            "time_limit",
            "a positive number",
            repr(time_limit),
        )
    return float(time_limit)


def _threads(threads: int | None) -> int:
    """The option as the core takes it, 0 for the default."""
    if threads is None:
        return 0
    if isinstance(threads, bool) or not isinstance(threads, int) or threads < 1:
        raise InputError(
            f"threads: expected a positive int, got {threads!r}; leave it out for the default",
            "threads",
            "a positive int",
            repr(threads),
        )
    return threads
