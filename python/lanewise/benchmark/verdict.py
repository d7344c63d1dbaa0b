"""When a GPU pays: the arithmetic from measured times and given prices, and what it says in words.

Times of a run include the copies to and from the GPU. A machine is rented whole.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from lanewise.benchmark.cases import OURS
from lanewise.benchmark.rows import Row, count_of

__all__ = [
    "Crossing",
    "Prices",
    "Verdict",
    "break_even",
    "cost_per_million",
    "crossing",
    "judge",
    "paying_rate",
    "words",
]


@dataclass(frozen=True)
class Crossing:
    """Where the GPU becomes the better one.

    Attributes:
        batch: the smallest measured batch from which on the GPU is better at every measured one.
        meets: where the two lines meet before it, interpolated on logarithmic axes; None where the
            GPU is better at every batch.
    """

    batch: int
    meets: float | None


@dataclass(frozen=True)
class Prices:
    """Money per hour and machine, in any currency; None where not given."""

    cpu: float | None = None
    gpu: float | None = None

    @property
    def known(self) -> bool:
        """Whether both are given."""
        return self.cpu is not None and self.gpu is not None


@dataclass(frozen=True)
class Verdict:
    """The best of Lanewise on the CPU beside one precision on the GPU.

    Attributes:
        precision: on the GPU.
        crossing: by latency at the same batch, copies included; None where the GPU never wins.
        resident: the same without the copies; None too where that was not measured.
        cheaper: by cost at the same batch; None too without prices.
        cpu: the row with the CPU's best throughput.
        gpu: the row with the GPU's.
        rate: samples per second above which the GPU is the cheaper service, or without prices the
            one that still keeps up; None where it is never.
        ahead_after: samples after which the GPU has caught up on its longer start-up; None for
            never.
        cpu_cost: of a million samples, at the best throughput.
        gpu_cost: the same.
    """

    precision: str
    crossing: Crossing | None
    resident: Crossing | None
    cheaper: Crossing | None
    cpu: Row
    gpu: Row
    rate: float | None
    ahead_after: float | None
    cpu_cost: float | None
    gpu_cost: float | None

    def as_dict(self) -> dict[str, Any]:
        """Values that `json` can write; of the best rows what tells them apart."""
        best = {
            name: {"batch": row.batch, "threads": row.threads, "samples_per_s": row.samples_per_s}
            for name, row in (("cpu", self.cpu), ("gpu", self.gpu))
        }
        return {**asdict(self), **best}


def crossing(cpu: Mapping[int, float], gpu: Mapping[int, float]) -> Crossing | None:
    """Where the GPU's times fall below the CPU's for good; batches that one lacks are left out.

    >>> crossing({1: 1.0, 4: 4.0, 16: 16.0}, {1: 2.0, 4: 2.0, 16: 2.0})
    Crossing(batch=4, meets=2.0)
    """
    shared = sorted(cpu.keys() & gpu.keys())
    gains = [math.log(cpu[batch] / gpu[batch]) for batch in shared]
    first = len(shared)
    while first > 0 and gains[first - 1] > 0:
        first -= 1
    if first == len(shared):
        return None
    if first == 0:
        return Crossing(shared[0], None)
    low, high = math.log(shared[first - 1]), math.log(shared[first])
    part = -gains[first - 1] / (gains[first] - gains[first - 1])
    return Crossing(shared[first], round(math.exp(low + part * (high - low)), 6))


def cost_per_million(price: float, samples_per_s: float) -> float:
    """Money for a million samples on a machine that costs `price` an hour and is always busy.

    >>> cost_per_million(3.6, 1000.0)
    1.0
    """
    return price / 3600 / samples_per_s * 1e6


def paying_rate(cpu_per_s: float, gpu_per_s: float, cpu: float, gpu: float) -> float | None:
    """Samples per second above which one GPU costs less than the CPUs that would do the same.

    Up to that rate, as many CPU machines as one GPU machine's price buys serve everything.

    Args:
        cpu_per_s: what one CPU machine serves.
        gpu_per_s: what one GPU machine serves.
        cpu: price of the first.
        gpu: price of the second.

    Returns:
        The rate, or None where a busy GPU is no cheaper than busy CPUs.

    >>> paying_rate(10.0, 500.0, 1.0, 4.5)
    40.0
    """
    if gpu / gpu_per_s >= cpu / cpu_per_s:
        return None
    # 0.3 / 0.1 is a little less than 3.
    return math.floor(gpu / cpu * (1 + 1e-12)) * cpu_per_s


def break_even(
    cpu_start: float, cpu_each: float, gpu_start: float, gpu_each: float
) -> float | None:
    """Samples after which the GPU is ahead, start-up included; None for never.

    Args:
        cpu_start: time until the CPU begins.
        cpu_each: its time per sample.
        gpu_start: time until the GPU begins.
        gpu_each: its time per sample.

    >>> break_even(1.0, 2.0, 11.0, 1.0)
    10.0
    """
    if gpu_each >= cpu_each:
        return None
    return max(0.0, (gpu_start - cpu_start) / (cpu_each - gpu_each))


def judge(rows: Sequence[Row], prices: Prices, device_start_ms: float = 0.0) -> list[Verdict]:
    """A verdict for each precision that Lanewise was timed in on a GPU.

    Args:
        rows: of one model.
        prices: of the machines.
        device_start_ms: what the first model of a process waits for the GPU, beside its own load.
    """
    ours = [row for row in rows if row.engine == OURS]
    cpu = [row for row in ours if not row.on_gpu]
    precisions = dict.fromkeys(row.precision for row in ours if row.on_gpu)
    if not cpu:
        return []
    found = []
    for precision in precisions:
        gpu = [row for row in ours if row.on_gpu and row.precision == precision]
        found.append(_verdict(precision, cpu, gpu, prices, device_start_ms))
    return found


def best(rows: Sequence[Row]) -> Row:
    """The row with the highest throughput."""
    return max(rows, key=lambda row: row.samples_per_s)


def _verdict(
    precision: str, cpu: Sequence[Row], gpu: Sequence[Row], prices: Prices, device_start_ms: float
) -> Verdict:
    fast_cpu, fast_gpu = best(cpu), best(gpu)
    cpu_ms, gpu_ms = _medians(cpu), _medians(gpu)
    resident = {row.batch: row.resident_ms for row in gpu if row.resident_ms is not None}
    cpu_price, gpu_price = prices.cpu, prices.gpu
    cheaper = None
    if cpu_price is not None and gpu_price is not None:
        cheaper = crossing(
            {batch: ms * cpu_price for batch, ms in cpu_ms.items()},
            {batch: ms * gpu_price for batch, ms in gpu_ms.items()},
        )
    else:
        cpu_price = gpu_price = None
    return Verdict(
        precision=precision,
        crossing=crossing(cpu_ms, gpu_ms),
        resident=crossing(cpu_ms, resident),
        cheaper=cheaper,
        cpu=fast_cpu,
        gpu=fast_gpu,
        rate=paying_rate(
            fast_cpu.samples_per_s, fast_gpu.samples_per_s, cpu_price or 1.0, gpu_price or 1.0
        ),
        ahead_after=break_even(
            fast_cpu.start_ms,
            1e3 / fast_cpu.samples_per_s,
            fast_gpu.start_ms + device_start_ms,
            1e3 / fast_gpu.samples_per_s,
        ),
        cpu_cost=cost_of(fast_cpu, prices),
        gpu_cost=cost_of(fast_gpu, prices),
    )


def _medians(rows: Sequence[Row]) -> dict[int, float]:
    """The best median by batch."""
    found: dict[int, float] = {}
    for row in rows:
        found[row.batch] = min(row.ms["p50"], found.get(row.batch, math.inf))
    return found


def cost_of(row: Row, prices: Prices) -> float | None:
    """Money for a million samples of this row's throughput, where the price is given."""
    price = prices.gpu if row.on_gpu else prices.cpu
    return None if price is None else cost_per_million(price, row.samples_per_s)


def words(verdict: Verdict, prices: Prices) -> list[str]:
    """The verdict in sentences."""
    cpu, gpu = verdict.cpu, verdict.gpu
    lines = [
        f"{gpu.device} in {verdict.precision} is {_from(verdict.crossing, 'faster')}"
        + (
            f"; copies aside it is {_from(verdict.resident, 'faster')}"
            if gpu.resident_ms is not None
            else ""
        ),
        f"best throughput: {cpu.samples_per_s:.1f} samples/s on the CPU (batch {cpu.batch}, "
        f"{count_of(cpu.threads or 1, 'thread')}), {gpu.samples_per_s:.1f} on {gpu.device} "
        f"(batch {gpu.batch}): {gpu.samples_per_s / cpu.samples_per_s:.2f} times",
    ]
    if verdict.ahead_after is None:
        lines.append("it never makes up for its start-up")
    else:
        lines.append(f"start-up included, it is ahead after {verdict.ahead_after:,.0f} samples")
    if not prices.known:
        lines.append(
            f"it begins to pay above {verdict.rate:.1f} requests/s, more than this CPU serves"
            if verdict.rate is not None
            else "it serves no more requests than this CPU"
        )
    else:
        lines.append(f"by cost it is {_from(verdict.cheaper, 'cheaper')}")
        lines.append(
            f"as a service it begins to pay above {verdict.rate:.1f} requests/s"
            if verdict.rate is not None
            else "as a service it pays at no rate"
        )
        lines.append(
            f"a million samples cost {verdict.cpu_cost:.3g} on the CPU at {prices.cpu:g} an hour, "
            f"{verdict.gpu_cost:.3g} on {gpu.device} at {prices.gpu:g}"
        )
    return lines


def _from(found: Crossing | None, better: str) -> str:
    if found is None:
        return f"{better} at no batch that was measured"
    if found.meets is None:
        return f"{better} at every batch that was measured, from {found.batch} on"
    return f"{better} from batch {found.batch} on (the lines meet at {found.meets:.3g})"
