// Binding cuBLASLt.
#include "engine/cuda/cublaslt.h"

#include "engine/base/error.h"

namespace lanewise::cuda {

LibraryWanted cublaslt_wanted() {
  return {"cuBLASLt",
          {"libcublasLt.so.13", "libcublasLt.so.12"},
          "pip install 'lanewise[cuda]', or install the CUDA toolkit"};
}

CublasLt::CublasLt(const Library& library) {
  library.bind("cublasLtCreate", create);
  library.bind("cublasLtMatmulDescCreate", desc_create);
  library.bind("cublasLtMatmulDescDestroy", desc_destroy);
  library.bind("cublasLtMatmulDescSetAttribute", desc_set);
  library.bind("cublasLtMatrixLayoutCreate", layout_create);
  library.bind("cublasLtMatrixLayoutDestroy", layout_destroy);
  library.bind("cublasLtMatrixLayoutSetAttribute", layout_set);
  library.bind("cublasLtMatmulPreferenceCreate", preference_create);
  library.bind("cublasLtMatmulPreferenceDestroy", preference_destroy);
  library.bind("cublasLtMatmulPreferenceSetAttribute", preference_set);
  library.bind("cublasLtMatmulAlgoGetHeuristic", heuristic);
  library.bind("cublasLtMatmul", matmul);
}

void CublasLt::check(int result, const char* doing) const {
  if (result == 0) return;
  throw DeviceError("device 'cuda': " + std::string(doing) + " by cuBLASLt: status " +
                    std::to_string(result) +
                    "; check that cuBLAS and the driver are of one CUDA version");
}

}  // namespace lanewise::cuda
