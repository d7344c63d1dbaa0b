// The message of an index that is outside its dimension.
#include "engine/cpu/indices.h"

#include "engine/base/error.h"

namespace lanewise {

void fail_index(const std::string& where, std::int64_t index, std::int64_t position,
                std::int64_t size) {
  const std::string range =
      size == 0 ? "the dimension indexed is empty"
                : "expected " + std::to_string(-size) + " to " + std::to_string(size - 1);
  throw ModelError(where + "index " + std::to_string(index) + " at position " +
                   std::to_string(position) + " is out of range; " + range);
}

}  // namespace lanewise
