"""Show which operators run: the opsets of their forms, and their element types.

A name picks operators: `lanewise ops Conv MatMul`. All forms of an operator run, those of older
opsets rewritten to the newest when a file is read.
"""

from __future__ import annotations

import argparse

from lanewise.cli import options, output
from lanewise.errors import InputError
from lanewise.operators import OperatorInfo, operators, short_types

HELP = "show which operators, opsets and types run"


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the options."""
    parser.add_argument("names", metavar="OPERATOR", nargs="*", help="operators (default: all)")
    options.add_json(parser)


def command(args: argparse.Namespace) -> int:
    """Prints the table."""
    rows = chosen(operators(), args.names)
    if args.json:
        output.print_json([row.as_json() for row in rows])
        return 0
    table = output.table(("operator", "opsets", "types"))
    for row in rows:
        every = sorted({name for names in row.types.values() for name in names})
        cells = (row.name, ", ".join(map(str, row.opsets)) or "-", short_types(every) or "-")
        table.add_row(*map(output.cell, cells))
    output.show(table)
    return 0


def chosen(rows: list[OperatorInfo], names: list[str]) -> list[OperatorInfo]:
    """The rows of these operators, in any case of letters; all of them without names.

    Raises:
        InputError: there is no such operator.
    """
    if not names:
        return rows
    found = []
    for name in names:
        of_name = [
            r for r in rows if name.lower() in (r.name.lower(), r.name.lower().split(":")[-1])
        ]
        if not of_name:
            raise InputError(
                f"'{name}': no such operator; `lanewise ops` lists all",
                name,
                "the name of an operator",
                name,
            )
        found += of_name
    return found
