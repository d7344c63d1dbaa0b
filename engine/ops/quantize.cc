// QuantizeLinear and DequantizeLinear (Jacob et al. 2018, "Quantization and Training of Neural
// Networks for Efficient Integer-Arithmetic-Only Inference"). The dynamic one is in
// dynamic_quantize.cc.
#include <algorithm>
#include <string>

#include "engine/cpu/quant_parameters.h"
#include "engine/graph/op.h"
#include "engine/ops/quant_placement.h"
#include "engine/ops/small_types.h"

namespace lanewise {
namespace {

bool is_small_float(DType dtype) {
  return is_small(dtype) && quant_range(dtype).high < quant_range(dtype).low &&
         dtype != DType::kFloat8E8M0;
}

DType stored_type(DType dtype) {
  if (dtype == DType::kUInt4 || dtype == DType::kUInt2) return DType::kUInt8;
  if (dtype == DType::kInt4 || dtype == DType::kInt2) return DType::kInt8;
  return dtype;
}

// Scales and zero points of `n` elements from `begin`, which may all differ.
struct Gathered {
  float scale[kQuantChunk];
  std::int32_t zero[kQuantChunk];

  void fill(const QuantPlacement& p, const float* scales, const std::int32_t* zeros,
            std::int64_t begin, std::int64_t n) {
    for (std::int64_t i = 0; i < n; ++i) {
      const std::int64_t at = p.at(begin + i);
      scale[i] = scales[at];
      zero[i] = zeros[at];
    }
  }
};

// One zero point for each scale, as int32.
std::vector<std::int32_t> zeros_for(const RunContext& run, DType dtype, std::int64_t count) {
  if (!run.has_in(2)) return std::vector<std::int32_t>(static_cast<std::size_t>(count), 0);
  return read_zeros(stored_type(dtype), run.inputs[2], count);
}

// The scales as float32, as which all of their types are exact but int32.
class Scales {
 public:
  Scales(const RunContext& run, DType dtype, std::int64_t count) : data_(run.in<float>(1)) {
    if (dtype != DType::kInt32 && !is_small(dtype)) return;
    for (std::int64_t i = 0; i < count; ++i) {
      own_.push_back(dtype == DType::kInt32 ? static_cast<float>(run.in<std::int32_t>(1)[i])
                                            : decode_small(dtype, run.in<std::uint8_t>(1)[i]));
    }
    data_ = own_.data();
  }

  const float* data() const { return data_; }

 private:
  std::vector<float> own_;
  const float* data_;
};

DType attr_dtype(const OpContext& c, std::string_view name) {
  const std::int64_t code = c.attr_int(name);
  if (code != 0 && !is_dtype(code))
    c.fail("attribute '" + std::string(name) + "' is no element type");
  return static_cast<DType>(code);
}

void infer_quantize(InferContext& c) {
  c.expect_dtype(0, {DType::kFloat32, DType::kFloat16, DType::kBFloat16, DType::kInt32});
  c.expect_dtype(
      1, {DType::kFloat32, DType::kFloat16, DType::kBFloat16, DType::kInt32, DType::kFloat8E8M0});
  check_granularity(c);
  DType result = attr_dtype(c, "output_dtype");
  if (c.has_input(2)) {
    if (result != DType::kUndefined && result != c.dtype(2)) {
      c.fail("attribute 'output_dtype' is " + std::string(dtype_name(result)) +
             ", but the zero point is of " + std::string(dtype_name(c.dtype(2))));
    }
    result = c.dtype(2);
  }
  if (result == DType::kUndefined) result = DType::kUInt8;
  if (quant_range(result).high < quant_range(result).low && !is_small_float(result)) {
    c.unsupported("quantisation to " + std::string(dtype_name(result)) + " is not supported");
  }
  c.set_output(0, result, c.shape(0));
}

// int32 input: converted to float first, as the operator's text has it.
const float* as_floats(const RunContext& run, DType dtype, std::int64_t begin, std::int64_t n,
                       float* buffer) {
  if (dtype == DType::kFloat32) return run.in<float>(0) + begin;
  for (std::int64_t i = 0; i < n; ++i)
    buffer[i] = static_cast<float>(run.in<std::int32_t>(0)[begin + i]);
  return buffer;
}

template <class T>
void quantize_all(const RunContext& run, const QuantPlacement& p, std::int64_t elements,
                  const float* scales, std::int64_t count, DType from, DType to,
                  const kernels::Quantize& table) {
  const auto quantize = quant_rows<T>(table).quantize;
  const kernels::QuantRange range = quant_range(to);
  const std::vector<std::int32_t> zeros = zeros_for(run, to, count);
  T* y = run.out<T>(0);
  const auto row = [&](std::int64_t begin, std::int64_t n, std::int64_t at) {
    const kernels::QuantScale q = {scales + at, zeros.data() + at, false};
    float buffer[kQuantChunk];
    const std::int64_t step = from == DType::kFloat32 ? n : kQuantChunk;
    for (std::int64_t i = 0; i < n; i += step) {
      const std::int64_t part = std::min(step, n - i);
      quantize(part, as_floats(run, from, begin + i, part, buffer), q, range, y + begin + i);
    }
  };
  const auto chunk = [&](std::int64_t begin, std::int64_t n) {
    Gathered g;
    g.fill(p, scales, zeros.data(), begin, n);
    float buffer[kQuantChunk];
    quantize(n, as_floats(run, from, begin, n, buffer), {g.scale, g.zero, true}, range, y + begin);
  };
  for_rows(p, elements, run.threads, row, chunk);
}

// To and from floats of 8 bits and fewer, element by element: no network is slow because of them.
template <class F>
void for_elements(const QuantPlacement& p, std::int64_t elements, int threads, F&& f) {
  for_rows(
      p, elements, threads,
      [&](std::int64_t begin, std::int64_t n, std::int64_t at) {
        for (std::int64_t i = begin; i < begin + n; ++i) f(i, at);
      },
      [&](std::int64_t begin, std::int64_t n) {
        for (std::int64_t i = begin; i < begin + n; ++i) f(i, p.at(i));
      });
}

float small_zero(const RunContext& run, DType dtype, std::int64_t at) {
  return run.has_in(2) ? decode_small(dtype, run.in<std::uint8_t>(2)[at]) : 0.0f;
}

Step lower_quantize_small(LowerContext& c) {
  const SmallRounding rounding{.saturate = c.attr_int("saturate") != 0};
  Step step;
  step.algorithm = "elements";
  step.run = [p = quant_placement(c), elements = c.shape(0).elements(), from = c.dtype(0),
              count = c.shape(1).elements(), scale = c.dtype(1), to = c.output(0).dtype,
              rounding](const RunContext& run) {
    const Scales scales(run, scale, count);
    for_elements(p, elements, run.threads, [&](std::int64_t i, std::int64_t at) {
      float buffer;
      const float value =
          *as_floats(run, from, i, 1, &buffer) / scales.data()[at] + small_zero(run, to, at);
      run.out<std::uint8_t>(0)[i] = encode_small(to, value, rounding);
    });
  };
  return step;
}

Step lower_dequantize_small(LowerContext& c) {
  Step step;
  step.algorithm = "elements";
  step.run = [p = quant_placement(c), elements = c.shape(0).elements(), from = c.dtype(0),
              count = c.shape(1).elements(), scale = c.dtype(1)](const RunContext& run) {
    const Scales scales(run, scale, count);
    for_elements(p, elements, run.threads, [&](std::int64_t i, std::int64_t at) {
      const float value =
          decode_small(from, run.in<std::uint8_t>(0)[i]) - small_zero(run, from, at);
      run.out<float>(0)[i] = value * scales.data()[at];
    });
  };
  return step;
}

Step lower_quantize(LowerContext& c) {
  if (is_small_float(c.output(0).dtype)) return lower_quantize_small(c);
  Step step;
  step.algorithm = "rows";
  step.run = [p = quant_placement(c), elements = c.shape(0).elements(),
              count = c.shape(1).elements(), from = c.dtype(0), to = c.output(0).dtype,
              scale = c.dtype(1), &table = kernels::quantize(c.isa())](const RunContext& run) {
    const Scales held(run, scale, count);
    const float* scales = held.data();
    switch (stored_type(to)) {
      case DType::kUInt8:
        return quantize_all<std::uint8_t>(run, p, elements, scales, count, from, to, table);
      case DType::kInt8:
        return quantize_all<std::int8_t>(run, p, elements, scales, count, from, to, table);
      case DType::kUInt16:
        return quantize_all<std::uint16_t>(run, p, elements, scales, count, from, to, table);
      default: return quantize_all<std::int16_t>(run, p, elements, scales, count, from, to, table);
    }
  };
  return step;
}

void infer_dequantize(InferContext& c) {
  if (!is_small_float(c.dtype(0)) && c.dtype(0) != DType::kInt32 &&
      quant_range(c.dtype(0)).high < quant_range(c.dtype(0)).low) {
    c.fail(
        "input 0 must be quantised: an integer of at most 32 bits or a float of at most 8, found " +
        std::string(dtype_name(c.dtype(0))));
  }
  c.expect_dtype(1, {DType::kFloat32, DType::kFloat16, DType::kBFloat16, DType::kFloat8E8M0});
  if (c.has_input(2)) c.expect_same_dtype(0, 2);
  check_granularity(c);
  const DType wanted = attr_dtype(c, "output_dtype");
  if (wanted != DType::kUndefined && wanted != DType::kFloat32 && wanted != DType::kFloat16 &&
      wanted != DType::kBFloat16) {
    c.fail("attribute 'output_dtype' must be float32, float16 or bfloat16");
  }
  if (wanted == DType::kUndefined && is_small(c.dtype(1))) {
    c.fail("scales of " + std::string(dtype_name(c.dtype(1))) +
           " do not tell the output's type; set the attribute 'output_dtype'");
  }
  c.set_exact_output(0, wanted == DType::kUndefined ? c.stored_dtype(1) : wanted, c.shape(0));
}

template <class T>
void dequantize_all(const RunContext& run, const QuantPlacement& p, std::int64_t elements,
                    const float* scales, std::int64_t count, DType from,
                    const kernels::Quantize& table) {
  const auto dequantize = [&] {
    if constexpr (std::is_same_v<T, std::int32_t>) {
      return table.dequantize_s32;
    } else {
      return quant_rows<T>(table).dequantize;
    }
  }();
  const T* x = run.in<T>(0);
  const std::vector<std::int32_t> zeros = zeros_for(run, from, count);
  float* y = run.out<float>(0);
  for_rows(
      p, elements, run.threads,
      [&](std::int64_t begin, std::int64_t n, std::int64_t at) {
        dequantize(n, x + begin, {scales + at, zeros.data() + at, false}, y + begin);
      },
      [&](std::int64_t begin, std::int64_t n) {
        Gathered g;
        g.fill(p, scales, zeros.data(), begin, n);
        dequantize(n, x + begin, {g.scale, g.zero, true}, y + begin);
      });
}

Step lower_dequantize(LowerContext& c) {
  if (is_small_float(c.dtype(0))) return lower_dequantize_small(c);
  Step step;
  step.algorithm = "rows";
  step.run = [p = quant_placement(c), elements = c.shape(0).elements(),
              count = c.shape(1).elements(), from = c.dtype(0), scale = c.dtype(1),
              &table = kernels::quantize(c.isa())](const RunContext& run) {
    const Scales held(run, scale, count);
    const float* scales = held.data();
    switch (stored_type(from)) {
      case DType::kUInt8:
        return dequantize_all<std::uint8_t>(run, p, elements, scales, count, from, table);
      case DType::kInt8:
        return dequantize_all<std::int8_t>(run, p, elements, scales, count, from, table);
      case DType::kUInt16:
        return dequantize_all<std::uint16_t>(run, p, elements, scales, count, from, table);
      case DType::kInt16:
        return dequantize_all<std::int16_t>(run, p, elements, scales, count, from, table);
      default: return dequantize_all<std::int32_t>(run, p, elements, scales, count, from, table);
    }
  };
  return step;
}

constexpr AttrDef kAxis = {.name = "axis",
                           .type = AttrType::kInt,
                           .doc = "axis of the scales when there are several",
                           .int_default = 1};
constexpr AttrDef kBlock = {.name = "block_size",
                            .type = AttrType::kInt,
                            .doc = "elements along the axis that share a scale; 0: no blocks"};
constexpr AttrDef kOutput = {.name = "output_dtype",
                             .type = AttrType::kInt,
                             .doc = "type of the result; 0: that of the zero point or scale"};
constexpr AttrDef kSaturate = {
    .name = "saturate",
    .type = AttrType::kInt,
    .doc = "0: 8-bit floats overflow to infinity or NaN; integers always saturate",
    .int_default = 1};
constexpr AttrDef kPrecision = {.name = "precision",
                                .type = AttrType::kInt,
                                .doc = "type of the division; float32 is used whatever it says"};

constexpr AttrDef kQuantizeAttrs[] = {kAxis, kBlock, kOutput, kPrecision, kSaturate};
constexpr AttrDef kDequantizeAttrs[] = {kAxis, kBlock, kOutput};

constexpr OpDef kOps[] = {
    {.name = "QuantizeLinear",
     .doc = "clamp(round(x / scale) + zero point).",
     .min_inputs = 2,
     .max_inputs = 3,
     .attributes = kQuantizeAttrs,
     .infer = infer_quantize,
     .lower = lower_quantize,
     .layout = LayoutRule::kFollow},
    {.name = "DequantizeLinear",
     .doc = "(x - zero point) * scale.",
     .min_inputs = 2,
     .max_inputs = 3,
     .attributes = kDequantizeAttrs,
     .infer = infer_dequantize,
     .lower = lower_dequantize,
     .layout = LayoutRule::kFollow},
};

}  // namespace

extern const OpTable quantize_ops;
const OpTable quantize_ops = {kOps};

}  // namespace lanewise
