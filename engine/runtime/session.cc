// Checking what a caller gives, and timing.
#include "engine/runtime/session.h"

#include <algorithm>
#include <exception>
#include <thread>
#include <utility>

#include "engine/base/clock.h"
#include "engine/base/deadline.h"
#include "engine/base/error.h"
#include "engine/base/parallel.h"
#include "engine/graph/container.h"

namespace lanewise {
namespace {

TensorInfo info_of(const Value& value, bool optional) {
  return {value.name,  value.dtype,     value.holds, value.ranked,
          value.shape, value.dim_names, optional};
}

// Exporters also write "?" or "None" for a dimension of which they know nothing.
bool is_symbol(const std::string& dim_name) {
  return !dim_name.empty() && dim_name != "?" && dim_name != "None";
}

std::string form(DType dtype, const Shape& shape) {
  return std::string(dtype_name(dtype)) + " " + shape.str();
}

std::string declared_form(const TensorInfo& info) {
  if (is_container(info.dtype)) return type_text(type_of(info.dtype, info.holds));
  if (!info.ranked) return std::string(dtype_name(info.dtype)) + " of any shape";
  std::string text = std::string(dtype_name(info.dtype)) + " [";
  for (int i = 0; i < info.shape.rank(); ++i) {
    const auto at = static_cast<std::size_t>(i);
    const std::string symbol = at < info.dim_names.size() ? info.dim_names[at] : "";
    if (i > 0) text += ", ";
    text += info.shape[i] >= 0 ? std::to_string(info.shape[i]) : symbol.empty() ? "?" : symbol;
  }
  return text + "]";
}

// The type that each item of a container shall have: what it holds, or a map's key or value.
std::vector<DType> item_type(const TensorInfo& info, std::size_t item) {
  const std::vector<DType>& holds = info.holds;
  if (info.dtype != DType::kMap || holds.empty()) return holds;
  if (item == 0) return {holds[0]};
  return {holds.begin() + 1, holds.end()};
}

[[noreturn]] void refuse(const TensorInfo& info, DType dtype, const Shape& shape,
                         const std::string& hint) {
  const std::string expected = declared_form(info), got = form(dtype, shape);
  throw InputError("input '" + info.name + "': expected " + expected + ", got " + got + "; " + hint,
                   info.name, expected, got);
}

[[noreturn]] void refuse_missing(const TensorInfo& info) {
  const std::string expected = declared_form(info);
  throw InputError("input '" + info.name + "' is missing; expected " + expected, info.name,
                   expected, "nothing");
}

// A step as reports name it, not timed yet.
std::string side_text(Side side, const Options& options) {
  if (side == Side::kHost) return "cpu";
  return side == Side::kDevice ? options.backend->name() : "copy";
}

LayerProfile layer_of(const BoundStep& step, const Options& options) {
  return {step.name,
          step.op,
          step.step.algorithm,
          step.output_names.empty() ? "" : step.output_names[0],
          step.output_shape,
          step.step.refused,
          side_text(step.side, options),
          0,
          step.flops,
          step.bytes};
}

std::string joined(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "'" : ", '") + name + "'";
  return text;
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const std::size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

// Calls f, on a thread of its own where this process is a fork of one that had used threads.
template <class F>
void call_after_fork(F&& f) {
  if (!forked_from_pool()) return f();
  std::exception_ptr error;
  std::thread([&] {
    try {
      f();
    } catch (...) {
      error = std::current_exception();
    }
  }).join();
  if (error) std::rethrow_exception(error);
}

}  // namespace

Session::Session(std::shared_ptr<const Graph> graph, const Options& options)
    : program_(std::move(graph), options) {
  const Graph& g = this->graph();
  for (std::size_t i = 0; i < g.values.size(); ++i)
    ids_.emplace(g.values[i].name, static_cast<ValueId>(i));
  for (ValueId id : g.inputs) inputs_.push_back(info_of(g.value(id), false));
  for (ValueId id : g.overridable) inputs_.push_back(info_of(g.value(id), true));
  // With every shape known the plan is made now: a model that cannot run says so when it is loaded.
  std::map<ValueId, ValueInfo> forms;
  for (ValueId id : g.inputs) {
    const Value& value = g.value(id);
    if (!value.ranked || !value.shape.known()) return;
    forms[id] = {value.dtype, value.shape, Layout::kPlain, nullptr};
  }
  call_after_fork([&] {
    const TimeLimit limit(options.time_limit);
    program_.plan(forms);
  });
}

std::vector<TensorInfo> Session::outputs() const {
  std::vector<TensorInfo> result;
  for (ValueId id : graph().outputs) result.push_back(info_of(graph().value(id), false));
  return result;
}

std::vector<std::string> Session::tensor_names() const {
  std::vector<std::string> names;
  for (ValueId id : graph().inputs) names.push_back(graph().value_name(id));
  for (const Node& node : graph().nodes) {
    for (ValueId id : node.outputs) {
      if (id != kNoValue) names.push_back(graph().value_name(id));
    }
  }
  return names;
}

void Session::check(const TensorInfo& info, DType dtype, const Shape& shape,
                    std::map<std::string, std::int64_t>& sizes) const {
  if (info.dtype != DType::kUndefined && dtype != info.dtype) {
    refuse(info, dtype, shape,
           "convert it with .astype('" + std::string(dtype_name(info.dtype)) + "')");
  }
  if (!info.ranked) return;
  if (shape.rank() != info.shape.rank())
    refuse(info, dtype, shape, "give it that number of dimensions");
  for (int i = 0; i < info.shape.rank(); ++i) {
    if (info.shape[i] >= 0 && shape[i] != info.shape[i])
      refuse(info, dtype, shape, "give it that shape");
    const auto at = static_cast<std::size_t>(i);
    if (info.shape[i] >= 0 || at >= info.dim_names.size() || !is_symbol(info.dim_names[at]))
      continue;
    const auto [known, added] = sizes.emplace(info.dim_names[at], shape[i]);
    if (!added && known->second != shape[i]) {
      refuse(info, dtype, shape,
             "dimension '" + info.dim_names[at] + "' is " + std::to_string(known->second) +
                 " elsewhere in the inputs");
    }
  }
}

void Session::check_container(const TensorInfo& info, const Tensor& value) const {
  if (value.dtype() != info.dtype) {
    const std::string expected = declared_form(info), got = type_text(type_of(value));
    throw InputError("input '" + info.name + "': expected " + expected + ", got " + got, info.name,
                     expected, got);
  }
  const Container& content = container_of(value);
  for (std::size_t i = 0; i < content.items.size(); ++i) {
    const std::vector<DType> wanted = item_type(info, i);
    const std::vector<DType> given = type_of(content.items[i]);
    if (fits(wanted, given)) continue;
    const std::string expected = declared_form(info), got = type_text(given);
    throw InputError("input '" + info.name + "': expected " + expected + ", item " +
                         std::to_string(i) + " is " + got,
                     info.name, expected, got);
  }
}

// Refuses names that are no inputs of the model.
template <class Named>
void Session::check_names(const Named& inputs) const {
  std::vector<std::string> names;
  for (const TensorInfo& info : this->inputs()) names.push_back(info.name);
  for (const auto& [name, value] : inputs) {
    if (std::find(names.begin(), names.end(), name) == names.end()) {
      throw InputError(
          "input '" + name + "' is not an input of this model; its inputs are " + joined(names),
          name, joined(names), name);
    }
  }
}

std::vector<ValueId> Session::output_ids(const std::vector<std::string>& names) const {
  if (names.empty()) return graph().outputs;
  std::vector<ValueId> result;
  for (const std::string& name : names) {
    const auto it = ids_.find(name);
    if (it == ids_.end() || name.empty()) {
      std::vector<std::string> own;
      for (ValueId id : graph().outputs) own.push_back(graph().value_name(id));
      throw InputError("output '" + name + "' is no tensor of this model; its outputs are " +
                           joined(own) +
                           ", and model.tensor_names lists every tensor that can be asked for",
                       name, "the name of a tensor of the model", name);
    }
    result.push_back(it->second);
  }
  return result;
}

std::vector<Tensor> Session::run_checked(const std::map<std::string, Tensor>& inputs,
                                         const std::vector<ValueId>& outputs, Trace* trace) {
  const TimeLimit limit(options().time_limit);
  std::vector<Tensor> ordered;
  std::map<ValueId, Tensor> overrides;
  std::map<std::string, std::int64_t> sizes;
  std::size_t used = 0;
  for (const TensorInfo& info : this->inputs()) {
    const auto given = inputs.find(info.name);
    if (given == inputs.end()) {
      if (info.optional) continue;
      refuse_missing(info);
    }
    if (is_container(info.dtype) || is_container(given->second.dtype())) {
      check_container(info, given->second);
    } else {
      check(info, given->second.dtype(), given->second.shape(), sizes);
    }
    ++used;
    if (info.optional) {
      overrides.emplace(ids_.at(info.name), given->second);
    } else {
      ordered.push_back(given->second);
    }
  }
  if (used != inputs.size()) check_names(inputs);
  return program_.run(ordered, overrides, outputs, trace);
}

std::vector<Tensor> Session::run(const std::map<std::string, Tensor>& inputs,
                                 const std::vector<std::string>& outputs) {
  std::vector<Tensor> results;
  call_after_fork([&] { results = run_checked(inputs, output_ids(outputs), nullptr); });
  // A result that is also an input, a constant or another result gets memory of its own: the caller
  // may write to it.
  for (Tensor& tensor : results) tensor = detached(std::move(tensor));
  return results;
}

Profile Session::profile(const std::map<std::string, Tensor>& inputs, int runs) {
  Profile profile;
  std::vector<double> totals;
  std::vector<std::vector<double>> times;
  call_after_fork([&] {
    (void)run_checked(inputs, graph().outputs, nullptr);
    for (int i = 0; i < std::max(1, runs); ++i) {
      Trace trace;
      const double start = now_seconds();
      (void)run_checked(inputs, graph().outputs, &trace);
      totals.push_back(now_seconds() - start);
      if (i == 0) {
        times.resize(trace.steps.size());
        for (const StepTime& time : trace.steps)
          profile.layers.push_back(layer_of(*time.step, options()));
      }
      for (std::size_t j = 0; j < std::min(trace.steps.size(), times.size()); ++j) {
        times[j].push_back(trace.steps[j].seconds);
      }
    }
  });
  for (std::size_t j = 0; j < times.size(); ++j) profile.layers[j].seconds = median(times[j]);
  profile.total_seconds = median(totals);
  profile.weight_bytes = program_.weight_bytes();
  return profile;
}

Description Session::describe(const std::map<std::string, Shape>& shapes) {
  check_names(shapes);
  std::map<ValueId, ValueInfo> forms;
  std::map<std::string, std::int64_t> sizes;
  for (const TensorInfo& info : inputs()) {
    const auto given = shapes.find(info.name);
    if (given == shapes.end() && info.optional) continue;
    if (is_container(info.dtype)) {  // has no shape to tell
      forms[ids_.at(info.name)] = {info.dtype, Shape{}, Layout::kPlain, nullptr};
      continue;
    }
    if (given == shapes.end()) refuse_missing(info);
    if (info.dtype == DType::kUndefined) {
      throw InputError(
          "input '" + info.name + "' has no element type in the file; run the model on an array",
          info.name, "an element type", "none");
    }
    check(info, info.dtype, given->second, sizes);
    forms[ids_.at(info.name)] = {info.dtype, given->second, Layout::kPlain, nullptr};
  }
  Description description;
  call_after_fork([&] {
    const std::shared_ptr<const PlanNode> node = program_.plan(forms);
    for (const BoundStep& step : node->segment->parts().steps) {
      description.layers.push_back(layer_of(step, options()));
    }
    description.complete = node->complete;
    description.arena_bytes = node->segment->parts().arena_bytes;
    description.device_bytes = node->segment->parts().device_bytes;
  });
  description.weight_bytes = program_.weight_bytes();
  return description;
}

}  // namespace lanewise
