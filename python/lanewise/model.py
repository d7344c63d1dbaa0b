"""Loading and running a model."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from lanewise import _core, devices
from lanewise.dtypes import pack
from lanewise.errors import InputError, ModelError
from lanewise.layers import LayerTime, Plan, Profile, layer_of
from lanewise.values import Value, is_container, pack_value, type_name, unpack_value

__all__ = ["LayerTime", "Model", "Plan", "Profile", "TensorInfo", "load"]

Numerics = Literal["fast", "reproducible", "strict"]
Precision = Literal["float32", "tf32", "float16", "bfloat16"]


@dataclass(frozen=True)
class TensorInfo:
    """A declared input or output.

    Attributes:
        name: as in the file.
        dtype: name of the element type, for example "float32"; of a value that is no tensor its
            whole type, for example "sequence(float32)".
        shape: one entry per dimension: its size, the name of a symbolic dimension, or None when
            the file leaves it open; None as a whole when not even the rank is known, and for what
            is no tensor.
        optional: an initialiser that the caller may replace.
    """

    name: str
    dtype: str
    shape: tuple[int | str | None, ...] | None
    optional: bool = False

    @property
    def is_tensor(self) -> bool:
        """Whether it is a tensor, and no sequence, optional or map."""
        return "(" not in self.dtype


def _info(raw: _core.RawInfo) -> TensorInfo:
    name, code, shape, optional, holds = raw
    return TensorInfo(name, type_name([code, *holds]), shape, optional)


class Model:
    """A loaded model. Made by `lanewise.load`; running it is safe from many threads.

    Example:
        >>> import numpy as np
        >>> import lanewise as lw
        >>> from lanewise.demo.report import data_path
        >>> model = lw.load(data_path("digits.onnx"))
        >>> scores = model(np.zeros((1, 1, 8, 8), np.float32))
        >>> scores.shape
        (1, 10)
    """

    def __init__(self, session: _core.Session) -> None:
        """Wraps a session of the core; use `lanewise.load`."""
        self._session = session
        raw = session.inputs()
        self._output_names = [name for name, *_ in session.outputs()]
        self._input_names = [name for name, _, _, optional, _ in raw if not optional]
        self._containers = {
            name: [code, *holds] for name, code, _, _, holds in raw if is_container(code)
        }

    def _pack(self, inputs: Mapping[str, Value]) -> list[tuple[str, Any, int]]:
        """The inputs as the core takes them."""
        if not self._containers:
            return [pack(name, value) for name, value in inputs.items()]
        return [
            pack_value(name, value, self._containers.get(name, [0]))
            for name, value in inputs.items()
        ]

    @property
    def inputs(self) -> list[TensorInfo]:
        """The declared inputs, then the initialisers that may be replaced."""
        return [_info(raw) for raw in self._session.inputs()]

    @property
    def outputs(self) -> list[TensorInfo]:
        """The declared outputs."""
        return [_info(raw) for raw in self._session.outputs()]

    @property
    def metadata(self) -> dict[str, str]:
        """Producer, opsets, documentation and the file's own entries."""
        return self._session.metadata()

    @property
    def tensor_names(self) -> list[str]:
        """Every tensor that `run` can return: inputs, inner ones, outputs."""
        return self._session.tensor_names()

    @property
    def nodes(self) -> list[tuple[str, str]]:
        """(name, operator) of each node of the normalised graph, in order."""
        return self._session.nodes()

    @property
    def parameters(self) -> int:
        """Number of floating-point elements in the initialisers."""
        return self._session.parameters()

    @property
    def isa(self) -> str:
        """The instruction set in use."""
        return self._session.isa()

    @property
    def threads(self) -> int:
        """The most threads that a run uses."""
        return self._session.threads()

    @property
    def device(self) -> str:
        """Where it runs: "cpu", or for example "cuda:0"."""
        return self._session.device()

    def __call__(self, *arrays: Value) -> Value:
        """Runs the model on its inputs in order.

        Args:
            *arrays: one array per declared input: NumPy arrays, or anything with the buffer
                protocol or DLPack, not copied when C-contiguous. A sequence is a list of them, an
                optional None or the value, a map a dict.

        Returns:
            The output, or a tuple when the model has several; containers as for the inputs.

        Raises:
            InputError: the number of arrays, a dtype or a shape does not fit.
        """
        if len(arrays) != len(self._input_names):
            raise InputError(
                f"expected {len(self._input_names)} arrays ({', '.join(self._input_names)}), "
                f"got {len(arrays)}",
                "inputs",
                str(len(self._input_names)),
                str(len(arrays)),
            )
        packed = self._pack(dict(zip(self._input_names, arrays, strict=True)))
        results = [unpack_value(value, code) for value, code in self._session.run(packed, [])]
        return results[0] if len(results) == 1 else tuple(results)

    def run(
        self, inputs: Mapping[str, Value], outputs: Sequence[str] | None = None
    ) -> dict[str, Value]:
        """Runs the model and returns named tensors.

        Args:
            inputs: an array for each declared input, by name; a list for a sequence, None or the
                value for an optional, a dict for a map.
            outputs: names of any tensors inside the network (see `tensor_names`), for feature
                extraction; by default the declared outputs.

        Returns:
            The tensors by name, in the order asked for, in memory of their own; containers as for
            the inputs.

        Raises:
            InputError: an input is missing, unknown or does not fit, or an output is unknown.
            ModelError: the data breaks the model's own rules (an index out of range, say).
            ResourceError: memory does not suffice.

        Example:
            >>> import numpy as np
            >>> import lanewise as lw
            >>> from lanewise.demo.report import data_path
            >>> model = lw.load(data_path("digits.onnx"))
            >>> x = {model.inputs[0].name: np.zeros((2, 1, 8, 8), np.float32)}
            >>> sorted(model.run(x)) == sorted(info.name for info in model.outputs)
            True
        """
        if isinstance(outputs, str):
            raise InputError(
                f"outputs: expected a list of names, got the str '{outputs}'; "
                f"write outputs=['{outputs}']",
                "outputs",
                "a list of str",
                "str",
            )
        if not isinstance(inputs, Mapping):
            raise InputError(
                f"inputs: expected a dict from name to array, got {type(inputs).__name__}; "
                "call the model itself to give arrays in order",
                "inputs",
                "a dict",
                type(inputs).__name__,
            )
        names = list(outputs) if outputs is not None else self._output_names
        if not names:
            return {}
        results = self._session.run(self._pack(inputs), names)
        return {
            name: unpack_value(value, code)
            for name, (value, code) in zip(names, results, strict=True)
        }

    def profile(self, inputs: Mapping[str, Value], runs: int = 10) -> Profile:
        """Times each step.

        Args:
            inputs: as for `run`.
            runs: how many runs the medians are taken over, after one that is not counted.

        Returns:
            The times, with operation and byte counts.
        """
        raw = self._session.profile(self._pack(inputs), runs)
        layers = [layer_of(layer) for layer in raw["layers"]]
        return Profile(layers, raw["total_seconds"] * 1e3, raw["weight_bytes"])

    def describe(self, shapes: Mapping[str, Sequence[int]]) -> Plan:
        """What a run on inputs of these shapes would do; nothing is computed.

        Args:
            shapes: a shape for each declared input, by name.

        Returns:
            The steps, with operation and byte counts.

        Raises:
            InputError: a shape is missing, unknown or does not fit.
            ModelError: the model's own rules do not hold for these shapes.
        """
        raw = self._session.describe({name: list(shape) for name, shape in shapes.items()})
        layers = [layer_of(layer) for layer in raw["layers"]]
        return Plan(
            layers, raw["complete"], raw["arena_bytes"], raw["weight_bytes"], raw["device_bytes"]
        )

    def explain(
        self, inputs: Mapping[str, Value] | None = None, runs: int = 10, verbose: bool = False
    ) -> str:
        """Says where the time goes: a table with one line per step of the plan.

        Each line names the algorithm, its time, its rate, and how much of this machine's measured
        peak that is. An algorithm that saves operations (Winograd) can pass 100 %.

        Args:
            inputs: as for `run`; by default random arrays, with 1 for an open batch dimension.
            runs: how many runs the medians are taken over.
            verbose: also list the faster algorithms that could not be taken, with the reasons.

        Returns:
            Text for a terminal at least as wide as its lines.

        Raises:
            InputError: `inputs` do not fit, or the model leaves a dimension open that cannot be
                guessed.

        Example:
            >>> import lanewise as lw
            >>> from lanewise.demo.report import data_path
            >>> print(lw.load(data_path("digits.onnx")).explain())  # doctest: +ELLIPSIS
            layer ...
        """
        from lanewise import explanation  # brings in rich, which running a model does not need

        return explanation.explain(self, inputs, runs).text(verbose)


def load(
    model: str | os.PathLike[str] | bytes | bytearray | memoryview | Any,
    *,
    threads: int | None = None,
    isa: str | None = None,
    numerics: Numerics = "fast",
    time_limit: float | None = None,
    device: str = "cpu",
    precision: Precision = "float32",
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
        "device": device,
        "precision": precision,
        "libraries": [] if device == "cpu" else devices.library_folders(),
    }
    if isinstance(model, bytes | bytearray | memoryview):
        return Model(_core.load_bytes(bytes(model), "", options))
    if isinstance(model, str | os.PathLike):
        path = os.fspath(model)
        if not os.path.exists(path):
            raise FileNotFoundError(f"no such model file: {path}")
        if os.path.isdir(path):
            raise ModelError(f"'{path}' is a folder; give the path of an ONNX file in it")
        return Model(_core.load_file(path, options))
    serialize = getattr(model, "SerializeToString", None)
    if serialize is None:
        raise InputError(
            f"model: expected a path, bytes or an onnx.ModelProto, got {type(model).__name__}",
            "model",
            "a path, bytes or an onnx.ModelProto",
            type(model).__name__,
        )
    return Model(_core.load_bytes(serialize(), "", options))


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
