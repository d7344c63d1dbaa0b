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

Precision parse_precision(const std::string& text) {
  if (text == "float32") return Precision::kFloat32;
  if (text == "tf32") return Precision::kTf32;
  if (text == "float16") return Precision::kFloat16;
  if (text == "bfloat16") return Precision::kBFloat16;
  throw InputError(
      "precision: expected 'float32', 'tf32', 'float16' or 'bfloat16', got '" + text + "'",
      "precision", "float32, tf32, float16 or bfloat16", text);
}

}  // namespace

std::string_view forced(const Options& options, const Node& node) {
  const auto chosen = options.choices.find(node.name);
  return chosen == options.choices.end() ? options.force : chosen->second;
}

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

void set_device(Options& options, const std::string& device, const std::string& precision,
                const std::vector<std::string>& folders) {
  const DeviceChoice choice{device, parse_precision(precision), folders};
  if (device == "cpu") {
    if (choice.precision == Precision::kFloat32) return;
    throw InputError("precision: '" + precision +
                         "' is for device='cuda'; the CPU computes as the model's types say",
                     "precision", "float32", precision);
  }
  if (options.numerics != Numerics::kFast) {
    throw InputError(
        "numerics: 'reproducible' and 'strict' are promises of the CPU; with device='" + device +
            "' leave numerics at 'fast'",
        "numerics", "fast", options.numerics == Numerics::kStrict ? "strict" : "reproducible");
  }
  options.backend = open_backend(choice);
}

}  // namespace lanewise
