// Running a compiled segment.
#include "engine/runtime/segment.h"

#include <utility>

#include "engine/base/clock.h"
#include "engine/base/deadline.h"
#include "engine/base/error.h"
#include "engine/runtime/evaluate.h"

namespace lanewise {
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
    RunContext context{.inputs = frame->inputs[i],
                       .outputs = frame->outputs[i],
                       .scratch = frame->arena.get() + bound.scratch.index,
                       .threads = threads,
                       .emitter = nullptr};
    std::vector<Tensor> emitted(bound.emits ? bound.outputs.size() : 0);
    TensorEmitter emitter(emitted);
    if (bound.emits) context.emitter = &emitter;
    if (out_of_time()) check_time("before node '" + bound.name + "' (" + bound.op + "): ");
    const double start = trace == nullptr ? 0 : now_seconds();
    bound.step.run(context);
    if (trace != nullptr) trace->steps.push_back({&bound, now_seconds() - start});
    for (std::size_t j = 0; j < emitted.size(); ++j) {
      if (emitted[j].defined() && bound.outputs[j].kind == Place::Kind::kResult) {
        results[bound.outputs[j].index] = std::move(emitted[j]);
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
