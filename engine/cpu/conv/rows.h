// Where the windows of output pixels lie in a channels-last image, as the pointers that register
// tiles read (kernels::GemmTile).
#pragma once

#include <cstdint>

#include "engine/cpu/conv/conv.h"

namespace lanewise {

// Multiply-add rows (of one vector each) that a tap costs beyond its channels: pointers are loaded
// and a loop is started.
inline constexpr double kTapOverhead = 1.5;

// For output pixels [first, first + count) of the batch, in memory order: table[tap * step + i] is
// the input pixel under tap `tap` of pixel first + i, or `zeros`, a pixel of padding, outside the
// image. T is float or a byte.
template <class T>
void point_to_taps(const ConvProblem& p, const T* x, const T* zeros, std::int64_t first,
                   std::int64_t count, const T** table, std::int64_t step);

// The same with one pointer per row of taps, to kernel[2] * channels elements in sequence; `slack`
// elements after them may be read. Rows that cross the image's edge, or reach the end of x, are
// written out, with padding of zeros[0], to `edges`, which has room for count * kernel[0] *
// kernel[1] of them with their slack; `zeros` is as long as one. Needs group 1, dilation 1 along
// the width and dense pixels.
template <class T>
void point_to_tap_rows(const ConvProblem& p, const T* x, const T* zeros, std::int64_t first,
                       std::int64_t count, const T** table, std::int64_t step, T* edges,
                       std::int64_t slack = 0);

}  // namespace lanewise
