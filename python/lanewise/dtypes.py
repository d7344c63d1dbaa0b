"""ONNX's element types and NumPy's, and arrays between Python and the core."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from lanewise.errors import InputError

__all__ = ["NAMES", "code_of", "numpy_dtype", "numpy_dtype_named", "pack", "unpack"]

Array = npt.NDArray[Any]

#: Name of each ONNX element type (onnx.TensorProto.DataType), by code.
NAMES = {
    1: "float32", 2: "uint8", 3: "int8", 4: "uint16", 5: "int16", 6: "int32", 7: "int64",
    8: "string", 9: "bool", 10: "float16", 11: "float64", 12: "uint32", 13: "uint64",
    14: "complex64", 15: "complex128", 16: "bfloat16", 17: "float8_e4m3fn",
    18: "float8_e4m3fnuz", 19: "float8_e5m2", 20: "float8_e5m2fnuz", 21: "uint4", 22: "int4",
    23: "float4_e2m1fn", 24: "float8_e8m0fnu", 25: "uint2", 26: "int2",
    27: "float6_e2m3fn", 28: "float6_e3m2fn",
}  # fmt: skip

_STRING = 8
_NATIVE = {
    np.dtype(name): code
    for code, name in NAMES.items()
    if code in {1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13, 14, 15}
}
_NATIVE_CODES = frozenset(_NATIVE.values())
_CODES = {name: code for code, name in NAMES.items()}


def numpy_dtype(code: int) -> np.dtype[Any]:
    """The NumPy type of an ONNX element type.

    Args:
        code: a value of onnx.TensorProto.DataType.

    Returns:
        NumPy's own type, or that of ``ml_dtypes`` for bfloat16 and the types below 16 bits.

    Raises:
        ImportError: the type is one of ml_dtypes', which is not installed.
    """
    if code == _STRING:
        return np.dtype(object)
    name = NAMES[code]
    if code in _NATIVE_CODES:
        return np.dtype(name)
    import ml_dtypes  # an extra: only files with such types need it

    dtype: np.dtype[Any] = np.dtype(getattr(ml_dtypes, name))
    return dtype


def numpy_dtype_named(name: str) -> np.dtype[Any]:
    """The NumPy type of an element type given by its name in `NAMES`; see `numpy_dtype`."""
    return numpy_dtype(_CODES[name])


def code_of(dtype: np.dtype[Any], name: str) -> int:
    """The ONNX element type of a NumPy type; InputError naming the input when there is none."""
    code = _NATIVE.get(dtype)
    if code is None:
        code = _STRING if dtype.kind in "OUST" else _CODES.get(dtype.name)
    if code is None:
        raise InputError(
            f"input '{name}': arrays of {dtype} have no ONNX element type; convert it with .astype",
            name,
            "a numeric, bool or string array",
            str(dtype),
        )
    return code


def _as_array(value: object, name: str) -> Array:
    """The value as a NumPy array, without a copy for arrays, buffers and DLPack tensors."""
    if isinstance(value, np.ndarray):
        return value
    if hasattr(value, "__dlpack__") and not hasattr(value, "__array_interface__"):
        try:
            return np.from_dlpack(value)
        except (BufferError, RuntimeError, TypeError, ValueError) as error:
            raise InputError(
                f"input '{name}': cannot read the tensor through DLPack ({error}); "
                "give a tensor in CPU memory that needs no gradient",
                name,
                "an array in CPU memory",
                type(value).__name__,
            ) from error
    try:
        return np.asarray(value)
    except ValueError as error:
        raise InputError(
            f"input '{name}': cannot make an array of it ({error}); give a NumPy array",
            name,
            "an array",
            type(value).__name__,
        ) from error


def pack(name: str, value: object) -> tuple[str, Any, int]:
    """An input as the core takes it: (name, C-contiguous buffer, element type)."""
    if type(value) is np.ndarray:  # the common case, in a microsecond less
        known = _NATIVE.get(value.dtype)
        if known is not None and value.flags.c_contiguous:
            return name, value, known
    array = _as_array(value, name)
    code = code_of(array.dtype, name)
    if code == _STRING:
        return name, (_texts(array, name), array.shape), code
    if not array.flags.c_contiguous:
        array = np.ascontiguousarray(array)
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    if array.dtype.name in {"int4", "int2"}:
        array = array.astype(np.int8)  # the core holds them sign-extended, one per byte
    elif array.dtype not in _NATIVE:
        array = array.view(f"u{array.dtype.itemsize}")
    return name, array, code


def _texts(array: Array, name: str) -> list[str]:
    """The elements of a string array; bytes are taken as UTF-8."""
    try:
        texts = [_text(item, name) for item in array.ravel().tolist()]
        "".join(texts).encode()  # half of a surrogate pair is no text
    except UnicodeError as error:
        raise InputError(
            f"input '{name}': an element is not UTF-8 text ({error}); decode it first",
            name,
            "UTF-8 text",
            "other bytes",
        ) from error
    return texts


def _text(item: object, name: str) -> str:
    """One element of a string array."""
    if isinstance(item, str):
        return item
    if isinstance(item, bytes):
        return item.decode()
    raise InputError(
        f"input '{name}': an array of objects must hold str, found {type(item).__name__}; "
        "convert it with .astype",
        name,
        "str elements",
        type(item).__name__,
    )


def unpack(value: Any, code: int) -> Array:
    """An output of the core as a NumPy array of its own type."""
    if code == _STRING:
        texts, shape = value
        flat = np.empty(len(texts), dtype=object)
        flat[:] = texts
        result: Array = flat.reshape(shape)
        return result
    array = np.asarray(value)
    return array if code in _NATIVE_CODES else array.view(numpy_dtype(code))
