// com.microsoft:Inverse: inverses of square matrices, by Gauss-Jordan elimination with partial
// pivoting in double.
#include <algorithm>
#include <cmath>
#include <utility>

#include "engine/graph/op.h"

namespace lanewise {
namespace {

void infer_inverse(InferContext& c) {
  c.expect_dtype(0, {DType::kFloat32, DType::kFloat64});
  const Shape& in = c.shape(0);
  const int rank = in.rank();
  if (rank < 2 || in[rank - 1] != in[rank - 2])
    c.fail("input must be square matrices, found shape " + in.str());
  c.set_output(0, c.dtype(0), in);
}

// Destroys `a`; a singular matrix gives infinities and NaN.
void invert(double* a, double* inverse, std::int64_t n) {
  std::fill_n(inverse, n * n, 0.0);
  for (std::int64_t i = 0; i < n; ++i) inverse[i * n + i] = 1.0;
  for (std::int64_t k = 0; k < n; ++k) {
    std::int64_t pivot = k;
    for (std::int64_t i = k + 1; i < n; ++i) {
      if (std::fabs(a[i * n + k]) > std::fabs(a[pivot * n + k])) pivot = i;
    }
    if (pivot != k) {
      std::swap_ranges(a + k * n, a + (k + 1) * n, a + pivot * n);
      std::swap_ranges(inverse + k * n, inverse + (k + 1) * n, inverse + pivot * n);
    }
    const double divisor = a[k * n + k];
    for (std::int64_t j = 0; j < n; ++j) {
      a[k * n + j] /= divisor;
      inverse[k * n + j] /= divisor;
    }
    for (std::int64_t i = 0; i < n; ++i) {
      const double factor = a[i * n + k];
      if (i == k || factor == 0.0) continue;
      for (std::int64_t j = 0; j < n; ++j) {
        a[i * n + j] -= factor * a[k * n + j];
        inverse[i * n + j] -= factor * inverse[k * n + j];
      }
    }
  }
}

template <class T>
Step make_step(std::int64_t n, std::int64_t count) {
  Step step;
  step.algorithm = "gauss-jordan";
  step.scratch_bytes = static_cast<std::size_t>(2 * n * n) * sizeof(double);
  step.run = [n, count](const RunContext& run) {
    auto* const matrix = reinterpret_cast<double*>(run.scratch);
    for (std::int64_t i = 0; i < count; ++i) {
      std::copy_n(run.in<T>(0) + i * n * n, n * n, matrix);
      invert(matrix, matrix + n * n, n);
      std::transform(matrix + n * n, matrix + 2 * n * n, run.out<T>(0) + i * n * n,
                     [](double x) { return static_cast<T>(x); });
    }
  };
  return step;
}

Step lower_inverse(LowerContext& c) {
  const Shape& in = c.shape(0);
  const std::int64_t n = in[in.rank() - 1], count = in.elements(0, in.rank() - 2);
  return c.dtype(0) == DType::kFloat64 ? make_step<double>(n, count) : make_step<float>(n, count);
}

double inverse_flops(const OpContext& c, std::span<const ValueInfo>) {
  const Shape& in = c.shape(0);
  return 4.0 * static_cast<double>(in.elements()) * static_cast<double>(in[in.rank() - 1]);
}

constexpr OpDef kOps[] = {
    {.domain = "com.microsoft",
     .name = "Inverse",
     .doc = "The inverse of each matrix.",
     .infer = infer_inverse,
     .lower = lower_inverse,
     .flops = inverse_flops},
};

}  // namespace

extern const OpTable inverse_ops;
const OpTable inverse_ops = {kOps};

}  // namespace lanewise
