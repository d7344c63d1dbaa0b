// Resize: a copy by tables of indices, or weighted sums along one axis after the other.
#include "engine/ops/resize.h"

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engine/cuda/copy.h"
#include "engine/cuda/device.h"
#include "engine/cuda/eltwise.h"
#include "engine/cuda/epilogue.h"
#include "engine/cuda/kernels/resample.cuh"
#include "engine/graph/layout.h"

namespace lanewise::cuda {
namespace {

constexpr unsigned kThreads = 256;

Step lower_nearest(const CudaLowerContext& c, const std::vector<ResampleAxis>& axes,
                   const ResampleOptions& options) {
  if (options.coordinates == Coordinates::kCropAndResize)
    c.refuse("the device has no tf_crop_and_resize");
  std::vector<std::vector<std::int64_t>> tables;
  for (const ResampleAxis& axis : axes) {
    ResampleOptions own = options;
    if (!is_resized(axis)) own.coordinates = Coordinates::kAsymmetric;
    tables.push_back(nearest_sources(axis, own));
  }
  return table_copy(c, tables, -1, "nearest");
}

// One axis, with its tables on the device.
struct Pass {
  ResampleCall call;
  std::shared_ptr<const std::byte> index, weight;
};

std::vector<Pass> passes_of(const CudaLowerContext& c, const std::vector<ResampleAxis>& axes,
                            const ResampleOptions& options) {
  const int rank = c.shape(0).rank();
  Shape memory = physical(c.shape(0), c.layout(0));
  std::vector<Pass> passes;
  for (int i = 0; i < rank; ++i) {
    const ResampleAxis& axis = axes[static_cast<std::size_t>(i)];
    if (!is_resized(axis)) continue;
    const Taps taps = resample_taps(axis, options);
    const std::vector<int> index(taps.indices.begin(), taps.indices.end());
    const std::vector<float> weight(taps.weights.begin(), taps.weights.end());
    const int place = physical_axis(i, rank, c.layout(0));
    memory[place] = axis.out;
    Pass pass;
    pass.index = c.device()->upload(index.data(), index.size() * sizeof(int));
    pass.weight = c.device()->upload(weight.data(), weight.size() * sizeof(float));
    pass.call.index = reinterpret_cast<const int*>(pass.index.get());
    pass.call.weight = reinterpret_cast<const float*>(pass.weight.get());
    pass.call.elements = counted(c, memory.elements());
    pass.call.in = static_cast<int>(axis.in);
    pass.call.taps = static_cast<int>(taps.taps);
    pass.call.inner = divisor_of(static_cast<unsigned>(memory.elements(place + 1, rank)));
    pass.call.out = divisor_of(static_cast<unsigned>(axis.out));
    passes.push_back(std::move(pass));
  }
  return passes;
}

// Results between passes lie in scratch memory, by turns in its two halves.
Step lower_weighted(const CudaLowerContext& c, const std::vector<ResampleAxis>& axes,
                    const ResampleOptions& options) {
  if (options.coordinates == Coordinates::kCropAndResize)
    c.refuse("the device has no tf_crop_and_resize");
  (void)counted(c, c.shape(0).elements());
  std::vector<Pass> passes = passes_of(c, axes, options);
  std::size_t half = 0;
  for (std::size_t i = 0; i + 1 < passes.size(); ++i)
    half = std::max(half, std::size_t{passes[i].call.elements} * dtype_size(c.dtype(0)));
  half = (half + 255) / 256 * 256;
  const Kernel kernel =
      c.kernel("resample", "resample_" + std::string(float_suffix(c, c.dtype(0))));
  Step step;
  step.algorithm = "axis by axis";
  step.scratch_bytes = passes.size() > 2 ? 2 * half : half;
  step.run = [=, passes = std::move(passes)](const RunContext& run) {
    const void* x = run.inputs[0];
    for (std::size_t i = 0; i < passes.size(); ++i) {
      ResampleCall now = passes[i].call;
      now.x = x;
      now.y = i + 1 == passes.size() ? run.outputs[0] : run.scratch + i % 2 * half;
      kernel.launch(run, blocks_for(now.elements, kThreads), {kThreads}, 0, now);
      x = now.y;
    }
  };
  return step;
}

Step lower(CudaLowerContext& c) {
  const ResampleOptions options = resample_options(c);
  const std::vector<ResampleAxis> axes = resampled_axes(c);
  const bool same = std::none_of(axes.begin(), axes.end(), is_resized);
  const bool nearest = same || options.interpolation == Interpolation::kNearest;
  return nearest ? lower_nearest(c, axes, options) : lower_weighted(c, axes, options);
}

constexpr CudaOp kOps[] = {{.name = "Resize", .lower = lower}};

}  // namespace

extern const CudaOpTable resize_cuda_ops;
const CudaOpTable resize_cuda_ops = {kOps};

}  // namespace lanewise::cuda
