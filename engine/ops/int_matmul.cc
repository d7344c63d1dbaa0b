// Products of matrices of 8-bit integers with exact int32 sums; rows of A are read in place.

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engine/base/buffer.h"
#include "engine/base/parallel.h"
#include "engine/base/rounding.h"
#include "engine/cpu/byte_product.h"
#include "engine/cpu/quant_parameters.h"
#include "engine/graph/layout.h"
#include "engine/ops/quant_product.h"

namespace lanewise {
namespace {

constexpr std::int64_t kBlockRows = 192;   // of a task
constexpr double kTaskMultiplyAdds = 2e6;  // work that is worth a thread

class IntMatMul {
 public:
  IntMatMul(LowerContext& c, const ProductInputs& in)
      : in_(in),
        sizes_(sizes_of(c, in)),
        quantize_(kernels::quantize(c.isa())),
        a_dtype_(c.dtype(in.a)),
        b_dtype_(c.dtype(in.b)),
        y_dtype_(c.output(0).dtype) {
    const bool transposed = transposes_b(c, in);
    const ByteWeights weights{.dtype = b_dtype_,
                              .columns = sizes_.n,
                              .depth = sizes_.k,
                              .column_stride = transposed ? sizes_.k : 1,
                              .depth_stride = transposed ? 1 : sizes_.n};
    product_ = ByteProduct(c.isa(), a_dtype_ == DType::kInt8, weights);
    b_matrices_ = sizes_.b_batch.elements();
    a_strides_ = broadcast_strides(sizes_.a_batch, Layout::kPlain, sizes_.batch, Layout::kPlain);
    b_strides_ = broadcast_strides(sizes_.b_batch, Layout::kPlain, sizes_.batch, Layout::kPlain);
    a_zeros_ = count(c, in.a_zero);
    b_zeros_ = count(c, in.b_zero);
    a_scales_ = count(c, in.a_scale);
    b_scales_ = count(c, in.b_scale);
    by_row_ = a_zeros_ > 1 || a_scales_ > 1;
    real_bias_ = in.bias >= 0 && c.has_input(in.bias) && c.dtype(in.bias) == DType::kFloat32;
    if (in.fused) {
      low_ = static_cast<std::int32_t>(c.attr_int("low"));
      high_ = static_cast<std::int32_t>(c.attr_int("high"));
    }
    plan_tasks(c.threads());
    cache_weights(c);
    book();
  }

  std::size_t scratch_bytes() const { return scratch_; }

  void run(const RunContext& run) const {
    if (sizes_.out.elements() == 0) return;
    const std::byte* packed = packed_.get();
    if (packed == nullptr) {
      pack(run.inputs[index(in_.b)], zeros(run, in_.b_zero, b_dtype_, b_zeros_),
           run.scratch + packed_at_);
      packed = run.scratch + packed_at_;
    }
    for (std::int64_t i = 0; i < b_matrices_; ++i) {
      prepare(run, packed, i, run.scratch + static_cast<std::size_t>(i) * prepared_bytes());
    }
    const std::int64_t blocks = divide_up(sizes_.m, block_rows_), parts = column_parts_;
    parallel_tasks(std::min(threads_, run.threads), sizes_.batch.elements() * blocks * parts,
                   [&](std::int64_t task, int thread) {
                     std::byte* const own = run.scratch + thread_at_ +
                                            static_cast<std::size_t>(thread) * thread_bytes_;
                     multiply(run, packed, task / parts / blocks,
                              task / parts % blocks * block_rows_, task % parts, own);
                   });
  }

 private:
  static std::size_t index(int i) { return static_cast<std::size_t>(i); }
  static std::int64_t count(const OpContext& c, int i) {
    return i >= 0 && c.has_input(i) ? c.shape(i).elements() : 0;
  }
  std::int64_t panels() const { return product_.columns().panels(); }
  std::int64_t places() const { return product_.columns().places(); }
  std::size_t packed_bytes() const {
    return static_cast<std::size_t>(
        checked_multiply(b_matrices_, static_cast<std::int64_t>(product_.packed_bytes())));
  }

  std::vector<std::int32_t> zeros(const RunContext& run, int input, DType dtype,
                                  std::int64_t n) const {
    return read_zeros(dtype, run.has_in(input) ? run.inputs[index(input)] : nullptr, n);
  }

  void plan_tasks(int threads) {
    const std::int64_t matrices = sizes_.batch.elements();
    const double work = static_cast<double>(matrices) * static_cast<double>(sizes_.m) *
                        static_cast<double>(sizes_.n) * static_cast<double>(sizes_.k);
    threads_ = threads_worth(work, kTaskMultiplyAdds, threads);
    const std::int64_t tile = product_.tile_rows();
    const std::int64_t blocks = std::max<std::int64_t>(1, divide_up(sizes_.m, kBlockRows));
    block_rows_ = std::max<std::int64_t>(1, round_up(divide_up(sizes_.m, blocks), tile));
    const std::int64_t tasks = std::max<std::int64_t>(1, matrices * blocks);
    if (threads_ > 1 && tasks < 2 * threads_) {
      column_parts_ = std::clamp<std::int64_t>(divide_up(2 * threads_, tasks), 1,
                                               std::max<std::int64_t>(1, panels()));
    }
  }

  void cache_weights(LowerContext& c) {
    const Tensor* b = c.content(in_.b);
    const Tensor* zero = c.content(in_.b_zero);
    if (b == nullptr || (b_zeros_ > 0 && zero == nullptr)) return;
    const std::vector<std::int32_t> zero_points =
        read_zeros(b_dtype_, zero == nullptr ? nullptr : zero->data(), b_zeros_);
    const std::string key = product_.key() + (transposes_b(c, in_) ? ", transposed " : ", ") +
                            c.shape(in_.b).str() + ", zeros " + zeros_key(zero_points);
    packed_ = c.cache().get(*b, key, packed_bytes(),
                            [&](std::byte* to) { pack(b->data(), zero_points, to); });
  }

  void pack(const void* b, const std::vector<std::int32_t>& zero_points, std::byte* to) const {
    for (std::int64_t i = 0; i < b_matrices_; ++i) {
      std::vector<std::int32_t> own = zero_points;
      if (own.size() > 1) {
        const std::int64_t first = pick(b_zeros_, sizes_.n, i, 0);
        own.assign(zero_points.begin() + first, zero_points.begin() + first + sizes_.n);
      }
      product_.pack(static_cast<const std::byte*>(b) + i * sizes_.k * sizes_.n, own,
                    to + static_cast<std::size_t>(i) * product_.packed_bytes());
    }
  }

  // For each matrix of B: what its columns' sums begin with, their scales and shifts.
  std::size_t array_bytes() const { return aligned_size(checked_multiply(places(), 4)); }
  std::size_t prepared_bytes() const { return 3 * array_bytes(); }

  void book() {
    const auto take = [&](std::int64_t bytes) {
      const std::size_t at = scratch_;
      scratch_ += aligned_size(bytes);
      return at;
    };
    take(checked_multiply(b_matrices_, static_cast<std::int64_t>(prepared_bytes())));
    if (packed_ == nullptr) packed_at_ = take(static_cast<std::int64_t>(packed_bytes()));
    thread_at_ = scratch_;
    take(block_rows_ * static_cast<std::int64_t>(sizeof(void*)));
    adds_at_ = scratch_ - thread_at_;
    take(block_rows_ * 4);
    if (by_row_) {
      sums_at_ = scratch_ - thread_at_;
      take(checked_multiply(checked_multiply(block_rows_, sizes_.n), 4));
      scales_at_ = scratch_ - thread_at_;
      take(checked_multiply(sizes_.n, 4));
    }
    thread_bytes_ = scratch_ - thread_at_;
    scratch_ = thread_at_ + thread_bytes_ * static_cast<std::size_t>(threads_);
  }

  void prepare(const RunContext& run, const std::byte* packed, std::int64_t i,
               std::byte* to) const {
    const ByteColumns& columns = product_.columns();
    const std::int32_t zero = by_row_ ? 0 : zeros(run, in_.a_zero, a_dtype_, 1)[0];
    const bool has_bias = run.has_in(in_.bias) && in_.bias >= 0;
    columns.fill_starts(
        product_.sums(packed + static_cast<std::size_t>(i) * product_.packed_bytes()), zero,
        has_bias && !real_bias_ ? run.in<std::int32_t>(in_.bias) : nullptr,
        reinterpret_cast<std::int32_t*>(to));
    if (in_.y_scale < 0 || by_row_) return;
    const float y_scale = *run.in<float>(in_.y_scale);
    columns.spread(run.in<float>(in_.b_scale) + pick(b_scales_, sizes_.n, i, 0), b_scales_ > 1,
                   *run.in<float>(in_.a_scale), y_scale,
                   reinterpret_cast<float*>(to + array_bytes()));
    if (has_bias && real_bias_) {
      columns.spread(run.in<float>(in_.bias), true, 1.0f, y_scale,
                     reinterpret_cast<float*>(to + 2 * array_bytes()));
    }
  }

  // A block of rows from `first` on of one matrix, for one of the shares of the columns.
  void multiply(const RunContext& run, const std::byte* packed, std::int64_t i, std::int64_t first,
                std::int64_t part, std::byte* own) const {
    const std::int64_t a = operand_matrix(sizes_, i, a_strides_),
                       b = operand_matrix(sizes_, i, b_strides_);
    const std::int64_t rows = std::min(block_rows_, sizes_.m - first);
    auto** table = reinterpret_cast<const std::uint8_t**>(own);
    for (std::int64_t r = 0; r < rows; ++r)
      table[r] = run.in<std::uint8_t>(in_.a) + (a * sizes_.m + first + r) * sizes_.k;
    const std::byte* prepared = run.scratch + static_cast<std::size_t>(b) * prepared_bytes();
    ByteTarget target;
    target.ldc = sizes_.n;
    target.starts = reinterpret_cast<const std::int32_t*>(prepared);
    const std::int64_t at = (i * sizes_.m + first) * sizes_.n;
    const bool sums = in_.y_scale < 0;
    target.out = static_cast<std::byte*>(run.outputs[0]) + (sums ? 4 * at : at);
    if (by_row_) target.out = own + sums_at_;
    if (!sums && !by_row_) target.output = output(run, prepared);
    const std::int64_t begin = panels() * part / column_parts_;
    const std::int64_t end = panels() * (part + 1) / column_parts_;
    const std::byte* weights = packed + static_cast<std::size_t>(b) * product_.packed_bytes();
    product_.run({table, rows, 0, rows}, weights, begin, end, target,
                 reinterpret_cast<std::int32_t*>(own + adds_at_));
    if (by_row_) finish_rows(run, weights, {a, b, at, first, rows}, begin, end, own);
  }

  kernels::ByteOutput output(const RunContext& run, const std::byte* prepared) const {
    const bool is_signed = y_dtype_ == DType::kInt8;
    kernels::ByteOutput result;
    result.type = is_signed ? kernels::ByteResult::kSigned : kernels::ByteResult::kUnsigned;
    result.scales = reinterpret_cast<const float*>(prepared + array_bytes());
    if (real_bias_) result.shifts = reinterpret_cast<const float*>(prepared + 2 * array_bytes());
    result.zero = zeros(run, in_.y_zero, y_dtype_, 1)[0];
    result.low = std::max(low_, is_signed ? -128 : 0);
    result.high = std::min(high_, is_signed ? 127 : 255);
    return result;
  }

  struct Block {
    std::int64_t a, b, at, first, rows;
  };

  // Where rows of A have zero points or scales of their own: sums to results, row by row.
  void finish_rows(const RunContext& run, const std::byte* weights, const Block& block,
                   std::int64_t begin, std::int64_t end, std::byte* own) const {
    const ByteColumns& columns = product_.columns();
    const std::vector<std::int32_t> a_zero = zeros(run, in_.a_zero, a_dtype_, a_zeros_);
    auto* const sums = reinterpret_cast<std::int32_t*>(own + sums_at_);
    auto* const scales = reinterpret_cast<float*>(own + scales_at_);
    const std::int64_t from = begin * columns.width();
    const std::int64_t n = std::min(end * columns.width(), sizes_.n) - from;
    for (std::int64_t r = 0; r < block.rows; ++r) {
      const std::int64_t row = block.first + r;
      std::int32_t* const to = sums + r * sizes_.n;
      const auto zero = static_cast<std::uint32_t>(a_zero[static_cast<std::size_t>(
          a_zeros_ <= 1 ? 0 : pick(a_zeros_, sizes_.m, block.a, row))]);
      for (std::int64_t place = from; place < std::min(end * columns.width(), places()); ++place) {
        const std::int64_t column = columns.column_at(place);
        if (column >= sizes_.n) continue;
        const auto sum = static_cast<std::uint32_t>(product_.sums(weights)[place]);
        to[column] = static_cast<std::int32_t>(static_cast<std::uint32_t>(to[column]) - zero * sum);
      }
      const std::int64_t at = block.at + r * sizes_.n + from;
      if (in_.y_scale < 0) {
        std::copy_n(to + from, n, run.out<std::int32_t>(0) + at);
        continue;
      }
      const float left = run.in<float>(in_.a_scale)[pick(a_scales_, sizes_.m, block.a, row)];
      const float y = *run.in<float>(in_.y_scale);
      const float* right = run.in<float>(in_.b_scale);
      for (std::int64_t j = 0; j < n; ++j)
        scales[j] = left * right[pick(b_scales_, sizes_.n, block.b, from + j)] / y;
      visit_byte(y_dtype_, [&]<class T>(std::type_identity<T>) {
        const std::int32_t y_zero = zeros(run, in_.y_zero, y_dtype_, 1)[0];
        quant_rows<T>(quantize_).requantize(n, to + from, nullptr, scales, y_zero,
                                            run.out<T>(0) + at);
      });
    }
  }

  ProductInputs in_;
  ProductSizes sizes_;
  const kernels::Quantize& quantize_;
  int threads_ = 1;
  DType a_dtype_, b_dtype_, y_dtype_;
  ByteProduct product_;
  std::int64_t b_matrices_ = 1, block_rows_ = 1, column_parts_ = 1;
  std::vector<std::int64_t> a_strides_, b_strides_;
  std::int64_t a_zeros_ = 0, b_zeros_ = 0, a_scales_ = 0, b_scales_ = 0;
  bool by_row_ = false, real_bias_ = false;
  std::int32_t low_ = -128, high_ = 255;     // within what the result's type holds
  std::shared_ptr<const std::byte> packed_;  // null: packed in scratch, each run
  std::size_t scratch_ = 0, packed_at_ = 0, thread_at_ = 0, thread_bytes_ = 0, adds_at_ = 0,
              sums_at_ = 0, scales_at_ = 0;
};

}  // namespace

Step lower_int_matmul(LowerContext& c, const ProductInputs& in) {
  auto matmul = std::make_shared<const IntMatMul>(c, in);
  Step step;
  step.scratch_bytes = matmul->scratch_bytes();
  step.algorithm = "int8 gemm";
  step.run = [matmul](const RunContext& run) { matmul->run(run); };
  return step;
}

}  // namespace lanewise
