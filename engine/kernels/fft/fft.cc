// isas: baseline avx2 avx512
// Butterflies of radix 2, 3, 4, 5, and any other by its definition. The compiler vectorises over
// transforms side by side, or over p where there is one alone.
#include "engine/kernels/fft/fft.h"

#include <cstdint>

#include "engine/simd/simd.h"

namespace lanewise::LANEWISE_ISA {

template <class T>
struct Pair {
  T re, im;
};

template <class T>
LANEWISE_INLINE Pair<T> add(Pair<T> a, Pair<T> b) {
  return {a.re + b.re, a.im + b.im};
}
template <class T>
LANEWISE_INLINE Pair<T> subtract(Pair<T> a, Pair<T> b) {
  return {a.re - b.re, a.im - b.im};
}
template <class T>
LANEWISE_INLINE Pair<T> times(Pair<T> a, T re, T im) {
  return {a.re * re - a.im * im, a.re * im + a.im * re};
}
template <class T>
LANEWISE_INLINE Pair<T> minus_i(Pair<T> a) {
  return {a.im, -a.re};
}

template <class T>
LANEWISE_INLINE void butterfly2(Pair<T>* x) {
  const Pair<T> a = x[0], b = x[1];
  x[0] = add(a, b);
  x[1] = subtract(a, b);
}

template <class T>
LANEWISE_INLINE void butterfly3(Pair<T>* x) {
  constexpr T kSin = static_cast<T>(0.86602540378443864676);  // sin(2 pi / 3)
  const Pair<T> sum = add(x[1], x[2]), difference = minus_i(subtract(x[1], x[2]));
  const Pair<T> middle = {x[0].re - sum.re / 2, x[0].im - sum.im / 2};
  const Pair<T> turned = {difference.re * kSin, difference.im * kSin};
  x[0] = add(x[0], sum);
  x[1] = add(middle, turned);
  x[2] = subtract(middle, turned);
}

template <class T>
LANEWISE_INLINE void butterfly4(Pair<T>* x) {
  const Pair<T> a = add(x[0], x[2]), b = subtract(x[0], x[2]);
  const Pair<T> c = add(x[1], x[3]), d = minus_i(subtract(x[1], x[3]));
  x[0] = add(a, c);
  x[1] = add(b, d);
  x[2] = subtract(a, c);
  x[3] = subtract(b, d);
}

template <class T>
LANEWISE_INLINE void butterfly5(Pair<T>* x) {
  constexpr T kCos1 = static_cast<T>(0.30901699437494742410);   // cos(2 pi / 5)
  constexpr T kCos2 = static_cast<T>(-0.80901699437494742410);  // cos(4 pi / 5)
  constexpr T kSin1 = static_cast<T>(0.95105651629515357212);
  constexpr T kSin2 = static_cast<T>(0.58778525229247312917);
  const Pair<T> a = add(x[1], x[4]), b = minus_i(subtract(x[1], x[4]));
  const Pair<T> c = add(x[2], x[3]), d = minus_i(subtract(x[2], x[3]));
  const Pair<T> first = {x[0].re + a.re * kCos1 + c.re * kCos2,
                         x[0].im + a.im * kCos1 + c.im * kCos2};
  const Pair<T> second = {x[0].re + a.re * kCos2 + c.re * kCos1,
                          x[0].im + a.im * kCos2 + c.im * kCos1};
  const Pair<T> turn1 = {b.re * kSin1 + d.re * kSin2, b.im * kSin1 + d.im * kSin2};
  const Pair<T> turn2 = {b.re * kSin2 - d.re * kSin1, b.im * kSin2 - d.im * kSin1};
  x[0] = add(x[0], add(a, c));
  x[1] = add(first, turn1);
  x[2] = add(second, turn2);
  x[3] = subtract(second, turn2);
  x[4] = subtract(first, turn1);
}

template <int radix, class T>
LANEWISE_INLINE void butterfly(Pair<T>* x) {
  if constexpr (radix == 2) butterfly2(x);
  if constexpr (radix == 3) butterfly3(x);
  if constexpr (radix == 4) butterfly4(x);
  if constexpr (radix == 5) butterfly5(x);
}

// One column of the pass: reads `radix` elements, writes as many.
template <int radix, class T>
LANEWISE_INLINE void column(const T* re, const T* im, std::int64_t in_step, T* out_re, T* out_im,
                            std::int64_t out_step, const T* twiddles, std::int64_t m) {
  Pair<T> x[radix];
  for (int k = 0; k < radix; ++k) x[k] = {re[k * in_step], im[k * in_step]};
  butterfly<radix>(x);
  out_re[0] = x[0].re;
  out_im[0] = x[0].im;
  for (int j = 1; j < radix; ++j) {
    const Pair<T> y = times(x[j], twiddles[2 * (j - 1) * m], twiddles[(2 * j - 1) * m]);
    out_re[j * out_step] = y.re;
    out_im[j * out_step] = y.im;
  }
}

template <int radix, class T>
LANEWISE_INLINE void pass_of(const kernels::FftPass<T>& pass) {
  const std::int64_t m = pass.m, s = pass.s;
  const T* __restrict re = pass.in_re;
  const T* __restrict im = pass.in_im;
  T* __restrict out_re = pass.out_re;
  T* __restrict out_im = pass.out_im;
  const T* __restrict twiddles = pass.twiddles;
  if (s == 1) {
    for (std::int64_t p = 0; p < m; ++p) {
      column<radix>(re + p, im + p, m, out_re + radix * p, out_im + radix * p, 1, twiddles + p, m);
    }
    return;
  }
  for (std::int64_t p = 0; p < m; ++p) {
    const std::int64_t from = s * p, to = s * radix * p;
    for (std::int64_t q = 0; q < s; ++q) {
      column<radix>(re + from + q, im + from + q, m * s, out_re + to + q, out_im + to + q, s,
                    twiddles + p, m);
    }
  }
}

// One output j of a butterfly of any radix, for up to kTile columns.
template <class T>
LANEWISE_INLINE void row_of(const kernels::FftPass<T>& pass, std::int64_t p, std::int64_t j,
                            std::int64_t q, std::int64_t count) {
  constexpr std::int64_t kTile = 64;
  T re[kTile] = {}, im[kTile] = {};
  std::int64_t root = 0;
  for (std::int64_t k = 0; k < pass.radix; ++k) {
    const T* x = pass.in_re + pass.s * (p + pass.m * k) + q;
    const T* y = pass.in_im + pass.s * (p + pass.m * k) + q;
    const T wr = pass.roots[2 * root], wi = pass.roots[2 * root + 1];
    for (std::int64_t i = 0; i < count; ++i) {
      re[i] += x[i] * wr - y[i] * wi;
      im[i] += x[i] * wi + y[i] * wr;
    }
    root = (root + j) % pass.radix;
  }
  const T wr = j == 0 ? T{1} : pass.twiddles[2 * (j - 1) * pass.m + p];
  const T wi = j == 0 ? T{0} : pass.twiddles[(2 * j - 1) * pass.m + p];
  T* out_re = pass.out_re + pass.s * (pass.radix * p + j) + q;
  T* out_im = pass.out_im + pass.s * (pass.radix * p + j) + q;
  for (std::int64_t i = 0; i < count; ++i) {
    out_re[i] = re[i] * wr - im[i] * wi;
    out_im[i] = re[i] * wi + im[i] * wr;
  }
}

template <class T>
LANEWISE_INLINE void pass_any(const kernels::FftPass<T>& pass) {
  for (std::int64_t p = 0; p < pass.m; ++p) {
    for (std::int64_t q = 0; q < pass.s; q += 64) {
      const std::int64_t count = pass.s - q < 64 ? pass.s - q : 64;
      for (std::int64_t j = 0; j < pass.radix; ++j) row_of(pass, p, j, q, count);
    }
  }
}

template <class T>
static void run_pass(const kernels::FftPass<T>& pass) noexcept {
  switch (pass.radix) {
    case 2: return pass_of<2>(pass);
    case 3: return pass_of<3>(pass);
    case 4: return pass_of<4>(pass);
    case 5: return pass_of<5>(pass);
    default: return pass_any(pass);
  }
}

extern const kernels::Fft fft;
const kernels::Fft fft = {run_pass<float>, run_pass<double>};

}  // namespace lanewise::LANEWISE_ISA
