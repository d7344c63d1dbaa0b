// One token on a state of 64 keys by 64 columns, with and without the delta rule.
#include "bench/kernels/work.h"
#include "engine/kernels/attention/attention.h"

namespace lanewise::bench {

std::vector<Work> bench_linear_attention(Isa isa) {
  constexpr std::int64_t kSize = 64;
  const kernels::LinearAttention& kernel = kernels::linear_attention(isa);
  const auto state = floats(kSize * kSize), row = floats(kSize), out = floats(kSize);
  const auto decay = floats(1);
  (*decay)[0] = 0.5f;  // so that the state stays bounded
  std::vector<Work> works;
  for (const bool corrects : {false, true}) {
    const auto run = [=] {
      kernels::LinearToken t;
      t.state = state->data();
      t.keys = t.columns = t.stride = t.q_stride = t.out_stride = kSize;
      t.decay = decay->data();
      t.beta = corrects ? decay->data() : nullptr;
      t.k = t.v = t.q = row->data();
      t.queries = 1;
      t.out = out->data();
      kernel.token(t);
    };
    works.push_back({corrects ? "delta rule" : "sum", 0, 8.0 * kSize * kSize, run});
  }
  return works;
}

}  // namespace lanewise::bench
