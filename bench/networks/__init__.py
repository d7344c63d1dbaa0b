"""Published convolutional and recurrent networks as ONNX models with seeded weights.

    from bench import networks
    model = networks.build("resnet50")           # onnx.ModelProto
    feed = networks.inputs("resnet50")           # {"data": float32 [1, 3, 224, 224]}

One module per architecture; `python -m bench.networks --list` shows them all.
"""

from .count import Count, count
from .registry import Network, UnknownNetworkError, build, get, inputs, names, path

__all__ = [
    "Count",
    "Network",
    "UnknownNetworkError",
    "build",
    "count",
    "get",
    "inputs",
    "names",
    "path",
]
