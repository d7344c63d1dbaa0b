// See quant_parameters.h.
#include "engine/cpu/quant_parameters.h"

#include <algorithm>

namespace lanewise {
std::vector<std::int32_t> read_zeros(DType dtype, const void* data, std::int64_t count) {
  if (data == nullptr) return {0};
  std::vector<std::int32_t> result(static_cast<std::size_t>(count));
  visit_number(dtype, [&]<class T>(std::type_identity<T>) {
    const T* values = static_cast<const T*>(data);
    std::transform(values, values + count, result.begin(),
                   [](T v) { return static_cast<std::int32_t>(v); });
  });
  return result;
}

std::string zeros_key(const std::vector<std::int32_t>& zeros) {
  std::string key;
  for (std::int32_t zero : zeros) key += std::to_string(zero) + ",";
  return key;
}

void expect_scale(const OpContext& c, int i, std::int64_t count) {
  if (!c.has_input(i)) return;
  // 16-bit floats are widened before the step.
  c.expect_dtype(i, {DType::kFloat32, DType::kFloat16, DType::kBFloat16});
  const std::int64_t n = c.shape(i).elements();
  if (n == 1 || (n == count && c.shape(i).rank() <= 1)) return;
  c.fail("input " + std::to_string(i) + " (a scale) must have 1" +
         (count == 1 ? std::string() : " or " + std::to_string(count)) + " values, found shape " +
         c.shape(i).str());
}

void expect_zero(const OpContext& c, int i, DType dtype, std::int64_t count) {
  if (!c.has_input(i)) return;
  if (c.dtype(i) != dtype) {
    c.fail("input " + std::to_string(i) + " (a zero point) must be of " +
           std::string(dtype_name(dtype)) + ", found " + std::string(dtype_name(c.dtype(i))));
  }
  const std::int64_t n = c.shape(i).elements();
  if (n == 1 || (n == count && c.shape(i).rank() <= 1)) return;
  c.fail("input " + std::to_string(i) + " (a zero point) must have 1" +
         (count == 1 ? std::string() : " or " + std::to_string(count)) + " values, found shape " +
         c.shape(i).str());
}

void expect_bytes(const OpContext& c, int i) { c.expect_dtype(i, {DType::kUInt8, DType::kInt8}); }

}  // namespace lanewise
