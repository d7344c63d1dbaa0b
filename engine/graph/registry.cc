// The operators that the build found, sorted once for lookup, and those added since.
#include <algorithm>
#include <map>
#include <mutex>
#include <utility>
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

const OpDef* find_own(const OpDef& wanted) {
  const auto& ops = sorted_ops();
  const auto it = std::lower_bound(ops.begin(), ops.end(), &wanted, before);
  return it == ops.end() || before(&wanted, *it) ? nullptr : *it;
}

using Key = std::pair<std::string, std::string>;
Key key_of(const OpDef& op) { return {std::string(op.domain), std::string(op.name)}; }

struct Added {
  std::mutex mutex;
  std::map<Key, const OpDef*> ops;
};
Added& added_ops() {
  static Added added;
  return added;
}

}  // namespace

const OpDef* find_op(std::string_view domain, std::string_view name) {
  OpDef wanted{};
  wanted.domain = domain == "ai.onnx" ? std::string_view{} : domain;
  wanted.name = name;
  if (const OpDef* own = find_own(wanted)) return own;
  Added& added = added_ops();
  const std::lock_guard lock(added.mutex);
  const auto it = added.ops.find(key_of(wanted));
  return it == added.ops.end() ? nullptr : it->second;
}

bool add_op(const OpDef& op) {
  if (find_own(op) != nullptr) return false;
  Added& added = added_ops();
  const std::lock_guard lock(added.mutex);
  added.ops.insert_or_assign(key_of(op), &op);
  return true;
}

std::span<const OpDef* const> all_ops() { return sorted_ops(); }

std::string op_name(const OpDef& op) {
  return op.domain.empty() ? std::string(op.name)
                           : std::string(op.domain) + ":" + std::string(op.name);
}

}  // namespace lanewise
