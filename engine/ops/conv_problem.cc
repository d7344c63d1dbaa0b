// Fills in a ConvProblem.
#include "engine/ops/conv_problem.h"

#include <vector>

namespace lanewise {
namespace {

// Aligns up to three spatial axes at the end.
ConvProblem::Sizes spatial(const std::vector<std::int64_t>& values, std::int64_t fill) {
  ConvProblem::Sizes sizes{fill, fill, fill};
  for (std::size_t i = 0; i < values.size(); ++i) sizes[3 - values.size() + i] = values[i];
  return sizes;
}

}  // namespace

ConvProblem conv_problem(const LowerContext& c, const Window& window) {
  const Shape& x = c.shape(0);
  if (x.rank() > 5) {
    c.unsupported("input 0 has shape " + x.str() + ", expected at most 3 spatial axes");
  }
  ConvProblem p;
  p.batch = x[0];
  p.channels = x[1];
  p.outputs = c.out_shape(0)[1];
  p.group = c.attr_int("group");
  p.in = spatial(std::vector<std::int64_t>(x.begin() + 2, x.end()), 1);
  p.out = spatial(window.out, 1);
  p.kernel = spatial(window.kernel, 1);
  p.stride = spatial(window.stride, 1);
  p.dilation = spatial(window.dilation, 1);
  p.pad = spatial(window.pad_begin, 0);
  p.pad_end = spatial(window.pad_end, 0);
  return p;
}

}  // namespace lanewise
