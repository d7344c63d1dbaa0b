// What this build and this machine offer.
#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include "engine/base/cpu.h"
#include "engine/graph/op.h"
#include "engine/runtime/machine_peak.h"
#include "engine/runtime/options.h"
#include "python/bindings/bindings.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace lanewise::bindings {
namespace {

std::vector<std::string> isas() {
  std::vector<std::string> names;
  for (Isa isa : available_isas()) names.emplace_back(isa_name(isa));
  return names;
}

// (domain, name, doc) of each operator, in order.
nb::list operators() {
  nb::list list;
  for (const OpDef* op : all_ops()) {
    list.append(
        nb::make_tuple(std::string(op->domain), std::string(op->name), std::string(op->doc)));
  }
  return list;
}

// (GFLOP/s, GB/s); options as those of load.
nb::tuple peak(const std::string& isa, int threads) {
  const nb::gil_scoped_release release;
  const Options options = make_options(isa, threads, "fast");
  const MachinePeak measured = measure_peak(options.isa, options.threads);
  const nb::gil_scoped_acquire acquire;
  return nb::make_tuple(measured.flops / 1e9, measured.bytes / 1e9);
}

}  // namespace

void bind_machine(nb::module_& m) {
  m.def("isas", &isas);
  m.def("default_threads", &default_threads);
  m.def("cpu_name", &cpu_name);
  m.def("operators", &operators);
  m.def("measure_peak", &peak, "isa"_a, "threads"_a);
}

}  // namespace lanewise::bindings
