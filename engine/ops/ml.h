// What operators of ai.onnx.ml share: numeric rows in, class labels and transformed scores out.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/graph/op.h"

namespace lanewise::ml {

inline constexpr std::string_view kDomain = "ai.onnx.ml";

// Input 0 as a matrix; a vector is one row. Fails for other ranks, and for types other than
// float32, float64, int32 and int64.
struct Rows {
  std::int64_t rows = 0, columns = 0;
};
Rows expect_rows(const OpContext& c);

// Fails unless the list in the attribute has `wanted` entries.
void expect_length(const OpContext& c, std::string_view name, std::size_t length,
                   std::int64_t wanted);

// A row of such an input as doubles, which hold all of these types but the largest int64 exactly.
void read_row(const void* x, DType dtype, std::int64_t row, std::int64_t columns, double* out);

// The attribute 'n_targets'; fails outside 1 to 2^24, which bounds what a row takes.
std::int64_t targets_of(const OpContext& c);

// Calls f(row index, row as doubles) for all rows, on threads.
using RowFunction = std::function<void(std::int64_t row, const double* x)>;
void for_rows(const RunContext& run, DType dtype, const Rows& rows, const RowFunction& f);

enum class Transform : std::uint8_t { kNone, kSoftmax, kLogistic, kSoftmaxZero, kProbit };
// The attribute 'post_transform'; fails when it is none of the five.
Transform transform_of(const OpContext& c);
void transform_scores(Transform transform, std::span<float> scores);
float logistic(float x);

inline constexpr AttrDef kPostTransform = {.name = "post_transform",
                                           .type = AttrType::kString,
                                           .doc = "NONE, SOFTMAX, LOGISTIC, SOFTMAX_ZERO or PROBIT",
                                           .string_default = "NONE"};

// How one score that is not transformed stands for two classes: (1 - s, s) or (-s, s).
enum class Second : std::uint8_t { kComplement, kNegative };
// The scores of a row, transformed, into `out`. Where `out` has room for two, a single score s is
// taken as (1 - s, s) by PROBIT, which wants probabilities, and as (-s, s) by the other transforms.
void write_scores(std::vector<float>& scores, Transform transform, Second second,
                  std::span<float> out);

// Class labels of one of two types.
struct Labels {
  std::vector<std::int64_t> ints;
  std::vector<std::string> strings;

  std::size_t size() const { return strings.empty() ? ints.size() : strings.size(); }
  DType dtype() const { return strings.empty() ? DType::kInt64 : DType::kString; }
  // Writes label `index` at `row` of output 0.
  void put(const RunContext& run, std::int64_t row, std::size_t index) const;
};
// Fails unless exactly one of the two attributes has entries.
Labels labels_of(const OpContext& c, std::string_view ints, std::string_view strings);

}  // namespace lanewise::ml
