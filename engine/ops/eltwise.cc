// Loops over broadcast operands and the checks of element-wise operators. No operator is here.
#include "engine/ops/eltwise.h"

#include <algorithm>
#include <memory>

#include "engine/graph/layout.h"

namespace lanewise {
namespace {

unsigned type_bit(DType dtype) {
  switch (dtype) {
    case DType::kFloat16:
    case DType::kBFloat16:
    case DType::kFloat32:
    case DType::kFloat64: return kFloats;
    case DType::kInt8:
    case DType::kInt16:
    case DType::kInt32:
    case DType::kInt64: return kSigned;
    case DType::kUInt8:
    case DType::kUInt16:
    case DType::kUInt32:
    case DType::kUInt64: return kUnsigned;
    case DType::kBool: return kBools;
    case DType::kString: return kStrings;
    default: return 0;
  }
}

std::string set_text(unsigned set) {
  constexpr std::pair<unsigned, const char*> kNames[] = {{kFloats, "floating-point"},
                                                         {kSigned, "signed"},
                                                         {kUnsigned, "unsigned"},
                                                         {kBools, "bool"},
                                                         {kStrings, "string"}};
  std::string text;
  for (const auto& [bit, name] : kNames) {
    if (set & bit) text += (text.empty() ? "" : ", ") + std::string(name);
  }
  return text;
}

}  // namespace

void expect_types(const OpContext& c, int i, unsigned set) {
  if (type_bit(c.dtype(i)) & set) return;
  c.fail("input " + std::to_string(i) + " must be of a type among " + set_text(set) + ", found " +
         std::string(dtype_name(c.dtype(i))) + "; cast it before this node");
}

Shape infer_broadcast(const OpContext& c, unsigned set) {
  Shape shape = c.shape(0);
  for (int i = 0; i < c.num_inputs(); ++i) {
    expect_types(c, i, set);
    c.expect_same_dtype(0, i);
    const std::optional<Shape> both = broadcast(shape, c.shape(i));
    if (!both) {
      c.fail("input " + std::to_string(i) + " of shape " + c.shape(i).str() +
             " does not broadcast with shape " + shape.str() +
             "; aligned at the right, dimensions must be equal or 1");
    }
    shape = *both;
  }
  return shape;
}

void infer_same(InferContext& c) { c.set_output(0, c.dtype(0), c.shape(0)); }

BroadcastLoop broadcast_loop(const LowerContext& c, std::initializer_list<int> inputs) {
  const Shape& out = c.out_shape(0);
  const Shape memory = physical(out, c.out_layout(0));
  BroadcastLoop loop;
  loop.elements = out.elements();
  std::vector<std::vector<std::int64_t>> full;
  for (int i : inputs)
    full.push_back(broadcast_strides(c.shape(i), c.layout(i), out, c.out_layout(0)));
  for (int d = 0; d < memory.rank(); ++d) {
    if (memory[d] == 1) continue;
    const auto at = static_cast<std::size_t>(d);
    bool merges = !loop.dims.empty();
    for (std::size_t i = 0; i < full.size() && merges; ++i) {
      merges = loop.strides[i].back() == full[i][at] * memory[d];
    }
    if (merges)
      loop.dims.back() *= memory[d];
    else
      loop.dims.push_back(memory[d]);
    for (std::size_t i = 0; i < full.size(); ++i) {
      if (merges)
        loop.strides[i].back() = full[i][at];
      else
        loop.strides[i].push_back(full[i][at]);
    }
  }
  while (loop.dims.size() < 2) {
    loop.dims.insert(loop.dims.begin(), 1);
    for (std::size_t i = 0; i < full.size(); ++i)
      loop.strides[i].insert(loop.strides[i].begin(), 0);
  }
  return loop;
}

BroadcastLoop::Block BroadcastLoop::block_at(std::int64_t begin, std::int64_t end) const {
  const std::int64_t cols = dims.back();
  const std::int64_t rows = dims[dims.size() - 2];
  Block block;
  block.out = begin;
  std::int64_t rest = begin;
  std::int64_t col = 0, row = 0;
  for (std::size_t d = dims.size(); d-- > 0;) {
    const std::int64_t index = rest % dims[d];
    rest /= dims[d];
    for (std::size_t i = 0; i < kMost && !strides[i].empty(); ++i)
      block.in[i] += index * strides[i][d];
    if (d + 1 == dims.size()) col = index;
    if (d + 2 == dims.size()) row = index;
  }
  if (col != 0 || end - begin < cols) {
    block.rows = 1;
    block.cols = std::min(end - begin, cols - col);
  } else {
    block.rows = std::min(rows - row, (end - begin) / cols);
    block.cols = cols;
  }
  return block;
}

Step map_float32(const LowerContext& c, kernels::Unary f, float alpha, float beta) {
  const kernels::UnaryRun kernel = kernels::eltwise_unary(c.isa()).run[static_cast<int>(f)];
  const std::int64_t n = c.out_shape(0).elements();
  Step step;
  step.run = [=](const RunContext& run) {
    const float* x = run.in<float>(0);
    float* y = run.out<float>(0);
    parallel_for(run.threads, n, kGrain, [&](std::int64_t begin, std::int64_t end) {
      kernel(x + begin, y + begin, end - begin, alpha, beta);
    });
  };
  step.algorithm = "simd";
  return step;
}

Step map_step(const LowerContext& c, MapRun f, std::size_t in_size, std::size_t out_size) {
  const std::int64_t n = c.out_shape(0).elements();
  Step step;
  step.run = [=, f = std::move(f)](const RunContext& run) {
    parallel_for(run.threads, n, kGrain, [&](std::int64_t begin, std::int64_t end) {
      const auto at = static_cast<std::size_t>(begin);
      f(run.in<std::byte>(0) + at * in_size, run.out<std::byte>(0) + at * out_size, end - begin);
    });
  };
  step.algorithm = "map";
  return step;
}

void run_part(const BroadcastLoop& loop, RowsRun f, const ElementSizes& sizes, const void* a,
              const void* b, void* y, std::int64_t begin, std::int64_t end) {
  const auto at = [](const void* base, std::int64_t element, std::size_t size) {
    return static_cast<const std::byte*>(base) + static_cast<std::size_t>(element) * size;
  };
  loop.for_blocks(begin, end, [&](const BroadcastLoop::Block& block) {
    f({at(a, block.in[0], sizes.a), at(b, block.in[1], sizes.b),
       static_cast<std::byte*>(y) + static_cast<std::size_t>(block.out) * sizes.y, block.rows,
       block.cols, loop.row_stride(0), loop.row_stride(1), loop.col_stride(0), loop.col_stride(1)});
  });
}

Step binary_rows_step(const LowerContext& c, RowsRun f, const ElementSizes& sizes) {
  Step step;
  step.run = [loop = broadcast_loop(c, {0, 1}), f, sizes](const RunContext& run) {
    parallel_for(run.threads, loop.elements, kGrain, [&](std::int64_t begin, std::int64_t end) {
      run_part(loop, f, sizes, run.in<void>(0), run.in<void>(1), run.out<void>(0), begin, end);
    });
  };
  step.algorithm = "broadcast";
  return step;
}

Step binary_float32(const LowerContext& c, kernels::Binary f) {
  const kernels::BinaryRun kernel = kernels::eltwise_binary(c.isa()).run[static_cast<int>(f)];
  Step step;
  step.run = [loop = broadcast_loop(c, {0, 1}), kernel](const RunContext& run) {
    parallel_for(run.threads, loop.elements, kGrain, [&](std::int64_t begin, std::int64_t end) {
      loop.for_blocks(begin, end, [&](const BroadcastLoop::Block& block) {
        kernel({run.in<float>(0) + block.in[0], run.in<float>(1) + block.in[1],
                run.out<float>(0) + block.out, block.rows, block.cols, loop.row_stride(0),
                loop.row_stride(1), loop.col_stride(0), loop.col_stride(1)});
      });
    });
  };
  step.algorithm = "simd";
  return step;
}

}  // namespace lanewise
