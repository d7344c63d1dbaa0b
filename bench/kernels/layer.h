// One convolution layer, lowered as a model would: what the benches of bench/shapes time.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engine/base/buffer.h"
#include "engine/graph/op.h"

namespace lanewise::bench {

// As a line of bench/shapes has it; the image and the kernel are square.
struct LayerShape {
  std::int64_t channels = 1, size = 1, outputs = 1, kernel = 1, stride = 1, pad = 0, group = 1,
               batch = 1;
};

class Layer {
 public:
  // `force` names the only algorithm allowed; "" leaves the choice to the engine.
  Layer(const LayerShape& shape, Isa isa, int threads, std::string force);
  Layer(const Layer&) = delete;
  Layer& operator=(const Layer&) = delete;

  void run() const;
  // Leaves the caches as a network does: the input read last, the weights long ago.
  void cool() const;
  double flops() const { return flops_; }
  const std::string& algorithm() const { return step_.algorithm; }
  // Algorithms that were not taken, with the reasons.
  std::vector<std::pair<std::string, std::string>> refused() const;

 private:
  // Packed weights that live as long as the layer.
  class Cache final : public WeightCache {
   public:
    Made keep(const Tensor&, const std::string&, std::size_t,
              const std::function<Made()>& make) override {
      return make();
    }
  };

  std::string force_;
  int threads_;
  Cache cache_;
  Isa isa_;
  Tensor x_, w_, bias_, y_;
  Step step_;
  AlignedBytes scratch_;
  double flops_ = 0;
};

}  // namespace lanewise::bench
