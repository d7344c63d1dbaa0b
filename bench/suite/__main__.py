"""Measures the published networks on CPU and GPU and writes the page about them."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench import networks
from bench.networks.graph import BATCH_AXIS
from lanewise.benchmark import plots, report
from lanewise.benchmark.engines import Feed
from lanewise.benchmark.run import Document, run
from lanewise.benchmark.session import Subject
from lanewise.cli import INTERRUPTED, output
from lanewise.cli import bench as options
from lanewise.errors import LanewiseError
from lanewise.model import Model

from .page import render

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE = "cpu-vs-gpu"


def parser() -> argparse.ArgumentParser:
    """The options of the command line: those of `lanewise bench`, and where files lie."""
    out = argparse.ArgumentParser("python -m bench.suite", description=__doc__)
    out.add_argument("names", nargs="*", metavar="NAME", help="networks; all when none is named")
    options.add_plan(out)
    out.set_defaults(device=["cpu", "cuda"], batch=[1, 4, 16, 64])
    out.add_argument("--seed", type=int, default=0, help="of weights and inputs (default: 0)")
    out.add_argument("--cache", type=Path, metavar="DIR", help="keep the networks' files here")
    out.add_argument(
        "--out", type=Path, metavar="DIR", default=DOCS, help="folder of the page (default: docs)"
    )
    out.add_argument("--json", type=Path, metavar="FILE", help="write the figures here as well")
    out.add_argument(
        "--from",
        dest="source",
        type=Path,
        metavar="FILE",
        help="measure nothing: write the page from figures that --json wrote",
    )
    out.add_argument("--note", default="", help="a sentence for the page on how it was measured")
    return out


def subjects(names: Sequence[str], cache: Path | None, seed: int) -> Iterator[Subject]:
    """Networks whose batch stays open, with inputs that look like real ones.

    Without a cache the file of each is deleted before the next is written: some have 500 MB.
    """
    for name in names:
        if not sys.stderr.isatty():  # where there is no bar
            print(name, file=sys.stderr, flush=True)
        with tempfile.TemporaryDirectory() as scratch:

            def feed(model: Model, batch: int | None, name: str = name) -> Feed:
                return dict(networks.inputs(name, batch or 1, seed))

            file = networks.path(name, cache or Path(scratch), BATCH_AXIS, seed)
            takes_batches = any(BATCH_AXIS in each.shape for each in networks.get(name).inputs)
            yield Subject(name, file, feed, takes_batches)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line; 1 if a network could not be run."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    args = parser().parse_args(given)
    try:
        if args.source is not None:
            document = Document.from_dict(json.loads(args.source.read_text(encoding="utf-8")))
        else:
            document = measure(args)
            document.context["command"] = described(given)
            document.context["note"] = args.note
    except (LanewiseError, OSError, KeyError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    for line in [*report.remarks(document), *write(document, args.out, args.json)]:
        print(line, file=sys.stderr)
    return INTERRUPTED if document.interrupted else int(bool(document.failures))


def described(given: Sequence[str]) -> str:
    """The command line without what says where files go, and without the note, which is shown."""
    words: list[str] = []
    arguments = iter(given)
    for word in arguments:
        name, has_value, _ = word.partition("=")
        if name not in ("--out", "--json", "--cache", "--note"):
            words.append(word)
        elif not has_value:
            next(arguments, None)
    return shlex.join(["python", "-m", "bench.suite", *words])


def measure(args: argparse.Namespace) -> Document:
    """Measures the networks one after the other."""
    plan = options.plan_of(args, f"the networks' own, seed {args.seed}")
    names = [networks.get(name).name for name in args.names] or networks.names()
    with options.progress(False) as tell:
        return run(subjects(names, args.cache, args.seed), len(names), plan, tell)


def write(document: Document, folder: Path, figures: Path | None) -> list[str]:
    """Writes the page, its plots and the figures; what to say of them."""
    written: list[Path] = []
    lines: list[str] = []
    drawn: list[str] = []
    shown = [each for each in document.models if each.rows]
    if figures is not None:
        figures.write_text(output.json_text(document.as_dict()), encoding="utf-8")
        written.append(figures)
    if reason := plots.missing():
        lines.append(reason)
    elif shown:
        for kind in plots.KINDS:
            written.append(folder / f"{PAGE}-{kind}.png")
            plots.draw_many(shown, kind, written[-1])
            drawn.append(written[-1].name)
    written.append(folder / f"{PAGE}.md")
    written[-1].write_text(render(document, drawn), encoding="utf-8")
    return [*lines, *(f"wrote {file}" for file in written)]


if __name__ == "__main__":
    sys.exit(main())
