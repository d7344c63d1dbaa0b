// Gathering and scattering by indices that are data.
#include "engine/cuda/kernels/gather.cuh"

#include <string>
#include <utility>

#include "engine/cuda/copy.h"
#include "engine/cuda/eltwise.h"

namespace lanewise::cuda {
namespace {

constexpr unsigned kThreads = 256;

bool wide_indices(const CudaLowerContext& c) {
  if (c.dtype(1) != DType::kInt64 && c.dtype(1) != DType::kInt32)
    c.refuse("the indices are neither int32 nor int64");
  return c.dtype(1) == DType::kInt64;
}

Kernel kernel_of(const CudaLowerContext& c, const char* name) {
  return c.kernel("gather", name + bytes_suffix(c, c.dtype(0)));
}

int fault_of_index(const CudaLowerContext& c) {
  return c.fault("'indices' has an index outside the input of shape " + c.shape(0).str());
}

template <class Call>
Step gather_step(const CudaLowerContext& c, const Call& p, const char* name) {
  const Kernel kernel = kernel_of(c, name);
  const int fault = fault_of_index(c);
  Step step;
  step.algorithm = "gather";
  step.run = [=](const RunContext& run) {
    Call now = p;
    now.x = run.inputs[0];
    now.indices = run.inputs[1];
    now.y = run.outputs[0];
    now.check = {fault_of(run), fault};
    kernel.launch(run, blocks_for(now.elements, kThreads), {kThreads}, 0, now);
  };
  return step;
}

Step lower_gather(CudaLowerContext& c) {
  const Shape& x = c.shape(0);
  const int axis = c.attr_axis(x.rank());
  GatherCall p;
  p.wide = wide_indices(c);
  p.elements = counted(c, c.out_shape(0).elements());
  (void)counted(c, x.elements());
  p.axis = static_cast<int>(x[axis]);
  p.inner = divisor_of(counted(c, x.elements(axis + 1, x.rank())));
  p.count = divisor_of(counted(c, c.shape(1).elements()));
  return gather_step(c, p, "gather_");
}

ElementsCall elements_call(const CudaLowerContext& c) {
  const Shape &x = c.shape(0), &indices = c.shape(1);
  if (x.rank() > kMostDims) c.refuse("it has more than 8 dimensions");
  ElementsCall p;
  p.wide = wide_indices(c);
  p.elements = counted(c, indices.elements());
  (void)counted(c, x.elements());
  p.axis = c.attr_axis(x.rank());
  p.size = static_cast<int>(x[p.axis]);
  p.dims.rank = x.rank();
  const std::vector<std::int64_t> strides = x.strides();
  for (int d = 0; d < x.rank(); ++d) {
    p.dims.size[d] = divisor_of(static_cast<unsigned>(indices[d]));
    p.strides[d] = static_cast<int>(strides[static_cast<std::size_t>(d)]);
  }
  return p;
}

Step lower_gather_elements(CudaLowerContext& c) {
  const ElementsCall p = elements_call(c);
  return gather_step(c, p, "gather_elements_");
}

// Copies input 0 to the result, unless they share memory, and lets `scatter` write into it.
template <class Call>
Step scatter_step(const CudaLowerContext& c, const Call& p, const char* name) {
  if (c.attr_string("reduction") != "none")
    c.refuse("the device scatters without a reduction alone: sums would depend on their order");
  const DeviceCopy copy(c, {{c.shape(0).elements(), 1, 1}}, c.dtype(0));
  const Kernel kernel = kernel_of(c, name);
  const int fault = fault_of_index(c);
  Step step;
  step.algorithm = "copy, scatter";
  step.run = [=](const RunContext& run) {
    if (run.inputs[0] != run.outputs[0]) copy.enqueue(run, run.inputs[0], 0, run.outputs[0], 0);
    Call now = p;
    now.indices = run.inputs[1];
    now.x = run.inputs[2];
    now.y = run.outputs[0];
    now.check = {fault_of(run), fault};
    kernel.launch(run, blocks_for(now.elements, kThreads), {kThreads}, 0, now);
  };
  return step;
}

Step lower_scatter_elements(CudaLowerContext& c) {
  return scatter_step(c, elements_call(c), "scatter_elements_");
}

TuplesCall tuples_call(const CudaLowerContext& c, int batch) {
  const Shape &x = c.shape(0), &indices = c.shape(1);
  TuplesCall p;
  p.wide = wide_indices(c);
  const std::int64_t depth = indices[indices.rank() - 1];
  if (depth > kMostDims) c.refuse("there are more than 8 indices in a tuple");
  p.depth = static_cast<int>(depth);
  (void)counted(c, x.elements());
  const std::int64_t tuples = indices.elements(0, indices.rank() - 1);
  const std::int64_t slice = x.elements(batch + p.depth, x.rank());
  p.elements = counted(c, checked_multiply(tuples, slice));
  p.slice = divisor_of(static_cast<unsigned>(slice));
  p.tuples = divisor_of(static_cast<unsigned>(indices.elements(batch, indices.rank() - 1)));
  p.batch_stride = static_cast<int>(x.elements(batch, x.rank()));
  const std::vector<std::int64_t> strides = x.strides();
  for (int d = 0; d < p.depth; ++d) {
    p.size[d] = static_cast<int>(x[batch + d]);
    p.stride[d] = static_cast<int>(strides[static_cast<std::size_t>(batch + d)]);
  }
  return p;
}

Step lower_gather_nd(CudaLowerContext& c) {
  const TuplesCall p = tuples_call(c, static_cast<int>(c.attr_int("batch_dims")));
  return gather_step(c, p, "gather_tuples_");
}

// Without a batch: tuples address the whole of the input.
Step lower_scatter_nd(CudaLowerContext& c) {
  return scatter_step(c, tuples_call(c, 0), "scatter_tuples_");
}

constexpr CudaOp kOps[] = {{.name = "Gather", .lower = lower_gather},
                           {.name = "GatherElements", .lower = lower_gather_elements},
                           {.name = "ScatterElements", .lower = lower_scatter_elements},
                           {.name = "GatherND", .lower = lower_gather_nd},
                           {.name = "ScatterND", .lower = lower_scatter_nd}};

}  // namespace

extern const CudaOpTable gather_cuda_ops;
const CudaOpTable gather_cuda_ops = {kOps};

}  // namespace lanewise::cuda
