// The limits of this machine, measured: what reports compare a model's speed with.
#pragma once

#include "engine/base/cpu.h"

namespace lanewise {

struct MachinePeak {
  double flops = 0;  // float32 operations per second, a multiply-add counted as two
  double bytes = 0;  // bytes per second read from memory
};

// Runs multiply-adds and reads on `threads` threads for about 50 ms each; the best of many short
// turns, so that a neighbour's bursts do not lower it. Throws ResourceError when the 128 MiB that
// are read cannot be had.
MachinePeak measure_peak(Isa isa, int threads);

}  // namespace lanewise
