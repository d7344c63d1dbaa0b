// Comparisons, logic, bit operations and selection of broadcast operands.
#include <complex>
#include <string>

#include "engine/ops/binary.h"

namespace lanewise {
namespace {

template <unsigned types>
void infer_comparison(InferContext& c) {
  c.set_output(0, DType::kBool, infer_broadcast(c, types));
}

template <class F>
RowsRun comparison_rows(DType type) {
  RowsRun result = nullptr;
  visit_number(type, [&]<class T>(std::type_identity<T>) { result = run_rows<T, T, bool, F>; });
  return result;
}

template <class F>
Step lower_comparison(LowerContext& c) {
  const std::size_t size = dtype_size(c.dtype(0));
  return binary_rows_step(c, comparison_rows<F>(c.dtype(0)), {size, size, 1});
}

// a < b is b > a, by the loop of the latter.
template <class F>
Step lower_swapped(LowerContext& c) {
  const std::size_t size = dtype_size(c.dtype(0));
  Step step;
  step.run = [loop = broadcast_loop(c, {1, 0}), f = comparison_rows<F>(c.dtype(0)),
              size](const RunContext& run) {
    parallel_for(run.threads, loop.elements, kGrain, [&](std::int64_t begin, std::int64_t end) {
      run_part(loop, f, {size, size, 1}, run.in<void>(1), run.in<void>(0), run.out<void>(0), begin,
               end);
    });
  };
  step.algorithm = "broadcast";
  return step;
}

Step lower_equal(LowerContext& c) {
  switch (c.dtype(0)) {
    case DType::kString: return binary_step<std::string, std::string, bool, EqualFunction>(c);
    case DType::kInt8:
    case DType::kBool: return binary_step<std::uint8_t, std::uint8_t, bool, EqualFunction>(c);
    case DType::kInt16: return binary_step<std::uint16_t, std::uint16_t, bool, EqualFunction>(c);
    case DType::kInt32: return binary_step<std::uint32_t, std::uint32_t, bool, EqualFunction>(c);
    case DType::kInt64: return binary_step<std::uint64_t, std::uint64_t, bool, EqualFunction>(c);
    default: return lower_comparison<EqualFunction>(c);
  }
}

template <class F>
Step lower_logic(LowerContext& c) {
  return binary_step<bool, bool, bool, F>(c);
}

template <class F>
Step lower_bits(LowerContext& c) {
  switch (dtype_size(c.dtype(0))) {
    case 1: return binary_step<std::uint8_t, std::uint8_t, std::uint8_t, F>(c);
    case 2: return binary_step<std::uint16_t, std::uint16_t, std::uint16_t, F>(c);
    case 4: return binary_step<std::uint32_t, std::uint32_t, std::uint32_t, F>(c);
    default: return binary_step<std::uint64_t, std::uint64_t, std::uint64_t, F>(c);
  }
}

template <class F>
Step lower_signed_bits(LowerContext& c) {
  Step step;
  visit_number(c.dtype(0), [&]<class T>(std::type_identity<T>) {
    if constexpr (std::is_integral_v<T>) step = binary_step<T, T, T, F>(c);
  });
  return step;
}

bool shifts_left(const OpContext& c) { return c.attr_string("direction") == "LEFT"; }

void infer_shift(InferContext& c) {
  const std::string_view direction = c.attr_string("direction");
  if (direction != "LEFT" && direction != "RIGHT") {
    c.fail("attribute 'direction' is '" + std::string(direction) + "', expected 'LEFT' or 'RIGHT'");
  }
  infer_binary<kIntegers>(c);
}

Step lower_shift(LowerContext& c) {
  return shifts_left(c) ? lower_signed_bits<ShiftLeftFunction>(c)
                        : lower_signed_bits<ShiftRightFunction>(c);
}

void infer_where(InferContext& c) {
  c.expect_dtype(0, {DType::kBool});
  c.expect_same_dtype(1, 2);
  std::optional<Shape> shape = broadcast(c.shape(1), c.shape(2));
  if (shape) shape = broadcast(c.shape(0), *shape);
  if (!shape) {
    c.fail("condition of shape " + c.shape(0).str() + " and values of shapes " + c.shape(1).str() +
           " and " + c.shape(2).str() +
           " do not broadcast; aligned at the right, dimensions must be equal or 1");
  }
  c.set_output(0, c.dtype(1), *shape);
}

// Without a branch where T has bits to mask: conditions are seldom predictable.
template <class T>
T pick(bool test, const T& x, const T& y) {
  if constexpr (std::is_unsigned_v<T>) {
    const T mask = static_cast<T>(T{0} - static_cast<T>(test));
    return static_cast<T>((x & mask) | (y & static_cast<T>(~mask)));
  } else {
    return test ? x : y;
  }
}

// Values are moved, never looked at, so that one T serves all types of its size.
template <class T>
Step where_step(const LowerContext& c) {
  Step step;
  step.run = [loop = broadcast_loop(c, {0, 1, 2})](const RunContext& run) {
    const std::int64_t test_col = loop.col_stride(0), x_col = loop.col_stride(1),
                       y_col = loop.col_stride(2);
    const bool dense = test_col == 1 && x_col == 1 && y_col == 1;
    parallel_for(run.threads, loop.elements, kGrain, [&](std::int64_t begin, std::int64_t end) {
      loop.for_blocks(begin, end, [&](const BroadcastLoop::Block& block) {
        for (std::int64_t row = 0; row < block.rows; ++row) {
          const bool* test = run.in<bool>(0) + block.in[0] + row * loop.row_stride(0);
          const T* x = run.in<T>(1) + block.in[1] + row * loop.row_stride(1);
          const T* y = run.in<T>(2) + block.in[2] + row * loop.row_stride(2);
          T* out = run.out<T>(0) + block.out + row * block.cols;
          if (dense) {
            for (std::int64_t i = 0; i < block.cols; ++i) out[i] = pick(test[i], x[i], y[i]);
          } else {
            for (std::int64_t i = 0; i < block.cols; ++i) {
              out[i] = pick(test[i * test_col], x[i * x_col], y[i * y_col]);
            }
          }
        }
      });
    });
  };
  step.algorithm = "select";
  return step;
}

Step lower_where(LowerContext& c) {
  if (c.dtype(1) == DType::kString) return where_step<std::string>(c);
  switch (dtype_size(c.dtype(1))) {
    case 1: return where_step<std::uint8_t>(c);
    case 2: return where_step<std::uint16_t>(c);
    case 4: return where_step<std::uint32_t>(c);
    case 8: return where_step<std::uint64_t>(c);
    default: return where_step<std::complex<double>>(c);
  }
}

constexpr AttrDef kShiftAttrs[] = {
    {.name = "direction", .type = AttrType::kString, .doc = "'LEFT' or 'RIGHT'", .required = true}};

constexpr auto infer_logic = infer_binary<kBools>;
constexpr auto infer_bits = infer_binary<kIntegers>;
constexpr auto infer_order = infer_comparison<kNumbers>;

constexpr OpDef kOps[] = {
    binary_op("Equal", "a == b; NaN equals nothing.", lower_equal,
              infer_comparison<kNumbers | kBools | kStrings>),
    binary_op("Greater", "a > b.", lower_comparison<GreaterFunction>, infer_order),
    binary_op("GreaterOrEqual", "a >= b.", lower_comparison<GreaterOrEqualFunction>, infer_order),
    binary_op("Less", "a < b.", lower_swapped<GreaterFunction>, infer_order),
    binary_op("LessOrEqual", "a <= b.", lower_swapped<GreaterOrEqualFunction>, infer_order),
    binary_op("And", "Both.", lower_logic<BitAndFunction>, infer_logic, 3),
    binary_op("Or", "Either or both.", lower_logic<BitOrFunction>, infer_logic, 3),
    binary_op("Xor", "Exactly one.", lower_logic<BitXorFunction>, infer_logic, 3),
    binary_op("BitwiseAnd", "Bits that both have.", lower_bits<BitAndFunction>, infer_bits, 3),
    binary_op("BitwiseOr", "Bits that either has.", lower_bits<BitOrFunction>, infer_bits, 3),
    binary_op("BitwiseXor", "Bits that exactly one has.", lower_bits<BitXorFunction>, infer_bits,
              3),
    binary_op("BitShift", "a shifted by b bits; to the right with copies of a signed type's sign.",
              lower_shift, infer_shift, 3, kShiftAttrs),
    {.name = "Where",
     .doc = "x where the condition holds, else y.",
     .min_inputs = 3,
     .max_inputs = 3,
     .infer = infer_where,
     .lower = lower_where,
     .layout = LayoutRule::kFollow,
     .inplace = 6,
     .any_float = true},
};

}  // namespace

extern const OpTable compare_ops;
const OpTable compare_ops = {kOps};

}  // namespace lanewise
