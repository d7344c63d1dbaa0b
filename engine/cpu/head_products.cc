// Packing of keys and values, and the products of row blocks.
#include "engine/cpu/head_products.h"

#include <algorithm>
#include <array>
#include <type_traits>

#include "engine/base/parallel.h"
#include "engine/base/rounding.h"
#include "engine/base/shape.h"

namespace lanewise {
namespace {

constexpr std::int64_t kMostRows = 192;
constexpr std::int64_t kBlockScores = 32768;  // of one block: 128 KiB of float32

// Where the rows of a block of queries, or of their results, begin.
template <class T>
T* row_at(const HeadShapes& s, const HeadRows& rows, T* data, std::int64_t pair, std::int64_t r) {
  const std::int64_t head = pair % s.kv_heads * s.group() + r / s.queries;
  return data + pair / s.kv_heads * rows.batch + head * rows.head + r % s.queries * rows.row;
}

template <class T>
const T* head_at(const HeadShapes& s, const HeadRows& rows, const T* data, std::int64_t pair) {
  return data + pair / s.kv_heads * rows.batch + pair % s.kv_heads * rows.head;
}

}  // namespace

template <class T>
HeadProducts<T>::HeadProducts(const HeadShapes& shapes, Isa isa)
    : shapes_(shapes),
      few_rows_(&kernels::few_rows(isa)),
      multiply_(kernels::eltwise_binary(isa).run[static_cast<int>(kernels::Binary::kMul)]) {
  if constexpr (std::is_same_v<T, float>) {
    keys_ = plan_gemm(isa, shapes.keys, 1, shapes.head);
    values_ = plan_gemm(isa, shapes.v_head, 1, shapes.keys);
    if (few()) return;
    key_floats_ = round_up(keys_.packed_floats(), 16);
    value_floats_ = round_up(values_.packed_floats(), 16);
  }
}

template <class T>
std::int64_t HeadProducts<T>::packed_elements() const {
  return checked_multiply(shapes_.pairs(), key_floats_ + value_floats_);
}

template <class T>
std::int64_t HeadProducts<T>::block_rows(int threads) const {
  const std::int64_t tile = std::is_same_v<T, float> ? keys_.tile_rows() : 4;
  const std::int64_t all = shapes_.group_rows();
  std::int64_t rows = kBlockScores / std::max<std::int64_t>(1, shapes_.keys);
  // Two blocks for each thread even out blocks of unlike length.
  if (threads > 1) rows = std::min(rows, shapes_.pairs() * all / (2 * threads));
  rows = std::min(std::max(tile, rows / tile * tile), kMostRows);
  // As many blocks, but of one size.
  const std::int64_t blocks = std::max<std::int64_t>(1, (all + rows - 1) / rows);
  rows = std::min(rows, round_up((all + blocks - 1) / blocks, tile));
  return std::max<std::int64_t>(1, std::min(rows, all));
}

template <class T>
void HeadProducts<T>::pack(const T* k, const T* v, T* packed, int threads) const {
  if constexpr (std::is_same_v<T, float>) {
    if (few()) return;
    const HeadShapes& s = shapes_;
    const auto scale = static_cast<float>(s.scale);
    const std::int64_t key_panels = keys_.panels(), all = key_panels + values_.panels();
    parallel_for(threads, s.pairs() * all, 1, [&](std::int64_t begin, std::int64_t end) {
      for (; begin < end; ++begin) {
        const std::int64_t pair = begin / all, panel = begin % all;
        float* const to = packed + pair * (key_floats_ + value_floats_);
        if (panel >= key_panels) {
          const PackSource source{head_at(s, s.v, v, pair), 0, s.v.row, 1};
          pack_panels(values_, source, panel - key_panels, panel - key_panels + 1,
                      to + key_floats_);
          continue;
        }
        const PackSource source{head_at(s, s.k, k, pair), 0, 1, s.k.row};
        pack_panels(keys_, source, panel, panel + 1, to);
        const std::int64_t first = panel * keys_.width() * s.head;
        const std::int64_t last =
            panel + 1 == key_panels ? keys_.packed_floats() : first + keys_.width() * s.head;
        kernels::BinaryBlock scaled{to + first, &scale, to + first, 1, last - first};
        scaled.b_col = 0;
        multiply_(scaled);
      }
    });
  }
}

template <class T>
void HeadProducts<T>::scores(const RowBlock& block, const T* q, const T* k, const T* packed,
                             T* s_out, std::int64_t ld) const {
  const HeadShapes& s = shapes_;
  if constexpr (std::is_same_v<T, float>) {
    std::array<const float*, kMostRows> rows;
    for (std::int64_t r = 0; r < block.count; ++r)
      rows[static_cast<std::size_t>(r)] = row_at(s, s.q, q, block.pair, block.first + r);
    if (few()) {
      few_rows_->dots({rows.data(), block.count, s.head, block.keys, head_at(s, s.k, k, block.pair),
                       s.k.row, static_cast<float>(s.scale), s_out, ld});
      return;
    }
    const std::int64_t panels = (block.keys + keys_.width() - 1) / keys_.width();
    run_block(keys_, {rows.data(), 0, 0, block.count, 0},
              packed + block.pair * (key_floats_ + value_floats_), 0, panels, {s_out, ld, {}});
  } else {
    const T* const keys = head_at(s, s.k, k, block.pair);
    for (std::int64_t r = 0; r < block.count; ++r) {
      const T* const query = row_at(s, s.q, q, block.pair, block.first + r);
      for (std::int64_t j = 0; j < block.keys; ++j) {
        T sum = 0;
        for (std::int64_t i = 0; i < s.head; ++i) sum += query[i] * keys[j * s.k.row + i];
        s_out[r * ld + j] = sum * s.scale;
      }
    }
  }
}

template <class T>
void HeadProducts<T>::weigh(const RowBlock& block, const T* p, std::int64_t ld, const T* v,
                            const T* packed, T* y) const {
  const HeadShapes& s = shapes_;
  if constexpr (std::is_same_v<T, float>) {
    const float* const values = packed + block.pair * (key_floats_ + value_floats_) + key_floats_;
    GemmPlan plan = values_;
    plan.k = block.keys;
    std::array<const float*, kMostRows> rows;
    std::int64_t done = 0;
    while (done < block.count) {  // the rows of one head lie evenly
      const std::int64_t first = block.first + done;
      const std::int64_t count = std::min(block.count - done, s.queries - first % s.queries);
      for (std::int64_t r = 0; r < count; ++r)
        rows[static_cast<std::size_t>(r)] = p + (done + r) * ld;
      float* const to = row_at(s, s.y, y, block.pair, first);
      if (few()) {
        few_rows_->sums({rows.data(), count, block.keys, s.v_head, head_at(s, s.v, v, block.pair),
                         s.v.row, 1.0f, to, s.y.row});
        done += count;
        continue;
      }
      for (std::int64_t panel = 0; panel < plan.panels(); ++panel) {
        // Panels were packed for all keys; the plan takes their first rows only.
        const float* const from = values + panel * plan.width() * (s.keys - block.keys);
        run_block(plan, {rows.data(), 0, 0, count, 0}, from, panel, panel + 1, {to, s.y.row, {}});
      }
      done += count;
    }
  } else {
    const T* const values = head_at(s, s.v, v, block.pair);
    for (std::int64_t r = 0; r < block.count; ++r) {
      T* const to = row_at(s, s.y, y, block.pair, block.first + r);
      std::fill(to, to + s.v_head, T(0));
      for (std::int64_t j = 0; j < block.keys; ++j) {
        const T weight = p[r * ld + j];
        for (std::int64_t i = 0; i < s.v_head; ++i) to[i] += weight * values[j * s.v.row + i];
      }
    }
  }
}

template class HeadProducts<float>;
template class HeadProducts<double>;

}  // namespace lanewise
