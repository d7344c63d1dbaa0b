// See byte_product.h. Packed weights are a header, the sums of columns, their zero points, and the
// panels.
#include "engine/cpu/byte_product.h"

#include <algorithm>
#include <cstring>

#include "engine/base/buffer.h"
#include "engine/base/shape.h"

namespace lanewise {
namespace {

constexpr std::size_t kHeaderBytes = kAlignment;

template <class T>
T* array_at(std::byte* base, std::size_t offset) {
  return reinterpret_cast<T*>(base + offset);
}

}  // namespace

ByteProduct::ByteProduct(Isa isa, bool signed_activations, const ByteWeights& weights)
    : kernel_(&kernels::byte_gemm(isa)),
      signed_(signed_activations),
      weights_(weights),
      columns_{.lanes = kernel_->lanes, .columns = weights.columns} {}

std::size_t ByteProduct::array_bytes() const {
  return aligned_size(checked_multiply(columns_.places(), 4));
}

std::size_t ByteProduct::packed_bytes() const {
  const std::int64_t bytes =
      checked_multiply(checked_multiply(columns_.places(), weights_.taps), 4 * words());
  return kHeaderBytes + 2 * array_bytes() + aligned_size(bytes);
}

std::string ByteProduct::key() const {
  return "bytes n" + std::to_string(weights_.columns) + " t" + std::to_string(weights_.taps) +
         " k" + std::to_string(weights_.depth) + " g" + std::to_string(weights_.groups) + " r" +
         std::to_string(weights_.run) + " l" + std::to_string(columns_.lanes) +
         (signed_ ? " signed" : "");
}

template <class T>
void ByteProduct::pack_columns(const T* data, const std::vector<std::int32_t>& zeros,
                               std::byte* to) const {
  // 128 less for unsigned weights that become signed, 128 more the other way round.
  constexpr bool kSigned = static_cast<T>(-1) < 0;
  const std::int32_t shift = kSigned == signed_ ? (signed_ ? 128 : -128) : 0;
  auto* const sums = array_at<std::int32_t>(to, kHeaderBytes);
  auto* const places_zero = array_at<std::int32_t>(to, kHeaderBytes + array_bytes());
  auto* const panels = array_at<std::uint8_t>(to, kHeaderBytes + 2 * array_bytes());
  const std::int64_t own_columns = weights_.columns / weights_.groups;
  const std::int64_t channels = weights_.depth / weights_.run;  // of a tap
  const std::int64_t own_channels = channels / weights_.groups;
  Header header;
  for (std::int64_t place = 0; place < columns_.places(); ++place) {
    const std::int64_t panel = place / columns_.width(), column = columns_.column_at(place);
    const std::int64_t columns = columns_.vectors_of(panel) * columns_.lanes;
    std::uint8_t* const out = panels + panel * columns_.width() * weights_.taps * 4 * words();
    const auto at = [&](std::int64_t tap, std::int64_t i) -> std::uint8_t& {
      return out[((tap * words() + i / 4) * columns + place % columns_.width()) * 4 + i % 4];
    };
    sums[place] = places_zero[place] = 0;
    if (column >= weights_.columns) {
      for (std::int64_t tap = 0; tap < weights_.taps; ++tap) {
        for (std::int64_t i = 0; i < 4 * words(); ++i) at(tap, i) = 0;
      }
      continue;
    }
    const std::int32_t zero =
        shift + (zeros.size() == 1 ? zeros[0] : zeros[static_cast<std::size_t>(column)]);
    places_zero[place] = zero;
    header.zero_points = header.zero_points || zero != 0;
    if (place == 0) header.zero = zero;
    header.one = header.one && zero == header.zero;
    const std::int64_t group = column / own_columns;
    std::uint32_t sum = 0;  // of the differences, modulo 2^32 as all sums
    for (std::int64_t tap = 0; tap < weights_.taps; ++tap) {
      const T* from = data + column * weights_.column_stride + tap * weights_.tap_stride;
      for (std::int64_t i = 0; i < 4 * words(); ++i) {
        if (i >= weights_.depth) {
          at(tap, i) = 0;
          continue;
        }
        const std::int64_t channel = i % channels;
        std::int32_t value = zero;
        if (channel / own_channels == group)
          value = from[channel % own_channels * weights_.depth_stride + i / channels] + shift;
        at(tap, i) = static_cast<std::uint8_t>(value);
        sum += static_cast<std::uint32_t>(value - zero);
      }
    }
    sums[place] = static_cast<std::int32_t>(sum);
  }
  std::memcpy(to, &header, sizeof(header));
}

void ByteProduct::pack(const void* data, const std::vector<std::int32_t>& zeros,
                       std::byte* to) const {
  if (weights_.dtype == DType::kUInt8) {
    pack_columns(static_cast<const std::uint8_t*>(data), zeros, to);
  } else {
    pack_columns(static_cast<const std::int8_t*>(data), zeros, to);
  }
}

const std::int32_t* ByteProduct::sums(const std::byte* packed) const {
  return reinterpret_cast<const std::int32_t*>(packed + kHeaderBytes);
}

void ByteProduct::run(const ByteRows& rows, const std::byte* packed, std::int64_t begin,
                      std::int64_t end, const ByteTarget& target, std::int32_t* row_adds) const {
  Header header;
  std::memcpy(&header, packed, sizeof(header));
  const auto* zeros = reinterpret_cast<const std::int32_t*>(packed + kHeaderBytes + array_bytes());
  const auto* panels =
      reinterpret_cast<const std::uint8_t*>(packed + kHeaderBytes + 2 * array_bytes());
  kernels::ByteTile tile;
  tile.count = rows.count;
  tile.rows = rows.table;
  tile.row_step = rows.step;
  tile.taps = weights_.taps;
  tile.depth = weights_.depth;
  tile.offset = rows.offset;
  tile.ldc = target.ldc;
  if (header.zero_points) {
    kernel_->row_sums[signed_](tile, row_adds);
    const std::uint32_t factor = header.one ? 0u - static_cast<std::uint32_t>(header.zero) : ~0u;
    for (std::int64_t r = 0; r < rows.count; ++r) {
      row_adds[r] = static_cast<std::int32_t>(static_cast<std::uint32_t>(row_adds[r]) * factor);
    }
    tile.row_adds = row_adds;
  }
  if (rows.words) tile.depth = 4 * words();  // the weights past the depth are zeros
  const std::size_t element =
      target.output.type == kernels::ByteResult::kSums ? sizeof(std::int32_t) : 1;
  for (std::int64_t p = begin; p < end; ++p) {
    const std::int64_t place = p * columns_.width();
    tile.panel = panels + place * weights_.taps * 4 * words();
    if (p + 1 < end) {
      tile.ahead = panels + (place + columns_.width()) * weights_.taps * 4 * words();
      tile.ahead_bytes = columns_.vectors_of(p + 1) * columns_.lanes * weights_.taps * 4 * words();
    } else {
      tile.ahead = nullptr;
    }
    tile.starts = target.starts + place;
    tile.factors = header.one ? nullptr : zeros + place;
    tile.columns = static_cast<int>(std::min(columns_.width(), weights_.columns - place));
    tile.out = static_cast<std::byte*>(target.out) + static_cast<std::size_t>(place) * element;
    tile.output = target.output;
    if (tile.output.scales != nullptr) tile.output.scales += place;
    if (tile.output.shifts != nullptr) tile.output.shifts += place;
    kernel_->tiles[signed_][columns_.vectors_of(p)](tile);
  }
}

}  // namespace lanewise
