// Col2Im: columns of sliding blocks summed back into an image of any number of dimensions.
#include <algorithm>
#include <complex>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engine/base/parallel.h"
#include "engine/graph/op.h"

namespace lanewise {
namespace {

// One entry per image dimension. Block l's element k lies at l * stride - pad + k * dilation.
struct Col2ImPlan {
  std::vector<std::int64_t> image, block, count, stride, dilation, pad;
  std::int64_t pixels = 1, taps = 1, blocks = 1;
};

std::vector<std::int64_t> attr_or(const OpContext& c, const char* name, std::size_t count,
                                  std::int64_t fallback) {
  std::vector<std::int64_t> values = c.attr_ints(name);
  if (values.empty()) values.assign(count, fallback);
  for (std::int64_t value : values) {
    if (value < fallback || value > (std::int64_t{1} << 31)) values.clear();
  }
  if (values.size() != count) {
    c.fail("attribute '" + std::string(name) + "' must be " + std::to_string(count) +
           " numbers from " + std::to_string(fallback) + " to 2^31");
  }
  return values;
}

Col2ImPlan plan_col2im(const OpContext& c) {
  Col2ImPlan plan;
  plan.image = c.content(1)->int_values();
  plan.block = c.content(2)->int_values();
  const std::size_t rank = plan.image.size();
  if (rank == 0 || plan.block.size() != rank) {
    c.fail("'image_shape' and 'block_shape' must have as many numbers, found " +
           Shape(plan.image).str() + " and " + Shape(plan.block).str());
  }
  plan.stride = attr_or(c, "strides", rank, 1);
  plan.dilation = attr_or(c, "dilations", rank, 1);
  const std::vector<std::int64_t> pads = attr_or(c, "pads", 2 * rank, 0);
  for (std::size_t i = 0; i < rank; ++i) {
    constexpr std::int64_t kMost = std::int64_t{1} << 31;
    if (plan.image[i] < 0 || plan.block[i] < 1 || plan.image[i] > kMost || plan.block[i] > kMost) {
      c.fail("'image_shape' " + Shape(plan.image).str() + " or 'block_shape' " +
             Shape(plan.block).str() + " is out of range");
    }
    const std::int64_t padded = plan.image[i] + pads[i] + pads[i + rank];
    const std::int64_t room = padded - (plan.block[i] - 1) * plan.dilation[i] - 1;
    plan.count.push_back(room < 0 ? 0 : room / plan.stride[i] + 1);
    plan.pad.push_back(pads[i]);
    plan.pixels = checked_multiply(plan.pixels, plan.image[i]);
    plan.taps = checked_multiply(plan.taps, plan.block[i]);
    plan.blocks = checked_multiply(plan.blocks, plan.count[i]);
  }
  return plan;
}

// Calls f with the type of what can be summed. A sum of bools is their "or".
template <class F>
bool visit_summable(DType dtype, F&& f) {
  switch (dtype) {
    case DType::kBool: f(std::type_identity<bool>{}); return true;
    case DType::kComplex64: f(std::type_identity<std::complex<float>>{}); return true;
    case DType::kComplex128: f(std::type_identity<std::complex<double>>{}); return true;
    default: return visit_number(dtype, static_cast<F&&>(f));
  }
}

void infer_col2im(InferContext& c) {
  c.expect_rank(0, 3, 3);
  c.need(1);
  c.need(2);
  if (!visit_summable(c.dtype(0), [](auto) {})) {
    c.fail("input 0 must be of numbers or bools, found " + std::string(dtype_name(c.dtype(0))));
  }
  const Col2ImPlan plan = plan_col2im(c);
  const Shape& in = c.shape(0);
  if (in[1] % plan.taps != 0 || in[2] != plan.blocks) {
    c.fail("input must have shape [N, C * " + std::to_string(plan.taps) + ", " +
           std::to_string(plan.blocks) + "] for these blocks, found " + in.str());
  }
  Shape out{in[0], in[1] / plan.taps};
  for (std::int64_t size : plan.image) out.push_back(size);
  static_cast<void>(out.elements());
  c.set_output(0, c.dtype(0), out);
}

// The pixel that element `tap` of block `block` lies on, or -1 outside the image.
std::int64_t pixel_of(const Col2ImPlan& plan, std::int64_t tap, std::int64_t block) {
  std::int64_t pixel = 0, scale = 1;
  for (std::size_t i = plan.image.size(); i-- > 0;) {
    const std::int64_t at = block % plan.count[i] * plan.stride[i] - plan.pad[i] +
                            tap % plan.block[i] * plan.dilation[i];
    if (at < 0 || at >= plan.image[i]) return -1;
    pixel += at * scale;
    scale *= plan.image[i];
    tap /= plan.block[i];
    block /= plan.count[i];
  }
  return pixel;
}

template <class T>
void sum_blocks(const Col2ImPlan& plan, const T* columns, T* image) {
  std::fill_n(image, plan.pixels, T{});
  for (std::int64_t tap = 0; tap < plan.taps; ++tap) {
    for (std::int64_t block = 0; block < plan.blocks; ++block) {
      const std::int64_t pixel = pixel_of(plan, tap, block);
      if (pixel >= 0) {
        image[pixel] = static_cast<T>(image[pixel] + columns[tap * plan.blocks + block]);
      }
    }
  }
}

Step lower_col2im(LowerContext& c) {
  Step step;
  step.algorithm = "scatter";
  step.run = [plan = plan_col2im(c), images = c.out_shape(0)[0] * c.out_shape(0)[1],
              dtype = c.dtype(0)](const RunContext& run) {
    visit_summable(dtype, [&](auto type) {
      using T = typename decltype(type)::type;
      parallel_for(run.threads, images, 4096 / (plan.taps * plan.blocks + 1) + 1,
                   [&](std::int64_t begin, std::int64_t end) {
                     for (std::int64_t i = begin; i < end; ++i) {
                       sum_blocks(plan, run.in<T>(0) + i * plan.taps * plan.blocks,
                                  run.out<T>(0) + i * plan.pixels);
                     }
                   });
    });
  };
  return step;
}

constexpr AttrDef kAttrs[] = {
    {.name = "dilations",
     .type = AttrType::kInts,
     .doc = "distance of a block's elements; 1 when absent"},
    {.name = "pads",
     .type = AttrType::kInts,
     .doc = "pixels around the image, begins then ends; 0 when absent"},
    {.name = "strides", .type = AttrType::kInts, .doc = "distance of the blocks; 1 when absent"}};

constexpr OpDef kOps[] = {
    {.name = "Col2Im",
     .doc = "Sliding blocks, one per column, summed into an image.",
     .min_inputs = 3,
     .max_inputs = 3,
     .attributes = kAttrs,
     .infer = infer_col2im,
     .lower = lower_col2im},
};

}  // namespace

extern const OpTable col2im_ops;
const OpTable col2im_ops = {kOps};

}  // namespace lanewise
