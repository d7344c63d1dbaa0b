// What element-wise operators share: type checks, loops over broadcast operands, steps that map
// one array. The float32 inner loops are in kernels/eltwise.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <limits>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "engine/base/parallel.h"
#include "engine/graph/op.h"
#include "engine/kernels/eltwise/eltwise.h"

// Before a loop whose output may be the memory of an input, element for element: without it the
// compiler's overlap test sends such calls to a scalar loop.
#if defined(__clang__)
#define LANEWISE_INDEPENDENT _Pragma("clang loop vectorize(assume_safety)")
#else
#define LANEWISE_INDEPENDENT _Pragma("GCC ivdep")
#endif

namespace lanewise {

// Elements that repay a thread's wake-up.
inline constexpr std::int64_t kGrain = 16384;

// Sets of element types, as bits; kFloats includes the 16-bit ones, which are widened around a
// step.
enum TypeSet : unsigned { kFloats = 1, kSigned = 2, kUnsigned = 4, kBools = 8, kStrings = 16 };
inline constexpr unsigned kIntegers = kSigned | kUnsigned;
inline constexpr unsigned kNumbers = kFloats | kIntegers;

// Fails unless input i's type is in the set.
void expect_types(const OpContext& c, int i, unsigned set);
// Fails unless inputs 0 to num_inputs - 1 have one type, in the set; returns their broadcast shape.
Shape infer_broadcast(const OpContext& c, unsigned set);

// Truncates toward zero; NaN gives 0, what is out of range the nearest value of T.
template <class T>
T saturate_cast(double x) {
  if constexpr (std::is_floating_point_v<T>) {
    return static_cast<T>(x);
  } else {
    // 2^digits is exact in double, and every value below it, truncated, fits.
    constexpr double kEnd =
        2.0 * static_cast<double>(std::uint64_t{1} << (std::numeric_limits<T>::digits - 1));
    constexpr double kBegin = static_cast<double>(std::numeric_limits<T>::min());
    if (x >= kEnd) return std::numeric_limits<T>::max();
    if (x <= kBegin) return std::numeric_limits<T>::min();
    return x == x ? static_cast<T>(x) : T{0};
  }
}

// An output walked in memory order with up to three operands broadcast to it. Dimensions that every
// operand walks alike are merged, so that most loops have one or two.
struct BroadcastLoop {
  static constexpr std::size_t kMost = 3;
  struct Block {
    std::int64_t rows = 0, cols = 0;
    std::int64_t out = 0;                     // first element in the output, which is dense
    std::array<std::int64_t, kMost> in = {};  // first element of each operand
  };

  std::vector<std::int64_t> dims;  // at least two, the last being columns
  std::array<std::vector<std::int64_t>, kMost> strides;
  std::int64_t elements = 0;

  std::int64_t row_stride(std::size_t i) const { return strides[i][dims.size() - 2]; }
  std::int64_t col_stride(std::size_t i) const { return strides[i][dims.size() - 1]; }

  // The largest block that starts at `begin` and ends by `end`.
  Block block_at(std::int64_t begin, std::int64_t end) const;

  // Calls f(block) for blocks that cover the output elements [begin, end).
  template <class F>
  void for_blocks(std::int64_t begin, std::int64_t end, F&& f) const {
    while (begin < end) {
      const Block block = block_at(begin, end);
      f(block);
      begin += block.rows * block.cols;
    }
  }
};

// The loop of output 0 over the given inputs.
BroadcastLoop broadcast_loop(const LowerContext& c, std::initializer_list<int> inputs);

// `rows` times `cols` results, dense in y; strides in elements, 0 repeats one. As
// kernels::BinaryBlock, for any types.
struct BinaryRows {
  const void* a = nullptr;
  const void* b = nullptr;
  void* y = nullptr;
  std::int64_t rows = 0, cols = 0;
  std::int64_t a_row = 0, b_row = 0, a_col = 1, b_col = 1;
};
using RowsRun = void (*)(const BinaryRows&);

struct ElementSizes {
  std::size_t a = 0, b = 0, y = 0;
};

// y = f(a, b) over the part [begin, end) of a loop whose operands 0 and 1 are a and b.
void run_part(const BroadcastLoop& loop, RowsRun f, const ElementSizes& sizes, const void* a,
              const void* b, void* y, std::int64_t begin, std::int64_t end);
// Output 0 from inputs 0 and 1.
Step binary_rows_step(const LowerContext& c, RowsRun f, const ElementSizes& sizes);
Step binary_float32(const LowerContext& c, kernels::Binary f);

// The output has the input's type and shape.
void infer_same(InferContext& c);
template <unsigned types>
void infer_map(InferContext& c) {
  expect_types(c, 0, types);
  infer_same(c);
}

// y[i] = f(x[i]) over float32 by the kernel of that name.
Step map_float32(const LowerContext& c, kernels::Unary f, float alpha = 0.0f, float beta = 0.0f);

// y[i] = f(x[i]) for all elements of output 0, by a function over bytes.
using MapRun = std::function<void(const void* x, void* y, std::int64_t n)>;
Step map_step(const LowerContext& c, MapRun f, std::size_t in_size, std::size_t out_size);

// The same for any types and function object.
template <class In, class Out, class F>
Step map_elements(const LowerContext& c, F f) {
  const auto run = [f](const void* x, void* y, std::int64_t n) {
    LANEWISE_INDEPENDENT
    for (std::int64_t i = 0; i < n; ++i) static_cast<Out*>(y)[i] = f(static_cast<const In*>(x)[i]);
  };
  return map_step(c, run, sizeof(In), sizeof(Out));
}

// Integers wrap around: arithmetic in an unsigned type at least as wide as int.
template <class T>
using Wrapping = std::conditional_t<sizeof(T) <= 4, std::uint32_t, std::uint64_t>;

}  // namespace lanewise
