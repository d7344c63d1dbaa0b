// See int_pack.h.
#include "engine/cpu/int_pack.h"

#include <algorithm>

#include "engine/base/rounding.h"

namespace lanewise {
namespace {

std::int32_t zero_of(const std::vector<std::int32_t>& zeros, std::int64_t column) {
  return zeros.size() == 1 ? zeros[0] : zeros[static_cast<std::size_t>(column)];
}

template <class T>
void pack(const IntWeights& w, const std::vector<std::int32_t>& zeros, int panel,
          std::int16_t* out) {
  const T* data = static_cast<const T*>(w.data);
  const std::int64_t depth = round_up(w.depth, 2);
  for (std::int64_t first = 0; first < w.columns; first += panel) {
    for (std::int64_t tap = 0; tap < w.taps; ++tap) {
      for (std::int64_t pair = 0; pair < depth; pair += 2) {
        for (std::int64_t column = first; column < first + panel; ++column) {
          for (std::int64_t i = pair; i < pair + 2; ++i) {
            const bool inside = column < w.columns && i < w.depth;
            const std::int64_t at =
                column * w.column_stride + tap * w.tap_stride + i * w.depth_stride;
            *out++ = inside ? static_cast<std::int16_t>(data[at] - zero_of(zeros, column))
                            : std::int16_t{0};
          }
        }
      }
    }
  }
}

}  // namespace

std::int64_t packed_int_size(const IntWeights& w, int panel) {
  const std::int64_t one = checked_multiply(round_up(w.columns, panel), round_up(w.depth, 2));
  return checked_multiply(one, w.taps);
}

void pack_int_weights(const IntWeights& w, const std::vector<std::int32_t>& zeros, int panel,
                      std::int16_t* out) {
  visit_byte(w.dtype, [&]<class T>(std::type_identity<T>) { pack<T>(w, zeros, panel, out); });
}

void pack_depthwise_weights(const IntWeights& w, const std::vector<std::int32_t>& zeros,
                            std::int32_t* out) {
  const std::int64_t columns = round_up(w.columns, kernels::kDepthwiseChannels);
  visit_byte(w.dtype, [&]<class T>(std::type_identity<T>) {
    const T* data = static_cast<const T*>(w.data);
    for (std::int64_t tap = 0; tap < w.taps; ++tap) {
      for (std::int64_t column = 0; column < columns; ++column) {
        const bool inside = column < w.columns;
        const std::int64_t at = column * w.column_stride + tap * w.tap_stride;
        *out++ = inside ? (data[at] - zero_of(zeros, column)) & 0xffff : 0;
      }
    }
  });
}

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
