// Sequences as values: made, read, extended, shortened. Operators over whole sequences of tensors
// are in sequence_split.cc and sequence_map.cc.
#include <memory>
#include <utility>

#include "engine/base/error.h"
#include "engine/ops/containers.h"

namespace lanewise {
namespace {

void infer_construct(InferContext& c) {
  for (int i = 0; i < c.num_inputs(); ++i) {
    expect_tensor(c, i);
    c.expect_same_dtype(0, i);
  }
  c.set_emitted(0, DType::kSequence);
}

Step lower_construct(LowerContext& c) {
  std::vector<ValueInput> inputs;
  for (int i = 0; i < c.num_inputs(); ++i) inputs.emplace_back(c, i);
  Step step;
  step.algorithm = "sequence";
  step.run = [inputs = std::move(inputs)](const RunContext& run) {
    Container content{{inputs[0].dtype()}, {}};
    for (const ValueInput& input : inputs) content.items.push_back(input.kept(run));
    run.emitter->emit(0, make_container(DType::kSequence, std::move(content)));
  };
  return step;
}

void infer_empty(InferContext& c) {
  const std::int64_t code = c.attr_int("dtype");
  if (!is_dtype(code)) {
    c.fail("attribute 'dtype' is " + std::to_string(code) + ", expected an ONNX element type");
  }
  c.set_emitted(0, DType::kSequence);
}

Step lower_empty(LowerContext& c) {
  const auto dtype = static_cast<DType>(c.attr_int("dtype"));
  Step step;
  step.algorithm = "sequence";
  step.run = [dtype](const RunContext& run) {
    run.emitter->emit(0, make_container(DType::kSequence, {{dtype}, {}}));
  };
  return step;
}

// The position in [0, end), counted from the end when it is negative.
std::size_t checked_position(std::int64_t position, std::size_t size, std::size_t end,
                             const std::string& where) {
  const auto count = static_cast<std::int64_t>(size);
  const std::int64_t normal = position < 0 ? position + count : position;
  if (normal < 0 || normal >= static_cast<std::int64_t>(end)) {
    throw ModelError(where + "position " + std::to_string(position) + " is outside a sequence of " +
                     std::to_string(size) + " items");
  }
  return static_cast<std::size_t>(normal);
}

void infer_at(InferContext& c) {
  expect_container(c, 0, DType::kSequence);
  expect_position(c, 1);
  c.set_emitted(0, DType::kFloat32);
}

Step lower_at(LowerContext& c) {
  Step step;
  step.algorithm = "sequence";
  step.run = [sequence = ValueInput(c, 0), at = ValueInput(c, 1),
              where = c.where()](const RunContext& run) {
    const std::vector<Tensor>& items = sequence.container(run).items;
    run.emitter->emit(
        0, items[checked_position(at.integer(run, 0), items.size(), items.size(), where)]);
  };
  return step;
}

void infer_insert(InferContext& c) {
  expect_container(c, 0, DType::kSequence);
  expect_tensor(c, 1);
  expect_position(c, 2);
  c.set_emitted(0, DType::kSequence);
}

Step lower_insert(LowerContext& c) {
  Step step;
  step.algorithm = "sequence";
  step.run = [sequence = ValueInput(c, 0), item = ValueInput(c, 1), at = ValueInput(c, 2),
              where = c.where()](const RunContext& run) {
    Container content = sequence.container(run);
    if (!fits(content.holds, {item.dtype()})) {
      throw ModelError(where + "expected an item of " + type_text(content.holds) + ", found " +
                       std::string(dtype_name(item.dtype())) +
                       "; the items of a sequence have one type");
    }
    content.holds = {item.dtype()};
    const std::size_t size = content.items.size();
    const std::size_t place =
        checked_position(at.integer(run, static_cast<std::int64_t>(size)), size, size + 1, where);
    content.items.insert(content.items.begin() + static_cast<std::ptrdiff_t>(place),
                         item.kept(run));
    run.emitter->emit(0, make_container(DType::kSequence, std::move(content)));
  };
  return step;
}

void infer_erase(InferContext& c) {
  expect_container(c, 0, DType::kSequence);
  expect_position(c, 1);
  c.set_emitted(0, DType::kSequence);
}

Step lower_erase(LowerContext& c) {
  Step step;
  step.algorithm = "sequence";
  step.run = [sequence = ValueInput(c, 0), at = ValueInput(c, 1),
              where = c.where()](const RunContext& run) {
    Container content = sequence.container(run);
    const std::size_t size = content.items.size();
    const std::size_t place = checked_position(at.integer(run, -1), size, size, where);
    content.items.erase(content.items.begin() + static_cast<std::ptrdiff_t>(place));
    run.emitter->emit(0, make_container(DType::kSequence, std::move(content)));
  };
  return step;
}

void infer_length(InferContext& c) {
  expect_container(c, 0, DType::kSequence);
  c.set_output(0, DType::kInt64, {});
}

Step lower_length(LowerContext& c) {
  Step step;
  step.algorithm = "sequence";
  step.run = [sequence = ValueInput(c, 0)](const RunContext& run) {
    *run.out<std::int64_t>(0) = static_cast<std::int64_t>(sequence.container(run).items.size());
  };
  return step;
}

constexpr AttrDef kEmptyAttrs[] = {{.name = "dtype",
                                    .type = AttrType::kInt,
                                    .doc = "element type of the tensors to come",
                                    .int_default = static_cast<std::int64_t>(DType::kFloat32)}};

constexpr OpDef kOps[] = {
    {.name = "SequenceConstruct",
     .doc = "The inputs as a sequence.",
     .max_inputs = -1,
     .infer = infer_construct,
     .lower = lower_construct,
     .any_float = true,
     .containers = true},
    {.name = "SequenceEmpty",
     .doc = "A sequence without items.",
     .min_inputs = 0,
     .max_inputs = 0,
     .attributes = kEmptyAttrs,
     .infer = infer_empty,
     .lower = lower_empty,
     .any_float = true,
     .containers = true},
    {.name = "SequenceAt",
     .doc = "The item at a position, from the end when that is negative.",
     .min_inputs = 2,
     .max_inputs = 2,
     .infer = infer_at,
     .lower = lower_at,
     .any_float = true,
     .containers = true},
    {.name = "SequenceInsert",
     .doc = "A sequence with one more item, at a position or at its end.",
     .min_inputs = 2,
     .max_inputs = 3,
     .infer = infer_insert,
     .lower = lower_insert,
     .any_float = true,
     .containers = true},
    {.name = "SequenceErase",
     .doc = "A sequence without the item at a position or the last one.",
     .max_inputs = 2,
     .infer = infer_erase,
     .lower = lower_erase,
     .any_float = true,
     .containers = true},
    {.name = "SequenceLength",
     .doc = "The number of items.",
     .infer = infer_length,
     .lower = lower_length,
     .any_float = true,
     .containers = true},
};

}  // namespace

extern const OpTable sequence_ops;
const OpTable sequence_ops = {kOps};

}  // namespace lanewise
