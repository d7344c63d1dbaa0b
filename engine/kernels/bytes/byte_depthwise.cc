// isas: baseline avx2 avx512 avx512_vnni
// Depthwise convolution of bytes. Up to four rows under a window are interleaved, so that a dot
// product of bytes sums down a column of the window; neighbouring outputs share those columns.
#include "engine/kernels/bytes/finish.h"

namespace lanewise::LANEWISE_ISA {
namespace {

using kernels::ByteResult;
using Row = kernels::ByteDepthwiseRow;

constexpr int kChunk = 4 * kLanes;  // channels of the four vectors of sums

// What stays the same along a row of outputs. Column x of the image's row i is at
// base[i] + x * step[i]; a row of padding has a step of 0. Known where the kernel's size is.
template <int kKernel>
struct Constants {
  Finish finish;
  U32 flip;
  const std::uint8_t* base[kKernel != 0 ? kKernel : 1];
  std::int64_t step[kKernel != 0 ? kKernel : 1];
};

template <int kKernel>
LANEWISE_INLINE Constants<kKernel> constants_of(const Row& r) {
  Constants<kKernel> k = {finish_of(r.output), splat_word(0x01010101u * r.flip), {}, {}};
  for (int i = 0; i < kKernel; ++i) {
    k.base[i] = r.rows[i] != nullptr ? r.rows[i] : r.nothing;
    k.step[i] = r.rows[i] != nullptr ? r.channels : 0;
  }
  return k;
}

// Rows 4 * group to 4 * group + 3 of one column of the image, interleaved; n channels from c.
// Rows past the last have weights of zero: any number does. Without kChecked the column lies in the
// image.
template <int kKernel, bool kChecked, bool kWhole>
LANEWISE_INLINE void load_column(const Row& r, const Constants<kKernel>& k, std::int64_t group,
                                 std::int64_t column, std::int64_t c, int n, U32 (&out)[4]) {
  const bool inside =
      !kChecked || static_cast<std::uint64_t>(column) < static_cast<std::uint64_t>(r.width);
  const std::int64_t rest = (kKernel != 0 ? kKernel : r.kernel_rows) - 4 * group;
  U32 x[4] = {};
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    if (i >= rest) continue;
    const std::uint8_t* at;
    if constexpr (kKernel != 0) {
      at = k.base[4 * group + i] + column * k.step[4 * group + i];
      if (!inside) at = r.nothing;
    } else {
      const std::uint8_t* line = r.rows[4 * group + i];
      at = inside && line != nullptr ? line + column * r.channels : r.nothing;
    }
    at += c;
    x[i] = (kWhole ? load_words(at) : load_bytes(at, n)) ^ k.flip;
  }
  interleave(x, out);
}

// Output pixels [o, o + kPixels), channels [c, c + n). Kernel, the same for rows and columns, and
// stride are known where they are not 0, and the dilation is then 1. With kZeros the sum of
// activations is multiplied, too.
template <int kKernel, int kStride, int kPixels, bool kZeros, bool kChecked, bool kWhole>
LANEWISE_INLINE void block(const Row& r, const Constants<kKernel>& k, std::int64_t o,
                           std::int64_t c, int n) {
  const std::int64_t kernel = kKernel != 0 ? kKernel : r.kernel;
  const std::int64_t stride = kKernel != 0 ? kStride : r.stride;
  const std::int64_t start = o * stride - r.pad;
  const std::int64_t groups = ((kKernel != 0 ? kKernel : r.kernel_rows) + 3) / 4;
  const std::int8_t* w = r.weights + c * groups * kernel * 4;
  U32 sums[kPixels][4], all[kZeros ? kPixels : 1][4] = {};
#pragma GCC unroll 4
  for (int j = 0; j < 4; ++j) {
    const U32 first = load_words(r.starts + c + j * kLanes);
#pragma GCC unroll 4
    for (int i = 0; i < kPixels; ++i) sums[i][j] = first;
  }
  const auto add = [&](int i, const U32(&x)[4],
                       const std::int8_t* weights) __attribute__((always_inline)) {
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j) {
      const UnsignedBytes bytes = as_unsigned(x[j]);
      sums[i][j] = dot(sums[i][j], bytes, as_signed(load_words(weights + j * kBytes)));
    }
  };
#pragma GCC unroll 2
  for (std::int64_t group = 0; group < groups; ++group, w += kernel * 4 * kBytes) {
    if constexpr (kKernel != 0) {
      constexpr int kColumns = (kPixels - 1) * kStride + kKernel;
#pragma GCC unroll 16
      for (int column = 0; column < kColumns; ++column) {
        U32 x[4];
        load_column<kKernel, kChecked, kWhole>(r, k, group, start + column, c, n, x);
#pragma GCC unroll 4
        for (int i = 0; i < kPixels; ++i) {
          const int tap = column - i * kStride;
          if (tap >= 0 && tap < kKernel) add(i, x, w + tap * 4 * kBytes);
        }
      }
    } else {
      // Rows past the last must not count where all activations are summed.
      const std::int64_t rows = r.kernel_rows - 4 * group;
      const U32 ones = splat_word(rows >= 4 ? 0x01010101u : 0x01010101u >> (8 * (4 - rows)));
      for (std::int64_t tap = 0; tap < kernel; ++tap) {
        U32 x[4];
        load_column<kKernel, kChecked, kWhole>(r, k, group, start + tap * r.dilation, c, n, x);
        add(0, x, w + tap * 4 * kBytes);
        if constexpr (kZeros) {
#pragma GCC unroll 4
          for (int j = 0; j < 4; ++j)
            all[0][j] = dot(all[0][j], as_unsigned(x[j]), as_signed(ones));
        }
      }
    }
  }
#pragma GCC unroll 4
  for (int i = 0; i < kPixels; ++i) {
    if constexpr (kZeros) {
#pragma GCC unroll 4
      for (int j = 0; j < 4; ++j) {
        sums[i][j] += all[i][j] * load_words(r.factors + c + j * kLanes);
      }
    }
    const std::int64_t at = (o + i) * r.channels + c;
    if (r.output.type == ByteResult::kSums) {
      write_sums(sums[i], static_cast<std::int32_t*>(r.out) + at, n);
    } else {
      write_bytes(r.output, k.finish, sums[i], c, static_cast<std::uint8_t*>(r.out) + at, n);
    }
  }
}

template <int kKernel, int kStride, int kPixels, bool kZeros, bool kChecked>
void pixels(const Row& row, const Constants<kKernel>& constants, std::int64_t o) noexcept {
  // Copies: for all the compiler knows, a store to the output changes the originals.
  const Row r = row;
  const Constants<kKernel> k = constants;
  std::int64_t c = 0;
  for (; c + kChunk <= r.channels; c += kChunk) {
    block<kKernel, kStride, kPixels, kZeros, kChecked, true>(r, k, o, c, kChunk);
  }
  if (c < r.channels) {
    const int rest = static_cast<int>(r.channels - c);
    block<kKernel, kStride, kPixels, kZeros, kChecked, false>(r, k, o, c, rest);
  }
}

template <int kKernel, int kStride>
void fill_row(const Row& r) noexcept {
  const Constants<kKernel> k = constants_of<kKernel>(r);
  // The sums of four pixels fill half of 32 registers.
  constexpr int kPixels = kLanes == 16 ? 4 : 1;
  std::int64_t o = 0;
  while (o < r.out_width) {
    const std::int64_t start = o * kStride - r.pad;
    const bool many = o + kPixels <= r.out_width;
    if (many && start >= 0 && start + (kPixels - 1) * kStride + kKernel <= r.width) {
      pixels<kKernel, kStride, kPixels, false, false>(r, k, o);
      o += kPixels;
    } else {
      pixels<kKernel, kStride, 1, false, true>(r, k, o++);
    }
  }
}

void depthwise_row(const Row& r) noexcept {
  const bool square = r.dilation == 1 && r.kernel_rows == r.kernel && r.factors == nullptr;
  if (square && r.kernel == 3 && r.stride == 1) return fill_row<3, 1>(r);
  if (square && r.kernel == 3 && r.stride == 2) return fill_row<3, 2>(r);
  if (square && r.kernel == 5 && r.stride == 1) return fill_row<5, 1>(r);
  if (square && r.kernel == 5 && r.stride == 2) return fill_row<5, 2>(r);
  const Constants<0> k = constants_of<0>(r);
  for (std::int64_t o = 0; o < r.out_width; ++o) {
    if (r.factors == nullptr) {
      pixels<0, 0, 1, false, true>(r, k, o);
    } else {
      pixels<0, 0, 1, true, true>(r, k, o);
    }
  }
}

}  // namespace

extern const kernels::ByteDepthwise byte_depthwise;
const kernels::ByteDepthwise byte_depthwise = {kLanes, depthwise_row};

}  // namespace lanewise::LANEWISE_ISA
