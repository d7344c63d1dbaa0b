"""The adapter to ONNX's backend interface (``onnx.backend.base``), on which its test suite runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx.backend.base import Backend, BackendRep

from lanewise.loading import load
from lanewise.model import Model
from lanewise.values import Value

__all__ = ["LanewiseBackend", "LanewiseRep", "prepare", "run_model", "run_node", "supports_device"]


class LanewiseRep(BackendRep):
    """A prepared model."""

    def __init__(self, model: Model) -> None:
        """Wraps a loaded model."""
        self.model = model

    def run(self, inputs: Any, **kwargs: Any) -> tuple[Value, ...]:
        """Runs the model.

        Args:
            inputs: one array per input in order, a dict by name, or a single array.
            **kwargs: unused, as the interface wants them.

        Returns:
            The outputs in order.
        """
        names = [info.name for info in self.model.inputs]
        if isinstance(inputs, dict):
            given = dict(inputs)
        else:
            arrays = list(inputs) if isinstance(inputs, list | tuple) else [inputs]
            given = dict(zip(names, arrays, strict=False))
        return tuple(self.model.run(given).values())


class LanewiseBackend(Backend):
    """``onnx.backend.base.Backend`` over Lanewise, for the CPU."""

    @classmethod
    def prepare(cls, model: onnx.ModelProto, device: str = "CPU", **kwargs: Any) -> LanewiseRep:
        """Loads a model; keyword arguments go to `lanewise.load`."""
        if not cls.supports_device(device):
            raise ValueError(f"device '{device}' is not supported; use 'CPU'")
        return LanewiseRep(load(model, **kwargs))

    @classmethod
    def run_model(
        cls, model: onnx.ModelProto, inputs: Any, device: str = "CPU", **kwargs: Any
    ) -> tuple[Value, ...]:
        """Loads and runs a model once."""
        return cls.prepare(model, device, **kwargs).run(inputs)

    @classmethod
    def run_node(
        cls,
        node: onnx.NodeProto,
        inputs: Any,
        device: str = "CPU",
        outputs_info: Sequence[tuple[np.dtype[Any], tuple[int, ...]]] | None = None,
        **kwargs: Any,
    ) -> tuple[Value, ...]:
        """Runs a single node on the given arrays, in the newest opset unless told otherwise."""
        opset = kwargs.pop("opset_version", onnx.defs.onnx_opset_version())
        names = [name for name in node.input if name]
        feeds = dict(zip(names, [np.asarray(a) for a in inputs], strict=True))
        graph_inputs = [
            onnx.helper.make_tensor_value_info(
                name, onnx.helper.np_dtype_to_tensor_dtype(array.dtype), array.shape
            )
            for name, array in feeds.items()
        ]
        graph_outputs = [onnx.helper.make_empty_tensor_value_info(n) for n in node.output if n]
        graph = onnx.helper.make_graph([node], "node", graph_inputs, graph_outputs)
        opsets = [onnx.helper.make_opsetid(node.domain, opset)]
        model = onnx.helper.make_model(graph, opset_imports=opsets)
        return cls.prepare(model, device, **kwargs).run(feeds)

    @classmethod
    def supports_device(cls, device: str) -> bool:
        """Whether models can run there: "CPU" only."""
        return device.split(":")[0].upper() == "CPU"


prepare = LanewiseBackend.prepare
run_model = LanewiseBackend.run_model
run_node = LanewiseBackend.run_node
supports_device = LanewiseBackend.supports_device
