// Conversion of operands, over threads.
#include "engine/cpu/staging.h"

#include "engine/base/parallel.h"

namespace lanewise {
namespace {

constexpr std::int64_t kGrain = 16384;

template <class To, class From>
To converted(From x) {
  if constexpr (std::is_same_v<From, Float16> || std::is_same_v<From, BFloat16>) {
    return static_cast<To>(static_cast<float>(x));
  } else if constexpr (std::is_same_v<To, Float16> || std::is_same_v<To, BFloat16>) {
    return To(static_cast<float>(x));
  } else {
    return static_cast<To>(x);
  }
}

// The vectors' conversion where there is one, else null.
template <class To, class From>
kernels::HalvesRun kernel_of(const kernels::Halves& halves) {
  if constexpr (std::is_same_v<To, float> && std::is_same_v<From, Float16>)
    return halves.half_to_float;
  if constexpr (std::is_same_v<To, float> && std::is_same_v<From, BFloat16>)
    return halves.bfloat_to_float;
  if constexpr (std::is_same_v<To, Float16> && std::is_same_v<From, float>)
    return halves.float_to_half;
  if constexpr (std::is_same_v<To, BFloat16> && std::is_same_v<From, float>)
    return halves.float_to_bfloat;
  return nullptr;
}

template <class To, class From>
void convert(const kernels::Halves& halves, const From* from, To* to, std::int64_t n, int threads) {
  const kernels::HalvesRun kernel = kernel_of<To, From>(halves);
  parallel_for(threads, n, kGrain, [&](std::int64_t begin, std::int64_t end) {
    if (kernel != nullptr) return kernel(from + begin, to + begin, end - begin);
    for (std::int64_t i = begin; i < end; ++i) to[i] = converted<To>(from[i]);
  });
}

}  // namespace

template <class T>
Staging<T>::Staging(const LowerContext& c, std::initializer_list<int> inputs,
                    std::initializer_list<int> outputs)
    : halves_(&kernels::halves(c.isa())) {
  for (int i : inputs) {
    if (c.has_input(i)) inputs_.push_back(place(i, c.input(i)));
  }
  for (int i : outputs) {
    if (c.has_output(i)) outputs_.push_back(place(i, c.output(i)));
  }
}

template <class T>
typename Staging<T>::Operand Staging<T>::place(int index, const ValueInfo& info) {
  Operand operand{index, info.dtype, info.shape.elements(), -1};
  if (info.dtype == kDTypeOf<T>) return operand;
  operand.at = elements_;
  elements_ += (operand.count + 15) / 16 * 16;
  return operand;
}

template <class T>
typename Staging<T>::Arrays Staging<T>::open(const RunContext& run, T* scratch) const {
  Arrays arrays;
  for (const Operand& operand : inputs_) {
    const auto i = static_cast<std::size_t>(operand.index);
    if (operand.at < 0) {
      arrays.in[i] = run.in<T>(operand.index);
      continue;
    }
    T* const to = scratch + operand.at;
    visit_scalar(operand.dtype, [&]<class From>(std::type_identity<From>) {
      convert(*halves_, run.in<From>(operand.index), to, operand.count, run.threads);
    });
    arrays.in[i] = to;
  }
  for (const Operand& operand : outputs_) {
    arrays.out[static_cast<std::size_t>(operand.index)] =
        operand.at < 0 ? run.out<T>(operand.index) : scratch + operand.at;
  }
  return arrays;
}

template <class T>
void Staging<T>::close(const RunContext& run, const Arrays& arrays) const {
  for (const Operand& operand : outputs_) {
    if (operand.at < 0) continue;
    const T* const from = arrays.out[static_cast<std::size_t>(operand.index)];
    visit_scalar(operand.dtype, [&]<class To>(std::type_identity<To>) {
      if constexpr (!std::is_same_v<To, bool>)
        convert(*halves_, from, run.out<To>(operand.index), operand.count, run.threads);
    });
  }
}

template class Staging<float>;
template class Staging<double>;

}  // namespace lanewise
