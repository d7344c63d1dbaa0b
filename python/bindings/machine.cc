// What this build and this machine offer.
#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include "engine/base/cpu.h"
#include "engine/graph/op.h"
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
    list.append(nb::make_tuple(std::string(op->domain), std::string(op->name), std::string(op->doc)));
  }
  return list;
}

}  // namespace

void bind_machine(nb::module_& m) {
  m.def("isas", &isas);
  m.def("default_threads", &default_threads);
  m.def("cpu_name", &cpu_name);
  m.def("operators", &operators);
}

}  // namespace lanewise::bindings
