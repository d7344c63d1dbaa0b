// The masks of com.microsoft's MultiHeadAttention as one bias of its scores.
#pragma once

#include <cstdint>

#include "engine/base/parallel.h"
#include "engine/base/shape.h"

namespace lanewise {

// What is added to the scores: both masks as one array [batch][head][query][key], in which
// dimensions of size 1 repeat.
struct ScoreBias {
  Shape padding, added;  // rank 0 where absent
  Shape shape;
  std::int64_t batches = 0, past = 0;
  float filter = 0.0f;

  bool direct() const { return padding.rank() == 0; }  // the array is input kAdded

  bool keeps(const std::int32_t* mask, std::int64_t b, std::int64_t i, std::int64_t j) const {
    const std::int64_t keys = shape[3];
    switch (padding.rank()) {
      case 1: {
        const bool starts = padding[0] == 2 * batches;  // ends, then begins
        return j < mask[b] && (!starts || j >= mask[batches + b]);
      }
      case 2: return mask[b * keys + j] > 0;
      case 3: return mask[(b * padding[1] + i) * keys + j] > 0;
      default: return mask[(b * padding[2] + past + i) * padding[3] + j] > 0;
    }
  }

  void fill(const std::int32_t* mask, const float* bias, float* to, int threads) const {
    const std::int64_t rows = shape.elements(0, 3), keys = shape[3];
    parallel_for(threads, rows, 1 + 16384 / (1 + keys), [&](std::int64_t begin, std::int64_t end) {
      for (; begin < end; ++begin) {
        const std::int64_t i = begin % shape[2], b = begin / shape[2] / shape[1];
        const std::int64_t head = begin / shape[2] % shape[1];
        const float* const row =
            bias == nullptr
                ? nullptr
                : bias + (((added[0] == 1 ? 0 : b) * added[1] + head) * added[2] + i) * keys;
        for (std::int64_t j = 0; j < keys; ++j) {
          to[begin * keys + j] =
              (keeps(mask, b, i, j) ? 0.0f : filter) + (row == nullptr ? 0.0f : row[j]);
        }
      }
    });
  }
};

}  // namespace lanewise
