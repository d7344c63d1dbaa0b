// RotaryEmbedding of ONNX and of com.microsoft: pairs of elements turned by an angle that grows
// with the position (Su et al. 2021).
#include <algorithm>
#include <string>
#include <type_traits>

#include "engine/base/error.h"
#include "engine/base/parallel.h"
#include "engine/graph/op.h"
#include "engine/kernels/attention/attention.h"

namespace lanewise {
namespace {

// Where the inputs stand; com.microsoft has the positions second.
struct Inputs {
  int cosine = 1, sine = 2, positions = 3;
};
constexpr int kX = 0;

Inputs inputs_of(const OpContext& c) {
  return c.node().op->domain.empty() ? Inputs{} : Inputs{2, 3, 1};
}

struct Rotary {
  Inputs in;
  std::int64_t batches = 0, rows = 0, heads = 0, size = 0;  // rows: positions of the sequence
  std::int64_t batch_stride = 0, row_stride = 0, head_stride = 0;
  std::int64_t half = 0;      // pairs that turn
  std::int64_t table = 0;     // rows of the caches, when positions are given
  bool one_position = false;  // that of the first row, as com.microsoft has it
  bool interleaved = false;
  const kernels::RowLoops* loops = nullptr;
};

Rotary rotary_of(const OpContext& c) {
  c.expect_rank(kX, 3, 4);
  const Shape& x = c.shape(kX);
  Rotary r;
  r.in = inputs_of(c);
  r.batches = x[0];
  if (x.rank() == 4) {
    r.heads = x[1];
    r.rows = x[2];
    r.size = x[3];
    r.row_stride = r.size;
    r.head_stride = r.rows * r.size;
  } else {
    r.heads = c.attr_int("num_heads");
    if (r.heads == 0 && !c.node().op->domain.empty() && c.shape(r.in.cosine).rank() == 2)
      r.heads = x[2] / std::max<std::int64_t>(1, 2 * c.shape(r.in.cosine)[1]);
    if (r.heads < 1 || x[2] % r.heads != 0) {
      c.fail("attribute 'num_heads' is " + std::to_string(r.heads) +
             ", expected a divisor of the last dimension of input 0, of shape " + x.str());
    }
    r.rows = x[1];
    r.size = x[2] / r.heads;
    r.row_stride = x[2];
    r.head_stride = r.size;
  }
  r.batch_stride = r.heads * r.rows * r.size;
  const std::int64_t given = c.attr_int("rotary_embedding_dim");
  const std::int64_t turned = given == 0 ? r.size : given;
  if (turned < 0 || turned > r.size || turned % 2 != 0) {
    c.fail("the number of elements that turn is " + std::to_string(turned) +
           ", expected an even number up to the head size " + std::to_string(r.size) +
           " (attribute 'rotary_embedding_dim')");
  }
  r.half = turned / 2;
  r.interleaved = c.attr_int("interleaved") != 0;
  if (!c.has_input(r.in.positions)) return r;
  if (c.shape(r.in.cosine).rank() == 2) r.table = c.shape(r.in.cosine)[0];
  r.one_position = !c.node().op->domain.empty() && c.shape(r.in.positions).rank() == 1;
  return r;
}

void infer_rotary(InferContext& c) {
  c.expect_dtype(kX, {DType::kFloat32, DType::kFloat64});
  const Rotary r = rotary_of(c);
  Shape cache{r.batches, r.rows, r.half};
  if (c.has_input(r.in.positions)) {
    c.expect_dtype(r.in.positions, {DType::kInt64});
    const Shape wanted = r.one_position ? Shape{1} : Shape{r.batches, r.rows};
    if (c.shape(r.in.positions) != wanted) {
      c.fail("position_ids must have shape " + wanted.str() + ", found " +
             c.shape(r.in.positions).str());
    }
    cache = Shape{r.table, r.half};
  }
  for (int i : {r.in.cosine, r.in.sine}) {
    c.expect_same_dtype(kX, i);
    if (c.shape(i) != cache) {
      c.fail("input " + std::to_string(i) + " must have shape " + cache.str() + ", found " +
             c.shape(i).str());
    }
  }
  if (c.node().op->domain.empty()) {
    c.set_output(0, c.dtype(kX), c.shape(kX));
    return;
  }
  if (c.attr_int("is_packed_batching") != 0 || c.attr_float("scale") != 1.0f)
    c.unsupported("attributes 'is_packed_batching' and 'scale' other than 0 and 1");
  c.set_output(0, c.dtype(kX), c.shape(kX));
}

template <class T>
void turn(const Rotary& r, const T* x, const T* cosine, const T* sine, T* y) {
  if constexpr (std::is_same_v<T, float>) {
    (r.interleaved ? r.loops->turn_neighbours : r.loops->turn_halves)(x, cosine, sine, y, r.half);
  } else {
    const std::int64_t step = r.interleaved ? 2 : 1, apart = r.interleaved ? 1 : r.half;
    for (std::int64_t i = 0; i < r.half; ++i) {
      const T a = x[i * step], b = x[i * step + apart];
      y[i * step] = cosine[i] * a - sine[i] * b;
      y[i * step + apart] = sine[i] * a + cosine[i] * b;
    }
  }
  if (y != x) std::copy(x + 2 * r.half, x + r.size, y + 2 * r.half);
}

template <class T>
Step make_step(const LowerContext& c) {
  Rotary plan = rotary_of(c);
  plan.loops = &kernels::row_loops(c.isa());
  Step step;
  step.algorithm = "rows";
  step.run = [r = plan, where = c.where()](const RunContext& run) {
    const auto* given = run.has_in(r.in.positions) ? run.in<std::int64_t>(r.in.positions) : nullptr;
    const auto position = [&](std::int64_t row) {
      if (given == nullptr) return row;
      return r.one_position ? given[0] + row % r.rows : given[row];
    };
    for (std::int64_t i = 0; given != nullptr && i < r.batches * r.rows; ++i) {
      if (position(i) >= 0 && position(i) < r.table) continue;
      throw ModelError(where + "position_ids gives " + std::to_string(position(i)) +
                       ", expected 0 to " + std::to_string(r.table - 1) +
                       ", the rows of the caches");
    }
    const std::int64_t grain = 1 + 8192 / (1 + r.heads * r.size);
    parallel_for(run.threads, r.batches * r.rows, grain, [&](std::int64_t begin, std::int64_t end) {
      for (; begin < end; ++begin) {
        const std::int64_t angle = position(begin) * r.half;
        const std::int64_t at = begin / r.rows * r.batch_stride + begin % r.rows * r.row_stride;
        for (std::int64_t h = 0; h < r.heads; ++h) {
          turn(r, run.in<T>(kX) + at + h * r.head_stride, run.in<T>(r.in.cosine) + angle,
               run.in<T>(r.in.sine) + angle, run.out<T>(0) + at + h * r.head_stride);
        }
      }
    });
  };
  return step;
}

Step lower_rotary(LowerContext& c) {
  return c.dtype(kX) == DType::kFloat64 ? make_step<double>(c) : make_step<float>(c);
}

double rotary_flops(const OpContext& c, std::span<const ValueInfo>) {
  return 3.0 * static_cast<double>(c.shape(kX).elements());
}

constexpr AttrDef kAttrs[] = {
    {.name = "interleaved",
     .type = AttrType::kInt,
     .doc = "1: neighbours are pairs; 0: elements half a head apart"},
    {.name = "num_heads", .type = AttrType::kInt, .doc = "heads, for rank 3"},
    {.name = "rotary_embedding_dim",
     .type = AttrType::kInt,
     .doc = "elements of a head that turn; 0: all"}};

constexpr AttrDef kMicrosoftAttrs[] = {
    {.name = "interleaved",
     .type = AttrType::kInt,
     .doc = "1: neighbours are pairs; 0: elements half a head apart"},
    {.name = "is_packed_batching", .type = AttrType::kInt, .doc = "only 0"},
    {.name = "num_heads", .type = AttrType::kInt, .doc = "heads; from the caches if 0"},
    {.name = "rotary_embedding_dim",
     .type = AttrType::kInt,
     .doc = "elements of a head that turn; 0: all"},
    {.name = "scale", .type = AttrType::kFloat, .doc = "only 1", .float_default = 1.0f}};

constexpr OpDef kOps[] = {
    {.domain = "com.microsoft",
     .name = "RotaryEmbedding",
     .doc = "As ONNX's, with the positions, or the first one, as input 1.",
     .min_inputs = 4,
     .max_inputs = 4,
     .attributes = kMicrosoftAttrs,
     .infer = infer_rotary,
     .lower = lower_rotary,
     .inplace = 1,
     .flops = rotary_flops},
    {.name = "RotaryEmbedding",
     .doc = "Rotary position embedding (Su et al. 2021), from tables of cosines and sines.",
     .min_inputs = 3,
     .max_inputs = 4,
     .attributes = kAttrs,
     .infer = infer_rotary,
     .lower = lower_rotary,
     .inplace = 1,
     .flops = rotary_flops},
};

}  // namespace

extern const OpTable rotary_ops;
const OpTable rotary_ops = {kOps};

}  // namespace lanewise
