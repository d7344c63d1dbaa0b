// The passes of a separable interpolation; single-threaded inner loops are in kernels/resample.
#include "engine/cpu/resampler.h"

#include <algorithm>

#include "engine/base/parallel.h"
#include "engine/kernels/resample/resample.h"

namespace lanewise {
namespace {

constexpr std::int64_t kGrain =
    1 << 14;  // elements: below this a thread costs more than it computes

void double_rows(const double* const* rows, const double* weights, std::int64_t taps, double* out,
                 std::int64_t n) noexcept {
  for (std::int64_t i = 0; i < n; ++i) {
    double sum = 0;
    for (std::int64_t t = 0; t < taps; ++t) sum += rows[t][i] * weights[t];
    out[i] = sum;
  }
}

void double_pixels(const double* in, const std::int64_t* offsets, const double* weights,
                   std::int64_t taps, std::int64_t count, std::int64_t inner,
                   double* out) noexcept {
  for (std::int64_t x = 0; x < count; ++x) {
    for (std::int64_t c = 0; c < inner; ++c) {
      double sum = 0;
      for (std::int64_t t = x * taps; t < (x + 1) * taps; ++t) {
        sum += in[offsets[t] + c] * weights[t];
      }
      out[x * inner + c] = sum;
    }
  }
}

}  // namespace

template <class W>
Resampler<W>::Resampler(const Shape& in, std::vector<std::pair<int, Taps>> axes, W extrapolation,
                        int threads, Isa isa)
    : threads_(threads), extrapolation_(extrapolation) {
  if constexpr (std::is_same_v<W, float>) {
    rows_ = kernels::resample(isa).rows;
    pixels_ = kernels::resample(isa).pixels;
  } else {
    rows_ = double_rows;
    pixels_ = double_pixels;
  }
  std::sort(axes.begin(), axes.end(),
            [](const auto& a, const auto& b) { return a.first < b.first; });
  Shape shape = in;
  std::vector<Pass> passes;
  for (auto& [axis, taps] : axes) {
    Pass pass;
    pass.outer = shape.elements(0, axis);
    pass.in = shape[axis];
    pass.out = static_cast<std::int64_t>(taps.outside.size());
    pass.inner = shape.elements(axis + 1, shape.rank());
    pass.taps = taps.taps;
    pass.offsets = std::move(taps.indices);
    for (std::int64_t& offset : pass.offsets) offset *= pass.inner;
    pass.weights.assign(taps.weights.begin(), taps.weights.end());
    pass.outside = std::move(taps.outside);
    shape[axis] = pass.out;
    passes.push_back(std::move(pass));
  }
  last_ = std::move(passes.back());
  passes.pop_back();
  if (!passes.empty()) {
    row_ = std::move(passes.back());
    passes.pop_back();
    row_elements_ = row_.inner;
  }
  leading_ = std::move(passes);
  for (std::size_t i = 0; i < leading_.size(); ++i) {
    const Pass& pass = leading_[i];
    scratch_[i % 2] = std::max(scratch_[i % 2], pass.outer * pass.out * pass.inner);
  }
}

template <class W>
std::size_t Resampler<W>::scratch_bytes() const {
  return static_cast<std::size_t>(scratch_[0] + scratch_[1] + threads_ * row_elements_) * sizeof(W);
}

// out[i] = sum of weighted input rows, for index y of the pass.
template <class W>
void Resampler<W>::blend_row(const Pass& pass, const W* in, std::int64_t y, W* out) const {
  if (pass.outside[static_cast<std::size_t>(y)] != 0) {
    std::fill_n(out, pass.inner, extrapolation_);
    return;
  }
  // Filters longer than this are summed in parts, in the order of the taps.
  constexpr std::int64_t kMost = 16;
  const W* rows[kMost + 1];
  W weights[kMost + 1];
  std::int64_t done = 0;
  while (done < pass.taps) {
    std::int64_t count = 0;
    if (done > 0) {
      rows[count] = out;
      weights[count++] = W{1};
    }
    while (count <= kMost && done < pass.taps) {
      const auto at = static_cast<std::size_t>(y * pass.taps + done++);
      rows[count] = in + pass.offsets[at];
      weights[count++] = pass.weights[at];
    }
    rows_(rows, weights, count, out, pass.inner);
  }
}

// One [in, inner] block along the last axis.
template <class W>
void Resampler<W>::blend_pixels(const W* in, W* out) const {
  pixels_(in, last_.offsets.data(), last_.weights.data(), last_.taps, last_.out, last_.inner, out);
  for (std::int64_t x = 0; x < last_.out; ++x) {
    if (last_.outside[static_cast<std::size_t>(x)] == 0) continue;
    std::fill_n(out + x * last_.inner, last_.inner, extrapolation_);
  }
}

template <class W>
void Resampler<W>::run_rows(const Pass& pass, const W* in, W* out, int threads) const {
  parallel_for(threads, pass.outer * pass.out, kGrain / (pass.inner * pass.taps) + 1,
               [&](std::int64_t begin, std::int64_t end) {
                 for (std::int64_t i = begin; i < end; ++i) {
                   blend_row(pass, in + i / pass.out * pass.in * pass.inner, i % pass.out,
                             out + i * pass.inner);
                 }
               });
}

template <class W>
void Resampler<W>::run_last(const W* in, W* out, W* rows, int threads) const {
  const std::int64_t in_block = last_.in * last_.inner, out_block = last_.out * last_.inner;
  if (row_elements_ == 0) {
    parallel_for(threads, last_.outer, kGrain / (out_block * last_.taps) + 1,
                 [&](std::int64_t begin, std::int64_t end) {
                   for (std::int64_t i = begin; i < end; ++i) {
                     blend_pixels(in + i * in_block, out + i * out_block);
                   }
                 });
    return;
  }
  const std::int64_t blocks = row_elements_ / in_block;  // of the last axis in one row
  const std::int64_t total = row_.outer * row_.out;
  const std::int64_t grain = kGrain / (blocks * out_block * last_.taps) + 1;
  const std::int64_t part = std::max(grain, total / (4 * threads));
  parallel_tasks(threads, (total + part - 1) / part, [&](std::int64_t task, int thread) {
    W* row = rows + thread * row_elements_;
    for (std::int64_t i = task * part; i < std::min(total, (task + 1) * part); ++i) {
      blend_row(row_, in + i / row_.out * row_.in * row_.inner, i % row_.out, row);
      for (std::int64_t block = 0; block < blocks; ++block) {
        blend_pixels(row + block * in_block, out + (i * blocks + block) * out_block);
      }
    }
  });
}

template <class W>
void Resampler<W>::run(const W* in, W* out, std::byte* scratch, int threads) const {
  W* buffers[2] = {reinterpret_cast<W*>(scratch), reinterpret_cast<W*>(scratch) + scratch_[0]};
  for (std::size_t i = 0; i < leading_.size(); ++i) {
    run_rows(leading_[i], in, buffers[i % 2], threads);
    in = buffers[i % 2];
  }
  run_last(in, out, buffers[1] + scratch_[1], threads);
}

template class Resampler<float>;
template class Resampler<double>;

}  // namespace lanewise
