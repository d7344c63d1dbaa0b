"""Time models: percentiles of single runs and throughput, on engines and devices side by side.

With lists of devices, batches or threads, or with other engines, all of them take turns on the same
inputs, outputs are compared first, and a verdict says when a GPU begins to pay.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

import lanewise as lw
from lanewise.benchmark import plots, report
from lanewise.benchmark.cases import ALL_THREADS
from lanewise.benchmark.engines import ENGINES, PRECISIONS, Feed
from lanewise.benchmark.rows import Row, count_of
from lanewise.benchmark.run import Document, Plan, run
from lanewise.benchmark.session import Subject
from lanewise.benchmark.turns import Pace
from lanewise.benchmark.verdict import Prices
from lanewise.cli import INTERRUPTED, feeding, options, output

HELP = "time models: percentiles, throughput, CPU beside GPU and other engines"

LEAST_RUNS = 10


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the options."""
    parser.add_argument("models", metavar="MODEL", type=Path, nargs="+", help="paths of ONNX files")
    options.add_json(parser)
    add_plan(parser)
    options.add_shape(parser)
    feeding.add_options(parser)
    parser.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="write bench.json, bench.csv and a plot of each model into this folder",
    )


def add_plan(parser: argparse.ArgumentParser) -> None:
    """The options that say what is compared and how long, which `plan_of` reads."""
    numbers = options.several(options.positive(int))
    parser.add_argument(
        "--device",
        type=options.several(_device),
        default=["cpu"],
        metavar="cpu,cuda",
        help="devices, between commas (default: cpu)",
    )
    parser.add_argument(
        "--batch",
        type=numbers,
        metavar="N,...",
        help="sizes of the first dimension where the model leaves it open (default: 1)",
    )
    parser.add_argument(
        "--threads",
        type=options.several(_threads),
        metavar="N,all",
        help="threads on the CPU; all: the physical cores that this process may use (default: all)",
    )
    parser.add_argument(
        "--precision",
        type=options.several(options.one_of(*PRECISIONS)),
        default=["float32"],
        metavar="P,...",
        help=f"on a GPU: {', '.join(PRECISIONS)} (default: float32; the CPU has that alone)",
    )
    parser.add_argument(
        "--against",
        type=options.several(options.one_of(*ENGINES)),
        default=[],
        metavar="ENGINE,...",
        help=f"other engines: {', '.join(list(ENGINES)[1:])}",
    )
    options.add_kernels(parser)
    _add_length(parser)
    parser.add_argument(
        "--tolerance",
        type=options.positive(float),
        metavar="E",
        help="error relative to an output's largest value that agrees (default: 1e-3 in float32, "
        "2e-2 in tf32 and float16, 1e-1 in bfloat16)",
    )
    for device in ("cpu", "gpu"):
        parser.add_argument(
            f"--{device}-price",
            type=options.positive(float),
            metavar="P",
            help=f"of an hour of the machine that the {device.upper()} figures stand for",
        )


def _add_length(parser: argparse.ArgumentParser) -> None:
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--runs", type=options.positive(int), metavar="N", help="how many runs")
    length.add_argument(
        "--duration",
        type=options.positive(float),
        metavar="S",
        default=2.0,
        help=f"seconds to run, {LEAST_RUNS} runs at least (default: 2)",
    )
    parser.add_argument(
        "--rounds",
        type=options.positive(int),
        metavar="N",
        default=5,
        help="rounds that the runs are spread over where several take turns (default: 5)",
    )
    parser.add_argument(
        "--warmup",
        type=int,
        metavar="N",
        default=5,
        help="runs before that are not counted; the first is shown on its own (default: 5)",
    )


def _device(text: str) -> str:
    kind, _, number = text.partition(":")
    if text != "cpu" and not (kind == "cuda" and (text == kind or number.isdecimal())):
        raise argparse.ArgumentTypeError(f"expected cpu, cuda or cuda:N, got '{text}'")
    return text


def _threads(text: str) -> int:
    return ALL_THREADS if text == "all" else options.positive(int)(text)


def plan_of(args: argparse.Namespace, data: str) -> Plan:
    """What the options of `add_plan` ask for."""
    given = {
        "isa": args.isa,
        "numerics": args.numerics,
        "time_limit": args.time_limit,
        "tune": args.tune,
    }
    rounds = args.rounds if args.runs is None else min(args.rounds, args.runs)
    return Plan(
        devices=args.device,
        batches=args.batch,
        threads=args.threads,
        precisions=args.precision,
        against=args.against,
        options=tuple(given.items()),
        pace=Pace(rounds, args.runs, args.duration, LEAST_RUNS),
        warmup=args.warmup,
        tolerance=args.tolerance,
        prices=Prices(args.cpu_price, args.gpu_price),
        data=data,
    )


def command(args: argparse.Namespace) -> int:
    """Measures and prints."""
    if args.input and args.batch is not None:
        raise lw.InputError(feeding.FILES_HAVE_SHAPES, "--input", "either files or shapes", "both")
    plan = plan_of(args, "files" if args.input else f"random, seed {args.seed}")
    subjects = [Subject(str(model), model, _feed(args)) for model in args.models]
    with progress(args.json) as tell:
        document = run(subjects, len(subjects), plan, tell)
    if document.interrupted and not any(each.rows for each in document.models):
        raise KeyboardInterrupt
    for line in [*report.remarks(document), *(_write(document, args.out) if args.out else ())]:
        print(output.printable_lines(line), file=sys.stderr)
    if plan.several or len(subjects) > 1:
        output.print_json(report.as_values(document)) if args.json else _show_many(document)
    else:
        row = document.models[0].rows[0]
        facts = {"model": str(args.models[0]), "notes": document.models[0].notes}
        found = {**facts, **_machine(document), **asdict(row)}
        output.print_json(found) if args.json else _show(found, row, document)
    return INTERRUPTED if document.interrupted else int(bool(document.failures))


def _feed(args: argparse.Namespace) -> Callable[[lw.Model, int | None], Feed]:
    """Inputs for a model at a batch."""
    return lambda model, batch: feeding.feed(
        argparse.Namespace(**{**vars(args), "batch": batch}), model
    )


@contextmanager
def progress(silent: bool) -> Iterator[Callable[[str, float], None]]:
    """A bar on the terminal. It has no thread of its own, which would disturb what is timed."""
    with Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
        auto_refresh=False,
        disable=silent or not sys.stderr.isatty(),
    ) as bar:
        task = bar.add_task("", total=1.0)

        def tell(what: str, part: float) -> None:
            bar.update(task, description=output.printable_lines(what), completed=part)
            bar.refresh()

        yield tell


def _write(document: Document, folder: Path) -> list[str]:
    """Writes the files of --out; what to say of them."""
    folder.mkdir(parents=True, exist_ok=True)
    written = [folder / "bench.json", folder / "bench.csv"]
    written[0].write_text(output.json_text(report.as_values(document)), encoding="utf-8")
    written[1].write_text(report.to_csv(document.models), encoding="utf-8")
    lines = []
    if reason := plots.missing():
        lines.append(reason)
    else:
        stems = output.stems(Path(each.model).stem for each in document.models)
        for each, stem in zip(document.models, stems, strict=True):
            written.append(folder / f"{stem}.png")
            plots.draw(each, written[-1])
    return [*lines, *(f"wrote {file}" for file in written)]


def _machine(document: Document) -> dict[str, Any]:
    about = document.context
    return {"cpu": about["cpu"], "numerics": about["options"]["numerics"], "data": about["data"]}


def _show(found: dict[str, Any], row: Row, document: Document) -> None:
    """Prints the only row."""
    shapes = ", ".join(f"{name} {shape}" for name, shape in row.inputs.items())
    where = f"{found['cpu']}, {row.isa}, {count_of(row.threads or 0, 'thread')}"
    if row.on_gpu:
        where = f"{document.context['gpu'] or row.device}, {row.precision}"
    output.say(f"{found['model']} on {where}")
    output.say(f"Batch {row.batch}: {shapes} ({found['data']})")
    for note in [*document.models[0].notes, *report.sharing(document)]:
        output.say(f"Note: {note}")
    output.say(
        f"Load {row.load_ms:.1f} ms, first run {row.first_run_ms:.3f} ms, "
        f"{row.warmup_runs} runs of warm-up, {row.runs} timed in {row.seconds:.2f} s"
    )
    names = ("min", "p50", "p90", "p99", "max", "mean")
    table = output.table(("",), names)
    table.add_row("ms per run", *(f"{row.ms[name]:.4f}" for name in names))
    output.show(table)
    output.say(
        f"{row.samples_per_s:.1f} samples per second, {row.gflops_per_s:.1f} GFLOP/s at the median"
    )


def _show_many(document: Document) -> None:
    """Prints a table and a verdict for each model."""
    for line in report.heading(document):
        output.say(line)
    for each in document.models:
        output.say(f"\n{each.model}")
        for note in each.notes:
            output.say(f"  {note}")
        if each.rows:
            output.show(report.table(each))
        for line in report.verdict_lines(each, document):
            output.say(f"  {line}")
