// The clock that profiles and measurements read.
#pragma once

#include <chrono>

namespace lanewise {

// Seconds since an arbitrary start; never goes back.
inline double now_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

}  // namespace lanewise
