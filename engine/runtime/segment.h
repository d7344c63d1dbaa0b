// A part of a plan that runs without a look at the data: steps bound to places in one arena.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "engine/base/buffer.h"
#include "engine/graph/backend.h"
#include "engine/graph/backing.h"
#include "engine/graph/op.h"
#include "engine/runtime/options.h"
#include "engine/runtime/specialize.h"
#include "engine/runtime/weights.h"

namespace lanewise {

// Where the bytes of a value are while a segment runs.
struct Place {
  enum class Kind : std::uint8_t {
    kNone,
    kArena,
    kConstant,
    kLive,
    kResult,
    kDevice,
    kDeviceConstant
  };
  Kind kind = Kind::kNone;
  // Offset in the arena or the device's; index in constants, live, results or device_constants.
  std::size_t index = 0;
};

// What runs a step: the host, the device, or a copy between them (lanewise:ToDevice, ToHost).
enum class Side : std::uint8_t { kHost, kDevice, kToDevice, kToHost };

// A step of a segment, with what `explain` says of it.
struct BoundStep {
  Step step;
  std::string name;
  std::string op;
  double flops = 0;
  double bytes = 0;  // read and written once: inputs, weights and outputs
  std::vector<Place> inputs;
  std::vector<Place> outputs;
  Place scratch;
  std::vector<std::string> output_names;
  std::string output_shape;
  bool emits = false;  // makes its outputs itself
  Side side = Side::kHost;
  std::size_t copy_bytes = 0, staging = 0;  // of a copy: its size, its place in the staging memory
};

// Fills in what `explain` says of a step beside its algorithm.
void describe_step(const Graph& graph, const OpContext& context, std::span<const ValueInfo> inputs,
                   std::span<const ValueInfo> outputs, BoundStep& bound);

// A value that leaves a segment: a result of the model, or something that a later segment reads.
struct Result {
  ValueId id = kNoValue;
  DType dtype = DType::kUndefined;
  Shape shape;      // with kUnknown dimensions when the step emits it
  Place copy_from;  // set when the bytes lie elsewhere (an input, a constant, another result)
};

struct StepTime {
  const BoundStep* step;
  double seconds;
};
struct Trace {
  std::vector<StepTime> steps;
  std::vector<std::shared_ptr<const void>> plans;  // keep the steps alive
};

// Immutable once compiled, but for the pool of frames; safe from several threads.
class Segment {
 public:
  struct Parts {
    std::vector<BoundStep> steps;
    std::vector<std::shared_ptr<const Tensor>> constants;
    std::vector<Hold> held;     // the constants, which steps read
    std::vector<ValueId> live;  // values read from before the segment
    std::vector<Result> results;
    std::size_t arena_bytes = 0;
    // With a device: what its steps need, its memory, and that which copies go through.
    std::shared_ptr<Backend> backend;
    std::vector<std::shared_ptr<const std::byte>> device_constants;
    std::size_t device_bytes = 0, staging_bytes = 0;
  };
  explicit Segment(Parts parts);

  // Runs the steps. `live` maps the values that exist already; results are added to it.
  void run(std::map<ValueId, Tensor>& live, int threads, Trace* trace) const;

  const Parts& parts() const { return parts_; }

 private:
  // An arena and the pointers into it, bound once and kept for the next call.
  struct Frame {
    AlignedBytes arena;
    std::vector<std::vector<const void*>> inputs;
    std::vector<std::vector<void*>> outputs;
    std::unique_ptr<DeviceFrame> device;  // null without steps on a device
  };
  std::unique_ptr<Frame> take_frame() const;
  void give_back(std::unique_ptr<Frame> frame) const;
  void bind(Frame& frame, const std::vector<Tensor>& live, std::vector<Tensor>& results) const;
  std::size_t stretch_end(std::size_t first) const;
  void run_stretch(Frame& frame, std::size_t first, std::size_t end) const;
  void enqueue(Frame& frame, std::size_t first, std::size_t end) const;

  Parts parts_;
  mutable std::mutex mutex_;
  mutable std::vector<std::unique_ptr<Frame>> frames_;
};

// Compiles walked nodes. `results` names the values that must leave the segment; `held` are all
// constants of the graph, let go one by one when they have been read for the last time.
std::unique_ptr<Segment> compile_segment(const Graph& graph, const Walk& walk, const Facts& facts,
                                         const std::vector<ValueId>& results,
                                         std::vector<Hold> held, const Options& options,
                                         SharedWeights& weights,
                                         const LowerContext::SubgraphCompiler& compile);

}  // namespace lanewise
