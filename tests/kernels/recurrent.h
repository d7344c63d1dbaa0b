// The cells of recurrent layers in float64, and the tests of both precisions.
#pragma once

#include <algorithm>
#include <vector>

#include "engine/kernels/recurrent/recurrent.h"
#include "tests/kernels/check.h"

namespace lanewise::testing {

template <class T>
struct Recurrence {
  using Kernel = kernels::RecurrentRows<T>;

  Case& c;
  const Kernel& kernel;
  static constexpr double kUnit = sizeof(T) == 4 ? 0x1p-24 : 0x1p-53;

  static double gate(const kernels::GateFunction& f, double clip, double x) {
    using kernels::Gate;
    x = std::min(std::max(x, -clip), clip);
    const double a = f.alpha, b = f.beta;
    switch (f.gate) {
      case Gate::kSigmoid: return 1 / (1 + std::exp(-x));
      case Gate::kTanh: return std::tanh(x);
      case Gate::kRelu: return std::max(x, 0.0);
      case Gate::kAffine: return a * x + b;
      case Gate::kLeakyRelu: return x < 0 ? a * x : x;
      case Gate::kThresholdedRelu: return x < a ? 0 : x;
      case Gate::kScaledTanh: return a * std::tanh(b * x);
      case Gate::kHardSigmoid: return std::min(std::max(a * x + b, 0.0), 1.0);
      case Gate::kElu: return x < 0 ? a * std::expm1(x) : x;
      case Gate::kSoftsign: return x / (1 + std::fabs(x));
      case Gate::kSoftplus: return std::log1p(std::exp(x));
    }
    return x;
  }

  kernels::GateFunction draw_gate() {
    constexpr int kGates = static_cast<int>(kernels::Gate::kSoftplus);
    return {static_cast<kernels::Gate>(c.pick(0, kGates)), 0.75f, 0.5f};
  }
  T draw() { return static_cast<T>(c.uniform(-2.0, 2.0)); }
  T draw_clip() { return c.flip() ? static_cast<T>(INFINITY) : static_cast<T>(0.875); }
  // Written by the kernel, so not protected.
  T* state(std::int64_t n) {
    T* data = c.room<T>(n);
    for (std::int64_t i = 0; i < n; ++i) data[i] = draw();
    return data;
  }
  static std::vector<double> copy(const T* data, std::int64_t n) { return {data, data + n}; }
  // A cell rounds some tens of times, at values of a few units.
  void expect(T got, double want, const char* what, std::int64_t at) {
    c.expect(got, want, gamma(200, kUnit) * (1 + std::fabs(want)), what, at);
  }

  void product() {
    kernels::RowProduct<T> p;
    p.rows = c.pick(0, 14);
    p.columns = c.size(kernel.panel, 5);
    p.depth = c.size(8, 4, 0);
    p.a_stride = p.depth + c.pick(0, 2);
    p.out_stride = p.columns + c.pick(0, 2);
    const bool has_bias = c.flip();
    c.describe("product, %ld x %ld x %ld", static_cast<long>(p.rows), static_cast<long>(p.depth),
               static_cast<long>(p.columns));
    const auto value = [this](std::int64_t) { return static_cast<T>(c.number()); };
    const std::int64_t panels = (p.columns + kernel.panel - 1) / kernel.panel;
    const bool empty = p.rows == 0;
    p.a = c.filled<T>(empty ? 0 : (p.rows - 1) * p.a_stride + p.depth, value);
    p.packed = c.filled<T>(panels * kernel.panel * p.depth, value);
    const T* bias = c.filled<T>(p.columns, value);
    p.bias = has_bias ? bias : nullptr;
    const std::int64_t room = empty ? 0 : (p.rows - 1) * p.out_stride + p.columns;
    p.out = c.room<T>(room);
    std::vector<T> before;
    for (std::int64_t i = 0; i < room; ++i) {
      before.push_back(value(i));
      if (i % p.out_stride < p.columns) p.out[i] = before.back();
    }
    kernel.product(p);
    for (std::int64_t at = 0; at < room; ++at) {
      const std::int64_t r = at / p.out_stride, j = at % p.out_stride;
      if (j >= p.columns) {
        c.expect_untouched(p.out[at], "a gap between rows", at);
        continue;
      }
      Sum sum;
      sum.add(has_bias ? bias[j] : before[static_cast<std::size_t>(at)]);
      for (std::int64_t i = 0; i < p.depth; ++i) {
        const T w = p.packed[(j / kernel.panel * p.depth + i) * kernel.panel + j % kernel.panel];
        sum.add(static_cast<double>(p.a[r * p.a_stride + i]) * static_cast<double>(w));
      }
      c.expect(p.out[at], sum.value,
               c.exact() ? 0.0 : gamma(2 * static_cast<double>(p.depth) + 4, kUnit) * sum.size,
               "product", at);
    }
  }

  void lstm() {
    const std::int64_t n = c.size(16, 3);
    kernels::LstmRow<T> row;
    row.hidden = n;
    row.coupled = c.flip();
    row.clip = draw_clip();
    for (auto& function : row.functions) function = draw_gate();
    c.describe("lstm of %ld, gates %d %d %d, coupled %d", static_cast<long>(n),
               static_cast<int>(row.functions[0].gate), static_cast<int>(row.functions[1].gate),
               static_cast<int>(row.functions[2].gate), row.coupled);
    row.gates = state(4 * n);
    row.h = state(n);
    row.c = state(n);
    const T* peepholes = c.filled<T>(3 * n, [this](std::int64_t) { return draw(); });
    if (c.flip()) row.peepholes = peepholes;
    const std::vector<double> gates = copy(row.gates, 4 * n), cell = copy(row.c, n);
    kernel.lstm(row);
    const double clip = row.clip;
    for (std::int64_t i = 0; i < n; ++i) {
      const auto sum = [&](std::int64_t which) {
        return gates[static_cast<std::size_t>(which * n + i)];
      };
      const double before = cell[static_cast<std::size_t>(i)];
      const auto peep = [&](std::int64_t which, double state) {
        return row.peepholes == nullptr ? 0.0 : peepholes[which * n + i] * state;
      };
      const double in = gate(row.functions[0], clip, sum(0) + peep(0, before));
      const double forget = gate(row.functions[0], clip, sum(2) + peep(2, before));
      const double next =
          (row.coupled ? 1 - in : forget) * before + in * gate(row.functions[1], clip, sum(3));
      expect(row.c[i], next, "cell", i);
      // From the state as stored: a jump of a threshold must not magnify the rounding.
      const double stored = row.c[i];
      const double out = gate(row.functions[0], clip, sum(1) + peep(1, stored));
      expect(row.h[i], out * gate(row.functions[2], INFINITY, stored), "state", i);
    }
  }

  void gru() {
    const std::int64_t n = c.size(16, 3);
    kernels::GruRow<T> row;
    row.hidden = n;
    row.clip = draw_clip();
    row.linear_before_reset = c.flip();
    for (auto& function : row.functions) function = draw_gate();
    c.describe("gru of %ld, gates %d %d, linear before reset %d", static_cast<long>(n),
               static_cast<int>(row.functions[0].gate), static_cast<int>(row.functions[1].gate),
               row.linear_before_reset);
    row.gates = state(3 * n);
    row.h = state(n);
    row.reset = state(n);
    const std::vector<double> gates = copy(row.gates, 3 * n), h = copy(row.h, n);
    const std::vector<double> reset = copy(row.reset, n);
    kernel.gru_reset(row);
    std::vector<double> hidden;
    for (std::int64_t i = 0; i < n; ++i) {
      const auto at = static_cast<std::size_t>(i), count = static_cast<std::size_t>(n);
      const double r = gate(row.functions[0], row.clip, gates[count + at]);
      if (row.linear_before_reset) {
        expect(row.gates[2 * n + i], gates[2 * count + at] + r * reset[at], "hidden sum", i);
      } else {
        expect(row.reset[i], r * h[at], "reset", i);
      }
      hidden.push_back(row.gates[2 * n + i]);
    }
    kernel.gru_update(row);
    for (std::int64_t i = 0; i < n; ++i) {
      const auto at = static_cast<std::size_t>(i);
      const double z = gate(row.functions[0], row.clip, gates[at]);
      expect(row.h[i], (1 - z) * gate(row.functions[1], row.clip, hidden[at]) + z * h[at], "state",
             i);
    }
  }

  void rnn() {
    const std::int64_t n = c.size(16, 3, 0);
    const kernels::GateFunction f = draw_gate();
    const T clip = draw_clip();
    c.describe("rnn of %ld, gate %d", static_cast<long>(n), static_cast<int>(f.gate));
    const T* sums = c.filled<T>(n, [this](std::int64_t) { return draw(); });
    T* h = c.room<T>(n);
    kernel.rnn(f, clip, n, sums, h);
    for (std::int64_t i = 0; i < n; ++i) expect(h[i], gate(f, clip, sums[i]), "state", i);
  }

  void run() {
    switch (c.pick(0, 3)) {
      case 0: return product();
      case 1: return lstm();
      case 2: return gru();
      default: return rnn();
    }
  }
};

}  // namespace lanewise::testing
