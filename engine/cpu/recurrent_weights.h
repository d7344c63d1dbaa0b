// The weights of a recurrent layer in panels for kernels/recurrent: made once and cached when they
// are constants, else made in scratch memory by each run.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "engine/cpu/recurrent.h"

namespace lanewise {

// Elements of `columns` packed columns: whole panels.
inline std::int64_t packed_columns(std::int64_t columns, std::int64_t depth, int panel) {
  return checked_multiply(checked_multiply((columns + panel - 1) / panel, panel), depth);
}

template <class T>
class RecurrentWeights {
 public:
  struct Packed {
    const T* w = nullptr;  // w_size() elements for each direction
    const T* r = nullptr;  // r_size() elements for each direction
  };

  // Without W where that is packed otherwise.
  RecurrentWeights(LowerContext& c, const RecurrentSpec& spec, int panel, bool with_w)
      : directions_(spec.directions),
        columns_(spec.gate_columns()),
        late_(spec.late_columns()),
        input_(spec.input),
        hidden_(spec.hidden),
        panel_(panel) {
    w_size_ = with_w ? packed_columns(columns_, input_, panel) : 0;
    r_size_ =
        packed_columns(columns_ - late_, hidden_, panel) + packed_columns(late_, hidden_, panel);
    const std::string form = std::string(dtype_name(kDTypeOf<T>)) + ", panels of " +
                             std::to_string(panel) + ", " + std::to_string(late_) +
                             " columns late, " +
                             Shape{directions_, columns_, input_, hidden_}.str();
    if (const Tensor* w = with_w ? c.content(1) : nullptr) {
      w_ = c.cache().get(*w, "recurrent W " + form, bytes(w_size_),
                         [&](std::byte* p) { pack_w(w->as<T>(), reinterpret_cast<T*>(p)); });
    }
    if (const Tensor* r = c.content(2)) {
      r_ = c.cache().get(*r, "recurrent R " + form, bytes(r_size_),
                         [&](std::byte* p) { pack_r(r->as<T>(), reinterpret_cast<T*>(p)); });
    }
  }

  std::int64_t w_size() const { return w_size_; }
  std::int64_t r_size() const { return r_size_; }
  std::int64_t scratch_elements() const {
    return checked_multiply(directions_, (w_ ? 0 : w_size_) + (r_ ? 0 : r_size_));
  }

  // The weights for one run, packed now if they are inputs.
  Packed ready(const RunContext& run, T* scratch) const {
    Packed result = {reinterpret_cast<const T*>(w_.get()), reinterpret_cast<const T*>(r_.get())};
    if (w_ == nullptr && w_size_ > 0) {
      pack_w(run.in<T>(1), scratch);
      result.w = scratch;
      scratch += directions_ * w_size_;
    }
    if (r_ == nullptr) {
      pack_r(run.in<T>(2), scratch);
      result.r = scratch;
    }
    return result;
  }

 private:
  std::size_t bytes(std::int64_t size) const {
    return static_cast<std::size_t>(checked_multiply(directions_ * size, sizeof(T)));
  }

  // Rows of w become columns: [panel][depth][column].
  void pack(const T* w, std::int64_t columns, std::int64_t depth, T* packed) const {
    for (std::int64_t first = 0; first < columns; first += panel_) {
      for (std::int64_t i = 0; i < depth; ++i) {
        for (std::int64_t j = first; j < first + panel_; ++j) {
          *packed++ = j < columns ? w[j * depth + i] : T{};
        }
      }
    }
  }

  void pack_w(const T* w, T* packed) const {
    for (int d = 0; d < directions_; ++d) {
      pack(w + d * columns_ * input_, columns_, input_, packed + d * w_size_);
    }
  }

  // GRU's hidden gate stands apart: its product needs the reset gate, or a sum of its own.
  void pack_r(const T* r, T* packed) const {
    const std::int64_t early = columns_ - late_;
    for (int d = 0; d < directions_; ++d) {
      const T* from = r + d * columns_ * hidden_;
      T* to = packed + d * r_size_;
      pack(from, early, hidden_, to);
      pack(from + early * hidden_, late_, hidden_, to + packed_columns(early, hidden_, panel_));
    }
  }

  int directions_;
  std::int64_t columns_, late_, input_, hidden_;
  int panel_;
  std::int64_t w_size_ = 0, r_size_ = 0;
  std::shared_ptr<const std::byte> w_, r_;  // null: packed by each run
};

}  // namespace lanewise
