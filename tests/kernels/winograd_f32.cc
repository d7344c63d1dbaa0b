// Winograd's transforms against the matrices of their definition: row i of the input's holds the
// coefficients of the product of (x - p) over all points p but the i-th; the output's holds powers
// of the points.
#include "engine/kernels/winograd/winograd.h"
#include "tests/kernels/epilogue.h"

namespace lanewise::testing {
namespace {

using Matrix = std::vector<std::vector<double>>;

std::vector<double> points(int tile) {
  constexpr double a = kernels::WinogradPoints::kNear, b = kernels::WinogradPoints::kFar;
  return tile == 2 ? std::vector<double>{0, 1, -1} : std::vector<double>{0, a, -a, b, -b};
}

Matrix input_matrix(int tile) {
  const std::vector<double> p = points(tile);
  const std::size_t size = p.size() + 1;
  Matrix rows(size, std::vector<double>(size, 0.0));
  for (std::size_t i = 0; i < size; ++i) {  // the last row: all points
    std::vector<double> polynomial{1.0};
    for (std::size_t j = 0; j < p.size(); ++j) {
      if (i == j) continue;
      std::vector<double> next(polynomial.size() + 1, 0.0);
      for (std::size_t k = 0; k < polynomial.size(); ++k) {
        next[k + 1] += polynomial[k];
        next[k] -= p[j] * polynomial[k];
      }
      polynomial = next;
    }
    for (std::size_t k = 0; k < polynomial.size(); ++k) rows[i][k] = polynomial[k];
  }
  return rows;
}

Matrix output_matrix(int tile) {
  const std::vector<double> p = points(tile);
  Matrix rows(static_cast<std::size_t>(tile), std::vector<double>(p.size() + 1, 0.0));
  for (std::size_t y = 0; y < rows.size(); ++y) {
    for (std::size_t i = 0; i < p.size(); ++i) rows[y][i] = std::pow(p[i], static_cast<double>(y));
  }
  rows.back().back() = 1.0;  // the point at infinity
  return rows;
}

// Element (y, x) of M d M^T.
template <class At>
Sum transformed(const Matrix& m, std::int64_t y, std::int64_t x, const At& at) {
  Sum sum;
  const auto& left = m[static_cast<std::size_t>(y)];
  const auto& right = m[static_cast<std::size_t>(x)];
  for (std::size_t i = 0; i < left.size(); ++i) {
    for (std::size_t j = 0; j < right.size(); ++j) {
      sum.add(left[i] * right[j] * at(static_cast<std::int64_t>(i), static_cast<std::int64_t>(j)));
    }
  }
  return sum;
}

// Each pass rounds an element a few times.
constexpr double kRoundings = 16;

void test_input(Case& c, int tile, const kernels::WinogradF32& kernel) {
  const std::int64_t size = tile + 2;
  kernels::WinogradInput w;
  w.channels = c.size(kernel.lanes, 3);
  const bool inside = c.flip();
  w.row_begin = static_cast<int>(inside ? 0 : c.pick(0, 1));
  w.row_end = static_cast<int>(inside ? size : c.pick(w.row_begin + 1, size));
  w.column_begin = static_cast<int>(inside ? 0 : c.pick(0, 1));
  w.column_end = static_cast<int>(inside ? size : c.pick(w.column_begin + 1, size));
  const std::int64_t rows = w.row_end - w.row_begin, columns = w.column_end - w.column_begin;
  w.column_step = w.channels + c.pick(0, 4);
  w.row_step = columns * w.column_step + c.pick(0, 4);
  c.describe("input of tile %d, %ld channels, rows %d to %d, columns %d to %d", tile,
             static_cast<long>(w.channels), w.row_begin, w.row_end, w.column_begin, w.column_end);
  const float* image =
      c.floats((rows - 1) * w.row_step + (columns - 1) * w.column_step + w.channels);
  w.in = image - w.row_begin * w.row_step - w.column_begin * w.column_step;
  const std::int64_t padded = (w.channels + kernel.lanes - 1) / kernel.lanes * kernel.lanes;
  w.frequency_step = padded + c.pick(0, 4);
  w.out = c.room<float>((size * size - 1) * w.frequency_step + padded);
  (tile == 2 ? kernel.tile2 : kernel.tile4).input(w);

  const Matrix matrix = input_matrix(tile);
  for (std::int64_t f = 0; f < size * size; ++f) {
    for (std::int64_t channel = 0; channel < padded; ++channel) {
      const Sum sum =
          transformed(matrix, f / size, f % size, [&](std::int64_t y, std::int64_t x) -> double {
            const bool there = channel < w.channels && y >= w.row_begin && y < w.row_end &&
                               x >= w.column_begin && x < w.column_end;
            return there ? w.in[y * w.row_step + x * w.column_step + channel] : 0.0;
          });
      const bool exact = c.exact() && tile == 2;
      c.expect(w.out[f * w.frequency_step + channel], sum.value,
               exact ? 0.0 : gamma(kRoundings) * sum.size, "frequency", f);
    }
  }
}

void test_output(Case& c, int tile, const kernels::WinogradF32& kernel) {
  const std::int64_t size = tile + 2;
  kernels::WinogradOutput w;
  w.channels = c.size(kernel.lanes, 3);
  w.rows = static_cast<int>(c.flip() ? tile : c.pick(1, tile));
  w.columns = static_cast<int>(c.flip() ? tile : c.pick(1, tile));
  w.column_step = w.channels + c.pick(0, 4);
  w.row_step = w.columns * w.column_step + c.pick(0, 4);
  c.describe("output of tile %d, %ld channels, %d x %d pixels", tile, static_cast<long>(w.channels),
             w.rows, w.columns);
  const std::int64_t padded = (w.channels + kernel.lanes - 1) / kernel.lanes * kernel.lanes;
  w.frequency_step = padded + c.pick(0, 4);
  w.in = c.floats((size * size - 1) * w.frequency_step + padded);
  const std::int64_t room =
      (w.rows - 1) * w.row_step + (w.columns - 1) * w.column_step + w.channels;
  w.epilogue = draw_epilogue(c, 1, w.channels);
  if (w.epilogue.residual != nullptr) w.epilogue.residual = c.floats(room);
  w.out = c.room<float>(room);
  (tile == 2 ? kernel.tile2 : kernel.tile4).output(w);

  const Matrix matrix = output_matrix(tile);
  for (std::int64_t at = 0; at < room; ++at) {
    const std::int64_t y = at / w.row_step, x = at % w.row_step / w.column_step;
    const std::int64_t channel = at % w.row_step % w.column_step;
    if (x >= w.columns || channel >= w.channels) {
      c.expect_untouched(w.out[at], "a gap between pixels", at);
      continue;
    }
    Sum sum = transformed(matrix, y, x, [&](std::int64_t f, std::int64_t g) -> double {
      return w.in[(f * size + g) * w.frequency_step + channel];
    });
    if (w.epilogue.bias != nullptr) sum.add(w.epilogue.bias[channel]);
    if (w.epilogue.residual != nullptr) sum.add(w.epilogue.residual[at]);
    expect_activated(c, w.out[at], sum, kRoundings, w.epilogue, at, c.exact() && tile == 2);
  }
}

}  // namespace

void test_winograd_f32(Case& c) {
  const kernels::WinogradF32& kernel = kernels::winograd_f32(c.isa());
  const int tile = c.flip() ? 2 : 4;
  if (c.flip()) {
    test_input(c, tile, kernel);
  } else {
    test_output(c, tile, kernel);
  }
}

}  // namespace lanewise::testing
