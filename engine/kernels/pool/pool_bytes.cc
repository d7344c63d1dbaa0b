// isas: baseline avx2 avx512
// Maximum pooling of bytes, vectors along the channels: each output pixel folds its taps in
// registers, up to four vectors of channels at a time.
#include "engine/kernels/pool/pool.h"
#include "engine/simd/bytes.h"

namespace lanewise::LANEWISE_ISA {
namespace {

template <class T>
using Vector [[gnu::vector_size(kBytes)]] = T;

template <class T>
LANEWISE_INLINE Vector<T> load_some(const T* p, int n) {
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(p);
  return reinterpret_cast<Vector<T>>(n == kBytes ? load_words(bytes) : load_bytes(bytes, n));
}

// `vectors` vectors of channels of one output pixel; the last one has `lanes` channels.
template <class T, int vectors>
LANEWISE_INLINE void max_block(const kernels::PoolRow<T>& r, const T* in, kernels::TapRange taps,
                               T* out, int lanes) {
  constexpr T kLeast = static_cast<T>(-1) < 0 ? -128 : 0;
  Vector<T> most[vectors];
#pragma GCC unroll 4
  for (int v = 0; v < vectors; ++v) most[v] = Vector<T>{} + kLeast;
  const std::int64_t step = r.dilation * r.channels;
  for (std::int64_t i = 0; i < r.row_count; ++i) {
    const T* x = in + r.rows[i] * r.width * r.channels;
    for (std::int64_t k = taps.first; k < taps.last; ++k, x += step) {
#pragma GCC unroll 4
      for (int v = 0; v < vectors; ++v) {
        const Vector<T> value = load_some(x + v * kBytes, v + 1 < vectors ? kBytes : lanes);
        most[v] = value > most[v] ? value : most[v];
      }
    }
  }
#pragma GCC unroll 4
  for (int v = 0; v < vectors; ++v) {
    store_bytes(out + v * kBytes, reinterpret_cast<U32>(most[v]), v + 1 < vectors ? kBytes : lanes);
  }
}

template <class T>
void max_row(const kernels::PoolRow<T>& row) noexcept {
  const kernels::PoolRow<T> r = row;  // a store to the output does not change it
  for (std::int64_t o = 0; o < r.out_width; ++o) {
    const std::int64_t start = o * r.stride - r.pad;
    const auto taps = kernels::tap_range(start, r.kernel, r.dilation, 0, r.width);
    const T* in = r.in + (start + taps.first * r.dilation) * r.channels;
    T* out = r.out + o * r.channels;
    std::int64_t c = 0;
    for (; c + 4 * kBytes <= r.channels; c += 4 * kBytes)
      max_block<T, 4>(r, in + c, taps, out + c, kBytes);
    for (; c + kBytes <= r.channels; c += kBytes) max_block<T, 1>(r, in + c, taps, out + c, kBytes);
    if (c < r.channels) max_block<T, 1>(r, in + c, taps, out + c, static_cast<int>(r.channels - c));
  }
}

}  // namespace

extern const kernels::PoolBytes pool_bytes;
const kernels::PoolBytes pool_bytes = {max_row<std::uint8_t>, max_row<std::int8_t>};

}  // namespace lanewise::LANEWISE_ISA
