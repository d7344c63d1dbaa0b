"""Counts vector spills in the innermost loops of compiled kernels.

Usage: python -m tools.asm [FILTER] [--build DIR]

An accumulator that does not fit the register file is stored to the stack and loaded again in every
turn of a loop. The tool disassembles the kernels' object files, takes each innermost loop (a jump
back over code without other jumps back) that multiplies and adds, and counts its accesses of the
stack with vector registers. Exit status 1 when there is any.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
INSTRUCTION = re.compile(r"^\s+([0-9a-f]+):\s+(\S+)\s*(.*)$")
FUNCTION = re.compile(r"^[0-9a-f]+ <(.*)>:$")
MULTIPLY_ADD = re.compile(r"^(vfn?m(add|sub)|mulps|vmulps)")
STACK_VECTOR = re.compile(r"[xyz]mm\d+.*\((%rsp|%rbp)|\((%rsp|%rbp)[^)]*\).*[xyz]mm\d+")


@dataclass(frozen=True)
class Loop:
    """An innermost loop: its function, instructions, multiply-adds and spills."""

    function: str
    instructions: int
    multiply_adds: int
    spills: int


def loops_of(function: str, code: list[tuple[int, str, str]]) -> list[Loop]:
    """The innermost multiply-add loops of one function's (address, mnemonic, operands) list."""
    place = {address: i for i, (address, _, _) in enumerate(code)}
    spans = []
    for i, (_, mnemonic, operands) in enumerate(code):
        target = re.match(r"([0-9a-f]+)", operands)
        if mnemonic.startswith("j") and target and int(target[1], 16) in place:
            start = place[int(target[1], 16)]
            if start <= i:
                spans.append((start, i))
    found = []
    for start, end in spans:
        inner = any(start <= s and e <= end and (s, e) != (start, end) for s, e in spans)
        body = code[start : end + 1]
        fmas = sum(bool(MULTIPLY_ADD.match(mnemonic)) for _, mnemonic, _ in body)
        if not inner and fmas >= 4:
            spills = sum(bool(STACK_VECTOR.search(operands)) for _, _, operands in body)
            found.append(Loop(function, len(body), fmas, spills))
    return found


def read_loops(path: Path) -> list[Loop]:
    """The innermost multiply-add loops of an object file."""
    text = subprocess.run(
        ["objdump", "-dC", "--no-show-raw-insn", str(path)],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    loops: list[Loop] = []
    name = ""
    code: list[tuple[int, str, str]] = []
    for line in [*text.splitlines(), "0 <end>:"]:
        if header := FUNCTION.match(line):
            loops += loops_of(name, code)
            name, code = header[1], []
        elif found := INSTRUCTION.match(line):
            code.append((int(found[1], 16), found[2], found[3]))
    return loops


def main() -> int:
    """Prints a line per loop and returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("filter", nargs="?", default="", help="part of an object file's path")
    parser.add_argument("--build", type=Path, default=ROOT / "build" / "dev")
    options = parser.parse_args()
    objects = [
        path
        for path in sorted(options.build.glob("CMakeFiles/lanewise_kernels_*.dir/**/*.o"))
        if options.filter in str(path)
    ]
    if not objects:
        print(f"no kernel objects match '{options.filter}' below {options.build}", file=sys.stderr)
        return 2
    spilled = 0
    print("spills  fma  instructions  loop")
    for path in objects:
        isa = path.relative_to(options.build).parts[1].removeprefix("lanewise_kernels_")
        for loop in read_loops(path):
            spilled += loop.spills
            short = loop.function[:70]
            print(f"{loop.spills:6d} {loop.multiply_adds:4d} {loop.instructions:13d}  ", end="")
            print(f"{isa.removesuffix('.dir')} {path.stem} {short}")
    return 1 if spilled else 0


if __name__ == "__main__":
    raise SystemExit(main())
