// float32 products through register tiles. A is read in place unless it is transposed; B is packed,
// when the plan is made if it is a constant.
#include "engine/cpu/matmul.h"

#include <algorithm>
#include <array>
#include <memory>
#include <string>
#include <utility>

#include "engine/base/buffer.h"
#include "engine/base/parallel.h"
#include "engine/base/rounding.h"
#include "engine/cpu/gemm.h"
#include "engine/cpu/gemm_bf16x3.h"
#include "engine/cpu/matmul_loops.h"
#include "engine/cpu/strided_copy.h"
#include "engine/graph/backing.h"

namespace lanewise {
namespace {

constexpr std::int64_t kBlockRows = 192;
// A thread woken for less work than this costs more than it saves (about 5 us).
constexpr double kTaskMultiplyAdds = 5e5;
// Floats of a constant that are in memory beside their packed form.
constexpr std::int64_t kWindowFloats = std::int64_t{1} << 19;

struct Tiled {
  MatmulProblem p;
  GemmPlan gemm;
  std::int64_t a_count = 0, b_count = 0;  // matrices of A and of B
  std::int64_t block_rows = 1, row_blocks = 0, column_chunks = 1;
  int threads = 1;
  Isa isa = Isa::kBaseline;
  std::shared_ptr<const std::byte> packed;  // of all matrices of B, when they are constant
  std::shared_ptr<const StridedCopy> transpose;
  // Offsets in scratch memory, in floats: packed B, A transposed, C expanded, what the block of
  // each thread needs.
  std::int64_t a_at = 0, c_at = 0, block_at = 0, block_floats = 0;
  enum class C : std::uint8_t { kNone, kBias, kResidual, kExpanded } c = C::kNone;
};

Tiled::C kind_of_c(const MatmulProblem& p) {
  if (!p.has_c) return Tiled::C::kNone;
  const bool in_columns = p.c_column == 1 || p.n == 1;
  if (p.beta != 1.0f || !in_columns) return Tiled::C::kExpanded;
  return p.c_row == 0 || p.m == 1 ? Tiled::C::kBias : Tiled::C::kResidual;
}

// Not at "reproducible": the rows of a batch's samples are not told apart here, and a sample alone
// may have too few.
bool takes_bf16x3(const GemmPlan& gemm, const MatmulProblem& p, const LowerContext& c) {
  if (c.numerics() != Numerics::kFast || !refuse_bf16x3(gemm, c, p.m).empty()) return false;
  return c.content(1) == nullptr || finite_for_bf16x3(*c.content(1), c.isa());
}

Tiled make_plan(MatmulProblem problem, const LowerContext& c) {
  Tiled plan;
  plan.p = std::move(problem);
  const MatmulProblem& p = plan.p;
  plan.isa = c.isa();
  plan.gemm = plan_gemm(c.isa(), p.n, 1, p.k);
  if (takes_bf16x3(plan.gemm, p, c)) use_bf16x3(plan.gemm, c.isa());
  for (std::int64_t index : p.a_index) plan.a_count = std::max(plan.a_count, index + 1);
  for (std::int64_t index : p.b_index) plan.b_count = std::max(plan.b_count, index + 1);
  plan.c = kind_of_c(p);
  const double work = static_cast<double>(p.m) * static_cast<double>(p.n) *
                      static_cast<double>(p.k) * static_cast<double>(p.batches());
  plan.threads = threads_worth(work, kTaskMultiplyAdds, c.threads());
  const std::int64_t tile = plan.gemm.tile_rows();
  const std::int64_t most = plan.gemm.bf16x3 == nullptr ? kBlockRows : bf16x3_block_rows(plan.gemm);
  const std::int64_t blocks = std::max<std::int64_t>(1, divide_up(p.m, most));
  plan.block_rows = std::max(tile, round_up(divide_up(p.m, blocks), tile));
  plan.row_blocks = divide_up(p.m, plan.block_rows);
  const std::int64_t tasks = std::max<std::int64_t>(1, plan.row_blocks * p.batches());
  if (plan.threads > 1 && tasks < 4 * plan.threads) {
    plan.column_chunks = std::min((4 * plan.threads + tasks - 1) / tasks, plan.gemm.panels());
  }
  return plan;
}

void scale(float* values, std::int64_t count, float by) {
  if (by == 1.0f) return;
  for (std::int64_t i = 0; i < count; ++i) values[i] *= by;
}

void pack(const Tiled& plan, const float* b, std::int64_t matrix, std::int64_t begin,
          std::int64_t end, float* packed) {
  const MatmulProblem& p = plan.p;
  const PackSource source{b + matrix * p.k * p.n, 0, p.b_row(), p.b_column()};
  float* to = packed + matrix * plan.gemm.packed_floats();
  pack_panels(plan.gemm, source, begin, end, to);
  const std::int64_t first = begin * plan.gemm.width() * p.k;
  const std::int64_t last =
      end == plan.gemm.panels() ? plan.gemm.packed_floats() : end * plan.gemm.width() * p.k;
  scale(to + first, last - first, p.alpha);
}

// B whose columns lie one after the other is read a few panels at a time.
void pack_constant(const Tiled& plan, const Tensor& b, float* packed) {
  const MatmulProblem& p = plan.p;
  const std::int64_t panels = plan.gemm.panels(), width = plan.gemm.width();
  const std::int64_t step = std::max<std::int64_t>(1, kWindowFloats / (width * p.k + 1));
  WindowReader reader(b);
  for (std::int64_t matrix = 0; matrix < plan.b_count; ++matrix) {
    if (!p.transpose_b) {
      pack(plan, b.as<float>(), matrix, 0, panels, packed);
      continue;
    }
    float* const to = packed + matrix * plan.gemm.packed_floats();
    for (std::int64_t panel = 0; panel < panels; panel += step) {
      const std::int64_t first = panel * width;
      GemmPlan part = plan.gemm;
      part.n = std::min(step * width, p.n - first);
      const float* columns = reader.at<float>((matrix * p.n + first) * p.k, part.n * p.k);
      pack_panels(part, {columns, 0, p.b_row(), p.b_column()}, 0, part.panels(), to + first * p.k);
      scale(to + first * p.k, part.packed_floats(), p.alpha);
    }
  }
}

void expand_c(const MatmulProblem& p, const float* c, int threads, float* to) {
  parallel_for(threads, p.m, 1 + 65536 / p.n, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      for (std::int64_t j = 0; j < p.n; ++j)
        to[i * p.n + j] = p.beta * c[i * p.c_row + j * p.c_column];
    }
  });
}

void run_task(const Tiled& plan, const GemmPlan& gemm, const RunContext& run, const float* a,
              const float* packed, std::int64_t task, int thread) {
  const MatmulProblem& p = plan.p;
  const std::int64_t chunk = task % plan.column_chunks, rest = task / plan.column_chunks;
  const std::int64_t first = rest % plan.row_blocks * plan.block_rows,
                     batch = rest / plan.row_blocks;
  const std::int64_t count = std::min(plan.block_rows, p.m - first);
  const auto at = static_cast<std::size_t>(batch);
  std::array<const float*, kMostBf16x3Rows + 16> rows;  // block_rows rounds up to whole tiles
  for (std::int64_t i = 0; i < count; ++i) {
    rows[static_cast<std::size_t>(i)] = a + (p.a_index[at] * p.m + first + i) * p.k;
  }
  GemmOutput output;
  output.c = run.out<float>(0) + (batch * p.m + first) * p.n;
  output.ldc = p.n;
  output.epilogue.activation = p.activation;
  output.epilogue.alpha = p.activation_alpha;
  output.epilogue.beta = p.activation_beta;
  if (plan.c == Tiled::C::kBias) output.epilogue.bias = run.in<float>(2);
  if (plan.c == Tiled::C::kResidual) {
    output.epilogue.residual = run.in<float>(2) + first * p.c_row;
    output.epilogue.residual_stride = p.c_row;
  }
  if (plan.c == Tiled::C::kExpanded) {
    output.epilogue.residual =
        reinterpret_cast<const float*>(run.scratch) + plan.c_at + first * p.n;
    output.epilogue.residual_stride = p.n;
  }
  const std::int64_t panels = plan.gemm.panels();
  float* scratch =
      reinterpret_cast<float*>(run.scratch) + plan.block_at + thread * plan.block_floats;
  run_block(gemm, {rows.data(), 0, 0, count, p.k}, packed + p.b_index[at] * gemm.packed_floats(),
            panels * chunk / plan.column_chunks, panels * (chunk + 1) / plan.column_chunks, output,
            reinterpret_cast<std::byte*>(scratch));
}

void run_plan(const Tiled& plan, const RunContext& run) {
  const MatmulProblem& p = plan.p;
  const int threads = std::min(plan.threads, run.threads);
  auto* scratch = reinterpret_cast<float*>(run.scratch);
  const auto* packed = reinterpret_cast<const float*>(plan.packed.get());
  if (packed == nullptr) {
    const std::int64_t panels = plan.gemm.panels();
    parallel_for(threads, plan.b_count * panels, 1, [&](std::int64_t begin, std::int64_t end) {
      while (begin < end) {
        const std::int64_t matrix = begin / panels, from = begin % panels;
        const std::int64_t until = std::min(panels, from + end - begin);
        pack(plan, run.in<float>(1), matrix, from, until, scratch);
        begin += until - from;
      }
    });
    packed = scratch;
  }
  GemmPlan gemm = plan.gemm;
  const bool checked = plan.packed != nullptr || gemm.bf16x3 == nullptr;
  if (!checked && !finite_for_bf16x3(packed, plan.b_count * gemm.packed_floats(), plan.isa))
    gemm.bf16x3 = nullptr;
  const float* a = run.in<float>(0);
  if (plan.transpose != nullptr) {
    plan.transpose->run(a, 0, scratch + plan.a_at, 0, threads);
    a = scratch + plan.a_at;
  }
  if (plan.c == Tiled::C::kExpanded) expand_c(p, run.in<float>(2), threads, scratch + plan.c_at);
  parallel_tasks(
      threads, p.batches() * plan.row_blocks * plan.column_chunks,
      [&](std::int64_t task, int thread) { run_task(plan, gemm, run, a, packed, task, thread); });
}

Step lower_tiled(MatmulProblem problem, const LowerContext& c) {
  auto plan = std::make_shared<Tiled>(make_plan(std::move(problem), c));
  const MatmulProblem& p = plan->p;
  const std::int64_t floats = checked_multiply(plan->b_count, plan->gemm.packed_floats());
  std::int64_t scratch = 0;
  if (const Tensor* b = c.content(1)) {
    const std::string key = "matmul b" + std::to_string(plan->b_count) + " s" +
                            std::to_string(p.alpha) + (p.transpose_b ? " t " : " ") +
                            plan->gemm.key();
    plan->packed = c.cache().get(*b, key, static_cast<std::size_t>(floats) * 4, [&](std::byte* to) {
      pack_constant(*plan, *b, reinterpret_cast<float*>(to));
    });
  } else {
    scratch += round_up(floats, 16);
  }
  plan->a_at = scratch;
  if (p.transpose_a && p.m > 1 && p.k > 1) {
    const std::int64_t size = checked_multiply(p.m, p.k);
    plan->transpose = std::make_shared<StridedCopy>(
        std::vector<CopyDim>{{plan->a_count, size, size}, {p.m, 1, p.k}, {p.k, p.m, 1}},
        DType::kFloat32, c.isa());
    scratch += round_up(checked_multiply(plan->a_count, size), 16);
  }
  plan->c_at = scratch;
  if (plan->c == Tiled::C::kExpanded) scratch += round_up(checked_multiply(p.m, p.n), 16);
  plan->block_at = scratch;
  plan->block_floats =
      static_cast<std::int64_t>(bf16x3_scratch(plan->gemm, plan->block_rows) / sizeof(float));
  scratch += checked_multiply(plan->block_floats, plan->threads);
  Step step;
  step.algorithm = p.m == 1 ? "matrix-vector" : plan->gemm.bf16x3 ? "gemm bf16x3" : "gemm";
  if (plan->packed == nullptr) step.algorithm += ", packs B";
  step.scratch_bytes = static_cast<std::size_t>(checked_multiply(scratch, 4));
  step.run = [plan](const RunContext& run) { run_plan(*plan, run); };
  return step;
}

}  // namespace

Step lower_matmul(MatmulProblem problem, const LowerContext& c) {
  if (c.out_shape(0).elements() == 0) {
    Step nothing;
    nothing.algorithm = "empty";
    nothing.run = [](const RunContext&) {};
    return nothing;
  }
  if (c.dtype(0) != DType::kFloat32 || c.force() == "generic") {
    return lower_matmul_loops(std::move(problem), c);
  }
  return lower_tiled(std::move(problem), c);
}

}  // namespace lanewise
