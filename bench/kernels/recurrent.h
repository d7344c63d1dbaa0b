// The benches of both precisions: a product of 256 x 1024 for one and for eight sequences, and the
// cells of 256 units.
#pragma once

#include "bench/kernels/work.h"
#include "engine/kernels/recurrent/recurrent.h"

namespace lanewise::bench {

template <class T>
std::vector<Work> recurrent_works(const kernels::RecurrentRows<T>& kernel) {
  constexpr std::int64_t kHidden = 256, kGates = 4 * kHidden, kMost = 8;
  const auto packed = numbers<T>(kGates * kHidden), a = numbers<T>(kMost * kHidden);
  const auto gates = numbers<T>(kMost * kGates), h = numbers<T>(kHidden), c = numbers<T>(kHidden);
  std::vector<Work> works;
  for (const std::int64_t rows : {std::int64_t{1}, kMost}) {
    const auto run = [=] {
      kernel.product({.rows = rows,
                      .columns = kGates,
                      .depth = kHidden,
                      .a = a->data(),
                      .a_stride = kHidden,
                      .packed = packed->data(),
                      .bias = a->data(),
                      .out = gates->data(),
                      .out_stride = kGates});
    };
    works.push_back({"product of " + std::to_string(rows),
                     2.0 * static_cast<double>(rows * kGates * kHidden), 0, run});
  }
  const T clip = static_cast<T>(__builtin_inf());
  constexpr kernels::GateFunction kSigmoid = {kernels::Gate::kSigmoid},
                                  kTanh = {kernels::Gate::kTanh};
  works.push_back({"lstm", 0, 8.0 * kHidden * sizeof(T), [=] {
                     kernel.lstm({.hidden = kHidden,
                                  .gates = gates->data(),
                                  .h = h->data(),
                                  .c = c->data(),
                                  .functions = {kSigmoid, kTanh, kTanh},
                                  .clip = clip});
                   }});
  works.push_back({"rnn", 0, 2.0 * kHidden * sizeof(T),
                   [=] { kernel.rnn(kTanh, clip, kHidden, gates->data(), h->data()); }});
  return works;
}

}  // namespace lanewise::bench
