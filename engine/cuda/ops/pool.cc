// Pooling under windows, of whole channels, and of regions.
#include "engine/cuda/kernels/pool.cuh"

#include <string>

#include "engine/cuda/eltwise.h"
#include "engine/cuda/epilogue.h"
#include "engine/cuda/kernels/resample.cuh"
#include "engine/ops/window.h"

namespace lanewise::cuda {
namespace {

constexpr unsigned kThreads = 256;

bool channels_last(const CudaLowerContext& c) {
  return c.layout(0) == Layout::kChannelsLast && c.shape(0).rank() >= 3;
}

PoolCall call_of(const CudaLowerContext& c) {
  const Shape &in = c.shape(0), &out = c.out_shape(0);
  if (in.rank() < 2 || in.rank() > 5) c.refuse("pooling over more than 3 axes");
  PoolCall p;
  p.channels_last = channels_last(c);
  p.elements = counted(c, out.elements());
  (void)counted(c, in.elements());
  p.channels = divisor_of(static_cast<unsigned>(in[1]));
  const int first = 5 - in.rank();  // axes that are not there come first, with size 1
  for (int d = 0; d < 3; ++d) p.out[d] = divisor_of(1);
  for (int d = first; d < 3; ++d) {
    p.in[d] = static_cast<int>(in[d - first + 2]);
    p.out[d] = divisor_of(static_cast<unsigned>(out[d - first + 2]));
  }
  return p;
}

Step pool_step(const CudaLowerContext& c, const PoolCall& p, bool places) {
  const Kernel kernel = c.kernel("pool", "pool_" + std::string(float_suffix(c, c.dtype(0))));
  Step step;
  step.algorithm = p.channels_last ? "channels fastest" : "pixels fastest";
  step.run = [=](const RunContext& run) {
    PoolCall now = p;
    now.x = run.inputs[0];
    now.y = run.outputs[0];
    if (places) now.where = run.out<long long>(1);
    kernel.launch(run, blocks_for(now.elements, kThreads), {kThreads}, 0, now);
  };
  return step;
}

Step windows(CudaLowerContext& c, PoolKind kind) {
  PoolCall p = call_of(c);
  const Window window = resolve_window(c, pool_kernel(c), c.attr_int("ceil_mode") != 0);
  for (int i = 0; i < window.rank(); ++i) {
    const auto from = static_cast<std::size_t>(i);
    const int d = 3 - window.rank() + i;
    p.kernel[d] = static_cast<int>(window.kernel[from]);
    p.stride[d] = static_cast<int>(window.stride[from]);
    p.dilation[d] = static_cast<int>(window.dilation[from]);
    p.pad[d] = static_cast<int>(window.pad_begin[from]);
    p.pad_end[d] = static_cast<int>(window.pad_end[from]);
  }
  p.kind = kind;
  if (kind == PoolKind::kMean) p.counts_padding = c.attr_int("count_include_pad") != 0;
  if (kind == PoolKind::kLp) p.p = static_cast<int>(c.attr_int("p"));
  return pool_step(c, p, kind == PoolKind::kMax && c.has_output(1));
}

Step lower_max(CudaLowerContext& c) {
  if (c.has_output(1) && (c.attr_int("storage_order") != 0 || channels_last(c)))
    c.refuse("the device counts positions of maxima in ONNX's order alone");
  return windows(c, PoolKind::kMax);
}

Step lower_average(CudaLowerContext& c) { return windows(c, PoolKind::kMean); }

Step lower_lp(CudaLowerContext& c) { return windows(c, PoolKind::kLp); }

// The largest element under each region: x is divided evenly between the bins.
Step lower_regions(CudaLowerContext& c) {
  const Shape &in = c.shape(0), &out = c.out_shape(0);
  RoiCall p;
  p.elements = counted(c, out.elements());
  (void)counted(c, in.elements());
  p.images = static_cast<int>(in[0]);
  p.height = static_cast<int>(in[2]);
  p.width = static_cast<int>(in[3]);
  p.channels_last = channels_last(c);
  if (p.channels_last != (c.out_layout(0) == Layout::kChannelsLast))
    c.refuse("the layouts of input and output differ");
  p.channels = divisor_of(static_cast<unsigned>(in[1]));
  p.pooled_height = divisor_of(static_cast<unsigned>(out[2]));
  p.pooled_width = divisor_of(static_cast<unsigned>(out[3]));
  p.scale = c.attr_float("spatial_scale");
  const int fault =
      c.fault("'rois' name an image beyond the " + std::to_string(in[0]) + " of the input");
  const Kernel kernel = c.kernel("resample", "roi_max_" + std::string(float_suffix(c, c.dtype(0))));
  Step step;
  step.algorithm = "regions";
  step.run = [=](const RunContext& run) {
    RoiCall now = p;
    now.x = run.inputs[0];
    now.rois = run.inputs[1];
    now.y = run.outputs[0];
    now.check = {fault_of(run), fault};
    kernel.launch(run, blocks_for(now.elements, kThreads), {kThreads}, 0, now);
  };
  return step;
}

constexpr CudaOp kOps[] = {{.name = "MaxPool", .lower = lower_max},
                           {.name = "AveragePool", .lower = lower_average},
                           {.name = "LpPool", .lower = lower_lp},
                           {.name = "MaxRoiPool", .lower = lower_regions}};

}  // namespace

extern const CudaOpTable pool_cuda_ops;
const CudaOpTable pool_cuda_ops = {kOps};

}  // namespace lanewise::cuda
