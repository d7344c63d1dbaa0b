"""The command line: one module per command, and here what happens around a command.

Exit status: 0 done, 1 failed (one message on stderr), 2 wrong usage, 130 interrupted.
"""

from __future__ import annotations

import argparse
import os
import sys
import traceback
from collections.abc import Sequence
from importlib import import_module

from lanewise._core import __version__

__all__ = ["main"]

COMMANDS = ("demo", "info", "check", "run", "bench", "explain", "ops")
INTERRUPTED = 130
DEBUG_HELP = "show a traceback on failure"


def build_parser() -> argparse.ArgumentParser:
    """The parser with every command; each module's `configure` adds its own options."""
    parser = argparse.ArgumentParser(
        prog="lanewise",
        description="Run trained ONNX models fast on a CPU, and see where their time goes.",
    )
    parser.add_argument("--version", action="version", version=f"lanewise {__version__}")
    parser.add_argument("--debug", action="store_true", help=DEBUG_HELP)
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for name in COMMANDS:
        module = import_module(f"lanewise.cli.{name}")
        command = commands.add_parser(
            name,
            help=module.HELP,
            description=module.__doc__,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.configure(command)
        command.add_argument(
            "--debug",
            action="store_true",
            default=argparse.SUPPRESS,
            help=DEBUG_HELP,
        )
        command.set_defaults(command=module.command)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command.

    Args:
        argv: arguments without the program's name; by default the process's own.

    Returns:
        The exit status.

    Raises:
        SystemExit: argparse printed help, the version or a usage error.
    """
    args = argparse.Namespace(debug=False)
    try:
        args = build_parser().parse_args(argv)
        status = int(args.command(args))
        sys.stdout.flush()
        return status
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # The reader (head, less) has gone. What Python still flushes at exit must not fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        if args.debug:
            traceback.print_exc()
        print(f"lanewise: error: {_message(error)}", file=sys.stderr)
        return 1


def _message(error: Exception) -> str:
    """What went wrong, for people; an error that nobody foresaw says how to see more."""
    from lanewise.cli.output import printable_lines
    from lanewise.errors import LanewiseError

    if isinstance(error, LanewiseError):
        text = str(error)
    elif isinstance(error, OSError) and error.strerror:
        text = f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    elif isinstance(error, OSError):
        text = str(error)
    elif isinstance(error, MemoryError):
        text = f"out of memory; use smaller inputs or a smaller batch ({error})"
    elif isinstance(error, ModuleNotFoundError) and error.name == "ml_dtypes":
        text = "the model uses bfloat16, float8 or 4-bit types: pip install 'lanewise[onnx]'"
    else:
        text = f"unexpected {type(error).__name__}: {error} (--debug shows where)"
    return printable_lines(text)
