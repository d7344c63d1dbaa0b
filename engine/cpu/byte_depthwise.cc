// See byte_depthwise.h. Packed weights are a flag, the sums of channels, their zero points negated,
// and the filters.
#include "engine/cpu/byte_depthwise.h"

#include <cstring>

#include "engine/base/buffer.h"
#include "engine/base/shape.h"

namespace lanewise {
namespace {

constexpr std::size_t kFlagBytes = kAlignment;

}  // namespace

ByteDepthwise::ByteDepthwise(Isa isa, bool signed_activations, const ConvProblem& problem)
    : kernel_(&kernels::byte_depthwise(isa)),
      signed_(signed_activations),
      problem_(problem),
      columns_{.lanes = kernel_->lanes, .columns = problem.channels, .whole = true} {}

std::size_t ByteDepthwise::array_bytes() const {
  return aligned_size(checked_multiply(columns_.places(), 4));
}

std::size_t ByteDepthwise::packed_bytes() const {
  const std::int64_t taps = checked_multiply(round_up(kernel_rows(), 4), problem_.kernel[2]);
  return kFlagBytes + 2 * array_bytes() + aligned_size(checked_multiply(columns_.places(), taps));
}

template <class T>
void ByteDepthwise::pack_channels(const T* data, const std::vector<std::int32_t>& zeros,
                                  std::byte* to) const {
  constexpr std::int32_t kShift = static_cast<T>(-1) < 0 ? 0 : -128;
  auto* const sums = reinterpret_cast<std::int32_t*>(to + kFlagBytes);
  auto* const factors = reinterpret_cast<std::int32_t*>(to + kFlagBytes + array_bytes());
  auto* const filters = reinterpret_cast<std::int8_t*>(to + kFlagBytes + 2 * array_bytes());
  const std::int64_t rows = kernel_rows(), width = problem_.kernel[2];
  const std::int64_t chunk = columns_.width(), groups = divide_up(rows, 4);
  std::memset(filters, 0, static_cast<std::size_t>(columns_.places() * groups * width * 4));
  bool zero_points = false;
  for (std::int64_t place = 0; place < columns_.places(); ++place) {
    const std::int64_t channel = columns_.column_at(place);
    sums[place] = factors[place] = 0;
    if (channel >= columns_.columns) continue;
    const std::int32_t zero =
        kShift + (zeros.size() == 1 ? zeros[0] : zeros[static_cast<std::size_t>(channel)]);
    factors[place] = -zero;
    zero_points = zero_points || zero != 0;
    for (std::int64_t row = 0; row < rows; ++row) {
      for (std::int64_t k = 0; k < width; ++k) {
        const std::int32_t value = data[(channel * rows + row) * width + k] + kShift;
        const std::int64_t filter = (place / chunk * groups + row / 4) * width + k;
        filters[(filter * chunk + place % chunk) * 4 + row % 4] = static_cast<std::int8_t>(value);
        sums[place] += value - zero;
      }
    }
  }
  std::memcpy(to, &zero_points, sizeof(zero_points));
}

void ByteDepthwise::pack(const void* data, DType dtype, const std::vector<std::int32_t>& zeros,
                         std::byte* to) const {
  if (dtype == DType::kUInt8) {
    pack_channels(static_cast<const std::uint8_t*>(data), zeros, to);
  } else {
    pack_channels(static_cast<const std::int8_t*>(data), zeros, to);
  }
}

const std::int32_t* ByteDepthwise::sums(const std::byte* packed) const {
  return reinterpret_cast<const std::int32_t*>(packed + kFlagBytes);
}

void ByteDepthwise::run_row(const std::uint8_t* x, const std::uint8_t* nothing,
                            const std::byte* packed, const std::int32_t* starts,
                            const kernels::ByteOutput& output, std::int64_t row,
                            const std::uint8_t** pointers, void* y) const {
  const ConvProblem& p = problem_;
  const std::int64_t line = p.in[2] * p.channels;
  const std::int64_t out_row = row % p.out[1], rest = row / p.out[1];
  const std::int64_t out_depth = rest % p.out[0], image = rest / p.out[0];
  for (std::int64_t kd = 0; kd < p.kernel[0]; ++kd) {
    const std::int64_t d = out_depth * p.stride[0] - p.pad[0] + kd * p.dilation[0];
    for (std::int64_t kh = 0; kh < p.kernel[1]; ++kh) {
      const std::int64_t h = out_row * p.stride[1] - p.pad[1] + kh * p.dilation[1];
      const bool inside = d >= 0 && d < p.in[0] && h >= 0 && h < p.in[1];
      pointers[kd * p.kernel[1] + kh] =
          inside ? x + ((image * p.in[0] + d) * p.in[1] + h) * line : nullptr;
    }
  }
  bool zero_points;
  std::memcpy(&zero_points, packed, sizeof(zero_points));
  kernels::ByteDepthwiseRow r;
  r.rows = pointers;
  r.nothing = nothing;
  r.flip = signed_ ? 0x80 : 0;
  r.width = p.in[2];
  r.channels = p.channels;
  r.kernel_rows = kernel_rows();
  r.kernel = p.kernel[2];
  r.stride = p.stride[2];
  r.dilation = p.dilation[2];
  r.pad = p.pad[2];
  r.weights = reinterpret_cast<const std::int8_t*>(packed + kFlagBytes + 2 * array_bytes());
  r.starts = starts;
  if (zero_points)
    r.factors = reinterpret_cast<const std::int32_t*>(packed + kFlagBytes + array_bytes());
  r.out_width = p.out[2];
  r.output = output;
  const std::size_t element = output.type == kernels::ByteResult::kSums ? sizeof(std::int32_t) : 1;
  r.out =
      static_cast<std::byte*>(y) + static_cast<std::size_t>(row * p.out[2] * p.channels) * element;
  kernel_->row(r);
}

}  // namespace lanewise
