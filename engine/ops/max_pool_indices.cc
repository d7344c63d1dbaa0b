// MaxPool that also reports where each maximum lies; rare at inference, so written for any layout
// and type at once. No operator is defined here.
#include "engine/ops/max_pool_indices.h"

#include <algorithm>
#include <limits>
#include <memory>
#include <type_traits>

#include "engine/base/parallel.h"
#include "engine/kernels/pool/pool.h"

namespace lanewise {
namespace {

// Where a spatial position, counted row-major, stands when counted column-major.
std::int64_t column_major(std::int64_t position, const Shape& in) {
  std::int64_t result = 0;
  std::int64_t weight = in.elements(2, in.rank() - 1);  // positions per step of the current axis
  for (int i = in.rank() - 1; i >= 2; --i) {
    result += position % in[i] * weight;
    position /= in[i];
    if (i > 2) weight /= in[i - 1];
  }
  return result;
}

// Element strides of images, channels and positions in one layout.
struct Strides {
  Strides(const Shape& shape, Layout layout) {
    const std::int64_t positions = shape.elements(2, shape.rank());
    image = shape[1] * positions;
    channel = layout == Layout::kPlain ? positions : 1;
    position = layout == Layout::kPlain ? 1 : shape[1];
  }
  std::int64_t image, channel, position;
};

template <class T>
struct Job {
  Shape in, out;
  WindowRows rows;
  Strides x, y;
  std::int64_t kernel, stride, dilation, pad;
  bool column_order;

  // All channels of one output row.
  void run_row(std::int64_t image, std::int64_t row, std::int64_t* list, const T* input, T* output,
               std::int64_t* indices) const {
    const std::int64_t width = in[in.rank() - 1], out_width = out[out.rank() - 1];
    const std::int64_t positions = rows.in_rows() * width,
                       out_positions = rows.out_rows() * out_width;
    const std::int64_t count = rows.at(row, list, nullptr);
    for (std::int64_t o = 0; o < out_width; ++o) {
      const std::int64_t start = o * stride - pad;
      const auto taps = kernels::tap_range(start, kernel, dilation, 0, width);
      for (std::int64_t c = 0; c < in[1]; ++c) {
        using Limits = std::numeric_limits<T>;
        T best = Limits::has_infinity ? -Limits::infinity() : Limits::lowest();
        std::int64_t where = -1;
        const T* x_image = input + image * x.image + c * x.channel;
        for (std::int64_t i = 0; i < count; ++i) {
          for (std::int64_t k = taps.first; k < taps.last; ++k) {
            const std::int64_t position = list[i] * width + start + k * dilation;
            const T value = x_image[position * x.position];
            if (where < 0 || value > best) where = position;
            if (value > best) best = value;
          }
        }
        if (where >= 0) {
          where =
              (image * in[1] + c) * positions + (column_order ? column_major(where, in) : where);
        }
        const std::int64_t to = row * out_width + o;
        output[image * y.image + c * y.channel + to * y.position] = best;
        indices[(image * in[1] + c) * out_positions + to] = where;
      }
    }
  }
};

template <class T>
Step make_step(const LowerContext& c, const Window& window) {
  const auto axis = static_cast<std::size_t>(window.rank() - 1);
  const auto job = std::make_shared<const Job<T>>(
      Job<T>{c.shape(0), c.out_shape(0), WindowRows(window_axes(window, c.shape(0))),
             Strides(c.shape(0), c.layout(0)), Strides(c.out_shape(0), c.out_layout(0)),
             window.kernel[axis], window.stride[axis], window.dilation[axis],
             window.pad_begin[axis], c.attr_int("storage_order") == 1});
  const std::int64_t most = std::max<std::int64_t>(job->rows.most(), 1);
  const std::int64_t all_rows = job->out.elements() == 0 ? 0 : job->out[0] * job->rows.out_rows();
  const bool wants_values = c.has_output(0);
  Step step;
  step.algorithm = "rows with indices";
  step.scratch_bytes = static_cast<std::size_t>(checked_multiply(most * 8, c.threads()));
  // Without output 0, its values go where nobody looks.
  const std::size_t values_at = step.scratch_bytes;
  if (!wants_values)
    step.scratch_bytes += static_cast<std::size_t>(job->out.elements()) * sizeof(T);
  step.run = [=](const RunContext& run) {
    T* values = wants_values ? run.out<T>(0) : reinterpret_cast<T*>(run.scratch + values_at);
    parallel_tasks(run.threads, all_rows, [&](std::int64_t i, int thread) {
      std::int64_t* list = reinterpret_cast<std::int64_t*>(run.scratch) + thread * most;
      job->run_row(i / job->rows.out_rows(), i % job->rows.out_rows(), list, run.in<T>(0), values,
                   run.out<std::int64_t>(1));
    });
  };
  return step;
}

}  // namespace

Step lower_max_with_indices(const LowerContext& c, const Window& window) {
  Step step;
  visit_number(c.dtype(0), [&]<class T>(std::type_identity<T>) { step = make_step<T>(c, window); });
  return step;
}

}  // namespace lanewise
