// float32 products on a unit that multiplies bfloat16. Each factor is cut into three parts of eight
// significant bits, which add up to it exactly; of the nine products of two parts the six largest
// are summed in float32, so that what is left out is below 2^-21 of a product (Henry, Tang and
// Heinecke 2019, "Leveraging the bfloat16 artificial intelligence datatype for higher-precision
// computations"). Blocking and threads are in engine/cpu/gemm_bf16x3.h.
#pragma once

#include <cstddef>
#include <cstdint>

#include "engine/base/cpu.h"
#include "engine/kernels/epilogue.h"

namespace lanewise::kernels {

// Terms [begin, end) of the sums of rows [first, last), cut into to[step][part][row - first], lines
// of kLineBytes; terms past the end are zero. Term t of row r is
// table[t / k * table_step + r][offset + t % k]; where rows have several taps, `begin` and k are
// multiples of kTerms. Marks in `odd` the rows (counted as in the table) that hold an infinity or a
// NaN, which parts do not express.
struct Bf16x3Rows {
  const float* const* table = nullptr;
  std::int64_t table_step = 0, offset = 0, k = 0;
  std::int64_t begin = 0, end = 0;
  std::int64_t first = 0, last = 0;
  std::byte* to = nullptr;
  std::uint8_t* odd = nullptr;
};

// `count` terms of a panel of B, packed [count][vectors * 16] as for the float32 tiles, cut into
// to[step][part][vector], each of 16 lines.
struct Bf16x3Panel {
  const float* from = nullptr;
  std::int64_t count = 0;
  int vectors = 0;
  std::byte* to = nullptr;
};

// Columns of C for a block of rows: a[group] holds rows [rows * group / groups, rows * (group + 1)
// / groups), at most kMostRows, and begins where the parts of the rows before it end. As in
// GemmTile (gemm.h) a long sum is cut into several calls. Rows that are marked odd are not written.
struct Bf16x3Product {
  std::byte* a = nullptr;
  const std::uint8_t* odd = nullptr;
  std::int64_t rows = 0, groups = 0, steps = 0;
  const std::byte* b = nullptr;
  int vectors = 0, columns = 0;
  float* c = nullptr;
  std::int64_t ldc = 0;
  bool first = true, last = true;
  Epilogue epilogue;
  // What is cut meanwhile, on the vector ports that the unit leaves idle: the next panel, and the
  // rows of each group while the one before it is multiplied (all but the first group's; `first`,
  // `last` and `to` are set here), where there are any.
  Bf16x3Panel next_panel;
  const Bf16x3Rows* rest = nullptr;
};

struct GemmBf16x3 {
  static constexpr int kTerms = 32;  // of a sum, that a step covers
  static constexpr int kParts = 3;
  static constexpr int kLineBytes = 64;   // of one part of one row (or column) in a step
  static constexpr int kMostRows = 32;    // of a group
  static constexpr int kMostVectors = 4;  // of a panel

  // Null where the ISA has no such unit.
  void (*cut_rows)(const Bf16x3Rows&) noexcept;
  void (*cut_panel)(const Bf16x3Panel&) noexcept;
  void (*multiply)(const Bf16x3Product&) noexcept;
  bool (*all_finite)(const float* from, std::int64_t count) noexcept;
};

const GemmBf16x3& gemm_bf16x3(Isa isa);

}  // namespace lanewise::kernels
