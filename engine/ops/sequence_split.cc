// Tensors cut into sequences and sequences joined into tensors, along an axis.
#include <algorithm>
#include <memory>
#include <utility>

#include "engine/base/error.h"
#include "engine/cpu/strided_copy.h"
#include "engine/ops/containers.h"

namespace lanewise {
namespace {

// A tensor without elements may have any number of slices, each of which takes memory.
constexpr std::int64_t kMostParts = std::int64_t{1} << 24;

// Copies the box of `shape` between element offsets of two dense arrays with the given strides.
void copy_box(const Shape& shape, DType dtype, Isa isa, const Tensor& from,
              const std::vector<std::int64_t>& from_strides, std::int64_t from_offset, Tensor& to,
              const std::vector<std::int64_t>& to_strides, std::int64_t to_offset, int threads) {
  if (shape.elements() == 0) return;
  StridedCopy(box(shape, from_strides, to_strides), dtype, isa)
      .run(from.data(), from_offset, to.mutable_data(), to_offset, threads);
}

void infer_split(InferContext& c) {
  expect_tensor(c, 0);
  if (c.shape(0).rank() == 0) c.fail("input 0 is a scalar, expected rank 1 or more");
  (void)c.attr_axis(c.shape(0).rank());
  if (c.has_input(1)) {
    c.expect_dtype(1, {DType::kInt32, DType::kInt64});
    c.expect_rank(1, 0, 1);
  }
  c.set_emitted(0, DType::kSequence);
}

class SplitToSequence {
 public:
  explicit SplitToSequence(const LowerContext& c)
      : input_(c, 0),
        sizes_(c, 1),
        shape_(c.shape(0)),
        axis_(c.attr_axis(shape_.rank())),
        scalar_(c.has_input(1) && c.shape(1).rank() == 0),
        squeeze_(!c.has_input(1) && c.attr_int("keepdims") == 0),
        isa_(c.isa()),
        where_(c.where()) {}

  void run(const RunContext& run) const {
    const Tensor whole = input_.view(run);
    const std::vector<std::int64_t> strides = shape_.strides();
    Container content{{whole.dtype()}, {}};
    std::int64_t at = 0;
    for (std::int64_t size : part_sizes(run)) {
      Shape part = shape_;
      part[axis_] = size;
      Tensor item = Tensor::allocate(whole.dtype(), part);
      copy_box(part, whole.dtype(), isa_, whole, strides,
               at * strides[static_cast<std::size_t>(axis_)], item, part.strides(), 0, run.threads);
      at += size;
      content.items.push_back(squeeze_ ? item.reshaped(without_axis()) : item);
    }
    run.emitter->emit(0, make_container(DType::kSequence, std::move(content)));
  }

 private:
  Shape without_axis() const {
    std::vector<std::int64_t> dims = shape_.dims();
    dims.erase(dims.begin() + axis_);
    return Shape(std::move(dims));
  }

  std::vector<std::int64_t> part_sizes(const RunContext& run) const {
    const std::int64_t whole = shape_[axis_];
    if (sizes_.present() && !scalar_) return listed_sizes(run, whole);
    const std::int64_t size = sizes_.integer(run, 1);
    if (size <= 0) {
      throw ModelError(where_ + "'split' is " + std::to_string(size) + ", expected 1 or more");
    }
    if (whole / size > kMostParts) {
      throw ResourceError(where_ + "cutting dimension " + std::to_string(axis_) + " of " +
                          shape_.str() + " makes more than " + std::to_string(kMostParts) +
                          " parts");
    }
    std::vector<std::int64_t> sizes;
    for (std::int64_t rest = whole; rest > 0; rest -= sizes.back()) {
      sizes.push_back(std::min(size, rest));
    }
    return sizes;
  }

  std::vector<std::int64_t> listed_sizes(const RunContext& run, std::int64_t whole) const {
    std::vector<std::int64_t> sizes = sizes_.view(run).int_values();
    std::int64_t rest = whole;
    for (std::int64_t size : sizes) {
      if (size < 0 || size > rest) rest = -1;
      if (rest >= 0) rest -= size;
    }
    if (rest != 0) {
      throw ModelError(where_ + "'split' is " + Shape(sizes).str() +
                       ", expected sizes >= 0 whose sum is " + std::to_string(whole));
    }
    return sizes;
  }

  ValueInput input_, sizes_;
  Shape shape_;
  int axis_;
  bool scalar_, squeeze_;
  Isa isa_;
  std::string where_;
};

Step lower_split(LowerContext& c) { return step_of<SplitToSequence>(c, "sequence"); }

void infer_concat(InferContext& c) {
  expect_container(c, 0, DType::kSequence);
  const std::int64_t added = c.attr_int("new_axis");
  if (added != 0 && added != 1) {
    c.fail("attribute 'new_axis' is " + std::to_string(added) + ", expected 0 or 1");
  }
  c.set_emitted(0, DType::kFloat32);
}

class ConcatFromSequence {
 public:
  explicit ConcatFromSequence(const LowerContext& c)
      : sequence_(c, 0),
        axis_(c.attr_int("axis")),
        stacks_(c.attr_int("new_axis") == 1),
        isa_(c.isa()),
        where_(c.where()) {}

  void run(const RunContext& run) const {
    const std::vector<Tensor>& items = sequence_.container(run).items;
    if (items.empty()) throw ModelError(where_ + "an empty sequence cannot be joined");
    const int rank = items[0].shape().rank() + (stacks_ ? 1 : 0);
    const auto axis = normalize_axis(axis_, rank);
    if (!axis) {
      throw ModelError(where_ + "attribute 'axis' is " + std::to_string(axis_) + ", expected " +
                       std::to_string(-rank) + " to " + std::to_string(rank - 1) +
                       " for items of shape " + items[0].shape().str());
    }
    std::vector<Shape> shapes;
    Shape out;
    for (const Tensor& item : items) {
      shapes.push_back(placed(item.shape(), *axis));
      check(shapes, *axis);
      if (shapes.size() == 1) {
        out = shapes[0];
      } else {
        out[*axis] += shapes.back()[*axis];
      }
    }
    Tensor result = Tensor::allocate(items[0].dtype(), out);
    const std::vector<std::int64_t> strides = out.strides();
    std::int64_t offset = 0;
    for (std::size_t i = 0; i < items.size(); ++i) {
      copy_box(shapes[i], result.dtype(), isa_, items[i], shapes[i].strides(), 0, result, strides,
               offset, run.threads);
      offset += shapes[i][*axis] * strides[static_cast<std::size_t>(*axis)];
    }
    run.emitter->emit(0, std::move(result));
  }

 private:
  // An item's shape, with the new dimension where items are stacked.
  Shape placed(const Shape& shape, int axis) const {
    if (!stacks_) return shape;
    std::vector<std::int64_t> dims = shape.dims();
    dims.insert(dims.begin() + std::min<std::ptrdiff_t>(axis, shape.rank()), 1);
    return Shape(std::move(dims));
  }

  // The last shape may differ from the first in the axis only.
  void check(const std::vector<Shape>& shapes, int axis) const {
    Shape last = shapes.back();
    if (last.rank() == shapes[0].rank()) last[axis] = shapes[0][axis];
    if (last == shapes[0] && (!stacks_ || shapes.back() == shapes[0])) return;
    throw ModelError(where_ + "items " +
                     (stacks_ ? "must have one shape" : "may differ only along the axis") +
                     ", found " + shapes[0].str() + " and " + shapes.back().str() +
                     (stacks_ ? " with the new axis" : ""));
  }

  ValueInput sequence_;
  std::int64_t axis_;
  bool stacks_;
  Isa isa_;
  std::string where_;
};

Step lower_concat(LowerContext& c) { return step_of<ConcatFromSequence>(c, "sequence"); }

constexpr AttrDef kSplitAttrs[] = {
    {.name = "axis", .type = AttrType::kInt, .doc = "dimension that is cut"},
    {.name = "keepdims",
     .type = AttrType::kInt,
     .doc = "0: parts of size 1 lose the dimension; heeded only without sizes",
     .int_default = 1}};
constexpr AttrDef kConcatAttrs[] = {
    {.name = "axis",
     .type = AttrType::kInt,
     .doc = "dimension along which items are joined",
     .required = true},
    {.name = "new_axis", .type = AttrType::kInt, .doc = "1: items are stacked along a new one"}};

constexpr OpDef kOps[] = {
    {.name = "SplitToSequence",
     .doc = "A tensor cut along an axis: into given sizes, equal ones, or single slices.",
     .max_inputs = 2,
     .attributes = kSplitAttrs,
     .infer = infer_split,
     .lower = lower_split,
     .any_float = true,
     .containers = true},
    {.name = "ConcatFromSequence",
     .doc = "The items joined along an axis, or stacked along a new one.",
     .attributes = kConcatAttrs,
     .infer = infer_concat,
     .lower = lower_concat,
     .any_float = true,
     .containers = true},
};

}  // namespace

extern const OpTable sequence_split_ops;
const OpTable sequence_split_ops = {kOps};

}  // namespace lanewise
