// com.microsoft: QLinearConcat, the inputs joined along an axis in the result's scale.
#include <memory>
#include <vector>

#include "engine/base/parallel.h"
#include "engine/cpu/strided_copy.h"
#include "engine/graph/layout.h"
#include "engine/graph/op.h"
#include "engine/ops/qlinear.h"

namespace lanewise {
namespace {

// Inputs: the result's scale and zero point, then a value, its scale and its zero point each.
int parts_of(const OpContext& c) { return (c.num_inputs() - 2) / 3; }

void infer_concat(InferContext& c) {
  const int parts = parts_of(c);
  if (parts < 1 || c.num_inputs() != 2 + 3 * parts) {
    c.fail("expected 2 inputs and 3 more for each part, found " + std::to_string(c.num_inputs()));
  }
  const Shape& first = c.shape(2);
  expect_result(c, 0, c.dtype(2));
  if (first.rank() == 0) c.fail("input 2 is a scalar, expected rank 1 or more");
  const int axis = c.attr_axis(first.rank());
  Shape out = first;
  for (int i = 0; i < parts; ++i) {
    const int at = 2 + 3 * i;
    expect_operand(c, at);
    c.expect_same_dtype(at, 2);
    if (i == 0) continue;
    Shape rest = c.shape(at);
    if (rest.rank() == first.rank()) rest[axis] = first[axis];
    if (rest != first) {
      c.fail("parts may differ only in dimension " + std::to_string(axis) + ", found shapes " +
             first.str() + " and " + c.shape(at).str());
    }
    out[axis] += c.shape(at)[axis];
  }
  (void)out.elements();
  c.set_output(0, c.dtype(2), out);
}

// Where a part goes in the output, in elements: `runs` pieces of `size`, `stride` apart.
struct Part {
  int input = 0;
  std::int64_t runs = 0, size = 0, stride = 0, offset = 0;
  std::unique_ptr<StridedCopy> copy;  // when the part lies in another layout than the output
};

std::vector<Part> plan_parts(LowerContext& c) {
  const Layout layout = c.out_layout(0);
  const Shape out = physical(c.out_shape(0), layout);
  const int rank = out.rank();
  const int axis = physical_axis(c.attr_axis(rank), rank, layout);
  const std::int64_t inner = out.elements(axis + 1, rank);
  std::vector<Part> parts;
  std::int64_t position = 0;
  for (int i = 0; i < parts_of(c); ++i) {
    Part part;
    part.input = 2 + 3 * i;
    const Shape shape = physical(c.shape(part.input), layout);
    part.runs = shape.elements(0, axis);
    part.size = shape[axis] * inner;
    part.stride = out[axis] * inner;
    part.offset = position * inner;
    position += shape[axis];
    const Shape& own = c.shape(part.input);
    if (!same_bytes(own, c.layout(part.input), layout)) {
      const auto from = layout_strides(own, c.layout(part.input)),
                 to = layout_strides(c.out_shape(0), layout);
      std::vector<CopyDim> box;
      for (int k = 0; k < rank; ++k) {
        box.push_back({own[k], from[static_cast<std::size_t>(k)], to[static_cast<std::size_t>(k)]});
      }
      part.copy = std::make_unique<StridedCopy>(box, c.dtype(2), c.isa());
    }
    parts.push_back(std::move(part));
  }
  return parts;
}

template <class T>
void run_part(const RunContext& run, const Part& part) {
  const QuantParameter y = parameter(run, 0, kDTypeOf<T>),
                       x = parameter(run, part.input + 1, kDTypeOf<T>);
  const ByteTable<T> table = byte_table<T>(x, y, [](float v) { return v; });
  const T* from = run.in<T>(part.input);
  T* const out = run.out<T>(0);
  if (part.copy != nullptr) {
    part.copy->run(from, 0, out, part.offset, run.threads);
  }
  const std::int64_t grain = 16384 / std::max<std::int64_t>(1, part.size) + 1;
  parallel_for(run.threads, part.runs, grain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      T* const to = out + part.offset + i * part.stride;
      apply_table(table, part.copy != nullptr ? to : from + i * part.size, part.size, to);
    }
  });
}

Step lower_concat(LowerContext& c) {
  auto parts = std::make_shared<const std::vector<Part>>(plan_parts(c));
  Step step;
  step.algorithm = "table";
  step.run = [parts, dtype = c.dtype(2)](const RunContext& run) {
    visit_byte(dtype, [&]<class T>(std::type_identity<T>) {
      for (const Part& part : *parts) run_part<T>(run, part);
    });
  };
  return step;
}

constexpr AttrDef kAttrs[] = {{.name = "axis",
                               .type = AttrType::kInt,
                               .doc = "dimension along which the parts are joined",
                               .required = true}};

constexpr OpDef kOps[] = {
    {.domain = "com.microsoft",
     .name = "QLinearConcat",
     .doc = "Quantised values joined along an axis, requantised.",
     .min_inputs = 5,
     .max_inputs = -1,
     .attributes = kAttrs,
     .infer = infer_concat,
     .lower = lower_concat,
     .layout = LayoutRule::kFollow},
};

}  // namespace

extern const OpTable qlinear_concat_ops;
const OpTable qlinear_concat_ops = {kOps};

}  // namespace lanewise
