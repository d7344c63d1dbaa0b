"""Every trained model agrees with its reference on each ISA, with one and two threads."""

from __future__ import annotations

import pytest

import lanewise as lw
from tests.models.shared import FOLDER, check, names

if not names():
    pytest.skip(f"the trained models are not there: {FOLDER.name}", allow_module_level=True)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("isa", lw.isas())
@pytest.mark.parametrize("name", names())
def test_agrees(name: str, isa: str, threads: int) -> None:
    check(name, isa=isa, threads=threads)


@pytest.mark.parametrize("name", names())
def test_agrees_without_rewrites(name: str) -> None:
    check(name, threads=2, numerics="strict", _fuse=False)
