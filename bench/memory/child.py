"""Loads a model with one engine, runs it once, and prints what that took as JSON.

Nothing but NumPy and the engine is imported, so that the resident size is theirs: the module of
engines is loaded as a file, since its package would bring Lanewise along.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import re
import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np


def module_of(file: str) -> Any:
    """A module from its file, without its package."""
    spec = importlib.util.spec_from_file_location("engines", file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["engines"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def main(engines: str, engine: str, model: str, inputs: str, threads: str) -> None:
    """Prints milliseconds of import, load and first run, and the peak resident size in MB."""
    with np.load(inputs) as arrays:
        feed = {name: arrays[name] for name in arrays.files}
    defined = module_of(engines)
    chosen = defined.ENGINES[engine]
    times = [time.perf_counter()]
    for package in chosen.packages:
        importlib.import_module(package)
    times.append(time.perf_counter())
    loaded = chosen.load(Path(model), feed, defined.Setup(int(threads)))
    times.append(time.perf_counter())
    loaded.run(feed)
    times.append(time.perf_counter())
    status = Path("/proc/self/status").read_text(encoding="ascii")
    peak = re.search(r"^VmHWM:\s*(\d+) kB$", status, re.MULTILINE)
    assert peak is not None
    steps = [1e3 * (b - a) for a, b in pairwise(times)]
    result = dict(zip(("import_ms", "load_ms", "first_ms"), steps, strict=True))
    print(json.dumps({**result, "peak_mb": int(peak[1]) / 1024}))


if __name__ == "__main__":
    main(*sys.argv[1:])
