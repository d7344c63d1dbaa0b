// Depthwise convolution of 8-bit numbers on the CPU: packed weights, and one row of outputs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "engine/base/dtype.h"
#include "engine/cpu/byte_columns.h"
#include "engine/cpu/conv/conv.h"
#include "engine/kernels/bytes/bytes.h"

namespace lanewise {

// A depthwise convolution with one filter per channel. Signed activations count from -128, which
// adds 128 to their zero point; unsigned weights likewise, less 128.
class ByteDepthwise {
 public:
  ByteDepthwise() = default;
  ByteDepthwise(Isa isa, bool signed_activations, const ConvProblem& problem);

  const ByteColumns& columns() const { return columns_; }
  std::size_t packed_bytes() const;
  // Weights [channels][taps] of this type; `zeros` has one entry or one per channel.
  void pack(const void* data, DType dtype, const std::vector<std::int32_t>& zeros,
            std::byte* to) const;
  // Of the places' weights, less their zero points.
  const std::int32_t* sums(const std::byte* packed) const;
  // The zero point of activations as they are multiplied.
  std::int32_t counted(std::int32_t zero) const { return signed_ ? zero + 128 : zero; }

  std::int64_t kernel_rows() const { return problem_.kernel[0] * problem_.kernel[1]; }
  // Row `row` of the batch's output rows; `pointers` has room for kernel_rows().
  void run_row(const std::uint8_t* x, const std::uint8_t* nothing, const std::byte* packed,
               const std::int32_t* starts, const kernels::ByteOutput& output, std::int64_t row,
               const std::uint8_t** pointers, void* y) const;

 private:
  std::size_t array_bytes() const;
  template <class T>
  void pack_channels(const T* data, const std::vector<std::int32_t>& zeros, std::byte* to) const;

  const kernels::ByteDepthwise* kernel_ = nullptr;
  bool signed_ = false;
  ConvProblem problem_;
  ByteColumns columns_;
};

}  // namespace lanewise
