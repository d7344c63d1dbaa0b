// What a caller chooses when loading a model.
#pragma once

#include <string>

#include "engine/base/cpu.h"
#include "engine/graph/context.h"

namespace lanewise {

struct Options {
  Isa isa = Isa::kBaseline;
  int threads = 1;
  Numerics numerics = Numerics::kFast;
  double time_limit = 0;  // seconds that a load or a run may take; 0 for any
  bool fuse = true;       // graph rewrites; false keeps each node as the file has it (tests)
  std::string force;      // algorithm that every operator which has it must take (tests)
};

// Options from their textual form: "" or "auto" for the widest ISA, 0 threads for the default,
// numerics "fast", "reproducible" or "strict". Throws InputError naming the option.
Options make_options(const std::string& isa, int threads, const std::string& numerics);

}  // namespace lanewise
