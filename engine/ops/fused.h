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

// What an activation leaves of a quantised result: it is between two bytes.
inline constexpr AttrDef kByteClampAttrs[] = {
    {.name = "low", .type = AttrType::kInt, .doc = "least byte of the result", .int_default = -128},
    {.name = "high", .type = AttrType::kInt, .doc = "largest byte", .int_default = 255}};

template <std::size_t n, std::size_t more>
constexpr auto with_attrs(const AttrDef (&own)[n], const AttrDef (&others)[more]) {
  std::array<AttrDef, n + more> all{};
  for (std::size_t i = 0; i < n; ++i) all[i] = own[i];
  for (std::size_t i = 0; i < more; ++i) all[n + i] = others[i];
  return all;
}
// The attributes of an operator, then those of its activation.
template <std::size_t n>
constexpr auto with_activation_attrs(const AttrDef (&own)[n]) {
  return with_attrs(own, kActivationAttrs);
}
template <std::size_t n>
constexpr auto with_byte_clamp(const AttrDef (&own)[n]) {
  return with_attrs(own, kByteClampAttrs);
}

// For operators that have a fused and a plain form: the plain one has no activation.
void check_activation(const InferContext& c);

// Of kByteClampAttrs: two bytes in order.
void check_byte_clamp(const OpContext& c);

kernels::ActivationCall fused_activation(const OpContext& c);

}  // namespace lanewise
