// Gather, GatherElements, GatherND and the scattering ones, by bytes per element.
#include "gather.cuh"
#include "numbers.cuh"

namespace lanewise::cuda {
namespace {

// The index at i, counted from the end where negative.
__device__ long long index_at(const void* indices, bool wide, long long i, int size,
                              const IndexCheck& check) {
  long long index =
      wide ? static_cast<const long long*>(indices)[i] : static_cast<const int*>(indices)[i];
  if (index < 0) index += size;
  if (index >= 0 && index < size) return index;
  *check.fault = check.code;
  return 0;
}

template <class T>
__device__ void gather(const GatherCall& p) {
  for (unsigned i = first_index(); i < p.elements; i += index_step()) {
    unsigned outer = i;
    const unsigned inner = split(outer, p.inner), at = split(outer, p.count);
    const long long index = index_at(p.indices, p.wide, at, p.axis, p.check);
    static_cast<T*>(p.y)[i] =
        static_cast<const T*>(p.x)[((long long)outer * p.axis + index) * p.inner.divisor + inner];
  }
}

// Where element i of the indices points to.
__device__ long long pointed(const ElementsCall& p, unsigned i) {
  const long long index = index_at(p.indices, p.wide, i, p.size, p.check);
  long long at = 0;
  for (int d = p.dims.rank - 1; d >= 0; --d) {
    const long long coordinate = d == 0 ? i : split(i, p.dims.size[d]);
    at += (d == p.axis ? index : coordinate) * p.strides[d];
  }
  return at;
}

template <class T>
__device__ void gather_elements(const ElementsCall& p) {
  for (unsigned i = first_index(); i < p.elements; i += index_step())
    static_cast<T*>(p.y)[i] = static_cast<const T*>(p.x)[pointed(p, i)];
}

template <class T>
__device__ void scatter_elements(const ElementsCall& p) {
  for (unsigned i = first_index(); i < p.elements; i += index_step())
    static_cast<T*>(p.y)[pointed(p, i)] = static_cast<const T*>(p.x)[i];
}

// Where element i of the slices lies.
__device__ long long chosen(const TuplesCall& p, unsigned i) {
  unsigned tuple = i;
  const unsigned inner = split(tuple, p.slice);
  long long at = (long long)divided(tuple, p.tuples) * p.batch_stride + inner;
  for (int d = 0; d < p.depth; ++d) {
    const long long index = (long long)tuple * p.depth + d;
    at += index_at(p.indices, p.wide, index, p.size[d], p.check) * p.stride[d];
  }
  return at;
}

template <class T>
__device__ void gather_tuples(const TuplesCall& p) {
  for (unsigned i = first_index(); i < p.elements; i += index_step())
    static_cast<T*>(p.y)[i] = static_cast<const T*>(p.x)[chosen(p, i)];
}

template <class T>
__device__ void scatter_tuples(const TuplesCall& p) {
  for (unsigned i = first_index(); i < p.elements; i += index_step())
    static_cast<T*>(p.y)[chosen(p, i)] = static_cast<const T*>(p.x)[i];
}

using B1 = unsigned char;
using B2 = unsigned short;
using B4 = unsigned;
using B8 = unsigned long long;

}  // namespace
}  // namespace lanewise::cuda

using namespace lanewise::cuda;

extern "C" __global__ void gather_1(GatherCall p) { gather<B1>(p); }
extern "C" __global__ void gather_2(GatherCall p) { gather<B2>(p); }
extern "C" __global__ void gather_4(GatherCall p) { gather<B4>(p); }
extern "C" __global__ void gather_8(GatherCall p) { gather<B8>(p); }
extern "C" __global__ void gather_elements_1(ElementsCall p) { gather_elements<B1>(p); }
extern "C" __global__ void gather_elements_2(ElementsCall p) { gather_elements<B2>(p); }
extern "C" __global__ void gather_elements_4(ElementsCall p) { gather_elements<B4>(p); }
extern "C" __global__ void gather_elements_8(ElementsCall p) { gather_elements<B8>(p); }
extern "C" __global__ void scatter_elements_1(ElementsCall p) { scatter_elements<B1>(p); }
extern "C" __global__ void scatter_elements_2(ElementsCall p) { scatter_elements<B2>(p); }
extern "C" __global__ void scatter_elements_4(ElementsCall p) { scatter_elements<B4>(p); }
extern "C" __global__ void scatter_elements_8(ElementsCall p) { scatter_elements<B8>(p); }
extern "C" __global__ void gather_tuples_1(TuplesCall p) { gather_tuples<B1>(p); }
extern "C" __global__ void gather_tuples_2(TuplesCall p) { gather_tuples<B2>(p); }
extern "C" __global__ void gather_tuples_4(TuplesCall p) { gather_tuples<B4>(p); }
extern "C" __global__ void gather_tuples_8(TuplesCall p) { gather_tuples<B8>(p); }
extern "C" __global__ void scatter_tuples_1(TuplesCall p) { scatter_tuples<B1>(p); }
extern "C" __global__ void scatter_tuples_2(TuplesCall p) { scatter_tuples<B2>(p); }
extern "C" __global__ void scatter_tuples_4(TuplesCall p) { scatter_tuples<B4>(p); }
extern "C" __global__ void scatter_tuples_8(TuplesCall p) { scatter_tuples<B8>(p); }
