"""The examples in docstrings and in the README run."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import re
from pathlib import Path
from types import ModuleType

import pytest

import lanewise

ROOT = Path(__file__).resolve().parents[2]


def modules() -> list[ModuleType]:
    names = [
        info.name
        for info in pkgutil.walk_packages(lanewise.__path__, "lanewise.")
        if not info.name.endswith(("_core", "__main__"))
    ]
    return [lanewise, *(importlib.import_module(name) for name in names)]


@pytest.mark.parametrize("module", modules(), ids=lambda module: module.__name__)
def test_docstrings(module: ModuleType) -> None:
    result = doctest.testmod(module, optionflags=doctest.ELLIPSIS)
    assert result.failed == 0


def test_some_docstring_has_an_example() -> None:
    finder = doctest.DocTestFinder()
    examples = [e for module in modules() for test in finder.find(module) for e in test.examples]
    assert len(examples) > 10


def test_readme(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert len(blocks) == 1
    exec(compile(blocks[0], "README.md", "exec"), {})  # the project's own text
