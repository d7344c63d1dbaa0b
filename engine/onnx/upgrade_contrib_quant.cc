// Quantised products of com.microsoft: integer products between a quantisation and a scale, and
// weights of a few bits in blocks of any order, which are expanded when the file is read.
#include <string>

#include "engine/onnx/upgrade.h"

namespace lanewise::onnx {
namespace {

constexpr std::string_view kMicrosoft = "com.microsoft";

// (a - a_zero) (b - b_zero) a_scale b_scale + bias
void become_scaled_product(Rewriter& r, std::vector<std::string> operands,
                           const std::string& a_scale, const std::string& b_scale,
                           const std::string& bias) {
  const std::string product = r.before("MatMulInteger", std::move(operands));
  const std::string real =
      r.before("Cast", {product}, attrs({{"to", static_cast<std::int64_t>(r.type_of(b_scale))}}));
  const std::string scale = r.before("Mul", {a_scale, b_scale});
  if (bias.empty()) return r.become("Mul", {real, scale});
  r.become("Add", {r.before("Mul", {real, scale}), bias});
}

std::string optional_input(const Rewriter& r, std::size_t i) {
  return r.has_input(i) ? r.input(i) : std::string();
}

void dynamic_quantize_matmul(Rewriter& r) {
  const std::vector<std::string> a = r.before_all("DynamicQuantizeLinear", {r.input(0)}, 3);
  become_scaled_product(r, {a[0], r.input(1), a[2], optional_input(r, 3)}, a[1], r.input(2),
                        optional_input(r, 4));
}

void matmul_integer_to_float(Rewriter& r) {
  become_scaled_product(r, {r.input(0), r.input(1), optional_input(r, 4), optional_input(r, 5)},
                        r.input(2), r.input(3), optional_input(r, 6));
}

// alpha (a - a_zero) (b - b_zero) a_scale b_scale + bias, as a float or quantised again. The bias
// counts in units of the product.
void q_gemm(Rewriter& r) {
  std::string operands[] = {r.input(0), r.input(3)};
  const char* const names[] = {"transA", "transB"};
  for (std::size_t i = 0; i < 2; ++i) {
    if (r.take<std::int64_t>(names[i]).value_or(0) == 0) continue;
    const std::vector<std::int64_t> perm{1, 0};
    operands[i] = r.before("Transpose", {operands[i]}, attrs({{"perm", perm}}));
  }
  std::string sum = r.before("MatMulInteger", {operands[0], operands[1], r.input(2), r.input(5)});
  if (r.has_input(6)) sum = r.before("Add", {sum, r.input(6)});
  const std::string real = r.before("Cast", {sum}, attrs({{"to", std::int64_t{1}}}));
  std::string scale = r.before("Mul", {r.input(1), r.input(4)});
  const float alpha = r.take<float>("alpha").value_or(1.0f);
  if (alpha != 1.0f) scale = r.before("Mul", {scale, r.number(alpha, DType::kFloat32)});
  if (!r.has_input(7)) return r.become("Mul", {real, scale});
  r.become("QuantizeLinear", {r.before("Mul", {real, scale}), r.input(7), optional_input(r, 8)});
}

// The number that inputs i to i + 2 stand for.
std::string dequantized(Rewriter& r, std::size_t i) {
  return r.before("DequantizeLinear", {r.input(i), r.input(i + 1), optional_input(r, i + 2)});
}

void q_linear_where(Rewriter& r) {
  const std::string y = r.before("Where", {r.input(0), dequantized(r, 1), dequantized(r, 4)});
  r.become("QuantizeLinear", {y, r.input(7), optional_input(r, 8)});
}

// Forms that com.microsoft had first, for 16- and 4-bit integers.
void quantize_linear(Rewriter& r) {
  r.become("QuantizeLinear", std::move(r.node.inputs), std::move(r.node.attributes));
}
void dequantize_linear(Rewriter& r) {
  r.become("DequantizeLinear", std::move(r.node.inputs), std::move(r.node.attributes));
}

// Weights of `bits` bits each, [n][blocks][block * bits / 8] bytes, low bits first.
struct PackedWeights {
  std::int64_t n = 0, k = 0, bits = 4, block = 0, blocks = 0;
  const Tensor* values = nullptr;
  const Tensor* scales = nullptr;  // [n][blocks]
  const Tensor* zeros = nullptr;   // packed like the values, or numbers like the scales, or null
  const Tensor* groups = nullptr;  // block of each k, or null

  int at(const std::uint8_t* row, std::int64_t i) const {
    const std::int64_t in_byte = 8 / bits;
    const auto shift = static_cast<int>(i % in_byte * bits);
    return row[i / in_byte] >> shift & ((1 << bits) - 1);
  }

  float zero(std::int64_t j, std::int64_t b, const std::vector<double>& real) const {
    if (zeros == nullptr) return static_cast<float>(1 << (bits - 1));
    if (zeros->dtype() != DType::kUInt8)
      return static_cast<float>(real[static_cast<std::size_t>(j * blocks + b)]);
    const std::int64_t bytes = (blocks * bits + 7) / 8;
    return static_cast<float>(at(zeros->as<std::uint8_t>() + j * bytes, b));
  }

  // [k, n], as MatMul takes it.
  Tensor expand() const {
    Tensor result = Tensor::allocate(scales->dtype(), Shape{k, n});
    const std::vector<double> factors = scales->float_values();
    const std::vector<double> real = zeros != nullptr && zeros->dtype() != DType::kUInt8
                                         ? zeros->float_values()
                                         : std::vector<double>{};
    const std::int64_t row_bytes = blocks * (block * bits / 8);
    visit_scalar(scales->dtype(), [&]<class T>(std::type_identity<T>) {
      for (std::int64_t j = 0; j < n; ++j) {
        const std::uint8_t* const row = values->as<std::uint8_t>() + j * row_bytes;
        for (std::int64_t i = 0; i < k; ++i) {
          const std::int64_t b = groups != nullptr ? groups->as<std::int32_t>()[i] : i / block;
          const float factor =
              static_cast<float>(factors[static_cast<std::size_t>(j * blocks + b)]);
          const float value = (static_cast<float>(at(row, i)) - zero(j, b, real)) * factor;
          result.mutable_as<T>()[i * n + j] = static_cast<T>(value);
        }
      }
    });
    return result;
  }
};

const Tensor* constant_input(const Rewriter& r, std::size_t i, const char* name) {
  if (!r.has_input(i)) return nullptr;
  const Tensor* tensor = r.content(r.input(i));
  if (tensor == nullptr) {
    r.unsupported(std::string("input '") + name +
                  "' that is not a constant; make it an initializer");
  }
  return tensor;
}

void check_weights(const Rewriter& r, const PackedWeights& w) {
  const auto expect = [&](const Tensor* tensor, const char* name, std::int64_t elements) {
    if (tensor == nullptr || tensor->elements() == elements) return;
    r.fail(std::string("input '") + name + "' must have " + std::to_string(elements) +
           " elements, found shape " + tensor->shape().str());
  };
  const bool known_zeros =
      w.zeros == nullptr || w.zeros->dtype() == DType::kUInt8 || is_floating(w.zeros->dtype());
  if (w.values->dtype() != DType::kUInt8 || !is_floating(w.scales->dtype()) || !known_zeros)
    r.fail("'B' must be uint8, 'scales' floating, 'zero_points' uint8 or floating");
  if (w.groups != nullptr && w.groups->dtype() != DType::kInt32) r.fail("'g_idx' must be int32");
  const std::int64_t per_row = checked_multiply(w.blocks, w.block * w.bits / 8);
  expect(w.values, "B", checked_multiply(w.n, per_row));
  expect(w.scales, "scales", checked_multiply(w.n, w.blocks));
  const bool packed = w.zeros != nullptr && w.zeros->dtype() == DType::kUInt8;
  expect(w.zeros, "zero_points", w.n * (packed ? (w.blocks * w.bits + 7) / 8 : w.blocks));
  expect(w.groups, "g_idx", w.k);
  for (std::int64_t i = 0; w.groups != nullptr && i < w.k; ++i) {
    const std::int32_t b = w.groups->as<std::int32_t>()[i];
    if (b < 0 || b >= w.blocks) r.fail("'g_idx' has " + std::to_string(b) + ", expected a block");
  }
}

// Blocks that are not in the order of the depth (g_idx) are expanded here; the operator itself
// takes the others.
void matmul_n_bits(Rewriter& r) {
  if (!r.has_input(4)) return;
  PackedWeights w;
  (void)r.input(1);
  (void)r.input(2);
  w.values = constant_input(r, 1, "B");
  w.scales = constant_input(r, 2, "scales");
  w.zeros = constant_input(r, 3, "zero_points");
  w.groups = constant_input(r, 4, "g_idx");
  w.n = r.take<std::int64_t>("N").value_or(0);
  w.k = r.take<std::int64_t>("K").value_or(0);
  w.bits = r.take<std::int64_t>("bits").value_or(4);
  w.block = r.take<std::int64_t>("block_size").value_or(0);
  r.drop("accuracy_level");
  if (r.take<std::int64_t>("weight_prepacked").value_or(0) != 0)
    r.unsupported("weights that are packed for one kind of processor (weight_prepacked)");
  if (w.bits != 2 && w.bits != 4 && w.bits != 8)
    r.unsupported("bits = " + std::to_string(w.bits) + "; 2, 4 and 8 are supported");
  constexpr std::int64_t kMost = std::int64_t{1} << 40;
  if (w.n < 1 || w.k < 1 || w.n > kMost || w.k > kMost || w.block < 16 || w.block > kMost ||
      w.block % 8 != 0) {
    r.fail("attributes 'N', 'K' and 'block_size' must be positive, the last a multiple of 16");
  }
  w.blocks = (w.k + w.block - 1) / w.block;
  check_weights(r, w);
  const std::string b = r.constant(w.expand());
  if (!r.has_input(5)) return r.become("MatMul", {r.input(0), b});
  r.become("Add", {r.before("MatMul", {r.input(0), b}), r.input(5)});
}

constexpr Rule kRules[] = {
    {"DynamicQuantizeMatMul", 0, kNewestOpset, dynamic_quantize_matmul, kMicrosoft},
    {"MatMulIntegerToFloat", 0, kNewestOpset, matmul_integer_to_float, kMicrosoft},
    {"QGemm", 0, kNewestOpset, q_gemm, kMicrosoft},
    {"QLinearWhere", 0, kNewestOpset, q_linear_where, kMicrosoft},
    {"QuantizeLinear", 0, kNewestOpset, quantize_linear, kMicrosoft},
    {"DequantizeLinear", 0, kNewestOpset, dequantize_linear, kMicrosoft},
    {"MatMulNBits", 0, kNewestOpset, matmul_n_bits, kMicrosoft},
};

}  // namespace

std::span<const Rule> contrib_quant_rules() { return kRules; }

}  // namespace lanewise::onnx
