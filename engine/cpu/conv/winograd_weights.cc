// The transform of the filters, one panel of outputs at a time.
#include "engine/cpu/conv/winograd_weights.h"

#include <algorithm>
#include <array>

#include "engine/base/parallel.h"
#include "engine/kernels/winograd/winograd.h"

namespace lanewise {
namespace {

constexpr int kMostPoints = 6;
using Matrix = std::array<std::array<double, 3>, kMostPoints>;

// G of Lavin & Gray: the filter, as a polynomial, at each point, over the product of the point's
// differences from the others. The last row is the point at infinity.
Matrix filter_matrix(int tile) {
  if (tile == 2) return {{{-1.0, 0.0, 0.0}, {0.5, 0.5, 0.5}, {0.5, -0.5, 0.5}, {0.0, 0.0, 1.0}}};
  constexpr double a = kernels::WinogradPoints::kNear, b = kernels::WinogradPoints::kFar;
  constexpr double aa = a * a, bb = b * b;
  constexpr double na = 1.0 / (2.0 * aa * (aa - bb)), nb = 1.0 / (2.0 * bb * (bb - aa));
  return {{{1.0 / (aa * bb), 0.0, 0.0},
           {na, na * a, na * aa},
           {na, -na * a, na * aa},
           {nb, nb * b, nb * bb},
           {nb, -nb * b, nb * bb},
           {0.0, 0.0, 1.0}}};
}

// G g G^T of one 3 x 3 filter; frequency f goes to to[f * step].
void transform_filter(const Matrix& matrix, int points, const float* g, float* to,
                      std::int64_t step) {
  double columns[kMostPoints][3];
  for (int f = 0; f < points; ++f) {
    const auto& row = matrix[static_cast<std::size_t>(f)];
    for (int x = 0; x < 3; ++x)
      columns[f][x] = row[0] * g[x] + row[1] * g[3 + x] + row[2] * g[6 + x];
  }
  for (int f = 0; f < points; ++f) {
    for (int h = 0; h < points; ++h, to += step) {
      const auto& row = matrix[static_cast<std::size_t>(h)];
      *to = static_cast<float>(row[0] * columns[f][0] + row[1] * columns[f][1] +
                               row[2] * columns[f][2]);
    }
  }
}

}  // namespace

void pack_winograd_weights(const ConvProblem& p, int tile, const GemmPlan& gemm,
                           const float* weights, int threads, float* packed) {
  constexpr std::int64_t kMostColumns = 64;  // transformed together, in L1
  const Matrix matrix = filter_matrix(tile);
  const int points = tile + 2;
  const std::int64_t lanes = gemm.kernel->lanes;
  parallel_tasks(threads, gemm.panels(), [&](std::int64_t panel, int) {
    const std::int64_t first = panel * gemm.width();
    const std::int64_t columns = std::min(gemm.width(), p.outputs - first);
    const std::int64_t width = (columns + lanes - 1) / lanes * lanes;
    float block[kMostPoints * kMostPoints * kMostColumns];
    std::fill(std::begin(block), std::end(block), 0.0f);
    for (std::int64_t i = 0; i < gemm.taps * p.channels; ++i) {
      const std::int64_t tap = i / p.channels, c = i % p.channels;
      for (std::int64_t j = 0; j < columns; ++j) {
        const std::int64_t filter = ((first + j) * p.channels + c) * gemm.taps + tap;
        transform_filter(matrix, points, weights + filter * 9, block + j, kMostColumns);
      }
      float* to = packed + first * gemm.taps * p.channels + i * width;
      for (int f = 0; f < points * points; ++f, to += gemm.packed_floats()) {
        std::copy_n(block + f * kMostColumns, width, to);
      }
    }
  });
}

}  // namespace lanewise
