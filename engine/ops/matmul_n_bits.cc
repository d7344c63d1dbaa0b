// com.microsoft:MatMulNBits: a product with weights of 2, 4 or 8 bits whose scales belong to blocks
// of the depth. Few rows, as in generating text, are limited by reading the weights, and so they
// are unpacked beside the multiplication; for many rows a panel at a time becomes floats.
#include <algorithm>
#include <bit>
#include <memory>
#include <string>
#include <vector>

#include "engine/base/buffer.h"
#include "engine/base/parallel.h"
#include "engine/base/rounding.h"
#include "engine/cpu/gemm.h"
#include "engine/graph/op.h"
#include "engine/kernels/nbits/nbits.h"

namespace lanewise {
namespace {

constexpr std::int64_t kFewRows = 40;      // as long as unpacking again and again costs less
constexpr std::int64_t kTaskColumns = 64;  // few rows: columns that are worth a task
constexpr std::int64_t kBlockRows = 192;   // many rows: those of a block
constexpr std::int64_t kMost = std::int64_t{1} << 40;
constexpr int kBias = 5;

struct Sizes {
  std::int64_t m = 0, n = 0, k = 0, bits = 4, block = 0, blocks = 0;

  std::int64_t parts() const { return 8 / bits; }
  std::int64_t block_bytes() const { return block * bits / 8; }
  std::int64_t column_bytes() const { return checked_multiply(blocks, block_bytes()); }
  std::int64_t zero_bytes() const { return divide_up(blocks * bits, 8); }  // of a column
};

Sizes sizes_of(const OpContext& c) {
  Sizes s;
  s.n = c.attr_int("N");
  s.k = c.attr_int("K");
  s.bits = c.attr_int("bits");
  s.block = c.attr_int("block_size");
  if (s.bits != 2 && s.bits != 4 && s.bits != 8)
    c.unsupported("bits = " + std::to_string(s.bits) + "; 2, 4 and 8 are supported");
  if (s.n < 1 || s.k < 1 || s.n > kMost || s.k > kMost || s.block < 16 || s.block > kMost ||
      s.block % 8 != 0) {
    c.fail("attributes 'N', 'K' and 'block_size' must be positive, the last a multiple of 16");
  }
  s.blocks = divide_up(s.k, s.block);
  const Shape& a = c.shape(0);
  if (a.rank() < 1 || a[a.rank() - 1] != s.k) {
    c.fail("input 0 has shape " + a.str() +
           ", expected a last dimension of K = " + std::to_string(s.k));
  }
  s.m = a.elements(0, a.rank() - 1);
  return s;
}

void expect_elements(const OpContext& c, int i, std::int64_t elements) {
  if (!c.has_input(i) || c.shape(i).elements() == elements) return;
  c.fail("input " + std::to_string(i) + " must have " + std::to_string(elements) +
         " elements, found shape " + c.shape(i).str());
}

void infer(InferContext& c) {
  c.expect_dtype(0, {DType::kFloat32});
  c.expect_dtype(1, {DType::kUInt8});
  c.expect_dtype(2, {DType::kFloat32});
  if (c.has_input(3)) c.expect_dtype(3, {DType::kUInt8, DType::kFloat32});
  if (c.has_input(4)) c.unsupported("'g_idx' that is not a constant; make it an initializer");
  if (c.has_input(kBias)) c.expect_dtype(kBias, {DType::kFloat32});
  if (c.attr_int("weight_prepacked") != 0)
    c.unsupported("weights that are packed for one kind of processor (weight_prepacked)");
  const Sizes s = sizes_of(c);
  expect_elements(c, 1, checked_multiply(s.n, s.column_bytes()));
  expect_elements(c, 2, checked_multiply(s.n, s.blocks));
  if (c.has_input(3)) {
    const bool packed = c.dtype(3) == DType::kUInt8;
    expect_elements(c, 3, checked_multiply(s.n, packed ? s.zero_bytes() : s.blocks));
  }
  expect_elements(c, kBias, s.n);
  Shape out = c.shape(0);
  out[out.rank() - 1] = s.n;
  c.set_output(0, DType::kFloat32, out);
}

class NBitsMatMul {
 public:
  explicit NBitsMatMul(LowerContext& c)
      : s_(sizes_of(c)),
        kernel_(kernels::nbits(c.isa())),
        kind_(std::countr_zero(static_cast<unsigned>(s_.bits)) - 1),
        threads_(c.threads()),
        few_(s_.m <= kFewRows) {
    if (c.has_input(3) && c.dtype(3) == DType::kUInt8) plan_zeros(c);
    if (few_) {
      part_floats_ = round_up(s_.column_bytes(), kAlignment / sizeof(float));
      x_at_ = take(checked_multiply(checked_multiply(s_.m, s_.parts()), part_floats_));
    } else {
      gemm_ = plan_gemm(c.isa(), s_.n, 1, s_.k);
      thread_at_ = scratch_;
      columns_at_ = take(checked_multiply(gemm_.width(), s_.k)) - thread_at_;
      panel_at_ = take(checked_multiply(gemm_.width(), s_.k)) - thread_at_;
      rows_at_ = take(2 * kBlockRows) - thread_at_;  // pointers
      thread_bytes_ = scratch_ - thread_at_;
      scratch_ = thread_at_ + thread_bytes_ * static_cast<std::size_t>(threads_);
    }
  }

  std::size_t scratch_bytes() const { return scratch_; }
  const char* algorithm() const { return few_ ? "unpacked in registers" : "unpacked by panels"; }

  void run(const RunContext& run) const {
    if (s_.m == 0) return;
    kernels::NBitsColumns w = {
        run.in<std::uint8_t>(1), s_.blocks, s_.block_bytes(),
        run.in<float>(2),        nullptr,   static_cast<float>(1 << (s_.bits - 1))};
    if (packed_zeros_) {
      w.zeros = reinterpret_cast<const float*>(zeros_.get());
      if (w.zeros == nullptr) {
        auto* fresh = reinterpret_cast<float*>(run.scratch + zeros_at_);
        unpack_zeros(run.in<std::uint8_t>(3), fresh);
        w.zeros = fresh;
      }
    } else if (run.has_in(3)) {
      w.zeros = run.in<float>(3);
    }
    if (few_) return run_few(run, w);
    run_many(run, w);
  }

 private:
  std::size_t take(std::int64_t floats) {
    const std::size_t at = scratch_;
    scratch_ += aligned_size(checked_multiply(floats, 4));
    return at;
  }

  void plan_zeros(LowerContext& c) {
    packed_zeros_ = true;
    const std::int64_t floats = checked_multiply(s_.n, s_.blocks);
    const Tensor* zeros = c.content(3);
    if (zeros == nullptr) {
      zeros_at_ = take(floats);
      return;
    }
    const std::string key =
        "zeros of " + std::to_string(s_.bits) + " bits, " + std::to_string(s_.blocks) + " blocks";
    zeros_ = c.cache().get(*zeros, key, static_cast<std::size_t>(floats) * 4, [&](std::byte* to) {
      unpack_zeros(zeros->as<std::uint8_t>(), reinterpret_cast<float*>(to));
    });
  }

  void unpack_zeros(const std::uint8_t* packed, float* to) const {
    for (std::int64_t j = 0; j < s_.n; ++j, packed += s_.zero_bytes()) {
      for (std::int64_t b = 0; b < s_.blocks; ++b) {
        const auto shift = static_cast<int>(b % s_.parts() * s_.bits);
        *to++ = static_cast<float>(packed[b / s_.parts()] >> shift & ((1 << s_.bits) - 1));
      }
    }
  }

  static kernels::NBitsColumns from_column(kernels::NBitsColumns w, std::int64_t column) {
    w.data += column * w.blocks * w.block_bytes;
    w.scales += column * w.blocks;
    if (w.zeros != nullptr) w.zeros += column * w.blocks;
    return w;
  }

  // Activations that meet the p-th weights of the bytes, together.
  void split(const float* a, float* x) const {
    for (std::int64_t row = 0; row < s_.m; ++row, a += s_.k) {
      for (std::int64_t p = 0; p < s_.parts(); ++p, x += part_floats_) {
        std::int64_t i = 0;
        for (std::int64_t k = p; k < s_.k; k += s_.parts()) x[i++] = a[k];
        std::fill(x + i, x + part_floats_, 0.0f);
      }
    }
  }

  void run_few(const RunContext& run, const kernels::NBitsColumns& w) const {
    auto* x = reinterpret_cast<float*>(run.scratch + x_at_);
    split(run.in<float>(0), x);
    const float* bias = run.has_in(kBias) ? run.in<float>(kBias) : nullptr;
    parallel_tasks(std::min(threads_, run.threads), divide_up(s_.n, kTaskColumns),
                   [&](std::int64_t task, int) {
                     const std::int64_t column = task * kTaskColumns;
                     kernels::NBitsProduct p;
                     p.w = from_column(w, column);
                     p.part_step = part_floats_;
                     p.row_step = s_.parts() * part_floats_;
                     p.columns = std::min(kTaskColumns, s_.n - column);
                     p.ldc = s_.n;
                     for (std::int64_t row = 0; row < s_.m; row += p.rows) {
                       p.rows = static_cast<int>(
                           std::min<std::int64_t>(kernels::NBitsProduct::kMostRows, s_.m - row));
                       p.x = x + row * p.row_step;
                       p.out = run.out<float>(0) + row * s_.n + column;
                       kernel_.product[kind_](p);
                     }
                     for (std::int64_t row = 0; bias != nullptr && row < s_.m; ++row) {
                       float* y = run.out<float>(0) + row * s_.n + column;
                       for (std::int64_t j = 0; j < p.columns; ++j) y[j] += bias[column + j];
                     }
                   });
  }

  void run_many(const RunContext& run, const kernels::NBitsColumns& w) const {
    parallel_tasks(
        std::min(threads_, run.threads), gemm_.panels(), [&](std::int64_t panel, int thread) {
          std::byte* own =
              run.scratch + thread_at_ + static_cast<std::size_t>(thread) * thread_bytes_;
          multiply_panel(run, w, panel, own);
        });
  }

  // Panel 0 of a product that has these columns alone.
  void multiply_panel(const RunContext& run, const kernels::NBitsColumns& w, std::int64_t index,
                      std::byte* own) const {
    const std::int64_t column = index * gemm_.width();
    GemmPlan plan = gemm_;
    plan.n = std::min(gemm_.width(), s_.n - column);
    auto* columns = reinterpret_cast<float*>(own + columns_at_);
    auto* panel = reinterpret_cast<float*>(own + panel_at_);
    auto** rows = reinterpret_cast<const float**>(own + rows_at_);
    for (std::int64_t j = 0; j < plan.n; ++j)
      kernel_.expand[kind_](from_column(w, column + j), s_.k, columns + j * s_.k);
    pack_panels(plan, {columns, 0, 1, s_.k}, 0, 1, panel);
    for (std::int64_t first = 0; first < s_.m; first += kBlockRows) {
      const std::int64_t count = std::min(kBlockRows, s_.m - first);
      for (std::int64_t r = 0; r < count; ++r) rows[r] = run.in<float>(0) + (first + r) * s_.k;
      GemmOutput output;
      output.c = run.out<float>(0) + first * s_.n + column;
      output.ldc = s_.n;
      if (run.has_in(kBias)) output.epilogue.bias = run.in<float>(kBias) + column;
      run_block(plan, {rows, count, 0, count, s_.k}, panel, 0, 1, output);
    }
  }

  Sizes s_;
  const kernels::Nbits& kernel_;
  int kind_;  // of the kernel's functions
  int threads_;
  bool few_, packed_zeros_ = false;
  std::shared_ptr<const std::byte> zeros_;  // as floats; null: in scratch, each run
  GemmPlan gemm_;                           // many rows
  std::int64_t part_floats_ = 0;            // few rows
  std::size_t scratch_ = 0, zeros_at_ = 0, x_at_ = 0, thread_at_ = 0, thread_bytes_ = 0,
              columns_at_ = 0, panel_at_ = 0, rows_at_ = 0;
};

Step lower(LowerContext& c) {
  auto product = std::make_shared<const NBitsMatMul>(c);
  Step step;
  step.scratch_bytes = product->scratch_bytes();
  step.algorithm = product->algorithm();
  step.run = [product](const RunContext& run) { product->run(run); };
  return step;
}

double flops(const OpContext& c, std::span<const ValueInfo> outputs) {
  const Shape& a = c.shape(0);
  return 2.0 * static_cast<double>(outputs[0].shape.elements()) *
         static_cast<double>(a[a.rank() - 1]);
}

constexpr AttrDef kAttrs[] = {
    {.name = "K", .type = AttrType::kInt, .doc = "depth of the product", .required = true},
    {.name = "N", .type = AttrType::kInt, .doc = "columns of the result", .required = true},
    {.name = "bits", .type = AttrType::kInt, .doc = "of a weight: 2, 4 or 8", .int_default = 4},
    {.name = "block_size",
     .type = AttrType::kInt,
     .doc = "weights along the depth that share a scale",
     .required = true},
    {.name = "accuracy_level",
     .type = AttrType::kInt,
     .doc = "least precision of activations; float32 is used whatever it says"},
    {.name = "weight_prepacked", .type = AttrType::kInt, .doc = "must be 0"},
};

constexpr OpDef kOps[] = {
    {.domain = "com.microsoft",
     .name = "MatMulNBits",
     .doc = "Matrix product with weights of a few bits, quantised in blocks of the depth.",
     .min_inputs = 3,
     .max_inputs = 6,
     .attributes = kAttrs,
     .infer = infer,
     .lower = lower,
     .flops = flops},
};

}  // namespace

extern const OpTable matmul_n_bits_ops;
const OpTable matmul_n_bits_ops = {kOps};

}  // namespace lanewise
