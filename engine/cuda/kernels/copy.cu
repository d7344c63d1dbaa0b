// Moving elements: strided copies, copies by tables of indices, transposes of matrices.
#include "copy.cuh"
#include "numbers.cuh"

namespace lanewise::cuda {
namespace {

template <class T>
__device__ void copy(const CopyCall& p) {
  for (unsigned i = first_index(); i < p.elements; i += index_step()) {
    unsigned rest = i;
    long long from = 0, to = 0;
    bool outside = p.x == nullptr;
    for (int d = p.dims.rank - 1; d >= 0; --d) {
      const int at = (int)(d == 0 ? rest : split(rest, p.dims.size[d]));
      const int source = p.tables && p.table[d] != nullptr ? p.table[d][at] : at;
      outside = outside || source < 0;
      from += (long long)source * p.x_stride[d];
      to += (long long)at * p.y_stride[d];
    }
    T value = T();
    if (!outside)
      value = static_cast<const T*>(p.x)[from];
    else if (p.fill != nullptr)
      value = *static_cast<const T*>(p.fill);
    static_cast<T*>(p.y)[to] = value;
  }
}

// Through a tile in shared memory, so that both sides are read and written in whole lines; the odd
// pitch keeps columns of the tile in different banks.
template <class T>
__device__ void transpose(const TransposeCall& p) {
  __shared__ T tile[kTile][kTile + 1];
  const unsigned left = blockIdx.x * kTile, top = blockIdx.y * kTile;
  for (unsigned b = blockIdx.z; b < p.batch; b += gridDim.z) {
    const T* x = static_cast<const T*>(p.x) + (long long)b * p.rows * p.columns;
    T* y = static_cast<T*>(p.y) + (long long)b * p.rows * p.columns;
    for (unsigned r = threadIdx.y; r < kTile; r += kTileRows) {
      const unsigned row = top + r, column = left + threadIdx.x;
      if (row < p.rows && column < p.columns)
        tile[r][threadIdx.x] = x[(long long)row * p.columns + column];
    }
    __syncthreads();
    for (unsigned r = threadIdx.y; r < kTile; r += kTileRows) {
      const unsigned column = left + r, row = top + threadIdx.x;
      if (row < p.rows && column < p.columns)
        y[(long long)column * p.rows + row] = tile[threadIdx.x][r];
    }
    __syncthreads();
  }
}

}  // namespace
}  // namespace lanewise::cuda

using namespace lanewise::cuda;

extern "C" __global__ void copy_1(CopyCall p) { copy<unsigned char>(p); }
extern "C" __global__ void copy_2(CopyCall p) { copy<unsigned short>(p); }
extern "C" __global__ void copy_4(CopyCall p) { copy<unsigned>(p); }
extern "C" __global__ void copy_8(CopyCall p) { copy<unsigned long long>(p); }
extern "C" __global__ void transpose_1(TransposeCall p) { transpose<unsigned char>(p); }
extern "C" __global__ void transpose_2(TransposeCall p) { transpose<unsigned short>(p); }
extern "C" __global__ void transpose_4(TransposeCall p) { transpose<unsigned>(p); }
extern "C" __global__ void transpose_8(TransposeCall p) { transpose<unsigned long long>(p); }
