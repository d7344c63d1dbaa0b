// A graph ready to run: plans made on demand, one tree per set of input shapes, cached.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "engine/runtime/segment.h"

namespace lanewise {

// One planned segment and the plans that follow it, by the shapes or contents it leads to.
struct PlanNode {
  std::unique_ptr<Segment> segment;
  Facts facts;        // after the segment
  int next_node = 0;  // first node that is not planned yet
  ValueId wanted = kNoValue;
  std::vector<ValueId> emitted;  // values whose shapes the segment's run tells
  bool complete = false;
  std::map<std::string, std::shared_ptr<PlanNode>> next;
};

class Program final : public Callable {
 public:
  Program(std::shared_ptr<const Graph> graph, const Options& options);

  const Graph& graph() const { return *graph_; }
  const Options& options() const { return options_; }

  // `inputs` parallel to graph().inputs; `overrides` replace initialisers. Returns the values of
  // `outputs` in order. Safe from several threads.
  std::vector<Tensor> run(std::span<const Tensor> inputs,
                          const std::map<ValueId, Tensor>& overrides,
                          const std::vector<ValueId>& outputs, Trace* trace = nullptr);

  // Callable: the graph's own outputs.
  std::vector<Tensor> call(std::span<const Tensor> inputs, int threads) override;

  // The plan of the first segment for inputs of these types and shapes, without running it.
  std::shared_ptr<const PlanNode> plan(const std::map<ValueId, ValueInfo>& inputs);

  // Bytes of transformed weights that the plans share.
  std::size_t weight_bytes() const { return weights_.bytes(); }

 private:
  using Live = std::map<ValueId, Tensor>;
  std::shared_ptr<PlanNode> root_for(const std::map<ValueId, ValueInfo>& inputs,
                                     const std::vector<ValueId>& outputs);
  std::shared_ptr<PlanNode> next_of(PlanNode& node, const Live& live,
                                    const std::vector<ValueId>& outputs);
  std::shared_ptr<PlanNode> make_node(Facts facts, int first, const std::vector<ValueId>& outputs);
  std::vector<ValueId> leaving(const Walk& walk, const Facts& facts,
                               const std::vector<ValueId>& outputs) const;
  std::shared_ptr<Callable> compile_body(const Subgraph& body);

  std::shared_ptr<const Graph> graph_;
  Options options_;
  SharedWeights weights_;
  Folded folded_;
  LowerContext::SubgraphCompiler compile_;
  std::mutex mutex_;  // guards the plans, folded_ and bodies_
  std::map<std::string, std::shared_ptr<PlanNode>> roots_;
  std::map<const Graph*, std::shared_ptr<Program>> bodies_;
};

}  // namespace lanewise
