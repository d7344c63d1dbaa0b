// Which scale belongs to which element of a quantised array: one for all, one for each index of an
// axis, or one for each block. Shared by QuantizeLinear and DequantizeLinear.
#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include "engine/base/parallel.h"
#include "engine/graph/op.h"
#include "engine/kernels/quant/quant.h"

namespace lanewise {

inline constexpr std::int64_t kQuantChunk = 1024;  // elements whose parameters are gathered at once
inline constexpr std::int64_t kQuantGrain = 16384;  // elements that are worth a thread

// Integers that a type holds; ONNX's 2- and 4-bit types lie one to a byte. Empty for other types.
kernels::QuantRange quant_range(DType dtype);

// How the elements of input 0, walked in memory order, find their scale: the index is a sum over
// the dimensions of (coordinate / block) * stride.
struct QuantPlacement {
  struct Dim {
    std::int64_t size, block, stride;
  };
  std::vector<Dim> dims;  // in memory order; only the last one varies within a row
  std::int64_t row = 1;   // elements of the last dimensions that share coordinates before them
  bool each = false;      // the last dimension's elements differ

  // Index of the scale for the element at `position` of the array in memory order.
  std::int64_t at(std::int64_t position) const {
    std::int64_t index = 0;
    for (std::size_t i = dims.size(); i-- > 0; position /= dims[i].size) {
      index += position % dims[i].size / dims[i].block * dims[i].stride;
    }
    return index;
  }
};

// Checks the shape of the scale against input 0 (one value, one per index of the axis, or blocks).
void check_granularity(const OpContext& c);

// For input 0 in its layout and the scale at input 1; check_granularity has passed.
QuantPlacement quant_placement(const LowerContext& c);

// Calls f(begin, n, scale index) over rows of one scale, or g(begin, n) over chunks of many.
template <class F, class G>
void for_rows(const QuantPlacement& p, std::int64_t elements, int threads, F&& f, G&& g) {
  parallel_for(threads, elements, kQuantGrain, [&](std::int64_t begin, std::int64_t end) {
    while (begin < end) {
      if (p.each) {
        const std::int64_t n = std::min(kQuantChunk, end - begin);
        g(begin, n);
        begin += n;
        continue;
      }
      const std::int64_t n = std::min(end, (begin / p.row + 1) * p.row) - begin;
      f(begin, n, p.dims.empty() ? 0 : p.at(begin / p.row));
      begin += n;
    }
  });
}

}  // namespace lanewise
