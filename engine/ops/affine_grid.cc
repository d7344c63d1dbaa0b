// AffineGrid: the positions at which GridSample reads to apply an affine map (Jaderberg et al.
// 2015).
#include <string>
#include <utility>
#include <vector>

#include "engine/graph/op.h"

namespace lanewise {
namespace {

void infer_affine_grid(InferContext& c) {
  c.expect_dtype(0, {DType::kFloat32, DType::kFloat64, DType::kFloat16, DType::kBFloat16});
  const std::vector<std::int64_t> size = c.need_ints(1);
  if (size.size() != 4 && size.size() != 5) {
    c.fail("'size' must be [N, C, H, W] or [N, C, D, H, W], found " + Shape(size).str());
  }
  const auto spatial = static_cast<std::int64_t>(size.size()) - 2;
  if (c.shape(0) != Shape{size[0], spatial, spatial + 1}) {
    c.fail("'theta' must have shape " + Shape{size[0], spatial, spatial + 1}.str() + ", found " +
           c.shape(0).str());
  }
  Shape out{size[0]};
  for (std::size_t i = 2; i < size.size(); ++i) {
    if (size[i] < 0) c.fail("'size' is " + Shape(size).str() + ", expected no negative number");
    out.push_back(size[i]);
  }
  out.push_back(spatial);
  static_cast<void>(out.elements());
  c.set_output(0, c.dtype(0), out);
}

// Positions of `size` samples over [-1, 1].
std::vector<double> affine_positions(std::int64_t size, bool align) {
  std::vector<double> positions;
  for (std::int64_t i = 0; i < size; ++i) {
    const double at = static_cast<double>(i), count = static_cast<double>(size);
    if (align) {
      positions.push_back(size == 1 ? -1.0 : -1.0 + 2.0 * at / (count - 1));
    } else {
      positions.push_back((2.0 * at + 1.0) / count - 1.0);
    }
  }
  return positions;
}

template <class T>
void affine_grid(const Shape& shape, const std::vector<std::vector<double>>& positions,
                 const T* theta, T* out) {
  const int spatial = shape.rank() - 2;
  const std::int64_t points = shape.elements(1, shape.rank() - 1);
  for (std::int64_t i = 0; i < shape[0] * points; ++i) {
    double at[3] = {0, 0, 0};  // x first
    std::int64_t rest = i % points;
    for (int axis = spatial; axis-- > 0;) {
      const auto& axis_positions = positions[static_cast<std::size_t>(axis)];
      const auto size = static_cast<std::int64_t>(axis_positions.size());
      at[spatial - 1 - axis] = axis_positions[static_cast<std::size_t>(rest % size)];
      rest /= size;
    }
    const T* matrix = theta + i / points * spatial * (spatial + 1);
    for (int row = 0; row < spatial; ++row, matrix += spatial + 1) {
      double sum = static_cast<double>(matrix[spatial]);
      for (int k = 0; k < spatial; ++k) sum += static_cast<double>(matrix[k]) * at[k];
      *out++ = static_cast<T>(sum);
    }
  }
}

Step lower_affine_grid(LowerContext& c) {
  const Shape& shape = c.out_shape(0);
  std::vector<std::vector<double>> positions;
  for (int i = 1; i + 1 < shape.rank(); ++i) {
    positions.push_back(shape.elements() == 0
                            ? std::vector<double>()
                            : affine_positions(shape[i], c.attr_int("align_corners") != 0));
  }
  Step step;
  step.algorithm = "affine";
  step.run = [shape, positions = std::move(positions), dtype = c.dtype(0)](const RunContext& run) {
    if (shape.elements() == 0) return;
    if (dtype == DType::kFloat64) {
      affine_grid(shape, positions, run.in<double>(0), run.out<double>(0));
    } else {
      affine_grid(shape, positions, run.in<float>(0), run.out<float>(0));
    }
  };
  return step;
}

constexpr AttrDef kAttrs[] = {{.name = "align_corners",
                               .type = AttrType::kInt,
                               .doc = "1: -1 and 1 are the centres of the corner pixels"}};

constexpr OpDef kOps[] = {
    {.name = "AffineGrid",
     .doc = "The grid of an affine map, for GridSample.",
     .min_inputs = 2,
     .max_inputs = 2,
     .attributes = kAttrs,
     .infer = infer_affine_grid,
     .lower = lower_affine_grid},
};

}  // namespace

extern const OpTable affine_grid_ops;
const OpTable affine_grid_ops = {kOps};

}  // namespace lanewise
