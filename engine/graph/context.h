// What an operator's functions are given: attributes and inputs for `infer`, kernels' surroundings
// for `lower`, pointers for the step that runs. Everything is checked before a step runs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/base/cpu.h"
#include "engine/graph/graph.h"

namespace lanewise {

// What is known of a value while a plan is made.
struct ValueInfo {
  DType dtype = DType::kUndefined;
  Shape shape;
  Layout layout = Layout::kPlain;
  std::shared_ptr<const Tensor> content;  // null unless known while planning; always kPlain
  Embedding embedding = {};  // none unless the operator takes such values (Pitched in op.h)

  bool present() const { return dtype != DType::kUndefined; }
};

// Thrown by InferContext::need, caught by the planner: the plan's segment ends before the node.
struct NeedsData {
  int input = 0;
};

enum class Numerics : std::uint8_t { kFast, kReproducible, kStrict };

// Node, attributes and inputs: the part that `infer`, `lower` and `flops` share.
class OpContext {
 public:
  OpContext(const Node& node, std::span<const ValueInfo> inputs) : node_(node), inputs_(inputs) {}

  const Node& node() const { return node_; }
  int num_inputs() const { return static_cast<int>(inputs_.size()); }
  int num_outputs() const { return static_cast<int>(node_.outputs.size()); }
  bool has_input(int i) const {
    return i < num_inputs() && inputs_[static_cast<std::size_t>(i)].present();
  }
  // Whether output i is named in the file; unnamed optional outputs need not be computed.
  bool has_output(int i) const {
    return i < num_outputs() && node_.outputs[static_cast<std::size_t>(i)] != kNoValue;
  }
  const ValueInfo& input(int i) const { return inputs_[static_cast<std::size_t>(i)]; }
  const Shape& shape(int i) const { return input(i).shape; }
  DType dtype(int i) const { return input(i).dtype; }
  // The content of input i when it is known while planning (a constant), else null.
  const Tensor* content(int i) const { return has_input(i) ? input(i).content.get() : nullptr; }

  bool has_attr(std::string_view name) const;
  // The node's attribute, or the schema's default.
  std::int64_t attr_int(std::string_view name) const;
  float attr_float(std::string_view name) const;
  std::string_view attr_string(std::string_view name) const;
  // Lists are empty when the attribute is absent.
  std::vector<std::int64_t> attr_ints(std::string_view name) const;
  std::vector<float> attr_floats(std::string_view name) const;
  std::vector<std::string> attr_strings(std::string_view name) const;
  const Tensor* attr_tensor(std::string_view name) const;
  const Subgraph* attr_graph(std::string_view name) const;
  // Empty when the attribute is absent.
  std::vector<DType> attr_type(std::string_view name) const;

  // attr_int("axis") mapped into [0, rank); fails with the valid range.
  int attr_axis(int rank, std::string_view name = "axis") const;

  // "node 'conv1' (Conv): ", for messages that a step may have to give when it runs.
  std::string where() const;
  // Throws ModelError: "node 'conv1' (Conv): <message>". Say what was expected and what was found.
  [[noreturn]] void fail(const std::string& message) const;
  // Throws UnsupportedError in the same form.
  [[noreturn]] void unsupported(const std::string& message) const;
  // Checks with fail: the rank, that an input's dtype is one of those given, that all of them
  // agree.
  void expect_rank(int i, int least, int most) const;
  void expect_dtype(int i, std::initializer_list<DType> choices) const;
  void expect_same_dtype(int i, int j) const;

 private:
  const Node& node_;
  std::span<const ValueInfo> inputs_;
};

// For `infer`. All input shapes are known (no kUnknown). An output dimension that depends on data
// is set to kUnknown: the step then makes the output itself through RunContext::emit.
//
// Where the engine computes in float32 for an operator (OpDef::any_float), `inputs` say float32
// and `stored` has them as the model does.
class InferContext : public OpContext {
 public:
  InferContext(const Node& node, std::span<const ValueInfo> inputs,
               std::span<const ValueInfo> stored, std::span<ValueInfo> outputs)
      : OpContext(node, inputs), stored_(stored), outputs_(outputs), exact_(outputs.size()) {}

  // The type of input i in the model, 16-bit floats included.
  DType stored_dtype(int i) const { return stored_[static_cast<std::size_t>(i)].dtype; }

  // The content of input i; when it is not known yet the planner computes it first and asks again.
  const Tensor& need(int i) const;
  // need(i) as integers.
  std::vector<std::int64_t> need_ints(int i) const { return need(i).int_values(); }

  // Does nothing for an output that the node leaves out. Where inputs are widened, float32 stands
  // for the type of the first of them that is float32 or shorter.
  void set_output(int i, DType dtype, Shape shape);
  // The same for an output of exactly this type.
  void set_exact_output(int i, DType dtype, Shape shape);
  bool is_exact(int i) const { return exact_[static_cast<std::size_t>(i)]; }
  // For an output that the step emits, of whatever shape: containers always, and what they held.
  void set_emitted(int i, DType dtype) { set_output(i, dtype, Shape{kUnknown}); }

 private:
  std::span<const ValueInfo> stored_;
  std::span<ValueInfo> outputs_;
  std::vector<bool> exact_;
};

// Results that a step allocates itself, because their shapes depend on data.
class Emitter {
 public:
  virtual ~Emitter() = default;
  virtual void emit(int output, Tensor tensor) = 0;
};

// A body of If, Loop or Scan, ready to run.
class Callable {
 public:
  virtual ~Callable() = default;
  // Inputs in the body's order (formal ones, then captured ones); returns its outputs.
  virtual std::vector<Tensor> call(std::span<const Tensor> inputs, int threads) = 0;
};

// For the step that runs: pointers in the layouts that were planned. Absent ones are null.
struct RunContext {
  std::span<const void* const> inputs;
  std::span<void* const> outputs;
  std::byte* scratch = nullptr;  // Step::scratch_bytes, aligned, content undefined
  int threads = 1;               // never more than LowerContext::threads()
  Emitter* emitter = nullptr;
  void* stream = nullptr;  // of a step on a device: what its backend enqueues on (backend.h)

  template <class T>
  const T* in(int i) const {
    return static_cast<const T*>(inputs[static_cast<std::size_t>(i)]);
  }
  template <class T>
  T* out(int i) const {
    return static_cast<T*>(outputs[static_cast<std::size_t>(i)]);
  }
  bool has_in(int i) const {
    return static_cast<std::size_t>(i) < inputs.size() &&
           inputs[static_cast<std::size_t>(i)] != nullptr;
  }
  bool has_out(int i) const {
    return static_cast<std::size_t>(i) < outputs.size() &&
           outputs[static_cast<std::size_t>(i)] != nullptr;
  }
};

struct Refusal {
  std::string algorithm;
  std::string reason;
};

// What `lower` returns. `run` must be safe from several threads at once and must not throw except
// for values that break the operator's contract (ModelError, an index out of range, say).
struct Step {
  std::function<void(const RunContext&)> run;
  std::size_t scratch_bytes = 0;
  std::string algorithm = "generic";  // as `explain` prints it
  std::vector<Refusal> refused;       // faster algorithms that were considered
};

// Memory for transformed weights, shared by all plans of a model.
class WeightCache {
 public:
  virtual ~WeightCache() = default;
  using Made = std::shared_ptr<const std::byte>;
  // The memory of so many bytes that `make` gives for this key: made once, kept as long as the
  // result lives. The key must name everything that the bytes depend on, but for `source`. Where
  // `source` is an input of the node, the step must not read that input: it finds null there, so
  // that the constant itself can leave memory.
  virtual Made keep(const Tensor& source, const std::string& key, std::size_t bytes,
                    const std::function<Made()>& make) = 0;
  // keep() of bytes in the host's memory, 64-byte aligned, that `fill` writes.
  Made get(const Tensor& source, const std::string& key, std::size_t bytes,
           const std::function<void(std::byte*)>& fill);
};

struct LowerOptions {
  Isa isa = Isa::kBaseline;
  int threads = 1;
  Numerics numerics = Numerics::kFast;
  std::string_view force;  // name of the only algorithm allowed (tests), "" for free choice
};

// For `lower`. Outputs are inferred; layouts are decided.
class LowerContext : public OpContext {
 public:
  using SubgraphCompiler = std::function<std::shared_ptr<Callable>(const Subgraph&)>;

  LowerContext(const Node& node, std::span<const ValueInfo> inputs,
               std::span<const ValueInfo> outputs, const LowerOptions& options, WeightCache& cache,
               const SubgraphCompiler& compile)
      : OpContext(node, inputs),
        outputs_(outputs),
        options_(options),
        cache_(cache),
        compile_(compile) {}

  const ValueInfo& output(int i) const { return outputs_[static_cast<std::size_t>(i)]; }
  const Shape& out_shape(int i) const { return output(i).shape; }
  Layout layout(int i) const { return input(i).layout; }
  Layout out_layout(int i) const { return output(i).layout; }

  Isa isa() const { return options_.isa; }
  int threads() const { return options_.threads; }
  Numerics numerics() const { return options_.numerics; }
  std::string_view force() const { return options_.force; }
  WeightCache& cache() const { return cache_; }
  // The body in attribute `name`, compiled for calling.
  std::shared_ptr<Callable> body(std::string_view name) const;

 private:
  std::span<const ValueInfo> outputs_;
  const LowerOptions& options_;
  WeightCache& cache_;
  const SubgraphCompiler& compile_;
};

// A step that calls `run` of a T, which is made of the lowering context and which no run changes.
template <class T>
Step step_of(LowerContext& c, std::string algorithm) {
  Step step;
  step.algorithm = std::move(algorithm);
  step.run = [made = std::make_shared<const T>(c)](const RunContext& run) { made->run(run); };
  return step;
}

}  // namespace lanewise
