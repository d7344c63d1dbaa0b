// Discrete Fourier transforms of any length: mixed radix where the prime factors are small,
// Bluestein's convolution (1970, "A linear filtering approach to the computation of discrete
// Fourier transform") where they are not. float32 and float64.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "engine/base/cpu.h"

namespace lanewise {

// Real and imaginary parts apart. Element i of signal b of a batch lies at [i * batch + b].
template <class T>
struct Split {
  T* re = nullptr;
  T* im = nullptr;
};

template <class T>
class Fft {
 public:
  // n >= 1
  Fft(std::int64_t n, Isa isa);

  std::int64_t size() const { return n_; }
  // Elements per signal that each part of both buffers of run() must hold.
  std::int64_t room() const { return chirp_.empty() ? n_ : inner_->n_; }
  // Transforms the signals in `x`, destroying both buffers; returns the one that holds the result.
  Split<T> run(Split<T> x, Split<T> spare, std::int64_t batch) const;
  const char* algorithm() const { return chirp_.empty() ? "mixed radix" : "bluestein"; }

 private:
  struct Pass {
    std::int64_t radix = 2, m = 1;
    std::vector<T> twiddles, roots;
  };
  Split<T> run_bluestein(Split<T> x, Split<T> spare, std::int64_t batch) const;
  void make_chirp(Isa isa);

  std::int64_t n_;
  Isa isa_;
  std::vector<Pass> passes_;
  // Bluestein: exp(-pi i k^2 / n), and the transform of its conjugate, as pairs.
  std::vector<T> chirp_, filter_;
  std::unique_ptr<Fft> inner_;
};

// Lines of an array and what becomes of each. Line l begins at l / group * in_group + l % group *
// in_line, its elements lie in_step apart; in elements of T, of which a complex number takes two.
struct FftLines {
  std::int64_t count = 0, group = 1;
  std::int64_t in_group = 0, in_line = 0, in_step = 1, in_size = 0;  // size: elements given
  std::int64_t out_group = 0, out_line = 0, out_step = 1, out_size = 0;
  bool in_complex = false, out_complex = true;
  bool inverse = false;
  bool hermitian = false;  // the input is the first half of a spectrum that mirrors itself
};

// How lines of T are transformed, computing in C: so many at a time that vectors fill and caches
// hold them.
template <class T, class C>
struct FftPlan {
  std::shared_ptr<const Fft<C>> fft;
  FftLines lines;
  std::int64_t batch = 1;

  std::size_t scratch_bytes(int threads) const;
  // `window`, of lines.in_size elements, may be null.
  void run(const T* in, const T* window, T* out, std::byte* scratch, int threads) const;
};

// For (float, float), (float, double) and (double, double).
template <class T, class C>
FftPlan<T, C> plan_fft(std::int64_t n, const FftLines& lines, Isa isa);

}  // namespace lanewise
