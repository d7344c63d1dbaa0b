// See attention_shapes.h.
#include "engine/ops/attention_shapes.h"

#include <cmath>
#include <string>

namespace lanewise {
namespace {

std::string shapes_text(const OpContext& c) {
  return c.shape(0).str() + ", " + c.shape(1).str() + " and " + c.shape(2).str();
}

// Rank 3: the heads are attributes and lie side by side in a row.
HeadShapes packed_heads(const OpContext& c) {
  HeadShapes s;
  s.q_heads = c.attr_int("q_num_heads");
  s.kv_heads = c.attr_int("kv_num_heads");
  if (s.q_heads < 1 || s.kv_heads < 1) {
    c.fail(
        "attributes 'q_num_heads' and 'kv_num_heads' must be given, and positive, for inputs of "
        "rank 3");
  }
  const std::int64_t heads[] = {s.q_heads, s.kv_heads, s.kv_heads};
  for (int i = 0; i < 3; ++i) {
    if (c.shape(i)[2] % heads[i] != 0) {
      c.fail("input " + std::to_string(i) + " of shape " + c.shape(i).str() +
             " does not divide into " + std::to_string(heads[i]) + " heads");
    }
  }
  s.queries = c.shape(0)[1];
  s.keys = c.shape(1)[1];
  s.head = c.shape(0)[2] / s.q_heads;
  s.v_head = c.shape(2)[2] / s.kv_heads;
  const auto rows = [](std::int64_t count, std::int64_t number, std::int64_t size) {
    const std::int64_t row = checked_multiply(number, size);
    return HeadRows{checked_multiply(count, row), size, row};
  };
  s.q = rows(s.queries, s.q_heads, s.head);
  s.k = rows(s.keys, s.kv_heads, s.head);
  s.v = rows(s.keys, s.kv_heads, s.v_head);
  s.y = rows(s.queries, s.q_heads, s.v_head);
  return s;
}

HeadShapes separate_heads(const OpContext& c) {
  HeadShapes s;
  s.q_heads = c.shape(0)[1];
  s.kv_heads = c.shape(1)[1];
  s.queries = c.shape(0)[2];
  s.keys = c.shape(1)[2];
  s.head = c.shape(0)[3];
  s.v_head = c.shape(2)[3];
  const auto rows = [](std::int64_t number, std::int64_t count, std::int64_t size) {
    const std::int64_t head = checked_multiply(count, size);
    return HeadRows{checked_multiply(number, head), head, size};
  };
  s.q = rows(s.q_heads, s.queries, s.head);
  s.k = rows(s.kv_heads, s.keys, s.head);
  s.v = rows(s.kv_heads, s.keys, s.v_head);
  s.y = rows(s.q_heads, s.queries, s.v_head);
  return s;
}

}  // namespace

HeadShapes head_shapes(const OpContext& c, std::int64_t past) {
  c.expect_rank(0, 3, 4);
  const int rank = c.shape(0).rank();
  c.expect_rank(1, rank, rank);
  c.expect_rank(2, rank, rank);
  HeadShapes s = rank == 3 ? packed_heads(c) : separate_heads(c);
  s.batches = c.shape(0)[0];
  const Shape &k = c.shape(1), &v = c.shape(2);
  const bool one_batch = k[0] == s.batches && v[0] == s.batches;
  const std::int64_t rows = v[rank == 3 ? 1 : 2];
  const bool one_head = rank == 3 ? k[2] == checked_multiply(s.kv_heads, s.head)
                                  : k[3] == s.head && v[1] == s.kv_heads;
  if (!one_batch || !one_head || rows != s.keys) {
    c.fail("Q, K and V of shapes " + shapes_text(c) +
           " do not fit: expected one batch size, as many rows of V as of K, heads of K as large "
           "as those of Q");
  }
  if (s.kv_heads < 1 || s.q_heads % s.kv_heads != 0) {
    if (s.q_heads != 0 || s.kv_heads != 0) {
      c.fail(std::to_string(s.q_heads) + " heads of queries cannot share " +
             std::to_string(s.kv_heads) + " heads of keys: expected a multiple");
    }
  }
  s.keys += past;
  checked_multiply(checked_multiply(s.batches, s.q_heads), checked_multiply(s.queries, s.keys));
  return s;
}

double scale_of(const OpContext& c, std::int64_t size) {
  if (c.has_attr("scale")) return static_cast<double>(c.attr_float("scale"));
  return size == 0 ? 1.0 : 1.0 / std::sqrt(static_cast<double>(size));  // empty products are 0
}

DType softmax_precision(const OpContext& c) {
  if (!c.has_attr("softmax_precision")) return DType::kUndefined;
  const std::int64_t code = c.attr_int("softmax_precision");
  for (DType dtype : {DType::kFloat32, DType::kFloat16, DType::kFloat64, DType::kBFloat16}) {
    if (code == static_cast<std::int64_t>(dtype)) return dtype;
  }
  c.fail("attribute 'softmax_precision' is " + std::to_string(code) +
         ", expected 1 (float32), 10 (float16), 11 (float64) or 16 (bfloat16)");
}

}  // namespace lanewise
