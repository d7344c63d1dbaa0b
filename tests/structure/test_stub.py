"""The stub of the extension module names what the module has."""

from __future__ import annotations

import ast
from pathlib import Path

from lanewise import _core

STUB = Path(__file__).resolve().parents[2] / "python" / "lanewise" / "_core.pyi"


def public(obj: object) -> set[str]:
    return {name for name in vars(obj) if not name.startswith("_")}


def test_stub_names_everything() -> None:
    body = ast.parse(STUB.read_text(encoding="utf-8")).body
    functions = {node.name for node in body if isinstance(node, ast.FunctionDef)}
    classes = {node.name: node for node in body if isinstance(node, ast.ClassDef)}
    assert functions | set(classes) == public(_core)
    for name, node in classes.items():
        methods = {item.name for item in node.body if isinstance(item, ast.FunctionDef)}
        assert methods == public(getattr(_core, name))
