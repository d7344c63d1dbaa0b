// The stand-in for cuBLASLt: products by plain loops over columns, as the library describes them.
#include <cmath>
#include <cstring>

#include "tests/cuda/standin/state.h"

namespace {

using namespace standin;
using Locked = std::lock_guard<std::mutex>;

struct Desc {
  int compute = 0;
  int transpose_a = 0, transpose_b = 0, epilogue = 1;
  const void* bias = nullptr;
};

struct Layout {
  Type type = Type::kFloat32;
  std::int64_t rows = 0, columns = 0, leading = 0, stride = 0;
  int batch = 1;

  std::int64_t reach() const { return (batch - 1) * stride + (columns - 1) * leading + rows; }
};

struct Heuristic {
  std::uint64_t algorithm[8];
  std::size_t workspace;
  int status;
  float waves;
  int reserved[4];
};

constexpr std::uint64_t kAlgorithm = 0x5eed;
constexpr std::size_t kWorkspace = 4096;

Type type_of(int code) {
  return code == 2 ? Type::kFloat16 : code == 14 ? Type::kBFloat16 : Type::kFloat32;
}

struct Product {
  Desc desc;
  Layout a, b, d;
  float alpha;
  const void *x, *y;
  void* to;

  float element(const void* matrix, const Layout& l, bool transposed, std::int64_t row,
                std::int64_t column, int batch) const {
    if (transposed) std::swap(row, column);
    return load(matrix, batch * l.stride + column * l.leading + row, l.type);
  }

  int run() const {
    {
      const Locked lock(state().mutex);
      if (!on_device(x, static_cast<std::size_t>(a.reach()) * size_of(a.type)) ||
          !on_device(y, static_cast<std::size_t>(b.reach()) * size_of(b.type)) ||
          !on_device(to, static_cast<std::size_t>(d.reach()) * size_of(d.type)))
        return misuse("a product outside device memory");
    }
    const std::int64_t inner = desc.transpose_a != 0 ? a.rows : a.columns;
    for (int n = 0; n < d.batch; ++n) {
      for (std::int64_t j = 0; j < d.columns; ++j) {
        for (std::int64_t i = 0; i < d.rows; ++i) {
          double sum = 0;
          for (std::int64_t k = 0; k < inner; ++k) {
            sum += static_cast<double>(element(x, a, desc.transpose_a != 0, i, k, n)) *
                   element(y, b, desc.transpose_b != 0, k, j, n);
          }
          auto value = static_cast<float>(alpha * sum);
          if ((desc.epilogue & 4) != 0) value += load(desc.bias, i, d.type);
          if ((desc.epilogue & 2) != 0) value = value < 0 ? 0 : value;
          store(to, n * d.stride + j * d.leading + i, d.type, value);
        }
      }
    }
    return 0;
  }
};

}  // namespace

#define EXPORT extern "C" __attribute__((visibility("default"))) int

EXPORT cublasLtCreate(void** handle) {
  static int one = 0;
  *handle = &one;
  return 0;
}
EXPORT cublasLtMatmulDescCreate(void** desc, int compute, int) {
  Desc made;
  made.compute = compute;
  return make(desc, made);
}
EXPORT cublasLtMatmulDescDestroy(void* desc) { return drop<Desc>(desc); }
EXPORT cublasLtMatmulDescSetAttribute(void* desc, int attribute, const void* value,
                                      std::size_t bytes) {
  Desc& d = *static_cast<Desc*>(desc);
  switch (attribute) {
    case 3: std::memcpy(&d.transpose_a, value, bytes); return 0;
    case 4: std::memcpy(&d.transpose_b, value, bytes); return 0;
    case 7: std::memcpy(&d.epilogue, value, bytes); return 0;
    case 8: std::memcpy(&d.bias, value, bytes); return 0;
    default: return 7;
  }
}
EXPORT cublasLtMatrixLayoutCreate(void** layout, int type, std::uint64_t rows,
                                  std::uint64_t columns, std::int64_t leading) {
  if (leading < static_cast<std::int64_t>(rows)) return 7;
  return make(layout, Layout{type_of(type), static_cast<std::int64_t>(rows),
                             static_cast<std::int64_t>(columns), leading, 0, 1});
}
EXPORT cublasLtMatrixLayoutDestroy(void* layout) { return drop<Layout>(layout); }
EXPORT cublasLtMatrixLayoutSetAttribute(void* layout, int attribute, const void* value,
                                        std::size_t bytes) {
  Layout& l = *static_cast<Layout*>(layout);
  if (attribute == 5) std::memcpy(&l.batch, value, bytes);
  if (attribute == 6) std::memcpy(&l.stride, value, bytes);
  return attribute == 5 || attribute == 6 ? 0 : 7;
}
EXPORT cublasLtMatmulPreferenceCreate(void** preference) { return make(preference, 0); }
EXPORT cublasLtMatmulPreferenceDestroy(void* preference) { return drop<int>(preference); }
EXPORT cublasLtMatmulPreferenceSetAttribute(void*, int, const void*, std::size_t) { return 0; }

EXPORT cublasLtMatmulAlgoGetHeuristic(void*, void* desc, void* a, void* b, void*, void* d, void*,
                                      int, Heuristic* results, int* found) {
  *found = 0;
  if (setting("refuse_products", 0) != 0) return 15;
  const Desc& of = *static_cast<Desc*>(desc);
  const Layout &x = *static_cast<Layout*>(a), &y = *static_cast<Layout*>(b),
               &to = *static_cast<Layout*>(d);
  const bool ta = of.transpose_a != 0, tb = of.transpose_b != 0;
  const bool agree = (ta ? x.columns : x.rows) == to.rows &&
                     (tb ? y.rows : y.columns) == to.columns &&
                     (ta ? x.rows : x.columns) == (tb ? y.columns : y.rows) &&
                     x.batch == to.batch && y.batch == to.batch;
  if (!agree) return 7;
  *results = {};
  results->algorithm[0] = kAlgorithm;
  results->workspace = kWorkspace;
  *found = 1;
  return 0;
}

EXPORT cublasLtMatmul(void*, void* desc, const void* alpha, const void* a, void* a_layout,
                      const void* b, void* b_layout, const void* beta, const void*, void*, void* d,
                      void* d_layout, const void* algorithm, void* workspace,
                      std::size_t workspace_bytes, void* stream) {
  {
    const Locked lock(state().mutex);
    if (*static_cast<const std::uint64_t*>(algorithm) != kAlgorithm)
      return misuse("a product without an algorithm");
    if (workspace_bytes < kWorkspace || !on_device(workspace, workspace_bytes))
      return misuse("a product without its scratch memory");
    if (*static_cast<const float*>(beta) != 0.0f) return misuse("a product onto what was there");
  }
  count("products");
  const Product product{*static_cast<Desc*>(desc),
                        *static_cast<Layout*>(a_layout),
                        *static_cast<Layout*>(b_layout),
                        *static_cast<Layout*>(d_layout),
                        *static_cast<const float*>(alpha),
                        a,
                        b,
                        d};
  return enqueue(stream, [product] { return product.run(); });
}
