// From a portable graph to one with concrete shapes: walks the nodes from a given one, infers
// shapes, folds what is constant, and stops where a shape depends on data that is not there yet.
#pragma once

#include <map>
#include <memory>
#include <span>
#include <vector>

#include "engine/graph/op.h"
#include "engine/runtime/options.h"
#include "engine/runtime/weights.h"

namespace lanewise {

// What is known of every value at some point of the graph; indexed by ValueId.
struct Facts {
  std::vector<ValueInfo> values;
  std::vector<bool> fixed;  // content that does not depend on the inputs' shapes or data
};

// The result of walking nodes [first, end).
struct Walk {
  int end = 0;                // the next node to plan; nodes.size() when all are planned
  ValueId wanted = kNoValue;  // content that node `end` needs before it can be planned, if any
  std::vector<int> nodes;     // those in [first, end) that must run (the others are folded)
  bool emits = false;         // the last of `nodes` makes outputs whose shapes only it knows
};

// What the walk shares across plans: contents folded from the model's own constants.
struct Folded {
  std::map<int, std::vector<std::shared_ptr<const Tensor>>> by_node;
};

// `facts` is updated with what the walk learns.
Walk walk_graph(const Graph& graph, int first, Facts& facts, Folded& folded, const Options& options,
                const LowerContext::SubgraphCompiler& compile);

}  // namespace lanewise
