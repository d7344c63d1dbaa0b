"""Einsum against numpy.einsum in float64, and exactly over integers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.ops.one_node import ISAS, fails, run

# Equation and the operands' shapes.
CASES: list[tuple[str, list[tuple[int, ...]]]] = [
    ("ij->ji", [(3, 4)]),
    ("ij->", [(3, 4)]),
    ("ii", [(4, 4)]),
    ("ii->i", [(4, 4)]),
    ("iij->ji", [(3, 3, 5)]),
    ("...ij->...ji", [(2, 3, 4, 5)]),
    ("b...->...", [(3, 4, 5)]),
    ("i,i", [(700,), (700,)]),
    ("i,j->ij", [(6,), (7,)]),
    ("ij,ij->ij", [(40, 30), (40, 30)]),
    ("ij,jk", [(33, 70), (70, 41)]),
    ("ij,kj->ki", [(33, 70), (41, 70)]),
    ("bij,bjk->bik", [(3, 20, 30), (3, 30, 17)]),
    ("bhid,bhjd->bhij", [(2, 3, 11, 16), (2, 3, 13, 16)]),
    ("bhij,bjhd->bihd", [(2, 3, 11, 13), (2, 13, 3, 16)]),
    ("...ij,...jk->...ik", [(2, 1, 5, 6), (3, 6, 7)]),
    ("...,...->...", [(4, 5), (3, 1, 5)]),
    ("ij,jk,kl->il", [(5, 6), (6, 7), (7, 8)]),
    ("a,b,c->abc", [(2,), (3,), (4,)]),
    ("ijk,jil->kl", [(5, 6, 7), (6, 5, 8)]),
    ("iaj,jbk->abik", [(4, 2, 5), (5, 3, 6)]),
    ("bnc,bmc,b->nm", [(3, 5, 4), (3, 6, 4), (3,)]),
    ("Aa,aB->BA", [(3, 4), (4, 5)]),
    (" i j , j k -> i k ", [(3, 4), (4, 5)]),
    ("ij,jk->ik", [(0, 4), (4, 5)]),
    ("ij,jk->ik", [(3, 0), (0, 5)]),
    (",i->i", [(), (5,)]),
    ("xyz,zy->x", [(3, 1, 5), (5, 4)]),
]


@pytest.mark.parametrize(("equation", "shapes"), CASES)
def test_against_numpy(equation: str, shapes: list[tuple[int, ...]]) -> None:
    rng = np.random.default_rng(17)
    whole = [rng.integers(-4, 5, shape) for shape in shapes]
    exact = np.einsum(equation, *whole)
    for dtype in (np.float32, np.float64, np.int64, np.int32, np.int8):
        got = run("Einsum", [x.astype(dtype) for x in whole], equation=equation)
        np.testing.assert_array_equal(got, exact.astype(dtype))
    real = [rng.normal(size=shape) for shape in shapes]
    want = np.einsum(equation, *real)
    scale = np.einsum(equation, *[np.abs(x) for x in real])
    for isa in ISAS:
        got = run(
            "Einsum", [x.astype(np.float32) for x in real], equation=equation, isa=isa, threads=2
        )
        # One rounding per input and at most 700 terms: gamma_k with k <= 710.
        assert np.all(np.abs(got - want) <= 710 * 2.0**-24 * scale + 1e-30)


@pytest.mark.parametrize(
    ("equation", "shapes", "match"),
    [
        ("ij,jk->ik", [(3, 4)], "has 2 terms"),
        ("ij->i", [(3, 4, 5)], "does not fit input 0"),
        ("ij,jk->ik", [(3, 4), (5, 6)], "index 'j' has sizes 4 and 5"),
        ("ij->ik", [(3, 4)], "index 'k' of the output"),
        ("ij->ii", [(3, 4)], "index 'i' of the output"),
        ("i1->i", [(3, 4)], "unexpected '1'"),
        ("i...j...->i", [(3, 4)], "unexpected '.'"),
    ],
)
def test_errors(equation: str, shapes: list[tuple[int, ...]], match: str) -> None:
    inputs: list[Any] = [np.zeros(shape, np.float32) for shape in shapes]
    fails("Einsum", inputs, match, equation=equation)
