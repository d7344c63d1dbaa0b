// QLinearMatMul with 8-bit floats: each operand is widened to float32, in which its values are
// exact, sums are kept in float64. Integers alone take the faster way of qlinear_matmul.cc.
#include <cmath>
#include <cstdint>
#include <vector>

#include "engine/base/parallel.h"
#include "engine/graph/layout.h"
#include "engine/ops/quant_product.h"
#include "engine/ops/small_types.h"

namespace lanewise {
namespace {

bool is_float8(DType dtype) {
  return dtype >= DType::kFloat8E4M3FN && dtype <= DType::kFloat8E5M2FNUZ;
}

void expect_operand(const OpContext& c, int i) {
  if (!is_float8(c.dtype(i))) expect_bytes(c, i);
}

float decode(DType dtype, const void* data, std::int64_t i) {
  if (dtype == DType::kInt8) return static_cast<const std::int8_t*>(data)[i];
  const std::uint8_t code = static_cast<const std::uint8_t*>(data)[i];
  return dtype == DType::kUInt8 ? static_cast<float>(code) : decode_small(dtype, code);
}

std::uint8_t encode(DType dtype, double value) {
  if (is_float8(dtype)) return encode_small(dtype, static_cast<float>(value), {});
  const double low = dtype == DType::kInt8 ? -128.0 : 0.0;
  const double whole = std::nearbyint(value);
  const double bounded = !(whole >= low) ? low : whole > low + 255.0 ? low + 255.0 : whole;
  return static_cast<std::uint8_t>(static_cast<int>(bounded));
}

// An operand's matrices as float32: (x - zero point) * scale, with parameters for each of `lines`,
// its rows or its columns.
struct Operand {
  DType dtype;
  int input, scale, zero;
  std::int64_t scales, zeros;
  std::int64_t matrices, rows, columns;
  bool by_row;

  std::vector<float> widened(const RunContext& run) const {
    std::vector<float> result(static_cast<std::size_t>(matrices * rows * columns));
    const std::int64_t lines = by_row ? rows : columns;
    for (std::int64_t i = 0; i < matrices * rows * columns; ++i) {
      const std::int64_t matrix = i / (rows * columns);
      const std::int64_t line = by_row ? i / columns % rows : i % columns;
      const float z = decode(dtype, run.inputs[static_cast<std::size_t>(zero)],
                             pick(zeros, lines, matrix, line));
      result[static_cast<std::size_t>(i)] =
          (decode(dtype, run.inputs[static_cast<std::size_t>(input)], i) - z) *
          run.in<float>(scale)[pick(scales, lines, matrix, line)];
    }
    return result;
  }
};

// Of the input `i`, which its scale and its zero point follow.
Operand operand_of(const LowerContext& c, int i, std::int64_t matrices, std::int64_t rows,
                   std::int64_t columns, bool by_row) {
  const std::int64_t scales = c.shape(i + 1).elements(), zeros = c.shape(i + 2).elements();
  return {c.dtype(i), i, i + 1, i + 2, scales, zeros, matrices, rows, columns, by_row};
}

class SmallProduct {
 public:
  explicit SmallProduct(const LowerContext& c)
      : sizes_(sizes_of(c, kQLinear)),
        to_(c.output(0).dtype),
        a_(operand_of(c, kQLinear.a, sizes_.a_batch.elements(), sizes_.m, sizes_.k, true)),
        b_(operand_of(c, kQLinear.b, sizes_.b_batch.elements(), sizes_.k, sizes_.n, false)),
        a_strides_(broadcast_strides(sizes_.a_batch, Layout::kPlain, sizes_.batch, Layout::kPlain)),
        b_strides_(
            broadcast_strides(sizes_.b_batch, Layout::kPlain, sizes_.batch, Layout::kPlain)) {}

  void run(const RunContext& run) const {
    if (sizes_.out.elements() == 0) return;
    const std::vector<float> a = a_.widened(run), b = b_.widened(run);
    const float scale = *run.in<float>(kQLinear.y_scale);
    const float zero = decode(to_, run.inputs[static_cast<std::size_t>(kQLinear.y_zero)], 0);
    parallel_for(
        run.threads, sizes_.batch.elements() * sizes_.m, 1,
        [&](std::int64_t begin, std::int64_t end) {
          for (std::int64_t row = begin; row < end; ++row) {
            const std::int64_t matrix = row / sizes_.m;
            const float* left =
                a.data() +
                (operand_matrix(sizes_, matrix, a_strides_) * sizes_.m + row % sizes_.m) * sizes_.k;
            const float* right =
                b.data() + operand_matrix(sizes_, matrix, b_strides_) * sizes_.k * sizes_.n;
            for (std::int64_t j = 0; j < sizes_.n; ++j) {
              double sum = 0.0;
              for (std::int64_t k = 0; k < sizes_.k; ++k)
                sum += static_cast<double>(left[k]) * static_cast<double>(right[k * sizes_.n + j]);
              run.out<std::uint8_t>(0)[row * sizes_.n + j] =
                  encode(to_, sum / static_cast<double>(scale) + static_cast<double>(zero));
            }
          }
        });
  }

 private:
  ProductSizes sizes_;
  DType to_;
  Operand a_, b_;
  std::vector<std::int64_t> a_strides_, b_strides_;
};

}  // namespace

bool has_small_floats(const OpContext& c) {
  return is_float8(c.dtype(kQLinear.a)) || is_float8(c.dtype(kQLinear.b)) ||
         is_float8(c.dtype(kQLinear.y_zero));
}

void infer_small_product(InferContext& c) {
  expect_operand(c, kQLinear.a);
  expect_operand(c, kQLinear.b);
  expect_operand(c, kQLinear.y_zero);
  c.expect_same_dtype(kQLinear.a_zero, kQLinear.a);
  c.expect_same_dtype(kQLinear.b_zero, kQLinear.b);
  const ProductSizes s = sizes_of(c, kQLinear);
  expect_count(c, kQLinear.a_zero, s.m, s.a_batch);
  expect_count(c, kQLinear.b_zero, s.n, s.b_batch);
  expect_product_scales(c, s);
  if (c.shape(kQLinear.y_zero).elements() != 1) {
    c.fail("input " + std::to_string(kQLinear.y_zero) + " must be one value, found shape " +
           c.shape(kQLinear.y_zero).str());
  }
  c.set_output(0, c.dtype(kQLinear.y_zero), s.out);
}

Step lower_small_product(LowerContext& c) { return step_of<SmallProduct>(c, "8-bit floats"); }

}  // namespace lanewise
