// The operands are taken from left to right. Indices that no later operand and no output has are
// summed as soon as the pair is multiplied, or before, where only one of the pair has them.
#include "engine/cpu/einsum.h"

#include <algorithm>
#include <functional>
#include <memory>
#include <numeric>
#include <utility>

#include "engine/base/buffer.h"
#include "engine/base/parallel.h"
#include "engine/cpu/matmul.h"
#include "engine/cpu/strided_copy.h"

namespace lanewise {
namespace {

const EinsumDim* find(const EinsumOperand& operand, int label) {
  const auto it = std::find_if(operand.begin(), operand.end(),
                               [&](const EinsumDim& d) { return d.label == label; });
  return it == operand.end() ? nullptr : &*it;
}

std::int64_t elements(const EinsumOperand& dims) {
  std::int64_t product = 1;
  for (const EinsumDim& d : dims) product = checked_multiply(product, d.size);
  return product;
}

// The same labels and sizes with the strides of a dense array.
EinsumOperand dense(EinsumOperand dims) {
  std::int64_t stride = 1;
  for (std::size_t i = dims.size(); i-- > 0;) {
    dims[i].stride = stride;
    stride *= dims[i].size;
  }
  return dims;
}

// Where an array lies while the step runs.
struct Place {
  enum Kind { kInput, kScratch, kOutput } kind = kInput;
  std::int64_t at = 0;  // number of the input, or bytes into the scratch memory

  std::byte* resolve(const RunContext& run) const {
    if (kind == kInput) return const_cast<std::byte*>(run.in<std::byte>(static_cast<int>(at)));
    return kind == kOutput ? run.out<std::byte>(0) : run.scratch + at;
  }
};

struct Stage {
  Place a, b, out;
  std::function<void(const void* a, const void* b, void* out, const RunContext& run)> run;
};

// Sums wrap for integers; float32 is summed in double.
template <class T>
struct SumOf {
  using Type = double;
};
template <class T>
  requires std::is_integral_v<T>
struct SumOf<T> {
  using Type = std::uint64_t;
};

// The offset of position `i` in row-major order over the dimensions.
std::int64_t offset_of(const EinsumOperand& dims, std::int64_t i) {
  std::int64_t offset = 0;
  for (std::size_t d = dims.size(); d-- > 0;) {
    offset += i % dims[d].size * dims[d].stride;
    i /= dims[d].size;
  }
  return offset;
}

// `summed` has at least one dimension; its last one is the inner loop.
template <class T>
void sum_elements(const EinsumOperand& kept, EinsumOperand summed, const T* in, T* out,
                  int threads) {
  const EinsumDim inner = summed.back();
  summed.pop_back();
  std::vector<std::int64_t> offsets(static_cast<std::size_t>(elements(summed)));
  for (std::size_t i = 0; i < offsets.size(); ++i) {
    offsets[i] = offset_of(summed, static_cast<std::int64_t>(i));
  }
  const std::int64_t terms = static_cast<std::int64_t>(offsets.size()) * inner.size;
  parallel_for(threads, elements(kept), 16384 / terms + 1,
               [&](std::int64_t begin, std::int64_t end) {
                 for (std::int64_t i = begin; i < end; ++i) {
                   using U = typename SumOf<T>::Type;
                   const T* from = in + offset_of(kept, i);
                   U sum{};
                   for (std::int64_t offset : offsets) {
                     for (std::int64_t k = 0; k < inner.size; ++k) {
                       sum += static_cast<U>(from[offset + k * inner.stride]);
                     }
                   }
                   out[i] = static_cast<T>(sum);
                 }
               });
}

struct Sizes {
  std::int64_t batch = 1, m = 1, n = 1, k = 1;
};

template <class T>
void small_products(const Sizes& s, const T* a, const T* b, T* out, int threads) {
  using U = std::conditional_t<std::is_floating_point_v<T>, T, std::uint64_t>;
  parallel_for(threads, s.batch * s.m, 4096 / (s.n * s.k) + 1,
               [&](std::int64_t begin, std::int64_t end) {
                 for (std::int64_t row = begin; row < end; ++row) {
                   const T* right = b + row / s.m * s.k * s.n;
                   for (std::int64_t j = 0; j < s.n; ++j) {
                     U sum{};
                     for (std::int64_t l = 0; l < s.k; ++l) {
                       sum += static_cast<U>(a[row * s.k + l]) * static_cast<U>(right[l * s.n + j]);
                     }
                     out[row * s.n + j] = static_cast<T>(sum);
                   }
                 }
               });
}

class Builder {
 public:
  Builder(std::vector<EinsumOperand> operands, const EinsumOperand& output, const LowerContext& c)
      : operands_(std::move(operands)), output_(output), c_(c), dtype_(c.dtype(0)) {}

  Step build() {
    EinsumOperand dims = operands_[0];
    Place place{Place::kInput, 0};
    for (std::size_t i = 1; i < operands_.size(); ++i) {
      std::tie(dims, place) = contract(dims, place, i);
    }
    if (place.kind != Place::kOutput) arrange(dims, place, output_, Place{Place::kOutput, 0});
    Step step;
    step.algorithm = "einsum";
    const std::int64_t matmul_at = used_;
    step.scratch_bytes = static_cast<std::size_t>(matmul_at) + matmul_scratch_;
    step.run = [stages = std::move(stages_), matmul_at](const RunContext& run) {
      for (const Stage& stage : stages) {
        RunContext inner = run;
        inner.scratch = run.scratch + matmul_at;
        stage.run(stage.a.resolve(run), stage.b.resolve(run), stage.out.resolve(run), inner);
      }
    };
    return step;
  }

 private:
  // Where a label stands in the output; labels that are not there come last.
  int rank_of(int label) const {
    const EinsumDim* dim = find(output_, label);
    return dim == nullptr ? 1000 + label : static_cast<int>(dim - output_.data());
  }

  bool is_needed(int label, std::size_t next) const {
    if (find(output_, label) != nullptr) return true;
    return std::any_of(operands_.begin() + static_cast<std::ptrdiff_t>(next), operands_.end(),
                       [&](const EinsumOperand& o) { return find(o, label) != nullptr; });
  }

  Place scratch(std::int64_t count) {
    const Place place{Place::kScratch, used_};
    const std::int64_t bytes =
        checked_multiply(count, static_cast<std::int64_t>(dtype_size(dtype_)));
    used_ += static_cast<std::int64_t>(aligned_size(bytes));
    return place;
  }

  // Makes the array `to` (dense, in this order) of `from`: sums the labels that it lacks, repeats
  // where it is larger.
  void arrange(const EinsumOperand& from, Place at, const EinsumOperand& to, Place out) {
    EinsumOperand kept, summed;
    for (const EinsumDim& d : to) {
      const EinsumDim* source = find(from, d.label);
      kept.push_back(
          {d.label, d.size, source == nullptr || source->size != d.size ? 0 : source->stride});
    }
    for (const EinsumDim& d : from) {
      if (find(to, d.label) == nullptr) summed.push_back(d);
    }
    Stage stage{at, at, out, {}};
    if (summed.empty()) {
      std::vector<CopyDim> dims;
      const EinsumOperand target = dense(kept);
      for (std::size_t i = 0; i < kept.size(); ++i) {
        dims.push_back({kept[i].size, kept[i].stride, target[i].stride});
      }
      stage.run = [copy = StridedCopy(std::move(dims), dtype_, c_.isa())](
                      const void* in, const void*, void* result, const RunContext& run) {
        copy.run(in, 0, result, 0, run.threads);
      };
    } else {
      stage.run = [=, dtype = dtype_](const void* in, const void*, void* result,
                                      const RunContext& run) {
        visit_number(dtype, [&](auto type) {
          using T = typename decltype(type)::type;
          sum_elements(kept, summed, static_cast<const T*>(in), static_cast<T*>(result),
                       run.threads);
        });
      };
    }
    stages_.push_back(std::move(stage));
  }

  // arrange() into scratch memory, unless the array lies like that already.
  Place arranged(const EinsumOperand& from, Place at, const EinsumOperand& to) {
    const EinsumOperand target = dense(to);
    bool same = from.size() == target.size();
    for (std::size_t i = 0; same && i < from.size(); ++i) {
      same = from[i].label == target[i].label && from[i].size == target[i].size &&
             (from[i].size == 1 || from[i].stride == target[i].stride);
    }
    if (same) return at;
    const Place out = scratch(elements(to));
    arrange(from, at, to, out);
    return out;
  }

  // The product of what there is with operand `index`, as dense [batch..., m..., n...].
  std::pair<EinsumOperand, Place> contract(const EinsumOperand& left, Place left_at,
                                           std::size_t index) {
    const EinsumOperand& right = operands_[index];
    EinsumOperand batch, m, n, k;
    for (const EinsumDim& d : left) {
      const EinsumDim* other = find(right, d.label);
      const bool needed = is_needed(d.label, index + 1);
      const EinsumDim joined{d.label, other == nullptr ? d.size : std::max(d.size, other->size), 0};
      if (other != nullptr) (needed ? batch : k).push_back(joined);
      if (other == nullptr && needed) m.push_back(joined);
    }
    for (const EinsumDim& d : right) {
      if (find(left, d.label) == nullptr && is_needed(d.label, index + 1)) n.push_back(d);
    }
    for (EinsumOperand* part : {&batch, &m, &n, &k}) {
      std::sort(part->begin(), part->end(), [&](const EinsumDim& a, const EinsumDim& b) {
        return rank_of(a.label) < rank_of(b.label);
      });
    }
    const auto join = [](std::initializer_list<const EinsumOperand*> parts) {
      EinsumOperand all;
      for (const EinsumOperand* part : parts) all.insert(all.end(), part->begin(), part->end());
      return all;
    };
    const Place a = arranged(left, left_at, join({&batch, &m, &k}));
    const Place b =
        arranged(right, {Place::kInput, static_cast<std::int64_t>(index)}, join({&batch, &k, &n}));
    EinsumOperand result = dense(join({&batch, &m, &n}));
    const bool last =
        index + 1 == operands_.size() && result.size() == output_.size() &&
        std::equal(result.begin(), result.end(), output_.begin(),
                   [](const EinsumDim& x, const EinsumDim& y) { return x.label == y.label; });
    const Place out = last ? Place{Place::kOutput, 0} : scratch(elements(result));
    stages_.push_back(
        {a, b, out, product({elements(batch), elements(m), elements(n), elements(k)})});
    return {std::move(result), out};
  }

  // The stage that multiplies [batch, m, k] by [batch, k, n].
  std::function<void(const void*, const void*, void*, const RunContext&)> product(const Sizes& s) {
    constexpr double kSmall = 512;  // below this, tiles are mostly tails
    if (static_cast<double>(s.m) * static_cast<double>(s.n) * static_cast<double>(s.k) < kSmall) {
      return [s, dtype = dtype_](const void* a, const void* b, void* out, const RunContext& run) {
        visit_number(dtype, [&](auto type) {
          using T = typename decltype(type)::type;
          small_products(s, static_cast<const T*>(a), static_cast<const T*>(b),
                         static_cast<T*>(out), run.threads);
        });
      };
    }
    MatmulProblem problem;
    problem.m = s.m;
    problem.n = s.n;
    problem.k = s.k;
    problem.a_index.resize(static_cast<std::size_t>(s.batch));
    std::iota(problem.a_index.begin(), problem.a_index.end(), 0);
    problem.b_index = problem.a_index;
    ValueInfo inputs[2], outputs[1];
    inputs[0].dtype = inputs[1].dtype = outputs[0].dtype = dtype_;
    inputs[0].shape = Shape{s.batch, s.m, s.k};
    inputs[1].shape = Shape{s.batch, s.k, s.n};
    outputs[0].shape = Shape{s.batch, s.m, s.n};
    const LowerOptions options{c_.isa(), c_.threads(), c_.numerics(), ""};
    const LowerContext::SubgraphCompiler compile;
    const LowerContext inner(c_.node(), inputs, outputs, options, c_.cache(), compile);
    Step step = lower_matmul(std::move(problem), inner);
    matmul_scratch_ = std::max(matmul_scratch_, step.scratch_bytes);
    return
        [step = std::move(step)](const void* a, const void* b, void* out, const RunContext& run) {
          const void* ins[] = {a, b, nullptr};
          void* outs[] = {out};
          step.run(RunContext{ins, outs, run.scratch, run.threads, nullptr});
        };
  }

  std::vector<EinsumOperand> operands_;
  const EinsumOperand& output_;
  const LowerContext& c_;
  DType dtype_;
  std::vector<Stage> stages_;
  std::int64_t used_ = 0;
  std::size_t matmul_scratch_ = 0;
};

}  // namespace

Step lower_einsum_operands(std::vector<EinsumOperand> operands, const EinsumOperand& output,
                           const LowerContext& c) {
  return Builder(std::move(operands), output, c).build();
}

}  // namespace lanewise
