"""The networks that the onnx package carries with random weights reproduce their outputs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

import lanewise as lw

FOLDER = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"
NAMES = sorted(path.stem for path in FOLDER.glob("light_*.onnx"))


def _tensor(path: Path) -> np.ndarray:
    return numpy_helper.to_array(onnx.TensorProto.FromString(path.read_bytes()))


def test_all_nine_are_there() -> None:
    assert len(NAMES) == 9


@pytest.mark.parametrize("isa", lw.isas())
@pytest.mark.parametrize("name", NAMES)
def test_reproduces(name: str, isa: str) -> None:
    model = lw.load(FOLDER / f"{name}.onnx", isa=isa)
    wanted = _tensor(FOLDER / f"{name}_output_0.pb")
    inputs = [info for info in model.inputs if not info.optional]
    shape = [dim if isinstance(dim, int) else 1 for dim in inputs[0].shape or ()]
    # The suite's own input for these networks: increasing numbers over the number of elements.
    x = (np.arange(np.prod(shape)).reshape(shape) / np.prod(shape)).astype(np.float32)
    got = next(iter(model.run({inputs[0].name: x}).values()))
    np.testing.assert_allclose(got, wanted, rtol=1e-3, atol=1e-6)
