"""The operators that the engine runs: their opsets and element types, as a table.

The table is made by `tools/operators.py`, which asks the engine; here it is read and shown.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any

__all__ = ["KIND_NAMES", "OperatorInfo", "operators", "short_types"]

#: Element types whose name in ONNX's schemas is not this library's.
KIND_NAMES = {
    "float": "float32",
    "double": "float64",
    "float8e4m3fn": "float8_e4m3fn",
    "float8e4m3fnuz": "float8_e4m3fnuz",
    "float8e5m2": "float8_e5m2",
    "float8e5m2fnuz": "float8_e5m2fnuz",
    "float8e8m0": "float8_e8m0fnu",
    "float4e2m1": "float4_e2m1fn",
    "float6e2m3": "float6_e2m3fn",
    "float6e3m2": "float6_e3m2fn",
}

#: Groups of types that are named together where all of them are there.
_GROUPS = (
    ("float8", ("float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2", "float8_e5m2fnuz")),
    ("float16..64", ("bfloat16", "float16", "float32", "float64")),
    ("int8..64", ("int8", "int16", "int32", "int64")),
    ("uint8..64", ("uint8", "uint16", "uint32", "uint64")),
    ("int2..4", ("int2", "int4", "uint2", "uint4")),
    ("complex", ("complex64", "complex128")),
)


@dataclass(frozen=True)
class OperatorInfo:
    """One operator.

    Attributes:
        name: with its domain before a colon, but for ai.onnx.
        doc: what it computes; empty for one that others make up when a file is read.
        opsets: the versions of its domain in which it got a new form; all of them run. Empty for
            operators that are not ONNX's.
        types: element types by the name of the type variable in ONNX's schema.
    """

    name: str
    doc: str
    opsets: tuple[int, ...]
    types: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """The fields as values that `json` can write."""
        types = {variable: list(names) for variable, names in self.types.items()}
        return {"name": self.name, "doc": self.doc, "opsets": list(self.opsets), "types": types}


def operators() -> list[OperatorInfo]:
    """Every operator, by domain and name.

    Example:
        >>> from lanewise.operators import operators
        >>> next(op.opsets for op in operators() if op.name == "Conv")
        (1, 11, 22)
    """
    text = files("lanewise").joinpath("operators.json").read_text(encoding="utf-8")
    return [
        OperatorInfo(
            row["name"],
            row["doc"],
            tuple(row["opsets"]),
            {variable: tuple(names) for variable, names in row["types"].items()},
        )
        for row in json.loads(text)
    ]


def short_types(names: Iterable[str]) -> str:
    """Names of types, with whole families under one name."""
    left = set(names)
    parts = []
    for group, members in _GROUPS:
        if left.issuperset(members):
            parts.append(group)
            left.difference_update(members)
    return ", ".join([*parts, *sorted(left)])


def markdown(rows: Iterable[OperatorInfo]) -> str:
    """The page of the documentation."""
    lines = [
        "# Operators",
        "",
        "Made by `python -m tools.operators`, which runs each operator with each element type that",
        "ONNX's schemas allow; `lanewise ops` shows the same table. *Opsets* are the versions in",
        "which an operator got a new form: all of them run, older ones rewritten to the newest",
        "when a file is read. A type variable is named as in ONNX's documentation.",
        "",
        "| operator | opsets | types |",
        "|---|---|---|",
    ]
    for row in rows:
        opsets = ", ".join(map(str, row.opsets)) or "-"
        types = "<br>".join(f"{v}: {short_types(t)}" for v, t in row.types.items()) or "-"
        lines.append(f"| {row.name} | {opsets} | {types} |")
    return "\n".join(lines) + "\n"
