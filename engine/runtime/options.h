// What a caller chooses when loading a model.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/cpu.h"
#include "engine/graph/backend.h"

namespace lanewise {

struct Options {
  Isa isa = Isa::kBaseline;
  int threads = 1;
  Numerics numerics = Numerics::kFast;
  double time_limit = 0;  // seconds that a load or a run may take; 0 for any
  bool fuse = true;       // graph rewrites; false keeps each node as the file has it (tests)
  std::string force;      // algorithm that every operator which has it must take (tests)
  // Algorithms that single nodes take where they can, by the node's name.
  std::map<std::string, std::string, std::less<>> choices;
  std::shared_ptr<Backend> backend;  // where steps run that it has a form of; null for the CPU
};

// The algorithm that a node must take, "" for free choice.
std::string_view forced(const Options& options, const Node& node);

// Options from their textual form: "" or "auto" for the widest ISA, 0 threads for the default,
// numerics "fast", "reproducible" or "strict". Throws InputError naming the option.
Options make_options(const std::string& isa, int threads, const std::string& numerics);

// Sets the device: "cpu", "cuda" or "cuda:<number>", with precision "float32", "tf32", "float16" or
// "bfloat16". Throws InputError naming the option, DeviceError when the device is not there.
void set_device(Options& options, const std::string& device, const std::string& precision,
                const std::vector<std::string>& folders);

}  // namespace lanewise
