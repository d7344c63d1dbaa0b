// Kernels between guard pages: arrays of exactly the size that a call says they have, inputs that
// may not be written, sizes around the edges of blocks and tiles. Values are checked where the
// oracle is a line or two; tests/cuda/test_operators.py checks all of them.
#include <cmath>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "engine/cuda/kernels/copy.cuh"
#include "engine/cuda/kernels/eltwise.cuh"
#include "engine/cuda/kernels/gather.cuh"
#include "engine/cuda/kernels/norm.cuh"
#include "engine/cuda/kernels/pool.cuh"
#include "engine/cuda/kernels/recurrent.cuh"
#include "engine/cuda/kernels/reduce.cuh"
#include "tests/cuda/emulation.h"
#include "tests/kernels/check.h"

namespace lanewise::testing {
namespace {

using namespace cuda;

struct Grid {
  unsigned x = 1, y = 1, z = 1;
};

template <class Call>
void launch(const char* name, Grid grid, Grid block, Call call) {
  const emulation::Bind bind = emulation::find_kernel(name);
  if (bind == nullptr) throw std::runtime_error(std::string("there is no kernel ") + name);
  const unsigned blocks[3] = {grid.x, grid.y, grid.z}, threads[3] = {block.x, block.y, block.z};
  void* arguments[] = {&call};
  bind(blocks, threads, 0, arguments)();
}

Divisor drawn_divisor(Case& c, std::int64_t most, std::int64_t& value) {
  value = c.pick(1, most);
  return divisor_of(static_cast<unsigned>(value));
}

// Blocks that may be too few for one thread per element.
Grid some_blocks(Case& c) { return {static_cast<unsigned>(c.pick(1, 4))}; }

void test_division(Case& c) {
  const auto d = static_cast<unsigned>(c.pick(1, c.flip() ? 1000 : 0x7fffffff));
  const Divisor made = divisor_of(d);
  for (int i = 0; i < 50; ++i) {
    std::uint64_t n = static_cast<std::uint64_t>(c.pick(0, 0x7fffffff));
    if (i % 2 == 0) n = n / d * d - (n >= d ? static_cast<std::uint64_t>(i % 4 == 0) : 0);
    const std::uint64_t high = (n * made.factor) >> 32;
    c.expect(static_cast<double>((high + n) >> made.shift), static_cast<double>(n / d), 0.0, "n/d");
  }
}

void test_eltwise(Case& c) {
  std::int64_t rows, columns;
  EltwiseCall p;
  p.dims.rank = 2;
  p.dims.size[0] = drawn_divisor(c, 40, rows);
  p.dims.size[1] = drawn_divisor(c, 300, columns);
  p.elements = static_cast<unsigned>(rows * columns);
  const bool by_row = c.flip();
  const std::int64_t few = by_row ? rows : columns;
  c.describe("%lld x %lld, operand along axis %d", static_cast<long long>(rows),
             static_cast<long long>(columns), by_row ? 0 : 1);
  const float* x = c.floats(rows * columns);
  const float* o = c.floats(few);
  float* y = c.room<float>(rows * columns);
  p.operands[0] = {x, 1, {static_cast<int>(columns), 1}};
  p.operands[1] = {o, 1, {by_row ? 1 : 0, by_row ? 0 : 1}};
  p.y = y;
  p.steps = 2;
  p.program[0] = {Fn::kMul, 1, 0.0f, 0.0f};
  p.program[1] = {Fn::kRelu, 0, 0.0f, 0.0f};
  launch("eltwise_f32", some_blocks(c), {128}, p);
  for (std::int64_t i = 0; i < rows * columns; ++i) {
    const float want = x[i] * o[by_row ? i / columns : i % columns];
    c.expect(y[i], want < 0.0f ? 0.0f : want, 0.0, "y", i);
  }
}

void test_transpose(Case& c) {
  const auto batch = c.pick(1, 3), rows = c.size(32, 3), columns = c.size(32, 3);
  c.describe("%lld of %lld x %lld", static_cast<long long>(batch), static_cast<long long>(rows),
             static_cast<long long>(columns));
  const float* x = c.floats(batch * rows * columns);
  float* y = c.room<float>(batch * rows * columns);
  const TransposeCall p{x, y, static_cast<unsigned>(batch), static_cast<unsigned>(rows),
                        static_cast<unsigned>(columns)};
  launch("transpose_4", {(p.columns + 31) / 32, (p.rows + 31) / 32, 1}, {kTile, kTileRows}, p);
  for (std::int64_t i = 0; i < batch * rows * columns; ++i) {
    const std::int64_t r = i % rows, k = i / rows % columns, b = i / rows / columns;
    c.expect(y[i], x[(b * rows + r) * columns + k], 0.0, "y", i);
  }
}

void test_copy(Case& c) {
  std::int64_t outer, inner;
  CopyCall p;
  p.dims.rank = 2;
  p.dims.size[0] = drawn_divisor(c, 30, outer);
  p.dims.size[1] = drawn_divisor(c, 70, inner);
  p.elements = static_cast<unsigned>(outer * inner);
  const auto x = c.filled<std::uint16_t>(
      outer * inner, [](std::int64_t i) { return static_cast<std::uint16_t>(i); });
  auto* y = c.room<std::uint16_t>(outer * inner);
  p.x = x + (outer - 1) * inner;  // outer dimension backwards
  p.y = y;
  p.x_stride[0] = -static_cast<int>(inner);
  p.x_stride[1] = p.y_stride[1] = 1;
  p.y_stride[0] = static_cast<int>(inner);
  launch("copy_2", some_blocks(c), {64}, p);
  for (std::int64_t i = 0; i < outer * inner; ++i)
    c.expect(y[i], x[(outer - 1 - i / inner) * inner + i % inner], 0.0, "y", i);
}

void test_pool(Case& c) {
  PoolCall p;
  std::int64_t channels;
  p.channels = drawn_divisor(c, 40, channels);
  p.channels_last = c.flip();
  p.kind = static_cast<PoolKind>(c.pick(0, 2));
  p.counts_padding = c.flip();
  std::int64_t in = 1, out = 1;
  for (int d = 0; d < 3; ++d) {
    p.in[d] = static_cast<int>(c.pick(1, 7));
    p.kernel[d] = static_cast<int>(c.pick(1, 3));
    p.stride[d] = static_cast<int>(c.pick(1, 3));
    p.dilation[d] = static_cast<int>(c.pick(1, 2));
    p.pad[d] = static_cast<int>(c.pick(0, p.kernel[d] - 1));
    p.pad_end[d] = static_cast<int>(c.pick(0, 2));
    const auto size = static_cast<unsigned>(c.pick(1, 6));  // windows may lie beside the input
    p.out[d] = divisor_of(size);
    in *= p.in[d];
    out *= size;
  }
  const std::int64_t images = c.pick(1, 2);
  p.x = c.floats(images * channels * in);
  p.y = c.room<float>(images * channels * out);
  if (p.kind == PoolKind::kMax && c.flip()) p.where = c.room<long long>(images * channels * out);
  p.elements = static_cast<unsigned>(images * channels * out);
  launch("pool_f32", some_blocks(c), {256}, p);
}

void test_reduce(Case& c) {
  std::int64_t outer, length, inner;
  ReduceCall p;
  p.kind = static_cast<Reduction>(c.pick(0, 9));
  p.kept.rank = 2;
  p.kept.size[0] = drawn_divisor(c, 6, outer);
  p.kept.size[1] = drawn_divisor(c, 70, inner);
  p.reduced.rank = 1;
  p.reduced.size[0] = drawn_divisor(c, 400, length);
  p.kept_stride[0] = static_cast<int>(length * inner);
  p.kept_stride[1] = 1;
  p.reduced_stride[0] = static_cast<int>(inner);
  p.results = static_cast<unsigned>(outer * inner);
  p.length = static_cast<unsigned>(length);
  const float* x = c.floats(outer * length * inner);
  float* y = c.room<float>(outer * inner);
  p.x = x;
  p.y = y;
  if (c.flip())
    launch("reduce_columns_f32", {(p.results + 31) / 32}, {kReduceColumns, kReduceParts}, p);
  else
    launch("reduce_rows_f32", some_blocks(c), {64}, p);
  if (p.kind != Reduction::kSum) return;
  for (std::int64_t i = 0; i < outer * inner; ++i) {
    Sum want;
    for (std::int64_t k = 0; k < length; ++k)
      want.add(x[(i / inner * length + k) * inner + i % inner]);
    const double bound = c.exact() ? 0.0 : gamma(static_cast<double>(length)) * want.size;
    c.expect(y[i], want.value, bound, "sum", i);
  }
}

void test_softmax(Case& c) {
  SoftmaxCall p;
  std::int64_t inner;
  p.inner = drawn_divisor(c, c.flip() ? 1 : 50, inner);
  const std::int64_t outer = c.pick(1, 9), length = c.size(32, 9);
  p.outer = static_cast<unsigned>(outer);
  p.length = static_cast<unsigned>(length);
  p.x = c.floats(outer * length * inner);
  float* y = c.room<float>(outer * length * inner);
  p.y = y;
  launch(inner == 1 ? "softmax_rows_f32" : "softmax_columns_f32", some_blocks(c), {64}, p);
  for (std::int64_t o = 0; o < outer; ++o) {
    double sum = 0.0;
    for (std::int64_t k = 0; k < length; ++k) sum += y[(o * length + k) * inner];
    c.expect(sum, 1.0, 1e-5, "sum of a row", o);
  }
}

void test_row_norm(Case& c) {
  const std::int64_t rows = c.pick(1, 9), columns = c.size(32, 9, 2);
  RowNormCall p;
  p.rows = static_cast<unsigned>(rows);
  p.columns = static_cast<unsigned>(columns);
  p.x = c.floats(rows * columns);
  p.scale = c.filled<float>(columns, [](std::int64_t) { return 1.0f; });
  float* y = c.room<float>(rows * columns);
  p.y = y;
  p.mean = c.room<float>(rows);
  p.inverse = c.room<float>(rows);
  p.epsilon = 1e-5f;
  launch("row_norm_f32", some_blocks(c), {96}, p);
  for (std::int64_t r = 0; r < rows; ++r) {
    double sum = 0.0;
    for (std::int64_t k = 0; k < columns; ++k) sum += y[r * columns + k];
    c.expect(sum / static_cast<double>(columns), 0.0, 1e-4, "mean of a row", r);
  }
}

void test_moments(Case& c) {
  const std::int64_t images = c.pick(1, 2), channels = c.size(32, 2), pixels = c.pick(1, 90);
  const Planes planes{static_cast<unsigned>(images), static_cast<unsigned>(channels),
                      static_cast<unsigned>(pixels), c.flip()};
  const auto chunk = static_cast<unsigned>(c.pick(1, pixels));
  const unsigned chunks = (planes.pixels + chunk - 1) / chunk;
  const float* x = c.floats(images * channels * pixels);
  float* partial = c.room<float>(images * channels * chunks * 2);
  const MomentsCall moments{x, partial, planes, chunks, chunk};
  const unsigned across = planes.channels_last ? (planes.channels + 31) / 32 : planes.channels;
  launch("moments_f32", {across, chunks, planes.images}, {kMomentLanes, kMomentParts}, moments);
  FactorsCall f;
  f.partial = partial;
  f.scale = c.floats(channels);
  f.bias = c.floats(channels);
  f.factors = c.room<float>(images * channels * 2);
  f.planes = planes;
  f.chunks = chunks;
  f.chunk = chunk;
  f.groups = planes.channels;
  f.epsilon = 1e-5f;
  launch("factors_f32", some_blocks(c), {64}, f);
  const std::int64_t pixel = planes.channels_last ? channels : 1;
  for (std::int64_t i = 0; i < channels; ++i) {
    double mean = 0.0, squares = 0.0;
    const float* from = x + (planes.channels_last ? i : i * pixels);
    for (std::int64_t k = 0; k < pixels; ++k) mean += from[k * pixel];
    mean /= static_cast<double>(pixels);
    for (std::int64_t k = 0; k < pixels; ++k) squares += std::pow(from[k * pixel] - mean, 2);
    const double deviation = std::sqrt(squares / static_cast<double>(pixels) + 1e-5);
    const double want = static_cast<const float*>(f.scale)[i] / deviation;
    c.expect(f.factors[2 * i], want, 1e-3 * std::fabs(want) + 1e-6, "factor", i);
  }
}

void test_gather(Case& c) {
  GatherCall p;
  std::int64_t inner, count;
  p.inner = drawn_divisor(c, 20, inner);
  p.count = drawn_divisor(c, 9, count);
  const std::int64_t outer = c.pick(1, 5), axis = c.pick(1, 12);
  p.axis = static_cast<int>(axis);
  p.elements = static_cast<unsigned>(outer * count * inner);
  p.x = c.filled<std::uint8_t>(outer * axis * inner,
                               [](std::int64_t i) { return static_cast<std::uint8_t>(i); });
  // One of them lies outside, now and then.
  bool outside = false;
  p.indices = c.filled<long long>(count, [&](std::int64_t) {
    const std::int64_t index = c.pick(-axis - (c.pick(0, 20) == 0), axis - 1);
    outside = outside || index < -axis;
    return static_cast<long long>(index);
  });
  p.y = c.room<std::uint8_t>(outer * count * inner);
  int fault = 0;
  p.check = {&fault, 7};
  launch("gather_1", some_blocks(c), {64}, p);
  c.expect(fault, outside ? 7 : 0, 0.0, "fault");
}

void test_recurrent(Case& c) {
  const std::int64_t batch = c.pick(1, 3), hidden = c.size(32, 2);
  const char* names[] = {"lstm_f32", "gru_after_f32", "gru_before_f32", "rnn_f32"};
  const int gates[] = {4, 3, 3, 1};
  const auto cell = static_cast<std::size_t>(c.pick(0, 3));
  RecurrentCall p;
  p.batch = static_cast<unsigned>(batch);
  p.hidden = static_cast<unsigned>(hidden);
  p.sums = c.floats(batch * gates[cell] * hidden);
  p.weights = c.floats(hidden * gates[cell] * hidden);
  p.bias = c.flip() ? c.floats(2 * gates[cell] * hidden) : nullptr;
  p.h = c.flip() ? c.floats(batch * hidden) : nullptr;
  p.c = c.flip() ? c.floats(batch * hidden) : nullptr;
  p.peepholes = c.flip() ? c.floats(3 * hidden) : nullptr;
  p.h_out = c.room<float>(batch * hidden);
  p.c_out = c.room<float>(batch * hidden);
  p.reset_h = c.room<float>(batch * hidden);
  p.update = c.room<float>(batch * hidden);
  for (p.pass = 0; p.pass < (cell == 2 ? 2 : 1); ++p.pass)
    launch(names[cell], {(p.hidden + 31) / 32, p.batch}, {kUnits, kSumParts}, p);
  for (std::int64_t i = 0; i < batch * hidden; ++i)
    c.expect(std::fabs(static_cast<const float*>(p.h_out)[i]) <= 5.0f, 1.0, 0.0, "state", i);
}

const KernelTest kRows[] = {
    {"division", {Isa::kBaseline}, 1, test_division},
    {"eltwise", {Isa::kBaseline}, 1, test_eltwise},
    {"transpose", {Isa::kBaseline}, 1, test_transpose},
    {"copy", {Isa::kBaseline}, 1, test_copy},
    {"pool", {Isa::kBaseline}, 1, test_pool},
    {"reduce", {Isa::kBaseline}, 1, test_reduce},
    {"softmax", {Isa::kBaseline}, 1, test_softmax},
    {"row_norm", {Isa::kBaseline}, 1, test_row_norm},
    {"moments", {Isa::kBaseline}, 1, test_moments},
    {"gather", {Isa::kBaseline}, 1, test_gather},
    {"recurrent", {Isa::kBaseline}, 1, test_recurrent},
};

}  // namespace

extern const std::span<const KernelTest> kKernels;
const std::span<const KernelTest> kKernels = kRows;

}  // namespace lanewise::testing
