// MaxUnpool: puts maxima back where MaxPool found them.
#include <algorithm>
#include <cstring>
#include <string>
#include <type_traits>
#include <vector>

#include "engine/base/error.h"
#include "engine/base/parallel.h"
#include "engine/graph/op.h"
#include "engine/ops/window.h"

namespace lanewise {
namespace {

// The shape that a MaxPool with this kernel, stride and pads would have read; indices count in it.
Shape pooled_from(const OpContext& c) {
  const std::vector<std::int64_t> kernel = pool_kernel(c);
  const int rank = static_cast<int>(kernel.size());
  const std::vector<std::int64_t> stride = window_ints(c, "strides", rank, 1, 1);
  const std::vector<std::int64_t> pads = window_ints(c, "pads", 2 * rank, 0, 0);
  Shape shape = c.shape(0);
  for (int i = 0; i < rank; ++i) {
    const auto k = static_cast<std::size_t>(i);
    const std::int64_t in = shape[i + 2];
    const std::int64_t steps = checked_multiply(std::max<std::int64_t>(in - 1, 0), stride[k]);
    const std::int64_t size =
        steps - pads[k] - pads[k + static_cast<std::size_t>(rank)] + kernel[k];
    if (size < 1) {
      c.fail("pads leave nothing along spatial axis " + std::to_string(i) +
             " for an input of shape " + c.shape(0).str());
    }
    shape[i + 2] = in == 0 ? 0 : size;
  }
  return shape;
}

void infer_unpool(InferContext& c) {
  c.expect_dtype(0, {DType::kFloat32, DType::kFloat64});
  c.expect_dtype(1, {DType::kInt64});
  if (c.shape(1) != c.shape(0)) {
    c.fail("indices (input 1) have shape " + c.shape(1).str() + ", expected that of input 0, " +
           c.shape(0).str());
  }
  const Shape natural = pooled_from(c);
  if (!c.has_input(2)) return c.set_output(0, c.dtype(0), natural);
  const Shape wanted(c.need_ints(2));
  bool fits = wanted.rank() == natural.rank();
  for (int i = 0; fits && i < natural.rank(); ++i) {
    fits = i < 2 ? wanted[i] == natural[i] : wanted[i] >= natural[i];
  }
  if (!fits) {
    c.fail("output_shape (input 2) is " + wanted.str() + ", expected at least " + natural.str() +
           " with the same first two dimensions");
  }
  c.set_output(0, c.dtype(0), wanted);
}

// Where each position of `natural` lies in the possibly larger `out`.
std::int64_t place(std::int64_t index, const Shape& natural, const Shape& out) {
  std::int64_t result = 0, stride = 1;
  for (int i = natural.rank() - 1; i >= 0; --i) {
    result += index % natural[i] * stride;
    index /= natural[i];
    stride *= out[i];
  }
  return result;
}

template <class T>
Step make_step(const LowerContext& c) {
  const Shape natural = pooled_from(c), out = c.out_shape(0);
  const std::int64_t count = c.shape(0).elements(), limit = natural.elements();
  const std::int64_t size = out.elements();
  const bool same = natural == out;
  const std::string name = c.node().name;
  Step step;
  step.algorithm = "scatter";
  step.run = [=](const RunContext& run) {
    const std::int64_t* indices = run.in<std::int64_t>(1);
    for (std::int64_t i = 0; i < count; ++i) {
      if (indices[i] >= 0 && indices[i] < limit) continue;
      throw ModelError("node '" + name + "' (MaxUnpool): index " + std::to_string(indices[i]) +
                       " at position " + std::to_string(i) + " of input 1 is outside [0, " +
                       std::to_string(limit) + "), the pooled input of shape " + natural.str());
    }
    T* y = run.out<T>(0);
    parallel_for(run.threads, size, 1 << 16, [&](std::int64_t begin, std::int64_t end) {
      std::memset(y + begin, 0, static_cast<std::size_t>(end - begin) * sizeof(T));
    });
    // One thread: where two indices agree, the later element stays.
    const T* x = run.in<T>(0);
    for (std::int64_t i = 0; i < count; ++i) {
      y[same ? indices[i] : place(indices[i], natural, out)] = x[i];
    }
  };
  return step;
}

Step lower_unpool(LowerContext& c) {
  return c.dtype(0) == DType::kFloat64 ? make_step<double>(c) : make_step<float>(c);
}

constexpr AttrDef kUnpoolAttrs[] = {
    {.name = "kernel_shape",
     .type = AttrType::kInts,
     .doc = "window of the pooling",
     .required = true},
    {.name = "strides", .type = AttrType::kInts, .doc = "step of the pooling, 1 unless given"},
    {.name = "pads",
     .type = AttrType::kInts,
     .doc = "padding of the pooling: all begins, then all ends"}};

constexpr OpDef kOps[] = {
    {.name = "MaxUnpool",
     .doc = "Puts pooled maxima back at their indices, zeros elsewhere (Zeiler & Fergus 2014).",
     .min_inputs = 2,
     .max_inputs = 3,
     .attributes = kUnpoolAttrs,
     .infer = infer_unpool,
     .lower = lower_unpool},
};

}  // namespace

extern const OpTable max_unpool_ops;
const OpTable max_unpool_ops = {kOps};

}  // namespace lanewise
