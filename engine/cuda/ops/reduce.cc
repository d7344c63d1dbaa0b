// Reductions, ArgMax and ArgMin, and pooling of whole channels, which is a reduction.
#include "engine/cuda/kernels/reduce.cuh"

#include <algorithm>
#include <string>
#include <vector>

#include "engine/cuda/eltwise.h"
#include "engine/cuda/epilogue.h"
#include "engine/graph/layout.h"
#include "engine/ops/reduce.h"

namespace lanewise::cuda {
namespace {

constexpr std::int64_t kMostBlocks = 65535;

void append(const CudaLowerContext& c, Dims& dims, int* strides, std::int64_t size,
            std::int64_t stride) {
  const bool merges = dims.rank > 0 && strides[dims.rank - 1] == stride * size;
  if (merges) {
    Divisor& last = dims.size[dims.rank - 1];
    last = divisor_of(last.divisor * static_cast<unsigned>(size));
    strides[dims.rank - 1] = static_cast<int>(stride);
    return;
  }
  if (dims.rank == kMostDims) c.refuse("it has more than 8 dimensions");
  dims.size[dims.rank] = divisor_of(static_cast<unsigned>(size));
  strides[dims.rank++] = static_cast<int>(stride);
}

// Dimensions of input 0 where `gone` is set are reduced. Results are in the output's memory order,
// which is the input's without those.
Step reduction(const CudaLowerContext& c, Reduction kind, const std::vector<bool>& gone) {
  const Shape memory = physical(c.shape(0), c.layout(0));
  const int rank = memory.rank();
  (void)counted(c, c.shape(0).elements());
  std::vector<bool> in_memory(gone.size());
  for (int i = 0; i < rank; ++i) {
    in_memory[static_cast<std::size_t>(physical_axis(i, rank, c.layout(0)))] =
        gone[static_cast<std::size_t>(i)];
  }
  ReduceCall p;
  p.kind = kind;
  p.length = 1;
  const std::vector<std::int64_t> strides = memory.strides();
  bool inner_kept = false;
  for (int d = 0; d < rank; ++d) {
    const auto at = static_cast<std::size_t>(d);
    if (memory[d] == 1) continue;
    inner_kept = !in_memory[at];
    if (in_memory[at]) {
      p.length *= static_cast<unsigned>(memory[d]);
      append(c, p.reduced, p.reduced_stride, memory[d], strides[at]);
    } else {
      append(c, p.kept, p.kept_stride, memory[d], strides[at]);
    }
  }
  p.results = counted(c, c.out_shape(0).elements());
  const std::string suffix = float_suffix(c, c.dtype(0));
  const Kernel kernel =
      c.kernel("reduce", (inner_kept ? "reduce_columns_" : "reduce_rows_") + suffix);
  // A power of two for the tree of sums; no more threads than there is work.
  unsigned threads = 32;
  while (threads < 256 && threads * 4 < p.length) threads *= 2;
  Step step;
  step.algorithm = inner_kept ? "columns" : "rows";
  step.run = [=](const RunContext& run) {
    ReduceCall now = p;
    now.x = run.inputs[0];
    now.y = run.outputs[0];
    if (inner_kept) {
      const Dim3 grid = blocks_for(now.results, kReduceColumns, std::int64_t{1} << 30);
      return kernel.launch(run, grid, {kReduceColumns, kReduceParts}, 0, now);
    }
    const Dim3 grid{static_cast<unsigned>(std::min<std::int64_t>(now.results, kMostBlocks))};
    kernel.launch(run, grid, {threads}, 0, now);
  };
  return step;
}

template <Reduction kind>
Step lower(CudaLowerContext& c) {
  const auto last = [](const ValueInfo& value) {
    return value.layout == Layout::kChannelsLast && value.shape.rank() >= 3;
  };
  if (c.shape(0).rank() != c.out_shape(0).rank() && (last(c.input(0)) || last(c.output(0))))
    c.refuse("the result has fewer dimensions than the input, of which one is channels-last");
  return reduction(c, kind, reduced_dimensions(c));
}

template <Reduction kind>
Step lower_channels(CudaLowerContext& c) {
  std::vector<bool> gone(static_cast<std::size_t>(c.shape(0).rank()), true);
  gone[0] = gone[1] = false;
  return reduction(c, kind, gone);
}

Step lower_arg(CudaLowerContext& c, bool smallest) {
  const Shape& shape = c.shape(0);
  const int axis = c.attr_axis(shape.rank());
  ArgCall p;
  p.length = static_cast<unsigned>(shape[axis]);
  p.inner = divisor_of(counted(c, shape.elements(axis + 1, shape.rank())));
  p.results = counted(c, c.out_shape(0).elements());
  (void)counted(c, shape.elements());
  p.smallest = smallest;
  p.last = c.attr_int("select_last_index") != 0;
  const Kernel kernel = c.kernel("reduce", "arg_" + std::string(float_suffix(c, c.dtype(0))));
  Step step;
  step.algorithm = "scan";
  step.run = [=](const RunContext& run) {
    ArgCall now = p;
    now.x = run.inputs[0];
    now.y = run.out<long long>(0);
    kernel.launch(run, blocks_for(now.results, 256), {256}, 0, now);
  };
  return step;
}

Step lower_arg_max(CudaLowerContext& c) { return lower_arg(c, false); }
Step lower_arg_min(CudaLowerContext& c) { return lower_arg(c, true); }

constexpr CudaOp kOps[] = {{.name = "ReduceSum", .lower = lower<Reduction::kSum>},
                           {.name = "ReduceMean", .lower = lower<Reduction::kMean>},
                           {.name = "ReduceMax", .lower = lower<Reduction::kMax>},
                           {.name = "ReduceMin", .lower = lower<Reduction::kMin>},
                           {.name = "ReduceProd", .lower = lower<Reduction::kProduct>},
                           {.name = "ReduceL1", .lower = lower<Reduction::kL1>},
                           {.name = "ReduceL2", .lower = lower<Reduction::kL2>},
                           {.name = "ReduceLogSum", .lower = lower<Reduction::kLogSum>},
                           {.name = "ReduceLogSumExp", .lower = lower<Reduction::kLogSumExp>},
                           {.name = "ReduceSumSquare", .lower = lower<Reduction::kSquares>},
                           {.name = "GlobalAveragePool", .lower = lower_channels<Reduction::kMean>},
                           {.name = "GlobalMaxPool", .lower = lower_channels<Reduction::kMax>},
                           {.name = "ArgMax", .lower = lower_arg_max},
                           {.name = "ArgMin", .lower = lower_arg_min}};

}  // namespace

extern const CudaOpTable reduce_cuda_ops;
const CudaOpTable reduce_cuda_ops = {kOps};

}  // namespace lanewise::cuda
