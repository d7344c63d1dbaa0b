"""Prints one of the README's two commands, so that CI runs exactly what users copy.

Usage: python3 tools/readme_command.py main|tests
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ORDER = ("main", "tests")


def commands(readme: str) -> list[str]:
    """The contents of the README's shell blocks, in order."""
    return re.findall(r"```sh\n(.*?)```", readme, flags=re.DOTALL)


def main() -> None:
    """Prints the command named on the command line."""
    readme = Path(__file__).resolve().parent.parent / "README.md"
    name = sys.argv[1] if len(sys.argv) == 2 else ""
    if name not in ORDER:
        raise SystemExit(f"usage: readme_command.py {'|'.join(ORDER)}")
    sys.stdout.write(commands(readme.read_text(encoding="utf-8"))[ORDER.index(name)])


if __name__ == "__main__":
    main()
