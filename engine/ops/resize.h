// What a Resize node does along each axis, resolved from its attributes and inputs.
#pragma once

#include <vector>

#include "engine/cpu/resample_axis.h"
#include "engine/graph/context.h"

namespace lanewise {

ResampleOptions resample_options(const OpContext& c);
// Every axis of input 0. Needs the contents of inputs 1 (for tf_crop_and_resize), 2 and 3.
std::vector<ResampleAxis> resampled_axes(const OpContext& c);
bool is_resized(const ResampleAxis& axis);

}  // namespace lanewise
