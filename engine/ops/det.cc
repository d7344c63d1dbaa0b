// Det: determinants of square matrices, by elimination with partial pivoting in double.
#include <algorithm>
#include <cmath>
#include <memory>
#include <utility>

#include "engine/graph/op.h"

namespace lanewise {
namespace {

void infer_det(InferContext& c) {
  c.expect_dtype(0, {DType::kFloat32, DType::kFloat64, DType::kFloat16, DType::kBFloat16});
  const Shape& in = c.shape(0);
  const int rank = in.rank();
  if (rank < 2 || in[rank - 1] != in[rank - 2]) {
    c.fail("input must be square matrices, found shape " + in.str());
  }
  Shape out;
  for (int i = 0; i + 2 < rank; ++i) out.push_back(in[i]);
  c.set_output(0, c.dtype(0), out);
}

// Destroys the row-major n x n matrix `a`.
double determinant(double* a, std::int64_t n) {
  double result = 1;
  for (std::int64_t k = 0; k < n; ++k) {
    std::int64_t pivot = k;
    for (std::int64_t i = k + 1; i < n; ++i) {
      if (std::fabs(a[i * n + k]) > std::fabs(a[pivot * n + k])) pivot = i;
    }
    if (a[pivot * n + k] == 0) return 0;
    if (pivot != k) {
      std::swap_ranges(a + k * n, a + (k + 1) * n, a + pivot * n);
      result = -result;
    }
    result *= a[k * n + k];
    for (std::int64_t i = k + 1; i < n; ++i) {
      const double factor = a[i * n + k] / a[k * n + k];
      for (std::int64_t j = k + 1; j < n; ++j) a[i * n + j] -= factor * a[k * n + j];
    }
  }
  return result;
}

Step lower_det(LowerContext& c) {
  const Shape& in = c.shape(0);
  const std::int64_t n = in[in.rank() - 1];
  Step step;
  step.algorithm = "lu";
  step.scratch_bytes = static_cast<std::size_t>(n * n) * sizeof(double);
  step.run = [n, count = c.out_shape(0).elements(), dtype = c.dtype(0)](const RunContext& run) {
    const auto apply = [&](auto type) {
      using T = typename decltype(type)::type;
      auto* matrix = reinterpret_cast<double*>(run.scratch);
      for (std::int64_t i = 0; i < count; ++i) {
        std::copy_n(run.in<T>(0) + i * n * n, n * n, matrix);
        run.out<T>(0)[i] = static_cast<T>(determinant(matrix, n));
      }
    };
    dtype == DType::kFloat64 ? apply(std::type_identity<double>{})
                             : apply(std::type_identity<float>{});
  };
  return step;
}

double det_flops(const OpContext& c, std::span<const ValueInfo>) {
  const Shape& in = c.shape(0);
  return 2.0 / 3.0 * static_cast<double>(in.elements()) * static_cast<double>(in[in.rank() - 1]);
}

constexpr OpDef kOps[] = {
    {.name = "Det",
     .doc = "The determinant of each matrix.",
     .infer = infer_det,
     .lower = lower_det,
     .flops = det_flops},
};

}  // namespace

extern const OpTable det_ops;
const OpTable det_ops = {kOps};

}  // namespace lanewise
