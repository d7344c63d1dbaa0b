"""The page docs/cpu-vs-gpu.md, made from a run, which alone decides what it says of a GPU."""

from __future__ import annotations

from collections.abc import Sequence

from lanewise.benchmark import report
from lanewise.benchmark.cases import OURS
from lanewise.benchmark.figures import geometric_mean
from lanewise.benchmark.rows import ALONE, ModelReport, Row, count_of
from lanewise.benchmark.run import Document
from lanewise.benchmark.verdict import Verdict, best, cost_of, judge

from .anchors import ANCHORS, Anchor

__all__ = ["render"]

Line = list[str]


def render(document: Document, plots: Sequence[str] = ()) -> str:
    """The page.

    Args:
        document: a run over networks; `context["command"]` is how it was made,
            `context["note"]` what else a reader must know.
        plots: files beside the page, by their captions' order: latency, throughput.

    Returns:
        Markdown.
    """
    parts = [
        _opening(document),
        _then_and_now(document),
        _networks(document),
        _verdicts(document),
        _pictures(plots),
        _missing(document),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def has_gpu(document: Document) -> bool:
    """Whether anything was measured on a GPU."""
    return any(row.on_gpu for each in document.models for row in each.rows)


def _opening(document: Document) -> str:
    about = document.context
    cpu = [row for each in document.models for row in each.rows if not row.on_gpu]
    threads = sorted({row.threads or 1 for row in cpu})
    batches = sorted({row.batch for row in cpu})
    counts = "; ".join(
        f"{peak:.0f} GFLOP/s measured with {count_of(int(number), 'thread')}"
        for number, peak in about["cpu_peak_gflops"].items()
    )
    pace = (
        f"{count_of(about['runs'], 'run')} of each"
        if about["runs"] is not None
        else f"{about['seconds']:g} s of each"
    )
    lines = [
        "# CPU or GPU",
        "",
        "Which of the two to choose for a network, by the command that answers it for any model:",
        "",
        "    lanewise bench MODEL --device cpu,cuda --batch 1,4,16,64 --cpu-price P --gpu-price P",
        "",
        "It compares outputs first, lets CPU and GPU (and, with `--against`, other engines) take "
        "turns on the same inputs, and says from which batch and request rate on the GPU pays. "
        "GPU times include the copies there and back; beside them stand times without the copies, "
        "and start-up times. This page is what one run over the published networks "
        "found; it is written by that run, not by hand:",
        "",
        f"    {about['command']}",
        "",
        f"{about['date']}, {about['cpu']}, {_numbers(threads, 'thread')}, batches "
        f"{', '.join(map(str, batches))}; {pace} in {count_of(about['rounds'], 'round')}, "
        f"medians; inputs: {about['data']}. Peak of the CPU: {counts or 'not measured'}. "
        + "; ".join(f"{name} {each['version']}" for name, each in about["engines"].items())
        + "."
        + (f" {about['note']}" if about["note"] else ""),
        "",
        _gpu_sentence(document),
    ]
    return "\n".join(lines)


def _gpu_sentence(document: Document) -> str:
    about = document.context
    if has_gpu(document):
        return (
            f"GPU: {about['gpu'] or 'unnamed'}; it takes {about['gpu_start_ms'] or 0.0:.0f} ms "
            "once per process before the first model has run."
        )
    asked = [device for device in about["devices"] if device != "cpu"]
    why = [line for line in document.remarks if asked and line.startswith(asked[0])]
    reason = (
        f" ({_first_line(why[0])})"
        if why
        else " (the run did not ask for one)"
        if not asked
        else ""
    )
    return (
        f"**No GPU took part in this run**{reason}. The page therefore says nothing about one: no "
        "GPU column, no crossing point, no verdict. The same command on a machine with a GPU "
        "writes them."
    )


def _then_and_now(document: Document) -> str:
    rows: list[Line] = []
    for anchor in ANCHORS:
        found = [each for each in document.models if each.model == anchor.network]
        flops = found[0].rows[0].flops / found[0].rows[0].batch if found and found[0].rows else None
        rows.append(_anchor_line(anchor, flops))
    for name, batch in dict.fromkeys((each.network, each.batch) for each in ANCHORS):
        for each in document.models:
            if each.model == name:
                rows += _today(each, batch)
    rows.sort(key=lambda line: line[0])
    heading = ["network", "where", "batch", "ms per image", "% of peak", "source"]
    return "\n".join(
        [
            "## Then and now",
            "",
            *_table(heading, rows, left=(0, 1, 5)),
            "",
            "Operations are counted as direct convolution does them; an algorithm that saves some "
            "(Winograd) can pass 100 %. Peaks of the past are those of data sheets in float32.",
        ]
    )


def _anchor_line(anchor: Anchor, flops: float | None) -> Line:
    share = anchor.share(flops) if flops is not None else None
    batch = "many" if anchor.batch is None else str(anchor.batch)
    percent = "" if share is None else f"{100 * share:.0f}"
    return [
        anchor.network,
        anchor.where,
        batch,
        f"{anchor.ms_per_image:.2f}",
        percent,
        anchor.source,
    ]


def _today(each: ModelReport, batch: int | None) -> list[Line]:
    """The best of Lanewise on each device, at the anchor's batch or at its own best."""
    lines = []
    ours = [row for row in each.rows if row.engine == OURS]
    for gpu in (False, True):
        rows = [row for row in ours if row.on_gpu == gpu and batch in (None, row.batch)]
        if rows:
            row = best(rows)
            how = row.precision if gpu else count_of(row.threads or 1, "thread")
            where = f"Lanewise on this {'GPU' if gpu else 'CPU'}, {how}"
            start = [each.model, where, str(row.batch)]
            lines.append([*start, f"{row.ms['p50'] / row.batch:.2f}", _percent(row), "this run"])
            if row.had_cpu is not None and row.had_cpu < ALONE:
                start[1] += ", CPU time alone"
                share = f"{_share_by_cpu_time(row):.0f}" if row.percent_of_peak else ""
                lines.append([*start, f"{row.cpu_ms / row.batch:.2f}", share, "this run"])
    return lines


def _networks(document: Document) -> str:
    reports = [each for each in document.models if any(not row.on_gpu for row in each.rows)]
    if not reports:
        return ""
    batches = sorted({row.batch for each in reports for row in each.rows if row.engine == OURS})
    peers = list(
        dict.fromkeys(
            row.engine
            for each in reports
            for row in each.rows
            if row.engine != OURS and not row.on_gpu
        )
    )
    meters = list(
        dict.fromkeys(
            name for each in reports for row in each.rows for name in row.joules_per_sample
        )
    )
    shared = report.had_cpu(document) < ALONE
    heading = ["network", "GFLOP", *(f"ms, batch {batch}" for batch in batches)]
    heading += ["samples/s", "% of peak", "start ms"]
    heading += [f"{peer} / {OURS}, batch {batch}" for peer in peers for batch in batches]
    heading += [f"J/sample, {name}" for name in meters]
    lines = [_network(each, batches, peers, meters) for each in reports]
    if shared:
        heading += [*(f"CPU ms, batch {batch}" for batch in batches), "% of peak by CPU time"]
        lines = [
            [*line, *_cpu_time(each, batches)] for line, each in zip(lines, reports, strict=True)
        ]
    for number in range(len(peers) * len(batches)):
        place = 5 + len(batches) + number
        ratios = [float(line[place]) for line in lines if line[place]]
        mean = geometric_mean(ratios)
        if number == 0:
            lines.append(["geometric mean", *[""] * (len(heading) - 1)])
        lines[-1][place] = "" if mean is None else f"{mean:.2f}"
    return "\n".join(
        [
            "## The networks on the CPU",
            "",
            "Median ms of a run at each batch; then the best throughput over batches and threads, "
            "its share of the CPU's peak, and the time from the file to the first result "
            "(at the first batch)."
            + (
                " Other programs ran on the same cores; the last columns hold what the process "
                "itself spent on them, on one thread."
                if shared
                else ""
            ),
            "",
            *_table(heading, lines),
        ]
    )


def _network(
    each: ModelReport, batches: Sequence[int], peers: Sequence[str], meters: Sequence[str]
) -> Line:
    ours = [row for row in each.rows if row.engine == OURS and not row.on_gpu]
    if not ours:
        return [each.model, *[""] * (4 + len(batches) * (1 + len(peers)) + len(meters))]
    fast = best(ours)
    own = {batch: _median(ours, batch) for batch in batches}
    line = [each.model, f"{fast.flops / fast.batch / 1e9:.2f}"]
    line += ["" if own[batch] is None else f"{own[batch]:.2f}" for batch in batches]
    line += [f"{fast.samples_per_s:.1f}", _percent(fast), f"{ours[0].start_ms:.0f}"]
    for peer in peers:
        theirs = [row for row in each.rows if row.engine == peer and not row.on_gpu]
        for batch in batches:
            mine, other = own[batch], _median(theirs, batch)
            line.append("" if mine is None or other is None else f"{other / mine:.2f}")
    line += [
        f"{fast.joules_per_sample[name]:.3g}" if name in fast.joules_per_sample else ""
        for name in meters
    ]
    return line


def _cpu_time(each: ModelReport, batches: Sequence[int]) -> Line:
    """Processor time of a run on one thread at each batch, and the best share of the peak."""
    ours = [row for row in each.rows if row.engine == OURS and row.had_cpu is not None]
    by_batch = {row.batch: row for row in ours}
    line = [f"{by_batch[b].cpu_ms:.2f}" if b in by_batch else "" for b in batches]
    share = max((_share_by_cpu_time(row) for row in ours), default=0.0)
    return [*line, f"{share:.0f}" if share else ""]


def _share_by_cpu_time(row: Row) -> float:
    return (row.percent_of_peak or 0.0) * row.ms["p50"] / row.cpu_ms


def _median(rows: Sequence[Row], batch: int) -> float | None:
    return min((row.ms["p50"] for row in rows if row.batch == batch), default=None)


def _verdicts(document: Document) -> str:
    """CPU beside GPU, network by network; or what a million samples cost on the CPU alone."""
    if not has_gpu(document):
        return _costs(document)
    prices = document.prices
    heading = ["network", "precision", "GPU samples/s", "of its peak", "CPU samples/s", "GPU / CPU"]
    heading += ["GPU faster from batch", "without copies from", "ahead after samples"]
    heading += ["GPU pays above requests/s", "start ms", "J/sample"]
    if prices.known:
        heading += ["cheaper from batch", "CPU cost of a million", "GPU cost of a million"]
    lines = []
    for each in document.models:
        for verdict in judge(each.rows, prices, document.device_start_ms):
            lines.append(_verdict_line(each, verdict, prices.known))
    text = [
        "## The verdict, network by network",
        "",
        "The best of the CPU beside the GPU, copies included. A dash: never, at what was measured. "
        + (
            f"Prices per hour: {prices.cpu:g} for the CPU's machine, {prices.gpu:g} for the GPU's."
            if prices.known
            else "Without prices, a GPU pays where one CPU machine no longer keeps up."
        ),
        "",
        *_table(heading, lines, left=(0, 1)),
    ]
    return "\n".join(text)


def _verdict_line(each: ModelReport, verdict: Verdict, priced: bool) -> Line:
    cpu, gpu = verdict.cpu, verdict.gpu
    never = "-"
    resident = verdict.resident
    stays = ("" if gpu.resident_ms is None else never) if resident is None else str(resident.batch)
    line = [
        each.model,
        verdict.precision,
        f"{gpu.samples_per_s:.1f}",
        _percent(gpu),
        f"{cpu.samples_per_s:.1f}",
        f"{gpu.samples_per_s / cpu.samples_per_s:.2f}",
        never if verdict.crossing is None else str(verdict.crossing.batch),
        stays,
        never if verdict.ahead_after is None else f"{verdict.ahead_after:.0f}",
        never if verdict.rate is None else f"{verdict.rate:.1f}",
        f"{gpu.start_ms:.0f}",
        f"{gpu.joules_per_sample['gpu']:.3g}" if "gpu" in gpu.joules_per_sample else "",
    ]
    if priced:
        line += [
            never if verdict.cheaper is None else str(verdict.cheaper.batch),
            f"{verdict.cpu_cost:.3g}",
            f"{verdict.gpu_cost:.3g}",
        ]
    return line


def _costs(document: Document) -> str:
    price = document.prices.cpu
    if price is None:
        return ""
    lines = []
    for each in document.models:
        ours = [row for row in each.rows if row.engine == OURS]
        if ours and (cost := cost_of(best(ours), document.prices)) is not None:
            lines.append([each.model, f"{cost:.3g}"])
    heading = ["network", f"cost of a million samples at {price:g} an hour"]
    return "\n".join(["## Cost on the CPU", "", *_table(heading, lines)])


def _pictures(plots: Sequence[str]) -> str:
    captions = ("Latency against batch", "Throughput against batch")
    pictures = [f"![{text}]({file})" for text, file in zip(captions, plots, strict=False)]
    return "\n\n".join(["## Against the batch", *pictures]) if pictures else ""


def _missing(document: Document) -> str:
    notes = [f"{each.model}: {note}" for each in document.models for note in each.notes]
    lines = [
        f"- {_first_line(line)}"
        for line in [*report.remarks(document), *report.sharing(document), *notes]
    ]
    return "\n".join(["## Left out, and other remarks", "", *lines]) if lines else ""


def _first_line(text: str) -> str:
    """What a message says; its further lines name folders of the machine."""
    return text.splitlines()[0].rstrip(":")


def _percent(row: Row) -> str:
    return "" if row.percent_of_peak is None else f"{row.percent_of_peak:.0f}"


def _numbers(numbers: Sequence[int], what: str) -> str:
    if not numbers:
        return f"no {what}"
    return f"{', '.join(map(str, numbers))} {what}{'' if list(numbers) == [1] else 's'}"


def _table(heading: Line, lines: Sequence[Line], left: Sequence[int] = (0,)) -> Line:
    rule = ["---" if place in left else "---:" for place in range(len(heading))]
    return ["| " + " | ".join(line) + " |" for line in (heading, rule, *lines)]
