// The environment variables that the library reads, each once: the only getenv in the tree.
#pragma once

#include <string>

namespace lanewise {

struct Knobs {
  std::string isa;  // LANEWISE_ISA: default of the `isa` option, "" for the widest
  int threads = 0;  // LANEWISE_THREADS: default of the `threads` option, 0 for default_threads()
};

// Throws InputError naming the variable when a value does not parse.
const Knobs& knobs();

}  // namespace lanewise
