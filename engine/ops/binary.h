// Steps of two broadcast operands, for any types and function object. Loops over blocks, threads
// and broadcasting are written once for bytes (eltwise.cc); here stands what depends on the types.
#pragma once

#include <algorithm>
#include <cstdint>

#include "engine/ops/binary_functions.h"
#include "engine/ops/eltwise.h"

namespace lanewise {

template <class A, class B, class R, class F>
void run_dense(const A* a, const B* b, R* y, std::int64_t n) {
  LANEWISE_INDEPENDENT
  for (std::int64_t i = 0; i < n; ++i) y[i] = F{}(a[i], b[i]);
}

// n elements `stride` apart as adjacent ones: themselves, or copied to `tile`. A repeated element
// that is there already is not copied again.
template <class T>
const T* adjacent(const T* x, std::int64_t stride, std::int64_t begin, std::int64_t n, T* tile) {
  if (stride == 1) return x + begin;
  if (stride == 0 && begin > 0) return tile;
  for (std::int64_t i = 0; i < n; ++i) tile[i] = x[(begin + i) * stride];
  return tile;
}

// One loop per function and types: operands that are not adjacent go through tiles.
template <class A, class B, class R, class F>
void run_rows(const BinaryRows& t) {
  constexpr std::int64_t kTile = 256;
  if (t.a_col == 1 && t.b_col == 1) {
    for (std::int64_t row = 0; row < t.rows; ++row) {
      run_dense<A, B, R, F>(static_cast<const A*>(t.a) + row * t.a_row,
                            static_cast<const B*>(t.b) + row * t.b_row,
                            static_cast<R*>(t.y) + row * t.cols, t.cols);
    }
    return;
  }
  A a_tile[kTile];
  B b_tile[kTile];
  for (std::int64_t row = 0; row < t.rows; ++row) {
    const A* a = static_cast<const A*>(t.a) + row * t.a_row;
    const B* b = static_cast<const B*>(t.b) + row * t.b_row;
    R* y = static_cast<R*>(t.y) + row * t.cols;
    for (std::int64_t i = 0; i < t.cols; i += kTile) {
      const std::int64_t n = std::min(kTile, t.cols - i);
      run_dense<A, B, R, F>(adjacent(a, t.a_col, i, n, a_tile), adjacent(b, t.b_col, i, n, b_tile),
                            y + i, n);
    }
  }
}

// y = F{}(a, b).
template <class A, class B, class R, class F>
Step binary_step(const LowerContext& c) {
  return binary_rows_step(c, run_rows<A, B, R, F>, {sizeof(A), sizeof(B), sizeof(R)});
}

// The loop of T op T -> T for a number type.
template <class F>
RowsRun typed_rows(DType type) {
  RowsRun result = nullptr;
  visit_number(type, [&]<class T>(std::type_identity<T>) { result = run_rows<T, T, T, F>; });
  return result;
}

// The same where the result's bits do not depend on an integer's sign: half as many loops.
template <class F>
RowsRun wrapping_rows(DType type) {
  switch (type) {
    case DType::kInt8: return typed_rows<F>(DType::kUInt8);
    case DType::kInt16: return typed_rows<F>(DType::kUInt16);
    case DType::kInt32: return typed_rows<F>(DType::kUInt32);
    case DType::kInt64: return typed_rows<F>(DType::kUInt64);
    default: break;
  }
  RowsRun result = nullptr;
  visit_number(type, [&]<class T>(std::type_identity<T>) {
    if constexpr (!std::is_signed_v<T> || std::is_floating_point_v<T>)
      result = run_rows<T, T, T, F>;
  });
  return result;
}

template <class F>
RowsRun arithmetic_rows(DType type) {
  if constexpr (F::kWraps)
    return wrapping_rows<F>(type);
  else
    return typed_rows<F>(type);
}

// T op T -> T, float32 by the kernel.
template <class F, kernels::Binary kernel>
Step lower_arithmetic(LowerContext& c) {
  if (c.dtype(0) == DType::kFloat32) return binary_float32(c, kernel);
  const std::size_t size = dtype_size(c.dtype(0));
  return binary_rows_step(c, arithmetic_rows<F>(c.dtype(0)), {size, size, size});
}

// The output has the operands' type.
template <unsigned types>
void infer_binary(InferContext& c) {
  c.set_output(0, c.dtype(0), infer_broadcast(c, types));
}

// Operators of two broadcast operands; `inplace` as in OpDef.
constexpr OpDef binary_op(std::string_view name, std::string_view doc, Step (*lower)(LowerContext&),
                          void (*infer)(InferContext&), std::uint32_t inplace = 0,
                          std::span<const AttrDef> attributes = {}) {
  return {.name = name,
          .doc = doc,
          .min_inputs = 2,
          .max_inputs = 2,
          .attributes = attributes,
          .infer = infer,
          .lower = lower,
          .layout = LayoutRule::kFollow,
          .inplace = inplace};
}

}  // namespace lanewise
