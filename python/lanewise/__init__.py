"""Lanewise runs trained ONNX models fast on a CPU, and can say why it is as fast as it is.

Example:
    >>> import numpy as np
    >>> import lanewise as lw
    >>> from lanewise.demo.report import data_path
    >>> model = lw.load(data_path("digits.onnx"))
    >>> scores = model(np.zeros((1, 1, 8, 8), np.float32))
"""

from __future__ import annotations

from lanewise._core import __version__, isas
from lanewise.custom import TensorForm, register_op
from lanewise.errors import (
    DeviceError,
    InputError,
    LanewiseError,
    ModelError,
    ResourceError,
    UnsupportedError,
)
from lanewise.image_decoder import register as _register_image_decoder
from lanewise.loading import load
from lanewise.model import LayerTime, Model, Plan, Profile, TensorInfo

__all__ = [
    "DeviceError",
    "InputError",
    "LanewiseError",
    "LayerTime",
    "Model",
    "ModelError",
    "Plan",
    "Profile",
    "ResourceError",
    "TensorForm",
    "TensorInfo",
    "UnsupportedError",
    "__version__",
    "isas",
    "load",
    "register_op",
]

_register_image_decoder()
