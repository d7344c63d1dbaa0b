// Graph rewrites on a graph whose values have their shapes: the part of a model that a plan runs.
// Each pass leaves a valid graph in which nodes stand in an order that can run, and keeps every
// value in Graph::outputs.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine/graph/graph.h"

namespace lanewise {

// Finds or makes a constant derived from `source` (the id of a constant of the model, else
// nothing is shared), for all plans of a model.
using ConstantMaker = std::function<std::shared_ptr<const Tensor>(
    const void* source, const std::string& key, const std::function<Tensor()>& make)>;

// The floats that are computed in float32: float16 and bfloat16.
bool is_narrow(DType dtype);

// Operators that know no 16-bit floats compute in float32: a Cast before and after each; casts that
// meet cancel, so that a chain rounds once.
void widen_floats(Graph& graph, const ConstantMaker& constants);

// Operators between DequantizeLinear and QuantizeLinear become operators on integers.
void fuse_quantised(Graph& graph);

// BatchNormalization after a Conv or ConvTranspose with constant weights becomes part of them.
void fold_batch_norm(Graph& graph, const ConstantMaker& constants);

// Residual additions and activations move into the convolution or GEMM before them.
void fuse_epilogues(Graph& graph);

// Channel shuffles that are spelled as reshapes and a transpose become one operator.
void shuffle_channels(Graph& graph);

// Decides where activations are channels-last, and inserts lanewise:ToLayout where that changes.
void assign_layouts(Graph& graph);

// Lets steps write the inputs of a Concat along the channels where its result has them.
void embed_concats(Graph& graph);

// Drops nodes whose results nobody reads.
void remove_dead(Graph& graph);

// How often each value is read by nodes, plus once for each time it is a graph output.
std::vector<int> count_uses(const Graph& graph);

// The index of the node that makes each value, -1 for inputs and constants.
std::vector<int> producers(const Graph& graph);

// Drops the nodes whose flag is set.
void erase_nodes(Graph& graph, const std::vector<bool>& erased);

}  // namespace lanewise
