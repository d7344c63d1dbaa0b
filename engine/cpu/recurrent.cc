// See recurrent.h. Each task owns some sequences of one direction through all steps, so threads
// meet only at the end; a single task splits its large products by columns instead. A row's result
// depends neither on the split nor on the other rows.
#include "engine/cpu/recurrent.h"

#include <algorithm>
#include <limits>
#include <memory>
#include <string>
#include <type_traits>

#include "engine/base/error.h"
#include "engine/base/parallel.h"
#include "engine/cpu/recurrent_projection.h"
#include "engine/cpu/recurrent_weights.h"

namespace lanewise {
namespace {

// Gate sums that are projected at once, for which W is read once.
constexpr std::int64_t kBlockElements = 1 << 19;
constexpr std::int64_t kParallelProduct = 1 << 17;  // multiply-adds that are worth a fork
constexpr double kParallelLayer = 1 << 18;
constexpr std::int64_t kRowTile = 4;  // from here on, one product per step beats one per sequence

const kernels::Recurrent& rows_for(Isa isa, float) { return kernels::recurrent(isa); }
const kernels::Recurrent64& rows_for(Isa isa, double) { return kernels::recurrent64(isa); }

template <class T>
class Recurrent {
 public:
  Recurrent(LowerContext& c, const RecurrentSpec& spec)
      : spec_(spec),
        kernels_(rows_for(c.isa(), T{})),
        columns_(spec.gate_columns()),
        late_(spec.late_columns()),
        projection_(c, spec),
        weights_(c, spec, kernels_.panel, !projection_.active()) {
    const double work = static_cast<double>(spec_.steps * spec_.batch) *
                        static_cast<double>(columns_) *
                        static_cast<double>(spec_.input + spec_.hidden);
    threads_ = work < kParallelLayer ? 1 : c.threads();
    parts_ = std::clamp<std::int64_t>(threads_ / spec_.directions, 1,
                                      std::max<std::int64_t>(1, spec_.batch));
    part_rows_ = (spec_.batch + parts_ - 1) / parts_;
    block_ =
        std::clamp<std::int64_t>(kBlockElements / std::max<std::int64_t>(1, part_rows_ * columns_),
                                 1, std::max<std::int64_t>(1, spec_.steps));
    for (int i = 0; i < 8; ++i) has_input_[i] = c.has_input(i);
    book();
  }

  std::size_t scratch_bytes() const {
    return static_cast<std::size_t>(scratch_elements_) * sizeof(T);
  }

  void run(const RunContext& run) const {
    check_lengths(run);
    if (spec_.hidden == 0) return;
    T* const scratch = reinterpret_cast<T*>(run.scratch);
    fill_bias(run, scratch + bias_at_);
    const auto packed = weights_.ready(run, scratch + weights_at_);
    const int threads = std::min(threads_, run.threads);
    const std::int64_t tasks = parts_ * spec_.directions;
    parallel_tasks(static_cast<int>(std::min<std::int64_t>(threads, tasks)), tasks,
                   [&](std::int64_t task, int thread) {
                     Task t;
                     t.run = &run;
                     t.direction = static_cast<int>(task % spec_.directions);
                     t.begin = std::min(task / spec_.directions * part_rows_, spec_.batch);
                     t.end = std::min(t.begin + part_rows_, spec_.batch);
                     t.threads = tasks == 1 ? threads : 1;
                     bind(t, packed, scratch, thread);
                     if (t.begin < t.end) run_task(t);
                   });
  }

 private:
  struct Task {
    const RunContext* run = nullptr;
    int direction = 0;
    std::int64_t begin = 0, end = 0;  // sequences
    int threads = 1;
    std::int64_t longest = 0;
    const T* w = nullptr;     // packed
    const T* r = nullptr;     // packed
    const T* bias = nullptr;  // columns_, then late_
    T* sums = nullptr;        // [block][rows][columns_]
    T* h = nullptr;           // [rows][hidden], as the next two
    T* c = nullptr;
    T* reset = nullptr;
    const float** inputs = nullptr;   // a pointer for each row of the block, where it is projected
    std::byte* projecting = nullptr;  // so; and its scratch memory

    std::int64_t rows() const { return end - begin; }
  };

  // Scratch: shared parts first, then one set of buffers per thread. All sizes in elements.
  void book() {
    const auto take = [&](std::int64_t elements) {
      const std::int64_t at = scratch_elements_;
      constexpr std::int64_t kLine = 64 / sizeof(T);
      scratch_elements_ += (elements + kLine - 1) / kLine * kLine;
      return at;
    };
    bias_at_ = take(spec_.directions * (columns_ + late_));
    weights_at_ = take(weights_.scratch_elements());
    thread_at_ = scratch_elements_;
    take(checked_multiply(checked_multiply(block_, part_rows_), columns_));
    const std::int64_t states_at = scratch_elements_;
    state_size_ = part_rows_ * spec_.hidden;
    take(3 * state_size_);
    states_offset_ = states_at - thread_at_;
    inputs_offset_ = scratch_elements_ - thread_at_;
    if (projection_.active())
      take(checked_multiply(block_, 2 * part_rows_));  // a pointer takes two floats
    thread_size_ = scratch_elements_ - thread_at_;
    const std::int64_t concurrent = std::min<std::int64_t>(threads_, parts_ * spec_.directions);
    scratch_elements_ =
        thread_at_ + checked_multiply(thread_size_, std::max<std::int64_t>(1, concurrent));
    projecting_at_ = scratch_elements_;
    take(checked_multiply(static_cast<std::int64_t>(projection_.scratch_bytes() / sizeof(T)),
                          threads_));
    checked_multiply(scratch_elements_, sizeof(T));
  }

  void check_lengths(const RunContext& run) const {
    if (!has_input_[4]) return;
    const std::int32_t* lengths = run.in<std::int32_t>(4);
    for (std::int64_t b = 0; b < spec_.batch; ++b) {
      if (lengths[b] < 0 || lengths[b] > spec_.steps) {
        throw ModelError("sequence_lens[" + std::to_string(b) + "] is " +
                         std::to_string(lengths[b]) + ", expected 0 to the number of steps, " +
                         std::to_string(spec_.steps));
      }
    }
  }

  // Wb + Rb, except that Rb of GRU's hidden gate stays apart when the reset gate multiplies it.
  void fill_bias(const RunContext& run, T* bias) const {
    const std::int64_t size = columns_ + late_;
    std::fill_n(bias, spec_.directions * size, T{});
    if (!has_input_[3]) return;
    for (int d = 0; d < spec_.directions; ++d) {
      const T* wb = run.in<T>(3) + d * 2 * columns_;
      const T* rb = wb + columns_;
      T* to = bias + d * size;
      const std::int64_t apart = spec_.linear_before_reset ? late_ : 0;
      for (std::int64_t j = 0; j < columns_; ++j)
        to[j] = j < columns_ - apart ? wb[j] + rb[j] : wb[j];
      if (apart > 0) std::copy_n(rb + columns_ - late_, late_, to + columns_);
    }
  }

  void bind(Task& t, const typename RecurrentWeights<T>::Packed& packed, T* scratch,
            int thread) const {
    t.w = packed.w + t.direction * weights_.w_size();
    t.r = packed.r + t.direction * weights_.r_size();
    t.bias = scratch + bias_at_ + t.direction * (columns_ + late_);
    t.sums = scratch + thread_at_ + thread * thread_size_;
    t.h = t.sums + states_offset_;
    t.c = t.h + state_size_;
    t.reset = t.c + state_size_;
    t.inputs = reinterpret_cast<const float**>(t.sums + inputs_offset_);
    t.projecting = reinterpret_cast<std::byte*>(scratch + projecting_at_) +
                   projection_.scratch_bytes() * static_cast<std::size_t>(thread);
  }

  std::int64_t length(const Task& t, std::int64_t b) const {
    return has_input_[4] ? t.run->template in<std::int32_t>(4)[b] : spec_.steps;
  }
  bool backwards(const Task& t) const { return spec_.reverse || t.direction == 1; }
  std::int64_t time(const Task& t, std::int64_t b, std::int64_t step) const {
    return backwards(t) ? length(t, b) - 1 - step : step;
  }

  void run_task(Task& t) const {
    for (std::int64_t b = t.begin; b < t.end; ++b) {
      t.longest = std::max(t.longest, length(t, b));
      load_state(t, 5, b, t.h);
      load_state(t, 6, b, t.c);
    }
    for (std::int64_t first = 0; first < t.longest; first += block_) {
      const std::int64_t last = std::min(first + block_, t.longest);
      project(t, first, last);
      for (std::int64_t step = first; step < last; ++step) {
        advance(t, step, t.sums + (step - first) * t.rows() * columns_);
      }
    }
    finish(t);
  }

  void load_state(const Task& t, int input, std::int64_t b, T* states) const {
    T* to = states + (b - t.begin) * spec_.hidden;
    if (!has_input_[input]) {
      std::fill_n(to, spec_.hidden, T{});
    } else {
      std::copy_n(t.run->template in<T>(input) + spec_.state_at(t.direction, b), spec_.hidden, to);
    }
  }

  // As project(), in one product. A sequence that has ended stays at its last step: what comes of
  // it is not read.
  void project_at_once(const Task& t, std::int64_t first, std::int64_t last) const {
    const float* x = t.run->template in<float>(0);
    const float** to = t.inputs;
    for (std::int64_t step = first; step < last; ++step) {
      for (std::int64_t b = t.begin; b < t.end; ++b) {
        const std::int64_t end = std::max<std::int64_t>(1, length(t, b));
        const std::int64_t at = std::min(step, end - 1);
        *to++ = x + spec_.x_at(backwards(t) ? end - 1 - at : at, b);
      }
    }
    if constexpr (std::is_same_v<T, float>) {
      projection_.run(t.direction, t.inputs, to - t.inputs, t.bias, t.sums, t.threads,
                      t.projecting);
    }
  }

  // sums = bias + X W^T for the steps [first, last) of the task's sequences.
  void project(const Task& t, std::int64_t first, std::int64_t last) const {
    if (projection_.active()) return project_at_once(t, first, last);
    kernels::RowProduct<T> p;
    p.columns = columns_;
    p.depth = spec_.input;
    p.packed = t.w;
    p.bias = t.bias;
    const T* x = t.run->template in<T>(0);
    if (!has_input_[4] && t.rows() >= kRowTile) {
      p.rows = t.rows();
      p.a_stride = spec_.x_at(0, 1);
      p.out_stride = columns_;
      for (std::int64_t step = first; step < last; ++step) {
        p.a = x + spec_.x_at(time(t, t.begin, step), t.begin);
        p.out = t.sums + (step - first) * t.rows() * columns_;
        product(p, t.threads);
      }
      return;
    }
    p.a_stride = backwards(t) ? -spec_.x_at(1, 0) : spec_.x_at(1, 0);
    p.out_stride = t.rows() * columns_;
    for (std::int64_t b = t.begin; b < t.end; ++b) {
      p.rows = std::min(last, length(t, b)) - first;
      if (p.rows <= 0) continue;
      p.a = x + spec_.x_at(time(t, b, first), b);
      p.out = t.sums + (b - t.begin) * columns_;
      product(p, t.threads);
    }
  }

  // The product, split by panels of columns where that pays.
  void product(const kernels::RowProduct<T>& p, int threads) const {
    if (threads <= 1 || p.rows * p.columns * p.depth < kParallelProduct) return kernels_.product(p);
    const std::int64_t panels = (p.columns + kernels_.panel - 1) / kernels_.panel;
    parallel_for(threads, panels, 1, [&](std::int64_t begin, std::int64_t end) {
      kernels::RowProduct<T> part = p;
      const std::int64_t column = begin * kernels_.panel;
      part.columns = std::min(p.columns, end * kernels_.panel) - column;
      part.packed += column * p.depth;
      part.bias += p.bias == nullptr ? 0 : column;
      part.out += column;
      kernels_.product(part);
    });
  }

  void advance(const Task& t, std::int64_t step, T* sums) const {
    kernels::RowProduct<T> p;
    p.rows = t.rows();
    p.columns = columns_ - late_;
    p.depth = spec_.hidden;
    p.a = t.h;
    p.a_stride = spec_.hidden;
    p.packed = t.r;
    p.out = sums;
    p.out_stride = columns_;
    product(p, t.threads);
    if (spec_.cell == Cell::kGru) return advance_gru(t, step, sums, p);
    for (std::int64_t b = t.begin; b < t.end; ++b) {
      if (step >= length(t, b)) continue;
      const std::int64_t row = b - t.begin;
      if (spec_.cell == Cell::kRnn) {
        kernels_.rnn(spec_.functions[t.direction][0], spec_.clip, spec_.hidden,
                     sums + row * columns_, t.h + row * spec_.hidden);
      } else {
        kernels_.lstm(lstm_row(t, row, sums));
      }
      write_step(t, b, step);
    }
  }

  kernels::LstmRow<T> lstm_row(const Task& t, std::int64_t row, T* sums) const {
    kernels::LstmRow<T> result;
    result.hidden = spec_.hidden;
    result.gates = sums + row * columns_;
    result.h = t.h + row * spec_.hidden;
    result.c = t.c + row * spec_.hidden;
    if (has_input_[7]) result.peepholes = t.run->template in<T>(7) + t.direction * 3 * spec_.hidden;
    std::copy_n(spec_.functions[t.direction], 3, result.functions);
    result.clip = spec_.clip;
    result.coupled = spec_.coupled;
    return result;
  }

  // `p` is the product that gave the sums of z and r.
  void advance_gru(const Task& t, std::int64_t step, T* sums, kernels::RowProduct<T> p) const {
    p.packed += packed_columns(p.columns, p.depth, kernels_.panel);
    p.columns = late_;
    if (spec_.linear_before_reset) {
      p.bias = t.bias + columns_;
      p.out = t.reset;
      p.out_stride = spec_.hidden;
      product(p, t.threads);
    }
    const auto each_row = [&](auto&& f) {
      for (std::int64_t b = t.begin; b < t.end; ++b) {
        if (step >= length(t, b)) continue;
        const std::int64_t row = b - t.begin;
        kernels::GruRow<T> gru;
        gru.hidden = spec_.hidden;
        gru.gates = sums + row * columns_;
        gru.h = t.h + row * spec_.hidden;
        gru.reset = t.reset + row * spec_.hidden;
        std::copy_n(spec_.functions[t.direction], 2, gru.functions);
        gru.clip = spec_.clip;
        gru.linear_before_reset = spec_.linear_before_reset;
        f(gru, b);
      }
    };
    if (!spec_.linear_before_reset) std::copy_n(t.h, t.rows() * spec_.hidden, t.reset);
    each_row([&](const kernels::GruRow<T>& row, std::int64_t) { kernels_.gru_reset(row); });
    if (!spec_.linear_before_reset) {
      p.a = t.reset;
      p.out = sums + 2 * spec_.hidden;
      product(p, t.threads);
    }
    each_row([&](const kernels::GruRow<T>& row, std::int64_t b) {
      kernels_.gru_update(row);
      write_step(t, b, step);
    });
  }

  void write_step(const Task& t, std::int64_t b, std::int64_t step) const {
    if (!t.run->has_out(0)) return;
    std::copy_n(t.h + (b - t.begin) * spec_.hidden, spec_.hidden,
                t.run->template out<T>(0) + spec_.y_at(time(t, b, step), t.direction, b));
  }

  // Zeros after the end of each sequence, and the last states; those of an empty sequence are zero.
  void finish(const Task& t) const {
    for (std::int64_t b = t.begin; b < t.end; ++b) {
      const std::int64_t n = length(t, b);
      if (t.run->has_out(0)) {
        for (std::int64_t i = n; i < spec_.steps; ++i) {
          std::fill_n(t.run->template out<T>(0) + spec_.y_at(i, t.direction, b), spec_.hidden, T{});
        }
      }
      for (int output = 1; output <= 2; ++output) {
        if (!t.run->has_out(output)) continue;
        T* to = t.run->template out<T>(output) + spec_.state_at(t.direction, b);
        const T* from = (output == 1 ? t.h : t.c) + (b - t.begin) * spec_.hidden;
        n == 0 ? std::fill_n(to, spec_.hidden, T{}) : std::copy_n(from, spec_.hidden, to);
      }
    }
  }

  RecurrentSpec spec_;
  const kernels::RecurrentRows<T>& kernels_;
  std::int64_t columns_ = 0;  // gates * hidden
  std::int64_t late_ = 0;     // of them, those whose state product comes second
  InputProjection projection_;
  RecurrentWeights<T> weights_;
  int threads_ = 1;
  std::int64_t parts_ = 1, part_rows_ = 0, block_ = 1;
  bool has_input_[8] = {};
  std::int64_t bias_at_ = 0, weights_at_ = 0;
  std::int64_t thread_at_ = 0, thread_size_ = 0, states_offset_ = 0, state_size_ = 0;
  std::int64_t inputs_offset_ = 0, projecting_at_ = 0;
  std::int64_t scratch_elements_ = 0;
};

template <class T>
Step make_step(LowerContext& c, const RecurrentSpec& spec) {
  auto layer = std::make_shared<const Recurrent<T>>(c, spec);
  Step step;
  step.scratch_bytes = layer->scratch_bytes();
  step.algorithm = std::string("gemm + row cells ") + std::string(dtype_name(kDTypeOf<T>));
  step.run = [layer](const RunContext& run) { layer->run(run); };
  return step;
}

}  // namespace

Step lower_recurrent(LowerContext& c, const RecurrentSpec& spec) {
  return c.dtype(0) == DType::kFloat64 ? make_step<double>(c, spec) : make_step<float>(c, spec);
}

}  // namespace lanewise
