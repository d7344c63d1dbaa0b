// Element-wise chains: operands by broadcasting, the kernel by types.
#include "engine/cuda/eltwise.h"

#include <algorithm>
#include <utility>

#include "engine/graph/layout.h"

namespace lanewise::cuda {
namespace {

constexpr unsigned kThreads = 256;
constexpr std::int64_t kPerThread = 4;  // elements, as kUnroll in the kernel

bool is_known(DType dtype) {
  return dtype <= DType::kBFloat16 && dtype != DType::kString && dtype != DType::kComplex64 &&
         dtype != DType::kComplex128;
}

}  // namespace

unsigned counted(const CudaLowerContext& c, std::int64_t elements) {
  if (elements >= std::int64_t{1} << 31) c.refuse("there are 2^31 elements or more");
  return static_cast<unsigned>(elements);
}

int Eltwise::operand(int input) {
  if (operands_.size() == kMostOperands) c_.refuse("it has too many operands");
  operands_.push_back({input, c_.shape(input)});
  return static_cast<int>(operands_.size()) - 1;
}

Eltwise& Eltwise::then(Fn function, float a, float b) {
  if (call_.steps == kMostSteps) c_.refuse("it has too many steps");
  call_.program[call_.steps++] = {function, 0, a, b};
  return *this;
}

Eltwise& Eltwise::with(Fn function, std::initializer_list<int> inputs) {
  int first = -1;
  for (int input : inputs) {
    const int at = operand(input);
    if (first < 0) first = at;
  }
  then(function);
  call_.program[call_.steps - 1].operand = first;
  return *this;
}

Eltwise& Eltwise::along(Fn function, int input, int axis) {
  with(function, {input});
  Shape& shape = operands_.back().shape;
  if (shape.elements() == 1) return *this;
  if (shape.rank() != 1) c_.refuse("input " + std::to_string(input) + " has blocks");
  Shape wide = c_.out_shape(0);
  for (int i = 0; i < wide.rank(); ++i) wide[i] = i == axis ? shape[0] : 1;
  shape = wide;
  return *this;
}

// Strides of operands over the result's dimensions in memory order, neighbours merged.
void Eltwise::lay_out() {
  const ValueInfo& out = c_.output(0);
  const Shape memory = physical(out.shape, out.layout);
  std::vector<std::vector<std::int64_t>> strides;
  call_.dense = true;
  for (std::size_t i = 0; i < operands_.size(); ++i) {
    const Shape& shape = operands_[i].shape;
    const ValueInfo& in = c_.input(operands_[i].input);
    // Operands of lower rank, and those that were given another shape, are plain.
    const Layout layout = shape == in.shape ? in.layout : Layout::kPlain;
    strides.push_back(broadcast_strides(shape, layout, out.shape, out.layout));
    const bool single = shape.elements() == 1;
    const bool same =
        shape == out.shape && (layout == out.layout || strides[i] == memory.strides());
    if (single) call_.single |= 1u << i;
    call_.dense = call_.dense && (single || same);
  }
  std::vector<int> kept;  // outermost of each run of dimensions that all operands walk as one
  std::vector<std::int64_t> sizes;
  for (int d = 0; d < memory.rank(); ++d) {
    if (memory[d] == 1) continue;
    const auto at = static_cast<std::size_t>(d);
    bool merges = !kept.empty();
    for (const auto& list : strides)
      merges = merges && list[static_cast<std::size_t>(kept.back())] == list[at] * memory[d];
    if (merges) {
      sizes.back() *= memory[d];
      kept.back() = d;
    } else {
      kept.push_back(d);
      sizes.push_back(memory[d]);
    }
  }
  if (kept.size() > kMostDims) c_.refuse("it broadcasts over more than 8 dimensions");
  call_.dims.rank = std::max(1, static_cast<int>(kept.size()));
  for (std::size_t d = 0; d < kept.size(); ++d) {
    call_.dims.size[d] = divisor_of(static_cast<unsigned>(sizes[d]));
    for (std::size_t i = 0; i < operands_.size(); ++i) {
      const auto at = static_cast<std::size_t>(kept[d]);
      call_.operands[i].strides[d] = static_cast<int>(strides[i][at]);
    }
  }
}

std::string Eltwise::kernel_name() const {
  bool one_type = true, floats = false, doubles = false;
  const DType out = c_.output(0).dtype;
  const auto see = [&](DType dtype) {
    if (!is_known(dtype)) c_.refuse("the device has no " + std::string(dtype_name(dtype)));
    one_type = one_type && dtype == out;
    floats = floats || is_floating(dtype);
    doubles = doubles || dtype == DType::kFloat64;
  };
  see(out);
  for (const Operand& o : operands_) see(c_.dtype(o.input));
  if (doubles) return "eltwise_any_double";
  if (!floats) return "eltwise_any_int";
  if (!one_type) return "eltwise_any_float";
  return out == DType::kFloat32   ? "eltwise_f32"
         : out == DType::kFloat16 ? "eltwise_f16"
                                  : "eltwise_bf16";
}

Step Eltwise::finish() {
  call_.elements = counted(c_, c_.out_shape(0).elements());
  call_.type = static_cast<int>(c_.output(0).dtype);
  std::vector<std::size_t> inputs;
  for (std::size_t i = 0; i < operands_.size(); ++i) {
    const int input = operands_[i].input;
    (void)counted(c_, c_.shape(input).elements());
    call_.operands[i].type = static_cast<int>(c_.dtype(input));
    inputs.push_back(static_cast<std::size_t>(input));
  }
  lay_out();
  const std::string name = kernel_name();
  if (name == "eltwise_any_double") {
    for (int i = 0; i < call_.steps; ++i) {
      const Fn f = call_.program[i].function;
      const bool does = f >= Fn::kAdd || f == Fn::kSame || f == Fn::kRelu || f == Fn::kClip ||
                        f == Fn::kNot || f == Fn::kIsNaN || f == Fn::kAffine;
      if (!does) c_.refuse("the device has no such function of float64");
    }
  }
  const Kernel kernel = c_.kernel("eltwise", name);
  const std::int64_t threads = (call_.elements + kPerThread - 1) / kPerThread;
  Step step;
  step.algorithm = call_.dense ? "element-wise" : "element-wise, broadcast";
  step.run = [=, call = call_](const RunContext& run) {
    EltwiseCall now = call;
    now.y = run.outputs[0];
    for (std::size_t i = 0; i < inputs.size(); ++i) now.operands[i].data = run.inputs[inputs[i]];
    kernel.launch(run, blocks_for(threads, kThreads), {kThreads}, 0, now);
  };
  return step;
}

}  // namespace lanewise::cuda
