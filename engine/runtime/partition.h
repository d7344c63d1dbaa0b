// Which nodes of a plan a device runs, and the copies where values cross. How nodes become steps of
// a segment is in compile.cc.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "engine/graph/backend.h"
#include "engine/runtime/options.h"
#include "engine/runtime/weights.h"

namespace lanewise {

struct PlacedNode {
  bool on_device = false;    // copies are: they belong to the device's stretch of steps
  std::optional<Step> step;  // of a node that the device runs
  std::string reason;        // why it runs on the host
};

// All of `nodes` are parallel to Graph::nodes, `values` to Graph::values.
struct Partition {
  std::vector<PlacedNode> nodes;
  std::vector<bool> values;  // on the device
};

// Divides a graph with shapes and layouts between the host and options.backend. Copy nodes are
// added, values get the device's float type, and constants that device nodes read become values of
// their own there. Nodes are reordered so that each side runs long stretches.
Partition divide(Graph& graph, const Options& options, SharedWeights& weights,
                 const std::set<const void*>& lasting,
                 const LowerContext::SubgraphCompiler& compile);

}  // namespace lanewise
