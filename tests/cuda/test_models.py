"""The trained models on a stand-in of the GPU: placed there, and their references computed."""

from __future__ import annotations

import pytest

import lanewise as lw
from tests.cuda.standin import StandIn
from tests.models import shared

# Steps that the CPU keeps, with the reason, of models that are not wholly on the device.
LEFT = {
    "speech/silero_vad_v6": {
        ("If", "the shape of its result depends on data"),
        ("Equal", "small integers stay on the host"),
    },
    "text/byte_sb_bidi_lstm": {("Cast", "small integers stay on the host")},
}
# Operators on integers, which these are made of, have no form for the device.
INTEGERS = {"derived/squeezenet1.1-int8-qoperator", "shufflenet/shufflenet-v2-12-int8"}
# Emulated in seconds; together they use most families of kernels.
RUN = [
    "cifar_cnn/pytorch-imageclassifier", "derived/squeezenet1.1-int8-qdq",
    "detection_yolo/fastestdet_352",
    "face_blazeface/blazeface_front_128", "face_yunet/yunet_120x160", "lenet/mnist-8",
    "speech/dtln_model_1", "speech/gtcrn_stream_simple", "text/byte_sb_bidi_lstm",
]  # fmt: skip


@pytest.mark.parametrize("name", [name for name in shared.names() if name not in INTEGERS])
def test_models_are_placed_on_the_device(standin: StandIn, name: str) -> None:
    model = lw.load(shared.FOLDER / f"{name}.onnx", device="cuda")
    layers = model.describe({key: x.shape for key, x in shared.data(name)[0].items()}).layers
    kept = {(layer.op, layer.refused[0][1]) for layer in layers if layer.device == "cpu"}
    assert kept == LEFT.get(name, set())


@pytest.mark.parametrize("name", [name for name in RUN if name in shared.names()])
def test_models_compute_their_references(standin: StandIn, name: str) -> None:
    shared.check(name, device="cuda")
