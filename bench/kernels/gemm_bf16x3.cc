// The tallest and widest product, and the cutting of its factors.
#include "bench/kernels/work.h"
#include "engine/kernels/gemm/bf16x3.h"

namespace lanewise::bench {

std::vector<Work> bench_gemm_bf16x3(Isa isa) {
  using kernels::GemmBf16x3;
  const GemmBf16x3& kernel = kernels::gemm_bf16x3(isa);
  if (kernel.multiply == nullptr) return {};
  constexpr std::int64_t kSteps = 8, kTerms = kSteps * GemmBf16x3::kTerms;
  constexpr std::int64_t kRows = GemmBf16x3::kMostRows, kVectors = GemmBf16x3::kMostVectors;
  constexpr std::int64_t kWidth = kVectors * 16, kLines = kSteps * GemmBf16x3::kParts;
  struct alignas(64) Line {
    std::byte bytes[GemmBf16x3::kLineBytes];
  };
  const auto a = std::make_shared<std::vector<Line>>(kLines * kRows);
  const auto b = std::make_shared<std::vector<Line>>(kLines * kVectors * 16);
  const auto row = floats(kTerms), panel = floats(kTerms * kWidth), c = floats(kRows * kWidth);
  const auto odd = std::make_shared<std::vector<std::uint8_t>>(kRows);
  const auto table = std::make_shared<std::vector<const float*>>(kRows, row->data());
  const auto cut_rows = [=, kept = row] {
    kernels::Bf16x3Rows rows;
    rows.table = table->data();
    rows.k = rows.end = kTerms;
    rows.last = kRows;
    rows.to = a->data()->bytes;
    rows.odd = odd->data();
    kernel.cut_rows(rows);
  };
  const auto cut_panel = [=] {
    kernel.cut_panel({panel->data(), kTerms, static_cast<int>(kVectors), b->data()->bytes});
  };
  cut_rows();
  cut_panel();
  const auto multiply = [=] {
    kernels::Bf16x3Product t;
    t.a = a->data()->bytes;
    t.odd = odd->data();
    t.rows = kRows;
    t.groups = 1;
    t.steps = kSteps;
    t.b = b->data()->bytes;
    t.vectors = static_cast<int>(kVectors);
    t.columns = static_cast<int>(kWidth);
    t.c = c->data();
    t.ldc = kWidth;
    kernel.multiply(t);
  };
  constexpr double kRowFloats = kRows * kTerms, kPanelFloats = kWidth * kTerms;
  return {{"32x64", 2.0 * kRowFloats * kWidth, 0, multiply},
          {"rows", 0, kRowFloats * 10.0, cut_rows},
          {"panel", 0, kPanelFloats * 10.0, cut_panel}};
}

}  // namespace lanewise::bench
