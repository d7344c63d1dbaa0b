// The arithmetic of two operands as function objects, with a defined result for every input:
// integers wrap around, and division of an integer by zero gives 0.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "engine/ops/eltwise.h"

namespace lanewise {

struct AddFunction {
  static constexpr bool kWraps = true;  // the bits are the same for signed and unsigned integers
  template <class T>
  T operator()(T a, T b) const {
    if constexpr (std::is_floating_point_v<T>)
      return a + b;
    else
      return static_cast<T>(static_cast<Wrapping<T>>(a) + static_cast<Wrapping<T>>(b));
  }
};

struct SubFunction {
  static constexpr bool kWraps = true;
  template <class T>
  T operator()(T a, T b) const {
    if constexpr (std::is_floating_point_v<T>)
      return a - b;
    else
      return static_cast<T>(static_cast<Wrapping<T>>(a) - static_cast<Wrapping<T>>(b));
  }
};

struct MulFunction {
  static constexpr bool kWraps = true;
  template <class T>
  T operator()(T a, T b) const {
    if constexpr (std::is_floating_point_v<T>)
      return a * b;
    else
      return static_cast<T>(static_cast<Wrapping<T>>(a) * static_cast<Wrapping<T>>(b));
  }
};

// Integers truncate toward zero; the least integer divided by -1 wraps to itself.
struct DivFunction {
  static constexpr bool kWraps = false;
  template <class T>
  T operator()(T a, T b) const {
    if constexpr (std::is_floating_point_v<T>) {
      return a / b;
    } else {
      if (b == T{0}) return T{0};
      if constexpr (std::is_signed_v<T>) {
        if (b == T{-1}) return SubFunction{}(T{0}, a);
      }
      return static_cast<T>(a / b);
    }
  }
};

// The sign of the dividend, as C's fmod and %.
struct TruncatedModFunction {
  template <class T>
  T operator()(T a, T b) const {
    if constexpr (std::is_floating_point_v<T>) {
      return std::fmod(a, b);
    } else {
      if (b == T{0}) return T{0};
      if constexpr (std::is_signed_v<T>) {
        if (b == T{-1}) return T{0};
      }
      return static_cast<T>(a % b);
    }
  }
};

// The sign of the divisor, as Python's %.
struct FlooredModFunction {
  template <class T>
  T operator()(T a, T b) const {
    const T rest = TruncatedModFunction{}(a, b);
    if constexpr (std::is_floating_point_v<T>) {
      if (rest == T{0}) return std::copysign(T{0}, b);
    }
    return rest != T{0} && (rest < T{0}) != (b < T{0}) ? static_cast<T>(rest + b) : rest;
  }
};

// NaN in either operand passes.
struct MinFunction {
  static constexpr bool kWraps = false;
  template <class T>
  T operator()(T a, T b) const {
    return a < b || a != a ? a : b;
  }
};
struct MaxFunction {
  static constexpr bool kWraps = false;
  template <class T>
  T operator()(T a, T b) const {
    return a > b || a != a ? a : b;
  }
};

struct PReluFunction {
  static constexpr bool kWraps = false;
  template <class T>
  T operator()(T x, T slope) const {
    return x < T{0} ? MulFunction{}(x, slope) : x;
  }
};

// base^exponent by squaring, wrapping around; a negative exponent truncates 1 / base^|exponent|.
template <class T>
T integer_power(T base, std::int64_t exponent) {
  if (exponent < 0) {
    if (base == T{1}) return T{1};
    if (std::is_signed_v<T> && base == static_cast<T>(-1)) return exponent % 2 == 0 ? T{1} : base;
    return T{0};
  }
  auto factor = static_cast<Wrapping<T>>(base);
  Wrapping<T> result = 1;
  for (; exponent > 0; exponent >>= 1) {
    if (exponent & 1) result *= factor;
    factor *= factor;
  }
  return static_cast<T>(result);
}

// The result has the base's type.
struct PowFunction {
  template <class T, class U>
  T operator()(T base, U exponent) const {
    if constexpr (std::is_integral_v<T> && std::is_integral_v<U>) {
      return integer_power(base, static_cast<std::int64_t>(exponent));
    } else if constexpr (std::is_same_v<T, float> && std::is_same_v<U, float>) {
      return std::pow(base, exponent);
    } else {
      return saturate_cast<T>(std::pow(static_cast<double>(base), static_cast<double>(exponent)));
    }
  }
};

// Shifts by the type's width or more, or by a negative number, leave only sign bits.
struct ShiftLeftFunction {
  template <class T>
  T operator()(T a, T count) const {
    const bool inside = count >= T{0} && static_cast<std::uint64_t>(count) < 8 * sizeof(T);
    return inside ? static_cast<T>(static_cast<Wrapping<T>>(a) << count) : T{0};
  }
};
struct ShiftRightFunction {
  template <class T>
  T operator()(T a, T count) const {
    const bool inside = count >= T{0} && static_cast<std::uint64_t>(count) < 8 * sizeof(T);
    if (!inside) return a < T{0} ? static_cast<T>(-1) : T{0};
    return static_cast<T>(a >> count);
  }
};

struct BitAndFunction {
  template <class T>
  T operator()(T a, T b) const {
    return static_cast<T>(a & b);
  }
};
struct BitOrFunction {
  template <class T>
  T operator()(T a, T b) const {
    return static_cast<T>(a | b);
  }
};
struct BitXorFunction {
  template <class T>
  T operator()(T a, T b) const {
    return static_cast<T>(a ^ b);
  }
};

struct EqualFunction {
  template <class T>
  bool operator()(const T& a, const T& b) const {
    return a == b;
  }
};
struct GreaterFunction {
  template <class T>
  bool operator()(T a, T b) const {
    return a > b;
  }
};
struct GreaterOrEqualFunction {
  template <class T>
  bool operator()(T a, T b) const {
    return a >= b;
  }
};
}  // namespace lanewise
