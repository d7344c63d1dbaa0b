// What the shape rule and the step of com.microsoft:GroupQueryAttention share: the operands in
// numbers, and the codes of a quantised cache.
#pragma once

#include <cstdint>

#include "engine/cpu/head_products.h"
#include "engine/graph/op.h"

namespace lanewise::gqa {

enum Input {
  kQ,
  kK,
  kV,
  kPastKey,
  kPastValue,
  kLengths,
  kTotal,
  kCos,
  kSin,
  kPositions,
  kAdded,
  kSink,
  kKeyScale,
  kValueScale,
  kQueryNorm,
  kKeyNorm
};
enum Output { kY, kPresentKey, kPresentValue, kScores };

// A cache's elements: floats, or codes with a scale for all or one for each element of a head's
// rows. Codes of 4 bits lie two to a byte, low bits first, 8 more than the number they mean.
struct CacheCode {
  DType dtype = DType::kFloat32;
  int bits = 32;
  bool per_channel = false;  // scales [heads][elements], else one

  bool quantised() const { return bits <= 8; }
  // Entries of a row of `n` elements.
  std::int64_t entries(std::int64_t n) const { return bits == 4 ? n / 2 : n; }
  // A row of n elements from its codes, and the codes of a row; `scales` are those of its head.
  void decode(const std::uint8_t* codes, const float* scales, std::int64_t n, float* row) const;
  void encode(const float* row, const float* scales, std::int64_t n, std::uint8_t* codes) const;
};

struct Grouped {
  HeadShapes shapes;  // queries and keys of the whole cache; k and v are the cache's
  HeadRows fresh_k, fresh_v;
  std::int64_t k_offset = 0, v_offset = 0;  // in packed inputs
  std::int64_t past = 0, rows = 0;          // of the caches given and made
  std::int64_t total = 0;                   // tokens of the longest sample
  std::int64_t window = 0;                  // of a cache that keeps that much, else 0
  std::int64_t half = 0, angles = 0;        // pairs that turn, rows of their tables
  CacheCode key_code, value_code;
  bool packed = false, prompt = false;

  // Whether attention reads the present caches themselves, and not a copy in floats.
  bool direct() const { return window == 0 && !key_code.quantised(); }
  // Tokens that a windowed cache of `rows` holds after `tokens` of them: room is made for several
  // at once.
  std::int64_t resident(std::int64_t tokens) const;
};

// `total` is the content of total_sequence_length. Checks shapes and attributes.
Grouped grouped_of(const OpContext& c, std::int64_t total);
std::int64_t total_of(const OpContext& c, const Tensor& tensor);

Step lower_gqa(LowerContext& c);

}  // namespace lanewise::gqa
