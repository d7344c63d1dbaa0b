"""`--device cuda` of the command line, on the stand-in."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.cli.helpers import call
from tests.cuda.standin import StandIn
from tests.cuda.test_device import image, small_network


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "small.onnx"
    file.write_bytes(small_network())
    return file


def test_check_lists_what_stays_on_the_cpu(
    standin: StandIn, path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    standin.set("refuse_products", 1)
    found = call(capsys, "check", str(path), "--device", "cuda", "--json").json
    assert [step["op"] for step in found["on_cpu"] if "cuBLASLt" in step["reason"]] == ["Gemm"]
    text = call(capsys, "check", str(path), "--device", "cuda").out
    assert "steps on cuda:0" in text
    assert "on the CPU: Gemm 'last': cuBLASLt has no algorithm" in text


def test_run(
    standin: StandIn, path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.save(tmp_path / "x.npy", image(0))
    arguments = ("run", str(path), "--input", str(tmp_path / "x.npy"))
    text = call(capsys, *arguments, "--device", "cuda").out
    assert "first run, cuda:0" in text
    assert standin.read("convolutions") > 0
    found = call(capsys, *arguments, "--device", "cuda", "--json").json
    assert found["device"] == "cuda:0"


def test_explain_shows_devices(
    standin: StandIn, path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = call(capsys, "explain", str(path), "--device", "cuda", "--runs", "2", "--json").json
    devices = {layer["op"]: layer["device"] for layer in found["layers"]}
    assert devices["lanewise:FusedConv"] == "cuda:0"
    assert devices["lanewise:ToHost"] == "copy"
    assert found["total"]["percent_of_peak"] is None
    text = call(capsys, "explain", str(path), "--device", "cuda", "--runs", "2").out
    assert "device" in text.splitlines()[0] and "cuda:0" in text
