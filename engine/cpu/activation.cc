// The table behind activation.h.
#include "engine/cpu/activation.h"

namespace lanewise {

std::optional<kernels::Activation> find_activation(std::string_view name) {
  using kernels::Activation;
  struct Entry {
    std::string_view name;
    Activation activation;
  };
  static constexpr Entry kEntries[] = {
      {"", Activation::kNone},
      {"Relu", Activation::kRelu},
      {"LeakyRelu", Activation::kLeakyRelu},
      {"Clip", Activation::kClip},
      {"Sigmoid", Activation::kSigmoid},
      {"Tanh", Activation::kTanh},
      {"HardSigmoid", Activation::kHardSigmoid},
      {"HardSwish", Activation::kHardSwish},
      {"Silu", Activation::kSilu},
      {"Elu", Activation::kElu},
      {"Gelu", Activation::kGelu},
  };
  for (const Entry& entry : kEntries) {
    if (entry.name == name) return entry.activation;
  }
  return std::nullopt;
}

}  // namespace lanewise
