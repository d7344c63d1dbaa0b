// FlexAttention: attention whose scores and weights pass through graphs of the model. Without
// graphs it is Attention's computation.
#include <memory>
#include <optional>
#include <string>

#include "engine/base/error.h"
#include "engine/base/parallel.h"
#include "engine/cpu/attention.h"
#include "engine/cpu/staging.h"
#include "engine/graph/op.h"
#include "engine/ops/attention_shapes.h"
#include "engine/ops/body.h"

namespace lanewise {
namespace {

HeadShapes shapes_of(const OpContext& c) {
  HeadShapes s = head_shapes(c, 0);
  s.scale = scale_of(c, s.head);
  return s;
}

// The type of the scores.
DType precision_of(const OpContext& c) {
  const DType given = softmax_precision(c);
  if (given != DType::kUndefined) return given;
  return c.dtype(0) == DType::kFloat64 ? DType::kFloat64 : DType::kFloat32;
}

void infer_flex(InferContext& c) {
  c.expect_dtype(0, {DType::kFloat32, DType::kFloat64, DType::kFloat16, DType::kBFloat16});
  c.expect_same_dtype(0, 1);
  c.expect_same_dtype(0, 2);
  c.expect_rank(0, 4, 4);
  (void)precision_of(c);
  for (std::string_view name : {"score_mod", "prob_mod"}) {
    if (c.has_attr(name)) (void)checked_body(c, name, 1, 1);
  }
  const HeadShapes s = shapes_of(c);
  c.set_output(0, c.dtype(0), Shape{s.batches, s.q_heads, s.queries, s.v_head});
}

// A graph that maps the scores, which are of type T here and of `dtype` for the graph.
template <class T>
class Modifier {
 public:
  Modifier(LowerContext& c, std::string_view name, DType dtype, const HeadShapes& s)
      : name_(name),
        where_(c.where()),
        dtype_(dtype),
        shape_{s.batches, s.q_heads, s.queries, s.keys} {
    if (c.has_attr(name)) body_.emplace(c, name);
  }

  bool present() const { return body_.has_value(); }

  void run(const RunContext& run, T* values) const {
    if (!present()) return;
    Tensor given = Tensor::allocate(dtype_, shape_);
    each(given.elements(), [&]<class P>(std::type_identity<P>, std::int64_t i) {
      given.mutable_as<P>()[i] = static_cast<P>(static_cast<Middle<P>>(values[i]));
    });
    const std::vector<Tensor> results = body_->call(run, {given});
    const Tensor& result = results[0];
    if (result.dtype() != dtype_ || result.shape() != shape_) {
      throw ModelError(where_ + "the graph '" + name_ + "' must give " +
                       std::string(dtype_name(dtype_)) + " " + shape_.str() +
                       " as it takes, found " + std::string(dtype_name(result.dtype())) + " " +
                       result.shape().str());
    }
    each(given.elements(), [&]<class P>(std::type_identity<P>, std::int64_t i) {
      values[i] = static_cast<T>(static_cast<Middle<P>>(result.as<P>()[i]));
    });
  }

 private:
  // 16-bit floats convert through float.
  template <class P>
  using Middle = std::conditional_t<std::is_same_v<P, double>, double, float>;

  template <class F>
  void each(std::int64_t n, F f) const {
    visit_scalar(dtype_, [&]<class P>(std::type_identity<P> type) {
      if constexpr (!std::is_integral_v<P>) {
        for (std::int64_t i = 0; i < n; ++i) f(type, i);
      }
    });
  }

  std::string name_, where_;
  DType dtype_;
  Shape shape_;
  std::optional<Body> body_;
};

// All scores at once, as the graphs want them.
template <class T>
class FlexStep {
 public:
  explicit FlexStep(LowerContext& c)
      : staging_(c, {0, 1, 2}, {0}),
        products_(shapes_of(c), c.isa()),
        precision_(precision_of(c)),
        softmax_(&kernels::softmax(c.isa())),
        scores_(c, "score_mod", precision_, products_.shapes()),
        weights_(c, "prob_mod", precision_, products_.shapes()),
        block_rows_(products_.block_rows(c.threads())) {}

  std::int64_t rows() const { return products_.shapes().pairs() * products_.shapes().group_rows(); }
  std::int64_t scratch_elements() const {
    return staging_.elements() + products_.packed_elements() +
           checked_multiply(rows(), products_.shapes().keys);
  }

  void run(const RunContext& run) const {
    T* const scratch = reinterpret_cast<T*>(run.scratch);
    const auto arrays = staging_.open(run, scratch);
    T* const packed = scratch + staging_.elements();
    T* const s = packed + products_.packed_elements();
    const std::int64_t keys = products_.shapes().keys;
    products_.pack(arrays.in[1], arrays.in[2], packed, run.threads);
    each_block(run.threads, [&](const RowBlock& block, std::int64_t row) {
      products_.scores(block, arrays.in[0], arrays.in[1], packed, s + row * keys, keys);
    });
    scores_.run(run, s);
    parallel_for(run.threads, rows(), 16, [&](std::int64_t begin, std::int64_t end) {
      for (; begin < end && keys > 0; ++begin)
        softmax_row(s + begin * keys, keys, precision_, *softmax_);
    });
    weights_.run(run, s);
    each_block(run.threads, [&](const RowBlock& block, std::int64_t row) {
      products_.weigh(block, s + row * keys, keys, arrays.in[2], packed, arrays.out[0]);
    });
    staging_.close(run, arrays);
  }

 private:
  // f(block, its first row among all).
  template <class F>
  void each_block(int threads, F f) const {
    const HeadShapes& shapes = products_.shapes();
    const std::int64_t in_pair = (shapes.group_rows() + block_rows_ - 1) / block_rows_;
    parallel_tasks(threads, shapes.pairs() * in_pair, [&](std::int64_t task, int) {
      const std::int64_t pair = task / in_pair, first = task % in_pair * block_rows_;
      const std::int64_t count = std::min(block_rows_, shapes.group_rows() - first);
      f(RowBlock{pair, first, count, shapes.keys}, pair * shapes.group_rows() + first);
    });
  }

  Staging<T> staging_;
  HeadProducts<T> products_;
  DType precision_;
  const kernels::Softmax* softmax_;
  Modifier<T> scores_, weights_;
  std::int64_t block_rows_;
};

// Without graphs: no score need be kept.
template <class T>
class PlainStep {
 public:
  explicit PlainStep(LowerContext& c)
      : staging_(c, {0, 1, 2}, {0}), attention_(problem_of(c), c.isa(), c.threads()) {}

  std::int64_t scratch_elements() const {
    return staging_.elements() + attention_.scratch_elements();
  }

  void run(const RunContext& run) const {
    T* const scratch = reinterpret_cast<T*>(run.scratch);
    const auto arrays = staging_.open(run, scratch);
    AttentionArrays<T> given;
    given.q = arrays.in[0];
    given.k = arrays.in[1];
    given.v = arrays.in[2];
    given.y = arrays.out[0];
    attention_.run(given, scratch + staging_.elements(), run.threads);
    staging_.close(run, arrays);
  }

 private:
  static AttentionProblem problem_of(const LowerContext& c) {
    AttentionProblem p;
    p.shapes = shapes_of(c);
    p.precision = precision_of(c);
    return p;
  }

  Staging<T> staging_;
  Attention<T> attention_;
};

template <class T, template <class> class S>
Step make_step(LowerContext& c) {
  auto made = std::make_shared<const S<T>>(c);
  Step step;
  step.scratch_bytes = static_cast<std::size_t>(
      checked_multiply(made->scratch_elements(), static_cast<std::int64_t>(sizeof(T))));
  step.run = [made](const RunContext& run) { made->run(run); };
  return step;
}

Step lower_flex(LowerContext& c) {
  if (c.out_shape(0).elements() == 0) {
    Step nothing;
    nothing.algorithm = "empty";
    nothing.run = [](const RunContext&) {};
    return nothing;
  }
  const bool wide = c.dtype(0) == DType::kFloat64 || precision_of(c) == DType::kFloat64;
  const bool graphs = c.has_attr("score_mod") || c.has_attr("prob_mod");
  Step step;
  if (graphs) {
    step = wide ? make_step<double, FlexStep>(c) : make_step<float, FlexStep>(c);
  } else {
    step = wide ? make_step<double, PlainStep>(c) : make_step<float, PlainStep>(c);
  }
  step.algorithm = wide ? "generic" : (graphs ? "gemm, graphs between" : "gemm, row blocks");
  return step;
}

double flex_flops(const OpContext& c, std::span<const ValueInfo>) { return shapes_of(c).flops(); }

constexpr AttrDef kAttrs[] = {
    {.name = "prob_mod", .type = AttrType::kGraph, .doc = "maps the weights; none if absent"},
    {.name = "scale", .type = AttrType::kFloat, .doc = "of the scores; 1 / sqrt(head size)"},
    {.name = "score_mod", .type = AttrType::kGraph, .doc = "maps the scores; none if absent"},
    {.name = "softmax_precision",
     .type = AttrType::kInt,
     .doc = "type of scores and weights; float64 for float64 inputs, else float32, if absent"}};

constexpr OpDef kOps[] = {
    {.domain = "ai.onnx.preview",
     .name = "FlexAttention",
     .doc = "Attention with graphs that map its scores and weights.",
     .min_inputs = 3,
     .max_inputs = 3,
     .attributes = kAttrs,
     .infer = infer_flex,
     .lower = lower_flex,
     .any_float = true,
     .flops = flex_flops},
};

}  // namespace

extern const OpTable flex_attention_ops;
const OpTable flex_attention_ops = {kOps};

}  // namespace lanewise
