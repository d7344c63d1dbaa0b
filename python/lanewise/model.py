"""A loaded model and running it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lanewise import _core
from lanewise.dtypes import pack
from lanewise.errors import InputError
from lanewise.layers import LayerTime, Plan, Profile, layer_of
from lanewise.values import Value, is_container, pack_value, type_name, unpack_value

__all__ = ["LayerTime", "Model", "Plan", "Profile", "TensorInfo"]


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
