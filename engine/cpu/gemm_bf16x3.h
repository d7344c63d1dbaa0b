// The loops around products of bfloat16 parts (kernels/gemm/bf16x3.h): which plans take them, and a
// block of rows. B is packed as for the float32 tiles and cut while it is used, so that no more
// bytes of weights are kept or read.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "engine/cpu/gemm.h"
#include "engine/graph/context.h"

namespace lanewise {

// Why a product with so many rows cannot, or should not, be computed from bfloat16 parts; empty
// where it can, if B is finite. The bits of a row do not depend on the rows beside it.
std::string refuse_bf16x3(const GemmPlan& plan, const LowerContext& c, std::int64_t rows);

// Whether a constant, or `count` floats, are all finite: parts of an infinity add up to NaN.
bool finite_for_bf16x3(const Tensor& constant, Isa isa);
bool finite_for_bf16x3(const float* from, std::int64_t count, Isa isa);

// Makes a plan that was not refused compute so.
void use_bf16x3(GemmPlan& plan, Isa isa);

// The rows of a block for which cutting a panel of B takes little time; never more than
// kMostBf16x3Rows.
inline constexpr std::int64_t kMostBf16x3Rows = 576;
std::int64_t bf16x3_block_rows(const GemmPlan& plan);

// Memory of one thread that run_bf16x3_block needs.
std::size_t bf16x3_scratch(const GemmPlan& plan, std::int64_t rows);

// Cycles of a product with so many rows on one thread.
double bf16x3_cycles(const GemmPlan& plan, double rows);

// As run_block, for a plan that computes so.
void run_bf16x3_block(const GemmPlan& plan, const GemmRows& rows, const float* packed,
                      std::int64_t begin, std::int64_t end, const GemmOutput& output,
                      std::byte* scratch);

}  // namespace lanewise
