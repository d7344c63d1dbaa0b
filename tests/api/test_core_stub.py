"""The stub of the extension module names what the module has, no more and no less."""

from __future__ import annotations

import ast
from pathlib import Path

import lanewise
from lanewise import _core


def public(names: list[str]) -> set[str]:
    return {name for name in names if not name.startswith("_") or name == "__version__"}


def test_stub_and_module_agree() -> None:
    stub = ast.parse((Path(lanewise.__file__).parent / "_core.pyi").read_text())
    classes = [node for node in stub.body if isinstance(node, ast.ClassDef)]
    functions = [node.name for node in stub.body if isinstance(node, ast.FunctionDef)]
    variables = [
        node.target.id
        for node in stub.body
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
    ]
    names = [*functions, *variables, *(node.name for node in classes)]
    assert len(names) == len(set(names))
    assert set(names) == public(dir(_core))
    for node in classes:
        methods = {item.name for item in node.body if isinstance(item, ast.FunctionDef)}
        assert methods == public(dir(getattr(_core, node.name))), node.name
