// If and Loop: bodies run at run time, and outputs take the shapes that the bodies give. Scan is in
// scan.cc.
#include <algorithm>
#include <limits>
#include <utility>

#include "engine/base/deadline.h"
#include "engine/base/error.h"
#include "engine/graph/op.h"
#include "engine/ops/body.h"

namespace lanewise {
namespace {

bool truth(const Tensor& tensor) {
  if (tensor.dtype() != DType::kBool || tensor.elements() != 1) {
    throw ModelError("a loop's body must give one bool as its condition, found " +
                     std::string(dtype_name(tensor.dtype())) + " " + tensor.shape().str());
  }
  return *tensor.as<bool>();
}

// Whether input i is given: what follows the formal inputs is captured.
bool has_formal(const OpContext& c, int i) { return i < c.node().formal_inputs && c.has_input(i); }

void expect_scalar(const OpContext& c, int i, DType dtype) {
  if (!has_formal(c, i)) return;
  c.expect_dtype(i, {dtype});
  if (c.shape(i).elements() != 1)
    c.fail("input " + std::to_string(i) + " must be one value, found " + c.shape(i).str());
}

void infer_if(InferContext& c) {
  expect_scalar(c, 0, DType::kBool);
  const Graph& then_graph = checked_body(c, "then_branch", 0, c.num_outputs());
  const Graph& else_graph = checked_body(c, "else_branch", 0, c.num_outputs());
  for (int i = 0; i < c.num_outputs(); ++i) {
    const auto index = static_cast<std::size_t>(i);
    const Value& from_then = then_graph.value(then_graph.outputs[index]);
    const Value& from_else = else_graph.value(else_graph.outputs[index]);
    set_emitted(c, i, from_then.dtype == DType::kUndefined ? from_else : from_then, false);
  }
}

Step lower_if(LowerContext& c) {
  const Body then_body(c, "then_branch"), else_body(c, "else_branch");
  Step step;
  step.algorithm = "branch";
  step.run = [then_body, else_body, outputs = c.num_outputs()](const RunContext& run) {
    const Body& body = *run.in<bool>(0) ? then_body : else_body;
    const std::vector<Tensor> results = body.call(run, {});
    for (int i = 0; i < outputs; ++i)
      run.emitter->emit(i, owned(results[static_cast<std::size_t>(i)]));
  };
  return step;
}

// Inputs are the trip count, the condition, then the carried values.
int carried_values(const OpContext& c) { return std::max(0, c.node().formal_inputs - 2); }

void infer_loop(InferContext& c) {
  const int carried = carried_values(c);
  expect_scalar(c, 0, DType::kInt64);
  expect_scalar(c, 1, DType::kBool);
  for (int i = 0; i < carried; ++i) {
    if (!c.has_input(i + 2)) c.fail("carried value " + std::to_string(i) + " has no initial value");
  }
  const Graph& body = checked_body(c, "body", carried + 2, c.num_outputs() + 1);
  for (int i = 0; i < c.num_outputs(); ++i) {
    set_emitted(c, i, body.value(body.outputs[static_cast<std::size_t>(i) + 1]), i >= carried);
  }
}

class Loop {
 public:
  explicit Loop(LowerContext& c)
      : body_(c, "body"),
        carried_(carried_values(c)),
        outputs_(c.num_outputs()),
        has_trips_(has_formal(c, 0)),
        has_condition_(has_formal(c, 1)),
        where_(c.where()) {
    const Graph& graph = *c.attr_graph("body")->graph;
    for (std::size_t i = static_cast<std::size_t>(carried_) + 1; i < graph.outputs.size(); ++i) {
      stacks_.emplace_back(graph.value(graph.outputs[i]));
    }
  }

  void run(const RunContext& run) const {
    const std::int64_t trips =
        has_trips_ ? *run.in<std::int64_t>(0) : std::numeric_limits<std::int64_t>::max();
    bool go_on = has_condition_ ? *run.in<bool>(1) : true;
    std::vector<Tensor> values;
    for (int i = 0; i < carried_; ++i) values.push_back(body_.input(run, i + 2));
    std::vector<Stack> stacks = stacks_;
    for (std::int64_t trip = 0; trip < trips && go_on; ++trip) {
      if (out_of_time()) check_time(where_ + "after " + std::to_string(trip) + " iterations, ");
      std::vector<Tensor> inputs = {Tensor::scalar(trip), Tensor::scalar(true)};
      inputs.insert(inputs.end(), std::make_move_iterator(values.begin()),
                    std::make_move_iterator(values.end()));
      std::vector<Tensor> results = body_.call(run, std::move(inputs));
      // The specification ignores the body's condition where the node has none; runtimes that files
      // are made with do not, and without it a loop with neither a count nor a condition never
      // ends.
      go_on = truth(results[0]);
      const auto first_scan = results.begin() + 1 + carried_;
      values.assign(std::make_move_iterator(results.begin() + 1),
                    std::make_move_iterator(first_scan));
      for (std::size_t i = 0; i < stacks.size(); ++i)
        stacks[i].append(first_scan[static_cast<std::ptrdiff_t>(i)]);
    }
    for (int i = 0; i < outputs_; ++i) {
      const auto index = static_cast<std::size_t>(i);
      run.emitter->emit(i, i < carried_
                               ? owned(values[index])
                               : stacks[index - static_cast<std::size_t>(carried_)].finish());
    }
  }

 private:
  Body body_;
  int carried_, outputs_;
  bool has_trips_, has_condition_;
  std::string where_;
  std::vector<Stack> stacks_;  // empty ones, to start from
};

Step lower_loop(LowerContext& c) { return step_of<Loop>(c, "loop"); }

constexpr AttrDef kIfAttrs[] = {{.name = "then_branch",
                                 .type = AttrType::kGraph,
                                 .doc = "runs when the condition is true",
                                 .required = true},
                                {.name = "else_branch",
                                 .type = AttrType::kGraph,
                                 .doc = "runs when it is false",
                                 .required = true}};
constexpr AttrDef kLoopAttrs[] = {
    {.name = "body",
     .type = AttrType::kGraph,
     .doc = "(iteration, condition, carried...) to (condition, carried..., stacked...)",
     .required = true}};

constexpr OpDef kOps[] = {
    {.name = "If",
     .doc = "The results of one of two graphs.",
     .max_inputs = -1,
     .max_outputs = -1,
     .attributes = kIfAttrs,
     .infer = infer_if,
     .lower = lower_if,
     .any_float = true,
     .containers = true},
    {.name = "Loop",
     .doc = "Runs a graph while a condition holds, up to a number of times.",
     .min_inputs = 0,
     .max_inputs = -1,
     .min_outputs = 0,
     .max_outputs = -1,
     .attributes = kLoopAttrs,
     .infer = infer_loop,
     .lower = lower_loop,
     .any_float = true,
     .containers = true},
};

}  // namespace

extern const OpTable control_ops;
const OpTable control_ops = {kOps};

}  // namespace lanewise
