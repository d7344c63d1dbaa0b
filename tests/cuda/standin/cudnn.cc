// The stand-in for cuDNN: convolutions of channels-last arrays by plain loops.
#include <algorithm>
#include <array>
#include <cstring>

#include "tests/cuda/standin/state.h"

namespace {

using namespace standin;
using Locked = std::lock_guard<std::mutex>;

constexpr std::size_t kWorkspace = 1024;
constexpr int kNotSupported = 3000, kBadParam = 2000;

struct Handle {
  void* stream = nullptr;
};

// Sizes as [N, C, spatial...], or of filters [K, C, spatial...]; the bytes lie channels-last.
struct Array {
  Type type = Type::kFloat32;
  int format = 0, rank = 0;
  std::array<std::int64_t, 5> dims{1, 1, 1, 1, 1};

  std::int64_t elements() const {
    std::int64_t product = 1;
    for (int i = 0; i < rank; ++i) product *= dims[static_cast<std::size_t>(i)];
    return product;
  }
  std::int64_t spatial(int axis) const { return axis < rank - 2 ? dims[axis + 2u] : 1; }
  std::int64_t at(std::int64_t n, std::int64_t c, const std::array<std::int64_t, 3>& x) const {
    std::int64_t index = n;
    for (int axis = 0; axis < rank - 2; ++axis)
      index = index * spatial(axis) + x[static_cast<std::size_t>(axis)];
    return index * dims[1] + c;
  }
};

struct Convolution {
  int rank = 0, groups = 1, math = 0;
  std::array<std::int64_t, 3> pad{0, 0, 0}, stride{1, 1, 1}, dilation{1, 1, 1};
};

struct Activation {
  int mode = 5;
};

struct Choice {
  int algorithm, status;
  float milliseconds;
  std::size_t workspace;
  int determinism, math;
  int reserved[3];
};

Type type_of(int code) {
  return code == 2 ? Type::kFloat16 : code == 9 ? Type::kBFloat16 : Type::kFloat32;
}

int set(void* array, int type, int format, int rank, const int* dims) {
  Array& a = *static_cast<Array*>(array);
  if (rank < 4 || rank > 5) return kBadParam;
  a.type = type_of(type);
  a.format = format;
  a.rank = rank;
  for (int i = 0; i < rank; ++i) a.dims[static_cast<std::size_t>(i)] = dims[i];
  return 0;
}

// What one call computes: y = activation(conv(x, w) + z + bias).
struct Call {
  Array x_form, w_form, y_form;
  Convolution form;
  const void *x, *w, *z = nullptr, *bias = nullptr;
  void* y;
  bool relu = false;

  float sum(std::int64_t n, std::int64_t k, const std::array<std::int64_t, 3>& o) const {
    const std::int64_t channels = w_form.dims[1];
    const std::int64_t first = k / (w_form.dims[0] / form.groups) * channels;
    double total = 0;
    std::array<std::int64_t, 3> t{}, i{};
    for (t[0] = 0; t[0] < w_form.spatial(0); ++t[0]) {
      for (t[1] = 0; t[1] < w_form.spatial(1); ++t[1]) {
        for (t[2] = 0; t[2] < w_form.spatial(2); ++t[2]) {
          bool inside = true;
          for (std::size_t axis = 0; axis < 3; ++axis) {
            i[axis] = o[axis] * form.stride[axis] - form.pad[axis] + t[axis] * form.dilation[axis];
            inside = inside && i[axis] >= 0 && i[axis] < x_form.spatial(static_cast<int>(axis));
          }
          if (!inside) continue;
          for (std::int64_t c = 0; c < channels; ++c) {
            total += static_cast<double>(load(x, x_form.at(n, first + c, i), x_form.type)) *
                     load(w, w_form.at(k, c, t), w_form.type);
          }
        }
      }
    }
    return static_cast<float>(total);
  }

  int run() const {
    {
      const Locked lock(state().mutex);
      const auto there = [](const void* p, const Array& form) {
        return on_device(p, static_cast<std::size_t>(form.elements()) * size_of(form.type));
      };
      if (!there(x, x_form) || !there(w, w_form) || !there(y, y_form) ||
          (z != nullptr && !there(z, y_form)))
        return misuse("a convolution outside device memory");
    }
    std::array<std::int64_t, 3> o{};
    for (std::int64_t n = 0; n < y_form.dims[0]; ++n) {
      for (o[0] = 0; o[0] < y_form.spatial(0); ++o[0]) {
        for (o[1] = 0; o[1] < y_form.spatial(1); ++o[1]) {
          for (o[2] = 0; o[2] < y_form.spatial(2); ++o[2]) {
            for (std::int64_t k = 0; k < y_form.dims[1]; ++k) {
              const std::int64_t at = y_form.at(n, k, o);
              float value = sum(n, k, o);
              if (z != nullptr) value += load(z, at, y_form.type);
              if (bias != nullptr) value += load(bias, k, y_form.type);
              store(y, at, y_form.type, relu && value < 0 ? 0.0f : value);
            }
          }
        }
      }
    }
    return 0;
  }
};

int enqueue_call(void* handle, Call call, void* workspace, std::size_t bytes) {
  {
    const Locked lock(state().mutex);
    if (!state().handles.contains(handle)) return misuse("cuDNN called by a handle that is gone");
    if (bytes < kWorkspace || !on_device(workspace, bytes))
      return misuse("a convolution without its scratch memory");
  }
  count("convolutions");
  return enqueue(static_cast<Handle*>(handle)->stream, [call] { return call.run(); });
}

Call call_of(void* x_desc, const void* x, void* w_desc, const void* w, void* convolution,
             void* y_desc, void* y) {
  Call call;
  call.x_form = *static_cast<Array*>(x_desc);
  call.w_form = *static_cast<Array*>(w_desc);
  call.y_form = *static_cast<Array*>(y_desc);
  call.form = *static_cast<Convolution*>(convolution);
  call.x = x;
  call.w = w;
  call.y = y;
  return call;
}

}  // namespace

#define EXPORT extern "C" __attribute__((visibility("default"))) int

EXPORT cudnnCreate(void** handle) {
  const Locked lock(state().mutex);
  *handle = new Handle;
  state().handles.insert(*handle);
  return 0;
}
EXPORT cudnnDestroy(void* handle) {
  const Locked lock(state().mutex);
  if (state().handles.erase(handle) == 0) return misuse("a cuDNN handle destroyed twice");
  delete static_cast<Handle*>(handle);
  return 0;
}
EXPORT cudnnSetStream(void* handle, void* stream) {
  static_cast<Handle*>(handle)->stream = stream;
  return 0;
}
EXPORT cudnnCreateTensorDescriptor(void** tensor) { return make<Array>(tensor); }
EXPORT cudnnDestroyTensorDescriptor(void* tensor) { return drop<Array>(tensor); }
EXPORT cudnnSetTensorNdDescriptorEx(void* tensor, int format, int type, int rank, const int* dims) {
  return set(tensor, type, format, rank, dims);
}
EXPORT cudnnCreateFilterDescriptor(void** filter) { return make<Array>(filter); }
EXPORT cudnnDestroyFilterDescriptor(void* filter) { return drop<Array>(filter); }
EXPORT cudnnSetFilterNdDescriptor(void* filter, int type, int format, int rank, const int* dims) {
  return set(filter, type, format, rank, dims);
}
EXPORT cudnnCreateConvolutionDescriptor(void** convolution) {
  return make<Convolution>(convolution);
}
EXPORT cudnnDestroyConvolutionDescriptor(void* convolution) {
  return drop<Convolution>(convolution);
}
EXPORT cudnnSetConvolutionNdDescriptor(void* convolution, int rank, const int* pads,
                                       const int* strides, const int* dilations, int mode, int) {
  if (rank < 2 || rank > 3 || mode != 1) return kBadParam;
  Convolution& c = *static_cast<Convolution*>(convolution);
  c.rank = rank;
  for (std::size_t i = 0; i < static_cast<std::size_t>(rank); ++i) {
    c.pad[i] = pads[i];
    c.stride[i] = strides[i];
    c.dilation[i] = dilations[i];
  }
  return 0;
}
EXPORT cudnnSetConvolutionGroupCount(void* convolution, int groups) {
  static_cast<Convolution*>(convolution)->groups = groups;
  return 0;
}
EXPORT cudnnSetConvolutionMathType(void* convolution, int math) {
  static_cast<Convolution*>(convolution)->math = math;
  return 0;
}
EXPORT cudnnCreateActivationDescriptor(void** activation) { return make<Activation>(activation); }
EXPORT cudnnDestroyActivationDescriptor(void* activation) { return drop<Activation>(activation); }
EXPORT cudnnSetActivationDescriptor(void* activation, int mode, int, double) {
  static_cast<Activation*>(activation)->mode = mode;
  return 0;
}

EXPORT cudnnGetConvolutionForwardAlgorithm_v7(void* handle, void* x, void* w, void* convolution,
                                              void* y, int wanted, int* found, Choice* choices) {
  const Locked lock(state().mutex);
  *found = 0;
  if (!state().handles.contains(handle)) return misuse("cuDNN called by a handle that is gone");
  const Array &in = *static_cast<Array*>(x), &filter = *static_cast<Array*>(w),
              &out = *static_cast<Array*>(y);
  const Convolution& c = *static_cast<Convolution*>(convolution);
  if (in.format != 1 || filter.format != 1 || out.format != 1) return kNotSupported;
  if (in.dims[1] != filter.dims[1] * c.groups || out.dims[1] != filter.dims[0]) return kBadParam;
  for (int i = 0; i < c.rank; ++i) {
    const auto axis = static_cast<std::size_t>(i);
    const std::int64_t span = c.dilation[axis] * (filter.spatial(i) - 1) + 1;
    if ((in.spatial(i) + 2 * c.pad[axis] - span) / c.stride[axis] + 1 != out.spatial(i))
      return kBadParam;
  }
  // As the library does, it also offers what is not allowed: tensor cores, and what failed.
  const int status = setting("refuse_convolution", 0) != 0 ? kNotSupported : 0;
  const Choice offers[] = {{6, kNotSupported, -1, 0, 0, 3, {}},
                           {1, status, 0.5f, kWorkspace, 1, 1, {}},
                           {1, status, 1.0f, kWorkspace, 1, 3, {}}};
  for (const Choice& offer : offers) {
    if (*found < wanted) choices[(*found)++] = offer;
  }
  return 0;
}

EXPORT cudnnConvolutionForward(void* handle, const void* alpha, void* x_desc, const void* x,
                               void* w_desc, const void* w, void* convolution, int, void* workspace,
                               std::size_t bytes, const void* beta, void* y_desc, void* y) {
  if (setting("refuse_forward", 0) != 0) return kNotSupported;
  if (*static_cast<const float*>(alpha) != 1.0f || *static_cast<const float*>(beta) != 0.0f)
    return kNotSupported;
  return enqueue_call(handle, call_of(x_desc, x, w_desc, w, convolution, y_desc, y), workspace,
                      bytes);
}

EXPORT cudnnConvolutionBiasActivationForward(void* handle, const void*, void* x_desc, const void* x,
                                             void* w_desc, const void* w, void* convolution,
                                             int algorithm, void* workspace, std::size_t bytes,
                                             const void* alpha2, void*, const void* z, void*,
                                             const void* bias, void* activation, void* y_desc,
                                             void* y) {
  const int mode = static_cast<Activation*>(activation)->mode;
  if (setting("refuse_fused", 0) != 0 || (mode == 5 && algorithm != 1)) return kNotSupported;
  if (mode != 1 && mode != 5) return kNotSupported;
  if (bias == nullptr || z == nullptr) return kBadParam;
  Call call = call_of(x_desc, x, w_desc, w, convolution, y_desc, y);
  call.bias = bias;
  if (*static_cast<const float*>(alpha2) != 0.0f) call.z = z;
  call.relu = mode == 1;
  count("fused");
  return enqueue_call(handle, call, workspace, bytes);
}
