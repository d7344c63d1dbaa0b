// What the fused operators of the domain `lanewise` share: the activation that ends them.
#pragma once

#include <array>
#include <cstddef>

#include "engine/graph/op.h"
#include "engine/kernels/epilogue.h"

namespace lanewise {

inline constexpr AttrDef kActivationAttrs[] = {
    {.name = "activation", .type = AttrType::kString, .doc = "operator name, default none"},
    {.name = "activation_alpha",
     .type = AttrType::kFloat,
     .doc = "its alpha; of Clip, the minimum"},
    {.name = "activation_beta", .type = AttrType::kFloat, .doc = "its beta; of Clip, the maximum"}};

// The attributes of an operator, then those of its activation.
template <std::size_t n>
constexpr auto with_activation_attrs(const AttrDef (&own)[n]) {
  constexpr std::size_t kMore = std::size(kActivationAttrs);
  std::array<AttrDef, n + kMore> all{};
  for (std::size_t i = 0; i < n; ++i) all[i] = own[i];
  for (std::size_t i = 0; i < kMore; ++i) all[n + i] = kActivationAttrs[i];
  return all;
}

// For operators that have a fused and a plain form: the plain one has no activation.
void check_activation(const InferContext& c);

kernels::ActivationCall fused_activation(const OpContext& c);

}  // namespace lanewise
