"""A trained PyTorch network as an ONNX file, node for node, checked against PyTorch.

The graph is written with `onnx.helper`, so it keeps BatchNormalization as its own node and
Dropout disappears: what the engine folds, it folds itself. No training lives here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from torch import nn

OPSET = 17
Dims = Sequence[int | str]


@dataclass(frozen=True)
class Network:
    """`tail(body(x))`, or `tail(body(x) + x)` with `skip`; the only topology the demos need.

    The sum broadcasts like NumPy, so one input channel may be added to many.
    """

    body: nn.Sequential
    tail: nn.Sequential = field(default_factory=nn.Sequential)
    skip: bool = False

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """Applies the network to a batch."""
        y: torch.Tensor = self.body(x)
        z: torch.Tensor = self.tail(y + x if self.skip else y)
        return z

    def predict(self, x: NDArray[np.float32], batch: int = 64) -> NDArray[np.float32]:
        """Applies the network in inference mode to `x` of shape (N, C, H, W), float32."""
        self.body.eval()
        with torch.no_grad():
            parts = [self(torch.from_numpy(x[i : i + batch])) for i in range(0, len(x), batch)]
        result: NDArray[np.float32] = torch.cat(parts).numpy()
        return result


class GraphWriter:
    """Collects nodes and weights while walking a network; every value has a readable name."""

    def __init__(self, source: str) -> None:
        """Starts at the graph input `source`."""
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []
        self.value = source
        self._counts: dict[str, int] = {}

    def emit(
        self, op: str, weights: Mapping[str, torch.Tensor | None] | None = None, **attributes: Any
    ) -> None:
        """Appends one node that reads the current value and makes its output the current one."""
        number = self._counts[op] = self._counts.get(op, 0) + 1
        name = f"{op.lower()}{number}"
        inputs = [self.value]
        for role, tensor in (weights or {}).items():
            if tensor is None:
                continue
            array = np.ascontiguousarray(tensor.detach().numpy())
            inputs.append(f"{name}.{role}")
            self.weights.append(numpy_helper.from_array(array, inputs[-1]))
        self.nodes.append(helper.make_node(op, inputs, [name], name=name, **attributes))
        self.value = name

    def add(self, other: str) -> None:
        """Appends the sum of the current value and `other`."""
        self.nodes.append(helper.make_node("Add", [self.value, other], ["add"], name="add"))
        self.value = "add"


def _pair(value: Any) -> list[int]:
    return [int(v) for v in value] if isinstance(value, tuple) else [int(value)] * 2


def _window(layer: Any) -> dict[str, Any]:
    return {
        "kernel_shape": _pair(layer.kernel_size),
        "strides": _pair(layer.stride),
        "pads": _pair(layer.padding) * 2,
    }


def _conv(g: GraphWriter, layer: Any) -> None:
    attributes: dict[str, Any] = {**_window(layer), "dilations": _pair(layer.dilation)}
    op = "Conv"
    if isinstance(layer, nn.ConvTranspose2d):
        op = "ConvTranspose"
        attributes["output_padding"] = _pair(layer.output_padding)
    weights = {"weight": layer.weight, "bias": layer.bias}
    g.emit(op, weights, group=layer.groups, **attributes)


def _batch_norm(g: GraphWriter, layer: Any) -> None:
    weights = {
        "scale": layer.weight,
        "bias": layer.bias,
        "mean": layer.running_mean,
        "variance": layer.running_var,
    }
    g.emit("BatchNormalization", weights, epsilon=layer.eps)


WRITERS: dict[type[Any], Callable[[GraphWriter, Any], None]] = {
    nn.Conv2d: _conv,
    nn.ConvTranspose2d: _conv,
    nn.BatchNorm2d: _batch_norm,
    nn.ReLU: lambda g, _: g.emit("Relu"),
    nn.MaxPool2d: lambda g, m: g.emit("MaxPool", None, **_window(m)),
    nn.Flatten: lambda g, m: g.emit("Flatten", axis=m.start_dim),
    nn.Linear: lambda g, m: g.emit("Gemm", {"weight": m.weight, "bias": m.bias}, transB=1),
    nn.Softmax: lambda g, m: g.emit("Softmax", axis=m.dim),
    nn.PixelShuffle: lambda g, m: g.emit("DepthToSpace", blocksize=m.upscale_factor, mode="CRD"),
    nn.Dropout: lambda g, _: None,
}


def to_onnx(
    network: Network, name: str, inputs: tuple[str, Dims], outputs: tuple[str, Dims], doc: str
) -> onnx.ModelProto:
    """Writes `network` as an ONNX model.

    Args:
        network: a trained network; only the layer types in `WRITERS` may occur.
        name: name of the graph.
        inputs: name and dimensions of the float32 input; a string is a symbolic dimension.
        outputs: the same for the output.
        doc: what the model is, kept in the file.

    Returns:
        The checked model, shapes of all inner values inferred by the ONNX checker.

    Raises:
        KeyError: a layer type has no writer.
    """
    graph = GraphWriter(inputs[0])
    for layer in network.body:
        WRITERS[type(layer)](graph, layer)
    if network.skip:
        graph.add(inputs[0])
    for layer in network.tail:
        WRITERS[type(layer)](graph, layer)
    graph.nodes[-1].output[0] = outputs[0]
    model = helper.make_model(
        helper.make_graph(
            graph.nodes,
            name,
            [helper.make_tensor_value_info(inputs[0], TensorProto.FLOAT, inputs[1])],
            [helper.make_tensor_value_info(outputs[0], TensorProto.FLOAT, outputs[1])],
            graph.weights,
        ),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=8,
        producer_name="lanewise tools/train",
        doc_string=doc,
    )
    onnx.checker.check_model(model, full_check=True)
    return model


def save(
    network: Network, model: onnx.ModelProto, path: Path, sample: NDArray[np.float32]
) -> float:
    """Saves `model` after comparing it with PyTorch on `sample`, in the ONNX reference evaluator.

    Args:
        network: the network that `model` was written from.
        model: result of `to_onnx`.
        path: file to write.
        sample: a small input batch, float32.

    Returns:
        The largest absolute difference.

    Raises:
        ValueError: the two differ by more than 1e-4 of the largest output.
    """
    (result,) = ReferenceEvaluator(model).run(None, {model.graph.input[0].name: sample})
    expected = network.predict(sample)
    difference = float(np.max(np.abs(np.asarray(result) - expected)))
    if difference > 1e-4 * float(np.max(np.abs(expected))):
        raise ValueError(f"{path.name}: ONNX and PyTorch differ by {difference:.3g}")
    onnx.save(model, str(path))
    return difference
