"""The shipped networks and samples, and the exporter that wrote them; no engine is used."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx.reference import ReferenceEvaluator
from PIL import Image

DATA = Path(__file__).resolve().parents[2] / "python" / "lanewise" / "demo" / "data"
MODELS = ("denoiser.onnx", "digits.onnx", "superres.onnx")
SIZE_LIMIT = 3_000_000  # bytes; the wheel carries all of it


def test_size_is_below_the_limit() -> None:
    assert sum(path.stat().st_size for path in DATA.iterdir()) < SIZE_LIMIT


def test_readme_names_every_file() -> None:
    text = (DATA / "README.md").read_text(encoding="utf-8")
    for path in DATA.iterdir():
        assert path.name == "README.md" or f"`{path.name}`" in text


@pytest.mark.parametrize("name", MODELS)
def test_models_are_valid(name: str) -> None:
    model = onnx.load(str(DATA / name))
    onnx.checker.check_model(model, full_check=True)
    assert model.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "N"


@pytest.mark.parametrize("name", ["denoiser.onnx", "digits.onnx"])
def test_batch_normalisation_is_left_to_the_engine(name: str) -> None:
    operators = [node.op_type for node in onnx.load(str(DATA / name)).graph.node]
    assert operators.count("BatchNormalization") >= 3


def test_digits_are_a_stratified_quarter() -> None:
    with np.load(DATA / "digits_test.npz") as samples:
        images, labels = samples["images"], samples["labels"]
    assert images.shape == (450, 8, 8)
    assert images.dtype == np.uint8
    assert images.max() == 16
    assert labels.shape == (450,)
    assert labels.dtype == np.uint8
    assert np.bincount(labels, minlength=10).min() >= 43


def test_digits_are_those_of_the_split() -> None:
    pytest.importorskip("torch")
    datasets = pytest.importorskip("sklearn.datasets")
    selection = pytest.importorskip("sklearn.model_selection")
    digits = pytest.importorskip("tools.train.digits")
    raw = datasets.load_digits()
    _, test = selection.train_test_split(
        np.arange(1797), test_size=digits.TEST_SHARE, stratify=raw.target, random_state=digits.SEED
    )
    with np.load(DATA / "digits_test.npz") as samples:
        assert np.array_equal(samples["images"], raw.images[test])
        assert np.array_equal(samples["labels"], raw.target[test])


def test_photo_is_the_held_out_one() -> None:
    with Image.open(DATA / "coffee.png") as photo:
        assert photo.size == (600, 399)
        assert photo.mode == "RGB"


def test_noise_has_the_stated_strength() -> None:
    with np.load(DATA / "denoiser_test.npz") as samples:
        clean, noisy = samples["clean"].astype(np.float64), samples["noisy"].astype(np.float64)
    assert clean.shape == noisy.shape == (8, 96, 96)
    unclipped = (clean > 100) & (clean < 155)
    assert np.std((noisy - clean)[unclipped]) == pytest.approx(25, rel=0.05)


def test_denoiser_squares_are_of_the_photo() -> None:
    with Image.open(DATA / "coffee.png") as photo:
        grey = np.asarray(photo.convert("L"))
    with np.load(DATA / "denoiser_test.npz") as samples:
        clean = samples["clean"]
    squares = {
        grey[top : top + 96, left : left + 96].tobytes()
        for top in range(0, 399 - 95, 96)
        for left in range(0, 600 - 95, 96)
    }
    assert all(square.tobytes() in squares for square in clean)


def test_reference_evaluator_reads_the_digits() -> None:
    with np.load(DATA / "digits_test.npz") as samples:
        images = samples["images"][:40].astype(np.float32)[:, None] / np.float32(16)
        labels = samples["labels"][:40]
    evaluator = ReferenceEvaluator(str(DATA / "digits.onnx"))
    (probabilities,) = evaluator.run(None, {"image": images})
    assert np.mean(np.asarray(probabilities).argmax(axis=1) == labels) >= 0.95
    assert np.allclose(np.asarray(probabilities).sum(axis=1), 1, atol=1e-5)


def test_exporter_agrees_with_torch(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    export = pytest.importorskip("tools.train.export")
    nn = torch.nn
    torch.manual_seed(1)
    body = nn.Sequential(
        nn.Conv2d(2, 4, 3, stride=2, padding=1),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.ConvTranspose2d(4, 8, 4, stride=4, bias=False),
    )
    with torch.no_grad():
        body[1].running_mean.uniform_(-1, 1)
        body[1].running_var.uniform_(0.5, 2)
    network = export.Network(body, nn.Sequential(nn.PixelShuffle(2)))
    model = export.to_onnx(network, "t", ("x", ["N", 2, 12, 8]), ("y", ["N", 2, 24, 16]), "")
    sample = np.random.default_rng(0).normal(size=(3, 2, 12, 8)).astype(np.float32)
    assert export.save(network, model, tmp_path / "t.onnx", sample) < 1e-5
    with torch.no_grad():
        body[0].bias += 0.5
    with pytest.raises(ValueError, match="differ"):
        export.save(network, model, tmp_path / "t.onnx", sample)
