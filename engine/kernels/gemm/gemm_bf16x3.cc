// isas: baseline amx
// float32 products from three bfloat16 parts of each factor, on the tile unit.
#include "engine/kernels/gemm/bf16x3.h"

#if defined(LANEWISE_ISA_AMX)
#include "engine/kernels/gemm/bf16x3_cut.h"
#include "engine/simd/activation.h"
#endif

namespace lanewise::LANEWISE_ISA {
extern const kernels::GemmBf16x3 gemm_bf16x3;

#if defined(LANEWISE_ISA_AMX)
namespace {

using kernels::Activation;
using kernels::Bf16x3Panel;
using kernels::Bf16x3Product;
using kernels::Bf16x3Rows;

// Columns of what the sum tiles hold together.
constexpr int kColumns = 32, kMostRows = kernels::GemmBf16x3::kMostRows;
// The products of parts in a step.
constexpr int kSlices = 6;

void cut_rows(const Bf16x3Rows& rows) noexcept {
  RowCutter cutter(rows);
  cutter.advance(cutter.units());
}

void cut_panel(const Bf16x3Panel& panel) noexcept {
  PanelCutter cutter(panel);
  cutter.advance(cutter.units());
}

// Sums that have left the unit, on their way to C: one row at a time.
struct Finish {
  const float* sums = nullptr;
  const float* start = nullptr;  // the residual, or C
  std::int64_t start_step = 0;
  F32 bias[2] = {};
  int counts[2] = {0, 0};  // columns of each vector
  float* c = nullptr;
  const std::uint8_t* odd = nullptr;
  int row = 0, rows = 0;
};

template <class Activate>
LANEWISE_INLINE void finish_row(const Bf16x3Product& t, const Finish& f, const Activate& activate) {
  if (f.odd[f.row] != 0) return;
  for (int v = 0; v < 2 && f.counts[v] > 0; ++v) {
    F32 y = load(f.sums + f.row * kColumns + v * 16) + f.bias[v];
    if (f.start != nullptr) y += load_first(f.start + f.row * f.start_step + v * 16, f.counts[v]);
    store_first(f.c + f.row * t.ldc + v * 16, activate(y), f.counts[v]);
  }
}

void finish_rows(const Bf16x3Product& t, Finish& f, std::int64_t count) {
  const Activation activation = t.last ? t.epilogue.activation : Activation::kNone;
  const F32 alpha = splat(t.epilogue.alpha), beta = splat(t.epilogue.beta);
  for (; count > 0 && f.row < f.rows; --count, ++f.row) {
    if (activation == Activation::kNone) {
      finish_row(t, f, [](F32 v) { return v; });
    } else if (activation == Activation::kRelu) {
      finish_row(t, f, [](F32 v) { return max(splat(0.0f), v); });
    } else {
      finish_row(t, f, [&](F32 v) { return activate(activation, v, alpha, beta); });
    }
  }
}

Finish finish_of(const Bf16x3Product& t, const float* sums, std::int64_t first, std::int64_t rows,
                 int vector) {
  Finish f;
  const int column = vector * 16;
  f.sums = sums;
  f.c = t.c + first * t.ldc + column;
  f.odd = t.odd + first;
  f.rows = static_cast<int>(rows);
  f.start = t.first ? t.epilogue.residual : t.c;
  f.start_step = t.first ? t.epilogue.residual_stride : t.ldc;
  if (f.start != nullptr) f.start += first * f.start_step + column;
  for (int v = 0; v < 2 && column + v * 16 < t.columns; ++v) {
    const int left = t.columns - column - v * 16;
    f.counts[v] = left < 16 ? left : 16;
    if (t.first && t.epilogue.bias != nullptr)
      f.bias[v] = load_first(t.epilogue.bias + column + v * 16, f.counts[v]);
  }
  return f;
}

// So many units of work over so many slices, evenly.
class Pace {
 public:
  Pace(std::int64_t units, std::int64_t slices)
      : per_slice_(slices == 0 ? 0 : ((units << 16) + slices - 1) / slices) {}
  std::int64_t next() {
    due_ += per_slice_;
    const std::int64_t units = due_ >> 16;
    due_ &= 0xffff;
    return units;
  }

 private:
  std::int64_t per_slice_ = 0, due_ = 0;
};

// The vector ports' work while the tile unit multiplies.
struct Side {
  const Bf16x3Product& t;
  PanelCutter panel;
  Pace panel_pace;
  RowCutter rows;
  Pace row_pace{0, 0};
  Finish finish;
  Pace finish_pace{0, 0};

  void slice() {
    panel.advance(panel_pace.next());
    rows.advance(row_pace.next());
    finish_rows(t, finish, finish_pace.next());
  }
  // What must be done before its memory is used again.
  void end_finish() { finish_rows(t, finish, finish.rows); }
};

// The unit's configuration (Intel's manual, volume 1, section 18.2).
struct alignas(64) TileConfig {
  std::uint8_t palette = 1, start_row = 0, reserved[14] = {};
  std::uint16_t row_bytes[16] = {kLine, kLine, kLine, kLine, kLine, kLine, kLine, kLine};
  std::uint8_t rows[16] = {};
};

// Sums are tiles 0 to 3, rows of A 4 and 5, columns of B 6 and 7.
void configure(std::int64_t upper_rows, std::int64_t lower_rows) {
  TileConfig config;
  const std::int64_t rows[8] = {upper_rows, upper_rows, lower_rows, lower_rows,
                                upper_rows, lower_rows, 16,         16};
  for (int i = 0; i < 8; ++i) config.rows[i] = static_cast<std::uint8_t>(rows[i] > 0 ? rows[i] : 1);
  _tile_loadconfig(&config);
}

template <bool kLower>
LANEWISE_INLINE void load_rows(const std::byte* a, std::int64_t upper_bytes) {
  _tile_loadd(4, a, kLine);
  if constexpr (kLower) _tile_loadd(5, a + upper_bytes, kLine);
}
template <bool kRight>
LANEWISE_INLINE void load_columns(const std::byte* b) {
  _tile_loadd(6, b, kLine);
  if constexpr (kRight) _tile_loadd(7, b + kTile, kLine);
}
template <bool kLower, bool kRight>
LANEWISE_INLINE void add_products(Side& side) {
  _tile_dpbf16ps(0, 4, 6);
  if constexpr (kRight) _tile_dpbf16ps(1, 4, 7);
  if constexpr (kLower) _tile_dpbf16ps(2, 5, 6);
  if constexpr (kLower && kRight) _tile_dpbf16ps(3, 5, 7);
  side.slice();
}

// The sums of a group of rows and up to 32 columns. Parts are taken in an order in which one of the
// two stays in its registers.
template <bool kLower, bool kRight>
void multiply_tiles(const Bf16x3Product& t, const std::byte* a, std::int64_t rows,
                    std::int64_t upper_rows, const std::byte* b, Side& side, float* sums) {
  const std::int64_t a_part = rows * kLine, upper_bytes = upper_rows * kLine;
  const std::int64_t b_part = std::int64_t{t.vectors} * kTile;
  _tile_zero(0);
  if constexpr (kRight) _tile_zero(1);
  if constexpr (kLower) _tile_zero(2);
  if constexpr (kLower && kRight) _tile_zero(3);
  for (std::int64_t step = 0; step < t.steps; ++step, a += kParts * a_part, b += kParts * b_part) {
    load_rows<kLower>(a, upper_bytes);
    load_columns<kRight>(b + 2 * b_part);
    add_products<kLower, kRight>(side);
    load_columns<kRight>(b + b_part);
    add_products<kLower, kRight>(side);
    load_rows<kLower>(a + a_part, upper_bytes);
    add_products<kLower, kRight>(side);
    load_columns<kRight>(b);
    add_products<kLower, kRight>(side);
    load_rows<kLower>(a + 2 * a_part, upper_bytes);
    add_products<kLower, kRight>(side);
    load_rows<kLower>(a, upper_bytes);
    add_products<kLower, kRight>(side);
  }
  constexpr int kRowBytes = kColumns * 4;
  _tile_stored(0, sums, kRowBytes);
  if constexpr (kRight) _tile_stored(1, sums + 16, kRowBytes);
  if constexpr (kLower) _tile_stored(2, sums + upper_rows * kColumns, kRowBytes);
  if constexpr (kLower && kRight) _tile_stored(3, sums + upper_rows * kColumns + 16, kRowBytes);
}

void multiply(const Bf16x3Product& t) noexcept {
  alignas(64) float sums[2][kMostRows * kColumns];
  const std::int64_t halves = (t.vectors + 1) / 2, slices = halves * t.steps * kSlices;
  PanelCutter panel(t.next_panel);
  Side side{t, panel, Pace(panel.units(), t.groups * slices), RowCutter(), {0, 0}, {}, {0, 0}};
  std::int64_t configured = 0;
  int turn = 0;
  for (std::int64_t group = 0; group < t.groups; ++group) {
    const std::int64_t first = t.rows * group / t.groups;
    const std::int64_t end = t.rows * (group + 1) / t.groups, rows = end - first;
    const std::int64_t upper_rows = rows <= 16 ? rows : (rows + 1) / 2;
    const bool lower = rows > upper_rows;
    if (rows != configured) configure(upper_rows, rows - upper_rows);
    configured = rows;
    const std::int64_t row_bytes = t.steps * kParts * kLine;
    if (t.rest != nullptr && group + 1 < t.groups) {
      Bf16x3Rows next = *t.rest;
      next.first = end;
      next.last = t.rows * (group + 2) / t.groups;
      next.to = t.a + end * row_bytes;
      side.rows = RowCutter(next);
      side.row_pace = Pace(side.rows.units(), slices);
    }
    for (int v = 0; v < t.vectors; v += 2, turn ^= 1) {
      const bool right = v + 1 < t.vectors;
      const auto run = lower ? (right ? multiply_tiles<true, true> : multiply_tiles<true, false>)
                             : (right ? multiply_tiles<false, true> : multiply_tiles<false, false>);
      run(t, t.a + first * row_bytes, rows, upper_rows, t.b + v * kTile, side, sums[turn]);
      side.end_finish();
      side.finish = finish_of(t, sums[turn], first, rows, v);
      side.finish_pace = Pace(rows, t.steps * kSlices);
    }
    side.rows.advance(side.rows.units());
  }
  side.panel.advance(panel.units());
  side.end_finish();
  _tile_release();
}

bool all_finite(const float* from, std::int64_t count) noexcept {
  __m512 odd = _mm512_setzero_ps();
  std::int64_t i = 0;
  for (; i + 16 <= count; i += 16)
    odd = _mm512_fmadd_ps(_mm512_loadu_ps(from + i), _mm512_setzero_ps(), odd);
  const auto rest = static_cast<__mmask16>((1u << (count - i)) - 1);
  odd = _mm512_fmadd_ps(_mm512_maskz_loadu_ps(rest, from + i), _mm512_setzero_ps(), odd);
  return !is_odd(odd);
}

}  // namespace

const kernels::GemmBf16x3 gemm_bf16x3 = {cut_rows, cut_panel, multiply, all_finite};
#else
const kernels::GemmBf16x3 gemm_bf16x3 = {nullptr, nullptr, nullptr, nullptr};
#endif

}  // namespace lanewise::LANEWISE_ISA
