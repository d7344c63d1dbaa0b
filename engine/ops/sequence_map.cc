// SequenceMap: a graph called for each item of a sequence.
#include <memory>
#include <utility>

#include "engine/base/error.h"
#include "engine/ops/body.h"
#include "engine/ops/containers.h"

namespace lanewise {
namespace {

void infer_map(InferContext& c) {
  expect_container(c, 0, DType::kSequence);
  for (int i = 1; i < c.node().formal_inputs; ++i) {
    if (c.dtype(i) != DType::kSequence) expect_tensor(c, i);
  }
  const Graph& body = checked_body(c, "body", c.node().formal_inputs, c.num_outputs());
  for (int i = 0; i < c.num_outputs(); ++i) {
    const DType dtype = body.value(body.outputs[static_cast<std::size_t>(i)]).dtype;
    if (is_container(dtype)) {
      c.fail("output " + std::to_string(i) + " of the body must be a tensor, found " +
             std::string(dtype_name(dtype)));
    }
    c.set_emitted(i, DType::kSequence);
  }
}

class Map {
 public:
  explicit Map(LowerContext& c) : body_(c, "body"), outputs_(c.num_outputs()), where_(c.where()) {
    for (int i = 0; i < c.node().formal_inputs; ++i) inputs_.emplace_back(c, i);
    const Graph& graph = *c.attr_graph("body")->graph;
    for (int i = 0; i < outputs_; ++i)
      declared_.push_back(graph.value(graph.outputs[static_cast<std::size_t>(i)]).dtype);
  }

  void run(const RunContext& run) const {
    const std::size_t count = inputs_[0].container(run).items.size();
    std::vector<Container> results;
    for (DType dtype : declared_) results.push_back({{dtype}, {}});
    for (std::size_t item = 0; item < count; ++item) {
      const std::vector<Tensor> made = body_.call(run, formal(run, item, count));
      for (std::size_t i = 0; i < results.size(); ++i) add(results[i], made[i]);
    }
    for (int i = 0; i < outputs_; ++i) {
      Container& content = results[static_cast<std::size_t>(i)];
      run.emitter->emit(i, make_container(DType::kSequence, std::move(content)));
    }
  }

 private:
  std::vector<Tensor> formal(const RunContext& run, std::size_t item, std::size_t count) const {
    std::vector<Tensor> values;
    for (const ValueInput& input : inputs_) {
      if (input.dtype() != DType::kSequence) {
        values.push_back(input.view(run));
        continue;
      }
      const std::vector<Tensor>& items = input.container(run).items;
      if (items.size() != count) {
        throw ModelError(where_ + "the sequences must have one length, found " +
                         std::to_string(count) + " and " + std::to_string(items.size()));
      }
      values.push_back(items[item]);
    }
    return values;
  }

  void add(Container& content, const Tensor& made) const {
    if (is_container(made.dtype()) || !fits(content.holds, {made.dtype()})) {
      throw ModelError(where_ + "the body gives " + type_text(type_of(made)) + ", expected " +
                       type_text(content.holds) + " as it declares and for the items before");
    }
    content.holds = {made.dtype()};
    content.items.push_back(owned(made));
  }

  Body body_;
  int outputs_;
  std::string where_;
  std::vector<ValueInput> inputs_;
  std::vector<DType> declared_;
};

Step lower_map(LowerContext& c) { return step_of<Map>(c, "sequence"); }

constexpr AttrDef kAttrs[] = {{.name = "body",
                               .type = AttrType::kGraph,
                               .doc = "(item of each sequence, other inputs whole) to (items...)",
                               .required = true}};

constexpr OpDef kOps[] = {
    {.name = "SequenceMap",
     .doc = "The results of a graph for each item, as sequences.",
     .max_inputs = -1,
     .max_outputs = -1,
     .attributes = kAttrs,
     .infer = infer_map,
     .lower = lower_map,
     .any_float = true,
     .containers = true},
};

}  // namespace

extern const OpTable sequence_map_ops;
const OpTable sequence_map_ops = {kOps};

}  // namespace lanewise
