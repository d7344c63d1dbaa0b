"""Subjects quantised to 8 bits by ONNX Runtime's own quantiser."""

from __future__ import annotations

import importlib
import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from lanewise.benchmark.engines import Array, Feed

from .subject import Subject

FORMS = ("QDQ", "QOperator")
# Left as it is: eight bits hold little of a probability, and what they hold differs by whole steps.
NOT_QUANTISED = ("Softmax",)
# Engines round halves and scales differently, and one step in an early layer moves later ones.
TOLERANCE = 0.05
CALIBRATION_SAMPLES = 4


def quantised(subject: Subject, form: str, folder: Path, seed: int) -> Subject:
    """The subject with uint8 activations and int8 weights, a scale for each output channel.

    Ranges are those of random inputs, which suit random weights. The file is written to `folder`.

    Args:
        subject: A float32 model.
        form: "QDQ" (QuantizeLinear and DequantizeLinear around float operators) or "QOperator"
            (QLinearConv and its like).
        folder: Where to write.
        seed: Of the random inputs.

    Raises:
        ModuleNotFoundError: onnxruntime or its quantiser is missing.
    """
    quantization: Any = importlib.import_module("onnxruntime.quantization")
    preparation: Any = importlib.import_module("onnxruntime.quantization.shape_inference")
    prepared = folder / f"{subject.name}-prepared.onnx"
    target = folder / f"{subject.name}-{form}.onnx"
    logger = logging.getLogger()
    level = logger.level
    logger.setLevel(logging.ERROR)  # it warns of models that it has just prepared
    try:
        # Symbolic shape inference needs one more package, and shapes are known here.
        preparation.quant_pre_process(str(subject.file), str(prepared), skip_symbolic_shape=True)
        kept = [n.name for n in onnx.load(prepared).graph.node if n.op_type in NOT_QUANTISED]
        quantization.quantize_static(
            str(prepared),
            str(target),
            _Samples(subject.feed, seed),
            quant_format=quantization.QuantFormat[form],
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
            per_channel=True,
            nodes_to_exclude=kept,
        )
    finally:
        logger.setLevel(level)
    return replace(subject, name=f"{subject.name} {form}", file=target)


class _Samples:
    """Random inputs, one after the other, as the quantiser asks for them."""

    def __init__(self, feed: Feed, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self._left = [
            {name: _like(array, rng) for name, array in feed.items()}
            for _ in range(CALIBRATION_SAMPLES)
        ]

    def get_next(self) -> Feed | None:
        return self._left.pop() if self._left else None


def _like(array: Array, rng: np.random.Generator) -> Array:
    if not np.issubdtype(array.dtype, np.floating):
        return array
    return rng.standard_normal(array.shape).astype(array.dtype)
