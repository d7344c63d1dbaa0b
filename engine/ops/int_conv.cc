// See int_conv.h. Activations become int16 rows of channels, zero point subtracted, so that padding
// is a row of zeros; each output position then gathers one row per tap of the kernel.
#include "engine/ops/int_conv.h"

#include <algorithm>
#include <array>
#include <memory>
#include <string>

#include "engine/base/buffer.h"
#include "engine/base/parallel.h"
#include "engine/base/rounding.h"
#include "engine/cpu/int_pack.h"

namespace lanewise {
namespace {

constexpr std::int64_t kBlockRows = 48;   // output positions per task: whole register tiles
constexpr std::int64_t kGrain = 1 << 14;  // bytes of activations that are worth a thread

// Spatial axes are brought to three by leading ones.
using Three = std::array<std::int64_t, 3>;
Three three(const std::vector<std::int64_t>& values, std::int64_t fill) {
  Three result = {fill, fill, fill};
  std::copy_backward(values.begin(), values.end(), result.end());
  return result;
}

class IntConv {
 public:
  IntConv(LowerContext& c, const IntConvInputs& in)
      : in_(in),
        product_(kernels::int_product(c.isa())),
        quantize_(kernels::quantize(c.isa())),
        threads_(c.threads()),
        x_dtype_(c.dtype(in.x)),
        y_dtype_(c.output(0).dtype),
        x_last_(c.layout(in.x) == Layout::kChannelsLast),
        y_last_(c.out_layout(0) == Layout::kChannelsLast) {
    const Window window = int_conv_window(c, in);
    const Shape& x = c.shape(in.x);
    const Shape& w = c.shape(in.w);
    batch_ = x[0];
    channels_ = x[1];
    groups_ = c.attr_int("group");
    outputs_ = w[0];
    size_ = three({x.begin() + 2, x.end()}, 1);
    out_ = three(window.out, 1);
    kernel_ = three(window.kernel, 1);
    taps_ = Shape(window.kernel).elements();
    empty_ = c.out_shape(0).elements() == 0;
    (void)x.elements(2, x.rank());  // products of sizes fit, even where there are no channels
    stride_ = three(window.stride, 1);
    dilation_ = three(window.dilation, 1);
    pad_ = three(window.pad_begin, 0);
    depthwise_ = groups_ == channels_ && groups_ == outputs_ && groups_ > 1;
    group_depth_ = channels_ / groups_;
    padded_ = depthwise_ ? round_up(channels_, kernels::kDepthwiseChannels)
                         : groups_ * round_up(group_depth_, 2);
    weights_ = {.data = nullptr,
                .dtype = c.dtype(in.w),
                .columns = outputs_ / groups_,
                .taps = taps(),
                .depth = group_depth_,
                .column_stride = group_depth_ * taps(),
                .tap_stride = 1,
                .depth_stride = taps()};
    if (depthwise_) weights_.columns = channels_;
    panel_ = product_.panel_for(weights_.columns);
    w_zeros_ = c.has_input(in.w_zero) ? c.shape(in.w_zero).elements() : 0;
    w_scales_ = in.w_scale >= 0 ? c.shape(in.w_scale).elements() : 0;
    cache_weights(c);
    book();
  }

  std::size_t scratch_bytes() const { return scratch_; }
  const char* algorithm() const { return depthwise_ ? "int8 depthwise" : "int8 indirect gemm"; }

  void run(const RunContext& run) const {
    if (empty_) return;
    Call call;
    call.run = &run;
    std::byte* const s = run.scratch;
    call.wide = reinterpret_cast<std::int16_t*>(s + wide_at_);
    call.nothing = reinterpret_cast<std::int16_t*>(s + nothing_at_);
    std::fill_n(reinterpret_cast<std::int16_t*>(s + nothing_at_), padded_, std::int16_t{0});
    call.packed = packed_.get();
    if (packed_ == nullptr) {
      pack(run.inputs[index(in_.w)], zeros(run, in_.w_zero, weights_.dtype, w_zeros_),
           s + packed_at_);
      call.packed = s + packed_at_;
    }
    if (in_.y_scale >= 0) {
      call.scales = reinterpret_cast<float*>(s + scales_at_);
      fill_scales(run, reinterpret_cast<float*>(s + scales_at_));
      call.y_zero = zeros(run, in_.y_zero, y_dtype_, 1)[0];
      if (run.has_in(in_.bias)) call.bias = run.in<std::int32_t>(in_.bias);
    }
    widen(run, call);
    const int threads = std::min(threads_, run.threads);
    const std::int64_t blocks = (rows() + kBlockRows - 1) / kBlockRows;
    const std::int64_t parts = column_parts(blocks, threads);
    parallel_tasks(threads, groups() * blocks * parts, [&](std::int64_t task, int thread) {
      std::byte* const own = s + thread_at_ + static_cast<std::size_t>(thread) * thread_bytes_;
      const std::int64_t block = task / parts % blocks;
      const std::int64_t first = block * kBlockRows, last = std::min(first + kBlockRows, rows());
      if (depthwise_) return depthwise_rows(call, first, last, own);
      tile_rows(call, task / parts / blocks, first, last, task % parts, parts, own);
    });
  }

 private:
  // Pointers of one run.
  struct Call {
    const RunContext* run = nullptr;
    const std::int16_t* nothing = nullptr;  // a row of zeros
    std::int16_t* wide = nullptr;           // [position][padded_]
    const std::byte* packed = nullptr;
    const float* scales = nullptr;  // per output channel; null when sums are the result
    const std::int32_t* bias = nullptr;
    std::int32_t y_zero = 0;
  };

  static std::size_t index(int i) { return static_cast<std::size_t>(i); }
  std::int64_t taps() const { return taps_; }
  std::int64_t positions() const { return size_[0] * size_[1] * size_[2]; }
  std::int64_t out_positions() const { return out_[0] * out_[1] * out_[2]; }
  std::int64_t rows() const { return batch_ * out_positions(); }
  std::int64_t groups() const { return depthwise_ ? 1 : groups_; }
  std::int64_t panels() const { return (weights_.columns + panel_.columns - 1) / panel_.columns; }

  // Splits the columns as well where there are few blocks of rows.
  std::int64_t column_parts(std::int64_t blocks, int threads) const {
    const std::int64_t tasks = std::max<std::int64_t>(1, groups() * blocks);
    if (depthwise_ || threads <= 1 || tasks >= 2 * threads) return 1;
    return std::min(panels(), (2 * threads + tasks - 1) / tasks);
  }

  std::vector<std::int32_t> zeros(const RunContext& run, int input, DType dtype,
                                  std::int64_t count) const {
    return read_zeros(dtype, run.has_in(input) ? run.inputs[index(input)] : nullptr, count);
  }

  std::size_t packed_bytes() const {
    if (depthwise_)
      return static_cast<std::size_t>(checked_multiply(padded_, taps())) * sizeof(std::int32_t);
    return static_cast<std::size_t>(
               checked_multiply(groups_, packed_int_size(weights_, panel_.columns))) *
           sizeof(std::int16_t);
  }

  void cache_weights(LowerContext& c) {
    const Tensor* w = c.content(in_.w);
    const Tensor* zero = c.content(in_.w_zero);
    if (w == nullptr || (w_zeros_ > 0 && zero == nullptr)) return;
    const std::vector<std::int32_t> zero_points =
        read_zeros(weights_.dtype, zero == nullptr ? nullptr : zero->data(), w_zeros_);
    const std::string key = "int conv, panels of " +
                            std::to_string(depthwise_ ? 0 : panel_.columns) + ", groups " +
                            std::to_string(groups_) + ", weights " + c.shape(in_.w).str() +
                            ", zeros " + zeros_key(zero_points);
    packed_ = c.cache().get(*w, key, packed_bytes(),
                            [&](std::byte* to) { pack(w->data(), zero_points, to); });
  }

  void pack(const void* w, const std::vector<std::int32_t>& zero_points, std::byte* to) const {
    IntWeights weights = weights_;
    weights.data = w;
    if (depthwise_)
      return pack_depthwise_weights(weights, zero_points, reinterpret_cast<std::int32_t*>(to));
    const std::int64_t size = packed_int_size(weights, panel_.columns);
    for (std::int64_t g = 0; g < groups_; ++g) {
      weights.data = static_cast<const std::byte*>(w) + g * weights.columns * weights.column_stride;
      std::vector<std::int32_t> own = zero_points;
      if (own.size() > 1)
        own.assign(zero_points.begin() + g * weights.columns,
                   zero_points.begin() + (g + 1) * weights.columns);
      pack_int_weights(weights, own, panel_.columns,
                       reinterpret_cast<std::int16_t*>(to) + g * size);
    }
  }

  void book() {
    const auto take = [&](std::int64_t elements, std::size_t size) {
      const std::size_t at = scratch_;
      const std::int64_t bytes = checked_multiply(elements, static_cast<std::int64_t>(size));
      scratch_ += aligned_size(bytes);
      return at;
    };
    wide_at_ = take(checked_multiply(checked_multiply(batch_, positions()), padded_),
                    sizeof(std::int16_t));
    nothing_at_ = take(padded_, sizeof(std::int16_t));
    if (packed_ == nullptr) packed_at_ = take(static_cast<std::int64_t>(packed_bytes()), 1);
    scales_at_ = take(outputs_, sizeof(float));
    thread_at_ = scratch_;
    pointers_bytes_ = take(checked_multiply(depthwise_ ? 1 : kBlockRows, taps()), sizeof(void*));
    sums_at_ = scratch_ - thread_at_;
    take(depthwise_ ? padded_ : kBlockRows * panel_.columns, sizeof(std::int32_t));
    row_at_ = scratch_ - thread_at_;
    take(std::max<std::int64_t>(padded_, panel_.columns), sizeof(std::int32_t));
    thread_bytes_ = scratch_ - thread_at_;
    scratch_ = thread_at_ + thread_bytes_ * static_cast<std::size_t>(threads_);
  }

  void fill_scales(const RunContext& run, float* scales) const {
    const float x = *run.in<float>(in_.x_scale), y = *run.in<float>(in_.y_scale);
    const float* w = run.in<float>(in_.w_scale);
    for (std::int64_t m = 0; m < outputs_; ++m) scales[m] = x * w[w_scales_ == 1 ? 0 : m] / y;
  }

  void widen(const RunContext& run, const Call& call) const {
    const std::int32_t zero = zeros(run, in_.x_zero, x_dtype_, 1)[0];
    visit_byte(x_dtype_, [&]<class T>(std::type_identity<T>) {
      const T* x = run.in<T>(in_.x);
      const std::int64_t all = batch_ * positions();
      parallel_for(std::min(threads_, run.threads), all,
                   kGrain / std::max<std::int64_t>(1, channels_),
                   [&](std::int64_t begin, std::int64_t end) {
                     if (x_last_) return widen_last<T>(x, zero, call.wide, begin, end);
                     widen_plain<T>(x, zero, call.wide, begin, end);
                   });
    });
  }

  template <class T>
  void widen_last(const T* x, std::int32_t zero, std::int16_t* wide, std::int64_t begin,
                  std::int64_t end) const {
    const auto& rows = quant_rows<T>(quantize_);
    if (padded_ == channels_) {
      return rows.widen((end - begin) * channels_, x + begin * channels_, zero,
                        wide + begin * channels_);
    }
    const std::int64_t pieces = depthwise_ ? 1 : groups_;
    const std::int64_t from = channels_ / pieces, to = padded_ / pieces;
    for (std::int64_t piece = begin * pieces; piece < end * pieces; ++piece) {
      rows.widen(from, x + piece * from, zero, wide + piece * to);
      std::fill(wide + piece * to + from, wide + (piece + 1) * to, std::int16_t{0});
    }
  }

  template <class T>
  void widen_plain(const T* x, std::int32_t zero, std::int16_t* wide, std::int64_t begin,
                   std::int64_t end) const {
    const std::int64_t pieces = depthwise_ ? 1 : groups_;
    const std::int64_t from = channels_ / pieces, to = padded_ / pieces;
    std::fill(wide + begin * padded_, wide + end * padded_, std::int16_t{0});
    for (std::int64_t c = 0; c < channels_; ++c) {
      const std::int64_t column = c / from * to + c % from;
      for (std::int64_t i = begin; i < end; ++i) {
        const std::int64_t n = i / positions(), p = i % positions();
        wide[i * padded_ + column] =
            static_cast<std::int16_t>(x[(n * channels_ + c) * positions() + p] - zero);
      }
    }
  }

  // The rows of activations under each tap of one output position; padding gives `nothing`.
  void gather(const Call& call, std::int64_t row, std::int64_t channel,
              const std::int16_t** to) const {
    const std::int64_t n = row / out_positions();
    std::int64_t rest = row % out_positions();
    Three at;
    for (std::size_t k = 3; k-- > 0; rest /= out_[k]) at[k] = rest % out_[k] * stride_[k] - pad_[k];
    const std::int16_t* image = call.wide + n * positions() * padded_ + channel;
    for (std::int64_t z = 0; z < kernel_[0]; ++z) {
      const std::int64_t iz = at[0] + z * dilation_[0];
      for (std::int64_t y = 0; y < kernel_[1]; ++y) {
        const std::int64_t iy = at[1] + y * dilation_[1];
        const bool inside = iz >= 0 && iz < size_[0] && iy >= 0 && iy < size_[1];
        const std::int64_t line = (iz * size_[1] + iy) * size_[2];
        for (std::int64_t x = 0; x < kernel_[2]; ++x) {
          const std::int64_t ix = at[2] + x * dilation_[2];
          *to++ = inside && ix >= 0 && ix < size_[2] ? image + (line + ix) * padded_ : call.nothing;
        }
      }
    }
  }

  // Rows [first, last) of one group, for one of `parts` shares of its panels.
  void tile_rows(const Call& call, std::int64_t group, std::int64_t first, std::int64_t last,
                 std::int64_t part, std::int64_t parts, std::byte* own) const {
    const auto** pointers = reinterpret_cast<const std::int16_t**>(own);
    auto* sums = reinterpret_cast<std::int32_t*>(own + sums_at_);
    const std::int64_t depth = padded_ / groups_;
    for (std::int64_t row = first; row < last; ++row) {
      gather(call, row, group * depth, pointers + (row - first) * taps());
    }
    kernels::IntTile tile;
    tile.rows = last - first;
    tile.taps = taps();
    tile.pairs = depth / 2;
    tile.a = pointers;
    tile.out = sums;
    const auto* packed = reinterpret_cast<const std::int16_t*>(call.packed) +
                         group * packed_int_size(weights_, panel_.columns);
    for (std::int64_t p = panels() * part / parts; p < panels() * (part + 1) / parts; ++p) {
      tile.packed = packed + p * panel_.columns * taps() * depth;
      panel_.tile(tile);
      const std::int64_t column = p * panel_.columns;
      const std::int64_t count = std::min<std::int64_t>(panel_.columns, weights_.columns - column);
      for (std::int64_t row = first; row < last; ++row) {
        finish(call, row, group * weights_.columns + column, count,
               sums + (row - first) * panel_.columns, own + row_at_);
      }
    }
  }

  void depthwise_rows(const Call& call, std::int64_t first, std::int64_t last,
                      std::byte* own) const {
    const auto** pointers = reinterpret_cast<const std::int16_t**>(own);
    auto* sums = reinterpret_cast<std::int32_t*>(own + sums_at_);
    for (std::int64_t row = first; row < last; ++row) {
      gather(call, row, 0, pointers);
      product_.depthwise(padded_, taps(), pointers,
                         reinterpret_cast<const std::int32_t*>(call.packed), sums);
      finish(call, row, 0, channels_, sums, own + row_at_);
    }
  }

  // Sums of output channels [m, m + count) of one position, to the output's type and place.
  void finish(const Call& call, std::int64_t row, std::int64_t m, std::int64_t count,
              const std::int32_t* sums, std::byte* buffer) const {
    if (call.scales == nullptr) return scatter(call.run->out<std::int32_t>(0), row, m, count, sums);
    visit_byte(y_dtype_, [&]<class T>(std::type_identity<T>) {
      T* const y = call.run->out<T>(0);
      T* const to = y_last_ ? y + row * outputs_ + m : reinterpret_cast<T*>(buffer);
      quant_rows<T>(quantize_).requantize(count, sums,
                                          call.bias == nullptr ? nullptr : call.bias + m,
                                          call.scales + m, call.y_zero, to);
      if (!y_last_) scatter(y, row, m, count, to);
    });
  }

  template <class T>
  void scatter(T* y, std::int64_t row, std::int64_t m, std::int64_t count, const T* values) const {
    const std::int64_t n = row / out_positions(), p = row % out_positions();
    T* to = y + (n * outputs_ + m) * out_positions() + p;
    for (std::int64_t i = 0; i < count; ++i) to[i * out_positions()] = values[i];
  }

  IntConvInputs in_;
  const kernels::IntProduct& product_;
  const kernels::Quantize& quantize_;
  int threads_;
  DType x_dtype_, y_dtype_;
  bool x_last_, y_last_, depthwise_ = false;
  std::int64_t batch_ = 0, channels_ = 0, groups_ = 1, outputs_ = 0, group_depth_ = 0;
  std::int64_t taps_ = 1;    // positions of the kernel
  bool empty_ = false;       // the output is empty
  std::int64_t padded_ = 0;  // channels of a widened row
  Three size_ = {}, out_ = {}, kernel_ = {}, stride_ = {}, dilation_ = {}, pad_ = {};
  kernels::IntPanel panel_;
  IntWeights weights_;  // of one group, without data
  std::int64_t w_zeros_ = 0, w_scales_ = 0;
  std::shared_ptr<const std::byte> packed_;  // null: packed in scratch, each run
  std::size_t scratch_ = 0, wide_at_ = 0, nothing_at_ = 0, packed_at_ = 0, scales_at_ = 0;
  std::size_t thread_at_ = 0, thread_bytes_ = 0, pointers_bytes_ = 0, sums_at_ = 0, row_at_ = 0;
};

}  // namespace

Window int_conv_window(const OpContext& c, const IntConvInputs& inputs) {
  const Shape& x = c.shape(inputs.x);
  const Shape& w = c.shape(inputs.w);
  c.expect_rank(inputs.x, 3, 5);
  c.expect_rank(inputs.w, x.rank(), x.rank());
  const std::int64_t group = c.attr_int("group");
  if (group < 1 || x[1] % group != 0 || w[0] % group != 0 || w[1] != x[1] / group) {
    c.fail("input of shape " + x.str() + " in " + std::to_string(group) +
           " groups does not fit weights of shape " + w.str() +
           " [outputs, channels / groups, kernel...]");
  }
  const std::vector<std::int64_t> kernel(w.begin() + 2, w.end());
  for (std::int64_t k : kernel) {
    if (k < 1 || k > 0x7fffffff) c.fail("weights of shape " + w.str() + " have no kernel");
  }
  const std::vector<std::int64_t> said = c.attr_ints("kernel_shape");
  if (!said.empty() && said != kernel) {
    c.fail("attribute 'kernel_shape' is " + Shape(said).str() + ", the weights have shape " +
           w.str());
  }
  return resolve_window(c, kernel);
}

Step lower_int_conv(LowerContext& c, const IntConvInputs& inputs) {
  auto conv = std::make_shared<const IntConv>(c, inputs);
  Step step;
  step.scratch_bytes = conv->scratch_bytes();
  step.algorithm = conv->algorithm();
  step.run = [conv](const RunContext& run) { conv->run(run); };
  return step;
}

}  // namespace lanewise
