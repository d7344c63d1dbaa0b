// The device sources that the build embeds: engine/cuda/kernels/<name>.cu, by name.
#pragma once

#include <span>
#include <string_view>

namespace lanewise::cuda {

struct DeviceSource {
  std::string_view name;  // "pool" for pool.cu; "common.cuh" for a header that sources include
  std::string_view text;
};

// Made by the build.
extern const std::span<const DeviceSource> kDeviceSources;

}  // namespace lanewise::cuda
