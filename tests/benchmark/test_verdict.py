"""Crossing points, costs, rates and the sentences made of them, on figures that were made up."""

from __future__ import annotations

import pytest

from lanewise.benchmark.rows import Row
from lanewise.benchmark.verdict import (
    Crossing,
    Prices,
    break_even,
    cost_per_million,
    crossing,
    judge,
    paying_rate,
    words,
)
from tests.benchmark.helpers import row

CPU = {1: 10.0, 4: 40.0, 16: 160.0, 64: 640.0}


@pytest.mark.parametrize(
    ("gpu", "want"),
    [
        ({1: 20.0, 4: 20.0, 16: 20.0, 64: 20.0}, Crossing(4, 2.0)),
        ({1: 9.0, 4: 20.0, 16: 20.0, 64: 20.0}, Crossing(1, None)),
        ({1: 11.0, 4: 41.0, 16: 161.0, 64: 641.0}, None),
        # Better at 4, worse again at 16: it counts from where it stays better.
        ({1: 20.0, 4: 20.0, 16: 200.0, 64: 300.0}, Crossing(64, 21.93)),
        # Batches that one of them lacks say nothing.
        ({4: 20.0, 8: 1.0}, Crossing(4, None)),
        ({8: 1.0}, None),
        ({}, None),
        # Equal is not better.
        (CPU, None),
    ],
)
def test_crossing(gpu: dict[int, float], want: Crossing | None) -> None:
    found = crossing(CPU, gpu)
    assert (found is None) == (want is None)
    if found is not None and want is not None:
        assert found.batch == want.batch
        assert found.meets == (want.meets and pytest.approx(want.meets, rel=1e-3))


def test_crossing_lies_where_the_lines_meet() -> None:
    """Power laws are straight on logarithmic axes: the meeting point is exact."""
    cpu = {b: 3.0 * b for b in (1, 2, 64)}
    gpu = {b: 20.0 * b**0.25 for b in (1, 2, 64)}
    found = crossing(cpu, gpu)
    assert found is not None and found.batch == 64
    assert found.meets == pytest.approx((20 / 3) ** (1 / 0.75), rel=1e-6)


def test_cost() -> None:
    assert cost_per_million(0.36, 100.0) == pytest.approx(1.0)
    assert cost_per_million(0.72, 100.0) == pytest.approx(2.0)
    assert cost_per_million(0.36, 200.0) == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("cpu", "gpu", "want"),
    [
        ((10.0, 1.0), (500.0, 4.5), 40.0),
        ((10.0, 0.1), (500.0, 0.3), 30.0),
        ((10.0, 1.0), (500.0, 0.5), 0.0),
        ((10.0, 1.0), (500.0, 1.0), 10.0),
        ((10.0, 1.0), (40.0, 4.0), None),
        ((10.0, 1.0), (39.0, 4.0), None),
        ((10.0, 1.0), (9.0, 1.0), None),
    ],
)
def test_paying_rate(
    cpu: tuple[float, float], gpu: tuple[float, float], want: float | None
) -> None:
    found = paying_rate(cpu[0], gpu[0], cpu[1], gpu[1])
    assert found == (None if want is None else pytest.approx(want))


def test_above_the_paying_rate_one_gpu_is_cheaper_and_below_it_is_not() -> None:
    rate = paying_rate(10.0, 500.0, 1.0, 4.5)
    assert rate is not None
    machines = {r: -(-r // 10) for r in (rate, rate + 1)}
    assert machines[rate] * 1.0 <= 4.5 < machines[rate + 1] * 1.0


def test_break_even() -> None:
    assert break_even(100.0, 10.0, 1100.0, 2.0) == pytest.approx(125.0)
    assert break_even(100.0, 10.0, 50.0, 2.0) == 0.0
    assert break_even(100.0, 2.0, 1100.0, 2.0) is None
    assert break_even(100.0, 2.0, 0.0, 3.0) is None


def rows_of_both() -> list[Row]:
    """The CPU takes 10 ms per sample, 6 with two threads; the GPU 20 ms, at 64 samples 40."""
    cpu = [row(batch, 10.0 * batch) for batch in (1, 16, 64)]
    cpu += [row(batch, 6.0 * batch, threads=2) for batch in (1, 16, 64)]
    gpu = [
        row(batch, ms, "cuda", precision="tf32", start_ms=500.0, resident_ms=4.0)
        for batch, ms in ((1, 20.0), (16, 20.0), (64, 40.0))
    ]
    return [*cpu, *gpu, row(1, 0.001, engine="onnxruntime")]


def test_judge_compares_the_best_of_both() -> None:
    (found,) = judge(rows_of_both(), Prices(0.5, 2.0), device_start_ms=1000.0)
    assert found.precision == "tf32"
    assert found.crossing is not None and found.crossing.batch == 16
    assert found.resident == Crossing(1, None)
    # The GPU costs four times as much per hour, so that 16 samples cost 80 against 96.
    assert found.cheaper is not None and found.cheaper.batch == 16
    assert (found.cpu.threads, found.gpu.batch) == (2, 64)
    assert found.gpu.samples_per_s == pytest.approx(1600.0)
    assert found.rate == pytest.approx(4 * 1000 / 6)
    assert found.ahead_after == pytest.approx((1500 - 100) / (6 - 0.625))
    assert found.cpu_cost == pytest.approx(0.5 / 3600 / (1000 / 6) * 1e6)
    assert found.gpu_cost == pytest.approx(2.0 / 3600 / 1600 * 1e6)
    assert found.as_dict()["gpu"] == {"batch": 64, "threads": None, "samples_per_s": 1600.0}


def test_judge_needs_both_devices() -> None:
    rows = rows_of_both()
    assert judge([r for r in rows if r.device == "cpu"], Prices()) == []
    assert judge([r for r in rows if r.device != "cpu"], Prices()) == []


def test_words_with_and_without_prices() -> None:
    rows = rows_of_both()
    (found,) = judge(rows, Prices())
    text = "\n".join(words(found, Prices()))
    assert "cuda in tf32 is faster from batch 16 on (the lines meet at 3.33)" in text
    assert "copies aside it is faster at every batch that was measured" in text
    assert "166.7 samples/s on the CPU (batch 1, 2 threads), 1600.0 on cuda (batch 64)" in text
    assert "pay above 166.7 requests/s, more than this CPU serves" in text
    assert "cost" not in text
    prices = Prices(0.5, 2.0)
    text = "\n".join(words(judge(rows, prices)[0], prices))
    assert "by cost it is cheaper from batch 16 on" in text
    assert "as a service it begins to pay above 666.7 requests/s" in text
    assert "cost 0.833 on the CPU at 0.5 an hour, 0.347 on cuda at 2" in text
    prices = Prices(0.5, 200.0)
    text = "\n".join(words(judge(rows, prices)[0], prices))
    assert "cheaper at no batch" in text and "pays at no rate" in text


def test_words_of_a_gpu_that_never_wins() -> None:
    rows = [row(1, 1.0), row(1, 2.0, "cuda")]
    text = "\n".join(words(judge(rows, Prices())[0], Prices()))
    assert "faster at no batch that was measured" in text
    assert "never makes up for its start-up" in text
    assert "serves no more requests" in text
