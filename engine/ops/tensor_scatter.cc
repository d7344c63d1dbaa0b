// TensorScatter: new rows written into a cache of keys or values, in place where the cache is not
// read afterwards.
#include <algorithm>
#include <string>
#include <vector>

#include "engine/base/error.h"
#include "engine/base/parallel.h"
#include "engine/cpu/elements.h"
#include "engine/graph/op.h"

namespace lanewise {
namespace {

enum Input { kCache, kUpdate, kIndices };

bool is_circular(const OpContext& c) {
  const std::string_view mode = c.attr_string("mode");
  if (mode != "linear" && mode != "circular") {
    c.fail("attribute 'mode' is '" + std::string(mode) + "', expected 'linear' or 'circular'");
  }
  return mode == "circular";
}

void infer_scatter(InferContext& c) {
  c.expect_rank(kCache, 2, 64);
  c.expect_same_dtype(kCache, kUpdate);
  const Shape &cache = c.shape(kCache), &update = c.shape(kUpdate);
  const int axis = c.attr_axis(cache.rank());
  if (axis == 0) c.fail("attribute 'axis' must not be 0, the batch");
  (void)is_circular(c);
  bool fits = update.rank() == cache.rank();
  for (int i = 0; fits && i < cache.rank(); ++i)
    fits = i == axis ? update[i] <= cache[i] : update[i] == cache[i];
  if (!fits) {
    c.fail("update of shape " + update.str() + " does not fit the cache of shape " + cache.str() +
           ": expected the same dimensions, but no more along axis " + std::to_string(axis));
  }
  if (c.has_input(kIndices)) {
    c.expect_dtype(kIndices, {DType::kInt64});
    if (c.shape(kIndices) != Shape{cache[0]}) {
      c.fail("write_indices must have shape " + Shape{cache[0]}.str() + ", found " +
             c.shape(kIndices).str());
    }
  }
  c.set_output(0, c.dtype(kCache), cache);
}

struct Cache {
  std::int64_t batches = 0, per_batch = 0;  // blocks before the axis, of one batch
  std::int64_t rows = 0, added = 0, slice = 0;
  bool circular = false;
  std::string where;

  // The row of each batch where its update begins.
  std::vector<std::int64_t> starts(const std::int64_t* indices) const {
    std::vector<std::int64_t> result(static_cast<std::size_t>(batches), 0);
    for (std::int64_t b = 0; indices != nullptr && b < batches; ++b) {
      std::int64_t at = indices[b];
      if (circular && rows > 0) {
        at = (at % rows + rows) % rows;
      } else if (at < 0 || at > rows - added) {
        throw ModelError(where + "write_indices has " + std::to_string(at) + " and the update " +
                         std::to_string(added) + " rows, expected them to end by row " +
                         std::to_string(rows) + " of the cache");
      }
      result[static_cast<std::size_t>(b)] = at;
    }
    return result;
  }

  template <class T>
  void run(const RunContext& run) const {
    const std::vector<std::int64_t> start =
        starts(run.has_in(kIndices) ? run.in<std::int64_t>(kIndices) : nullptr);
    const T* const old = run.in<T>(kCache);
    T* const out = run.out<T>(0);
    const std::int64_t block = rows * slice, grain = 1 + 32768 / (1 + block);
    parallel_for(run.threads, batches * per_batch, grain, [&](std::int64_t i, std::int64_t end) {
      for (; i < end; ++i) {
        T* const to = out + i * block;
        const T* const from = run.in<T>(kUpdate) + i * added * slice;
        if (out != old) std::copy_n(old + i * block, block, to);
        const std::int64_t at = start[static_cast<std::size_t>(i / per_batch)];
        const std::int64_t straight = std::min(added, rows - at);
        std::copy_n(from, straight * slice, to + at * slice);
        std::copy_n(from + straight * slice, (added - straight) * slice, to);
      }
    });
  }
};

Step lower_scatter(LowerContext& c) {
  const Shape& cache = c.shape(kCache);
  const int axis = c.attr_axis(cache.rank());
  Cache plan;
  plan.batches = cache[0];
  plan.per_batch = cache.elements(1, axis);
  plan.rows = cache[axis];
  plan.added = c.shape(kUpdate)[axis];
  plan.slice = cache.elements(axis + 1, cache.rank());
  plan.circular = is_circular(c);
  plan.where = c.where();
  Step step;
  step.algorithm = "copy";
  visit_element(c.dtype(kCache), [&]<class T>(std::type_identity<T>) {
    step.run = [plan](const RunContext& run) { plan.run<T>(run); };
  });
  return step;
}

constexpr AttrDef kAttrs[] = {{.name = "axis",
                               .type = AttrType::kInt,
                               .doc = "the sequence's dimension, not 0",
                               .int_default = -2},
                              {.name = "mode",
                               .type = AttrType::kString,
                               .doc = "'linear', or 'circular': rows wrap around",
                               .string_default = "linear"}};

constexpr OpDef kOps[] = {
    {.name = "TensorScatter",
     .doc = "Writes rows into a cache, from a place of its own in each batch.",
     .min_inputs = 2,
     .max_inputs = 3,
     .attributes = kAttrs,
     .infer = infer_scatter,
     .lower = lower_scatter,
     .inplace = 1,
     .any_float = true,
     .flops = no_flops},
};

}  // namespace

extern const OpTable tensor_scatter_ops;
const OpTable tensor_scatter_ops = {kOps};

}  // namespace lanewise
