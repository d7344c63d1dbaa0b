// The activations that follow products, convolutions and normalisations, by the numbers of
// engine/kernels/epilogue.h.
#pragma once

static __device__ inline float activated(float x, int function, float alpha, float beta) {
  switch (function) {
    case 1: return x < 0.0f ? 0.0f : x;
    case 2: return x < 0.0f ? alpha * x : x;
    case 3: return fminf(fmaxf(x, alpha), beta);
    case 4: return 1.0f / (1.0f + expf(-x));
    case 5: return tanhf(x);
    case 6: return fmaxf(0.0f, fminf(1.0f, alpha * x + beta));
    case 7: return x * fmaxf(0.0f, fminf(1.0f, x / 6.0f + 0.5f));
    case 8: return x / (1.0f + expf(-x));
    case 9: return x < 0.0f ? alpha * expm1f(x) : x;
    case 10: return 0.5f * x * (1.0f + erff(x * 0.70710678f));
    default: return x;
  }
}
