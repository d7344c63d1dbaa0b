"""The trained models beside the project, with real inputs and reference outputs."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

import lanewise as lw

FOLDER = Path(__file__).resolve().parents[3] / "shared" / "models"

Arrays = dict[str, npt.NDArray[Any]]

# Largest |difference| over the largest |reference|. Float32 models differ by rounding alone; the
# bound grows with depth and with references that are stored rounded to float16.
DEFAULT_BOUND = 1e-4
BOUNDS = {
    # The reference's sigmoid has absolute errors up to 1.5e-7, far more than an ulp of its small
    # values; here it keeps within 2.5 ulp, and 80 layers of x * sigmoid(x) show the difference.
    "detection_yolo/yolox_nano_416_opencv_zoo": 3e-4,
    "segmentation/deeplabv3_mnv2_dm05": 1e-3,  # the reference is rounded to float16
    "style/fns-candy": 1e-3,  # likewise
    "squeezenet/squeezenet1.1-fp16": 5e-3,  # the reference rounds to float16 after each node
}
# Quantised models: engines round halves and scales differently, and one step early in the network
# moves later ones; compared in shares of the output's range.
QUANTISED_BOUND = 0.05


def names() -> list[str]:
    """Family and name of each model, or nothing where the folder is missing."""
    return sorted(str(path.relative_to(FOLDER).with_suffix("")) for path in FOLDER.glob("*/*.onnx"))


@lru_cache(maxsize=4)
def data(name: str) -> tuple[Arrays, Arrays]:
    """Inputs and expected outputs of a model."""
    with np.load(FOLDER / f"{name}.io.npz") as stored:
        inputs = {key[3:]: stored[key] for key in stored.files if key.startswith("in:")}
        outputs = {key[4:]: stored[key] for key in stored.files if key.startswith("out:")}
    return inputs, outputs


def bound(name: str) -> float:
    """How far an output may be from its reference, relative to the largest reference value."""
    return QUANTISED_BOUND if "int8" in name else BOUNDS.get(name, DEFAULT_BOUND)


def check(name: str, **options: Any) -> None:
    """Loads and runs a model and compares each output."""
    model = lw.load(FOLDER / f"{name}.onnx", **options)
    inputs, wanted = data(name)
    types = {info.name: info.dtype for info in model.inputs}
    got = model.run({key: array.astype(types[key]) for key, array in inputs.items()})
    assert got.keys() == wanted.keys()
    for key, reference in wanted.items():
        assert got[key].shape == reference.shape
        difference = np.abs(got[key].astype(np.float64) - reference.astype(np.float64))
        scale = np.abs(reference.astype(np.float64)).max(initial=0.0)
        worst = difference.max(initial=0.0)
        assert worst <= bound(name) * scale, f"{key}: off by {worst}, largest value {scale}"
