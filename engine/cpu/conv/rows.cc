// Pointer tables for convolution windows.
#include "engine/cpu/conv/rows.h"

#include <algorithm>

namespace lanewise {
namespace {

// A run of output pixels within one row of the output image.
struct Run {
  std::int64_t image, depth, height, begin, end;  // output coordinates; width is [begin, end)
  std::int64_t index;                             // of `begin` within the block
};

// Cuts [first, first + count) into runs.
template <class F>
void for_each_run(const ConvProblem& p, std::int64_t first, std::int64_t count, F&& f) {
  std::int64_t line = first / p.out[2];
  std::int64_t begin = first % p.out[2];
  for (std::int64_t index = 0; index < count; ++line) {
    const std::int64_t end = std::min(p.out[2], begin + count - index);
    const std::int64_t height = line % p.out[1], rest = line / p.out[1];
    f(Run{rest / p.out[0], rest % p.out[0], height, begin, end, index});
    index += end - begin;
    begin = 0;
  }
}

// The input row (first pixel) that tap (kd, kh) of the run reads, or null outside the image.
template <class T>
const T* input_line(const ConvProblem& p, const T* x, const Run& run, std::int64_t kd,
                    std::int64_t kh) {
  const std::int64_t d = run.depth * p.stride[0] - p.pad[0] + kd * p.dilation[0];
  const std::int64_t h = run.height * p.stride[1] - p.pad[1] + kh * p.dilation[1];
  if (d < 0 || d >= p.in[0] || h < 0 || h >= p.in[1]) return nullptr;
  return x + ((run.image * p.in[0] + d) * p.in[1] + h) * p.in[2] * p.in_step();
}

// The part of [begin, end) for which o * stride + shift lies in [0, size).
struct Inside {
  std::int64_t begin, end;
};
Inside inside(std::int64_t begin, std::int64_t end, std::int64_t stride, std::int64_t shift,
              std::int64_t size) {
  const std::int64_t low = shift >= 0 ? 0 : (-shift + stride - 1) / stride;
  const std::int64_t high = shift >= size ? 0 : (size - 1 - shift) / stride + 1;
  const std::int64_t from = std::clamp(low, begin, end);
  return {from, std::clamp(high, from, end)};
}

}  // namespace

template <class T>
void point_to_taps(const ConvProblem& p, const T* x, const T* zeros, std::int64_t first,
                   std::int64_t count, const T** table, std::int64_t step) {
  for_each_run(p, first, count, [&](const Run& run) {
    const T** to = table + run.index - run.begin;
    for (std::int64_t kd = 0; kd < p.kernel[0]; ++kd) {
      for (std::int64_t kh = 0; kh < p.kernel[1]; ++kh) {
        const T* line = input_line(p, x, run, kd, kh);
        for (std::int64_t kw = 0; kw < p.kernel[2]; ++kw, to += step) {
          const std::int64_t shift = kw * p.dilation[2] - p.pad[2];
          const Inside valid = line == nullptr
                                   ? Inside{run.end, run.end}
                                   : inside(run.begin, run.end, p.stride[2], shift, p.in[2]);
          std::fill(to + run.begin, to + valid.begin, zeros);
          for (std::int64_t o = valid.begin; o < valid.end; ++o) {
            to[o] = line + (o * p.stride[2] + shift) * p.in_step();
          }
          std::fill(to + valid.end, to + run.end, zeros);
        }
      }
    }
  });
}

template <class T>
void point_to_tap_rows(const ConvProblem& p, const T* x, const T* zeros, std::int64_t first,
                       std::int64_t count, const T** table, std::int64_t step, T* edges,
                       std::int64_t slack) {
  const std::int64_t width = p.kernel[2];
  const T* const end = x + p.batch * p.in_pixels() * p.channels;
  for_each_run(p, first, count, [&](const Run& run) {
    const T** to = table + run.index - run.begin;
    // Windows [whole.begin, whole.end) read no padding along the width.
    const Inside whole = inside(run.begin, run.end, p.stride[2], -p.pad[2], p.in[2] - width + 1);
    for (std::int64_t kd = 0; kd < p.kernel[0]; ++kd) {
      for (std::int64_t kh = 0; kh < p.kernel[1]; ++kh, to += step) {
        const T* line = input_line(p, x, run, kd, kh);
        if (line == nullptr) {
          std::fill(to + run.begin, to + run.end, zeros);
          continue;
        }
        const auto left_of = [&](std::int64_t o) { return o * p.stride[2] - p.pad[2]; };
        const auto write_out = [&](std::int64_t o) {
          const std::int64_t left = left_of(o);
          const std::int64_t from = std::clamp<std::int64_t>(left, 0, p.in[2]);
          const std::int64_t until = std::clamp(left + width, from, p.in[2]);
          to[o] = edges;
          T* next = std::fill_n(edges, std::min(from - left, width) * p.channels, zeros[0]);
          next = std::copy(line + from * p.channels, line + until * p.channels, next);
          edges += width * p.channels + slack;
          std::fill(next, edges, zeros[0]);
        };
        std::int64_t last = whole.end;
        while (last > whole.begin &&
               end - line < (left_of(last - 1) + width) * p.channels + slack) {
          --last;
        }
        for (std::int64_t o = run.begin; o < whole.begin; ++o) write_out(o);
        for (std::int64_t o = whole.begin; o < last; ++o) to[o] = line + left_of(o) * p.channels;
        for (std::int64_t o = last; o < run.end; ++o) write_out(o);
      }
    }
  });
}

#define LANEWISE_ROWS_OF(T)                                                                \
  template void point_to_taps<T>(const ConvProblem&, const T*, const T*, std::int64_t,     \
                                 std::int64_t, const T**, std::int64_t);                   \
  template void point_to_tap_rows<T>(const ConvProblem&, const T*, const T*, std::int64_t, \
                                     std::int64_t, const T**, std::int64_t, T*, std::int64_t);
LANEWISE_ROWS_OF(float)
LANEWISE_ROWS_OF(std::uint8_t)
#undef LANEWISE_ROWS_OF

}  // namespace lanewise
