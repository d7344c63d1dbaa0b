// Sum, Mean, Min and Max of any number of broadcast operands, taken from first to last.
#include <algorithm>
#include <functional>
#include <utility>
#include <vector>

#include "engine/ops/binary.h"

namespace lanewise {
namespace {

template <class T>
struct Take {
  T operator()(T, T x) const { return x; }
};

using Rows = std::function<void(const BinaryRows&)>;

// Combines operand `operand` of `size` bytes per element, walked by `loop`, into the tile of the
// output elements [begin, end); the first operand is copied there.
void combine_tile(const BroadcastLoop& loop, const Rows& f, std::size_t size, const void* operand,
                  void* tile, std::int64_t begin, std::int64_t end) {
  loop.for_blocks(begin, end, [&](const BroadcastLoop::Block& block) {
    const auto* in =
        static_cast<const std::byte*>(operand) + static_cast<std::size_t>(block.in[0]) * size;
    auto* out = static_cast<std::byte*>(tile) + static_cast<std::size_t>(block.out - begin) * size;
    f({out, in, out, block.rows, block.cols, block.cols, loop.row_stride(0), 1,
       loop.col_stride(0)});
  });
}

// Results stay in a tile near the core until every operand has been read, so that the output may
// be the memory of any operand.
template <class T>
Step accumulate(const LowerContext& c, const Rows& f, bool mean) {
  constexpr std::int64_t kTile = 1024;
  std::vector<BroadcastLoop> loops;
  for (int i = 0; i < c.num_inputs(); ++i) loops.push_back(broadcast_loop(c, {i}));
  Step step;
  step.run = [loops = std::move(loops), first_operand = Rows(run_rows<T, T, T, Take<T>>), f,
              mean](const RunContext& run) {
    parallel_for(run.threads, loops[0].elements, kGrain,
                 [&](std::int64_t first, std::int64_t last) {
                   T tile[kTile];
                   for (std::int64_t begin = first; begin < last; begin += kTile) {
                     const std::int64_t end = std::min(begin + kTile, last);
                     for (std::size_t i = 0; i < loops.size(); ++i) {
                       combine_tile(loops[i], i == 0 ? first_operand : f, sizeof(T),
                                    run.in<void>(static_cast<int>(i)), tile, begin, end);
                     }
                     if (mean) {
                       for (std::int64_t i = 0; i < end - begin; ++i)
                         tile[i] /= static_cast<T>(loops.size());
                     }
                     std::copy(tile, tile + (end - begin), run.out<T>(0) + begin);
                   }
                 });
  };
  step.algorithm = "tiles";
  return step;
}

template <class F, kernels::Binary kernel, bool mean = false>
Step lower_variadic(LowerContext& c) {
  if (c.num_inputs() == 2 && !mean) return lower_arithmetic<F, kernel>(c);
  if (c.dtype(0) == DType::kFloat32) {
    const kernels::BinaryRun run = kernels::eltwise_binary(c.isa()).run[static_cast<int>(kernel)];
    const auto rows = [run](const BinaryRows& t) {
      run({static_cast<const float*>(t.a), static_cast<const float*>(t.b), static_cast<float*>(t.y),
           t.rows, t.cols, t.a_row, t.b_row, t.a_col, t.b_col});
    };
    return accumulate<float>(c, rows, mean);
  }
  Step step;
  visit_number(c.dtype(0), [&]<class T>(std::type_identity<T>) {
    step = accumulate<T>(c, arithmetic_rows<F>(c.dtype(0)), mean);
  });
  return step;
}

constexpr OpDef variadic(std::string_view name, std::string_view doc, Step (*lower)(LowerContext&),
                         void (*infer)(InferContext&)) {
  return {.name = name,
          .doc = doc,
          .min_inputs = 1,
          .max_inputs = -1,
          .infer = infer,
          .lower = lower,
          .layout = LayoutRule::kFollow,
          .inplace = 0xffffffffu};
}

constexpr OpDef kOps[] = {
    variadic("Sum", "The sum of all operands.", lower_variadic<AddFunction, kernels::Binary::kAdd>,
             infer_binary<kFloats>),
    variadic("Mean", "The mean of all operands.",
             lower_variadic<AddFunction, kernels::Binary::kAdd, true>, infer_binary<kFloats>),
    variadic("Min", "The least of all operands, NaN if one is.",
             lower_variadic<MinFunction, kernels::Binary::kMin>, infer_binary<kNumbers>),
    variadic("Max", "The greatest of all operands, NaN if one is.",
             lower_variadic<MaxFunction, kernels::Binary::kMax>, infer_binary<kNumbers>),
};

}  // namespace

extern const OpTable variadic_ops;
const OpTable variadic_ops = {kOps};

}  // namespace lanewise
