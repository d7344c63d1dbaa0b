// A loaded model as the bindings see it: names instead of ids, inputs checked at the border.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "engine/runtime/program.h"

namespace lanewise {

// A declared input or output. A dimension is a size, or kUnknown with its symbolic name (or "").
struct TensorInfo {
  std::string name;
  DType dtype = DType::kUndefined;
  std::vector<DType> holds;  // of a sequence, optional or map (graph/container.h)
  bool ranked = false;
  Shape shape;
  std::vector<std::string> dim_names;
  bool optional = false;  // an initialiser that a caller may replace
};

// One step of a run, timed.
struct LayerProfile {
  std::string name, op, algorithm, output, shape;
  std::vector<Refusal> refused;
  std::string device;  // "cpu", or as Backend::name; of a copy "copy"
  double seconds = 0;  // median over the runs
  double flops = 0;
  double bytes = 0;
};

struct Profile {
  std::vector<LayerProfile> layers;
  double total_seconds = 0;      // median over the runs, of the whole run
  std::size_t weight_bytes = 0;  // transformed weights held beside the file's own
};

// What a run will do, as far as shapes tell.
struct Description {
  std::vector<LayerProfile> layers;  // with no times
  bool complete = true;              // false when what follows depends on data
  std::size_t arena_bytes = 0;       // memory for inner values and scratch
  std::size_t device_bytes = 0;      // such memory on the device
  std::size_t weight_bytes = 0;      // as in Profile
};

class Session {
 public:
  Session(std::shared_ptr<const Graph> graph, const Options& options);

  const Options& options() const { return program_.options(); }
  const Graph& graph() const { return program_.graph(); }
  const std::vector<TensorInfo>& inputs() const { return inputs_; }
  std::vector<TensorInfo> outputs() const;
  // Names of every tensor that run() can return: inputs, inner values, outputs.
  std::vector<std::string> tensor_names() const;

  // Runs the model; `outputs` may name any tensor of the graph, and empty means the model's own.
  // Throws InputError for a missing, unknown or unfit input or an unknown output name.
  std::vector<Tensor> run(const std::map<std::string, Tensor>& inputs,
                          const std::vector<std::string>& outputs);

  // Runs `runs` times after one warm-up and reports each step.
  Profile profile(const std::map<std::string, Tensor>& inputs, int runs);

  // Plans for inputs of these shapes without running. Throws as run() does, and where the model
  // does not say an input's type.
  Description describe(const std::map<std::string, Shape>& shapes);

 private:
  std::vector<Tensor> run_checked(const std::map<std::string, Tensor>& inputs,
                                  const std::vector<ValueId>& outputs, Trace* trace);
  void check(const TensorInfo& info, DType dtype, const Shape& shape,
             std::map<std::string, std::int64_t>& sizes) const;
  void check_container(const TensorInfo& info, const Tensor& value) const;
  template <class Named>
  void check_names(const Named& inputs) const;
  std::vector<ValueId> output_ids(const std::vector<std::string>& names) const;

  Program program_;
  std::vector<TensorInfo> inputs_;
  std::map<std::string, ValueId> ids_;
};

}  // namespace lanewise
