// Chains of element-wise functions under broadcasting: float32 and halves in float, other types in
// float, long long or double by the kernel's name.
#include "eltwise.cuh"
#include "numbers.cuh"

namespace lanewise::cuda {
namespace {

constexpr int kUnroll = 4;

// Functions that are long or seldom are no part of the loops: inlined there they take the compiler
// many seconds.
__noinline__ __device__ float called(float x, Fn function, float a, float b) {
  switch (function) {
    case Fn::kElu: return x < 0.0f ? a * expm1f(x) : x;
    case Fn::kSelu: return b * (x <= 0.0f ? a * expm1f(x) : x);
    case Fn::kCelu: return x < 0.0f ? a * expm1f(x / a) : x;
    case Fn::kSigmoid: return 1.0f / (1.0f + expf(-x));
    case Fn::kTanh: return tanhf(x);
    case Fn::kHardSigmoid: return fmaxf(0.0f, fminf(1.0f, a * x + b));
    case Fn::kHardSwish: return x * fmaxf(0.0f, fminf(1.0f, x / 6.0f + 0.5f));
    case Fn::kSoftplus: return fmaxf(x, 0.0f) + log1pf(expf(-fabsf(x)));
    case Fn::kSoftsign: return x / (1.0f + fabsf(x));
    case Fn::kGelu: return 0.5f * x * (1.0f + erff(x * 0.70710678f));
    case Fn::kGeluTanh: return 0.5f * x * (1.0f + tanhf(0.79788456f * (x + 0.044715f * x * x * x)));
    case Fn::kMish: return x * tanhf(fmaxf(x, 0.0f) + log1pf(expf(-fabsf(x))));
    case Fn::kThresholdedRelu: return x > a ? x : 0.0f;
    case Fn::kShrink: return x < -a ? x + b : x > a ? x - b : 0.0f;
    case Fn::kSwish: return x / (1.0f + expf(-a * x));
    case Fn::kErf: return erff(x);
    case Fn::kAbs: return fabsf(x);
    case Fn::kNeg: return -x;
    case Fn::kSqrt: return sqrtf(x);
    case Fn::kExp: return expf(x);
    case Fn::kLog: return logf(x);
    case Fn::kReciprocal: return 1.0f / x;
    case Fn::kFloor: return floorf(x);
    case Fn::kCeil: return ceilf(x);
    case Fn::kRound: return rintf(x);
    case Fn::kSign: return x > 0.0f ? 1.0f : x < 0.0f ? -1.0f : x;
    case Fn::kSin: return sinf(x);
    case Fn::kCos: return cosf(x);
    case Fn::kTan: return tanf(x);
    case Fn::kAsin: return asinf(x);
    case Fn::kAcos: return acosf(x);
    case Fn::kAtan: return atanf(x);
    case Fn::kSinh: return sinhf(x);
    case Fn::kCosh: return coshf(x);
    case Fn::kAsinh: return asinhf(x);
    case Fn::kAcosh: return acoshf(x);
    case Fn::kAtanh: return atanhf(x);
    case Fn::kNot: return x == 0.0f;
    case Fn::kIsNaN: return x != x;
    case Fn::kIsInf: return (a != 0.0f && x > 3.4028235e38f) || (b != 0.0f && x < -3.4028235e38f);
    default: return x;
  }
}

__noinline__ __device__ double called(double x, Fn function, float, float) {
  switch (function) {
    case Fn::kAbs: return fabs(x);
    case Fn::kNeg: return -x;
    case Fn::kSqrt: return sqrt(x);
    case Fn::kExp: return exp(x);
    case Fn::kLog: return log(x);
    case Fn::kTanh: return tanh(x);
    case Fn::kSigmoid: return 1.0 / (1.0 + exp(-x));
    case Fn::kReciprocal: return 1.0 / x;
    case Fn::kFloor: return floor(x);
    case Fn::kCeil: return ceil(x);
    case Fn::kRound: return rint(x);
    case Fn::kSign: return x > 0.0 ? 1.0 : x < 0.0 ? -1.0 : x;
    case Fn::kErf: return erf(x);
    case Fn::kSin: return sin(x);
    case Fn::kCos: return cos(x);
    case Fn::kNot: return x == 0.0;
    case Fn::kIsNaN: return x != x;
    default: return x;
  }
}

__noinline__ __device__ long long called(long long x, Fn function, float, float) {
  switch (function) {
    case Fn::kAbs: return x < 0 ? -x : x;
    case Fn::kNeg: return -x;
    case Fn::kSign: return (x > 0) - (x < 0);
    case Fn::kNot: return x == 0;
    default: return x;
  }
}

template <class C>
__device__ C unary(C x, const EltwiseStep& s) {
  switch (s.function) {
    case Fn::kSame: return x;
    case Fn::kRelu: return x < C(0) ? C(0) : x;
    case Fn::kLeakyRelu: return x < C(0) ? C(s.a) * x : x;
    case Fn::kClip: return x < C(s.a) ? C(s.a < s.b ? s.a : s.b) : x > C(s.b) ? C(s.b) : x;
    case Fn::kAffine: return C(s.a) * x + C(s.b);
    default: return called(x, s.function, s.a, s.b);
  }
}

// As std::pow, but for the powers that networks have.
__noinline__ __device__ float power(float x, float p) {
  if (p == 2.0f) return x * x;
  if (p == 0.5f) return sqrtf(x);
  return p == 3.0f ? x * x * x : powf(x, p);
}
__noinline__ __device__ double power(double x, double p) { return pow(x, p); }
__noinline__ __device__ long long power(long long x, long long p) {
  if (p < 0) return x == 1 ? 1 : x == -1 ? (p % 2 == 0 ? 1 : -1) : 0;
  long long result = 1;
  for (; p > 0; p /= 2, x *= x) {
    if (p % 2 != 0) result *= x;
  }
  return result;
}

__noinline__ __device__ float remainder_of(float x, float o) { return fmodf(x, o); }
__noinline__ __device__ double remainder_of(double x, double o) { return fmod(x, o); }
__device__ long long remainder_of(long long x, long long o) { return o == 0 ? 0 : x % o; }

__device__ float quotient(float x, float o) { return x / o; }
__device__ double quotient(double x, double o) { return x / o; }
__device__ long long quotient(long long x, long long o) { return o == 0 ? 0 : x / o; }

template <class C>
__noinline__ __device__ C modulo(C x, C o) {
  const C rest = remainder_of(x, o);
  return rest != C(0) && (rest < C(0)) != (o < C(0)) ? rest + o : rest;
}

// Comparisons and logic, which give 0 or 1, and operations on bits.
template <class C>
__noinline__ __device__ C compared(C x, C o, Fn function) {
  switch (function) {
    case Fn::kEqual: return C(x == o);
    case Fn::kGreater: return C(x > o);
    case Fn::kLess: return C(x < o);
    case Fn::kGreaterOrEqual: return C(x >= o);
    case Fn::kLessOrEqual: return C(x <= o);
    case Fn::kAnd: return C(x != C(0) && o != C(0));
    case Fn::kOr: return C(x != C(0) || o != C(0));
    case Fn::kXor: return C((x != C(0)) != (o != C(0)));
    case Fn::kBitAnd: return C((long long)x & (long long)o);
    case Fn::kBitOr: return C((long long)x | (long long)o);
    case Fn::kBitXor: return C((long long)x ^ (long long)o);
    default: return x;
  }
}

template <class C>
__device__ C binary(C x, C o, Fn function) {
  switch (function) {
    case Fn::kAdd: return x + o;
    case Fn::kSub: return x - o;
    case Fn::kMul: return x * o;
    case Fn::kDiv: return quotient(x, o);
    case Fn::kPow: return power(x, o);
    case Fn::kMin: return x < o || x != x ? x : o;
    case Fn::kMax: return x > o || x != x ? x : o;
    case Fn::kPRelu: return x < C(0) ? x * o : x;
    case Fn::kMod: return modulo(x, o);
    case Fn::kFmod: return remainder_of(x, o);
    default: return compared(x, o, function);
  }
}

// Elements of one type, or of any, as numbers of type C.
template <class C, class T>
struct Typed {
  static __device__ C load(const void* data, int, unsigned i) {
    return widened(static_cast<const T*>(data)[i]);
  }
  static __device__ void store(void* data, int, unsigned i, C x) {
    static_cast<T*>(data)[i] = narrowed<T>(x);
  }
};

struct AnyType {};
template <class C>
struct Typed<C, AnyType> {
  static __device__ C load(const void* data, int type, unsigned i) {
    switch (type) {
      case 1: return (C) static_cast<const float*>(data)[i];
      case 2:
      case 9: return (C) static_cast<const unsigned char*>(data)[i];
      case 3: return (C) static_cast<const signed char*>(data)[i];
      case 4: return (C) static_cast<const unsigned short*>(data)[i];
      case 5: return (C) static_cast<const short*>(data)[i];
      case 6: return (C) static_cast<const int*>(data)[i];
      case 7: return (C) static_cast<const long long*>(data)[i];
      case 10: return (C)widened(static_cast<const Half*>(data)[i]);
      case 11: return (C) static_cast<const double*>(data)[i];
      case 12: return (C) static_cast<const unsigned*>(data)[i];
      case 13: return (C) static_cast<const unsigned long long*>(data)[i];
      default: return (C)widened(static_cast<const BFloat*>(data)[i]);
    }
  }
  static __device__ void store(void* data, int type, unsigned i, C x) {
    switch (type) {
      case 1: static_cast<float*>(data)[i] = (float)x; return;
      case 2: static_cast<unsigned char*>(data)[i] = (unsigned char)(long long)x; return;
      case 3: static_cast<signed char*>(data)[i] = (signed char)(long long)x; return;
      case 4: static_cast<unsigned short*>(data)[i] = (unsigned short)(long long)x; return;
      case 5: static_cast<short*>(data)[i] = (short)(long long)x; return;
      case 6: static_cast<int*>(data)[i] = (int)(long long)x; return;
      case 7: static_cast<long long*>(data)[i] = (long long)x; return;
      case 9: static_cast<unsigned char*>(data)[i] = x != C(0); return;
      case 10: static_cast<Half*>(data)[i] = narrowed<Half>((float)x); return;
      case 11: static_cast<double*>(data)[i] = (double)x; return;
      case 12: static_cast<unsigned*>(data)[i] = (unsigned)(long long)x; return;
      case 13: static_cast<unsigned long long*>(data)[i] = (unsigned long long)x; return;
      default: static_cast<BFloat*>(data)[i] = narrowed<BFloat>((float)x);
    }
  }
};

template <class C, class T>
__device__ C operand(const EltwiseCall& p, int which, unsigned index) {
  const EltwiseOperand& o = p.operands[which];
  if (p.dense) return Typed<C, T>::load(o.data, o.type, p.single >> which & 1 ? 0 : index);
  unsigned offset = 0;
  for (int d = p.dims.rank - 1; d > 0; --d)
    offset += split(index, p.dims.size[d]) * (unsigned)o.strides[d];
  return Typed<C, T>::load(o.data, o.type, offset + index * (unsigned)o.strides[0]);
}

// Each thread takes elements a grid apart, several of them through a step at a time.
template <class C, class T>
__device__ void eltwise(const EltwiseCall& p) {
  const unsigned step = index_step();
  for (unsigned first = first_index(); first < p.elements; first += step * kUnroll) {
    C x[kUnroll];
    unsigned at[kUnroll];
#pragma unroll
    for (int u = 0; u < kUnroll; ++u) {
      // Past the end the last element is computed again and not stored.
      at[u] = first + (unsigned)u * step < p.elements ? first + (unsigned)u * step : first;
      x[u] = operand<C, T>(p, 0, at[u]);
    }
    for (int i = 0; i < p.steps; ++i) {
      const EltwiseStep& s = p.program[i];
      if (s.function < Fn::kAdd) {
#pragma unroll
        for (int u = 0; u < kUnroll; ++u) x[u] = unary(x[u], s);
      } else if (s.function < Fn::kSelect) {
#pragma unroll
        for (int u = 0; u < kUnroll; ++u)
          x[u] = binary(x[u], operand<C, T>(p, s.operand, at[u]), s.function);
      } else {
#pragma unroll
        for (int u = 0; u < kUnroll; ++u)
          x[u] = operand<C, T>(p, x[u] != C(0) ? s.operand : s.operand + 1, at[u]);
      }
    }
#pragma unroll
    for (int u = 0; u < kUnroll; ++u) {
      if (first + (unsigned)u * step < p.elements) Typed<C, T>::store(p.y, p.type, at[u], x[u]);
    }
  }
}

}  // namespace
}  // namespace lanewise::cuda

using namespace lanewise::cuda;

extern "C" __global__ void eltwise_f32(EltwiseCall p) { eltwise<float, float>(p); }
extern "C" __global__ void eltwise_f16(EltwiseCall p) { eltwise<float, Half>(p); }
extern "C" __global__ void eltwise_bf16(EltwiseCall p) { eltwise<float, BFloat>(p); }
extern "C" __global__ void eltwise_any_float(EltwiseCall p) { eltwise<float, AnyType>(p); }
extern "C" __global__ void eltwise_any_int(EltwiseCall p) { eltwise<long long, AnyType>(p); }
extern "C" __global__ void eltwise_any_double(EltwiseCall p) { eltwise<double, AnyType>(p); }
