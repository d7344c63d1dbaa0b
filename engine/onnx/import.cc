// The stages of reading a model, and how its problems become errors.
#include "engine/onnx/import.h"

#include <utility>

#include "engine/base/error.h"
#include "engine/onnx/draft.h"
#include "engine/onnx/file.h"
#include "engine/onnx/functions.h"
#include "engine/onnx/resolve.h"
#include "engine/onnx/upgrade.h"
#include "engine/onnx/wire.h"

namespace lanewise {
namespace onnx {
namespace {

// What a small file may take beyond its own size: room for any honest model.
constexpr std::uint64_t kSmallBudget = std::uint64_t{64} << 20;
constexpr std::uint64_t kBudgetPerByte = 16;

void check_opsets(const ModelProto& model, OpsetMap& opsets, Problems& problems) {
  if (model.opset_import.empty()) {
    if (model.ir_version >= 3) {
      problems.errors.push_back("the model imports no opset; it must name the version of ai.onnx");
    }
    opsets[""] = 1;
  }
  const auto check = [&](std::string_view domain, std::int64_t version) {
    if (canonical_domain(domain) != "") return;
    if (version < 1) {
      problems.errors.push_back("opset " + std::to_string(version) + " of ai.onnx does not exist");
    } else if (version > kNewestOpset) {
      problems.unsupported.push_back("opset " + std::to_string(version) + " of ai.onnx: 1 to " +
                                     std::to_string(kNewestOpset) + " are supported");
    }
  };
  for (const OperatorSetId& id : model.opset_import) check(id.domain, id.version);
  for (const FunctionProto& function : model.functions) {
    for (const OperatorSetId& id : function.opset_import) check(id.domain, id.version);
  }
}

std::map<std::string, std::string> metadata_of(const ModelProto& model, const OpsetMap& opsets) {
  std::map<std::string, std::string> metadata;
  for (const auto& [key, value] : model.metadata_props) metadata.emplace(key, value);
  metadata["ir_version"] = std::to_string(model.ir_version);
  metadata["model_version"] = std::to_string(model.model_version);
  metadata["graph_name"] = model.graph.name;
  metadata["producer_name"] = model.producer_name;
  metadata["producer_version"] = model.producer_version;
  metadata["domain"] = model.domain;
  metadata["doc_string"] = model.doc_string;
  std::string& list = metadata["opset"];
  for (const auto& [domain, version] : opsets) {
    list += (list.empty() ? "" : ", ") + (domain.empty() ? "ai.onnx" : domain) + " " +
            std::to_string(version);
  }
  return metadata;
}

// Null when there are problems.
std::shared_ptr<Graph> read_model(std::span<const std::byte> bytes, Origin origin,
                                  const ImportOptions& options, Problems& problems) {
  if (bytes.empty()) throw ModelError("no bytes: an empty file or buffer is not an ONNX model");
  if (bytes.size() > options.max_bytes) {
    throw ResourceError("the model has " + std::to_string(bytes.size()) +
                        " bytes, more than the limit of " + std::to_string(options.max_bytes));
  }
  const ModelProto model =
      parse_model(std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
  OpsetMap opsets = make_opsets(model.opset_import);
  check_opsets(model, opsets, problems);
  if (!problems.empty()) return nullptr;

  ExternalFiles files(options.base_folder, options.max_bytes);
  Budget budget(kSmallBudget + kBudgetPerByte * static_cast<std::uint64_t>(bytes.size()));
  TensorSource source(std::move(origin), files, budget);
  DraftGraph draft = make_draft(model.graph, opsets, source);
  inline_functions(draft, model.functions, source);
  normalise(draft, problems);
  if (!problems.errors.empty()) return nullptr;
  // Before IR version 4 every initializer had to be an input as well, constant or not.
  auto graph = resolve(std::move(draft), {.overridable = model.ir_version >= 4}, problems);
  if (graph != nullptr) graph->metadata = metadata_of(model, opsets);
  return graph;
}

std::string join(const std::vector<std::string>& lines) {
  constexpr std::size_t kMost = 20;
  std::string text;
  for (std::size_t i = 0; i < lines.size() && i < kMost; ++i)
    text += (i == 0 ? "" : "\n  ") + lines[i];
  if (lines.size() > kMost) text += "\n  and " + std::to_string(lines.size() - kMost) + " more";
  return text;
}

[[noreturn]] void raise(const Problems& problems) {
  if (problems.errors.empty()) {
    const std::size_t count = problems.unsupported.size();
    throw UnsupportedError("the model needs " + std::to_string(count) +
                               (count == 1 ? " thing" : " things") +
                               " that this version does not have:\n  " + join(problems.unsupported),
                           problems.unsupported);
  }
  const std::size_t count = problems.errors.size();
  if (count == 1) throw ModelError(problems.errors[0]);
  throw ModelError("the model has " + std::to_string(count) + " faults:\n  " +
                   join(problems.errors));
}

std::vector<std::string> lines_of(const Problems& problems) {
  std::vector<std::string> lines = problems.errors;
  for (const std::string& item : problems.unsupported) lines.push_back("unsupported: " + item);
  return lines;
}

std::shared_ptr<const Graph> read_or_raise(std::span<const std::byte> bytes, Origin origin,
                                           const ImportOptions& options) {
  Problems problems;
  auto graph = read_model(bytes, std::move(origin), options, problems);
  if (!problems.empty()) raise(problems);
  return graph;
}

}  // namespace
}  // namespace onnx

std::shared_ptr<const Graph> import_model(std::span<const std::byte> bytes,
                                          std::shared_ptr<const void> owner,
                                          const ImportOptions& options) {
  return onnx::read_or_raise(bytes, {std::move(owner), nullptr}, options);
}

std::shared_ptr<const Graph> import_file(const std::string& path, const ImportOptions& options) {
  const auto file = onnx::MappedFile::open(path, options.max_bytes);
  ImportOptions beside = options;
  beside.base_folder = onnx::folder_of(path);
  return onnx::read_or_raise(file->bytes(), {file, file.get()}, beside);
}

std::vector<std::string> check_model(std::span<const std::byte> bytes,
                                     const ImportOptions& options) {
  onnx::Problems problems;
  try {
    onnx::read_model(bytes, {}, options, problems);
  } catch (const Error& error) {
    problems.errors.push_back(error.what());
  }
  return onnx::lines_of(problems);
}

std::vector<std::string> check_file(const std::string& path, const ImportOptions& options) {
  try {
    const auto file = onnx::MappedFile::open(path, options.max_bytes);
    ImportOptions beside = options;
    beside.base_folder = onnx::folder_of(path);
    return check_model(file->bytes(), beside);
  } catch (const Error& error) {
    return {error.what()};
  }
}

}  // namespace lanewise
