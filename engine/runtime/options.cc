// Checking the options of load.
#include "engine/runtime/options.h"

#include "engine/base/error.h"
#include "engine/base/knobs.h"

namespace lanewise {
namespace {

constexpr int kMaxThreads = 1024;

Numerics parse_numerics(const std::string& text) {
  if (text == "fast") return Numerics::kFast;
  if (text == "reproducible") return Numerics::kReproducible;
  if (text == "strict") return Numerics::kStrict;
  throw InputError("numerics: expected 'fast', 'reproducible' or 'strict', got '" + text + "'",
                   "numerics", "fast, reproducible or strict", text);
}

}  // namespace

Options make_options(const std::string& isa, int threads, const std::string& numerics) {
  if (threads < 0 || threads > kMaxThreads) {
    throw InputError("threads: expected 1 to " + std::to_string(kMaxThreads) +
                         ", or 0 for this machine's default, got " + std::to_string(threads),
                     "threads", "0.." + std::to_string(kMaxThreads), std::to_string(threads));
  }
  Options options;
  options.isa = parse_isa(isa.empty() ? knobs().isa : isa);
  options.threads = threads > 0           ? threads
                    : knobs().threads > 0 ? knobs().threads
                                          : default_threads();
  options.numerics = parse_numerics(numerics);
  return options;
}

}  // namespace lanewise
