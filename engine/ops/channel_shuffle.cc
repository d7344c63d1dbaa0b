// lanewise:ChannelShuffle: channels of several groups in turn, with the join before and the split
// after it. Made by the pass of that name.
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "engine/base/parallel.h"
#include "engine/cpu/elements.h"
#include "engine/cpu/strided_copy.h"
#include "engine/graph/layout.h"
#include "engine/graph/op.h"
#include "engine/kernels/layout/layout.h"

namespace lanewise {
namespace {

constexpr std::int64_t kTaskElements = 1 << 14;

void infer(InferContext& c) {
  c.expect_rank(0, 2, 15);
  const std::int64_t groups = c.attr_int("groups"), inputs = c.num_inputs();
  for (int i = 1; i < c.num_inputs(); ++i) {
    c.expect_same_dtype(0, i);
    if (c.shape(i) != c.shape(0)) {
      c.fail("input " + std::to_string(i) + " has shape " + c.shape(i).str() +
             ", expected that of input 0, " + c.shape(0).str());
    }
  }
  if (inputs != 1 && inputs != groups) {
    c.fail("there are " + std::to_string(inputs) + " inputs, expected one or one for each of the " +
           std::to_string(groups) + " groups");
  }
  Shape out = c.shape(0);
  const std::int64_t channels = checked_multiply(out[1], inputs), outputs = c.num_outputs();
  if (groups < 1 || channels % groups != 0 || channels / groups % outputs != 0) {
    c.fail("attribute 'groups' is " + std::to_string(groups) + ", which does not divide the " +
           std::to_string(channels) + " channels into " + std::to_string(outputs) +
           " outputs alike");
  }
  out[1] = channels / outputs;
  for (int i = 0; i < c.num_outputs(); ++i) c.set_output(i, c.dtype(0), out);
}

// The sizes of a shuffle: `count` channels of each of `groups` groups reach each output.
struct Shuffle {
  std::int64_t images = 0, pixels = 0, groups = 0, count = 0;
  std::int64_t in_channels = 0;  // of each input
  int inputs = 1, outputs = 1;

  // Where channel 0 of group g for output o lies: an input and a channel of it.
  std::pair<int, std::int64_t> source(std::int64_t g, int o) const {
    if (inputs > 1) return {static_cast<int>(g), o * count};
    return {0, g * count * outputs + o * count};
  }
};

Shuffle shuffle_of(const LowerContext& c) {
  const Shape& x = c.shape(0);
  Shuffle s;
  s.images = x[0];
  s.pixels = x.elements(2, x.rank());
  s.groups = c.attr_int("groups");
  s.inputs = c.num_inputs();
  s.outputs = c.num_outputs();
  s.in_channels = x[1];
  s.count = x[1] * s.inputs / s.groups / s.outputs;
  return s;
}

Step interleave_step(const LowerContext& c, const Shuffle& s) {
  Step step;
  step.algorithm = "interleave";
  step.run = [s, kernel = &kernels::interleave(c.isa())](const RunContext& run) {
    const std::int64_t width = s.groups * s.count;
    const std::int64_t grain = kTaskElements / std::max<std::int64_t>(width, 1) + 1;
    parallel_for(run.threads, s.images * s.pixels, grain,
                 [&](std::int64_t begin, std::int64_t end) {
                   for (int o = 0; o < s.outputs; ++o) {
                     if (!run.has_out(o)) continue;
                     const void* from[kernels::Interleave::kMostGroups];
                     for (std::int64_t g = 0; g < s.groups; ++g) {
                       const auto [input, channel] = s.source(g, o);
                       from[g] = run.in<float>(input) + begin * s.in_channels + channel;
                     }
                     kernel->b4(from, s.in_channels, s.groups, s.count, end - begin,
                                run.out<float>(o) + begin * width);
                   }
                 });
  };
  return step;
}

// A copy per group and output, for every type and layout.
Step copy_step(const LowerContext& c, const Shuffle& s, bool last) {
  const std::int64_t width = s.groups * s.count;
  const std::int64_t in_channel = last ? 1 : s.pixels, out_channel = in_channel;
  const std::int64_t in_pixel = last ? s.in_channels : 1, out_pixel = last ? width : 1;
  const StridedCopy copy({{s.images, s.in_channels * s.pixels, width * s.pixels},
                          {s.count, in_channel, s.groups * out_channel},
                          {s.pixels, in_pixel, out_pixel}},
                         c.dtype(0), c.isa());
  Step step;
  step.algorithm = copy.algorithm();
  step.run = [=](const RunContext& run) {
    for (int o = 0; o < s.outputs; ++o) {
      if (!run.has_out(o)) continue;
      for (std::int64_t g = 0; g < s.groups; ++g) {
        const auto [input, channel] = s.source(g, o);
        copy.run(run.in<void>(input), channel * in_channel, run.out<void>(o), g * out_channel,
                 run.threads);
      }
    }
  };
  return step;
}

Step lower(LowerContext& c) {
  const Shuffle s = shuffle_of(c);
  const bool last = same_bytes(c.shape(0), c.layout(0), Layout::kChannelsLast);
  const bool vectors = last && dtype_size(c.dtype(0)) == 4 && c.dtype(0) != DType::kString &&
                       s.groups <= kernels::Interleave::kMostGroups;
  return vectors ? interleave_step(c, s) : copy_step(c, s, last);
}

constexpr AttrDef kAttrs[] = {{.name = "groups",
                               .type = AttrType::kInt,
                               .doc = "groups of neighbouring channels of the inputs together",
                               .required = true}};

constexpr OpDef kOps[] = {{.domain = "lanewise",
                           .name = "ChannelShuffle",
                           .doc = "The first channel of every group, then the second ones, and so "
                                  "on (Zhang et al. 2018); outputs share them alike.",
                           .min_inputs = 1,
                           .max_inputs = -1,
                           .min_outputs = 1,
                           .max_outputs = -1,
                           .attributes = kAttrs,
                           .infer = infer,
                           .lower = lower,
                           .layout = LayoutRule::kFollow,
                           .any_float = true,
                           .flops = no_flops}};

}  // namespace

extern const OpTable channel_shuffle_ops;
const OpTable channel_shuffle_ops = {kOps};

}  // namespace lanewise
