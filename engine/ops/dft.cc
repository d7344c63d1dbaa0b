// DFT and STFT: discrete Fourier transforms along an axis, and of overlapping frames of a signal.
#include <string>
#include <utility>

#include "engine/cpu/fft.h"
#include "engine/ops/eltwise.h"

namespace lanewise {
namespace {

// The one value of input i, an integer, or `fallback` when it is left out.
std::int64_t scalar_or(const InferContext& c, int i, std::int64_t fallback) {
  if (!c.has_input(i)) return fallback;
  c.expect_dtype(i, {DType::kInt32, DType::kInt64});
  if (c.shape(i).elements() != 1) {
    c.fail("input " + std::to_string(i) + " must be a scalar, found shape " + c.shape(i).str());
  }
  return c.need_ints(i)[0];
}

std::int64_t checked_length(const OpContext& c, std::int64_t length, const char* what) {
  if (length < 1 || length > std::int64_t{1} << 40) {
    c.fail(std::string(what) + " is " + std::to_string(length) + ", expected 1 or more");
  }
  return length;
}

struct DftForm {
  int axis = 0;
  std::int64_t length = 0, bins = 0;  // of the transform; of the output along the axis
  bool inverse = false, hermitian = false;
};

// `content` gives an integer input's value.
template <class Scalar>
DftForm dft_form(const OpContext& c, Scalar scalar) {
  const Shape& shape = c.shape(0);
  const std::int64_t axis = scalar(2, -2);
  const auto normal = normalize_axis(axis, shape.rank());
  if (!normal || *normal == shape.rank() - 1) {
    c.fail("axis " + std::to_string(axis) + " is outside the signal's dimensions of shape " +
           shape.str() + "; the last one holds real and imaginary parts");
  }
  DftForm form;
  form.axis = *normal;
  form.inverse = c.attr_int("inverse") != 0;
  const bool onesided = c.attr_int("onesided") != 0;
  form.hermitian = form.inverse && onesided;
  const std::int64_t given = shape[form.axis];
  form.length =
      checked_length(c, scalar(1, form.hermitian ? 2 * (given - 1) : given), "the DFT length");
  form.bins = onesided && !form.inverse ? form.length / 2 + 1 : form.length;
  return form;
}

void infer_dft(InferContext& c) {
  expect_types(c, 0, kFloats);
  const Shape& shape = c.shape(0);
  if (shape.rank() < 2 || (shape[shape.rank() - 1] != 1 && shape[shape.rank() - 1] != 2)) {
    c.fail("input 0 must have shape [..., 1] (real) or [..., 2] (complex), found " + shape.str());
  }
  const DftForm form =
      dft_form(c, [&](int i, std::int64_t fallback) { return scalar_or(c, i, fallback); });
  if (form.hermitian && shape[shape.rank() - 1] != 2) {
    c.fail("the inverse of a one-sided transform needs a complex input, found shape " +
           shape.str());
  }
  Shape out = shape;
  out[form.axis] = form.bins;
  out[shape.rank() - 1] = form.hermitian ? 1 : 2;
  static_cast<void>(out.elements());
  c.set_output(0, c.dtype(0), out);
}

template <class T, class C>
Step fft_step(const LowerContext& c, std::int64_t length, const FftLines& lines, int window) {
  const FftPlan<T, C> plan = plan_fft<T, C>(length, lines, c.isa());
  Step step;
  step.algorithm = plan.fft->algorithm();
  step.scratch_bytes = plan.scratch_bytes(c.threads());
  step.run = [plan, window](const RunContext& run) {
    plan.run(run.in<T>(0), run.has_in(window) ? run.in<T>(window) : nullptr, run.out<T>(0),
             run.scratch, run.threads);
  };
  return step;
}

// A short transform costs less than moving its elements. Of a real signal its sums are taken in
// float64, so that bins which must be zero are, next to others that are large.
constexpr std::int64_t kShort = 32;

Step lower_lines(const LowerContext& c, std::int64_t length, const FftLines& lines, int window) {
  if (c.dtype(0) == DType::kFloat64) return fft_step<double, double>(c, length, lines, window);
  return length <= kShort && !lines.in_complex ? fft_step<float, double>(c, length, lines, window)
                                               : fft_step<float, float>(c, length, lines, window);
}

Step lower_dft(LowerContext& c) {
  const DftForm form = dft_form(c, [&](int i, std::int64_t fallback) {
    return c.has_input(i) ? c.content(i)->int_values()[0] : fallback;
  });
  const Shape &in = c.shape(0), &out = c.out_shape(0);
  const int last = in.rank() - 1;
  const std::int64_t inner = in.elements(form.axis + 1, last);
  FftLines lines;
  lines.count = in.elements(0, form.axis) * inner;
  lines.group = std::max<std::int64_t>(inner, 1);
  lines.in_complex = in[last] == 2;
  lines.in_line = in[last];
  lines.in_step = inner * in[last];
  lines.in_size = in[form.axis];
  lines.in_group = lines.in_step * in[form.axis];
  lines.out_complex = out[last] == 2;
  lines.out_line = out[last];
  lines.out_step = inner * out[last];
  lines.out_size = form.bins;
  lines.out_group = lines.out_step * form.bins;
  lines.inverse = form.inverse;
  lines.hermitian = form.hermitian;
  return lower_lines(c, form.length, lines, 3);
}

struct StftForm {
  std::int64_t step = 1, length = 0, frames = 0, bins = 0;
  bool complex = false;
};

template <class Scalar>
StftForm stft_form(const OpContext& c, Scalar scalar) {
  const Shape& signal = c.shape(0);
  StftForm form;
  form.complex = signal.rank() == 3 && signal[2] == 2;
  form.step = checked_length(c, scalar(1, 0), "the frame step");
  const std::int64_t window = c.has_input(2) ? c.shape(2)[0] : signal[1];
  form.length = checked_length(c, scalar(3, window), "the frame length");
  if (c.has_input(2) && window != form.length) {
    c.fail("the window has " + std::to_string(window) + " elements, the frames " +
           std::to_string(form.length));
  }
  if (form.length > signal[1]) {
    c.fail("frames of " + std::to_string(form.length) + " elements do not fit a signal of " +
           std::to_string(signal[1]));
  }
  form.frames = (signal[1] - form.length) / form.step + 1;
  form.bins = c.attr_int("onesided") != 0 ? form.length / 2 + 1 : form.length;
  return form;
}

void infer_stft(InferContext& c) {
  expect_types(c, 0, kFloats);
  c.expect_rank(0, 2, 3);
  const Shape& signal = c.shape(0);
  if (signal.rank() == 3 && signal[2] != 1 && signal[2] != 2) {
    c.fail("input 0 must have shape [batch, length, 1] (real) or [batch, length, 2] (complex), " +
           std::string("found ") + signal.str());
  }
  if (c.has_input(2)) {
    c.expect_same_dtype(0, 2);
    c.expect_rank(2, 1, 1);
  }
  const StftForm form =
      stft_form(c, [&](int i, std::int64_t fallback) { return scalar_or(c, i, fallback); });
  const Shape out{signal[0], form.frames, form.bins, 2};
  static_cast<void>(out.elements());
  c.set_output(0, c.dtype(0), out);
}

Step lower_stft(LowerContext& c) {
  const StftForm form = stft_form(c, [&](int i, std::int64_t fallback) {
    return c.has_input(i) ? c.content(i)->int_values()[0] : fallback;
  });
  const std::int64_t parts = form.complex ? 2 : 1;
  FftLines lines;
  lines.count = c.shape(0)[0] * form.frames;
  lines.group = form.frames;
  lines.in_complex = form.complex;
  lines.in_group = c.shape(0)[1] * parts;
  lines.in_line = form.step * parts;
  lines.in_step = parts;
  lines.in_size = form.length;
  lines.out_group = form.frames * form.bins * 2;
  lines.out_line = form.bins * 2;
  lines.out_step = 2;
  lines.out_size = form.bins;
  return lower_lines(c, form.length, lines, 2);
}

// 5 n log2(n) for each of the lines, as is usual to count.
double fft_flops(const OpContext&, std::span<const ValueInfo> outputs) {
  if (outputs.empty() || outputs[0].shape.rank() < 2) return 0.0;
  const Shape& out = outputs[0].shape;
  const double elements = static_cast<double>(out.elements()) / 2.0;
  return 5.0 * elements * std::log2(std::max(2.0, static_cast<double>(out[out.rank() - 2])));
}

constexpr AttrDef kOnesided = {.name = "onesided",
                               .type = AttrType::kInt,
                               .doc = "1: only the bins up to half the length, which tell all"};
constexpr AttrDef kDftAttrs[] = {
    {.name = "inverse", .type = AttrType::kInt, .doc = "1: from the spectrum back, divided by n"},
    kOnesided};
constexpr AttrDef kStftAttrs[] = {
    {.name = "onesided", .type = AttrType::kInt, .doc = kOnesided.doc, .int_default = 1}};

constexpr OpDef kOps[] = {
    {.name = "DFT",
     .doc = "The discrete Fourier transform along an axis.",
     .max_inputs = 3,
     .attributes = kDftAttrs,
     .infer = infer_dft,
     .lower = lower_dft,
     .flops = fft_flops},
    {.name = "STFT",
     .doc = "Fourier transforms of windowed frames of a signal.",
     .min_inputs = 2,
     .max_inputs = 4,
     .attributes = kStftAttrs,
     .infer = infer_stft,
     .lower = lower_stft,
     .flops = fft_flops},
};

}  // namespace

extern const OpTable dft_ops;
const OpTable dft_ops = {kOps};

}  // namespace lanewise
