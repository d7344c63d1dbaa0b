// One pass of a fast Fourier transform over split real and imaginary parts. Which passes make up a
// transform is in engine/cpu/fft.h.
#pragma once

#include <cstdint>

#include "engine/base/cpu.h"

namespace lanewise::kernels {

// A decimation-in-frequency pass in Stockham's order (self-sorting; Van Loan, Computational
// Frameworks for the Fast Fourier Transform, section 1.7): with n = radix * m,
// out[s * (radix * p + j) + q] = w(p * j, n) * sum over k < radix of
//   w(j * k, radix) * in[s * (p + m * k) + q]   for p < m, j < radix, q < s,
// where w(a, b) = exp(-2 pi i a / b).
template <class T>
struct FftPass {
  const T* in_re = nullptr;
  const T* in_im = nullptr;
  T* out_re = nullptr;
  T* out_im = nullptr;
  std::int64_t radix = 2, m = 1, s = 1;
  // For each j from 1 to radix - 1: the m real parts of w(p * j, n), then the imaginary ones.
  const T* twiddles = nullptr;
  const T* roots = nullptr;  // real and imaginary part of w(k, radix) for each k < radix
};

struct Fft {
  void (*pass32)(const FftPass<float>&) noexcept;
  void (*pass64)(const FftPass<double>&) noexcept;
};
const Fft& fft(Isa isa);

}  // namespace lanewise::kernels
