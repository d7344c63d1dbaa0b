// OneHot, Trilu, ReverseSequence: elements placed or moved by indices that come with the data.
#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engine/base/error.h"
#include "engine/base/parallel.h"
#include "engine/cpu/elements.h"
#include "engine/cpu/indices.h"
#include "engine/graph/op.h"

namespace lanewise {
namespace {

void infer_one_hot(InferContext& c) {
  if (c.dtype(0) == DType::kBool || !visit_scalar(c.dtype(0), [](auto) {})) {
    c.fail("'indices' must be of a number type, found " + std::string(dtype_name(c.dtype(0))));
  }
  const std::vector<double> depth = c.need(1).float_values();
  if (depth.size() != 1 || !(depth[0] >= 0) || depth[0] > 0x1p60) {
    c.fail("'depth' must be one number >= 0, found " +
           (depth.size() == 1 ? std::to_string(depth[0]) : "shape " + c.shape(1).str()));
  }
  if (c.shape(2) != Shape{2}) c.fail("'values' must be [off, on], found shape " + c.shape(2).str());
  std::vector<std::int64_t> dims = c.shape(0).dims();
  const int axis = c.attr_axis(c.shape(0).rank() + 1);
  dims.insert(dims.begin() + axis, static_cast<std::int64_t>(depth[0]));
  const Shape out(std::move(dims));
  static_cast<void>(out.elements());
  c.set_output(0, c.dtype(2), out);
}

Step lower_one_hot(LowerContext& c) {
  const Shape& out_shape = c.out_shape(0);
  const int axis = c.attr_axis(out_shape.rank());
  Step step;
  step.algorithm = "scatter";
  step.run = [count = c.shape(0).elements(), inner = out_shape.elements(axis + 1, out_shape.rank()),
              depth = out_shape[axis], index = c.dtype(0),
              dtype = c.dtype(2)](const RunContext& run) {
    visit_element(dtype, [&](auto type) {
      using T = typename decltype(type)::type;
      const T* values = run.in<T>(2);
      T* out = run.out<T>(0);
      std::fill_n(out, count * depth, values[0]);
      visit_scalar(index, [&](auto index_type) {
        using I = typename decltype(index_type)::type;
        for (std::int64_t i = 0; i < count; ++i) {
          const I raw = run.in<I>(0)[i];
          // Compared as doubles: NaN and values that no int64 holds stay outside.
          if (!(static_cast<double>(raw) >= -static_cast<double>(depth) &&
                static_cast<double>(raw) < static_cast<double>(depth))) {
            continue;
          }
          const auto at = static_cast<std::int64_t>(static_cast<double>(raw));
          const std::int64_t hot = at < 0 ? at + depth : at;
          out[(i / inner * depth + hot) * inner + i % inner] = values[1];
        }
      });
    });
  };
  return step;
}

void infer_trilu(InferContext& c) {
  if (c.shape(0).rank() < 2) {
    c.fail("input 0 has shape " + c.shape(0).str() + ", expected rank 2 or more");
  }
  if (c.has_input(1)) {
    c.expect_dtype(1, {DType::kInt64});
    if (c.shape(1).elements() != 1) {
      c.fail("'k' has shape " + c.shape(1).str() + ", expected one value");
    }
  }
  c.set_output(0, c.dtype(0), c.shape(0));
}

Step lower_trilu(LowerContext& c) {
  const Shape& shape = c.shape(0);
  const std::int64_t height = shape[shape.rank() - 2], width = shape[shape.rank() - 1];
  const std::int64_t rows = shape.elements(0, shape.rank() - 1);
  Step step;
  step.algorithm = "copy";
  step.run = [=, dtype = c.dtype(0), upper = c.attr_int("upper") != 0](const RunContext& run) {
    // Beyond the matrix every k is alike; clamping keeps the sum below from overflowing.
    const std::int64_t k =
        run.has_in(1) ? std::clamp(*run.in<std::int64_t>(1), -height - 1, width + 1) : 0;
    visit_element(dtype, [&](auto type) {
      using T = typename decltype(type)::type;
      parallel_for(run.threads, rows, (1 << 14) / std::max<std::int64_t>(1, width) + 1,
                   [&](std::int64_t begin, std::int64_t end) {
                     for (std::int64_t row = begin; row < end; ++row) {
                       const T* in = run.in<T>(0) + row * width;
                       T* out = run.out<T>(0) + row * width;
                       const std::int64_t edge =
                           std::clamp<std::int64_t>(row % height + k + (upper ? 0 : 1), 0, width);
                       if (in != out) std::copy_n(in, width, out);
                       if (upper) {
                         std::fill_n(out, edge, T{});
                       } else {
                         std::fill_n(out + edge, width - edge, T{});
                       }
                     }
                   });
    });
  };
  return step;
}

void infer_reverse_sequence(InferContext& c) {
  const Shape& in = c.shape(0);
  if (in.rank() < 2) c.fail("input 0 has shape " + in.str() + ", expected rank 2 or more");
  const std::int64_t time = c.attr_int("time_axis"), batch = c.attr_int("batch_axis");
  if (!((time == 0 && batch == 1) || (time == 1 && batch == 0))) {
    c.fail("'time_axis' and 'batch_axis' must be 0 and 1 in either order, found " +
           std::to_string(time) + " and " + std::to_string(batch));
  }
  c.expect_dtype(1, {DType::kInt64});
  if (c.shape(1) != Shape{in[static_cast<int>(batch)]}) {
    c.fail("'sequence_lens' must have shape [" + std::to_string(in[static_cast<int>(batch)]) +
           "], found " + c.shape(1).str());
  }
  c.set_output(0, c.dtype(0), in);
}

Step lower_reverse_sequence(LowerContext& c) {
  const Shape& in = c.shape(0);
  const bool time_first = c.attr_int("time_axis") == 0;
  const std::int64_t times = in[time_first ? 0 : 1], batches = in[time_first ? 1 : 0];
  const std::int64_t inner = in.elements(2, in.rank());
  const std::int64_t time_stride = time_first ? batches * inner : inner;
  const std::int64_t batch_stride = time_first ? inner : times * inner;
  Step step;
  step.algorithm = "copy";
  step.run = [=, where = c.where(), dtype = c.dtype(0)](const RunContext& run) {
    const std::int64_t* lengths = run.in<std::int64_t>(1);
    for (std::int64_t b = 0; b < batches; ++b) {
      if (lengths[b] < 0 || lengths[b] > times) {
        throw ModelError(where + "sequence length " + std::to_string(lengths[b]) + " at position " +
                         std::to_string(b) + " is out of range; expected 0 to " +
                         std::to_string(times));
      }
    }
    visit_element(dtype, [&](auto type) {
      using T = typename decltype(type)::type;
      for (std::int64_t b = 0; b < batches; ++b) {
        for (std::int64_t t = 0; t < times; ++t) {
          const std::int64_t from = t < lengths[b] ? lengths[b] - 1 - t : t;
          std::copy_n(run.in<T>(0) + b * batch_stride + from * time_stride, inner,
                      run.out<T>(0) + b * batch_stride + t * time_stride);
        }
      }
    });
  };
  return step;
}

constexpr AttrDef kOneHotAttrs[] = {{.name = "axis",
                                     .type = AttrType::kInt,
                                     .doc = "where the new dimension stands",
                                     .int_default = -1}};
constexpr AttrDef kTriluAttrs[] = {{.name = "upper",
                                    .type = AttrType::kInt,
                                    .doc = "1 keeps the upper triangle, 0 the lower",
                                    .int_default = 1}};
constexpr AttrDef kReverseAttrs[] = {
    {.name = "batch_axis",
     .type = AttrType::kInt,
     .doc = "dimension of the sequences",
     .int_default = 1},
    {.name = "time_axis", .type = AttrType::kInt, .doc = "dimension that is reversed"}};

constexpr OpDef kOps[] = {
    {.name = "OneHot",
     .doc = "A new dimension with one value at the index and another elsewhere.",
     .min_inputs = 3,
     .max_inputs = 3,
     .attributes = kOneHotAttrs,
     .infer = infer_one_hot,
     .lower = lower_one_hot,
     .any_float = true,
     .flops = no_flops},
    {.name = "Trilu",
     .doc = "The upper or lower triangle of each matrix; zeros elsewhere.",
     .max_inputs = 2,
     .attributes = kTriluAttrs,
     .infer = infer_trilu,
     .lower = lower_trilu,
     .inplace = 1,
     .any_float = true,
     .flops = no_flops},
    {.name = "ReverseSequence",
     .doc = "The first elements of each sequence, as many as given, reversed.",
     .min_inputs = 2,
     .max_inputs = 2,
     .attributes = kReverseAttrs,
     .infer = infer_reverse_sequence,
     .lower = lower_reverse_sequence,
     .any_float = true,
     .flops = no_flops},
};

}  // namespace

extern const OpTable rearrange_ops;
const OpTable rearrange_ops = {kOps};

}  // namespace lanewise
