// QLinearMatMul and MatMulInteger: products of 8-bit matrices with exact int32 sums.
#include <algorithm>
#include <memory>
#include <string>

#include "engine/base/buffer.h"
#include "engine/base/parallel.h"
#include "engine/cpu/int_pack.h"
#include "engine/graph/layout.h"
#include "engine/graph/op.h"
#include "engine/ops/quant_product.h"

namespace lanewise {
namespace {

constexpr std::int64_t kBlockRows = 48;  // whole register tiles

constexpr ProductInputs kInteger = {.a = 0, .a_zero = 2, .b = 1, .b_zero = 3};

Shape checked_shape(const OpContext& c, const ProductInputs& in) {
  expect_bytes(c, in.a);
  expect_bytes(c, in.b);
  if (c.has_input(in.a_zero)) c.expect_same_dtype(in.a_zero, in.a);
  if (c.has_input(in.b_zero)) c.expect_same_dtype(in.b_zero, in.b);
  const ProductSizes s = sizes_of(c, in);
  expect_count(c, in.a_zero, s.m, s.a_batch);
  expect_count(c, in.b_zero, s.n, s.b_batch);
  return s.out;
}

void infer_qlinear(InferContext& c) {
  if (has_small_floats(c)) return infer_small_product(c);
  const Shape out = checked_shape(c, kQLinear);
  const ProductSizes s = sizes_of(c, kQLinear);
  expect_product_scales(c, s);
  expect_bytes(c, kQLinear.y_zero);
  expect_zero(c, kQLinear.y_zero, c.dtype(kQLinear.y_zero));
  c.set_output(0, c.dtype(kQLinear.y_zero), out);
}

void infer_integer(InferContext& c) { c.set_output(0, DType::kInt32, checked_shape(c, kInteger)); }

class IntMatMul {
 public:
  IntMatMul(LowerContext& c, const ProductInputs& in)
      : in_(in),
        sizes_(sizes_of(c, in)),
        product_(kernels::int_product(c.isa())),
        quantize_(kernels::quantize(c.isa())),
        threads_(c.threads()),
        a_dtype_(c.dtype(in.a)),
        y_dtype_(c.output(0).dtype),
        depth_((sizes_.k + 1) / 2 * 2) {
    weights_ = {.data = nullptr,
                .dtype = c.dtype(in.b),
                .columns = sizes_.n,
                .taps = 1,
                .depth = sizes_.k,
                .column_stride = 1,
                .tap_stride = 0,
                .depth_stride = sizes_.n};
    panel_ = product_.panel_for(sizes_.n);
    a_matrices_ = sizes_.a_batch.elements();
    b_matrices_ = sizes_.b_batch.elements();
    a_strides_ = broadcast_strides(sizes_.a_batch, Layout::kPlain, sizes_.batch, Layout::kPlain);
    b_strides_ = broadcast_strides(sizes_.b_batch, Layout::kPlain, sizes_.batch, Layout::kPlain);
    a_zeros_ = count(c, in.a_zero);
    b_zeros_ = count(c, in.b_zero);
    a_scales_ = count(c, in.a_scale);
    b_scales_ = count(c, in.b_scale);
    cache_weights(c);
    book();
  }

  std::size_t scratch_bytes() const { return scratch_; }

  void run(const RunContext& run) const {
    if (sizes_.out.elements() == 0) return;
    auto* wide = reinterpret_cast<std::int16_t*>(run.scratch);
    const std::byte* packed = packed_.get();
    if (packed == nullptr) {
      pack(run.inputs[index(in_.b)], zeros(run, in_.b_zero, weights_.dtype, b_zeros_),
           run.scratch + packed_at_);
      packed = run.scratch + packed_at_;
    }
    const int threads = std::min(threads_, run.threads);
    widen(run, wide, threads);
    const std::int64_t blocks = (sizes_.m + kBlockRows - 1) / kBlockRows;
    const std::int64_t matrices = sizes_.batch.elements();
    const std::int64_t tasks = std::max<std::int64_t>(1, matrices * blocks);
    const std::int64_t parts = threads <= 1
                                   ? 1
                                   : std::clamp<std::int64_t>((2 * threads + tasks - 1) / tasks, 1,
                                                              std::max<std::int64_t>(1, panels()));
    parallel_tasks(threads, matrices * blocks * parts, [&](std::int64_t task, int thread) {
      std::byte* const own =
          run.scratch + thread_at_ + static_cast<std::size_t>(thread) * thread_bytes_;
      multiply(run, wide, packed, task / parts / blocks, task / parts % blocks * kBlockRows,
               task % parts, parts, own);
    });
  }

 private:
  static std::size_t index(int i) { return static_cast<std::size_t>(i); }
  static std::int64_t count(const OpContext& c, int i) {
    return i >= 0 && c.has_input(i) ? c.shape(i).elements() : 0;
  }
  std::int64_t panels() const { return (sizes_.n + panel_.columns - 1) / panel_.columns; }
  std::size_t packed_bytes() const {
    return static_cast<std::size_t>(
               checked_multiply(b_matrices_, packed_int_size(weights_, panel_.columns))) *
           2;
  }

  std::vector<std::int32_t> zeros(const RunContext& run, int input, DType dtype,
                                  std::int64_t n) const {
    return read_zeros(dtype, run.has_in(input) ? run.inputs[index(input)] : nullptr, n);
  }

  void cache_weights(LowerContext& c) {
    const Tensor* b = c.content(in_.b);
    const Tensor* zero = c.content(in_.b_zero);
    if (b == nullptr || (b_zeros_ > 0 && zero == nullptr)) return;
    const std::vector<std::int32_t> zero_points =
        read_zeros(weights_.dtype, zero == nullptr ? nullptr : zero->data(), b_zeros_);
    const std::string key = "int matmul, panels of " + std::to_string(panel_.columns) + ", " +
                            c.shape(in_.b).str() + ", zeros " + zeros_key(zero_points);
    packed_ = c.cache().get(*b, key, packed_bytes(),
                            [&](std::byte* to) { pack(b->data(), zero_points, to); });
  }

  void pack(const void* b, const std::vector<std::int32_t>& zero_points, std::byte* to) const {
    const std::int64_t size = packed_int_size(weights_, panel_.columns);
    for (std::int64_t i = 0; i < b_matrices_; ++i) {
      IntWeights w = weights_;
      w.data = static_cast<const std::byte*>(b) + i * sizes_.k * sizes_.n;
      std::vector<std::int32_t> own = zero_points;
      if (own.size() > 1) {
        const std::int64_t first = pick(b_zeros_, sizes_.n, i, 0);
        own.assign(zero_points.begin() + first, zero_points.begin() + first + sizes_.n);
      }
      pack_int_weights(w, own, panel_.columns, reinterpret_cast<std::int16_t*>(to) + i * size);
    }
  }

  void book() {
    const auto take = [&](std::int64_t elements, std::size_t size) {
      const std::size_t at = scratch_;
      const std::int64_t bytes = checked_multiply(elements, static_cast<std::int64_t>(size));
      scratch_ += aligned_size(bytes);
      return at;
    };
    take(checked_multiply(checked_multiply(a_matrices_, sizes_.m), depth_), sizeof(std::int16_t));
    if (packed_ == nullptr) packed_at_ = take(static_cast<std::int64_t>(packed_bytes()), 1);
    thread_at_ = scratch_;
    take(kBlockRows, sizeof(void*));
    sums_at_ = scratch_ - thread_at_;
    take(kBlockRows * panel_.columns, sizeof(std::int32_t));
    scales_at_ = scratch_ - thread_at_;
    take(panel_.columns, sizeof(float));
    thread_bytes_ = scratch_ - thread_at_;
    scratch_ = thread_at_ + thread_bytes_ * static_cast<std::size_t>(threads_);
  }

  // A as int16 without its zero points, rows padded to whole pairs.
  void widen(const RunContext& run, std::int16_t* wide, int threads) const {
    const std::vector<std::int32_t> zero_points = zeros(run, in_.a_zero, a_dtype_, a_zeros_);
    const std::int64_t grain = 16384 / std::max<std::int64_t>(1, sizes_.k) + 1;
    visit_byte(a_dtype_, [&]<class T>(std::type_identity<T>) {
      const T* a = run.in<T>(in_.a);
      parallel_for(
          threads, a_matrices_ * sizes_.m, grain, [&](std::int64_t begin, std::int64_t end) {
            for (std::int64_t row = begin; row < end; ++row) {
              const std::int64_t z =
                  a_zeros_ <= 1 ? 0 : pick(a_zeros_, sizes_.m, row / sizes_.m, row % sizes_.m);
              std::int16_t* to = wide + row * depth_;
              quant_rows<T>(quantize_).widen(sizes_.k, a + row * sizes_.k,
                                             zero_points[static_cast<std::size_t>(z)], to);
              std::fill(to + sizes_.k, to + depth_, std::int16_t{0});
            }
          });
    });
  }

  // Rows [first, first + kBlockRows) of one matrix, for one of `parts` shares of the columns.
  void multiply(const RunContext& run, const std::int16_t* wide, const std::byte* packed,
                std::int64_t i, std::int64_t first, std::int64_t part, std::int64_t parts,
                std::byte* own) const {
    const std::int64_t a = operand_matrix(sizes_, i, a_strides_),
                       b = operand_matrix(sizes_, i, b_strides_);
    const std::int64_t last = std::min(first + kBlockRows, sizes_.m);
    const auto** rows = reinterpret_cast<const std::int16_t**>(own);
    for (std::int64_t row = first; row < last; ++row)
      rows[row - first] = wide + (a * sizes_.m + row) * depth_;
    kernels::IntTile tile;
    tile.rows = last - first;
    tile.taps = 1;
    tile.pairs = depth_ / 2;
    tile.a = rows;
    tile.out = reinterpret_cast<std::int32_t*>(own + sums_at_);
    for (std::int64_t p = panels() * part / parts; p < panels() * (part + 1) / parts; ++p) {
      tile.packed = reinterpret_cast<const std::int16_t*>(packed) +
                    b * packed_int_size(weights_, panel_.columns) + p * panel_.columns * depth_;
      panel_.tile(tile);
      const std::int64_t column = p * panel_.columns;
      const std::int64_t n = std::min<std::int64_t>(panel_.columns, sizes_.n - column);
      for (std::int64_t row = first; row < last; ++row) {
        const std::int32_t* sums = tile.out + (row - first) * panel_.columns;
        const std::int64_t at = (i * sizes_.m + row) * sizes_.n + column;
        if (in_.y_scale < 0) {
          std::copy_n(sums, n, run.out<std::int32_t>(0) + at);
        } else {
          auto* scales = reinterpret_cast<float*>(own + scales_at_);
          fill_scales(run, a, row, b, column, n, scales);
          visit_byte(y_dtype_, [&]<class T>(std::type_identity<T>) {
            const std::int32_t zero = run.has_in(in_.y_zero) ? *run.in<T>(in_.y_zero) : 0;
            quant_rows<T>(quantize_).requantize(n, sums, nullptr, scales, zero, run.out<T>(0) + at);
          });
        }
      }
    }
  }

  void fill_scales(const RunContext& run, std::int64_t a, std::int64_t row, std::int64_t b,
                   std::int64_t column, std::int64_t n, float* scales) const {
    const float left = run.in<float>(in_.a_scale)[pick(a_scales_, sizes_.m, a, row)];
    const float y = *run.in<float>(in_.y_scale);
    const float* right = run.in<float>(in_.b_scale);
    for (std::int64_t j = 0; j < n; ++j)
      scales[j] = left * right[pick(b_scales_, sizes_.n, b, column + j)] / y;
  }

  ProductInputs in_;
  ProductSizes sizes_;
  const kernels::IntProduct& product_;
  const kernels::Quantize& quantize_;
  int threads_;
  DType a_dtype_, y_dtype_;
  std::int64_t depth_;  // k rounded up to whole pairs
  kernels::IntPanel panel_;
  IntWeights weights_;  // of one matrix, without data
  std::int64_t a_matrices_ = 1, b_matrices_ = 1;
  std::vector<std::int64_t> a_strides_, b_strides_;
  std::int64_t a_zeros_ = 0, b_zeros_ = 0, a_scales_ = 0, b_scales_ = 0;
  std::shared_ptr<const std::byte> packed_;  // null: packed in scratch, each run
  std::size_t scratch_ = 0, packed_at_ = 0, thread_at_ = 0, thread_bytes_ = 0, sums_at_ = 0,
              scales_at_ = 0;
};

template <const ProductInputs& in>
Step lower(LowerContext& c) {
  if (in.y_zero >= 0 && has_small_floats(c)) return lower_small_product(c);
  auto matmul = std::make_shared<const IntMatMul>(c, in);
  Step step;
  step.scratch_bytes = matmul->scratch_bytes();
  step.algorithm = "int8 gemm";
  step.run = [matmul](const RunContext& run) { matmul->run(run); };
  return step;
}

double flops(const OpContext& c, std::span<const ValueInfo> outputs) {
  const Shape& a = c.shape(0);
  return 2.0 * static_cast<double>(outputs[0].shape.elements()) *
         static_cast<double>(a[a.rank() - 1]);
}

constexpr OpDef kOps[] = {
    {.name = "QLinearMatMul",
     .doc = "Matrix product of quantised values, sums exact in int32.",
     .min_inputs = 8,
     .max_inputs = 8,
     .infer = infer_qlinear,
     .lower = lower<kQLinear>,
     .flops = flops},
    {.name = "MatMulInteger",
     .doc = "Matrix product of integers with int32 sums as the result.",
     .min_inputs = 2,
     .max_inputs = 4,
     .infer = infer_integer,
     .lower = lower<kInteger>,
     .flops = flops},
};

}  // namespace

extern const OpTable qlinear_matmul_ops;
const OpTable qlinear_matmul_ops = {kOps};

}  // namespace lanewise
