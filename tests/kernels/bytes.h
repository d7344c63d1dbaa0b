// What the tests of byte products share: operands, what sums become, and where they go.
#pragma once

#include <algorithm>

#include "engine/kernels/bytes/bytes.h"
#include "tests/kernels/check.h"

namespace lanewise::testing {

// Every value is as likely, but runs of extremes come, too.
inline const std::uint8_t* random_bytes(Case& c, std::int64_t n) {
  const std::int64_t kind = c.pick(0, 5);
  return c.filled<std::uint8_t>(n, [&](std::int64_t) {
    return static_cast<std::uint8_t>(kind == 0 ? 255 : kind == 1 ? 128 : c.pick(0, 255));
  });
}

inline const std::int32_t* random_sums(Case& c, std::int64_t n) {
  return c.filled<std::int32_t>(
      n, [&](std::int64_t) { return static_cast<std::int32_t>(c.pick(-100000, 100000)); });
}

// Scales from those that leave nothing of a sum to those that overflow int32.
inline kernels::ByteOutput random_output(Case& c, std::int64_t places) {
  kernels::ByteOutput output;
  const std::int64_t type = c.pick(0, 2);
  if (type == 0) return output;
  const bool is_signed = type == 2;
  output.type = is_signed ? kernels::ByteResult::kSigned : kernels::ByteResult::kUnsigned;
  const std::int32_t least = is_signed ? -128 : 0, most = is_signed ? 127 : 255;
  output.zero = static_cast<std::int32_t>(c.pick(least, most));
  output.low = c.flip() ? least : static_cast<std::int32_t>(c.pick(least, most));
  output.high = c.flip() ? most : static_cast<std::int32_t>(c.pick(output.low, most));
  const std::int64_t size = c.pick(-20, 20);
  output.scales = c.filled<float>(places, [&](std::int64_t) {
    // Powers of two make ties.
    const double factor = c.flip() ? 1.0 : c.uniform(0.5, 1.5);
    return static_cast<float>(std::ldexp(factor, static_cast<int>(size)));
  });
  if (c.flip()) {
    output.shifts =
        c.filled<float>(places, [&](std::int64_t) { return static_cast<float>(c.uniform(-9, 9)); });
  }
  return output;
}

// Room for int32 or bytes, as the output has it.
class Result {
 public:
  Result(Case& c, const kernels::ByteOutput& output, std::int64_t elements)
      : case_(c), output_(output) {
    if (output.type == kernels::ByteResult::kSums) {
      sums_ = c.room<std::int32_t>(elements);
    } else {
      bytes_ = c.room<std::uint8_t>(elements);
    }
  }

  void* data() const { return sums_ != nullptr ? static_cast<void*>(sums_) : bytes_; }

  // `sum` as it is before it is taken modulo 2^32.
  void expect(std::int64_t at, std::int64_t sum, std::int64_t place) {
    const auto wrapped = static_cast<std::int32_t>(static_cast<std::uint32_t>(sum));
    if (sums_ != nullptr) return case_.expect(sums_[at], wrapped, 0.0, "sum", at);
    float v = static_cast<float>(wrapped) * output_.scales[place];
    if (output_.shifts != nullptr) v += output_.shifts[place];
    const double rounded = std::nearbyint(static_cast<double>(v)) + output_.zero;
    const double want = std::clamp<double>(rounded, output_.low, output_.high);
    const double got = output_.type == kernels::ByteResult::kSigned
                           ? static_cast<double>(static_cast<std::int8_t>(bytes_[at]))
                           : static_cast<double>(bytes_[at]);
    case_.expect(got, want, 0.0, "byte", at);
  }

  void expect_untouched(std::int64_t at) {
    if (sums_ != nullptr) return case_.expect_untouched(sums_[at], "a gap between rows", at);
    case_.expect_untouched(bytes_[at], "a gap between rows", at);
  }

 private:
  Case& case_;
  const kernels::ByteOutput& output_;
  std::int32_t* sums_ = nullptr;
  std::uint8_t* bytes_ = nullptr;
};

}  // namespace lanewise::testing
