"""Energy counters, what NVML says of a GPU, and peaks, against files and a library made up."""

from __future__ import annotations

from pathlib import Path

import pytest

from lanewise.benchmark import energy, nvml
from lanewise.benchmark.peaks import Peaks, gpu_peak_gflops
from tests.benchmark.helpers import Nvml


def zone(root: Path, name: str, kind: str, microjoules: int, top: int = 999_999) -> Path:
    folder = root / name
    folder.mkdir(parents=True)
    (folder / "name").write_text(kind + "\n")
    (folder / "max_energy_range_uj").write_text(f"{top}\n")
    (folder / "energy_uj").write_text(f"{microjoules}\n")
    return folder


def test_packages_are_counted_and_their_parts_are_not(tmp_path: Path) -> None:
    first = zone(tmp_path, "intel-rapl:0", "package-0", 900_000)
    zone(tmp_path, "intel-rapl:0:0", "core", 1)
    zone(tmp_path, "intel-rapl:1", "package-1", 5)
    zone(tmp_path, "intel-rapl:2", "psys", 5)
    meters, remarks = energy.find_meters(["cpu"], tmp_path)
    assert [meter.name for meter in meters] == ["cpu package-0", "cpu package-1"]
    assert remarks == []
    before = meters[0].read()
    (first / "energy_uj").write_text("950000\n")
    assert meters[0].joules(before, meters[0].read()) == pytest.approx(0.05)
    (first / "energy_uj").write_text("100000\n")  # wrapped around after 999,999
    assert meters[0].joules(before, meters[0].read()) == pytest.approx(0.2)


def test_machines_without_counters_say_so(tmp_path: Path) -> None:
    meters, remarks = energy.find_meters(["cpu"], tmp_path)
    assert meters == []
    assert remarks == [f"no energy of the CPU: there are no RAPL counters under {tmp_path}"]
    folder = zone(tmp_path, "intel-rapl:0", "package-0", 1)
    (folder / "energy_uj").write_text("not a number")
    meters, remarks = energy.find_meters(["cpu"], tmp_path)
    assert meters == [] and "intel-rapl:0" in remarks[0]


def test_counters_for_root_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    zone(tmp_path, "intel-rapl:0", "package-0", 1)

    def refuse(package: energy.Package) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(energy.Package, "read", refuse)
    meters, (remark,) = energy.find_meters(["cpu"], tmp_path)
    assert meters == [] and "energy_uj may be read by root alone" in remark


def test_a_gpu_tells_what_it_is_and_what_it_used() -> None:
    gpu = nvml.find(Nvml())
    assert isinstance(gpu, nvml.Gpu)
    assert (gpu.name, gpu.driver, gpu.capability) == ("NVIDIA H100", "580.1", (9, 0))
    (meter,), remarks = energy.find_meters(["cuda"], gpu=gpu)
    assert remarks == []
    assert meter.joules(meter.read(), meter.read()) == pytest.approx(1.0)


def test_gpus_that_cannot_be_asked() -> None:
    assert "there are 2 GPUs" in str(nvml.find(Nvml(count=2)))
    assert "there are 0 GPUs" in str(nvml.find(Nvml(count=0)))
    assert "has no nvmlInit_v2" in str(nvml.find(object()))
    silent = nvml.find(Nvml(energy=False))
    meters, (remark,) = energy.find_meters(["cuda"], gpu=silent)
    assert meters == []
    assert remark.startswith("no energy of the GPU: ") and "not supported by this GPU" in remark
    _, (remark,) = energy.find_meters(["cuda"], gpu="no such library")
    assert remark == "no energy of the GPU: no such library"


def test_a_machine_without_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nvml, "LIBRARY", "libnone-such.so.1")
    found = nvml.find()
    assert isinstance(found, str) and "libnone-such" in found


@pytest.mark.parametrize(
    ("capability", "cores", "clock", "precision", "teraflops"),
    [
        # NVIDIA's data sheets: T4, A100, RTX 3090, RTX 4090, H100 SXM (1.83 GHz in tensor work).
        ((7, 5), 2560, 1.59e9, "float32", 8.1),
        ((7, 5), 2560, 1.59e9, "float16", 65.0),
        ((8, 0), 6912, 1.41e9, "float32", 19.5),
        ((8, 0), 6912, 1.41e9, "tf32", 156.0),
        ((8, 0), 6912, 1.41e9, "bfloat16", 312.0),
        ((8, 6), 10496, 1.695e9, "float16", 71.0),
        ((8, 9), 16384, 2.52e9, "tf32", 82.6),
        ((9, 0), 16896, 1.98e9, "float32", 66.9),
        ((9, 0), 16896, 1.83e9, "float16", 989.4),
        ((12, 0), 21760, 2.407e9, "bfloat16", 209.5),
    ],
)
def test_peaks_of_gpus_are_those_of_the_data_sheets(
    capability: tuple[int, int], cores: int, clock: float, precision: str, teraflops: float
) -> None:
    gpu = nvml.Gpu("", "", capability, cores, clock, None, None)
    found = gpu_peak_gflops(gpu, precision)
    assert found is not None and found / 1e3 == pytest.approx(teraflops, rel=0.01)


def test_peaks_that_are_not_known() -> None:
    assert gpu_peak_gflops(nvml.Gpu("", "", (7, 5), 2560, 1e9, None, None), "tf32") is None
    assert gpu_peak_gflops(nvml.Gpu("", "", (3, 5), 2880, 1e9, None, None), "float16") is None
    peaks = Peaks("no GPU")
    assert peaks.of("float32", True, None) is None
    assert peaks.of("float32", False, 1) is None


def test_of_a_cpu_the_highest_measurement_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    rates = iter([(5.0, 1.0), (7.0, 1.0), (6.0, 1.0)])
    monkeypatch.setattr("lanewise.machine._core.measure_peak", lambda isa, threads: next(rates))
    peaks = Peaks("no GPU")
    for _ in range(3):
        peaks.measure("avx2", 2)
    assert peaks.of("float32", False, 2) == 7.0
    assert peaks.as_dict() == {"2": 7.0}
