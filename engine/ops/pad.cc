// Pad: every output element comes from one input element or from the constant. A table per axis
// says from which, so that the modes, negative pads and both layouts share one loop.
#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engine/base/parallel.h"
#include "engine/cpu/elements.h"
#include "engine/cpu/strided_copy.h"
#include "engine/graph/layout.h"
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
  c.fail("attribute 'mode' is '" + std::string(mode) + "', expected constant, reflect, edge or wrap");
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
      c.fail("axis " + std::to_string(axes[i]) + " is outside the input of shape " + c.shape(0).str());
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
    if (c.shape(2).elements() != 1) c.fail("'constant_value' has shape " + c.shape(2).str() + ", expected one value");
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
    const std::int64_t kept = size + std::min<std::int64_t>(begin, 0) + std::min<std::int64_t>(end, 0);
    if (mode != PadMode::kConstant && kept <= 0 && out[i] > 0) {
      c.fail("mode '" + std::string(c.attr_string("mode")) + "' has no element to repeat along axis " +
             std::to_string(i) + " of the input of shape " + c.shape(0).str());
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
  for (std::int64_t i = -std::max<std::int64_t>(0, begin); i < kept + std::max<std::int64_t>(0, end); ++i) {
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

// One axis of the output in memory order: for each index the offset into the input, or -1.
struct PadAxis {
  std::vector<std::int64_t> offsets;
  // Indices [from, to) that read consecutive input elements, when the input's stride is `run`.
  std::int64_t from = 0, to = 0;
};

struct PadPlan {
  std::vector<PadAxis> axes;  // outermost first; the last one is a row
  std::int64_t run = 1;       // elements, contiguous in both arrays, that move together
  std::int64_t rows = 1;      // product of the outer axes
};

PadPlan plan_pad(const LowerContext& c) {
  const Pads pads = resolve_pads(c);
  const Shape& in = c.shape(0);
  const int rank = in.rank();
  const std::vector<std::int64_t> strides = layout_strides(in, c.layout(0));
  std::vector<int> order(static_cast<std::size_t>(rank));
  for (int axis = 0; axis < rank; ++axis) {
    order[static_cast<std::size_t>(physical_axis(axis, rank, c.out_layout(0)))] = axis;
  }
  PadPlan plan;
  while (!order.empty()) {  // the innermost axes without pads
    const auto axis = static_cast<std::size_t>(order.back());
    if (pads.begin[axis] != 0 || pads.end[axis] != 0 || strides[axis] != plan.run) break;
    plan.run *= in[order.back()];
    order.pop_back();
  }
  for (int at : order) {
    const auto axis = static_cast<std::size_t>(at);
    PadAxis row;
    row.offsets = source_indices(in[at], pads.begin[axis], pads.end[axis], pad_mode(c));
    row.from = std::max<std::int64_t>(0, pads.begin[axis]);
    row.to = strides[axis] == plan.run
                 ? static_cast<std::int64_t>(row.offsets.size()) - std::max<std::int64_t>(0, pads.end[axis])
                 : row.from;
    for (std::int64_t& offset : row.offsets) offset = offset < 0 ? -1 : offset * strides[axis];
    plan.axes.push_back(std::move(row));
  }
  if (plan.axes.empty()) plan.axes.push_back({{0}, 0, 1});
  for (std::size_t i = 0; i + 1 < plan.axes.size(); ++i) {
    plan.rows *= static_cast<std::int64_t>(plan.axes[i].offsets.size());
  }
  return plan;
}

// The offset into the input of a row, or -1 when it holds the constant only.
std::int64_t row_offset(const PadPlan& plan, std::int64_t row) {
  std::int64_t offset = 0;
  for (std::size_t i = plan.axes.size() - 1; i-- > 0;) {
    const auto size = static_cast<std::int64_t>(plan.axes[i].offsets.size());
    const std::int64_t step = plan.axes[i].offsets[static_cast<std::size_t>(row % size)];
    if (step < 0) return -1;
    offset += step;
    row /= size;
  }
  return offset;
}

template <class T>
void pad_row(const PadPlan& plan, const T* in, const T& fill, T* out) {
  const PadAxis& axis = plan.axes.back();
  const auto piece = [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const std::int64_t offset = axis.offsets[static_cast<std::size_t>(i)];
      if (offset < 0) {
        std::fill_n(out + i * plan.run, plan.run, fill);
      } else {
        std::copy_n(in + offset, plan.run, out + i * plan.run);
      }
    }
  };
  piece(0, axis.from);
  if (axis.from < axis.to) {
    std::copy_n(in + axis.offsets[static_cast<std::size_t>(axis.from)], (axis.to - axis.from) * plan.run,
                out + axis.from * plan.run);
  }
  piece(axis.to, static_cast<std::int64_t>(axis.offsets.size()));
}

Step lower_pad(LowerContext& c) {
  Step step;
  step.algorithm = "pad";
  step.run = [](const RunContext&) {};
  if (c.out_shape(0).elements() == 0) return step;
  PadPlan plan = plan_pad(c);
  const std::int64_t row_elements = static_cast<std::int64_t>(plan.axes.back().offsets.size()) * plan.run;
  step.run = [plan = std::move(plan), row_elements, dtype = c.dtype(0)](const RunContext& run) {
    visit_element(dtype, [&](auto type) {
      using T = typename decltype(type)::type;
      const T* in = run.in<T>(0);
      T* out = run.out<T>(0);
      const T fill = run.has_in(2) ? *run.in<T>(2) : T{};
      constexpr std::int64_t kGrainBytes = 64 << 10;
      const std::int64_t row_bytes = row_elements * static_cast<std::int64_t>(sizeof(T));
      parallel_for(run.threads, plan.rows, kGrainBytes / row_bytes + 1,
                   [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t row = begin; row < end; ++row) {
          const std::int64_t offset = row_offset(plan, row);
          if (offset < 0) {
            std::fill_n(out + row * row_elements, row_elements, fill);
          } else {
            pad_row(plan, in + offset, fill, out + row * row_elements);
          }
        }
      });
    });
  };
  return step;
}

constexpr AttrDef kPadAttrs[] = {
    {.name = "mode", .type = AttrType::kString, .doc = "constant, reflect, edge or wrap",
     .string_default = "constant"}};

constexpr OpDef kOps[] = {
    {.name = "Pad", .doc = "The input with elements added (or removed) around it.", .min_inputs = 2,
     .max_inputs = 4, .attributes = kPadAttrs, .infer = infer_pad, .lower = lower_pad,
     .layout = LayoutRule::kFollow, .any_float = true, .flops = no_flops},
};

}  // namespace

extern const OpTable pad_ops;
const OpTable pad_ops = {kOps};

}  // namespace lanewise
