// Cast, CastLike and BitCast. What ONNX leaves open is defined here: a float outside an integer
// type's range gives the nearest integer of the type, and NaN gives 0.
#include <bit>
#include <cstring>

#include "engine/base/error.h"
#include "engine/kernels/convert/convert.h"
#include "engine/ops/cast_text.h"
#include "engine/ops/eltwise.h"
#include "engine/ops/small_types.h"

namespace lanewise {
namespace {

template <class T>
inline constexpr bool kHalf = std::is_same_v<T, Float16> || std::is_same_v<T, BFloat16>;

// The float that lies on the same side of every 16-bit rounding boundary as x: truncated, with the
// last bit set when inexact ("round to odd"; Boldo & Melquiond 2008), so that rounding it again to
// 16 bits equals rounding x once.
float round_to_odd(double x) {
  const float near = static_cast<float>(x);
  if (static_cast<double>(near) == x || near != near) return near;
  std::uint32_t bits = std::bit_cast<std::uint32_t>(near);
  if (std::abs(static_cast<double>(near)) > std::abs(x)) --bits;
  return std::bit_cast<float>(bits | 1u);
}

// The same of any number wider than float. Integers past 2^53 keep 53 bits, the last one odd when
// others are lost.
template <class T>
float odd_float(T x) {
  if constexpr (std::is_integral_v<T> && sizeof(T) == 8) {
    constexpr T kExact = T{1} << 53;
    const bool exact = x <= kExact && (std::is_unsigned_v<T> || x >= T{0} - kExact);
    if (!exact) x = static_cast<T>((x & ~T{0x7ff}) | ((x & T{0x7ff}) != 0 ? T{0x800} : T{0}));
  }
  return round_to_odd(static_cast<double>(x));
}

template <class T>
inline constexpr bool kWiderThanFloat = sizeof(T) >= 4 && !std::is_same_v<T, float>;

template <class To, class From>
To convert(From x) {
  if constexpr (kHalf<From>)
    return convert<To>(static_cast<float>(x));
  else if constexpr (std::is_same_v<To, bool>)
    return x != From{0};
  else if constexpr (kHalf<To> && kWiderThanFloat<From>) {
    return To(odd_float(x));
  } else if constexpr (kHalf<To>)
    return To(static_cast<float>(x));
  else if constexpr (std::is_same_v<From, float> && std::is_integral_v<To> && sizeof(To) <= 2) {
    constexpr float kLeast = std::numeric_limits<To>::min(), kMost = std::numeric_limits<To>::max();
    const float low = x < kLeast ? kLeast : x;  // clamped first: no branches, so that it vectorises
    const float both = low > kMost ? kMost : low;
    return static_cast<To>(static_cast<std::int32_t>(x == x ? both : 0.0f));
  } else if constexpr (std::is_floating_point_v<From> && std::is_integral_v<To>) {
    return saturate_cast<To>(static_cast<double>(x));
  } else
    return static_cast<To>(x);
}

using Convert = void (*)(const void* in, void* out, std::int64_t n);

template <class From, class To>
void convert_all(const void* in, void* out, std::int64_t n) {
  const From* x = static_cast<const From*>(in);
  To* y = static_cast<To*>(out);
  for (std::int64_t i = 0; i < n; ++i) y[i] = convert<To>(x[i]);
}

Convert find_convert(DType from, DType to) {
  Convert result = nullptr;
  visit_scalar(from, [&]<class From>(std::type_identity<From>) {
    visit_scalar(to, [&]<class To>(std::type_identity<To>) { result = convert_all<From, To>; });
  });
  return result;
}

bool castable(DType type) {
  return find_convert(type, type) != nullptr || is_small(type) || type == DType::kString;
}

void infer_to(InferContext& c, DType to) {
  if (!castable(c.dtype(0)) || !castable(to)) {
    c.unsupported("conversion from " + std::string(dtype_name(c.dtype(0))) + " to " +
                  std::string(dtype_name(to)) + "; complex numbers are not converted");
  }
  const std::string_view mode = c.attr_string("round_mode");
  if (mode != "up" && mode != "down" && mode != "nearest") {
    c.fail("attribute 'round_mode' is '" + std::string(mode) +
           "', expected 'up', 'down' or 'nearest'");
  }
  c.set_output(0, to, c.shape(0));
}

DType target(const OpContext& c) {
  const std::int64_t code = c.attr_int("to");
  if (!is_dtype(code))
    c.fail("attribute 'to' is " + std::to_string(code) + ", expected a TensorProto data type");
  return static_cast<DType>(code);
}

void infer_cast(InferContext& c) { infer_to(c, target(c)); }
void infer_cast_like(InferContext& c) { infer_to(c, c.dtype(1)); }

// The conversion by vectors where there is one.
Convert find_kernel(Isa isa, DType from, DType to) {
  const kernels::Halves& kernel = kernels::halves(isa);
  constexpr DType kWide = DType::kFloat32;
  if (from == DType::kFloat16 && to == kWide) return kernel.half_to_float;
  if (from == kWide && to == DType::kFloat16) return kernel.float_to_half;
  if (from == DType::kBFloat16 && to == kWide) return kernel.bfloat_to_float;
  if (from == kWide && to == DType::kBFloat16) return kernel.float_to_bfloat;
  return nullptr;
}

Step plain_cast(Convert f, DType from, DType to, std::int64_t n) {
  Step step;
  step.run = [=, in_size = static_cast<std::int64_t>(dtype_size(from)),
              out_size = static_cast<std::int64_t>(dtype_size(to))](const RunContext& run) {
    const std::byte* x = run.in<std::byte>(0);
    std::byte* y = run.out<std::byte>(0);
    parallel_for(run.threads, n, kGrain, [&](std::int64_t begin, std::int64_t end) {
      f(x + begin * in_size, y + begin * out_size, end - begin);
    });
  };
  step.algorithm = "convert";
  return step;
}

// To float, for a second rounding to a small type.
template <class From>
void to_float(const void* in, void* out, std::int64_t n) {
  for (std::int64_t i = 0; i < n; ++i) {
    const From x = static_cast<const From*>(in)[i];
    if constexpr (kWiderThanFloat<From>)
      static_cast<float*>(out)[i] = odd_float(x);
    else
      static_cast<float*>(out)[i] = static_cast<float>(x);
  }
}

Convert find_to_float(DType from) {
  Convert result = nullptr;
  visit_scalar(from, [&]<class From>(std::type_identity<From>) { result = to_float<From>; });
  return result;
}

bool is_small_integer(DType type) {
  return type == DType::kInt4 || type == DType::kUInt4 || type == DType::kInt2 ||
         type == DType::kUInt2;
}

// A small type and another or itself: through float, which holds all values of the small one; but
// integers keep their low bits in a shorter one.
Step small_cast(DType from, DType to, std::int64_t n, SmallRounding rounding) {
  Step step;
  const bool integers = is_small_integer(to) && (is_integer(from) || from == DType::kBool);
  step.algorithm = integers ? "low bits" : "through float";
  if (integers) {
    step.run = [=, widen = find_convert(from, DType::kInt64),
                size = dtype_size(from)](const RunContext& run) {
      const std::byte* x = run.in<std::byte>(0);
      const std::uint8_t mask = encode_small(to, -1.0f, rounding);
      for (std::int64_t i = 0; i < n; ++i, x += size) {
        std::int64_t value = 0;
        widen(x, &value, 1);
        run.out<std::uint8_t>(0)[i] = static_cast<std::uint8_t>(value & mask);
      }
    };
    return step;
  }
  const Convert widen = find_to_float(from), narrow = find_convert(DType::kFloat32, to);
  step.run = [=, in_size = dtype_size(from), out_size = dtype_size(to)](const RunContext& run) {
    const std::byte* x = run.in<std::byte>(0);
    std::byte* y = run.out<std::byte>(0);
    for (std::int64_t i = 0; i < n; ++i, x += in_size, y += out_size) {
      float value = 0.0f;
      if (is_small(from))
        value = decode_small(from, static_cast<std::uint8_t>(*x));
      else
        widen(x, &value, 1);
      if (is_small(to))
        *y = static_cast<std::byte>(encode_small(to, value, rounding));
      else
        narrow(&value, y, 1);
    }
  };
  return step;
}

TextNumber number_of(const std::string& text, const std::string& node) {
  const std::optional<TextNumber> number = parse_number(text);
  if (!number) {
    throw ModelError("node '" + node + "' (Cast): the string '" + text.substr(0, 40) +
                     "' is not a number; expected a form like '3.14', '1e-5', 'INF' or 'NaN'");
  }
  return *number;
}

Step from_text(DType to, std::int64_t n, const std::string& node, SmallRounding rounding) {
  Step step;
  step.run = [=](const RunContext& run) {
    const std::string* x = run.in<std::string>(0);
    if (to == DType::kString) {
      std::copy(x, x + n, run.out<std::string>(0));
      return;
    }
    for (std::int64_t i = 0; is_small(to) && i < n; ++i) {
      const TextNumber number = number_of(x[i], node);
      const float near = number.integral ? odd_float(number.integer) : round_to_odd(number.real);
      run.out<std::uint8_t>(0)[i] = encode_small(to, near, rounding);
    }
    visit_scalar(to, [&]<class To>(std::type_identity<To>) {
      for (std::int64_t i = 0; i < n; ++i) {
        const TextNumber number = number_of(x[i], node);
        run.out<To>(0)[i] =
            number.integral ? convert<To>(number.integer) : convert<To>(number.real);
      }
    });
  };
  step.algorithm = "text";
  return step;
}

Step to_text(DType from, std::int64_t n) {
  Step step;
  step.run = [=](const RunContext& run) {
    std::string* y = run.out<std::string>(0);
    for (std::int64_t i = 0; is_small(from) && i < n; ++i) {
      const float value = decode_small(from, run.in<std::uint8_t>(0)[i]);
      y[i] = is_small_integer(from) ? number_text(static_cast<int>(value)) : number_text(value);
    }
    visit_scalar(from, [&]<class From>(std::type_identity<From>) {
      for (std::int64_t i = 0; i < n; ++i) y[i] = number_text(run.in<From>(0)[i]);
    });
  };
  step.algorithm = "text";
  return step;
}

Step lower_cast(LowerContext& c) {
  const DType from = c.dtype(0), to = c.output(0).dtype;
  const std::int64_t n = c.out_shape(0).elements();
  const std::string_view mode = c.attr_string("round_mode");
  const SmallRounding rounding{c.attr_int("saturate") != 0, mode == "up", mode == "nearest"};
  if (from == DType::kString) return from_text(to, n, c.node().name, rounding);
  if (to == DType::kString) return to_text(from, n);
  if (is_small(from) || is_small(to)) return small_cast(from, to, n, rounding);
  const Convert kernel = find_kernel(c.isa(), from, to);
  return plain_cast(kernel != nullptr ? kernel : find_convert(from, to), from, to, n);
}

void infer_bit_cast(InferContext& c) {
  const DType to = target(c);
  if (dtype_size(to) != dtype_size(c.dtype(0)) || to == DType::kString ||
      c.dtype(0) == DType::kString) {
    c.fail("type " + std::string(dtype_name(c.dtype(0))) + " has not the size of " +
           std::string(dtype_name(to)));
  }
  c.set_output(0, to, c.shape(0));
}

Step lower_bit_cast(LowerContext& c) {
  const std::size_t bytes =
      static_cast<std::size_t>(c.shape(0).elements()) * dtype_size(c.dtype(0));
  Step step;
  step.run = [bytes](const RunContext& run) {
    if (bytes != 0) std::memcpy(run.out<std::byte>(0), run.in<std::byte>(0), bytes);
  };
  step.algorithm = "copy";
  return step;
}

constexpr AttrDef kTo = {.name = "to",
                         .type = AttrType::kInt,
                         .doc = "TensorProto data type of the result",
                         .required = true};
constexpr AttrDef kSaturate = {
    .name = "saturate",
    .type = AttrType::kInt,
    .doc = "1: what an 8-bit float cannot hold becomes its largest value; 0: infinity or NaN",
    .int_default = 1};
constexpr AttrDef kRoundMode = {.name = "round_mode",
                                .type = AttrType::kString,
                                .doc = "for float8e8m0: 'up', 'down' or 'nearest'",
                                .string_default = "up"};
constexpr AttrDef kCastAttrs[] = {kTo, kSaturate, kRoundMode};
constexpr AttrDef kCastLikeAttrs[] = {kSaturate, kRoundMode};
constexpr AttrDef kBitCastAttrs[] = {kTo};

constexpr OpDef kOps[] = {
    {.name = "Cast",
     .doc = "The elements in another type.",
     .attributes = kCastAttrs,
     .infer = infer_cast,
     .lower = lower_cast,
     .layout = LayoutRule::kFollow,
     .any_float = true},
    {.name = "CastLike",
     .doc = "The elements in the type of another tensor.",
     .min_inputs = 2,
     .max_inputs = 2,
     .attributes = kCastLikeAttrs,
     .infer = infer_cast_like,
     .lower = lower_cast,
     .any_float = true},
    {.name = "BitCast",
     .doc = "The same bits as another type of the same size.",
     .attributes = kBitCastAttrs,
     .infer = infer_bit_cast,
     .lower = lower_bit_cast,
     .any_float = true},
};

}  // namespace

extern const OpTable cast_ops;
const OpTable cast_ops = {kOps};

}  // namespace lanewise
