// Operands of several number types seen as arrays of one floating type: where an operand is of
// another type, a converted copy stands in scratch memory. For operators whose inputs need not
// agree in type; the others leave 16-bit floats to the engine.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <vector>

#include "engine/graph/op.h"
#include "engine/kernels/convert/convert.h"

namespace lanewise {

// T: float or double.
template <class T>
class Staging {
 public:
  static constexpr std::size_t kMost = 8;
  struct Arrays {
    std::array<const T*, kMost> in = {};  // null for inputs that are absent or not staged
    std::array<T*, kMost> out = {};
  };

  Staging(const LowerContext& c, std::initializer_list<int> inputs,
          std::initializer_list<int> outputs);

  // Elements of T that open() takes from the beginning of its scratch memory; a multiple of 16.
  std::int64_t elements() const { return elements_; }
  Arrays open(const RunContext& run, T* scratch) const;
  // Converts the outputs back.
  void close(const RunContext& run, const Arrays& arrays) const;

 private:
  struct Operand {
    int index = 0;
    DType dtype = DType::kUndefined;
    std::int64_t count = 0, at = -1;  // at < 0: already of type T
  };
  Operand place(int index, const ValueInfo& info);

  const kernels::Halves* halves_;
  std::vector<Operand> inputs_, outputs_;
  std::int64_t elements_ = 0;
};

extern template class Staging<float>;
extern template class Staging<double>;

}  // namespace lanewise
