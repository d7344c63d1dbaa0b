// The module bench.kernels._work: layers and kernels as objects that run, for google-benchmark's
// Python package. Not part of the installed package.
#include <nanobind/nanobind.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <chrono>
#include <span>

#include "bench/kernels/layer.h"
#include "bench/kernels/work.h"
#include "engine/kernels/peak/peak.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace lanewise::bench {

extern const std::span<const KernelBench> kKernels;

namespace {

// FLOP/s of one thread over about a millisecond.
double peak(const std::string& isa) {
  using Clock = std::chrono::steady_clock;
  const auto start = Clock::now();
  const double flops = kernels::peak_f32(parse_isa(isa)).fma(50000);
  return flops / std::chrono::duration<double>(Clock::now() - start).count();
}

std::vector<std::pair<std::string, std::string>> versions() {
  std::vector<std::pair<std::string, std::string>> pairs;
  for (const KernelBench& bench : kKernels) {
    for (int i = 0; i < bench.isa_count; ++i)
      pairs.emplace_back(bench.name, isa_name(bench.isas[i]));
  }
  return pairs;
}

std::vector<Work> works(const std::string& kernel, const std::string& isa) {
  for (const KernelBench& bench : kKernels) {
    if (bench.name == kernel) return bench.works(parse_isa(isa));
  }
  return {};
}

}  // namespace
}  // namespace lanewise::bench

NB_MODULE(_work, m) {
  using lanewise::bench::Layer;
  using lanewise::bench::LayerShape;
  using lanewise::bench::Work;
  nb::class_<Layer>(m, "Layer")
      .def(
          "__init__",
          [](Layer* self, std::int64_t channels, std::int64_t size, std::int64_t outputs,
             std::int64_t kernel, std::int64_t stride, std::int64_t pad, std::int64_t group,
             std::int64_t batch, const std::string& isa, int threads, const std::string& force) {
            const LayerShape shape{channels, size, outputs, kernel, stride, pad, group, batch};
            new (self) Layer(shape, lanewise::parse_isa(isa), threads, force);
          },
          nb::kw_only(), "channels"_a, "size"_a, "outputs"_a, "kernel"_a, "stride"_a, "pad"_a,
          "group"_a, "batch"_a, "isa"_a, "threads"_a, "force"_a)
      .def("run", &Layer::run)
      .def("cool", &Layer::cool)
      .def_prop_ro("flops", &Layer::flops)
      .def_prop_ro("algorithm", &Layer::algorithm)
      .def_prop_ro("refused", &Layer::refused);
  nb::class_<Work>(m, "Work")
      .def("run", [](const Work& work) { work.run(); })
      .def_ro("name", &Work::name)
      .def_ro("flops", &Work::flops)
      .def_ro("bytes", &Work::bytes);
  m.def("works", &lanewise::bench::works, "kernel"_a, "isa"_a);
  m.def("versions", &lanewise::bench::versions);
  m.def("peak", &lanewise::bench::peak, "isa"_a);
}
