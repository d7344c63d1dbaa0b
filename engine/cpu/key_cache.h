// A cache of keys or values joined to new rows.
#pragma once

#include <algorithm>
#include <cstdint>

#include "engine/base/parallel.h"
#include "engine/base/shape.h"
#include "engine/cpu/head_products.h"

namespace lanewise {

// The result is dense: [batches][heads][past + rows][n]. The old cache may hold more rows than the
// `past` that are read: `capacity` of them, where that is not zero.
struct CacheJoin {
  std::int64_t batches = 0, heads = 0, past = 0, rows = 0, n = 0;
  HeadRows fresh;  // where the new rows lie
  std::int64_t capacity = 0;

  std::int64_t elements() const { return batches * heads * (past + rows) * n; }
  HeadRows strides() const {
    const std::int64_t head = checked_multiply(past + rows, n);
    return {checked_multiply(heads, head), head, n};
  }

  template <class T>
  void run(const T* old, const T* added, T* to, int threads) const {
    parallel_for(threads, batches * heads, 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        T* at = to + i * (past + rows) * n;
        if (past > 0)
          at = std::copy_n(old + i * (capacity > 0 ? capacity : past) * n, past * n, at);
        const T* from = added + i / heads * fresh.batch + i % heads * fresh.head;
        for (std::int64_t r = 0; r < rows; ++r, from += fresh.row) at = std::copy_n(from, n, at);
      }
    });
  }

  // What run() made as a cache of `capacity` rows for each head, zeros after those that there are.
  template <class T>
  void spread(const T* joined, T* to) const {
    for (std::int64_t i = 0; i < batches * heads; ++i, to += capacity * n) {
      T* const end = std::copy_n(joined + i * (past + rows) * n, (past + rows) * n, to);
      std::fill(end, to + capacity * n, T(0));
    }
  }
};

}  // namespace lanewise
