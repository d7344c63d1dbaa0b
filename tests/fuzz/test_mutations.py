"""Hostile files: mutated models load and run, or raise the library's errors; nothing else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

import lanewise as lw
from lanewise.operators import operators
from tests.fuzz.seeds import all_seeds
from tests.fuzz.seeds_cases import seed_of

SEEDS = all_seeds()
#: Operators that no file may name.
PLANS_ALONE = {"lanewise:ToDevice", "lanewise:ToHost"}


def operators_of(graph: onnx.GraphProto) -> set[str]:
    """The operators of a graph and of its bodies."""
    found = set()
    for node in graph.node:
        found.add(f"{node.domain}:{node.op_type}" if node.domain else node.op_type)
        for attribute in node.attribute:
            found |= operators_of(attribute.g)
    return found


def test_every_operator_is_in_a_seed() -> None:
    seeded = set().union(*(operators_of(model.graph) for model in SEEDS.values()))
    assert {one.name for one in operators()} - PLANS_ALONE <= seeded


@pytest.mark.parametrize("name", sorted(PLANS_ALONE))
def test_what_plans_alone_contain_is_refused(name: str) -> None:
    domain, op = name.split(":")
    model = seed_of(helper.make_node(op, ["a"], ["y"], domain=domain), [np.ones(2, "f4")], 1)
    with pytest.raises(lw.UnsupportedError, match=op):
        lw.load(model)


@pytest.mark.parametrize("name", SEEDS)
def test_seeds_run(name: str) -> None:
    """What mutations start from is valid, or they would end at one and the same fault."""
    model = lw.load(SEEDS[name])
    feeds = {
        info.name: np.ones([d if isinstance(d, int) else 2 for d in info.shape or ()], info.dtype)
        for info in model.inputs
        if not info.optional
    }
    assert model.run(feeds)


def test_mutations(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """Seeded mutations in a process of their own, with 1 GiB to spend."""
    count = request.config.getoption("--fuzz-cases")
    first = request.config.getoption("--fuzz-seed")
    progress = tmp_path / "progress"
    command = [sys.executable, "-m", "tests.fuzz.mutate", str(first), str(count), str(progress)]
    root = Path(__file__).parents[2]
    result = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=60 + count)
    reached = progress.read_text().strip() if progress.exists() else "none"
    assert result.returncode == 0, (
        f"mutation {reached} ended the process with {result.returncode}; replay it with "
        f"--fuzz-seed {reached} --fuzz-cases 1\n{result.stdout}\n{result.stderr[-4000:]}"
    )
    if count >= 100:
        assert "ran" in result.stdout
        assert "ModelError" in result.stdout
