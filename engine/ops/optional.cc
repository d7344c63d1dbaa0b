// Optionals as values: made, asked, opened.
#include <utility>

#include "engine/base/error.h"
#include "engine/ops/containers.h"

namespace lanewise {
namespace {

void infer_optional(InferContext& c) {
  if (!c.has_input(0) && c.attr_type("type").empty()) {
    c.fail("has neither an input nor the attribute 'type'; one of them must say what it may hold");
  }
  if (c.has_input(0) && c.dtype(0) != DType::kSequence) expect_tensor(c, 0);
  c.set_emitted(0, DType::kOptional);
}

Step lower_optional(LowerContext& c) {
  Step step;
  step.algorithm = "optional";
  step.run = [value = c.has_input(0) ? ValueInput(c, 0) : ValueInput(),
              type = c.attr_type("type")](const RunContext& run) {
    Container content{type, {}};
    if (value.present()) {
      content.items.push_back(value.kept(run));
      content.holds = type_of(content.items[0]);
    }
    run.emitter->emit(0, make_container(DType::kOptional, std::move(content)));
  };
  return step;
}

void infer_has_element(InferContext& c) { c.set_output(0, DType::kBool, {}); }

Step lower_has_element(LowerContext& c) {
  const bool given = c.has_input(0);
  const bool is_optional = given && c.dtype(0) == DType::kOptional;
  Step step;
  step.algorithm = "optional";
  step.run = [=](const RunContext& run) {
    *run.out<bool>(0) = is_optional ? !run.in<Container>(0)->items.empty() : given;
  };
  return step;
}

void infer_get_element(InferContext& c) {
  const DType kind = c.dtype(0);
  c.set_emitted(0, kind == DType::kOptional ? DType::kFloat32 : kind);
}

Step lower_get_element(LowerContext& c) {
  Step step;
  step.algorithm = "optional";
  step.run = [value = ValueInput(c, 0), where = c.where()](const RunContext& run) {
    if (value.dtype() != DType::kOptional) return run.emitter->emit(0, value.kept(run));
    const Container& content = value.container(run);
    if (content.items.empty()) {
      throw ModelError(where + "the optional is empty; ask OptionalHasElement first");
    }
    run.emitter->emit(0, content.items[0]);
  };
  return step;
}

constexpr AttrDef kOptionalAttrs[] = {
    {.name = "type",
     .type = AttrType::kType,
     .doc = "what it may hold; optional, and only without an input"}};

constexpr OpDef kOps[] = {
    {.name = "Optional",
     .doc = "An optional that holds the input, or an empty one.",
     .min_inputs = 0,
     .attributes = kOptionalAttrs,
     .infer = infer_optional,
     .lower = lower_optional,
     .any_float = true,
     .containers = true},
    {.name = "OptionalHasElement",
     .doc = "Whether there is a value: false for an empty optional or a left-out input.",
     .min_inputs = 0,
     .infer = infer_has_element,
     .lower = lower_has_element,
     .any_float = true,
     .containers = true},
    {.name = "OptionalGetElement",
     .doc = "The value in an optional; a tensor or a sequence is handed on.",
     .infer = infer_get_element,
     .lower = lower_get_element,
     .any_float = true,
     .containers = true},
};

}  // namespace

extern const OpTable optional_ops;
const OpTable optional_ops = {kOps};

}  // namespace lanewise
