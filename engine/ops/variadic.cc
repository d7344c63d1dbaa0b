// Sum, Mean, Min and Max of any number of broadcast operands, taken from first to last.
#include <algorithm>
#include <vector>

#include "engine/ops/binary.h"

namespace lanewise {
namespace {

// Results stay in a tile near the core until every operand has been read, so that the output may
// be the memory of any operand.
template <class T, class F>
struct Accumulate {
  static constexpr std::int64_t kTile = 1024;

  std::vector<BroadcastLoop> loops;  // one per operand
  F f;
  T divisor = T{1};

  void tile(const RunContext& run, std::int64_t begin, std::int64_t end) const {
    T sums[kTile];
    for (std::size_t i = 0; i < loops.size(); ++i) {
      const BroadcastLoop& loop = loops[i];
      loop.for_blocks(begin, end, [&](const BroadcastLoop::Block& block) {
        const T* in = run.in<T>(static_cast<int>(i)) + block.in[0];
        T* out = sums + (block.out - begin);
        const std::int64_t row = loop.row_stride(0), col = loop.col_stride(0);
        if (i == 0) {
          const auto first = [](T, T x) { return x; };
          run_rows(BinaryRows<T, T, T>{in, in, out, block.rows, block.cols, row, row, col, col}, first);
        } else {
          run_rows(BinaryRows<T, T, T>{out, in, out, block.rows, block.cols, block.cols, row, 1, col}, f);
        }
      });
    }
    T* y = run.out<T>(0) + begin;
    if (divisor == T{1}) std::copy(sums, sums + (end - begin), y);
    else for (std::int64_t i = 0; i < end - begin; ++i) y[i] = sums[i] / divisor;
  }

  void operator()(const RunContext& run) const {
    parallel_for(run.threads, loops[0].elements, kGrain, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; i += kTile) tile(run, i, std::min(i + kTile, end));
    });
  }
};

template <class T, class F>
Step accumulate(const LowerContext& c, F f, bool mean) {
  Accumulate<T, F> body{{}, f};
  for (int i = 0; i < c.num_inputs(); ++i) body.loops.push_back(broadcast_loop(c, {i}));
  if (mean) body.divisor = static_cast<T>(c.num_inputs());
  Step step;
  step.run = std::move(body);
  step.algorithm = "tiles";
  return step;
}

template <class F, kernels::Binary kernel, bool mean = false>
Step lower_variadic(LowerContext& c) {
  if (c.num_inputs() == 2 && !mean) return lower_arithmetic<F, kernel>(c);
  if (c.dtype(0) == DType::kFloat32) {
    const kernels::BinaryRun run = kernels::eltwise_binary(c.isa()).run[static_cast<int>(kernel)];
    return accumulate<float>(c, run, mean);
  }
  Step step;
  visit_number(c.dtype(0), [&]<class T>(std::type_identity<T>) {
    if constexpr (!std::is_same_v<T, float>) step = accumulate<T>(c, F{}, mean);
  });
  return step;
}

constexpr OpDef variadic(std::string_view name, std::string_view doc, Step (*lower)(LowerContext&),
                         void (*infer)(InferContext&)) {
  return {.name = name, .doc = doc, .min_inputs = 1, .max_inputs = -1, .infer = infer, .lower = lower,
          .layout = LayoutRule::kFollow, .inplace = 0xffffffffu};
}

constexpr OpDef kOps[] = {
    variadic("Sum", "The sum of all operands.", lower_variadic<AddFunction, kernels::Binary::kAdd>,
             infer_binary<kFloats>),
    variadic("Mean", "The mean of all operands.", lower_variadic<AddFunction, kernels::Binary::kAdd, true>,
             infer_binary<kFloats>),
    variadic("Min", "The least of all operands, NaN if one is.",
             lower_variadic<MinFunction, kernels::Binary::kMin>, infer_binary<kNumbers>),
    variadic("Max", "The greatest of all operands, NaN if one is.",
             lower_variadic<MaxFunction, kernels::Binary::kMax>, infer_binary<kNumbers>),
};

}  // namespace

extern const OpTable variadic_ops;
const OpTable variadic_ops = {kOps};

}  // namespace lanewise
