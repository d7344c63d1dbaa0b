"""Lanewise and ONNX Runtime compute the same function on every network.

The bound: a float32 layer as either engine sums it lies within about 4e-6 of max|y| of the exact
one (Winograd F(4x4, 3x3), the least exact algorithm in use). These networks neither amplify nor
damp what comes in, so the errors of d layers add like random steps: sqrt(152) * 4e-6 = 5e-5 for the
deepest. BOUND leaves a factor of four.
"""

from __future__ import annotations

import numpy as np
import pytest

from bench import networks

BOUND = 2e-4
# For outputs that are zero throughout.
FLOOR = 1e-7

lanewise = pytest.importorskip("lanewise")
onnxruntime = pytest.importorskip("onnxruntime")


@pytest.mark.parametrize("name", networks.names())
def test_agrees_with_onnxruntime(name: str) -> None:
    data = networks.build(name).SerializeToString()
    feed = networks.inputs(name)
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    names = [o.name for o in session.get_outputs()]
    expected = dict(zip(names, session.run(None, feed), strict=True))
    del session
    found = lanewise.load(data, threads=2).run(feed)
    assert set(found) == set(expected)
    for key, want in expected.items():
        have = found[key]
        assert (have.dtype, have.shape) == (want.dtype, want.shape), key
        if np.issubdtype(want.dtype, np.floating):
            assert np.isfinite(have).all(), key
            error, limit = np.abs(have - want).max(), BOUND * np.abs(want).max() + FLOOR
            assert error <= limit, f"{key}: off by {error:.3g}, {limit:.3g} allowed"
        else:
            np.testing.assert_array_equal(have, want, err_msg=key)


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v2", "show_and_tell", "acoustic_lstm"])
def test_agrees_on_a_symbolic_batch(name: str) -> None:
    data = networks.build(name, "N").SerializeToString()
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    model = lanewise.load(data, threads=2)
    for batch in (2, 1, 3):
        feed = networks.inputs(name, batch)
        (want,), (have,) = session.run(None, feed), model.run(feed).values()
        assert have.shape == want.shape
        assert np.abs(have - want).max() <= BOUND * np.abs(want).max() + FLOOR
