// Pad: the tables that say, for each mode and for negative pads, from which input index along its
// axis an output element comes. The copying is IndexedCopy's.
#include "engine/ops/pad.h"

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engine/cpu/elements.h"
#include "engine/cpu/indexed_copy.h"
#include "engine/graph/op.h"

namespace lanewise {
namespace {

enum class PadMode { kConstant, kReflect, kEdge, kWrap };

PadMode pad_mode(const OpContext& c) {
  const std::string_view mode = c.attr_string("mode");
  if (mode == "constant") return PadMode::kConstant;
  if (mode == "reflect") return PadMode::kReflect;
  if (mode == "edge") return PadMode::kEdge;
  if (mode == "wrap") return PadMode::kWrap;
  c.fail("attribute 'mode' is '" + std::string(mode) +
         "', expected constant, reflect, edge or wrap");
}

struct Pads {
  std::vector<std::int64_t> begin, end;
};

// Needs the contents of inputs 1 and 3.
Pads resolve_pads(const OpContext& c) {
  const int rank = c.shape(0).rank();
  const std::vector<std::int64_t> given = c.content(1)->int_values();
  std::vector<std::int64_t> axes;
  if (c.has_input(3)) {
    axes = c.content(3)->int_values();
  } else {
    for (int i = 0; i < rank; ++i) axes.push_back(i);
  }
  if (given.size() != 2 * axes.size()) {
    c.fail("'pads' has " + std::to_string(given.size()) + " numbers, expected two for each of " +
           std::to_string(axes.size()) + " axes");
  }
  const auto count = static_cast<std::size_t>(rank);
  Pads pads{std::vector<std::int64_t>(count), std::vector<std::int64_t>(count)};
  for (std::size_t i = 0; i < axes.size(); ++i) {
    const auto axis = normalize_axis(axes[i], rank);
    if (!axis) {
      c.fail("axis " + std::to_string(axes[i]) + " is outside the input of shape " +
             c.shape(0).str());
    }
    pads.begin[static_cast<std::size_t>(*axis)] = given[i];
    pads.end[static_cast<std::size_t>(*axis)] = given[i + axes.size()];
  }
  return pads;
}

void infer_pad(InferContext& c) {
  const PadMode mode = pad_mode(c);
  c.need(1);
  if (c.has_input(3)) c.need(3);
  if (c.has_input(2)) {
    c.expect_same_dtype(0, 2);
    if (c.shape(2).elements() != 1) {
      c.fail("'constant_value' has shape " + c.shape(2).str() + ", expected one value");
    }
  }
  const Pads pads = resolve_pads(c);
  Shape out = c.shape(0);
  constexpr std::int64_t kMost = std::int64_t{1} << 31;
  for (int i = 0; i < out.rank(); ++i) {
    const std::int64_t begin = pads.begin[static_cast<std::size_t>(i)];
    const std::int64_t end = pads.end[static_cast<std::size_t>(i)];
    const std::int64_t size = out[i];
    if (begin > kMost || end > kMost || begin < -size || end < -size || size + begin + end < 0) {
      c.fail("pads " + std::to_string(begin) + " and " + std::to_string(end) + " of axis " +
             std::to_string(i) + " do not fit the input of shape " + c.shape(0).str());
    }
    out[i] = size + begin + end;
    const std::int64_t kept =
        size + std::min<std::int64_t>(begin, 0) + std::min<std::int64_t>(end, 0);
    if (mode != PadMode::kConstant && kept <= 0 && out[i] > 0) {
      c.fail("mode '" + std::string(c.attr_string("mode")) +
             "' has no element to repeat along axis " + std::to_string(i) +
             " of the input of shape " + c.shape(0).str());
    }
  }
  static_cast<void>(out.elements());
  c.set_output(0, c.dtype(0), out);
}

// The input index that each output index along one axis reads, -1 for the constant. Negative pads
// crop first.
std::vector<std::int64_t> source_indices(std::int64_t size, std::int64_t begin, std::int64_t end,
                                         PadMode mode) {
  const std::int64_t first = std::max<std::int64_t>(0, -begin);
  const std::int64_t kept = size - first - std::max<std::int64_t>(0, -end);
  std::vector<std::int64_t> indices;
  for (std::int64_t i = -std::max<std::int64_t>(0, begin);
       i < kept + std::max<std::int64_t>(0, end); ++i) {
    std::int64_t at = i;
    if (i < 0 || i >= kept) {
      if (mode == PadMode::kConstant) {
        indices.push_back(-1);
        continue;
      }
      if (mode == PadMode::kEdge) at = std::clamp<std::int64_t>(i, 0, kept - 1);
      if (mode == PadMode::kWrap) at = (i % kept + kept) % kept;
      if (mode == PadMode::kReflect && kept == 1) at = 0;
      if (mode == PadMode::kReflect && kept > 1) {
        const std::int64_t period = 2 * (kept - 1);
        at = (i % period + period) % period;
        if (at >= kept) at = period - at;
      }
    }
    indices.push_back(first + at);
  }
  return indices;
}

}  // namespace

std::vector<std::vector<std::int64_t>> pad_sources(const OpContext& c) {
  const Pads pads = resolve_pads(c);
  std::vector<std::vector<std::int64_t>> sources;
  for (int i = 0; i < c.shape(0).rank(); ++i) {
    const auto axis = static_cast<std::size_t>(i);
    sources.push_back(source_indices(c.shape(0)[i], pads.begin[axis], pads.end[axis], pad_mode(c)));
  }
  return sources;
}

namespace {

Step lower_pad(LowerContext& c) {
  Step step;
  step.algorithm = "pad";
  step.run = [](const RunContext&) {};
  const Shape& in = c.shape(0);
  if (c.out_shape(0).elements() == 0) return step;
  IndexedCopy copy(in, c.layout(0), c.out_layout(0), pad_sources(c), c.dtype(0));
  Tensor zero = Tensor::allocate(c.dtype(0), Shape{});
  visit_element(c.dtype(0), [&](auto type) {
    using T = typename decltype(type)::type;
    *zero.template mutable_as<T>() = T{};
  });
  step.run = [copy = std::move(copy), zero](const RunContext& run) {
    copy.run(run.inputs[0], run.has_in(2) ? run.inputs[2] : zero.data(), run.outputs[0],
             run.threads);
  };
  return step;
}

constexpr AttrDef kPadAttrs[] = {{.name = "mode",
                                  .type = AttrType::kString,
                                  .doc = "constant, reflect, edge or wrap",
                                  .string_default = "constant"}};

constexpr OpDef kOps[] = {
    {.name = "Pad",
     .doc = "The input with elements added (or removed) around it.",
     .min_inputs = 2,
     .max_inputs = 4,
     .attributes = kPadAttrs,
     .infer = infer_pad,
     .lower = lower_pad,
     .layout = LayoutRule::kFollow,
     .any_float = true,
     .flops = no_flops},
};

}  // namespace

extern const OpTable pad_ops;
const OpTable pad_ops = {kOps};

}  // namespace lanewise
