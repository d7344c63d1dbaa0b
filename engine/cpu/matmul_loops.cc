// Loops in the order that reads B by rows, whatever the element type.
#include "engine/cpu/matmul_loops.h"

#include <memory>
#include <type_traits>
#include <utility>
#include <vector>

#include "engine/base/parallel.h"

namespace lanewise {
namespace {

// Integer sums and products wrap as in NumPy: in the unsigned type, where overflow is defined.
template <class T>
struct ArithmeticOf {
  using Type = T;
};
template <class T>
  requires std::is_integral_v<T>
struct ArithmeticOf<T> {
  using Type = std::make_unsigned_t<T>;
};

template <class T>
void run_row(const MatmulProblem& p, const RunContext& run, std::int64_t row) {
  using U = typename ArithmeticOf<T>::Type;
  const auto batch = static_cast<std::size_t>(row / p.m);
  const std::int64_t i = row % p.m;
  const T* a = run.in<T>(0) + p.a_index[batch] * p.m * p.k + i * p.a_row();
  const T* b = run.in<T>(1) + p.b_index[batch] * p.k * p.n;
  T* y = run.out<T>(0) + row * p.n;
  for (std::int64_t j = 0; j < p.n; ++j) y[j] = T(0);
  for (std::int64_t l = 0; l < p.k; ++l) {
    const U factor = static_cast<U>(a[l * p.a_column()]);
    const T* from = b + l * p.b_row();
    for (std::int64_t j = 0; j < p.n; ++j) {
      y[j] = static_cast<T>(static_cast<U>(y[j]) + factor * static_cast<U>(from[j * p.b_column()]));
    }
  }
  if (p.alpha != 1.0f) {
    for (std::int64_t j = 0; j < p.n; ++j)
      y[j] = static_cast<T>(static_cast<double>(p.alpha) * static_cast<double>(y[j]));
  }
  if (!p.has_c) return;
  const T* c = run.in<T>(2) + i * p.c_row;
  for (std::int64_t j = 0; j < p.n; ++j) {
    const T value = c[j * p.c_column];
    const T scaled = p.beta == 1.0f
                         ? value
                         : static_cast<T>(static_cast<double>(p.beta) * static_cast<double>(value));
    y[j] = static_cast<T>(static_cast<U>(y[j]) + static_cast<U>(scaled));
  }
}

}  // namespace

Step lower_matmul_loops(MatmulProblem problem, const LowerContext& c) {
  auto p = std::make_shared<const MatmulProblem>(std::move(problem));
  Step step;
  step.algorithm = "generic";
  visit_number(c.dtype(0), [&]<class T>(std::type_identity<T>) {
    step.run = [p](const RunContext& run) {
      const std::int64_t grain = 1 + 100000 / (1 + p->n * p->k);
      parallel_for(run.threads, p->batches() * p->m, grain,
                   [&](std::int64_t begin, std::int64_t end) {
                     for (std::int64_t row = begin; row < end; ++row) run_row<T>(*p, run, row);
                   });
    };
  });
  return step;
}

}  // namespace lanewise
