// What an operator is: its schema, its shape rule and its CPU lowering, as constant data.
// A file engine/ops/<family>.cc defines `extern const OpTable <family>_ops`; the build finds it.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "engine/graph/context.h"
#include "engine/graph/graph.h"

namespace lanewise {

enum class AttrType : std::uint8_t {
  kInt,
  kFloat,
  kString,
  kInts,
  kFloats,
  kStrings,
  kTensor,
  kTensors,
  kGraph,
  kType
};

// One attribute of the schema. `fallback` is what attr_* returns when the node lacks it; an
// attribute that is `required` has none, and one that is optional without a default says so in doc.
struct AttrDef {
  std::string_view name = {};
  AttrType type = AttrType::kInt;
  std::string_view doc = {};
  bool required = false;
  std::int64_t int_default = 0;
  float float_default = 0.0f;
  std::string_view string_default = {};
};

// How an operator sees the layout of its activations (Layout in tensor.h).
enum class LayoutRule : std::uint8_t {
  kPlain,     // inputs and outputs row-major
  kChannels,  // input 0 and output 0 channels-last (rank >= 3), the others row-major
  kFollow,    // outputs, and inputs of the output's rank, share one layout, either one; inputs of
              // lower rank are row-major (layout.h gives strides for broadcasting)
};

// Values whose pixels lie apart: inputs (bit i) that a node can read, whether it can write output
// 0.
struct Pitched {
  std::uint32_t inputs = 0;
  bool output = false;
};

struct OpDef {
  std::string_view domain = {};  // "" is ai.onnx
  std::string_view name = {};
  std::string_view doc = {};           // one sentence, and the paper where there is one
  int min_inputs = 1, max_inputs = 1;  // max < 0: variadic
  int min_outputs = 1, max_outputs = 1;
  std::span<const AttrDef> attributes = {};

  // Gives each output its dtype and shape (context.h). Throws ModelError through context.fail.
  void (*infer)(InferContext&) = nullptr;
  // Picks algorithms, packs weights, books scratch memory; returns what runs.
  Step (*lower)(LowerContext&) = nullptr;

  LayoutRule layout = LayoutRule::kPlain;
  // For LayoutRule::kChannels: the inputs (bit i) that are channels-last when output 0 is.
  std::uint32_t channels_inputs = 1;
  // Bit i: output 0 may share the memory of input i when that input is not read afterwards and
  // has as many bytes. An element is then read before the same element is written.
  std::uint32_t inplace = 0;
  // What a node of this operator does with values that lie inside others (Embedding in graph.h):
  // null means nothing, and such values are then not made.
  Pitched (*pitched)(const Node&) = nullptr;
  // Output 0 is the bytes of input 0 under another shape: no step is needed.
  bool view = false;
  // Reads the shape of input 0 and not its content (Shape, Size): folds before any data is there.
  bool shape_only = false;
  // The result is not a function of the inputs alone (random numbers): never folded.
  bool impure = false;
  // Handles float16/bfloat16 tensors itself. Without it, the engine computes in float32 and
  // rounds once. Operators that only move or compare bytes set it.
  bool any_float = false;
  // Takes or gives sequences, optionals or maps; its shape rule checks which. Without it, inputs
  // that are no tensors are refused.
  bool containers = false;
  // Takes attributes of any name, none of which the schema lists.
  bool any_attributes = false;
  // What the functions of an operator that was made at run time work with; theirs to interpret.
  const void* custom = nullptr;
  // Floating-point operations of one run, given inferred inputs and outputs; null means one per
  // output element.
  double (*flops)(const OpContext&, std::span<const ValueInfo> outputs) = nullptr;
};

struct OpTable {
  std::span<const OpDef> ops;
};

// The definition, or null. Domain "ai.onnx" is the same as "".
const OpDef* find_op(std::string_view domain, std::string_view name);

// Adds an operator for models loaded from now on, in place of an added one of that name; false
// when the build has its own. It must live as long as the process. Safe from several threads.
bool add_op(const OpDef& op);

// Every operator of the build, ordered by domain and name.
std::span<const OpDef* const> all_ops();

// "Conv" or "com.microsoft:QLinearAdd".
std::string op_name(const OpDef& op);

}  // namespace lanewise
