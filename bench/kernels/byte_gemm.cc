// 48 rows against each panel, 256 deep.
#include "bench/kernels/work.h"
#include "engine/kernels/bytes/bytes.h"

namespace lanewise::bench {

std::vector<Work> bench_byte_gemm(Isa isa) {
  constexpr std::int64_t kRows = 48, kDepth = 256;
  const kernels::ByteGemm& kernel = kernels::byte_gemm(isa);
  const auto a = numbers<std::uint8_t>(kRows * kDepth);
  std::vector<const std::uint8_t*> rows;
  for (std::int64_t r = 0; r < kRows; ++r) rows.push_back(a->data() + r * kDepth);
  std::vector<Work> works;
  for (int vectors = 1; vectors <= kernels::ByteGemm::kMaxVectors; ++vectors) {
    const int columns = vectors * kernel.lanes;
    const auto panel = numbers<std::uint8_t>(kDepth * columns);
    const auto starts = numbers<std::int32_t>(columns);
    const auto scales = numbers<float>(columns);
    const auto out = numbers<std::uint8_t>(kRows * columns);
    for (const bool is_signed : {false, true}) {
      const auto run = [=, kept = a, tile = kernel.tiles[is_signed][vectors]] {
        kernels::ByteTile t;
        t.count = kRows;
        t.rows = rows.data();
        t.row_step = kRows;
        t.depth = kDepth;
        t.panel = panel->data();
        t.starts = starts->data();
        t.out = out->data();
        t.ldc = t.columns = columns;
        t.output = {kernels::ByteResult::kUnsigned, scales->data(), nullptr, 0, 0, 255};
        tile(t);
      };
      works.push_back({std::to_string(columns) + (is_signed ? " columns, signed" : " columns"),
                       2.0 * kRows * kDepth * columns, 0, run});
    }
  }
  return works;
}

}  // namespace lanewise::bench
