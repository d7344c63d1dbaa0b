// com.microsoft's Attention: its projections become products, its stacked cache two caches, and
// what is left is MultiHeadAttention, an operator of its own (engine/ops/multi_head_attention.cc).
#include "engine/onnx/upgrade.h"

namespace lanewise::onnx {
namespace {

std::vector<std::string> split_last(Rewriter& r, const std::string& x,
                                    const std::vector<std::int64_t>& sizes) {
  AttrMap attributes = attrs({{"axis", std::int64_t{-1}}});
  if (!sizes.empty()) return r.before_all("Split", {x, r.ints(sizes)}, 3, std::move(attributes));
  attributes.merge(attrs({{"num_outputs", std::int64_t{3}}}));
  return r.before_all("Split", {x}, 3, std::move(attributes));
}

void attention(Rewriter& r) {
  if (r.take<std::int64_t>("do_rotary").value_or(0) != 0) r.unsupported("do_rotary = 1");
  const bool fixed = r.take<std::int64_t>("past_present_share_buffer").value_or(0) != 0;
  if (fixed && !(r.has_input(4) && r.has_input(6)))
    r.fail("past_present_share_buffer = 1 needs past and past_sequence_length");
  r.drop("rotary_embedding_dim");
  const auto sizes = r.take<std::vector<std::int64_t>>("qkv_hidden_sizes");
  if (sizes && sizes->size() != 3 && !sizes->empty())
    r.fail("attribute 'qkv_hidden_sizes' must have 3 entries");
  std::string projected = r.before("MatMul", {r.input(0), r.input(1)});
  if (r.has_input(2)) projected = r.before("Add", {projected, r.input(2)});
  std::vector<std::string> inputs =
      split_last(r, projected, sizes.value_or(std::vector<std::int64_t>{}));
  inputs.emplace_back();  // no bias is left
  inputs.push_back(r.has_input(3) ? r.input(3) : "");
  inputs.push_back(r.has_input(5) ? r.input(5) : "");
  const AttrMap first_axis = attrs({{"axis", std::int64_t{0}}});
  if (r.has_input(4)) {
    AttrMap halves = first_axis;
    halves.merge(attrs({{"num_outputs", std::int64_t{2}}}));
    for (const std::string& half : r.before_all("Split", {r.input(4)}, 2, std::move(halves)))
      inputs.push_back(r.before("Squeeze", {half, r.ints({0})}));
  }
  if (fixed) inputs.push_back(r.input(6));  // after past_key and past_value
  while (inputs.back().empty()) inputs.pop_back();
  AttrMap attributes = std::move(r.node.attributes);
  const bool shows = r.node.outputs.size() > 1 && !r.node.outputs[1].empty();
  if (!shows) {
    r.become("com.microsoft:MultiHeadAttention", std::move(inputs), std::move(attributes));
    return;
  }
  const std::vector<std::string> results =
      r.before_all("com.microsoft:MultiHeadAttention", std::move(inputs), 3, std::move(attributes));
  const std::string zero = r.ints({0});
  r.make_instead(
      1, "Concat",
      {r.before("Unsqueeze", {results[1], zero}), r.before("Unsqueeze", {results[2], zero})},
      first_axis);
  r.become("Identity", {results[0]});
}

constexpr Rule kRules[] = {
    {"Attention", 0, kNewestOpset, attention, "com.microsoft"},
};

}  // namespace

std::span<const Rule> contrib_attention_rules() { return kRules; }

}  // namespace lanewise::onnx
