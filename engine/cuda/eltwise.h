// Building and launching a chain of element-wise functions (kernels/eltwise.cu).
#pragma once

#include <initializer_list>
#include <string>
#include <vector>

#include "engine/cuda/kernels/eltwise.cuh"
#include "engine/cuda/op.h"

namespace lanewise::cuda {

// The chain begins with input `first` of the node and ends in output 0.
class Eltwise {
 public:
  explicit Eltwise(const CudaLowerContext& c, int first = 0) : c_(c) { (void)operand(first); }

  Eltwise& then(Fn function, float a = 0.0f, float b = 0.0f);
  // With these inputs of the node as operands, one after the other.
  Eltwise& with(Fn function, std::initializer_list<int> inputs);
  // With an operand of one dimension that lies along an axis of the result.
  Eltwise& along(Fn function, int input, int axis);
  // Refuses what the kernels do not do.
  Step finish();

 private:
  int operand(int input);
  void lay_out();
  std::string kernel_name() const;

  const CudaLowerContext& c_;
  struct Operand {
    int input;    // of the node
    Shape shape;  // as it is broadcast
  };
  std::vector<Operand> operands_;
  EltwiseCall call_;
};

// The number of elements as kernels count them; refuses 2^31 and more.
unsigned counted(const CudaLowerContext& c, std::int64_t elements);

}  // namespace lanewise::cuda
