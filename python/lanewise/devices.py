"""Where the libraries of a GPU are looked for before the system's own places."""

from __future__ import annotations

import sys
from pathlib import Path

__all__ = ["library_folders"]


def library_folders() -> list[str]:
    """The folders of the wheels that `pip install 'lanewise[cuda]'` brings, where they are there.

    NVIDIA's wheels put shared libraries into ``nvidia/<part>/lib`` of a folder of `sys.path`.
    """
    found: list[str] = []
    for entry in sys.path:
        root = Path(entry) / "nvidia"
        if root.is_dir():
            found += sorted(str(folder) for folder in root.glob("*/lib") if folder.is_dir())
    return found
