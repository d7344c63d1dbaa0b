// The operators that the build found, sorted once for lookup.
#include <algorithm>
#include <vector>

#include "engine/graph/op.h"

namespace lanewise {

// Made by the build from the files in engine/ops.
extern const std::span<const OpTable* const> kOpTables;

namespace {

bool before(const OpDef* a, const OpDef* b) {
  return a->domain != b->domain ? a->domain < b->domain : a->name < b->name;
}

const std::vector<const OpDef*>& sorted_ops() {
  static const std::vector<const OpDef*> ops = [] {
    std::vector<const OpDef*> list;
    for (const OpTable* table : kOpTables) {
      for (const OpDef& op : table->ops) list.push_back(&op);
    }
    std::sort(list.begin(), list.end(), before);
    return list;
  }();
  return ops;
}

}  // namespace

const OpDef* find_op(std::string_view domain, std::string_view name) {
  OpDef wanted{};
  wanted.domain = domain == "ai.onnx" ? std::string_view{} : domain;
  wanted.name = name;
  const auto& ops = sorted_ops();
  const auto it = std::lower_bound(ops.begin(), ops.end(), &wanted, before);
  if (it == ops.end() || before(&wanted, *it)) return nullptr;
  return *it;
}

std::span<const OpDef* const> all_ops() { return sorted_ops(); }

std::string op_name(const OpDef& op) {
  return op.domain.empty() ? std::string(op.name)
                           : std::string(op.domain) + ":" + std::string(op.name);
}

}  // namespace lanewise
