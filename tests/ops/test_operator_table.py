"""The table of operators is what the engine says, and what it refuses only becomes less."""

from __future__ import annotations

from tools import operators

#: Lines of refused_types.txt; lower it with the file.
MOST_REFUSED = 1


def test_the_files_are_current() -> None:
    stale = [
        str(path.relative_to(operators.ROOT))
        for path, text in operators.files().items()
        if not path.exists() or path.read_text(encoding="utf-8") != text
    ]
    assert stale == [], "run `python -m tools.operators` and commit what it writes"


def test_the_list_of_refused_types_shrinks() -> None:
    lines = operators.REFUSED.read_text(encoding="utf-8").splitlines()
    assert len([line for line in lines if not line.startswith("#")]) <= MOST_REFUSED
