// The parts of the module lanewise._core, one function per file.
#pragma once

#include <nanobind/nanobind.h>

namespace lanewise::bindings {

// machine.cc: ISAs, threads, operators of this build; the machine's measured peaks.
void bind_machine(nanobind::module_& m);

// custom_ops.cc: operators in Python.
void bind_custom_ops(nanobind::module_& m);

}  // namespace lanewise::bindings
