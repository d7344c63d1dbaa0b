// From names to values: builds the Graph, checks every node against its operator's schema, and
// gathers everything that is wrong instead of stopping at the first fault.
#pragma once

#include <memory>

#include "engine/graph/graph.h"
#include "engine/onnx/draft.h"

namespace lanewise::onnx {

struct ResolveOptions {
  // Initialisers that are also inputs may be replaced by the caller (IR version 4 and later).
  bool overridable = true;
};

// Null when problems were found.
std::shared_ptr<Graph> resolve(DraftGraph draft, const ResolveOptions& options, Problems& problems);

// Sorts nodes so that each value is made before it is read, keeping the file's order where it
// already fits. Values of outer graphs need no maker here. Reports two makers of one name and
// cycles; false when there are any.
bool sort_nodes(DraftGraph& graph, Problems& problems);

// Checks counts of inputs and outputs, and the attributes' names and types, against the schema.
void check_node(const DraftNode& node, const OpDef& op, Problems& problems);

}  // namespace lanewise::onnx
