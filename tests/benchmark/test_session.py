"""Measuring a model: comparison first, batches, failures, interruptions."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lanewise as lw
from lanewise.benchmark.cases import Case
from lanewise.benchmark.engines import ENGINES, Engine, Feed, Loaded, Setup
from lanewise.benchmark.session import Settings, Subject, measure_model
from lanewise.benchmark.turns import Pace
from lanewise.demo.report import data_path
from tests.benchmark.helpers import simulated_lanewise

DIGITS = Path(data_path("digits.onnx"))
QUICK = Settings(Pace(2, runs=4), warmup=1)


def feed(model: lw.Model, batch: int | None) -> Feed:
    shape = (batch or 1, 1, 8, 8)
    return {"image": np.random.default_rng(0).random(shape, np.float32)}


def subject(path: Path = DIGITS, name: str = "digits") -> Subject:
    return Subject(name, path, feed)


def ours(threads: int = 1) -> Case:
    return Case(ENGINES["lanewise"], Setup(threads))


def other(run: Callable[[lw.Model, Feed], Any], name: str = "other") -> Case:
    def load(file: Path, feed: Feed, setup: Setup) -> Loaded:
        model = lw.load(file, threads=1)
        return Loaded(lambda feed: run(model, feed))

    return Case(Engine(name, (), "made up", load), Setup(1))


def scaled(factor: float) -> Callable[[lw.Model, Feed], Any]:
    return lambda model, feed: {k: v * np.float32(factor) for k, v in model.run(feed).items()}


def test_rows_of_every_batch_and_case() -> None:
    report = measure_model(subject(), [ours(1), ours(2)], [1, 4], QUICK)
    assert [(row.batch, row.threads) for row in report.rows] == [(1, 1), (1, 2), (4, 1), (4, 2)]
    for row in report.rows:
        assert row.runs == 4 and row.warmup_runs == 2
        assert row.error == 0.0  # the same bits for any number of threads
        assert row.samples_per_s == pytest.approx(row.batch * 4 / row.seconds)
        assert row.inputs == {"image": [row.batch, 1, 8, 8]}
        assert row.load_ms > 0 and row.first_run_ms > 0
        assert row.gflops_per_s == pytest.approx(row.flops / row.ms["p50"] / 1e6)
    assert report.rows[2].flops == pytest.approx(4 * report.rows[0].flops)
    assert not report.left_out and not report.notes and not report.interrupted


def test_a_case_alone_has_nothing_to_agree_with() -> None:
    (row,) = measure_model(subject(), [ours()], None, QUICK).rows
    assert row.error is None and row.batch == 1


def test_cases_that_disagree_or_fail_are_left_out_with_the_reason() -> None:
    def fail(model: lw.Model, feed: Feed) -> Any:
        raise RuntimeError("no kernel for Foo\nsecond line")

    cases = [ours(), other(scaled(1.01), "off"), other(fail, "broken"), other(scaled(1.0001))]
    report = measure_model(subject(), cases, [2], QUICK)
    assert [row.engine for row in report.rows] == ["lanewise", "other"]
    assert report.rows[1].error == pytest.approx(1e-4, rel=0.01)
    assert report.left_out == [
        ("broken cpu, 1 thread", 2, "cannot run: no kernel for Foo"),
        (
            "off cpu, 1 thread",
            2,
            "disagrees with lanewise cpu, 1 thread: 0.01, where 0.001 is allowed",
        ),
    ]
    settings = Settings(QUICK.pace, 1, tolerance=0.1)
    report = measure_model(subject(), cases[:2], [2], settings)
    assert [row.engine for row in report.rows] == ["lanewise", "off"]


def test_onnxruntime_is_the_reference_where_it_takes_part() -> None:
    cases = [ours(), other(scaled(1.01), "onnxruntime")]
    report = measure_model(subject(), cases, [1], QUICK)
    assert [row.engine for row in report.rows] == ["onnxruntime"]
    assert report.left_out[0][0] == "lanewise cpu, 1 thread"


@pytest.mark.parametrize(
    ("precision", "wrong", "agrees"),
    [
        ("float32", 1.01, False),
        ("float16", 1.01, True),
        ("tf32", 1.05, False),
        ("bfloat16", 1.05, True),
        ("bfloat16", 1.2, False),
    ],
)
def test_the_bound_is_that_of_the_precision(precision: str, wrong: float, agrees: bool) -> None:
    engine = simulated_lanewise(wrong=wrong)
    cases = [Case(engine, Setup(1)), Case(engine, Setup(None, "cuda", precision))]
    report = measure_model(subject(), cases, [1], QUICK)
    assert [row.device for row in report.rows] == (["cpu", "cuda"] if agrees else ["cpu"])


def test_a_gpu_is_timed_with_and_without_copies() -> None:
    engine = simulated_lanewise(seconds=0.1)
    cases = [Case(engine, Setup(1)), Case(engine, Setup(None, "cuda", "tf32"))]
    cpu, gpu = measure_model(subject(), cases, [1], QUICK).rows
    assert cpu.resident_ms is None and cpu.threads == 1
    assert gpu.threads is None and gpu.isa is None
    assert gpu.resident_ms is not None and gpu.resident_ms < 100.0 < gpu.ms["p50"]


def test_copies_that_cannot_be_left_out_are_taken_off() -> None:
    inner = simulated_lanewise(seconds=0.005)

    def load(file: Path, feed: Feed, setup: Setup) -> Loaded:
        loaded = inner.load(file, feed, setup)
        return Loaded(loaded.run, loaded.model, copies_ms=lambda feed: 4.0 * len(feed["image"]))

    engine = Engine("lanewise", (), "made up", load, ("float32",))
    rows = measure_model(subject(), [Case(engine, Setup(None, "cuda"))], [1], QUICK).rows
    assert rows[0].resident_ms == pytest.approx(rows[0].ms["p50"] - 4.0)
    rows = measure_model(subject(), [Case(engine, Setup(None, "cuda"))], [100], QUICK).rows
    assert rows[0].resident_ms == 0.0


def test_a_batch_that_the_file_fixes_is_the_only_one(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    model = onnx.load(DIGITS)
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 3
    onnx.save(model, tmp_path / "fixed.onnx")

    def fixed(model: lw.Model, batch: int | None) -> Feed:
        assert batch is None
        return {"image": np.zeros((3, 1, 8, 8), np.float32)}

    one = Subject("fixed", tmp_path / "fixed.onnx", fixed)
    report = measure_model(one, [ours()], [1, 16], QUICK)
    assert [row.batch for row in report.rows] == [3]
    (note,) = report.notes
    assert note.startswith("the file fixes its batch (image [3, 1, 8, 8])")


def test_a_subject_may_know_more_of_its_batch_than_the_first_dimension() -> None:
    def second(model: lw.Model, batch: int | None) -> Feed:
        return {"image": np.zeros((2 * (batch or 1), 1, 8, 8), np.float32)}

    one = Subject("digits", DIGITS, second, takes_batches=True)
    report = measure_model(one, [ours()], [1, 3], QUICK)
    assert [(row.batch, row.inputs["image"][0]) for row in report.rows] == [(1, 2), (3, 6)]
    assert not report.notes
    one = Subject("digits", DIGITS, feed, takes_batches=False)
    assert measure_model(one, [ours()], [1, 3], QUICK).notes


def test_a_run_that_sleeps_has_no_processor() -> None:
    def sleeping(model: lw.Model, feed: Feed) -> Any:
        time.sleep(0.01)
        return model.run(feed)

    report = measure_model(subject(), [ours(), other(sleeping)], [1], QUICK)
    part = report.rows[1].had_cpu
    assert part is not None and 0 < part < 0.5


def test_a_model_that_cannot_be_loaded(tmp_path: Path) -> None:
    (tmp_path / "text.onnx").write_text("no model at all")
    with pytest.raises(lw.ModelError):
        measure_model(subject(tmp_path / "text.onnx"), [ours(), ours(2)], [1], QUICK)
    with pytest.raises(FileNotFoundError):
        measure_model(subject(tmp_path / "none.onnx"), [ours()], [1], QUICK)


def test_a_model_that_cannot_be_run() -> None:
    def misfit(model: lw.Model, batch: int | None) -> Feed:
        return {"image": np.zeros((batch or 1, 2, 8, 8), np.float32)}

    wrong = Subject("digits", DIGITS, misfit)
    with pytest.raises(lw.InputError):
        measure_model(wrong, [ours(), ours(2), other(scaled(1))], [1], QUICK)


def test_a_gpu_that_cannot_load_leaves_the_cpu() -> None:
    def refuse(setup: Setup) -> None:
        raise lw.ResourceError("out of device memory")

    engine = simulated_lanewise(start=refuse)
    cases = [Case(engine, Setup(None, "cuda")), Case(engine, Setup(1))]
    report = measure_model(subject(), cases, [1, 4], QUICK)
    assert [(row.device, row.batch) for row in report.rows] == [("cpu", 1), ("cpu", 4)]
    assert report.left_out == [("lanewise cuda float32", 0, "cannot load: out of device memory")]


def test_ctrl_c_keeps_the_batches_before(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []

    def interrupted(model: lw.Model, feed: Feed) -> Any:
        calls.append(len(feed["image"]))
        if len(feed["image"]) == 4 and calls.count(4) == 5:
            raise KeyboardInterrupt
        return model.run(feed)

    told: list[str] = []
    report = measure_model(
        subject(),
        [ours(), other(interrupted)],
        [1, 4, 16],
        QUICK,
        lambda what, _: told.append(what),
    )
    assert report.interrupted
    assert 16 not in calls
    assert {(row.batch, row.engine) for row in report.rows} >= {(1, "lanewise"), (1, "other")}
    assert told[0] == "loading"


def test_ctrl_c_while_loading() -> None:
    def interrupted(model: lw.Model, feed: Feed) -> Any:
        raise KeyboardInterrupt

    report = measure_model(subject(), [ours(), other(interrupted)], [1], QUICK)
    assert report.interrupted and not report.rows


class Watt:
    """A meter that finds a joule between any two readings."""

    name = "made up"

    def __init__(self) -> None:
        self.count = 0

    def read(self) -> int:
        self.count += 1
        return self.count

    def joules(self, before: int, after: int) -> float:
        return float(after - before)


def test_energy_is_per_sample() -> None:
    settings = Settings(Pace(2, runs=4), warmup=0, meters=[Watt()])
    (row,) = measure_model(subject(), [ours()], [8], settings).rows
    # A joule for each of two turns, over four runs of eight samples.
    assert row.joules_per_sample == {"made up": pytest.approx(2 / 32)}


def test_outputs_inside_containers_are_compared() -> None:
    def nested(values: Sequence[float]) -> Callable[[lw.Model, Feed], Any]:
        return lambda model, feed: {
            "y": [{"a": np.float32(values[0])}, np.array(values)],
            "z": None,
        }

    cases = [ours(), other(nested([1.0, 2.0]), "onnxruntime"), other(nested([1.0, 2.5]), "near")]
    report = measure_model(subject(), cases, [1], QUICK)
    assert {case: why for case, _, why in report.left_out}["near cpu, 1 thread"].endswith(
        ": 0.25, where 0.001 is allowed"
    )
