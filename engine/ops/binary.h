// Steps of two broadcast operands, for any types and function object.
#pragma once

#include <cstdint>

#include "engine/ops/binary_functions.h"
#include "engine/ops/eltwise.h"

namespace lanewise {

// `rows` times `cols` results, dense in y; the same as kernels::BinaryBlock for other types.
template <class A, class B, class R>
struct BinaryRows {
  const A* a = nullptr;
  const B* b = nullptr;
  R* y = nullptr;
  std::int64_t rows = 0, cols = 0;
  std::int64_t a_row = 0, b_row = 0, a_col = 1, b_col = 1;
};

template <class A, class B, class R, class F>
void run_rows(const BinaryRows<A, B, R>& t, F f) {
  for (std::int64_t row = 0; row < t.rows; ++row) {
    const A* a = t.a + row * t.a_row;
    const B* b = t.b + row * t.b_row;
    R* y = t.y + row * t.cols;
    if (t.a_col == 1 && t.b_col == 1) {
      for (std::int64_t i = 0; i < t.cols; ++i) y[i] = f(a[i], b[i]);
    } else if (t.a_col == 1 && t.b_col == 0) {
      const B only = *b;
      for (std::int64_t i = 0; i < t.cols; ++i) y[i] = f(a[i], only);
    } else if (t.a_col == 0 && t.b_col == 1) {
      const A only = *a;
      for (std::int64_t i = 0; i < t.cols; ++i) y[i] = f(only, b[i]);
    } else {
      for (std::int64_t i = 0; i < t.cols; ++i) y[i] = f(a[i * t.a_col], b[i * t.b_col]);
    }
  }
}

// float32 by a kernel, through the same interface as run_rows.
inline void run_rows(const BinaryRows<float, float, float>& t, kernels::BinaryRun kernel) {
  kernel({t.a, t.b, t.y, t.rows, t.cols, t.a_row, t.b_row, t.a_col, t.b_col});
}

// y = f(a, b) over the part [begin, end) of a loop whose operands 0 and 1 are a and b.
template <class A, class B, class R, class F>
void run_part(const BroadcastLoop& loop, const A* a, const B* b, R* y, std::int64_t begin, std::int64_t end, F f) {
  loop.for_blocks(begin, end, [&](const BroadcastLoop::Block& block) {
    run_rows(BinaryRows<A, B, R>{a + block.in[0], b + block.in[1], y + block.out, block.rows, block.cols,
                                 loop.row_stride(0), loop.row_stride(1), loop.col_stride(0), loop.col_stride(1)},
             f);
  });
}

template <class A, class B, class R, class F>
Step binary_step(const LowerContext& c, F f) {
  Step step;
  step.run = [loop = broadcast_loop(c, {0, 1}), f](const RunContext& run) {
    parallel_for(run.threads, loop.elements, kGrain, [&](std::int64_t begin, std::int64_t end) {
      run_part(loop, run.in<A>(0), run.in<B>(1), run.out<R>(0), begin, end, f);
    });
  };
  step.algorithm = "broadcast";
  return step;
}

inline Step binary_float32(const LowerContext& c, kernels::Binary f) {
  const kernels::BinaryRun kernel = kernels::eltwise_binary(c.isa()).run[static_cast<int>(f)];
  Step step = binary_step<float, float, float>(c, kernel);
  step.algorithm = "simd";
  return step;
}

// T op T -> T for every number type of input 0.
template <class F>
Step lower_typed(LowerContext& c) {
  Step step;
  visit_number(c.dtype(0), [&]<class T>(std::type_identity<T>) { step = binary_step<T, T, T>(c, F{}); });
  return step;
}

// The same, with float32 by the kernel.
template <class F, kernels::Binary kernel>
Step lower_arithmetic(LowerContext& c) {
  if (c.dtype(0) == DType::kFloat32) return binary_float32(c, kernel);
  Step step;
  visit_number(c.dtype(0), [&]<class T>(std::type_identity<T>) {
    if constexpr (!std::is_same_v<T, float>) step = binary_step<T, T, T>(c, F{});
  });
  return step;
}

// The output has the operands' type.
template <unsigned types>
void infer_binary(InferContext& c) {
  c.set_output(0, c.dtype(0), infer_broadcast(c, types));
}

}  // namespace lanewise
