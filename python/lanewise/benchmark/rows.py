"""What was measured, as data that JSON can hold and give back."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

__all__ = ["ALONE", "ModelReport", "Row", "count_of", "label"]

# A thread that is on a processor for this part of the time has it alone.
ALONE = 0.9


@dataclass(frozen=True)
class Row:
    """One engine, device and precision at one batch.

    Attributes:
        engine: its name.
        device: "cpu", or "cuda" with or without a number.
        threads: on the CPU; None on a GPU.
        precision: in which products were computed.
        isa: instruction set of Lanewise on the CPU.
        batch: samples per run.
        inputs: shapes by name.
        load_ms: until the model was ready, in this process.
        first_run_ms: of the very first run, which makes the plan where the file left dimensions
            open.
        warmup_runs: before those that count, the first included.
        runs: that count.
        seconds: of all that count.
        ms: min, mean, p50, p90, p99 and max of single runs, copies to and from a GPU included.
        cpu_ms: mean over runs of what the process spent on processors, all threads together.
        runs_per_s: runs over seconds.
        samples_per_s: the same times the batch.
        flops: of one run; a multiply-add counts as two.
        gflops_per_s: at the median.
        percent_of_peak: of the device's, where known.
        resident_ms: median on a GPU of a run whose inputs and outputs stay there; where the engine
            has no such runs, the median less the copies' time.
        error: largest difference to the reference's outputs, relative to the largest value of each;
            None where there was nothing to compare with.
        joules_per_sample: by meter.
    """

    engine: str
    device: str
    threads: int | None
    precision: str
    isa: str | None
    batch: int
    inputs: dict[str, list[int]]
    load_ms: float
    first_run_ms: float
    warmup_runs: int
    runs: int
    seconds: float
    ms: dict[str, float]
    cpu_ms: float
    runs_per_s: float
    samples_per_s: float
    flops: float
    gflops_per_s: float
    percent_of_peak: float | None = None
    resident_ms: float | None = None
    error: float | None = None
    joules_per_sample: dict[str, float] = field(default_factory=dict)

    @property
    def on_gpu(self) -> bool:
        """Whether the device is a GPU."""
        return self.device != "cpu"

    @property
    def start_ms(self) -> float:
        """From the file to the first result."""
        return self.load_ms + self.first_run_ms

    @property
    def had_cpu(self) -> float | None:
        """The part of a run's time, 0..1, that its only thread was on a processor.

        Less than 1 where other programs wanted it too. None on a GPU and for several threads, which
        may rest.
        """
        return self.cpu_ms / self.ms["mean"] if self.threads == 1 else None

    @property
    def label(self) -> str:
        """The row's engine, device and the rest but the batch, in words."""
        return label(self.engine, self.device, self.threads, self.precision)


def label(engine: str, device: str, threads: int | None, precision: str) -> str:
    """An engine on a device, in words: "lanewise cpu, 2 threads", "torch cuda float16"."""
    if device != "cpu":
        return f"{engine} {device} {precision}"
    return f"{engine} {device}, {count_of(threads or 0, 'thread')}"


def count_of(number: int, what: str) -> str:
    """A number of things: "1 thread", "2 threads"."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


@dataclass
class ModelReport:
    """One model on all engines and devices.

    Attributes:
        model: its name or path.
        rows: in the order of batches, then of cases.
        notes: what a reader must know, such as a batch that the file fixes.
        left_out: (case, batch, reason) of what was not timed.
        interrupted: whether Ctrl-C ended it.
    """

    model: str
    rows: list[Row] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    left_out: list[tuple[str, int, str]] = field(default_factory=list)
    interrupted: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Values that `json` can write."""
        return asdict(self)

    @staticmethod
    def from_dict(data: dict[str, Any]) -> ModelReport:
        """What `as_dict` gave."""
        rows = [Row(**row) for row in data["rows"]]
        left_out = [(str(case), int(batch), str(why)) for case, batch, why in data["left_out"]]
        return ModelReport(
            data["model"], rows, list(data["notes"]), left_out, bool(data["interrupted"])
        )
