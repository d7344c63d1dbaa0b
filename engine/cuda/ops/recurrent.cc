// LSTM, GRU and RNN: the inputs' products in one call of cuBLASLt, then a kernel for each step.
#include "engine/cuda/kernels/recurrent.cuh"

#include <memory>
#include <string>
#include <vector>

#include "engine/base/half.h"
#include "engine/cuda/eltwise.h"
#include "engine/cuda/epilogue.h"
#include "engine/cuda/kernels/copy.cuh"
#include "engine/cuda/matmul.h"
#include "engine/graph/backing.h"
#include "engine/ops/recurrent.h"

namespace lanewise::cuda {
namespace {

using kernels::Gate;

void refuse_rare(const CudaLowerContext& c, const RecurrentSpec& spec) {
  if (c.content(2) == nullptr) c.refuse("the weights of the state are no constant");
  if (c.content(2)->dtype() != DType::kFloat32) c.refuse("the weights are not float32");
  if (c.has_input(4)) c.refuse("sequences of different lengths run on the host");
  if (spec.batch_first) c.refuse("the device has no layout of batches first");
  if (spec.coupled || spec.clip < 3e38f)
    c.refuse("the device has no coupled gates and no clipping");
  for (int d = 0; d < spec.directions; ++d) {
    const kernels::GateFunction* f = spec.functions[d];
    const bool usual = spec.cell == Cell::kRnn
                           ? f[0].gate == Gate::kTanh
                           : f[0].gate == Gate::kSigmoid && f[1].gate == Gate::kTanh &&
                                 (spec.cell == Cell::kGru || f[2].gate == Gate::kTanh);
    if (!usual) c.refuse("the device has the default activations alone");
  }
}

// R [direction][gate, unit][input unit] as [direction][input unit][gate, unit].
template <class T>
void transpose_weights(const Tensor& r, std::byte* bytes) {
  const Hold hold(r);
  const std::int64_t rows = r.shape()[1], columns = r.shape()[2];
  const float* from = r.as<float>();
  T* to = reinterpret_cast<T*>(bytes);
  for (std::int64_t d = 0; d < r.shape()[0]; ++d, from += rows * columns) {
    for (std::int64_t k = 0; k < columns; ++k) {
      for (std::int64_t j = 0; j < rows; ++j) *to++ = static_cast<T>(from[j * columns + k]);
    }
  }
}

class RecurrentRun {
 public:
  RecurrentRun(const CudaLowerContext& c, const RecurrentSpec& spec)
      : spec_(spec), size_(static_cast<std::int64_t>(dtype_size(c.dtype(0)))) {
    const std::string suffix = float_suffix(c, c.dtype(0));
    gru_before_ = spec.cell == Cell::kGru && !spec.linear_before_reset;
    const char* name = spec.cell == Cell::kLstm  ? "lstm_"
                       : spec.cell == Cell::kRnn ? "rnn_"
                       : gru_before_             ? "gru_before_"
                                                 : "gru_after_";
    kernel_ = c.kernel("recurrent", name + suffix);
    copy_ = c.kernel("copy", "copy_" + std::to_string(size_));
    (void)counted(c, checked_multiply(spec.steps * spec.batch, spec.gate_columns()));
    product_ = std::make_unique<Product>(c, ProductShape{.m = spec.steps * spec.batch,
                                                         .n = spec.gate_columns(),
                                                         .k = spec.input,
                                                         .transpose_b = true});
    const Tensor& r = *c.content(2);
    const DType dtype = c.dtype(0);
    weights_ = c.weights(r, "recurrent:" + std::string(dtype_name(dtype)),
                         static_cast<std::size_t>(r.elements() * size_), [&](std::byte* to) {
                           if (dtype == DType::kFloat16) return transpose_weights<Float16>(r, to);
                           if (dtype == DType::kBFloat16) return transpose_weights<BFloat16>(r, to);
                           transpose_weights<float>(r, to);
                         });
    workspace_ = aligned(static_cast<std::int64_t>(product_->workspace()));
    sums_ = aligned(spec.steps * spec.batch * spec.gate_columns() * size_);
    state_ = aligned(spec.batch * spec.hidden * size_);
  }

  // Library's memory, sums, then states: two of h, two of c, two between passes.
  std::size_t scratch_bytes() const {
    return static_cast<std::size_t>(workspace_ + sums_ + 6 * state_);
  }

  void run(const RunContext& run) const {
    for (int d = 0; d < spec_.directions; ++d) direction(run, d);
  }

 private:
  static std::int64_t aligned(std::int64_t bytes) { return (bytes + 255) / 256 * 256; }

  const std::byte* in(const RunContext& run, int i, std::int64_t elements) const {
    return run.has_in(i) ? run.in<std::byte>(i) + elements * size_ : nullptr;
  }

  void direction(const RunContext& run, int d) const {
    const std::int64_t columns = spec_.gate_columns(), row = spec_.batch * spec_.hidden;
    std::byte* sums = run.scratch + workspace_;
    std::byte* states = sums + sums_;
    product_->enqueue(run, run.inputs[0], in(run, 1, d * columns * spec_.input), nullptr, sums);
    RecurrentCall p;
    p.weights = weights_.get() + d * columns * spec_.hidden * size_;
    p.bias = in(run, 3, d * 2 * columns);
    p.peepholes = in(run, 7, d * 3 * spec_.hidden);
    p.h = in(run, 5, d * row);
    p.c = in(run, 6, d * row);
    p.reset_h = states + 4 * state_;
    p.update = states + 5 * state_;
    p.batch = static_cast<unsigned>(spec_.batch);
    p.hidden = static_cast<unsigned>(spec_.hidden);
    const bool backwards = spec_.reverse || d == 1;
    for (std::int64_t i = 0; i < spec_.steps; ++i) {
      const std::int64_t t = backwards ? spec_.steps - 1 - i : i;
      p.sums = sums + t * spec_.batch * columns * size_;
      p.h_out = run.has_out(0) ? run.out<std::byte>(0) + (t * spec_.directions + d) * row * size_
                               : states + i % 2 * state_;
      p.c_out = states + (2 + i % 2) * state_;
      step(run, p);
      p.h = p.h_out;
      p.c = p.c_out;
    }
    if (run.has_out(1)) copy(run, p.h, run.out<std::byte>(1) + d * row * size_);
    if (run.has_out(2)) copy(run, p.c, run.out<std::byte>(2) + d * row * size_);
  }

  void step(const RunContext& run, RecurrentCall p) const {
    const Dim3 grid{(p.hidden + kUnits - 1) / kUnits, p.batch};
    for (p.pass = 0; p.pass < (gru_before_ ? 2 : 1); ++p.pass)
      kernel_.launch(run, grid, {kUnits, kSumParts}, 0, p);
  }

  void copy(const RunContext& run, const void* from, void* to) const {
    CopyCall p;
    p.x = from;
    p.y = to;
    p.elements = static_cast<unsigned>(spec_.batch * spec_.hidden);
    p.dims.rank = 1;
    p.dims.size[0] = divisor_of(p.elements);
    p.x_stride[0] = p.y_stride[0] = 1;
    copy_.launch(run, blocks_for(p.elements, 256), {256}, 0, p);
  }

  RecurrentSpec spec_;
  std::int64_t size_;
  bool gru_before_ = false;
  Kernel kernel_, copy_;
  std::unique_ptr<Product> product_;
  std::shared_ptr<const std::byte> weights_;
  std::int64_t workspace_ = 0, sums_ = 0, state_ = 0;
};

Step lower(CudaLowerContext& c) {
  const RecurrentSpec spec = recurrent_spec(c);
  refuse_rare(c, spec);
  if (spec.batch > 65535) c.refuse("there are more than 65535 sequences");
  const auto made = std::make_shared<const RecurrentRun>(c, spec);
  Step step;
  step.algorithm = "cublaslt, steps";
  step.scratch_bytes = made->scratch_bytes();
  step.run = [made](const RunContext& run) { made->run(run); };
  return step;
}

constexpr CudaOp kOps[] = {{.name = "LSTM", .lower = lower},
                           {.name = "GRU", .lower = lower},
                           {.name = "RNN", .lower = lower}};

}  // namespace

extern const CudaOpTable recurrent_cuda_ops;
const CudaOpTable recurrent_cuda_ops = {kOps};

}  // namespace lanewise::cuda
