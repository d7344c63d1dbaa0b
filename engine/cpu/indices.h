// Index tensors: read, checked and mapped to [0, size) before anything uses them.
#pragma once

#include <cstdint>
#include <string>

#include "engine/base/dtype.h"

namespace lanewise {

// Element i of an int32 or int64 array.
inline std::int64_t index_at(const void* indices, DType dtype, std::int64_t i) {
  return dtype == DType::kInt32 ? static_cast<const std::int32_t*>(indices)[i]
                                : static_cast<const std::int64_t*>(indices)[i];
}

// Throws ModelError: "<where>index 9 at position 4 is outside [-5, 4] ...".
[[noreturn]] void fail_index(const std::string& where, std::int64_t index, std::int64_t position,
                             std::int64_t size);

// The index at `position`, negative ones counted from the end; throws when outside [-size, size).
inline std::int64_t checked_index(const void* indices, DType dtype, std::int64_t position,
                                  std::int64_t size, const std::string& where) {
  const std::int64_t index = index_at(indices, dtype, position);
  if (index < -size || index >= size) fail_index(where, index, position, size);
  return index < 0 ? index + size : index;
}

// checked_index of `count` positions, each times `scale`, into `out`.
void read_indices(const void* indices, DType dtype, std::int64_t count, std::int64_t size,
                  std::int64_t scale, const std::string& where, std::int64_t* out);

}  // namespace lanewise
