// See int_conv.h. Activations are read in place through pointers, one for each tap of a window, or
// one for each row of taps where few channels would make each sum short; padding points to a pixel
// of zero points.
#include "engine/ops/int_conv.h"

#include <algorithm>
#include <memory>
#include <string>

#include "engine/base/buffer.h"
#include "engine/base/parallel.h"
#include "engine/base/rounding.h"
#include "engine/cpu/byte_depthwise.h"
#include "engine/cpu/byte_product.h"
#include "engine/cpu/conv/rows.h"
#include "engine/cpu/quant_parameters.h"
#include "engine/ops/conv_problem.h"

namespace lanewise {
namespace {

constexpr std::int64_t kBlockRows = 192;         // output positions of a task
constexpr std::int64_t kTableEntries = 1 << 15;  // pointers of a task
constexpr double kTaskMultiplyAdds = 2e6;        // work that is worth a thread
constexpr std::int64_t kLongRow = 128;           // a row of taps longer than this gains nothing

// Groups that are multiplied as one, zeros between them, until they fill a vector.
std::int64_t merged_groups(const ConvProblem& p, std::int64_t lanes) {
  std::int64_t best = 1;
  for (std::int64_t merge = 2; merge <= p.group && p.group_outputs() * merge <= lanes; ++merge) {
    if (p.group % merge == 0) best = merge;
  }
  return best;
}

// Whether one pointer for a row of taps multiplies less padding than one for each tap does.
bool by_tap_rows(const ConvProblem& p) {
  constexpr std::int64_t kWord = 4, kStart = 4;  // of an inner loop, in bytes of depth
  const std::int64_t row = p.kernel[2] * p.channels;
  if (p.group != 1 || p.dilation[2] != 1 || p.kernel[2] == 1 || row > kLongRow) return false;
  return round_up(row, kWord) + kStart < p.kernel[2] * (round_up(p.channels, kWord) + kStart);
}

class IntConv {
 public:
  IntConv(LowerContext& c, const IntConvInputs& in)
      : in_(in), p_(conv_problem(c, int_conv_window(c, in))), x_dtype_(c.dtype(in.x)) {
    const Shape& x = c.shape(in.x);
    (void)x.elements(2, x.rank());  // products of sizes fit, even where there are no channels
    w_dtype_ = c.dtype(in.w);
    y_dtype_ = c.output(0).dtype;
    w_zeros_ = c.has_input(in.w_zero) ? c.shape(in.w_zero).elements() : 0;
    w_scales_ = in.w_scale >= 0 ? c.shape(in.w_scale).elements() : 0;
    real_bias_ = in.bias >= 0 && c.has_input(in.bias) && c.dtype(in.bias) == DType::kFloat32;
    if (in.clamped) {
      low_ = static_cast<std::int32_t>(c.attr_int("low"));
      high_ = static_cast<std::int32_t>(c.attr_int("high"));
    }
    depthwise_ = p_.group == p_.channels && p_.group == p_.outputs && p_.group > 1;
    threads_ = threads_worth(p_.multiply_adds(), kTaskMultiplyAdds, c.threads());
    const bool is_signed = x_dtype_ == DType::kInt8;
    if (depthwise_) {
      depthwise_kernel_ = ByteDepthwise(c.isa(), is_signed, p_);
    } else {
      plan_product(c.isa(), is_signed);
    }
    cache_weights(c);
    book(c);
  }

  std::size_t scratch_bytes() const { return scratch_; }
  const char* algorithm() const {
    return depthwise_ ? "int8 depthwise" : tap_rows_ ? "int8 by rows" : "int8 indirect";
  }

  void run(const RunContext& run) const {
    const std::byte* packed = packed_.get();
    if (packed == nullptr) {
      pack(run.inputs[index(in_.w)], zeros(run.inputs, in_.w_zero, w_dtype_, w_zeros_),
           run.scratch + packed_at_);
      packed = run.scratch + packed_at_;
    }
    const std::byte* prepared = prepared_.get();
    if (prepared == nullptr) {
      prepare(run.inputs, packed, run.scratch + prepared_at_);
      prepared = run.scratch + prepared_at_;
    }
    const int threads = std::min(threads_, run.threads);
    if (depthwise_) return run_depthwise(run, packed, prepared, threads);
    parallel_tasks(threads, row_blocks_ * column_chunks_, [&](std::int64_t task, int thread) {
      run_task(run, packed, prepared, task, own(run, thread));
    });
  }

 private:
  using Inputs = std::span<const void* const>;

  static std::size_t index(int i) { return static_cast<std::size_t>(i); }
  static bool has(Inputs inputs, int i) {
    return i >= 0 && index(i) < inputs.size() && inputs[index(i)] != nullptr;
  }
  template <class T>
  static const T* input(Inputs inputs, int i) {
    return static_cast<const T*>(inputs[index(i)]);
  }
  std::byte* own(const RunContext& run, int thread) const {
    return run.scratch + thread_at_ + static_cast<std::size_t>(thread) * thread_bytes_;
  }

  void plan_product(Isa isa, bool is_signed) {
    const std::int64_t merge = merged_groups(p_, kernels::byte_gemm(isa).lanes);
    groups_ = p_.group / merge;
    tap_rows_ = by_tap_rows(p_);
    const std::int64_t run = tap_rows_ ? p_.kernel[2] : 1;
    channels_ = p_.group_channels() * merge;
    ByteWeights weights{.dtype = w_dtype_,
                        .columns = p_.group_outputs() * merge,
                        .taps = p_.taps() / run,
                        .depth = channels_ * run,
                        .column_stride = p_.group_channels() * p_.taps(),
                        .tap_stride = run,
                        .depth_stride = p_.taps(),
                        .groups = merge,
                        .run = run};
    product_ = ByteProduct(isa, is_signed, weights);
    taps_ = weights.taps;
    const std::int64_t rows = p_.batch * p_.out_pixels(), tile = product_.tile_rows();
    const std::int64_t most = std::clamp(kTableEntries / taps_, tile, kBlockRows);
    std::int64_t blocks = std::max<std::int64_t>(1, divide_up(rows, most));
    if (rows >= 2 * tile * threads_) blocks = round_up(blocks, threads_);
    block_rows_ = round_up(divide_up(rows, blocks), tile);
    row_blocks_ = block_rows_ == 0 ? 0 : divide_up(rows, block_rows_);
    if (threads_ > 1 && row_blocks_ < threads_) {
      column_chunks_ =
          std::clamp<std::int64_t>(divide_up(2 * threads_, std::max<std::int64_t>(1, row_blocks_)),
                                   1, std::max<std::int64_t>(1, units()));
    }
  }

  std::int64_t units() const { return groups_ * product_.columns().panels(); }
  const ByteColumns& columns() const {
    return depthwise_ ? depthwise_kernel_.columns() : product_.columns();
  }

  std::vector<std::int32_t> zeros(Inputs inputs, int i, DType dtype, std::int64_t count) const {
    return read_zeros(dtype, has(inputs, i) ? inputs[index(i)] : nullptr, count);
  }

  std::size_t group_bytes() const { return product_.packed_bytes(); }
  std::size_t packed_bytes() const {
    if (depthwise_) return depthwise_kernel_.packed_bytes();
    return static_cast<std::size_t>(
        checked_multiply(groups_, static_cast<std::int64_t>(group_bytes())));
  }

  void pack(const void* w, const std::vector<std::int32_t>& zero_points, std::byte* to) const {
    if (depthwise_) return depthwise_kernel_.pack(w, w_dtype_, zero_points, to);
    const std::int64_t outputs = product_.columns().columns;
    for (std::int64_t g = 0; g < groups_; ++g) {
      std::vector<std::int32_t> own_zeros = zero_points;
      if (own_zeros.size() > 1)
        own_zeros.assign(zero_points.begin() + g * outputs,
                         zero_points.begin() + (g + 1) * outputs);
      product_.pack(
          static_cast<const std::byte*>(w) + g * outputs * p_.group_channels() * p_.taps(),
          own_zeros, to + static_cast<std::size_t>(g) * group_bytes());
    }
  }

  void cache_weights(LowerContext& c) {
    const Tensor* w = c.content(in_.w);
    const Tensor* zero = c.content(in_.w_zero);
    if (w == nullptr || (w_zeros_ > 0 && zero == nullptr)) return;
    const std::vector<std::int32_t> zero_points =
        read_zeros(w_dtype_, zero == nullptr ? nullptr : zero->data(), w_zeros_);
    const std::string key = (depthwise_ ? "byte depthwise l" + std::to_string(columns().lanes)
                                        : product_.key() + " x" + std::to_string(groups_)) +
                            (x_dtype_ == DType::kInt8 ? " signed " : " ") + c.shape(in_.w).str() +
                            ", zeros " + zeros_key(zero_points);
    packed_ = c.cache().get(*w, key, packed_bytes(),
                            [&](std::byte* to) { pack(w->data(), zero_points, to); });
  }

  // What prepare() makes: starts, scales and shifts of each group, then a pixel of padding.
  std::int64_t places() const { return groups_ * columns().places(); }
  std::size_t array_bytes() const { return aligned_size(checked_multiply(places(), 4)); }
  // A row of taps, and as far as whole words of it reach.
  std::int64_t row() const { return p_.channels * p_.kernel[2]; }
  std::int64_t row_bytes() const { return round_up(row(), 4); }
  std::int64_t padding_bytes() const { return tap_rows_ ? row_bytes() : p_.channels; }

  void book(LowerContext& c) {
    const auto take = [&](std::size_t bytes) {
      const std::size_t at = scratch_;
      scratch_ += aligned_size(bytes);
      return at;
    };
    const std::size_t prepared = 3 * array_bytes() + aligned_size(padding_bytes());
    std::vector<const void*> known(static_cast<std::size_t>(c.num_inputs()), nullptr);
    bool constant = packed_ != nullptr;
    for (int i : {in_.x_zero, in_.x_scale, in_.w_scale, in_.y_scale, in_.y_zero, in_.bias}) {
      if (i < 0 || !c.has_input(i)) continue;
      constant = constant && c.content(i) != nullptr;
      if (constant) known[index(i)] = c.content(i)->data();
    }
    if (constant) {
      auto made = allocate_shared(prepared);
      prepare(known, packed_.get(), made.get());
      prepared_ = made;
    } else {
      prepared_at_ = take(prepared);
    }
    if (packed_ == nullptr) packed_at_ = take(packed_bytes());
    thread_at_ = scratch_;
    if (depthwise_) {
      take(static_cast<std::size_t>(
          checked_multiply(depthwise_kernel_.kernel_rows(), sizeof(void*))));
    } else {
      take(static_cast<std::size_t>(
          checked_multiply(checked_multiply(block_rows_, taps_), sizeof(void*))));
      adds_at_ = scratch_ - thread_at_;
      take(static_cast<std::size_t>(block_rows_) * sizeof(std::int32_t));
      edges_at_ = scratch_ - thread_at_;
      if (tap_rows_) take(static_cast<std::size_t>(block_rows_ * taps_ * row_bytes()));
    }
    thread_bytes_ = scratch_ - thread_at_;
    scratch_ = thread_at_ + thread_bytes_ * static_cast<std::size_t>(threads_);
  }

  void prepare(Inputs inputs, const std::byte* packed, std::byte* to) const {
    auto* starts = reinterpret_cast<std::int32_t*>(to);
    auto* scales = reinterpret_cast<float*>(to + array_bytes());
    auto* shifts = reinterpret_cast<float*>(to + 2 * array_bytes());
    const std::int32_t x_zero = zeros(inputs, in_.x_zero, x_dtype_, 1)[0];
    std::fill_n(reinterpret_cast<std::uint8_t*>(to + 3 * array_bytes()), padding_bytes(),
                static_cast<std::uint8_t>(x_zero));
    const std::int64_t n = columns().columns;
    for (std::int64_t g = 0; g < groups_; ++g) {
      const std::int64_t at = g * columns().places();
      const std::byte* group = packed + static_cast<std::size_t>(g) * group_bytes();
      const bool whole = has(inputs, in_.bias) && !real_bias_;
      columns().fill_starts(depthwise_ ? depthwise_kernel_.sums(packed) : product_.sums(group),
                            depthwise_ ? depthwise_kernel_.counted(x_zero) : x_zero,
                            whole ? input<std::int32_t>(inputs, in_.bias) + g * n : nullptr,
                            starts + at);
      if (in_.y_scale < 0) continue;
      const bool each = w_scales_ > 1;
      const float y_scale = *input<float>(inputs, in_.y_scale);
      columns().spread(input<float>(inputs, in_.w_scale) + (each ? g * n : 0), each,
                       *input<float>(inputs, in_.x_scale), y_scale, scales + at);
      if (real_bias_) {
        columns().spread(input<float>(inputs, in_.bias) + g * n, true, 1.0f, y_scale, shifts + at);
      }
    }
  }

  // The result's form, its arrays at the first place of a group.
  kernels::ByteOutput output(const RunContext& run, const std::byte* prepared,
                             std::int64_t group) const {
    kernels::ByteOutput result;
    if (in_.y_scale < 0) return result;
    const bool is_signed = y_dtype_ == DType::kInt8;
    result.type = is_signed ? kernels::ByteResult::kSigned : kernels::ByteResult::kUnsigned;
    const std::int64_t at = group * columns().places();
    result.scales = reinterpret_cast<const float*>(prepared + array_bytes()) + at;
    if (real_bias_)
      result.shifts = reinterpret_cast<const float*>(prepared + 2 * array_bytes()) + at;
    result.zero = zeros(run.inputs, in_.y_zero, y_dtype_, 1)[0];
    result.low = std::max(low_, is_signed ? -128 : 0);
    result.high = std::min(high_, is_signed ? 127 : 255);
    return result;
  }

  void run_depthwise(const RunContext& run, const std::byte* packed, const std::byte* prepared,
                     int threads) const {
    const kernels::ByteOutput form = output(run, prepared, 0);
    const auto* nothing = reinterpret_cast<const std::uint8_t*>(prepared + 3 * array_bytes());
    const std::int64_t rows = p_.batch * p_.out[0] * p_.out[1];
    const std::int64_t block = std::max<std::int64_t>(1, rows / (4 * threads));
    parallel_tasks(threads, divide_up(rows, block), [&](std::int64_t task, int thread) {
      auto** pointers = reinterpret_cast<const std::uint8_t**>(own(run, thread));
      for (std::int64_t row = task * block; row < std::min(rows, (task + 1) * block); ++row) {
        depthwise_kernel_.run_row(run.in<std::uint8_t>(in_.x), nothing, packed,
                                  reinterpret_cast<const std::int32_t*>(prepared), form, row,
                                  pointers, run.outputs[0]);
      }
    });
  }

  // A block of rows times a chunk of the panels of all groups.
  void run_task(const RunContext& run, const std::byte* packed, const std::byte* prepared,
                std::int64_t task, std::byte* scratch) const {
    const std::int64_t first = task / column_chunks_ * block_rows_;
    const std::int64_t count = std::min(block_rows_, p_.batch * p_.out_pixels() - first);
    const std::int64_t chunk = task % column_chunks_;
    const std::int64_t last = units() * (chunk + 1) / column_chunks_;
    auto** table = reinterpret_cast<const std::uint8_t**>(scratch);
    const auto* nothing = reinterpret_cast<const std::uint8_t*>(prepared + 3 * array_bytes());
    const auto* x = run.in<std::uint8_t>(in_.x);
    if (tap_rows_) {
      point_to_tap_rows(p_, x, nothing, first, count, table, block_rows_,
                        reinterpret_cast<std::uint8_t*>(scratch + edges_at_), row_bytes() - row());
    } else {
      point_to_taps(p_, x, nothing, first, count, table, block_rows_);
    }
    const std::int64_t panels = product_.columns().panels(), n = product_.columns().columns;
    const std::size_t element = in_.y_scale < 0 ? sizeof(std::int32_t) : 1;
    for (std::int64_t unit = units() * chunk / column_chunks_; unit < last;) {
      const std::int64_t group = unit / panels, begin = unit % panels;
      const std::int64_t end = std::min(panels, begin + last - unit);
      ByteTarget target;
      target.out = static_cast<std::byte*>(run.outputs[0]) +
                   static_cast<std::size_t>(first * p_.outputs + group * n) * element;
      target.ldc = p_.outputs;
      target.starts =
          reinterpret_cast<const std::int32_t*>(prepared) + group * product_.columns().places();
      target.output = output(run, prepared, group);
      product_.run({table, block_rows_, group * channels_, count, tap_rows_},
                   packed + static_cast<std::size_t>(group) * group_bytes(), begin, end, target,
                   reinterpret_cast<std::int32_t*>(scratch + adds_at_));
      unit += end - begin;
    }
  }

  IntConvInputs in_;
  ConvProblem p_;
  DType x_dtype_, w_dtype_ = DType::kInt8, y_dtype_ = DType::kInt8;
  int threads_ = 1;
  bool depthwise_ = false, tap_rows_ = false, real_bias_ = false;
  std::int64_t w_zeros_ = 0, w_scales_ = 0;
  std::int32_t low_ = -128, high_ = 255;               // within what the result's type holds
  std::int64_t groups_ = 1, channels_ = 0, taps_ = 1;  // after merging; channels of a group
  std::int64_t block_rows_ = 0, row_blocks_ = 0, column_chunks_ = 1;
  ByteProduct product_;
  ByteDepthwise depthwise_kernel_;
  std::shared_ptr<const std::byte> packed_;    // null: in scratch, each run
  std::shared_ptr<const std::byte> prepared_;  // likewise
  std::size_t scratch_ = 0, packed_at_ = 0, prepared_at_ = 0;
  std::size_t thread_at_ = 0, thread_bytes_ = 0, adds_at_ = 0, edges_at_ = 0;
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
  Step step;
  if (c.out_shape(0).elements() == 0) {
    step.algorithm = "empty";
    step.run = [](const RunContext&) {};
    return step;
  }
  auto conv = std::make_shared<const IntConv>(c, inputs);
  step.scratch_bytes = conv->scratch_bytes();
  step.algorithm = conv->algorithm();
  step.run = [conv](const RunContext& run) { conv->run(run); };
  return with_channels_last(std::move(step), c, {inputs.x});
}

}  // namespace lanewise
