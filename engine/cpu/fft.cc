// See fft.h. The passes over memory are in engine/kernels/fft.
#include "engine/cpu/fft.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "engine/base/parallel.h"
#include "engine/base/shape.h"
#include "engine/kernels/fft/fft.h"

namespace lanewise {
namespace {

constexpr std::int64_t kLargestRadix = 13;  // beyond it, Bluestein's three transforms cost less

// exp(-2 pi i k / n), from an angle within 45 degrees of an axis, where sine and cosine are most
// exact; on the axes themselves nothing is rounded.
struct Root {
  double re, im;
};
Root root(std::int64_t k, std::int64_t n) {
  const std::int64_t eighths = 8 * (k % n) / n, quarter = (eighths + 1) / 2;
  const double rest = static_cast<double>(4 * (k % n) - quarter * n) / static_cast<double>(4 * n);
  const double c = std::cos(2.0 * std::numbers::pi * rest);
  const double s = std::sin(2.0 * std::numbers::pi * rest);
  switch (quarter % 4) {
    case 0: return {c, -s};
    case 1: return {-s, -c};
    case 2: return {-c, s};
    default: return {s, c};
  }
}

// The radices whose product is n, or nothing when a prime factor is too large.
std::vector<std::int64_t> radices(std::int64_t n) {
  std::vector<std::int64_t> result;
  for (std::int64_t radix : {4, 2, 3, 5, 7, 11, 13}) {
    static_assert(kLargestRadix == 13);
    for (; n % radix == 0; n /= radix) result.push_back(radix);
  }
  if (n != 1) return {};
  return result;
}

// The least 2^a 3^b 5^c that is not below n.
std::int64_t smooth_above(std::int64_t n) {
  std::int64_t best = 1;
  while (best < n) best *= 2;
  for (std::int64_t fives = 1; fives < best; fives *= 5) {
    for (std::int64_t odd = fives; odd < best; odd *= 3) {
      std::int64_t size = odd;
      while (size < n) size *= 2;
      best = std::min(best, size);
    }
  }
  return best;
}

template <class T>
void run_pass(const kernels::Fft& kernel, const kernels::FftPass<T>& pass) {
  if constexpr (std::is_same_v<T, double>)
    kernel.pass64(pass);
  else
    kernel.pass32(pass);
}

// (re, im) *= (wr, wi) for `batch` numbers side by side.
template <class T>
void multiply(T* re, T* im, T wr, T wi, std::int64_t batch) {
  for (std::int64_t b = 0; b < batch; ++b) {
    const T x = re[b], y = im[b];
    re[b] = x * wr - y * wi;
    im[b] = x * wi + y * wr;
  }
}

}  // namespace

template <class T>
Fft<T>::Fft(std::int64_t n, Isa isa) : n_(n), isa_(isa) {
  std::int64_t rest = n;
  const std::vector<std::int64_t> list = radices(n);
  if (list.empty() && n > 1) make_chirp(isa);
  for (std::int64_t radix : list) {
    Pass pass{radix, rest / radix, {}, {}};
    for (std::int64_t j = 1; j < radix; ++j) {
      for (std::int64_t p = 0; p < pass.m; ++p)
        pass.twiddles.push_back(static_cast<T>(root(p * j, rest).re));
      for (std::int64_t p = 0; p < pass.m; ++p)
        pass.twiddles.push_back(static_cast<T>(root(p * j, rest).im));
    }
    for (std::int64_t k = 0; k < radix; ++k) {
      pass.roots.push_back(static_cast<T>(root(k, radix).re));
      pass.roots.push_back(static_cast<T>(root(k, radix).im));
    }
    rest = pass.m;
    passes_.push_back(std::move(pass));
  }
}

template <class T>
void Fft<T>::make_chirp(Isa isa) {
  const std::int64_t size = smooth_above(2 * n_ - 1);
  inner_ = std::make_unique<Fft>(size, isa);
  const auto length = static_cast<std::size_t>(size);
  std::vector<T> re(length), im(length), spare_re(length), spare_im(length);
  std::int64_t square = 0;  // k^2 modulo 2n, exact
  for (std::int64_t k = 0; k < n_; ++k) {
    const Root w = root(square, 2 * n_);
    chirp_.push_back(static_cast<T>(w.re));
    chirp_.push_back(static_cast<T>(w.im));
    for (std::int64_t at : {k, (size - k) % size}) {
      re[static_cast<std::size_t>(at)] = static_cast<T>(w.re);
      im[static_cast<std::size_t>(at)] = static_cast<T>(-w.im);
    }
    square = (square + 2 * k + 1) % (2 * n_);
  }
  const Split<T> made = inner_->run({re.data(), im.data()}, {spare_re.data(), spare_im.data()}, 1);
  for (std::int64_t k = 0; k < size; ++k) {
    filter_.push_back(made.re[k] / static_cast<T>(size));
    filter_.push_back(made.im[k] / static_cast<T>(size));
  }
}

template <class T>
Split<T> Fft<T>::run(Split<T> x, Split<T> spare, std::int64_t batch) const {
  if (!chirp_.empty()) return run_bluestein(x, spare, batch);
  const kernels::Fft& kernel = kernels::fft(isa_);
  std::int64_t s = batch;
  for (const Pass& pass : passes_) {
    run_pass<T>(kernel, {x.re, x.im, spare.re, spare.im, pass.radix, pass.m, s,
                         pass.twiddles.data(), pass.roots.data()});
    s *= pass.radix;
    std::swap(x, spare);
  }
  return x;
}

// x[k] w(k^2 / 2), convolved with w(-k^2 / 2), times w(k^2 / 2): k l = (k^2 + l^2 - (k - l)^2) / 2.
template <class T>
Split<T> Fft<T>::run_bluestein(Split<T> x, Split<T> spare, std::int64_t batch) const {
  const auto scale = [&](Split<T> y, const std::vector<T>& by, std::int64_t count) {
    for (std::int64_t k = 0; k < count; ++k) {
      const auto at = static_cast<std::size_t>(2 * k);
      multiply(y.re + k * batch, y.im + k * batch, by[at], by[at + 1], batch);
    }
  };
  scale(x, chirp_, n_);
  std::fill(x.re + n_ * batch, x.re + inner_->n_ * batch, T{0});
  std::fill(x.im + n_ * batch, x.im + inner_->n_ * batch, T{0});
  Split<T> y = inner_->run(x, spare, batch);
  scale(y, filter_, inner_->n_);
  // The inverse transform is the forward one with real and imaginary parts exchanged.
  const Split<T> other = y.re == x.re ? spare : x;
  const Split<T> turned = inner_->run({y.im, y.re}, {other.im, other.re}, batch);
  const Split<T> result = {turned.im, turned.re};
  scale(result, chirp_, n_);
  return result;
}

template <class T, class C>
FftPlan<T, C> plan_fft(std::int64_t n, const FftLines& lines, Isa isa) {
  constexpr std::int64_t kLanes = 64 / sizeof(C);              // of the widest vectors
  constexpr std::int64_t kCached = (1 << 19) / sizeof(C) / 4;  // elements per part in half a MiB
  FftPlan<T, C> plan;
  plan.fft = std::make_shared<const Fft<C>>(n, isa);
  plan.lines = lines;
  const bool together = lines.count >= kLanes && plan.fft->room() * kLanes <= kCached;
  plan.batch = together ? kLanes : 1;
  return plan;
}

template <class T, class C>
std::size_t FftPlan<T, C>::scratch_bytes(int threads) const {
  const std::int64_t part = checked_multiply(fft->room(), batch * static_cast<int>(sizeof(C)));
  return static_cast<std::size_t>(checked_multiply(part, 4 * threads));
}

namespace {

// Calls f(b, first, end) for pieces of lines that together fill a few cache lines, so that going
// from line after line to side by side touches each cache line once.
template <class F>
void for_pieces(std::int64_t batch, std::int64_t n, F&& f) {
  const std::int64_t piece = batch == 1 ? n : 16;
  for (std::int64_t i = 0; i < n; i += piece) {
    for (std::int64_t b = 0; b < batch; ++b) f(b, i, std::min(i + piece, n));
  }
}

// Fills in the half of each spectrum that mirrors the other.
template <class C>
void mirror(Split<C> x, std::int64_t n, std::int64_t batch) {
  std::fill(x.im, x.im + batch, C{0});
  for (std::int64_t k = 1; k <= n - k; ++k) {
    for (std::int64_t b = 0; b < batch; ++b) {
      const C re = x.re[k * batch + b], im = k == n - k ? C{0} : x.im[k * batch + b];
      x.im[k * batch + b] = im;
      x.re[(n - k) * batch + b] = re;
      x.im[(n - k) * batch + b] = -im;
    }
  }
}

// Copies lines [first, first + batch) into `x`; what the signal lacks is zero.
template <class T, class C>
void gather(const FftPlan<T, C>& plan, const T* in, const T* window, std::int64_t first,
            std::int64_t batch, Split<C> x) {
  const FftLines& l = plan.lines;
  const std::int64_t n = plan.fft->size(), given = std::min(l.in_size, n);
  for_pieces(batch, given, [&](std::int64_t b, std::int64_t begin, std::int64_t end) {
    const std::int64_t line = first + b;
    const T* from = in + line / l.group * l.in_group + line % l.group * l.in_line;
    for (std::int64_t i = begin; i < end; ++i) {
      const C scale = window == nullptr ? C{1} : static_cast<C>(window[i]);
      x.re[i * batch + b] = static_cast<C>(from[i * l.in_step]) * scale;
      x.im[i * batch + b] = l.in_complex ? static_cast<C>(from[i * l.in_step + 1]) * scale : C{0};
    }
  });
  std::fill(x.re + given * batch, x.re + n * batch, C{0});
  std::fill(x.im + given * batch, x.im + n * batch, C{0});
  if (l.hermitian) mirror(x, n, batch);
}

template <class T, class C>
void scatter(const FftPlan<T, C>& plan, Split<C> y, std::int64_t first, std::int64_t batch,
             T* out) {
  const FftLines& l = plan.lines;
  const C scale = l.inverse ? C{1} / static_cast<C>(plan.fft->size()) : C{1};
  for_pieces(batch, l.out_size, [&](std::int64_t b, std::int64_t begin, std::int64_t end) {
    const std::int64_t line = first + b;
    T* to = out + line / l.group * l.out_group + line % l.group * l.out_line;
    for (std::int64_t i = begin; i < end; ++i) {
      to[i * l.out_step] = static_cast<T>(y.re[i * batch + b] * scale);
      if (l.out_complex) to[i * l.out_step + 1] = static_cast<T>(y.im[i * batch + b] * scale);
    }
  });
}

}  // namespace

template <class T, class C>
void FftPlan<T, C>::run(const T* in, const T* window, T* out, std::byte* scratch,
                        int threads) const {
  const std::int64_t part = fft->room() * batch;
  parallel_tasks(threads, (lines.count + batch - 1) / batch, [&](std::int64_t task, int thread) {
    C* own = reinterpret_cast<C*>(scratch) + 4 * part * thread;
    const std::int64_t first = task * batch, count = std::min(batch, lines.count - first);
    const Split<C> x{own, own + part}, spare{own + 2 * part, own + 3 * part};
    gather(*this, in, window, first, count, x);
    if (lines.inverse) {
      const Split<C> y = fft->run({x.im, x.re}, {spare.im, spare.re}, count);
      scatter(*this, Split<C>{y.im, y.re}, first, count, out);
    } else {
      scatter(*this, fft->run(x, spare, count), first, count, out);
    }
  });
}

template class Fft<float>;
template class Fft<double>;
template struct FftPlan<float, float>;
template struct FftPlan<float, double>;
template struct FftPlan<double, double>;
template FftPlan<float, float> plan_fft(std::int64_t, const FftLines&, Isa);
template FftPlan<float, double> plan_fft(std::int64_t, const FftLines&, Isa);
template FftPlan<double, double> plan_fft(std::int64_t, const FftLines&, Isa);

}  // namespace lanewise
