// Scan: a body over slices of its inputs, with state carried from one to the next.
#include <memory>
#include <optional>
#include <utility>

#include "engine/base/deadline.h"
#include "engine/base/error.h"
#include "engine/cpu/strided_copy.h"
#include "engine/graph/op.h"
#include "engine/ops/body.h"

namespace lanewise {
namespace {

// One scan input: the axis that is sliced and from which end.
struct Sliced {
  int axis = 0;
  bool backwards = false;
};

int scan_inputs(const OpContext& c) { return static_cast<int>(c.attr_int("num_scan_inputs")); }
int state_values(const OpContext& c) { return c.node().formal_inputs - scan_inputs(c); }

// Entry i of a list that may be absent; fails when it has another length than `count`.
std::int64_t entry(const OpContext& c, std::string_view name, int count, int i) {
  const std::vector<std::int64_t> values = c.attr_ints(name);
  if (values.empty()) return 0;
  if (static_cast<int>(values.size()) != count) {
    c.fail("attribute '" + std::string(name) + "' must have " + std::to_string(count) +
           " entries, found " + std::to_string(values.size()));
  }
  return values[static_cast<std::size_t>(i)];
}

bool direction(const OpContext& c, std::string_view name, int count, int i) {
  const std::int64_t value = entry(c, name, count, i);
  if (value != 0 && value != 1) {
    c.fail("attribute '" + std::string(name) + "' has " + std::to_string(value) +
           ", expected 0 or 1");
  }
  return value == 1;
}

Sliced sliced_input(const OpContext& c, int i) {
  const int count = scan_inputs(c);
  const Shape& shape = c.shape(state_values(c) + i);
  const std::int64_t axis = entry(c, "scan_input_axes", count, i);
  const auto normal = normalize_axis(axis, shape.rank());
  if (!normal)
    c.fail("scan axis " + std::to_string(axis) + " is outside an input of shape " + shape.str());
  return {*normal, direction(c, "scan_input_directions", count, i)};
}

// The number of iterations: the size of every scan input along its axis.
std::int64_t iterations(const OpContext& c) {
  std::optional<std::int64_t> result;
  for (int i = 0; i < scan_inputs(c); ++i) {
    const std::int64_t size = c.shape(state_values(c) + i)[sliced_input(c, i).axis];
    if (result.value_or(size) != size) {
      c.fail("scan inputs must have one size along their axes, found " + std::to_string(*result) +
             " and " + std::to_string(size));
    }
    result = size;
  }
  return *result;
}

void infer_scan(InferContext& c) {
  const int states = state_values(c);
  if (scan_inputs(c) < 1 || states < 0) {
    c.fail("attribute 'num_scan_inputs' is " + std::to_string(scan_inputs(c)) + ", expected 1 to " +
           std::to_string(c.node().formal_inputs));
  }
  for (int i = 0; i < c.node().formal_inputs; ++i) {
    if (!c.has_input(i)) c.fail("input " + std::to_string(i) + " is missing");
  }
  (void)iterations(c);
  const Graph& body = checked_body(c, "body", c.node().formal_inputs, c.num_outputs());
  if (static_cast<int>(body.outputs.size()) < states)
    c.fail("the body gives fewer outputs than there are states");
  const int stacks = static_cast<int>(body.outputs.size()) - states;
  for (int i = 0; i < stacks; ++i) {
    (void)direction(c, "scan_output_directions", stacks, i);
    (void)entry(c, "scan_output_axes", stacks, i);
  }
  for (int i = 0; i < c.num_outputs(); ++i) {
    set_emitted(c, i, body.value(body.outputs[static_cast<std::size_t>(i)]), i >= states);
  }
}

class Scan {
 public:
  explicit Scan(LowerContext& c)
      : body_(c, "body"),
        isa_(c.isa()),
        states_(state_values(c)),
        outputs_(c.num_outputs()),
        iterations_(iterations(c)),
        node_name_(c.node().name) {
    for (int i = 0; i < scan_inputs(c); ++i) inputs_.push_back(sliced_input(c, i));
    const Graph& graph = *c.attr_graph("body")->graph;
    const int stacks = static_cast<int>(graph.outputs.size()) - states_;
    for (int i = 0; i < stacks; ++i) {
      stacks_.emplace_back(graph.value(graph.outputs[static_cast<std::size_t>(states_ + i)]));
      axes_.push_back(entry(c, "scan_output_axes", stacks, i));
      prepended_.push_back(direction(c, "scan_output_directions", stacks, i));
    }
  }

  void run(const RunContext& run) const {
    std::vector<Tensor> states;
    for (int i = 0; i < states_; ++i) states.push_back(body_.input(run, i));
    std::vector<Stack> stacks = stacks_;
    for (std::int64_t i = 0; i < iterations_; ++i) {
      if (out_of_time()) check_time("node '" + node_name_ + "' (Scan): ");
      std::vector<Tensor> inputs = std::move(states);
      for (std::size_t j = 0; j < inputs_.size(); ++j) inputs.push_back(slice(run, j, i));
      std::vector<Tensor> results = body_.call(run, std::move(inputs));
      const auto first_scan = results.begin() + states_;
      states.assign(std::make_move_iterator(results.begin()), std::make_move_iterator(first_scan));
      for (std::size_t j = 0; j < stacks.size(); ++j)
        stacks[j].append(first_scan[static_cast<std::ptrdiff_t>(j)]);
    }
    for (int i = 0; i < outputs_; ++i) {
      const auto index = static_cast<std::size_t>(i);
      run.emitter->emit(
          i, i < states_ ? owned(states[index])
                         : placed(stacks, index - static_cast<std::size_t>(states_), run.threads));
    }
  }

 private:
  // Slice `i` of scan input `j`: a view along the first axis, a copy along others.
  Tensor slice(const RunContext& run, std::size_t j, std::int64_t i) const {
    const Tensor whole = body_.input(run, states_ + static_cast<int>(j));
    const int axis = inputs_[j].axis;
    const std::int64_t at = inputs_[j].backwards ? iterations_ - 1 - i : i;
    const std::vector<std::int64_t> strides = whole.shape().strides();
    Shape shape;
    for (int k = 0; k < whole.shape().rank(); ++k) {
      if (k != axis) shape.push_back(whole.shape()[k]);
    }
    const std::int64_t offset = at * strides[static_cast<std::size_t>(axis)];
    if (axis == 0) {
      const auto* bytes =
          whole.as<std::byte>() + static_cast<std::size_t>(offset) * dtype_size(whole.dtype());
      return Tensor::wrap(whole.dtype(), std::move(shape), bytes, nullptr);
    }
    Tensor result = Tensor::allocate(whole.dtype(), shape);
    const std::vector<std::int64_t> dense = shape.strides();
    std::vector<CopyDim> dims;
    for (int k = 0; k < shape.rank(); ++k) {
      dims.push_back({shape[k], strides[static_cast<std::size_t>(k < axis ? k : k + 1)],
                      dense[static_cast<std::size_t>(k)]});
    }
    StridedCopy(dims, whole.dtype(), isa_)
        .run(whole.data(), offset, result.mutable_data(), 0, run.threads);
    return result;
  }

  // The stacked results with the new dimension at its axis, in its direction.
  Tensor placed(const std::vector<Stack>& stacks, std::size_t j, int threads) const {
    const Tensor stack = stacks[j].finish();
    const int rank = stack.shape().rank();
    const auto axis = normalize_axis(axes_[j], rank);
    if (!axis) {
      throw ModelError("node '" + node_name_ + "' (Scan): output axis " + std::to_string(axes_[j]) +
                       " is outside a result of rank " + std::to_string(rank));
    }
    if (*axis == 0 && !prepended_[j]) return stack;
    Shape shape;
    for (int k = 1; k < rank; ++k) shape.push_back(stack.shape()[k]);
    std::vector<std::int64_t> dims = shape.dims();
    dims.insert(dims.begin() + *axis, stack.shape()[0]);
    Tensor result = Tensor::allocate(stack.dtype(), Shape(dims));
    if (stack.elements() == 0) return result;
    const std::vector<std::int64_t> from = stack.shape().strides(), to = result.shape().strides();
    const std::int64_t step = to[static_cast<std::size_t>(*axis)];
    std::vector<CopyDim> box;
    // Written from the last place on when prepended: the input runs backwards, as outputs may not.
    box.push_back({stack.shape()[0], prepended_[j] ? -from[0] : from[0], step});
    for (int k = 1; k < rank; ++k) {
      box.push_back({stack.shape()[k], from[static_cast<std::size_t>(k)],
                     to[static_cast<std::size_t>(k <= *axis ? k - 1 : k)]});
    }
    const std::int64_t first = prepended_[j] ? (stack.shape()[0] - 1) * from[0] : 0;
    StridedCopy(box, stack.dtype(), isa_)
        .run(stack.data(), first, result.mutable_data(), 0, threads);
    return result;
  }

  Body body_;
  Isa isa_;
  int states_, outputs_;
  std::int64_t iterations_;
  std::string node_name_;
  std::vector<Sliced> inputs_;
  std::vector<Stack> stacks_;  // empty ones, to start from
  std::vector<std::int64_t> axes_;
  std::vector<bool> prepended_;
};

Step lower_scan(LowerContext& c) { return step_of<Scan>(c, "scan"); }

constexpr AttrDef kScanAttrs[] = {
    {.name = "body",
     .type = AttrType::kGraph,
     .doc = "(states..., slices...) to (states..., results...)",
     .required = true},
    {.name = "num_scan_inputs",
     .type = AttrType::kInt,
     .doc = "how many of the last inputs are sliced",
     .required = true},
    {.name = "scan_input_axes",
     .type = AttrType::kInts,
     .doc = "axis of each scan input; 0 if absent"},
    {.name = "scan_input_directions",
     .type = AttrType::kInts,
     .doc = "1: from the last slice; 0 if absent"},
    {.name = "scan_output_axes",
     .type = AttrType::kInts,
     .doc = "new axis of each result; 0 if absent"},
    {.name = "scan_output_directions",
     .type = AttrType::kInts,
     .doc = "1: the first result comes last; 0 if absent"},
};

constexpr OpDef kOps[] = {
    {.name = "Scan",
     .doc = "Runs a graph over the slices of its inputs.",
     .max_inputs = -1,
     .max_outputs = -1,
     .attributes = kScanAttrs,
     .infer = infer_scan,
     .lower = lower_scan,
     .any_float = true,
     .containers = true},
};

}  // namespace

extern const OpTable scan_ops;
const OpTable scan_ops = {kOps};

}  // namespace lanewise
