// Checked reading of index tensors, and the message of an index that is outside its dimension.
#include "engine/cpu/indices.h"

#include "engine/base/error.h"

namespace lanewise {
namespace {

template <class I>
void read(const I* indices, std::int64_t count, std::int64_t size, std::int64_t scale,
          const std::string& where, std::int64_t* out) {
  for (std::int64_t i = 0; i < count; ++i) {
    const std::int64_t index = indices[i];
    if (index < -size || index >= size) fail_index(where, index, i, size);
    out[i] = (index < 0 ? index + size : index) * scale;
  }
}

}  // namespace

void fail_index(const std::string& where, std::int64_t index, std::int64_t position,
                std::int64_t size) {
  const std::string range =
      size == 0 ? "the dimension indexed is empty"
                : "expected " + std::to_string(-size) + " to " + std::to_string(size - 1);
  throw ModelError(where + "index " + std::to_string(index) + " at position " +
                   std::to_string(position) + " is out of range; " + range);
}

void read_indices(const void* indices, DType dtype, std::int64_t count, std::int64_t size,
                  std::int64_t scale, const std::string& where, std::int64_t* out) {
  if (dtype == DType::kInt32) {
    read(static_cast<const std::int32_t*>(indices), count, size, scale, where, out);
  } else {
    read(static_cast<const std::int64_t*>(indices), count, size, scale, where, out);
  }
}

}  // namespace lanewise
