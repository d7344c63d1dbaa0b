"""Operators that the engine lacks, written in Python."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from lanewise import _core
from lanewise.dtypes import NAMES, Array, code_of, pack, unpack
from lanewise.errors import InputError, ModelError

__all__ = ["Infer", "Run", "TensorForm", "register_op"]


@dataclass(frozen=True)
class TensorForm:
    """Element type and shape of an input.

    Attributes:
        dtype: name of the element type, for example "float32".
        shape: its sizes.
    """

    dtype: str
    shape: tuple[int, ...]


OutputForm: TypeAlias = tuple[npt.DTypeLike, Sequence["int | None"]]
#: (inputs, attributes) to (type, shape) of each output; None stands for a left-out input.
Infer: TypeAlias = Callable[[list["TensorForm | None"], dict[str, Any]], Sequence[OutputForm]]
#: (inputs, attributes) to the output, or a sequence of several.
Run: TypeAlias = Callable[[list["Array | None"], dict[str, Any]], "Array | Sequence[Array]"]

_RawForm = tuple[int, list[int]]
_RawArray = tuple[Any, int]
_CODES = {name: code for code, name in NAMES.items()}


def register_op(domain: str, name: str, infer: Infer, run: Run) -> None:
    """Makes an operator known to models that are loaded from now on.

    Both functions get the node's attributes by name: ints, floats, strs, lists of them, and arrays.
    They may be called from any thread, one at a time (the GIL is held). Exceptions that they raise
    reach the caller of `load` or `run` as they are. Registering a name again replaces it for models
    loaded afterwards.

    Args:
        domain: the operator's domain in the file.
        name: its name there.
        infer: from the inputs' forms to (type, shape) of each output. A type is a name such as
            "float32" or "string", or a NumPy type; a size that depends on the inputs' content is
            None. It must not run the model whose plan it serves.
        run: from the inputs as arrays of its own to the output, or a sequence of several, in the
            types and shapes that `infer` gave.

    Raises:
        InputError: the engine has an operator of that name, or an argument is of the wrong type.

    Example:
        >>> import numpy as np
        >>> import lanewise as lw
        >>> from onnx import TensorProto, helper
        >>> def same(inputs, attributes):
        ...     return [(inputs[0].dtype, inputs[0].shape)]
        >>> def cube(inputs, attributes):
        ...     return inputs[0] ** 3 * np.float32(attributes.get("scale", 1.0))
        >>> lw.register_op("example", "Cube", same, cube)
        >>> node = helper.make_node("Cube", ["x"], ["y"], domain="example", scale=2.0)
        >>> x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n"])
        >>> y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n"])
        >>> graph = helper.make_graph([node], "g", [x], [y])
        >>> opsets = [helper.make_opsetid("", 21), helper.make_opsetid("example", 1)]
        >>> model = lw.load(helper.make_model(graph, opset_imports=opsets))
        >>> model(np.array([1, 2, 3], np.float32)).tolist()
        [2.0, 16.0, 54.0]
    """
    for what, value in (("domain", domain), ("name", name)):
        if not isinstance(value, str) or (what == "name" and not value):
            raise InputError(f"{what}: expected a str, got {value!r}", what, "a str", repr(value))
    for what, function in (("infer", infer), ("run", run)):
        if not callable(function):
            got = type(function).__name__
            raise InputError(f"{what}: expected a function, got {got}", what, "a function", got)

    def raw_infer(
        where: str, forms: list[_RawForm | None], attributes: dict[str, Any], outputs: int
    ) -> list[_RawForm]:
        given = [
            None if form is None else TensorForm(NAMES[form[0]], tuple(form[1])) for form in forms
        ]
        return _checked_forms(where, infer(given, _attributes(attributes)), outputs)

    def raw_run(
        where: str,
        arrays: list[_RawArray | None],
        attributes: dict[str, Any],
        forms: list[_RawForm],
    ) -> list[_RawArray]:
        given = [None if array is None else unpack(*array) for array in arrays]
        return _checked_arrays(where, run(given, _attributes(attributes)), forms)

    if not _core.register_op("" if domain == "ai.onnx" else domain, name, raw_infer, raw_run):
        text = f"{domain or 'ai.onnx'}:{name}"
        raise InputError(
            f"the engine has the operator {text} itself; register another name",
            "name",
            "an operator that the engine lacks",
            text,
        )


def _attributes(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Attributes by name, tensors as arrays."""
    return {name: _attribute(value) for name, value in raw.items()}


def _attribute(value: Any) -> Any:
    if isinstance(value, tuple):
        return unpack(*value)
    if isinstance(value, list):
        return [_attribute(item) for item in value]
    return value


def _checked_forms(where: str, result: Any, outputs: int) -> list[_RawForm]:
    """What `infer` returned as codes and sizes, -1 for those that depend on data."""
    if not isinstance(result, list | tuple):
        raise ModelError(
            f"{where}infer must return a list of (type, shape), got {type(result).__name__}"
        )
    if len(result) < outputs:
        raise ModelError(
            f"{where}infer gave {len(result)} forms, the node has {outputs} outputs; "
            "return (type, shape) for each"
        )
    return [_checked_form(where, form, i) for i, form in enumerate(result[:outputs])]


def _checked_form(where: str, form: Any, output: int) -> _RawForm:
    try:
        dtype, shape = form
        sizes = [-1 if size is None else int(size) for size in shape]
        code = _CODES.get(dtype) if isinstance(dtype, str) else None
        code = code or code_of(np.dtype(dtype), f"output {output}")
    except (TypeError, ValueError) as error:
        raise ModelError(
            f"{where}infer gave {form!r} for output {output}, expected (type, shape): {error}"
        ) from error
    if any(size >= 2**63 for size in sizes):
        raise ModelError(f"{where}infer gave a size beyond 63 bits for output {output}")
    if any(size is not None and size < 0 for size in shape):
        raise ModelError(
            f"{where}infer gave the negative size in {tuple(shape)} for output {output}; "
            "sizes that depend on data are None"
        )
    return code, sizes


def _checked_arrays(where: str, result: Any, forms: list[_RawForm]) -> list[_RawArray]:
    """What `run` returned, as the core takes it."""
    arrays = list(result) if isinstance(result, list | tuple) else [result]
    if len(arrays) < len(forms):
        raise ModelError(
            f"{where}run gave {len(arrays)} arrays, the node has {len(forms)} outputs; "
            "return one for each"
        )
    return [
        _checked_array(where, array, form, i)
        for i, (array, form) in enumerate(zip(arrays, forms, strict=False))
    ]


def _checked_array(where: str, value: Any, form: _RawForm, output: int) -> _RawArray:
    code, sizes = form
    if code == 0:  # an output that the node leaves out
        return np.zeros(0, np.uint8), 2
    if not isinstance(value, np.ndarray | np.generic):
        raise ModelError(
            f"{where}run gave {type(value).__name__} for output {output}, expected a NumPy array"
        )
    array = np.asarray(value)
    _, content, given = pack(f"{where}output {output}", array)
    fits = array.ndim == len(sizes) and all(
        size in (-1, got) for size, got in zip(sizes, array.shape, strict=False)
    )
    if given != code or not fits:
        shape = [None if size < 0 else size for size in sizes]
        raise ModelError(
            f"{where}run gave {array.dtype} {list(array.shape)} for output {output}, where infer "
            f"said {NAMES[code]} {shape}; return what infer says"
        )
    return content, code
