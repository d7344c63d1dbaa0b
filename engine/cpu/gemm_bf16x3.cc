// Passes over the sum, cut rows and panels, and rows that the parts cannot express.
#include "engine/cpu/gemm_bf16x3.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "engine/base/buffer.h"
#include "engine/base/rounding.h"
#include "engine/graph/backing.h"

namespace lanewise {
namespace {

using kernels::GemmBf16x3;

constexpr std::int64_t kTerms = GemmBf16x3::kTerms;
constexpr std::int64_t kRowStep = std::int64_t{GemmBf16x3::kParts} * GemmBf16x3::kLineBytes;
// Steps of one pass at the most: the parts of a block of 192 rows and of a panel, 0.9 MB, stay in
// a second-level cache of 2 MB.
constexpr std::int64_t kPassSteps = 18;
constexpr std::int64_t kBlockBytes = kPassSteps * 192 * kRowStep;
// Fewer rows are done as soon by the float32 tiles; shorter sums have an error bound of less than
// what the parts leave out.
constexpr std::int64_t kLeastRows = 16, kLeastTerms = 48;

struct Passes {
  std::int64_t terms = 0, steps = 0, count = 0, each = 0;  // steps of one pass

  explicit Passes(const GemmPlan& plan)
      : terms(plan.taps * plan.k),
        steps(divide_up(terms, kTerms)),
        count(std::max<std::int64_t>(1, divide_up(steps, kPassSteps))),
        each(divide_up(steps, count)) {}
};

std::int64_t vectors_of(const GemmPlan& plan, std::int64_t panel) {
  const std::int64_t columns = std::min(plan.width(), plan.n - panel * plan.width());
  return divide_up(columns, plan.kernel->lanes);
}

// Whether no step of a row's sum reaches over several taps.
bool whole_taps(const GemmPlan& plan) { return plan.taps == 1 || plan.k % kTerms == 0; }

// A block of rows: cut, multiplied by panel after panel, pass after pass.
class Block {
 public:
  Block(const GemmPlan& plan, const GemmRows& rows, const float* packed, std::int64_t begin,
        std::int64_t end, const GemmOutput& output, std::byte* scratch)
      : plan_(plan),
        rows_(rows),
        packed_(packed),
        begin_(begin),
        end_(end),
        output_(output),
        passes_(plan),
        groups_(divide_up(rows.count, GemmBf16x3::kMostRows)),
        a_(scratch),
        b_(a_ + aligned_size(rows.count * passes_.each * kRowStep)),
        odd_(reinterpret_cast<std::uint8_t*>(b_ + 2 * panel_bytes(passes_))),
        line_(reinterpret_cast<float*>(odd_ + aligned_size(rows.count))) {}

  // Bytes of the parts of a panel.
  static std::size_t panel_bytes(const Passes& passes) {
    return aligned_size(passes.each * kRowStep * 16 * GemmBf16x3::kMostVectors);
  }
  static std::size_t scratch_bytes(const Passes& passes, std::int64_t rows) {
    return aligned_size(rows * passes.each * kRowStep) + 2 * panel_bytes(passes) +
           aligned_size(rows) +
           aligned_size(GemmBf16x3::kMostRows * passes.each * kTerms * std::int64_t{4});
  }

  void run() {
    std::fill_n(odd_, rows_.count, std::uint8_t{0});
    if (passes_.count > 1) mark_odd();
    for (std::int64_t pass = 0; pass < passes_.count; ++pass) run_pass(pass);
    run_odd();
  }

 private:
  std::int64_t first_row(std::int64_t group) const { return rows_.count * group / groups_; }
  std::int64_t first_term(std::int64_t pass) const {
    return std::min(passes_.terms, pass * passes_.each * kTerms);
  }
  // Panel `index` of all passes, counted pass after pass; none past the last.
  kernels::Bf16x3Panel panel_of(std::int64_t index) const {
    const std::int64_t pass = index / (end_ - begin_), panel = begin_ + index % (end_ - begin_);
    if (pass >= passes_.count) return {};
    const std::int64_t vectors = vectors_of(plan_, panel), from = first_term(pass);
    const float* packed = packed_ + panel * plan_.width() * passes_.terms;
    return {packed + from * vectors * plan_.kernel->lanes, first_term(pass + 1) - from,
            static_cast<int>(vectors), b_ + index % 2 * panel_bytes(passes_)};
  }

  // A sum in several passes leaves parts of itself in C, which a row that turns out odd in a later
  // one could not take back.
  void mark_odd() {
    for (std::int64_t row = 0; row < rows_.count; ++row) {
      for (std::int64_t tap = 0; tap < plan_.taps && odd_[row] == 0; ++tap) {
        const float* from = rows_.table[tap * rows_.step + row] + rows_.offset;
        odd_[row] = plan_.bf16x3->all_finite(from, plan_.k) ? 0 : 1;
      }
    }
  }

  kernels::Bf16x3Rows rows_of(std::int64_t group, std::int64_t pass) const {
    kernels::Bf16x3Rows rows;
    rows.table = rows_.table;
    rows.table_step = rows_.step;
    rows.offset = rows_.offset;
    rows.k = plan_.k;
    rows.begin = first_term(pass);
    rows.end = first_term(pass + 1);
    rows.first = first_row(group);
    rows.last = first_row(group + 1);
    rows.to = a_ + rows.first * divide_up(rows.end - rows.begin, kTerms) * kRowStep;
    rows.odd = odd_;
    return rows;
  }

  // A group of rows whose steps reach over several taps: written out first.
  void cut_gathered(const kernels::Bf16x3Rows& rows) {
    const std::int64_t terms = rows.end - rows.begin;
    std::array<const float*, GemmBf16x3::kMostRows> table;
    float* to = line_;
    for (std::int64_t row = rows.first; row < rows.last; ++row) {
      table[static_cast<std::size_t>(row - rows.first)] = to;
      for (std::int64_t term = rows.begin; term < rows.end;) {
        const std::int64_t tap = term / plan_.k, i = term % plan_.k;
        const std::int64_t count = std::min(rows.end - term, plan_.k - i);
        const float* from = rows_.table[tap * rows_.step + row] + rows_.offset + i;
        to = std::copy_n(from, count, to);
        term += count;
      }
    }
    kernels::Bf16x3Rows lines{
        table.data(), 0, 0, terms, 0, terms, 0, rows.last - rows.first, rows.to, odd_ + rows.first};
    plan_.bf16x3->cut_rows(lines);
  }

  void run_pass(std::int64_t pass) {
    const kernels::Bf16x3Rows rows = rows_of(0, pass);
    const kernels::Bf16x3Rows* rest = nullptr;
    if (whole_taps(plan_)) {
      plan_.bf16x3->cut_rows(rows);
      rest = &rows;  // cut beside the first panel
    } else {
      for (std::int64_t group = 0; group < groups_; ++group) cut_gathered(rows_of(group, pass));
    }
    for (std::int64_t panel = begin_; panel < end_; ++panel)
      run_panel(pass, panel, panel == begin_ ? rest : nullptr);
  }

  void run_panel(std::int64_t pass, std::int64_t panel, const kernels::Bf16x3Rows* rest) {
    const std::int64_t column = panel * plan_.width();
    const std::int64_t index = pass * (end_ - begin_) + panel - begin_;
    const kernels::Bf16x3Panel now = panel_of(index);
    if (index == 0) plan_.bf16x3->cut_panel(now);
    kernels::Bf16x3Product t;
    t.a = a_;
    t.odd = odd_;
    t.rows = rows_.count;
    t.groups = groups_;
    t.steps = divide_up(now.count, kTerms);
    t.b = now.to;
    t.vectors = now.vectors;
    t.columns = static_cast<int>(std::min(plan_.width(), plan_.n - column));
    t.c = output_.c + column;
    t.ldc = output_.ldc;
    t.first = pass == 0;
    t.last = pass + 1 == passes_.count;
    t.epilogue = output_.epilogue;
    if (t.epilogue.bias != nullptr) t.epilogue.bias += column;
    if (t.epilogue.residual != nullptr) t.epilogue.residual += column;
    t.next_panel = panel_of(index + 1);
    t.rest = rest;
    plan_.bf16x3->multiply(t);
  }

  // Rows that parts do not express, by the float32 tiles.
  void run_odd() const {
    GemmPlan tiles = plan_;
    tiles.bf16x3 = nullptr;
    for (std::int64_t row = 0; row < rows_.count; ++row) {
      if (odd_[row] == 0) continue;
      GemmRows one = rows_;
      one.table += row;
      one.count = 1;
      GemmOutput output = output_;
      output.c += row * output.ldc;
      if (output.epilogue.residual != nullptr)
        output.epilogue.residual += row * output.epilogue.residual_stride;
      run_block(tiles, one, packed_, begin_, end_, output);
    }
  }

  const GemmPlan& plan_;
  const GemmRows& rows_;
  const float* packed_;
  std::int64_t begin_, end_;
  const GemmOutput& output_;
  Passes passes_;
  std::int64_t groups_;
  std::byte *a_, *b_;
  std::uint8_t* odd_;
  float* line_;
};

}  // namespace

std::string refuse_bf16x3(const GemmPlan& plan, const LowerContext& c, std::int64_t rows) {
  const GemmBf16x3& kernel = kernels::gemm_bf16x3(c.isa());
  if (kernel.multiply == nullptr) return "there is no unit for products of bfloat16 tiles";
  if (c.numerics() == Numerics::kStrict) return "strict numerics keep the sums' own terms";
  if (rows < kLeastRows) return "there are too few rows";
  if (plan.taps * plan.k < kLeastTerms) return "the sums are too short";
  return "";
}

bool finite_for_bf16x3(const float* from, std::int64_t count, Isa isa) {
  return kernels::gemm_bf16x3(isa).all_finite(from, count);
}

bool finite_for_bf16x3(const Tensor& constant, Isa isa) {
  constexpr std::int64_t kWindow = std::int64_t{1} << 19;
  const std::int64_t count = constant.shape().elements();
  WindowReader reader(constant);
  for (std::int64_t at = 0; at < count; at += kWindow) {
    const std::int64_t some = std::min(kWindow, count - at);
    if (!finite_for_bf16x3(reader.at<float>(at, some), some, isa)) return false;
  }
  return true;
}

void use_bf16x3(GemmPlan& plan, Isa isa) { plan.bf16x3 = &kernels::gemm_bf16x3(isa); }

std::int64_t bf16x3_block_rows(const GemmPlan& plan) {
  return std::clamp<std::int64_t>(kBlockBytes / (Passes(plan).each * kRowStep), 192,
                                  kMostBf16x3Rows);
}

std::size_t bf16x3_scratch(const GemmPlan& plan, std::int64_t rows) {
  return plan.bf16x3 == nullptr ? 0 : Block::scratch_bytes(Passes(plan), rows);
}

double bf16x3_cycles(const GemmPlan& plan, double rows) {
  // The unit takes 16 cycles for 16 rows, 16 columns and the 32 terms of one pair of parts, of
  // which there are six; a third more where it gets no rest, and little less for lower tiles.
  constexpr double kPairs = 6.0, kRest = 1.3, kShare = 0.65, kRowShare = 0.022;
  // Of an element of A and of B. Cutting hides behind the unit but for the memory that it reads and
  // writes; rows of the first group hide behind nothing, and all rows take their time where there
  // is one panel to hide behind. Several passes read the rows once more, before all.
  constexpr double kRowCycles = 0.4, kFirstCycles = 1.2, kRowAlone = 1.7, kReadCycles = 0.15;
  constexpr double kGatherCycles = 2.0, kPanelCycles = 0.55;
  const Passes passes(plan);
  const double columns = static_cast<double>(divide_up(plan.n, plan.kernel->lanes));
  const double terms = static_cast<double>(passes.terms);
  const double blocks =
      std::max(1.0, std::ceil(rows / static_cast<double>(bf16x3_block_rows(plan))));
  const double groups = std::max(1.0, std::ceil(rows / blocks / GemmBf16x3::kMostRows));
  const double tiles = 2.0 * blocks * groups;
  const double multiply = tiles * kPairs * 16.0 * kRest * (kShare + kRowShare * rows / tiles) *
                          columns * static_cast<double>(passes.steps);
  const double cut = whole_taps(plan) ? kRowCycles + (kFirstCycles - kRowCycles) / groups +
                                            (passes.count > 1 ? kReadCycles : 0.0)
                                      : kGatherCycles;
  return std::max(multiply + rows * terms * cut, rows * terms * kRowAlone) +
         blocks * columns * 16.0 * terms * kPanelCycles;
}

void run_bf16x3_block(const GemmPlan& plan, const GemmRows& rows, const float* packed,
                      std::int64_t begin, std::int64_t end, const GemmOutput& output,
                      std::byte* scratch) {
  if (begin < end) Block(plan, rows, packed, begin, end, output, scratch).run();
}

}  // namespace lanewise
