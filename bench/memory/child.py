"""Loads a model with one engine, runs it once, and prints what that took as JSON.

Nothing but NumPy and the engine is imported, so that the resident size is theirs.
"""

from __future__ import annotations

import importlib
import json
import re
import sys
import time
from itertools import pairwise
from pathlib import Path

import numpy as np

from bench.peers.engines import ENGINES


def main(engine: str, model: str, inputs: str, threads: int) -> None:
    """Prints milliseconds of import, load and first run, and the peak resident size in MB."""
    with np.load(inputs) as arrays:
        feed = {name: arrays[name] for name in arrays.files}
    chosen = ENGINES[engine]
    times = [time.perf_counter()]
    for package in chosen.packages:
        importlib.import_module(package)
    times.append(time.perf_counter())
    run = chosen.load(Path(model), feed, threads)
    times.append(time.perf_counter())
    run(feed)
    times.append(time.perf_counter())
    status = Path("/proc/self/status").read_text(encoding="ascii")
    peak = re.search(r"^VmHWM:\s*(\d+) kB$", status, re.MULTILINE)
    assert peak is not None
    steps = [1e3 * (b - a) for a, b in pairwise(times)]
    result = dict(zip(("import_ms", "load_ms", "first_ms"), steps, strict=True))
    print(json.dumps({**result, "peak_mb": int(peak[1]) / 1024}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))
