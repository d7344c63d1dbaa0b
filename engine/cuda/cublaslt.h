// Matrix products by cuBLASLt: the functions and numbers that this backend uses, declared here so
// that building needs no CUDA. Names and numbers are NVIDIA's.
#pragma once

#include <cstddef>
#include <cstdint>

#include "engine/cuda/library.h"

namespace lanewise::cuda {

// cudaDataType_t and cublasComputeType_t.
inline constexpr int kRealFloat32 = 0, kRealFloat64 = 1, kRealFloat16 = 2, kRealBFloat16 = 14;
inline constexpr int kComputeFloat32 = 68, kComputeTf32 = 77, kComputeFloat64 = 70;

// cublasLtMatmulDescAttributes_t, cublasLtMatrixLayoutAttribute_t, cublasLtEpilogue_t, preferences.
inline constexpr int kDescTransposeA = 3, kDescTransposeB = 4, kDescEpilogue = 7, kDescBias = 8,
                     kDescBiasType = 26;
inline constexpr int kLayoutBatchCount = 5, kLayoutBatchStride = 6;
inline constexpr int kEpilogueNone = 1, kEpilogueRelu = 2, kEpilogueBias = 4;
inline constexpr int kPreferWorkspaceBytes = 1;

// cublasLtMatmulAlgo_t and cublasLtMatmulHeuristicResult_t.
struct MatmulAlgorithm {
  std::uint64_t opaque[8];
};
struct MatmulHeuristic {
  MatmulAlgorithm algorithm;
  std::size_t workspace;
  int status;
  float waves;
  int reserved[4];
};

struct CublasLt {
  explicit CublasLt(const Library& library);

  int (*create)(void** handle);
  int (*desc_create)(void** desc, int compute, int scale_type);
  int (*desc_destroy)(void* desc);
  int (*desc_set)(void* desc, int attribute, const void* value, std::size_t bytes);
  int (*layout_create)(void** layout, int type, std::uint64_t rows, std::uint64_t columns,
                       std::int64_t leading);
  int (*layout_destroy)(void* layout);
  int (*layout_set)(void* layout, int attribute, const void* value, std::size_t bytes);
  int (*preference_create)(void** preference);
  int (*preference_destroy)(void* preference);
  int (*preference_set)(void* preference, int attribute, const void* value, std::size_t bytes);
  int (*heuristic)(void* handle, void* desc, void* a, void* b, void* c, void* d, void* preference,
                   int wanted, MatmulHeuristic* results, int* found);
  int (*matmul)(void* handle, void* desc, const void* alpha, const void* a, void* a_layout,
                const void* b, void* b_layout, const void* beta, const void* c, void* c_layout,
                void* d, void* d_layout, const MatmulAlgorithm* algorithm, void* workspace,
                std::size_t workspace_bytes, void* stream);

  // Throws DeviceError naming what was done.
  void check(int result, const char* doing) const;
};

LibraryWanted cublaslt_wanted();

}  // namespace lanewise::cuda
