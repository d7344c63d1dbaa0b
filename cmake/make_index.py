"""Writes the indexes of operators and kernels from the files that the build found.

Usage: make_index.py ops|kernels|tests|benches|cuda_ops|cuda_sources|emulated OUTPUT SOURCE...

An operator file engine/ops/<family>.cc defines `const OpTable <family>_ops`; files there without
one hold what several operators share. A kernel file
engine/kernels/<family>/<name>.cc defines `const kernels::<Name> <name>` in each ISA's namespace,
where <Name> is <name> in CamelCase, declared with its accessor in engine/kernels/<family>/*.h; its
test is `void test_<name>(Case&)` in tests/kernels/<name>.cc, and its bench
`std::vector<Work> bench_<name>(Isa)` in bench/kernels/<name>.cc.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ISAS = {
    "baseline": "kBaseline",
    "avx2": "kAvx2",
    "avx512": "kAvx512",
    "avx512_vnni": "kAvx512Vnni",
    "amx": "kAmx",
}


def tables_index(sources: list[Path], space: str, table: str, suffix: str, header: str) -> str:
    """The table of the tables that the files define."""
    names = sorted(
        f"{source.stem}_{suffix}"
        for source in sources
        if f"const {table} {source.stem}_{suffix}" in source.read_text(encoding="utf-8")
    )
    externs = "\n".join(f"extern const {table} {name};" for name in names)
    entries = ",\n    ".join(f"&{name}" for name in names)
    return f"""// Generated from the files that define a table.
#include "{header}"

namespace {space} {{
{externs}
namespace {{
const {table}* const kTables[] = {{
    {entries},
}};
}}  // namespace
extern const std::span<const {table}* const> k{table}s;
const std::span<const {table}* const> k{table}s = kTables;
}}  // namespace {space}
"""


def ops_index(sources: list[Path]) -> str:
    """The table of operator tables."""
    return tables_index(sources, "lanewise", "OpTable", "ops", "engine/graph/op.h")


def cuda_ops_index(sources: list[Path]) -> str:
    """The table of tables of lowerings to CUDA."""
    return tables_index(sources, "lanewise::cuda", "CudaOpTable", "cuda_ops", "engine/cuda/op.h")


def cuda_sources_index(sources: list[Path]) -> str:
    """The device sources as text: a .cu by its stem, a header by its file name."""
    rows = []
    for source in sorted(sources):
        name = source.stem if source.suffix == ".cu" else source.name
        text = source.read_text(encoding="utf-8")
        rows.append(f'    {{"{name}", R"device({text})device"}},')
    return f"""// Generated from the files of engine/cuda/kernels.
#include "engine/cuda/sources.h"

namespace lanewise::cuda {{
namespace {{
const DeviceSource kSources[] = {{
{chr(10).join(rows)}
}};
}}  // namespace
const std::span<const DeviceSource> kDeviceSources = kSources;
}}  // namespace lanewise::cuda
"""


def emulated(sources: list[Path]) -> str:
    """A device source compiled for the CPU, with its kernels made known by name."""
    (source,) = sources
    kernel = r"extern \"C\" __global__ void (?:__launch_bounds__\(\w+\) )?(\w+)\("
    names = re.findall(kernel, source.read_text(encoding="utf-8"))
    rows = "\n".join(
        f'const lanewise::emulation::Registered {name}_known("{name}", '
        f"lanewise::emulation::bind<{name}>);"
        for name in names
    )
    return f"""// Generated from {source.as_posix()}.
#include "tests/cuda/emulation.h"
#include "tests/cuda/emulation/device.h"
//
#include "{source.as_posix()}"

namespace {{
{rows}
}}  // namespace
"""


def isas_of(source: Path) -> list[str]:
    """The ISAs named in the first line of a kernel file."""
    first = source.read_text(encoding="utf-8").splitlines()[0]
    if not first.startswith("// isas:"):
        raise SystemExit(f"{source}: the first line must be '// isas: baseline ...'")
    isas = first.removeprefix("// isas:").split()
    unknown = [isa for isa in isas if isa not in ISAS]
    if unknown or "baseline" not in isas:
        raise SystemExit(f"{source}: ISAs must be among {list(ISAS)} and include baseline")
    return isas


def kernels_index(sources: list[Path]) -> str:
    """The accessor of each kernel row: the widest version at or below the ISA asked for."""
    headers = sorted({h for source in sources for h in source.parent.glob("*.h")})
    includes = "\n".join(f'#include "{header.as_posix()}"' for header in headers)
    externs, accessors = [], []
    for source in sorted(sources):
        name = source.stem
        row = "".join(part.capitalize() for part in name.split("_"))
        cases = []
        for isa in reversed(isas_of(source)):
            wide = isa != "baseline"
            guard = f"#if defined(LANEWISE_HAS_{isa.upper()})\n" if wide else ""
            end = "\n#endif" if wide else ""
            externs.append(f"{guard}namespace {isa} {{ extern const kernels::{row} {name}; }}{end}")
            test = f"if (isa >= Isa::{ISAS[isa]}) " if wide else "(void)isa;\n  "
            cases.append(f"{guard}  {test}return {isa}::{name};{end}")
        body = "\n".join(cases)
        accessors.append(f"const {row}& kernels::{name}(Isa isa) {{\n{body}\n}}")
    accessor_text = "\n".join(a.replace("const ", "const kernels::", 1) for a in accessors)
    return f"""// Generated from the files of engine/kernels.
#include "engine/base/cpu.h"
{includes}

namespace lanewise {{
{chr(10).join(externs)}
{accessor_text}
}}  // namespace lanewise
"""


def rows_index(sources: list[Path], header: str, space: str, row: str, signature: str) -> str:
    """The list of what `header` declares a row for: each kernel with its ISAs and a function."""
    names = sorted((source.stem, isas_of(source)) for source in sources)
    result, verb, parameters = signature.split("|")
    declarations = "\n".join(f"{result} {verb}_{name}({parameters});" for name, _ in names)
    rows = "\n".join(
        f'    {{"{name}", {{{", ".join(f"Isa::{ISAS[isa]}" for isa in isas)}}}, {len(isas)}, '
        f"{verb}_{name}}},"
        for name, isas in names
    )
    return f"""// Generated from the files of engine/kernels.
#include <span>

#include "{header}"

namespace lanewise::{space} {{
{declarations}
namespace {{
const {row} kRows[] = {{
{rows}
}};
}}  // namespace
extern const std::span<const {row}> kKernels;
const std::span<const {row}> kKernels = kRows;
}}  // namespace lanewise::{space}
"""


def tests_index(sources: list[Path]) -> str:
    """The test of each kernel."""
    header = "tests/kernels/check.h"
    return rows_index(sources, header, "testing", "KernelTest", "void|test|Case& c")


def benches_index(sources: list[Path]) -> str:
    """The bench of each kernel."""
    header = "bench/kernels/work.h"
    return rows_index(sources, header, "bench", "KernelBench", "std::vector<Work>|bench|Isa isa")


INDEXES = {
    "ops": ops_index,
    "kernels": kernels_index,
    "tests": tests_index,
    "benches": benches_index,
    "cuda_ops": cuda_ops_index,
    "cuda_sources": cuda_sources_index,
    "emulated": emulated,
}


def main(arguments: list[str]) -> None:
    """Writes OUTPUT when its content changes."""
    kind, output = arguments[0], Path(arguments[1])
    root = Path.cwd()
    sources = [Path(name).resolve().relative_to(root) for name in arguments[2:]]
    text = INDEXES[kind](sources)
    output.parent.mkdir(parents=True, exist_ok=True)
    if not output.exists() or output.read_text(encoding="utf-8") != text:
        output.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
