// Operators that move elements from place to place: transposes, slices, joins, repeats, pads.
#include "engine/graph/layout.h"

#include <memory>
#include <utility>

#include "engine/cuda/copy.h"
#include "engine/ops/depth_to_space.h"
#include "engine/ops/pad.h"
#include "engine/ops/slice.h"

namespace lanewise::cuda {
namespace {

using Strides = std::vector<std::int64_t>;

// One box out of an input into an output, at these offsets.
struct Move {
  int input = 0, output = 0;
  std::int64_t from = 0, to = 0;
  DeviceCopy copy;
};

Step step_of_moves(std::vector<Move> moves) {
  Step step;
  step.algorithm = moves.empty() ? "nothing" : moves[0].copy.algorithm();
  step.run = [moves = std::move(moves)](const RunContext& run) {
    for (const Move& m : moves) {
      m.copy.enqueue(run, run.inputs[static_cast<std::size_t>(m.input)], m.from,
                     run.outputs[static_cast<std::size_t>(m.output)], m.to);
    }
  };
  return step;
}

Step one_move(const CudaLowerContext& c, std::vector<CopyDim> dims, std::int64_t from = 0) {
  std::vector<Move> moves;
  moves.push_back({0, 0, from, 0, DeviceCopy(c, std::move(dims), c.output(0).dtype)});
  return step_of_moves(std::move(moves));
}

Strides in_strides(const LowerContext& c, int i = 0) {
  return layout_strides(c.shape(i), c.layout(i));
}
Strides out_strides(const LowerContext& c, int i = 0) {
  return layout_strides(c.out_shape(i), c.out_layout(i));
}

Step lower_transpose(CudaLowerContext& c) {
  const int rank = c.shape(0).rank();
  std::vector<std::int64_t> perm = c.attr_ints("perm");
  if (perm.empty()) {
    for (int i = 0; i < rank; ++i) perm.push_back(rank - 1 - i);
  }
  const Strides in = in_strides(c), out = out_strides(c);
  std::vector<CopyDim> dims;
  for (int i = 0; i < rank; ++i) {
    const auto at = static_cast<std::size_t>(i);
    const auto from = static_cast<std::size_t>(*normalize_axis(perm[at], rank));
    dims.push_back({c.out_shape(0)[i], in[from], out[at]});
  }
  return one_move(c, std::move(dims));
}

// The layouts of input and output may differ.
Step lower_copy(CudaLowerContext& c) {
  return one_move(c, box(c.out_shape(0), in_strides(c), out_strides(c)));
}

Step lower_slice(CudaLowerContext& c) {
  const Slices slices = resolve_slices(c);
  Strides in = in_strides(c);
  std::int64_t offset = 0;
  for (std::size_t i = 0; i < in.size(); ++i) {
    offset += slices.start[i] * in[i];
    in[i] *= slices.step[i];
  }
  return one_move(c, box(slices.out, in, out_strides(c)), offset);
}

Step lower_crop(CudaLowerContext& c) {
  const Strides in = in_strides(c);
  const std::vector<std::int64_t> border = c.attr_ints("border");
  return one_move(c, box(c.out_shape(0), in, out_strides(c)),
                  border[1] * in[2] + border[0] * in[3]);
}

Step lower_concat(CudaLowerContext& c) {
  const Strides out = out_strides(c);
  const auto axis = static_cast<std::size_t>(c.attr_axis(c.out_shape(0).rank()));
  std::vector<Move> moves;
  std::int64_t position = 0;
  for (int i = 0; i < c.num_inputs(); ++i) {
    moves.push_back({i, 0, 0, position * out[axis],
                     DeviceCopy(c, box(c.shape(i), in_strides(c, i), out), c.output(0).dtype)});
    position += c.shape(i)[static_cast<int>(axis)];
  }
  return step_of_moves(std::move(moves));
}

Step lower_split(CudaLowerContext& c) {
  const Strides in = in_strides(c);
  const int axis = c.attr_axis(c.shape(0).rank());
  const std::int64_t whole = c.shape(0)[axis], count = c.num_outputs();
  std::vector<std::int64_t> sizes(static_cast<std::size_t>(count), (whole + count - 1) / count);
  if (c.has_input(1)) sizes = c.content(1)->int_values();
  std::vector<Move> moves;
  std::int64_t position = 0;
  for (int i = 0; i < c.num_outputs(); ++i) {
    if (c.has_output(i)) {
      moves.push_back({0, i, position * in[static_cast<std::size_t>(axis)], 0,
                       DeviceCopy(c, box(c.out_shape(i), in, out_strides(c, i)), c.dtype(0))});
    }
    position += sizes[static_cast<std::size_t>(i)];
  }
  return step_of_moves(std::move(moves));
}

Step lower_expand(CudaLowerContext& c) {
  const int missing = c.out_shape(0).rank() - c.shape(0).rank();
  const Strides dense = in_strides(c);
  Strides in(static_cast<std::size_t>(c.out_shape(0).rank()), 0);
  for (int i = 0; i < c.shape(0).rank(); ++i) {
    if (c.shape(0)[i] != 1)
      in[static_cast<std::size_t>(missing + i)] = dense[static_cast<std::size_t>(i)];
  }
  return one_move(c, box(c.out_shape(0), in, out_strides(c)));
}

Step lower_tile(CudaLowerContext& c) {
  const Shape& shape = c.shape(0);
  const Strides in = in_strides(c), out = out_strides(c);
  std::vector<CopyDim> dims;
  for (int i = 0; i < shape.rank(); ++i) {
    const auto at = static_cast<std::size_t>(i);
    dims.push_back({c.out_shape(0)[i] / shape[i], 0, shape[i] * out[at]});
    dims.push_back({shape[i], in[at], out[at]});
  }
  return one_move(c, std::move(dims));
}

Step lower_depth_to_space(CudaLowerContext& c) {
  const BlockStrides s = block_strides(c.shape(0), c.layout(0), c.out_shape(0), c.out_layout(0),
                                       c.attr_int("blocksize"), columns_first(c));
  return one_move(c, box(s.shape, s.deep, s.wide));
}

Step lower_space_to_depth(CudaLowerContext& c) {
  const BlockStrides s = block_strides(c.out_shape(0), c.out_layout(0), c.shape(0), c.layout(0),
                                       c.attr_int("blocksize"), columns_first(c));
  return one_move(c, box(s.shape, s.wide, s.deep));
}

// Channel 0 of every group, then channel 1, and so on; inputs are groups, outputs share the result.
Step lower_shuffle(CudaLowerContext& c) {
  const Shape& x = c.shape(0);
  const std::int64_t groups = c.attr_int("groups"), outputs = c.num_outputs();
  const std::int64_t count = x[1] * c.num_inputs() / groups / outputs;
  const std::int64_t pixels = x.elements(2, x.rank());
  const auto strides = [&](const Shape& shape, Layout layout) {
    const bool last = layout == Layout::kChannelsLast && shape.rank() >= 3;
    return Strides{shape[1] * pixels, last ? 1 : pixels, last ? shape[1] : 1};
  };
  const Strides in = strides(x, c.layout(0));
  std::vector<Move> moves;
  for (int o = 0; o < outputs; ++o) {
    if (!c.has_output(o)) continue;
    const Strides out = strides(c.out_shape(o), c.out_layout(o));
    for (std::int64_t g = 0; g < groups; ++g) {
      const bool joined = c.num_inputs() > 1;
      const std::int64_t channel = (joined ? 0 : g * count * outputs) + o * count;
      std::vector<CopyDim> dims{
          {x[0], in[0], out[0]}, {count, in[1], groups * out[1]}, {pixels, in[2], out[2]}};
      moves.push_back({joined ? static_cast<int>(g) : 0, o, channel * in[1], g * out[1],
                       DeviceCopy(c, std::move(dims), c.dtype(0))});
    }
  }
  return step_of_moves(std::move(moves));
}

Step lower_pad(CudaLowerContext& c) { return table_copy(c, pad_sources(c), 2, "pad"); }

constexpr CudaOp kOps[] = {{.name = "Transpose", .lower = lower_transpose},
                           {.domain = "lanewise", .name = "ToLayout", .lower = lower_copy},
                           {.name = "Slice", .lower = lower_slice},
                           {.name = "Crop", .lower = lower_crop},
                           {.name = "Concat", .lower = lower_concat},
                           {.name = "Split", .lower = lower_split},
                           {.name = "Expand", .lower = lower_expand},
                           {.name = "Tile", .lower = lower_tile},
                           {.name = "DepthToSpace", .lower = lower_depth_to_space},
                           {.name = "SpaceToDepth", .lower = lower_space_to_depth},
                           {.domain = "lanewise", .name = "ChannelShuffle", .lower = lower_shuffle},
                           {.name = "Pad", .lower = lower_pad}};

}  // namespace

extern const CudaOpTable layout_cuda_ops;
const CudaOpTable layout_cuda_ops = {kOps};

}  // namespace lanewise::cuda
