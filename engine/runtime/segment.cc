// Running a compiled segment.
#include "engine/runtime/segment.h"

#include <cstring>
#include <utility>

#include "engine/base/clock.h"
#include "engine/base/deadline.h"
#include "engine/base/error.h"
#include "engine/graph/container.h"

namespace lanewise {
namespace {

// Takes what a step makes, and tells which of its inputs are tensors of their own.
class StepEmitter final : public Emitter, public OwnedInputs {
 public:
  StepEmitter(const BoundStep& step, const Segment::Parts& parts, const std::vector<Tensor>& live,
              const std::vector<Tensor>& results)
      : made(step.emits ? step.outputs.size() : 0),
        step_(step),
        parts_(parts),
        live_(live),
        results_(results) {}

  void emit(int output, Tensor tensor) override {
    made[static_cast<std::size_t>(output)] = std::move(tensor);
  }

  const Tensor* owned(std::size_t input) const override {
    const Place place = input < step_.inputs.size() ? step_.inputs[input] : Place{};
    const Tensor* tensor = nullptr;
    if (place.kind == Place::Kind::kConstant) tensor = parts_.constants[place.index].get();
    if (place.kind == Place::Kind::kLive) tensor = &live_[place.index];
    if (place.kind == Place::Kind::kResult) tensor = &results_[place.index];
    const bool stays = tensor != nullptr && tensor->owner() != nullptr && !tensor->backing();
    return stays ? tensor : nullptr;
  }

  std::vector<Tensor> made;

 private:
  const BoundStep& step_;
  const Segment::Parts& parts_;
  const std::vector<Tensor>& live_;
  const std::vector<Tensor>& results_;
};

}  // namespace

void describe_step(const Graph& graph, const OpContext& context, std::span<const ValueInfo> inputs,
                   std::span<const ValueInfo> outputs, BoundStep& bound) {
  const Node& node = context.node();
  bound.name = node.name;
  bound.op = op_name(*node.op);
  double elements = 0;
  for (const auto& list : {inputs, outputs}) {
    for (const ValueInfo& value : list) {
      if (!value.present() || !value.shape.known()) continue;
      const double count = static_cast<double>(value.shape.elements());
      if (list.data() == outputs.data()) elements += count;
      bound.bytes += count * static_cast<double>(dtype_size(value.dtype));
    }
  }
  bound.flops = node.op->flops == nullptr ? elements : node.op->flops(context, outputs);
  for (ValueId id : node.outputs) {
    bound.output_names.push_back(id == kNoValue ? "" : graph.value_name(id));
    bound.emits = bound.emits || (id != kNoValue && !graph.value(id).shape.known());
  }
  bound.output_shape = outputs.empty() ? "" : outputs[0].shape.str();
}

Segment::Segment(Parts parts) : parts_(std::move(parts)) {}

std::unique_ptr<Segment::Frame> Segment::take_frame() const {
  {
    const std::lock_guard lock(mutex_);
    if (!frames_.empty()) {
      std::unique_ptr<Frame> frame = std::move(frames_.back());
      frames_.pop_back();
      return frame;
    }
  }
  auto frame = std::make_unique<Frame>();
  frame->arena = allocate_aligned(parts_.arena_bytes);
  if (parts_.backend != nullptr)
    frame->device = parts_.backend->make_frame(parts_.device_bytes, parts_.staging_bytes);
  for (const BoundStep& step : parts_.steps) {
    frame->inputs.emplace_back(step.inputs.size());
    frame->outputs.emplace_back(step.outputs.size());
  }
  return frame;
}

void Segment::give_back(std::unique_ptr<Frame> frame) const {
  const std::lock_guard lock(mutex_);
  frames_.push_back(std::move(frame));
}

void Segment::bind(Frame& frame, const std::vector<Tensor>& live,
                   std::vector<Tensor>& results) const {
  const auto address = [&](const Place& place) -> void* {
    switch (place.kind) {
      case Place::Kind::kArena: return frame.arena.get() + place.index;
      case Place::Kind::kConstant: return const_cast<void*>(parts_.constants[place.index]->data());
      case Place::Kind::kLive: return const_cast<void*>(live[place.index].data());
      case Place::Kind::kResult: return results[place.index].mutable_data();
      case Place::Kind::kDevice: return frame.device->arena() + place.index;
      case Place::Kind::kDeviceConstant:
        return const_cast<std::byte*>(parts_.device_constants[place.index].get());
      case Place::Kind::kNone: break;
    }
    return nullptr;
  };
  for (std::size_t i = 0; i < parts_.steps.size(); ++i) {
    const BoundStep& step = parts_.steps[i];
    for (std::size_t j = 0; j < step.inputs.size(); ++j)
      frame.inputs[i][j] = address(step.inputs[j]);
    for (std::size_t j = 0; j < step.outputs.size(); ++j)
      frame.outputs[i][j] = address(step.outputs[j]);
  }
}

// The end of the steps from `first` on that are the device's.
std::size_t Segment::stretch_end(std::size_t first) const {
  while (first < parts_.steps.size() && parts_.steps[first].side != Side::kHost) ++first;
  return first;
}

void Segment::enqueue(Frame& frame, std::size_t first, std::size_t end) const {
  DeviceFrame& device = *frame.device;
  for (std::size_t i = first; i < end; ++i) {
    const BoundStep& bound = parts_.steps[i];
    std::byte* staging = device.staging() + bound.staging;
    if (bound.side == Side::kToDevice) {
      device.copy_in(static_cast<std::byte*>(frame.outputs[i][0]), staging, bound.copy_bytes);
    } else if (bound.side == Side::kToHost) {
      device.copy_out(staging, static_cast<const std::byte*>(frame.inputs[i][0]), bound.copy_bytes);
    } else {
      bound.step.run({.inputs = frame.inputs[i],
                      .outputs = frame.outputs[i],
                      .scratch = device.arena() + bound.scratch.index,
                      .stream = device.stream()});
    }
  }
}

// Device steps [first, end), from host memory to host memory. What is enqueued touches no memory
// but the frame's and constants, so that it can be played again for other inputs.
void Segment::run_stretch(Frame& frame, std::size_t first, std::size_t end) const {
  const auto staged = [&](std::size_t i) {
    return frame.device->staging() + parts_.steps[i].staging;
  };
  for (std::size_t i = first; i < end; ++i) {
    const BoundStep& bound = parts_.steps[i];
    if (bound.side == Side::kToDevice && bound.copy_bytes > 0)
      std::memcpy(staged(i), frame.inputs[i][0], bound.copy_bytes);
  }
  // No two stretches of these bounds differ, so they name what is captured.
  frame.device->run(first * parts_.steps.size() + end, [&] { enqueue(frame, first, end); });
  frame.device->wait();
  for (std::size_t i = first; i < end; ++i) {
    const BoundStep& bound = parts_.steps[i];
    if (bound.side == Side::kToHost && bound.copy_bytes > 0)
      std::memcpy(frame.outputs[i][0], staged(i), bound.copy_bytes);
  }
}

void Segment::run(std::map<ValueId, Tensor>& live, int threads, Trace* trace) const {
  std::vector<Tensor> read;
  for (ValueId id : parts_.live) read.push_back(live.at(id));
  std::vector<Tensor> results;
  for (const Result& result : parts_.results) {
    const bool made = result.shape.known() && result.copy_from.kind == Place::Kind::kNone;
    results.push_back(made ? Tensor::allocate(result.dtype, result.shape) : Tensor());
  }
  // A frame whose run threw is dropped: its content is of no further use, and neither is harm done.
  std::unique_ptr<Frame> frame = take_frame();
  bind(*frame, read, results);
  for (std::size_t i = 0; i < parts_.steps.size(); ++i) {
    const BoundStep& bound = parts_.steps[i];
    if (bound.side != Side::kHost) {
      if (out_of_time()) check_time("before node '" + bound.name + "' (" + bound.op + "): ");
      // One by one where each is timed.
      const std::size_t end = trace == nullptr ? stretch_end(i) : i + 1;
      const double start = trace == nullptr ? 0 : now_seconds();
      run_stretch(*frame, i, end);
      if (trace != nullptr) trace->steps.push_back({&bound, now_seconds() - start});
      i = end - 1;
      continue;
    }
    RunContext context{.inputs = frame->inputs[i],
                       .outputs = frame->outputs[i],
                       .scratch = frame->arena.get() + bound.scratch.index,
                       .threads = threads,
                       .emitter = nullptr};
    StepEmitter emitter(bound, parts_, read, results);
    if (bound.emits) context.emitter = &emitter;
    if (out_of_time()) check_time("before node '" + bound.name + "' (" + bound.op + "): ");
    const double start = trace == nullptr ? 0 : now_seconds();
    bound.step.run(context);
    if (trace != nullptr) trace->steps.push_back({&bound, now_seconds() - start});
    for (std::size_t j = 0; j < emitter.made.size(); ++j) {
      if (emitter.made[j].defined() && bound.outputs[j].kind == Place::Kind::kResult) {
        results[bound.outputs[j].index] = std::move(emitter.made[j]);
      }
    }
  }
  for (std::size_t i = 0; i < results.size(); ++i) {
    const Result& result = parts_.results[i];
    if (result.copy_from.kind == Place::Kind::kLive) {
      results[i] = read[result.copy_from.index].viewed(result.dtype, result.shape);
    } else if (result.copy_from.kind == Place::Kind::kConstant) {
      const Tensor& constant = *parts_.constants[result.copy_from.index];
      results[i] = constant.lasting().viewed(result.dtype, result.shape);
    } else if (result.copy_from.kind == Place::Kind::kResult) {
      results[i] = results[result.copy_from.index].viewed(result.dtype, result.shape);
    }
  }
  // Not before: a result may be a view of any other.
  for (std::size_t i = 0; i < results.size(); ++i) {
    live.insert_or_assign(parts_.results[i].id, std::move(results[i]));
  }
  give_back(std::move(frame));
}

}  // namespace lanewise
