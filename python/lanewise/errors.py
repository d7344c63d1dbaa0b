"""The errors that Lanewise raises; each names the place, what was expected and what to do."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = [
    "DeviceError",
    "InputError",
    "LanewiseError",
    "ModelError",
    "ResourceError",
    "UnsupportedError",
]


class LanewiseError(Exception):
    """Base of all errors of the library."""


class ModelError(LanewiseError, ValueError):
    """The model's file or graph is broken: not ONNX, truncated, cyclic, inconsistent."""


class UnsupportedError(LanewiseError, NotImplementedError):
    """The model is valid, and this build cannot run it.

    Attributes:
        ops: every unsupported thing of the model, one text each.
    """

    def __init__(self, message: str, ops: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.ops = list(ops)


class InputError(LanewiseError, ValueError):
    """An array or an option does not fit.

    Attributes:
        name: the input, output or option.
        expected: its form as the model or the library wants it.
        got: the form that was given.
    """

    def __init__(self, message: str, name: str = "", expected: str = "", got: str = "") -> None:
        super().__init__(message)
        self.name = name
        self.expected = expected
        self.got = got


class ResourceError(LanewiseError, MemoryError):
    """Memory, time or another limit does not suffice."""


class DeviceError(LanewiseError, RuntimeError):
    """The requested device, or a feature of it, is not there."""
