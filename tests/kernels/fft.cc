// One pass of a Fourier transform in both precisions: every radix, one transform alone and many
// side by side, against the definition.
#include "engine/kernels/fft/fft.h"

#include <complex>
#include <numbers>

#include "tests/kernels/check.h"

namespace lanewise::testing {
namespace {

using Complex = std::complex<double>;

template <class T>
void check_pass(Case& c, void (*run)(const kernels::FftPass<T>&) noexcept) {
  constexpr std::int64_t kRadices[] = {2, 3, 4, 5, 7, 11, 13};
  constexpr double kRounding = sizeof(T) == 4 ? 0x1p-24 : 0x1p-53;
  kernels::FftPass<T> pass;
  pass.radix = kRadices[c.pick(0, 6)];
  pass.m = c.size(16, 2);
  pass.s = c.flip() ? 1 : c.size(16, 5);
  c.describe("%d bits, radix %ld, m %ld, s %ld", static_cast<int>(sizeof(T)) * 8,
             static_cast<long>(pass.radix), static_cast<long>(pass.m), static_cast<long>(pass.s));
  const auto draw = [&](std::int64_t) { return static_cast<T>(c.uniform(-1.0, 1.0)); };
  const auto root = [&](std::int64_t k) {
    return std::polar(
        1.0, -2.0 * std::numbers::pi * static_cast<double>(k) / static_cast<double>(pass.radix));
  };
  const std::int64_t r = pass.radix, m = pass.m, s = pass.s, count = r * m * s;
  pass.in_re = c.filled<T>(count, draw);
  pass.in_im = c.filled<T>(count, draw);
  pass.twiddles = c.filled<T>(2 * (r - 1) * m, draw);
  pass.roots = c.filled<T>(2 * r, [&](std::int64_t i) {
    return static_cast<T>(i % 2 == 0 ? root(i / 2).real() : root(i / 2).imag());
  });
  pass.out_re = c.room<T>(count);
  pass.out_im = c.room<T>(count);
  run(pass);
  // Each term is rounded with its root, in the sum, and in the product with the twiddle.
  const double bound = gamma(2.0 * static_cast<double>(r) + 8.0, kRounding);
  for (std::int64_t at = 0; at < count; ++at) {
    const std::int64_t q = at % s, j = at / s % r, p = at / s / r;
    Complex sum = 0.0;
    double size = 0.0;
    for (std::int64_t k = 0; k < r; ++k) {
      const std::int64_t from = s * (p + m * k) + q;
      const Complex x(static_cast<double>(pass.in_re[from]), static_cast<double>(pass.in_im[from]));
      sum += x * root(j * k % r);
      size += 2.0 * std::abs(x);
    }
    if (j > 0) {
      const Complex w(static_cast<double>(pass.twiddles[2 * (j - 1) * m + p]),
                      static_cast<double>(pass.twiddles[(2 * j - 1) * m + p]));
      sum *= w;
      size *= 2.0 * std::abs(w);
    }
    c.expect(static_cast<double>(pass.out_re[at]), sum.real(), bound * size, "real part", at);
    c.expect(static_cast<double>(pass.out_im[at]), sum.imag(), bound * size, "imaginary part", at);
  }
}

}  // namespace

void test_fft(Case& c) {
  if (c.flip()) return check_pass<float>(c, kernels::fft(c.isa()).pass32);
  check_pass<double>(c, kernels::fft(c.isa()).pass64);
}

}  // namespace lanewise::testing
